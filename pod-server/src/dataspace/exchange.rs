//! The negotiation between a consumer and an owner, each move in one transaction with its audit entry (Dataspace
//! Protocol, contract negotiation, with the messages carried by our own JSON endpoints).
//!
//! Who may make a move is checked against the parties of the stored negotiation, never against what a request claims.

use policies::audit::AuditAction;
use policies::contract::{Actor, AgreementEvent, AgreementState, Message, NegotiationState, step};
use server_kit::problem::Problem;
use sha2::{Digest, Sha256};

use super::agreement::{self, Agreement, StateChange};
use super::config::DataspaceConfig;
use super::copies::hash_target;
use super::dataset::Dataset;
use super::edge;
use super::negotiation::{Ask, Negotiation};
use super::node::Node;
use super::offer;
use crate::audit::Event;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{RecordKind, Snapshot, StorageId, Transaction};

/// A consumer's request: a new negotiation, or the one that the same request made before. The flag tells which.
///
/// # Errors
/// 404 for an unknown dataset, 422 for a request that the offer can never satisfy, 429 over the bounds.
pub fn ask(
    node: &Node,
    config: &DataspaceConfig,
    transaction: &mut dyn Transaction,
    storage: (&str, StorageId),
    consumer: &str,
    ask: &Ask,
) -> Result<(Negotiation, bool), Problem> {
    let (storage, storage_id) = storage;
    let now = node.clock.unix();
    check_ask(config, ask)?;
    let dataset = agreement::load_dataset(as_snapshot(transaction), &node.origins, &ask.dataset)
        .map_err(|error| edge::store_problem(&error))?
        .filter(|dataset| dataset.storage == format!("/{storage}/"))
        .ok_or_else(|| edge::not_found(&ask.dataset))?;
    if dataset.owner == consumer {
        return Err(edge::conflict(
            "own-dataset",
            "you own this dataset; no agreement is needed",
        ));
    }
    let offer = chosen_offer(&dataset, ask)?;
    let policy = offer::policy(&dataset, &offer).map_err(|fault| edge::faults_problem(&[fault]))?;
    offer::check_usable(&policy, &dataset, consumer, &ask.purpose, node.clock.now())?;
    let (key, existing) = slot(transaction, storage, consumer, ask, &offer, now)?;
    if let Some(existing) = existing {
        return Ok((existing, false));
    }
    check_room(config, transaction, &asked_by(storage, consumer))?;
    let id = key.rsplit('/').next().unwrap_or_default();
    let state =
        step(None, Actor::Consumer, Message::ContractRequest).map_err(|error| step_problem(&error.to_string()))?;
    let mut negotiation = Negotiation {
        iri: format!("{}.dataspace/negotiations/{id}", node.origins.root(storage)),
        storage: dataset.storage.clone(),
        dataset: dataset.iri.clone(),
        offer,
        consumer: consumer.to_owned(),
        provider: dataset.owner.clone(),
        consumer_pid: ask.consumer_pid.clone(),
        purpose: ask.purpose.clone(),
        message: ask.message.clone(),
        state,
        agreement: None,
        created: now,
        deadline: now.saturating_add(config.negotiation_seconds_max),
        steps: vec![super::negotiation::Step {
            at: now,
            actor: Actor::Consumer,
            message: Message::ContractRequest,
            state,
            note: None,
        }],
    };
    record(node, transaction, storage_id, consumer, &negotiation, None)?;
    if dataset.automatic && (dataset.accepted_consumers.is_empty() || dataset.accepted_consumers.contains(consumer)) {
        let note = Some("by the owner's rule".to_owned());
        conclude(node, transaction, storage_id, &dataset, &mut negotiation, note)?;
    }
    save(transaction, &key, &negotiation)?;
    Ok((negotiation, true))
}

/// The owner agrees.
///
/// # Errors
/// 404 for all but the owner, 409 when the negotiation is not in a state for it.
pub fn agree(
    node: &Node,
    transaction: &mut dyn Transaction,
    key: &str,
    storage: StorageId,
    caller: &str,
) -> Result<Negotiation, Problem> {
    let mut negotiation = load_negotiation(transaction, key, node.clock.unix())?;
    if negotiation.side(caller) != Some(Actor::Provider) {
        return Err(unknown(key));
    }
    if negotiation.agreement.is_some() && negotiation.state != NegotiationState::Terminated {
        // The same decision again: the first one stands.
        return Ok(negotiation);
    }
    let dataset = agreement::load_dataset(as_snapshot(transaction), &node.origins, &negotiation.dataset)
        .map_err(|error| edge::store_problem(&error))?
        .ok_or_else(|| edge::conflict("dataset-gone", "the dataset is no longer offered"))?;
    conclude(node, transaction, storage, &dataset, &mut negotiation, None)?;
    save(transaction, key, &negotiation)?;
    Ok(negotiation)
}

/// Either side ends a negotiation.
///
/// # Errors
/// 404 for strangers, 409 when it is over or when it is not this side's turn to leave.
pub fn terminate_negotiation(
    node: &Node,
    transaction: &mut dyn Transaction,
    key: &str,
    storage: StorageId,
    caller: &str,
    reason: Option<String>,
) -> Result<Negotiation, Problem> {
    let now = node.clock.unix();
    let mut negotiation = load_negotiation(transaction, key, now)?;
    let side = negotiation.side(caller).ok_or_else(|| unknown(key))?;
    if negotiation.state == NegotiationState::Terminated {
        return Ok(negotiation);
    }
    negotiation
        .advance(side, Message::Termination, now, reason)
        .map_err(|error| step_problem(&error.to_string()))?;
    record(node, transaction, storage, caller, &negotiation, None)?;
    save(transaction, key, &negotiation)?;
    Ok(negotiation)
}

/// The consumer has read the agreement and stands by it; the owner, whose agreement it is, confirms at once. After
/// this the agreement counts. Harmless when repeated.
///
/// # Errors
/// 404 for all but the consumer, 409 when there is no agreement to verify.
pub fn verify(
    node: &Node,
    transaction: &mut dyn Transaction,
    iri: &str,
    storage: StorageId,
    caller: &str,
) -> Result<Agreement, Problem> {
    let now = node.clock.unix();
    let mut agreement = agreement::load(as_snapshot(transaction), iri)
        .map_err(|error| edge::store_problem(&error))?
        .filter(|agreement| agreement.assignee == caller)
        .ok_or_else(|| edge::not_found(iri))?;
    if agreement.in_force {
        return Ok(agreement);
    }
    if agreement.state != AgreementState::Active {
        return Err(edge::conflict(
            "agreement-not-active",
            format!("the agreement is {}", agreement.state.as_str()),
        ));
    }
    let key = negotiation_key(&node.origins, &agreement.negotiation).ok_or_else(|| edge::not_found(iri))?;
    let mut negotiation = load_negotiation(transaction, &key, now)?;
    negotiation
        .advance(Actor::Consumer, Message::AgreementVerification, now, None)
        .and_then(|()| negotiation.advance(Actor::Provider, Message::EventFinalized, now, None))
        .map_err(|error| step_problem(&error.to_string()))?;
    agreement.in_force = true;
    record(node, transaction, storage, caller, &negotiation, None)?;
    save(transaction, &key, &negotiation)?;
    save_agreement(transaction, &agreement)?;
    Ok(agreement)
}

/// Either party ends an agreement. Counts from the next decision on.
///
/// # Errors
/// 404 for strangers, 409 when it has ended in another way.
pub fn terminate_agreement(
    node: &Node,
    transaction: &mut dyn Transaction,
    iri: &str,
    storage: StorageId,
    caller: &str,
    reason: Option<String>,
) -> Result<Agreement, Problem> {
    let mut agreement = agreement::load(as_snapshot(transaction), iri)
        .map_err(|error| edge::store_problem(&error))?
        .filter(|agreement| agreement.is_party(caller))
        .ok_or_else(|| edge::not_found(iri))?;
    if agreement.state == AgreementState::Terminated {
        return Ok(agreement);
    }
    let change = StateChange {
        at: node.clock.unix(),
        by: caller.to_owned(),
        reason,
    };
    agreement
        .step(AgreementEvent::Terminate, change)
        .map_err(|error| edge::conflict("agreement-not-active", error.to_string()))?;
    let state = format!("{}{}", vocab::dspace::NS, NegotiationState::Terminated);
    let event = Event::done(AuditAction::Agreement, caller, storage)
        .on(&agreement.iri)
        .on(&agreement.dataset)
        .on(&state)
        .purpose(&agreement.purpose)
        .under(Some(&agreement.iri));
    node.record(transaction, &event)?;
    save_agreement(transaction, &agreement)?;
    Ok(agreement)
}

/// Makes the agreement and moves the negotiation to AGREED.
fn conclude(
    node: &Node,
    transaction: &mut dyn Transaction,
    storage: StorageId,
    dataset: &Dataset,
    negotiation: &mut Negotiation,
    note: Option<String>,
) -> Result<(), Problem> {
    let now = node.clock.now();
    negotiation
        .advance(Actor::Provider, Message::ContractAgreement, now.unix_timestamp(), note)
        .map_err(|error| step_problem(&error.to_string()))?;
    let offered = offer::policy(dataset, &negotiation.offer).map_err(|fault| edge::faults_problem(&[fault]))?;
    let iri = format!(
        "{}.dataspace/agreements/{}",
        node.origins.root(storage_name(&dataset.storage)),
        node.random.uuid()
    );
    let policy = offer::agreed(&offered, &iri, &negotiation.provider, &negotiation.consumer, now);
    let (text, hash) = offer::sealed(&policy)?;
    let agreement = Agreement {
        iri: iri.clone(),
        storage: dataset.storage.clone(),
        dataset: dataset.iri.clone(),
        offer: negotiation.offer.clone(),
        negotiation: negotiation.iri.clone(),
        assigner: negotiation.provider.clone(),
        assignee: negotiation.consumer.clone(),
        purpose: negotiation.purpose.clone(),
        created: now.unix_timestamp(),
        policy: text,
        hash,
        in_force: false,
        state: AgreementState::Active,
        changed: None,
    };
    negotiation.agreement = Some(iri);
    let hash = hash_target(&agreement.hash);
    record(
        node,
        transaction,
        storage,
        &negotiation.provider,
        negotiation,
        Some(&hash),
    )?;
    save_agreement(transaction, &agreement)
}

/// The key under which a request is kept. It follows from what is asked, so that a retry finds its first answer; a
/// request after a negotiation or an agreement has ended gets the next key.
fn slot(
    transaction: &dyn Transaction,
    storage: &str,
    consumer: &str,
    ask: &Ask,
    offer: &str,
    now: i64,
) -> Result<(String, Option<Negotiation>), Problem> {
    const ROUNDS_MAX: u32 = 1_000;
    let prefix = asked_by(storage, consumer);
    for round in 0..ROUNDS_MAX {
        let mut digest = Sha256::new();
        for part in [
            consumer,
            ask.consumer_pid.as_deref().unwrap_or(""),
            &ask.dataset,
            offer,
            &ask.purpose,
        ] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.update(round.to_be_bytes());
        let id = hex::encode(digest.finalize().get(..16).unwrap_or_default());
        let key = format!("{prefix}{id}");
        let found: Option<Negotiation> = transaction
            .record(RecordKind::Negotiation, &key)
            .and_then(|bytes| agreement::read_json(bytes, &key))
            .map_err(|error| edge::store_problem(&error))?;
        let Some(mut found) = found else { return Ok((key, None)) };
        found.lapse(now);
        if found.answers(ask) && !is_over(as_snapshot(transaction), &found)? {
            return Ok((key, Some(found)));
        }
    }
    Err(Problem::new(
        http::StatusCode::TOO_MANY_REQUESTS,
        "too-many-negotiations",
        "Too many negotiations",
    )
    .detail(format!("the same request was ended {ROUNDS_MAX} times")))
}

/// What the keys of one consumer's negotiations with one storage begin with, so that they can be counted.
#[must_use]
pub fn asked_by(storage: &str, consumer: &str) -> String {
    let digest = Sha256::digest(consumer);
    format!("{storage}/{}", hex::encode(digest.get(..8).unwrap_or_default()))
}

/// Anybody may ask, so that asking must not fill the owner's storage (T125).
fn check_room(config: &DataspaceConfig, transaction: &dyn Transaction, prefix: &str) -> Result<(), Problem> {
    let known = transaction
        .records(RecordKind::Negotiation, prefix, None, config.negotiations_max)
        .map_err(|error| edge::store_problem(&error))?;
    if known.len() < config.negotiations_max {
        return Ok(());
    }
    let detail = format!(
        "you have asked here {} times, which is the most that this server keeps of one consumer",
        config.negotiations_max
    );
    let too_many = http::StatusCode::TOO_MANY_REQUESTS;
    Err(Problem::new(too_many, "too-many-negotiations", "Too many negotiations").detail(detail))
}

/// Whether a negotiation, or the agreement that came of it, has ended.
fn is_over(snapshot: &dyn Snapshot, negotiation: &Negotiation) -> Result<bool, Problem> {
    if negotiation.state == NegotiationState::Terminated {
        return Ok(true);
    }
    let Some(iri) = &negotiation.agreement else {
        return Ok(false);
    };
    let agreement = agreement::load(snapshot, iri).map_err(|error| edge::store_problem(&error))?;
    Ok(
        agreement
            .is_none_or(|agreement| !matches!(agreement.state, AgreementState::Active | AgreementState::Suspended)),
    )
}

fn chosen_offer(dataset: &Dataset, ask: &Ask) -> Result<String, Problem> {
    match (&ask.offer, dataset.offers.as_slice()) {
        (Some(offer), offers) if offers.contains(offer) => Ok(offer.clone()),
        (Some(offer), _) => Err(edge::unprocessable(
            "unknown-offer",
            format!("`{offer}` is not an offer of this dataset"),
        )),
        (None, [only]) => Ok(only.clone()),
        (None, offers) => Err(edge::unprocessable(
            "offer-missing",
            "the dataset has more than one offer: name one in `offer`",
        )
        .with("offers", serde_json::json!(offers))),
    }
}

fn check_ask(config: &DataspaceConfig, ask: &Ask) -> Result<(), Problem> {
    if oxrdf::NamedNode::new(ask.purpose.as_str()).is_err() {
        return Err(edge::unprocessable(
            "invalid-purpose",
            format!("`{}` is not an IRI", ask.purpose),
        ));
    }
    let long =
        |text: &Option<String>, chars_max: usize| text.as_ref().is_some_and(|text| text.chars().count() > chars_max);
    if long(&ask.message, config.message_chars_max) {
        let detail = format!("`message` has more than {} characters", config.message_chars_max);
        return Err(edge::unprocessable("message-too-long", detail));
    }
    if long(&ask.consumer_pid, 200) {
        return Err(edge::unprocessable(
            "invalid-consumer-pid",
            "`consumerPid` has more than 200 characters",
        ));
    }
    Ok(())
}

/// Reads a negotiation and lets it lapse if it is due; the caller saves it with its own move.
///
/// # Errors
/// 404 if there is none.
pub fn load_negotiation(snapshot: &dyn Transaction, key: &str, now: i64) -> Result<Negotiation, Problem> {
    read_negotiation(as_snapshot(snapshot), key, now)
}

/// The same outside a transaction.
///
/// # Errors
/// 404 if there is none.
pub fn read_negotiation(snapshot: &dyn Snapshot, key: &str, now: i64) -> Result<Negotiation, Problem> {
    let mut negotiation: Negotiation = snapshot
        .record(RecordKind::Negotiation, key)
        .and_then(|bytes| agreement::read_json(bytes, key))
        .map_err(|error| edge::store_problem(&error))?
        .ok_or_else(|| unknown(key))?;
    negotiation.lapse(now);
    Ok(negotiation)
}

/// The one answer about a negotiation that is not there and about one that is none of the caller's business. Its name
/// follows from who asks for what, so that anything else would tell who does.
#[must_use]
pub fn unknown(key: &str) -> Problem {
    edge::not_found(key)
}

/// The record key of a negotiation of this server.
#[must_use]
pub fn negotiation_key(origins: &Origins, iri: &str) -> Option<String> {
    let name = ResourceName::from_iri(iri, origins).filter(|name| name.iri(origins) == iri)?;
    let (storage, id) = name
        .as_str()
        .strip_prefix('/')?
        .split_once("/.dataspace/negotiations/")?;
    Some(format!("{storage}/{id}"))
}

/// `/gent/` → `gent`.
#[must_use]
pub fn storage_name(root: &str) -> &str {
    root.trim_matches('/')
}

fn save(transaction: &mut dyn Transaction, key: &str, negotiation: &Negotiation) -> Result<(), Problem> {
    put(transaction, RecordKind::Negotiation, key, negotiation)
}

fn save_agreement(transaction: &mut dyn Transaction, agreement: &Agreement) -> Result<(), Problem> {
    let iri = agreement.iri.clone();
    put(transaction, RecordKind::Agreement, &iri, agreement)
}

fn put<T: serde::Serialize>(
    transaction: &mut dyn Transaction,
    kind: RecordKind,
    key: &str,
    value: &T,
) -> Result<(), Problem> {
    agreement::to_json(value)
        .and_then(|bytes| transaction.record_put(kind, key, &bytes))
        .map_err(|error| edge::store_problem(&error))
}

fn record(
    node: &Node,
    transaction: &mut dyn Transaction,
    storage: StorageId,
    actor: &str,
    negotiation: &Negotiation,
    hash: Option<&str>,
) -> Result<(), Problem> {
    // Which step it was stands in the record as the state that it led to.
    let state = format!("{}{}", vocab::dspace::NS, negotiation.state);
    let mut event = Event::done(AuditAction::Agreement, actor, storage)
        .on(&negotiation.iri)
        .on(&negotiation.dataset)
        .on(&state)
        .purpose(&negotiation.purpose)
        .under(negotiation.agreement.as_deref());
    event.targets.extend(hash);
    node.record(transaction, &event)
}

/// A transaction as the view that it also is.
#[must_use]
pub fn as_snapshot(transaction: &dyn Transaction) -> &dyn Snapshot {
    transaction
}

fn step_problem(detail: &str) -> Problem {
    edge::conflict("step-not-allowed", detail)
}
