//! JSON Merge Patch (RFC 7396), and reading JSON so that nothing of it is lost when it is written again.

use serde_json::{Map, Value};

use super::super::nesting::{self, Grammar};
use crate::error::Error;

/// A merge patch.
#[derive(Clone, Debug, PartialEq)]
pub struct MergePatch(Value);

impl MergePatch {
    /// The value after the patch (RFC 7396 §2).
    #[must_use]
    pub fn apply(&self, target: Value) -> Value {
        merge(target, &self.0)
    }
}

fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else if let Some(member) = members.get_mut(name) {
            *member = merge(member.take(), change);
        } else {
            members.insert(name.clone(), merge(Value::Null, change));
        }
    }
    Value::Object(members)
}

/// Reads a merge patch.
///
/// # Errors
/// As [`read_json`].
pub fn parse_merge(bytes: &[u8], nesting_max: u32) -> Result<MergePatch, Error> {
    read_json(bytes, nesting_max, "malformed-patch").map(MergePatch)
}

/// Reads a JSON document that is to be written again.
///
/// # Errors
/// [`Error::Malformed`] with line and column; [`Error::Unprocessable`] for a number that would change on the way.
pub fn read_json(bytes: &[u8], nesting_max: u32, kind: &'static str) -> Result<Value, Error> {
    nesting::check(bytes, Grammar::Json, nesting_max).map_err(|error| Error::Malformed {
        kind,
        line: error.line,
        column: 1,
        message: error.to_string(),
    })?;
    let value = serde_json::from_slice(bytes).map_err(|error| Error::Malformed {
        kind,
        line: error.line() as u64,
        column: error.column() as u64,
        message: error.to_string(),
    })?;
    match numbers(bytes).find(|number| !survives(number)) {
        None => Ok(value),
        Some(number) => Err(Error::Unprocessable {
            kind: "inexact-number",
            detail: format!("the number `{number}` cannot be kept exactly in a patch: replace the document instead"),
        }),
    }
}

/// The numbers of a JSON document that is well-formed, in their spelling.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            match rest.first()? {
                b'"' => rest = rest.get(string_length(rest)..)?,
                b'-' | b'0'..=b'9' => {
                    let length = rest.iter().take_while(|byte| is_part(byte)).count();
                    let (number, after) = rest.split_at_checked(length)?;
                    rest = after;
                    return std::str::from_utf8(number).ok();
                }
                _ => rest = rest.get(1..)?,
            }
        }
    })
}

fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a number has the same value after it was read as an integer of 64 bits or as a double, and written again.
fn survives(number: &str) -> bool {
    if !number.contains(['.', 'e', 'E']) {
        return number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    }
    let digits = significant(number);
    number
        .parse::<f64>()
        .is_ok_and(|value| value.is_finite() && significant(&format!("{value:e}")) == digits)
}

fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7396 appendix A.
    #[test]
    fn values_are_merged() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(MergePatch(patch.clone()).apply(target), expected, "{patch}");
        }
    }

    #[test]
    fn numbers_that_would_change_are_refused() {
        for (text, fine) in [
            ("[0, -1, 9223372036854775807, 18446744073709551615]", true),
            ("[1.0, 1.50, 1e5, 0.1, 123456789.123456, -2.5E-10, 0.0, 0e0]", true),
            ("[18446744073709551616]", false),
            ("[0.12345678901234567890]", false),
            ("{\"18446744073709551616\": \"1e999, \\\" 18446744073709551616\"}", true),
        ] {
            assert_eq!(read_json(text.as_bytes(), 8, "x").is_ok(), fine, "{text}");
        }
        assert!(read_json(b"[1e999]", 8, "x").is_err());
        assert!(read_json("[".repeat(100_000).as_bytes(), 64, "x").is_err());
        let line = read_json(b"{\n  \"a\": oops\n}", 8, "x");
        assert!(matches!(line, Err(Error::Malformed { line: 2, .. })), "{line:?}");
    }
}
