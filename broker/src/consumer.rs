//! The consumer's side, for a company without software of its own: ask for an agreement, fetch its token, deposit it at a broker, and
//! query under it. Each query carries a fresh delegation by the consumer's key: without it the broker can do nothing.

use crate::source::authority;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use server_kit::authn::client::{ClientError, DELEGATION, DelegationTerms, DpopKey, client_credentials};
use server_kit::body::Body;
use server_kit::clock::Clock;
use server_kit::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use server_kit::random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Life of a delegation, seconds: long enough for one query, short enough to be worthless when it leaks.
const DELEGATION_SECONDS: u32 = 120;

/// How many agreements one delegation names.
const AGREEMENTS_TOGETHER: usize = 16;
/// Up to how many servers of owners each gets a delegation of its own, which tells it nothing about the others.
const SERVERS_APART_MAX: usize = 16;
/// Longest wait for one answer, seconds.
const ANSWER_SECONDS_MAX: u64 = 300;
/// Largest answer, bytes.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Why something did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// No token, or the key cannot sign.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No answer.
    #[error("{url}: {source}")]
    Egress {
        /// Whom it was sent to.
        url: String,
        /// What failed.
        source: EgressError,
    },
    /// The other side said no.
    #[error("{url} answered {status}: {words}")]
    Refused {
        /// Whom it was sent to.
        url: String,
        /// HTTP status.
        status: StatusCode,
        /// Its own words.
        words: String,
    },
    /// The answer is not what it should be.
    #[error("{url} answered something unexpected: {reason}")]
    Unexpected {
        /// Whom it was sent to.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The owner has not decided in time.
    #[error("the owner has not decided yet; the negotiation is `{0}`: look again later")]
    Waiting(String),
    /// The owner refused.
    #[error("the negotiation ended without an agreement")]
    Ended,
}

/// Where a consumer's access tokens come from.
#[derive(Clone)]
pub struct ConsumerAccount {
    /// WebID.
    pub web_id: String,
    /// Token endpoint of the WebID's issuer.
    pub token_endpoint: String,
    /// Client identifier and secret.
    pub client: (String, String),
}

/// A consumer.
pub struct Consumer {
    account: ConsumerAccount,
    key: DpopKey,
    egress: Arc<Egress>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// What a broker says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerDescription {
    /// Its URL, as delegations name it.
    pub url: String,
    /// Thumbprint of its key.
    pub jkt: String,
}

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// IRI of the negotiation.
    pub negotiation: String,
    /// IRI of the agreement.
    pub agreement: String,
}

/// A query to send.
#[derive(Debug, Clone)]
pub struct ConsumerQuery<'a> {
    /// The text.
    pub query: &'a str,
    /// The purpose, an IRI.
    pub purpose: &'a str,
    /// The agreements to use; also what is delegated.
    pub agreements: &'a [String],
    /// Media type of the answer.
    pub accept: &'a str,
    /// Whether a partial answer is an error.
    pub complete_required: bool,
    /// Further parameters of the broker, such as `provenance`.
    pub parameters: &'a [(&'a str, &'a str)],
}

/// The agreements, as they are named together in delegations: of each server apart where these are few, and a few together where they
/// are many, so that an owner learns little about a consumer's other agreements.
fn delegated(agreements: &[String]) -> Vec<Vec<String>> {
    let mut servers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for agreement in agreements {
        servers.entry(authority(agreement)).or_default().push(agreement.clone());
    }
    let together: Vec<Vec<String>> = if servers.len() <= SERVERS_APART_MAX {
        servers.into_values().collect()
    } else {
        vec![agreements.to_vec()]
    };
    let each = together.iter().flat_map(|some| some.chunks(AGREEMENTS_TOGETHER));
    each.map(<[String]>::to_vec).collect()
}

impl Consumer {
    /// A consumer with an account and a key.
    #[must_use]
    pub fn new(
        account: ConsumerAccount,
        key: DpopKey,
        egress: Arc<Egress>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            account,
            key,
            egress,
            clock,
            random,
        }
    }

    /// Asks for an agreement on a dataset and waits until its owner has decided.
    ///
    /// # Errors
    /// [`ConsumerError::Waiting`] with the negotiation when the time is over.
    pub async fn negotiate(
        &self,
        negotiations: &str,
        dataset: &str,
        purpose: &str,
        message: &str,
        wait: Duration,
    ) -> Result<Agreed, ConsumerError> {
        let body = json!({ "dataset": dataset, "purpose": purpose, "message": message });
        let mut state = self
            .call(Method::POST, negotiations, Some(&body), HeaderMap::new())
            .await?;
        let negotiation = text(negotiations, &state, "@id")?;
        let begun = self.clock.unix();
        loop {
            if let Some(agreement) = state.get("agreement").and_then(Value::as_str) {
                return Ok(Agreed {
                    negotiation,
                    agreement: agreement.to_owned(),
                });
            }
            if state
                .get("state")
                .and_then(Value::as_str)
                .is_some_and(|state| state.eq_ignore_ascii_case("terminated"))
            {
                return Err(ConsumerError::Ended);
            }
            if self.clock.unix() - begun >= i64::try_from(wait.as_secs()).unwrap_or(i64::MAX) {
                return Err(ConsumerError::Waiting(negotiation));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            state = self.call(Method::GET, &negotiation, None, HeaderMap::new()).await?;
        }
    }

    /// Fetches a fresh token of an agreement from its owner.
    ///
    /// # Errors
    /// [`ConsumerError`].
    pub async fn agreement_token(&self, agreement: &str) -> Result<String, ConsumerError> {
        let url = format!("{agreement}/token");
        let answer = self
            .call(Method::POST, &url, Some(&json!({})), HeaderMap::new())
            .await?;
        text(&url, &answer, "access_token")
    }

    /// Asks a broker who it is.
    ///
    /// # Errors
    /// [`ConsumerError`].
    pub async fn broker(&self, broker: &str) -> Result<BrokerDescription, ConsumerError> {
        let url = format!("{}/.well-known/meent-broker", broker.trim_end_matches('/'));
        let response = self.send(EgressRequest::get(&url)).await?;
        let value = json_of(&url, response)?;
        Ok(BrokerDescription {
            url: text(&url, &value, "broker")?,
            jkt: text(&url, &value, "jkt")?,
        })
    }

    /// Deposits an agreement's token at a broker.
    ///
    /// # Errors
    /// [`ConsumerError`].
    pub async fn deposit(
        &self,
        broker: &BrokerDescription,
        agreement: &str,
        token: &str,
        purpose: &str,
    ) -> Result<Value, ConsumerError> {
        let mut headers = HeaderMap::new();
        headers.insert(DELEGATION, self.delegation(broker, &[agreement.to_owned()], purpose)?);
        let body = json!({ "agreement": agreement, "access_token": token });
        self.call(Method::POST, &format!("{}agreements", broker.url), Some(&body), headers)
            .await
    }

    /// The agreements whose tokens lie at a broker for this consumer.
    ///
    /// # Errors
    /// [`ConsumerError`].
    pub async fn deposited(&self, broker: &BrokerDescription) -> Result<Vec<String>, ConsumerError> {
        let url = format!("{}agreements", broker.url);
        let answer = self.call(Method::GET, &url, None, HeaderMap::new()).await?;
        let list = answer.get("agreements").and_then(Value::as_array);
        let iri = |entry: &Value| entry.get("agreement").and_then(Value::as_str).map(str::to_owned);
        Ok(list.into_iter().flatten().filter_map(iri).collect())
    }

    /// Sends a query; the answer as it came, errors of the broker included.
    ///
    /// # Errors
    /// [`ConsumerError`] when no answer came.
    pub async fn query(
        &self,
        broker: &BrokerDescription,
        query: &ConsumerQuery<'_>,
    ) -> Result<EgressResponse, ConsumerError> {
        let mut request = self.asking(broker, query, &[])?;
        self.authorize(&mut request).await?;
        self.send(request).await
    }

    /// Asks how a query would be split; with `measured`, the plan is followed first. The answer as it came.
    ///
    /// # Errors
    /// [`ConsumerError`] when no answer came.
    pub async fn explain(
        &self,
        broker: &BrokerDescription,
        query: &ConsumerQuery<'_>,
        measured: bool,
    ) -> Result<EgressResponse, ConsumerError> {
        let further = measured.then(|| ("explain", "measured".to_owned()));
        let mut request = self.asking(broker, query, further.as_slice())?;
        request.url = format!("{}explain", broker.url);
        self.authorize(&mut request).await?;
        self.send(request).await
    }

    /// The request of a query, not authorized yet, with further parameters.
    pub(crate) fn asking(
        &self,
        broker: &BrokerDescription,
        query: &ConsumerQuery<'_>,
        further: &[(&str, String)],
    ) -> Result<EgressRequest, ConsumerError> {
        let url = format!("{}sparql", broker.url);
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", query.query)
            .append_pair("purpose", query.purpose);
        for agreement in query.agreements {
            form.append_pair("agreement", agreement);
        }
        if query.complete_required {
            form.append_pair("complete", "required");
        }
        form.extend_pairs(query.parameters).extend_pairs(further);
        // All of hundreds of agreements would not fit into a header; and an owner sees the delegation that names its agreement.
        let delegated = delegated(query.agreements);
        let many = delegated.len() > 1;
        for some in delegated.iter().filter(|_| many) {
            let text = self.delegation_text(broker, some, query.purpose, DELEGATION_SECONDS)?;
            form.append_pair("delegation", &text);
        }
        let mut request = EgressRequest::post(
            &url,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
            form.finish(),
        );
        // Open data needs none.
        if !many && !query.agreements.is_empty() {
            let delegation = self.delegation(broker, query.agreements, query.purpose)?;
            request.headers.insert(DELEGATION, delegation);
        }
        if let Ok(accept) = HeaderValue::from_str(query.accept) {
            request.headers.insert(ACCEPT, accept);
        }
        Ok(request)
    }

    /// A delegation to a broker as a header value.
    ///
    /// # Errors
    /// When signing fails.
    pub fn delegation(
        &self,
        broker: &BrokerDescription,
        agreements: &[String],
        purpose: &str,
    ) -> Result<HeaderValue, ConsumerError> {
        self.delegation_for(broker, agreements, purpose, DELEGATION_SECONDS)
    }

    /// A delegation of so many seconds.
    pub(crate) fn delegation_for(
        &self,
        broker: &BrokerDescription,
        agreements: &[String],
        purpose: &str,
        seconds: u32,
    ) -> Result<HeaderValue, ConsumerError> {
        let text = self.delegation_text(broker, agreements, purpose, seconds)?;
        let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::Header)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn delegation_text(
        &self,
        broker: &BrokerDescription,
        agreements: &[String],
        purpose: &str,
        seconds: u32,
    ) -> Result<String, ConsumerError> {
        let terms = DelegationTerms {
            consumer: &self.account.web_id,
            broker: &broker.url,
            broker_jkt: &broker.jkt,
            agreements,
            purpose,
            seconds,
        };
        Ok(self.key.delegation(&terms, self.clock.unix(), &*self.random)?)
    }

    pub(crate) async fn authorize(&self, request: &mut EgressRequest) -> Result<(), ConsumerError> {
        let client = (self.account.client.0.as_str(), self.account.client.1.as_str());
        let token = client_credentials(
            &self.egress,
            &self.account.token_endpoint,
            client,
            &self.key,
            &*self.clock,
            &*self.random,
        )
        .await?;
        let (method, url, now) = (request.method.clone(), request.url.clone(), self.clock.unix());
        self.key.authorize(
            &mut request.headers,
            &method,
            &url,
            &token.access_token,
            now,
            &*self.random,
        )?;
        Ok(())
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
        headers: HeaderMap,
    ) -> Result<Value, ConsumerError> {
        let mut request = EgressRequest::new(method, url);
        request.headers = headers;
        request
            .headers
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(body) = body {
            request
                .headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = body.to_string().into();
        }
        self.authorize(&mut request).await?;
        let response = self.send(request).await?;
        json_of(url, response)
    }

    /// Sends a request whose answer lasts.
    pub(crate) async fn opened(&self, request: EgressRequest) -> Result<(StatusCode, HeaderMap, Body), ConsumerError> {
        let url = request.url.clone();
        let request = request.bytes_max(u64::MAX);
        let opened = self.egress.stream(request).await;
        opened.map_err(|source| ConsumerError::Egress { url, source })
    }

    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, ConsumerError> {
        let url = request.url.clone();
        let request = request
            .bytes_max(ANSWER_BYTES_MAX)
            .time_max(Duration::from_secs(ANSWER_SECONDS_MAX));
        self.egress
            .fetch(request)
            .await
            .map_err(|source| ConsumerError::Egress { url, source })
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Consumer")
            .field("web_id", &self.account.web_id)
            .finish_non_exhaustive()
    }
}

/// Whether a broker's answer is complete, by its header field.
#[must_use]
pub fn is_complete(response: &EgressResponse) -> Option<bool> {
    let name = HeaderName::from_static("meent-complete");
    match response.headers.get(name)?.to_str().ok()? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn json_of(url: &str, response: EgressResponse) -> Result<Value, ConsumerError> {
    if !response.status.is_success() {
        return Err(ConsumerError::Refused {
            url: url.to_owned(),
            status: response.status,
            words: words(&response.body),
        });
    }
    serde_json::from_slice(&response.body).map_err(|error| ConsumerError::Unexpected {
        url: url.to_owned(),
        reason: error.to_string(),
    })
}

/// The words of a problem, or the start of whatever else was sent.
#[must_use]
pub fn words(body: &[u8]) -> String {
    const CHARS_MAX: usize = 2_000;
    let text = String::from_utf8_lossy(body);
    let problem: Option<Value> = serde_json::from_str(&text).ok();
    let member = |name: &str| {
        problem
            .as_ref()
            .and_then(|p| p.get(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    match (member("title"), member("detail")) {
        (Some(title), Some(detail)) => format!("{title}: {detail}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => text.chars().take(CHARS_MAX).collect(),
    }
}

fn text(url: &str, value: &Value, name: &str) -> Result<String, ConsumerError> {
    value
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| ConsumerError::Unexpected {
            url: url.to_owned(),
            reason: format!("`{name}` is missing"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T77: an owner learns nothing of agreements with others, unless these are very many.
    #[test]
    fn servers_get_delegations_of_their_own() {
        let of = |server: usize, number: usize| format!("https://owner{server}.example/a/{number}");
        let few: Vec<String> = (0..40).map(|number| of(number % 2, number)).collect();
        let apart = delegated(&few);
        assert_eq!(apart.iter().map(Vec::len).collect::<Vec<_>>(), [16, 4, 16, 4]);
        let own = |some: &Vec<String>| {
            some.iter()
                .map(|agreement| authority(agreement))
                .all(|a| Some(a) == some.first().map(|b| authority(b)))
        };
        assert!(apart.iter().all(own));
        let many: Vec<String> = (0..285).map(|server| of(server, 0)).collect();
        assert_eq!(delegated(&many).len(), 18);
        assert_eq!(delegated(&[]).len(), 0);
    }
}
