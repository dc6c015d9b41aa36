//! Brackets, prefix operators and chains, counted in constant stack, knowing strings, comments and IRIs. It errs on the side of
//! refusing: where a `<` could begin an IRI or be an operator, brackets behind it count either way.

use super::{TextBounds, TextRejection};

/// Brackets inside what may be an IRI that are not counted towards the text around it. Real IRIs have one or two.
const IRI_NESTING_MAX: usize = 8;

/// Words that chain one pattern to another.
const CHAINING: [&[u8]; 8] = [
    b"UNION",
    b"OPTIONAL",
    b"MINUS",
    b"FILTER",
    b"BIND",
    b"EXISTS",
    b"SELECT",
    b"GRAPH",
];

/// Checks nesting and number of operators.
pub(super) fn check(text: &str, bounds: &TextBounds) -> Result<(), TextRejection> {
    let mut scan = Scan {
        bytes: text.as_bytes(),
        position: 0,
        depth: 0,
        prefix: 0,
        operators: 0,
    };
    while scan.position < scan.bytes.len() {
        let in_iri = scan.step();
        if in_iri > IRI_NESTING_MAX || scan.depth + scan.prefix + in_iri > bounds.nesting_max {
            let (line, column) = place(text, scan.position.saturating_sub(1));
            return Err(TextRejection::TooDeep {
                line,
                column,
                max: bounds.nesting_max,
            });
        }
        if scan.operators > bounds.operators_max {
            return Err(TextRejection::TooManyOperators(bounds.operators_max));
        }
    }
    Ok(())
}

struct Scan<'t> {
    bytes: &'t [u8],
    position: usize,
    depth: usize,
    /// Prefix operators that wait for their operand, also across brackets and blanks.
    prefix: usize,
    operators: usize,
}

impl Scan<'_> {
    fn at(&self, position: usize) -> u8 {
        self.bytes.get(position).copied().unwrap_or(0)
    }

    /// Takes the next token; answers the deepest nesting of brackets inside it, if it may be an IRI.
    fn step(&mut self) -> usize {
        let byte = self.at(self.position);
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.position += 1,
            b'#' => self.position = end_of_line(self.bytes, self.position),
            b'!' | b'^' | b'-' | b'+' => {
                self.prefix += 1;
                self.operators += 1;
                self.position += 1;
            }
            b'{' | b'(' | b'[' => {
                self.depth += 1;
                self.position += 1;
            }
            b'<' => return self.angle(),
            _ => {
                self.operand(byte);
                self.prefix = 0;
            }
        }
        0
    }

    /// What ends a run of prefix operators.
    fn operand(&mut self, byte: u8) {
        self.position = match byte {
            b'\\' => self.position + 2,
            b'"' | b'\'' => end_of_string(self.bytes, self.position, byte),
            b'>' if self.at(self.position + 1) == b'>' => {
                self.depth = self.depth.saturating_sub(1);
                self.position + 2
            }
            b'}' | b')' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.position + 1
            }
            b'*' | b'/' | b'|' | b'&' | b'=' | b'>' | b',' | b';' | b'.' => {
                self.operators += 1;
                self.position + 1
            }
            byte if byte.is_ascii_alphabetic() => self.word(),
            _ => self.position + 1,
        };
    }

    fn word(&mut self) -> usize {
        let rest = self.bytes.get(self.position..).unwrap_or(&[]);
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = rest.get(..length).unwrap_or(&[]);
        self.operators += usize::from(CHAINING.iter().any(|chaining| chaining.eq_ignore_ascii_case(word)));
        self.position + length
    }

    fn angle(&mut self) -> usize {
        if let Some((end, deepest)) = iri_end(self.bytes, self.position) {
            self.position = end;
            return deepest;
        }
        if self.at(self.position + 1) == b'<' {
            self.depth += 1;
            self.position += 2;
        } else {
            self.operators += 1;
            self.position += 1;
        }
        0
    }
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
fn place(text: &str, position: usize) -> (usize, usize) {
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

    fn bounds(bytes_max: usize, nesting_max: usize) -> TextBounds {
        TextBounds {
            bytes_max,
            nesting_max,
            operators_max: 4_000,
        }
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
            ("! ", ""),
            ("- ", ""),
            ("!-", ""),
            ("! # !\n", ""),
            ("!(", ")"),
            ("^", ""),
        ] {
            for times in [100, 10_000, 200_000] {
                let text = format!("SELECT * {{ {}{} }}", open.repeat(times), close.repeat(times));
                let result = check(&text, &bounds(usize::MAX, 64));
                assert!(
                    matches!(result, Err(TextRejection::TooDeep { .. })),
                    "{open} {times}: {result:?}"
                );
            }
        }
    }

    #[test]
    fn long_chains_are_refused() {
        for link in [
            " UNION {}",
            " optional {}",
            " + 1 ",
            " || true",
            "/<p>",
            ", 1",
            "?s ?p ?o . ",
        ] {
            let text = format!("SELECT * {{ {} }}", link.repeat(5_000));
            let result = check(&text, &bounds(usize::MAX, 64));
            assert_eq!(result, Err(TextRejection::TooManyOperators(4_000)), "{link}");
        }
    }

    #[test]
    fn honest_queries_pass() {
        for query in [
            "SELECT * { ?s ?p ?o }",
            "SELECT * { <http://example.org/a_(b)> ?p \"(((((((((((((((((((((((((((((((((((((\" }",
            "SELECT * { ?s ?p ?o # ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((\n }",
            "SELECT * { FILTER(?a < 3 && ?b > 4) }",
            "SELECT * { ?s ex:a\\(b ?o }",
            "SELECT * { ?s ?p '''a ' b { { { '''@nl }",
        ] {
            assert_eq!(check(query, &bounds(10_000, 64)), Ok(()), "{query}");
        }
        let many = format!("SELECT * {{ {} }}", "<http://example.org/(> ?p [] . ".repeat(500));
        assert_eq!(
            check(&many, &bounds(100_000, 64)),
            Ok(()),
            "unbalanced brackets in IRIs do not add up"
        );
        let wide = format!("SELECT * {{ {} }}", "{ ?s ?p (1 2) } ".repeat(5_000));
        assert_eq!(check(&wide, &bounds(1_000_000, 64)), Ok(()));
        let dashes = format!("SELECT * {{ {} }}", "ex:a-b-c ex:d--e 1-1 . ".repeat(500));
        assert_eq!(check(&dashes, &bounds(1_000_000, 64)), Ok(()));
    }

    #[test]
    fn the_position_is_told() {
        assert_eq!(
            check("SELECT *\n{ {{ ", &bounds(100, 2)),
            Err(TextRejection::TooDeep {
                line: 2,
                column: 4,
                max: 2
            })
        );
        let deep = format!("ASK {{\n {}", "(".repeat(64));
        assert_eq!(
            check(&deep, &bounds(100, 64)),
            Err(TextRejection::TooDeep {
                line: 2,
                column: 65,
                max: 64
            })
        );
        let long = TextRejection::TooLong { bytes: 5, max: 4 };
        assert_eq!(super::super::check("12345", &bounds(4, 2)), Err(long));
    }
}
