//! The second gate: before a sub-query leaves, the agreement is decided here as the owner will decide it. The broker's "yes" grants
//! nothing (the owner decides again); its "no" saves a request and explains itself.

use crate::agreement::{Deposit, Granted};
use crate::catalog::{DatasetEntry, Snapshot};
use crate::member::{Foreign, terms};
use crate::source::Source;
use policies::contract::AgreementState;
use policies::decision::Obligation;
use policies::explain::{self, Language};
use policies::facts::{AgreementFact, DatasetFact};
use policies::odrl::{Circumstances, masks_keys, stays_with_recipient};
use policies::request::WebId;
use policies::{AccessRequest, Action, Fact, FactRequest, Facts, Response, Subject, decide};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use time::OffsetDateTime;

/// Who asks, for what.
#[derive(Debug, Clone)]
pub struct Asker {
    /// WebID of the consumer.
    pub web_id: WebId,
    /// Stated purpose.
    pub purpose: Option<String>,
    /// Agreements that the delegation covers.
    pub delegated: BTreeSet<String>,
    /// Agreements that the query names; empty for all.
    pub named: BTreeSet<String>,
}

/// A dataset that is not asked, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Name of the member.
    pub member: String,
    /// The dataset.
    pub dataset: String,
    /// The agreement that does not help, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
    /// Stable code.
    pub code: String,
    /// Why, in words.
    pub reason: String,
}

/// What may be asked.
#[derive(Debug, Default)]
pub struct Admission {
    /// The sources of the query.
    pub sources: Vec<Source>,
    /// The deposit behind each agreed source, by agreement.
    pub deposits: BTreeMap<String, Arc<Deposit>>,
    /// Datasets that are not asked.
    pub refused: Vec<(Refused, Arc<DatasetEntry>)>,
}

/// Decides, dataset by dataset, under which agreement each may be asked.
#[must_use]
pub fn admit(snapshot: &Snapshot, deposits: &[Arc<Deposit>], asker: &Asker, now: OffsetDateTime) -> Admission {
    let mut admission = Admission::default();
    let mut deposited: HashMap<&str, Vec<&Arc<Deposit>>> = HashMap::new();
    for deposit in deposits {
        if asker.named.is_empty() || asker.named.contains(&deposit.agreement) {
            deposited.entry(&deposit.dataset).or_default().push(deposit);
        }
    }
    for dataset in snapshot.datasets() {
        let Some(endpoint) = dataset.endpoint.clone() else {
            admission.refuse(
                dataset,
                None,
                "no-endpoint",
                "the owner publishes no query endpoint for it",
            );
            continue;
        };
        let mut source = Source {
            member: dataset.member.clone(),
            dataset: dataset.iri.clone(),
            endpoint,
            agreement: None,
            description: Arc::clone(&dataset.description),
            aggregate_only: None,
            properties: None,
            hidden: BTreeSet::new(),
            stays: false,
            masks: false,
            foreign: dataset.foreign.as_ref().map(Foreign::afresh),
        };
        if dataset.foreign.is_some() {
            // Nobody can make an agreement with it, and it decides nothing: what its owner grants to all is all there is.
            match terms::decide(source.terms(), source.kind(), asker.purpose.as_deref()) {
                Ok(()) => admission.sources.push(source),
                Err((code, words)) => admission.refuse(dataset, None, code, &words),
            }
            continue;
        }
        let about = deposited.get(dataset.iri.as_str()).map_or(&[][..], Vec::as_slice);
        let lies_there = |deposit: &&&Arc<Deposit>| snapshot.is_of(&deposit.agreement, &dataset.member);
        let mine: Vec<&Arc<Deposit>> = about.iter().filter(lies_there).copied().collect();
        if dataset.open && mine.is_empty() {
            admission.sources.push(source);
            continue;
        }
        let mut reason = ("no-agreement", None, no_agreement(asker));
        let mut admitted = false;
        for deposit in mine {
            match one(deposit, asker, now) {
                Ok(granted) => {
                    if granted.changes_values {
                        source.description = dataset.description.changed();
                    }
                    source.agreement = Some(deposit.agreement.clone());
                    source.aggregate_only = granted.aggregate_only;
                    source.properties.clone_from(&granted.properties);
                    source.hidden.clone_from(&granted.hidden);
                    source.stays = granted.stays;
                    source.masks = granted.masks;
                    admission
                        .deposits
                        .insert(deposit.agreement.clone(), Arc::clone(deposit));
                    admitted = true;
                    break;
                }
                Err((code, words)) => reason = (code, Some(deposit.agreement.clone()), words),
            }
        }
        if admitted {
            admission.sources.push(source);
        } else if !dataset.silent || reason.1.is_some() {
            // Whoever has an agreement on a dataset knows of it anyway.
            let (code, agreement, words) = reason;
            admission.refuse(dataset, agreement, code, &words);
        }
    }
    admission
}

impl Admission {
    fn refuse(&mut self, dataset: &Arc<DatasetEntry>, agreement: Option<String>, code: &str, reason: &str) {
        let refused = Refused {
            member: dataset.member.clone(),
            dataset: dataset.iri.clone(),
            agreement,
            code: code.to_owned(),
            reason: reason.to_owned(),
        };
        self.refused.push((refused, Arc::clone(dataset)));
    }
}

fn no_agreement(asker: &Asker) -> String {
    match &asker.purpose {
        Some(purpose) => format!("you have deposited no agreement on it for the purpose <{purpose}>"),
        None => "you have deposited no agreement on it".to_owned(),
    }
}

type Refusal = (&'static str, String);

/// What one agreement permits: by a decision of before that still stands, or by a new one.
fn one(deposit: &Deposit, asker: &Asker, now: OffsetDateTime) -> Result<Arc<Granted>, Refusal> {
    if !asker.delegated.contains(&deposit.agreement) {
        return Err((
            "not-delegated",
            "your delegation does not name the agreement".to_owned(),
        ));
    }
    if deposit.expires <= now.unix_timestamp() {
        return Err((
            "token-expired",
            "its token has expired: fetch a fresh one from the owner and deposit it".to_owned(),
        ));
    }
    let (purpose, own) = (asker.purpose.as_deref(), deposit.web_id == asker.web_id.as_str());
    if own && let Some(granted) = deposit.verdicts.standing(purpose, now) {
        return Ok(granted);
    }
    let (granted, until) = decided(deposit, asker, now)?;
    let granted = Arc::new(granted);
    if own {
        deposit.verdicts.remember(purpose, &granted, (now, until));
    }
    Ok(granted)
}

/// Decides on one agreement, and until when that holds.
fn decided(
    deposit: &Deposit,
    asker: &Asker,
    now: OffsetDateTime,
) -> Result<(Granted, Option<OffsetDateTime>), Refusal> {
    let request = AccessRequest {
        subject: Subject::authenticated(asker.web_id.clone()),
        action: Action::Query,
        resource: deposit.dataset.clone(),
        purpose: asker.purpose.clone(),
        now,
        agreement: Some(deposit.agreement.clone()),
    };
    // Where the owner keeps the data is the owner's business: for the broker the dataset stands for its containers.
    let covers = DatasetFact {
        containers: vec![deposit.dataset.clone()],
        member_containers: Vec::new(),
        part_of: BTreeSet::new(),
    };
    let agreement = AgreementFact {
        policy: Arc::clone(&deposit.policy),
        state: AgreementState::Active,
        expires_at: None,
        // The owner's server counts, and refuses what is too much.
        uses: Some(0),
        circumstances: Circumstances::Elsewhere,
    };
    let facts = Facts::new()
        .with(
            FactRequest::Agreement {
                id: deposit.agreement.clone(),
            },
            Fact::Agreement(Arc::new(agreement)),
        )
        .with(
            FactRequest::Dataset {
                id: deposit.dataset.clone(),
            },
            Fact::Dataset(Arc::new(covers)),
        )
        .with(FactRequest::Purposes, Fact::Absent);
    let Response::Decided(decision) = decide(&request, &facts) else {
        return Err(("undecided", "the agreement cannot be decided here".to_owned()));
    };
    if !decision.permits() {
        let code = decision.reasons.first().map_or("denied", |reason| reason.code.as_str());
        return Err((code, explain_reasons(&decision)));
    }
    let aggregate_only = decision.obligations.iter().find_map(|obligation| match obligation {
        Obligation::AggregateOnly { subjects_min } => Some(*subjects_min),
        // The owner's server records the use, and rounds and changes the values before it sends them.
        Obligation::Round { .. } | Obligation::Log | Obligation::ChangeValues => None,
    });
    let Some(view) = decision.view else {
        return Err(("nothing-visible", "the agreement shows nothing".to_owned()));
    };
    let granted = Granted {
        aggregate_only,
        changes_values: decision.obligations.contains(&Obligation::ChangeValues),
        properties: view.properties,
        hidden: view.hidden,
        stays: stays_with_recipient(&deposit.policy),
        masks: masks_keys(&deposit.policy),
    };
    Ok((granted, decision.valid_until))
}

fn explain_reasons(decision: &policies::Decision) -> String {
    let words: Vec<String> = decision
        .reasons
        .iter()
        .map(|reason| explain::reason(reason, Language::English))
        .collect();
    words.join(" ")
}
