//! The one function beyond SPARQL's own: `fn:mayBeAmong("mask", ?a …)`, by which a broker narrows a join to names that this server
//! must not read (ENF-34). It looks at what the view shows and at nothing else.

use std::sync::Arc;

use oxrdf::{Literal, NamedNode, Term};
use parking_lot::Mutex;
use server_kit::mask::{FUNCTION, Mask};
use spareval::QueryEvaluator;
use spargebra::algebra::Expression;

/// Whether this is the function's name.
pub(super) fn is_function(name: &NamedNode) -> bool {
    name.as_str() == FUNCTION
}

/// Whether the function is called as it has to be: a mask that can be read, and variables. Anything else would leave rows out without
/// a word, because an error in a filter does.
pub(super) fn well_called(arguments: &[Expression]) -> bool {
    let [Expression::Literal(mask), rest @ ..] = arguments else {
        return false;
    };
    let variables = rest.iter().all(|argument| matches!(argument, Expression::Variable(_)));
    variables && !rest.is_empty() && Mask::parse(mask.value()).is_some()
}

/// Adds the function to an evaluator. A query has few masks and asks them row by row: the last one is kept as it was read.
pub(super) fn with_masks(evaluator: QueryEvaluator) -> QueryEvaluator {
    let last: Mutex<Option<(Literal, Arc<Mask>)>> = Mutex::new(None);
    evaluator.with_custom_function(NamedNode::new_unchecked(FUNCTION), move |arguments| {
        let [Term::Literal(text), tuple @ ..] = arguments else {
            return None;
        };
        let mut last = last.lock();
        let mask = match &*last {
            Some((known, mask)) if known == text => Arc::clone(mask),
            _ => {
                let mask = Arc::new(Mask::parse(text.value())?);
                *last = Some((text.clone(), Arc::clone(&mask)));
                mask
            }
        };
        drop(last);
        Some(Literal::from(mask.may_hold(tuple)).into())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::harness::{Source, all, index_of, lines};
    use super::*;
    use oxrdf::NamedNodeRef;

    /// Requirement ENF-34: a mask lets through what it was made from, and what has several spellings.
    #[test]
    fn a_mask_narrows_a_query() {
        let turtle = "ex:a ex:p 1 . ex:b ex:p 2 . ex:c ex:p 3 .";
        let view = all(&index_of(&[Source::new("/a/d", 1, turtle)], 1));
        let meant = ["a", "c"].map(|name| format!("http://example.org/{name}"));
        let meant = meant.each_ref().map(|iri| [NamedNodeRef::new_unchecked(iri)]);
        let mask = Mask::of([3; 8], &meant).unwrap().to_text();
        let query = |asked: &str| {
            format!(
                "PREFIX ex: <http://example.org/> SELECT ?v {{ ?s ex:p ?v FILTER(<{FUNCTION}>('{mask}', {asked})) }} ORDER BY ?v"
            )
        };
        assert_eq!(lines(&view, &query("?s"), None), ["?v", "1", "3"]);
        assert_eq!(lines(&view, &query("?v"), None), ["?v", "1", "2", "3"]);
    }

    /// Requirements ENF-10, ENF-11: where only aggregates leave, a mask is a filter like another, and people are counted after it.
    #[test]
    fn people_are_counted_behind_a_mask() {
        let sources: Vec<_> = (1..=4)
            .map(|n| Source::new(&format!("/c{n}/d"), n, &format!("ex:m{n} ex:speed {n}0 .")))
            .collect();
        let view = all(&index_of(&sources, 1));
        let names = [1, 2, 3].map(|n| format!("http://example.org/m{n}"));
        let tuples = names.each_ref().map(|iri| [NamedNodeRef::new_unchecked(iri)]);
        let mask = Mask::of([5; 8], &tuples).unwrap().to_text();
        let query =
            format!("SELECT (SUM(?v) AS ?a) {{ ?m <http://example.org/speed> ?v FILTER(<{FUNCTION}>('{mask}', ?m)) }}");
        assert_eq!(lines(&view, &query, Some(3)), ["?a", "60"]);
        assert_eq!(lines(&view, &query, Some(4)), ["?a"]);
    }
}
