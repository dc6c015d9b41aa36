//! The language of a page, and its texts.
//!
//! The choice is: `lang` in the query, then the cookie that remembers such a choice, then `Accept-Language` (RFC 9110
//! §12.5.4), then Dutch. A text that a language lacks shows its key, so that the gap is seen; a test holds that none is lacking.

use std::borrow::Cow;
use std::collections::HashMap;

use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};

#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the macro parses files that are checked when compiling"
)]
mod texts {
    fluent_templates::static_loader! {
        pub(super) static TEXTS = {
            locales: "./locales",
            fallback_language: "nl",
            // Isolation marks around variables end up in copied WebIDs and names.
            customise: |bundle| bundle.set_use_isolating(false),
        };
    }
}

static NL: LanguageIdentifier = langid!("nl");
static FR: LanguageIdentifier = langid!("fr");
static EN: LanguageIdentifier = langid!("en");

/// Name of the cookie that remembers a chosen language.
pub const COOKIE: &str = "__Host-language";

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

    fn identifier(self) -> &'static LanguageIdentifier {
        match self {
            Self::Nl => &NL,
            Self::Fr => &FR,
            Self::En => &EN,
        }
    }

    /// A text by its key.
    #[must_use]
    pub fn text(self, key: &str) -> String {
        texts::TEXTS
            .try_lookup(self.identifier(), key)
            .unwrap_or_else(|| key.to_owned())
    }

    /// A text by its key, with its variables.
    #[must_use]
    pub fn text_with(self, key: &str, variables: &[(&'static str, &str)]) -> String {
        let arguments: HashMap<Cow<'static, str>, FluentValue<'_>> = variables
            .iter()
            .map(|(name, value)| (Cow::Borrowed(*name), FluentValue::from((*value).to_owned())))
            .collect();
        texts::TEXTS
            .try_lookup_with_args(self.identifier(), key, &arguments)
            .unwrap_or_else(|| key.to_owned())
    }

    /// A text by its key, with a number under the name `count`, so that the text can choose singular or plural.
    #[must_use]
    pub fn text_counted(self, key: &str, count: u64) -> String {
        let arguments = HashMap::from([(Cow::Borrowed("count"), FluentValue::from(count))]);
        texts::TEXTS
            .try_lookup_with_args(self.identifier(), key, &arguments)
            .unwrap_or_else(|| key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::path::Path;

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

    fn keys(language: Language) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("locales")
            .join(language.tag());
        let mut keys = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
                if line.starts_with(|first: char| first.is_ascii_lowercase())
                    && let Some((key, _)) = line.split_once('=')
                {
                    assert!(
                        keys.insert(key.trim().to_owned()),
                        "`{key}` stands twice in {}",
                        language.tag()
                    );
                }
            }
        }
        keys
    }

    #[test]
    fn every_language_has_every_text() {
        let dutch = keys(Language::Nl);
        assert!(!dutch.is_empty());
        for language in [Language::Fr, Language::En] {
            let others = keys(language);
            assert_eq!(
                dutch.symmetric_difference(&others).collect::<Vec<_>>(),
                Vec::<&String>::new(),
                "{}",
                language.tag()
            );
        }
        let variables = variables();
        let given: Vec<(&'static str, &str)> = variables.iter().map(|name| (*name, "1")).collect();
        for key in &dutch {
            for language in Language::ALL {
                assert_ne!(&language.text_with(key, &given), key, "{}", language.tag());
            }
        }
    }

    /// Every variable that any text uses.
    fn variables() -> BTreeSet<&'static str> {
        let mut names = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("locales").join("nl");
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for piece in text.split('$').skip(1) {
                let name: String = piece
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
                    .collect();
                names.insert(&*name.leak());
            }
        }
        names
    }
}
