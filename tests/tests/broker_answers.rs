//! A broker's answers in every format over real sockets, read by real readers; how they say whether they are complete and which sources
//! each row rests on; and what is counted once or as often as it is held.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::broker_service::harness::{BrokerServer, JSON, ROWS, agree, ask, municipality};
use meent_tests::answers::{Read, duckdb, read_arrow, read_parquet, table_of_json};
use meent_tests::pod::{Agent, PodServer};
use serde_json::{Value, json};
use server_kit::results::{ARROW, GEOJSON, PARQUET};

const PREFIXES: &str = "PREFIX ex: <http://vocab.example/> PREFIX geo: <http://www.opengis.net/ont/geosparql#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> ";

type Reader = fn(&[u8]) -> Read;

/// Two cities, a company with agreements with both, and a broker between them.
struct Scene {
    broker: BrokerServer,
    company: Agent,
    agreements: [String; 2],
    gent: PodServer,
    brugge: PodServer,
    _home: PodServer,
    _directory: tempfile::TempDir,
}

async fn scene(settings: Value) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], settings).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let agreements = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    Scene {
        broker,
        company,
        agreements,
        gent,
        brugge,
        _home: home,
        _directory: directory,
    }
}

impl Scene {
    async fn ask(&self, query: &str, fields: &[(&str, &str)], accept: &str) -> meent_tests::pod::Reply {
        let query = format!("{PREFIXES}{query}");
        ask(&self.company, &self.broker, &self.agreements, &query, fields, accept).await
    }

    fn datasets(&self) -> [String; 2] {
        [&self.gent, &self.brugge].map(|pod| format!("{}.dataspace/datasets/counts", pod.app.origins.root("city")))
    }
}

/// Arrow and Parquet hold what JSON holds, with types, and say whether it is complete and who answered; DuckDB counts the same.
#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_by_their_readers() {
    let scene = scene(json!({ "query": { "groups": { "group_rows_max": 4 } } })).await;
    let json = scene.ask(ROWS, &[], JSON).await;
    let expected = table_of_json(&json.json());
    assert_eq!(expected.rows.len(), 6, "{}", json.text());
    let arrow = scene.ask(ROWS, &[], ARROW).await;
    let parquet = scene.ask(ROWS, &[], PARQUET).await;
    for (reply, media_type, read) in [
        (&arrow, ARROW, read_arrow as Reader),
        (&parquet, PARQUET, read_parquet as Reader),
    ] {
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, media_type),
            "{}",
            reply.text()
        );
        assert_eq!(reply.header("meent-complete"), "true");
        let read = read(&reply.body);
        assert_eq!(read.table, expected);
        assert_eq!(read.groups, [4, 2], "no group is larger than it may be");
        assert_eq!(
            (read.described("o").as_str(), read.described("n").as_str()),
            ("utf8 iri", "int64 http://www.w3.org/2001/XMLSchema#integer literal")
        );
        assert_eq!(read.note("complete"), Some("true"));
        let manifest: Value = serde_json::from_str(read.note("manifest").unwrap()).unwrap();
        assert_eq!(manifest["sources"].as_array().unwrap().len(), 2, "{manifest}");
        assert!(reply.header("link").contains(read.note("query").unwrap()));
    }
    match duckdb().unwrap() {
        Err(reason) => eprintln!("SKIPPED: DuckDB does not read the Parquet file, because {reason}"),
        Ok(duckdb) => {
            let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
            std::fs::write(file.path(), &parquet.body).unwrap();
            let path = file.path().display();
            let found = duckdb
                .ask(&format!(
                    "SELECT count(*), sum(n), max(typeof(n)), min(o) FROM '{path}'"
                ))
                .unwrap();
            let first = format!("{}counts/one#o0", scene.gent.app.origins.root("city"));
            let other = format!("{}counts/one#o0", scene.brugge.app.origins.root("city"));
            assert_eq!(found, json!([["6", "96", "BIGINT", first.min(other)]]));
            let noted =
                format!("SELECT decode(value) FROM parquet_kv_metadata('{path}') WHERE decode(key) = 'meent.complete'");
            assert_eq!(duckdb.ask(&noted).unwrap(), json!([["true"]]));
        }
    }
    scene.broker.stop().await;
}

/// DuckDB gives each type as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn duckdb_sees_the_types() {
    let directory = tempfile::tempdir().unwrap();
    let home = PodServer::start().await;
    let broker = BrokerServer::start(directory.path(), &[], json!({})).await;
    let company = home.agent("company").await;
    let query = format!(
        "{PREFIXES}SELECT * WHERE {{ VALUES (?i ?d ?f ?b ?t ?l ?y ?s) {{
           (1 1.50 1e0 true '2026-03-29T02:30:00+02:00'^^xsd:dateTime '2026-03-29T02:30:00'^^xsd:dateTime '2026-11-22'^^xsd:date 'é')
           (-2 -0.125 'INF'^^xsd:double false '1969-12-31T23:59:59.5Z'^^xsd:dateTime UNDEF UNDEF '') }} }}"
    );
    let reply = ask(&company, &broker, &[], &query, &[], PARQUET).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    match duckdb().unwrap() {
        Err(reason) => eprintln!("SKIPPED: DuckDB does not read the Parquet file, because {reason}"),
        Ok(duckdb) => {
            let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
            std::fs::write(file.path(), &reply.body).unwrap();
            let path = file.path().display();
            let columns = "i, d, f, b, t AT TIME ZONE 'UTC', l, y, s";
            let found = duckdb
                .ask(&format!("SELECT {columns} FROM '{path}' ORDER BY i DESC"))
                .unwrap();
            let first = json!([
                "1",
                "1.500",
                "1.0",
                "True",
                "2026-03-29 00:30:00",
                "2026-03-29 02:30:00",
                "2026-11-22",
                "é"
            ]);
            let second = json!([
                "-2",
                "-0.125",
                "inf",
                "False",
                "1969-12-31 23:59:59.500000",
                null,
                null,
                ""
            ]);
            assert_eq!(found, json!([first, second]));
        }
    }
    broker.stop().await;
}

/// GeoJSON of what has a place; what has none, or one that does not convert, is refused with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn places_become_features() {
    let directory = tempfile::tempdir().unwrap();
    let home = PodServer::start().await;
    let broker = BrokerServer::start(directory.path(), &[], json!({})).await;
    let company = home.agent("company").await;
    let ask = async |values: &str, accept: &str| {
        let query = format!("{PREFIXES}SELECT * WHERE {{ VALUES {values} }}");
        ask(&company, &broker, &[], &query, &[], accept).await
    };
    let point = |x: f64, y: f64| json!({ "type": "Point", "coordinates": [x, y] });
    let feature = |geometry: Value, properties: Value| json!({ "type": "Feature", "geometry": geometry, "properties": properties });
    for (values, expected) in [
        (
            "(?g ?n ?big ?x ?u) { ('POINT(3.7 51)'^^geo:wktLiteral 5 9007199254740993 'NaN'^^xsd:double <urn:a>) (UNDEF 1.5 1 2e0 'a'@nl) }",
            vec![
                feature(
                    point(3.7, 51.0),
                    json!({"n": 5, "big": "9007199254740993", "x": "NaN", "u": "urn:a"}),
                ),
                feature(Value::Null, json!({"n": 1.5, "big": 1, "x": 2.0, "u": "a"})),
            ],
        ),
        (
            "(?lat ?long) { (51 3.7) (UNDEF 4) }",
            vec![
                feature(point(3.7, 51.0), json!({"lat": 51, "long": 3.7})),
                feature(Value::Null, json!({"lat": null, "long": 4})),
            ],
        ),
        (
            r#"(?a ?b) { ('{"type":"Point","coordinates":[3.7,51]}'^^geo:geoJSONLiteral 'POINT(1 2)'^^geo:wktLiteral) }"#,
            vec![feature(point(3.7, 51.0), json!({"b": "POINT(1 2)"}))],
        ),
        ("(?g) { }", vec![]),
    ] {
        let reply = ask(values, GEOJSON).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, GEOJSON),
            "{values}: {}",
            reply.text()
        );
        let found = reply.json();
        assert_eq!(found["type"], "FeatureCollection");
        assert_eq!(found["features"], Value::from(expected), "{values}");
        assert_eq!(found["meent"]["complete"], true, "{found}");
    }
    for (values, status, words) in [
        ("(?n) { (1) }", 406, "geo:wktLiteral"),
        ("(?n) { ('<gml/>'^^geo:gmlLiteral) }", 406, "does not convert"),
        (
            "(?g) { ('<http://www.opengis.net/def/crs/EPSG/0/31370> POINT(104000 194000)'^^geo:wktLiteral) }",
            422,
            "EPSG/0/31370",
        ),
        (
            "(?g) { ('POINT(3 51)'^^geo:wktLiteral) ('POINT(3'^^geo:wktLiteral) }",
            422,
            "row 2",
        ),
        ("(?g) { ('POINT(3 51)'^^geo:wktLiteral) (7) }", 422, "is no geometry"),
        ("(?lat ?lon) { (51 3) (510 3) }", 422, "row 2"),
    ] {
        let reply = ask(values, GEOJSON).await;
        assert_eq!(reply.status.as_u16(), status, "{values}: {}", reply.text());
        assert!(reply.text().contains(words), "{values}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    broker.stop().await;
}

/// The best of what is accepted, by weight; what a form of query cannot be is 406.
#[tokio::test(flavor = "multi_thread")]
async fn formats_are_negotiated() {
    let directory = tempfile::tempdir().unwrap();
    let home = PodServer::start().await;
    let broker = BrokerServer::start(directory.path(), &[], json!({})).await;
    let company = home.agent("company").await;
    let (select, construct, truth) = (
        "SELECT ?n WHERE { VALUES ?n { 1 } }",
        "CONSTRUCT { <urn:a> <urn:b> ?n } WHERE { VALUES ?n { 1 } }",
        "ASK { VALUES ?n { 1 } }",
    );
    for (query, accept, expected) in [
        (select, "", JSON),
        (select, "*/*", JSON),
        (select, "application/vnd.apache.parquet;q=0.5, text/csv;q=0.4", PARQUET),
        (
            select,
            "application/vnd.apache.arrow.stream;q=0, application/*;q=0.1, text/csv;q=0.2",
            "text/csv",
        ),
        (select, "application/json", "application/json"),
        (select, "text/xml", "text/xml"),
        (truth, "application/vnd.apache.parquet, text/csv;q=0.1", "text/csv"),
        (construct, "application/n-quads", "application/n-quads"),
        (construct, "application/trig", "application/trig"),
        (
            construct,
            "application/ld+json;q=0.2, application/rdf+xml",
            "application/rdf+xml",
        ),
        (construct, "text/n3", "text/n3"),
    ] {
        let reply = ask(&company, &broker, &[], query, &[], accept).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, expected),
            "{accept}: {}",
            reply.text()
        );
    }
    for (query, accept) in [
        (truth, PARQUET),
        (truth, GEOJSON),
        (construct, ARROW),
        (select, "text/turtle"),
    ] {
        let reply = ask(&company, &broker, &[], query, &[], accept).await;
        assert_eq!(reply.status, 406, "{accept}: {}", reply.text());
    }
    broker.stop().await;
}

/// Rows name the sources that they rest on, by the names of the manifest; what cannot say so is refused before anything is asked.
#[tokio::test(flavor = "multi_thread")]
async fn rows_name_their_sources() {
    let scene = scene(json!({})).await;
    let [gent, brugge] = scene.datasets();
    let traced = [("provenance", "rows")];
    for (query, expected) in [
        (
            "SELECT ?n WHERE { ?o ex:bicycles ?n } ORDER BY ?n LIMIT 4",
            vec![vec![&gent]; 3]
                .into_iter()
                .chain([vec![&brugge]])
                .collect::<Vec<_>>(),
        ),
        (
            "SELECT DISTINCT ?w WHERE { ?o ex:street ?w } ORDER BY ?w",
            vec![vec![&gent, &brugge]; 2],
        ),
        (
            "SELECT (SUM(?b) AS ?n) WHERE { ?o ex:bicycles ?b }",
            vec![vec![&gent, &brugge]],
        ),
        (
            "SELECT ?n WHERE { { ?o ex:bicycles ?n FILTER(?n = 11) } UNION { ?o ex:bicycles ?n FILTER(?n = 21) } } ORDER BY ?n",
            vec![vec![&gent], vec![&brugge]],
        ),
        // What makes a row stay is what it rests on too; what is absent comes from nowhere.
        (
            "SELECT ?n WHERE { ?o ex:bicycles ?n ; ex:street ?w FILTER(?n < 20) FILTER EXISTS { ?x ex:street ?w ; ex:bicycles 21 } }",
            vec![vec![&gent, &brugge]],
        ),
        (
            "SELECT ?n WHERE { ?o ex:bicycles ?n ; ex:street ?w FILTER(?n < 20) FILTER NOT EXISTS { ?x ex:street ?w ; ex:bicycles 21 } }",
            vec![vec![&gent]; 2],
        ),
        ("SELECT ?n WHERE { VALUES ?n { 1 } }", vec![vec![]]),
    ] {
        let reply = scene.ask(query, &traced, JSON).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let found = reply.json();
        let names = found["meent"]["sources"].as_array().unwrap();
        let name = |at: &Value| names[usize::try_from(at.as_u64().unwrap()).unwrap()].as_str().unwrap();
        let sets = found["meent"]["sets"].as_array().unwrap();
        let rows = found["meent"]["rows"].as_array().unwrap();
        let set = |row: &Value| &sets[usize::try_from(row.as_u64().unwrap()).unwrap()];
        let rows: Vec<Vec<&str>> = rows
            .iter()
            .map(|row| set(row).as_array().unwrap().iter().map(name).collect())
            .collect();
        let mut expected = expected;
        expected.iter_mut().for_each(|row| row.sort());
        let sorted: Vec<Vec<&str>> = rows
            .iter()
            .map(|row| {
                let mut row = row.clone();
                row.sort_unstable();
                row
            })
            .collect();
        assert_eq!(sorted, expected, "{query}: {found}");
        assert_eq!(found["results"]["bindings"].as_array().unwrap().len(), rows.len());
        assert!(!found["head"].to_string().contains("meent_source"), "{found}");
        // A plain reader sees the plain answer.
        let plain = scene.ask(query, &[], JSON).await.json();
        assert_eq!(table_of_json(&plain), table_of_json(&found), "{query}");
    }
    let query = "SELECT ?n WHERE { ?o ex:bicycles ?n } ORDER BY ?n";
    let table = read_parquet(&scene.ask(query, &traced, PARQUET).await.body);
    let sources = table.sources.clone().unwrap();
    assert_eq!(
        sources,
        [
            vec![gent.clone()],
            vec![gent.clone()],
            vec![gent],
            vec![brugge.clone()],
            vec![brugge.clone()],
            vec![brugge]
        ]
    );
    assert_eq!(table.note("sourcesExact"), Some("true"));
    for (query, accept, words) in [
        (query, "text/csv", "Parquet"),
        (
            "SELECT DISTINCT ?w WHERE { ?o ex:street ?w ; ex:bicycles ?b } ORDER BY ?b",
            JSON,
            "ordered by",
        ),
        ("ASK { ?o ex:bicycles 10 }", JSON, "SELECT"),
    ] {
        let reply = scene.ask(query, &traced, accept).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.text());
        assert!(reply.text().contains(words), "{}", reply.text());
    }
    scene.broker.stop().await;
}

/// Requirements T80, ENF-12: a partial answer says so in its header, its metadata and the manifest, and is an error where a complete one
/// is required.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_everywhere() {
    let scene = scene(json!({ "exec": { "member_ms_max": 2_000 } })).await;
    let [_, brugge] = scene.datasets();
    let Scene {
        broker,
        company,
        agreements,
        brugge: gone,
        ..
    } = scene;
    gone.stop().await;
    let of_table = |read: Read| {
        (
            read.note("complete") == Some("false"),
            read.note("manifest").unwrap().to_owned(),
        )
    };
    for accept in [JSON, PARQUET, ARROW] {
        let reply = ask(&company, &broker, &agreements, ROWS, &[], accept).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("meent-complete")),
            (200, "false"),
            "{}",
            reply.text()
        );
        let (incomplete, missing) = match accept {
            PARQUET => of_table(read_parquet(&reply.body)),
            ARROW => of_table(read_arrow(&reply.body)),
            _ => {
                let told = &reply.json()["meent"];
                (told["complete"] == false, told["missing"].to_string())
            }
        };
        assert!(
            incomplete && missing.contains(&brugge) && missing.contains("reach"),
            "{accept}: {missing}"
        );
        let required = ask(
            &company,
            &broker,
            &agreements,
            ROWS,
            &[("complete", "required")],
            accept,
        )
        .await;
        assert_eq!(required.status, 502, "{}", required.text());
        assert!(required.text().contains("brugge"), "{}", required.text());
    }
    broker.stop().await;
}
