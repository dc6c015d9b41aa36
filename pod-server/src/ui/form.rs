//! Fields that a browser sent: the query of a URL or the body of a form (`application/x-www-form-urlencoded`).
//!
//! A field that stands twice has two readings and is refused (RFC 6749 §3.1 asks the same of OAuth parameters).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Limited};

/// Most fields in one form.
pub const FIELDS_MAX: usize = 64;

/// Longest form in bytes.
pub const FORM_BYTES_MAX: usize = 64 * 1024;

/// Why fields cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The body is not a form.
    #[error("the body must be `application/x-www-form-urlencoded`")]
    MediaType,
    /// Longer than [`FORM_BYTES_MAX`].
    #[error("the form is longer than {FORM_BYTES_MAX} bytes")]
    TooLarge,
    /// More than [`FIELDS_MAX`].
    #[error("the form has more than {FIELDS_MAX} fields")]
    TooManyFields,
    /// A field stands twice.
    #[error("the field `{0}` stands twice")]
    Twice(String),
    /// The connection broke.
    #[error("the form did not arrive whole")]
    Broken,
}

/// Fields by name; each stands once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads the fields of a query or of a form's body.
    ///
    /// # Errors
    /// [`FormError::Twice`] and [`FormError::TooManyFields`].
    pub fn parse(encoded: &[u8]) -> Result<Self, FormError> {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            if fields.len() >= FIELDS_MAX {
                return Err(FormError::TooManyFields);
            }
            if fields.contains_key(&*name) {
                return Err(FormError::Twice(name.into_owned()));
            }
            fields.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(fields))
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// Any [`FormError`].
    pub async fn read<B>(headers: &HeaderMap, body: B) -> Result<Self, FormError>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let media_type = headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(FormError::MediaType);
        }
        let bytes = match Limited::new(body, FORM_BYTES_MAX).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(FormError::TooLarge),
            Err(_) => return Err(FormError::Broken),
        };
        Self::parse(&bytes)
    }

    /// The value of a field; an empty field counts as absent.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All fields, by name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The fields as a query, without some of them.
    #[must_use]
    pub fn query_without(&self, left_out: &[&str]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.fields().filter(|(name, _)| !left_out.contains(name)) {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_field_stands_once_and_empty_is_absent() {
        let form = Form::parse(b"a=1&b=&c=x+y%26").unwrap();
        assert_eq!(
            (form.field("a"), form.field("b"), form.field("c")),
            (Some("1"), None, Some("x y&"))
        );
        assert_eq!(Form::parse(b"a=1&a=1"), Err(FormError::Twice("a".to_owned())));
        let many: String = (0..=FIELDS_MAX).map(|n| format!("f{n}=1&")).collect();
        assert_eq!(Form::parse(many.as_bytes()), Err(FormError::TooManyFields));
        assert_eq!(form.query_without(&["b"]), "a=1&c=x+y%26");
    }
}
