//! One standing query at work: waits until there is something to look at, evaluates, and sends the difference.

use super::channel::{Channels, State};
use super::evaluate::{AskedSource, Evaluation, Question, refused};
use super::event::Event;
use super::limits::{StandingLimits, ms};
use super::places::{Kept, Place};
use super::rows::{Difference, Head, Row, Rows};
use super::signals::Signals;
use super::{End, Entry};
use crate::app::Broker;
use crate::exec::manifest::SourceStatus;
use crate::query::manifests::Manifest;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often it is looked whether members say something else about themselves.
const CATALOGUE_INTERVAL: Duration = Duration::from_secs(1);
/// How soon a member is asked again that can be heard and did not answer.
const RETRY: Duration = Duration::from_secs(2);

/// What is kept of a query whose consumer hung up.
pub(super) struct Parked {
    pub(super) web_id: String,
    pub(super) jkt: String,
    /// The question: text and data named.
    pub(super) question: String,
    pub(super) rows: Rows,
    pub(super) kept: Kept,
    /// Tells this one from a later one of the same name.
    pub(super) until: Instant,
}

/// A query that stands.
pub(super) struct Driver {
    pub(super) id: String,
    pub(super) broker: Arc<Broker>,
    pub(super) entry: Arc<Entry>,
    pub(super) question: Arc<Question>,
    pub(super) signals: Arc<Signals>,
    pub(super) channels: Channels,
    pub(super) rows: Rows,
    pub(super) kept: Kept,
    /// Least time between two evaluations that the consumer wants.
    pub(super) interval: Duration,
    pub(super) sources: Vec<AskedSource>,
    pub(super) plan: u64,
    pub(super) complete: bool,
    /// The agreements of the sources that did not answer last.
    pub(super) failing: Vec<String>,
    pub(super) place: Place,
}

/// The end of a stream that is written to.
pub(super) struct Outlet {
    pub(super) pieces: mpsc::Sender<Bytes>,
    /// Breaks the stream off: what waits is not sent any more.
    pub(super) cut: watch::Sender<bool>,
}

impl Outlet {
    /// Sends an event, and waits until the connection has taken it.
    async fn send(&self, event: &Event) {
        // Whoever hung up is noticed elsewhere.
        let _ = self.pieces.send(event.write()).await;
        drop(self.pieces.reserve().await);
    }

    /// The last event. What still waits for a reader who does not read may not be sent any more, so then the stream breaks off.
    fn end(&self, end: &End) {
        let data = json!({ "code": end.code, "reason": end.reason }).to_string();
        let event = Event {
            name: "end".to_owned(),
            id: String::new(),
            data,
        };
        if self.pieces.try_send(event.write()).is_err() {
            self.cut.send_replace(true);
        }
    }
}

/// How a query came to its end.
enum Outcome {
    /// Nobody listens.
    HungUp,
    /// For a reason that the consumer is told.
    Ended(End),
}

impl Driver {
    /// Runs to the end. `first` is the first event.
    pub(super) async fn run(mut self, first: Event, out: Outlet) {
        let (signals, entry) = (Arc::clone(&self.signals), Arc::clone(&self.entry));
        let (broker, delegation) = (Arc::clone(&self.broker), self.question.delegation.clone());
        let mut stop = broker.standing.stop.subscribe();
        let outcome = tokio::select! {
            biased;
            () = out.pieces.closed() => Outcome::HungUp,
            () = entry.leave.notified() => Outcome::HungUp,
            _ = stop.wait_for(|stop| *stop) => Outcome::Ended(End::new("stopping", "the broker stops: come back in a moment")),
            () = signals.overdue() => Outcome::Ended(End::new(
                "withdrawn",
                "something was withdrawn, and what follows from it could not be found in time: ask again",
            )),
            () = run_out(&broker, delegation) => Outcome::Ended(End::new(
                "delegation-expired",
                "the delegation has expired and no fresh one was sent: ask again with `Last-Event-ID`",
            )),
            end = self.drive(first, &out) => Outcome::Ended(end),
        };
        metrics::counter!("meent_standing_queries_ended_total").increment(1);
        broker.standing.running.lock().remove(&self.id);
        let resumable = match &outcome {
            Outcome::HungUp => true,
            Outcome::Ended(end) => {
                tracing::info!(query = self.id, code = end.code, "a standing query ended");
                out.end(end);
                end.code == "delegation-expired"
            }
        };
        self.leave(resumable);
    }

    /// Lets go of the members, and keeps the rows for a while for whoever comes back.
    fn leave(self, resumable: bool) {
        let standing = &self.broker.standing;
        if !resumable {
            standing.arrived.notify_waiters();
            return;
        }
        let seconds = self.broker.config.standing.resume_seconds;
        let until = Instant::now() + Duration::from_secs(seconds);
        let parked = Parked {
            web_id: self.entry.web_id.clone(),
            jkt: self.entry.jkt.clone(),
            question: asked_for(&self.question),
            rows: self.rows,
            kept: self.kept,
            until,
        };
        drop((self.channels, self.place));
        {
            let mut all = standing.parked.lock();
            all.insert(self.id.clone(), parked);
            // Queries that stand go before those that may never be asked for again.
            while all.len() > self.broker.config.standing.queries_max || (standing.places.is_short() && all.len() > 1) {
                let oldest = all
                    .iter()
                    .min_by_key(|(_, parked)| parked.until)
                    .map(|(id, _)| id.clone());
                let Some(oldest) = oldest else { break };
                all.remove(&oldest);
            }
        }
        standing.arrived.notify_waiters();
        let (broker, id) = (Arc::clone(&self.broker), self.id);
        let mut stop = broker.standing.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            let mut all = broker.standing.parked.lock();
            if all.get(&id).is_some_and(|parked| parked.until == until) {
                all.remove(&id);
            }
        });
    }

    /// Sends the first event and then a change for each difference, until there is a reason to end.
    async fn drive(&mut self, first: Event, out: &Outlet) -> End {
        out.send(&first).await;
        self.signals.settled();
        let mut evaluated = Instant::now();
        loop {
            self.due(evaluated).await;
            self.signals.begin();
            let event = match self.next().await {
                Ok(event) => event,
                Err(end) => return end,
            };
            evaluated = Instant::now();
            if let Some(event) = event {
                out.send(&event).await;
            }
            self.signals.settled();
        }
    }

    /// Waits until the query is to be evaluated again.
    async fn due(&self, evaluated: Instant) {
        let limits = &self.broker.config.standing;
        let deaf = self.sources.iter().any(|source| !self.is_notified(source));
        let poll_at = deaf.then(|| evaluated + Duration::from_secs(limits.poll_seconds).max(self.interval));
        let mut heard = self.signals.listen();
        let mut catalogue = None;
        loop {
            let now = *heard.borrow_and_update();
            let changed_at = now.changed.then(|| evaluated + self.interval);
            let urgent_at = now.urgent.map(|_| evaluated + ms(limits.withdrawal_interval_ms));
            let heard_of = |agreement: &String| self.channels.state(Some(agreement)) == State::Notified;
            let retry_at = self
                .failing
                .iter()
                .any(heard_of)
                .then(|| evaluated + RETRY.max(self.interval));
            let at = [poll_at, changed_at, urgent_at, retry_at].into_iter().flatten().min();
            let passes = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = passes => return,
                _ = heard.changed() => {}
                () = tokio::time::sleep(CATALOGUE_INTERVAL) => {
                    let now = self.broker.catalogue.snapshot();
                    let same = catalogue.replace(Arc::clone(&now)).is_some_and(|before| Arc::ptr_eq(&before, &now));
                    if !same && self.question.asks_otherwise(self.plan).await {
                        return;
                    }
                }
            }
        }
    }

    fn is_notified(&self, source: &AskedSource) -> bool {
        self.channels.state(source.agreement.as_deref()) == State::Notified
    }

    /// Evaluates once more; the event to send, where something is another.
    async fn next(&mut self) -> Result<Option<Event>, End> {
        let number = self.rows.number() + 1;
        let turn = Arc::clone(&self.broker.turns).acquire_owned().await;
        let evaluation = self
            .question
            .evaluate(format!("{}-{number}-{}", self.id, self.broker.random.token(4)))
            .await;
        drop(turn);
        let evaluation = evaluation.map_err(|problem| End::new(problem.kind, problem.detail))?;
        if let Some(end) = refused(&evaluation.manifest, self.question.asked.complete_required()) {
            return Err(end);
        }
        self.follow(&evaluation)?;
        self.failing = failing(&evaluation.manifest);
        let difference = self.rows.difference(&evaluation.table.rows);
        let complete = evaluation.manifest.completeness.complete;
        if difference.is_empty() && complete == self.complete {
            return Ok(None);
        }
        self.complete = complete;
        self.take_in(&evaluation, difference).map(Some)
    }

    /// Listens to those whom the latest evaluation asked.
    fn follow(&mut self, evaluation: &Evaluation) -> Result<(), End> {
        self.plan = evaluation.plan;
        self.sources.clone_from(&evaluation.sources);
        let wanted: BTreeSet<String> = self
            .sources
            .iter()
            .filter_map(|source| source.agreement.clone())
            .collect();
        self.channels
            .keep(wanted, false)
            .map_err(|none| End::new("too-many-channels", none.to_string()))?;
        if let Some(end) = unheard(&self.broker.config.standing, &self.channels, &self.sources) {
            return Err(end);
        }
        Ok(())
    }

    /// Takes a difference in as the next event.
    pub(super) fn take_in(&mut self, evaluation: &Evaluation, difference: Difference) -> Result<Event, End> {
        let head = &evaluation.table.head;
        let data = match head {
            Head::Boolean => json_object(&[
                ("head", "{}".to_owned()),
                ("boolean", boolean(&evaluation.table.rows)),
                ("manifest", self.manifest(&evaluation.manifest)),
            ]),
            Head::Variables(names) => json_object(&[
                ("head", json!({ "vars": names }).to_string()),
                ("removed", bindings(&difference.removed)),
                ("added", bindings(&difference.added)),
                ("manifest", self.manifest(&evaluation.manifest)),
            ]),
        };
        self.keep(difference)?;
        Ok(self.event("change", data))
    }

    /// The whole answer as the first event.
    pub(super) fn whole(&mut self, evaluation: &Evaluation) -> Result<Event, End> {
        let rows = &evaluation.table.rows;
        let data = match &evaluation.table.head {
            Head::Boolean => json_object(&[
                ("head", "{}".to_owned()),
                ("boolean", boolean(rows)),
                ("manifest", self.manifest(&evaluation.manifest)),
            ]),
            Head::Variables(names) => json_object(&[
                ("head", json!({ "vars": names }).to_string()),
                ("results", bindings(rows)),
                ("manifest", self.manifest(&evaluation.manifest)),
            ]),
        };
        let difference = self.rows.difference(rows);
        self.keep(difference)?;
        Ok(self.event("answer", data))
    }

    fn keep(&mut self, difference: Difference) -> Result<(), End> {
        self.rows.advance(difference);
        self.kept.resize(self.rows.bytes()).map_err(|bound| {
            End::new(
                "answer-too-large-to-stand",
                format!("what is kept in memory would be {bound}: ask for less"),
            )
        })
    }

    fn event(&self, name: &str, data: String) -> Event {
        Event {
            name: name.to_owned(),
            id: format!("{}-{}", self.id, self.rows.number()),
            data,
        }
    }

    /// The manifest of an evaluation, less the sources that it did not need, with how changes of each become known.
    fn manifest(&self, manifest: &Manifest) -> String {
        let mut value = serde_json::to_value(manifest).unwrap_or_default();
        let seconds = self.broker.config.standing.poll_seconds;
        if let Some(sources) = value.get_mut("sources").and_then(Value::as_array_mut) {
            let mut reports = manifest.completeness.sources.iter();
            sources.retain_mut(|source| {
                let Some(report) = reports.next() else { return true };
                if report.status == SourceStatus::NotRelevant {
                    return false;
                }
                let state = self.channels.state(report.agreement.as_deref());
                if let Some(source) = source.as_object_mut() {
                    source.insert("changes".to_owned(), state.word().into());
                    if state == State::Polled {
                        source.insert("pollSeconds".to_owned(), seconds.into());
                    }
                }
                true
            });
        }
        value.to_string()
    }
}

/// The end of a query for which somebody would have to be asked from time to time, where that is not done.
pub(super) fn unheard(limits: &StandingLimits, channels: &Channels, sources: &[AskedSource]) -> Option<End> {
    if limits.poll {
        return None;
    }
    let deaf = |source: &&AskedSource| channels.state(source.agreement.as_deref()) == State::Polled;
    let names: Vec<&str> = sources
        .iter()
        .filter(deaf)
        .map(|source| source.dataset.as_str())
        .collect();
    (!names.is_empty()).then(|| {
        End::new(
            "cannot-notify",
            format!(
                "nobody tells of changes of <{}>, and this broker asks nobody from time to time (`standing.poll`)",
                names.join(">, <")
            ),
        )
    })
}

/// The agreements of the sources that did not answer.
pub(super) fn failing(manifest: &Manifest) -> Vec<String> {
    let failed = manifest
        .completeness
        .sources
        .iter()
        .filter(|source| source.status == SourceStatus::Failed);
    failed.filter_map(|source| source.agreement.clone()).collect()
}

/// What has to be the same for a query to be the one that stood.
pub(super) fn asked_for(question: &Question) -> String {
    format!(
        "{:?} {:?} {}",
        question.asked.dataset, question.asker.purpose, question.asked.query
    )
}

/// Waits until the consumer's word has run out.
async fn run_out(broker: &Broker, mut delegation: watch::Receiver<super::Delegation>) {
    loop {
        let expires = delegation.borrow_and_update().expires;
        let passes = async {
            match expires {
                Some(expires) => {
                    // To the moment: owners refuse from then on, and that is not what ended the query.
                    let now = broker.clock.now();
                    let ends = OffsetDateTime::from_unix_timestamp(expires).unwrap_or(now);
                    tokio::time::sleep(Duration::try_from(ends - now).unwrap_or_default()).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passes => return,
            // Whoever holds the sender holds the query.
            Ok(()) = delegation.changed() => {}
        }
    }
}

fn boolean(rows: &[Row]) -> String {
    rows.first().map_or_else(|| "false".to_owned(), |row| row.to_string())
}

fn bindings(rows: &[Row]) -> String {
    let length = rows.iter().map(|row| row.len() + 1).sum::<usize>();
    let mut out = String::with_capacity(length + 16);
    out.push_str("{\"bindings\":[");
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(row);
    }
    out.push_str("]}");
    out
}

/// An object of members that are written out already.
fn json_object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}
