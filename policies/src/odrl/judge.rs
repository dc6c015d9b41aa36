//! The decision of a policy set: effect, reasons, duties to carry out, until when, and what could change it.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::compile::{PolicySet, Ready, Rule, RuleKind, grants, path};
use super::condition::earliest;
use super::constraint::turning_points;
use super::duty::Standing;
use super::model::{ConflictStrategy, Constraint, Duty, Party};
use super::truth::Tri;
use super::world::{Of, World};
use crate::decision::{Effect, Reason, ReasonCode};

/// A decision in its short form; [`PolicySet::reasons`], [`PolicySet::duties`] and [`PolicySet::inputs`] say the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'s> {
    /// The outcome. Only a permit opens anything.
    pub effect: Effect,
    /// The first instant after now at which the outcome may change by time alone.
    pub valid_until: Option<OffsetDateTime>,
    causes: Vec<Cause<'s>>,
    /// Rules of permissions that hold, and of prohibitions that apply.
    active: Vec<u32>,
    /// Every rule that was looked at.
    considered: Vec<u32>,
    /// Duties that the enforcement point must carry out, by rule.
    execute: Vec<(u32, u32)>,
    /// Obligations that it must carry out, by policy.
    execute_obligations: Vec<(u32, u32)>,
}

/// One thing that led to the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cause<'s> {
    place: Place,
    code: ReasonCode,
    about: &'s str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Rule(u32),
    Policy(u32),
    Obligation(u32, u32),
    Nowhere,
}

/// Something whose change could change a decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The clock.
    Clock,
    /// The value of a left operand.
    Operand(String),
    /// An attribute of the asking party.
    PartyAttribute(String),
    /// An attribute of the asset.
    TargetAttribute(String),
    /// What a `rightOperandReference` stands for.
    Reference(String),
    /// Which collections a party belongs to.
    Membership(String),
    /// Whether a duty with this action has been done.
    Duty(String),
}

/// How a rule answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said<'s> {
    truth: Tri,
    code: ReasonCode,
    about: &'s str,
}

/// What a policy says so far.
#[derive(Default)]
struct Tally<'s> {
    /// Whether some permission is about the action, under whatever conditions.
    offers: bool,
    permits: bool,
    forbids: Option<Cause<'s>>,
    unknown: Option<Cause<'s>>,
}

impl PolicySet {
    /// Decides. Deterministic, and independent of the order of policies and rules.
    #[must_use]
    pub fn decide<'s>(&'s self, world: &World) -> Verdict<'s> {
        let mut verdict = Verdict {
            effect: Effect::Deny,
            valid_until: None,
            causes: Vec::new(),
            active: Vec::new(),
            considered: self.candidates(world),
            execute: Vec::new(),
            execute_obligations: Vec::new(),
        };
        let now = world.now().unix_timestamp_nanos();
        let mut next = None;
        let considered = std::mem::take(&mut verdict.considered);
        let (mut permitted, mut refused, mut undecided) = (false, false, false);
        for group in considered.chunk_by(|a, b| self.policy_of(*a) == self.policy_of(*b)) {
            let Some((number, ready)) = group.first().and_then(|rule| self.ready(*rule)) else {
                continue;
            };
            if let Some((code, about)) = unusable(ready, world) {
                let place = Place::Policy(number);
                verdict.causes.push(Cause { place, code, about });
                undecided |= code != ReasonCode::PolicyNotAgreement;
                continue;
            }
            let mut tally = Tally::default();
            for number in group {
                if let Some(rule) = self.rules.get(*number as usize) {
                    self.judge(*number, rule, world, now, &mut next, &mut tally, &mut verdict);
                }
            }
            if tally.offers {
                self.obligations(number, ready, world, &mut next, &mut tally, &mut verdict);
            }
            match (ready.conflict, tally.unknown, tally.forbids, tally.permits) {
                (_, Some(cause), _, _) => {
                    verdict.causes.push(cause);
                    refused = true;
                }
                (ConflictStrategy::Perm, None, Some(_), true) | (_, None, None, true) => permitted = true,
                (ConflictStrategy::Invalid, None, Some(cause), true) => {
                    verdict.causes.push(Cause {
                        about: vocab::odrl::INVALID,
                        ..cause
                    });
                    undecided = true;
                }
                (_, None, Some(cause), _) => {
                    verdict.causes.push(cause);
                    refused = true;
                }
                (_, None, None, false) => {}
            }
        }
        verdict.considered = considered;
        verdict.effect = match (refused, undecided, permitted) {
            (true, _, _) => Effect::Deny,
            (false, true, _) => Effect::Indeterminate,
            (false, false, true) => Effect::Permit,
            (false, false, false) if self.leaves_open(world, &verdict) => Effect::Permit,
            _ => Effect::Deny,
        };
        if verdict.effect != Effect::Permit {
            verdict.execute.clear();
            verdict.execute_obligations.clear();
        }
        if verdict.causes.is_empty() {
            let code = if verdict.effect == Effect::Permit {
                ReasonCode::PermissionActive
            } else {
                ReasonCode::ActionNotPermitted
            };
            let place = Place::Nowhere;
            verdict.causes.push(Cause { place, code, about: "" });
        }
        verdict.valid_until = next.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
        verdict
    }

    /// Rules about the asset and the party, in the order of policies.
    fn candidates(&self, world: &World) -> Vec<u32> {
        let mut found = Vec::new();
        for target in world.targets.iter().map(AsRef::as_ref).chain([""]) {
            let Some(by_party) = self.index.get(target) else {
                continue;
            };
            for party in world.parties.iter().map(AsRef::as_ref).chain([""]) {
                found.extend(by_party.get(party).into_iter().flatten().copied());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn policy_of(&self, rule: u32) -> Option<u32> {
        self.rules.get(rule as usize).map(|rule| rule.policy)
    }

    fn ready(&self, rule: u32) -> Option<(u32, &Ready)> {
        let number = self.policy_of(rule)?;
        Some((number, self.policies.get(number as usize)?))
    }

    /// In open behaviour what no rule speaks about is permitted, unless a policy could not be understood.
    fn leaves_open(&self, world: &World, verdict: &Verdict<'_>) -> bool {
        world.behaviour.open
            && verdict.causes.is_empty()
            && self.policies.iter().all(|ready| unusable(ready, world).is_none())
    }

    #[allow(clippy::too_many_arguments)] // the parts of one decision under way
    fn judge<'s>(
        &'s self,
        number: u32,
        rule: &'s Rule,
        world: &World,
        now: i128,
        next: &mut Option<i128>,
        tally: &mut Tally<'s>,
        verdict: &mut Verdict<'s>,
    ) {
        let said = said(rule, world, now, next);
        let place = Place::Rule(number);
        let cause = |code, about| Cause { place, code, about };
        match (rule.kind, said.truth) {
            (_, Tri::False) if said.code == ReasonCode::ActionNotPermitted => {}
            (RuleKind::Permission, Tri::True) => {
                tally.offers = true;
                if let Some(open) = self.settle(number, rule, world, next, verdict) {
                    verdict.causes.push(cause(ReasonCode::DutyNotFulfilled, open));
                } else {
                    tally.permits = true;
                    verdict.active.push(number);
                    verdict.causes.push(cause(ReasonCode::PermissionActive, ""));
                }
            }
            (RuleKind::Permission, _) => {
                tally.offers = true;
                verdict.causes.push(cause(said.code, said.about));
            }
            (RuleKind::Prohibition, Tri::True) => {
                verdict.active.push(number);
                tally.forbids = tally.forbids.or(Some(cause(ReasonCode::Prohibited, said.about)));
            }
            (RuleKind::Prohibition, Tri::Unknown) => {
                tally.unknown = tally
                    .unknown
                    .or(Some(cause(ReasonCode::ProhibitionUnknown, said.about)));
            }
            (RuleKind::Prohibition, Tri::False) => {}
        }
    }

    /// The first duty that keeps a permission from holding; those to execute are noted.
    fn settle<'s>(
        &self,
        number: u32,
        rule: &'s Rule,
        world: &World,
        next: &mut Option<i128>,
        verdict: &mut Verdict<'_>,
    ) -> Option<&'s str> {
        let performer = world.parties.first().map(AsRef::as_ref);
        let noted = verdict.execute.len();
        for (index, duty) in rule.duties.iter().enumerate() {
            let standing = duty.standing(world, performer);
            *next = earliest(*next, deadline(&duty.duty, world));
            match standing {
                Standing::Settled => {}
                Standing::Execute => verdict.execute.push((number, u32::try_from(index).unwrap_or(u32::MAX))),
                Standing::Open if world.behaviour.duties_may_follow && follows(&duty.duty, world) => {}
                Standing::Open | Standing::Broken => {
                    verdict.execute.truncate(noted);
                    return Some(&duty.duty.action.id);
                }
            }
        }
        None
    }

    /// Obligations of a policy with a permission of the action: a violated one closes the door, one that is not understood as
    /// well. Whether the permission's conditions hold does not matter, or a condition more would open the door.
    fn obligations<'s>(
        &self,
        number: u32,
        ready: &'s Ready,
        world: &World,
        next: &mut Option<i128>,
        tally: &mut Tally<'s>,
        verdict: &mut Verdict<'s>,
    ) {
        for (index, duty) in ready.obligations.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let about = duty.duty.action.id.as_str();
            let place = Place::Obligation(number, index);
            let known = super::action::is_known(about) || world.executes.contains(about);
            if !known || !duty.duty.unknown.is_empty() {
                let code = ReasonCode::UnknownDuty;
                tally.unknown = tally.unknown.or(Some(Cause { place, code, about }));
                continue;
            }
            let bearer = duty
                .duty
                .party(vocab::odrl::ASSIGNEE)
                .or(ready.policy.assignee.as_ref());
            if !bearer.is_none_or(|bearer| bears(bearer, world)) {
                continue;
            }
            *next = earliest(*next, deadline(&duty.duty, world));
            match duty.standing(world, world.parties.first().map(AsRef::as_ref)) {
                Standing::Execute if tally.permits => verdict.execute_obligations.push((number, index)),
                Standing::Broken => {
                    let code = ReasonCode::ObligationViolated;
                    tally.unknown = tally.unknown.or(Some(Cause { place, code, about }));
                }
                Standing::Execute | Standing::Settled | Standing::Open => {}
            }
        }
    }

    /// The reasons of a decision in words for programs, at least one.
    #[must_use]
    pub fn reasons(&self, verdict: &Verdict<'_>) -> Vec<Reason> {
        let reasons = verdict.causes.iter().map(|cause| {
            let reason = Reason::new(cause.code, cause.about);
            match cause.place {
                Place::Rule(number) => match self.rules.get(number as usize) {
                    Some(rule) => reason.at(self.named(rule.policy, path(rule.kind, rule.index))),
                    None => reason,
                },
                Place::Policy(number) => reason.at(self.named(number, "policy".to_owned())),
                Place::Obligation(number, index) => reason.at(self.named(number, format!("obligation[{index}]"))),
                Place::Nowhere => reason,
            }
        });
        reasons.collect()
    }

    /// A path, with its policy in front where there are several.
    fn named(&self, policy: u32, path: String) -> String {
        match self.policies.get(policy as usize) {
            Some(ready) if self.policies.len() > 1 => format!("<{}> {path}", ready.policy.id),
            _ => path,
        }
    }

    /// What the enforcement point must do along with a permitted action.
    #[must_use]
    pub fn duties(&self, verdict: &Verdict<'_>) -> Vec<&Duty> {
        let of_rules = verdict.execute.iter().filter_map(|(rule, duty)| {
            let rule = self.rules.get(*rule as usize)?;
            Some(&rule.duties.get(*duty as usize)?.duty)
        });
        let of_policies = verdict.execute_obligations.iter().filter_map(|(policy, duty)| {
            let ready = self.policies.get(*policy as usize)?;
            Some(&ready.obligations.get(*duty as usize)?.duty)
        });
        of_rules.chain(of_policies).collect()
    }

    /// The rules that hold or apply, as policy and path.
    #[must_use]
    pub fn active(&self, verdict: &Verdict<'_>) -> Vec<(&str, String)> {
        let found = verdict.active.iter().filter_map(|number| {
            let rule = self.rules.get(*number as usize)?;
            let ready = self.policies.get(rule.policy as usize)?;
            Some((ready.policy.id.as_str(), path(rule.kind, rule.index)))
        });
        found.collect()
    }

    /// What could change the outcome for the same party, asset and action. What is not in it cannot.
    #[must_use]
    pub fn inputs(&self, verdict: &Verdict<'_>) -> BTreeSet<Input> {
        let mut inputs = BTreeSet::new();
        for rule in verdict
            .considered
            .iter()
            .filter_map(|number| self.rules.get(*number as usize))
        {
            let Some(ready) = self.policies.get(rule.policy as usize) else {
                continue;
            };
            let index = rule.index as usize;
            let (target, assignee, action, constraints, duties) = match rule.kind {
                RuleKind::Permission => match ready.policy.permissions.get(index) {
                    Some(rule) => (
                        &rule.target,
                        &rule.assignee,
                        &rule.action,
                        &rule.constraints,
                        &rule.duties,
                    ),
                    None => continue,
                },
                RuleKind::Prohibition => match ready.policy.prohibitions.get(index) {
                    Some(rule) => (
                        &rule.target,
                        &rule.assignee,
                        &rule.action,
                        &rule.constraints,
                        &rule.remedies,
                    ),
                    None => continue,
                },
            };
            let assignee = assignee.as_ref().or(ready.policy.assignee.as_ref());
            gather(Of::Request, constraints, &mut inputs);
            gather(Of::Request, &action.refinements, &mut inputs);
            gather(Of::Target, &target.refinements, &mut inputs);
            gather(Of::Party, assignee.map_or(&[], |party| &party.refinements), &mut inputs);
            for duty in duties.iter().chain(&ready.policy.obligations) {
                gather_duty(duty, &mut inputs, 0);
            }
        }
        inputs
    }
}

fn gather_duty(duty: &Duty, inputs: &mut BTreeSet<Input>, depth: usize) {
    inputs.insert(Input::Duty(duty.action.id.clone()));
    gather(Of::Request, &duty.constraints, inputs);
    gather(Of::Request, &duty.action.refinements, inputs);
    if depth < super::condition::DEPTH_MAX {
        for consequence in &duty.consequences {
            gather_duty(consequence, inputs, depth + 1);
        }
    }
}

fn gather(of: Of, constraints: &[Constraint], inputs: &mut BTreeSet<Input>) {
    for constraint in constraints {
        match constraint {
            Constraint::Logical(logical) => gather(of, &logical.operands, inputs),
            Constraint::Atomic(atomic) => {
                if let Some(reference) = &atomic.right_operand_reference {
                    inputs.insert(Input::Reference(reference.clone()));
                }
                let operand = atomic.left_operand.clone();
                inputs.insert(match of {
                    Of::Request if operand == vocab::odrl::DATE_TIME => Input::Clock,
                    Of::Request => Input::Operand(operand),
                    Of::Party => Input::PartyAttribute(operand),
                    Of::Target => Input::TargetAttribute(operand),
                });
            }
        }
    }
}

/// Whether a duty of this party is one of the asking party's.
fn bears(bearer: &Party, world: &World) -> bool {
    world.parties.iter().any(|party| **party == *bearer.id)
}

/// Whether a duty may be left for later: nobody can ever do one that is not understood.
fn follows(duty: &Duty, world: &World) -> bool {
    let action = duty.action.id.as_str();
    duty.unknown.is_empty() && (super::action::is_known(action) || world.concepts.knows(action))
}

/// The next instant at which a constraint of the duty turns.
fn deadline(duty: &Duty, world: &World) -> Option<i128> {
    let later = turning_points(&duty.constraints).filter(|instant| *instant > world.now());
    later.min().map(OffsetDateTime::unix_timestamp_nanos)
}

/// Why a policy says nothing here that counts.
fn unusable<'s>(ready: &'s Ready, world: &World) -> Option<(ReasonCode, &'s str)> {
    if !grants(ready.policy.kind, world.behaviour.what_if) {
        return Some((ReasonCode::PolicyNotAgreement, &ready.policy.id));
    }
    if let Some(profile) = ready.profiles.iter().find(|profile| !world.profiles.contains(*profile)) {
        return Some((ReasonCode::ProfileUnknown, profile));
    }
    ready.broken.as_ref().map(|(code, about)| (*code, about.as_ref()))
}

/// Whether a rule about this asset and party speaks about the action, and whether its conditions hold.
fn said<'s>(rule: &'s Rule, world: &World, now: i128, next: &mut Option<i128>) -> Said<'s> {
    let no = |truth, code| Said {
        truth,
        code,
        about: &rule.action,
    };
    let action = concerns(rule, world);
    match (action, rule.kind) {
        (Tri::False, _) => return no(Tri::False, ReasonCode::ActionNotPermitted),
        (Tri::Unknown, _) => return no(Tri::Unknown, ReasonCode::UnknownAction),
        (Tri::True, _) => {}
    }
    let answer = rule.condition.judge(world, now, next);
    if answer.truth == Tri::False {
        return Said {
            truth: Tri::False,
            code: answer.code,
            about: answer.about,
        };
    }
    // A term that is not understood may be a condition like any other.
    if let Some(term) = &rule.unknown {
        return Said {
            truth: Tri::Unknown,
            code: ReasonCode::UnknownTerm,
            about: term,
        };
    }
    Said {
        truth: answer.truth,
        code: answer.code,
        about: answer.about,
    }
}

/// Whether the action of a rule covers the one asked for. A prohibition also covers what comes along with it, and a
/// part of it: what is wider than something forbidden cannot be had whole.
fn concerns(rule: &Rule, world: &World) -> Tri {
    let Some(asked) = world.actions.first() else {
        return Tri::Unknown;
    };
    if rule.action.is_empty() {
        return Tri::from((rule.kind == RuleKind::Prohibition || world.behaviour.absent_is_any).then_some(true));
    }
    let known = rule.known_action || world.concepts.knows(&rule.action);
    let covered = world.actions.contains(&rule.action);
    match (rule.kind, covered, known) {
        (RuleKind::Permission, true, true) | (RuleKind::Prohibition, true, _) => Tri::True,
        (RuleKind::Permission, true, false) | (RuleKind::Prohibition, false, false) => Tri::Unknown,
        (RuleKind::Permission, false, _) => Tri::False,
        (RuleKind::Prohibition, false, true) => {
            let part = rule.wider.iter().any(|wide| **wide == **asked)
                || !rule.known_action && world.narrower(&rule.action, asked);
            let along = world.implied.contains(&rule.action);
            if part || along { Tri::True } else { Tri::False }
        }
    }
}
