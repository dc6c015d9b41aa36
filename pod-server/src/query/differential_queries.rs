//! Random queries over every operator of SPARQL 1.1 whose answer the standard leaves no choice in.

use proptest::prelude::*;
use spargebra::SparqlParser;

use super::differential::PROLOGUE;

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned)
}

fn subject() -> impl Strategy<Value = String> {
    one_of(&[
        "?a",
        "?b",
        "?c",
        "?a",
        "?b",
        "ex:s0",
        "ex:s1",
        "<https://pod.example/a/d0#it>",
    ])
}

fn object() -> impl Strategy<Value = String> {
    one_of(&[
        "?a",
        "?b",
        "?c",
        "?d",
        "?a",
        "?d",
        "ex:s1",
        "ex:s2",
        "2",
        "4",
        "'a'",
        "'a'@nl",
        "<https://pod.example/a/d1#it>",
        "'2022-01-01'^^xsd:date",
        "'2022-01-01T00:00:00Z'^^xsd:dateTime",
    ])
}

fn path() -> impl Strategy<Value = String> {
    let leaf = one_of(&["ex:p0", "ex:p1", "ex:p2", "ex:p3", "a"]);
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}/{b})")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}|{b})")),
            1 => inner.clone().prop_map(|a| format!("(^{a})")),
            1 => inner.clone().prop_map(|a| format!("({a}?)")),
            1 => inner.prop_map(|a| format!("({a}+)")),
            1 => one_of(&["(ex:p0*)", "(!(ex:p0|ex:p1))", "(!(ex:p0|^ex:p1))"]),
        ]
    })
}

fn triple() -> impl Strategy<Value = String> {
    let predicate = prop_oneof![
        6 => one_of(&["ex:p0", "ex:p0", "ex:p1", "ex:p2", "ex:p3", "a", "?p", "?q"]),
        1 => path(),
    ];
    (subject(), predicate, object()).prop_map(|(s, p, o)| format!("{s} {p} {o} . "))
}

fn expression() -> impl Strategy<Value = String> {
    let variable = || one_of(&["?a", "?b", "?c", "?d", "?p"]);
    let leaf = prop_oneof![
        2 => (variable(), one_of(&["=", "!=", "<", ">="]), object()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => variable().prop_map(|a| format!("BOUND({a})")),
        1 => variable().prop_map(|a| format!("isIRI({a})")),
        1 => variable().prop_map(|a| format!("isNumeric({a})")),
        1 => variable().prop_map(|a| format!("(STRLEN(STR({a})) > 10)")),
        1 => variable().prop_map(|a| format!("(DATATYPE({a}) = xsd:integer)")),
        1 => (variable(), object()).prop_map(|(a, b)| format!("sameTerm({a}, {b})")),
        1 => variable().prop_map(|a| format!("({a} IN (2, ex:s1, 'a'))")),
        1 => variable().prop_map(|a| format!("(YEAR({a}) = 2022)")),
        1 => variable().prop_map(|a| format!("REGEX(STR({a}), '[0-4]')")),
        1 => triple().prop_map(|t| format!("EXISTS {{ {t} }}")),
        1 => triple().prop_map(|t| format!("NOT EXISTS {{ {t} }}")),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("(!{a})")),
        ]
    })
}

fn basic() -> impl Strategy<Value = String> {
    prop::collection::vec(triple(), 1..3).prop_map(|triples| triples.concat())
}

fn pattern() -> impl Strategy<Value = String> {
    basic().boxed().prop_recursive(3, 6, 2, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} OPTIONAL {{ {b} }} ")),
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{ {a} }} UNION {{ {b} }} ")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} MINUS {{ {b} }} ")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{ {a} }} {{ {b} }} ")),
            3 => (inner.clone(), expression()).prop_map(|(a, e)| format!("{a} FILTER({e}) ")),
            1 => inner.clone().prop_map(|a| format!("{{ {a} BIND(STR(?a) AS ?x) }} ")),
            1 => inner.clone().prop_map(|a| format!("{a} VALUES ?a {{ ex:s0 ex:s1 UNDEF }} ")),
            1 => basic().prop_map(|a| format!("GRAPH ?g {{ {a} }} ")),
            1 => basic().prop_map(|a| format!("GRAPH <https://pod.example/a/d0> {{ {a} }} ")),
            1 => inner.clone().prop_map(|a| format!("{{ SELECT DISTINCT ?a ?b {{ {a} }} }} ")),
            1 => inner.prop_map(|a| format!("{{ SELECT ?a (COUNT(*) AS ?n) {{ {a} }} GROUP BY ?a }} ")),
        ]
    })
}

/// A query as text, without its prologue.
pub(super) fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => pattern().prop_map(|p| format!("SELECT * {{ {p} }}")),
        2 => pattern().prop_map(|p| format!("SELECT DISTINCT ?a ?d {{ {p} }}")),
        2 => pattern().prop_map(|p| format!("SELECT (COUNT(*) AS ?n) (COUNT(DISTINCT ?a) AS ?m) {{ {p} }}")),
        2 => pattern().prop_map(|p| format!(
            "SELECT ?a (COUNT(?d) AS ?n) (SUM(?d) AS ?t) {{ {p} FILTER(!BOUND(?d) || DATATYPE(?d) = xsd:integer) }} GROUP BY ?a HAVING(COUNT(*) > 1)"
        )),
        1 => pattern().prop_map(|p| format!("ASK {{ {p} }}")),
        1 => pattern().prop_map(|p| format!("CONSTRUCT {{ ?a ex:knows ?b }} {{ {p} }}")),
        1 => basic().prop_map(|p| format!("DESCRIBE ?a {{ {p} }}")),
    ]
    // A variable that is bound twice is no query.
    .prop_filter("not a query", |query| {
        SparqlParser::new().parse_query(&format!("{PROLOGUE}{query}")).is_ok()
    })
}
