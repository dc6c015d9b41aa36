//! Duties judged against what was done: fulfilled, violated, pending, or not set (ODRL 2.2 §2.6.3 to §2.6.5).

use super::condition::Condition;
use super::model::{Constraint, Duty};
use super::truth::Tri;
use super::world::{DutyState, Of, Performed, World, told_state, wider_actions};

/// A duty with its conditions compiled.
#[derive(Clone, Debug)]
pub(super) struct CompiledDuty {
    pub(super) duty: Duty,
    /// Its constraints: when it has to be done, and under which conditions.
    when: Condition,
    /// The refinements of its action: how.
    how: Condition,
    consequences: Vec<CompiledDuty>,
}

/// How a duty stands towards a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is left to do.
    Settled,
    /// The enforcement point does it along with the action.
    Execute,
    /// It may still be done, and there is time.
    Open,
    /// It was not done in time, or not all that follows from that was.
    Broken,
}

impl CompiledDuty {
    pub(super) fn new(duty: &Duty, depth: usize) -> Self {
        let of_request = |constraints: &'_ [Constraint]| {
            Condition::all(constraints.iter().map(|constraint| (Of::Request, constraint)))
        };
        let deeper = if depth < super::condition::DEPTH_MAX {
            duty.consequences.as_slice()
        } else {
            &[]
        };
        Self {
            when: of_request(&duty.constraints),
            how: of_request(&duty.action.refinements),
            consequences: deeper.iter().map(|duty| Self::new(duty, depth + 1)).collect(),
            duty: duty.clone(),
        }
    }

    /// Its state; `performer` is who has to do it when the duty does not say.
    pub(super) fn state(&self, world: &World, performer: Option<&str>) -> DutyState {
        if !self.duty.unknown.is_empty() {
            return DutyState::NotSet;
        }
        if let Some(told) = told_state(world, &self.duty) {
            return told;
        }
        let now = world.now().unix_timestamp_nanos();
        if world
            .performed
            .iter()
            .any(|event| self.is_done_by(event, world, performer) == Some(true))
        {
            DutyState::Fulfilled
        } else if self.when.never_again(now) {
            DutyState::Violated
        } else if self.when.asks_clock() {
            DutyState::Pending
        } else {
            DutyState::NotSet
        }
    }

    /// How it stands. After its time it is settled only by being done all the same, and all consequences with it.
    pub(super) fn standing(&self, world: &World, performer: Option<&str>) -> Standing {
        if self.duty.unknown.is_empty() && world.executes.contains(&self.duty.action.id) {
            return Standing::Execute;
        }
        match self.state(world, performer) {
            DutyState::Fulfilled => Standing::Settled,
            DutyState::NotSet | DutyState::Pending => Standing::Open,
            DutyState::Violated => {
                let late = world
                    .performed
                    .iter()
                    .any(|event| self.is_done_by(event, world, performer).is_some());
                let settled = |duty: &Self| duty.standing(world, performer) == Standing::Settled;
                if late && !self.consequences.is_empty() && self.consequences.iter().all(settled) {
                    Standing::Settled
                } else {
                    Standing::Broken
                }
            }
        }
    }

    /// Whether an event is this duty done: in time (`true`), or done but not when it had to be (`false`).
    fn is_done_by(&self, event: &Performed, world: &World, performer: Option<&str>) -> Option<bool> {
        let duty = &self.duty;
        let same_action = wider_actions(&event.action, &world.concepts)
            .iter()
            .any(|action| **action == *duty.action.id);
        if !same_action || event.at > world.now() {
            return None;
        }
        let performer = duty
            .party(vocab::odrl::ASSIGNEE)
            .map_or(performer, |party| Some(party.id.as_str()));
        if let Some(performer) = performer
            && !event.by.as_deref().is_some_and(|by| world.narrower(by, performer))
        {
            return None;
        }
        if let Some(target) = &duty.target {
            let asset = event.target.as_deref()?;
            if !target.refinements.is_empty() || !world.narrower(asset, &target.source) {
                return None;
            }
        }
        let named = duty
            .parties
            .iter()
            .filter(|(function, _)| function != vocab::odrl::ASSIGNEE && function != vocab::odrl::ASSIGNER);
        for (function, party) in named {
            let mut parties = event.parties.iter();
            if !parties.any(|(found, iri)| found == function && world.narrower(iri, &party.id)) {
                return None;
            }
        }
        let then = world.when(event);
        let at = event.at.unix_timestamp_nanos();
        let holds = |condition: &Condition| condition.judge(&then, at, &mut None).truth == Tri::True;
        holds(&self.how).then(|| holds(&self.when))
    }
}
