//! Looking at a query before parsing it: size, nesting and number of operators. The parser and every walk over its result recurse, and
//! a stack that overflows ends the process; so what is too deep never reaches them.

use crate::config::QuerySection;

/// Why a query is not even parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Too long.
    #[error("the query is larger than {0} bytes")]
    TooLarge(usize),
    /// Too deep.
    #[error("line {line}, column {column}: nested deeper than {limit}")]
    TooDeep {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many operators.
    #[error("more than {0} operators")]
    TooManyOperators(usize),
}

/// Checks a query text.
///
/// # Errors
/// [`GuardError`].
pub fn check(query: &str, limits: &QuerySection) -> Result<(), GuardError> {
    if query.len() > limits.query_bytes_max {
        return Err(GuardError::TooLarge(limits.query_bytes_max));
    }
    let mut scan = Scan {
        depth: 0,
        prefix: 0,
        operators: 0,
        line: 1,
        column: 0,
    };
    let mut characters = query.chars().peekable();
    let mut word = String::new();
    while let Some(c) = characters.next() {
        scan.advance(c);
        if c.is_ascii_alphabetic() {
            word.push(c.to_ascii_uppercase());
            scan.prefix = 0;
            continue;
        }
        if matches!(
            word.as_str(),
            "UNION" | "OPTIONAL" | "MINUS" | "FILTER" | "BIND" | "EXISTS" | "SELECT" | "GRAPH"
        ) {
            scan.operators += 1;
        }
        word.clear();
        match c {
            '"' | '\'' => skip_string(c, &mut characters, &mut scan),
            '#' => {
                while characters.next_if(|next| *next != '\n').is_some() {
                    scan.column += 1;
                }
            }
            '<' if is_iri(&characters) => {
                for next in characters.by_ref() {
                    scan.advance(next);
                    if next == '>' {
                        break;
                    }
                }
                scan.prefix = 0;
            }
            '{' | '(' | '[' => scan.depth += 1,
            '}' | ')' | ']' => {
                scan.depth = scan.depth.saturating_sub(1);
                scan.prefix = 0;
            }
            '!' | '-' | '+' | '^' => {
                scan.prefix += 1;
                scan.operators += 1;
            }
            '*' | '/' | '|' | '&' | '=' | '<' | '>' | ',' | ';' | '.' => scan.operators += 1,
            c if c.is_whitespace() => {}
            _ => scan.prefix = 0,
        }
        if scan.depth + scan.prefix > limits.nesting_max {
            return Err(GuardError::TooDeep {
                line: scan.line,
                column: scan.column,
                limit: limits.nesting_max,
            });
        }
        if scan.operators > limits.operators_max {
            return Err(GuardError::TooManyOperators(limits.operators_max));
        }
    }
    Ok(())
}

struct Scan {
    depth: usize,
    prefix: usize,
    operators: usize,
    line: usize,
    column: usize,
}

impl Scan {
    fn advance(&mut self, c: char) {
        if c == '\n' {
            self.line += 1;
            self.column = 0;
        } else {
            self.column += 1;
        }
    }
}

/// Whether a `<` opens an IRI: up to the next `>` there is nothing that an IRI cannot hold.
fn is_iri(rest: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    for c in rest.clone() {
        match c {
            '>' => return true,
            '<' | '"' | '{' | '}' | '|' | '^' | '`' | '\\' => return false,
            c if c <= ' ' => return false,
            _ => {}
        }
    }
    false
}

/// Skips a string, short or long; a quote that never closes runs to the end of its line, as the parser will say.
fn skip_string(quote: char, characters: &mut std::iter::Peekable<std::str::Chars<'_>>, scan: &mut Scan) {
    let mut probe = characters.clone();
    let long = probe.next() == Some(quote) && probe.next() == Some(quote);
    if long {
        characters.next();
        characters.next();
        scan.column += 2;
    }
    let mut run = 0;
    while let Some(c) = characters.next() {
        scan.advance(c);
        match c {
            '\\' => {
                if let Some(escaped) = characters.next() {
                    scan.advance(escaped);
                }
                run = 0;
            }
            c if c == quote => {
                run += 1;
                if !long || run == 3 {
                    return;
                }
            }
            '\n' if !long => return,
            _ => run = 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn deep_queries_never_reach_the_parser() {
        let limits = QuerySection::default();
        for (text, fine) in [
            ("SELECT * { ?s ?p ?o }".to_owned(), true),
            (format!("SELECT * {}{}", "{".repeat(10_000), "}".repeat(10_000)), false),
            (format!("SELECT (({}1) AS ?x) {{}}", "!".repeat(1000)), false),
            (format!("SELECT (({}1) AS ?x) {{}}", "- ".repeat(1000)), false),
            (format!("ASK {{ ?s {}<p> ?o }}", "^".repeat(1000)), false),
            (
                format!("ASK {{ ?s {}<p>{} ?o }}", "(".repeat(1000), ")".repeat(1000)),
                false,
            ),
            (format!("SELECT * {{ {} {{}} }}", "{} UNION ".repeat(5000)), false),
            (format!("SELECT * {{ ?s ?p \"{}\" }}", "{".repeat(1000)), true),
            (format!("SELECT * {{ ?s ?p '''{}''' }}", "(\n".repeat(1000)), true),
            (format!("SELECT * {{ ?s <http://e/{}> ?o }}", "(".repeat(1000)), true),
            (format!("SELECT * {{}} #{}", "{".repeat(1000)), true),
            (
                format!(
                    "SELECT * {{ FILTER(?a < ?b && {}1{} > 2) }}",
                    "(".repeat(100),
                    ")".repeat(100)
                ),
                false,
            ),
            (format!("SELECT * {{ {} }}", "?s ?p ?o .".repeat(300)), true),
        ] {
            assert_eq!(
                check(&text, &limits).is_ok(),
                fine,
                "{}",
                text.get(..60).unwrap_or(&text)
            );
        }
        assert_eq!(check(&"x".repeat(70_000), &limits), Err(GuardError::TooLarge(65_536)));
        let deep = format!("ASK {{\n {}", "(".repeat(64));
        assert_eq!(
            check(&deep, &limits),
            Err(GuardError::TooDeep {
                line: 2,
                column: 65,
                limit: 64
            })
        );
    }
}
