//! What surrounds an answer: its header and metadata, and the problem that stands in its place when there is none.

use super::manifests::Manifest;
use crate::enforce::Admission;
use crate::error;
use crate::exec::ExecError;
use crate::exec::manifest::{SourceReport, SourceStatus};
use crate::exec::terms::{self, Term};
use crate::plan::PhysicalPlan;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LINK, TRAILER};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use server_kit::body::Body;
use server_kit::problem::Problem;
use server_kit::results::{Notes, ResultsError};
use spareval::{CancellationToken, QueryEvaluationError};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::AbortHandle;

/// Says whether the answer is complete.
pub const COMPLETE: HeaderName = HeaderName::from_static("meent-complete");
/// How many datasets were withheld by policy.
pub const WITHHELD: HeaderName = HeaderName::from_static("meent-withheld");
/// Most links to terms in the header of one answer; its manifest has all of them.
const TERM_LINKS_MAX: usize = 64;
/// Name of the query, for its manifest.
pub const QUERY: HeaderName = HeaderName::from_static("meent-query");

/// Sources that should have answered, and did not or only from a part of what they should hold.
pub(super) fn missing(manifest: &Manifest) -> impl Iterator<Item = &SourceReport> {
    let reports = manifest.completeness.sources.iter();
    reports.filter(|report| {
        matches!(
            report.status,
            SourceStatus::Failed | SourceStatus::Partial | SourceStatus::Withheld
        )
    })
}

/// What JSON results say about themselves: whether they are complete, and who is missing and why.
pub(super) fn tail(manifest: &Manifest) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("complete".to_owned(), Value::from(manifest.completeness.complete));
    let missing: Vec<Value> = missing(manifest)
        .filter_map(|report| serde_json::to_value(report).ok())
        .collect();
    if !missing.is_empty() {
        members.insert("missing".to_owned(), Value::from(missing));
    }
    members
}

/// What a file says about the answer in it: it outlives the manifest at the broker, so it has all of it.
pub(super) fn notes(manifest: &Manifest, link: &str) -> Notes {
    let mut entries = Map::new();
    entries.insert("complete".to_owned(), Value::from(manifest.completeness.complete));
    entries.insert("query".to_owned(), Value::from(link));
    entries.insert(
        "manifest".to_owned(),
        serde_json::to_value(manifest).unwrap_or_default(),
    );
    Notes { entries }
}

/// The response to a query whose manifest is known.
pub(super) fn headed(content: Body, media_type: &'static str, manifest: &Manifest, link: &str) -> Response<Body> {
    let mut response = begun(content, media_type, link, &manifest.id);
    let headers = response.headers_mut();
    headers.insert(COMPLETE, complete(manifest));
    headers.insert(WITHHELD, HeaderValue::from(manifest.withheld));
    for value in terms_of(manifest) {
        headers.append(LINK, value);
    }
    response
}

/// The response to a query whose sources have not all answered: what is not known yet follows the body.
pub(super) fn headed_early(content: Body, media_type: &'static str, link: &str, id: &str) -> Response<Body> {
    let mut response = begun(content, media_type, link, id);
    let headers = response.headers_mut();
    headers.insert(COMPLETE, HeaderValue::from_static("later"));
    headers.insert(
        TRAILER,
        HeaderValue::from_static("meent-complete, meent-withheld, link"),
    );
    response
}

/// The fields that follow a body which began before all sources had answered.
pub(super) fn trailers(manifest: &Manifest) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(COMPLETE, complete(manifest));
    fields.insert(WITHHELD, HeaderValue::from(manifest.withheld));
    for value in terms_of(manifest) {
        fields.append(LINK, value);
    }
    fields
}

fn complete(manifest: &Manifest) -> HeaderValue {
    HeaderValue::from_static(if manifest.completeness.complete {
        "true"
    } else {
        "false"
    })
}

/// The terms of every source: they bind the whole answer.
fn terms_of(manifest: &Manifest) -> impl Iterator<Item = HeaderValue> {
    let terms: BTreeSet<&Term> = manifest
        .completeness
        .sources
        .iter()
        .flat_map(|report| &report.terms)
        .collect();
    terms.into_iter().take(TERM_LINKS_MAX).filter_map(terms::link)
}

fn begun(content: Body, media_type: &'static str, link: &str, id: &str) -> Response<Body> {
    let mut response = Response::new(content);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(value) = HeaderValue::from_str(&format!("<{link}>; rel=\"describedby\"; type=\"application/json\"")) {
        headers.insert(LINK, value);
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(QUERY, value);
    }
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer from nobody is no answer, and a partial one is none when a complete one was required.
///
/// # Errors
/// The problem that says who did not answer, with the manifest.
pub(crate) fn refuse_if_empty_handed(manifest: &Manifest, complete_required: bool) -> Result<(), Problem> {
    let sources = &manifest.completeness.sources;
    let failed: Vec<_> = sources
        .iter()
        .filter(|report| report.status == SourceStatus::Failed)
        .collect();
    let answered = sources
        .iter()
        .any(|report| matches!(report.status, SourceStatus::Answered | SourceStatus::Partial));
    if manifest.completeness.complete || (answered && !complete_required) || (failed.is_empty() && !complete_required) {
        return Ok(());
    }
    let all = |word: &str| {
        !failed.is_empty()
            && failed
                .iter()
                .all(|report| report.reasons.iter().any(|r| r.contains(word)))
    };
    let (status, kind, title) = if all("refused by the owner") {
        (StatusCode::FORBIDDEN, "refused-by-owner", "Refused by the owner")
    } else if all("no complete answer within") {
        (StatusCode::GATEWAY_TIMEOUT, "incomplete", "No complete answer")
    } else {
        (StatusCode::BAD_GATEWAY, "incomplete", "No complete answer")
    };
    let words: Vec<String> = sources
        .iter()
        .filter(|report| !matches!(report.status, SourceStatus::Answered | SourceStatus::NotRelevant))
        .map(|report| format!("{}: {}", report.member, report.reasons.join(", ")))
        .collect();
    Err(Problem::new(status, kind, title)
        .detail(words.join("; "))
        .with("manifest", serde_json::to_value(manifest).unwrap_or_default()))
}

/// The problem behind an evaluation that stopped.
pub(crate) fn failed(error: &QueryEvaluationError) -> Problem {
    if let QueryEvaluationError::Unexpected(cause) = error
        && let Some(cause) = cause.downcast_ref::<ResultsError>()
    {
        match cause {
            ResultsError::Unsuited(words) => {
                return Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "Not in this format")
                    .detail(words.clone());
            }
            ResultsError::Unfit(words) => return error::unprocessable("does-not-fit", words.clone()),
            changed @ ResultsError::Changed => return error::unprocessable("does-not-fit", changed.to_string()),
            ResultsError::Io(_) => {}
        }
    }
    match error {
        QueryEvaluationError::Cancelled => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "query-timeout", "The query took too long")
                .detail("combining the sources' answers took too long")
        }
        other => error::internal(other),
    }
}

/// The problem behind a query that could not be run as a whole.
pub(super) fn not_run(error: &ExecError) -> Problem {
    match error {
        ExecError::Budget(_) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "budget-exceeded",
            "The query is too large",
        )
        .detail(format!(
            "{error}: ask for less, for instance with narrower filters or aggregates"
        )),
        ExecError::TimedOut(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "query-timeout", "The query took too long")
            .detail(error.to_string()),
    }
}

/// 403: nothing that could answer may be asked. Names each dataset with the reason.
pub(crate) fn nothing_agreed(
    plan: &PhysicalPlan,
    admission: &Admission,
    not_covered: &[crate::enforce::Refused],
) -> Problem {
    let mut refused: Vec<serde_json::Value> = not_covered
        .iter()
        .filter_map(|refused| serde_json::to_value(refused).ok())
        .collect();
    let mut words: Vec<String> = not_covered
        .iter()
        .map(|refused| format!("<{}>: {}", refused.dataset, refused.reason))
        .collect();
    for (id, reasons) in &plan.withheld {
        let Some(source) = admission.sources.get(*id) else {
            continue;
        };
        for reason in reasons {
            let said = crate::exec::manifest::words(reason);
            refused.push(serde_json::json!({
                "member": source.member, "dataset": source.dataset, "agreement": source.agreement,
                "code": serde_json::to_value(reason).ok().and_then(|v| v.get("reason").cloned()), "reason": said,
            }));
            words.push(format!("<{}>: {said}", source.dataset));
        }
    }
    const SHOWN: usize = 5;
    let more = words.len().saturating_sub(SHOWN);
    let mut detail = format!(
        "no dataset that could answer may be asked. {}",
        words.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ")
    );
    if more > 0 {
        detail.push_str(&format!("; and {more} more, see `datasets`"));
    }
    error::forbidden("not-agreed", detail).with("datasets", refused)
}

/// Stops the work for an answer when nobody waits for it any more: dropped with the call, or with the body that it watches.
pub(super) struct HangUp {
    token: CancellationToken,
    tasks: Vec<AbortHandle>,
}

impl HangUp {
    /// Stops an evaluation.
    pub(super) const fn new(token: CancellationToken) -> Self {
        Self {
            token,
            tasks: Vec::new(),
        }
    }

    /// Stops a task too.
    pub(super) fn also(&mut self, task: AbortHandle) {
        self.tasks.push(task);
    }

    /// Goes with a body from now on.
    pub(super) fn watch(self, content: Body) -> Body {
        Watched {
            content,
            _hang_up: self,
        }
        .boxed_unsync()
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.token.cancel();
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

struct Watched {
    content: Body,
    _hang_up: HangUp,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.content).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
