//! The completeness manifest: which sources a query asked, which answered, which did not and why (ARCHITECTURE invariant 9).

use super::terms::Term;
use crate::fetch::FetchError;
use crate::plan::Withheld;
use crate::source::{Source, SourceId};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What became of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceStatus {
    /// It could not contribute, by its own summary.
    NotRelevant,
    /// It answered every sub-query.
    Answered,
    /// At least one sub-query has no answer.
    Failed,
    /// Left out by the agreement's own terms.
    Withheld,
}

/// One source in the manifest.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Name of the member.
    pub member: String,
    /// The dataset.
    pub dataset: String,
    /// The agreement under which it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
    /// What became of it.
    pub status: SourceStatus,
    /// Why, in words, when it did not simply answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Sub-queries sent.
    pub requests: u64,
    /// Rows received.
    pub rows: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Longest time of one sub-query, milliseconds.
    pub ms: u64,
    /// What its answers came with: terms, source, whom to name, the policy for whoever gets the data next.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub terms: BTreeSet<Term>,
}

/// The whole manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Completeness {
    /// Whether every source that could contribute did.
    pub complete: bool,
    /// The sources, in the order of the query's own list.
    pub sources: Vec<SourceReport>,
}

/// Collects what becomes of sources while a query runs.
#[derive(Debug)]
pub struct Ledger {
    entries: Mutex<BTreeMap<SourceId, SourceReport>>,
}

impl Ledger {
    /// An empty ledger over these sources.
    #[must_use]
    pub fn new(sources: &[Source], withheld: &BTreeMap<SourceId, BTreeSet<Withheld>>) -> Self {
        let entries = sources
            .iter()
            .enumerate()
            .map(|(id, source)| {
                let reasons: Vec<String> = withheld.get(&id).into_iter().flatten().map(words).collect();
                let report = SourceReport {
                    member: source.member.clone(),
                    dataset: source.dataset.clone(),
                    agreement: source.agreement.clone(),
                    status: if reasons.is_empty() {
                        SourceStatus::NotRelevant
                    } else {
                        SourceStatus::Withheld
                    },
                    reasons,
                    requests: 0,
                    rows: 0,
                    bytes: 0,
                    ms: 0,
                    terms: BTreeSet::new(),
                };
                (id, report)
            })
            .collect();
        Self {
            entries: Mutex::new(entries),
        }
    }

    /// A request was sent.
    pub fn sent(&self, id: SourceId) {
        if let Some(report) = self.entries.lock().get_mut(&id) {
            report.requests += 1;
        }
    }

    /// A sub-query was answered.
    pub fn answered(&self, id: SourceId, rows: u64, bytes: u64, ms: u64) {
        if let Some(report) = self.entries.lock().get_mut(&id) {
            report.rows += rows;
            report.bytes += bytes;
            report.ms = report.ms.max(ms);
            if report.status == SourceStatus::NotRelevant {
                report.status = SourceStatus::Answered;
            }
        }
    }

    /// An answer came with terms.
    pub fn came_with(&self, id: SourceId, terms: BTreeSet<Term>) {
        if let Some(report) = self.entries.lock().get_mut(&id) {
            report.terms.extend(terms);
        }
    }

    /// A sub-query has no answer.
    pub fn failed(&self, id: SourceId, error: &FetchError, ms: u64) {
        if let Some(report) = self.entries.lock().get_mut(&id) {
            report.status = SourceStatus::Failed;
            report.ms = report.ms.max(ms);
            let words = error.to_string();
            if !report.reasons.contains(&words) {
                report.reasons.push(words);
            }
        }
    }

    /// The manifest so far.
    #[must_use]
    pub fn completeness(&self) -> Completeness {
        let sources: Vec<SourceReport> = self.entries.lock().values().cloned().collect();
        let complete = sources
            .iter()
            .all(|report| matches!(report.status, SourceStatus::Answered | SourceStatus::NotRelevant));
        Completeness { complete, sources }
    }
}

/// Why a source was left out, in words.
#[must_use]
pub fn words(withheld: &Withheld) -> String {
    match withheld {
        Withheld::PropertyNotAgreed { property } => {
            format!("the agreement does not cover the property <{property}> that the query names")
        }
        Withheld::AggregateOnly { subjects_min } => format!(
            "the agreement allows only aggregates over at least {subjects_min} distinct data subjects, and this query needs single rows"
        ),
    }
}
