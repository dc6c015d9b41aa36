//! How long it takes from a citizen's withdrawal until a consumer of a standing query has the answer without that citizen:
//! a pod server with citizens' storages and a broker, over sockets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use broker::app::{Running, start};
use broker::standing::event::{Event, Events};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use server_kit::authn::client::DelegationTerms;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;
use server_kit::shutdown::Shutdown;

use super::BenchError;
use super::report::{Goal, Row, Table, time};
use crate::pod::{Agent, PodServer, Reply};

const PURPOSE: &str = "https://w3id.org/meent/ns#BicyclePolicy";
const QUERY: &str = "SELECT ?o ?n { ?o <http://vocab.example/bicycles> ?n }";
/// Longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a withdrawal may take at most.
const GOAL_MICROS: u64 = 1_000_000;

/// Withdraws `rounds` times among so many citizens, and gives again in between.
///
/// # Errors
/// When a server cannot start or answers something unexpected.
pub async fn measure(citizens: u32, rounds: u32, progress: &mut dyn FnMut(&str)) -> Result<Table, BenchError> {
    progress("storages and consents");
    let scene = Scene::set(citizens.max(2)).await?;
    let mut stream = scene.open().await?;
    stream.until(|event| event.name == "answer").await?;
    let (mut asked, mut gone) = (Vec::new(), Vec::new());
    for round in 0..rounds.max(1) {
        progress(&format!("withdrawal {} of {rounds}", round + 1));
        let number = round % scene.people.len() as u32;
        let citizen = scene.people.get(number as usize).ok_or_else(|| fault("no citizen"))?;
        let consent = scene.give(citizen, number).await?;
        stream.until(|event| counts(event, "added") == 1).await?;
        let began = Instant::now();
        let path = format!("/burger{number}/.consent/{consent}/withdraw");
        expect(citizen.client().request("POST", &path).send().await)?;
        asked.push(micros(began));
        stream.until(|event| counts(event, "removed") == 1).await?;
        gone.push(micros(began));
    }
    scene.stop().await;
    Ok(table(citizens, asked, gone))
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[allow(clippy::cast_precision_loss)]
fn table(citizens: u32, mut asked: Vec<u64>, mut gone: Vec<u64>) -> Table {
    let runs = json!({ "acknowledged_micros": asked, "gone_micros": gone });
    asked.sort_unstable();
    gone.sort_unstable();
    let at = |values: &[u64], share: usize| {
        let place = (values.len() * share / 100).min(values.len().saturating_sub(1));
        values.get(place).copied().unwrap_or_default()
    };
    let (median, most) = (at(&gone, 50), at(&gone, 99));
    let acknowledged = at(&asked, 50);
    let row = Row {
        case: format!("{} withdrawals among {citizens} citizens", gone.len()),
        figure: format!("median {}, p99 {}", time(median), time(most)),
        baseline: format!("the withdrawal itself acknowledged after {}", time(acknowledged)),
        ratio: Some(median as f64 / (acknowledged as f64).max(1.0)),
        goal: Some(Goal {
            text: format!("p99 ≤ {}", time(GOAL_MICROS)),
            met: most <= GOAL_MICROS,
        }),
        peer: None,
        note: "from sending the withdrawal until the consumer has read that the rows are gone".to_owned(),
        runs,
    };
    Table {
        title: "Standing queries: from a withdrawal to the cut".to_owned(),
        method: "A pod server, a broker and a consumer in one process over loopback; every evaluation is decided and recorded at both."
            .to_owned(),
        ratio_of: "by the acknowledgement".to_owned(),
        rows: vec![row],
    }
}

fn fault(words: impl Into<String>) -> BenchError {
    BenchError(words.into())
}

fn expect(reply: Reply) -> Result<Reply, BenchError> {
    if reply.status.is_success() {
        Ok(reply)
    } else {
        Err(fault(format!("{}: {}", reply.status, reply.text())))
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, BenchError> {
    value
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| fault(format!("no `{name}` in {value}")))
}

/// Rows of a part of a change.
fn counts(event: &Event, part: &str) -> usize {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let rows = data
        .get(part)
        .and_then(|rows| rows.get("bindings"))
        .and_then(Value::as_array);
    rows.map_or(0, Vec::len)
}

/// The servers, and who takes part.
struct Scene {
    pod: PodServer,
    people: Vec<Agent>,
    company: Agent,
    agreement: String,
    broker: Running,
    base: String,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn set(citizens: u32) -> Result<Self, BenchError> {
        let pod = PodServer::start_with(json!({ "dataspace": { "umbrella_storages": ["city"] } })).await;
        let city = pod.agent("city").await;
        let company = pod.agent("company").await;
        let mut people = Vec::new();
        for number in 0..citizens {
            let citizen = pod.agent(&format!("burger{number}")).await;
            let body = format!("<#o> <http://vocab.example/bicycles> {number} .");
            let path = format!("/burger{number}/counts/d");
            expect(citizen.client().put(&path, "text/turtle", body).await)?;
            people.push(citizen);
        }
        expect(
            city.client()
                .put("/city/.dataspace/datasets/counts", "text/turtle", DATASET)
                .await,
        )?;
        let folder = tempfile::tempdir()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        drop(listener);
        let base = format!("http://{address}/");
        let config = json!({
            "server": { "base_url": base, "listen": address },
            "admin": { "listen": null },
            "state": { "directory": folder.path() },
            "members": [{ "name": "city", "url": pod.base_url }],
            "catalog": { "crawl_seconds": 1 },
            "standing": { "interval_ms": 20 },
            "egress": { "allow": ["127.0.0.1:*"] },
        });
        let shutdown = Shutdown::new();
        let started = start(serde_json::from_value(config)?, shutdown.clone()).await;
        let broker = started.map_err(|error| BenchError::of("the broker", &error))?;
        let mut scene = Self {
            pod,
            people,
            company,
            agreement: String::new(),
            broker,
            base,
            shutdown,
            _folder: folder,
        };
        scene.known().await?;
        scene.agree().await?;
        // Somebody stays in the answer throughout.
        let kept = scene.people.last().ok_or_else(|| fault("no citizen"))?;
        scene.give(kept, citizens - 1).await?;
        scene.people.pop();
        Ok(scene)
    }

    async fn known(&self) -> Result<(), BenchError> {
        let began = Instant::now();
        while self.broker.broker.catalogue.snapshot().datasets().is_empty() {
            if began.elapsed() > PATIENCE {
                return Err(fault("the broker does not find the dataset"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn agree(&mut self) -> Result<(), BenchError> {
        let client = self.company.client();
        let dataset = format!("{}city/.dataspace/datasets/counts", self.pod.base_url);
        let ask = json!({ "dataset": dataset, "purpose": PURPOSE, "message": "measure" });
        let asked = client.request("POST", "/city/.dataspace/negotiations");
        let asked = expect(asked.content("application/json", ask.to_string()).send().await)?.json();
        text(&asked, "agreement")?.clone_into(&mut self.agreement);
        let token = client
            .request("POST", &format!("{}/token", self.agreement))
            .send()
            .await;
        let token = expect(token)?.json();
        let deposit = json!({ "agreement": self.agreement, "access_token": text(&token, "access_token")? });
        let request = client.request("POST", &format!("{}agreements", self.base));
        let request = request.header("delegation", self.delegation()?);
        expect(request.content("application/json", deposit.to_string()).send().await)?;
        Ok(())
    }

    fn delegation(&self) -> Result<String, BenchError> {
        let terms = DelegationTerms {
            consumer: &self.company.web_id,
            broker: &self.base,
            broker_jkt: self.broker.broker.key.thumbprint(),
            agreements: std::slice::from_ref(&self.agreement),
            purpose: PURPOSE,
            seconds: 300,
        };
        let signed = self.company.key().delegation(&terms, SystemClock.unix(), &SystemRandom);
        signed.map_err(|error| BenchError::of("a delegation", &error))
    }

    async fn give(&self, citizen: &Agent, number: u32) -> Result<String, BenchError> {
        let consent = json!({
            "recipients": [self.company.web_id], "purposes": [PURPOSE], "data": { "containers": ["counts/"] },
            "notice": { "language": "nl", "text": "Mag dit?" },
        });
        let client = citizen.client();
        let request = client.request("POST", &format!("/burger{number}/.consent/"));
        let given = expect(request.content("application/json", consent.to_string()).send().await)?.json();
        Ok(text(&given, "id")?.to_owned())
    }

    async fn open(&self) -> Result<Stream, BenchError> {
        let client = self.company.client();
        let request = client
            .request("POST", &format!("{}sparql", self.base))
            .header("accept", "text/event-stream")
            .header("delegation", self.delegation()?)
            .content("application/sparql-query", QUERY);
        let response = request
            .opened()
            .await
            .ok_or_else(|| fault("the broker does not answer"))?;
        if response.status() != 200 {
            return Err(fault(format!("the query does not stand: {}", response.status())));
        }
        Ok(Stream {
            body: response.into_body(),
            events: Events::new(1 << 20),
            waiting: VecDeque::new(),
        })
    }

    async fn stop(self) {
        self.shutdown.trigger();
        self.broker.finished().await;
        self.pod.stop().await;
    }
}

struct Stream {
    body: Incoming,
    events: Events,
    waiting: VecDeque<Event>,
}

impl Stream {
    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<(), BenchError> {
        let arrives = async {
            loop {
                while let Some(event) = self.waiting.pop_front() {
                    if event.name == "end" {
                        return Err(fault(format!("the query ended: {}", event.data)));
                    }
                    if wanted(&event) {
                        return Ok(());
                    }
                }
                let frame = self.body.frame().await.ok_or_else(|| fault("the stream ended"))?;
                let frame = frame.map_err(|error| BenchError::of("the stream", &error))?;
                let piece = frame.into_data().unwrap_or_default();
                let heard = self
                    .events
                    .take(&piece)
                    .map_err(|error| BenchError::of("an event", &error))?;
                self.waiting.extend(heard);
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, arrives).await;
        arrived.map_err(|_| fault("nothing arrives"))?
    }
}

const DATASET: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> . @prefix dpv: <https://w3id.org/dpv#> .
<> a dcat:Dataset ; dcterms:title \"Counts\"@en ; meent:memberContainer \"counts/\" ; meent:automaticAgreement true ;
  odrl:hasPolicy <#offer> .
<#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target <> ; odrl:action odrl:use ;
  odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ,
    [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ] .";
