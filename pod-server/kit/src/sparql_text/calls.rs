//! Calls that the parser reads again and again.
//!
//! It reads the arguments of `REGEX`, `SUBSTR`, `REPLACE` and `GROUP_CONCAT` once for each of the two forms that
//! such a call can have. Nested calls double the work at each level: forty levels, in five hundred bytes, never end, and
//! nothing can stop a thread that parses. So such calls are counted first, in one pass and without recursion.

/// Levels of such calls that are parsed: at most 2^8 readings of the innermost arguments.
pub const REREAD_CALLS_MAX: usize = 8;

const REREAD: [&[u8]; 4] = [b"REGEX", b"SUBSTR", b"REPLACE", b"GROUP_CONCAT"];

/// Where calls are nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}, column {column}: REGEX, SUBSTR, REPLACE and GROUP_CONCAT are nested deeper than {REREAD_CALLS_MAX}; \
     bind the inner results to variables"
)]
pub struct NestedCalls {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
}

/// Checks a query or an update.
///
/// It errs on the side of refusing: what stands between `<` and `>` is taken for an IRI, and calls that are seen in it
/// count for the rest of the text.
///
/// # Errors
/// [`NestedCalls`].
pub(super) fn check(text: &str) -> Result<(), NestedCalls> {
    let mut scan = Scan {
        bytes: text.as_bytes(),
        position: 0,
        word: 0..0,
        calls: Vec::new(),
        nested: 0,
    };
    while scan.position < scan.bytes.len() {
        scan.step();
        if scan.nested > REREAD_CALLS_MAX {
            let before = scan.bytes.get(..scan.position).unwrap_or(scan.bytes);
            let line_start = before
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |newline| newline + 1);
            return Err(NestedCalls {
                line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
                column: before.len() - line_start,
            });
        }
    }
    Ok(())
}

struct Scan<'t> {
    bytes: &'t [u8],
    position: usize,
    /// The last run of letters, while nothing but blanks and comments follows it.
    word: std::ops::Range<usize>,
    /// The round brackets that are open, and whether each belongs to a call that is read twice.
    calls: Vec<bool>,
    nested: usize,
}

impl Scan<'_> {
    fn at(&self, position: usize) -> u8 {
        self.bytes.get(position).copied().unwrap_or(0)
    }

    fn step(&mut self) {
        match self.at(self.position) {
            b'#' => self.position = self.end_of_line(),
            b' ' | b'\t' | b'\r' | b'\n' => self.position += 1,
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let start = self.position;
                while self.at(self.position).is_ascii_alphabetic() || self.at(self.position) == b'_' {
                    self.position += 1;
                }
                self.word = start..self.position;
            }
            byte => {
                self.sign(byte);
                self.word = 0..0;
            }
        }
    }

    fn sign(&mut self, byte: u8) {
        self.position += match byte {
            b'\\' => 2,
            b'"' | b'\'' => self.string(byte),
            b'<' => self.iri(),
            b'(' => {
                let reread = reread(self.bytes.get(self.word.clone()).unwrap_or(&[]));
                self.nested += usize::from(reread);
                self.calls.push(reread);
                1
            }
            b')' => {
                self.nested -= usize::from(self.calls.pop() == Some(true));
                1
            }
            _ => 1,
        };
    }

    fn end_of_line(&self) -> usize {
        let rest = self.bytes.get(self.position..).unwrap_or(&[]);
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        length.map_or(self.bytes.len(), |length| self.position + length)
    }

    /// Bytes of the string that begins here. One on one line ends with the line at the latest.
    fn string(&self, quote: u8) -> usize {
        let is_quote = |position: usize| self.at(position) == quote;
        let long = is_quote(self.position + 1) && is_quote(self.position + 2);
        let mut position = self.position + if long { 3 } else { 1 };
        while position < self.bytes.len() {
            match self.at(position) {
                b'\\' => position += 2,
                b'\n' | b'\r' if !long => break,
                byte if byte == quote && !long => return position + 1 - self.position,
                byte if byte == quote && is_quote(position + 1) && is_quote(position + 2) => {
                    return position + 3 - self.position;
                }
                _ => position += 1,
            }
        }
        position - self.position
    }

    /// Bytes of what reads as an IRI from here on; 1 when it is an operator.
    fn iri(&mut self) -> usize {
        let rest = self.bytes.get(self.position + 1..).unwrap_or(&[]);
        let end = rest.iter().position(|byte| {
            matches!(
                byte,
                b'>' | b'<' | b'"' | b'{' | b'}' | b'|' | b'^' | b'`' | b'\\' | 0..=0x20
            )
        });
        let Some(length) = end.filter(|end| rest.get(*end) == Some(&b'>')) else {
            return 1;
        };
        let inside = rest.get(..length).unwrap_or(&[]);
        let brackets = inside.iter().enumerate().filter(|(_, byte)| **byte == b'(');
        self.nested += brackets
            .filter(|(at, _)| reread(inside.get(..*at).unwrap_or(&[])))
            .count();
        length + 2
    }
}

/// Whether a text ends with the name of such a call.
fn reread(word: &[u8]) -> bool {
    REREAD.iter().any(|name| {
        let start = word.len().checked_sub(name.len());
        start
            .and_then(|start| word.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_calls_are_refused_in_every_disguise() {
        for (open, close) in [
            ("REGEX(?t, ", ", 'a')"),
            ("regex (?t, ", ")"),
            ("SUBSTR # ) ) )\n(", ", 1)"),
            ("REPLACE(\")\", ", ")"),
            ("Group_Concat(", ")"),
            ("REGEX('''it's )''', ", ")"),
            ("REGEX(<http://e.example/)>, ", ")"),
            ("STR(REGEX(", "))"),
            ("(1<REGEX(?a,(2)>3) && REGEX(?a, ", ")"),
            ("ex:a\\)b + REGEX(", ")"),
        ] {
            for times in [REREAD_CALLS_MAX + 1, 40, 20_000] {
                let text = format!("SELECT * {{ FILTER({}1{}) }}", open.repeat(times), close.repeat(times));
                assert!(check(&text).is_err(), "{open} {times}");
            }
        }
    }

    #[test]
    fn honest_queries_pass() {
        let wide = format!(
            "SELECT * {{ {} }}",
            "FILTER(REGEX(STR(?a), '^(x|y)', 'i')) ".repeat(500)
        );
        let deep = format!("SELECT * {{ FILTER({}1{}) }}", "STR(".repeat(60), ")".repeat(60));
        let some = format!(
            "SELECT * {{ BIND({}?a{} AS ?b) }}",
            "REPLACE(".repeat(8),
            ", 'a', 'b')".repeat(8)
        );
        let strings =
            "SELECT * { ?a ?b 'REGEX(REGEX(REGEX(REGEX(REGEX(REGEX(REGEX(REGEX(REGEX(REGEX(' # REGEX(REGEX(\n }";
        for text in [&wide, &deep, &some, strings] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_place_is_told() {
        let text = format!("SELECT *\n{{ FILTER({}", "REGEX(".repeat(9));
        assert_eq!(check(&text), Err(NestedCalls { line: 2, column: 63 }));
    }
}
