//! What a query may see: who asks, under which agreement and for which purpose, becomes a proven view of the index
//! (ARCHITECTURE §4 Query, invariants 2, 3, 5 and 7).
//!
//! With a token that is bound to an agreement, the agreement decides (`policies::decide` on a query): containers, the
//! same container of every consenting storage, properties, duties. Without one, the access rules decide,
//! document by document, but evaluated once for all documents that share them. Both wait until the index has applied every commit that was
//! acknowledged before the query came, so that a withdrawal or a revocation counts from the next query on.
//!
//! The proof is made only after the audit leaf is durable. Refusals are recorded as well, for the owner whose agreement
//! was named and for the people whose data it is about.

mod agreement;
mod answer_terms;
mod answered;
mod listening;
pub mod pseudonyms;
mod readable;
mod refusal;
mod turns;
mod viewers;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use policies::audit::{AuditAction, AuditRecord, Basis, Outcome};
use policies::decision::{Decision, ReasonCode};
use policies::request::Subject;
use quick_cache::sync::Cache;
use roaring::RoaringBitmap;
use server_kit::authn::AgreementGrant;
use server_kit::clock::Clock;
use server_kit::problem::Problem;
use spargebra::Query;
use time::OffsetDateTime;

use super::{Authorized, Exemption, Pep, Receipt};
use crate::audit::AuditWriter;
use crate::consent::ConsentLedger;
use crate::dataspace::uses;
use crate::index::{Index, ListState};
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::query::View;
use crate::query::sketch::SketchKey;
use crate::query::table::{Table, Tabulation};
use crate::store::{CommitError, ReadPermit, Snapshot, StorageId, Store, StoreError, Warrant, commit};

pub use answer_terms::AnswerTerms;
pub use answered::AggregateLimits;
use answered::{Answered, Given};
pub use pseudonyms::Pseudonyms;
pub use refusal::Refusal;
use turns::Turns;
pub use viewers::{ByAgreement, ByRules, SeenAs, Viewers};

/// Views that are kept for the next query.
const VIEWS_MAX: usize = 1_000;
/// Verdicts on access rules for everyone that are kept.
const PUBLIC_VERDICTS_MAX: usize = 500_000;

/// A query that asks for a view.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who.
    pub subject: Subject,
    /// The agreement that the token is bound to, and what a delegation says.
    pub grant: Option<AgreementGrant>,
    /// Parameter `agreement`.
    pub agreement: Option<String>,
    /// Parameter `purpose`.
    pub purpose: Option<String>,
    /// Root of the storage whose endpoint was asked; none for the server's.
    pub storage: Option<ResourceName>,
    /// SHA-256 of the query text, in hexadecimal digits.
    pub query_hash: String,
    /// Predicates that the query names.
    pub predicates: Vec<String>,
}

impl Asked {
    /// The purpose that counts: the one that the consumer signed, or else the one that was stated.
    pub(super) fn stated_purpose(&self) -> Option<&str> {
        let signed = self.grant.as_ref().and_then(|grant| grant.purpose.as_deref());
        signed.or(self.purpose.as_deref())
    }
}

/// A view that may be used, and how.
#[derive(Clone, Debug)]
pub struct ScopedView {
    view: Arc<View>,
    aggregates: Option<Aggregates>,
    valid_until: Option<OffsetDateTime>,
    terms: Option<Arc<AnswerTerms>>,
}

/// How aggregates leave, where nothing else does.
#[derive(Clone, Debug)]
struct Aggregates {
    /// Smallest number of distinct data subjects of a group.
    subjects_min: u32,
    /// Aggregates leave as multiples of this.
    rounding: Option<u32>,
    /// Where it is kept which numbers were given out.
    ledger: String,
    /// The secret of what is kept.
    key: SketchKey,
    /// The query over the groups that leave, once that is decided.
    leaving: Option<Arc<Query>>,
}

/// What the one who answers a query says to its view before anything is recorded.
pub trait Admission: Send + Sync {
    /// Whether the duties of the view allow the query's form.
    ///
    /// # Errors
    /// The refusal.
    fn admissible(&self, scoped: &ScopedView) -> Result<(), Refusal>;

    /// The groups of the query, where only aggregates may leave: whom they are about is a fact of the decision. Nothing of
    /// them leaves before the decision is recorded.
    fn table<'a>(&'a self, view: Arc<View>, how: Tabulation) -> BoxFuture<'a, Result<Table, Refusal>>;
}

impl ScopedView {
    /// What goes along with an answer under an agreement; none for an answer by access rules.
    #[must_use]
    pub const fn terms(&self) -> Option<&Arc<AnswerTerms>> {
        self.terms.as_ref()
    }

    /// The view.
    #[must_use]
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// When set, only aggregates over at least this many data subjects may leave.
    #[must_use]
    pub fn subjects_min(&self) -> Option<u32> {
        self.aggregates.as_ref().map(|aggregates| aggregates.subjects_min)
    }

    /// The query over the groups that leave. None where single rows may leave too.
    #[must_use]
    pub fn leaving(&self) -> Option<&Arc<Query>> {
        self.aggregates
            .as_ref()
            .and_then(|aggregates| aggregates.leaving.as_ref())
    }

    /// When the decision ends by itself.
    #[must_use]
    pub const fn valid_until(&self) -> Option<OffsetDateTime> {
        self.valid_until
    }
}

/// When a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Before the use is counted.
    Before,
    /// While its answer is being sent: the use is counted already.
    During,
    /// Between uses, when somebody asks to be told that there is something new.
    Listening,
    /// The same, while somebody is told: only that it is over is recorded.
    StillListening,
}

impl Moment {
    /// Whether the last use is not one of before.
    const fn is_after_a_use(self) -> bool {
        !matches!(self, Self::Before)
    }
}

/// A permit that is not recorded yet.
struct Considered {
    scoped: ScopedView,
    decision: Option<Decision>,
    /// What the decision was made from.
    basis: Option<Arc<Basis>>,
    /// IRI of what was asked.
    target: String,
    owners: Vec<StorageId>,
    subjects: RoaringBitmap,
    /// Whether anyone at all may see everything in the view.
    public: bool,
    /// Whose data aggregates are over from now on, where that changes.
    admitted: Option<RoaringBitmap>,
    /// Where uses are counted: those until now.
    counted: Option<Counted>,
}

/// An agreement whose uses are counted, and how many there were.
#[derive(Clone, Debug)]
struct Counted {
    agreement: String,
    uses: u64,
}

/// Decides what queries may see.
pub struct Scope {
    index: Arc<Index>,
    store: Arc<dyn Store>,
    pep: Arc<Pep>,
    consents: Arc<ConsentLedger>,
    audit: Arc<AuditWriter>,
    clock: Arc<dyn Clock>,
    origins: Origins,
    pseudonyms: Pseudonyms,
    readable: Cache<String, Arc<readable::Readable>>,
    public: Cache<Box<[ListState]>, readable::Reach>,
    agreed: Cache<String, Arc<agreement::Agreed>>,
    turns: Turns,
    answered: Answered,
    limits: AggregateLimits,
}

/// What [`Scope`] stands on.
pub struct ScopeParts {
    /// The index.
    pub index: Arc<Index>,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Decides by access rules.
    pub pep: Arc<Pep>,
    /// Whose consent covers what.
    pub consents: Arc<ConsentLedger>,
    /// Makes audit entries.
    pub audit: Arc<AuditWriter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where the resources of the server are.
    pub origins: Origins,
    /// Makes the keys of codes.
    pub pseudonyms: Pseudonyms,
    /// Bounds of what is kept about numbers that were given out.
    pub aggregates: AggregateLimits,
}

impl Scope {
    /// A scope over an index.
    #[must_use]
    pub fn new(parts: ScopeParts) -> Self {
        Self {
            index: parts.index,
            store: parts.store,
            pep: parts.pep,
            consents: parts.consents,
            audit: parts.audit,
            clock: parts.clock,
            origins: parts.origins,
            pseudonyms: parts.pseudonyms,
            readable: Cache::new(VIEWS_MAX),
            public: Cache::new(PUBLIC_VERDICTS_MAX),
            agreed: Cache::new(VIEWS_MAX),
            turns: Turns::default(),
            answered: Answered::default(),
            limits: parts.aggregates,
        }
    }

    /// Decides, records, and only then proves. `admission` says whether the duties of the view allow the query's form, and
    /// whom its groups are about where only aggregates leave.
    ///
    /// # Errors
    /// The problem to tell the caller. 503 when the use cannot be recorded: no audit, no data.
    pub async fn authorize(&self, asked: &Asked, admission: &dyn Admission) -> Result<Authorized<ScopedView>, Problem> {
        let mut considered = self.considered(asked).await?;
        self.admit(asked, &considered, admission).await?;
        let table = match &considered.scoped.aggregates {
            None => None,
            Some(aggregates) => {
                let how = Tabulation {
                    subjects_min: aggregates.subjects_min,
                    rounding: aggregates.rounding,
                    key: aggregates.key.clone(),
                };
                match admission.table(Arc::clone(&considered.scoped.view), how).await {
                    Ok(table) => Some(table),
                    Err(refusal) => return Err(self.refuse_seen(asked, &considered, refusal).await),
                }
            }
        };
        let turn = considered
            .counted
            .as_ref()
            .map(|counted| self.turns.of(&counted.agreement));
        let _turn = match turn {
            None => None,
            Some(turn) => {
                let turn = turn.lock().await;
                // Others may have used it while this query waited.
                let again = self.considered(asked).await?;
                if table.is_some() {
                    // The groups were made of the first view; whether it still holds is asked before they leave.
                    considered.counted = again.counted;
                } else {
                    considered = again;
                    self.admit(asked, &considered, admission).await?;
                }
                Some(turn)
            }
        };
        match table {
            None => self.prove(asked, considered, None).await,
            Some(table) => self.prove_aggregates(asked, considered, table).await,
        }
    }

    async fn admit(&self, asked: &Asked, considered: &Considered, admission: &dyn Admission) -> Result<(), Problem> {
        match admission.admissible(&considered.scoped) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.refuse_seen(asked, considered, refusal).await),
        }
    }

    /// A refusal that everyone sees whom the query was about.
    async fn refuse_seen(&self, asked: &Asked, considered: &Considered, mut refusal: Refusal) -> Problem {
        refusal.target.clone_from(&considered.target);
        let refusal = refusal.seen_by(considered.owners.clone(), considered.subjects.clone());
        self.refuse(asked, refusal).await
    }

    async fn considered(&self, asked: &Asked) -> Result<Considered, Problem> {
        match self.consider(asked, Moment::Before).await {
            Ok(considered) => Ok(considered),
            Err(refusal) => Err(self.refuse(asked, refusal).await),
        }
    }

    /// Records a refusal and gives its problem back.
    async fn refuse(&self, asked: &Asked, refusal: Refusal) -> Problem {
        metrics::counter!("queries_refused_total").increment(1);
        if refusal.reasons.is_empty() {
            return refusal.problem;
        }
        let recorded = async {
            let mut record = self.audit.blank(AuditAction::Query, Outcome::Deny);
            record.reasons.clone_from(&refusal.reasons);
            record.targets = vec![refusal.target.clone()];
            record.basis.clone_from(&refusal.basis);
            record.rules.clone_from(&refusal.rules);
            let entry = {
                let snapshot = self.snapshot()?;
                let record = described(record, asked);
                self.audit
                    .entry(record, &refusal.owners, &refusal.subjects, &*snapshot)
                    .map_err(|error| unrecorded(&error))?
            };
            self.audit.append(entry).await.map_err(|error| unrecorded(&error))
        };
        // A refusal that cannot be recorded stays a refusal, and the failure is in the server's log.
        let _ = recorded.await;
        refusal.problem
    }

    /// Whether the same query would still see everything that it sees through a view that it has. Asked when a policy,
    /// a consent or an agreement changes while an answer is being sent.
    pub async fn still_covers(&self, asked: &Asked, scoped: &ScopedView) -> bool {
        match self.consider(asked, Moment::During).await {
            Ok(now) => {
                let view = &now.scoped.view;
                // Documents that were replaced meanwhile have new numbers; their names decide.
                view.predicates_cover(&scoped.view)
                    && view.treated() == scoped.view.treated()
                    && now.scoped.subjects_min() >= scoped.subjects_min()
                    && scoped.view.documents_within(view)
            }
            Err(_) => false,
        }
    }

    async fn consider(&self, asked: &Asked, moment: Moment) -> Result<Considered, Refusal> {
        if let Some(reason) = self.index.incomplete() {
            tracing::error!(reason, "a query was refused because the index is incomplete");
            return Err(Refusal::unavailable(
                "the index is incomplete; the operator has been told",
            ));
        }
        if let Err(behind) = self.index.caught_up().await {
            tracing::warn!(%behind, "a query was refused because the index is behind");
            return Err(Refusal::unavailable(
                "the index has not caught up with recent changes yet",
            ));
        }
        match &asked.grant {
            Some(grant) => self.by_agreement(asked, grant, moment),
            None if asked.agreement.is_some() || asked.purpose.is_some() => Err(self.without_token(asked)),
            None => self.by_rules(asked).await,
        }
    }

    async fn prove(
        &self,
        asked: &Asked,
        considered: Considered,
        given: Option<Given>,
    ) -> Result<Authorized<ScopedView>, Problem> {
        if considered.public {
            return Ok(Authorized::mint(
                considered.scoped,
                Receipt::exempt(Exemption::PublicRead),
            ));
        }
        let mut record = self.audit.blank(AuditAction::Query, Outcome::Permit);
        match &considered.decision {
            Some(decision) => record = record.with_decision(decision),
            None => record.reasons = vec![ReasonCode::AclGrants],
        }
        record.targets = vec![considered.target];
        record.basis = considered.basis;
        let record = described(record, asked);
        if considered.counted.is_some() || given.is_some() {
            let (owners, subjects) = (considered.owners, considered.subjects);
            let leaf = self.take(record, owners, subjects, considered.counted, given).await?;
            return Ok(Authorized::mint(considered.scoped, Receipt::durable(leaf)));
        }
        let entry = {
            let snapshot = self.snapshot()?;
            self.audit
                .entry(record, &considered.owners, &considered.subjects, &*snapshot)
                .map_err(|error| unrecorded(&error))?
        };
        let leaf = self.audit.append(entry).await.map_err(|error| unrecorded(&error))?;
        Ok(Authorized::mint(considered.scoped, Receipt::durable(leaf)))
    }

    /// Counts a use, keeps what it tells, and records it, in one commit.
    async fn take(
        &self,
        record: AuditRecord,
        owners: Vec<StorageId>,
        subjects: RoaringBitmap,
        counted: Option<Counted>,
        given: Option<Given>,
    ) -> Result<u64, Problem> {
        let audit = Arc::clone(&self.audit);
        let now = self.clock.now().unix_timestamp();
        let warrant = Warrant::without_proof("a use of an agreement is counted and recorded before anything leaves");
        let taken = commit::<Option<u64>, StoreError>(
            &*self.store,
            warrant,
            Box::new(move |transaction| {
                if let Some(counted) = &counted
                    && !uses::take(transaction, &counted.agreement, counted.uses, now)?
                {
                    return Ok(None);
                }
                if let Some(given) = &given
                    && !given.keep(transaction)?
                {
                    return Ok(None);
                }
                Ok(audit.append_within(record, &owners, &subjects, transaction).map(Some)?)
            }),
        )
        .await;
        match taken {
            Ok((Some(leaf), _)) => Ok(leaf),
            Ok((None, _)) => Err(Problem::unavailable(
                "the agreement is being used by somebody else; ask again",
                1,
            )),
            Err(CommitError::Refused(error) | CommitError::Store(error)) => Err(unrecorded(&error)),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot + Send + '_>, Problem> {
        self.store
            .snapshot(ReadPermit::without_proof(
                "agreements, datasets and storages decide what a query may see",
            ))
            .map_err(|error| unrecorded(&error))
    }

    /// IRI of the endpoint that was asked.
    fn endpoint(&self, asked: &Asked) -> String {
        let root = asked.storage.as_ref().map_or("/", ResourceName::as_str);
        self.origins.place(&format!("{root}sparql"))
    }

    /// The storage of the endpoint that was asked.
    fn endpoint_storage(&self, asked: &Asked) -> Vec<StorageId> {
        let Some(root) = &asked.storage else {
            return Vec::new();
        };
        let found = self
            .snapshot()
            .ok()
            .and_then(|snapshot| snapshot.storage(root).ok().flatten());
        found.into_iter().map(|storage| storage.id).collect()
    }
}

/// Fills in who asked, and what.
fn described(mut record: AuditRecord, asked: &Asked) -> AuditRecord {
    let web_id = asked.subject.agent.web_id();
    record.agent = web_id.map(|web_id| web_id.as_str().to_owned());
    record.client.clone_from(&asked.subject.client);
    if let Some(grant) = &asked.grant {
        record.via.clone_from(&grant.via);
        record.agreement = Some(grant.agreement.clone());
    } else {
        record.agreement.clone_from(&asked.agreement);
    }
    record.purpose = asked.stated_purpose().map(str::to_owned);
    record.query_hash = Some(asked.query_hash.clone());
    record
}

fn unrecorded(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a query could not be decided or recorded");
    Problem::unavailable(
        "the use could not be recorded in the audit log, so nothing is handed out",
        1,
    )
}
