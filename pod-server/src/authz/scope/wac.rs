//! The documents that an agent may read by access control lists (solid#67-79).
//!
//! Documents that share an effective list are decided together. Lists that name neither the agent nor a class that it
//! belongs to are not even looked at: they cannot give it anything.

use std::sync::Arc;

use policies::request::{AccessRequest, Action, Agent, Subject};
use policies::wac::Modes;
use roaring::RoaringBitmap;
use rustc_hash::FxHashSet;

use super::{Asked, Considered, Refusal, Scope, ScopedView};
use crate::authz::Dependency;
use crate::index::{ANYONE_ELSE, AclGroup, DocumentId, IndexSnapshot, NamedSnapshot};
use crate::name::ResourceName;
use crate::query::{Predicates, View};
use crate::store::{ResourceId, Sequence, StorageId};

const EVERYONE: &str = "http://xmlns.com/foaf/0.1/Agent";
const AUTHENTICATED: &str = "http://www.w3.org/ns/auth/acl#AuthenticatedAgent";

/// One state of a list.
pub(super) type ListState = (ResourceId, Sequence);

/// To which of the documents of a list somebody has read access.
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
}

/// A group of documents whose list is to be evaluated, taken out of the index.
struct Candidate {
    state: ListState,
    subject: ResourceName,
    own: RoaringBitmap,
    inherited: RoaringBitmap,
    /// A document that inherits the list, to ask about.
    heir: Option<ResourceName>,
}

impl Scope {
    pub(super) async fn by_lists(&self, asked: &Asked) -> Result<Considered, Refusal> {
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
        for candidate in candidates {
            let (mine, everyones, settled) = self.reach(&asked.subject, &candidate).await?;
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
        let readable = Arc::new(Readable {
            names,
            policies,
            view: Arc::new(View::new(snapshot, &visible, Predicates::default())),
            owners: owners.into_iter().collect(),
            public: protected.is_empty(),
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
                subjects_min: None,
                valid_until: None,
            },
            decision: None,
            target: self.endpoint(asked),
            owners: readable.owners.clone(),
            subjects: RoaringBitmap::new(),
            public: readable.public,
        }
    }

    /// The groups whose list may give the agent anything, with the snapshot that they belong to.
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
            let heir = inherited
                .min()
                .and_then(|document| snapshot.document(DocumentId(document)))
                .map(|document| {
                    document
                        .name
                        .auxiliary_subject()
                        .map_or_else(|| document.name.clone(), |(of, _)| of)
                });
            candidates.push(Candidate {
                state: (group.list, group.version),
                subject: subject.clone(),
                own,
                inherited,
                heir,
            });
        }
        let epoch = names.epoch();
        (candidates, snapshot, epoch)
    }

    /// What the agent and what everyone reaches, and whether that rests on access control lists only.
    async fn reach(&self, subject: &Subject, candidate: &Candidate) -> Result<(Reach, Reach, bool), Refusal> {
        let known = self.public.get(&candidate.state);
        if let Some(public) = known {
            let all_own = public.own || candidate.own.is_empty();
            let all_inherited = public.inherited || candidate.inherited.is_empty();
            if (all_own && all_inherited) || subject.agent == Agent::Public {
                return Ok((public, public, true));
            }
        }
        let (mut mine, mut public, mut settled) = (Reach::default(), Reach::default(), true);
        if !candidate.own.is_empty() {
            (mine.own, public.own, settled) = self.ask(subject, &candidate.subject).await?;
        }
        if let Some(heir) = &candidate.heir {
            let lasting;
            (mine.inherited, public.inherited, lasting) = self.ask(subject, heir).await?;
            settled &= lasting;
        }
        if settled && !candidate.own.is_empty() && candidate.heir.is_some() {
            self.public.insert(candidate.state, public);
        }
        Ok((mine, public, settled))
    }

    async fn ask(&self, subject: &Subject, resource: &ResourceName) -> Result<(bool, bool, bool), Refusal> {
        let subject = self.pep.with_relevant_origin(subject, resource).map_err(|error| {
            tracing::error!(%error, %resource, "an access control list could not be read for a query");
            Refusal::unavailable("an access control list cannot be evaluated now")
        })?;
        let request = AccessRequest {
            subject,
            action: Action::Wac(Modes::READ),
            resource: resource.iri(&self.base_url),
            purpose: None,
            now: self.clock.now(),
            agreement: None,
        };
        let (decision, dependencies) = self.pep.decide(&request).await.map_err(|error| {
            tracing::error!(%error, %resource, "an access control list could not be evaluated for a query");
            Refusal::unavailable("an access control list cannot be evaluated now")
        })?;
        let only_lists = dependencies
            .iter()
            .all(|dependency| matches!(dependency, Dependency::EffectiveAcl { .. }))
            && decision.valid_until.is_none()
            && decision
                .reasons
                .iter()
                .all(|reason| reason.code != policies::decision::ReasonCode::GroupUnavailable);
        Ok((
            decision.permits(),
            decision.public_modes.contains(Modes::READ),
            only_lists,
        ))
    }
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
    // The list stands above the storage: only what lies in the storage counts.
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
