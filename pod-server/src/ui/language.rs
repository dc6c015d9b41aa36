//! The language of a page, and its texts.
//!
//! The choice is: `lang` in the query, then the cookie that remembers such a choice, then `Accept-Language` (RFC 9110
//! §12.5.4), then Dutch. A text that a language lacks shows its key, so that the gap is seen; a test holds that none is lacking.

use std::borrow::Cow;
use std::collections::HashMap;

use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};
use server_kit::language::Language;

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

/// The texts of the pages.
pub trait Texts {
    /// A text by its key.
    #[must_use]
    fn text(self, key: &str) -> String;

    /// A text by its key, with its variables.
    #[must_use]
    fn text_with(self, key: &str, variables: &[(&'static str, &str)]) -> String;

    /// A text by its key, with a number under the name `count`, so that the text can choose singular or plural.
    #[must_use]
    fn text_counted(self, key: &str, count: u64) -> String;
}

fn identifier(language: Language) -> &'static LanguageIdentifier {
    match language {
        Language::Nl => &NL,
        Language::Fr => &FR,
        Language::En => &EN,
    }
}

impl Texts for Language {
    fn text(self, key: &str) -> String {
        texts::TEXTS
            .try_lookup(identifier(self), key)
            .unwrap_or_else(|| key.to_owned())
    }

    fn text_with(self, key: &str, variables: &[(&'static str, &str)]) -> String {
        let arguments: HashMap<Cow<'static, str>, FluentValue<'_>> = variables
            .iter()
            .map(|(name, value)| (Cow::Borrowed(*name), FluentValue::from((*value).to_owned())))
            .collect();
        texts::TEXTS
            .try_lookup_with_args(identifier(self), key, &arguments)
            .unwrap_or_else(|| key.to_owned())
    }

    fn text_counted(self, key: &str, count: u64) -> String {
        let arguments = HashMap::from([(Cow::Borrowed("count"), FluentValue::from(count))]);
        texts::TEXTS
            .try_lookup_with_args(identifier(self), key, &arguments)
            .unwrap_or_else(|| key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

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
