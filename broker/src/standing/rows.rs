//! The rows of a standing query as the consumer has them, and the exact difference to what they are now.
//!
//! A row is one member of `bindings` of the SPARQL 1.1 Query Results JSON Format, written out with its variables in the
//! order of the head: two rows are the same when these bytes are. Rows are a multiset; their order is not kept. Blank nodes
//! are the same when they carry the same label, which a member gives to a node of the same version of a document.

use oxrdf::{Literal, NamedOrBlankNode, Term, Triple};
use std::collections::{HashMap, HashSet, VecDeque};

/// One row, written out.
pub(super) type Row = Box<str>;

/// What the head of an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The variables of a `SELECT`; those of a `CONSTRUCT` are its triples' parts.
    Variables(Vec<String>),
    /// An `ASK`: one row, `true` or `false`.
    Boolean,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) head: Head,
    pub(super) rows: Vec<Row>,
}

/// Rows that came and rows that went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) added: Vec<Row>,
    pub(super) removed: Vec<Row>,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    fn bytes(&self) -> usize {
        self.added.iter().chain(&self.removed).map(|row| cost(row)).sum()
    }
}

/// What a row takes in memory, about.
fn cost(row: &str) -> usize {
    row.len() + 48
}

/// The rows that a consumer has, and the latest changes, so that an earlier state can be found again.
#[derive(Debug)]
pub(super) struct Rows {
    counts: HashMap<Row, usize>,
    bytes: usize,
    /// Number of the last event that told of rows.
    number: u64,
    changes: VecDeque<Difference>,
    changes_bytes: usize,
    changes_max: usize,
}

impl Rows {
    /// No rows, before any event.
    pub(super) fn new(changes_max: usize) -> Self {
        Self {
            counts: HashMap::new(),
            bytes: 0,
            number: 0,
            changes: VecDeque::new(),
            changes_bytes: 0,
            changes_max,
        }
    }

    /// Number of the last event.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that all of this takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.changes_bytes
    }

    /// The difference between these rows and others.
    pub(super) fn difference(&self, now: &[Row]) -> Difference {
        let mut left = HashMap::with_capacity(now.len());
        let mut found = Difference::default();
        for row in now {
            let used = left.entry(row).or_insert(0_usize);
            *used += 1;
            if *used > self.counts.get(row).copied().unwrap_or(0) {
                found.added.push(row.clone());
            }
        }
        for (row, count) in &self.counts {
            let kept = left.get(row).copied().unwrap_or(0);
            found
                .removed
                .extend(std::iter::repeat_n(row, count.saturating_sub(kept)).cloned());
        }
        found.removed.sort_unstable();
        found
    }

    /// Takes a difference in as the next event.
    pub(super) fn advance(&mut self, difference: Difference) {
        self.number += 1;
        for row in &difference.removed {
            self.remove(row);
        }
        for row in &difference.added {
            self.add(row);
        }
        self.changes_bytes += difference.bytes();
        self.changes.push_back(difference);
        // What takes more than the rows themselves is told whole sooner than kept.
        while self.changes.len() > self.changes_max || self.changes_bytes > self.bytes.max(64 * 1024) {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.changes_bytes -= oldest.bytes();
        }
    }

    /// Goes back to what the consumer had after an event; false when that is too long ago. The number goes on.
    pub(super) fn back_to(&mut self, number: u64) -> bool {
        let Some(steps) = self.number.checked_sub(number) else {
            return false;
        };
        if number == 0 || usize::try_from(steps).map_or(true, |steps| steps > self.changes.len()) {
            return false;
        }
        for _ in 0..steps {
            let Some(change) = self.changes.pop_back() else { break };
            self.changes_bytes -= change.bytes();
            for row in &change.added {
                self.remove(row);
            }
            for row in &change.removed {
                self.add(row);
            }
        }
        // An event that did not arrive and the next one have different numbers all the same.
        self.changes.clear();
        self.changes_bytes = 0;
        true
    }

    fn add(&mut self, row: &Row) {
        self.bytes += cost(row);
        *self.counts.entry(row.clone()).or_insert(0) += 1;
    }

    fn remove(&mut self, row: &Row) {
        if let Some(count) = self.counts.get_mut(row) {
            self.bytes -= cost(row);
            *count -= 1;
            if *count == 0 {
                self.counts.remove(row);
            }
        }
    }
}

/// A solution as a row.
pub(super) fn row<'a>(bindings: impl Iterator<Item = (&'a str, &'a Term)>) -> Row {
    let mut out = String::from("{");
    for (at, (name, term)) in bindings.enumerate() {
        if at > 0 {
            out.push(',');
        }
        string(&mut out, name);
        out.push(':');
        write(&mut out, term);
    }
    out.push('}');
    out.into_boxed_str()
}

/// A graph's triples as rows, each once.
pub(super) fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let mut seen = HashSet::with_capacity(rows.len());
    rows.into_iter().filter(|row| seen.insert(row.clone())).collect()
}

fn string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn member(out: &mut String, kind: &str, value: &str) {
    out.push_str("{\"type\":\"");
    out.push_str(kind);
    out.push_str("\",\"value\":");
    string(out, value);
}

/// A term as the format writes it (SPARQL 1.1 Query Results JSON §3.2.2; triples as SPARQL 1.2 does).
fn write(out: &mut String, term: &Term) {
    match term {
        Term::NamedNode(node) => member(out, "uri", node.as_str()),
        Term::BlankNode(node) => member(out, "bnode", node.as_str()),
        Term::Literal(literal) => write_literal(out, literal),
        Term::Triple(triple) => return write_triple(out, triple),
    }
    out.push('}');
}

fn write_literal(out: &mut String, literal: &Literal) {
    member(out, "literal", literal.value());
    if let Some(language) = literal.language() {
        out.push_str(",\"xml:lang\":");
        string(out, language);
        if let Some(direction) = literal.direction() {
            out.push_str(",\"its:dir\":");
            string(out, &direction.to_string());
        }
    } else if literal.datatype() != oxrdf::vocab::xsd::STRING {
        out.push_str(",\"datatype\":");
        string(out, literal.datatype().as_str());
    }
}

fn write_triple(out: &mut String, triple: &Triple) {
    out.push_str("{\"type\":\"triple\",\"value\":{\"subject\":");
    match &triple.subject {
        NamedOrBlankNode::NamedNode(node) => member(out, "uri", node.as_str()),
        NamedOrBlankNode::BlankNode(node) => member(out, "bnode", node.as_str()),
    }
    out.push_str("},\"predicate\":");
    member(out, "uri", triple.predicate.as_str());
    out.push_str("},\"object\":");
    write(out, &triple.object);
    out.push_str("}}");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use oxrdf::{BlankNode, NamedNode};
    use proptest::prelude::*;
    use sparesults::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};

    fn rows(letters: &str) -> Vec<Row> {
        letters
            .chars()
            .map(|letter| letter.to_string().into_boxed_str())
            .collect()
    }

    fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
        rows.sort_unstable();
        rows
    }

    fn held(rows: &Rows) -> Vec<Row> {
        let each = |(row, count): (&Row, &usize)| vec![row.clone(); *count];
        sorted(rows.counts.iter().flat_map(each).collect())
    }

    proptest! {
        /// Whoever takes in each difference has the same multiset, and an earlier state is found again exactly.
        #[test]
        fn differences_are_exact(states in proptest::collection::vec("[a-d]{0,6}", 1..8), back in 1_u64..8) {
            let mut kept = Rows::new(100);
            let mut theirs: Vec<Vec<Row>> = vec![Vec::new()];
            for state in &states {
                let difference = kept.difference(&rows(state));
                let mut mine = theirs.last().unwrap().clone();
                for row in &difference.removed {
                    let at = mine.iter().position(|other| other == row);
                    prop_assert!(at.is_some(), "what is removed was there");
                    mine.remove(at.unwrap());
                }
                prop_assert!(difference.added.iter().all(|row| !difference.removed.contains(row)));
                mine.extend(difference.added.iter().cloned());
                prop_assert_eq!(sorted(mine.clone()), sorted(rows(state)));
                kept.advance(difference);
                prop_assert_eq!(held(&kept), sorted(mine.clone()));
                theirs.push(mine);
            }
            let number = kept.number();
            let found = kept.back_to(back);
            prop_assert_eq!(found, back <= number);
            if found {
                prop_assert_eq!(held(&kept), sorted(theirs[usize::try_from(back).unwrap()].clone()));
                prop_assert_eq!((kept.number(), kept.bytes()), (number, held(&kept).iter().map(|row| cost(row)).sum::<usize>()));
            }
        }
    }

    /// What is written is read by another reader of the format as the same terms.
    #[test]
    fn terms_are_written_as_the_format_says() {
        let triple = Triple::new(
            NamedNode::new_unchecked("urn:s"),
            NamedNode::new_unchecked("urn:p"),
            Literal::from(1),
        );
        let terms: Vec<Term> = vec![
            NamedNode::new_unchecked("http://x.example/\u{e9}").into(),
            BlankNode::new_unchecked("b1").into(),
            Literal::new_simple_literal("a \"quoted\"\nline\u{0}\u{1F600}").into(),
            Literal::new_language_tagged_literal_unchecked("dag", "nl").into(),
            Literal::from(7).into(),
            Term::Triple(Box::new(triple)),
        ];
        let names: Vec<String> = (0..terms.len()).map(|at| format!("v{at}")).collect();
        let row = row(names.iter().map(String::as_str).zip(&terms));
        let text = format!(
            "{{\"head\":{{\"vars\":{}}},\"results\":{{\"bindings\":[{row}]}}}}",
            serde_json::json!(names)
        );
        let parser = QueryResultsParser::from_format(QueryResultsFormat::Json);
        let SliceQueryResultsParserOutput::Solutions(mut solutions) = parser.for_slice(text.as_bytes()).unwrap() else {
            unreachable!("rows were written");
        };
        let solution = solutions.next().unwrap().unwrap();
        let read: Vec<Term> = solution.values().iter().flatten().cloned().collect();
        assert_eq!(read, terms);
    }
}
