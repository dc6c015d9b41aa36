//! The company: asks owners for access, keeps the agreements' tokens, and queries through the broker or directly.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use server_kit::authn::client::DelegationTerms;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;

use super::ScenarioError;
use super::expected::Rows;
use super::network::Network;
use super::party::{Party, Reply};

/// How many agreements one delegation names.
const AGREEMENTS_TOGETHER: usize = 16;

/// An agreement with its token.
#[derive(Clone, Debug)]
pub struct Access {
    /// IRI of the agreement.
    pub agreement: String,
    /// IRI of the dataset.
    pub dataset: String,
    /// Token bound to the agreement and to the company's key.
    pub token: String,
}

/// A company with its agreements.
#[derive(Clone)]
pub struct Company {
    /// Who it is.
    pub party: Party,
    /// Agreements by dataset name.
    pub access: BTreeMap<String, Access>,
    broker_url: String,
    broker_jkt: String,
}

/// An answer of the broker.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Rows in the order of the answer's variables, as plain texts.
    pub rows: Rows,
    /// Whether the broker says that nothing is missing.
    pub complete: bool,
    /// The whole reply.
    pub reply: Reply,
}

impl Company {
    /// A company that knows the broker.
    ///
    /// # Errors
    /// When the broker does not say which key it signs with.
    pub async fn new(network: &Network, party: Party) -> Result<Self, ScenarioError> {
        let url = format!("{}.well-known/meent-broker", network.broker_url);
        let description: Value = serde_json::from_str(&super::network::read_public(&network.egress, &url).await?)?;
        let broker_jkt = description
            .get("jkt")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Ok(Self {
            party,
            access: BTreeMap::new(),
            broker_url: network.broker_url.clone(),
            broker_jkt,
        })
    }

    /// The same company with some of its agreements only, by the dataset's name.
    #[must_use]
    pub fn with_only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let mut own = self.clone();
        own.access.retain(|name, _| wanted(name));
        own
    }

    /// Asks for a dataset, fetches the agreement's token and leaves it with the broker.
    ///
    /// # Errors
    /// What the owner or the broker answered instead.
    pub async fn ask(&mut self, base_url: &str, member: &str, name: &str, purpose: &str) -> Result<(), ScenarioError> {
        let dataset = format!("{base_url}{member}/.dataspace/datasets/{name}");
        let body = json!({ "dataset": dataset, "purpose": purpose, "message": "Onderzoek naar veilige fietsroutes" });
        let url = format!("{base_url}{member}/.dataspace/negotiations");
        let negotiation = self
            .party
            .post_json(&url, &body)
            .await?
            .success(&format!("asking for {name}"))?
            .json();
        let agreement = negotiation
            .get("agreement")
            .and_then(Value::as_str)
            .ok_or_else(|| ScenarioError(format!("no agreement came about: {negotiation}")))?
            .to_owned();
        let token = self.token(&agreement).await?;
        let access = Access {
            agreement,
            dataset,
            token,
        };
        self.deposit(&access, purpose).await?;
        self.access.insert(name.to_owned(), access);
        Ok(())
    }

    /// A fresh token for an agreement.
    ///
    /// # Errors
    /// What the owner answered instead.
    pub async fn token(&self, agreement: &str) -> Result<String, ScenarioError> {
        let reply = self
            .party
            .send(Method::POST, &format!("{agreement}/token"), &[], Vec::new())
            .await?;
        let answer = reply.success("fetching an agreement's token")?.json();
        let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
        Ok(token.to_owned())
    }

    async fn deposit(&self, access: &Access, purpose: &str) -> Result<(), ScenarioError> {
        let body = json!({ "agreement": access.agreement, "access_token": access.token });
        let delegation = self.delegation(std::slice::from_ref(&access.agreement), purpose)?;
        let headers = [
            ("content-type", "application/json"),
            ("delegation", delegation.as_str()),
        ];
        let url = format!("{}agreements", self.broker_url);
        self.party
            .send(Method::POST, &url, &headers, body.to_string())
            .await?
            .success("leaving a token")?;
        Ok(())
    }

    /// Lets the broker act under some agreements, for one purpose, for five minutes.
    fn delegation(&self, agreements: &[String], purpose: &str) -> Result<String, ScenarioError> {
        let terms = DelegationTerms {
            consumer: &self.party.web_id,
            broker: &self.broker_url,
            broker_jkt: &self.broker_jkt,
            agreements,
            purpose,
            seconds: 300,
        };
        let delegation = self.party.key.delegation(&terms, SystemClock.unix(), &SystemRandom);
        delegation.map_err(|error| ScenarioError(error.to_string()))
    }

    /// Sends a query to the broker, with a fresh delegation of five minutes.
    ///
    /// # Errors
    /// When no answer comes. A refusal is an answer.
    pub async fn send(&self, query: &str, purpose: &str) -> Result<Reply, ScenarioError> {
        self.send_to("sparql", "application/sparql-results+json", query, purpose)
            .await
    }

    /// Asks the broker how it answers a query, and what came of each part.
    ///
    /// # Errors
    /// When the answer is no plan.
    pub async fn explain(&self, query: &str, purpose: &str) -> Result<Value, ScenarioError> {
        let path = "explain?explain=measured";
        let reply = self.send_to(path, "application/json", query, purpose).await?;
        Ok(reply.success("asking for a plan")?.json())
    }

    /// The plan as the broker writes it for people, beside what really came when it was followed.
    ///
    /// # Errors
    /// When the answer is no plan.
    pub async fn explain_in_words(&self, query: &str, purpose: &str) -> Result<String, ScenarioError> {
        let path = "explain?explain=measured";
        let reply = self.send_to(path, "text/plain", query, purpose).await?;
        Ok(reply.success("asking for a plan")?.text())
    }

    async fn send_to(&self, path: &str, accept: &str, query: &str, purpose: &str) -> Result<Reply, ScenarioError> {
        let agreements: Vec<String> = self.access.values().map(|access| access.agreement.clone()).collect();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", query).append_pair("purpose", purpose);
        // Each owner is shown the delegation that names its agreement, and the agreements named beside it.
        for some in agreements.chunks(AGREEMENTS_TOGETHER) {
            form.append_pair("delegation", &self.delegation(some, purpose)?);
        }
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", accept),
        ];
        let url = format!("{}{path}", self.broker_url);
        self.party.send(Method::POST, &url, &headers, form.finish()).await
    }

    /// Sends a query to the broker and reads the rows.
    ///
    /// # Errors
    /// When the answer is a refusal or is no result.
    pub async fn query(&self, query: &str, purpose: &str) -> Result<Answer, ScenarioError> {
        let reply = self.send(query, purpose).await?.success("asking the broker")?;
        let complete = reply.header("meent-complete") == "true";
        Ok(Answer {
            rows: rows(&reply.json())?,
            complete,
            reply,
        })
    }

    /// Sends a query straight to a member under one agreement, with the company's own key.
    ///
    /// # Errors
    /// When no answer comes. A refusal is an answer.
    pub async fn query_directly(
        &self,
        base_url: &str,
        access: &Access,
        query: &str,
        purpose: &str,
    ) -> Result<Reply, ScenarioError> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .append_pair("purpose", purpose)
            .append_pair("agreement", &access.agreement)
            .finish();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/sparql-results+json"),
        ];
        self.party
            .send_with(
                Method::POST,
                &format!("{base_url}sparql"),
                &access.token,
                &headers,
                body,
            )
            .await
    }

    /// Waits until the broker has seen a number of datasets in its members' catalogues.
    ///
    /// # Errors
    /// When it has not after three minutes.
    pub async fn wait_for_catalog(&self, network: &Network, datasets: usize) -> Result<(), ScenarioError> {
        let url = format!("{}members", self.broker_url);
        let mut last = Value::Null;
        for _ in 0..900 {
            if let Ok(text) = super::network::read_public(&network.egress, &url).await {
                last = serde_json::from_str(&text)?;
                let members = last.get("members").and_then(Value::as_array).into_iter().flatten();
                let seen: u64 = members.filter_map(|member| member.get("datasets")?.as_u64()).sum();
                if seen >= datasets as u64 {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(ScenarioError(format!(
            "the broker's catalogue does not hold {datasets} datasets: {last}"
        )))
    }
}

/// Rows of SPARQL results in JSON, as plain texts; an unbound variable is empty.
///
/// # Errors
/// When it is no such result.
pub fn rows(results: &Value) -> Result<Rows, ScenarioError> {
    let wrong = || ScenarioError(format!("no results: {results}"));
    let variables: Vec<&str> = results
        .pointer("/head/vars")
        .and_then(Value::as_array)
        .ok_or_else(wrong)?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let bindings = results
        .pointer("/results/bindings")
        .and_then(Value::as_array)
        .ok_or_else(wrong)?;
    let text = |binding: &Value, variable: &str| {
        binding
            .pointer(&format!("/{variable}/value"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(bindings
        .iter()
        .map(|binding| variables.iter().map(|variable| text(binding, variable)).collect())
        .collect())
}
