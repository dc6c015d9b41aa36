//! The state of the world in which policies are judged: a total set of facts, each of them told, absent or not told.
//!
//! It is built once per request (or once per consumer, and copied) and never looked up further: whatever is not in it is
//! not known, and what is not known grants nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oxrdf::Term;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::action;
use super::model::Duty;
use super::operand;
use super::value::{Stated, Value};
use crate::purpose::Hierarchy;

/// The state of a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DutyState {
    /// Nothing is known about it.
    NotSet,
    /// Not done, and there is still time.
    Pending,
    /// Done.
    Fulfilled,
    /// Not done in time.
    Violated,
}

/// Something that was done, as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Performed {
    /// IRI of the action.
    pub action: String,
    /// Who did it.
    pub by: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// When.
    pub at: OffsetDateTime,
    /// Further parties by function, such as `odrl:informedParty`.
    pub parties: Vec<(String, String)>,
    /// Values of left operands at that time.
    pub values: Vec<(String, Term)>,
}

/// What happens where ODRL leaves it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// Permit what no policy speaks about.
    pub open: bool,
    /// A permission holds as long as its duties are not violated, instead of once they are fulfilled.
    pub duties_may_follow: bool,
    /// Judge offers as if they were agreed.
    pub what_if: bool,
    /// Let permissions count that name no action or no asset, see [`super::Reading::absent_is_any`].
    pub absent_is_any: bool,
}

/// The facts for a decision.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) now: OffsetDateTime,
    /// The party, then the collections that it belongs to.
    pub(super) parties: Vec<Box<str>>,
    /// The asset, then the collections that it belongs to.
    pub(super) targets: Vec<Box<str>>,
    /// The action, then all wider ones.
    pub(super) actions: Vec<Box<str>>,
    /// Actions that come along with it.
    pub(super) implied: Vec<Box<str>>,
    declared: Vec<Option<Vec<Stated>>>,
    other: HashMap<Box<str>, Vec<Stated>>,
    of_party: HashMap<Box<str>, Vec<Stated>>,
    of_target: HashMap<Box<str>, Vec<Stated>>,
    references: HashMap<Box<str>, Vec<Term>>,
    pub(super) concepts: Hierarchy,
    pub(super) profiles: BTreeSet<String>,
    pub(super) duties: HashMap<String, DutyState>,
    pub(super) performed: Vec<Performed>,
    pub(super) executes: BTreeSet<String>,
    pub(super) behaviour: Behaviour,
}

/// Whose attribute an operand names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Of {
    /// The request as a whole.
    Request,
    /// The party that asks, in a refinement of a party collection.
    Party,
    /// The asset, in a refinement of an asset collection.
    Target,
}

impl World {
    /// A world in which only the time is known.
    #[must_use]
    pub fn at(now: OffsetDateTime) -> WorldBuilder {
        WorldBuilder {
            now,
            party: None,
            target: None,
            action: String::new(),
            values: BTreeMap::new(),
            pairs: Vec::new(),
            implies: Vec::new(),
            references: HashMap::new(),
            profiles: BTreeSet::new(),
            duties: HashMap::new(),
            performed: Vec::new(),
            executes: BTreeSet::new(),
            behaviour: Behaviour::default(),
        }
    }

    /// The instant of the decision.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    pub(super) fn stated(&self, of: Of, position: Option<usize>, operand: &str) -> Option<&[Stated]> {
        match (of, position) {
            (Of::Request, Some(position)) => self.declared.get(position)?.as_deref(),
            (Of::Request, None) => self.other.get(operand).map(Vec::as_slice),
            (Of::Party, _) => self.of_party.get(operand).map(Vec::as_slice),
            (Of::Target, _) => self.of_target.get(operand).map(Vec::as_slice),
        }
    }

    pub(super) fn reference(&self, iri: &str) -> Option<&[Term]> {
        self.references.get(iri).map(Vec::as_slice)
    }

    pub(super) fn narrower(&self, narrow: &str, wide: &str) -> bool {
        narrow == wide || self.concepts.is_a(narrow, wide)
    }

    /// The world at the time of something that was done, with what was stated then.
    pub(super) fn when(&self, event: &Performed) -> Self {
        let mut then = self.clone();
        then.now = event.at;
        for (operand, term) in &event.values {
            let stated = Value::read(term, None).map(|value| vec![then.with_wider(value, None)]);
            match operand::position(operand) {
                Some(position) => {
                    if let Some(slot) = then.declared.get_mut(position) {
                        *slot = stated;
                    }
                }
                None => {
                    then.other.remove(operand.as_str());
                    then.other
                        .extend(stated.map(|stated| (operand.as_str().into(), stated)));
                }
            }
        }
        then
    }

    fn with_wider(&self, value: Value, unit: Option<&str>) -> Stated {
        with_wider(&self.concepts, value, unit)
    }
}

fn with_wider(concepts: &Hierarchy, value: Value, unit: Option<&str>) -> Stated {
    let wider = match &value {
        Value::Iri(iri) => concepts
            .all_broader(iri)
            .into_iter()
            .map(String::into_boxed_str)
            .collect(),
        _ => Vec::new(),
    };
    Stated {
        value,
        unit: unit.map(Into::into),
        wider,
    }
}

/// Collects the facts for a [`World`].
#[derive(Clone, Debug)]
pub struct WorldBuilder {
    now: OffsetDateTime,
    party: Option<String>,
    target: Option<String>,
    action: String,
    values: BTreeMap<(Of, String), Vec<(Term, Option<String>)>>,
    pairs: Vec<(String, String)>,
    implies: Vec<(String, String)>,
    references: HashMap<Box<str>, Vec<Term>>,
    profiles: BTreeSet<String>,
    duties: HashMap<String, DutyState>,
    performed: Vec<Performed>,
    executes: BTreeSet<String>,
    behaviour: Behaviour,
}

impl WorldBuilder {
    /// Who asks. Without it nobody known asks.
    #[must_use]
    pub fn party(mut self, iri: impl Into<String>) -> Self {
        self.party = Some(iri.into());
        self
    }

    /// What is asked for.
    #[must_use]
    pub fn target(mut self, iri: impl Into<String>) -> Self {
        self.target = Some(iri.into());
        self
    }

    /// What is to be done with it.
    #[must_use]
    pub fn action(mut self, iri: impl Into<String>) -> Self {
        self.action = iri.into();
        self
    }

    /// One more value of a left operand.
    #[must_use]
    pub fn value(self, operand: impl Into<String>, value: impl Into<Term>) -> Self {
        self.told(Of::Request, operand, value, None)
    }

    /// One more value, with its unit, of a left operand or of an attribute of the party or the asset.
    #[must_use]
    pub fn told(mut self, of: Of, operand: impl Into<String>, value: impl Into<Term>, unit: Option<String>) -> Self {
        let values = self.values.entry((of, operand.into())).or_default();
        values.push((value.into(), unit));
        self
    }

    /// It is known that the operand has no value.
    #[must_use]
    pub fn none(mut self, of: Of, operand: impl Into<String>) -> Self {
        self.values.entry((of, operand.into())).or_default();
        self
    }

    /// What a `rightOperandReference` stands for, from an allow-listed place.
    #[must_use]
    pub fn reference(mut self, iri: impl Into<String>, values: Vec<Term>) -> Self {
        self.references.insert(iri.into().into(), values);
        self
    }

    /// One concept, action, place or collection is below another (`skos:broader`, `odrl:includedIn`, `odrl:partOf`, …).
    #[must_use]
    pub fn below(mut self, narrow: impl Into<String>, wide: impl Into<String>) -> Self {
        self.pairs.push((narrow.into(), wide.into()));
        self
    }

    /// One action comes along with another (`odrl:implies`).
    #[must_use]
    pub fn implies(mut self, action: impl Into<String>, other: impl Into<String>) -> Self {
        self.implies.push((action.into(), other.into()));
        self
    }

    /// A profile whose terms the enforcement point understands.
    #[must_use]
    pub fn profile(mut self, iri: impl Into<String>) -> Self {
        self.profiles.insert(iri.into());
        self
    }

    /// The state of a duty as a tracker has it.
    #[must_use]
    pub fn duty(mut self, id: impl Into<String>, state: DutyState) -> Self {
        self.duties.insert(id.into(), state);
        self
    }

    /// Something that was done.
    #[must_use]
    pub fn performed(mut self, event: Performed) -> Self {
        self.performed.push(event);
        self
    }

    /// A duty that the enforcement point carries out itself along with the action.
    #[must_use]
    pub fn executes(mut self, action: impl Into<String>) -> Self {
        self.executes.insert(action.into());
        self
    }

    /// What happens where ODRL leaves it open.
    #[must_use]
    pub fn behaviour(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// All facts as text, the same for the same facts in any order: what an audit record keeps so that the decision can be
    /// made again.
    #[must_use]
    pub fn snapshot(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for ((of, operand), values) in &self.values {
            let mut values: Vec<String> = values.iter().map(|(term, unit)| format!("{term} {unit:?}")).collect();
            values.sort_unstable();
            lines.push(format!("value {of:?} {operand:?} {values:?}"));
        }
        lines.extend(self.pairs.iter().map(|pair| format!("below {pair:?}")));
        lines.extend(self.implies.iter().map(|pair| format!("implies {pair:?}")));
        lines.extend(self.references.iter().map(|(iri, terms)| {
            let mut terms: Vec<String> = terms.iter().map(ToString::to_string).collect();
            terms.sort_unstable();
            format!("reference {iri:?} {terms:?}")
        }));
        lines.extend(self.profiles.iter().map(|profile| format!("profile {profile:?}")));
        lines.extend(
            self.duties
                .iter()
                .map(|(duty, state)| format!("duty {duty:?} {state:?}")),
        );
        lines.extend(self.performed.iter().map(|event| format!("performed {event:?}")));
        lines.extend(self.executes.iter().map(|action| format!("executes {action:?}")));
        lines.sort_unstable();
        lines.dedup();
        let (now, asked) = (
            self.now.unix_timestamp_nanos(),
            (&self.party, &self.target, &self.action),
        );
        format!(
            "now {now}\nasked {asked:?}\n{:?}\n{}\n",
            self.behaviour,
            lines.join("\n")
        )
    }

    /// SHA-256 of [`WorldBuilder::snapshot`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.snapshot()).into()
    }

    /// The world. Collections, concepts and actions are followed upwards here, once.
    #[must_use]
    pub fn build(self) -> World {
        let concepts = Hierarchy::from_pairs(self.pairs);
        let with_all = |iri: Option<&String>| -> Vec<Box<str>> {
            let wider = iri.into_iter().flat_map(|iri| concepts.all_broader(iri));
            iri.into_iter()
                .cloned()
                .chain(wider)
                .map(String::into_boxed_str)
                .collect()
        };
        let mut declared = vec![None; operand::LEFT_OPERANDS.len()];
        let mut maps = [HashMap::new(), HashMap::new(), HashMap::new()];
        for ((of, operand), values) in self.values {
            // One value that cannot be read makes the whole operand one that is not told.
            let stated: Option<Vec<Stated>> = values
                .iter()
                .map(|(term, unit)| Some(with_wider(&concepts, Value::read(term, None)?, unit.as_deref())))
                .collect();
            let Some(stated) = stated else { continue };
            match (of, operand::position(&operand)) {
                (Of::Request, Some(position)) => {
                    if let Some(slot) = declared.get_mut(position) {
                        *slot = Some(stated);
                    }
                }
                (of, _) => {
                    if let Some(map) = maps.get_mut(of as usize) {
                        map.insert(operand.into(), stated);
                    }
                }
            }
        }
        if let Some(clock) = operand::position(vocab::odrl::DATE_TIME).and_then(|clock| declared.get_mut(clock)) {
            *clock = Some(vec![with_wider(&concepts, Value::now(self.now), None)]);
        }
        let actions = wider_actions(&self.action, &concepts);
        let implied = implied(&actions, &self.implies, &concepts);
        let [other, of_party, of_target] = maps;
        World {
            now: self.now,
            parties: with_all(self.party.as_ref()),
            targets: with_all(self.target.as_ref()),
            actions,
            implied,
            declared,
            other,
            of_party,
            of_target,
            references: self.references,
            concepts,
            profiles: self.profiles,
            duties: self.duties,
            performed: self.performed,
            executes: self.executes,
            behaviour: self.behaviour,
        }
    }
}

/// An action and all wider ones, by the vocabulary and by what the world says of actions of profiles.
pub(super) fn wider_actions(action: &str, concepts: &Hierarchy) -> Vec<Box<str>> {
    let mut found: Vec<Box<str>> = vec![action.into()];
    let mut next = 0;
    while let Some(one) = found.get(next).cloned() {
        let wider = concepts.all_broader(&one).into_iter();
        for wide in wider.chain(action::included_in(&one).map(str::to_owned)) {
            if found.len() < crate::purpose::PURPOSES_VISITED_MAX && !found.iter().any(|known| **known == *wide) {
                found.push(wide.into());
            }
        }
        next += 1;
    }
    found
}

/// What the action brings along, followed as far as it goes; each with its wider actions.
fn implied(actions: &[Box<str>], implies: &[(String, String)], concepts: &Hierarchy) -> Vec<Box<str>> {
    let mut found: Vec<Box<str>> = Vec::new();
    let mut open: Vec<Box<str>> = actions.to_vec();
    while let Some(one) = open.pop() {
        for (_, other) in implies.iter().filter(|(action, _)| **action == *one) {
            if !found.iter().any(|known| **known == **other) {
                open.push(other.as_str().into());
                found.extend(wider_actions(other, concepts));
            }
        }
    }
    found
}

/// Where a duty is told of by its own IRI.
pub(super) fn told_state(world: &World, duty: &Duty) -> Option<DutyState> {
    world.duties.get(duty.id.as_ref()?).copied()
}
