//! A bound on how deep brackets nest, counted before anything is parsed (T67).
//!
//! Parsers and the trees that they build recurse with the nesting of their input: fifteen kilobytes of opening brackets can
//! end the process. So every document of somebody else, here or fetched, passes this scanner first. It is linear, keeps no
//! memory, and skips strings, IRIs and comments by the lexical rules that Turtle, N3 and SPARQL share.

use crate::written::{self, Declared, TooLong};

/// How deep brackets may nest in documents whose depth nobody configures.
pub const DEPTH_MAX: u32 = 64;

/// What is being scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Turtle, N-Triples, N3 and SPARQL.
    Turtle,
    /// JSON.
    Json,
}

/// Not fit to be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unfit {
    /// Why.
    pub reason: Reason,
    /// Where; the first line is 1.
    pub line: u64,
}

/// Why a document is not fit to be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Brackets nest deeper than so many levels.
    #[error("brackets nest deeper than {0} levels")]
    TooDeep(u32),
    /// What it says is far larger than what it takes to say it.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Checks that brackets never nest deeper than `depth_max`, and that what a parser keeps of prefixes and contexts is bounded.
///
/// # Errors
/// [`Unfit`] at the first bracket beyond the bound, or for the document.
pub fn check(text: &[u8], grammar: Grammar, depth_max: u32) -> Result<(), Unfit> {
    let mut scanner = Scanner {
        text,
        position: 0,
        before: 0,
        declared: Declared::default(),
        grammar,
    };
    let mut depth = 0_u32;
    while let Some(token) = scanner.next_bracket() {
        match token {
            Bracket::Open => {
                depth += 1;
                if depth > depth_max {
                    let read = text.get(..scanner.position).unwrap_or(text);
                    let breaks = read.iter().filter(|byte| **byte == b'\n').count();
                    return Err(Unfit {
                        reason: Reason::TooDeep(depth_max),
                        line: breaks as u64 + 1,
                    });
                }
            }
            Bracket::Close => depth = depth.saturating_sub(1),
        }
    }
    let weighed = match grammar {
        Grammar::Turtle => scanner.declared.check(text.len()),
        Grammar::Json => written::contexts(text),
    };
    weighed.map_err(|error| Unfit {
        reason: error.into(),
        line: 1,
    })
}

/// Counts the nesting of JSON that arrives in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonDepth {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl JsonDepth {
    /// Takes the next piece. False once brackets nest deeper than `depth_max`.
    #[must_use]
    pub fn takes(&mut self, piece: &[u8], depth_max: u32) -> bool {
        for byte in piece {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
                (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > depth_max {
                return false;
            }
        }
        true
    }
}

enum Bracket {
    Open,
    Close,
}

struct Scanner<'t> {
    text: &'t [u8],
    position: usize,
    /// The end of what stands before the present token.
    before: usize,
    declared: Declared,
    grammar: Grammar,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.position + ahead).copied()
    }

    fn next_bracket(&mut self) -> Option<Bracket> {
        loop {
            let byte = self.peek(0)?;
            self.position += 1;
            match byte {
                0..=0x20 => {}
                b'#' if self.grammar == Grammar::Turtle => self.skip_line(),
                byte => {
                    let bracket = self.token(byte);
                    self.before = self.position;
                    if bracket.is_some() {
                        return bracket;
                    }
                }
            }
        }
    }

    fn token(&mut self, byte: u8) -> Option<Bracket> {
        match (byte, self.grammar) {
            (b'{' | b'[', _) | (b'(', Grammar::Turtle) => return Some(Bracket::Open),
            (b'}' | b']', _) | (b')', Grammar::Turtle) => return Some(Bracket::Close),
            (b'"', Grammar::Json) => self.skip_string(byte, false),
            (b'"' | b'\'', Grammar::Turtle) => self.skip_turtle_string(byte),
            (b'\\', Grammar::Turtle) => self.position += 1,
            (b'<', Grammar::Turtle) => {
                if self.peek(0) == Some(b'<') {
                    self.position += 1;
                    return Some(Bracket::Open);
                }
                self.skip_iri();
            }
            (b'>', Grammar::Turtle) if self.peek(0) == Some(b'>') => {
                self.position += 1;
                return Some(Bracket::Close);
            }
            _ => {}
        }
        None
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.position += 1;
        }
    }

    /// `<` begins an IRI only if a `>` follows before any character that an IRI cannot hold (SPARQL 1.1 §19.8, IRIREF).
    fn skip_iri(&mut self) {
        let mut ahead = 0;
        while let Some(byte) = self.peek(ahead) {
            match byte {
                b'>' => {
                    let before = self.text.get(..self.before).unwrap_or_default();
                    let iri = self.text.get(self.position..self.position + ahead).unwrap_or_default();
                    self.declared.takes(before, iri);
                    self.position += ahead + 1;
                    return;
                }
                0..=0x20 | b'<' | b'"' | b'{' | b'}' | b'|' | b'^' | b'`' => return,
                _ => ahead += 1,
            }
        }
    }

    fn skip_turtle_string(&mut self, quote: u8) {
        let long = self.peek(0) == Some(quote) && self.peek(1) == Some(quote);
        if long {
            self.position += 2;
        }
        self.skip_string(quote, long);
    }

    fn skip_string(&mut self, quote: u8, long: bool) {
        while let Some(byte) = self.peek(0) {
            self.position += 1;
            if byte == b'\\' {
                self.position += 1;
            } else if byte == quote {
                if !long {
                    return;
                }
                if self.peek(0) == Some(quote) && self.peek(1) == Some(quote) {
                    self.position += 2;
                    return;
                }
            } else if byte == b'\n' && !long && self.grammar == Grammar::Turtle {
                // A short string cannot span lines: the parser will say so; brackets count again from here.
                return;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_only_where_they_are_brackets() {
        for (text, grammar, deep) in [
            ("[[[[", Grammar::Turtle, true),
            ("<a> <b> [ <c> ( 1 [ ] ) ] .", Grammar::Turtle, false),
            ("<<( <<( <<( <<( ", Grammar::Turtle, true),
            ("<a> <b> \"[[[[\" .", Grammar::Turtle, false),
            ("<a> <b> '''[ '' [[[''' .", Grammar::Turtle, false),
            ("<a> <b> \"\\\"[[[[\" .", Grammar::Turtle, false),
            ("# [[[[\n<a> <b> <c> .", Grammar::Turtle, false),
            ("<http://x/((((> <b> <c> .", Grammar::Turtle, false),
            ("FILTER(1 < 2 && ((((1)))))", Grammar::Turtle, true),
            ("{\"a\":[{\"b\":[1]}]}", Grammar::Json, true),
            ("{\"a\":\"[[[[\\\"[[[\"}", Grammar::Json, false),
            ("\"open [[[[\n[[[[", Grammar::Turtle, true),
        ] {
            assert_eq!(check(text.as_bytes(), grammar, 3).is_err(), deep, "{text}");
        }
    }

    #[test]
    fn pieces_of_json_count_as_the_whole_does() {
        for (text, deep) in [
            ("{\"a\":[{\"b\":[1]}]}", true),
            ("{\"a\":\"[[[[\\\"[[[\"}", false),
            ("[[1],[1],[[1]],[1]]", false),
            ("[[[[", true),
        ] {
            for size in 1..=text.len() {
                let mut depth = JsonDepth::default();
                let fits = text.as_bytes().chunks(size).all(|piece| depth.takes(piece, 3));
                assert_eq!(fits, !deep, "{text} in pieces of {size}");
            }
        }
    }

    /// T67: each prefix keeps a copy of the base.
    #[test]
    fn prefixes_may_not_copy_a_long_base() {
        let prefixes = |base: &str, length: usize| {
            let text = format!(
                "@base{base}<http://x/{}> . {}",
                "a".repeat(length),
                "@prefix p: # p:\n <#> . ".repeat(1_000)
            );
            check(text.as_bytes(), Grammar::Turtle, 3).map_err(|unfit| unfit.reason)
        };
        for base in [" ", " # base\n", ""] {
            assert_eq!(prefixes(base, 100_000), Err(Reason::TooLong(TooLong::Names)), "{base}");
            assert_eq!(prefixes(base, 1_000), Ok(()), "{base}");
        }
    }

    #[test]
    fn the_line_is_named() {
        assert_eq!(check(b"[\n[\n[", Grammar::Turtle, 2).unwrap_err().line, 3);
    }
}
