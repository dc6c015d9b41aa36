//! Who visits a page, in which language, and the token that proves that a form came from our page.
//!
//! A form token is a hash over a secret that only the visitor's cookie holds, so another site can neither read nor make
//! one (T45). Visitors who have logged in prove it with their session, others with a cookie of their own.

use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use super::{Form, FormError};
use super::{Language, Texts, language};

/// Name of the field of a form that carries the form token.
pub const FORM_TOKEN: &str = "form_token";

/// Name of the cookie of a session.
pub const SESSION_COOKIE: &str = "__Host-session";

/// Name of the cookie of a visitor without a session.
pub const VISITOR_COOKIE: &str = "__Host-visitor";

/// An account holder who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Account id: random, says nothing about the person.
    pub account: String,
    /// Login name, also the name of the first storage.
    pub name: String,
    /// How the account calls itself.
    pub label: String,
    /// First WebID.
    pub webid: String,
    /// All WebIDs, the first one first.
    pub webids: Vec<String>,
    /// Whether the account is to be erased.
    pub leaving: bool,
    /// Root containers of the account's storages, such as `/gent/`.
    pub storages: Vec<String>,
    /// When the account holder gave the password, Unix seconds.
    pub authenticated_at: i64,
}

/// One visit of a page.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Language to answer in.
    pub language: Language,
    /// Who visits, when logged in.
    pub session: Option<Session>,
    /// Path and query of the page, for links that come back to it.
    pub here: String,
    secret: String,
    /// The browser says that another site sent this request.
    foreign: bool,
    cookies: Vec<HeaderValue>,
}

impl Visit {
    /// Reads a visit from a request. `fresh` is a new random token, used when the visitor has no cookie yet.
    /// `session` is the session that the request's cookie stands for, with the cookie's value.
    #[must_use]
    pub fn new(parts: &Parts, session: Option<(Session, String)>, fresh: &str) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let wish = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "lang")
            .map(|(_, value)| value);
        let remembered = cookie(&parts.headers, language::COOKIE);
        let accepted = parts
            .headers
            .get(http::header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        let language = Language::choose(wish.as_deref(), remembered, accepted);
        let mut cookies = Vec::new();
        if wish.as_deref().and_then(Language::from_tag).is_some() {
            set(&mut cookies, language::COOKIE, language.tag(), Some(31_536_000));
        }
        let (session, secret) = match (session, cookie(&parts.headers, VISITOR_COOKIE)) {
            (Some((session, token)), _) => (Some(session), token),
            (None, Some(known)) if known.len() >= 32 => (None, known.to_owned()),
            (None, _) => {
                set(&mut cookies, VISITOR_COOKIE, fresh, None);
                (None, fresh.to_owned())
            }
        };
        let here = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned();
        // Browsers say who caused a request (Fetch Metadata); other clients say nothing.
        let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        let foreign = site.is_some_and(|site| site != b"same-origin" && site != b"none");
        Self {
            language,
            session,
            here,
            secret,
            foreign,
            cookies,
        }
    }

    /// A text in the visitor's language.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        self.language.text(key)
    }

    /// A text in the visitor's language, with its variables.
    #[must_use]
    pub fn text_with(&self, key: &str, variables: &[(&'static str, &str)]) -> String {
        self.language.text_with(key, variables)
    }

    /// The same visit as if it were of another page: for a page whose own URL cannot be opened again, such as the answer
    /// to a form.
    #[must_use]
    pub fn at(&self, here: String) -> Self {
        Self { here, ..self.clone() }
    }

    /// The form token for this visitor: put it in every form, in the field [`FORM_TOKEN`].
    #[must_use]
    pub fn form_token(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"form token\0")
            .chain_update(self.secret.as_bytes())
            .finalize();
        hex::encode(digest)
    }

    /// Whether a form came from a page that this visitor was shown. Without this, change nothing.
    #[must_use]
    pub fn sent(&self, form: &Form) -> bool {
        !self.foreign
            && form
                .field(FORM_TOKEN)
                .is_some_and(|token| same(token.as_bytes(), self.form_token().as_bytes()))
    }

    /// Sets a cookie with the response to this visit.
    pub fn set_cookie(&mut self, name: &str, value: &str, age_seconds_max: Option<u64>) {
        set(&mut self.cookies, name, value, age_seconds_max);
    }

    /// Adds this visit's cookies to the headers of its response.
    pub fn finish(&self, headers: &mut HeaderMap) {
        for cookie in &self.cookies {
            headers.append(http::header::SET_COOKIE, cookie.clone());
        }
    }
}

/// The value of a cookie of a request. One that stands twice is nobody's.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = None;
    for field in headers.get_all(http::header::COOKIE) {
        for pair in field.to_str().unwrap_or_default().split(';') {
            if let Some((key, value)) = pair.trim().split_once('=')
                && key == name
            {
                if found.is_some() {
                    return None;
                }
                found = Some(value);
            }
        }
    }
    found
}

/// Compares without telling by its duration where the difference is.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn set(cookies: &mut Vec<HeaderValue>, name: &str, value: &str, age_seconds_max: Option<u64>) {
    let age = age_seconds_max
        .map(|seconds| format!("; Max-Age={seconds}"))
        .unwrap_or_default();
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}");
    // Names are constants and values are tokens or language tags: all visible ASCII.
    if let Ok(cookie) = HeaderValue::from_str(&text) {
        cookies.push(cookie);
    }
}

impl From<FormError> for http::StatusCode {
    fn from(error: FormError) -> Self {
        match error {
            FormError::MediaType => Self::UNSUPPORTED_MEDIA_TYPE,
            FormError::TooLarge => Self::PAYLOAD_TOO_LARGE,
            FormError::TooManyFields | FormError::Twice(_) | FormError::Broken => Self::BAD_REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parts(cookie: &str) -> Parts {
        let request = http::Request::builder()
            .uri("/login?lang=en")
            .header("cookie", cookie)
            .body(())
            .unwrap();
        request.into_parts().0
    }

    /// T45: a form is accepted from the visitor who was shown the page, and from nobody else.
    #[test]
    fn a_form_token_belongs_to_one_visitor() {
        let fresh = "f".repeat(43);
        let first = Visit::new(&parts(""), None, &fresh);
        let mut headers = HeaderMap::new();
        first.finish(&mut headers);
        let cookies: Vec<_> = headers
            .get_all("set-cookie")
            .iter()
            .map(|c| c.to_str().unwrap())
            .collect();
        assert_eq!(cookies.len(), 2, "{cookies:?}");
        for cookie in cookies {
            assert!(
                cookie.starts_with("__Host-") && cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"),
                "{cookie}"
            );
        }
        let form = Form::parse(format!("form_token={}", first.form_token()).as_bytes()).unwrap();
        let again = Visit::new(&parts(&format!("a=b; {VISITOR_COOKIE}={fresh}")), None, &"g".repeat(43));
        assert!(again.sent(&form));
        assert!(!Visit::new(&parts(""), None, &"g".repeat(43)).sent(&form));
        assert!(!again.sent(&Form::default()));
        let twice = format!("{VISITOR_COOKIE}={fresh}; {VISITOR_COOKIE}={fresh}");
        assert!(!Visit::new(&parts(&twice), None, &"g".repeat(43)).sent(&form));
    }
}
