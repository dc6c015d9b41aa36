//! A city with a dataset over its citizens' storages, a company with an agreement about it, and a neighbour.

use meent_tests::pod::{Agent, Client, PodServer};
use serde_json::{Value, json};

pub const TURTLE: &str = "text/turtle";
pub const RESEARCH: &str = "https://w3id.org/dpv#ResearchAndDevelopment";
pub const MARKETING: &str = "https://w3id.org/dpv#Marketing";
pub const ALL: &str = "SELECT * { ?s <urn:speed> ?v }";

pub struct Scene {
    pub server: PodServer,
    pub owner: Agent,
    pub company: Agent,
    pub citizens: Vec<Agent>,
}

/// A city and so many consenting citizens: `burger1`, `burger2`, …
pub async fn scene(citizens: u32, mut settings: Value) -> Scene {
    settings["dataspace"]["umbrella_storages"] = json!(["stad"]);
    let server = PodServer::start_with(settings).await;
    let owner = server.agent("stad").await;
    let company = server.agent("bedrijf").await;
    let mut people = Vec::new();
    for number in 1..=citizens {
        let citizen = server.agent(&format!("burger{number}")).await;
        let client = citizen.client();
        let body = format!("<#it> <urn:speed> {number} .");
        let put = client.put(&format!("/burger{number}/telraam/d"), TURTLE, body).await;
        assert!(put.status.is_success(), "{}", put.text());
        let consent = json!({
            "recipients": [company.web_id], "purposes": [RESEARCH], "data": { "containers": ["telraam/"] },
            "notice": { "language": "nl", "text": "Mag dit?" },
        });
        let given = client
            .request("POST", &format!("/burger{number}/.consent/"))
            .content("application/json", consent.to_string())
            .send()
            .await;
        assert_eq!(given.status, 201, "{}", given.text());
        people.push(citizen);
    }
    Scene {
        server,
        owner,
        company,
        citizens: people,
    }
}

impl Scene {
    /// Describes the dataset with more clauses, concludes an agreement, and gives its IRI and a client with its token.
    pub async fn agree(&self, name: &str, extra: &str) -> (String, Client) {
        let turtle = format!(
            "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
             @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix dpv: <https://w3id.org/dpv#> .
             @prefix meent: <https://w3id.org/meent/ns#> .
             <> a dcat:Dataset ; dcterms:title \"Telraam\"@nl ; meent:memberContainer \"telraam/\" ;
             meent:automaticAgreement true ;
             odrl:hasPolicy [ a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:assigner <{}> ;
               odrl:permission [ odrl:action odrl:use ; odrl:target <> ;
                 odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand <{RESEARCH}> ] ;
                 odrl:constraint [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ;
                   odrl:rightOperand dpv:ConsentGiven ] ;
                 {extra} odrl:duty [ odrl:action meent:log ] ] ] .",
            self.owner.web_id
        );
        let path = format!("/stad/.dataspace/datasets/{name}");
        let reply = self.owner.client().put(&path, TURTLE, turtle).await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let dataset = format!("{}stad/.dataspace/datasets/{name}", self.server.base_url);
        let ask = json!({ "dataset": dataset, "purpose": RESEARCH, "message": "onderzoek" });
        let company = self.company.client();
        let reply = company
            .request("POST", "/stad/.dataspace/negotiations")
            .content("application/json", ask.to_string())
            .send()
            .await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let agreement = reply.json()["agreement"].as_str().unwrap().to_owned();
        let reply = company.request("POST", &format!("{agreement}/token")).send().await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let token = reply.json()["access_token"].as_str().unwrap().to_owned();
        (agreement, self.company.with_token(&token).client())
    }
}
