//! The duty of aggregates over at least *k* data subjects, and the bounds of an evaluation.

use std::time::{Duration, Instant};

use server_kit::results::Format;
use sparesults::QueryResultsFormat;
use spareval::CancellationToken;

use super::evaluate::{EvaluationFailure, QueryPlan, evaluate, grouping};
use super::harness::{BASE, Gathered, Source, all, answer, index_of, lines};
use super::parse::parse;
use super::{QueryLimits, View};

const PREFIX: &str = "PREFIX ex: <http://example.org/> ";

/// Seven citizens with a sensor each: five in Kerkstraat (one of them twice), two in Veldstraat. Every document says
/// what its street is called. A document of the city tells the district of both streets.
fn sensors() -> Vec<Source> {
    let mut sources = Vec::new();
    for citizen in 1..=7_i64 {
        let street = if citizen <= 5 { "kerkstraat" } else { "veldstraat" };
        let speed = citizen * 10;
        let mut turtle = format!(
            "ex:sensor{citizen} ex:street ex:{street} ; ex:of ex:person{citizen} . ex:{street} ex:name '{street}' .
             ex:m{citizen} ex:by ex:sensor{citizen} ; ex:speed {speed} ; ex:at '2022-03-0{citizen}T08:00:00Z'^^xsd:dateTime ."
        );
        if citizen == 1 {
            turtle.push_str("ex:m1b ex:by ex:sensor1 ; ex:speed 60 ; ex:at '2022-03-02T08:30:00Z'^^xsd:dateTime .");
        }
        sources.push(Source::new(&format!("/c{citizen}/telraam/d"), citizen, &turtle));
    }
    sources.push(Source::new(
        "/stad/d",
        100,
        "ex:kerkstraat ex:district ex:centrum . ex:veldstraat ex:district ex:centrum .",
    ));
    sources
}

fn view() -> std::sync::Arc<View> {
    all(&index_of(&sensors(), 3))
}

/// Requirements ENF-11, T91: groups of too few people, and of nobody, do not appear, and what is done with groups is done
/// after that.
#[test]
fn enf_11_small_groups_do_not_appear() {
    let view = view();
    for (query, least, expected) in [
        (
            "SELECT ?street (AVG(?v) AS ?a) { ?m ex:by ?s ; ex:speed ?v . ?s ex:street ?street } GROUP BY ?street",
            5,
            vec![
                "?street\t?a",
                "<http://example.org/kerkstraat>\t\"35\"^^<http://www.w3.org/2001/XMLSchema#decimal>",
            ],
        ),
        (
            "SELECT ?street (COUNT(?v) AS ?n) { ?m ex:by ?s ; ex:speed ?v . ?s ex:street ?street } GROUP BY ?street",
            2,
            vec![
                "?street\t?n",
                "<http://example.org/kerkstraat>\t6",
                "<http://example.org/veldstraat>\t2",
            ],
        ),
        // The name of the street stands in every citizen's document: it counts for all of them, and once per street.
        (
            "SELECT ?n (SUM(?v) AS ?a) { ?m ex:by ?s ; ex:speed ?v . ?s ex:street ?t . ?t ex:name ?n } GROUP BY ?n",
            5,
            vec!["?n\t?a", "\"kerkstraat\"\t210"],
        ),
        // Total population of seven.
        ("SELECT (SUM(?v) AS ?a) { ?m ex:speed ?v }", 7, vec!["?a", "340"]),
        ("SELECT (SUM(?v) AS ?a) { ?m ex:speed ?v }", 8, vec!["?a"]),
        // Nobody at all is a small group as well.
        ("SELECT (COUNT(*) AS ?n) { ?m ex:none ?v }", 5, vec!["?n"]),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v FILTER(?v > 1000) }",
            1,
            vec!["?n"],
        ),
        // The filter comes before the count of persons, HAVING, ORDER BY and LIMIT after it.
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v FILTER(?v > 40) }",
            4,
            vec!["?n", "4"],
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v FILTER(?v > 40) }",
            5,
            vec!["?n"],
        ),
        (
            "SELECT ?street (AVG(?v) AS ?a) { ?m ex:by ?s ; ex:speed ?v . ?s ex:street ?street } GROUP BY ?street ORDER BY DESC(?a) LIMIT 1",
            5,
            vec![
                "?street\t?a",
                "<http://example.org/kerkstraat>\t\"35\"^^<http://www.w3.org/2001/XMLSchema#decimal>",
            ],
        ),
        (
            "SELECT ?street { ?m ex:by ?s ; ex:speed ?v . ?s ex:street ?street } GROUP BY ?street HAVING(AVG(?v) > 60)",
            5,
            vec!["?street"],
        ),
        // A key that names persons has groups of one.
        (
            "SELECT ?s (AVG(?v) AS ?a) { ?m ex:by ?s ; ex:speed ?v } GROUP BY ?s",
            2,
            vec!["?s\t?a"],
        ),
        // One person's triple beside everybody's: each pattern counts for itself.
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v . ex:sensor1 ex:street ?t . ?s ex:street ?t . ?m ex:by ?s }",
            2,
            vec!["?n"],
        ),
        (
            "SELECT (SUM(?v) AS ?a) { ?m ex:speed ?v . ?m ex:by ex:sensor1 }",
            2,
            vec!["?a"],
        ),
        (
            "SELECT (SUM(?v) AS ?a) { VALUES ?s { ex:sensor1 } ?m ex:speed ?v . ?m ex:by ?s }",
            2,
            vec!["?a"],
        ),
        // The city's document has one data subject: joined with it, everything counts as one.
        (
            "SELECT (SUM(?v) AS ?a) { ?m ex:speed ?v ; ex:by ?s . ?s ex:street ?t . ?t ex:district ?d }",
            2,
            vec!["?a"],
        ),
        // Keys that are computed, blank nodes, sequence paths.
        (
            "SELECT ?h (COUNT(*) AS ?n) { ?m ex:at ?t ; ex:speed ?v } GROUP BY (HOURS(?t) AS ?h)",
            5,
            vec!["?h\t?n", "8\t8"],
        ),
        (
            "SELECT (COUNT(*) AS ?n) { [] ex:by [ ex:street ?t ] }",
            7,
            vec!["?n", "8"],
        ),
        (
            "SELECT ?t (COUNT(*) AS ?n) { ?m ex:by/ex:street ?t } GROUP BY ?t",
            5,
            vec!["?t\t?n", "<http://example.org/kerkstraat>\t6"],
        ),
    ] {
        assert_eq!(
            lines(&view, &format!("{PREFIX}{query}"), Some(least)),
            expected,
            "{query} k = {least}"
        );
    }
}

#[test]
fn enf_11_a_triple_of_several_storages_counts_for_each() {
    let sources: Vec<_> = (1..=6)
        .map(|n| {
            Source::new(
                &format!("/c{n}/d"),
                if n == 6 { 1 } else { n },
                "ex:street ex:name 'x' ; ex:noise 3 .",
            )
        })
        .collect();
    let view = all(&index_of(&sources, 4));
    let query = format!("{PREFIX}SELECT (SUM(?v) AS ?a) (COUNT(*) AS ?n) {{ ?s ex:noise ?v ; ex:name ?x }}");
    assert_eq!(
        lines(&view, &query, Some(5)),
        ["?a\t?n", "3\t1"],
        "merged: one row, five persons"
    );
    assert_eq!(
        lines(&view, &query, Some(6)),
        ["?a\t?n"],
        "two documents of one storage are one person"
    );
}

/// Requirements ENF-10, T96.
#[test]
fn enf_10_other_forms_are_refused_by_name() {
    for (query, clause) in [
        ("SELECT * { ?m ex:speed ?v }", "SELECT without aggregates"),
        ("SELECT DISTINCT ?v { ?m ex:speed ?v }", "SELECT without aggregates"),
        ("ASK { ex:m1 ex:speed ?v }", "ASK"),
        ("CONSTRUCT WHERE { ?m ex:speed ?v }", "CONSTRUCT"),
        ("DESCRIBE ex:m1", "DESCRIBE"),
        ("SELECT (MIN(?v) AS ?x) { ?m ex:speed ?v }", "MIN"),
        ("SELECT (MAX(?v) AS ?x) { ?m ex:speed ?v }", "MAX"),
        ("SELECT (SAMPLE(?v) AS ?x) { ?m ex:speed ?v }", "SAMPLE"),
        ("SELECT (GROUP_CONCAT(?v) AS ?x) { ?m ex:speed ?v }", "GROUP_CONCAT"),
        (
            "SELECT (SUM(IF(?m = ex:m1, ?v, 0)) AS ?x) { ?m ex:speed ?v }",
            "SUM(IF(",
        ),
        (
            "SELECT (SUM(?w) AS ?x) { ?m ex:speed ?v BIND(?v * 2 AS ?w) }",
            "SUM(?w)",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v OPTIONAL { ?m ex:by ?s } }",
            "OPTIONAL",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { { ?m ex:speed ?v } UNION { ex:m1 ex:speed ?v } }",
            "UNION",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v MINUS { ?m ex:by ex:sensor1 } }",
            "MINUS",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v FILTER EXISTS { ex:m1 ex:speed 10 } }",
            "EXISTS",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v } HAVING(EXISTS { ex:m1 ex:speed 10 })",
            "EXISTS",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?m ex:speed ?v } } GROUP BY ?g",
            "GRAPH",
        ),
        ("SELECT (COUNT(*) AS ?n) FROM <http://a/> { ?m ex:speed ?v }", "FROM"),
        ("SELECT (COUNT(*) AS ?n) { ?m (ex:by|ex:speed)* ?v }", "a property path"),
        (
            "SELECT (COUNT(*) AS ?n) { { SELECT ?v { ?m ex:speed ?v } } }",
            "a sub-select",
        ),
        (
            "SELECT ?v { { SELECT ?v (COUNT(*) AS ?n) { ?m ex:speed ?v } GROUP BY ?v } ?m ex:speed ?v }",
            "a join",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v . ?s ex:street ?t }",
            "a product of unconnected patterns",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { VALUES ?m { ex:m1 ex:m1 ex:m2 } ?m ex:speed ?v }",
            "VALUES",
        ),
        // A text that grows too long, or does not: one bit about one person, whatever the size of groups (T96).
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v BIND(IF(?m = ex:m1 && ?v > 5, CONCAT(STR(?m), STR(?m)), '') AS ?x) }",
            "CONCAT",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v FILTER(STRLEN(REPLACE(STR(?v), '.', '$0$0$0')) > 0) }",
            "REPLACE",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { ?m ex:speed ?v } HAVING(STRLEN(ENCODE_FOR_URI(STR(COUNT(?v)))) > 0)",
            "ENCODE_FOR_URI",
        ),
        (
            "SELECT (SUM(?w) AS ?n) { VALUES (?m ?w) { (ex:m1 1) (ex:m2 100) } ?m ex:speed ?v }",
            "VALUES",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { VALUES ?i { 1 2 } ?m ex:speed ?v FILTER(?i = 1 || ?m = ex:m1) }",
            "VALUES ?i",
        ),
        (
            "SELECT (COUNT(*) AS ?n) { VALUES ?m { ex:m1 } }",
            "a pattern without triples",
        ),
    ] {
        let parsed = parse(&format!("{PREFIX}{query}"), BASE, &QueryLimits::default()).unwrap();
        let rejection = grouping(&parsed, 5).unwrap_err().to_string();
        assert!(rejection.contains(&format!("`{clause}")), "{query}: {rejection}");
    }
}

fn product() -> std::sync::Arc<View> {
    let turtle: String = (0..3_000)
        .map(|n| format!("ex:s{n} ex:p {n} ; ex:q ex:s{} . ", n / 2))
        .collect();
    all(&index_of(&[Source::new("/a/d", 1, &turtle)], 1))
}

#[test]
fn t73_t74_budgets_end_an_evaluation_with_a_reason() {
    let view = product();
    let limits = QueryLimits {
        rows_max: 1_000,
        scanned_max: 100_000,
        ..QueryLimits::default()
    };
    let fail = |query: &str| answer(&view, &format!("{PREFIX}{query}"), None, &limits).unwrap_err();
    assert!(matches!(fail("SELECT * { ?s ?p ?o }"), EvaluationFailure::Rows(1_000)));
    assert!(matches!(
        fail("CONSTRUCT WHERE { ?s ?p ?o }"),
        EvaluationFailure::Rows(1_000)
    ));
    for query in [
        "SELECT (COUNT(*) AS ?n) { ?a ex:p ?b . ?c ex:p ?d }",
        "SELECT (COUNT(*) AS ?n) { ?a ex:p ?b . ?c ex:p ?d FILTER(?b > ?d) }",
        "ASK { ?a ex:p ?b . ?c ex:p ?d . FILTER(?b + ?d < 0) }",
        "SELECT ?a { ?a ex:p ?b FILTER NOT EXISTS { ?c ex:p ?d FILTER(?d > ?b + 100000) } }",
    ] {
        let failure = fail(query);
        assert!(
            matches!(failure, EvaluationFailure::Scanned(100_000)),
            "{query}: {failure}"
        );
    }
}

#[test]
fn t73_work_on_what_was_read_is_counted() {
    let view = product();
    let limits = QueryLimits {
        copies_max: 2_000_000,
        literal_bytes_max: 100_000,
        ..QueryLimits::default()
    };
    let fail = |query: &str| answer(&view, &format!("{PREFIX}{query}"), None, &limits).unwrap_err();
    let many: String = (0..3_000).map(|n| format!("{n} ")).collect();
    for query in [
        "SELECT (COUNT(*) AS ?n) { ?a (ex:q|ex:p)* ?b . ?c (ex:q|^ex:q)* ?d }".to_owned(),
        "SELECT (COUNT(*) AS ?n) { { SELECT * { ?a ex:p ?b } ORDER BY ?b } { SELECT * { ?c ex:p ?d } ORDER BY ?d } }"
            .to_owned(),
        format!(
            "SELECT (COUNT(*) AS ?n) {{ {{ VALUES ?a {{ {many} }} }} {{ {{ VALUES ?b {{ {many} }} }} OPTIONAL {{ VALUES ?c {{ {many} }} }} }} }}"
        ),
    ] {
        let failure = fail(&query);
        assert!(
            matches!(failure, EvaluationFailure::Work(2_000_000)),
            "{query}: {failure}"
        );
    }
    let doubling: String = (0..60)
        .map(|n| format!("BIND(CONCAT(?x{n}, ?x{n}) AS ?x{}) ", n + 1))
        .collect();
    let failure = fail(&format!("SELECT * {{ BIND('abc' AS ?x0) {doubling} }}"));
    assert!(matches!(failure, EvaluationFailure::Literal(100_000)), "{failure}");
}

/// Far beyond what stopping takes on a machine that is busy with other things: only what hangs reaches it.
const HANGS: Duration = Duration::from_secs(60);

#[test]
fn t73_a_stopped_evaluation_ends_soon() {
    let view = product();
    let limits = QueryLimits::default();
    for query in [
        "SELECT (COUNT(*) AS ?n) { ?a ex:p ?b . ?c ex:p ?d . ?e ex:p ?f FILTER(?b > ?d) }",
        "SELECT * { ?a ex:p ?b . ?c ex:p ?d . ?e ex:p ?f } ORDER BY ?b",
        "SELECT (GROUP_CONCAT(?b) AS ?x) { ?a ex:p ?b . ?c ex:p ?d . ?e ex:p ?f }",
        "SELECT * { { SELECT * { ?a ex:p ?b } } { SELECT * { ?c ex:p ?d } } { SELECT * { ?e ex:p ?f } } }",
        "SELECT (COUNT(*) AS ?n) { ?a (ex:q|^ex:q)* ?b . ?c (ex:q|^ex:q)* ?d }",
        "SELECT (COUNT(*) AS ?n) { { SELECT * { ?a ex:p ?b } ORDER BY ?b } { SELECT * { ?c ex:p ?d } ORDER BY ?d } { SELECT * { ?e ex:p ?f } ORDER BY ?f } }",
    ] {
        let token = CancellationToken::new();
        let stopper = token.clone();
        let timer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            stopper.cancel();
        });
        let parsed = parse(&format!("{PREFIX}{query}"), BASE, &limits).unwrap();
        let plan = QueryPlan::new(parsed, &view);
        let started = Instant::now();
        let format = Format::Rows(QueryResultsFormat::Csv).into();
        let mut sink = Gathered::default();
        let many_rows = QueryLimits {
            rows_max: u64::MAX,
            scanned_max: u64::MAX,
            copies_max: u64::MAX,
            ..limits.clone()
        };
        let failure = evaluate(&plan, &view, &format, &many_rows, &token, &mut sink).unwrap_err();
        assert!(matches!(failure, EvaluationFailure::Stopped), "{query}: {failure}");
        assert!(started.elapsed() < HANGS, "{query}: {:?}", started.elapsed());
        timer.join().unwrap();
    }
}
