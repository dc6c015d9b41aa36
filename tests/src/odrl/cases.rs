//! Our own cases after the test regime of the W3C working group: the information model, written down as data.
//!
//! A case holds a policy as JSON-LD, the facts, and what is expected. They are in `tests/corpus/odrl`.

use std::collections::BTreeMap;
use std::path::Path;

use oxrdf::{Literal, NamedNode, Term};
use policies::odrl::{Behaviour, DutyState, Of, Performed, World, WorldBuilder};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The row of the test regime that it stands for.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The policy, or a document with several, as JSON-LD.
    pub policy: Value,
    /// The facts.
    #[serde(default)]
    pub world: Facts,
    /// What is expected; each suite says in which words.
    pub expect: String,
}

/// Facts of a case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// The instant; 2026-06-01 at noon, universal time, when it is left out.
    #[serde(with = "time::serde::rfc3339::option")]
    pub now: Option<OffsetDateTime>,
    /// Who asks.
    pub party: Option<String>,
    /// What for.
    pub target: Option<String>,
    /// To do what.
    pub action: String,
    /// Values of left operands.
    pub values: BTreeMap<String, Vec<Value>>,
    /// Units of those values.
    pub units: BTreeMap<String, String>,
    /// Attributes of the party.
    pub party_values: BTreeMap<String, Vec<Value>>,
    /// Attributes of the asset.
    pub target_values: BTreeMap<String, Vec<Value>>,
    /// What is below what.
    pub below: Vec<(String, String)>,
    /// Which action brings which along.
    pub implies: Vec<(String, String)>,
    /// What was done.
    pub performed: Vec<Event>,
    /// States of duties that are told.
    pub duties: BTreeMap<String, String>,
    /// What references stand for.
    pub references: BTreeMap<String, Vec<Value>>,
    /// Profiles that are understood.
    pub profiles: Vec<String>,
    /// Duties that the enforcement point carries out.
    pub executes: Vec<String>,
    /// Judge an offer as if agreed.
    pub what_if: bool,
    /// Permit what nothing speaks about.
    pub open: bool,
}

/// Something that was done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The action.
    pub action: String,
    /// Who did it.
    pub by: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Further parties by function.
    #[serde(default)]
    pub parties: Vec<(String, String)>,
    /// Values at that time.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
}

/// Reads the cases of a file.
///
/// # Errors
/// What cannot be read, in words.
pub fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// A short name as the IRI that it stands for.
#[must_use]
pub fn iri(name: &str) -> String {
    match name.split_once(':') {
        None => format!("{}{name}", vocab::odrl::NS),
        Some(("ex", local)) => format!("https://example.org/{local}"),
        Some(("meent", local)) => format!("{}{local}", vocab::meent::NS),
        Some(("dpv", local)) => format!("{}{local}", vocab::dpv::NS),
        Some(_) => name.to_owned(),
    }
}

/// A JSON value as the term that it stands for: `{"@id": …}`, `{"@value": …, "@type": …}`, a number, a text.
#[must_use]
pub fn term(value: &Value) -> Term {
    match value {
        Value::Object(object) => match object.get("@id").and_then(Value::as_str) {
            Some(id) => NamedNode::new_unchecked(iri(id)).into(),
            None => {
                let text = object.get("@value").and_then(Value::as_str).unwrap_or_default();
                let datatype = object.get("@type").and_then(Value::as_str).unwrap_or("xsd:string");
                let datatype = datatype.replace("xsd:", vocab::xsd::NS);
                Literal::new_typed_literal(text, NamedNode::new_unchecked(datatype)).into()
            }
        },
        Value::Number(number) if number.is_i64() => {
            Literal::new_typed_literal(number.to_string(), vocab::node(vocab::xsd::INTEGER)).into()
        }
        Value::Number(number) => {
            Literal::new_typed_literal(number.to_string(), vocab::node(vocab::xsd::DECIMAL)).into()
        }
        Value::Bool(truth) => Literal::from(*truth).into(),
        other => Literal::new_simple_literal(other.as_str().unwrap_or_default()).into(),
    }
}

impl Facts {
    /// The world that these facts describe.
    #[must_use]
    pub fn world(&self) -> World {
        let now = self.now.unwrap_or(time::macros::datetime!(2026-06-01 12:00 UTC));
        let mut world = World::at(now).action(iri(&self.action)).behaviour(Behaviour {
            open: self.open,
            what_if: self.what_if,
            ..Behaviour::default()
        });
        if let Some(party) = &self.party {
            world = world.party(iri(party));
        }
        if let Some(target) = &self.target {
            world = world.target(iri(target));
        }
        let tables = [
            (Of::Request, &self.values),
            (Of::Party, &self.party_values),
            (Of::Target, &self.target_values),
        ];
        for (of, values) in tables {
            world = told(world, of, values, &self.units);
        }
        for (narrow, wide) in &self.below {
            world = world.below(iri(narrow), iri(wide));
        }
        for (action, other) in &self.implies {
            world = world.implies(iri(action), iri(other));
        }
        for (reference, values) in &self.references {
            world = world.reference(iri(reference), values.iter().map(term).collect());
        }
        for event in &self.performed {
            world = world.performed(event.performed());
        }
        for (duty, state) in &self.duties {
            world = world.duty(iri(duty), duty_state(state));
        }
        for profile in &self.profiles {
            world = world.profile(iri(profile));
        }
        for action in &self.executes {
            world = world.executes(iri(action));
        }
        world.build()
    }
}

fn told(
    mut world: WorldBuilder,
    of: Of,
    values: &BTreeMap<String, Vec<Value>>,
    units: &BTreeMap<String, String>,
) -> WorldBuilder {
    for (operand, values) in values {
        world = world.none(of, iri(operand));
        for value in values {
            let unit = units.get(operand).map(|unit| iri(unit));
            world = world.told(of, iri(operand), term(value), unit);
        }
    }
    world
}

impl Event {
    fn performed(&self) -> Performed {
        Performed {
            action: iri(&self.action),
            by: self.by.as_deref().map(iri),
            target: self.target.as_deref().map(iri),
            at: self.at,
            parties: self
                .parties
                .iter()
                .map(|(function, party)| (iri(function), iri(party)))
                .collect(),
            values: self
                .values
                .iter()
                .map(|(operand, value)| (iri(operand), term(value)))
                .collect(),
        }
    }
}

fn duty_state(name: &str) -> DutyState {
    match name {
        "fulfilled" => DutyState::Fulfilled,
        "violated" => DutyState::Violated,
        "pending" => DutyState::Pending,
        _ => DutyState::NotSet,
    }
}
