//! One sub-query to one source: send, read within bounds, and keep an answer only when it is whole.

mod egress;
pub mod parse;

use crate::source::Source;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Body of an answer as it streams in.
pub type Stream = UnsyncBoxBody<Bytes, std::io::Error>;

/// A sub-query on its way.
#[derive(Debug, Clone)]
pub struct SubRequest {
    /// `POST` for a query, `GET` for a document.
    pub method: Method,
    /// The source's SPARQL endpoint, or its document.
    pub url: String,
    /// Everything, credentials included.
    pub headers: HeaderMap,
    /// The form that the SPARQL 1.1 Protocol defines for `POST`; empty for a document.
    pub body: Bytes,
    /// Longest time until the last byte.
    pub time_max: Duration,
    /// Most bytes of the answer.
    pub bytes_max: u64,
}

/// The way to the sources: the egress guard in service, and nothing else.
pub trait Transport: Send + Sync {
    /// Sends a request; the answer's body streams, bounded.
    fn send(&self, request: SubRequest) -> BoxFuture<'_, Result<(StatusCode, HeaderMap, Stream), FetchError>>;
}

/// Credentials for one request to one source: made for that source and URL alone, never shared between sources.
pub trait Credentials: Send + Sync {
    /// Header fields to send.
    ///
    /// # Errors
    /// When no proof can be made, for instance because the agreement's token is missing.
    fn headers(&self, source: &Source, url: &str) -> Result<HeaderMap, FetchError>;
    /// The purpose that the consumer states.
    fn purpose(&self) -> Option<&str>;
}

/// Why a source gave no usable answer. The text is for the completeness manifest: it names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection.
    #[error("not reachable")]
    Unreachable,
    /// Too slow.
    #[error("no complete answer within {0} ms")]
    TimedOut(u64),
    /// Too many failures lately; it was not asked.
    #[error("not asked: it failed {0} times in a row and rests until it may be tried again")]
    CircuitOpen(u32),
    /// The owner said no.
    #[error("refused by the owner ({status}): {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The owner's own words, shortened.
        reason: String,
    },
    /// An error status.
    #[error("answered with status {status}: {reason}")]
    Status {
        /// HTTP status.
        status: u16,
        /// The source's own words, shortened.
        reason: String,
    },
    /// Not SPARQL results.
    #[error("answered with `{0}` instead of SPARQL results")]
    WrongType(String),
    /// Cut off or malformed.
    #[error("the answer is broken: {0}")]
    Broken(String),
    /// Not what was asked.
    #[error("the answer does not fit the question: {0}")]
    Mismatch(String),
    /// More bytes than one source may send.
    #[error("more than {0} bytes")]
    TooManyBytes(u64),
    /// More rows than one source may send.
    #[error("more than {0} rows")]
    TooManyRows(u64),
    /// The query as a whole used up its budget.
    #[error("the query's budget is used up: {0}")]
    Budget(String),
    /// No usable token.
    #[error("no usable agreement token: {0}")]
    NoToken(String),
}

/// What one query may use up in all.
#[derive(Debug)]
pub struct Budget {
    rows_left: AtomicU64,
    bytes_left: AtomicU64,
    rows_max: u64,
    bytes_max: u64,
    /// Of what this is one member's share.
    whole: Option<Arc<Budget>>,
}

impl Budget {
    /// A fresh budget.
    #[must_use]
    pub fn new(rows_max: u64, bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            rows_left: AtomicU64::new(rows_max),
            bytes_left: AtomicU64::new(bytes_max),
            rows_max,
            bytes_max,
            whole: None,
        })
    }

    /// What one member may use up of it, over all sub-queries: nobody alone can use up what is for all.
    #[must_use]
    pub fn share(self: &Arc<Self>, rows_max: u64, bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            rows_left: AtomicU64::new(rows_max),
            bytes_left: AtomicU64::new(bytes_max),
            rows_max,
            bytes_max,
            whole: Some(Arc::clone(self)),
        })
    }

    /// Takes one row.
    ///
    /// # Errors
    /// [`FetchError::Budget`] when none is left, [`FetchError::TooManyRows`] when none is left of a share.
    pub fn take_row(&self) -> Result<(), FetchError> {
        if let Some(whole) = &self.whole {
            take(&self.rows_left, 1).ok_or(FetchError::TooManyRows(self.rows_max))?;
            return whole.take_row();
        }
        take(&self.rows_left, 1)
            .ok_or_else(|| FetchError::Budget(format!("more than {} rows from all sources together", self.rows_max)))
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// [`FetchError::Budget`] when too few are left, [`FetchError::TooManyBytes`] when too few are left of a share.
    pub fn take_bytes(&self, bytes: u64) -> Result<(), FetchError> {
        if let Some(whole) = &self.whole {
            take(&self.bytes_left, bytes).ok_or(FetchError::TooManyBytes(self.bytes_max))?;
            return whole.take_bytes(bytes);
        }
        take(&self.bytes_left, bytes)
            .ok_or_else(|| FetchError::Budget(format!("more than {} bytes from all sources together", self.bytes_max)))
    }

    /// Whether something was asked for beyond the budget: the whole query fails then, since no part of it can be trusted whole.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.rows_left.load(Ordering::Relaxed) == u64::MAX || self.bytes_left.load(Ordering::Relaxed) == u64::MAX
    }
}

/// Takes from a counter; a counter that was overdrawn stays at `u64::MAX`, which marks it for good.
fn take(counter: &AtomicU64, amount: u64) -> Option<()> {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(if left == u64::MAX {
                u64::MAX
            } else {
                left.checked_sub(amount).unwrap_or(u64::MAX)
            })
        })
        .ok()
        .filter(|left| *left != u64::MAX && *left >= amount)
        .map(|_| ())
}

/// The form body of a sub-query. Purpose and agreement go only to sources that were agreed with.
#[must_use]
pub fn form(source: &Source, query: &str, purpose: Option<&str>) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", query);
    if let Some(agreement) = &source.agreement {
        form.append_pair("agreement", agreement);
        if let Some(purpose) = purpose {
            form.append_pair("purpose", purpose);
        }
    }
    Bytes::from(form.finish())
}

/// Reads the start of an error answer and makes the owner's words presentable.
pub(crate) async fn refusal(status: StatusCode, mut body: Stream) -> FetchError {
    const WORDS_BYTES_MAX: usize = 4096;
    const REASON_CHARS_MAX: usize = 300;
    let mut text = Vec::new();
    while text.len() < WORDS_BYTES_MAX {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    text.extend_from_slice(&bytes);
                }
            }
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&text);
    let words = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|problem| {
            let part = |name: &str| problem.get(name).and_then(|v| v.as_str()).map(str::to_owned);
            match (part("title"), part("detail")) {
                (Some(title), Some(detail)) => Some(format!("{title}: {detail}")),
                (title, detail) => title.or(detail),
            }
        })
        .unwrap_or_else(|| text.lines().next().unwrap_or_default().to_owned());
    let reason: String = words
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS_MAX)
        .collect();
    let status_number = status.as_u16();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        FetchError::Refused {
            status: status_number,
            reason,
        }
    } else {
        FetchError::Status {
            status: status_number,
            reason,
        }
    }
}
