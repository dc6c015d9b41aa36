//! Datasets, negotiations, consents, pages and the audit log over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "dataspace/consent.rs"]
mod consent;
#[path = "dataspace/consent_duty.rs"]
mod consent_duty;
#[path = "dataspace/consent_pages.rs"]
mod consent_pages;
#[path = "dataspace/consent_record.rs"]
mod consent_record;
#[path = "dataspace/contract.rs"]
mod contract;
#[path = "dataspace/log.rs"]
mod log;
#[path = "dataspace/offers.rs"]
mod offers;
#[path = "dataspace/pages.rs"]
mod pages;

use meent_tests::pod::{Client, PodServer, Reply};
use pod_server::name::ResourceName;

/// Turtle prefixes of descriptions.
const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .
@prefix dpv: <https://w3id.org/dpv#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
";

const MOBILITY: &str = "https://w3id.org/meent/ns#MobilityPlanning";
const BICYCLES: &str = "https://w3id.org/meent/ns#BicyclePolicy";

/// A dataset over `/gent/fietsen/` for mobility planning; `more` is said about the dataset as well.
fn dataset(server: &PodServer, more: &str) -> String {
    format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Fietstellingen\"@nl ; meent:container <{}fietsen/> ;
           odrl:hasPolicy <#offer> ; {more} .
         <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target <> ; odrl:action odrl:use ;
           odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ] .",
        server.app.origins.root("gent")
    )
}

async fn put_dataset(owner: &Client, path: &str, turtle: String) -> Reply {
    owner.put(path, "text/turtle", turtle).await
}

async fn post(client: &Client, path: &str, json: &serde_json::Value) -> Reply {
    client
        .request("POST", path)
        .content("application/json", json.to_string())
        .send()
        .await
}

/// The path of a full URL of the server.
fn path(server: &PodServer, url: &str) -> String {
    ResourceName::from_iri(url, &server.app.origins)
        .unwrap_or_else(|| panic!("`{url}` is not here"))
        .to_string()
}
