//! The work on webhook channels that have something to send: rights, pace, attempts, and giving up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use policies::request::Agent;
use server_kit::egress::{Egress, EgressRequest};
use server_kit::random::Random;
use server_kit::shutdown::Shutdown;
use tokio::sync::Semaphore;
use url::Url;

use super::WebhookConfig;
use super::hook::{Next, Webhook};
use super::host_bound::HostBound;
use super::keeper::Progress;
use super::sender::Sender;
use crate::authz::Caller;
use crate::error::Error;
use crate::notify::change::{Activity, Change, Position, changes};
use crate::notify::channel::milliseconds;
use crate::notify::deliver::Delivery;
use crate::notify::notice::Notice;
use crate::notify::records;
use crate::notify::request::unfit;
use crate::notify::rights::Verdicts;
use crate::store::{ReadPermit, Sequence, StoreError};

/// Channels that may be worked on at one time. There are never as many as that.
const WORKERS_MAX: usize = 1 << 20;
/// Events read from the outbox at a time.
const READ_EVENTS: usize = 1_000;
/// Wait before another try after the store failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long workers may take to stop.
const STOPPING: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at; what a receiver says beyond its status means nothing.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Hosts that are remembered while nothing is sent to them.
const HOSTS_MAX: usize = 1_000;
const READING: &str = "the notifier reads from the outbox what a receiver did not get yet";

/// What webhooks are built from.
pub struct WebhookParts {
    /// Outgoing requests.
    pub egress: Arc<Egress>,
    /// Who sends.
    pub sender: Sender,
    /// Chance in waits.
    pub random: Arc<dyn Random>,
}

/// What all webhook channels of a server share.
pub struct Webhooks {
    /// Who sends.
    pub sender: Sender,
    pub(super) bounds: WebhookConfig,
    egress: Arc<Egress>,
    random: Arc<dyn Random>,
    deliveries: Semaphore,
    hosts: Mutex<HashMap<String, Arc<HostBound>>>,
    workers: Arc<Semaphore>,
    pub(super) progress: Progress,
    stop: Shutdown,
}

/// What became of one attempt.
enum Attempt {
    Delivered,
    /// The receiver wants no more.
    Gone,
    Failed {
        reason: String,
        /// `Retry-After` of the receiver.
        wait: Option<Duration>,
    },
}

impl Webhooks {
    /// Nothing to do yet.
    #[must_use]
    pub fn new(parts: WebhookParts, bounds: WebhookConfig) -> Self {
        Self {
            sender: parts.sender,
            egress: parts.egress,
            random: parts.random,
            deliveries: Semaphore::new(bounds.deliveries_max),
            hosts: Mutex::default(),
            workers: Arc::new(Semaphore::new(WORKERS_MAX)),
            progress: Progress::default(),
            stop: Shutdown::new(),
            bounds,
        }
    }

    /// Tells every worker to stop, and waits until they have.
    pub async fn stop(&self) {
        self.stop.trigger();
        let all = u32::try_from(WORKERS_MAX).unwrap_or(u32::MAX);
        if tokio::time::timeout(STOPPING, self.workers.acquire_many(all))
            .await
            .is_err()
        {
            tracing::warn!("webhook deliveries that did not stop in time were cut");
        }
    }

    /// Checks that a receiver may be asked for at all, and that someone in particular asks for it.
    ///
    /// # Errors
    /// 401 without credentials; 422 for an address that is not public, with one text for every reason (T36, T61).
    pub async fn check(&self, caller: &Caller, send_to: &str) -> Result<(), Error> {
        if caller.subject.agent == Agent::Public {
            return Err(Error::Unauthenticated);
        }
        self.egress.vet(send_to).await.map_err(|_| {
            unfit("`sendTo` must be the `https` URL of a receiver that this server can reach over the public internet")
        })
    }

    async fn attempt(&self, send_to: &str, media_type: &str, body: bytes::Bytes, now: i64) -> Result<Attempt, Error> {
        let host = self.host(send_to);
        let _host = host.admit().await;
        let _delivery = self.deliveries.acquire().await;
        let headers = self.sender.authenticate(send_to, media_type, &body, now / 1_000)?;
        let mut request = EgressRequest::new(Method::POST, send_to)
            .time_max(Duration::from_secs(self.bounds.delivery_seconds_max))
            .bytes_max(ANSWER_BYTES_MAX);
        request.headers = headers;
        request.body = body;
        Ok(match self.egress.stream(request).await {
            Ok((status, _, _)) if status.is_success() => Attempt::Delivered,
            Ok((StatusCode::GONE, _, _)) => Attempt::Gone,
            Ok((status, headers, _)) => Attempt::Failed {
                reason: format!("the receiver answered {}", status.as_u16()),
                wait: retry_after(&headers),
            },
            Err(error) => Attempt::Failed {
                reason: error.to_string(),
                wait: None,
            },
        })
    }

    /// The bound of deliveries to the receiver's host.
    fn host(&self, send_to: &str) -> Arc<HostBound> {
        let url = Url::parse(send_to).ok();
        let host = url
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let mut hosts = self.hosts.lock();
        // Hosts to which nothing is sent at this moment need no entry.
        if hosts.len() > HOSTS_MAX {
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
        }
        Arc::clone(
            hosts
                .entry(host)
                .or_insert_with(|| Arc::new(HostBound::new(&self.bounds))),
        )
    }

    /// The wait after some failures in a row: doubling, half of it by chance, so that receivers that come back are not
    /// met by everything at once.
    fn wait(&self, attempts: u32, asked: Option<Duration>) -> Duration {
        let longest = Duration::from_secs(self.bounds.retry_seconds_max);
        let doublings = attempts.saturating_sub(1).min(32);
        let whole =
            Duration::from_millis(self.bounds.retry_milliseconds_min.saturating_mul(1 << doublings)).min(longest);
        let mut chance = [0; 2];
        self.random.fill(&mut chance);
        let part = f64::from(u16::from_be_bytes(chance)) / f64::from(u16::MAX);
        let wait = whole.mul_f64(0.5 + part / 2.0);
        asked.map_or(wait, |asked| wait.max(asked.min(longest)))
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(text.trim().parse().ok()?))
}

impl Delivery {
    /// Begins to work on a channel whose work was claimed.
    pub(in crate::notify) fn work_on(self: &Arc<Self>, hook: Arc<Webhook>) {
        let Ok(permit) = Arc::clone(&self.webhooks.workers).try_acquire_owned() else {
            hook.rest();
            return;
        };
        let delivery = Arc::clone(self);
        tokio::spawn(async move {
            let work = std::panic::AssertUnwindSafe(delivery.work(&hook)).catch_unwind();
            tokio::select! {
                biased;
                () = delivery.webhooks.stop.wait() => {}
                done = work => if done.is_err() {
                    tracing::error!(channel = %hook.channel.id, "the delivery of a webhook panicked");
                    hook.rest();
                }
            }
            drop(permit);
        });
    }

    async fn work(&self, hook: &Webhook) {
        loop {
            let done = match hook.next() {
                Next::Rest => return,
                Next::Read(after) => self.read_on(hook, after).map_err(Error::from),
                Next::Deliver(change) => self.deliver_one(hook, &change).await,
            };
            if let Err(error) = done {
                tracing::error!(%error, channel = %hook.channel.id, "a webhook waits");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Takes the next piece of the outbox.
    fn read_on(&self, hook: &Webhook, after: Position) -> Result<(), StoreError> {
        let max = self.webhooks.bounds.queue_messages_max;
        let snapshot = self.store.snapshot(ReadPermit::without_proof(READING))?;
        // A commit of which a part is taken already is read again; the part is left out.
        let whole = after.ordinal == u32::MAX;
        let from = Sequence(after.sequence.0.saturating_sub(u64::from(!whole)));
        match snapshot.events(from, READ_EVENTS) {
            Ok(events) => {
                let last = match events.last() {
                    Some(event) => event.sequence,
                    None => snapshot.sequence()?,
                };
                let mut changes = changes(&events);
                changes.retain(|change| hook.channel.topics.contains(&change.topic));
                hook.fill(changes, last, max);
            }
            Err(StoreError::Forgotten { kept_after }) => {
                tracing::warn!(channel = %hook.channel.id, "a receiver was away for longer than events are kept");
                let states = hook.channel.topics.iter().zip(0..).map(|(topic, ordinal)| {
                    let exists = snapshot.resource(topic)?.is_some();
                    Ok(Change {
                        position: Position {
                            sequence: kept_after,
                            ordinal,
                        },
                        topic: topic.clone(),
                        activity: if exists { Activity::Update } else { Activity::Delete },
                        object: topic.clone(),
                    })
                });
                let states: Result<Vec<Change>, StoreError> = states.collect();
                hook.fill(states?, kept_after, max.max(hook.channel.topics.len()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// One attempt at the change that is next, at the time when it may be made.
    async fn deliver_one(&self, hook: &Webhook, change: &Change) -> Result<(), Error> {
        let channel = &hook.channel;
        let now = milliseconds(self.clock.now());
        if !channel.has_begun(now) || channel.has_ended(now) {
            hook.advance();
            return Ok(());
        }
        if let Some(moment) = hook.not_before().filter(|moment| *moment > now) {
            tokio::time::sleep(Duration::from_millis(moment.abs_diff(now))).await;
            return Ok(());
        }
        if let Some(wait) = hook.pace(now) {
            tokio::time::sleep(wait).await;
            hook.skip_to_latest();
            return Ok(());
        }
        // The right counts at the moment of delivery; without it nothing is said, not even that nothing is said.
        let mut verdicts = Verdicts::default();
        if !verdicts
            .may_hear(&self.rights, &channel.subscriber, &change.topic)
            .await
        {
            hook.advance();
            return Ok(());
        }
        let notice = self.notice(change)?;
        let body = notice.write(channel.syntax, channel.context);
        let send_to = channel.send_to.as_deref().unwrap_or_default();
        let attempt = self
            .webhooks
            .attempt(send_to, channel.syntax.media_type(), body, now)
            .await?;
        self.settle(hook, &notice, attempt).await
    }

    async fn settle(&self, hook: &Webhook, notice: &Notice, attempt: Attempt) -> Result<(), Error> {
        let bounds = &self.webhooks.bounds;
        let channel = &hook.channel;
        let now = milliseconds(self.clock.now());
        let outcome = match attempt {
            Attempt::Delivered => {
                hook.delivered(now);
                metrics::counter!("notifications_sent_total", "type" => channel.kind.name()).increment(1);
                "delivered"
            }
            Attempt::Gone => {
                tracing::info!(channel = %channel.id, "the receiver of a webhook is gone: the channel ends");
                records::remove(self.store.as_ref(), &channel.storage, &channel.id).await?;
                self.registry.remove_webhook(&channel.id);
                "gone"
            }
            Attempt::Failed { reason, wait } => {
                let (attempts, since) = hook.failed(&reason, now);
                let failing = Duration::from_millis(now.abs_diff(since));
                if failing > Duration::from_secs(bounds.failing_seconds_max) {
                    tracing::warn!(channel = %channel.id, "a receiver took nothing for too long: its channel is given up");
                    hook.bury(notice, attempts, &reason, now);
                    hook.suspend(now);
                    "suspended"
                } else if attempts >= bounds.attempts_max {
                    hook.bury(notice, attempts, &reason, now);
                    "given-up"
                } else {
                    let wait = self.webhooks.wait(attempts, wait);
                    hook.retry_at(now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
                    "failed"
                }
            }
        };
        metrics::counter!("webhook_attempts_total", "outcome" => outcome).increment(1);
        Ok(())
    }
}
