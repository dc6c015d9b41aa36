//! Who is listening now, by topic. Channels whose clients are away are not here: they lie in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::change::container_of;
use super::channel::Channel;
use super::stream::{Ending, Stream};
use crate::name::ResourceName;
use crate::store::{Change as Stored, Event};

type Streams = HashMap<u64, Arc<Stream>>;

/// Open streams, by topic and by channel.
#[derive(Debug, Default)]
pub struct Registry {
    next: AtomicU64,
    topics: RwLock<HashMap<ResourceName, Streams>>,
    /// Open streams of a channel, by the channel's id.
    channels: RwLock<HashMap<String, u32>>,
    stopping: AtomicBool,
}

impl Registry {
    /// Adds a stream on a channel; none if the channel has as many as it may, or the server is stopping.
    pub fn join(&self, channel: &Arc<Channel>, per_channel_max: usize) -> Option<Arc<Stream>> {
        // Held to the end, so that a stop sees either nothing of the stream or all of it.
        let mut channels = self.channels.write();
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        let count = channels.entry(channel.id.clone()).or_default();
        if *count as usize >= per_channel_max {
            return None;
        }
        *count += 1;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(Stream::new(number, Arc::clone(channel)));
        let mut topics = self.topics.write();
        for topic in &channel.topics {
            topics
                .entry(topic.clone())
                .or_default()
                .insert(number, Arc::clone(&stream));
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
            let empty = topics.get_mut(topic).is_some_and(|streams| {
                streams.remove(&stream.number);
                streams.is_empty()
            });
            if empty {
                topics.remove(topic);
            }
        }
        drop(topics);
        let mut channels = self.channels.write();
        let last = channels.get_mut(&channel.id).is_some_and(|count| {
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
            .map(|streams| streams.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether there is an open stream on a topic.
    #[must_use]
    pub fn has_streams(&self, topic: &ResourceName) -> bool {
        self.topics.read().contains_key(topic)
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
        for (_, streams) in topics.iter().filter(|(topic, _)| wanted(topic)) {
            for stream in streams.values() {
                stream.end(ending);
            }
        }
    }
}
