//! A federation of municipalities of any size, made the same way every time: a member's content depends on the seed and its number
//! only, so that three members are contained in fifty. Shape: SOSA observations of air stations and traffic counters, hourly, and one
//! register of municipalities and stations.

use oxrdf::vocab::{rdf, rdfs, xsd};
use oxrdf::{Literal, NamedNode, Triple};

/// SOSA.
pub const SOSA: &str = "http://www.w3.org/ns/sosa/";
/// Schema of the register.
pub const SCHEMA: &str = "http://schema.org/";
/// Authority of the register.
pub const REGISTER: &str = "https://register.example/";

/// How much to generate.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Municipalities.
    pub members: usize,
    /// Days of hourly observations.
    pub days: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            members: 3,
            days: 7,
            seed: 1,
        }
    }
}

/// A small generator with a known sequence: a benchmark must not change with a dependency.
pub(super) struct Sequence(pub(super) u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// Authority of a municipality's own IRIs.
#[must_use]
pub fn authority(member: usize) -> String {
    format!("https://m{member:03}.example/")
}

/// The observations of one municipality.
#[must_use]
pub fn municipality(member: usize, size: Size) -> Vec<Triple> {
    let mut random = Sequence(size.seed ^ ((member as u64 + 1) << 20));
    let own = |name: &str| NamedNode::new_unchecked(format!("{}{name}", authority(member)));
    let sosa = |name: &str| NamedNode::new_unchecked(format!("{SOSA}{name}"));
    let property = |name: &str| NamedNode::new_unchecked(format!("{REGISTER}property/{name}"));
    let mut out = Vec::new();
    let mut series: Vec<(String, &str, u64)> = Vec::new();
    for station in 0..4 {
        for pollutant in ["no2", "pm10", "pm25"] {
            series.push((format!("station/{station}"), pollutant, 60));
        }
    }
    for counter in 0..4 {
        series.push((format!("counter/{counter}"), "bicycles", 400));
    }
    for (number, (sensor, measured, most)) in series.iter().enumerate() {
        for hour in 0..size.days * 24 {
            let node = own(&format!("obs/{number}/{hour}"));
            out.push(Triple::new(node.clone(), rdf::TYPE.into_owned(), sosa("Observation")));
            out.push(Triple::new(node.clone(), sosa("madeBySensor"), own(sensor)));
            out.push(Triple::new(node.clone(), sosa("observedProperty"), property(measured)));
            out.push(Triple::new(
                node.clone(),
                sosa("hasSimpleResult"),
                Literal::from(i64::try_from(random.below(*most)).unwrap_or(0)),
            ));
            let time = format!("2026-03-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
            out.push(Triple::new(
                node,
                sosa("resultTime"),
                Literal::new_typed_literal(time, xsd::DATE_TIME),
            ));
        }
    }
    out
}

/// The register: municipalities with names, population and province, and which station stands where.
#[must_use]
pub fn register(size: Size) -> Vec<Triple> {
    let mut random = Sequence(size.seed ^ 0xABCD);
    let schema = |name: &str| NamedNode::new_unchecked(format!("{SCHEMA}{name}"));
    let mut out = Vec::new();
    for member in 0..size.members {
        let place = NamedNode::new_unchecked(format!("{REGISTER}municipality/{member}"));
        out.push(Triple::new(place.clone(), rdf::TYPE.into_owned(), schema("City")));
        out.push(Triple::new(
            place.clone(),
            rdfs::LABEL.into_owned(),
            Literal::new_language_tagged_literal_unchecked(format!("Gemeente {member}"), "nl"),
        ));
        out.push(Triple::new(
            place.clone(),
            schema("population"),
            Literal::from(i64::try_from(5_000 + random.below(200_000)).unwrap_or(0)),
        ));
        out.push(Triple::new(
            place.clone(),
            schema("containedInPlace"),
            NamedNode::new_unchecked(format!("{REGISTER}province/{}", member % 5)),
        ));
        for station in 0..4 {
            for (kind, class) in [("station", "AirStation"), ("counter", "TrafficCounter")] {
                let sensor = NamedNode::new_unchecked(format!("{}{kind}/{station}", authority(member)));
                out.push(Triple::new(sensor.clone(), schema("location"), place.clone()));
                out.push(Triple::new(sensor, rdf::TYPE.into_owned(), schema(class)));
            }
        }
    }
    out
}

/// All members: the municipalities, then the register.
#[must_use]
pub fn federation(size: Size) -> Vec<Vec<Triple>> {
    let mut out: Vec<Vec<Triple>> = (0..size.members).map(|member| municipality(member, size)).collect();
    out.push(register(size));
    out
}

/// The queries that are measured: name, text, and whether one member alone can answer.
pub const QUERIES: &[(&str, &str)] = &[
    (
        "a: star over all members",
        "PREFIX s: <http://www.w3.org/ns/sosa/> SELECT ?o ?n ?t WHERE { ?o a s:Observation ; s:madeBySensor ?x ; s:observedProperty <https://register.example/property/no2> ; s:hasSimpleResult ?n ; s:resultTime ?t . FILTER(?n > 57) }",
    ),
    (
        "b: join with the register",
        "PREFIX s: <http://www.w3.org/ns/sosa/> PREFIX c: <http://schema.org/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> SELECT ?name ?x ?n ?t WHERE { ?p a c:City ; rdfs:label ?name ; c:containedInPlace <https://register.example/province/1> . ?x c:location ?p ; a c:AirStation . ?o s:madeBySensor ?x ; s:hasSimpleResult ?n ; s:resultTime ?t . FILTER(?t = '2026-03-02T08:00:00Z'^^<http://www.w3.org/2001/XMLSchema#dateTime>) }",
    ),
    (
        "c: aggregate over all members",
        "PREFIX s: <http://www.w3.org/ns/sosa/> SELECT ?p (COUNT(?n) AS ?count) (AVG(?n) AS ?mean) (MAX(?n) AS ?most) WHERE { ?o s:observedProperty ?p ; s:hasSimpleResult ?n } GROUP BY ?p",
    ),
    (
        "d: one owner",
        "PREFIX s: <http://www.w3.org/ns/sosa/> SELECT ?p ?n WHERE { ?o s:madeBySensor <https://m001.example/station/2> ; s:observedProperty ?p ; s:hasSimpleResult ?n ; s:resultTime '2026-03-02T08:00:00Z'^^<http://www.w3.org/2001/XMLSchema#dateTime> }",
    ),
    (
        "e: aggregate over a join",
        "PREFIX s: <http://www.w3.org/ns/sosa/> PREFIX c: <http://schema.org/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> SELECT ?name (SUM(?n) AS ?total) WHERE { ?x c:location ?p ; a c:TrafficCounter . ?p rdfs:label ?name . ?o s:madeBySensor ?x ; s:hasSimpleResult ?n } GROUP BY ?name",
    ),
];
