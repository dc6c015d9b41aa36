//! The documents that an agent may read by the access rules of each storage: access control lists or policies (solid#67-92).
//!
//! Documents that share their effective rules are decided together, by the same decision as a request for one of them.
//! Rules that name neither the agent nor a class that it belongs to are not even looked at: they cannot give it anything.

use std::sync::Arc;

use policies::audit::{Apart, Basis};
use policies::facts::{Fact, FactRequest, Facts};
use policies::request::{AccessRequest, Action, Agent, Subject};
use policies::wac::Modes;
use roaring::RoaringBitmap;
use rustc_hash::FxHashSet;
use server_kit::random::{Random, SystemRandom};

use super::{Asked, Considered, Refusal, Scope, ScopedView};
use crate::audit::APART;
use crate::authz::Dependency;
use crate::authz::creators::creator;
use crate::authz::pep::Decided;
use crate::dataspace::agreement::to_json;
use crate::index::{ANYONE_ELSE, AclGroup, DocumentId, IndexSnapshot, ListState, NamedSnapshot};
use crate::name::ResourceName;
use crate::query::{Predicates, View};
use crate::store::{ResourceId, Snapshot, StorageId, StoreError};

/// Questions about access rules that the record of one query tells.
const QUESTIONS_MAX: usize = 64;

const EVERYONE: &str = vocab::foaf::AGENT_CLASS;
const AUTHENTICATED: &str = vocab::acl::AUTHENTICATED_AGENT;

/// To which of the documents of a group somebody has read access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    own: bool,
    inherited: bool,
}

/// What somebody may read, under some state of the index and of the policies.
#[derive(Debug)]
pub(super) struct Readable {
    names: u64,
    policies: u64,
    view: Arc<View>,
    owners: Vec<StorageId>,
    public: bool,
    basis: Arc<Basis>,
}

/// A group of documents whose rules are to be evaluated, taken out of the index.
struct Candidate {
    /// The states of all rules that count.
    states: Box<[ListState]>,
    /// Some of them can take away what others give.
    narrowing: bool,
    subject: ResourceName,
    own: RoaringBitmap,
    inherited: RoaringBitmap,
    /// A document that inherits the rules, to ask about.
    heir: Option<ResourceName>,
}

/// Whether a document may be read.
struct Answer {
    mine: bool,
    everyones: bool,
    /// It rests on access rules only, and lasts until they change.
    settled: bool,
    /// It rests on who made the document, so that the next one has to be asked about too.
    personal: bool,
    /// The question and what its answer rests on.
    asked: Option<Decided>,
}

impl Scope {
    pub(super) async fn by_rules(&self, asked: &Asked) -> Result<Considered, Refusal> {
        let key = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            asked.subject.agent, asked.subject.client, asked.subject.issuer, asked.subject.origin, asked.storage
        );
        let policies = self.pep.pip().epoch().now();
        let names = self.index.named().names.epoch();
        if let Some(known) = self.readable.get(&key)
            && known.names == names
            && known.policies == policies
        {
            return Ok(self.permitted(asked, &known));
        }
        let (candidates, snapshot, names) = self.candidates(asked);
        let mut visible = RoaringBitmap::new();
        let mut public = RoaringBitmap::new();
        let mut lasting = true;
        let mut basis = Basis {
            at: self.clock.now(),
            facts: Vec::new(),
            issuer: asked.subject.issuer.clone(),
            kept: None,
            questions: Vec::new(),
        };
        for mut candidate in candidates {
            let (mine, everyones, settled) = match self.reach(&asked.subject, &candidate, &mut basis).await? {
                Some(reached) => reached,
                None => self.each(&asked.subject, &mut candidate, &snapshot).await?,
            };
            lasting &= settled;
            for (reach, set) in [(mine, &mut visible), (everyones, &mut public)] {
                if reach.own {
                    *set |= &candidate.own;
                }
                if reach.inherited {
                    *set |= &candidate.inherited;
                }
            }
        }
        let protected = &visible - &public;
        let owners: FxHashSet<StorageId> = protected
            .iter()
            .filter_map(|document| snapshot.document(DocumentId(document)))
            .map(|document| document.storage)
            .collect();
        // Each owner sees the whole record: what one has is not told to another.
        if owners.len() > 1 {
            basis = self.apart(basis)?;
        }
        let readable = Arc::new(Readable {
            names,
            policies,
            view: Arc::new(View::new(snapshot, &visible, Predicates::default())),
            owners: owners.into_iter().collect(),
            public: protected.is_empty(),
            basis: Arc::new(basis),
        });
        if lasting {
            self.readable.insert(key, Arc::clone(&readable));
        }
        Ok(self.permitted(asked, &readable))
    }

    fn permitted(&self, asked: &Asked, readable: &Readable) -> Considered {
        Considered {
            scoped: ScopedView {
                view: Arc::clone(&readable.view),
                aggregates: None,
                valid_until: None,
                terms: None,
            },
            decision: None,
            basis: readable.basis.is_telling().then(|| Arc::clone(&readable.basis)),
            target: self.endpoint(asked),
            owners: readable.owners.clone(),
            subjects: RoaringBitmap::new(),
            public: readable.public,
            admitted: None,
            counted: None,
        }
    }

    /// The groups whose rules may give the agent anything, with the snapshot that they belong to.
    fn candidates(&self, asked: &Asked) -> (Vec<Candidate>, Arc<IndexSnapshot>, u64) {
        let NamedSnapshot { names, snapshot } = self.index.named();
        let mut mentions = vec![EVERYONE, ANYONE_ELSE];
        if let Agent::Authenticated(web_id) = &asked.subject.agent {
            mentions.push(AUTHENTICATED);
            mentions.push(web_id.as_str());
        }
        let mut seen: FxHashSet<ResourceId> = FxHashSet::default();
        let mut candidates = Vec::new();
        for (subject, group) in mentions
            .into_iter()
            .flat_map(|mention| names.groups_mentioning(mention))
        {
            if !seen.insert(group.list) || (group.own.is_empty() && group.inherited.is_empty()) {
                continue;
            }
            let Some((own, inherited)) = within(group, subject, asked.storage.as_ref(), &snapshot) else {
                continue;
            };
            let heir = inherited.min().and_then(|document| subject_of(&snapshot, document));
            let (states, narrowing) = names.rules_of(subject);
            candidates.push(Candidate {
                states,
                narrowing,
                subject: subject.clone(),
                own,
                inherited,
                heir,
            });
        }
        let epoch = names.epoch();
        (candidates, snapshot, epoch)
    }

    /// What the agent and what everyone reaches, and whether that rests on access rules only. None if it is not the same
    /// for all documents of the group.
    async fn reach(
        &self,
        subject: &Subject,
        candidate: &Candidate,
        basis: &mut Basis,
    ) -> Result<Option<(Reach, Reach, bool)>, Refusal> {
        let known = self.public.get(&candidate.states);
        if let Some(public) = known {
            let all_own = public.own || candidate.own.is_empty();
            let all_inherited = public.inherited || candidate.inherited.is_empty();
            // What everyone has, each has, unless the rules make exceptions.
            let each = !candidate.narrowing && all_own && all_inherited;
            if each || subject.agent == Agent::Public {
                return Ok(Some((public, public, true)));
            }
        }
        let (mut mine, mut public, mut settled) = (Reach::default(), Reach::default(), true);
        if !candidate.own.is_empty() {
            // A resource and its description: one maker.
            let answer = self.ask(subject, &candidate.subject).await?;
            (mine.own, public.own, settled) = (answer.mine, answer.everyones, answer.settled);
            self.rest_on(answer, basis)?;
        }
        if let Some(heir) = &candidate.heir {
            let answer = self.ask(subject, heir).await?;
            if answer.personal {
                return Ok(None);
            }
            (mine.inherited, public.inherited) = (answer.mine, answer.everyones);
            settled &= answer.settled;
            self.rest_on(answer, basis)?;
        }
        if settled && !candidate.own.is_empty() && candidate.heir.is_some() {
            self.public.insert(candidate.states.clone(), public);
        }
        Ok(Some((mine, public, settled)))
    }

    /// As [`Self::reach`], where it matters who made a document: the question is asked once for each answer to that, and
    /// only those documents stay in the group that may be read.
    async fn each(
        &self,
        subject: &Subject,
        candidate: &mut Candidate,
        snapshot: &IndexSnapshot,
    ) -> Result<(Reach, Reach, bool), Refusal> {
        let (Some(heir), Some(me)) = (&candidate.heir, subject.agent.web_id()) else {
            return Ok((Reach::default(), Reach::default(), false));
        };
        let mut own = Answer::nothing();
        if !candidate.own.is_empty() {
            own = self.ask(subject, &candidate.subject).await?;
        }
        let me = Fact::People(Arc::new(vec![me.as_str().to_owned()]));
        let by_me = self.ask_if_made_by(subject, heir, me).await?;
        let by_others = self.ask_if_made_by(subject, heir, Fact::Absent).await?;
        let by_unknown = Fact::Unavailable("who made the resource was not recorded".to_owned());
        let by_unknown = self.ask_if_made_by(subject, heir, by_unknown).await?;
        let mut readable = RoaringBitmap::new();
        {
            let store = self.snapshot().map_err(Refusal::unrecorded)?;
            for document in &candidate.inherited {
                let maker = maker_of(snapshot, &*store, document).map_err(|error| unreadable(&error, heir))?;
                let answer = match maker {
                    Maker::Known(web_id) if subject.agent.web_id().is_some_and(|me| me.as_str() == web_id) => &by_me,
                    Maker::Known(_) | Maker::Nobody => &by_others,
                    Maker::Unknown => &by_unknown,
                };
                if answer.mine {
                    readable.insert(document);
                }
            }
        }
        candidate.inherited = readable;
        let mine = Reach {
            own: own.mine,
            inherited: true,
        };
        // The rights of everyone do not depend on who made what.
        let everyones = Reach {
            own: own.everyones,
            inherited: by_others.everyones,
        };
        let settled = by_me.settled && by_others.settled && by_unknown.settled;
        Ok((mine, everyones, settled && (own.settled || candidate.own.is_empty())))
    }

    /// Keeps what a decision rests on apart from its record.
    fn apart(&self, basis: Basis) -> Result<Basis, Refusal> {
        let (at, issuer) = (basis.at, basis.issuer.clone());
        let apart = Apart {
            basis,
            nonce: SystemRandom.token(16),
        };
        let snapshot = self.snapshot().map_err(Refusal::unrecorded)?;
        let kept = to_json(&apart).and_then(|text| self.pep.pip().evidence().keep(&*snapshot, APART, &text));
        Ok(Basis {
            at,
            facts: Vec::new(),
            issuer,
            kept: Some(kept.map_err(|error| Refusal::unrecorded(super::unrecorded(&error)))?),
            questions: Vec::new(),
        })
    }

    /// Adds a question to what a record tells, if its answer gave something that not everyone has.
    fn rest_on(&self, answer: Answer, basis: &mut Basis) -> Result<(), Refusal> {
        let Some(asked) = answer.asked.filter(|_| answer.mine && !answer.everyones) else {
            return Ok(());
        };
        if basis.questions.len() < QUESTIONS_MAX {
            for dependency in &asked.dependencies {
                let kept = self.pep.pip().keep(dependency.documents());
                kept.map_err(|error| Refusal::unrecorded(super::unrecorded(&error)))?;
            }
            basis.questions.push(asked.question);
            basis.facts.extend(asked.facts);
        }
        Ok(())
    }

    async fn ask(&self, subject: &Subject, resource: &ResourceName) -> Result<Answer, Refusal> {
        self.ask_knowing(subject, resource, Facts::new()).await
    }

    async fn ask_if_made_by(&self, subject: &Subject, resource: &ResourceName, maker: Fact) -> Result<Answer, Refusal> {
        let asked = FactRequest::Creators {
            resource: resource.iri(&self.origins),
        };
        self.ask_knowing(subject, resource, Facts::new().with(asked, maker))
            .await
    }

    async fn ask_knowing(&self, subject: &Subject, resource: &ResourceName, facts: Facts) -> Result<Answer, Refusal> {
        let subject = self
            .pep
            .with_relevant_origin(subject, resource)
            .map_err(|error| unreadable(&error, resource))?;
        let request = AccessRequest {
            subject,
            action: Action::Wac(Modes::READ),
            resource: resource.iri(&self.origins),
            purpose: None,
            now: self.clock.now(),
            agreement: None,
        };
        let decided = self.pep.decide_knowing(&request, facts).await;
        let decided = decided.map_err(|error| unreadable(&error, resource))?;
        let (decision, dependencies) = (&decided.decision, &decided.dependencies);
        let personal = |dependency: &Dependency| matches!(dependency, Dependency::Identity { .. });
        // Who made a document is a matter of its identity, and a new document has a new number in the index.
        let settled = dependencies.iter().all(|one| one.is_list() || personal(one))
            && decision.valid_until.is_none()
            && decision
                .reasons
                .iter()
                .all(|reason| reason.code != policies::decision::ReasonCode::GroupUnavailable);
        Ok(Answer {
            mine: decision.permits(),
            everyones: decision.public_modes.contains(Modes::READ),
            settled,
            personal: dependencies.iter().any(personal),
            asked: Some(decided),
        })
    }
}

impl Answer {
    const fn nothing() -> Self {
        Self {
            mine: false,
            everyones: false,
            settled: true,
            personal: false,
            asked: None,
        }
    }
}

/// Who made a document.
enum Maker {
    Known(String),
    Nobody,
    Unknown,
}

fn maker_of(snapshot: &IndexSnapshot, store: &dyn Snapshot, document: u32) -> Result<Maker, StoreError> {
    let Some(indexed) = snapshot.document(DocumentId(document)) else {
        return Ok(Maker::Unknown);
    };
    let id = match indexed.name.auxiliary_subject() {
        None => Some(indexed.resource),
        Some((subject, _)) => store.resource(&subject)?.map(|resource| resource.id),
    };
    let Some(id) = id else { return Ok(Maker::Unknown) };
    Ok(match creator(store, id)? {
        Fact::People(people) => people
            .first()
            .map_or(Maker::Unknown, |web_id| Maker::Known(web_id.clone())),
        Fact::Absent => Maker::Nobody,
        _ => Maker::Unknown,
    })
}

fn unreadable(error: &dyn std::fmt::Display, resource: &ResourceName) -> Refusal {
    tracing::error!(%error, %resource, "access rules could not be evaluated for a query");
    Refusal::unavailable("access rules cannot be evaluated now")
}

/// The resource whose rights count for a document: a description has those of its subject.
fn subject_of(snapshot: &IndexSnapshot, document: u32) -> Option<ResourceName> {
    let document = snapshot.document(DocumentId(document))?;
    let subject = document.name.auxiliary_subject();
    Some(subject.map_or_else(|| document.name.clone(), |(of, _)| of))
}

/// The documents of a group that lie in a storage, if the query is restricted to one.
fn within(
    group: &AclGroup,
    subject: &ResourceName,
    storage: Option<&ResourceName>,
    snapshot: &IndexSnapshot,
) -> Option<(RoaringBitmap, RoaringBitmap)> {
    let Some(root) = storage else {
        return Some((group.own.clone(), group.inherited.clone()));
    };
    if subject.is_within(root) {
        return Some((group.own.clone(), group.inherited.clone()));
    }
    // The rules stand above the storage: only what lies in the storage counts.
    if !root.is_within(subject) {
        return None;
    }
    let inside = |documents: &RoaringBitmap| {
        documents
            .iter()
            .filter(|document| {
                let document = snapshot.document(DocumentId(*document));
                document.is_some_and(|document| document.name.is_within(root))
            })
            .collect()
    };
    Some((inside(&group.own), inside(&group.inherited)))
}
