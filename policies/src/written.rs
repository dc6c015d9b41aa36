//! Bounds on what a document means beside what it takes to send it (T67).
//!
//! One name can be written once and stand in a million statements, through prefixes, bases, lists of objects and contexts: a few
//! kilobytes then fill the memory, and terms of a context that are explained by each other end the process, because a parser
//! descends along them. So texts of somebody else are weighed before they are parsed, and statements while they come.

use std::collections::{HashMap, HashSet};

use oxrdf::{GraphNameRef, NamedOrBlankNodeRef, QuadRef, TermRef};
use serde_json::Value;

/// Bytes that statements may have beyond [`STATEMENT_BYTES`], however short the document is.
const LEAST_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of terms that each statement may have.
const STATEMENT_BYTES: usize = 256;
/// Bytes of terms for each byte of a document.
const TIMES_MAX: usize = 16;
/// Terms of a context of which each is explained by the next.
const CHAIN_MAX: usize = 16;
/// Terms that are copied because contexts are put on top of each other.
const COPIED_MAX: usize = 64_000_000;

/// Why a document is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// Its names repeat too much.
    #[error("written out in full it would be far larger than it is: shorten the names that it repeats")]
    Names,
    /// Terms of a JSON-LD context lead to each other too often.
    #[error(
        "terms of its JSON-LD context are explained by each other more than {CHAIN_MAX} times: write their IRIs out"
    )]
    Chain,
    /// Contexts within contexts, or for very many things.
    #[error("it puts JSON-LD contexts on top of each other too often: give one context for the whole document")]
    Contexts,
    /// Not JSON.
    #[error("its JSON-LD context is not JSON")]
    NoJson,
}

/// Weighs statements as they come out of a parser.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    left: usize,
}

impl Written {
    /// For the statements of a document of so many bytes.
    #[must_use]
    pub const fn of(document_bytes: usize) -> Self {
        Self {
            left: allowed(document_bytes),
        }
    }

    /// Takes a statement.
    ///
    /// # Errors
    /// [`TooLong::Names`] once statements are far larger than their document.
    pub fn takes(&mut self, statement: QuadRef<'_>) -> Result<(), TooLong> {
        let graph = match statement.graph_name {
            GraphNameRef::NamedNode(node) => node.as_str().len(),
            GraphNameRef::BlankNode(node) => node.as_str().len(),
            GraphNameRef::DefaultGraph => 0,
        };
        self.takes_bytes(
            subject_bytes(statement.subject) + statement.predicate.as_str().len() + bytes(statement.object) + graph,
        )
    }

    /// Takes a statement whose terms have so many bytes.
    ///
    /// # Errors
    /// As [`Self::takes`].
    pub fn takes_bytes(&mut self, bytes: usize) -> Result<(), TooLong> {
        self.left = self
            .left
            .checked_sub(bytes.saturating_sub(STATEMENT_BYTES))
            .ok_or(TooLong::Names)?;
        Ok(())
    }
}

const fn allowed(document_bytes: usize) -> usize {
    document_bytes.saturating_mul(TIMES_MAX).saturating_add(LEAST_BYTES)
}

fn subject_bytes(subject: NamedOrBlankNodeRef<'_>) -> usize {
    match subject {
        NamedOrBlankNodeRef::NamedNode(node) => node.as_str().len(),
        NamedOrBlankNodeRef::BlankNode(node) => node.as_str().len(),
    }
}

fn bytes(term: TermRef<'_>) -> usize {
    match term {
        TermRef::NamedNode(node) => node.as_str().len(),
        TermRef::BlankNode(node) => node.as_str().len(),
        TermRef::Literal(literal) => {
            literal.value().len() + literal.language().map_or(literal.datatype().as_str().len(), str::len)
        }
        TermRef::Triple(triple) => {
            subject_bytes(triple.subject.as_ref()) + triple.predicate.as_str().len() + bytes(triple.object.as_ref())
        }
    }
}

/// Weighs a query or an update, whose parser keeps every name written out: its longest name, for each place where one can stand.
///
/// # Errors
/// [`TooLong::Names`].
pub fn sparql(text: &str) -> Result<(), TooLong> {
    // Whatever can stand in a name; what brackets and operators part is counted apart, and blanks end all.
    let (mut longest, mut length, mut places, mut in_iri, mut escaped) = (0_usize, 0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        places += usize::from(matches!(byte, b':' | b'<' | b',' | b';' | b'~' | b'|' | b'[' | b'('));
        let ends = match byte {
            0..=0x20 | b'<' | b'>' | b'{' | b'}' | b'"' | b'|' | b'^' | b'`' => true,
            _ if escaped => false,
            b'(' | b')' | b'[' | b']' | b',' | b';' | b'/' | b'*' | b'+' | b'=' | b'!' | b'&' | b'\'' => !in_iri,
            _ => false,
        };
        if ends {
            longest = longest.max(length);
            length = 0;
            in_iri = byte == b'<';
        } else {
            length += 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    let full = longest.max(length).saturating_mul(places);
    // A name stands in up to three places of a pattern.
    (full / 4 <= allowed(text.len())).then_some(()).ok_or(TooLong::Names)
}

/// What prefixes and bases come to that a Turtle document declares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Declared {
    base: usize,
    all: usize,
}

impl Declared {
    /// Takes an IRI as it stands between its brackets, and what stands before it.
    pub(crate) fn takes(&mut self, before: &[u8], iri: &[u8]) {
        let scheme = iri.iter().find(|byte| matches!(byte, b':' | b'/' | b'?' | b'#'));
        let full = match scheme {
            Some(b':') => iri.len(),
            _ => iri.len().saturating_add(self.base),
        };
        let tail = before.get(before.len().saturating_sub(4)..).unwrap_or_default();
        if tail.eq_ignore_ascii_case(b"base") {
            self.base = full;
        } else if before.ends_with(b":") {
            self.all = self.all.saturating_add(full);
        }
    }

    /// Whether that is not too much for a document of so many bytes.
    pub(crate) fn check(self, document_bytes: usize) -> Result<(), TooLong> {
        (self.all <= allowed(document_bytes))
            .then_some(())
            .ok_or(TooLong::Names)
    }
}

/// Weighs the contexts of a JSON-LD document, whose nesting was checked before.
///
/// # Errors
/// [`TooLong`].
pub(crate) fn contexts(json: &[u8]) -> Result<(), TooLong> {
    let mut text = Text::default();
    let mut found = Found::default();
    let (mut position, mut weighed) = (0, 0);
    while let Some(byte) = json.get(position) {
        position += 1;
        match byte {
            b'{' => text.objects += 1,
            b'"' => {
                let begins = position;
                position = end_of_string(json, begins);
                text.strings += 1;
                let content = json.get(begins..position.saturating_sub(1)).unwrap_or_default();
                let is_key = json
                    .get(position..)
                    .is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"));
                // A context within one that was weighed was weighed with it.
                if is_key && position > weighed && is_context(content) {
                    let value = json.get(position..).unwrap_or_default();
                    let value = value.trim_ascii_start().get(1..).unwrap_or_default();
                    let value = value.get(..end_of_value(value)).unwrap_or_default();
                    weighed = position + value.len();
                    found.whole(&serde_json::from_slice(value).map_err(|_| TooLong::NoJson)?)?;
                }
            }
            _ => {}
        }
    }
    let several = found.contexts > 1;
    let times = if several { text.objects } else { found.objects };
    if times.saturating_mul(found.largest) > COPIED_MAX {
        return Err(TooLong::Contexts);
    }
    // Four bytes are the shortest string with what parts it from the next.
    let names = found.longest.saturating_mul(text.strings) / 4;
    (names <= allowed(json.len())).then_some(()).ok_or(TooLong::Names)
}

/// How much there is in a document.
#[derive(Default)]
struct Text {
    strings: usize,
    objects: usize,
}

/// How much there is in its contexts.
#[derive(Default)]
struct Found {
    contexts: usize,
    objects: usize,
    /// Strings of the present context.
    present: usize,
    /// Strings of the largest one.
    largest: usize,
    /// Bytes of the longest string.
    longest: usize,
}

impl Found {
    /// Takes what stands as `@context`, outside of other contexts.
    fn whole(&mut self, value: &Value) -> Result<(), TooLong> {
        self.present = 0;
        self.context(value)?;
        self.largest = self.largest.max(self.present);
        Ok(())
    }

    fn context(&mut self, value: &Value) -> Result<(), TooLong> {
        match value {
            Value::Array(all) => all.iter().try_for_each(|one| self.context(one)),
            Value::Object(terms) => {
                self.contexts += 1;
                self.objects += 1;
                for (term, definition) in terms {
                    self.string(term);
                    self.definition(definition)?;
                }
                chain(terms)
            }
            Value::String(name) => {
                self.string(name);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn definition(&mut self, value: &Value) -> Result<(), TooLong> {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(all) => return all.iter().try_for_each(|one| self.definition(one)),
            Value::Object(parts) => {
                self.objects += 1;
                for (key, part) in parts {
                    self.string(key);
                    if key == "@context" {
                        self.context(part)?;
                    } else {
                        self.definition(part)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.present += 1;
        self.longest = self.longest.max(text.len());
    }
}

/// Checks how often terms of one context lead to others.
fn chain(terms: &serde_json::Map<String, Value>) -> Result<(), TooLong> {
    let mut leads: HashMap<&str, Vec<&str>> = HashMap::new();
    for (term, definition) in terms {
        let mut to = Vec::new();
        named(term, &mut to);
        names(definition, &mut to);
        to.retain(|other| *other != term && terms.contains_key(*other));
        if !to.is_empty() {
            leads.insert(term, to);
        }
    }
    let mut far: HashSet<&str> = leads.keys().copied().collect();
    for _ in 0..CHAIN_MAX {
        let further = |term: &&str| {
            leads
                .get(*term)
                .is_some_and(|to| to.iter().any(|other| far.contains(other)))
        };
        far = leads.keys().copied().filter(further).collect();
        if far.is_empty() {
            return Ok(());
        }
    }
    Err(TooLong::Chain)
}

/// What a string in a definition can name: a term, or the prefix before its colon.
fn named<'a>(text: &'a str, to: &mut Vec<&'a str>) {
    to.push(text);
    to.extend(text.split_once(':').map(|(prefix, _)| prefix));
}

fn names<'a>(definition: &'a Value, to: &mut Vec<&'a str>) {
    match definition {
        Value::String(text) => named(text, to),
        Value::Array(all) => all.iter().for_each(|one| names(one, to)),
        Value::Object(parts) => {
            let own = parts.iter().filter(|(key, _)| *key != "@context");
            own.for_each(|(_, part)| names(part, to));
        }
        _ => {}
    }
}

/// Where a string ends whose content begins at a place: behind its closing quote.
fn end_of_string(json: &[u8], begins: usize) -> usize {
    let mut position = begins;
    while let Some(byte) = json.get(position) {
        position += match byte {
            b'\\' => 2,
            b'"' => return position + 1,
            _ => 1,
        };
    }
    json.len()
}

/// How long the value is that JSON begins with.
fn end_of_value(json: &[u8]) -> usize {
    let (mut position, mut depth) = (0, 0_usize);
    while let Some(byte) = json.get(position) {
        match byte {
            b'"' => {
                position = end_of_string(json, position + 1);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return position,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        position += 1;
    }
    json.len()
}

fn is_context(content: &[u8]) -> bool {
    content == b"@context"
        || content.contains(&b'\\')
            && serde_json::from_slice::<String>(&[b"\"", content, b"\""].concat()).is_ok_and(|key| key == "@context")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// T67: a name that is written once and stands everywhere.
    #[test]
    fn queries_with_long_names_in_many_places_are_refused() {
        let long = "a".repeat(200_000);
        for query in [
            format!(
                "PREFIX p:<http://x/{long}> SELECT * {{ VALUES ?x {{ {} }} }}",
                "p:a ".repeat(50_000)
            ),
            format!("SELECT * {{ <http://x/{long}> <p> {} 1 }}", "1,".repeat(50_000)),
            format!("SELECT * {{ ?{long} <p> {} 1 }}", "1,".repeat(50_000)),
            format!("BASE <http://x/{long}> {} SELECT * {{}}", "PREFIX a:<>".repeat(50_000)),
            format!(
                "PREFIX p: SELECT * {{ p:{} <p> {} 1 }}",
                "a\\,".repeat(70_000),
                "1;".repeat(50_000)
            ),
        ] {
            assert_eq!(
                sparql(&query),
                Err(TooLong::Names),
                "{}",
                query.get(..40).unwrap_or_default()
            );
        }
        let honest = format!(
            "PREFIX ex: <http://example.org/very/usual/namespace#> SELECT * {{ VALUES ?x {{ {} }} <http://x/{}> ex:p ?x }}",
            "ex:station-1 \"2026-01-01T00:00:00\"^^xsd:dateTime ".repeat(10_000),
            "a".repeat(2_000)
        );
        assert_eq!(sparql(&honest), Ok(()));
    }

    /// T67: terms that are explained by each other end a parser; those of usual contexts do not lead far.
    #[test]
    fn contexts_are_weighed() {
        let chain = |length: usize| {
            let terms: Vec<String> = (0..length).map(|at| format!("\"t{at}\":\"t{}:a\"", at + 1)).collect();
            format!("{{\"@context\":{{{},\"t{length}\":\"http://x/\"}}}}", terms.join(","))
        };
        let own = "{\"@context\":{\"a\":\"http://x/\"},\"a\":1}";
        let usual = "{\"@context\":[\"https://x/c.jsonld\",{\"ex\":\"http://x/\",\"ex:a\":{\"@id\":\"ex:a\",\"@type\":\"ex:b\"},\
                     \"b\":{\"@id\":\"ex:b\",\"@context\":{\"c\":\"ex:c\"}}}],\"b\":[{\"c\":\"} ] , \\\" {\"}]}";
        let terms: Vec<String> = (0..4_000).map(|at| format!("\"t{at}\":\"http://x/{at}\"")).collect();
        let large = format!("{{\"@context\":{{{}}},\"t0\":[{{}}]}}", terms.join(","));
        let often = format!(
            "{{\"@context\":{{{}}},\"t0\":[{}1]}}",
            terms.join(","),
            "{\"@context\":{},\"t1\":1},".repeat(10_000)
        );
        let long = format!(
            "{{\"@context\":{{\"p\":\"http://x/{}\"}},\"@graph\":[{}1]}}",
            "a".repeat(100_000),
            "\"p:1\",".repeat(50_000)
        );
        let escaped = chain(40).replace("@context", "@\\u0063ontext");
        let scoped = format!(
            "{{\"@context\":{{\"a\":{}}}}}",
            chain(40).replace("{\"@context\"", "{\"@id\":\"x:y\",\"@context\"")
        );
        for (json, expected) in [
            (chain(3), Ok(())),
            (chain(40), Err(TooLong::Chain)),
            (escaped, Err(TooLong::Chain)),
            (scoped, Err(TooLong::Chain)),
            (format!("[{own},{own}]"), Ok(())),
            (usual.to_owned(), Ok(())),
            (large, Ok(())),
            (often, Err(TooLong::Contexts)),
            (long, Err(TooLong::Names)),
            ("{\"@context\":{\"a\":".to_owned(), Err(TooLong::NoJson)),
            ("{\"a\":\"@context\"}".to_owned(), Ok(())),
        ] {
            assert_eq!(
                contexts(json.as_bytes()),
                expected,
                "{}",
                json.get(..120).unwrap_or(&json)
            );
        }
    }
}
