//! Members that answer SPARQL: our pod servers, and any other endpoint that keeps to the SPARQL 1.1 Protocol.
//!
//! Of another endpoint nothing is assumed beyond the protocol: it gets no header field of ours and no credential, may answer in JSON
//! or XML, publishes no summary, and is asked with `ASK` which of a query's patterns it holds at all.

use super::{Adapter, At, Question, Wanted};
use crate::exec::gate::Told;
use crate::exec::terms;
use crate::fetch::parse::{self, Rows};
use crate::fetch::{self, FetchError, Stream, SubRequest, Transport};
use crate::source::SourceDescription;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use sparesults::QueryResultsFormat;
use spargebra::term::TriplePattern;
use std::time::Duration;

/// What pod servers are asked for.
const JSON: &str = "application/sparql-results+json";
/// What other endpoints are asked for.
const JSON_OR_XML: &str = "application/sparql-results+json, application/sparql-results+xml;q=0.5";
/// Largest answer to an `ASK`, bytes.
const BOOLEAN_BYTES_MAX: u64 = 64 * 1024;

/// The adapter.
pub(super) struct Endpoint;

impl Adapter for Endpoint {
    fn learn<'a>(&'a self, at: At<'a>, wanted: &'a Wanted) -> BoxFuture<'a, SourceDescription> {
        async move {
            let Some(foreign) = &at.source.foreign else {
                return SourceDescription::clone(&at.source.description); // a pod server says it in its summary
            };
            let asked = wanted.patterns.iter().map(|pattern| holds(at, pattern, wanted.graphs));
            let mut lacking = Vec::new();
            for (pattern, answer) in wanted.patterns.iter().zip(join_all(asked).await) {
                match answer {
                    Ok(false) => lacking.push(pattern.clone()),
                    Ok(true) => {}
                    // Whoever does not answer now is not asked again for the same query.
                    Err(error @ (FetchError::Unreachable | FetchError::TimedOut(_) | FetchError::CircuitOpen(_))) => {
                        let _ = foreign.held.set(Err(error));
                    }
                    Err(error) => {
                        tracing::debug!(member = at.source.member, %error, "no answer to ASK: it may hold anything");
                    }
                }
            }
            SourceDescription::unknown().lacking(lacking)
        }
        .boxed()
    }

    fn answer<'a>(&'a self, at: At<'a>, question: Question<'a>) -> BoxFuture<'a, Result<Rows, FetchError>> {
        async move {
            let known = at.source.foreign.as_ref().and_then(|foreign| foreign.held.get());
            if let Some(Err(error)) = known {
                return Err(error.clone());
            }
            let bytes_max = question.expected.bytes_max;
            question.ledger.sent(at.id);
            let gate = at.session.gate;
            let passage = Told::new(gate, gate.pass(&at.source.member).await?);
            let result = async {
                let (headers, format, body) = exchange(at, question.text, bytes_max).await?;
                if at.source.foreign.is_none() {
                    // Before the first row is used: what binds its use is known.
                    question.ledger.came_with(at.id, terms::read(&headers));
                }
                parse::read(body, format, question.expected, std::sync::Arc::clone(question.budget)).await
            }
            .await;
            passage.tell(result.as_ref().map(|_| ()));
            result
        }
        .boxed()
    }
}

/// Whether an endpoint holds any triple like a pattern.
async fn holds(at: At<'_>, pattern: &TriplePattern, graphs: bool) -> Result<bool, FetchError> {
    let Some(foreign) = &at.source.foreign else {
        return Ok(true);
    };
    let text = if graphs {
        format!("ASK {{ {{ {pattern} }} UNION {{ GRAPH ?g {{ {pattern} }} }} }}")
    } else {
        format!("ASK {{ {pattern} }}")
    };
    let age = Duration::from_millis(at.session.limits.evidence_ms);
    if let Some(answer) = foreign.kept.answered(&text, age) {
        return Ok(answer);
    }
    let limit = at.session.limits.member_ms_max;
    let ask = async {
        let gate = at.session.gate;
        let passage = Told::new(gate, gate.pass(&at.source.member).await?);
        let result = async {
            let (_, format, body) = exchange(at, &text, BOOLEAN_BYTES_MAX).await?;
            parse::boolean(body, format, BOOLEAN_BYTES_MAX).await
        }
        .await;
        passage.tell(result.as_ref().map(|_| ()));
        result
    };
    let answer = match tokio::time::timeout(Duration::from_millis(limit), ask).await {
        Ok(answer) => answer?,
        Err(_) => return Err(FetchError::TimedOut(limit)),
    };
    foreign.kept.remember(text, answer);
    Ok(answer)
}

type Begun = (HeaderMap, QueryResultsFormat, Stream);

/// Sends a query; the answer's body follows.
async fn exchange(at: At<'_>, text: &str, bytes_max: u64) -> Result<Begun, FetchError> {
    let (session, source) = (at.session, at.source);
    let is_pod = source.foreign.is_none();
    let mut headers = session.credentials.headers(source, &source.endpoint)?;
    let accepted = if is_pod { JSON } else { JSON_OR_XML };
    headers.insert(ACCEPT, HeaderValue::from_static(accepted));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    if let Some(trace) = session.traceparent.as_ref().filter(|_| is_pod) {
        headers.insert("traceparent", trace.clone());
    }
    let request = SubRequest {
        method: Method::POST,
        url: source.endpoint.clone(),
        headers,
        body: fetch::form(source, text, session.credentials.purpose()),
        time_max: Duration::from_millis(session.limits.member_ms_max),
        bytes_max,
    };
    // Under an agreement each request may count as a use: it is sent once.
    let (status, headers, body) = if source.agreement.is_none() {
        send_safely(session.transport, request).await?
    } else {
        session.transport.send(request).await?
    };
    if !status.is_success() {
        return Err(fetch::refusal(status, body).await);
    }
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let format = match essence.as_str() {
        "application/sparql-results+json" | "application/json" => QueryResultsFormat::Json,
        "application/sparql-results+xml" | "application/xml" | "text/xml" if !is_pod => QueryResultsFormat::Xml,
        _ => return Err(FetchError::WrongType(essence.chars().take(80).collect())),
    };
    Ok((headers, format, body))
}

/// Sends a request that only reads and that nobody counts: once more when the connection gave no answer at all.
pub(super) async fn send_safely(
    transport: &dyn Transport,
    request: SubRequest,
) -> Result<(StatusCode, HeaderMap, Stream), FetchError> {
    match transport.send(request.clone()).await {
        Err(FetchError::Unreachable | FetchError::Broken(_)) => transport.send(request).await,
        other => other,
    }
}
