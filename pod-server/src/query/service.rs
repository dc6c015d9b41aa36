//! The SPARQL endpoints: from an authenticated request to a streamed answer.
//!
//! Order matters: what is malformed is told first, then what is not allowed, and the index is read only with a proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use policies::decision::ReasonCode;
use policies::request::Subject;
use server_kit::authn::Credentials;
use server_kit::body::{self, Body, ReadLimits, Reader};
use server_kit::clock::Clock;
use server_kit::problem::Problem;
use server_kit::results::{Notes, negotiate, offers};
use sha2::{Digest, Sha256};
use spareval::CancellationToken;
use tokio::sync::{oneshot, watch};

use super::changes::{Feed, FeedParts};
use super::evaluate::{EvaluationFailure, QueryPlan, Sink, Writing, evaluate, grouping};
use super::limits::QueryLimits;
use super::named::predicates;
use super::parse::{ParsedQuery, parse, with_protocol_dataset};
use super::pool::Pool;
use super::problems;
use super::request::SparqlRequest;
use super::steps::departure;
use super::table::{Table, Tabulation};
use super::view::View;
use crate::authz::Authorized;
use crate::authz::scope::{Admission, AnswerTerms, Asked, Refusal, Scope, ScopedView};
use crate::dataspace::Call;
use crate::dataspace::edge::Answer;
use crate::error::Error;
use crate::index::Index;
use crate::index::follow::Follower;
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{Change, CommitListener, Event, ReadPermit, RecordKind, Snapshot, Store};

/// Seconds beyond which a decision is not waited for, when it never ends by itself.
const FAR_AWAY: Duration = Duration::from_secs(365 * 86_400);

/// The SPARQL endpoints of one server.
pub struct QueryService {
    index: Arc<Index>,
    scope: Arc<Scope>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    origins: Origins,
    limits: Arc<QueryLimits>,
    pool: Pool,
    revocations: watch::Receiver<u64>,
    feed: Feed,
}

/// What the service stands on.
pub struct QueryParts {
    /// The index; [`QueryService::follow`] keeps it up to date.
    pub index: Arc<Index>,
    /// Decides what queries may see.
    pub scope: Arc<Scope>,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where the resources of the server are.
    pub origins: Origins,
    /// Bounds.
    pub limits: QueryLimits,
}

/// Counts commits that may take access away.
struct Revocations(watch::Sender<u64>);

impl CommitListener for Revocations {
    fn committed(&self, _: &dyn Snapshot, events: &[Event]) {
        let concerns = |event: &Event| match &event.change {
            Change::Created { name, .. } | Change::Updated { name, .. } | Change::Deleted { name, .. } => {
                name.as_str().ends_with(Auxiliary::Acl.suffix())
            }
            Change::Record { kind, .. } => {
                matches!(
                    kind,
                    RecordKind::Consent | RecordKind::Agreement | RecordKind::Dataset | RecordKind::Statement
                )
            }
        };
        if events.iter().any(concerns) {
            self.0.send_modify(|count| *count += 1);
        }
    }
}

impl QueryService {
    /// The endpoints. Starts the evaluating threads; answers 503 until [`QueryService::follow`] has built the index.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(parts: QueryParts) -> std::io::Result<Self> {
        let (sender, revocations) = watch::channel(0);
        parts.store.listen(Arc::new(Revocations(sender)));
        let limits = Arc::new(parts.limits);
        let feed = Feed::new(FeedParts {
            scope: Arc::clone(&parts.scope),
            store: &*parts.store,
            clock: Arc::clone(&parts.clock),
            limits: Arc::clone(&limits),
            revocations: revocations.clone(),
        });
        Ok(Self {
            pool: Pool::start(limits.concurrent_max, limits.waiting_max)?,
            index: parts.index,
            scope: parts.scope,
            store: parts.store,
            clock: parts.clock,
            origins: parts.origins,
            limits,
            revocations,
            feed,
        })
    }

    /// Builds the index and keeps it up to date until `stop`. Call it inside a runtime, once.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn follow(&self, stop: watch::Receiver<bool>) -> std::io::Result<std::thread::JoinHandle<()>> {
        self.feed.end_with(stop.clone());
        let follower = Follower::new(Arc::clone(&self.index), Arc::clone(&self.store), self.origins.clone());
        follower.spawn(stop)
    }

    /// Answers a call for the changes under an agreement, of the storage with this name.
    ///
    /// # Errors
    /// The problem to tell the caller.
    pub async fn changes(&self, call: &Call, storage: &str, agreement: String) -> Answer {
        self.feed.respond(call, storage, agreement).await
    }

    /// How many listen to changes under agreements now.
    #[must_use]
    pub fn listening(&self) -> usize {
        self.feed.listening()
    }

    /// Decides what queries may see.
    #[must_use]
    pub const fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// The index.
    #[must_use]
    pub const fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Answers a query. `storage` is the root of the storage whose endpoint was asked, none for the server's.
    ///
    /// # Errors
    /// [`Error::Problem`] with what the caller should know.
    pub async fn handle<B>(
        &self,
        request: Request<B>,
        credentials: Credentials,
        origin: Option<String>,
        storage: Option<ResourceName>,
    ) -> Result<Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if *request.method() == Method::OPTIONS {
            return Ok(options());
        }
        if let Some(root) = &storage
            && !self.is_storage(root)?
        {
            return Err(Error::NotFound);
        }
        let (parts, incoming) = request.into_parts();
        let reading = ReadLimits {
            // A form may need three bytes for one.
            body_bytes_max: self.limits.query_bytes_max as u64 * 3 + 65_536,
            ..ReadLimits::default()
        };
        let bytes = Reader::new(incoming, reading)?.all().await?;
        let text_of = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let asked = SparqlRequest::read(&parts.method, parts.uri.query(), text_of(header::CONTENT_TYPE), &bytes)
            .map_err(|rejection| problems::of_request(&rejection))?;
        let parsed = self.parse(&asked, storage.as_ref()).await?;
        let offered = offers(&parsed.query);
        let Some((media_type, format)) = negotiate(&parts.headers, offered) else {
            return Err(problems::not_acceptable(offered).into());
        };
        let asked = Asked {
            subject: Subject {
                agent: credentials.agent,
                client: credentials.client,
                issuer: credentials.issuer,
                origin,
            },
            grant: credentials.grant,
            agreement: asked.agreement,
            purpose: asked.purpose,
            storage,
            query_hash: hex::encode(Sha256::digest(asked.query.as_bytes())),
            predicates: predicates(&parsed.query).into_iter().collect(),
        };
        // From before the decision on, so that nothing that ends while the query waits goes unnoticed (T87).
        let mut revocations = self.revocations.clone();
        revocations.mark_unchanged();
        let admission = Admitting {
            service: self,
            parsed: &parsed,
            aggregates: AtomicBool::new(false),
        };
        let began = Instant::now();
        let answered = async {
            let proof = self.scope.authorize(&asked, &admission).await?;
            let terms = proof.operation().terms().cloned();
            let writing = Writing {
                format,
                notes: notes(terms.as_deref()),
            };
            let body = self
                .answer(proof, asked.clone(), parsed.clone(), writing, revocations)
                .await?;
            Ok::<_, Problem>((body, terms))
        };
        let answered = answered.await;
        if admission.aggregates.load(Ordering::Relaxed) {
            let first = Duration::from_millis(self.limits.padding_ms);
            let last = Duration::from_millis(self.limits.time_ms_max);
            let leaves = departure(began.elapsed(), first, last);
            tokio::time::sleep(leaves.saturating_sub(began.elapsed())).await;
        }
        let (body, terms) = answered?;
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        headers.insert(
            header::VARY,
            HeaderValue::from_static("Accept, Authorization, DPoP, Delegation, Origin"),
        );
        for link in terms.iter().flat_map(|terms| terms.links()) {
            headers.append(header::LINK, link.clone());
        }
        Ok(response)
    }

    fn is_storage(&self, root: &ResourceName) -> Result<bool, Error> {
        let permit = ReadPermit::without_proof("an endpoint belongs to a storage that exists");
        Ok(self.store.snapshot(permit)?.storage(root)?.is_some())
    }

    async fn parse(&self, asked: &SparqlRequest, storage: Option<&ResourceName>) -> Result<ParsedQuery, Problem> {
        let root = storage.map_or("/", ResourceName::as_str);
        let base = self.origins.place(root);
        let (text, limits) = (asked.query.clone(), Arc::clone(&self.limits));
        let (defaults, named) = (asked.default_graphs.clone(), asked.named_graphs.clone());
        let job = move || {
            let parsed = parse(&text, &base, &limits)?;
            with_protocol_dataset(parsed, &defaults, &named)
        };
        match self.pool.value(job).await {
            Ok(Some(parsed)) => parsed.map_err(|rejection| problems::of_rejection(&rejection)),
            Ok(None) => Err(Problem::internal()),
            Err(_) => Err(problems::busy()),
        }
    }

    /// Evaluates with a proof. Returns when the first bytes are there, or the reason why there are none.
    async fn answer(
        &self,
        proof: Authorized<ScopedView>,
        asked: Asked,
        parsed: ParsedQuery,
        writing: Writing,
        revocations: watch::Receiver<u64>,
    ) -> Result<Body, Problem> {
        let token = CancellationToken::new();
        // Dropped when the caller hangs up before the first byte.
        let mut waiting = Waiting(Some(token.clone()));
        let (sender, body) = body::channel(self.limits.chunks_waiting_max);
        let (started, head) = oneshot::channel();
        let job = Job {
            proof,
            asked,
            parsed,
            writing,
            token,
            limits: Arc::clone(&self.limits),
            scope: Arc::clone(&self.scope),
            revocations,
            clock: Arc::clone(&self.clock),
            queued: Instant::now(),
            runtime: tokio::runtime::Handle::current(),
        };
        let out = Out {
            runtime: tokio::runtime::Handle::current(),
            sender,
            started: Some(started),
        };
        self.pool.run(move || job.run(out)).map_err(|_| problems::busy())?;
        let head = head.await;
        waiting.0 = None;
        match head {
            Ok(Ok(())) => Ok(body),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Err(Problem::internal()),
        }
    }
}

/// What a query says to its view before it is recorded.
struct Admitting<'a> {
    service: &'a QueryService,
    parsed: &'a ParsedQuery,
    /// Whether only aggregates may leave.
    aggregates: AtomicBool,
}

impl Admission for Admitting<'_> {
    fn admissible(&self, scoped: &ScopedView) -> Result<(), Refusal> {
        let Some(subjects_min) = scoped.subjects_min() else {
            return Ok(());
        };
        self.aggregates.store(true, Ordering::Relaxed);
        grouping(self.parsed, subjects_min).map(drop).map_err(|rejection| {
            Refusal::recorded(
                problems::of_aggregate(&rejection),
                vec![ReasonCode::ActionNotPermitted],
                String::new(),
            )
        })
    }

    fn table<'a>(&'a self, view: Arc<View>, how: Tabulation) -> BoxFuture<'a, Result<Table, Refusal>> {
        Box::pin(self.service.table(self.parsed, view, how))
    }
}

impl QueryService {
    /// The groups of a query, on a thread of the pool.
    async fn table(&self, parsed: &ParsedQuery, view: Arc<View>, how: Tabulation) -> Result<Table, Refusal> {
        let grouping = grouping(parsed, how.subjects_min).map_err(|rejection| {
            let problem = problems::of_aggregate(&rejection);
            Refusal::recorded(problem, vec![ReasonCode::ActionNotPermitted], String::new())
        })?;
        let token = CancellationToken::new();
        // Dropped when the caller hangs up, or when the time is over.
        let mut waiting = Waiting(Some(token.clone()));
        let limits = Arc::clone(&self.limits);
        let job = move || Table::compute(grouping, &view, &how, &limits, &token);
        let time = Duration::from_millis(self.limits.time_ms_max);
        let computed = tokio::time::timeout(time, self.pool.value(job)).await;
        let busy = || Refusal::unrecorded(problems::busy());
        let failure = match computed {
            Err(_) => EvaluationFailure::Stopped,
            Ok(Err(_)) => return Err(busy()),
            Ok(Ok(None)) => return Err(Refusal::unrecorded(Problem::internal())),
            Ok(Ok(Some(Err(failure)))) => failure,
            Ok(Ok(Some(Ok(table)))) => {
                waiting.0 = None;
                return Ok(table);
            }
        };
        Err(Refusal::recorded(
            problems::of_aggregate_failure(&failure),
            vec![ReasonCode::FactUnavailable],
            String::new(),
        ))
    }
}

/// What binds the use of an answer, for a file that outlives the header fields it came with.
fn notes(terms: Option<&AnswerTerms>) -> Notes {
    let mut notes = Notes::default();
    if let Some(terms) = terms {
        let links = terms.links().iter().filter_map(|link| link.to_str().ok());
        notes.entries.insert("terms".to_owned(), links.collect());
    }
    notes
}

fn options() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, OPTIONS"));
    response
}

/// Cancels an evaluation when its request is dropped.
struct Waiting(Option<CancellationToken>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            token.cancel();
        }
    }
}

/// One evaluation on a thread of the pool.
struct Job {
    proof: Authorized<ScopedView>,
    asked: Asked,
    parsed: ParsedQuery,
    writing: Writing,
    token: CancellationToken,
    limits: Arc<QueryLimits>,
    scope: Arc<Scope>,
    revocations: watch::Receiver<u64>,
    clock: Arc<dyn Clock>,
    queued: Instant,
    runtime: tokio::runtime::Handle,
}

impl Job {
    fn run(self, mut out: Out) {
        if self.queued.elapsed() > Duration::from_millis(self.limits.queue_ms_max) {
            return out.fail(problems::busy());
        }
        let began = Instant::now();
        let scoped = self.proof.operation().clone();
        let mut revocations = self.revocations;
        if revocations.has_changed().unwrap_or(true) {
            revocations.mark_unchanged();
            let lasts = self.scope.still_covers(&self.asked, &scoped);
            if !self.runtime.block_on(lasts) {
                return out.fail(problems::ended());
            }
        }
        let plan = match (scoped.leaving(), scoped.subjects_min()) {
            (Some(query), _) => QueryPlan::over_groups((**query).clone()),
            (None, None) => QueryPlan::new(self.parsed, scoped.view()),
            (None, Some(_)) => return out.fail(Problem::internal()),
        };
        let decided = scoped.valid_until().map_or(FAR_AWAY, |until| {
            Duration::try_from(until - self.clock.now()).unwrap_or(Duration::ZERO)
        });
        let time = Duration::from_millis(self.limits.time_ms_max).min(decided);
        let token = self.token.clone();
        let (scope, asked, watched) = (self.scope, self.asked, scoped.clone());
        let watcher = self.runtime.spawn(async move {
            let revoked = async {
                loop {
                    if revocations.changed().await.is_err() {
                        return std::future::pending().await;
                    }
                    if !scope.still_covers(&asked, &watched).await {
                        return;
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = revoked => tracing::info!("an answer was broken off because its right to the data ended"),
            }
            token.cancel();
        });
        let result = evaluate(&plan, scoped.view(), &self.writing, &self.limits, &self.token, &mut out);
        watcher.abort();
        metrics::histogram!("query_seconds").record(began.elapsed().as_secs_f64());
        match result {
            Ok(tally) => {
                tracing::debug!(rows = tally.rows, scanned = tally.scanned, "a query was answered");
                out.finish();
            }
            Err(EvaluationFailure::HungUp) => {}
            Err(failure) => out.fail(problems::of_failure(&failure, &self.limits)),
        }
    }
}

/// The body of an answer, from the evaluating thread.
struct Out {
    runtime: tokio::runtime::Handle,
    sender: body::Sender,
    started: Option<oneshot::Sender<Result<(), Problem>>>,
}

impl Out {
    /// Nothing more comes; all is well.
    fn finish(mut self) {
        if let Some(started) = self.started.take() {
            let _ = started.send(Ok(()));
        }
    }

    /// Tells a failure as a problem if nothing was sent, and breaks the body off otherwise.
    fn fail(self, problem: Problem) {
        match self.started {
            // The receiver is gone when the caller hung up.
            Some(started) => drop(started.send(Err(problem))),
            None => self.sender.abort(std::io::Error::other(problem.title.into_owned())),
        }
    }
}

impl Sink for Out {
    fn take(&mut self, piece: Bytes) -> bool {
        if let Some(started) = self.started.take()
            && started.send(Ok(())).is_err()
        {
            return false;
        }
        self.runtime.block_on(self.sender.send(piece)).is_ok()
    }
}
