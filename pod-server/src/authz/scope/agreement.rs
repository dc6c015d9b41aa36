//! What a query sees under an agreement: the containers of the dataset, in as many storages as consent, less what the
//! agreement hides; with its duties (ENF-1 to ENF-11, ENF-30).

use std::collections::BTreeSet;
use std::sync::Arc;

use policies::audit::{Basis, Known, Question};
use policies::decide::{ROUNDS_MAX, Response, decide};
use policies::decision::{self, Decision, Effect, Obligation, Reason, ReasonCode};
use policies::facts::{Fact, FactRequest, Facts};
use policies::odrl::{Circumstances, Constraint, Policy, retention};
use policies::request::{AccessRequest, Action};
use policies::treatment::PseudonymKey;
use roaring::RoaringBitmap;
use server_kit::authn::AgreementGrant;
use server_kit::problem::Problem;
use time::OffsetDateTime;

use super::answer_terms::AnswerTerms;
use super::answered::ledger_name;
use super::refusal::{forbidden, problem_of};
use super::{Aggregates, Asked, Considered, Counted, Moment, Refusal, Scope, ScopedView};
use crate::consent::Wanted;
use crate::dataspace::agreement::{self as stored, Agreement};
use crate::dataspace::uses;
use crate::index::{DocumentId, IndexSnapshot, Names};
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::query::{Predicates, Treated, View};
use crate::store::{Snapshot, StorageId, StoreError};

const PURPOSE: &str = "http://www.w3.org/ns/odrl/2/purpose";

/// A view under an agreement, kept for the next query.
#[derive(Debug)]
pub(super) struct Agreed {
    names: u64,
    terms: decision::View,
    /// The consenting storages of each container, in the order of the terms.
    covering: Vec<Arc<RoaringBitmap>>,
    /// The key of codes, where values are changed.
    key: Option<PseudonymKey>,
    view: Arc<View>,
    storages: RoaringBitmap,
}

impl Scope {
    pub(super) fn by_agreement(
        &self,
        asked: &Asked,
        grant: &AgreementGrant,
        moment: Moment,
    ) -> Result<Considered, Refusal> {
        let snapshot = self.snapshot().map_err(Refusal::unrecorded)?;
        let agreement = stored::load(&*snapshot, &grant.agreement)
            .map_err(|error| Refusal::unrecorded(super::unrecorded(&error)))?;
        let now = self.clock.now();
        let refused = |problem, reasons| self.refused(asked, agreement.as_ref(), &*snapshot, problem, reasons);
        if asked.agreement.as_ref().is_some_and(|named| *named != grant.agreement) {
            let problem = Problem::bad_request("agreement-mismatch", "Two agreements")
                .detail("the parameter `agreement` and the token name different agreements");
            return Err(refused(problem, vec![ReasonCode::AgreementMissing]));
        }
        if let (Some(signed), Some(said)) = (&grant.purpose, &asked.purpose)
            && signed != said
        {
            let problem = Problem::bad_request("purpose-mismatch", "Two purposes")
                .detail("the parameter `purpose` and the delegation name different purposes");
            return Err(refused(problem, vec![ReasonCode::PurposeNotPermitted]));
        }
        let (decision, uses, facts) = self.decide_query(asked, grant, &*snapshot, now, moment);
        let permitted = decision.view.as_ref().filter(|_| decision.permits());
        let basis = match (permitted, moment) {
            // Looked at again and again, and recorded by nobody.
            (Some(_), Moment::StillListening) => None,
            _ => Some(
                self.basis(asked, agreement.as_ref(), &facts, &*snapshot, now)
                    .map_err(|error| Refusal::unrecorded(super::unrecorded(&error)))?,
            ),
        };
        let Some(terms) = permitted else {
            let purposes = agreement.as_ref().map(purposes_of).unwrap_or_default();
            let reasons = decision.reasons.iter().map(|reason| reason.code).collect();
            let refusal = refused(problem_of(&decision, &purposes), reasons);
            return Err(match basis {
                Some(basis) => refusal.resting_on(&decision, basis),
                None => refusal,
            });
        };
        let Some(agreement) = &agreement else {
            let problem = forbidden("no-agreement", "There is no such agreement");
            return Err(refused(problem, vec![ReasonCode::AgreementMissing]));
        };
        if asked
            .storage
            .as_ref()
            .is_some_and(|root| root.as_str() != agreement.storage)
        {
            let problem = forbidden("other-endpoint", "Another storage's agreement").detail(format!(
                "the agreement is with the owner of `{}`; ask that storage's endpoint",
                agreement.storage
            ));
            return Err(refused(problem, vec![ReasonCode::NothingVisible]));
        }
        if let Some(property) = asked.predicates.iter().find(|property| !terms.shows(property)) {
            let problem = forbidden("property-not-agreed", "The property is not agreed")
                .detail(format!(
                    "the agreement does not show `{property}`; leave it out of the query"
                ))
                .with("property", property.as_str());
            return Err(refused(problem, vec![ReasonCode::NothingVisible]));
        }
        let answer_terms =
            AnswerTerms::of(agreement).map_err(|error| Refusal::unrecorded(super::unrecorded(&error)))?;
        let owner = owner_of(agreement, &*snapshot);
        let since = reach_since(&*snapshot, &self.origins, &terms.dataset)?;
        drop(snapshot);
        let treated = (!terms.treatment.is_none()).then(|| {
            let purpose = asked.stated_purpose().unwrap_or_default();
            self.pseudonyms.key(&agreement.iri, purpose, now)
        });
        let (key, key_until) = treated.map_or((None, None), |(key, until)| (Some(key), until));
        let aggregates = aggregates(&decision).map(|(subjects_min, rounding)| {
            let ledger = ledger_name(agreement, &terms.dataset);
            Aggregates {
                subjects_min,
                rounding,
                key: self.pseudonyms.sketch_key(&ledger),
                ledger,
                leaving: None,
            }
        });
        let (agreed, admitted) = self.agreed_view(agreement, terms, key, since, now, aggregates.as_ref())?;
        let mut owners: BTreeSet<i64> = owner.iter().map(|storage| storage.0).collect();
        let subjects = if terms.consent.is_some() {
            agreed.storages.clone()
        } else {
            owners.extend(agreed.storages.iter().map(i64::from));
            RoaringBitmap::new()
        };
        Ok(Considered {
            scoped: ScopedView {
                view: Arc::clone(&agreed.view),
                aggregates,
                valid_until: [decision.valid_until, key_until].into_iter().flatten().min(),
                terms: Some(Arc::new(answer_terms)),
            },
            target: terms.dataset.clone(),
            decision: Some(decision),
            basis,
            owners: owners.into_iter().map(StorageId).collect(),
            subjects,
            public: false,
            admitted,
            counted: uses.map(|uses| Counted {
                agreement: grant.agreement.clone(),
                uses,
            }),
        })
    }

    /// Someone names an agreement or a purpose and holds no token of an agreement.
    pub(super) fn without_token(&self, asked: &Asked) -> Refusal {
        let problem = forbidden("agreement-required", "A token of an agreement is required").detail(
            "a query for a purpose needs a token that is bound to an agreement of yours: conclude one with the owner, then \
             ask for a token at the agreement's `/token`; without `purpose` and `agreement` you see what you may read anyway",
        );
        let agreement = asked.agreement.as_ref().and_then(|iri| {
            let snapshot = self.snapshot().ok()?;
            stored::load(&*snapshot, iri).ok().flatten()
        });
        match self.snapshot() {
            Ok(snapshot) => self.refused(
                asked,
                agreement.as_ref(),
                &*snapshot,
                problem,
                vec![ReasonCode::AgreementNotNamed],
            ),
            Err(problem) => Refusal::unrecorded(problem),
        }
    }

    pub(super) fn decide_query(
        &self,
        asked: &Asked,
        grant: &AgreementGrant,
        snapshot: &dyn Snapshot,
        now: OffsetDateTime,
        moment: Moment,
    ) -> (Decision, Option<u64>, Facts) {
        let mut uses = None;
        // The purposes of DPV are built in; this node knows no others.
        let mut facts = Facts::new().with(FactRequest::Purposes, Fact::Absent);
        for (request, mut fact) in stored::facts(snapshot, &self.origins, &grant.agreement) {
            if let Fact::Agreement(agreement) = &mut fact {
                uses = agreement.uses;
                if let (Some(counted), true) = (uses, moment.is_after_a_use()) {
                    // This use is among them; whoever listens has had it, and learns of the next refusal by asking.
                    let agreement = Arc::make_mut(agreement);
                    agreement.uses = Some(counted.saturating_sub(1));
                    if let Circumstances::Known(known) = &mut agreement.circumstances {
                        known.last_use = uses::before_last(snapshot, &grant.agreement);
                        // Everything was said to be deleted while this answer still runs.
                        let answering = moment == Moment::During;
                        if answering && !known.held && retention(&agreement.policy).is_some() {
                            known.delete_by = Some(OffsetDateTime::UNIX_EPOCH);
                        }
                    }
                }
            }
            facts.insert(request, fact);
        }
        let request = AccessRequest {
            subject: asked.subject.clone(),
            action: Action::Query,
            resource: self.endpoint(asked),
            purpose: asked.stated_purpose().map(str::to_owned),
            now,
            agreement: Some(grant.agreement.clone()),
        };
        for _ in 0..=ROUNDS_MAX {
            match decide(&request, &facts) {
                Response::Decided(decision) => return (decision, uses, facts),
                Response::NeedsFacts(wanted) => {
                    for fact in wanted {
                        facts.insert(fact, Fact::Unavailable("not known to query decisions".to_owned()));
                    }
                }
            }
        }
        let without_end = Reason::new(ReasonCode::FactUnavailable, "the decision asks without end");
        (Decision::refuse(Effect::Indeterminate, without_end), uses, facts)
    }

    /// What a decision on a query was made from, with its documents kept.
    fn basis(
        &self,
        asked: &Asked,
        agreement: Option<&Agreement>,
        facts: &Facts,
        snapshot: &dyn Snapshot,
        now: OffsetDateTime,
    ) -> Result<Arc<Basis>, StoreError> {
        let keep = |root: &str, text: &[u8]| self.pep.pip().evidence().keep(snapshot, root, text);
        let mut known = Vec::new();
        for (request, fact) in facts.iter() {
            let unavailable = match fact {
                Fact::Unavailable(why) => Some(why.clone()),
                _ => None,
            };
            match (request, fact, agreement) {
                (FactRequest::Agreement { id }, Fact::Agreement(fact), Some(agreement)) => {
                    let circumstances = match &fact.circumstances {
                        Circumstances::Known(known) => Some(keep(&agreement.storage, &stored::to_json(&**known)?)?),
                        Circumstances::NotKept | Circumstances::Elsewhere => None,
                    };
                    known.push(Known::Agreement {
                        circumstances,
                        id: id.clone(),
                        policy: Some(keep(&agreement.storage, agreement.policy.as_bytes())?),
                        state: Some(fact.state),
                        unavailable,
                        uses: fact.uses,
                    })
                }
                (FactRequest::Agreement { id }, ..) => known.push(Known::Agreement {
                    circumstances: None,
                    id: id.clone(),
                    policy: None,
                    state: None,
                    unavailable,
                    uses: None,
                }),
                (FactRequest::Dataset { id }, fact, agreement) => {
                    let covers = match (fact, agreement) {
                        (Fact::Dataset(covers), Some(agreement)) => {
                            Some(keep(&agreement.storage, &stored::to_json(&**covers)?)?)
                        }
                        _ => None,
                    };
                    known.push(Known::Dataset {
                        covers,
                        id: id.clone(),
                        unavailable,
                    });
                }
                _ => {}
            }
        }
        Ok(Arc::new(Basis {
            at: now,
            facts: known,
            issuer: asked.subject.issuer.clone(),
            kept: None,
            questions: vec![Question {
                modes: None,
                origin: asked.subject.origin.clone(),
                resource: self.endpoint(asked),
            }],
        }))
    }

    fn agreed_view(
        &self,
        agreement: &Agreement,
        terms: &decision::View,
        key: Option<PseudonymKey>,
        since: i64,
        now: OffsetDateTime,
        aggregates: Option<&Aggregates>,
    ) -> Result<(Arc<Agreed>, Option<RoaringBitmap>), Refusal> {
        let iri = agreement.iri.as_str();
        let containers = self.containers(agreement, terms);
        let covering: Vec<Arc<RoaringBitmap>> = containers
            .iter()
            .map(|container| self.covering(terms, container.path.as_deref(), since, now))
            .collect();
        let (covering, admitted) = match aggregates {
            Some(aggregates) if terms.consent.is_some() => self.admitted(aggregates, covering)?,
            _ => (covering, None),
        };
        let named = self.index.named();
        let epoch = named.names.epoch();
        if let Some(known) = self.agreed.get(iri)
            && known.names == epoch
            && known.terms == *terms
            && same(&known.covering, &covering)
            && known.key == key
        {
            return Ok((known, admitted));
        }
        let mut visible = RoaringBitmap::new();
        for (container, consenting) in containers.iter().zip(&covering) {
            container.collect(
                &named.names,
                &named.snapshot,
                terms.consent.as_ref().map(|_| &**consenting),
                &mut visible,
            );
        }
        let snapshot = Arc::clone(&named.snapshot);
        drop(named);
        let storages = storages_of(&snapshot, &visible);
        let permitted = terms.properties.as_ref().map(|all| all.iter().map(String::as_str));
        let predicates = Predicates::from_iris(&snapshot, permitted, terms.hidden.iter().map(String::as_str));
        let view = View::new(snapshot, &visible, predicates);
        let view = match &key {
            Some(key) => view.treated_by(|view| {
                let publisher = Some(agreement.storage.trim_matches('/'));
                Treated::new(&terms.treatment, key.clone(), &self.origins, publisher, view)
            }),
            None => view,
        };
        let agreed = Arc::new(Agreed {
            names: epoch,
            terms: terms.clone(),
            covering,
            key,
            view: Arc::new(view),
            storages,
        });
        self.agreed.insert(iri.to_owned(), Arc::clone(&agreed));
        Ok((agreed, admitted))
    }

    /// The containers of the dataset. What lies in the storages of others is reached through consent only, whatever the
    /// dataset says by now: its description may be younger than the agreement.
    pub(super) fn containers(&self, agreement: &Agreement, terms: &decision::View) -> Vec<Container> {
        let named = terms.containers.iter().filter_map(|iri| {
            let name = self.pep.pip().name_of(iri).filter(ResourceName::is_container)?;
            let root = name.storage_root()?;
            if terms.consent.is_none() && root.as_str() != agreement.storage {
                return None;
            }
            let path = name
                .as_str()
                .strip_prefix(root.as_str())
                .filter(|path| !path.is_empty());
            Some(Container {
                path: path.map(str::to_owned),
                name: Some(name),
            })
        });
        let members = terms.member_containers.iter().map(|path| Container {
            name: None,
            path: Some(path.clone()),
        });
        named.chain(members).collect()
    }

    /// The storages whose owners consent to this use of a container.
    pub(super) fn covering(
        &self,
        terms: &decision::View,
        container: Option<&str>,
        since: i64,
        now: OffsetDateTime,
    ) -> Arc<RoaringBitmap> {
        let Some(consent) = &terms.consent else {
            return Arc::default();
        };
        let wanted = Wanted {
            recipient: &consent.recipient,
            purpose: &consent.purpose,
            dataset: &terms.dataset,
            dataset_since: since,
            container,
            properties: terms.properties.as_ref(),
        };
        self.consents.covering(&wanted, now)
    }

    /// A refusal that the owner of the agreement sees, and everyone whose consent the agreement rests on.
    fn refused(
        &self,
        asked: &Asked,
        agreement: Option<&Agreement>,
        snapshot: &dyn Snapshot,
        problem: Problem,
        reasons: Vec<ReasonCode>,
    ) -> Refusal {
        let target = agreement.map_or_else(|| self.endpoint(asked), |agreement| agreement.dataset.clone());
        let mut owners = self.endpoint_storage(asked);
        let mut subjects = RoaringBitmap::new();
        if let Some(agreement) = agreement {
            let owner = owner_of(agreement, snapshot);
            owners.extend(owner.filter(|owner| !owners.contains(owner)));
            subjects = self.people_behind(agreement, snapshot);
        }
        Refusal::recorded(problem, reasons, target).seen_by(owners, subjects)
    }

    /// The storages whose owners consent to what an agreement is for, whatever was asked now.
    fn people_behind(&self, agreement: &Agreement, snapshot: &dyn Snapshot) -> RoaringBitmap {
        let mut people = RoaringBitmap::new();
        let dataset = stored::load_dataset(snapshot, &self.origins, &agreement.dataset);
        let Ok(Some(dataset)) = dataset else {
            return people;
        };
        for purpose in purposes_of(agreement) {
            for path in &dataset.member_containers {
                let wanted = Wanted {
                    recipient: &agreement.assignee,
                    purpose: &purpose,
                    dataset: &agreement.dataset,
                    dataset_since: dataset.reach_since,
                    container: Some(path),
                    properties: None,
                };
                people |= &*self.consents.covering(&wanted, self.clock.now());
            }
        }
        people
    }
}

/// Whether the same people consent for each container. Most often it is the very bitmap that was kept.
fn same(kept: &[Arc<RoaringBitmap>], now: &[Arc<RoaringBitmap>]) -> bool {
    let equal = |(kept, now): (&Arc<RoaringBitmap>, &Arc<RoaringBitmap>)| Arc::ptr_eq(kept, now) || kept == now;
    kept.len() == now.len() && kept.iter().zip(now).all(equal)
}

/// A container of a dataset.
pub(super) struct Container {
    /// The container, or none for the same path in every consenting storage.
    pub(super) name: Option<ResourceName>,
    /// Path below the root of a storage; none for a root itself.
    pub(super) path: Option<String>,
}

impl Container {
    /// Adds the visible documents. With `consenting`, only those of these storages.
    fn collect(
        &self,
        names: &Names,
        snapshot: &IndexSnapshot,
        consenting: Option<&RoaringBitmap>,
        visible: &mut RoaringBitmap,
    ) {
        let consents = |document: DocumentId| {
            consenting.is_none_or(|consenting| {
                let storage = snapshot
                    .document(document)
                    .and_then(|document| u32::try_from(document.storage.0).ok());
                storage.is_some_and(|storage| consenting.contains(storage))
            })
        };
        let mut add = |container: &ResourceName| {
            let documents = names.within(container).map(|(_, document)| document);
            visible.extend(
                documents
                    .filter(|document| consents(*document))
                    .map(|document| document.0),
            );
        };
        match (&self.name, &self.path, consenting) {
            (Some(name), _, _) => add(name),
            (None, Some(path), Some(consenting)) => {
                for storage in consenting {
                    let root = names.storage_root(StorageId(i64::from(storage)));
                    let container = root.and_then(|root| root.join(path).ok());
                    if let Some(container) = container.filter(ResourceName::is_container) {
                        add(&container);
                    }
                }
            }
            // Storages of others are reached through consent only.
            (None, _, _) => {}
        }
    }
}

/// The group size and the rounding that a decision asks for, where only aggregates may leave.
fn aggregates(decision: &Decision) -> Option<(u32, Option<u32>)> {
    let (mut least, mut base) = (None, None);
    for obligation in &decision.obligations {
        match obligation {
            Obligation::AggregateOnly { subjects_min } => least = least.max(Some(*subjects_min)),
            Obligation::Round { base: rounded } => base = base.max(Some(*rounded)),
            // Every use is recorded anyhow, and the view changes its values.
            Obligation::Log | Obligation::ChangeValues => {}
        }
    }
    least.map(|least| (least, base))
}

fn storages_of(snapshot: &IndexSnapshot, documents: &RoaringBitmap) -> RoaringBitmap {
    documents
        .iter()
        .filter_map(|document| snapshot.document(DocumentId(document)))
        .filter_map(|document| u32::try_from(document.storage.0).ok())
        .collect()
}

/// Unix seconds since when a dataset has covered no more than it does.
pub(super) fn reach_since(snapshot: &dyn Snapshot, origins: &Origins, dataset: &str) -> Result<i64, Refusal> {
    let dataset = stored::load_dataset(snapshot, origins, dataset)
        .map_err(|error| Refusal::unrecorded(super::unrecorded(&error)))?;
    // A dataset that is gone covers nothing, and no consent to it counts.
    Ok(dataset.map_or(i64::MAX, |dataset| dataset.reach_since))
}

fn owner_of(agreement: &Agreement, snapshot: &dyn Snapshot) -> Option<StorageId> {
    let root = ResourceName::parse(&agreement.storage).ok()?;
    Some(snapshot.storage(&root).ok()??.id)
}

/// The purposes that an agreement is for: those of its constraints, and the one that the consumer stated when asking.
pub(super) fn purposes_of(agreement: &Agreement) -> Vec<String> {
    let mut purposes = BTreeSet::from([agreement.purpose.clone()]);
    if let Ok(policy) = agreement.policy() {
        collect_purposes(&policy, &mut purposes);
    }
    purposes.into_iter().collect()
}

fn collect_purposes(policy: &Policy, purposes: &mut BTreeSet<String>) {
    for permission in &policy.permissions {
        for constraint in &permission.constraints {
            if let Constraint::Atomic(atomic) = constraint
                && atomic.left_operand == PURPOSE
            {
                purposes.extend(atomic.right_operands.iter().filter_map(|operand| match operand {
                    oxrdf::Term::NamedNode(node) => Some(node.as_str().to_owned()),
                    _ => None,
                }));
            }
        }
    }
}
