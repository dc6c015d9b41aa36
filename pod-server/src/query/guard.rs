//! Looks at a query text before it is parsed.
//!
//! Parsers of SPARQL descend once per bracket: ten thousand brackets end the process. This guard counts nesting in
//! constant stack, knowing strings, comments and IRIs, and refuses early (T67). It errs on the side of refusing: where a
//! `<` could begin an IRI or be an operator, brackets behind it count either way.

/// A text that is not given to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardRejection {
    /// Longer than the limit.
    #[error("the query has {bytes} bytes, more than {max}")]
    TooLong {
        /// Bytes of the text.
        bytes: usize,
        /// Limit.
        max: usize,
    },
    /// Nested deeper than the limit.
    #[error("brackets are nested deeper than {max} at line {line}, column {column}")]
    TooDeep {
        /// Line of the bracket that is too deep, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// Limit.
        max: usize,
    },
}

/// Brackets inside what may be an IRI that are not counted towards the text around it. Real IRIs have one or two.
const IRI_NESTING_MAX: usize = 8;

/// Checks length and nesting.
///
/// # Errors
/// [`GuardRejection`] with the position.
pub fn check(text: &str, bytes_max: usize, nesting_max: usize) -> Result<(), GuardRejection> {
    if text.len() > bytes_max {
        return Err(GuardRejection::TooLong {
            bytes: text.len(),
            max: bytes_max,
        });
    }
    let bytes = text.as_bytes();
    let at = |position: usize| bytes.get(position).copied().unwrap_or(0);
    let mut depth = 0_usize;
    let mut position = 0;
    while position < bytes.len() {
        let mut too_deep = false;
        position = match at(position) {
            b'#' => end_of_line(bytes, position),
            b'\\' => position + 2,
            quote @ (b'"' | b'\'') => end_of_string(bytes, position, quote),
            b'<' => match iri_end(bytes, position) {
                Some((end, deepest)) => {
                    too_deep = deepest > IRI_NESTING_MAX || depth + deepest > nesting_max;
                    end
                }
                None if at(position + 1) == b'<' => {
                    depth += 1;
                    position + 2
                }
                None => position + 1,
            },
            b'>' if at(position + 1) == b'>' => {
                depth = depth.saturating_sub(1);
                position + 2
            }
            b'{' | b'(' | b'[' => {
                depth += 1;
                position + 1
            }
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                position + 1
            }
            // Each of these makes some parsers descend without any bracket.
            b'!' | b'^' if at(position + 1) == at(position) => {
                position + run_of(bytes, position, nesting_max, &mut too_deep)
            }
            _ => position + 1,
        };
        if too_deep || depth > nesting_max {
            let (line, column) = place(text, position.saturating_sub(1));
            return Err(GuardRejection::TooDeep {
                line,
                column,
                max: nesting_max,
            });
        }
    }
    Ok(())
}

fn run_of(bytes: &[u8], start: usize, max: usize, too_deep: &mut bool) -> usize {
    let rest = bytes.get(start..).unwrap_or(&[]);
    let length = rest.iter().take_while(|byte| Some(*byte) == rest.first()).count();
    *too_deep = length > max;
    length
}

fn end_of_line(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or(&[]);
    let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    length.map_or(bytes.len(), |length| start + length)
}

fn end_of_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let at = |position: usize| bytes.get(position).copied();
    let long = at(start + 1) == Some(quote) && at(start + 2) == Some(quote);
    let mut position = if long { start + 3 } else { start + 1 };
    while let Some(byte) = at(position) {
        match byte {
            b'\\' => position += 2,
            _ if byte == quote && !long => return position + 1,
            _ if byte == quote && at(position + 1) == Some(quote) && at(position + 2) == Some(quote) => {
                return position + 3;
            }
            // No string on one line goes over its end: the parser will say so.
            b'\n' | b'\r' if !long => return position,
            _ => position += 1,
        }
    }
    bytes.len()
}

/// The end of what reads as an IRI from its `<` on, and the deepest nesting of brackets inside.
fn iri_end(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (offset, byte) in bytes.get(start + 1..)?.iter().enumerate() {
        match byte {
            b'>' => return Some((start + offset + 2, deepest)),
            b'<' | b'"' | b'{' | b'}' | b'|' | b'^' | b'`' | b'\\' | 0..=0x20 => return None,
            b'(' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Line and column, both from 1, of a byte position.
#[must_use]
pub fn place(text: &str, position: usize) -> (usize, usize) {
    let mut end = position.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before.get(start..).unwrap_or("").chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(open: &str, close: &str, times: usize) -> String {
        format!("SELECT * {{ {}{} }}", open.repeat(times), close.repeat(times))
    }

    #[test]
    fn t67_nesting_is_refused_in_every_disguise() {
        for (open, close) in [
            ("{", "}"),
            ("(", ")"),
            ("[", "]"),
            ("<<(", ")>>"),
            ("{ ?s ?p \"}\" . ", "}"),
            ("( # )\n", ")"),
            ("FILTER(?a<(", "))"),
            ("(1<(((((2>(3", ")"),
            ("'''}'''{", "}"),
            ("\"\\\"}\"{", "}"),
            ("!", ""),
        ] {
            for times in [100, 10_000, 200_000] {
                let result = check(&deep(open, close, times), usize::MAX, 64);
                assert!(
                    matches!(result, Err(GuardRejection::TooDeep { .. })),
                    "{open} {times}: {result:?}"
                );
            }
        }
    }

    #[test]
    fn honest_queries_pass() {
        for query in [
            "SELECT * { ?s ?p ?o }",
            "SELECT * { <http://example.org/a_(b)> ?p \"(((((((((((((((((((((((((((((((((((((\" }",
            "SELECT * { ?s ?p ?o # ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((\n }",
            "SELECT * { FILTER(?a < 3 && ?b > 4) }",
            "SELECT * { ?s ex:a\\(b ?o }",
            "SELECT * { ?s ?p '''a ' b { { { '''@nl }",
        ] {
            assert_eq!(check(query, 10_000, 64), Ok(()), "{query}");
        }
        let many = format!("SELECT * {{ {} }}", "<http://example.org/(> ?p [] . ".repeat(500));
        assert_eq!(
            check(&many, 100_000, 64),
            Ok(()),
            "unbalanced brackets in IRIs do not add up"
        );
        let wide = format!("SELECT * {{ {} }}", "{ ?s ?p (1 2) } ".repeat(5_000));
        assert_eq!(check(&wide, 1_000_000, 64), Ok(()));
    }

    #[test]
    fn the_position_is_told() {
        assert_eq!(
            check("SELECT *\n{ {{ ", 100, 2),
            Err(GuardRejection::TooDeep {
                line: 2,
                column: 4,
                max: 2
            })
        );
        assert_eq!(check("12345", 4, 2), Err(GuardRejection::TooLong { bytes: 5, max: 4 }));
    }
}
