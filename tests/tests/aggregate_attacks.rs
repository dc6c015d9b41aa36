//! Attacks on a server that gives a company nothing but aggregates: by differences, over time, and by everything that an
//! answer tells besides its numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use meent_tests::pod::crowd::Crowd;
use meent_tests::pod::sparql::kind;
use serde_json::json;

const LEAST: u32 = 10;
const PERSONS: usize = 10_000;
const PRIME: u128 = (1 << 61) - 1;

/// A person, as the attacker may know everything about it but the value.
#[derive(Clone, Copy)]
struct Person {
    value: u64,
    street: usize,
    age: u64,
}

fn person(number: usize) -> Person {
    let spread = |factor: u64| (number as u64 * factor) % 7_919;
    Person {
        value: 100 + spread(2_654_435_761) % 5_000,
        // Streets of very different sizes: of 5 persons, and of thousands.
        street: (0..).find(|street| number < 5 << street).unwrap_or(0),
        age: 18 + spread(40_503) % 70,
    }
}

fn document(number: usize) -> String {
    let Person { value, street, age } = person(number);
    format!("<urn:p:{number}> <urn:value> {value} ; <urn:street> <urn:s:{street}> ; <urn:age> {age} .")
}

/// Everything that the attacker learnt: for each number, whose values it adds up, and the sum.
#[derive(Default)]
struct Known {
    equations: Vec<(Vec<bool>, u64)>,
    refused: usize,
}

impl Known {
    async fn sum(&mut self, crowd: &Crowd, filter: &str, of: impl Fn(usize, Person) -> bool) -> bool {
        let query = format!(
            "SELECT (SUM(?v) AS ?sum) {{ ?p <urn:value> ?v ; <urn:street> ?s ; <urn:age> ?a FILTER({filter}) }}"
        );
        let rows = crowd.rows(&query).await;
        match rows.first() {
            Some(row) => self.learn(&row[0], of),
            None => self.refused += 1,
        }
        !rows.is_empty()
    }

    fn learn(&mut self, sum: &str, of: impl Fn(usize, Person) -> bool) {
        let members: Vec<bool> = (0..PERSONS).map(|number| of(number, person(number))).collect();
        let truth: u64 = (0..PERSONS)
            .filter(|number| members[*number])
            .map(|number| person(number).value)
            .sum();
        assert_eq!(sum, truth.to_string(), "an answer is true or is not given");
        self.equations.push((members, truth));
    }

    /// The persons whose value follows from all equations together, however they are combined.
    fn recovered(&self) -> usize {
        // Persons who stand in the same equations cannot be told apart.
        let mut classes: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
        for number in 0..PERSONS {
            let signature = self.equations.iter().map(|(members, _)| members[number]).collect();
            *classes.entry(signature).or_default() += 1;
        }
        let sizes: Vec<usize> = classes.values().copied().collect();
        let mut rows: Vec<Vec<u128>> = (0..self.equations.len())
            .map(|equation| {
                classes
                    .keys()
                    .map(|signature| u128::from(signature[equation]))
                    .collect()
            })
            .collect();
        let mut pivots = 0;
        for column in 0..sizes.len() {
            let Some(found) = (pivots..rows.len()).find(|row| rows[*row][column] != 0) else {
                continue;
            };
            rows.swap(pivots, found);
            let inverse = power(rows[pivots][column], PRIME - 2);
            for value in &mut rows[pivots] {
                *value = *value * inverse % PRIME;
            }
            let pivot = rows[pivots].clone();
            for (number, row) in rows.iter_mut().enumerate() {
                let times = row[column];
                if number != pivots && times != 0 {
                    for (value, taken) in row.iter_mut().zip(&pivot) {
                        *value = (*value + (PRIME - times) * taken) % PRIME;
                    }
                }
            }
            pivots += 1;
        }
        let few = |row: &Vec<u128>| {
            let left: usize = row
                .iter()
                .zip(&sizes)
                .filter(|(value, _)| **value != 0)
                .map(|(_, size)| size)
                .sum();
            left > 0 && left < LEAST as usize
        };
        rows.iter().filter(|row| few(row)).count()
    }
}

fn power(mut base: u128, mut exponent: u128) -> u128 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % PRIME;
        }
        base = base * base % PRIME;
        exponent >>= 1;
    }
    result
}

/// An attack script over ten thousand persons: all but one, thresholds, trackers, unions, tables beside totals. All that
/// it is told, put together in every linear way, gives nobody's value.
///
/// Requirements ENF-12, T90.
#[tokio::test(flavor = "multi_thread")]
async fn differences_recover_nobody() {
    let documents = (0..PERSONS).map(document).collect();
    let crowd = Crowd::start(json!({}), documents, LEAST, "").await;
    let mut known = Known::default();
    assert!(known.sum(&crowd, "true", |_, _| true).await, "the total is told");
    for target in [7, 4_711] {
        let without = format!("?p != <urn:p:{target}>");
        assert!(!known.sum(&crowd, &without, |number, _| number != target).await);
        let old = format!("?a > 40 || ?p = <urn:p:{target}>");
        known
            .sum(&crowd, &old, |number, person| person.age > 40 || number == target)
            .await;
        let young = format!("?a <= 40 || ?p = <urn:p:{target}>");
        known
            .sum(&crowd, &young, |number, person| person.age <= 40 || number == target)
            .await;
        known.sum(&crowd, "?a > 40", |_, person| person.age > 40).await;
        known.sum(&crowd, "?a <= 40", |_, person| person.age <= 40).await;
        let value = person(target).value;
        for (sign, at) in [(">", value), (">=", value), (">", value + 1)] {
            let above = move |_: usize, person: Person| person.value > at || (sign == ">=" && person.value == at);
            known.sum(&crowd, &format!("?v {sign} {at}"), above).await;
        }
    }
    // A table, its parts by another property, and unions of some of its lines.
    let table = "SELECT ?s (SUM(?v) AS ?sum) { ?p <urn:value> ?v ; <urn:street> ?s } GROUP BY ?s";
    for row in crowd.rows(table).await {
        let street: usize = row[0].trim_start_matches("urn:s:").parse().unwrap();
        known.learn(&row[1], move |_, person| person.street == street);
    }
    for streets in [vec![0, 1, 2], vec![0, 3], vec![1, 2, 3], vec![0]] {
        let list: Vec<String> = streets.iter().map(|street| format!("<urn:s:{street}>")).collect();
        let filter = format!("?s IN ({})", list.join(", "));
        known
            .sum(&crowd, &filter, |_, person| streets.contains(&person.street))
            .await;
    }
    assert!(known.equations.len() >= 8, "much is told: {}", known.equations.len());
    assert!(known.refused >= 6, "and much is not: {}", known.refused);
    assert_eq!(known.recovered(), 0);
    crowd.server.stop().await;
}

fn small(number: usize) -> String {
    format!(
        "<urn:p:{number}> <urn:value> {} ; <urn:street> <urn:s:{}> .",
        number * number + 10,
        number % 2
    )
}

const SUM: &str = "SELECT (SUM(?v) AS ?sum) (COUNT(?v) AS ?n) { ?p <urn:value> ?v }";

/// Somebody joins: the answer stays until enough have. Somebody leaves: it is withheld, at once. What was answered is known
/// after a restart, to other agreements of the same consumer, and when a person's storage is gone. The number of answers
/// is bounded, and the bound is named.
///
/// Requirements ENF-12, ENF-38, T95.
#[tokio::test(flavor = "multi_thread")]
async fn time_tells_no_differences() {
    let mut crowd = Crowd::start(
        json!({ "query": { "answers_max": 9, "padding_ms": 1 } }),
        (0..30).map(small).collect(),
        5,
        "",
    )
    .await;
    let first = crowd.rows(SUM).await;
    assert_eq!(first[0][1], "30");
    for number in 30..34 {
        crowd.join(number, vec![small(number)]).await;
        assert_eq!(crowd.rows(SUM).await, first, "after {} joined", number - 29);
    }
    // Rights to the data hold for every query, also where answers stay as they are.
    crowd.leave(vec![3]).await;
    let none: Vec<Vec<String>> = Vec::new();
    // Four joined and one left: five changed, so whoever is there now counts.
    let second = crowd.rows(SUM).await;
    assert_eq!(second[0][1], "33", "{second:?}");
    crowd.leave(vec![4]).await;
    assert_eq!(
        crowd.rows(SUM).await,
        none,
        "one person left, and the difference would be that person's"
    );
    let server = crowd.server.restart().await;
    crowd.server = server;
    assert_eq!(crowd.rows(SUM).await, none, "it is remembered");
    crowd.describe("tweede", 5, "").await;
    let other = crowd.client.clone();
    crowd.client = crowd.conclude("telraam").await;
    assert_eq!(
        crowd.rows(SUM).await,
        none,
        "under another agreement of the same company"
    );
    crowd.client = other;
    // A value that changes tells as much as a person that leaves.
    crowd.leave((5..9).collect()).await;
    let third = crowd.rows(SUM).await;
    assert_eq!(third[0][1], "28");
    crowd
        .rewrite(vec![(
            20,
            "<urn:p:20> <urn:value> 1 ; <urn:street> <urn:s:0> .".to_owned(),
        )])
        .await;
    assert_eq!(crowd.rows(SUM).await, none, "one value changed");
    crowd
        .rewrite((20..26).map(|number| (number, small(number + 100))).collect())
        .await;
    assert_eq!(crowd.rows(SUM).await[0][1], "28", "six values changed");
    let mut last = None;
    for bound in [200, 300, 400, 500, 600, 700, 800] {
        let query = format!("SELECT (SUM(?v) AS ?sum) {{ ?p <urn:value> ?v FILTER(?v < {bound}) }}");
        let reply = crowd.ask(&query).await;
        if reply.status != 200 {
            last = Some((reply.status.as_u16(), kind(&reply), reply.json()["bound"].clone()));
            break;
        }
    }
    assert_eq!(last, Some((403, "answers-exhausted".to_owned(), json!("answers_max"))));
    crowd.server.stop().await;
}

/// Numbers leave as multiples of what the offer says.
///
/// Requirements ENF-12, T91.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_rounded_where_the_offer_says_so() {
    let round = "; odrl:constraint [ odrl:leftOperand meent:roundedTo ; odrl:operator odrl:eq ; odrl:rightOperand 50 ]";
    let crowd = Crowd::start(json!({}), (0..23).map(small).collect(), 5, round).await;
    // 23 persons, 4,025 in all; an average of 175.
    let all = "SELECT (SUM(?v) AS ?sum) (COUNT(?v) AS ?n) (AVG(?v) AS ?mean) { ?p <urn:value> ?v }";
    assert_eq!(crowd.rows(all).await, [["4050", "0", "200"].map(str::to_owned)]);
    crowd.server.stop().await;
}

/// Fifty questions that would each tell a fact about one person if they told anything but numbers over enough persons: two
/// worlds that differ in that fact answer alike, to the byte.
///
/// Requirements T96, ENF-10, ENF-37.
#[tokio::test(flavor = "multi_thread")]
async fn side_channels_tell_nothing() {
    let world = |secret: &str| {
        let mut documents: Vec<String> = (0..12).map(small).collect();
        documents[7] = secret.to_owned();
        Crowd::start(json!({}), documents, 5, "")
    };
    let one = world("<urn:p:7> <urn:value> 59 ; <urn:street> <urn:s:1> .").await;
    let other = world("<urn:p:7> <urn:value> 0 ; <urn:street> <urn:s:0> ; <urn:ill> true .").await;
    let person = "?p <urn:value> ?v FILTER(?p = <urn:p:7>)";
    let mut oracles: Vec<String> = [
        "ASK { <urn:p:7> <urn:ill> true }",
        "ASK { <urn:p:7> <urn:value> ?v FILTER(?v > 50) }",
        "SELECT ?v { <urn:p:7> <urn:value> ?v } LIMIT 1",
        "SELECT * { ?p <urn:ill> ?x } LIMIT 1",
        "SELECT ?p { ?p <urn:value> ?v } ORDER BY ?v LIMIT 1",
        "SELECT ?p { ?p <urn:value> ?v } ORDER BY DESC(?v) OFFSET 3 LIMIT 1",
        "SELECT DISTINCT ?s { ?p <urn:street> ?s }",
        "SELECT REDUCED ?s { <urn:p:7> <urn:street> ?s }",
        "CONSTRUCT WHERE { <urn:p:7> ?x ?y }",
        "DESCRIBE <urn:p:7>",
        "SELECT (SAMPLE(?v) AS ?x) { ?p <urn:value> ?v }",
        "SELECT (MIN(?v) AS ?x) { ?p <urn:value> ?v }",
        "SELECT (MAX(?v) AS ?x) { ?p <urn:value> ?v }",
        "SELECT (GROUP_CONCAT(?v) AS ?x) { ?p <urn:value> ?v }",
        "SELECT (COUNT(*) AS ?n) { ?p <urn:ill> ?x }",
        "SELECT (COUNT(*) AS ?n) { ?p <urn:ill> ?x } HAVING(COUNT(*) > 0)",
        "SELECT (COUNT(*) AS ?n) { ?p <urn:ill> ?x } HAVING(1 / COUNT(*) > 0)",
        "SELECT (COUNT(?x) AS ?n) (SUM(?v) AS ?sum) { ?p <urn:ill> ?x ; <urn:value> ?v }",
        "SELECT ?x (COUNT(*) AS ?n) { ?p <urn:ill> ?x } GROUP BY ?x",
        "SELECT ?x (COUNT(*) AS ?n) { ?p <urn:ill> ?x } GROUP BY ?x ORDER BY DESC(?n)",
        "SELECT ?p (SUM(?v) AS ?sum) { ?p <urn:value> ?v } GROUP BY ?p",
        "SELECT ?p (SUM(?v) AS ?sum) { ?p <urn:value> ?v } GROUP BY ?p ORDER BY ?sum",
        "SELECT ?p (COUNT(*) AS ?n) { ?p <urn:value> ?v } GROUP BY ?p LIMIT 1",
        "SELECT ?p { ?p <urn:value> ?v } GROUP BY ?p HAVING(SUM(?v) > 50)",
        "SELECT ?v (COUNT(*) AS ?n) { ?p <urn:value> ?v } GROUP BY ?v",
        "SELECT (COUNT(*) AS ?n) FROM <urn:x> { ?p <urn:value> ?v }",
        "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?p <urn:ill> ?v } }",
        "SELECT (COUNT(*) AS ?n) { ?p <urn:value> ?v FILTER EXISTS { <urn:p:7> <urn:ill> true } }",
        "SELECT (COUNT(*) AS ?n) { ?p <urn:value> ?v FILTER NOT EXISTS { <urn:p:7> <urn:ill> true } }",
        "SELECT (COUNT(*) AS ?n) { ?p <urn:value> ?v MINUS { ?p <urn:ill> true } }",
        "SELECT (COUNT(*) AS ?n) { ?p <urn:value> ?v OPTIONAL { <urn:p:7> <urn:ill> ?x } }",
        "SELECT (COUNT(*) AS ?n) { { ?p <urn:ill> ?v } UNION { ?p <urn:value> ?v } }",
        "SELECT (COUNT(*) AS ?n) { { SELECT ?p { ?p <urn:ill> ?x } LIMIT 1 } ?p <urn:value> ?v }",
        "SELECT (COUNT(*) AS ?n) { VALUES (?p ?w) { (<urn:p:7> 1) (<urn:p:1> 2) } ?p <urn:value> ?v }",
        "SELECT (SUM(IF(?p = <urn:p:7>, ?v, 0)) AS ?x) { ?p <urn:value> ?v }",
        "SELECT (COUNT(*) AS ?n) { SERVICE <https://evil.example/> { ?p <urn:ill> ?v } }",
        "SELECT (COUNT(*) AS ?n) { <urn:p:7> (<urn:ill>|<urn:value>)+ ?v }",
        "SELECT (COUNT(*) AS ?n) { <urn:p:7> <urn:street> ?s . ?q <urn:street> ?s . ?q <urn:ill> ?x }",
    ]
    .map(str::to_owned)
    .into();
    // Errors and expensive work that happen for one value only.
    for condition in [
        "1 / ?v > 0",
        "1 / (?v - 59) > 0",
        "?v > 50",
        "xsd:integer(\"x\") = ?v",
        "STRLEN(CONCAT(STR(?v), STR(?v))) > 1",
        "REGEX(STR(?v), \"^5\")",
        "IF(?v > 50, 1 / 0, 1) = 1",
        "COALESCE(1 / (?v - 59), 0) = 0",
        "STRDT(STR(?v), xsd:date) > \"2020-01-01\"^^xsd:date",
        "ENCODE_FOR_URI(STR(?v)) = \"59\"",
        "?v IN (59, 1 / 0)",
        "BNODE() = ?v",
    ] {
        oracles.push(format!(
            "PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> SELECT (COUNT(*) AS ?n) {{ {person} FILTER({condition}) }}"
        ));
    }
    assert_eq!(oracles.len(), 50);
    let mut kinds = BTreeSet::new();
    for oracle in &oracles {
        let (a, b) = (one.ask(oracle).await, other.ask(oracle).await);
        assert_eq!(a.status, b.status, "{oracle}");
        let own = |crowd: &Crowd, text: String| text.replace(crowd.server.authority(), "host");
        assert_eq!(own(&one, a.text()), own(&other, b.text()), "{oracle}");
        kinds.insert((a.status.as_u16(), kind_of(&a.text())));
    }
    assert!(kinds.len() <= 4, "{kinds:?}");
    one.server.stop().await;
    other.server.stop().await;
}

/// The kind of a problem; empty for an answer.
fn kind_of(text: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let kind = json["type"].as_str().unwrap_or_default().rsplit('/').next();
    kind.unwrap_or_default().to_owned()
}
