//! Invariant 7 (ENF-30): the answer over the scoped index equals the answer over the materialised permitted view, for
//! random documents, visible documents, hidden and permitted properties, changed values, replaced names, and queries over
//! every operator of SPARQL 1.1. `MEENT_VIEW_CASES` says on how many cases (`cargo xtask soak view`).
//!
//! The view is materialised in Oxigraph's own store where its literals are in canonical form, because that store
//! rewrites others, and always in a plain set of quads, which keeps every lexical form.

use oxigraph::sparql::SparqlEvaluator;
use oxigraph::store::Store;
use oxrdf::{Dataset, GraphNameRef, Literal, NamedNode, NamedOrBlankNode, QuadRef, Term, Triple};
use policies::treatment::PSEUDONYM_IRI;
use proptest::prelude::*;
use sparesults::{QueryResultsFormat, QueryResultsSerializer};
use spareval::{ExpressionTerm, QueryEvaluator, QueryResults};
use spargebra::SparqlParser;

use super::differential_queries::query;
use super::differential_view::{Policy, materialised, policy};
use super::evaluate::EvaluationFailure;
use super::harness::{BASE, Source, answer, index_of, numbers, sort_lines, view_of};
use super::{Predicates, QueryLimits, Treated};
use crate::origins::Origins;

pub(super) const PROLOGUE: &str = "PREFIX ex: <http://example.org/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> ";

/// Every operator at least once; answers must not depend on choices that the standard leaves open.
const QUERIES: &[&str] = &[
    "SELECT * { ?s ?p ?o }",
    "SELECT * { ?s ex:p0 ?o }",
    "SELECT * { ex:s1 ?p ?o }",
    "SELECT * { ?s ?p ex:s2 }",
    "SELECT * { ex:s1 ?p ex:s2 }",
    "SELECT * { ex:s1 ex:p0 ?o }",
    "SELECT * { ?s ex:p1 3 }",
    "SELECT * { ex:s0 ex:p1 ex:s1 }",
    "SELECT * { ?s ex:p0 ?o . ?o ex:p1 ?x }",
    "SELECT * { ?s ex:p0 ?o ; ex:p1 ?x ; ex:p2 ?y }",
    "SELECT * { ?s ex:p0 ?s }",
    "SELECT * { ?s ?p ?p }",
    "SELECT * { [] ex:p0 _:b . _:b ex:p1 ?o }",
    "SELECT ?s { ?s a ex:C }",
    "SELECT DISTINCT ?p { ?s ?p ?o }",
    "SELECT REDUCED ?p { ?s ?p ?o } GROUP BY ?p",
    "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
    "SELECT (COUNT(DISTINCT ?s) AS ?n) (COUNT(?o) AS ?m) { ?s ex:p1 ?o }",
    "SELECT ?p (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?p",
    "SELECT ?p (SUM(?o) AS ?n) (AVG(?o) AS ?a) { ?s ?p ?o FILTER(isNumeric(?o)) } GROUP BY ?p",
    "SELECT ?s (MIN(?o) AS ?n) (MAX(?o) AS ?m) { ?s ex:p1 ?o FILTER(DATATYPE(?o) = xsd:integer) } GROUP BY ?s",
    "SELECT ?p (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?p HAVING(COUNT(*) > 2)",
    "SELECT (COUNT(*) AS ?n) { ?s ex:none ?o }",
    "SELECT ?p { ?s ex:none ?o } GROUP BY ?p",
    "SELECT (GROUP_CONCAT(?p; separator=',') AS ?all) { SELECT DISTINCT ?p { ?s ?p ?o } ORDER BY ?p LIMIT 1 }",
    "SELECT * { ?s ex:p0 ?o OPTIONAL { ?o ex:p1 ?x } }",
    "SELECT * { ?s ex:p0 ?o OPTIONAL { ?o ex:p1 ?x FILTER(?x != ?s) } }",
    "SELECT * { ?s ex:p0 ?o OPTIONAL { ?s ex:p1 ?x OPTIONAL { ?x ex:p2 ?y } } }",
    "SELECT * { OPTIONAL { ex:s1 ex:p0 ?o } OPTIONAL { ex:s1 ex:p1 ?o } }",
    "SELECT * { { ?s ex:p0 ?o } UNION { ?s ex:p1 ?o } }",
    "SELECT * { { ?s ex:p0 ?o } UNION { ?o ex:p1 ?x } ?o ?p ?z }",
    "SELECT * { ?s ex:p0 ?o MINUS { ?s ex:p1 ?x } }",
    "SELECT * { ?s ex:p0 ?o MINUS { ?x ex:p1 ?y } }",
    "SELECT * { ?s ex:p0 ?o FILTER EXISTS { ?s ex:p1 ?x } }",
    "SELECT * { ?s ex:p0 ?o FILTER NOT EXISTS { ?o ?p ?x } }",
    "SELECT * { ?s ?p ?o FILTER(?o > 2 && ?o < 5) }",
    "SELECT * { ?s ?p ?o FILTER(?o = 2) }",
    "SELECT * { ?s ?p ?o FILTER(sameTerm(?o, 2)) }",
    "SELECT * { ?s ?p ?o FILTER(?o IN (1, 'a', ex:s1)) }",
    "SELECT * { ?s ?p ?o FILTER(?o NOT IN (1, 'a')) }",
    "SELECT * { ?s ?p ?o FILTER(LANG(?o) = 'nl' || isBlank(?o)) }",
    "SELECT * { ?s ?p ?o FILTER(STRSTARTS(STR(?s), STR(ex:))) }",
    "SELECT * { ?s ?p ?o FILTER(?o > '2022-03-01T07:00:00Z'^^xsd:dateTime) }",
    "SELECT ?s ?h { ?s ex:p3 ?o BIND(HOURS(?o) AS ?h) }",
    "SELECT ?h (COUNT(*) AS ?n) { ?s ex:p3 ?o } GROUP BY (HOURS(?o) AS ?h)",
    "SELECT (COALESCE(?x, 'none') AS ?y) ?s { ?s ex:p0 ?o OPTIONAL { ?o ex:p1 ?x } }",
    "SELECT (IF(isLiteral(?o), DATATYPE(?o), ?o) AS ?y) { ?s ex:p1 ?o }",
    "SELECT (CONCAT(STR(?s), '-', STR(?o)) AS ?y) { ?s ex:p1 ?o }",
    "SELECT (STRLEN(STR(?o)) AS ?y) (UCASE(STR(?o)) AS ?z) { ?s ex:p2 ?o }",
    "SELECT (?o + 1 AS ?y) (?o * 2.5 AS ?z) { ?s ?p ?o }",
    "SELECT (xsd:string(?o) AS ?y) { ?s ?p ?o } ",
    "SELECT (ex:s1 = ?s AS ?y) { ?s ?p ?o } ",
    "SELECT * { ?s ex:p0+ ?o }",
    "SELECT * { ex:s0 ex:p0* ?o }",
    "SELECT * { ?s ex:p0? ex:s1 }",
    "SELECT * { ?s (ex:p0|ex:p1) ?o }",
    "SELECT * { ?s ex:p0/ex:p1 ?o }",
    "SELECT * { ?s ^ex:p0 ?o }",
    "SELECT * { ?s !(ex:p0|ex:p1) ?o }",
    "SELECT * { ?s !(ex:p0|^ex:p1) ?o }",
    "SELECT * { ?s (ex:p0/^ex:p1)+ ?o }",
    "SELECT * { VALUES ?s { ex:s0 ex:s1 } ?s ?p ?o }",
    "SELECT * { VALUES (?s ?o) { (ex:s0 UNDEF) (UNDEF 3) } ?s ?p ?o }",
    "SELECT * { ?s ex:p0 ?o } VALUES ?o { ex:s1 ex:s2 ex:s2 }",
    "SELECT ?s ?o { ?s ex:p1 ?o } ORDER BY ?s STR(?o) DATATYPE(?o) LANG(?o)",
    "SELECT DISTINCT ?s { ?s ?p ?o FILTER(isIRI(?s)) } ORDER BY DESC(?s) LIMIT 2 OFFSET 1",
    "SELECT ?s ?n { ?s ex:p0 ?x { SELECT ?s (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?s } }",
    "SELECT * { GRAPH ?g { ?s ?p ?o } }",
    "SELECT * { GRAPH ?g { ?s ex:p0 ?o } ?o ex:p1 ?x }",
    "SELECT * { GRAPH ?g { ?s ex:p0 ?o . ?s ex:p1 ?x } }",
    "SELECT ?g { GRAPH ?g {} }",
    "SELECT * { GRAPH <https://pod.example/a/d0> { ?s ?p ?o } }",
    "SELECT * { GRAPH <https://pod.example/a/d0> { ?s ex:p0 ?o . ?o ?q ?x } }",
    "SELECT * { GRAPH <https://pod.example/a/d1> { ?s ex:p0+ ?o } }",
    "SELECT * { GRAPH <https://pod.example/none> { ?s ?p ?o } }",
    "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g",
    "SELECT * FROM <https://pod.example/a/d0> FROM <https://pod.example/a/d1> { ?s ?p ?o }",
    "SELECT * FROM NAMED <https://pod.example/a/d1> { GRAPH ?g { ?s ?p ?o } }",
    "SELECT * FROM <https://pod.example/a/d0> FROM NAMED <https://pod.example/a/d1> { ?s ex:p0 ?o GRAPH ?g { ?s ?p ?x } }",
    "SELECT (COUNT(*) AS ?n) FROM <https://pod.example/a/d0> FROM <https://pod.example/a/d1> { ?s ex:p0 ?o . ?o ?p ?x }",
    "ASK { ?s ex:p0 ex:s1 }",
    "ASK { ?s ex:p0 ?o . ?o ex:p0 ?s }",
    "CONSTRUCT { ?o ex:back ?s } { ?s ex:p0 ?o FILTER(isIRI(?o)) }",
    "CONSTRUCT WHERE { ?s ex:p1 ?o }",
    "DESCRIBE ex:s1",
    "DESCRIBE ?s { ?s ex:p0 ex:s1 }",
];

fn subject() -> impl Strategy<Value = NamedOrBlankNode> {
    prop_oneof![
        5 => (0..5_u8).prop_map(|n| NamedOrBlankNode::from(NamedNode::new(format!("http://example.org/s{n}")).unwrap())),
        1 => (0..2_u8).prop_map(|n| NamedOrBlankNode::from(oxrdf::BlankNode::new(format!("b{n}")).unwrap())),
        2 => (0..2_u8).prop_map(|n| NamedOrBlankNode::from(NamedNode::new(format!("{BASE}/a/d{n}#it")).unwrap())),
        1 => Just(NamedOrBlankNode::from(NamedNode::new(format!("{PSEUDONYM_IRI}00")).unwrap())),
    ]
}

fn object() -> impl Strategy<Value = Term> {
    let xsd = |local: &str| NamedNode::new(format!("http://www.w3.org/2001/XMLSchema#{local}")).unwrap();
    let typed = move |(value, datatype): (&str, &str)| Term::from(Literal::new_typed_literal(value, xsd(datatype)));
    prop_oneof![
        4 => subject().prop_map(Term::from),
        3 => (0..6_i64).prop_map(|n| Term::from(Literal::from(n))),
        2 => prop::sample::select(vec![
            ("01", "integer"), ("1.5", "decimal"), ("1.50", "decimal"), ("2.5E0", "double"), ("x", "integer"),
            ("true", "boolean"), ("1", "boolean"), ("2022-03-01T08:00:00+01:00", "dateTime"),
            ("2022-03-01T07:00:00Z", "dateTime"), ("2022-03-01T09:30:00", "dateTime"), ("2022-03-01", "date"),
            ("2022-01-01", "date"), ("2022-01-01T00:00:00Z", "dateTime"), ("4", "integer"), ("2", "integer"),
        ]).prop_map(typed),
        1 => prop::sample::select(vec!["", "a", "A b", "ë\"\\\n"]).prop_map(|text| Literal::from(text).into()),
        1 => prop::sample::select(vec!["nl", "en"]).prop_map(|tag| {
            Literal::new_language_tagged_literal("a", tag).unwrap().into()
        }),
    ]
}

fn triple() -> impl Strategy<Value = Triple> {
    let predicate = prop::sample::select(vec!["p0", "p0", "p1", "p2", "p3"])
        .prop_map(|p| NamedNode::new(format!("http://example.org/{p}")).unwrap());
    prop_oneof![
        8 => (subject(), predicate, object()).prop_map(|(s, p, o)| Triple::new(s, p, o)),
        1 => subject().prop_map(|s| Triple::new(
            s,
            oxrdf::vocab::rdf::TYPE,
            NamedNode::new("http://example.org/C").unwrap(),
        )),
    ]
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    prop::collection::vec(prop::collection::vec(triple(), 0..14), 1..6).prop_map(|documents| {
        let source = |(number, triples)| Source {
            path: format!("/a/d{number}"),
            storage: 1,
            triples,
        };
        documents.into_iter().enumerate().map(source).collect()
    })
}

/// The same view with the merge of some graphs as its default graph: what `FROM` asks for. The other engines put the
/// graphs of several `FROM` side by side and count doubles.
fn merged(view: &Dataset, graphs: &[&str]) -> Dataset {
    let mut out = Dataset::new();
    for quad in view {
        let GraphNameRef::NamedNode(name) = quad.graph_name else {
            continue;
        };
        out.insert(quad);
        if graphs.contains(&name.as_str()) {
            out.insert(QuadRef::new(
                quad.subject,
                quad.predicate,
                quad.object,
                GraphNameRef::DefaultGraph,
            ));
        }
    }
    out
}

fn is_canonical(view: &Dataset) -> bool {
    view.iter().all(|quad| {
        let term = quad.object.into_owned();
        Term::from(ExpressionTerm::from(term.clone())) == term
    })
}

fn text(results: QueryResults<'_>, query: &str) -> Vec<String> {
    let tsv = QueryResultsSerializer::from_format(QueryResultsFormat::Tsv);
    let bytes = match results {
        QueryResults::Solutions(solutions) => {
            let mut writer = tsv
                .serialize_solutions_to_writer(Vec::new(), solutions.variables().to_vec())
                .unwrap();
            for solution in solutions {
                writer.serialize(&solution.unwrap()).unwrap();
            }
            writer.finish().unwrap()
        }
        QueryResults::Boolean(value) => tsv.serialize_boolean_to_writer(Vec::new(), value).unwrap(),
        QueryResults::Graph(triples) => {
            let lines: Vec<String> = triples.map(|triple| format!("{} .\n", triple.unwrap())).collect();
            lines.concat().into_bytes()
        }
    };
    sort_lines(&String::from_utf8(bytes).unwrap(), query)
}

fn by_quads(view: &Dataset, query: &str) -> Vec<String> {
    let query_text = query;
    let query = SparqlParser::new().parse_query(query).unwrap();
    text(QueryEvaluator::new().prepare(&query).execute(view).unwrap(), query_text)
}

fn by_store(view: &Dataset, query: &str) -> Vec<String> {
    let store = Store::new().unwrap();
    store.extend(view.iter().map(QuadRef::into_owned)).unwrap();
    text(
        SparqlEvaluator::new()
            .parse_query(query)
            .unwrap()
            .on_store(&store)
            .execute()
            .unwrap(),
        query,
    )
}

/// A query without its `FROM` clauses, and the graphs of those.
fn without_from(query: &str) -> (String, Vec<&str>) {
    let graphs = query
        .split("FROM <")
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .collect();
    let kept = query.split("FROM <").enumerate().map(|(number, part)| match number {
        0 => part,
        _ => part.split_once('>').map_or("", |(_, rest)| rest),
    });
    (kept.collect(), graphs)
}

fn compare(sources: &[Source], steps: usize, policy: &Policy, queries: &[&str]) {
    let index = index_of(sources, steps);
    let numbers = numbers(&index, sources);
    let documents = numbers
        .iter()
        .enumerate()
        .filter(|(place, _)| policy.visible >> place & 1 == 1);
    let (permitted, hidden) = (policy.permitted.clone(), policy.hidden.iter().copied());
    let predicates = Predicates::from_iris(&index.snapshot(), permitted, hidden);
    let view = view_of(&index, documents.map(|(_, number)| *number), predicates)
        .treated_by(|view| Treated::new(&policy.treatment, policy.key(), &Origins::new(BASE), None, view));
    let (view_quads, names) = materialised(sources, &numbers, policy);
    let limits = QueryLimits {
        scanned_max: 500_000,
        copies_max: 5_000_000,
        ..QueryLimits::default()
    };
    for query in queries {
        let mut wordings = vec![format!("{PROLOGUE}{query}")];
        // Asked with the codes in place of the names.
        let coded = names.in_query(query);
        if coded != *query {
            wordings.push(format!("{PROLOGUE}{coded}"));
        }
        for query in wordings {
            let answer = match answer(&view, &query, None, &limits) {
                Ok((bytes, _)) => sort_lines(&String::from_utf8(bytes).unwrap(), &query),
                // A product that is too large to be worth comparing.
                Err(EvaluationFailure::Scanned(_) | EvaluationFailure::Work(_)) => continue,
                Err(failure) => panic!("{query}: {failure}"),
            };
            let (plain, graphs) = without_from(&query);
            // FROM NAMED alone leaves the default graph empty; the standard's dataset then has no other named graph.
            let quads = if graphs.is_empty() {
                view_quads.clone()
            } else {
                merged(&view_quads, &graphs)
            };
            let plain = if graphs.is_empty() || !query.contains("FROM NAMED") {
                plain
            } else {
                query.clone()
            };
            if query.contains("FROM NAMED") && !graphs.is_empty() {
                // One FROM graph only: side by side and merged are the same.
                assert_eq!(answer, by_quads(&quads, &query), "{query}");
                continue;
            }
            assert_eq!(answer, by_quads(&quads, &plain), "{query}");
            if is_canonical(&quads) {
                assert_eq!(answer, by_store(&quads, &plain), "{query}");
            }
        }
    }
}

/// How many random cases, and a share of it.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("MEENT_VIEW_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(usual),
        max_local_rejects: u32::MAX,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Requirements ENF-7, ENF-8, ENF-13, ENF-14, ENF-30, ENF-31.
    #[test]
    fn every_operator_answers_as_if_only_the_permitted_view_existed(
        sources in sources(),
        steps in 1..4_usize,
        policy in policy(),
    ) {
        compare(&sources, steps, &policy, QUERIES);
    }

    #[test]
    fn generated_joins_answer_as_if_only_the_permitted_view_existed(
        sources in sources(),
        policy in policy(),
        patterns in prop::collection::vec((0..6_usize, 0..6_usize, 0..7_usize, any::<bool>()), 1..5),
        wrap in 0..4_u8,
    ) {
        let subject = ["?a", "?b", "?c", "ex:s0", "ex:s1", "_:n"];
        let predicate = ["ex:p0", "ex:p1", "ex:p2", "ex:p0", "?p", "?q"];
        let object = ["?a", "?b", "?c", "?d", "ex:s1", "2", "_:n"];
        let text: Vec<String> = patterns
            .iter()
            .map(|(s, p, o, _)| format!("{} {} {} .", subject[*s], predicate[*p], object[*o]))
            .collect();
        let body = text.join(" ");
        let (first, rest) = text.split_first().unwrap();
        let rest = rest.join(" ").replace("_:n", "?n");
        let query = match wrap {
            0 => format!("SELECT * {{ {body} }}"),
            1 => format!("SELECT * {{ {first} OPTIONAL {{ {rest} }} }}"),
            2 => format!("SELECT * {{ GRAPH ?g {{ {body} }} }}"),
            _ => format!("SELECT (COUNT(*) AS ?n) {{ {body} FILTER(?a != ?b || !BOUND(?c)) }}"),
        };
        compare(&sources, 2, &policy, &[&query]);
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// Requirements ENF-30, ENF-31.
    #[test]
    fn generated_queries_answer_as_if_only_the_permitted_view_existed(
        sources in sources(),
        steps in 1..4_usize,
        policy in policy(),
        queries in prop::collection::vec(query(), 1..4),
    ) {
        let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
        compare(&sources, steps, &policy, &queries);
    }
}
