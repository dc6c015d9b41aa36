//! Addresses and secrets that a caller names, and what callers write that must not be kept.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use meent_tests::pod::sparql::ask;
use meent_tests::pod::{Client, PodServer, Reply};
use parking_lot::Mutex;
use serde_json::{Value, json};

const MOBILITY: &str = "https://w3id.org/meent/ns#MobilityPlanning";

/// A listener on this machine; whoever connects is counted.
struct Canary {
    url: String,
    visits: Arc<AtomicUsize>,
}

impl Canary {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let visits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visits);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { url, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

async fn post(client: &Client, path: &str, body: &Value) -> Reply {
    let request = client.request("POST", path);
    request.content("application/json", body.to_string()).send().await
}

/// A server with an offer that is agreed on by itself, its owner and a consumer.
async fn scene() -> (PodServer, Client, Client) {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    let made = gent
        .put("/gent/fietsen/d", "text/turtle", "<#it> <urn:speed> 10 .")
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let dataset = format!(
        "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
         @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .
         <> a dcat:Dataset ; dcterms:title \"Fietstellingen\"@nl ; meent:container <{}gent/fietsen/> ;
           meent:automaticAgreement true ; odrl:hasPolicy <#offer> .
         <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target <> ;
           odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ;
           odrl:rightOperand meent:MobilityPlanning ] ] .",
        server.base_url
    );
    let made = gent
        .put("/gent/.dataspace/datasets/fietsen", "text/turtle", dataset)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let company = server.agent("mobility").await.client();
    (server, gent, company)
}

/// T100, T101: whatever address, file or secret a consumer names in the messages of a negotiation, the server refuses the
/// message, or takes nothing from it; it never goes there, though it could, and no secret of the server comes back.
#[tokio::test(flavor = "multi_thread")]
async fn callers_name_neither_addresses_nor_secrets() {
    let (server, _, company) = scene().await;
    let canary = Canary::start().await;
    let (negotiations, base) = ("/gent/.dataspace/negotiations", server.base_url.clone());
    let dataset = format!("{base}gent/.dataspace/datasets/fietsen");
    let plain = json!({ "dataset": dataset, "purpose": MOBILITY });
    let key = std::fs::read_dir(server.directory())
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .filter(|text| !text.trim().is_empty())
        .collect::<Vec<_>>();
    assert!(!key.is_empty(), "the server has secrets");
    let silent = |reply: &Reply, what: &str| {
        assert_eq!(canary.visits(), 0, "{what}");
        for secret in &key {
            assert!(!reply.text().contains(secret.trim()), "{what}: {}", reply.text());
        }
    };
    let names = [
        "callbackAddress",
        "dspace:callbackAddress",
        "callback",
        "webhook",
        "endpoint",
        "endpointURL",
        "tokenUrl",
        "token_endpoint",
        "dataAddress",
        "dataDestination",
        "sink",
        "secretName",
        "privateKey",
        "oauth2:clientSecretKey",
        "keyName",
        "vault",
        "authKey",
        "jwks_uri",
        "@context",
        "proxy",
    ];
    let values = [
        json!(canary.url),
        json!("http://127.0.0.1:1/"),
        json!("http://169.254.169.254/latest/meta-data/"),
        json!("file:///etc/passwd"),
        json!("issuer.jwk"),
        json!("pseudonyms.key"),
        json!("${secret:issuer}"),
        json!({ "type": "HttpData", "baseUrl": canary.url, "secretName": "issuer.jwk" }),
    ];
    for name in names {
        for value in &values {
            let mut body = plain.clone();
            body[name] = value.clone();
            let reply = post(&company, negotiations, &body).await;
            assert!(
                [400, 422].contains(&reply.status.as_u16()),
                "{name}: {} {}",
                reply.status,
                reply.text()
            );
            silent(&reply, name);
        }
    }
    // Fields that are taken, with an address in them: they are names, and nobody goes there.
    for field in ["dataset", "offer", "purpose", "message", "consumerPid"] {
        for value in &values[..7] {
            let mut body = plain.clone();
            body[field] = value.clone();
            let reply = post(&company, negotiations, &body).await;
            let taken = ["message", "consumerPid"].contains(&field) && reply.status.is_success();
            assert!(
                taken || reply.status.is_client_error(),
                "{field}: {} {}",
                reply.status,
                reply.text()
            );
            silent(&reply, field);
        }
    }
    let agreed = post(&company, negotiations, &plain).await;
    let agreement = agreed.json()["agreement"].as_str().unwrap_or_default().to_owned();
    assert!(agreement.starts_with(&base), "{}", agreed.text());
    for value in &values {
        for place in ["token", "terminate"] {
            let body = json!({ "callbackAddress": value, "secretName": value });
            let reply = post(&company, &format!("{agreement}/{place}"), &body).await;
            silent(&reply, place);
        }
    }
    server.stop().await;
}

/// Everything that is logged in this process.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Listens to the log of this process from now on, with everything that an operator can turn on.
fn listen() -> Heard {
    static HEARD: OnceLock<Heard> = OnceLock::new();
    let begin = || {
        let heard = Heard::default();
        let writer = heard.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        heard
    };
    HEARD.get_or_init(begin).clone()
}

/// T105: what a query says may be about a person, such as a number to look for. It is in no log, however the query is sent and
/// however it fails; and the owner's records say that there was a query, not what it said.
#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_query_are_not_logged() {
    let heard = listen();
    let (server, gent, company) = scene().await;
    tracing::info!("the log is listened to");
    let number = "85.07.30-033.28";
    let person = format!("SELECT * {{ ?s <urn:number> \"{number}\" }}");
    let mut answered = 0;
    for (client, path) in [
        (&gent, "/gent/sparql"),
        (&gent, "/sparql"),
        (&company, "/gent/sparql"),
        (&server.client(), "/sparql"),
    ] {
        for query in [
            person.clone(),
            format!("SELECT * {{ ?s ?p ?o FILTER(?o = \"{number}\") }}"),
            format!("ASK {{ <urn:person:{number}> ?p ?o }}"),
            format!("SELECT * {{ ?s <urn:number> \"{number} }}"),
            format!("SELECT (<urn:function:{number}>(1) AS ?x) {{}}"),
            format!("SELECT * {{ SERVICE <http://127.0.0.1:1/{number}> {{ ?s ?p ?o }} }}"),
            format!("INSERT DATA {{ <urn:person> <urn:number> \"{number}\" }}"),
            format!("SELECT * FROM <https://pod.example/{number}> {{ ?s ?p ?o }}"),
        ] {
            let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
            let got = client.get(&format!("{path}?query={encoded}")).await;
            let posted = ask(client, path, &query, &[("purpose", number)]).await;
            let typed = client
                .request("POST", path)
                .content("application/sparql-query", query.clone())
                .send()
                .await;
            answered += [got, posted, typed].iter().filter(|reply| reply.status == 200).count();
        }
    }
    assert!(answered > 10, "some of it is answered");
    for path in ["/gent/fietsen/", "/gent/fietsen/d", "/gent/nothing"] {
        gent.get(&format!("{path}?search={number}")).await;
    }
    let records = gent.get("/gent/.log?limit=400").await;
    assert_eq!(records.status, 200, "{}", records.text());
    assert!(records.text().contains("query"), "{}", records.text());
    server.stop().await;
    let log = String::from_utf8_lossy(&heard.0.lock()).into_owned();
    assert!(log.contains("the log is listened to"));
    let places = [number, "85.07.30", "033.28", &number.replace('.', "%2E")];
    for line in log.lines() {
        assert!(!places.iter().any(|place| line.contains(place)), "logged: {line}");
    }
}
