//! RDF documents, patches and queries.

use std::collections::HashSet;

use oxrdf::Quad;
use pod_server::http::media_type::Syntax;
use pod_server::ldp::document::{self, Bounds, Document};
use pod_server::ldp::patch::{self, Patch};
use pod_server::query::limits::QueryLimits;
use pod_server::query::parse;

const BASE: &str = "https://pod.example/gent/a";
const BOUNDS: Bounds = Bounds { nesting_max: 64 };
/// Enough for the seeds; a pattern that needs more is refused.
const STEPS_MAX: u64 = 20_000;

/// `text/turtle`.
pub fn turtle(bytes: &[u8]) {
    survives_writing(bytes, Syntax::Turtle, Syntax::JsonLd);
}

/// `application/ld+json`.
pub fn json_ld(bytes: &[u8]) {
    survives_writing(bytes, Syntax::JsonLd, Syntax::Turtle);
}

/// What was read and written in the other syntax says as much as before, and can be read again.
fn survives_writing(bytes: &[u8], syntax: Syntax, other: Syntax) {
    let checked = document::check(bytes, syntax, BASE, BOUNDS).is_ok();
    let Ok(first) = document::parse(bytes, syntax, BASE, BOUNDS) else {
        assert!(!checked, "what the check accepts must be readable");
        return;
    };
    assert!(checked, "what is readable must pass the check");
    let Ok(written) = first.write(other) else {
        return;
    };
    match document::parse(&written, other, BASE, BOUNDS) {
        Ok(second) => {
            assert_eq!(distinct(&first), distinct(&second), "statements were lost or invented");
            assert_eq!(
                without_blank_nodes(&first),
                without_blank_nodes(&second),
                "statements were changed"
            );
        }
        Err(error) => panic!(
            "what was written cannot be read: {error}\n{}",
            String::from_utf8_lossy(&written)
        ),
    }
}

fn distinct(document: &Document) -> usize {
    document.quads.iter().collect::<HashSet<_>>().len()
}

fn without_blank_nodes(document: &Document) -> HashSet<&Quad> {
    let named = |quad: &&Quad| !quad.subject.is_blank_node() && !quad.to_string().contains("_:");
    document.quads.iter().filter(named).collect()
}

/// `text/n3`.
pub fn n3_patch(bytes: &[u8]) {
    if let Ok(patch) = patch::parse_n3(bytes, BASE, BOUNDS.nesting_max) {
        applies(&patch);
    }
}

/// `application/sparql-update`.
pub fn sparql_update(bytes: &[u8]) {
    if let Ok(patch) = patch::parse_sparql(bytes, BASE, BOUNDS.nesting_max) {
        applies(&patch);
    }
}

/// A patch that changes nothing by its own account leaves the document as it is.
fn applies(patch: &Patch) {
    let text = b"@prefix : <#> . :a :b :c , [ :d :e ] . :f :b 'g' .";
    let Ok(before) = document::parse(text, Syntax::Turtle, BASE, BOUNDS) else {
        panic!("the document is well-formed")
    };
    let count = distinct(&before);
    if let Ok(after) = patch::apply(before, patch, STEPS_MAX) {
        let after = distinct(&after);
        assert!(
            patch.inserts() || after <= count,
            "a patch without insertions added something"
        );
        assert!(
            patch.deletes() || after >= count,
            "a patch without deletions removed something"
        );
    }
}

/// A SPARQL query.
pub fn sparql_query(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse::parse(text, BASE, &QueryLimits::default());
    }
}
