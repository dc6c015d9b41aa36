//! What is kept of the numbers that consumers were given where only aggregates leave (ENF-12, T90, T95).
//!
//! One ledger for each consumer and dataset, whatever the agreements between them: its numbers are written in the commit
//! that records the query, before anything leaves, and count for every later query. Besides, a ledger knows whose data
//! its answers are over. Somebody who joins is left out until so many have joined or left that no difference could be
//! theirs alone: an answer stays the same until then. Somebody who leaves is left out at once, and answers that would
//! tell the difference are withheld.

use std::sync::Arc;

use http::StatusCode;
use policies::decision::ReasonCode;
use quick_cache::sync::Cache;
use roaring::RoaringBitmap;
use server_kit::problem::Problem;
use sha2::{Digest, Sha256};

use super::turns::Turns;
use super::{Aggregates, Asked, Considered, Refusal, Scope, ScopedView, unrecorded};
use crate::authz::Authorized;
use crate::dataspace::agreement::Agreement;
use crate::query::answers::{Answers, AnswersLimits, Release, Withheld};
use crate::query::sketch::{Number, Sketch};
use crate::query::table::Table;
use crate::store::{RecordKind, Snapshot, StoreError, Transaction};

/// Ledgers that are kept in memory.
const LEDGERS_MAX: usize = 4;
/// Records read at a time.
const BATCH: usize = 100;
/// Key of the record that says whose data answers are over, below the name of a ledger.
const ADMITTED: &str = "admitted";
/// What comes before the number of what was asked for and withheld, below the name of a ledger.
const WITHHELD: &str = "withheld/";
const DAY_SECONDS: i64 = 86_400;

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
pub struct AggregateLimits {
    /// Whether numbers are weighed against those given before.
    pub compared: bool,
    /// Bounds of one ledger.
    pub answers: AnswersLimits,
    /// Days after which it is forgotten that a number was given; 0 for never.
    pub days: u32,
}

/// The ledger of a consumer and a dataset: the first part of the keys of its records.
pub(super) fn ledger_name(agreement: &Agreement, dataset: &str) -> String {
    let short = |text: &str| hex::encode(Sha256::digest(text)).chars().take(32).collect::<String>();
    let storage = agreement.storage.trim_matches('/');
    format!("{storage}/{}/{}/", short(dataset), short(&agreement.assignee))
}

/// Ledgers in memory, and whose turn it is.
pub(super) struct Answered {
    kept: Cache<String, Arc<Ledger>>,
    turns: Turns,
}

impl Default for Answered {
    fn default() -> Self {
        Self {
            kept: Cache::new(LEDGERS_MAX),
            turns: Turns::default(),
        }
    }
}

/// A ledger as it is stored.
#[derive(Debug)]
struct Ledger {
    /// When the oldest of its numbers was given or withheld, in Unix seconds.
    oldest: i64,
    /// Number of the next record.
    next: u64,
    /// Keys of numbers that are forgotten and still stored.
    forgotten: Vec<String>,
    answers: Answers,
}

impl Ledger {
    fn load(snapshot: &dyn Snapshot, name: &str, since: i64) -> Result<Self, StoreError> {
        let damaged = |key: &str| StoreError::Damaged(format!("the record of numbers given `{key}` cannot be read"));
        let mut ledger = Self {
            oldest: i64::MAX,
            next: 0,
            forgotten: Vec::new(),
            answers: Answers::default(),
        };
        let mut after: Option<String> = None;
        loop {
            let batch = snapshot.records(RecordKind::Answer, name, after.as_deref(), BATCH)?;
            let last = batch.len() < BATCH;
            for (key, bytes) in batch {
                let below = key.strip_prefix(name).unwrap_or_default();
                if below != ADMITTED {
                    ledger.read(below, &bytes, since, &key).ok_or_else(|| damaged(&key))?;
                }
                after = Some(key);
            }
            if last {
                break;
            }
        }
        Ok(ledger)
    }

    /// Takes a record; none when it cannot be read.
    fn read(&mut self, below: &str, bytes: &[u8], since: i64, key: &str) -> Option<()> {
        let withheld = below.strip_prefix(WITHHELD);
        let number: u64 = withheld.unwrap_or(below).parse().ok()?;
        self.next = self.next.max(number + 1);
        let (at, rest) = bytes.split_first_chunk()?;
        let at = i64::from_be_bytes(*at);
        if at < since {
            self.forgotten.push(key.to_owned());
            return Some(());
        }
        self.oldest = self.oldest.min(at);
        match withheld {
            Some(_) => self.answers.withhold(read_withheld(rest)?),
            None => self.answers.keep(Sketch::from_bytes(rest)?),
        }
        Some(())
    }

    /// The ledger after what a query added.
    fn with(&self, given: &Given, release: Release) -> Self {
        let mut answers = self.answers.clone();
        release.new.into_iter().for_each(|sketch| answers.keep(sketch));
        release
            .withheld
            .into_iter()
            .for_each(|withheld| answers.withhold(withheld));
        Self {
            oldest: self.oldest.min(given.at),
            next: given.first.saturating_add(given.records.len() as u64),
            forgotten: Vec::new(),
            answers,
        }
    }
}

fn read_withheld(bytes: &[u8]) -> Option<Withheld> {
    let (guarded, rest) = bytes.split_first()?;
    let (rows, sketch) = rest.split_first_chunk()?;
    Some(Withheld {
        number: Number {
            sketch: Sketch::from_bytes(sketch)?,
            rows: u64::from_be_bytes(*rows),
        },
        guarded: *guarded == 1,
    })
}

/// What a query adds to its ledger.
#[derive(Debug)]
pub(super) struct Given {
    name: String,
    first: u64,
    at: i64,
    /// Keys below the name of the ledger, and what stands there.
    records: Vec<(String, Vec<u8>)>,
    forgotten: Vec<String>,
    admitted: Option<RoaringBitmap>,
}

impl Given {
    /// What a query adds: numbers that were given, then those that were withheld.
    fn new(name: &str, ledger: &Ledger, at: i64, release: &Release, admitted: Option<RoaringBitmap>) -> Self {
        let given = release.new.iter().map(|sketch| ("", sketch.to_bytes()));
        let withheld = release.withheld.iter().map(|withheld| {
            let mut bytes = vec![u8::from(withheld.guarded)];
            bytes.extend(withheld.number.rows.to_be_bytes());
            bytes.extend(withheld.number.sketch.to_bytes());
            (WITHHELD, bytes)
        });
        let numbered = (ledger.next..).zip(given.chain(withheld));
        let records = numbered.map(|(number, (kind, bytes))| {
            let stamped = at.to_be_bytes().into_iter().chain(bytes).collect();
            (format!("{name}{kind}{number:012}"), stamped)
        });
        Self {
            name: name.to_owned(),
            first: ledger.next,
            at,
            records: records.collect(),
            forgotten: ledger.forgotten.clone(),
            admitted,
        }
    }

    /// Keeps it; false if somebody else kept something meanwhile.
    pub(super) fn keep(&self, transaction: &mut dyn Transaction) -> Result<bool, StoreError> {
        for kind in ["", WITHHELD] {
            let first = format!("{}{kind}{:012}", self.name, self.first);
            if transaction.record(RecordKind::Answer, &first)?.is_some() {
                return Ok(false);
            }
        }
        for (key, bytes) in &self.records {
            transaction.record_put(RecordKind::Answer, key, bytes)?;
        }
        for key in &self.forgotten {
            transaction.record_delete(RecordKind::Answer, key)?;
        }
        if let Some(admitted) = &self.admitted {
            let mut bytes = Vec::with_capacity(admitted.serialized_size());
            admitted
                .serialize_into(&mut bytes)
                .map_err(|error| StoreError::Damaged(error.to_string()))?;
            transaction.record_put(RecordKind::Answer, &format!("{}{ADMITTED}", self.name), &bytes)?;
        }
        Ok(true)
    }
}

impl Scope {
    /// Of those who consent, the ones whom aggregates are over: everyone, once enough have joined or left since; those
    /// of before who still consent, until then. And who is to be kept as such.
    pub(super) fn admitted(
        &self,
        aggregates: &Aggregates,
        covering: Vec<Arc<RoaringBitmap>>,
    ) -> Result<(Vec<Arc<RoaringBitmap>>, Option<RoaringBitmap>), Refusal> {
        if !self.remembers(aggregates) {
            return Ok((covering, None));
        }
        let name = format!("{}{ADMITTED}", aggregates.ledger);
        let snapshot = self.snapshot().map_err(Refusal::unrecorded)?;
        let failed = |error: &dyn std::fmt::Display| Refusal::unrecorded(unrecorded(error));
        let stored = snapshot
            .record(RecordKind::Answer, &name)
            .map_err(|error| failed(&error))?;
        let current = covering.iter().fold(RoaringBitmap::new(), |all, some| all | &**some);
        let Some(stored) = stored else {
            return Ok((covering, Some(current)));
        };
        let before = RoaringBitmap::deserialize_from(stored.as_slice()).map_err(|error| failed(&error))?;
        let changed = (&before ^ &current).len();
        if changed == 0 {
            return Ok((covering, None));
        }
        if changed >= u64::from(aggregates.subjects_min) {
            return Ok((covering, Some(current)));
        }
        let stay = covering.iter().map(|some| Arc::new(&**some & &before)).collect();
        Ok((stay, None))
    }

    /// Decides which groups of a table leave, and keeps and records that before anything does.
    pub(super) async fn prove_aggregates(
        &self,
        asked: &Asked,
        mut considered: Considered,
        table: Table,
    ) -> Result<Authorized<ScopedView>, Problem> {
        let Some(aggregates) = considered.scoped.aggregates.clone() else {
            return Err(Problem::internal());
        };
        let least = aggregates.subjects_min;
        if !self.remembers(&aggregates) {
            let enough = u64::from(least.max(1));
            let leaves: Vec<bool> = table
                .groups
                .iter()
                .map(|group| group.subjects >= enough && !group.dominated)
                .collect();
            lets_leave(&mut considered, &table, &leaves);
            return self.prove(asked, considered, None).await;
        }
        let name = aggregates.ledger.as_str();
        let _turn = self.answered.turns.of(name).lock().await;
        let ledger = self.ledger(name)?;
        let (deciding, limits, table) = (Arc::clone(&ledger), self.limits.answers, Arc::new(table));
        let weighed = Arc::clone(&table);
        let decided =
            tokio::task::spawn_blocking(move || deciding.answers.decide(&weighed.groups, least, limits)).await;
        let release = match decided {
            Ok(Ok(release)) => release,
            Ok(Err(exhausted)) => {
                let problem = Problem::new(
                    StatusCode::FORBIDDEN,
                    "answers-exhausted",
                    "No more numbers are given about this dataset",
                )
                .detail(exhausted.to_string())
                .with("bound", exhausted.bound)
                .with("max", exhausted.max);
                let refusal = Refusal::recorded(problem, vec![ReasonCode::ConstraintNotSatisfied], String::new());
                return Err(self.refuse_seen(asked, &considered, refusal).await);
            }
            Err(_) => return Err(Problem::internal()),
        };
        lets_leave(&mut considered, &table, &release.leaves);
        let admitted = considered.admitted.take();
        let told = !release.new.is_empty() || !release.withheld.is_empty();
        if !told && admitted.is_none() && ledger.forgotten.is_empty() {
            return self.prove(asked, considered, None).await;
        }
        let given = Given::new(name, &ledger, self.clock.now().unix_timestamp(), &release, admitted);
        let after = ledger.with(&given, release);
        // Whatever becomes of the commit: what stands is read again, unless it is known.
        self.answered.kept.remove(name);
        let proof = self.prove(asked, considered, Some(given)).await?;
        self.answered.kept.insert(name.to_owned(), Arc::new(after));
        Ok(proof)
    }

    /// Whether what is given under these terms counts for later queries: where a group may be of one person, it hides nobody.
    fn remembers(&self, aggregates: &Aggregates) -> bool {
        self.limits.compared && aggregates.subjects_min > 1
    }

    /// A ledger without what is forgotten by now.
    fn ledger(&self, name: &str) -> Result<Arc<Ledger>, Problem> {
        let days = i64::from(self.limits.days);
        let since = match days {
            0 => i64::MIN,
            days => self.clock.now().unix_timestamp() - days * DAY_SECONDS,
        };
        if let Some(known) = self.answered.kept.get(name)
            && known.oldest >= since
        {
            return Ok(known);
        }
        let snapshot = self.snapshot()?;
        let ledger = Ledger::load(&*snapshot, name, since).map_err(|error| unrecorded(&error))?;
        let ledger = Arc::new(ledger);
        self.answered.kept.insert(name.to_owned(), Arc::clone(&ledger));
        Ok(ledger)
    }
}

/// Notes which groups of a table leave.
fn lets_leave(considered: &mut Considered, table: &Table, leaves: &[bool]) {
    if let Some(aggregates) = &mut considered.scoped.aggregates {
        aggregates.leaving = Some(Arc::new(table.query(leaves)));
    }
}
