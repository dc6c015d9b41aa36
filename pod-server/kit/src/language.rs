//! The languages that pages are written in, and which of them a visitor gets (RFC 9110 §12.5.4).

/// A language that the pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Dutch.
    #[default]
    Nl,
    /// French.
    Fr,
    /// English.
    En,
}

impl Language {
    /// All languages, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Nl, Self::Fr, Self::En];

    /// The language's tag (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Nl => "nl",
            Self::Fr => "fr",
            Self::En => "en",
        }
    }

    /// The language's name in itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nl => "Nederlands",
            Self::Fr => "Français",
            Self::En => "English",
        }
    }

    /// The language of a tag, by its primary part: `nl-BE` is Dutch.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// Chooses from what a request says, the strongest wish first.
    #[must_use]
    pub fn choose(query: Option<&str>, cookie: Option<&str>, accept_language: Option<&str>) -> Self {
        query
            .and_then(Self::from_tag)
            .or_else(|| cookie.and_then(Self::from_tag))
            .or_else(|| accept_language.and_then(Self::accepted))
            .unwrap_or_default()
    }

    /// The best of our languages for an `Accept-Language` field; `None` when it names none of them.
    fn accepted(field: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        // A browser sends a handful; more is noise.
        for part in field.split(',').take(20) {
            let mut pieces = part.split(';');
            let Some(language) = pieces.next().and_then(Self::from_tag) else {
                continue;
            };
            let quality = pieces
                .find_map(|piece| piece.trim().strip_prefix("q="))
                .map_or(Some(1.0), |value| value.trim().parse::<f32>().ok())
                .filter(|quality| *quality > 0.0);
            let Some(quality) = quality else { continue };
            if best.is_none_or(|(known, _)| quality > known) {
                best = Some((quality, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_wish_wins() {
        let cases = [
            (None, None, None, Language::Nl),
            (Some("en"), Some("fr"), Some("nl"), Language::En),
            (Some("xx"), Some("fr"), Some("nl"), Language::Fr),
            (None, None, Some("de, fr-BE;q=0.8, en;q=0.9"), Language::En),
            (None, None, Some("fr;q=0, de"), Language::Nl),
            (None, None, Some("FR-be"), Language::Fr),
            (None, None, Some("*;q=0.5"), Language::Nl),
            (None, None, Some(",,;;q=zz,"), Language::Nl),
        ];
        for (query, cookie, field, expected) in cases {
            assert_eq!(
                Language::choose(query, cookie, field),
                expected,
                "{query:?} {cookie:?} {field:?}"
            );
        }
    }
}
