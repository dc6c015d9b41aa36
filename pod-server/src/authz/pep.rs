//! The policy enforcement point: decides through `policies::decide`, records the use, and only then mints a proof
//! (ARCHITECTURE invariants 2, 3 and 5).
//!
//! Reads of protected resources wait until their audit leaf is durable; writes carry their entry into their own
//! commit; what anyone may read is the one listed exemption. Refusals are recorded too.

use std::sync::Arc;

use policies::audit::{Basis, Document, Known, Question};
use policies::decide::{Response, decide};
use policies::decision::Decision;
use policies::facts::{Fact, Facts};
use policies::request::{AccessRequest, Action, Agent, Subject};
use policies::wac::Modes;
use server_kit::clock::Clock;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::authorized::{Authorized, Exemption, Receipt};
use super::considered::Considered;
use super::denial_rate::DenialRate;
use super::dependency::Dependency;
use super::pip::Pip;
use super::recorder::{Recorder, Use};
use crate::config::AuthzSection;
use crate::error::Error;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{AuditEntry, ErasedWork, Snapshot, Store, StoreError, Warrant, in_time, record_use};

/// Records of refusals that wait for room in the log.
const REFUSALS_WAITING_MAX: usize = 4_096;

/// Modes that an operation needs on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The resource; for an auxiliary resource, its subject.
    pub resource: ResourceName,
    /// All of these.
    pub modes: Modes,
}

/// What the access control lists say about an operation. Not a proof: nothing is recorded yet.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether every requirement is met.
    pub permitted: bool,
    /// All modes of the subject on the first resource (`WAC-Allow: user`).
    pub modes: Modes,
    /// All modes of everyone on the first resource (`WAC-Allow: public`).
    pub public_modes: Modes,
    /// Whether anyone at all may do it.
    pub public: bool,
    decision: Arc<Decision>,
    basis: Arc<Basis>,
    dependencies: Arc<Vec<Dependency>>,
    epoch: u64,
    cacheable: bool,
}

impl Verdict {
    /// Whether the policy documents that led here are unchanged, to be asked inside the transaction.
    ///
    /// # Errors
    /// When the store fails.
    pub fn holds(&self, snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
        dependencies_hold(&self.dependencies, snapshot)
    }

    /// What it rests on, to be carried into a transaction.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.dependencies
    }

    /// The number of policy changes before it was reached.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number under which a public verdict may be kept; none if it rests on more than access control lists.
    #[must_use]
    pub fn cacheable_under(&self) -> Option<u64> {
        (self.permitted && self.public && self.cacheable).then_some(self.epoch)
    }
}

/// Whether all of these still hold.
///
/// # Errors
/// When the store fails.
pub fn dependencies_hold(dependencies: &[Dependency], snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
    for dependency in dependencies {
        if !dependency.holds(snapshot)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A decision on one question, with all that it rests on.
pub(super) struct Decided {
    pub(super) decision: Decision,
    pub(super) dependencies: Vec<Dependency>,
    /// The question as it is recorded.
    pub(super) question: Question,
    /// What was known, as it is recorded.
    pub(super) facts: Vec<Known>,
}

impl Decided {
    fn new(request: &AccessRequest, decision: Decision, dependencies: Vec<Dependency>, facts: &Facts) -> Self {
        let documents: Vec<Document> = dependencies.iter().flat_map(Dependency::documents).cloned().collect();
        Self {
            decision,
            question: Question {
                modes: match request.action {
                    Action::Wac(modes) => Some(modes),
                    Action::Query => None,
                },
                origin: request.subject.origin.clone(),
                resource: request.resource.clone(),
            },
            facts: facts
                .iter()
                .filter_map(|(asked, fact)| Known::of(asked, fact, &request.subject, &documents))
                .collect(),
            dependencies,
        }
    }
}

/// The policy enforcement point of one server.
pub struct Pep {
    pip: Arc<Pip>,
    store: Arc<dyn Store>,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    origins: Origins,
    bounds: AuthzSection,
    anonymous_denials: DenialRate,
    refusals_waiting: Arc<Semaphore>,
    considered: Considered,
}

impl Pep {
    /// An enforcement point.
    pub fn new(
        pip: Arc<Pip>,
        store: Arc<dyn Store>,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
        origins: Origins,
        bounds: AuthzSection,
    ) -> Self {
        let anonymous_denials = DenialRate::new(bounds.anonymous_denials_per_second_max);
        Self {
            refusals_waiting: Arc::new(Semaphore::new(REFUSALS_WAITING_MAX)),
            considered: Considered::new(bounds.verdict_cache_bytes_max),
            pip,
            store,
            recorder,
            clock,
            origins,
            bounds,
            anonymous_denials,
        }
    }

    /// The information point behind it.
    #[must_use]
    pub fn pip(&self) -> &Arc<Pip> {
        &self.pip
    }

    /// Asks what the policies say. The first requirement is the one whose modes are shown to the caller.
    ///
    /// # Errors
    /// When the store fails. A refusal is no error here: see [`Verdict::permitted`].
    pub async fn consider(&self, subject: &Subject, requirements: &[Requirement]) -> Result<Verdict, Error> {
        let epoch = self.pip.epoch().now();
        if let Some(known) = self.considered.find(epoch, subject, requirements) {
            return Ok(known);
        }
        let verdict = self.consider_anew(epoch, subject, requirements).await?;
        if verdict.cacheable {
            self.considered.keep(subject, requirements, &verdict);
        }
        Ok(verdict)
    }

    async fn consider_anew(
        &self,
        epoch: u64,
        subject: &Subject,
        requirements: &[Requirement],
    ) -> Result<Verdict, Error> {
        let mut basis = Basis {
            at: self.clock.now(),
            facts: Vec::new(),
            issuer: subject.issuer.clone(),
            kept: None,
            questions: Vec::with_capacity(requirements.len()),
        };
        let mut decided = Vec::with_capacity(requirements.len());
        for requirement in requirements {
            let one = self.decide_one(subject, requirement, basis.at).await?;
            basis.questions.push(one.question);
            basis.facts.extend(one.facts);
            decided.push((requirement.modes, one.decision, one.dependencies));
        }
        let basis = Arc::new(basis);
        let mut verdict: Option<Verdict> = None;
        for (modes, decision, dependencies) in decided {
            let public = decision.public_modes.contains(modes);
            // Nothing but access control lists, and no clock: the answer changes only with the epoch.
            let cacheable = decision.valid_until.is_none() && dependencies.iter().all(Dependency::is_list);
            match &mut verdict {
                None => {
                    verdict = Some(Verdict {
                        permitted: decision.permits(),
                        modes: decision.modes,
                        public_modes: decision.public_modes,
                        public,
                        decision: Arc::new(decision),
                        basis: Arc::clone(&basis),
                        dependencies: Arc::new(dependencies),
                        epoch,
                        cacheable,
                    });
                }
                Some(verdict) => {
                    verdict.public &= public;
                    verdict.cacheable &= cacheable;
                    Arc::make_mut(&mut verdict.dependencies).extend(dependencies);
                    if verdict.permitted && !decision.permits() {
                        verdict.permitted = false;
                        verdict.decision = Arc::new(decision);
                    }
                }
            }
        }
        let verdict =
            verdict.ok_or_else(|| Error::Internal("an operation without requirements was to be decided".to_owned()))?;
        // What anyone may do leaves no record.
        if !verdict.public {
            for dependency in verdict.dependencies.iter() {
                self.pip.keep(dependency.documents())?;
            }
        }
        Ok(verdict)
    }

    async fn decide_one(
        &self,
        subject: &Subject,
        requirement: &Requirement,
        now: OffsetDateTime,
    ) -> Result<Decided, Error> {
        let request = AccessRequest {
            subject: self.with_relevant_origin(subject, &requirement.resource)?,
            action: Action::Wac(requirement.modes),
            resource: requirement.resource.iri(&self.origins),
            purpose: None,
            now,
            agreement: None,
        };
        self.decide_knowing(&request, Facts::new()).await
    }

    /// The subject, with its origin only where it counts: a list names origins or the operator wants every one checked,
    /// and the operator does not trust it anyway (solid#78).
    pub(super) fn with_relevant_origin(&self, subject: &Subject, resource: &ResourceName) -> Result<Subject, Error> {
        let mut subject = subject.clone();
        let Some(origin) = &subject.origin else {
            return Ok(subject);
        };
        let mut relevant = !self.bounds.origins_trusted.contains(origin);
        if relevant && !self.bounds.origins_always {
            let (fact, _) = self.pip.effective_acl(resource)?;
            relevant = !matches!(fact, Fact::Acl(effective) if !effective.acl.names_origins());
        }
        if !relevant {
            subject.origin = None;
        }
        Ok(subject)
    }

    /// Decides on a request, supplying facts in bounded rounds beside those that are at hand.
    ///
    /// # Errors
    /// When the store fails, or when the decision keeps asking beyond the bound: then nothing is permitted.
    pub(super) async fn decide_knowing(&self, request: &AccessRequest, mut facts: Facts) -> Result<Decided, Error> {
        let mut dependencies = Vec::new();
        let mut groups = 0_u32;
        for _ in 0..=self.bounds.fact_rounds_max {
            match decide(request, &facts) {
                Response::Decided(decision) => return Ok(Decided::new(request, decision, dependencies, &facts)),
                Response::NeedsFacts(wanted) => {
                    for (fact_request, fact, dependency) in self.pip.supply_all(wanted, &mut groups).await? {
                        dependencies.extend(dependency);
                        facts.insert(fact_request, fact);
                    }
                }
            }
        }
        Err(Error::Internal(format!(
            "the decision on `{}` asks for facts without end",
            request.resource
        )))
    }

    /// Records a permitted read and mints its proof. Waits until the leaf is durable, unless anyone may read. The leaf is
    /// written only under the rules that the verdict rests on, so that nothing is read that was written after they
    /// changed (T21).
    ///
    /// # Errors
    /// The refusal as 401 or 403; [`Error::Unavailable`] when the use cannot be recorded, or when the rules changed while
    /// it was decided: no audit, no data.
    pub async fn authorize_read<O>(
        &self,
        verdict: &Verdict,
        used: &Use<'_>,
        operation: O,
    ) -> Result<Authorized<O>, Error> {
        if !verdict.permitted {
            return Err(self.refuse(verdict, used));
        }
        if verdict.public {
            return Ok(Authorized::mint(operation, Receipt::exempt(Exemption::PublicRead)));
        }
        let entry = self
            .recorder
            .entry(used, &verdict.decision, &verdict.basis)
            .map_err(unrecorded)?;
        let warrant = Warrant::from_receipt(Receipt::with_commit(entry));
        let dependencies = Arc::clone(&verdict.dependencies);
        let holds = Box::new(move |snapshot: &dyn Snapshot| dependencies_hold(&dependencies, snapshot));
        let leaf = record_use(self.store.as_ref(), warrant, holds).await;
        match leaf.map_err(|error| unrecorded(error.to_string()))? {
            Some(leaf) => Ok(Authorized::mint(operation, Receipt::durable(leaf))),
            None => {
                let detail = "the access rules changed while the request was decided; send it again";
                Err(Error::Unavailable(detail.to_owned()))
            }
        }
    }

    /// Mints the proof of a permitted write; its entry commits with the write.
    ///
    /// # Errors
    /// The refusal as 401 or 403; [`Error::Unavailable`] when the use cannot be recorded.
    pub fn authorize_write<O>(&self, verdict: &Verdict, used: &Use<'_>, operation: O) -> Result<Authorized<O>, Error> {
        if !verdict.permitted {
            return Err(self.refuse(verdict, used));
        }
        let entry = self
            .recorder
            .entry(used, &verdict.decision, &verdict.basis)
            .map_err(unrecorded)?;
        Ok(Authorized::mint(operation, Receipt::with_commit(entry)))
    }

    /// Mints the proof of a read that anyone was allowed under a policy number that is still current.
    pub fn authorize_public<O>(&self, epoch: u64, operation: O) -> Option<Authorized<O>> {
        (epoch == self.pip.epoch().now()).then(|| Authorized::mint(operation, Receipt::exempt(Exemption::PublicRead)))
    }

    /// Records a refusal and says it: 401 for whoever sent no credentials, 403 for the others.
    pub fn refuse(&self, verdict: &Verdict, used: &Use<'_>) -> Error {
        let anonymous = used.subject.agent == Agent::Public;
        metrics::counter!("access_refused_total", "anonymous" => if anonymous { "true" } else { "false" }).increment(1);
        if !anonymous || self.anonymous_denials.admit(self.clock.unix()) {
            self.record_refusal(verdict, used);
        }
        if anonymous {
            Error::Unauthenticated
        } else {
            Error::Forbidden
        }
    }

    /// Nobody waits for the record of a refusal. Where the log has no room now it waits by itself, for a while and in bounds.
    fn record_refusal(&self, verdict: &Verdict, used: &Use<'_>) {
        let entry = match self.recorder.entry(used, &verdict.decision, &verdict.basis) {
            Ok(entry) => entry,
            Err(reason) => {
                tracing::error!(%reason, "a refusal could not be recorded");
                return;
            }
        };
        let store = Arc::clone(&self.store);
        if let Ok(room) = store.admission().try_acquire_owned() {
            append_refusal(&*store, entry, room);
            return;
        }
        let Ok(waiting) = Arc::clone(&self.refusals_waiting).try_acquire_owned() else {
            tracing::error!("a refusal could not be recorded: the audit log cannot be written now");
            return;
        };
        tokio::spawn(async move {
            let room = async { store.admission().acquire_owned().await.map_err(|_| StoreError::Stopped) };
            match in_time(&*store, room).await {
                Ok(room) => append_refusal(&*store, entry, room),
                Err(error) => tracing::error!(%error, "a refusal could not be recorded"),
            }
            drop(waiting);
        });
    }
}

fn append_refusal(store: &dyn Store, entry: AuditEntry, room: OwnedSemaphorePermit) {
    store.enqueue(
        Warrant::from_receipt(Receipt::with_commit(entry)),
        ErasedWork {
            run: Box::new(|_| true),
            done: Box::new(move |result| {
                drop(room);
                if let Err(error) = result {
                    tracing::error!(%error, "a refusal could not be recorded");
                }
            }),
        },
    );
}

fn unrecorded(reason: String) -> Error {
    tracing::error!(%reason, "a use could not be recorded");
    Error::Unavailable("the use could not be recorded in the audit log, so nothing is handed out".to_owned())
}
