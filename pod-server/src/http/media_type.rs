//! Media types as far as resources need them: what is RDF, and in which syntax.

use http::{HeaderMap, HeaderValue, header};

use super::etag::Variant;

/// RDF syntaxes in which documents are stored and sent (solid#30).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Syntax {
    /// `text/turtle`.
    Turtle,
    /// `application/ld+json`.
    JsonLd,
    /// `application/n-triples`.
    NTriples,
}

impl Syntax {
    /// Every syntax, the server's favourite first.
    pub const ALL: [Self; 3] = [Self::Turtle, Self::JsonLd, Self::NTriples];

    /// The syntax of a media type without parameters, in lower case.
    #[must_use]
    pub fn from_essence(essence: &str) -> Option<Self> {
        match essence {
            "text/turtle" => Some(Self::Turtle),
            "application/ld+json" => Some(Self::JsonLd),
            "application/n-triples" => Some(Self::NTriples),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Turtle => "text/turtle",
            Self::JsonLd => "application/ld+json",
            Self::NTriples => "application/n-triples",
        }
    }

    /// The representation that it stands for in entity tags.
    #[must_use]
    pub const fn variant(self) -> Variant {
        match self {
            Self::Turtle => Variant::Turtle,
            Self::JsonLd => Variant::JsonLd,
            Self::NTriples => Variant::NTriples,
        }
    }

    /// The same for a listing without members.
    #[must_use]
    pub const fn minimal_variant(self) -> Variant {
        match self {
            Self::Turtle => Variant::MinimalTurtle,
            Self::JsonLd => Variant::MinimalJsonLd,
            Self::NTriples => Variant::MinimalNTriples,
        }
    }
}

/// A `Content-Type` that was checked: printable, one value, `type/subtype` with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    text: String,
    essence: String,
}

/// Why a `Content-Type` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// There is none.
    #[error("the request has content but no `Content-Type`")]
    Missing,
    /// It is not `type/subtype`, or it is repeated, or too long.
    #[error("the `Content-Type` is not a media type")]
    Malformed,
}

impl MediaType {
    /// Longest accepted media type with parameters, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Reads the `Content-Type` of a request.
    ///
    /// # Errors
    /// [`MediaTypeError`] when it is missing or malformed.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, MediaTypeError> {
        let mut values = headers.get_all(header::CONTENT_TYPE).iter();
        let value = values.next().ok_or(MediaTypeError::Missing)?;
        if values.next().is_some() {
            return Err(MediaTypeError::Malformed);
        }
        let text = value.to_str().map_err(|_| MediaTypeError::Malformed)?.trim();
        if text.is_empty() {
            return Err(MediaTypeError::Missing);
        }
        Self::parse(text).ok_or(MediaTypeError::Malformed)
    }

    /// Reads a media type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::BYTES_MAX || HeaderValue::from_str(text).is_err() {
            return None;
        }
        let parsed: mime::Mime = text.parse().ok()?;
        let (kind, subtype) = (parsed.type_(), parsed.subtype());
        if [kind, subtype]
            .iter()
            .any(|part| *part == mime::STAR || part.as_str().is_empty())
        {
            return None;
        }
        Some(Self {
            text: text.to_owned(),
            essence: parsed.essence_str().to_ascii_lowercase(),
        })
    }

    /// As it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `type/subtype` in lower case.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// Its RDF syntax, if it has one.
    #[must_use]
    pub fn syntax(&self) -> Option<Syntax> {
        Syntax::from_essence(&self.essence)
    }
}

/// The RDF syntax of a stored media type, parameters and all.
#[must_use]
pub fn stored_syntax(media_type: &str) -> Option<Syntax> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    Syntax::ALL
        .into_iter()
        .find(|syntax| essence.eq_ignore_ascii_case(syntax.media_type()))
}

/// Whether documents of a media type are JSON (RFC 6839 §3.1), parameters aside.
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for (text, essence, syntax) in [
            ("text/turtle", "text/turtle", Some(Syntax::Turtle)),
            ("Text/Turtle; charset=UTF-8", "text/turtle", Some(Syntax::Turtle)),
            (
                "application/ld+json;profile=\"x\"",
                "application/ld+json",
                Some(Syntax::JsonLd),
            ),
            ("image/png", "image/png", None),
        ] {
            let parsed = MediaType::parse(text).unwrap();
            assert_eq!((parsed.essence(), parsed.syntax()), (essence, syntax));
            assert_eq!(stored_syntax(text), syntax);
        }
        for broken in ["", "text", "text/", "*/*", "text/*", "a b/c", "text/plain\r\nx: y"] {
            assert!(MediaType::parse(broken).is_none(), "{broken}");
        }
    }
}
