//! What offers and agreements can ask for beyond purpose and consent, who could see what, one decision for every way of
//! asking, and a walk through all of it, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "clauses/asked_for.rs"]
mod asked_for;
#[path = "clauses/one_decision.rs"]
mod one_decision;
#[path = "clauses/viewers.rs"]
mod viewers;
#[path = "clauses/walk_through.rs"]
mod walk_through;

use meent_tests::pod::sparql::{ask, values};
use meent_tests::pod::{Agent, Client, PodServer, PodSettings, Reply};
use serde_json::{Value, json};

const TURTLE: &str = "text/turtle";
const RESEARCH: &str = "https://w3id.org/dpv#ResearchAndDevelopment";
const ALL: &str = "SELECT * { ?s <urn:speed> ?v } ORDER BY ?v";
const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .
@prefix dpv: <https://w3id.org/dpv#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix cc: <http://creativecommons.org/ns#> . @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
";

/// An owner with one small dataset, and a company that wants it.
struct Scene {
    server: PodServer,
    owner: Agent,
    company: Agent,
}

impl Scene {
    async fn set() -> Self {
        Self::set_with(json!({})).await
    }

    async fn set_with(settings: PodSettings) -> Self {
        let server = PodServer::start_with(settings).await;
        let owner = server.agent("gent").await;
        let company = server.agent("bedrijf").await;
        for (name, speed) in [("a", 10), ("b", 20)] {
            let body = format!("<#it> <urn:speed> {speed} ; <urn:secret> {speed} .");
            let put = owner.client().put(&format!("/gent/fietsen/{name}"), TURTLE, body).await;
            assert!(put.status.is_success(), "{}", put.text());
        }
        Self { server, owner, company }
    }

    fn dataset(&self, name: &str) -> String {
        format!("{}gent/.dataspace/datasets/{name}", self.server.base_url)
    }

    /// Offers the dataset with something more in its permission, and in the offer as a whole.
    async fn offer(&self, name: &str, permission: &str, policy: &str) -> Reply {
        let turtle = format!(
            "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Fietsen\"@nl ; meent:container <{}gent/fietsen/> ;
               meent:automaticAgreement true ; odrl:hasPolicy <#offer> .
             <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; {policy}
               odrl:permission [ odrl:target <> ; odrl:action odrl:use ; {permission}
                 odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand <{RESEARCH}> ] ] .",
            self.server.base_url
        );
        self.owner
            .client()
            .put(&format!("/gent/.dataspace/datasets/{name}"), TURTLE, turtle)
            .await
    }

    /// Offers, and concludes an agreement: its IRI, and a client with its token.
    async fn agree(&self, name: &str, permission: &str, policy: &str) -> (String, Client) {
        let offered = self.offer(name, permission, policy).await;
        assert!(offered.status.is_success(), "{}", offered.text());
        let body = json!({ "dataset": self.dataset(name), "purpose": RESEARCH });
        let asked = post(&self.company.client(), "/gent/.dataspace/negotiations", &body).await;
        assert!(asked.status.is_success(), "{}", asked.text());
        let agreement = asked.json()["agreement"].as_str().expect("an agreement").to_owned();
        // The first reading of it puts it in force; a token may not be had while it permits nothing.
        let verified = post(&self.company.client(), &format!("{agreement}/verify"), &json!({})).await;
        assert!(verified.status.is_success(), "{}", verified.text());
        let client = self.token(&agreement).await;
        (agreement, client.unwrap_or_else(|| self.company.client()))
    }

    /// A client with a token of the agreement, while it permits something.
    async fn token(&self, agreement: &str) -> Option<Client> {
        let reply = post(&self.company.client(), &format!("{agreement}/token"), &json!({})).await;
        let token = reply.json()["access_token"].as_str()?.to_owned();
        Some(self.company.with_token(&token).client())
    }

    /// States facts as the owner.
    async fn state(&self, facts: &str) {
        let body = format!("{PREFIXES}{facts}");
        let put = self.owner.client().put("/gent/.dataspace/facts", TURTLE, body).await;
        assert_eq!(put.status, 204, "{}", put.text());
    }
}

async fn post(client: &Client, path: &str, json: &Value) -> Reply {
    client
        .request("POST", path)
        .content("application/json", json.to_string())
        .send()
        .await
}

/// All speeds that an agreement shows, or none when it shows nothing now.
async fn speeds(client: &Client) -> Option<Vec<String>> {
    let reply = ask(client, "/gent/sparql", ALL, &[("purpose", RESEARCH)]).await;
    match reply.status.as_u16() {
        200 => Some(values(&reply, "v")),
        403 => None,
        _ => panic!("{}", reply.text()),
    }
}

/// The path of a URL of the server.
fn path_of(url: &str, server: &PodServer) -> String {
    format!("/{}", url.trim_start_matches(&server.base_url))
}
