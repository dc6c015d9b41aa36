//! Who is listening now, by topic. Channels whose clients are away are not here: they lie in the store.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::change::container_of;
use super::channel::Channel;
use super::stream::{Ending, Stream};
use super::webhook::Webhook;
use crate::name::ResourceName;
use crate::store::{Change as Stored, Event, Sequence};

/// Those who follow one topic.
#[derive(Debug, Default)]
struct Followers {
    streams: HashMap<u64, Arc<Stream>>,
    webhooks: Vec<Arc<Webhook>>,
}

impl Followers {
    fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.webhooks.is_empty()
    }
}

/// Open streams and webhook channels, by topic and by channel.
#[derive(Debug, Default)]
pub struct Registry {
    next: AtomicU64,
    topics: RwLock<HashMap<ResourceName, Followers>>,
    webhooks: RwLock<HashMap<String, Arc<Webhook>>>,
    /// Channels with open streams and how many there are, by the channel's id.
    channels: RwLock<HashMap<String, (u32, Arc<Channel>)>>,
    stopping: AtomicBool,
}

impl Registry {
    /// Adds a stream on a channel, which is told what is committed after `joined`; none if the channel has as many as it may, or the server is stopping.
    pub fn join(&self, channel: &Arc<Channel>, joined: Sequence, per_channel_max: usize) -> Option<Arc<Stream>> {
        // Held to the end, so that a stop sees either nothing of the stream or all of it.
        let mut channels = self.channels.write();
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        let (count, _) = channels
            .entry(channel.id.clone())
            .or_insert_with(|| (0, Arc::clone(channel)));
        if *count as usize >= per_channel_max {
            return None;
        }
        *count += 1;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(Stream::new(number, Arc::clone(channel), joined));
        let mut topics = self.topics.write();
        for topic in &channel.topics {
            let followers = topics.entry(topic.clone()).or_default();
            followers.streams.insert(number, Arc::clone(&stream));
        }
        drop(topics);
        metrics::gauge!("notification_streams", "type" => channel.kind.name()).increment(1.0);
        Some(stream)
    }

    /// Takes a stream off.
    pub fn leave(&self, stream: &Stream) {
        let channel = &stream.channel;
        let mut topics = self.topics.write();
        for topic in &channel.topics {
            let empty = topics.get_mut(topic).is_some_and(|followers| {
                followers.streams.remove(&stream.number);
                followers.is_empty()
            });
            if empty {
                topics.remove(topic);
            }
        }
        drop(topics);
        let mut channels = self.channels.write();
        let last = channels.get_mut(&channel.id).is_some_and(|(count, _)| {
            *count = count.saturating_sub(1);
            *count == 0
        });
        if last {
            channels.remove(&channel.id);
        }
        drop(channels);
        metrics::gauge!("notification_streams", "type" => channel.kind.name()).decrement(1.0);
    }

    /// Whether anybody hears of an event. Called on the store's writer, so it only looks up.
    #[must_use]
    pub fn concerns(&self, event: &Event) -> bool {
        let topics = self.topics.read();
        if topics.is_empty() {
            return false;
        }
        match &event.change {
            Stored::Updated { name, .. } => topics.contains_key(name),
            Stored::Created { name, .. } | Stored::Deleted { name, .. } => {
                topics.contains_key(name) || container_of(name).is_some_and(|container| topics.contains_key(&container))
            }
            Stored::Record { .. } => false,
        }
    }

    /// The open streams on a topic.
    #[must_use]
    pub fn streams(&self, topic: &ResourceName) -> Vec<Arc<Stream>> {
        self.topics
            .read()
            .get(topic)
            .map(|followers| followers.streams.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether there is an open stream on a topic.
    #[must_use]
    pub fn has_streams(&self, topic: &ResourceName) -> bool {
        self.topics
            .read()
            .get(topic)
            .is_some_and(|followers| !followers.streams.is_empty())
    }

    /// Adds a webhook channel; false if it is known already.
    pub fn add_webhook(&self, hook: &Arc<Webhook>) -> bool {
        match self.webhooks.write().entry(hook.channel.id.clone()) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(free) => free.insert(Arc::clone(hook)),
        };
        let mut topics = self.topics.write();
        for topic in &hook.channel.topics {
            topics.entry(topic.clone()).or_default().webhooks.push(Arc::clone(hook));
        }
        true
    }

    /// Takes a webhook channel off, if it is one.
    pub fn remove_webhook(&self, id: &str) {
        let Some(hook) = self.webhooks.write().remove(id) else {
            return;
        };
        hook.remove();
        let mut topics = self.topics.write();
        for topic in &hook.channel.topics {
            let empty = topics.get_mut(topic).is_some_and(|followers| {
                followers.webhooks.retain(|other| !Arc::ptr_eq(other, &hook));
                followers.is_empty()
            });
            if empty {
                topics.remove(topic);
            }
        }
    }

    /// A webhook channel by its id.
    #[must_use]
    pub fn webhook(&self, id: &str) -> Option<Arc<Webhook>> {
        self.webhooks.read().get(id).cloned()
    }

    /// Whether there is any webhook channel.
    #[must_use]
    pub fn has_webhooks(&self) -> bool {
        !self.webhooks.read().is_empty()
    }

    /// Every webhook channel.
    #[must_use]
    pub fn webhooks(&self) -> Vec<Arc<Webhook>> {
        self.webhooks.read().values().cloned().collect()
    }

    /// The webhook channels on a topic.
    #[must_use]
    pub fn webhooks_on(&self, topic: &ResourceName) -> Vec<Arc<Webhook>> {
        let topics = self.topics.read();
        topics
            .get(topic)
            .map(|followers| followers.webhooks.clone())
            .unwrap_or_default()
    }

    /// Topics with open streams, of those that `wanted` picks.
    pub fn topics(&self, wanted: impl Fn(&ResourceName) -> bool) -> Vec<ResourceName> {
        self.topics
            .read()
            .keys()
            .filter(|topic| wanted(topic))
            .cloned()
            .collect()
    }

    /// Ends whatever serves a channel whose record is gone, by whichever way it went.
    pub fn end_gone(&self, id: &str) {
        self.remove_webhook(id);
        let open = self.channels.read().get(id).map(|(_, channel)| Arc::clone(channel));
        if let Some(channel) = open {
            self.end_channel(&channel, Ending::Over);
        }
    }

    /// Ends the streams of one channel.
    pub fn end_channel(&self, channel: &Channel, ending: Ending) {
        for topic in &channel.topics {
            for stream in self.streams(topic) {
                if stream.channel.id == channel.id {
                    stream.end(ending);
                }
            }
        }
    }

    /// Ends every stream, and lets none begin any more.
    pub fn stop(&self) {
        {
            let _nobody_joins_meanwhile = self.channels.write();
            self.stopping.store(true, Ordering::Release);
        }
        self.end_topics(|_| true, Ending::Stopping);
    }

    /// Ends the streams on topics that `wanted` picks.
    pub fn end_topics(&self, wanted: impl Fn(&ResourceName) -> bool, ending: Ending) {
        let topics = self.topics.read();
        for (_, followers) in topics.iter().filter(|(topic, _)| wanted(topic)) {
            for stream in followers.streams.values() {
                stream.end(ending);
            }
        }
    }
}
