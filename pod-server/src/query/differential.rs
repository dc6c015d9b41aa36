//! Invariant 7 (ENF-30): the answer over the scoped index equals the answer over the materialised permitted view, for
//! random documents, visible documents, hidden and permitted properties, and queries over every operator of SPARQL 1.1.
//!
//! The view is materialised in Oxigraph's own store where its literals are in canonical form, because that store
//! rewrites others, and always in a plain set of quads, which keeps every lexical form.

use oxigraph::sparql::SparqlEvaluator;
use oxigraph::store::Store;
use oxrdf::{Dataset, GraphName, GraphNameRef, Literal, NamedNode, NamedOrBlankNode, QuadRef, Term, Triple};
use proptest::prelude::*;
use sparesults::{QueryResultsFormat, QueryResultsSerializer};
use spareval::{ExpressionTerm, QueryEvaluator, QueryResults};
use spargebra::SparqlParser;

use super::Predicates;
use super::harness::{Source, index_of, lines, numbers, relabelled, sort_lines, view_of};

const PROLOGUE: &str = "PREFIX ex: <http://example.org/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> ";

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

const PREDICATES: [&str; 5] = [
    "http://example.org/p0",
    "http://example.org/p1",
    "http://example.org/p2",
    "http://example.org/p3",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
];

fn choose(bits: u8) -> Vec<&'static str> {
    let chosen = PREDICATES
        .iter()
        .enumerate()
        .filter(|(place, _)| bits >> place & 1 == 1);
    chosen.map(|(_, iri)| *iri).collect()
}

/// The permitted view as quads; its default graph is the merge of the visible graphs.
fn materialised(sources: &[Source], numbers: &[u32], visible: u8, shows: &dyn Fn(&str) -> bool) -> Dataset {
    let mut view = Dataset::new();
    for (place, (source, number)) in sources.iter().zip(numbers).enumerate() {
        if visible >> place & 1 == 0 {
            continue;
        }
        for triple in relabelled(&source.triples, *number) {
            if shows(triple.predicate.as_str()) {
                view.insert(&triple.clone().in_graph(GraphName::DefaultGraph));
                view.insert(&triple.in_graph(source.graph()));
            }
        }
    }
    view
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

fn compare(sources: &[Source], steps: usize, visible: u8, hidden: u8, permitted: Option<u8>, queries: &[&str]) {
    let index = index_of(sources, steps);
    let numbers = numbers(&index, sources);
    let hidden = choose(hidden);
    let permitted = permitted.map(choose);
    let shows = |predicate: &str| {
        permitted
            .as_ref()
            .is_none_or(|permitted| permitted.contains(&predicate))
            && !hidden.contains(&predicate)
    };
    let documents = numbers
        .iter()
        .enumerate()
        .filter(|(place, _)| visible >> place & 1 == 1);
    let predicates = Predicates::from_iris(&index.snapshot(), permitted.clone(), hidden.iter().copied());
    let view = view_of(&index, documents.map(|(_, number)| *number), predicates);
    let quads = materialised(sources, &numbers, visible, &shows);
    for query in queries {
        let query = format!("{PROLOGUE}{query}");
        let answer = lines(&view, &query, None);
        let (plain, graphs) = without_from(&query);
        // FROM NAMED alone leaves the default graph empty; the standard's dataset then has no other named graph.
        let quads = if graphs.is_empty() {
            quads.clone()
        } else {
            merged(&quads, &graphs)
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_operator_answers_as_if_only_the_permitted_view_existed(
        sources in sources(),
        steps in 1..4_usize,
        visible in any::<u8>(),
        hidden in prop_oneof![Just(0_u8), any::<u8>()],
        permitted in prop_oneof![3 => Just(None), 1 => any::<u8>().prop_map(Some)],
    ) {
        compare(&sources, steps, visible, hidden, permitted, QUERIES);
    }

    #[test]
    fn generated_joins_answer_as_if_only_the_permitted_view_existed(
        sources in sources(),
        visible in any::<u8>(),
        hidden in any::<u8>(),
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
        compare(&sources, 2, visible, hidden, None, &[&query]);
    }
}
