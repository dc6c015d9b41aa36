//! Delivery: follows the intake in the order of commits and hands each change to those who may hear of it now.
//!
//! Each storage has a lane of its own, because a right may depend on a group of another server: nobody waits for the
//! groups of somebody else. Within a storage the order of commits is kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use server_kit::clock::Clock;
use server_kit::shutdown::Shutdown;

use super::change::{Activity, Change, changes};
use super::channel::milliseconds;
use super::config::NotifyConfig;
use super::intake::{Intake, Scope, Work};
use super::notice::Notice;
use super::registry::Registry;
use super::rights::{Rights, Verdicts};
use super::stream::Ending;
use super::webhook::Webhooks;
use crate::http::etag::ETag;
use crate::ldp::stored_etag;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{ReadPermit, Sequence, Store, StoreError};

/// Events read from the outbox at a time.
const READ_EVENTS: usize = 1_000;
/// Wait before another try after the store failed.
const RETRY: Duration = Duration::from_secs(1);
const TELLING: &str = "the notifier tells that a topic changed, and its entity tag, to those who may read it";

/// What delivering works with.
pub struct Delivery {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rights: Rights,
    pub(super) registry: Arc<Registry>,
    pub(super) intake: Arc<Intake>,
    pub(super) origins: Origins,
    pub(super) bounds: NotifyConfig,
    pub(super) webhooks: Webhooks,
    pub(super) lanes: Mutex<HashMap<ResourceName, VecDeque<Change>>>,
}

impl Delivery {
    /// Follows the intake until the shutdown.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            let work = tokio::select! {
                biased;
                () = shutdown.wait() => return self.intake.rest(),
                work = self.intake.work() => work,
            };
            match work {
                Work::Tell(events) => self.tell(changes(&events)),
                Work::Read(after) => {
                    if let Err(error) = self.read_outbox(after) {
                        tracing::error!(%error, "the outbox could not be read; notifications wait");
                        tokio::select! {
                            () = shutdown.wait() => return,
                            () = tokio::time::sleep(RETRY) => {}
                        }
                    }
                }
            }
        }
    }

    fn read_outbox(self: &Arc<Self>, after: Sequence) -> Result<(), StoreError> {
        let snapshot = self.store.snapshot(ReadPermit::without_proof(TELLING))?;
        let events = match snapshot.events(after, READ_EVENTS) {
            Err(StoreError::Forgotten { kept_after }) => {
                tracing::warn!("events were forgotten before they were told; open streams are cut off");
                self.registry.end_topics(|_| true, Ending::Slow);
                self.intake.read_up_to(kept_after, false);
                return Ok(());
            }
            events => events?,
        };
        let last = events.last().map(|event| event.sequence);
        self.tell(changes(&events));
        match last {
            Some(last) => self.intake.read_up_to(last, false),
            None => self.intake.read_up_to(snapshot.sequence()?, true),
        }
        Ok(())
    }

    /// Hands changes to webhook channels, and puts them into the lanes of their storages.
    fn tell(self: &Arc<Self>, changes: Vec<Change>) {
        for change in changes {
            for hook in self.registry.webhooks_on(&change.topic) {
                if hook.take_in(&change, self.bounds.webhook.queue_messages_max) {
                    self.work_on(hook);
                }
            }
            if !self.registry.has_streams(&change.topic) {
                continue;
            }
            let Some(storage) = change.topic.storage_root() else {
                continue;
            };
            let mut lanes = self.lanes.lock();
            if let Some(lane) = lanes.get_mut(&storage) {
                if lane.len() < self.bounds.lane_changes_max {
                    lane.push_back(change);
                } else {
                    drop(lanes);
                    // What cannot be told in order is not told at all: clients come back and look.
                    self.registry
                        .end_topics(|topic| topic.is_within(&storage), Ending::Slow);
                }
                continue;
            }
            lanes.insert(storage.clone(), VecDeque::from([change]));
            drop(lanes);
            tokio::spawn(Arc::clone(self).run_lane(storage));
        }
    }

    /// Works off one storage's changes, and ends when there are none.
    async fn run_lane(self: Arc<Self>, storage: ResourceName) {
        loop {
            let change = {
                let mut lanes = self.lanes.lock();
                let Some(change) = lanes.get_mut(&storage).and_then(VecDeque::pop_front) else {
                    lanes.remove(&storage);
                    return;
                };
                change
            };
            self.deliver(&change).await;
            // A commit may hold many changes: readers get the chance to take one before the next.
            tokio::task::yield_now().await;
        }
    }

    async fn deliver(&self, change: &Change) {
        let now = self.clock.now();
        let notice = match self.notice(change) {
            Ok(notice) => Arc::new(notice),
            Err(error) => {
                tracing::error!(%error, topic = %change.topic, "a notification could not be made");
                return;
            }
        };
        let mut verdicts = Verdicts::default();
        for stream in self.registry.streams(&change.topic) {
            let channel = &stream.channel;
            if !channel.has_begun(milliseconds(now)) || stream.joined >= change.position.sequence {
                continue;
            }
            // Silence where the right is gone; the stream itself is cut when the change of policy is worked off.
            if verdicts
                .may_hear(&self.rights, &channel.subscriber, &change.topic)
                .await
            {
                stream.push(&notice, self.bounds.queue_messages_max);
            }
        }
    }

    /// The notification of a change, with the state that it made.
    pub(super) fn notice(&self, change: &Change) -> Result<Notice, StoreError> {
        let latest = self.store.latest(ReadPermit::without_proof(TELLING), &change.topic)?;
        let published = milliseconds(self.clock.now());
        // The entity tag of the state that this change made, also if there is a newer one already.
        let state = latest.filter(|_| change.activity != Activity::Delete).map(|latest| {
            let tag = ETag {
                state: change.position.sequence.min(latest.resource.version),
                ..stored_etag(&latest.resource)
            };
            tag.to_string()
        });
        Ok(Notice::of(change, &self.origins, state, published))
    }

    /// Looks at rights again whenever policies change, and now and then because groups of other servers change unheard.
    /// Streams whose right is gone are cut.
    pub async fn watch_rights(self: Arc<Self>, shutdown: Shutdown) {
        let mut all = tokio::time::interval(Duration::from_secs(self.bounds.recheck_seconds));
        all.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let scope = tokio::select! {
                biased;
                () = shutdown.wait() => return,
                scope = self.intake.rights_changed() => scope,
                _ = all.tick() => Scope::All,
            };
            let topics = self.registry.topics(|topic| scope.covers(topic));
            // One topic after the other would let a slow group keep everyone else's rights alive.
            let checks = topics.into_iter().map(|topic| self.recheck(topic));
            let mut checks =
                futures_util::stream::StreamExt::buffer_unordered(futures_util::stream::iter(checks), RECHECKS_AT_ONCE);
            while futures_util::stream::StreamExt::next(&mut checks).await.is_some() {}
        }
    }

    async fn recheck(&self, topic: ResourceName) {
        let mut verdicts = Verdicts::default();
        for stream in self.registry.streams(&topic) {
            if !verdicts
                .may_hear(&self.rights, &stream.channel.subscriber, &topic)
                .await
            {
                stream.end(Ending::Revoked);
            }
        }
    }
}

/// Topics whose rights are looked at together.
const RECHECKS_AT_ONCE: usize = 32;
