//! The URL that a proof is for, in one spelling (RFC 9449 §4.3 item 9; RFC 3986 §6.2.2 and §6.2.3).

use std::borrow::Cow;

/// Longest URL that is compared, bytes.
const URL_BYTES_MAX: usize = 8 * 1024;

/// Syntax- and scheme-based normalization of an absolute HTTP URL, without its query and fragment; `None` when it is not one.
///
/// Case of scheme, host and percent-encoding; percent-encoded unreserved characters; dot segments; default and empty port;
/// empty path. Nothing else is the same: a trailing slash or a second slash makes another resource.
pub(super) fn normalize(url: &str) -> Option<Cow<'_, str>> {
    if is_plainly_normal(url) {
        return Some(Cow::Borrowed(url));
    }
    rewrite(url).map(Cow::Owned)
}

/// Whether a URL is its own normal form by the look of it: almost every one is, and then nothing has to be written. It may
/// say no to one that is, never yes to one that is not.
fn is_plainly_normal(url: &str) -> bool {
    let (rest, default_port) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, "443"),
        (None, Some(rest)) => (rest, "80"),
        (None, None) => return false,
    };
    let Some((authority, path)) = rest.find('/').map(|at| rest.split_at(at)) else {
        return false;
    };
    let (host, port) = authority
        .split_once(':')
        .map_or((authority, None), |(host, port)| (host, Some(port)));
    let plain_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let plain_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
    url.len() <= URL_BYTES_MAX
        && !host.is_empty()
        && host.bytes().all(plain_host)
        && port.is_none_or(|port| {
            !port.is_empty()
                && !port.starts_with('0')
                && port != default_port
                && port.bytes().all(|b| b.is_ascii_digit())
        })
        && path.bytes().all(plain_path)
        && !path.contains("/.")
}

fn rewrite(url: &str) -> Option<String> {
    if url.len() > URL_BYTES_MAX
        || !url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte))
    {
        return None;
    }
    let url = url.split(['?', '#']).next()?;
    let (scheme, rest) = url.split_once("://")?;
    let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "https" => ("https", "443"),
        "http" => ("http", "80"),
        _ => return None,
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority
        .rfind(':')
        .filter(|at| !authority.get(*at..).unwrap_or("").contains(']'))
    {
        Some(at) => (authority.get(..at)?, authority.get(at + 1..)?),
        None => (authority, ""),
    };
    if host.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut normal = format!(
        "{scheme}://{}",
        percent(&host.to_ascii_lowercase())?.to_ascii_lowercase()
    );
    let port = port.trim_start_matches('0');
    if !port.is_empty() && port != default_port {
        normal.push(':');
        normal.push_str(port);
    }
    normal.push_str(&without_dot_segments(&percent(path)?));
    Some(normal)
}

/// Upper-case hexadecimal digits; unreserved characters decoded (RFC 3986 §6.2.2.1, §6.2.2.2).
fn percent(text: &str) -> Option<String> {
    let mut normal = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            normal.push(char::from(byte));
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        let decoded = char::from_u32(high * 16 + low)?;
        if decoded.is_ascii_alphanumeric() || "-._~".contains(decoded) {
            normal.push(decoded);
        } else {
            normal.push_str(&format!("%{high:X}{low:X}"));
        }
    }
    Some(normal)
}

/// RFC 3986 §5.2.4, for a path that is empty or begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let last = segments.len().saturating_sub(1);
    for (position, segment) in segments.into_iter().enumerate() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if position == last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, same: bool) {
        let (a, b) = (normalize(left), normalize(right));
        for url in [left, right] {
            let plain = normalize(url);
            assert_eq!(plain.as_deref(), rewrite(url).as_deref(), "{url} in both ways");
        }
        assert_eq!(a.is_some() && a == b, same, "{left} ({a:?}) and {right} ({b:?})");
    }

    #[test]
    fn rfc3986_normalization_and_nothing_more() {
        let base = "https://pod.example/gent/data/a~b";
        for same in [
            "HTTPS://POD.example/gent/data/a~b",
            "https://pod.example:443/gent/data/a~b",
            "https://pod.example:/gent/data/a~b",
            "https://pod.example/gent/data/a%7eb",
            "https://pod.example/gent/data/a%7Eb?query=1#part",
            "https://pod.example/gent/./other/../data/a~b",
            "https://pod.example/gent/%2e/data/%61~b",
            "https://pod.example/%2E%2e/gent/data/a~b",
        ] {
            check(base, same, true);
        }
        for other in [
            "http://pod.example/gent/data/a~b",
            "https://pod.example:8443/gent/data/a~b",
            "https://pod.example./gent/data/a~b",
            "https://pod.example/gent/data/a~b/",
            "https://pod.example//gent/data/a~b",
            "https://pod.example/gent/data/A~b",
            "https://pod.example/gent%2Fdata/a~b",
            "https://user@pod.example/gent/data/a~b",
            "https://pod.example\\gent/data/a~b",
            "https://pod.example/gent/data/a~b%",
            "https://pod.example/gent/data/a~b%zz",
            "ftp://pod.example/gent/data/a~b",
            "/gent/data/a~b",
            "",
        ] {
            check(base, other, false);
        }
        check("https://pod.example", "https://pod.example/", true);
        check("https://[::1]:443/", "https://[::1]/", true);
        check("https://pod.example/a/..", "https://pod.example/", true);
        check("https://pod.example/a/b/.", "https://pod.example/a/b/", true);
        check("https://pod.example/a%2fb", "https://pod.example/a%2Fb", true);
    }
}
