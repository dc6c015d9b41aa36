//! Channels as records of the store: made, found, ended; counted per storage and per agent; in an order by their end, so
//! that removing what has ended costs nothing for what has not.

use policies::request::{Agent, Subject};
use sha2::{Digest, Sha256};

use super::channel::Channel;
use super::config::NotifyConfig;
use super::webhook::DeliveryState;
use crate::error::Error;
use crate::name::ResourceName;
use crate::store::{
    CommitError, ReadPermit, RecordKind, Sequence, Snapshot, Store, StoreError, Transaction, Warrant, commit,
};

const KIND: RecordKind = RecordKind::Notification;
const BOOKKEEPING: &str = "the notifier keeps its own channels";
/// Position up to which every change was handed to its webhook channels.
const FOLLOWED: &str = "followed";
/// Channels removed in one commit.
const SWEEP_CHANNELS: usize = 256;

fn key(storage: &str, id: &str) -> String {
    format!("channel/{storage}/{id}")
}

fn delivery_key(storage: &str, id: &str) -> String {
    format!("delivery/{storage}/{id}")
}

fn end_key(channel: &Channel) -> String {
    format!("end/{:016x}/{}/{}", channel.end_at.max(0), channel.storage, channel.id)
}

/// Where the channels of an agent are noted, so that they are found without looking through all.
fn agent_prefix(web_id: &str) -> String {
    format!("agent/{}/", hex::encode(Sha256::digest(web_id)))
}

fn agent_key(channel: &Channel) -> Option<String> {
    let web_id = channel.subscriber.agent.web_id()?;
    Some(format!(
        "{}{}/{}",
        agent_prefix(web_id.as_str()),
        channel.storage,
        channel.id
    ))
}

/// The counters that a channel adds to: of its storage, and of its agent.
fn counters(storage: &str, subscriber: &Subject) -> [String; 2] {
    let agent = match &subscriber.agent {
        Agent::Authenticated(web_id) => format!("count/agent/{web_id}"),
        // Nobody in particular: counted for each storage, so that one storage's guests do not use up another's room.
        Agent::Public => format!("count/public/{storage}"),
    };
    [format!("count/storage/{storage}"), agent]
}

fn count(snapshot: &dyn Snapshot, key: &str) -> Result<u64, StoreError> {
    let Some(value) = snapshot.record(KIND, key)? else {
        return Ok(0);
    };
    let text = std::str::from_utf8(&value).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::Damaged(format!("the counter `{key}` is no number")))
}

fn parse(value: &[u8]) -> Result<Channel, StoreError> {
    serde_json::from_slice(value).map_err(|error| StoreError::Damaged(format!("a channel cannot be read: {error}")))
}

/// Keeps a new channel; it is durable when this returns.
///
/// # Errors
/// 429 when the storage or the agent has as many channels as it may, or when the store fails.
pub async fn create(store: &dyn Store, mut channel: Channel, bounds: &NotifyConfig) -> Result<Channel, Error> {
    let (per_storage, per_agent) = (bounds.channels_per_storage_max, bounds.channels_per_agent_max);
    let work = move |transaction: &mut dyn Transaction| {
        // What others subscribe to must not keep the owner from hearing of the own storage.
        let owner = is_owner(&*transaction, &channel)?;
        let limits = [if owner { u64::MAX } else { per_storage }, per_agent];
        for (counter, limit) in counters(&channel.storage, &channel.subscriber).iter().zip(limits) {
            let now = count(&*transaction, counter)?;
            if now >= limit {
                return Err(CommitError::Refused(TooMany { limit }));
            }
            transaction.record_put(KIND, counter, (now + 1).to_string().as_bytes())?;
        }
        channel.since = transaction.next_sequence().0;
        let value = serde_json::to_vec(&channel).map_err(|error| StoreError::Misuse(error.to_string()))?;
        transaction.record_put(KIND, &key(&channel.storage, &channel.id), &value)?;
        transaction.record_put(KIND, &end_key(&channel), b"")?;
        if let Some(key) = agent_key(&channel) {
            transaction.record_put(KIND, &key, b"")?;
        }
        if channel.send_to.is_some() {
            put_state(transaction, &channel.storage, &channel.id, &DeliveryState::default())?;
        }
        Ok(channel)
    };
    match commit(store, Warrant::without_proof(BOOKKEEPING), Box::new(work)).await {
        Ok((channel, _)) => Ok(channel),
        Err(CommitError::Refused(TooMany { limit })) => Err(too_many(limit)),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

fn is_owner(snapshot: &dyn Snapshot, channel: &Channel) -> Result<bool, StoreError> {
    let Some(web_id) = channel.subscriber.agent.web_id() else {
        return Ok(false);
    };
    let root = channel.topics.first().and_then(ResourceName::storage_root);
    let storage = root.map_or(Ok(None), |root| snapshot.storage(&root))?;
    Ok(storage.is_some_and(|storage| storage.owner == web_id.as_str()))
}

struct TooMany {
    limit: u64,
}

fn too_many(limit: u64) -> Error {
    server_kit::problem::Problem::new(
        http::StatusCode::TOO_MANY_REQUESTS,
        "too-many-channels",
        "There are too many notification channels",
    )
    .detail("delete channels that are not needed any more, or wait until they end")
    .with("channels_max", limit)
    .into()
}

/// A channel by its name; none if there is none.
///
/// # Errors
/// When the store fails.
pub fn find(store: &dyn Store, storage: &str, id: &str) -> Result<Option<Channel>, StoreError> {
    let snapshot = store.snapshot(ReadPermit::without_proof(BOOKKEEPING))?;
    snapshot
        .record(KIND, &key(storage, id))?
        .map(|value| parse(&value))
        .transpose()
}

/// Removes a channel; false if it was gone.
///
/// # Errors
/// When the store fails.
pub async fn remove(store: &dyn Store, storage: &str, id: &str) -> Result<bool, StoreError> {
    let (storage, id) = (storage.to_owned(), id.to_owned());
    let work = move |transaction: &mut dyn Transaction| remove_in(transaction, &storage, &id).map_err(never);
    match commit::<bool, std::convert::Infallible>(store, Warrant::without_proof(BOOKKEEPING), Box::new(work)).await {
        Ok((removed, _)) => Ok(removed),
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Refused(never)) => match never {},
    }
}

fn never(error: StoreError) -> CommitError<std::convert::Infallible> {
    CommitError::Store(error)
}

fn remove_in(transaction: &mut dyn Transaction, storage: &str, id: &str) -> Result<bool, StoreError> {
    let key = key(storage, id);
    let Some(value) = transaction.record(KIND, &key)? else {
        return Ok(false);
    };
    let channel = parse(&value)?;
    transaction.record_delete(KIND, &key)?;
    transaction.record_delete(KIND, &end_key(&channel))?;
    transaction.record_delete(KIND, &delivery_key(storage, id))?;
    if let Some(key) = agent_key(&channel) {
        transaction.record_delete(KIND, &key)?;
    }
    for counter in counters(storage, &channel.subscriber) {
        let now = count(&*transaction, &counter)?.saturating_sub(1);
        if now == 0 {
            transaction.record_delete(KIND, &counter)?;
        } else {
            transaction.record_put(KIND, &counter, now.to_string().as_bytes())?;
        }
    }
    Ok(true)
}

/// Removes channels of a storage that is erased, as far as `room` goes, which counts them.
///
/// # Errors
/// When the store fails.
pub fn forget_storage(transaction: &mut dyn Transaction, storage: &str, room: &mut usize) -> Result<(), StoreError> {
    let prefix = format!("channel/{storage}/");
    for (key, _) in transaction.records(KIND, &prefix, None, *room)? {
        let id = key.strip_prefix(&prefix).unwrap_or_default();
        if remove_in(transaction, storage, id)? {
            *room = room.saturating_sub(1);
        }
    }
    Ok(())
}

/// Removes channels of somebody who is erased, in whichever storages, as far as `room` goes, which counts them.
///
/// # Errors
/// When the store fails.
pub fn forget_agent(transaction: &mut dyn Transaction, web_id: &str, room: &mut usize) -> Result<(), StoreError> {
    for (storage, id) in of_agent(&*transaction, web_id, *room)? {
        remove_in(transaction, &storage, &id)?;
        *room = room.saturating_sub(1);
    }
    Ok(())
}

/// Removes every channel that somebody has through an application which may not act for them any more.
///
/// # Errors
/// When the store fails.
pub fn forget_application(transaction: &mut dyn Transaction, web_id: &str, client: &str) -> Result<(), StoreError> {
    for (storage, id) in of_agent(&*transaction, web_id, usize::MAX)? {
        let value = transaction.record(KIND, &key(&storage, &id))?;
        let channel = value.map(|value| parse(&value)).transpose()?;
        if channel.is_some_and(|channel| channel.subscriber.client.as_deref() == Some(client)) {
            remove_in(transaction, &storage, &id)?;
        }
    }
    Ok(())
}

/// Storage and id of the channels that an agent has, at most `limit`.
fn of_agent(snapshot: &dyn Snapshot, web_id: &str, limit: usize) -> Result<Vec<(String, String)>, StoreError> {
    let prefix = agent_prefix(web_id);
    let held = snapshot.records(KIND, &prefix, None, limit)?;
    let name = |key: &str| key.strip_prefix(&prefix)?.split_once('/').map(own_both);
    Ok(held.iter().filter_map(|(key, _)| name(key)).collect())
}

fn own_both((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

/// The id of the channel whose record this is; none for other records of notifications.
#[must_use]
pub fn channel_of(key: &str) -> Option<&str> {
    key.strip_prefix("channel/")?.rsplit('/').next()
}

/// Removes channels whose end has come, and returns their storages and ids. Call it again while it returns any.
///
/// # Errors
/// When the store fails.
pub async fn remove_ended(store: &dyn Store, now_milliseconds: i64) -> Result<Vec<(String, String)>, StoreError> {
    let ended = {
        let snapshot = store.snapshot(ReadPermit::without_proof(BOOKKEEPING))?;
        let by_end = snapshot.records(KIND, "end/", None, SWEEP_CHANNELS)?;
        let due = format!("end/{:016x}/", now_milliseconds.max(0));
        let ended: Vec<(String, String)> = by_end
            .iter()
            .take_while(|(key, _)| *key < due)
            .filter_map(|(key, _)| {
                let mut parts = key.splitn(4, '/').skip(2);
                Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
            })
            .collect();
        ended
    };
    if ended.is_empty() {
        return Ok(ended);
    }
    let list = ended.clone();
    let work = move |transaction: &mut dyn Transaction| {
        for (storage, id) in &list {
            remove_in(transaction, storage, id).map_err(never)?;
        }
        Ok(())
    };
    match commit::<(), std::convert::Infallible>(store, Warrant::without_proof(BOOKKEEPING), Box::new(work)).await {
        Ok(_) => Ok(ended),
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Refused(never)) => match never {},
    }
}

/// A webhook channel and how far its delivery is.
#[derive(Debug)]
pub struct Kept {
    /// The channel.
    pub channel: Channel,
    /// Its delivery.
    pub state: DeliveryState,
}

/// Webhook channels in the order of their keys, after a key, at most `limit`. A channel that is just being removed is none.
///
/// # Errors
/// When the store fails.
pub fn webhooks(
    store: &dyn Store,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Option<Kept>)>, StoreError> {
    let snapshot = store.snapshot(ReadPermit::without_proof(BOOKKEEPING))?;
    let mut found = Vec::new();
    for (state_key, value) in snapshot.records(KIND, "delivery/", after, limit)? {
        let state = serde_json::from_slice(&value)
            .map_err(|error| StoreError::Damaged(format!("a delivery cannot be read: {error}")))?;
        let name = state_key.strip_prefix("delivery/").unwrap_or_default();
        let channel = snapshot.record(KIND, &format!("channel/{name}"))?;
        let kept = match channel {
            Some(channel) => Some(Kept {
                channel: parse(&channel)?,
                state,
            }),
            None => None,
        };
        found.push((state_key, kept));
    }
    Ok(found)
}

/// The position up to which every change was handed to its webhook channels when it was kept last.
///
/// # Errors
/// When the store fails.
pub fn followed(store: &dyn Store) -> Result<Sequence, StoreError> {
    let snapshot = store.snapshot(ReadPermit::without_proof(BOOKKEEPING))?;
    Ok(Sequence(count(snapshot.as_ref(), FOLLOWED)?))
}

/// Keeps deliveries and the position together. A channel that was removed meanwhile stays removed.
///
/// # Errors
/// When the store fails.
pub async fn keep(
    store: &dyn Store,
    deliveries: Vec<(String, String, DeliveryState)>,
    followed: Sequence,
) -> Result<(), StoreError> {
    let work = move |transaction: &mut dyn Transaction| {
        for (storage, id, state) in &deliveries {
            if transaction.record(KIND, &key(storage, id))?.is_some() {
                put_state(transaction, storage, id, state)?;
            }
        }
        transaction.record_put(KIND, FOLLOWED, followed.0.to_string().as_bytes())?;
        Ok(())
    };
    match commit::<(), std::convert::Infallible>(store, Warrant::without_proof(BOOKKEEPING), Box::new(work)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Refused(never)) => match never {},
    }
}

fn put_state(
    transaction: &mut dyn Transaction,
    storage: &str,
    id: &str,
    state: &DeliveryState,
) -> Result<(), StoreError> {
    let value = serde_json::to_vec(state).map_err(|error| StoreError::Misuse(error.to_string()))?;
    transaction.record_put(KIND, &delivery_key(storage, id), &value)
}
