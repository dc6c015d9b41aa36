//! The consumer's side of a standing query: takes events, sends fresh delegations in time, deposits fresh agreement tokens,
//! and comes back where it left when the connection ends.

use super::channel::LAST_EVENT_ID;
use super::event::{Event, Events};
use crate::consumer::{BrokerDescription, Consumer, ConsumerError, ConsumerQuery, words};
use http::header::HeaderValue;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use server_kit::authn::client::DELEGATION;
use server_kit::body::Body;
use std::time::Duration;
use tokio::time::Instant;

/// Largest event, bytes.
const EVENT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Connections in a row that give nothing, after which it is given up.
const FAILURES_MAX: u32 = 8;
/// First pause before coming back; each is twice the one before.
const PAUSE: Duration = Duration::from_secs(1);
/// Life of a delegation, seconds: the longest that pods accept.
const DELEGATION_SECONDS: u32 = 300;
/// A fresh delegation is sent when this much of the last one's life is over.
const RENEWAL: Duration = Duration::from_secs(240);
/// Renewals between two deposits of fresh agreement tokens, which live up to an hour.
const RENEWALS_PER_TOKEN: u32 = 10;
/// Ends after which asking again is worth while.
const PASSING: [&str; 3] = ["delegation-expired", "stopping", "withdrawn"];

/// How one connection ended.
enum Ended {
    /// For good.
    Over,
    /// It may be taken up again; whether anything came on it.
    Broken(bool),
}

/// Where a consumer is.
struct Position {
    id: String,
    renewals: u32,
}

impl Consumer {
    /// Follows a standing query and hands each event on, until it ends for good. `interval` is the least time between two
    /// evaluations, in seconds.
    ///
    /// # Errors
    /// What `each` fails with, or [`ConsumerError`] when the broker refuses or cannot be reached for long.
    pub async fn follow<E: From<ConsumerError>>(
        &self,
        broker: &BrokerDescription,
        query: &ConsumerQuery<'_>,
        interval: Option<u64>,
        mut each: impl FnMut(&Event) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut position = Position {
            id: String::new(),
            renewals: 0,
        };
        let mut failures = 0;
        loop {
            let error = match self.connected(broker, query, interval, &position.id).await {
                Ok((headers, body)) => {
                    match self
                        .take(broker, query, (&headers, body), &mut position, &mut each)
                        .await?
                    {
                        Ended::Over => return Ok(()),
                        Ended::Broken(true) => failures = 0,
                        Ended::Broken(false) => {}
                    }
                    None
                }
                Err(error) => Some(error),
            };
            failures += 1;
            match error {
                Some(refused @ ConsumerError::Refused { status, .. }) if status.is_client_error() && passes(status) => {
                    return Err(refused.into());
                }
                Some(error) if failures >= FAILURES_MAX => return Err(error.into()),
                _ => {}
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(failures.min(5) - 1)).await;
        }
    }

    async fn connected(
        &self,
        broker: &BrokerDescription,
        query: &ConsumerQuery<'_>,
        interval: Option<u64>,
        last: &str,
    ) -> Result<(HeaderMap, Body), ConsumerError> {
        let further: Vec<(&str, String)> = interval
            .iter()
            .map(|seconds| ("interval", seconds.to_string()))
            .collect();
        let lasting = ConsumerQuery {
            accept: "text/event-stream",
            ..query.clone()
        };
        let mut request = self.asking(broker, &lasting, &further)?;
        let word = self.delegation_for(broker, query.agreements, query.purpose, DELEGATION_SECONDS)?;
        request.headers.insert(DELEGATION, word);
        if let Ok(last) = HeaderValue::from_str(last)
            && !last.is_empty()
        {
            request.headers.insert(LAST_EVENT_ID, last);
        }
        self.authorize(&mut request).await?;
        let url = request.url.clone();
        let (status, headers, mut body) = self.opened(request).await?;
        if status.is_success() {
            return Ok((headers, body));
        }
        let mut said = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            said.extend(frame.into_data().unwrap_or_default());
        }
        Err(ConsumerError::Refused {
            url,
            status,
            words: words(&said),
        })
    }

    async fn take<E: From<ConsumerError>>(
        &self,
        broker: &BrokerDescription,
        query: &ConsumerQuery<'_>,
        (headers, mut body): (&HeaderMap, Body),
        position: &mut Position,
        each: &mut impl FnMut(&Event) -> Result<(), E>,
    ) -> Result<Ended, E> {
        let name = headers.get("meent-query").and_then(|value| value.to_str().ok());
        let mut events = Events::new(EVENT_BYTES_MAX);
        let mut renew_at = Instant::now() + RENEWAL;
        let mut came = false;
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = tokio::time::sleep_until(renew_at), if name.is_some() => {
                    renew_at = Instant::now() + RENEWAL;
                    // A renewal that fails is tried again by coming back, when the query has ended for it.
                    if let Err(error) = self.renew(broker, query, name.unwrap_or_default(), position).await {
                        tracing::warn!(%error, "a fresh delegation was not taken");
                    }
                    continue;
                }
            };
            let Some(Ok(frame)) = frame else {
                return Ok(Ended::Broken(came));
            };
            let Ok(piece) = frame.into_data() else { continue };
            let Ok(heard) = events.take(&piece) else {
                return Ok(Ended::Broken(false));
            };
            for event in heard {
                each(&event)?;
                if event.name == "end" {
                    let passing = PASSING
                        .iter()
                        .any(|code| event.data.contains(&format!("\"code\":\"{code}\"")));
                    return Ok(if passing { Ended::Broken(came) } else { Ended::Over });
                }
                came = true;
                position.id.clone_from(&event.id);
            }
        }
    }

    async fn renew(
        &self,
        broker: &BrokerDescription,
        query: &ConsumerQuery<'_>,
        name: &str,
        position: &mut Position,
    ) -> Result<(), ConsumerError> {
        position.renewals += 1;
        if position.renewals.is_multiple_of(RENEWALS_PER_TOKEN) {
            for agreement in query.agreements {
                let token = self.agreement_token(agreement).await?;
                self.deposit(broker, agreement, &token, query.purpose).await?;
            }
        }
        let mut headers = HeaderMap::new();
        let word = self.delegation_for(broker, query.agreements, query.purpose, DELEGATION_SECONDS)?;
        headers.insert(DELEGATION, word);
        let url = format!("{}queries/{name}/delegation", broker.url);
        self.call(Method::POST, &url, None, headers).await.map(drop)
    }
}

/// Whether asking again at once would be refused again.
fn passes(status: StatusCode) -> bool {
    status != StatusCode::TOO_MANY_REQUESTS
}
