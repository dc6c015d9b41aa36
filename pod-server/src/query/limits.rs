//! The bounds of query answering, in one place.

use serde::Deserialize;
use server_kit::results::GroupLimits;
use server_kit::sparql_text::TextBounds;

/// Bounds of the SPARQL endpoints.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryLimits {
    /// Longest query text in bytes.
    pub query_bytes_max: usize,
    /// Deepest nesting of brackets in a query text.
    pub nesting_max: usize,
    /// Most operators in a query text.
    pub operators_max: usize,
    /// Deepest nesting of operators in the parsed query.
    pub depth_max: usize,
    /// Longest evaluation in milliseconds, from the start of the evaluation to the last byte of the answer.
    pub time_ms_max: u64,
    /// Longest wait for a free evaluator in milliseconds; beyond it the answer is 503.
    pub queue_ms_max: u64,
    /// Queries that are evaluated at the same time.
    pub concurrent_max: usize,
    /// Queries that wait for an evaluator; more are refused at once with 503.
    pub waiting_max: usize,
    /// Most rows or triples of an answer.
    pub rows_max: u64,
    /// Most index rows that one evaluation may read.
    pub scanned_max: u64,
    /// Most copies of bound terms inside one evaluation: the measure of products, joins, sorts and groups over what has
    /// been read already. A row that an operator holds is some copies and at most about a hundred bytes.
    pub copies_max: u64,
    /// Longest text that an expression may make, in bytes.
    pub literal_bytes_max: usize,
    /// Bytes that are sent at a time. A failure before the first such piece is a problem document.
    pub chunk_bytes: usize,
    /// Pieces that wait for a slow reader before the evaluation pauses.
    pub chunks_waiting_max: usize,
    /// Bounds on row groups of Parquet and batches of Arrow: what an answer in these formats, and in GeoJSON, keeps in memory. One of more
    /// rows is evaluated twice, each time within all other bounds.
    pub groups: GroupLimits,
    /// Most names and values that are replaced in one evaluation, where an agreement asks for that.
    pub replaced_max: usize,
    /// Most triples of data subjects that one evaluation of aggregates may match.
    pub traced_max: usize,
    /// Most groups of an answer where an agreement permits aggregates only.
    pub groups_max: usize,
    /// Whether each number is weighed against all that its consumer got before about the dataset, where an agreement permits
    /// aggregates only: then nothing leaves from which a few people's part could be found by subtracting, and an answer that
    /// would change by a few people is withheld or stays as it was (ENF-12, T90, T95).
    pub answers_compared: bool,
    /// Most different numbers that one consumer gets about one dataset where an agreement permits aggregates only; more
    /// are refused (ENF-12).
    pub answers_max: usize,
    /// Most bytes that are kept of what these numbers rest on; a ledger in use takes five times as many in memory.
    pub answers_bytes_max: usize,
    /// Most numbers that one consumer asked for and did not get about one dataset; more questions are refused (T93).
    pub answers_withheld_max: usize,
    /// Days after which it is forgotten that a number was given; 0 for never.
    pub answers_days: u32,
    /// Least share of a sum, in percent of the largest contribution, that must come from others than its two largest
    /// contributors (T92).
    pub dominance_percent: u32,
    /// First step of the times at which answers of aggregates leave, in milliseconds; each step is twice the one before,
    /// and none is waited for beyond `time_ms_max` (T96).
    pub padding_ms: u64,
    /// Days after which the codes change that stand for names and values under an agreement; 0 for never.
    pub pseudonym_days: u32,
    /// Most streams at a time on which brokers and consumers are told that there is something new under an agreement.
    pub changes_streams_max: usize,
    /// Of these, most under one agreement.
    pub changes_streams_per_agreement_max: usize,
    /// Least time between two looks at whether there is something new, in milliseconds. That a right ended is not held up by it.
    pub changes_interval_ms: u64,
    /// Longest time between two looks at whether the right to it lasts, in milliseconds, if no event calls for one sooner.
    pub changes_recheck_ms: u64,
    /// Silence after which such a stream gives a sign of life, in milliseconds.
    pub changes_heartbeat_ms: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            query_bytes_max: 1024 * 1024,
            nesting_max: 64,
            operators_max: 200_000,
            depth_max: 512,
            time_ms_max: 30_000,
            queue_ms_max: 5_000,
            concurrent_max: 4,
            waiting_max: 64,
            rows_max: 1_000_000,
            scanned_max: 50_000_000,
            copies_max: 400_000_000,
            literal_bytes_max: 1024 * 1024,
            chunk_bytes: 32 * 1024,
            chunks_waiting_max: 8,
            groups: GroupLimits::default(),
            replaced_max: 2_000_000,
            traced_max: 2_000_000,
            groups_max: 10_000,
            answers_compared: true,
            answers_max: 1_024,
            answers_bytes_max: 32 * 1024 * 1024,
            answers_withheld_max: 1_024,
            answers_days: 365,
            dominance_percent: 10,
            padding_ms: 50,
            pseudonym_days: 0,
            changes_streams_max: 1_024,
            changes_streams_per_agreement_max: 64,
            changes_interval_ms: 250,
            changes_recheck_ms: 750,
            changes_heartbeat_ms: 5_000,
        }
    }
}

impl QueryLimits {
    /// What is asked of a text before it is parsed.
    #[must_use]
    pub fn text(&self) -> TextBounds {
        TextBounds {
            bytes_max: self.query_bytes_max,
            nesting_max: self.nesting_max,
            operators_max: self.operators_max,
        }
    }
}
