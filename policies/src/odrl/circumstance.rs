//! What the server that holds the data knows about an agreement beyond request and clock: what its owner states about the
//! world and about the other party, when it was made and used, through what it is asked (ENF-5, ENF-6, ENF-15, ENF-16,
//! ENF-20, ENF-21, ENF-23).
//!
//! What is stated comes from the owner and from nobody else: no address of a connection and no header of a request makes
//! one of these conditions hold.

use std::str::FromStr;
use std::time::Duration as StdDuration;

use oxrdf::{Literal, NamedNode, Term};
use oxsdatatypes::DayTimeDuration;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use vocab::{meent, node, odrl, xsd};

use super::condition::Condition;
use super::constraint::atoms;
use super::model::{AtomicConstraint, Constraint, Operator, Policy};
use super::truth::Tri;
use super::world::{Of, World};

/// Operands whose values the owner states.
pub const STATED: [&str; 9] = [
    odrl::EVENT,
    odrl::SPATIAL,
    odrl::INDUSTRY,
    odrl::DEVICE,
    odrl::SYSTEM_DEVICE,
    odrl::VIRTUAL_LOCATION,
    odrl::PAY_AMOUNT,
    odrl::PRODUCT,
    odrl::VERSION,
];

/// Operands that compare the clock with the course of the agreement.
pub const COURSE: [&str; 3] = [odrl::ELAPSED_TIME, odrl::TIME_INTERVAL, odrl::DELAY_PERIOD];

/// Operands that the way of asking answers: the application, and whether the channel is encrypted.
pub const CHANNEL: [&str; 2] = [odrl::SYSTEM, odrl::DELIVERY_CHANNEL];

/// Stands for the time since a use that never was.
const NEVER: Duration = Duration::days(365_000);

/// What is known beyond request and clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Circumstances {
    /// Nothing: a condition on it holds for nobody.
    #[default]
    NotKept,
    /// Another server knows, and decides again: conditions on it are taken as met.
    Elsewhere,
    /// This.
    Known(Box<Known>),
}

/// What the server that holds the data knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// When the agreement was made.
    #[serde(with = "time::serde::rfc3339")]
    pub agreed: OffsetDateTime,
    /// When it was first used.
    #[serde(with = "time::serde::rfc3339::option")]
    pub first_use: Option<OffsetDateTime>,
    /// When it was last used before this use.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_use: Option<OffsetDateTime>,
    /// Whether answers leave encrypted.
    pub encrypted: bool,
    /// What the owner states; none where the owner states nothing at all.
    pub stated: Option<Statements>,
    /// Whether something is held that was not yet said to be deleted.
    pub held: bool,
    /// Until when what was received has to be deleted, where that is open.
    #[serde(with = "time::serde::rfc3339::option")]
    pub delete_by: Option<OffsetDateTime>,
}

/// Statements of an owner about the world, as far as they concern one agreement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    /// Operand, value, unit.
    #[serde(with = "as_text")]
    pub values: Vec<(String, Term, Option<String>)>,
    /// Narrower and wider concept: places, events, branches.
    pub below: Vec<(String, String)>,
}

/// Values in the syntax of N-Triples.
mod as_text {
    use std::str::FromStr;

    use oxrdf::Term;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    type Value = (String, Term, Option<String>);

    pub(super) fn serialize<S: Serializer>(values: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
        let texts = values
            .iter()
            .map(|(operand, value, unit)| (operand, value.to_string(), unit));
        texts.collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Value>, D::Error> {
        let texts = Vec::<(String, String, Option<String>)>::deserialize(deserializer)?;
        let read = texts.into_iter().map(|(operand, value, unit)| {
            let value = Term::from_str(&value).map_err(de::Error::custom)?;
            Ok((operand, value, unit))
        });
        read.collect()
    }
}

/// Whether conditions on this operand are judged by circumstances.
#[must_use]
pub fn by_circumstance(operand: &str) -> bool {
    STATED.contains(&operand) || COURSE.contains(&operand) || CHANNEL.contains(&operand)
}

/// Whether a policy has a condition that needs circumstances.
#[must_use]
pub fn needs_circumstances(policy: &Policy) -> bool {
    conditions(policy).any(|atomic| by_circumstance(&atomic.left_operand))
}

/// Whether a policy asks when it was used.
#[must_use]
pub fn needs_uses(policy: &Policy) -> bool {
    conditions(policy).any(|atomic| [odrl::ELAPSED_TIME, odrl::TIME_INTERVAL].contains(&atomic.left_operand.as_str()))
}

/// Whether a condition on circumstances can be said to hold, or not to hold, of anything: its operator and its values fit
/// the operand.
#[must_use]
pub fn answerable(atomic: &AtomicConstraint) -> bool {
    let left = atomic.left_operand.as_str();
    if COURSE.contains(&left) {
        return course(atomic).is_some();
    }
    let now = OffsetDateTime::UNIX_EPOCH;
    atomic.right_operands.iter().any(|value| {
        let world = World::at(now)
            .told(Of::Request, left, value.clone(), atomic.unit.clone())
            .build();
        judged(atomic, &world) != Tri::Unknown
    })
}

fn judged(atomic: &AtomicConstraint, world: &World) -> Tri {
    let condition = Condition::of(Of::Request, &Constraint::Atomic(atomic.clone()), 0);
    condition
        .judge(world, world.now().unix_timestamp_nanos(), &mut None)
        .truth
}

/// The operator and the time of a condition on the course of an agreement. `eq` means what ODRL's own words about these
/// operands say: at most so long after the first use, at least so long after the last use or after the agreement.
fn course(atomic: &AtomicConstraint) -> Option<(Operator, Duration)> {
    let plain = atomic.right_operand_reference.is_none() && atomic.unit.is_none() && atomic.status.is_none();
    let ([Term::Literal(literal)], true) = (atomic.right_operands.as_slice(), plain) else {
        return None;
    };
    let time = exact_duration(literal)?;
    let elapsed = atomic.left_operand == odrl::ELAPSED_TIME;
    let operator = match &atomic.operator {
        Operator::Eq if elapsed => Operator::Lteq,
        Operator::Eq => Operator::Gteq,
        own @ (Operator::Lt | Operator::Lteq | Operator::Gt | Operator::Gteq) => own.clone(),
        _ => return None,
    };
    Some((operator, time))
}

/// A duration of days and parts of days; months have no length of their own.
pub(super) fn exact_duration(literal: &Literal) -> Option<Duration> {
    if ![xsd::DURATION, xsd::DAY_TIME_DURATION].contains(&literal.datatype().as_str()) {
        return None;
    }
    let exact = DayTimeDuration::from_str(literal.value().trim()).ok()?;
    Duration::try_from(StdDuration::try_from(exact).ok()?).ok()
}

impl Known {
    /// The answer to a condition on the course of the agreement; none for any other.
    pub(super) fn in_course(&self, atomic: &AtomicConstraint, now: OffsetDateTime) -> Option<bool> {
        let (operator, time) = course(atomic)?;
        let passed = match atomic.left_operand.as_str() {
            odrl::ELAPSED_TIME => self.first_use.map_or(Duration::ZERO, |first| now - first),
            odrl::TIME_INTERVAL => self.last_use.map_or(NEVER, |last| now - last),
            odrl::DELAY_PERIOD => now - self.agreed,
            _ => return None,
        };
        Some(match operator {
            Operator::Lt => passed < time,
            Operator::Lteq => passed <= time,
            Operator::Gt => passed > time,
            _ => passed >= time,
        })
    }

    /// The world in which the other conditions on circumstances are judged.
    #[must_use]
    pub fn world(&self, now: OffsetDateTime, client: Option<&str>) -> World {
        let mut world = World::at(now);
        world = match client {
            None => world.none(Of::Request, odrl::SYSTEM),
            Some(client) => world.value(odrl::SYSTEM, iri_or_text(client)),
        };
        world = match self.encrypted {
            false => world.none(Of::Request, odrl::DELIVERY_CHANNEL),
            true => world.value(odrl::DELIVERY_CHANNEL, node(meent::ENCRYPTED_TRANSPORT).into_owned()),
        };
        let Some(stated) = &self.stated else {
            return world.build();
        };
        // The owner's statements are all there are: what is not among them is not so.
        for operand in STATED {
            world = world.none(Of::Request, operand);
        }
        for (operand, value, unit) in &stated.values {
            world = world.told(Of::Request, operand, value.clone(), unit.clone());
        }
        for (narrow, wide) in &stated.below {
            world = world.below(narrow, wide);
        }
        world.build()
    }

    /// The instants after `now` at which the course of the agreement changes a decision: conditions on it, and the lease
    /// that ends when data should have been deleted.
    pub(crate) fn changes(&self, policy: &Policy, now: OffsetDateTime) -> Vec<OffsetDateTime> {
        let points = conditions(policy).filter_map(|atomic| {
            let (_, time) = course(atomic)?;
            let from = match atomic.left_operand.as_str() {
                odrl::ELAPSED_TIME => self.first_use.unwrap_or(now),
                odrl::TIME_INTERVAL => self.last_use?,
                odrl::DELAY_PERIOD => self.agreed,
                _ => return None,
            };
            from.checked_add(time)
        });
        points.chain(self.delete_by).filter(|instant| *instant > now).collect()
    }
}

fn iri_or_text(client: &str) -> Term {
    match NamedNode::new(client) {
        Ok(iri) => iri.into(),
        Err(_) => Literal::new_simple_literal(client).into(),
    }
}

/// Every condition of a policy's rules.
pub(super) fn conditions(policy: &Policy) -> impl Iterator<Item = &AtomicConstraint> {
    let permissions = policy.permissions.iter().map(|rule| (&rule.constraints, &rule.action));
    let prohibitions = policy.prohibitions.iter().map(|rule| (&rule.constraints, &rule.action));
    permissions
        .chain(prohibitions)
        .flat_map(|(constraints, action)| atoms(constraints).chain(atoms(&action.refinements)))
}
