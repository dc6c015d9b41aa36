//! A city whose dataset reaches into the storages of many persons who consent, of which a company gets aggregates only.

use std::collections::BTreeSet;

use pod_server::authz::AuthorizationSystem;
use pod_server::consent::stored::{self, StoredConsent, notice_hash};
use pod_server::error::Error;
use pod_server::ldp::provision;
use pod_server::name::ResourceName;
use pod_server::store::{CommitError, NewBody, NewState, RecordKind, ResourceKind, Transaction, Warrant, commit};
use policies::consent::{ConsentRecord, ConsentStatus, ConsentedData, Notice, Recipients};
use policies::request::WebId;
use serde_json::json;
use server_kit::clock::{Clock, SystemClock};
use time::Duration;

use super::sparql::ask;
use super::{Agent, Client, PodServer, PodSettings, Reply};

/// The purpose of every consent and agreement here.
pub const PURPOSE: &str = "https://w3id.org/dpv#ResearchAndDevelopment";
const TURTLE: &str = "text/turtle";
const NOTICE: &str = "Mag dit?";
/// Storages that are made in one commit.
const PER_COMMIT: usize = 500;

/// The scene.
pub struct Crowd {
    /// The server of the city and of everybody.
    pub server: PodServer,
    /// The city.
    pub city: Agent,
    /// The company.
    pub company: Agent,
    /// The company with its token.
    pub client: Client,
}

impl Crowd {
    /// A server on which each document is that of a person, numbered from 0, who consents. The company gets aggregates over
    /// at least `subjects_min` of them; `conditions` are further constraints of that duty, in Turtle.
    ///
    /// # Panics
    /// When something cannot be set up.
    pub async fn start(settings: PodSettings, documents: Vec<String>, subjects_min: u32, conditions: &str) -> Self {
        let mut all = json!({ "dataspace": { "umbrella_storages": ["stad"] }, "query": { "padding_ms": 1 } });
        for (section, values) in settings.as_object().into_iter().flatten() {
            all[section] = values.clone();
        }
        let server = PodServer::start_with(all).await;
        let (city, company) = (server.agent("stad").await, server.agent("bedrijf").await);
        let client = company.client();
        let mut crowd = Self {
            server,
            city,
            company,
            client,
        };
        for (first, documents) in (0..).step_by(PER_COMMIT).zip(documents.chunks(PER_COMMIT)) {
            crowd.join(first, documents.to_vec()).await;
        }
        crowd.describe("telraam", subjects_min, conditions).await;
        crowd.client = crowd.conclude("telraam").await;
        crowd
    }

    /// Makes storages with a document and a consent each, numbered from `first`.
    ///
    /// # Panics
    /// When they cannot be made.
    pub async fn join(&self, first: usize, documents: Vec<String>) {
        let origins = self.server.app.origins.clone();
        let recipient = WebId::parse(self.company.web_id.clone()).expect("a WebID");
        let work = move |transaction: &mut dyn Transaction| {
            for (number, document) in (first..).zip(documents) {
                let name = format!("p{number}");
                let root = origins.new_root(&name);
                let owner = format!("{root}profile/card#me");
                provision::create_storage(transaction, &origins, &name, &owner, AuthorizationSystem::Wac)
                    .map_err(CommitError::Refused)?;
                let place = ResourceName::parse(&format!("/{name}/telraam/d")).expect("a name");
                transaction.put(&place, turtle(document))?;
                let consent = given(&root, &owner, recipient.clone());
                stored::save(transaction, &stored::key(&name, "1"), &consent)?;
            }
            Ok(())
        };
        self.commit(work).await;
    }

    /// Takes the consents of persons away.
    ///
    /// # Panics
    /// When that fails.
    pub async fn leave(&self, numbers: Vec<usize>) {
        let work = move |transaction: &mut dyn Transaction| {
            for number in numbers {
                let key = stored::key(&format!("p{number}"), "1");
                assert!(transaction.record_delete(RecordKind::Consent, &key)?, "{key}");
            }
            Ok(())
        };
        self.commit(work).await;
    }

    /// Gives persons another document.
    ///
    /// # Panics
    /// When that fails.
    pub async fn rewrite(&self, documents: Vec<(usize, String)>) {
        let place = |(number, text): (usize, String)| (format!("/p{number}/telraam/d"), text);
        self.server.place(documents.into_iter().map(place).collect()).await;
    }

    async fn commit(&self, work: impl FnOnce(&mut dyn Transaction) -> Result<(), CommitError<Error>> + Send + 'static) {
        let warrant = Warrant::without_proof("a test sets its scene");
        commit::<(), Error>(self.server.app.store.as_ref(), warrant, Box::new(work))
            .await
            .expect("a commit");
    }

    /// Describes a dataset of everybody's documents.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn describe(&self, name: &str, subjects_min: u32, conditions: &str) {
        let turtle = format!(
            "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
             @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix dpv: <https://w3id.org/dpv#> .
             @prefix meent: <https://w3id.org/meent/ns#> .
             <> a dcat:Dataset ; dcterms:title \"Telraam\"@nl ; meent:memberContainer \"telraam/\" ;
             meent:automaticAgreement true ; meent:publishSummary true ;
             odrl:hasPolicy [ a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:assigner <{}> ;
               odrl:permission [ odrl:action odrl:use ; odrl:target <> ;
                 odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand <{PURPOSE}> ] ;
                 odrl:constraint [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ;
                   odrl:rightOperand dpv:ConsentGiven ] ;
                 odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint [ odrl:leftOperand meent:distinctDataSubjects ;
                   odrl:operator odrl:gteq ; odrl:rightOperand {subjects_min} ] {conditions} ] ,
                   [ odrl:action meent:log ] ] ] .",
            self.city.web_id
        );
        let path = format!("/stad/.dataspace/datasets/{name}");
        let reply = self.city.client().put(&path, TURTLE, turtle).await;
        assert!(reply.status.is_success(), "{}", reply.text());
    }

    /// Concludes an agreement on a dataset; a client with its token.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn conclude(&self, name: &str) -> Client {
        let dataset = format!("{}stad/.dataspace/datasets/{name}", self.server.base_url);
        let body = json!({ "dataset": dataset, "purpose": PURPOSE, "message": "onderzoek" });
        let client = self.company.client();
        let request = client.request("POST", "/stad/.dataspace/negotiations");
        let reply = request.content("application/json", body.to_string()).send().await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let agreement = reply.json()["agreement"].as_str().expect("an agreement").to_owned();
        let reply = client.request("POST", &format!("{agreement}/token")).send().await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let token = reply.json()["access_token"].as_str().expect("a token").to_owned();
        self.company.with_token(&token).client()
    }

    /// Asks the server's endpoint under the agreement.
    pub async fn ask(&self, query: &str) -> Reply {
        ask(&self.client, "/sparql", query, &[("purpose", PURPOSE)]).await
    }

    /// The rows of an answer, each with the values of the variables in their order.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn rows(&self, query: &str) -> Vec<Vec<String>> {
        let reply = self.ask(query).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let json = reply.json();
        let names = json["head"]["vars"].as_array().expect("variables").clone();
        let value = |row: &serde_json::Value, name: &serde_json::Value| {
            let name = name.as_str().unwrap_or_default();
            row[name]["value"].as_str().unwrap_or_default().to_owned()
        };
        let bindings = json["results"]["bindings"].as_array().expect("bindings");
        let row = |row: &serde_json::Value| names.iter().map(|name| value(row, name)).collect();
        bindings.iter().map(row).collect()
    }
}

fn given(root: &str, owner: &str, recipient: WebId) -> StoredConsent {
    let now = SystemClock.now();
    let record = ConsentRecord {
        id: format!("{root}.consent/1"),
        data_subject: WebId::parse(owner.to_owned()).expect("a WebID"),
        storage: root.to_owned(),
        recipients: Recipients::These(BTreeSet::from([recipient])),
        purposes: BTreeSet::from([PURPOSE.to_owned()]),
        data: ConsentedData {
            containers: BTreeSet::from([format!("{root}telraam/")]),
            datasets: BTreeSet::new(),
            properties: None,
        },
        given_at: Some(now),
        expires_at: now + Duration::days(30),
        changed_at: now,
        status: ConsentStatus::Given,
        notice: Notice {
            language: "nl".to_owned(),
            hash: notice_hash(NOTICE),
        },
        version: 1,
        previous: None,
        process: None,
        act: None,
    };
    StoredConsent::new(record, NOTICE.to_owned(), None)
}

fn turtle(text: String) -> NewState {
    NewState {
        kind: ResourceKind::RdfSource,
        media_type: TURTLE.to_owned(),
        body: NewBody::Bytes(text.into()),
    }
}
