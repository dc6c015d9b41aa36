//! Who could see something: asked by its owner, answered by the same decisions that are made when somebody does ask
//! (ENF-41). By access rules, and under which agreements.

use std::collections::BTreeSet;

use policies::decision::{Decision, Obligation};
use policies::facts::{Fact, Facts};
use policies::request::{AccessRequest, Action, Agent, Subject, WebId};
use policies::wac::Modes;
use serde::Serialize;
use server_kit::authn::AgreementGrant;
use server_kit::problem::Problem;
use time::OffsetDateTime;

use super::agreement::{Container, purposes_of, reach_since};
use super::{Asked, Moment, Scope, unrecorded};
use crate::dataspace::agreement::{self as stored, Agreement};
use crate::name::ResourceName;
use crate::store::{RecordKind, Snapshot};

/// Most agreements that are looked at for one answer.
const AGREEMENTS_MAX: usize = 10_000;
/// Agreements read at a time.
const BATCH: usize = 100;
/// Most people of access rules that are decided about for one answer.
const PEOPLE_MAX: usize = 1_000;

/// Who could see something now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Viewers {
    /// By access rules.
    pub rules: ByRules,
    /// Under agreements.
    pub agreements: Vec<ByAgreement>,
    /// Whether there are more rules or agreements than were looked at.
    pub more: bool,
}

/// Who may read by access rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByRules {
    /// Anyone at all.
    pub public: bool,
    /// Whoever has logged in somewhere.
    pub logged_in: bool,
    /// These, and the owner.
    pub agents: BTreeSet<String>,
    /// Members of these groups.
    pub groups: BTreeSet<String>,
}

/// Somebody who can see something under an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByAgreement {
    /// The agreement.
    pub agreement: String,
    /// With whom.
    pub assignee: String,
    /// For what.
    pub purposes: BTreeSet<String>,
    /// In what form.
    pub form: SeenAs,
    /// The least number of people in each figure, when only figures are seen.
    pub subjects_min: Option<u32>,
    /// Whether it is seen because the owner of the data consents.
    pub by_consent: bool,
    /// Until when at most, as things stand.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

/// In what form something is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenAs {
    /// As it stands.
    Stands,
    /// Less precise, as a code or as a fingerprint.
    Changed,
    /// In figures about several people only.
    Figures,
}

impl Scope {
    /// Who could see statements of a document now; with `property`, those with this predicate.
    ///
    /// # Errors
    /// 503 when rules or agreements cannot be read.
    pub async fn viewers(&self, document: &ResourceName, property: Option<&str>) -> Result<Viewers, Problem> {
        let mut viewers = Viewers::default();
        (viewers.rules, viewers.more) = self.readers(document).await?;
        let (mut after, mut seen): (Option<String>, usize) = (None, 0);
        loop {
            let batch = self.next_agreements(&mut after, document, property, &mut viewers)?;
            seen = seen.saturating_add(batch);
            if batch < BATCH || seen >= AGREEMENTS_MAX {
                viewers.more |= batch == BATCH;
                return Ok(viewers);
            }
            // Others get a turn: there may be many agreements.
            tokio::task::yield_now().await;
        }
    }

    /// Looks at the next agreements after a key; returns how many there were.
    fn next_agreements(
        &self,
        after: &mut Option<String>,
        document: &ResourceName,
        property: Option<&str>,
        viewers: &mut Viewers,
    ) -> Result<usize, Problem> {
        let snapshot = self.snapshot()?;
        let batch = snapshot
            .records(RecordKind::Agreement, "", after.as_deref(), BATCH)
            .map_err(|error| unrecorded(&error))?;
        let found = batch.len();
        for (key, bytes) in batch {
            let agreement = stored::read_json::<Agreement>(Some(bytes), &key).map_err(|error| unrecorded(&error))?;
            let agreement =
                agreement.filter(|agreement| agreement.in_force && self.may_reach(&*snapshot, agreement, document));
            if let Some(agreement) = agreement {
                let seen = self.by_one_agreement(&*snapshot, &agreement, document, property);
                viewers.agreements.extend(seen);
            }
            *after = Some(key);
        }
        Ok(found)
    }

    /// Whether the dataset of an agreement lies where the document does, or reaches into the storages of others: what costs
    /// little to find out, before anything is decided.
    fn may_reach(&self, snapshot: &dyn Snapshot, agreement: &Agreement, document: &ResourceName) -> bool {
        let root = document.storage_root();
        if root.as_ref().is_some_and(|root| root.as_str() == agreement.storage) {
            return true;
        }
        let dataset = stored::load_dataset(snapshot, &self.origins, &agreement.dataset);
        let root = root.map(|root| root.iri(&self.origins)).unwrap_or_default();
        dataset.ok().flatten().is_some_and(|dataset| {
            !dataset.member_containers.is_empty()
                || dataset.containers.iter().any(|container| container.starts_with(&root))
        })
    }

    /// Everyone named by the rules who may read, as a decision about each of them has it.
    async fn readers(&self, document: &ResourceName) -> Result<(ByRules, bool), Problem> {
        let (fact, _) = self
            .pep
            .pip()
            .effective_acl(document)
            .map_err(|error| unrecorded(&error))?;
        let (named, groups): (BTreeSet<String>, BTreeSet<String>) = match fact {
            Fact::Acl(effective) => (effective.acl.named_agents(), effective.acl.named_groups()),
            Fact::Acp(effective) => (effective.named_agents(), BTreeSet::new()),
            _ => Default::default(),
        };
        let mut rules = ByRules {
            groups,
            ..ByRules::default()
        };
        rules.public = self.may_read(document, Agent::Public).await?;
        // Nobody has this name, so that only rules for all who have logged in let it in.
        if let Ok(anyone) = WebId::parse("https://anyone.invalid/#me") {
            rules.logged_in = self.may_read(document, Agent::Authenticated(anyone)).await?;
        }
        let more = named.len() > PEOPLE_MAX;
        for web_id in named.into_iter().take(PEOPLE_MAX) {
            let Ok(agent) = WebId::parse(web_id.as_str()) else {
                continue;
            };
            if self.may_read(document, Agent::Authenticated(agent)).await? {
                rules.agents.insert(web_id);
            }
        }
        Ok((rules, more))
    }

    async fn may_read(&self, document: &ResourceName, agent: Agent) -> Result<bool, Problem> {
        let request = AccessRequest {
            subject: Subject {
                agent,
                ..Subject::default()
            },
            action: Action::Wac(Modes::READ),
            resource: document.iri(&self.origins),
            purpose: None,
            now: self.clock.now(),
            agreement: None,
        };
        let decided = self.pep.decide_knowing(&request, Facts::new()).await;
        let decided = decided.map_err(|error| unrecorded(&error))?;
        Ok(decided.decision.permits())
    }

    fn by_one_agreement(
        &self,
        snapshot: &dyn Snapshot,
        agreement: &Agreement,
        document: &ResourceName,
        property: Option<&str>,
    ) -> Option<ByAgreement> {
        let assignee = WebId::parse(agreement.assignee.as_str()).ok()?;
        let mut found: Option<ByAgreement> = None;
        for purpose in purposes_of(agreement) {
            let grant = AgreementGrant {
                agreement: agreement.iri.clone(),
                purpose: Some(purpose.clone()),
                via: None,
                until: i64::MAX,
            };
            let asked = Asked {
                subject: Subject::authenticated(assignee.clone()),
                grant: Some(grant.clone()),
                agreement: None,
                purpose: Some(purpose.clone()),
                storage: None,
                query_hash: String::new(),
                predicates: Vec::new(),
            };
            let (decision, _, _) = self.decide_query(&asked, &grant, snapshot, self.clock.now(), Moment::Before);
            if !self.reaches(snapshot, agreement, &decision, document, property) {
                continue;
            }
            let one = found.get_or_insert_with(|| described(agreement, &decision, property));
            one.purposes.insert(purpose);
        }
        found
    }

    /// Whether what a decision opens includes a document, and statements with this predicate.
    fn reaches(
        &self,
        snapshot: &dyn Snapshot,
        agreement: &Agreement,
        decision: &Decision,
        document: &ResourceName,
        property: Option<&str>,
    ) -> bool {
        let Some(view) = decision.view.as_ref().filter(|_| decision.permits()) else {
            return false;
        };
        if property.is_some_and(|property| !view.shows(property)) {
            return false;
        }
        let Some(root) = document.storage_root() else {
            return false;
        };
        let storage = snapshot.storage(&root).ok().flatten();
        let Some(number) = storage.and_then(|storage| u32::try_from(storage.id.0).ok()) else {
            return false;
        };
        let Ok(since) = reach_since(snapshot, &self.origins, &view.dataset) else {
            return false;
        };
        // Of a container it is asked who could see anything in it.
        let within = |container: &ResourceName| {
            document.is_within(container) || (document.is_container() && container.is_within(document))
        };
        self.containers(agreement, view).iter().any(|container| {
            let inside = match container {
                Container { name: Some(name), .. } => within(name),
                Container { path: Some(path), .. } => root.join(path).is_ok_and(|container| within(&container)),
                Container { .. } => false,
            };
            let consents = || {
                let path = container.path.as_deref();
                self.covering(view, path, since, self.clock.now()).contains(number)
            };
            inside && (view.consent.is_none() || consents())
        })
    }
}

fn described(agreement: &Agreement, decision: &Decision, property: Option<&str>) -> ByAgreement {
    let figures = decision.obligations.iter().find_map(|obligation| match obligation {
        Obligation::AggregateOnly { subjects_min } => Some(*subjects_min),
        Obligation::Round { .. } | Obligation::Log | Obligation::ChangeValues => None,
    });
    let changed = decision.view.as_ref().is_some_and(|view| match property {
        Some(property) => view.treatment.names || view.treatment.values.contains_key(property),
        None => !view.treatment.is_none(),
    });
    ByAgreement {
        agreement: agreement.iri.clone(),
        assignee: agreement.assignee.clone(),
        purposes: BTreeSet::new(),
        form: match (figures, changed) {
            (Some(_), _) => SeenAs::Figures,
            (None, true) => SeenAs::Changed,
            (None, false) => SeenAs::Stands,
        },
        subjects_min: figures,
        by_consent: decision.view.as_ref().is_some_and(|view| view.consent.is_some()),
        until: decision.valid_until,
    }
}
