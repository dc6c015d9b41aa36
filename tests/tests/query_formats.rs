//! Answers of a pod server's SPARQL endpoints in every format over real sockets, each read by a reader that is not its writer's, and put
//! beside the same answer in SPARQL JSON or N-Triples.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::answers::{Read, Rows, canonical, duckdb, read_arrow, read_parquet, table_of_json};
use meent_tests::pod::sparql::{ask_in, kind};
use meent_tests::pod::{Client, PodServer, Reply};
use oxrdf::dataset::CanonicalizationAlgorithm;
use oxrdf::{Graph, Triple};
use oxrdfio::{JsonLdProfileSet, RdfFormat, RdfParser};
use serde_json::{Value, json};
use server_kit::results::{ARROW, GEOJSON, PARQUET};
use sparesults::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};

const TURTLE: &str = "text/turtle";
const JSON: &str = "application/sparql-results+json";
const DOCUMENT: &str = r#"@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix geo: <http://www.opengis.net/ont/geosparql#> .
<#s0> <urn:i> 0 ; <urn:d> 1.50 ; <urn:f> 1e0 ; <urn:b> true ; <urn:t> "2026-03-29T02:30:00+02:00"^^xsd:dateTime ;
  <urn:day> "2026-11-22"^^xsd:date ; <urn:text> "é, \"quoted\"\n\tand more" ; <urn:l> "fiets"@nl ; <urn:u> <http://x.example/é> ;
  <urn:mixed> 7 ; <urn:g> "POINT(3.7 51)"^^geo:wktLiteral ; <urn:part> [ <urn:of> <#s0> ; <urn:p> [ <urn:i> 9 ] ] .
<#s1> <urn:i> 1 ; <urn:d> -0.125 ; <urn:f> "INF"^^xsd:double ; <urn:b> false ; <urn:t> "1969-12-31T23:59:59.5Z"^^xsd:dateTime ;
  <urn:text> "" ; <urn:mixed> <urn:x> ; <urn:g> "LINESTRING(3 51, 4 52)"^^geo:wktLiteral .
<#s2> <urn:i> 2 ; <urn:l> "vélo"@nl ; <urn:mixed> "x"@en . <#s3> <urn:i> 3 . <#s4> <urn:i> 4 . <#s5> <urn:i> 5 ; <urn:d> 2 .
"#;
const SELECT: &str = "SELECT ?s ?i ?d ?f ?b ?t ?day ?text ?l ?u ?mixed ?g WHERE { ?s <urn:i> ?i FILTER(ISIRI(?s))
  OPTIONAL { ?s <urn:d> ?d FILTER(DATATYPE(?d) = <http://www.w3.org/2001/XMLSchema#decimal>) }
  OPTIONAL { ?s <urn:f> ?f } OPTIONAL { ?s <urn:b> ?b } OPTIONAL { ?s <urn:t> ?t }
  OPTIONAL { ?s <urn:day> ?day } OPTIONAL { ?s <urn:text> ?text } OPTIONAL { ?s <urn:l> ?l } OPTIONAL { ?s <urn:u> ?u }
  OPTIONAL { ?s <urn:mixed> ?mixed } OPTIONAL { ?s <urn:g> ?g } } ORDER BY ?i";
const ROWS: [&str; 10] = [
    JSON,
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
    GEOJSON,
    ARROW,
    PARQUET,
    "application/json",
    "application/xml",
    "text/xml",
];
const TRUTH: [&str; 7] = [
    JSON,
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
    "application/json",
    "application/xml",
    "text/xml",
];
const GRAPHS: [&str; 8] = [
    TURTLE,
    "application/ld+json",
    "application/n-triples",
    "application/rdf+xml",
    "application/n-quads",
    "application/trig",
    "text/n3",
    "application/json",
];

async fn get(client: &Client, query: &str, accept: &str) -> Reply {
    ask_in(client, "/alice/sparql", query, &[], accept).await
}

async fn found(client: &Client, query: &str, accept: &str) -> Reply {
    let reply = get(client, query, accept).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-type")),
        (200, accept),
        "{query}: {}",
        reply.text()
    );
    reply
}

fn results_format(media_type: &str) -> QueryResultsFormat {
    if media_type.contains("xml") {
        QueryResultsFormat::Xml
    } else if media_type.contains("json") {
        QueryResultsFormat::Json
    } else {
        QueryResultsFormat::Tsv
    }
}

fn table_of(bytes: &[u8], media_type: &str) -> Rows {
    let parser = QueryResultsParser::from_format(results_format(media_type));
    let SliceQueryResultsParserOutput::Solutions(solutions) = parser.for_slice(bytes).unwrap() else {
        panic!("{media_type}: no rows");
    };
    let variables = solutions.variables().to_vec();
    let row = |solution: sparesults::QuerySolution| {
        let values = variables.iter().map(|variable| solution.get(variable).map(canonical));
        values.collect()
    };
    Rows {
        columns: variables.iter().map(|variable| variable.as_str().to_owned()).collect(),
        rows: solutions.map(|solution| row(solution.unwrap())).collect(),
    }
}

fn graph_of(bytes: &[u8], media_type: &str) -> Graph {
    let format = match media_type {
        "application/json" | "application/ld+json" => RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        },
        other => RdfFormat::from_media_type(other).unwrap(),
    };
    let quads = RdfParser::from_format(format).for_slice(bytes);
    let mut graph: Graph = quads
        .map(|quad| {
            let quad = quad.unwrap();
            assert!(quad.graph_name.is_default_graph(), "{media_type}: {quad}");
            Triple::from(quad)
        })
        .collect();
    graph.canonicalize(CanonicalizationAlgorithm::Unstable);
    graph
}

/// Types and values of a table are those of the rows.
fn check_table(read: &Read, expected: &Rows) {
    assert_eq!(&read.table, expected);
    assert_eq!(read.groups, [4, 2], "no group is larger than it may be");
    const XSD: &str = "http://www.w3.org/2001/XMLSchema#";
    let literal = |arrow: &str, datatype: &str| format!("{arrow} {XSD}{datatype} literal");
    for (column, described) in [
        ("s", "utf8 iri".to_owned()),
        ("i", literal("int64", "integer")),
        ("d", literal("decimal(38,3)", "decimal")),
        ("f", literal("float64", "double")),
        ("b", literal("bool", "boolean")),
        ("t", literal("timestamp[us,UTC]", "dateTime")),
        ("day", literal("date32", "date")),
        ("text", literal("utf8", "string")),
        ("u", "utf8 iri".to_owned()),
        ("mixed", "utf8 mixed".to_owned()),
    ] {
        assert_eq!(read.described(column), described, "{column}");
    }
}

fn check_duckdb(parquet: &[u8]) {
    match duckdb().unwrap() {
        Err(reason) => eprintln!("SKIPPED: DuckDB does not read the Parquet file, because {reason}"),
        Ok(duckdb) => {
            let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
            std::fs::write(file.path(), parquet).unwrap();
            let path = file.path().display();
            let asked = format!("SELECT count(*), sum(i), max(typeof(d)), min(d), count(b), min(day) FROM '{path}'");
            assert_eq!(
                duckdb.ask(&asked).unwrap(),
                json!([["6", "15", "DECIMAL(38,3)", "-0.125", "2", "2026-11-22"]])
            );
        }
    }
}

/// Every format of every form, with the readers of each; whatever else is accepted is 406, with the list of what could be had.
#[tokio::test(flavor = "multi_thread")]
async fn every_format_says_the_same() {
    let server = PodServer::start_with(json!({ "query": { "groups": { "group_rows_max": 4 } } })).await;
    let alice = server.agent("alice").await.client();
    assert_eq!(alice.put("/alice/x", TURTLE, DOCUMENT).await.status, 201);
    let expected = table_of_json(&get(&alice, SELECT, JSON).await.json());
    assert_eq!(expected.rows.len(), 6);
    for media_type in ROWS {
        let reply = found(&alice, SELECT, media_type).await;
        match media_type {
            ARROW => check_table(&read_arrow(&reply.body), &expected),
            PARQUET => {
                check_table(&read_parquet(&reply.body), &expected);
                check_duckdb(&reply.body);
            }
            GEOJSON => {
                let features = reply.json()["features"].clone();
                assert_eq!(features.as_array().unwrap().len(), 6);
                assert_eq!(
                    features[0]["geometry"],
                    json!({ "type": "Point", "coordinates": [3.7, 51.0] })
                );
                assert_eq!(features[1]["geometry"]["type"], "LineString");
                assert_eq!(
                    (&features[2]["geometry"], &features[2]["properties"]["i"]),
                    (&Value::Null, &json!(2))
                );
            }
            "text/csv" => {
                let text = reply.text();
                assert!(text.starts_with("s,i,d,f,b,t,day,text,l,u,mixed,g\r\n"), "{text}");
                assert!(text.contains(",\"é, \"\"quoted\"\"\n\tand more\","), "{text}");
            }
            _ => assert_eq!(table_of(&reply.body, media_type), expected, "{media_type}"),
        }
    }
    for media_type in TRUTH {
        for (query, truth) in [("ASK { ?s <urn:i> 5 }", true), ("ASK { ?s <urn:i> 6 }", false)] {
            let reply = found(&alice, query, media_type).await;
            if media_type == "text/csv" {
                assert_eq!(reply.text().trim(), truth.to_string());
                continue;
            }
            match QueryResultsParser::from_format(results_format(media_type)).for_slice(&reply.body) {
                Ok(SliceQueryResultsParserOutput::Boolean(found)) => assert_eq!(found, truth, "{media_type}"),
                _ => panic!("{media_type}: no truth value: {}", reply.text()),
            }
        }
    }
    let about = server.app.origins.place("/alice/x#s0");
    for query in ["CONSTRUCT WHERE { ?s ?p ?o }".to_owned(), format!("DESCRIBE <{about}>")] {
        let reference = graph_of(
            &found(&alice, &query, "application/n-triples").await.body,
            "application/n-triples",
        );
        assert!(reference.len() > 10, "{reference}");
        for media_type in GRAPHS {
            let reply = found(&alice, &query, media_type).await;
            assert_eq!(graph_of(&reply.body, media_type), reference, "{query} {media_type}");
        }
    }
    let construct = "CONSTRUCT WHERE { ?s ?p ?o }";
    for (query, offered) in [
        (SELECT, &ROWS[..]),
        ("ASK {}", &TRUTH[..]),
        (construct, &GRAPHS[..]),
        ("DESCRIBE <x>", &GRAPHS[..]),
    ] {
        let others = ROWS
            .iter()
            .chain(&TRUTH)
            .chain(&GRAPHS)
            .chain(&["image/png", "text/html"]);
        for media_type in others.filter(|other| !offered.contains(other)) {
            let refused = get(&alice, query, media_type).await;
            assert_eq!(
                (refused.status.as_u16(), kind(&refused).as_str()),
                (406, "not-acceptable"),
                "{query} {media_type}"
            );
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.json()["available"], json!(offered), "{query} {media_type}");
        }
    }
    // Nobody sees more in one format than in another.
    let nothing = found(&server.client(), SELECT, PARQUET).await;
    assert_eq!(read_parquet(&nothing.body).table.rows.len(), 0);
    server.stop().await;
}

/// The bounds of queries hold in tables too, whose rows are computed twice when they are many; and what a format cannot hold is told.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_hold_in_every_format() {
    let settings = json!({ "query": { "rows_max": 50, "scanned_max": 60, "groups": { "group_rows_max": 20 } } });
    let server = PodServer::start_with(settings).await;
    let alice = server.agent("alice").await.client();
    let geo = "\"POINT(4 51)\"^^<http://www.opengis.net/ont/geosparql#wktLiteral>";
    let far = "\"<http://www.opengis.net/def/crs/EPSG/0/31370> POINT(1 2)\"^^<http://www.opengis.net/ont/geosparql#wktLiteral>";
    let rows = |from: u32, to: u32| -> String { (from..to).map(|n| format!("<#s{n}> <urn:p{to}> {n} . ")).collect() };
    let body = format!(
        "{}{} <#a> <urn:g> {geo} . <#b> <urn:far> {far} .",
        rows(0, 45),
        rows(100, 155)
    );
    assert_eq!(alice.put("/alice/x", TURTLE, body).await.status, 201);
    for (format, read) in [(ARROW, read_arrow as fn(&[u8]) -> Read), (PARQUET, read_parquet)] {
        let fits = found(&alice, "SELECT * { ?s <urn:p45> ?v }", format).await;
        let read = read(&fits.body);
        // Two passes of 45 rows: what one of them may read is not divided between them.
        assert_eq!(read.groups, [20, 20, 5]);
        assert_eq!(read.table.rows.len(), 45);
    }
    for (query, format, status, words) in [
        ("SELECT * { ?s <urn:p155> ?v }", PARQUET, 413, "rows_max"),
        ("SELECT * { ?s <urn:p155> ?v }", ARROW, 413, "rows_max"),
        ("SELECT * { ?s <urn:p155> ?v }", GEOJSON, 413, "rows_max"),
        ("SELECT * { ?s ?p ?v FILTER(?v = 1) }", PARQUET, 413, "scanned_max"),
        ("SELECT * { ?s <urn:p45> ?v }", GEOJSON, 406, "geo:wktLiteral"),
        ("SELECT * { ?s <urn:far> ?v }", GEOJSON, 422, "EPSG/0/31370"),
        ("SELECT * {}", PARQUET, 406, "needs a column"),
    ] {
        let refused = get(&alice, query, format).await;
        assert_eq!(refused.status.as_u16(), status, "{query} {format}: {}", refused.text());
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert!(refused.text().contains(words), "{query} {format}: {}", refused.text());
    }
    let place = found(&alice, "SELECT * { ?s <urn:g> ?v }", GEOJSON).await.json();
    assert_eq!(place["features"][0]["geometry"]["coordinates"], json!([4.0, 51.0]));
    server.stop().await;
}
