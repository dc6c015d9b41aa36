//! Consent and scoped queries at the size of a large city: look-up, grant and withdrawal, memory, and queries over everybody's
//! storages beside the same queries unscoped, on this engine and on another one in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxigraph::model::{GraphName, NamedNode, Quad, Triple};
use oxigraph::sparql::{QueryResults, SparqlEvaluator};
use oxigraph::store::Store as Peer;
use pod_server::consent::ledger::{ConsentLedger, Wanted};
use pod_server::consent::stored::{self, StoredConsent, notice_hash};
use pod_server::index::{Change, Index, IndexLimits};
use pod_server::name::ResourceName;
use pod_server::query::evaluate::{QueryPlan, Sink, evaluate};
use pod_server::query::parse::parse;
use pod_server::query::{Predicates, QueryLimits, View};
use pod_server::store::{
    CommitError, RecordKind, ResourceId, Sequence, SqliteStore, StorageId, Store, StoreConfig, StoreError, Transaction,
    Warrant, commit,
};
use policies::consent::{ConsentRecord, ConsentStatus, ConsentedData, Notice, Recipients};
use policies::request::WebId;
use serde_json::json;
use server_kit::clock::{Clock, SystemClock};
use server_kit::results::Format;
use sparesults::QueryResultsFormat;
use spareval::CancellationToken;
use time::OffsetDateTime;

use super::BenchError;
use super::report::{Goal, Row, Table};

const BASE: &str = "https://city.example";
const RECIPIENT: &str = "https://company.example/#us";
const PURPOSE: &str = "https://w3id.org/dpv#ResearchAndDevelopment";
const PREFIX: &str = "PREFIX ex: <http://example.org/> ";
/// Triples of each storage's document.
const TRIPLES: usize = 10;
/// Goals: nanoseconds of a look-up, of a grant or withdrawal, bytes in memory, and scoped by unscoped time.
const LOOKUP_NANOS: f64 = 200.0;
const GRANT_NANOS: f64 = 1e6;
const MEMORY_BYTES: u64 = 2_000_000_000;
const SCOPED_BY_UNSCOPED: f64 = 1.3;
/// Look-ups that are timed together.
const LOOKUPS: u32 = 1_000_000;
/// Grants and withdrawals, and how many wait at the same time in the second row.
const GRANTS: usize = 2_000;
const AT_ONCE: usize = 64;

const QUERIES: [(&str, &str); 4] = [
    (
        "averages per street",
        "SELECT ?street (COUNT(*) AS ?n) (AVG(?v) AS ?mean) { ?o ex:street ?street ; ex:value ?v } GROUP BY ?street",
    ),
    (
        "one count over all with a filter",
        "SELECT (COUNT(*) AS ?n) { ?o ex:value ?v FILTER(?v > 50) }",
    ),
    (
        "a join in one street, ordered",
        "SELECT ?o ?v ?at { ?o ex:street ex:street7 ; ex:value ?v ; ex:at ?at } ORDER BY ?at ?o LIMIT 100",
    ),
    (
        "one subject",
        "SELECT ?p ?x { <https://city.example/s77/telraam/d#o1> ?p ?x }",
    ),
];

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Citizens in the ledger of consents.
    pub citizens: u32,
    /// Consents of each.
    pub consents: u32,
    /// Storages with a document and a consent each that queries go over.
    pub storages: u32,
    /// Runs of each query; the median counts.
    pub rounds: usize,
}

/// Measures everything.
///
/// # Errors
/// When a part cannot be set up.
pub async fn measure(size: Size, progress: &mut dyn FnMut(&str)) -> Result<Table, BenchError> {
    // Nothing is let go of in between: memory that one part gave back would be missing from what the other takes.
    let (queried, _kept) = queries(size, progress)?;
    let mut rows = consents(size, progress).await?;
    rows.extend(queried);
    Ok(Table {
        title: "Consents and scoped queries".to_owned(),
        method: format!(
            "{} citizens with {} consents each in one ledger; queries over {} storages with a document of {TRIPLES} triples and \
             one consent each, median of {} runs, one thread. The baseline of a query is the same query over the same index \
             with everything visible; the peer is Oxigraph in memory with the same triples in its default graph, unscoped.",
            size.citizens, size.consents, size.storages, size.rounds
        ),
        ratio_of: "ours / baseline, times and bytes".to_owned(),
        rows,
    })
}

fn record(storage: u32, number: u32, now: OffsetDateTime) -> Result<ConsentRecord, BenchError> {
    let root = format!("{BASE}/s{storage}/");
    let web_id = |text: String| WebId::parse(text).map_err(|error| BenchError::of("a WebID", &error));
    // Given and ending at instants of their own, as people's are.
    let given = time::Duration::seconds(i64::from(storage % 5_000_000) + i64::from(number) * 86_400);
    Ok(ConsentRecord {
        id: format!("{root}.consent/{number}"),
        data_subject: web_id(format!("{root}profile/card#me"))?,
        recipients: Recipients::These(BTreeSet::from([web_id(format!("https://r{number}.example/#us"))?])),
        purposes: BTreeSet::from([PURPOSE.to_owned()]),
        data: ConsentedData {
            containers: BTreeSet::from([format!("{root}telraam/")]),
            datasets: BTreeSet::new(),
            properties: None,
        },
        given_at: Some(now - given - time::Duration::SECOND),
        expires_at: now + given + time::Duration::DAY,
        changed_at: now - given - time::Duration::SECOND,
        status: ConsentStatus::Given,
        notice: Notice {
            language: "nl".to_owned(),
            hash: notice_hash("Mag dit?"),
        },
        storage: root,
        version: 1,
        previous: None,
        process: None,
        act: None,
    })
}

fn wanted(recipient: &str) -> Wanted<'_> {
    Wanted {
        recipient,
        purpose: PURPOSE,
        dataset: "https://city.example/city/.dataspace/datasets/telraam",
        dataset_since: 0,
        container: Some("telraam/"),
        properties: None,
    }
}

async fn consents(size: Size, progress: &mut dyn FnMut(&str)) -> Result<Vec<Row>, BenchError> {
    let now = SystemClock.now();
    let before = resident()?;
    let ledger = Arc::new(ConsentLedger::default());
    for citizen in 0..size.citizens {
        if citizen % 10_000 == 0 {
            progress(&format!("ledger of consents: {citizen} citizens"));
        }
        for number in 0..size.consents {
            ledger.hold(&format!("s{citizen}/{number}"), citizen, &record(citizen, number, now)?)?;
        }
    }
    let held = resident()?.saturating_sub(before);
    progress("look-ups");
    let recipient = format!("https://r{}.example/#us", size.consents / 2);
    let matched = ledger.matched(&wanted(&recipient), now);
    let (mut found, began) = (0_u32, Instant::now());
    for number in 0..LOOKUPS {
        // In no order, so that memory is met as a server meets it.
        let citizen = number.wrapping_mul(2_654_435_761) % size.citizens;
        found += u32::from(ledger.covers(&matched, citizen, now) == Some(true));
    }
    let lookup = nanos(began.elapsed()) / f64::from(LOOKUPS);
    let began = Instant::now();
    let covering = ledger.covering(&wanted(&recipient), now).len();
    let everybody = began.elapsed();
    let all = u64::from(size.citizens) * u64::from(size.consents);
    let mut rows = vec![
        Row {
            case: "one citizen's consent looked up".to_owned(),
            figure: format!("{lookup:.0} ns"),
            baseline: format!("{LOOKUP_NANOS} ns, the goal"),
            ratio: Some(lookup / LOOKUP_NANOS),
            goal: Some(below("< 200 ns", lookup, LOOKUP_NANOS)),
            peer: None,
            note: format!(
                "{found} of {LOOKUPS} covered; the {covering} citizens who consent to a use at once: {everybody:.1?}"
            ),
            runs: json!({ "nanoseconds": lookup, "everybody_nanoseconds": nanos(everybody) }),
        },
        Row {
            case: format!("memory of {all} consents"),
            figure: format!("{} MB", held / 1_000_000),
            baseline: "2 GB, the goal".to_owned(),
            ratio: Some(ratio(held, MEMORY_BYTES)),
            goal: Some(Goal {
                text: "< 2 GB".to_owned(),
                met: held < MEMORY_BYTES,
            }),
            peer: None,
            note: format!("{} bytes each", held / all.max(1)),
            runs: json!({ "bytes": held }),
        },
    ];
    rows.extend(grants(size, &ledger, now, progress).await?);
    Ok(rows)
}

/// Grants and withdrawals through a store that the ledger follows, one after the other and many at once; beside commits of
/// the same bytes that nobody follows.
async fn grants(
    size: Size,
    ledger: &Arc<ConsentLedger>,
    now: OffsetDateTime,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Row>, BenchError> {
    progress("grants and withdrawals");
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(
        StoreConfig::new(folder.path()),
        Arc::new(SystemClock),
    )?);
    let people = u32::try_from(GRANTS).unwrap_or(u32::MAX).min(size.citizens);
    make(&*store, people).await?;
    let mut changes = Vec::new();
    for citizen in 0..people {
        let consent = StoredConsent::new(record(citizen, 0, now)?, "Mag dit?".to_owned(), None);
        let mut withdrawn = consent.clone();
        if let Some(last) = withdrawn.versions.last_mut() {
            last.status = ConsentStatus::Withdrawn;
        }
        changes.push((
            stored::key(&format!("s{citizen}"), "0"),
            if citizen % 2 == 0 { consent } else { withdrawn },
        ));
    }
    let bare = (
        run(&store, RecordKind::Import, &changes, 1).await?,
        run(&store, RecordKind::Import, &changes, AT_ONCE).await?,
    );
    store.listen(Arc::clone(ledger) as _);
    let ours = (
        run(&store, RecordKind::Consent, &changes, 1).await?,
        run(&store, RecordKind::Consent, &changes, AT_ONCE).await?,
    );
    let row = |case: &str, ours: Duration, bare: Duration| {
        let (each, alone) = (nanos(ours) / f64::from(people), nanos(bare) / f64::from(people));
        Row {
            case: case.to_owned(),
            figure: format!("{:.3} ms", each / 1e6),
            baseline: format!("{:.3} ms, a commit of the same bytes that nobody follows", alone / 1e6),
            ratio: Some(each / alone.max(1.0)),
            goal: Some(below("< 1 ms", each, GRANT_NANOS)),
            peer: None,
            note: "durable: each waits for its sync".to_owned(),
            runs: json!({ "nanoseconds": each, "bare_nanoseconds": alone }),
        }
    };
    Ok(vec![
        row("grant or withdrawal, one after the other", ours.0, bare.0),
        row("grant or withdrawal, 64 at once", ours.1, bare.1),
    ])
}

async fn make(store: &dyn Store, people: u32) -> Result<(), BenchError> {
    let work = move |transaction: &mut dyn Transaction| -> Result<(), CommitError<StoreError>> {
        for citizen in 0..people {
            let root =
                ResourceName::parse(&format!("/s{citizen}/")).map_err(|error| StoreError::Misuse(error.to_string()))?;
            transaction.create_storage(&root, "https://owner.example/#me")?;
        }
        Ok(())
    };
    write(store, Box::new(work)).await
}

async fn write(
    store: &dyn Store,
    work: Box<dyn FnOnce(&mut dyn Transaction) -> Result<(), CommitError<StoreError>> + Send>,
) -> Result<(), BenchError> {
    let warrant = Warrant::without_proof("records of a measurement");
    match commit(store, warrant, work).await {
        Ok(_) => Ok(()),
        Err(CommitError::Store(error) | CommitError::Refused(error)) => Err(error.into()),
    }
}

async fn run(
    store: &Arc<dyn Store>,
    kind: RecordKind,
    changes: &[(String, StoredConsent)],
    at_once: usize,
) -> Result<Duration, BenchError> {
    let began = Instant::now();
    for group in changes.chunks(at_once) {
        let writes = group.iter().map(|(key, consent)| async move {
            let bytes = serde_json::to_vec(consent)?;
            let key = key.clone();
            write(
                &**store,
                Box::new(move |transaction| Ok(transaction.record_put(kind, &key, &bytes)?)),
            )
            .await
        });
        for written in futures_util::future::join_all(writes).await {
            written?;
        }
    }
    Ok(began.elapsed())
}

fn triples(storage: u32) -> Result<Vec<Triple>, BenchError> {
    let mut text = String::from("@prefix ex: <http://example.org/> . ");
    for number in 0..2_u32 {
        let (street, value) = (storage % 500, storage.wrapping_mul(2_654_435_761) % 97 + number);
        let minute = storage % 60;
        text.push_str(&format!(
            "<#o{number}> a ex:Observation ; ex:street ex:street{street} ; ex:value {value} ; ex:by <#sensor> ; \
             ex:at \"2026-01-0{}T08:{minute:02}:00Z\"^^<http://www.w3.org/2001/XMLSchema#dateTime> . ",
            number + 1
        ));
    }
    let parser = oxttl::TurtleParser::new()
        .with_base_iri(format!("{BASE}/s{storage}/telraam/d"))
        .map_err(|error| BenchError::of("a document", &error))?;
    parser
        .for_slice(&text)
        .map(|triple| triple.map_err(|error| BenchError::of("a document", &error)))
        .collect()
}

/// The rows, and the stores that were asked.
fn queries(size: Size, progress: &mut dyn FnMut(&str)) -> Result<(Vec<Row>, (Index, Peer)), BenchError> {
    let now = SystemClock.now();
    let (index, ledger) = (Index::new(IndexLimits::default()), ConsentLedger::default());
    let before = resident()?;
    for first in (0..size.storages).step_by(1_000) {
        progress(&format!("index: {first} storages"));
        let last = (first + 1_000).min(size.storages);
        let changes: Result<Vec<Change>, BenchError> = (first..last).map(put).collect();
        index
            .apply(changes?, Sequence(u64::from(last)))
            .map_err(|error| BenchError::of("the index", &error))?;
    }
    let quads = u64::from(size.storages) * TRIPLES as u64;
    let bytes = resident()?.saturating_sub(before) / quads.max(1);
    for storage in 0..size.storages {
        let mut record = record(storage, 0, now)?;
        record.recipients = Recipients::These(BTreeSet::from([
            WebId::parse(RECIPIENT.to_owned()).map_err(|error| BenchError::of("a WebID", &error))?
        ]));
        ledger.hold(&format!("s{storage}/0"), storage, &record)?;
    }
    let before = resident()?;
    progress("the peer's store");
    let peer = peer(size.storages)?;
    let peer_bytes = resident()?.saturating_sub(before) / quads.max(1);
    let snapshot = index.snapshot();
    let everything: roaring::RoaringBitmap = snapshot.current().iter().collect();
    let unscoped = View::new(Arc::clone(&snapshot), &everything, Predicates::default());
    let built = Instant::now();
    let covering = ledger.covering(&wanted(RECIPIENT), now);
    let visible: roaring::RoaringBitmap = everything
        .iter()
        .filter(|document| {
            let document = snapshot.document(pod_server::index::DocumentId(*document));
            let storage = document.and_then(|document| u32::try_from(document.storage.0).ok());
            storage.is_some_and(|storage| covering.contains(storage))
        })
        .collect();
    let hidden = ["http://example.org/by"];
    let scoped = View::new(
        Arc::clone(&snapshot),
        &visible,
        Predicates::from_iris(&snapshot, None::<[&str; 0]>, hidden),
    );
    let built = built.elapsed();
    let mut rows = Vec::new();
    for (name, text) in QUERIES {
        progress(name);
        let text = format!("{PREFIX}{text}");
        let (mut ours, mut base, mut other) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..size.rounds {
            base.push(time(|| ask(&unscoped, &text))?);
            // What a server does for each query: it sees whether the same people consent, and then asks the view it kept.
            ours.push(time(|| {
                let people = ledger.covering(&wanted(RECIPIENT), now);
                if Arc::ptr_eq(&people, &covering) || people == covering {
                    ask(&scoped, &text)
                } else {
                    Err(BenchError("the consents changed".to_owned()))
                }
            })?);
            other.push(time(|| ask_peer(&peer, &text))?);
        }
        let (ours, base, other) = (median(ours), median(base), median(other));
        let by = ours / base.max(1.0);
        rows.push(Row {
            case: format!("{name}, scoped"),
            figure: micros(ours),
            baseline: format!("{} unscoped", micros(base)),
            ratio: Some(by),
            goal: Some(below("≤ 1.3", by, SCOPED_BY_UNSCOPED)),
            peer: Some(format!("{} ({:.2} of it)", micros(other), ours / other.max(1.0))),
            note: format!(
                "{bytes} bytes per quad, the peer {peer_bytes}; the first query after a change of consents also makes the view: {built:.1?}"
            ),
            runs: json!({ "scoped": ours, "unscoped": base, "peer": other, "bytes_per_quad": bytes, "peer_bytes_per_quad": peer_bytes }),
        });
    }
    Ok((rows, (index, peer)))
}

fn put(storage: u32) -> Result<Change, BenchError> {
    let name = format!("/s{storage}/telraam/d");
    Ok(Change::Put {
        resource: ResourceId(i64::from(storage) + 1),
        storage: StorageId(i64::from(storage)),
        version: Sequence(1),
        graph: NamedNode::new(format!("{BASE}{name}")).map_err(|error| BenchError::of("a name", &error))?,
        triples: triples(storage)?,
        name: ResourceName::parse(&name).map_err(|error| BenchError::of("a name", &error))?,
    })
}

fn peer(storages: u32) -> Result<Peer, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::of("the peer's store", error);
    let store = Peer::new().map_err(|error| failed(&error))?;
    for first in (0..storages).step_by(10_000) {
        let mut quads: Vec<Quad> = Vec::new();
        for storage in first..(first + 10_000).min(storages) {
            quads.extend(
                triples(storage)?
                    .into_iter()
                    .map(|triple| triple.in_graph(GraphName::DefaultGraph)),
            );
        }
        let mut loader = store.bulk_loader();
        loader.load_quads(quads).map_err(|error| failed(&error))?;
        loader.commit().map_err(|error| failed(&error))?;
    }
    Ok(store)
}

struct Counted(usize);

impl Sink for Counted {
    fn take(&mut self, piece: Bytes) -> bool {
        self.0 += piece.len();
        true
    }
}

fn ask(view: &View, text: &str) -> Result<u64, BenchError> {
    let limits = QueryLimits::default();
    let parsed = parse(text, BASE, &limits).map_err(|error| BenchError::of("a query", &error))?;
    let plan = QueryPlan::new(parsed, view);
    let format = Format::Rows(QueryResultsFormat::Json).into();
    let mut sink = Counted(0);
    let tally = evaluate(&plan, view, &format, &limits, &CancellationToken::new(), &mut sink);
    Ok(tally.map_err(|error| BenchError::of("a query", &error))?.rows)
}

fn ask_peer(store: &Peer, text: &str) -> Result<u64, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::of("the peer", error);
    let query = SparqlEvaluator::new()
        .parse_query(text)
        .map_err(|error| failed(&error))?;
    let results = query.on_store(store).execute().map_err(|error| failed(&error))?;
    let QueryResults::Solutions(solutions) = results else {
        return Err(BenchError("the peer gives no table".to_owned()));
    };
    let mut writer = sparesults::QueryResultsSerializer::from_format(QueryResultsFormat::Json)
        .serialize_solutions_to_writer(Vec::new(), solutions.variables().to_vec())?;
    let mut rows = 0;
    for solution in solutions {
        writer.serialize(&solution.map_err(|error| failed(&error))?)?;
        rows += 1;
    }
    writer.finish()?;
    Ok(rows)
}

fn time(work: impl FnOnce() -> Result<u64, BenchError>) -> Result<f64, BenchError> {
    let began = Instant::now();
    let rows = work()?;
    if rows == 0 {
        return Err(BenchError("a query of the measurement has no answer".to_owned()));
    }
    Ok(nanos(began.elapsed()))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn below(text: &str, reached: f64, wanted: f64) -> Goal {
    Goal {
        text: text.to_owned(),
        met: reached <= wanted,
    }
}

fn micros(nanos: f64) -> String {
    if nanos < 1e6 {
        format!("{:.1} µs", nanos / 1e3)
    } else {
        format!("{:.1} ms", nanos / 1e6)
    }
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of minutes at most
fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

#[allow(clippy::cast_precision_loss)] // bytes of one machine
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<u64, BenchError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes
        .map(|kibibytes| kibibytes * 1_024)
        .ok_or_else(|| BenchError("the memory of this process cannot be read".to_owned()))
}
