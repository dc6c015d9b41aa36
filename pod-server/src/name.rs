//! The one canonical name of a resource (ARCHITECTURE invariant 6).
//!
//! Made once, at the HTTP edge, and used by authorization and storage alike, so that no second spelling of a URL can
//! reach what the first may not. It never guesses: a spelling that could be read in two ways is refused.
//! RFC 3986 §6, Solid Protocol §3 (requirements solid#11, solid#66; T1-T11).

use std::fmt;

use crate::origins::Origins;

/// The path of a resource from the server's root in its one canonical spelling, for example `/gent/fietsen/2022.ttl`.
/// A container's name ends with `/`. Percent-encoding is kept only where RFC 3986 needs it, with upper-case digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName(std::sync::Arc<str>);

/// Why a request path names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The path does not begin with `/`.
    #[error("the path must begin with `/`")]
    NotAbsolute,
    /// `.` or `..` as a segment, in any encoding.
    #[error("the path holds a dot segment, which has two readings")]
    DotSegment,
    /// An empty segment, as in `//`.
    #[error("the path holds an empty segment (`//`)")]
    EmptySegment,
    /// An encoded slash, backslash, or control character, or a raw character that must be encoded.
    #[error("the path holds `{0}`, which may not stand in a name")]
    Forbidden(String),
    /// A `%` that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the path is not valid percent-encoded UTF-8")]
    Encoding,
    /// Longer than [`ResourceName::BYTES_MAX`].
    #[error("the path is longer than {} bytes", ResourceName::BYTES_MAX)]
    TooLong,
}

impl ResourceName {
    /// Longest accepted name in bytes.
    pub const BYTES_MAX: usize = 2_048;

    /// Reads the path of a request target (no query, no fragment) and brings it to its canonical spelling.
    ///
    /// # Errors
    /// [`NameError`] says which rule the path breaks; nothing is repaired silently except the spelling of
    /// percent-encoding, which RFC 3986 §6.2.2 defines as equivalent.
    pub fn parse(path: &str) -> Result<Self, NameError> {
        if path.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let rest = path.strip_prefix('/').ok_or(NameError::NotAbsolute)?;
        let mut canonical = String::with_capacity(path.len());
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            canonical.push('/');
            if segment.is_empty() {
                // Only the last segment may be empty: it is the slash that ends a container.
                if segments.peek().is_some() || (canonical.len() > 1 && canonical.ends_with("//")) {
                    return Err(NameError::EmptySegment);
                }
                continue;
            }
            push_segment(segment, &mut canonical)?;
        }
        if canonical.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong);
        }
        Ok(Self(canonical.into()))
    }

    /// A path that [`ResourceName::parse`] made canonical before it was stored. For the store only.
    pub(crate) fn from_canonical(path: &str) -> Self {
        Self(path.into())
    }

    /// The canonical path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is a container's, that is, ends with `/`.
    #[must_use]
    pub fn is_container(&self) -> bool {
        self.0.ends_with('/')
    }

    /// Whether this is the server's root `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The container that holds this resource; none for the server's root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let trimmed = self.0.strip_suffix('/').unwrap_or(&self.0);
        let cut = trimmed.rfind('/')?;
        trimmed.get(..=cut).map(|parent| Self(parent.into()))
    }

    /// The last segment without the closing slash; empty for the root.
    #[must_use]
    pub fn last_segment(&self) -> &str {
        let trimmed = self.0.strip_suffix('/').unwrap_or(&self.0);
        trimmed.rsplit('/').next().unwrap_or("")
    }

    /// The root container of the storage that this name lies in: its first segment with slashes around it.
    /// None for the server's root and for a document directly below it.
    #[must_use]
    pub fn storage_root(&self) -> Option<Self> {
        let rest = self.0.get(1..)?;
        let end = rest.find('/')?;
        self.0.get(..end + 2).map(|root| Self(root.into()))
    }

    /// The same name with or without the closing slash: the one that Solid forbids to exist beside it (solid#11).
    #[must_use]
    pub fn slash_twin(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.strip_suffix('/') {
            Some(bare) => Self(bare.into()),
            None => Self(format!("{}/", self.0).into()),
        })
    }

    /// A member of this container.
    ///
    /// # Errors
    /// As [`ResourceName::parse`]; `member` is a percent-encoded segment, with a closing slash for a container.
    pub fn join(&self, member: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{}{member}", self.0))
    }

    /// Whether `self` is `container` or lies below it.
    #[must_use]
    pub fn is_within(&self, container: &Self) -> bool {
        container.is_container() && self.0.starts_with(&*container.0)
    }

    /// The subject of an auxiliary resource (`x.acl`, `x.meta`), if this is one.
    #[must_use]
    pub fn auxiliary_subject(&self) -> Option<(Self, Auxiliary)> {
        for auxiliary in [Auxiliary::Acl, Auxiliary::Description] {
            if let Some(subject) = self.0.strip_suffix(auxiliary.suffix()) {
                return Some((Self(subject.into()), auxiliary));
            }
        }
        None
    }

    /// The name of an auxiliary resource of this subject.
    #[must_use]
    pub fn auxiliary(&self, auxiliary: Auxiliary) -> Self {
        Self(format!("{}{}", self.0, auxiliary.suffix()).into())
    }

    /// The full IRI on a server's origins.
    #[must_use]
    pub fn iri(&self, origins: &Origins) -> String {
        origins.iri(self)
    }

    /// The name behind an IRI that has neither query nor fragment. None if it is not one of this server's, or if no
    /// resource can have it.
    #[must_use]
    pub fn from_iri(iri: &str, origins: &Origins) -> Option<Self> {
        origins.name(iri)
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two kinds of auxiliary resource that a subject has (Solid Protocol §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auxiliary {
    /// The access control list, link relation `acl`.
    Acl,
    /// The description resource, link relation `describedby`.
    Description,
}

impl Auxiliary {
    /// What the name of the auxiliary resource adds to the name of its subject.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Acl => ".acl",
            Self::Description => ".meta",
        }
    }
}

/// Decodes one segment, checks it, and writes its canonical encoding.
fn push_segment(segment: &str, canonical: &mut String) -> Result<(), NameError> {
    let decoded = decode(segment)?;
    if decoded == "." || decoded == ".." {
        return Err(NameError::DotSegment);
    }
    for character in decoded.chars() {
        if character.is_control() || matches!(character, '/' | '\\') {
            return Err(NameError::Forbidden(character.escape_default().to_string()));
        }
        if character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(character) {
            canonical.push(character);
        } else {
            let mut bytes = [0_u8; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                canonical.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    Ok(())
}

fn decode(segment: &str) -> Result<String, NameError> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut input = segment.bytes();
    while let Some(byte) = input.next() {
        if byte == b'%' {
            let high = input.next().and_then(hex_digit).ok_or(NameError::Encoding)?;
            let low = input.next().and_then(hex_digit).ok_or(NameError::Encoding)?;
            bytes.push(high * 16 + low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| NameError::Encoding)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
