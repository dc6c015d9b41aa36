//! What a client missed before its stream was opened: that the state it knows is not the present one (`state`,
//! solid#106), and what an event source did not get since it was cut off.

use std::collections::VecDeque;
use std::sync::Arc;

use super::change::{Activity, Change, Position, changes};
use super::channel::{Channel, ChannelType};
use super::deliver::Delivery;
use super::notice::Notice;
use crate::http::etag::state_of;
use crate::name::ResourceName;
use crate::store::{ReadPermit, Sequence, StoreError};

/// Events read from the outbox at a time, and in all, when an event source comes back.
const READ_EVENTS: usize = 1_000;
const READ_EVENTS_MAX: usize = 100_000;
const REPLAY: &str = "a stream that is opened again gets what was missed, by someone who may read the topic now";

/// What the first notifications of a stream are.
///
/// # Errors
/// When the store fails.
pub fn missed(
    delivery: &Delivery,
    channel: &Channel,
    last: Option<Position>,
    now: i64,
) -> Result<VecDeque<Arc<Notice>>, StoreError> {
    if !channel.has_begun(now) {
        return Ok(VecDeque::new());
    }
    match last {
        // An id that this channel cannot have sent is none.
        Some(last) if channel.kind == ChannelType::EventSourceChannel2023 && last.sequence > channel.since() => {
            since(delivery, channel, last)
        }
        _ => stale(delivery, channel),
    }
}

/// One notification for each topic whose state is not the one that the client named.
fn stale(delivery: &Delivery, channel: &Channel) -> Result<VecDeque<Arc<Notice>>, StoreError> {
    let Some(known) = &channel.state else {
        return Ok(VecDeque::new());
    };
    let known = state_of(known.trim_start_matches("W/").trim_matches('"'));
    let mut notices = VecDeque::new();
    for topic in &channel.topics {
        notices.extend(present(delivery, topic, known)?);
    }
    Ok(notices)
}

/// The present state of a topic as a notification, unless it is the known one.
fn present(
    delivery: &Delivery,
    topic: &ResourceName,
    known: Option<Sequence>,
) -> Result<Option<Arc<Notice>>, StoreError> {
    let snapshot = delivery.store.snapshot(ReadPermit::without_proof(REPLAY))?;
    let (activity, sequence) = match snapshot.resource(topic)? {
        Some(resource) if Some(resource.version) == known => return Ok(None),
        Some(resource) => (Activity::Update, resource.version),
        None => (Activity::Delete, snapshot.sequence()?),
    };
    drop(snapshot);
    let change = Change {
        position: Position { sequence, ordinal: 0 },
        topic: topic.clone(),
        activity,
        object: topic.clone(),
    };
    Ok(Some(Arc::new(delivery.notice(&change)?)))
}

/// Everything about the channel's topics after a position; if there is too much of it, or it is not kept any more, the
/// present state of each topic.
fn since(delivery: &Delivery, channel: &Channel, last: Position) -> Result<VecDeque<Arc<Notice>>, StoreError> {
    let snapshot = delivery.store.snapshot(ReadPermit::without_proof(REPLAY))?;
    let mut after = Sequence(last.sequence.0.saturating_sub(1));
    let mut missed = VecDeque::new();
    let mut read = 0;
    loop {
        let events = match snapshot.events(after, READ_EVENTS) {
            Err(StoreError::Forgotten { .. }) => return states(delivery, channel),
            events => events?,
        };
        let Some(newest) = events.last() else { break };
        after = newest.sequence;
        read += events.len();
        for change in changes(&events) {
            if change.position > last && channel.topics.contains(&change.topic) {
                missed.push_back(change);
            }
        }
        if missed.len() > delivery.bounds.replay_messages_max || read > READ_EVENTS_MAX {
            return states(delivery, channel);
        }
    }
    drop(snapshot);
    missed
        .iter()
        .map(|change| Ok(Arc::new(delivery.notice(change)?)))
        .collect()
}

fn states(delivery: &Delivery, channel: &Channel) -> Result<VecDeque<Arc<Notice>>, StoreError> {
    let mut notices = VecDeque::new();
    for topic in &channel.topics {
        notices.extend(present(delivery, topic, None)?);
    }
    Ok(notices)
}
