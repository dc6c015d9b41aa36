//! What this broker knows about a holder of data, for the holder alone: the descriptions that it keeps, the agreements that
//! consumers left with it, and the part of its log that is about the holder's data (Data Governance Act art. 12(c)).
//!
//! Whose data it is follows from what the holder's own server publishes: a dataset below that server's address whose
//! publisher is the caller. What others deposit or ask cannot change that. Of a query that also asked others only the
//! holder's own part is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use policies::audit::AuditRecord;
use rusqlite::params;
use serde_json::{Value, json};
use url::Url;

use crate::agreement::deposit::blocking;
use crate::app::Broker;
use crate::catalog::Snapshot;
use crate::error::{self, Answer};
use crate::http::{Call, json as answer};
use crate::state::{State, StateError};

/// Leaves of the log that are looked through for one page.
const PAGE_LEAVES: u32 = 10_000;

/// Where a storage keeps its datasets and agreements.
const DATASPACE: &str = ".dataspace/";

/// Answers `GET /holdings`.
///
/// # Errors
/// 401 for a caller who has not said who they are; 400 for a page that is no number; 503 while too much else is asked.
pub async fn respond(broker: &Arc<Broker>, call: &Call) -> Answer {
    crate::app::reading(call)?;
    let (holder, _) = call.consumer()?;
    let _turn = broker.turn()?;
    let after = call.parameter("after").map(str::parse::<i64>).transpose();
    let after = after.map_err(|_| error::bad_request("invalid-parameter", "`after` is a number of a leaf"))?;
    let snapshot = broker.catalogue.snapshot();
    let places = places(&snapshot, &holder);
    let datasets: Vec<Value> = snapshot
        .datasets()
        .iter()
        .filter(|dataset| inside(&places, &dataset.iri))
        .map(|dataset| json!({ "dataset": dataset.iri, "member": dataset.member, "titles": dataset.titles }))
        .collect();
    let state = Arc::clone(&broker.state);
    let (deposits, records, next) = blocking(move || {
        if places.is_empty() {
            return Ok::<_, StateError>((Vec::new(), Vec::new(), None));
        }
        let deposits = deposits(&state, &places)?;
        let (records, next) = records(&state, &places, after.unwrap_or(-1))?;
        Ok((deposits, records, next))
    })
    .await?
    .map_err(|error| error::internal(&error))?;
    Ok(answer(
        StatusCode::OK,
        &json!({ "holder": holder, "datasets": datasets, "agreements": deposits, "log": records, "next": next }),
    ))
}

/// The places of a holder: where storages keep datasets of which the holder is the publisher, as their own server says.
fn places(snapshot: &Snapshot, holder: &str) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for member in snapshot.members.values() {
        let Some(url) = member.config.pod_server() else {
            continue;
        };
        for dataset in &member.datasets {
            let own = dataset.publisher.as_deref() == Some(holder) && serves(url, &dataset.iri);
            if let (true, Some((storage, _))) = (own, dataset.iri.split_once(DATASPACE)) {
                places.insert(format!("{storage}{DATASPACE}"));
            }
        }
    }
    places
}

/// Whether a server speaks for an IRI: it lies below its address, or on a host below its own, where storages may have
/// origins of their own.
fn serves(server: &Url, iri: &str) -> bool {
    let below = || {
        let (iri, host) = (Url::parse(iri).ok()?, server.host_str()?);
        let same = iri.scheme() == server.scheme() && iri.port_or_known_default() == server.port_or_known_default();
        let named = server.domain().is_some() && iri.host_str()?.strip_suffix(host)?.ends_with('.');
        Some(same && named)
    };
    iri.starts_with(server.as_str()) || below() == Some(true)
}

fn inside(places: &BTreeSet<String>, iri: &str) -> bool {
    places.iter().any(|place| iri.starts_with(place.as_str()))
}

/// The agreements that consumers left here, without their tokens.
fn deposits(state: &State, places: &BTreeSet<String>) -> Result<Vec<Value>, StateError> {
    let rows = state.deposits()?;
    let own = rows.into_iter().filter(|row| inside(places, &row.agreement));
    let shown = own.map(|row| json!({ "agreement": row.agreement, "consumer": row.web_id, "token_ends": row.expires }));
    Ok(shown.collect())
}

/// The records about a holder's data among the leaves after one, and after which leaf to go on.
fn records(state: &State, places: &BTreeSet<String>, after: i64) -> Result<(Vec<Value>, Option<i64>), StateError> {
    let rows: Vec<(i64, Vec<u8>)> = state.with(|connection| {
        let mut statement =
            connection.prepare_cached("SELECT leaf, content FROM record WHERE leaf > ?1 ORDER BY leaf LIMIT ?2")?;
        let rows = statement.query_map(params![after, PAGE_LEAVES], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })?;
    let next = rows
        .last()
        .filter(|_| rows.len() == PAGE_LEAVES as usize)
        .map(|(leaf, _)| *leaf);
    let mut shown = Vec::new();
    for (leaf, content) in &rows {
        let Ok(mut record) = AuditRecord::from_bytes(content) else {
            tracing::error!(leaf, "a record of the log cannot be read");
            continue;
        };
        record.targets.retain(|target| inside(places, target));
        if !record.targets.is_empty() {
            shown.push(json!({ "leaf": leaf, "record": record }));
        }
    }
    Ok((shown, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_speaks_for_itself_and_its_storages() {
        let server = Url::parse("https://pod.example/").unwrap();
        for (iri, expected) in [
            ("https://pod.example/gent/.dataspace/datasets/1", true),
            ("https://gent.pod.example/.dataspace/datasets/1", true),
            ("https://evilpod.example/gent/.dataspace/datasets/1", false),
            ("http://gent.pod.example/.dataspace/datasets/1", false),
            ("https://gent.pod.example:444/.dataspace/datasets/1", false),
            ("https://other.example/gent/.dataspace/datasets/1", false),
        ] {
            assert_eq!(serves(&server, iri), expected, "{iri}");
        }
    }

    #[test]
    fn a_place_is_a_whole_one() {
        let places = BTreeSet::from(["https://pod.example/gent/.dataspace/".to_owned()]);
        assert!(inside(&places, "https://pod.example/gent/.dataspace/agreements/1"));
        for other in [
            "https://pod.example/gent2/.dataspace/agreements/1",
            "https://pod.example/gent/",
        ] {
            assert!(!inside(&places, other));
        }
        assert!(!inside(
            &BTreeSet::new(),
            "https://pod.example/gent/.dataspace/agreements/1"
        ));
    }
}
