//! Byte ranges (RFC 9110 §14; solid#58, T54): one range, or the whole.

use http::{HeaderMap, header};

use super::conditional::date;
use super::etag::ETag;

/// What part of a representation to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it, with 200.
    Whole,
    /// These bytes, both ends included, with 206.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// None of it: 416.
    Unsatisfiable,
}

/// Selects the part of a representation of `size` bytes that a GET asks for. A malformed header, an unknown unit and a
/// request for several ranges are answered with the whole (RFC 9110 §14.2), and so is a range whose `If-Range` no
/// longer holds.
#[must_use]
pub fn select(headers: &HeaderMap, size: u64, current: &ETag, modified: i64) -> Selection {
    let mut values = headers.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Selection::Whole;
    };
    let Ok(text) = value.to_str() else {
        return Selection::Whole;
    };
    if !if_range_holds(headers, current, modified) {
        return Selection::Whole;
    }
    parse(text, size).unwrap_or(Selection::Whole)
}

/// `If-Range` compares strongly, and a date only when it is exactly the last modification (RFC 9110 §13.1.5).
fn if_range_holds(headers: &HeaderMap, current: &ETag, modified: i64) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else {
        return true;
    };
    if value.as_bytes().starts_with(b"\"") {
        return value.as_bytes() == current.to_string().as_bytes();
    }
    date(headers, header::IF_RANGE) == Some(modified)
}

fn parse(text: &str, size: u64) -> Option<Selection> {
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    if first.is_empty() {
        let length = number(last)?;
        if length == 0 || size == 0 {
            return Some(Selection::Unsatisfiable);
        }
        return Some(Selection::Part {
            first: size.saturating_sub(length),
            last: size - 1,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= size {
        return Some(Selection::Unsatisfiable);
    }
    Some(Selection::Part {
        first,
        last: last.min(size - 1),
    })
}

/// A run of digits; a number too large for us is as good as the largest.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::etag::Variant;
    use super::*;
    use crate::store::Sequence;

    /// Requirements solid 58 (T54).
    #[test]
    fn ranges_of_a_hundred_bytes() {
        use Selection::{Part, Unsatisfiable, Whole};
        let cases = [
            ("bytes=0-0", Part { first: 0, last: 0 }),
            ("bytes=0-", Part { first: 0, last: 99 }),
            ("bytes=10-19", Part { first: 10, last: 19 }),
            ("bytes=90-1000", Part { first: 90, last: 99 }),
            ("bytes=-1", Part { first: 99, last: 99 }),
            ("bytes=-1000", Part { first: 0, last: 99 }),
            ("bytes=0-99999999999999999999999", Part { first: 0, last: 99 }),
            ("Bytes=5-6", Part { first: 5, last: 6 }),
            ("bytes=100-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=9-8", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0-1,5-6", Whole),
            ("lines=1-2", Whole),
            ("", Whole),
        ];
        let tag = ETag {
            state: Sequence(1),
            variant: Variant::Bytes,
        };
        for (text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            assert_eq!(select(&headers, 100, &tag, 0), expected, "{text}");
        }
    }

    #[test]
    fn if_range_is_strong() {
        let tag = ETag {
            state: Sequence(1),
            variant: Variant::Bytes,
        };
        let modified = 784_111_777;
        for (value, part) in [
            ("\"1-b\"", true),
            ("W/\"1-b\"", false),
            ("\"1-t\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("nonsense", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, "bytes=0-1".parse().unwrap());
            headers.insert(header::IF_RANGE, value.parse().unwrap());
            assert_eq!(
                select(&headers, 100, &tag, modified) != Selection::Whole,
                part,
                "{value}"
            );
        }
    }
}
