//! What is owed, as the log tells it: the log is the only source of events about duties, so whoever reads it from its
//! beginning comes to the same states as a server that read along (AUD-10, ODR-21).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::record::{AuditAction, AuditRecord, Outcome};
use crate::decision::Obligation;
use crate::odrl::{Owed, Performed, Policy, World, track};

/// Acts that are remembered of one agreement. Acts that carry a duty out are always remembered; of uses, which are many,
/// those beyond are left out: the first ones opened what they open.
const USES_MAX: usize = 10_000;

/// A step of a duty, as a record tells it. Members are in the order of their names, see
/// [`AuditRecord::canonical_bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyStep {
    /// IRI of the action that is owed or was done.
    pub action: String,
    /// Until when, for a duty that was opened.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub deadline: Option<OffsetDateTime>,
    /// Whether it was carried out; else it was opened.
    pub done: bool,
    /// IRI of the duty; of the agreement, for an action that may carry out one of its duties.
    pub id: String,
}

/// How far a duty is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It was carried out.
    Fulfilled,
    /// There is still time.
    Pending,
    /// Its time is over.
    Overdue,
}

/// What the log has told of duties until now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DutyLog {
    opened: BTreeMap<String, Option<OffsetDateTime>>,
    done: BTreeMap<String, OffsetDateTime>,
    performed: BTreeMap<String, Vec<Performed>>,
}

impl DutyLog {
    /// Takes the next record of the log.
    pub fn apply(&mut self, record: &AuditRecord) {
        if record.outcome != Outcome::Permit {
            return;
        }
        if let Some(step) = &record.duty {
            if !step.done {
                self.opened.entry(step.id.clone()).or_insert(step.deadline);
                return;
            }
            self.done.entry(step.id.clone()).or_insert(record.time);
            if let Some(agreement) = &record.agreement {
                let act = act(record, &step.action);
                self.performed.entry(agreement.clone()).or_default().push(act);
            }
            return;
        }
        if let (Some(agreement), AuditAction::Query | AuditAction::Read) = (&record.agreement, record.action) {
            let acts = self.performed.entry(agreement.clone()).or_default();
            if acts.len() < USES_MAX {
                acts.push(act(record, vocab::odrl::USE));
                // This record is how the duty to record was carried out.
                if record.obligations.contains(&Obligation::Log) {
                    acts.push(act(record, vocab::meent::LOG));
                }
            }
        }
    }

    /// The duties that were opened by name, as those to delete after a consent has ended, and how far each is.
    #[must_use]
    pub fn opened(&self, now: OffsetDateTime) -> BTreeMap<String, Standing> {
        let standing = |id: &String, deadline: &Option<OffsetDateTime>| match (self.done.get(id), deadline) {
            (Some(_), _) => Standing::Fulfilled,
            (None, Some(deadline)) if now > *deadline => Standing::Overdue,
            (None, _) => Standing::Pending,
        };
        self.opened
            .iter()
            .map(|(id, deadline)| (id.clone(), standing(id, deadline)))
            .collect()
    }

    /// What is owed under an agreement now.
    #[must_use]
    pub fn owed(&self, policy: &Policy, now: OffsetDateTime) -> Vec<Owed> {
        let mut world = World::at(now);
        for act in self.performed.get(&policy.id).into_iter().flatten() {
            world = world.performed(act.clone());
        }
        track(policy, &world.build())
    }
}

fn act(record: &AuditRecord, action: &str) -> Performed {
    Performed {
        action: action.to_owned(),
        by: record.agent.clone(),
        target: record.targets.first().cloned(),
        at: record.time,
        parties: Vec::new(),
        values: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odrl::{DutyState, OdrlLimits, parse_turtle};
    use time::macros::datetime;

    const AGREEMENT: &str = "https://a.example/agreement";

    fn record(time: OffsetDateTime, agent: &str, duty: Option<DutyStep>) -> AuditRecord {
        let mut record = AuditRecord::new("r", time, "https://a.example/", AuditAction::Query, Outcome::Permit);
        record.agent = Some(agent.to_owned());
        record.agreement = Some(AGREEMENT.to_owned());
        record.targets = vec!["https://a.example/dataset".to_owned()];
        record.duty = duty;
        record
    }

    /// AUD-10, ODR-21: a duty of a permission is owed from the first use on, fulfilled by an act in time by whoever owes it, and
    /// violated after its time; whether the log is read along or anew makes no difference.
    #[test]
    fn states_follow_from_the_log_alone() {
        let text = format!(
            "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
             <{AGREEMENT}> a odrl:Agreement ; odrl:assigner <https://a.example/#o> ; odrl:assignee <https://c.example/#me> ;
             odrl:permission [ odrl:action odrl:use ; odrl:target <https://a.example/dataset> ;
               odrl:duty [ odrl:action odrl:delete ; odrl:constraint [ odrl:leftOperand odrl:dateTime ;
                 odrl:operator odrl:lt ; odrl:rightOperand \"2026-07-01T00:00:00Z\"^^xsd:dateTime ] ] ] ."
        );
        let policy = parse_turtle(text.as_bytes(), AGREEMENT, &OdrlLimits::default())
            .unwrap()
            .remove(0);
        let step = || DutyStep {
            action: vocab::odrl::DELETE.to_owned(),
            deadline: None,
            done: true,
            id: AGREEMENT.to_owned(),
        };
        let me = "https://c.example/#me";
        let used = record(datetime!(2026-06-01 12:00 UTC), me, None);
        let by_other = record(
            datetime!(2026-06-02 12:00 UTC),
            "https://other.example/#me",
            Some(step()),
        );
        let by_me = record(datetime!(2026-06-03 12:00 UTC), me, Some(step()));
        let late = record(datetime!(2026-07-03 12:00 UTC), me, Some(step()));
        let state = |records: &[&AuditRecord], now| {
            let mut log = DutyLog::default();
            for record in records {
                log.apply(record);
            }
            log.owed(&policy, now).first().map(|owed| owed.state)
        };
        let (june, july) = (datetime!(2026-06-15 12:00 UTC), datetime!(2026-07-15 12:00 UTC));
        assert_eq!(state(&[], june), None);
        assert_eq!(state(&[&used], june), Some(DutyState::Pending));
        assert_eq!(state(&[&used, &by_other], june), Some(DutyState::Pending));
        assert_eq!(state(&[&used, &by_me], june), Some(DutyState::Fulfilled));
        assert_eq!(state(&[&used, &by_me], july), Some(DutyState::Fulfilled));
        assert_eq!(state(&[&used], july), Some(DutyState::Violated));
        assert_eq!(state(&[&used, &late], july), Some(DutyState::Violated));
    }

    #[test]
    fn opened_duties_become_due() {
        let open = DutyStep {
            action: vocab::odrl::DELETE.to_owned(),
            deadline: Some(datetime!(2026-06-10 12:00 UTC)),
            done: false,
            id: "https://a.example/duty".to_owned(),
        };
        let done = DutyStep {
            done: true,
            deadline: None,
            ..open.clone()
        };
        let mut log = DutyLog::default();
        log.apply(&record(
            datetime!(2026-06-01 12:00 UTC),
            "https://a.example/#o",
            Some(open),
        ));
        let standing = |log: &DutyLog, now| log.opened(now).get("https://a.example/duty").copied();
        assert_eq!(standing(&log, datetime!(2026-06-10 12:00 UTC)), Some(Standing::Pending));
        assert_eq!(standing(&log, datetime!(2026-06-10 12:01 UTC)), Some(Standing::Overdue));
        log.apply(&record(
            datetime!(2026-06-12 12:00 UTC),
            "https://c.example/#me",
            Some(done),
        ));
        assert_eq!(
            standing(&log, datetime!(2026-06-13 12:00 UTC)),
            Some(Standing::Fulfilled)
        );
    }
}
