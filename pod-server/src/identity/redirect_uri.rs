//! Redirect URIs: what a client may register, and the byte-exact comparison that decides at every request (T39, RFC 9700
//! §4.1.3).

use url::Url;

/// Longest redirect URI, in bytes.
pub const BYTES_MAX: usize = 2_000;

/// Whether a URI may be registered as a redirect URI: absolute, in visible ASCII, without fragment, user part or
/// backslash; `https`, or `http` to the user's own machine, or a private scheme with a dot in it (RFC 8252 §7).
#[must_use]
pub fn registrable(uri: &str) -> bool {
    if uri.is_empty() || uri.len() > BYTES_MAX {
        return false;
    }
    let plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'<' | b'>' | b'"' | b'`' | b'{' | b'}');
    if !uri.bytes().all(plain) {
        return false;
    }
    let Ok(url) = Url::parse(uri) else { return false };
    if !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    let Some(rest) = uri.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    match url.scheme() {
        "https" => has_authority(rest),
        "http" => has_authority(rest) && is_loopback(&url),
        // A private scheme is a reversed domain name, so it has a dot; `javascript:` and `data:` have none.
        scheme => scheme.contains('.'),
    }
}

/// Whether what follows the scheme is written with exactly two slashes and a host; parsers repair other spellings.
fn has_authority(rest: &str) -> bool {
    rest.strip_prefix("//")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Whether a URL leads to the machine that asks.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a redirect URI of a request is one of those registered: byte for byte, nothing else.
#[must_use]
pub fn is_registered(uri: &str, registered: &[String]) -> bool {
    registered.iter().any(|known| known == uri)
}

/// A redirect URI with parameters added to its query (RFC 6749 §4.1.2).
#[must_use]
pub fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{}", query.finish())
}

/// The source expression that lets a form's redirect reach this URI (CSP Level 3 §2.3.1).
#[must_use]
pub fn form_target(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    match url.scheme() {
        "https" | "http" => Some(url.origin().ascii_serialization()),
        scheme => Some(format!("{scheme}:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?x=1",
            "http://localhost:3000/",
            "http://127.0.0.1/cb",
            "http://[::1]:9/cb",
            "com.example.app:/cb",
        ] {
            assert!(registrable(good), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "app.example/cb",
            "http://app.example/cb",
            "http://localhost.evil.example/cb",
            "https://user@app.example/cb",
            "https://user:pw@app.example/cb",
            "https://app.example/cb#x",
            "https://app.example\\@evil.example/cb",
            "https:app.example/cb",
            "https:/app.example/cb",
            "https:///cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example/c b",
            "https://app.example/c\u{e9}",
            "https://app.example/\r\nSet-Cookie:x",
        ] {
            assert!(!registrable(bad), "{bad}");
        }
    }

    #[test]
    fn parameters_join_an_existing_query() {
        let parameters = [("code", "a b"), ("iss", "https://i/")];
        assert_eq!(
            with_parameters("https://a/cb", &parameters),
            "https://a/cb?code=a+b&iss=https%3A%2F%2Fi%2F"
        );
        assert_eq!(
            with_parameters("https://a/cb?x=1", &parameters),
            "https://a/cb?x=1&code=a+b&iss=https%3A%2F%2Fi%2F"
        );
        assert_eq!(
            form_target("https://a.example:8443/cb?x"),
            Some("https://a.example:8443".to_owned())
        );
        assert_eq!(form_target("com.example.app:/cb"), Some("com.example.app:".to_owned()));
    }
}
