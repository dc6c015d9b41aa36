//! What is still owed under a policy, worked out from what was done: obligations, duties of permissions that were used,
//! remedies of prohibitions that were not kept (ODRL 2.2 §2.6).
//!
//! The log of what was done is the only state, so the answer after a restart, or on another machine, is the same.

use serde::Serialize;
use time::OffsetDateTime;

use super::condition::Condition;
use super::constraint::turning_points;
use super::duty::{CompiledDuty, Standing};
use super::model::{Action, Constraint, Duty, Party, Policy, Target};
use super::truth::Tri;
use super::world::{DutyState, Of, Performed, World, wider_actions};

/// Something owed, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// Where it stands: `obligation[0]`, `permission[1] duty[0]`, `prohibition[0] remedy[0]`, with `consequence[0]` after it.
    pub path: String,
    /// IRI of the duty, when it has one.
    pub duty: Option<String>,
    /// IRI of the action to be done.
    pub action: String,
    /// How far it is.
    pub state: DutyState,
    /// Until when it can be done in time, when the duty says so and there is still time.
    #[serde(with = "time::serde::rfc3339::option")]
    pub deadline: Option<OffsetDateTime>,
    /// Whether nothing is left to do for it, consequences included.
    pub settled: bool,
}

/// Whether a prohibition was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Nothing forbidden was done.
    Kept,
    /// It was not kept, and everything that remedies that was done.
    Remedied,
    /// It was not kept.
    Infringed,
}

/// Everything owed under a policy, in the order of the policy. A consequence is owed from the moment that its duty is
/// violated; a duty of a permission from the first use of that permission.
#[must_use]
pub fn track(policy: &Policy, world: &World) -> Vec<Owed> {
    let mut owed = Vec::new();
    let assignee = policy.assignee.as_ref();
    for (index, duty) in policy.obligations.iter().enumerate() {
        list(duty, &format!("obligation[{index}]"), assignee, world, &mut owed, 0);
    }
    for (index, rule) in policy.permissions.iter().enumerate() {
        let assignee = rule.assignee.as_ref().or(assignee);
        if used(assignee, &rule.target, &rule.action, &rule.constraints, world)
            .next()
            .is_some()
        {
            for (position, duty) in rule.duties.iter().enumerate() {
                let path = format!("permission[{index}] duty[{position}]");
                list(duty, &path, assignee, world, &mut owed, 0);
            }
        }
    }
    for (index, rule) in policy.prohibitions.iter().enumerate() {
        let assignee = rule.assignee.as_ref().or(assignee);
        if used(assignee, &rule.target, &rule.action, &rule.constraints, world)
            .next()
            .is_some()
        {
            for (position, duty) in rule.remedies.iter().enumerate() {
                let path = format!("prohibition[{index}] remedy[{position}]");
                list(duty, &path, assignee, world, &mut owed, 0);
            }
        }
    }
    owed
}

/// Whether a prohibition of a policy was kept; `None` when there is no such prohibition.
#[must_use]
pub fn kept(policy: &Policy, prohibition: usize, world: &World) -> Option<Kept> {
    let rule = policy.prohibitions.get(prohibition)?;
    let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
    let mut infringed = used(assignee, &rule.target, &rule.action, &rule.constraints, world);
    if infringed.next().is_none() {
        return Some(Kept::Kept);
    }
    let performer = assignee.map(|party| party.id.as_str());
    let mut remedies = rule
        .remedies
        .iter()
        .map(|duty| CompiledDuty::new(duty, 0).standing(world, performer));
    let remedied = !rule.remedies.is_empty() && remedies.all(|standing| standing == Standing::Settled);
    Some(if remedied { Kept::Remedied } else { Kept::Infringed })
}

fn list(duty: &Duty, path: &str, bearer: Option<&Party>, world: &World, owed: &mut Vec<Owed>, depth: usize) {
    let performer = bearer.map(|party| party.id.as_str());
    let compiled = CompiledDuty::new(duty, 0);
    let state = compiled.state(world, performer);
    let ahead = turning_points(&duty.constraints)
        .filter(|instant| *instant > world.now())
        .max();
    let settled = compiled.standing(world, performer) == Standing::Settled;
    owed.push(Owed {
        path: path.to_owned(),
        duty: duty.id.clone(),
        action: duty.action.id.clone(),
        state,
        deadline: ahead.filter(|_| state == DutyState::Pending),
        settled,
    });
    if state == DutyState::Violated && depth < super::condition::DEPTH_MAX {
        for (index, consequence) in duty.consequences.iter().enumerate() {
            list(
                consequence,
                &format!("{path} consequence[{index}]"),
                bearer,
                world,
                owed,
                depth + 1,
            );
        }
    }
}

/// What was done that a rule is about. A doubt counts as a use: something may then be owed.
fn used<'w>(
    assignee: Option<&'w Party>,
    target: &'w Target,
    action: &'w Action,
    constraints: &'w [Constraint],
    world: &'w World,
) -> impl Iterator<Item = &'w Performed> {
    let condition = Condition::all(
        constraints
            .iter()
            .chain(&action.refinements)
            .map(|constraint| (Of::Request, constraint)),
    );
    world.performed.iter().filter(move |event| {
        let by = assignee.is_none_or(|party| event.by.as_deref().is_some_and(|by| world.narrower(by, &party.id)));
        let asset = target.is_anything()
            || event
                .target
                .as_deref()
                .is_some_and(|asset| world.narrower(asset, &target.source));
        let done = action.is_any()
            || wider_actions(&event.action, &world.concepts)
                .iter()
                .any(|wide| **wide == *action.id);
        if !(by && asset && done && event.at <= world.now()) {
            return false;
        }
        let at = event.at.unix_timestamp_nanos();
        condition.judge(&world.when(event), at, &mut None).truth != Tri::False
    })
}
