//! Reading a member's RDF documents into memory: each within its bounds, all within those of the member, nothing hidden forced
//! open, and nothing ever written to a disk.

use super::At;
use super::page::{self, Page};
use super::replica::{Account, Replica};
use super::terms::Grant;
use crate::exec::gate::{Room, Told};
use crate::fetch::{FetchError, Stream, SubRequest};
use crate::source::authority;
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
};
use http::header::{LAST_MODIFIED, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use oxrdf::Quad;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// Bounds on reading one member's documents for one query.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentLimits {
    /// Most documents, containers and pages asked for.
    pub documents_max: u64,
    /// Deepest container below the root.
    pub depth_max: usize,
    /// Most bytes of one document.
    pub document_bytes_max: u64,
    /// Longest time of one document, milliseconds.
    pub document_ms_max: u64,
    /// Most bytes of all documents together.
    pub bytes_max: u64,
    /// Longest time for all of them, milliseconds.
    pub ms_max: u64,
    /// Most triples of all of them.
    pub triples_max: u64,
    /// Most triples that are remembered between queries, of one member whose owner grants a copy.
    pub kept_triples_max: u64,
    /// How long a copy of a stream is used without looking for what is new, milliseconds.
    pub replica_ms: u64,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            documents_max: 500,
            depth_max: 8,
            document_bytes_max: 8 * 1024 * 1024,
            document_ms_max: 5_000,
            bytes_max: 64 * 1024 * 1024,
            ms_max: 10_000,
            triples_max: 500_000,
            kept_triples_max: 100_000,
            replica_ms: 10_000,
        }
    }
}

/// Most redirects of one document, all within its origin.
const REDIRECTS_MAX: usize = 3;
/// Most documents that are named when they could not be read; further ones are counted.
const NAMED_MAX: usize = 5;
/// Most things that are noted of one reading: a document can give occasion for hundreds of thousands.
const WORDS_MAX: usize = 20;
/// Most answers about patterns that are remembered of one member.
const ASKED_MAX: usize = 4_096;
/// Turtle and its kin first; JSON-LD where there is nothing else.
const ACCEPTED: &str = "text/turtle, application/n-triples;q=0.9, application/trig;q=0.9, application/n-quads;q=0.9, application/ld+json;q=0.5";

/// What is remembered of a member between queries. In memory only.
#[derive(Debug, Default)]
pub struct Kept {
    documents: Mutex<HashMap<String, Arc<Document>>>,
    replica: Mutex<Option<LastReplica>>,
    asked: Mutex<HashMap<String, (bool, Instant)>>,
}

#[derive(Debug)]
struct LastReplica {
    of: Vec<Arc<Document>>,
    replica: Arc<Replica>,
    whole_at: Option<Instant>,
}

impl Kept {
    /// The member's last answer to a question about a pattern, if it is not older than `age`.
    pub(super) fn answered(&self, question: &str, age: Duration) -> Option<bool> {
        let asked = self.asked.lock();
        asked
            .get(question)
            .filter(|(_, at)| at.elapsed() < age)
            .map(|(answer, _)| *answer)
    }

    /// Remembers an answer.
    pub(super) fn remember(&self, question: String, answer: bool) {
        let mut asked = self.asked.lock();
        if asked.len() >= ASKED_MAX {
            asked.clear();
        }
        asked.insert(question, (answer, Instant::now()));
    }

    /// The last copy, if it was whole and is not older than `age`.
    pub(super) fn recent(&self, age: Duration) -> Option<Arc<Replica>> {
        let last = self.replica.lock();
        let last = last.as_ref()?;
        last.whole_at
            .is_some_and(|at| at.elapsed() < age)
            .then(|| Arc::clone(&last.replica))
    }
}

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    /// Where it was asked for.
    pub(super) url: String,
    /// What it says; blank nodes are named apart from those of all other documents.
    pub(super) quads: Vec<Quad>,
    validators: [Option<HeaderValue>; 2],
    fresh_until: Option<Instant>,
    may_be_kept: bool,
    room: Room,
}

/// What became of one document.
pub(super) enum Outcome {
    /// It was read, or is as it was.
    Read(Arc<Document>),
    /// Not there, or not for everybody: what its owner does not show is not missed.
    Hidden(u16),
    /// No RDF.
    Other,
    /// It should be there and could not be read.
    Failed(FetchError),
    /// A bound of the whole reading is reached.
    Over,
}

/// Reading one member for one query.
pub(super) struct Reading<'a> {
    pub(super) at: At<'a>,
    limits: &'a DocumentLimits,
    kept: &'a Kept,
    keeps: bool,
    began: Instant,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    account: Account,
    triples: u64,
    failed: usize,
    read: BTreeMap<String, Arc<Document>>,
}

impl<'a> Reading<'a> {
    /// Begins; `None` for members that have no documents.
    pub(super) fn begin(at: At<'a>) -> Option<Self> {
        let foreign = at.source.foreign.as_ref()?;
        let terms = foreign.registration.terms.as_ref();
        Some(Self {
            at,
            limits: &at.session.limits.documents,
            kept: &foreign.kept,
            keeps: terms.is_some_and(|terms| terms.grants(Grant::Replicate)),
            began: Instant::now(),
            tally: Mutex::default(),
        })
    }

    /// Notes something that people should know about the answer.
    pub(super) fn note(&self, words: String) {
        let mut tally = self.tally.lock();
        if tally.account.notes.len() < WORDS_MAX && !tally.account.notes.contains(&words) {
            tally.account.notes.push(words);
        }
    }

    /// Notes that something is missing.
    pub(super) fn miss(&self, words: String) {
        let mut tally = self.tally.lock();
        if tally.account.missing.len() < WORDS_MAX && !tally.account.missing.contains(&words) {
            tally.account.missing.push(words);
        }
    }

    /// Notes that a document is missing.
    pub(super) fn unread(&self, url: &str, error: &FetchError) {
        let mut tally = self.tally.lock();
        tally.failed += 1;
        if tally.failed <= NAMED_MAX {
            let shown: String = url.chars().take(200).collect();
            tally
                .account
                .missing
                .push(format!("<{shown}> could not be read: {error}"));
        }
    }

    /// Reads one document.
    pub(super) async fn read(&self, url: &str) -> Outcome {
        if let Some(known) = self.known(url)
            && known.fresh_until.is_some_and(|until| Instant::now() < until)
        {
            return self.count(known);
        }
        let left = match self.admit() {
            Ok(left) => left,
            Err(words) => {
                self.miss(words);
                return Outcome::Over;
            }
        };
        let time_max = left.min(Duration::from_millis(self.limits.document_ms_max));
        match tokio::time::timeout(time_max, self.exchange(url, time_max)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Failed(error),
            Err(_) if time_max == left => {
                self.miss(self.too_slow());
                Outcome::Over
            }
            Err(_) => Outcome::Failed(FetchError::TimedOut(self.limits.document_ms_max)),
        }
    }

    fn too_slow(&self) -> String {
        format!("its documents take longer than {} ms", self.limits.ms_max)
    }

    /// Takes one request out of the bounds, and says how long it may take.
    fn admit(&self) -> Result<Duration, String> {
        let mut tally = self.tally.lock();
        if tally.account.requests >= self.limits.documents_max {
            return Err(format!("it has more than {} documents", self.limits.documents_max));
        }
        if tally.account.bytes > self.limits.bytes_max {
            return Err(format!("its documents have more than {} bytes", self.limits.bytes_max));
        }
        if tally.triples > self.limits.triples_max {
            return Err(format!(
                "its documents have more than {} triples",
                self.limits.triples_max
            ));
        }
        let left = Duration::from_millis(self.limits.ms_max).saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return Err(self.too_slow());
        }
        tally.account.requests += 1;
        Ok(left)
    }

    fn known(&self, url: &str) -> Option<Arc<Document>> {
        self.kept.documents.lock().get(url).cloned()
    }

    /// Counts a document in, unless there is no more room for it.
    fn count(&self, document: Arc<Document>) -> Outcome {
        let mut tally = self.tally.lock();
        tally.triples += document.quads.len() as u64;
        if tally.triples > self.limits.triples_max {
            drop(tally);
            self.miss(format!(
                "its documents have more than {} triples",
                self.limits.triples_max
            ));
            return Outcome::Over;
        }
        tally.read.insert(document.url.clone(), Arc::clone(&document));
        Outcome::Read(document)
    }

    async fn exchange(&self, url: &str, time_max: Duration) -> Result<Outcome, FetchError> {
        let gate = self.at.session.gate;
        let passage = Told::new(gate, gate.pass(&self.at.source.member).await?);
        let result = self.follow(url, time_max).await;
        passage.tell(result.as_ref().map(|_| ()));
        result
    }

    /// Asks, and follows redirects within the origin.
    async fn follow(&self, asked: &str, time_max: Duration) -> Result<Outcome, FetchError> {
        let known = self.known(asked);
        let mut url = asked.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let request = self.request(&url, known.as_deref(), time_max);
            let (status, headers, body) = super::sparql::send_safely(self.at.session.transport, request).await?;
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                url = redirected(&url, &headers)?;
                continue;
            }
            return match (status, known) {
                (StatusCode::NOT_MODIFIED, Some(known)) => {
                    self.tally.lock().account.revalidated += 1;
                    Ok(self.count(known))
                }
                (StatusCode::OK, _) => self.receive(asked, &url, &headers, body).await,
                (StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE, _) => Ok(Outcome::Other),
                (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
                    Ok(Outcome::Hidden(status.as_u16()))
                }
                (status, _) => Err(crate::fetch::refusal(status, body).await),
            };
        }
        Err(FetchError::Broken(format!(
            "it redirects more than {REDIRECTS_MAX} times"
        )))
    }

    fn request(&self, url: &str, known: Option<&Document>, time_max: Duration) -> SubRequest {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        let conditions = [IF_NONE_MATCH, IF_MODIFIED_SINCE];
        let validators = known.map(|document| &document.validators).into_iter().flatten();
        let first = conditions
            .into_iter()
            .zip(validators)
            .find_map(|(name, value): (HeaderName, _)| value.clone().map(|value| (name, value)));
        if let Some((name, value)) = first {
            headers.insert(name, value);
        }
        SubRequest {
            method: Method::GET,
            url: url.to_owned(),
            headers,
            body: Bytes::new(),
            time_max,
            bytes_max: self.limits.document_bytes_max,
        }
    }

    async fn receive(&self, asked: &str, url: &str, headers: &HeaderMap, body: Stream) -> Result<Outcome, FetchError> {
        let media_type = text(headers, &CONTENT_TYPE).unwrap_or_default();
        let Some(format) = page::format_of(media_type) else {
            return Ok(Outcome::Other);
        };
        let body = self.collect(body).await?;
        let most = self.limits.triples_max;
        let base = url.to_owned();
        let quads = tokio::task::spawn_blocking(move || page::parse(&body, format, &base, most))
            .await
            .map_err(|_| FetchError::Broken("the parser stopped".to_owned()))??;
        let Some(room) = self.at.session.gate.room(quads.len()) else {
            self.miss("the broker has no room for more of its triples now".to_owned());
            return Ok(Outcome::Over);
        };
        let cache = text(headers, &CACHE_CONTROL).unwrap_or_default().to_ascii_lowercase();
        let document = Document {
            url: asked.to_owned(),
            quads,
            validators: [headers.get(ETAG).cloned(), headers.get(LAST_MODIFIED).cloned()],
            fresh_until: unchanging_until(&cache),
            may_be_kept: !cache.contains("no-store"),
            room,
        };
        Ok(self.count(Arc::new(document)))
    }

    async fn collect(&self, mut body: Stream) -> Result<Vec<u8>, FetchError> {
        let most = self.limits.document_bytes_max;
        let mut collected = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| crate::fetch::parse::broken_off(&error, most))?;
            let Ok(chunk) = frame.into_data() else { continue };
            collected.extend_from_slice(&chunk);
            if collected.len() as u64 > most {
                return Err(FetchError::TooManyBytes(most));
            }
            let mut tally = self.tally.lock();
            tally.account.bytes += chunk.len() as u64;
            if tally.account.bytes > self.limits.bytes_max {
                return Err(FetchError::TooManyBytes(self.limits.bytes_max));
            }
        }
        Ok(collected)
    }

    /// Makes the data to query out of what was read; the last one again when nothing has changed.
    pub(super) async fn finish(
        self,
        pages: Vec<Arc<Document>>,
        select: impl FnOnce(&[Arc<Document>]) -> Page + Send + 'static,
    ) -> Result<Arc<Replica>, FetchError> {
        let Tally {
            mut account,
            failed,
            read,
            ..
        } = self.tally.into_inner();
        if failed > NAMED_MAX {
            let more = failed - NAMED_MAX;
            account.missing.push(format!("{more} more documents could not be read"));
        }
        account.documents = pages.len();
        account.ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let whole_at = account.missing.is_empty().then_some(self.began);
        if let Some(last) = self.kept.replica.lock().as_mut()
            && same(&last.of, &pages)
        {
            last.replica = Arc::new(last.replica.read_again(account));
            last.whole_at = whole_at;
            return Ok(Arc::clone(&last.replica));
        }
        let of = pages.clone();
        let rooms = pages.iter().map(|page| Arc::clone(&page.room)).collect();
        let replica = tokio::task::spawn_blocking(move || Replica::new(select(&pages), account, rooms))
            .await
            .map_err(|_| FetchError::Broken("its documents could not be put together".to_owned()))?;
        let replica = Arc::new(replica);
        if self.keeps && self.at.session.gate.has_room_to_spare() {
            self.kept.keep(
                read,
                self.limits.kept_triples_max,
                LastReplica {
                    of,
                    replica: Arc::clone(&replica),
                    whole_at,
                },
            );
        }
        Ok(replica)
    }
}

impl Kept {
    /// Remembers what was read last, and nothing older; a member with more than may be remembered is read anew each time.
    fn keep(&self, read: BTreeMap<String, Arc<Document>>, triples_max: u64, last: LastReplica) {
        let triples: u64 = read.values().map(|document| document.quads.len() as u64).sum();
        let fits = triples <= triples_max && read.values().all(|document| document.may_be_kept);
        let mut documents = self.documents.lock();
        documents.clear();
        *self.replica.lock() = None;
        if fits {
            documents.extend(read);
            *self.replica.lock() = Some(last);
        }
    }
}

fn same(one: &[Arc<Document>], other: &[Arc<Document>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Until when a document may be used without asking: only what its server calls unchanging.
fn unchanging_until(cache_control: &str) -> Option<Instant> {
    let directives = || cache_control.split(',').map(str::trim);
    if !directives().any(|directive| directive == "immutable") {
        return None;
    }
    let age = directives().find_map(|directive| directive.strip_prefix("max-age="))?;
    Instant::now().checked_add(Duration::from_secs(age.parse::<u32>().ok()?.into()))
}

/// Where a redirect leads, if that is within the origin.
fn redirected(from: &str, headers: &HeaderMap) -> Result<String, FetchError> {
    let elsewhere = || FetchError::Broken("it redirects to another place".to_owned());
    let target = text(headers, &LOCATION).ok_or_else(elsewhere)?;
    let target = Url::parse(from)
        .ok()
        .and_then(|url| url.join(target).ok())
        .ok_or_else(elsewhere)?;
    let target: String = target.into();
    if authority(&target) == authority(from) {
        Ok(target)
    } else {
        Err(elsewhere())
    }
}
