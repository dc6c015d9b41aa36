//! Standing queries over real members: changes arrive as exact differences, what is withdrawn goes, what is lost is named, and
//! whoever comes back gets what differs.

use super::harness::{BrokerServer, PREFIXES, PURPOSE, ROWS, agree, delegation_for, municipality};
use super::stream::{Stream, Wish, listeners, open, told};
use meent_tests::pod::{Agent, PodServer};
use serde_json::{Value, json};

const TURTLE: &str = "text/turtle";

/// Evaluations as often as changes come; nothing here depends on how fast the machine is.
pub fn eager() -> Value {
    patient(20)
}

/// Evaluations with so much time between them, and bounds that a busy machine keeps too.
fn patient(interval_ms: u64) -> Value {
    json!({
        "standing": {
            "interval_ms": interval_ms, "heartbeat_ms": 50, "withdrawal_ms_max": 25_000, "silence_ms_max": 25_000,
            "open_ms_max": 25_000,
        },
        "exec": { "member_ms_max": 20_000 },
    })
}

pub fn owner_of(pod: &PodServer) -> Agent {
    let web_id = format!("{}city/profile/card#me", pod.base_url);
    Agent::new(&pod.app.issuer, web_id, &pod.base_url)
}

pub async fn count(pod: &PodServer, name: &str, bicycles: i64) {
    let body = format!("{PREFIXES}<#o> a ex:Count ; ex:bicycles {bicycles} ; ex:street <http://streets.example/0> .");
    let put = owner_of(pod)
        .client()
        .put(&format!("/city/counts/{name}"), TURTLE, body)
        .await;
    assert!(put.status.is_success(), "{}", put.text());
}

async fn start(agent: &Agent, broker: &BrokerServer, wish: &Wish<'_>) -> Stream {
    open(agent, broker, wish)
        .await
        .unwrap_or_else(|(status, words)| panic!("{status} {words}"))
}

/// An observation that is added, changed or deleted arrives as exactly that; each evaluation is
/// on record at both sides; whoever hangs up is let go of everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_as_exact_differences() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], eager()).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let both = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    let mut stream = start(&company, &broker, &Wish::new(ROWS, &both)).await;
    let (name, data) = stream.next().await;
    assert_eq!(name, "answer");
    assert_eq!(data["head"]["vars"], json!(["o", "n"]));
    assert_eq!(told(&data, "results"), [10, 11, 12, 20, 21, 22]);
    let manifest = &data["manifest"];
    assert_eq!(manifest["complete"], true);
    for source in manifest["sources"].as_array().unwrap() {
        assert_eq!(
            (&source["status"], &source["changes"]),
            (&json!("answered"), &json!("notified")),
            "{manifest}"
        );
    }
    listeners(&gent, 1).await;
    listeners(&brugge, 1).await;

    count(&gent, "two", 15).await;
    let (name, data) = stream.next().await;
    assert_eq!(
        (name.as_str(), told(&data, "added"), told(&data, "removed")),
        ("change", vec![15], vec![])
    );
    assert_eq!(data["added"]["bindings"][0]["o"]["type"], "uri");
    assert_eq!(
        data["added"]["bindings"][0]["n"]["datatype"],
        "http://www.w3.org/2001/XMLSchema#integer"
    );
    count(&gent, "two", 16).await;
    let (_, data) = stream.next().await;
    assert_eq!((told(&data, "added"), told(&data, "removed")), (vec![16], vec![15]));
    // What the query does not ask about is evaluated and tells nothing.
    let other = format!("{PREFIXES}<#x> ex:street <http://streets.example/9> .");
    let put = owner_of(&brugge)
        .client()
        .put("/city/counts/street", TURTLE, other)
        .await;
    assert!(put.status.is_success());
    let gone = owner_of(&gent).client().delete("/city/counts/two").await;
    assert!(gone.status.is_success());
    let (_, data) = stream.next().await;
    assert_eq!((told(&data, "added"), told(&data, "removed")), (vec![], vec![16]));
    let found = broker
        .client()
        .get(&format!("/queries/{}", data["manifest"]["id"].as_str().unwrap()))
        .await;
    assert_eq!(found.json()["complete"], true);

    drop(stream);
    listeners(&gent, 0).await;
    listeners(&brugge, 0).await;
    let (known, owner) = (broker.client(), owner_of(&gent));
    let size: u64 = known
        .get("/log/checkpoint")
        .await
        .text()
        .lines()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!(size >= 8, "each evaluation is in the broker's log: {size}");
    let log = owner.client().get("/city/.log").await.text();
    assert!(
        log.matches(&both[0]).count() >= 5,
        "and, with the listening, in the owner's: {log}"
    );
    broker.stop().await;
}

/// Where duplicates are kept, a triple that two owners hold comes and goes with each of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_two_hold_comes_and_goes_with_each() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], eager()).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let both = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    let query = "SELECT ?n WHERE { <http://shared.example/x> <http://vocab.example/bicycles> ?n }";
    let kept = [("duplicates", "kept")];
    let wish = Wish {
        fields: &kept,
        ..Wish::new(query, &both)
    };
    let mut stream = start(&company, &broker, &wish).await;
    let (_, data) = stream.next().await;
    assert_eq!(told(&data, "results"), [0_i64; 0]);
    for pod in [&gent, &brugge] {
        let body = format!("{PREFIXES}<http://shared.example/x> ex:bicycles 5 .");
        let put = owner_of(pod).client().put("/city/counts/shared", TURTLE, body).await;
        assert!(put.status.is_success(), "{}", put.text());
        let (_, data) = stream.next().await;
        assert_eq!((told(&data, "added"), told(&data, "removed")), (vec![5], vec![]));
    }
    for pod in [&brugge, &gent] {
        assert!(
            owner_of(pod)
                .client()
                .delete("/city/counts/shared")
                .await
                .status
                .is_success()
        );
        let (_, data) = stream.next().await;
        assert_eq!((told(&data, "added"), told(&data, "removed")), (vec![], vec![5]));
    }
    broker.stop().await;
}

/// A city whose dataset is over three citizens' counts, all of whom consent.
async fn citizens() -> (PodServer, Vec<Agent>) {
    let settings = json!({ "dataspace": { "umbrella_storages": ["city"] } });
    let pod = PodServer::start_with(settings).await;
    let city = pod.agent("city").await;
    let mut people = Vec::new();
    for number in 1..=3 {
        let name = format!("burger{number}");
        let citizen = pod.agent(&name).await;
        let body = format!("{PREFIXES}<#o> a ex:Count ; ex:bicycles {} .", number * 10);
        assert!(
            citizen
                .client()
                .put(&format!("/{name}/counts/d"), TURTLE, body)
                .await
                .status
                .is_success()
        );
        people.push(citizen);
    }
    let dataset = format!(
        "{PREFIXES}@prefix dpv: <https://w3id.org/dpv#> . <> a dcat:Dataset ; dcterms:title \"Telraam\"@nl ;
           meent:memberContainer \"counts/\" ; meent:automaticAgreement true ; odrl:hasPolicy <#offer> .
         <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target <> ; odrl:action odrl:use ;
           odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ,
             [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ] ."
    );
    let made = city
        .client()
        .put("/city/.dataspace/datasets/counts", TURTLE, dataset)
        .await;
    assert!(made.status.is_success(), "{}", made.text());
    (pod, people)
}

async fn give(citizen: &Agent, number: usize, recipient: &Agent) -> String {
    let consent = json!({
        "recipients": [recipient.web_id], "purposes": [PURPOSE], "data": { "containers": ["counts/"] },
        "notice": { "language": "nl", "text": "Mag dit?" },
    });
    let client = citizen.client();
    let request = client.request("POST", &format!("/burger{number}/.consent/"));
    let reply = request.content("application/json", consent.to_string()).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn withdraw(citizen: &Agent, number: usize, id: &str) {
    let client = citizen.client();
    let reply = client
        .request("POST", &format!("/burger{number}/.consent/{id}/withdraw"))
        .send()
        .await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

/// Requirements dataspace ENF-22, ENF-39, CON-12, reliability T86, T87: who withdraws is gone from the answer, and nobody else; nothing that was withdrawn is
/// told again to whoever comes back; when the agreement ends so does the stream, with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_goes_and_an_ended_agreement_ends_the_stream() {
    let directory = tempfile::tempdir().unwrap();
    let (pod, people) = citizens().await;
    // Nothing but a withdrawal brings an evaluation forward here.
    let broker = BrokerServer::start(directory.path(), &[&pod], patient(600_000)).await;
    broker.knows(1).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let mut consents = Vec::new();
    for (citizen, number) in people.iter().zip(1..) {
        consents.push(give(citizen, number, &company).await);
    }
    let agreement = [agree(&company, &pod, &broker).await];
    let wish = Wish::new(ROWS, &agreement);
    let mut stream = start(&company, &broker, &wish).await;
    stream.until(&[10, 20, 30]).await;

    withdraw(&people[1], 2, &consents[1]).await;
    let (name, data) = stream.next().await;
    assert_eq!(
        (name.as_str(), told(&data, "removed"), told(&data, "added")),
        ("change", vec![20], vec![]),
        "{data}"
    );
    assert_eq!(data["manifest"]["complete"], true);

    // Away, while another withdraws: only what is gone is told.
    let (last, rows) = (stream.last.clone(), stream.rows.clone());
    drop(stream);
    listeners(&pod, 0).await;
    withdraw(&people[2], 3, &consents[2]).await;
    let back = Wish {
        last: Some(&last),
        ..Wish::new(ROWS, &agreement)
    };
    let mut stream = start(&company, &broker, &back).await;
    stream.rows.clone_from(&rows);
    let (name, data) = stream.next().await;
    assert_eq!(
        (name.as_str(), told(&data, "removed"), told(&data, "added")),
        ("change", vec![30], vec![]),
        "{data}"
    );
    let number = |id: &str| id.rsplit_once('-').unwrap().1.parse::<u64>().unwrap();
    assert!(stream.last.starts_with(&stream.id) && number(&stream.last) > number(&last));
    // An event before the last one counts as not arrived: the difference is since then.
    drop(stream);
    let earlier = Wish {
        last: Some(&last),
        ..Wish::new(ROWS, &agreement)
    };
    let mut again = start(&company, &broker, &earlier).await;
    again.rows = rows;
    let (name, data) = again.next().await;
    assert_eq!((name.as_str(), told(&data, "removed")), ("change", vec![30]), "{data}");

    let ended = owner_of(&pod)
        .client()
        .request("POST", &format!("{}/terminate", agreement[0]))
        .send()
        .await;
    assert!(ended.status.is_success(), "{}", ended.text());
    let (code, reason) = again.ended().await;
    assert_eq!(code, "refused-by-owner", "{reason}");
    assert!(reason.contains("agreement"), "{reason}");
    listeners(&pod, 0).await;
    assert_eq!(broker.running.as_ref().unwrap().broker.standing.count(), 0);
    broker.stop().await;
    // No pod triple is ever on the broker's disk.
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes).contains("counts/d#o"),
            "a pod's data is on disk"
        );
    }
}

/// A member that dies takes its rows along, and is named; when it comes back so do they.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let mut settings = eager();
    settings["standing"]["reconnect_ms_min"] = json!(20);
    settings["standing"]["reconnect_ms_max"] = json!(50);
    settings["gate"] = json!({ "rest_ms": 20 });
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], settings).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let both = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    let mut stream = start(&company, &broker, &Wish::new(ROWS, &both)).await;
    stream.until(&[10, 11, 12, 20, 21, 22]).await;
    let strict = Wish {
        fields: &[("complete", "required")],
        ..Wish::new(ROWS, &both)
    };
    let mut demanding = start(&company, &broker, &strict).await;
    demanding.until(&[10, 11, 12, 20, 21, 22]).await;

    let resting = brugge.rest().await;
    let manifest = stream.until(&[10, 11, 12]).await;
    assert_eq!(manifest["complete"], false);
    let sources = manifest["sources"].as_array().unwrap();
    let failed = sources.iter().find(|source| source["status"] == "failed").unwrap();
    assert_eq!(
        (&failed["member"], &failed["changes"]),
        (&json!("brugge"), &json!("lost")),
        "{manifest}"
    );
    assert_eq!(demanding.ended().await.0, "incomplete");

    let brugge = resting.start().await;
    let manifest = stream.until(&[10, 11, 12, 20, 21, 22]).await;
    assert_eq!(manifest["complete"], true);
    count(&brugge, "two", 25).await;
    stream.until(&[10, 11, 12, 20, 21, 22, 25]).await;
    broker.stop().await;
    let (code, _) = stream.ended().await;
    assert_eq!(code, "stopping");
}

/// A delegation that runs out ends the stream unless a fresh one came; whoever comes back has what differs.
#[tokio::test(flavor = "multi_thread")]
async fn a_delegation_runs_out_unless_it_is_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let gent = municipality("Gent", 10, "<>").await;
    let broker = BrokerServer::start(directory.path(), &[&gent], eager()).await;
    broker.knows(1).await;
    let home = PodServer::start().await;
    let (company, stranger) = (home.agent("company").await, home.agent("stranger").await);
    let agreement = [agree(&company, &gent, &broker).await];
    let wish = Wish::new(ROWS, &agreement);
    let mut left = start(&company, &broker, &wish).await;
    left.until(&[10, 11, 12]).await;
    let mut renewed = start(&company, &broker, &wish).await;
    renewed.until(&[10, 11, 12]).await;
    let place = |stream: &Stream| format!("{}queries/{}/delegation", broker.base_url, stream.id);
    let short = || delegation_for(&company, &broker, &agreement, PURPOSE, 5);
    let word = |agent: &Agent, purpose: &str| delegation_for(agent, &broker, &agreement, purpose, 120);
    let marketing = "https://w3id.org/dpv#Marketing";
    for (who, header, status) in [
        (&stranger, Some(word(&stranger, PURPOSE)), 404),
        (&company, Some(word(&stranger, PURPOSE)), 403),
        (&company, Some(word(&company, marketing)), 403),
        (&company, None, 400),
        (&company, Some(short()), 200),
        (&company, Some(word(&company, PURPOSE)), 200),
    ] {
        let client = who.client();
        let mut request = client.request("POST", &place(&renewed));
        if let Some(header) = header {
            request = request.header("delegation", header);
        }
        let reply = request.send().await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    }
    let last = left.last.clone();
    let client = company.client();
    let shortened = client
        .request("POST", &place(&left))
        .header("delegation", short())
        .send()
        .await;
    assert_eq!(shortened.status, 200, "{}", shortened.text());
    assert_eq!(left.ended().await.0, "delegation-expired");
    // The other one goes on, also with its member's channel.
    count(&gent, "two", 15).await;
    renewed.until(&[10, 11, 12, 15]).await;
    listeners(&gent, 1).await;
    let back = Wish {
        last: Some(&last),
        ..Wish::new(ROWS, &agreement)
    };
    let mut back = start(&company, &broker, &back).await;
    back.rows
        .clone_from(&[10, 11, 12].map(|number| (number.to_string(), 1)).into());
    let (name, data) = back.next().await;
    assert_eq!(
        (name.as_str(), told(&data, "added"), told(&data, "removed")),
        ("change", vec![15], vec![])
    );
    broker.stop().await;
}
