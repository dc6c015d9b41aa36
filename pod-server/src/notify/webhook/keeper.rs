//! Keeps the progress of deliveries, so that they go on after a restart: at least once, never before the commit that they
//! tell of.
//!
//! Kept are the position up to which every change has been handed to its channels, and for each channel that is behind,
//! how far it is. What happened since is found in the outbox. Both are written together and now and then; a crash repeats
//! what was delivered since.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use server_kit::shutdown::Shutdown;

use super::delivery_state::DeliveryState;
use super::hook::Webhook;
use crate::notify::change::Position;
use crate::notify::channel::{Channel, milliseconds};
use crate::notify::deliver::Delivery;
use crate::notify::records::{self, Kept};
use crate::store::{Sequence, StoreError};

/// Commits after which the position is kept even if no channel had anything to do with them.
const KEEP_COMMITS: u64 = 1_000;
/// Channels that are read together at the start.
const LOAD_CHANNELS: usize = 256;
/// Wait before another try after the store failed.
const RETRY: Duration = Duration::from_secs(1);

/// What was kept.
#[derive(Debug, Default)]
pub struct Progress {
    /// Every channel is in the registry, so that the position means something.
    loaded: AtomicBool,
    followed: AtomicU64,
}

impl Delivery {
    /// Puts every webhook channel into the registry and goes on with its delivery; then keeps the progress until the
    /// shutdown.
    pub(in crate::notify) async fn keep_webhooks(self: Arc<Self>, shutdown: Shutdown) {
        while let Err(error) = self.load() {
            tracing::error!(%error, "webhook channels could not be read; they wait");
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        let period = Duration::from_millis(self.webhooks.bounds.keep_milliseconds);
        while !shutdown.is_triggered() {
            tokio::select! {
                () = shutdown.wait() => {}
                () = tokio::time::sleep(period) => self.keep(KEEP_COMMITS).await,
            }
        }
    }

    /// Keeps the progress for the last time.
    pub(in crate::notify) async fn keep_at_the_end(&self) {
        self.keep(1).await;
    }

    fn load(self: &Arc<Self>) -> Result<(), StoreError> {
        let (followed, mut after) = (records::followed(self.store.as_ref())?, None);
        self.webhooks.progress.followed.store(followed.0, Ordering::Release);
        loop {
            let page = records::webhooks(self.store.as_ref(), after.as_deref(), LOAD_CHANNELS)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (_, kept) in page {
                if let Some(Kept { channel, state }) = kept
                    && !channel.has_ended(milliseconds(self.clock.now()))
                {
                    self.adopt(channel, state, followed);
                }
            }
        }
        self.webhooks.progress.loaded.store(true, Ordering::Release);
        Ok(())
    }

    /// Puts one channel into the registry. What it has to be told since `followed`, or since it fell behind, is read from
    /// the outbox.
    pub(in crate::notify) fn adopt(self: &Arc<Self>, channel: Channel, state: DeliveryState, followed: Sequence) {
        let all_of = |sequence| Position {
            sequence,
            ordinal: u32::MAX,
        };
        let done = state
            .done()
            .unwrap_or_else(|| all_of(followed))
            .max(all_of(channel.since()));
        let hook = Arc::new(Webhook::new(Arc::new(channel), state, done));
        if !self.registry.add_webhook(&hook) {
            return;
        }
        // Only now: what is committed from here on is handed to it.
        hook.catch_up(*self.store.watch().borrow());
        if hook.claim() {
            self.work_on(hook);
        }
    }

    async fn keep(&self, commits_min: u64) {
        let progress = &self.webhooks.progress;
        if !progress.loaded.load(Ordering::Acquire) || !self.registry.has_webhooks() {
            return;
        }
        // First the position, then the channels: what comes in between is kept as not yet followed.
        let Some(settled) = self.intake.settled() else { return };
        let hooks = self.registry.webhooks();
        let kept: Vec<(Arc<Webhook>, DeliveryState)> = hooks
            .into_iter()
            .filter_map(|hook| hook.to_keep().map(|state| (hook, state)))
            .collect();
        let before = progress.followed.load(Ordering::Acquire);
        if kept.is_empty() && settled.0 < before.saturating_add(commits_min) {
            return;
        }
        let list = kept
            .iter()
            .map(|(hook, state)| (hook.channel.storage.clone(), hook.channel.id.clone(), state.clone()))
            .collect();
        match records::keep(self.store.as_ref(), list, settled).await {
            Ok(()) => progress.followed.store(settled.0, Ordering::Release),
            Err(error) => {
                tracing::error!(%error, "the progress of webhooks could not be kept; after a crash more is repeated");
                for (hook, _) in kept {
                    hook.keep_again();
                }
            }
        }
    }
}
