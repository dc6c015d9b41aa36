//! Terms and names as people say them: purposes, WebIDs, instants.

use policies::explain;
use time::OffsetDateTime;

use super::Language;
use crate::identity::turns_text;
use crate::name::ResourceName;
use crate::origins::Origins;

/// A purpose in the visitor's words where there are some, else the last part of its IRI with its words apart.
#[must_use]
pub fn purpose(language: Language, iri: &str) -> String {
    legible(explain::purpose(iri, explain::Language::from_tag(language.tag())))
}

/// What somebody sent, with a mark in place of every character that is none to be read: line ends, commands to a terminal,
/// and those that turn the direction of writing, so that a text cannot look like another (T111).
#[must_use]
pub fn legible(text: String) -> String {
    text.replace(|letter: char| letter.is_control() || turns_text(letter), "\u{fffd}")
}

/// A WebID by the name of its storage where it is of this server, else without scheme and fragment.
#[must_use]
pub fn person(origins: &Origins, web_id: &str) -> String {
    let document = web_id.split_once('#').map(|(document, _)| document);
    let local = document
        .and_then(|document| ResourceName::from_iri(document, origins))
        .and_then(|name| {
            Some(
                name.as_str()
                    .strip_suffix("/profile/card")?
                    .trim_start_matches('/')
                    .to_owned(),
            )
        });
    let bare = web_id.split_once("://").map_or(web_id, |(_, rest)| rest);
    local.unwrap_or_else(|| bare.split('#').next().unwrap_or(bare).to_owned())
}

/// What lies where, without this server's own address.
#[must_use]
pub fn place(origins: &Origins, iri: &str) -> String {
    let (document, fragment) = iri.find('#').map_or((iri, ""), |at| iri.split_at(at));
    ResourceName::from_iri(document, origins).map_or_else(|| iri.to_owned(), |name| format!("{name}{fragment}"))
}

/// A day as it is written in Belgium.
#[must_use]
pub fn day(moment: OffsetDateTime) -> String {
    format!(
        "{:02}/{:02}/{:04}",
        moment.day(),
        u8::from(moment.month()),
        moment.year()
    )
}

/// A day with hour and minute, in UTC.
#[must_use]
pub fn minute(moment: OffsetDateTime) -> String {
    let utc = moment.to_offset(time::UtcOffset::UTC);
    format!("{} {:02}:{:02} UTC", day(utc), utc.hour(), utc.minute())
}

/// An instant for machines, in a `datetime` attribute.
#[must_use]
pub fn instant(moment: OffsetDateTime) -> String {
    moment
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_words_and_not_identifiers() {
        let base = &Origins::new("https://pod.example/");
        assert_eq!(
            purpose(Language::Nl, "https://w3id.org/meent/ns#BicyclePolicy"),
            "fietsbeleid"
        );
        assert_eq!(
            purpose(Language::En, "https://w3id.org/dpv#EnforceSecurity"),
            "enforce security"
        );
        assert_eq!(person(base, "https://pod.example/gent/profile/card#me"), "gent");
        assert_eq!(person(base, "https://mobility.example/#us"), "mobility.example/");
        assert_eq!(place(base, "https://pod.example/jan/telraam/"), "/jan/telraam/");
        assert_eq!(
            minute(time::macros::datetime!(2026-06-01 14:05 +2)),
            "01/06/2026 12:05 UTC"
        );
    }
}
