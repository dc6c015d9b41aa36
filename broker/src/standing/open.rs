//! Requests about standing queries: opening one, coming back to one, and a fresh delegation for one.

use super::channel::{Channels, LAST_EVENT_ID};
use super::drive::{Driver, Outlet, Parked, asked_for, failing, unheard};
use super::evaluate::Question;
use super::event::Event;
use super::limits::ms;
use super::rows::Rows;
use super::signals::Signals;
use super::{Delegation, End, Entry};
use crate::app::Broker;
use crate::error::{self, Answer};
use crate::http::{Call, json};
use crate::plan::Duplicates;
use crate::query::delegation::asker;
use crate::query::head::{QUERY, refuse_if_empty_handed};
use crate::query::{Asked, Complete};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use server_kit::authn::client::DELEGATION;
use server_kit::body::Body;
use server_kit::problem::Problem;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Notify, mpsc, watch};

/// Longest time between two evaluations that a consumer may ask for, seconds.
const INTERVAL_SECONDS_MAX: u64 = 86_400;
/// How long an older connection of the same query may take to let go of it.
const HANDOVER: Duration = Duration::from_secs(2);

/// Whether the caller asks for a standing query, by name: `*/*` does not.
#[must_use]
pub fn wanted(call: &Call) -> bool {
    let ranges = call.headers.get_all(ACCEPT).iter();
    let mut ranges = ranges
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("text/event-stream"));
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Opens a standing query, or goes on with one.
///
/// # Errors
/// As for any query; 429 and 503 where there is no room, with the bound.
pub async fn open(broker: &Arc<Broker>, call: &Call, asked: Asked) -> Answer {
    let (web_id, jkt) = call.consumer()?;
    let (asker, _) = asker(broker, call, &asked)?;
    let interval = interval(broker, call)?;
    let (sender, delegation) = watch::channel(delegation(broker, call)?);
    let question = Arc::new(Question {
        broker: Arc::clone(broker),
        asker,
        asked,
        delegation,
    });
    let parked = resumed(broker, call, &question, (&web_id, &jkt)).await;
    let place = broker.standing.places.take(&web_id)?;
    let signals = Arc::new(Signals::new());
    let room = Arc::clone(&broker.standing.channels);
    let mut channels = Channels::new(Arc::clone(&question), Arc::clone(&signals), room);
    let (sources, plan) = question.plan().await?;
    let agreements: BTreeSet<String> = sources.iter().filter_map(|source| source.agreement.clone()).collect();
    channels
        .keep(agreements, true)
        .map_err(|none| Problem::unavailable(none.to_string(), 10))?;
    channels.opened(ms(broker.config.standing.open_ms_max)).await;
    if let Some(end) = unheard(&broker.config.standing, &channels, &sources) {
        return Err(refusal(end));
    }
    let going_on = parked.is_some();
    let (id, rows, kept) = parked.unwrap_or_else(|| {
        let rows = Rows::new(broker.config.standing.changes_max);
        (broker.random.token(16), rows, broker.standing.places.kept())
    });
    let turn = broker.turn()?;
    let evaluation = question
        .evaluate(format!("{id}-{}-{}", rows.number() + 1, broker.random.token(4)))
        .await?;
    drop(turn);
    refuse_if_empty_handed(&evaluation.manifest, question.asked.complete_required())?;
    let entry = Arc::new(Entry {
        web_id,
        jkt,
        purpose: question.asker.purpose.clone(),
        delegation: sender,
        leave: Notify::new(),
    });
    let mut driver = Driver {
        id: id.clone(),
        broker: Arc::clone(broker),
        entry: Arc::clone(&entry),
        question,
        signals,
        channels,
        rows,
        kept,
        interval,
        sources,
        plan,
        complete: evaluation.manifest.completeness.complete,
        failing: failing(&evaluation.manifest),
        place,
    };
    let first = if going_on {
        let difference = driver.rows.difference(&evaluation.table.rows);
        driver.take_in(&evaluation, difference)
    } else {
        driver.whole(&evaluation)
    };
    let first = first.map_err(refusal)?;
    broker.standing.running.lock().insert(id.clone(), entry);
    metrics::counter!("meent_standing_queries_total").increment(1);
    Ok(stream(broker, driver, first, &id))
}

fn refusal(end: End) -> Problem {
    error::unprocessable(end.code, end.reason)
}

/// Least time between two evaluations: the consumer may want fewer than the broker allows, because each is a use.
fn interval(broker: &Broker, call: &Call) -> Result<Duration, Problem> {
    let least = ms(broker.config.standing.interval_ms);
    let Some(wish) = call.parameter("interval") else {
        return Ok(least);
    };
    match wish.parse::<u64>() {
        Ok(seconds) if seconds <= INTERVAL_SECONDS_MAX => Ok(Duration::from_secs(seconds).max(least)),
        _ => Err(error::bad_request(
            "wrong-parameter",
            format!("`interval` is a number of seconds up to {INTERVAL_SECONDS_MAX}, not `{wish}`"),
        )),
    }
}

/// The delegation of a request, which has been verified to be the caller's.
fn delegation(broker: &Broker, call: &Call) -> Result<Delegation, Problem> {
    let Some(header) = call.headers.get(DELEGATION).cloned() else {
        return Ok(Delegation {
            header: None,
            agreements: BTreeSet::new(),
            expires: None,
        });
    };
    let text = header
        .to_str()
        .map_err(|_| error::bad_request("malformed-delegation", "the delegation is not text"))?;
    let verified = broker
        .authenticator
        .verify_delegation(text)
        .map_err(|rejection| rejection.to_problem())?;
    Ok(Delegation {
        agreements: verified.agreements.iter().cloned().collect(),
        expires: Some(verified.expires),
        header: Some(header),
    })
}

/// What the consumer had after the event that it names, when that is known: of the same consumer, key and question.
async fn resumed(
    broker: &Arc<Broker>,
    call: &Call,
    question: &Question,
    (web_id, jkt): (&str, &str),
) -> Option<(String, Rows, super::places::Kept)> {
    let last = call.headers.get(LAST_EVENT_ID)?.to_str().ok()?;
    let (id, number) = last.rsplit_once('-')?;
    let number: u64 = number.parse().ok()?;
    let standing = &broker.standing;
    let running = standing.running.lock().get(id).cloned();
    if let Some(entry) = running.filter(|entry| entry.web_id == web_id && entry.jkt == jkt) {
        // The connection that it had may be dead without anybody having noticed.
        entry.leave.notify_one();
        let left = async {
            loop {
                let mut arrived = std::pin::pin!(standing.arrived.notified());
                arrived.as_mut().enable();
                if !standing.running.lock().contains_key(id) {
                    return;
                }
                arrived.await;
            }
        };
        let _ = tokio::time::timeout(HANDOVER, left).await;
    }
    let mine = |parked: &Parked| parked.web_id == web_id && parked.jkt == jkt && parked.question == asked_for(question);
    let mut all = standing.parked.lock();
    if !all.get(id).is_some_and(mine) {
        return None;
    }
    let mut parked = all.remove(id)?;
    drop(all);
    parked
        .rows
        .back_to(number)
        .then(|| (id.to_owned(), parked.rows, parked.kept))
}

fn stream(broker: &Arc<Broker>, driver: Driver, first: Event, id: &str) -> Response<Body> {
    let (pieces, waiting) = mpsc::channel(1);
    let (cut, broken) = watch::channel(false);
    let heartbeat = ms(broker.config.standing.heartbeat_ms);
    tokio::spawn(driver.run(first, Outlet { pieces, cut }));
    let state = (waiting, broken, false);
    let stream = futures_util::stream::unfold(state, move |(mut waiting, mut broken, over)| async move {
        if over {
            return None;
        }
        let piece = tokio::select! {
            biased;
            () = broken_off(&mut broken) => Err(std::io::Error::other("what was withdrawn could not be taken back in time")),
            piece = waiting.recv() => Ok(piece?),
            () = tokio::time::sleep(heartbeat) => Ok(Bytes::from_static(b":\n\n")),
        };
        let over = piece.is_err();
        Some((piece.map(Frame::data), (waiting, broken, over)))
    });
    let mut response = Response::new(StreamBody::new(stream).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Reverse proxies would otherwise keep events back until a buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(QUERY, id);
    }
    response
}

/// Waits until a stream is broken off.
async fn broken_off(broken: &mut watch::Receiver<bool>) {
    if broken.wait_for(|broken| *broken).await.is_err() {
        // Whoever could break it off is gone: what waits is sent.
        std::future::pending().await
    }
}

/// Whether a path is where a fresh delegation for a standing query is sent.
#[must_use]
pub fn is_delegation(path: &str) -> bool {
    named(path).is_some()
}

fn named(path: &str) -> Option<&str> {
    path.strip_prefix("/queries/")?.strip_suffix("/delegation")
}

/// Takes a fresh delegation for a standing query.
///
/// # Errors
/// 404 for a query that does not stand, or is another's; 403 for a delegation that does not let it go on.
pub fn renew(broker: &Arc<Broker>, call: &Call) -> Answer {
    if call.method != Method::POST {
        return Err(error::method_not_allowed("POST"));
    }
    let (web_id, jkt) = call.consumer()?;
    let id = named(&call.path).unwrap_or_default();
    let entry = broker.standing.running.lock().get(id).cloned();
    let entry = entry
        .filter(|entry| entry.web_id == web_id && entry.jkt == jkt)
        .ok_or_else(|| error::not_found("no query of yours stands under this name"))?;
    let asked = Asked {
        query: String::new(),
        dataset: None,
        purpose: entry.purpose.clone(),
        agreements: Vec::new(),
        complete: Complete::BestEffort,
        provenance: false,
        duplicates: Duplicates::Merged,
        explain: false,
        measured: false,
    };
    // Whose it is, to whom, and for the purpose of the query.
    asker(broker, call, &asked)?;
    let fresh = delegation(broker, call)?;
    let Some(expires) = fresh.expires else {
        return Err(error::bad_request(
            "missing-delegation",
            "send a fresh delegation in the header field `Delegation`",
        ));
    };
    entry.delegation.send_replace(fresh);
    let until = OffsetDateTime::from_unix_timestamp(expires)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok());
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "query": id, "expires": until }),
    ))
}
