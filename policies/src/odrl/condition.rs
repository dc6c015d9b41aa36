//! Constraints compiled for evaluation: right operands read once, everything about the clock folded into step functions.

use oxrdf::Term;

use super::model::{AtomicConstraint, Constraint, LogicalOperator, Operator};
use super::moment::Moment;
use super::operand::{self, ValueKind};
use super::steps::Steps;
use super::truth::{Tally, Tri};
use super::value::{Stated, Value, holds};
use super::world::{Of, World};
use crate::decision::ReasonCode;

/// Deepest nesting that is compiled; a deeper constraint cannot be said to hold.
pub(super) const DEPTH_MAX: usize = 64;

/// A compiled condition.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Depends on nothing but the clock.
    Clock(Box<Steps>),
    /// One comparison.
    Compare(Box<Comparison>),
    /// Several combined.
    Group(LogicalOperator, Box<[Condition]>),
    /// Nested too deeply to be judged.
    TooDeep,
}

/// One comparison with its right operands read.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) of: Of,
    position: Option<usize>,
    kind: Option<ValueKind>,
    pub(super) operand: Box<str>,
    operator: Operator,
    /// `None` when one cannot be read.
    named: Option<Vec<Value>>,
    data_type: Option<Box<str>>,
    reference: Option<Box<str>>,
    unit: Option<Box<str>>,
    status: Option<Option<Stated>>,
}

/// An answer, with what it failed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer<'c> {
    pub(super) truth: Tri,
    pub(super) code: ReasonCode,
    pub(super) about: &'c str,
}

impl Answer<'_> {
    const YES: Self = Self {
        truth: Tri::True,
        code: ReasonCode::PermissionActive,
        about: "",
    };
}

impl Condition {
    /// All of these together.
    pub(super) fn all<'c>(constraints: impl IntoIterator<Item = (Of, &'c Constraint)>) -> Self {
        let parts = constraints
            .into_iter()
            .map(|(of, constraint)| Self::of(of, constraint, 0));
        Self::folded(LogicalOperator::And, parts.collect())
    }

    /// One constraint.
    pub(super) fn of(of: Of, constraint: &Constraint, depth: usize) -> Self {
        if depth > DEPTH_MAX {
            return Self::TooDeep;
        }
        match constraint {
            Constraint::Atomic(atomic) => Self::atomic(of, atomic),
            Constraint::Logical(logical) => {
                let parts = logical.operands.iter().map(|operand| Self::of(of, operand, depth + 1));
                Self::folded(logical.operator.clone(), parts.collect())
            }
        }
    }

    fn atomic(of: Of, atomic: &AtomicConstraint) -> Self {
        let comparison = Comparison::new(of, atomic);
        match comparison.clock_steps() {
            Some(steps) => Self::Clock(Box::new(steps)),
            None => Self::Compare(Box::new(comparison)),
        }
    }

    /// Conditions on the clock side by side become one step function.
    fn folded(operator: LogicalOperator, parts: Vec<Self>) -> Self {
        let (clocks, mut rest): (Vec<Self>, Vec<Self>) =
            parts.into_iter().partition(|part| matches!(part, Self::Clock(_)));
        let mergeable = rest.is_empty() || operator != LogicalOperator::Xone;
        if clocks.is_empty() || !mergeable {
            rest.extend(clocks);
            return Self::Group(operator, rest.into());
        }
        let steps: Vec<Steps> = clocks
            .into_iter()
            .filter_map(|part| match part {
                Self::Clock(steps) => Some(*steps),
                _ => None,
            })
            .collect();
        let clock = Self::Clock(Box::new(Steps::combine(&operator, &steps)));
        if rest.is_empty() {
            return clock;
        }
        // What costs least is asked first.
        rest.insert(0, clock);
        Self::Group(operator, rest.into())
    }

    /// The answer now. `next` becomes the earliest instant at which it may change by time alone.
    pub(super) fn judge<'c>(&'c self, world: &World, now: i128, next: &mut Option<i128>) -> Answer<'c> {
        match self {
            Self::Clock(steps) => {
                let (truth, change) = steps.at(now);
                *next = earliest(*next, change);
                Answer {
                    truth,
                    code: ReasonCode::OutsidePeriod,
                    about: vocab::odrl::DATE_TIME,
                }
            }
            Self::Compare(comparison) => comparison.judge(world),
            Self::Group(operator, parts) => group(operator, parts, world, now, next),
            Self::TooDeep => Answer {
                truth: Tri::Unknown,
                code: ReasonCode::PolicyInvalid,
                about: "depth_max",
            },
        }
    }

    /// Whether it holds at no instant from now on, whatever else becomes known.
    pub(super) fn never_again(&self, now: i128) -> bool {
        match self {
            Self::Clock(steps) => steps.over_by(now),
            Self::Group(LogicalOperator::And | LogicalOperator::AndSequence, parts) => {
                parts.iter().any(|part| part.never_again(now))
            }
            Self::Group(LogicalOperator::Or, parts) => {
                !parts.is_empty() && parts.iter().all(|part| part.never_again(now))
            }
            _ => false,
        }
    }

    /// Whether the clock is asked.
    pub(super) fn asks_clock(&self) -> bool {
        match self {
            Self::Clock(_) => true,
            Self::Group(_, parts) => parts.iter().any(Self::asks_clock),
            _ => false,
        }
    }
}

fn group<'c>(
    operator: &LogicalOperator,
    parts: &'c [Condition],
    world: &World,
    now: i128,
    next: &mut Option<i128>,
) -> Answer<'c> {
    let mut tally = Tally::default();
    let (mut first_no, mut first_unknown) = (None, None);
    let before = *next;
    for part in parts {
        let mut own = None;
        let answer = part.judge(world, now, &mut own);
        tally.add(answer.truth);
        match (answer.truth, operator) {
            // This part alone decides, so only its own change matters.
            (Tri::False, LogicalOperator::And | LogicalOperator::AndSequence) | (Tri::True, LogicalOperator::Or) => {
                *next = earliest(before, own);
                return answer;
            }
            (Tri::False, _) => first_no = first_no.or(Some(answer)),
            (Tri::Unknown, _) => first_unknown = first_unknown.or(Some(answer)),
            (Tri::True, _) => {}
        }
        *next = earliest(*next, own);
    }
    let truth = tally.answer(operator);
    let cause = match truth {
        Tri::True => Some(Answer::YES),
        Tri::Unknown => first_unknown,
        Tri::False => first_no,
    };
    Answer {
        truth,
        ..cause.unwrap_or(Answer {
            truth,
            code: ReasonCode::ConstraintNotSatisfied,
            about: operator.iri(),
        })
    }
}

/// The earlier of two instants.
pub(super) fn earliest(a: Option<i128>, b: Option<i128>) -> Option<i128> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

impl Comparison {
    pub(super) fn new(of: Of, atomic: &AtomicConstraint) -> Self {
        let data_type = atomic.data_type.as_deref();
        let read = |term: &Term| Value::read(term, data_type);
        let position = operand::position(&atomic.left_operand).filter(|_| of == Of::Request);
        let kind = operand::declared(&atomic.left_operand)
            .map(|declared| declared.kind)
            .filter(|_| of == Of::Request);
        Self {
            of,
            position,
            kind,
            operand: atomic.left_operand.as_str().into(),
            operator: atomic.operator.clone(),
            named: atomic.right_operands.iter().map(read).collect(),
            data_type: data_type.map(Into::into),
            reference: atomic.right_operand_reference.as_deref().map(Into::into),
            unit: atomic.unit.as_deref().map(Into::into),
            status: atomic.status.as_ref().map(|status| {
                Some(Stated {
                    value: read(status)?,
                    unit: atomic.unit.as_deref().map(Into::into),
                    wider: Vec::new(),
                })
            }),
        }
    }

    /// The comparison as a step function, when only the clock decides it.
    fn clock_steps(&self) -> Option<Steps> {
        let plain = self.reference.is_none() && self.unit.is_none() && self.status.is_none();
        if self.of != Of::Request || *self.operand != *vocab::odrl::DATE_TIME || !plain {
            return None;
        }
        let named = self.named.as_deref()?;
        let moments: Option<Vec<Moment>> = named
            .iter()
            .map(|value| match value {
                Value::Moment(moment) => Some(*moment),
                _ => None,
            })
            .collect();
        let answer = |now| {
            let stated = Stated {
                value: Value::now(now),
                unit: None,
                wider: Vec::new(),
            };
            holds(&[stated], &self.operator, named, &|_, _| false).into()
        };
        moments
            .filter(|moments| !moments.is_empty())
            .map(|moments| Steps::of(&moments, answer))
    }

    /// The same, for what it says of the clock alone.
    pub(super) fn steps(of: Of, atomic: &AtomicConstraint) -> Option<Steps> {
        Self::new(of, atomic).clock_steps()
    }

    fn judge(&self, world: &World) -> Answer<'_> {
        let answer = |truth, code| Answer {
            truth,
            code,
            about: &self.operand,
        };
        let told = match &self.status {
            Some(status) => status.as_ref().map(std::slice::from_ref),
            None => world.stated(self.of, self.position, &self.operand),
        };
        let Some(stated) = told else {
            return answer(Tri::Unknown, self.missing());
        };
        let referred: Option<Vec<Value>>;
        let named = match &self.reference {
            None => self.named.as_deref(),
            Some(reference) => {
                referred = world.reference(reference).and_then(|terms| self.read_all(terms));
                referred.as_deref()
            }
        };
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            return answer(Tri::Unknown, ReasonCode::UnknownRightOperand);
        };
        if let Some(kind) = self.kind
            && !(stated.iter().all(|stated| stated.value.is(kind)) && named.iter().all(|value| value.is(kind)))
        {
            return answer(Tri::Unknown, ReasonCode::UnknownRightOperand);
        }
        let narrower = |narrow: &str, wide: &str| world.narrower(narrow, wide);
        let truth = match (&self.unit, stated.iter().all(|stated| stated.unit.is_none())) {
            (None, true) => holds(stated, &self.operator, named, &narrower),
            (None, false) => None,
            (Some(unit), _) => {
                converted(stated, unit).and_then(|stated| holds(&stated, &self.operator, named, &narrower))
            }
        };
        match truth {
            Some(true) => Answer::YES,
            Some(false) => answer(Tri::False, self.failed()),
            None => answer(Tri::Unknown, self.failed()),
        }
    }

    fn read_all(&self, terms: &[Term]) -> Option<Vec<Value>> {
        terms
            .iter()
            .map(|term| Value::read(term, self.data_type.as_deref()))
            .collect()
    }

    fn missing(&self) -> ReasonCode {
        match &*self.operand {
            vocab::odrl::PURPOSE => ReasonCode::PurposeMissing,
            _ if self.of == Of::Request && self.position.is_none() => ReasonCode::UnknownLeftOperand,
            _ => ReasonCode::FactUnavailable,
        }
    }

    fn failed(&self) -> ReasonCode {
        match &*self.operand {
            vocab::odrl::PURPOSE => ReasonCode::PurposeNotPermitted,
            vocab::odrl::RECIPIENT => ReasonCode::RecipientNotPermitted,
            vocab::odrl::DATE_TIME => ReasonCode::OutsidePeriod,
            _ => ReasonCode::ConstraintNotSatisfied,
        }
    }
}

fn converted(stated: &[Stated], unit: &str) -> Option<Vec<Stated>> {
    let convert = |one: &Stated| {
        Some(Stated {
            value: one.value.in_unit(one.unit.as_deref()?, unit)?,
            unit: Some(unit.into()),
            wider: one.wider.clone(),
        })
    };
    stated.iter().map(convert).collect()
}
