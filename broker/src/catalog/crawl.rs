//! Keeping the catalogue fresh: conditional requests to every member, and a member that fails keeps what it said last, marked stale.

use super::{Catalogue, MemberState, parse};
use crate::config::CatalogSection;
use futures_util::StreamExt;
use http::StatusCode;
use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use server_kit::clock::Clock;
use server_kit::egress::{Egress, EgressRequest, Redirects};
use std::sync::Arc;
use std::time::Duration;

/// Crawls every member once.
pub async fn crawl_all(catalogue: &Catalogue, egress: &Egress, limits: &CatalogSection, clock: &dyn Clock) {
    let names: Vec<String> = catalogue.snapshot().members.keys().cloned().collect();
    futures_util::stream::iter(names)
        .for_each_concurrent(limits.crawls_max.max(1), |name| async move {
            crawl(catalogue, egress, limits, clock, &name).await;
        })
        .await;
}

/// Crawls one member and swaps in what it says now.
pub async fn crawl(catalogue: &Catalogue, egress: &Egress, limits: &CatalogSection, clock: &dyn Clock, name: &str) {
    let Some(known) = catalogue.snapshot().members.get(name).cloned() else {
        return;
    };
    let Some(base) = known.config.pod_server().cloned() else {
        return;
    };
    let others = catalogue.snapshot().others(name).map(str::to_owned).collect();
    let outcome = fetch(egress, limits, &known, base.as_str(), others).await;
    let now = clock.now();
    let mut next = MemberState::clone(&known);
    match outcome {
        Ok(Some((parsed, etag))) => {
            for remark in &parsed.remarks {
                tracing::warn!(member = name, remark, "a part of the catalogue was left out");
            }
            tracing::info!(member = name, datasets = parsed.datasets.len(), "catalogue read");
            next.datasets = parsed.datasets;
            next.triples = Arc::new(parsed.triples);
            next.etag = etag;
            (next.confirmed, next.stale_since, next.error) = (Some(now), None, None);
        }
        Ok(None) => (next.confirmed, next.stale_since, next.error) = (Some(now), None, None),
        Err(reason) => {
            if next.error.as_deref() != Some(reason.as_str()) {
                tracing::warn!(member = name, reason, "catalogue not read");
            }
            next.stale_since = next.stale_since.or(Some(now));
            next.error = Some(reason);
            metrics::counter!("meent_crawl_failures_total", "member" => name.to_owned()).increment(1);
        }
    }
    catalogue.replace(next);
}

type Fetched = Option<(parse::Parsed, Option<String>)>;

async fn fetch(
    egress: &Egress,
    limits: &CatalogSection,
    known: &MemberState,
    base: &str,
    others: Vec<String>,
) -> Result<Fetched, String> {
    let mut request = EgressRequest::get(format!("{base}catalog"))
        .header(ACCEPT, HeaderValue::from_static("text/turtle"))
        .redirects(Redirects::SameOrigin(2))
        .bytes_max(limits.catalog_bytes_max)
        .time_max(Duration::from_secs(limits.catalog_seconds_max));
    if let Some(etag) = known.etag.as_deref().and_then(|etag| HeaderValue::from_str(etag).ok()) {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let response = egress
        .fetch(request)
        .await
        .map_err(|error| error.failure().as_str().to_owned())?;
    match response.status {
        StatusCode::NOT_MODIFIED => Ok(None),
        StatusCode::OK if response.media_type() == "text/turtle" => {
            let etag = response
                .headers
                .get(ETAG)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            let (name, base, body) = (known.config.name.clone(), base.to_owned(), response.body);
            let parsed = tokio::task::spawn_blocking(move || parse::parse(&body, &name, &base, &others))
                .await
                .map_err(|_| "the parser stopped".to_owned())?
                .map_err(|error| error.to_string())?;
            Ok(Some((parsed, etag)))
        }
        StatusCode::OK => Err(format!("the catalogue came as `{}`", response.media_type())),
        status => Err(format!("the catalogue answered {status}")),
    }
}
