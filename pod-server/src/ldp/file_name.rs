//! How file names stand for resources, in the data folder of a Community Solid Server and in templates: the extension gives the media type, and where the name's own extension does not, one
//! is added behind a dollar sign: `card$.ttl` is `card` in Turtle.

use std::collections::HashMap;
use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The extension that stands for a media type that has none; the type is in the description then.
const UNKNOWN: &str = "unknown";

/// The media type of files whose extension says nothing.
pub(crate) const OCTETS: &str = "application/octet-stream";

/// Characters that the other server kept percent-encoded in file names, because some systems forbid them there.
const KEPT_ENCODED: [(&str, &str); 7] = [
    ("%3C", "<"),
    ("%3E", ">"),
    ("%3A", ":"),
    ("%22", "\""),
    ("%7C", "|"),
    ("%3F", "?"),
    ("%2A", "*"),
];

/// Everything that is not plain in every part of an IRI.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

static TYPES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("extensions.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .collect()
});

/// A file's name as the other server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileName {
    /// The resource's name, one segment, percent-encoded.
    pub(crate) segment: String,
    /// The media type; none where the description has it.
    pub(crate) media_type: Option<String>,
}

/// Why a name cannot be one here.
const SLASH: &str = "the name holds an encoded slash or backslash, which no name may here";

impl FileName {
    /// Reads the name of a file.
    ///
    /// # Errors
    /// In words, when no resource can have this name here.
    pub(crate) fn document(name: &str) -> Result<Self, &'static str> {
        let extension = name
            .rsplit_once('.')
            .map(|(_, extension)| extension)
            .filter(|it| !it.is_empty());
        let added = extension.and_then(|extension| name.strip_suffix(&format!("$.{extension}")));
        let media_type = match extension {
            Some(UNKNOWN) if added.is_some() => None,
            Some(extension) => Some(media_type(&extension.to_ascii_lowercase())),
            None => Some(OCTETS.to_owned()),
        };
        Ok(Self {
            segment: segment(added.unwrap_or(name))?,
            media_type,
        })
    }
}

/// Reads the name of a folder, or of a file without its added extension.
///
/// # Errors
/// As [`FileName::document`].
pub(crate) fn segment(name: &str) -> Result<String, &'static str> {
    let mut plain = name.to_owned();
    for (encoded, character) in KEPT_ENCODED {
        plain = plain.replace(encoded, character);
    }
    // However often the percent sign is encoded itself.
    let mut decoded = name.to_ascii_uppercase();
    while decoded.contains("%25") {
        decoded = decoded.replace("%25", "%");
    }
    if decoded.contains("%2F") || decoded.contains("%5C") || name.contains('\\') {
        return Err(SLASH);
    }
    Ok(utf8_percent_encode(&plain, SEGMENT).to_string())
}

fn media_type(extension: &str) -> String {
    if matches!(extension, "acl" | "acr" | "meta") {
        return "text/turtle".to_owned();
    }
    TYPES
        .get(extension)
        .copied()
        .or_else(|| mime_guess::from_ext(extension).first_raw())
        .unwrap_or(OCTETS)
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What Community Solid Server 7.2 names its files, as read in a folder that it wrote.
    #[test]
    fn file_names_are_read_as_they_were_meant() {
        for (file, segment, media_type) in [
            ("card$.ttl", "card", Some("text/turtle")),
            ("a.ttl", "a.ttl", Some("text/turtle")),
            ("x.ttl$.txt", "x.ttl", Some("text/plain")),
            ("README$.markdown", "README", Some("text/markdown")),
            ("odd$.unknown", "odd", None),
            ("x.unknown", "x.unknown", Some(OCTETS)),
            ("été.jsonld", "%C3%A9t%C3%A9.jsonld", Some("application/ld+json")),
            ("a%3Ab$.txt", "a%3Ab", Some("text/plain")),
            ("100%$.txt", "100%25", Some("text/plain")),
            ("pic.PNG", "pic.PNG", Some("image/png")),
            ("x.js", "x.js", Some("application/javascript")),
            ("a.xml", "a.xml", Some("application/xml")),
            (".acl", ".acl", Some("text/turtle")),
            (".hidden$.txt", ".hidden", Some("text/plain")),
            ("plain", "plain", Some(OCTETS)),
            ("dot.", "dot.", Some(OCTETS)),
        ] {
            let read = FileName::document(file).unwrap();
            assert_eq!(
                (read.segment.as_str(), read.media_type.as_deref()),
                (segment, media_type),
                "{file}"
            );
        }
        for file in ["sl%2Fx$.txt", "sl%252fx", "back%5Cslash", "back\\slash"] {
            assert!(FileName::document(file).is_err(), "{file}");
        }
    }
}
