//! A bound on how deep brackets nest, counted before anything is parsed (T67).
//!
//! Parsers and the trees that they build recurse with the nesting of their input: fifteen kilobytes of opening brackets can
//! end the process. So every document of somebody else, here or fetched, passes this scanner first. It is linear, keeps no
//! memory, and skips strings, IRIs and comments by the lexical rules that Turtle, N3 and SPARQL share.

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

/// Deeper than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("brackets nest deeper than {depth_max} levels")]
pub struct TooDeep {
    /// The bound.
    pub depth_max: u32,
    /// Where it is passed; the first line is 1.
    pub line: u64,
}

/// Checks that brackets never nest deeper than `depth_max`.
///
/// # Errors
/// [`TooDeep`] at the first bracket beyond the bound.
pub fn check(text: &[u8], grammar: Grammar, depth_max: u32) -> Result<(), TooDeep> {
    let mut scanner = Scanner {
        text,
        position: 0,
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
                    return Err(TooDeep {
                        depth_max,
                        line: breaks as u64 + 1,
                    });
                }
            }
            Bracket::Close => depth = depth.saturating_sub(1),
        }
    }
    Ok(())
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
            match (byte, self.grammar) {
                (b'{' | b'[', _) | (b'(', Grammar::Turtle) => return Some(Bracket::Open),
                (b'}' | b']', _) | (b')', Grammar::Turtle) => return Some(Bracket::Close),
                (b'"', Grammar::Json) => self.skip_string(byte, false),
                (b'"' | b'\'', Grammar::Turtle) => self.skip_turtle_string(byte),
                (b'#', Grammar::Turtle) => self.skip_line(),
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
        }
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

    #[test]
    fn the_line_is_named() {
        assert_eq!(check(b"[\n[\n[", Grammar::Turtle, 2).unwrap_err().line, 3);
    }
}
