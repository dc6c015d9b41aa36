//! A broker in the test's own process, members with data and offers, and a consumer's calls.

use broker::app::{Running, start};
use broker::config::Config;
use meent_tests::pod::{Agent, Client, PodServer, Reply};
use serde_json::{Value, json};
use server_kit::authn::client::DelegationTerms;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;
use server_kit::shutdown::Shutdown;
use std::path::Path;
use std::time::Duration;

pub const PURPOSE: &str = "https://w3id.org/meent/ns#BicyclePolicy";
pub const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> . @prefix ex: <http://vocab.example/> .
";
pub const ROWS: &str =
    "PREFIX ex: <http://vocab.example/> SELECT ?o ?n WHERE { ?o a ex:Count ; ex:bicycles ?n } ORDER BY ?n";

pub struct BrokerServer {
    pub base_url: String,
    pub running: Option<Running>,
    shutdown: Shutdown,
    pub port: u16,
}

impl BrokerServer {
    pub async fn start(directory: &Path, members: &[&PodServer], settings: Value) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self::start_on(port, directory, members, settings).await
    }

    pub async fn start_on(port: u16, directory: &Path, members: &[&PodServer], settings: Value) -> Self {
        let base_url = format!("http://127.0.0.1:{port}/");
        let names = ["gent", "brugge", "kortrijk"];
        let members: Vec<Value> = names
            .iter()
            .zip(members)
            .map(|(name, pod)| json!({ "name": name, "url": pod.base_url }))
            .collect();
        let mut value = json!({
            "server": { "base_url": base_url, "listen": format!("127.0.0.1:{port}") },
            "admin": { "listen": null },
            "state": { "directory": directory },
            "members": members,
            "catalog": { "crawl_seconds": 1 },
            "exec": { "member_ms_max": 3000 },
            "egress": { "allow": ["127.0.0.1:*"] },
        });
        for (section, keys) in settings.as_object().unwrap() {
            for (key, setting) in keys.as_object().unwrap() {
                value[section][key] = setting.clone();
            }
        }
        let config: Config = serde_json::from_value(value).unwrap();
        let shutdown = Shutdown::new();
        let running = start(config, shutdown.clone()).await.unwrap();
        Self {
            base_url,
            running: Some(running),
            shutdown,
            port,
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base_url)
    }

    pub fn jkt(&self) -> String {
        self.running.as_ref().unwrap().broker.key.thumbprint().to_owned()
    }

    pub async fn knows(&self, datasets: usize) {
        for _ in 0..200 {
            let known = self
                .client()
                .request("GET", "/catalog")
                .header("accept", "application/json")
                .send()
                .await
                .json();
            if known["found"].as_u64().unwrap() as usize >= datasets {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the broker never found {datasets} datasets");
    }

    pub async fn stop(mut self) {
        self.shutdown.trigger();
        self.running.take().unwrap().finished().await;
    }
}

impl Drop for BrokerServer {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// A municipality with three counts and one dataset over them.
pub async fn municipality(title: &str, first: i64, terms: &str) -> PodServer {
    let pod = PodServer::start().await;
    offer_counts(&pod, title, first, terms).await;
    pod
}

/// Makes the storage `city` on a server, with three counts and one dataset over them; gives its owner.
pub async fn offer_counts(pod: &PodServer, title: &str, first: i64, terms: &str) -> Agent {
    let agent = pod.agent("city").await;
    let owner = agent.client();
    let rows: String = (0..3)
        .map(|n| {
            format!(
                "<#o{n}> a ex:Count ; ex:bicycles {} ; ex:street <http://streets.example/{}> .\n",
                first + n,
                n % 2
            )
        })
        .collect();
    let put = owner
        .put("/city/counts/one", "text/turtle", format!("{PREFIXES}{rows}"))
        .await;
    assert!(put.status.is_success(), "{}", put.text());
    let dataset = format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"{title}\"@nl , \"Counts of {title}\"@en ; dcat:keyword \"fiets\"@nl ;
           meent:container <{}counts/> ; meent:publishSummary true ; meent:automaticAgreement true ; odrl:hasPolicy <#offer> .
         <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target {terms} ; odrl:action odrl:use ;
           odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ] .",
        pod.app.origins.root("city")
    );
    let made = owner
        .put("/city/.dataspace/datasets/counts", "text/turtle", dataset)
        .await;
    assert!(made.status.is_success(), "{}", made.text());
    agent
}

pub fn delegation(agent: &Agent, broker: &BrokerServer, agreements: &[String], purpose: &str) -> String {
    delegation_for(agent, broker, agreements, purpose, 120)
}

pub fn delegation_for(
    agent: &Agent,
    broker: &BrokerServer,
    agreements: &[String],
    purpose: &str,
    seconds: u32,
) -> String {
    let terms = DelegationTerms {
        consumer: &agent.web_id,
        broker: &broker.base_url,
        broker_jkt: &broker.jkt(),
        agreements,
        purpose,
        seconds,
    };
    agent
        .key()
        .delegation(&terms, SystemClock.unix(), &SystemRandom)
        .unwrap()
}

/// Asks for an agreement, and deposits its token and text.
pub async fn agree(agent: &Agent, pod: &PodServer, broker: &BrokerServer) -> String {
    let (client, root) = (agent.client(), pod.app.origins.root("city"));
    let ask = json!({ "dataset": format!("{root}.dataspace/datasets/counts"), "purpose": PURPOSE, "message": "plan" });
    let asked = client
        .request("POST", &format!("{root}.dataspace/negotiations"))
        .content("application/json", ask.to_string())
        .send()
        .await;
    assert!(asked.status.is_success(), "{}", asked.text()); // 200 when it was agreed before
    let agreement = asked.json()["agreement"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", asked.text()))
        .to_owned();
    let token = client
        .request("POST", &format!("{agreement}/token"))
        .content("application/json", "{}")
        .send()
        .await;
    assert_eq!(token.status, 200, "{}", token.text());
    let document = client
        .request("GET", &agreement)
        .header("accept", "text/turtle")
        .send()
        .await
        .text();
    let body = json!({ "agreement": agreement, "access_token": token.json()["access_token"], "document": document });
    let deposited = client
        .request("POST", &format!("{}agreements", broker.base_url))
        .header(
            "delegation",
            delegation(agent, broker, std::slice::from_ref(&agreement), PURPOSE),
        )
        .content("application/json", body.to_string())
        .send()
        .await;
    assert_eq!(deposited.status, 201, "{}", deposited.text());
    agreement
}

pub async fn ask(
    agent: &Agent,
    broker: &BrokerServer,
    agreements: &[String],
    query: &str,
    fields: &[(&str, &str)],
    accept: &str,
) -> Reply {
    let purpose = fields
        .iter()
        .find(|(name, _)| *name == "purpose")
        .map_or(PURPOSE, |(_, purpose)| *purpose);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", query).extend_pairs(fields);
    let client = agent.client();
    let mut request = client
        .request("POST", &format!("{}sparql", broker.base_url))
        .header("accept", accept)
        .content("application/x-www-form-urlencoded", form.finish());
    if !agreements.is_empty() {
        request = request.header("delegation", delegation(agent, broker, agreements, purpose));
    }
    request.send().await
}

pub const JSON: &str = "application/sparql-results+json";

pub fn numbers(reply: &Reply) -> Vec<i64> {
    let value = reply.json();
    value["results"]["bindings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["n"]["value"].as_str().unwrap().parse().unwrap())
        .collect()
}
