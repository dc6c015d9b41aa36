//! Whether a subscriber may hear of a topic: asked when a channel is made, when a stream is opened, at each delivery, and
//! whenever policies change (solid#109; ARCHITECTURE invariant 8).

use std::sync::Arc;

use policies::request::Subject;

use crate::authz::{Caller, Pep, UseKind, Verdict};
use crate::error::Error;
use crate::ldp::operation::Operation;
use crate::ldp::situation::Situation;
use crate::ldp::target::{Role, Target};
use crate::name::ResourceName;

/// Asks the enforcement point for the right to read topics.
#[derive(Clone)]
pub struct Rights {
    pep: Arc<Pep>,
}

impl Rights {
    /// Rights by an enforcement point.
    pub fn new(pep: Arc<Pep>) -> Self {
        Self { pep }
    }

    /// What the policies say now about reading a topic.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn consider(&self, subject: &Subject, topic: &ResourceName) -> Result<Verdict, Error> {
        let target = Target::of(topic.clone());
        if matches!(target.role, Role::ServerRoot | Role::Reserved) {
            return Err(Error::NotFound);
        }
        let nothing = Situation {
            existing: None,
            twin: false,
            missing: Vec::new(),
            nearest: None,
            subject_exists: false,
        };
        let requirements = Operation::Read.requirements(&target, &nothing);
        self.pep.consider(subject, &requirements).await
    }

    /// Requires and records the right to follow a topic; the record is durable when this returns.
    ///
    /// # Errors
    /// 401 or 403, or 503 when the use cannot be recorded.
    pub async fn require(&self, caller: &Caller, topic: &ResourceName) -> Result<(), Error> {
        let verdict = self.consider(&caller.subject, topic).await?;
        let used = caller.uses(UseKind::Read, topic);
        self.pep.authorize_read(&verdict, &used, Operation::Read).await?;
        Ok(())
    }
}

/// Verdicts on one topic at one moment. Subscribers with the same credentials share one, and what anyone may read is
/// decided once.
#[derive(Default)]
pub struct Verdicts {
    anyone: bool,
    known: Vec<(Subject, bool)>,
}

impl Verdicts {
    /// Most verdicts that are remembered; beyond it each is decided anew.
    const KNOWN_MAX: usize = 64;

    /// Whether a subject may hear of the topic.
    pub async fn may_hear(&mut self, rights: &Rights, subject: &Subject, topic: &ResourceName) -> bool {
        // A list may name origins, so that what anyone may read is not yet readable from anywhere.
        if self.anyone && subject.origin.is_none() {
            return true;
        }
        if let Some((_, permitted)) = self.known.iter().find(|(known, _)| known == subject) {
            return *permitted;
        }
        let verdict = match rights.consider(subject, topic).await {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::error!(%error, %topic, "a right could not be decided: nothing is told");
                return false;
            }
        };
        if verdict.permitted && verdict.public && subject.origin.is_none() {
            self.anyone = true;
        }
        if self.known.len() < Self::KNOWN_MAX {
            self.known.push((subject.clone(), verdict.permitted));
        }
        verdict.permitted
    }
}
