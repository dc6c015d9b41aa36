//! Cross-origin requests to pod content (Fetch standard; solid#46-49, T57).
//!
//! Any origin may ask, and none is refused by withholding headers: rights decide, not origins. Cookies mean nothing on
//! this origin, so `Access-Control-Allow-Credentials` is never sent.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use server_kit::body::{self, Body};

/// Response headers that scripts may read: every one that this server uses (solid#47).
pub const EXPOSED: &str = "Accept-Patch, Accept-Post, Accept-Put, Accept-Ranges, Allow, Content-Length, \
     Content-Location, Content-Range, DPoP-Nonce, ETag, Last-Modified, Link, Location, Preference-Applied, Retry-After, \
     Vary, WAC-Allow, WWW-Authenticate";

/// Request headers that are always allowed. `Accept` is added only when a preflight names it: browsers send it without
/// asking unless its value is unusual.
const ALLOWED: &str = "Authorization, Content-Type, Delegation, Depth, DPoP, If-Match, If-Modified-Since, If-None-Match, \
     If-Range, If-Unmodified-Since, Link, Prefer, Purpose, Range, Slug";

/// Methods of resources in general.
pub const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// Whether the request is a preflight.
#[must_use]
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight: 204 without a body, without looking at the target and without credentials.
#[must_use]
pub fn preflight(request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static(PREFLIGHT_SECONDS),
    );
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request));
    response
}

/// The standing list and whatever valid header names the preflight asks for.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let mut list = ALLOWED.to_owned();
    let asked = request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS);
    for name in asked
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .take(64)
    {
        let name = name.trim();
        if HeaderName::from_bytes(name.as_bytes()).is_ok()
            && !list.split(", ").any(|known| known.eq_ignore_ascii_case(name))
        {
            list.push_str(", ");
            list.push_str(name);
        }
    }
    HeaderValue::from_str(&list).unwrap_or(HeaderValue::from_static(ALLOWED))
}

/// The origin of a request, if it states one that can be echoed.
#[must_use]
pub fn origin(request: &HeaderMap) -> Option<HeaderValue> {
    let value = request.get(header::ORIGIN)?;
    // Only visible characters: an origin is a URL or `null`.
    (!value.is_empty() && value.as_bytes().iter().all(|byte| byte.is_ascii_graphic())).then(|| value.clone())
}

/// Adds what a response to a cross-origin request needs, on success and on errors alike (solid#46, solid#83).
pub fn expose(origin: HeaderValue, response: &mut HeaderMap) {
    response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    // Browsers read it in preflights only; WAC wants it on every granted request.
    response
        .entry(header::ACCESS_CONTROL_ALLOW_HEADERS)
        .or_insert(HeaderValue::from_static(ALLOWED));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn allow_headers(asked: Option<&str>) -> String {
        let mut request = HeaderMap::new();
        if let Some(asked) = asked {
            request.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, asked.parse().unwrap());
        }
        let response = preflight(&request);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        response.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS]
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// Requirements solid 48, and the trap that `Accept` is named only when asked for.
    #[test]
    fn accept_is_allowed_only_when_asked_for() {
        let has_accept = |list: &str| list.split(", ").any(|name| name.eq_ignore_ascii_case("accept"));
        assert!(!has_accept(&allow_headers(None)));
        assert!(!has_accept(&allow_headers(Some("X-Custom"))));
        assert!(has_accept(&allow_headers(Some("X-Custom, Accept"))));
        assert!(allow_headers(Some("X-Custom")).contains("X-Custom"));
        assert!(!allow_headers(Some("bad name")).contains("bad name"));
    }

    /// Requirements solid 47.
    #[test]
    fn the_exposed_list_is_explicit() {
        let mut headers = HeaderMap::new();
        expose(HeaderValue::from_static("https://app.example"), &mut headers);
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        let exposed = headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        assert!(exposed.contains("WAC-Allow") && exposed.contains("WWW-Authenticate") && !exposed.contains('*'));
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
