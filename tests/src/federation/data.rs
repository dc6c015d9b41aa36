//! Small data with every shape that federation must get right: owned subjects, shared vocabularies, links between owners, blank
//! nodes, chains, missing values, several languages and number types.

use oxrdf::vocab::{rdf, rdfs, xsd};
use oxrdf::{BlankNode, Literal, NamedNode, Term, Triple};

/// Namespace of the vocabulary.
pub const EX: &str = "http://vocab.example/";
/// Authority of the register.
pub const REGISTER: &str = "http://register.example/";
/// How many owners the data has.
pub const OWNERS: usize = 5;

/// How triples are dealt over members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dealing {
    /// Every owner's subjects carry the owner's authority.
    ByOwner,
    /// All subjects share one authority and are dealt out by subject: nothing can be proved from summaries.
    SharedAuthority,
    /// As by owner, but every third triple lies at a second member too.
    Replicated,
}

fn ex(name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{EX}{name}"))
}

fn triple(subject: impl Into<oxrdf::NamedOrBlankNode>, predicate: NamedNode, object: impl Into<Term>) -> Triple {
    Triple::new(subject, predicate, object)
}

/// The data, dealt over `members` members.
#[must_use]
pub fn dealt(members: usize, dealing: Dealing) -> Vec<Vec<Triple>> {
    let mut out: Vec<Vec<Triple>> = vec![Vec::new(); members];
    let mut give = |at: usize, triple: Triple| {
        if let Some(own) = out.get_mut(at % members) {
            own.push(triple);
        }
    };
    for triple in register() {
        give(0, triple);
    }
    for owner in 0..OWNERS {
        let authority = match dealing {
            Dealing::SharedAuthority => "http://data.example/".to_owned(),
            _ => format!("http://owner{owner}.example/"),
        };
        for (at, triple) in owned(owner, &authority).into_iter().enumerate() {
            let blank = triple.subject.is_blank_node() || triple.object.is_blank_node();
            if dealing == Dealing::Replicated && at % 3 == 0 && !blank {
                give(owner + 1, triple.clone());
            }
            give(owner, triple);
        }
    }
    for own in &mut out {
        own.sort_by_key(ToString::to_string);
        own.dedup();
    }
    out
}

/// Streets in districts in cities: a chain of three, with names in two languages.
fn register() -> Vec<Triple> {
    let place = |name: String| NamedNode::new_unchecked(format!("{REGISTER}{name}"));
    let mut out = Vec::new();
    for city in 0..2 {
        let own = place(format!("city/{city}"));
        out.push(triple(own.clone(), rdf::TYPE.into_owned(), ex("City")));
        out.push(triple(own.clone(), ex("code"), Literal::from(44_000 + city)));
        out.push(triple(
            own.clone(),
            rdfs::LABEL.into_owned(),
            Literal::new_language_tagged_literal_unchecked(format!("Stad {city}"), "nl"),
        ));
        out.push(triple(
            own.clone(),
            rdfs::LABEL.into_owned(),
            Literal::new_language_tagged_literal_unchecked(format!("Ville {city}"), "fr"),
        ));
        for district in 0..2 {
            let part = place(format!("district/{city}{district}"));
            out.push(triple(part.clone(), rdf::TYPE.into_owned(), ex("District")));
            out.push(triple(part.clone(), ex("partOf"), own.clone()));
            for street in 0..2 {
                let way = place(format!("street/{city}{district}{street}"));
                out.push(triple(way.clone(), rdf::TYPE.into_owned(), ex("Street")));
                out.push(triple(way.clone(), ex("partOf"), part.clone()));
                out.push(triple(
                    way.clone(),
                    ex("name"),
                    Literal::from(format!("Street {city}{district}{street}")),
                ));
                if street == 0 {
                    out.push(triple(
                        way,
                        ex("length"),
                        Literal::new_typed_literal(format!("{}.5", 100 + city), xsd::DECIMAL),
                    ));
                }
            }
        }
    }
    out
}

/// Sensors with observations, results as blank nodes, and a ring of neighbours.
fn owned(owner: usize, authority: &str) -> Vec<Triple> {
    let own = |name: String| NamedNode::new_unchecked(format!("{authority}{name}"));
    let mut out = Vec::new();
    for s in 0..4 {
        let sensor = own(format!("sensor/{owner}{s}"));
        out.push(triple(sensor.clone(), rdf::TYPE.into_owned(), ex("Sensor")));
        out.push(triple(
            sensor.clone(),
            ex("street"),
            NamedNode::new_unchecked(format!("{REGISTER}street/{}{}{}", owner % 2, s % 2, (owner + s) % 2)),
        ));
        out.push(triple(
            sensor.clone(),
            ex("next"),
            own(format!("sensor/{owner}{}", (s + 1) % 4)),
        ));
        out.push(triple(
            sensor.clone(),
            rdfs::LABEL.into_owned(),
            Literal::new_language_tagged_literal_unchecked(format!("teller {owner}{s}"), "nl"),
        ));
        if s != 2 {
            out.push(triple(
                sensor.clone(),
                ex("height"),
                Literal::new_typed_literal(format!("{s}.{owner}5"), xsd::DECIMAL),
            ));
        }
        if s == 1 {
            // One link to the next owner's sensor.
            let other = if authority.contains("owner") {
                format!("http://owner{}.example/", (owner + 1) % OWNERS)
            } else {
                authority.to_owned()
            };
            out.push(triple(
                sensor.clone(),
                ex("twin"),
                NamedNode::new_unchecked(format!("{other}sensor/{}{}", (owner + 1) % OWNERS, s)),
            ));
        }
        for o in 0..4 {
            let observation = own(format!("obs/{owner}{s}{o}"));
            out.push(triple(observation.clone(), rdf::TYPE.into_owned(), ex("Observation")));
            out.push(triple(observation.clone(), ex("madeBy"), sensor.clone()));
            out.push(triple(
                observation.clone(),
                ex("value"),
                Literal::from(i64::try_from((owner * 7 + s * 3 + o * 5) % 20).unwrap_or(0)),
            ));
            out.push(triple(
                observation.clone(),
                ex("time"),
                Literal::new_typed_literal(
                    format!("2026-03-0{}T{:02}:00:00Z", 1 + o % 3, (s * 4 + o) % 24),
                    xsd::DATE_TIME,
                ),
            ));
            if o % 2 == 0 {
                let result = BlankNode::new_unchecked(format!("r{owner}{s}{o}"));
                out.push(triple(observation.clone(), ex("result"), result.clone()));
                out.push(triple(result.clone(), ex("unit"), Literal::from("bicycles")));
                out.push(triple(
                    result,
                    ex("amount"),
                    Literal::from(i64::try_from(owner + s + o).unwrap_or(0)),
                ));
            }
            if o == 3 {
                out.push(triple(
                    observation,
                    ex("quality"),
                    Literal::from(if s % 2 == 0 { "good" } else { "poor" }),
                ));
            }
        }
    }
    out
}

/// Queries over this data that must give the same answer however it is dealt. Prefixes are added by [`query`].
pub const QUERIES: &[(&str, &str)] = &include!("queries.in");

/// A query of the table with its prefixes.
#[must_use]
pub fn query(body: &str) -> String {
    format!(
        "PREFIX : <{EX}> PREFIX r: <{REGISTER}> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> {body}"
    )
}
