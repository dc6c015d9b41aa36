//! Names for members that a POST makes: the client's hint made safe, or a random one (RFC 5023 §9.7; solid#25, T11).

use http::HeaderMap;
use percent_encoding::percent_decode;

use crate::name::ResourceName;

/// The name that a `Slug` suggests, safe to be one path segment and no auxiliary resource; none if nothing is left.
#[must_use]
pub fn from_headers(headers: &HeaderMap, bytes_max: usize) -> Option<String> {
    let slug = headers.get("slug")?;
    let decoded = percent_decode(slug.as_bytes()).decode_utf8().ok()?;
    sanitise(&decoded, bytes_max)
}

fn sanitise(slug: &str, bytes_max: usize) -> Option<String> {
    let mut safe = String::with_capacity(slug.len().min(bytes_max));
    for character in slug.trim().chars() {
        let replaced = match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '~' => character,
            _ if character.is_alphanumeric() => character,
            _ => '-',
        };
        if safe.len() + replaced.len_utf8() > bytes_max {
            break;
        }
        // Runs of replaced characters become one dash.
        if !(replaced == '-' && safe.ends_with('-')) {
            safe.push(replaced);
        }
    }
    // Names beginning with a full stop belong to the server, and names ending in one read like something else.
    let mut safe = safe.trim_matches(['-', '.']).to_owned();
    while let Some(subject) = [".acl", ".meta"].iter().find_map(|suffix| safe.strip_suffix(suffix)) {
        safe = subject.trim_end_matches(['-', '.']).to_owned();
    }
    (!safe.is_empty()).then_some(safe)
}

/// The same name with a mark before its extension, for a name that is taken.
#[must_use]
pub fn with_suffix(name: &str, suffix: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}-{suffix}.{extension}"),
        _ => format!("{name}-{suffix}"),
    }
}

/// A member of a container by an unencoded segment.
#[must_use]
pub fn member(container: &ResourceName, segment: &str, is_container: bool) -> Option<ResourceName> {
    let encoded = percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC);
    let slash = if is_container { "/" } else { "" };
    container.join(&format!("{encoded}{slash}")).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// T5, T11.
    #[test]
    fn slugs_become_safe_names() {
        for (slug, expected) in [
            ("report.ttl", Some("report.ttl")),
            ("fietsen/2022", Some("fietsen-2022")),
            ("../../etc/passwd", Some("etc-passwd")),
            ("a\\b", Some("a-b")),
            ("x.acl", Some("x")),
            ("x.acl.acl", Some("x")),
            ("x.meta", Some("x")),
            (".acl", Some("acl")),
            (".hidden", Some("hidden")),
            ("...", None),
            ("", None),
            ("été", Some("été")),
            ("a b\tc", Some("a-b-c")),
            ("x\u{202e}y", Some("x-y")),
            ("x%2Fy", Some("x-2Fy")),
        ] {
            assert_eq!(sanitise(slug, 50).as_deref(), expected, "{slug}");
        }
        assert_eq!(sanitise(&"x".repeat(1_000), 50).unwrap().len(), 50);
    }

    #[test]
    fn a_taken_name_keeps_its_extension() {
        assert_eq!(with_suffix("a.ttl", "1"), "a-1.ttl");
        assert_eq!(with_suffix("a", "1"), "a-1");
    }
}
