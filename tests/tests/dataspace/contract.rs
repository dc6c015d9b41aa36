//! Asking, agreeing, tokens, and the end of agreements (NEG-2, NEG-4, NEG-6, NEG-8, T88, T89, T99).

use meent_tests::pod::{Client, PodServer};
use pod_server::dataspace::agreement;
use pod_server::dataspace::copies::{self, CopyFault};
use pod_server::log::own::LogExport;
use pod_server::store::ReadPermit;
use policies::facts::Fact;
use server_kit::audit_log::VerifierKey;

use super::{BICYCLES, MOBILITY, dataset, path, post, put_dataset};

const NEGOTIATIONS: &str = "/gent/.dataspace/negotiations";

fn ask(server: &PodServer, purpose: &str) -> serde_json::Value {
    serde_json::json!({
        "dataset": server.app.origins.place("/gent/.dataspace/datasets/fietsen"),
        "purpose": purpose,
        "message": "for the cycling plan",
    })
}

/// Whether the store says that an agreement is in force.
fn in_force(server: &PodServer, iri: &str) -> bool {
    let permit = ReadPermit::without_proof("a test looks inside");
    let snapshot = server.app.store.snapshot(permit).unwrap();
    match agreement::fact(&*snapshot, &server.app.origins, iri) {
        Fact::Agreement(fact) => fact.state == policies::contract::AgreementState::Active,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_accepted_used_and_ended() {
    agree_and_end(PodServer::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agreements_lie_on_the_origin_of_their_storage() {
    agree_and_end(PodServer::start_on_subdomains(serde_json::json!({})).await).await;
}

async fn agree_and_end(server: PodServer) {
    let gent = server.agent("gent").await.client();
    let consumer = server.agent("mobility").await;
    let (mobility, stranger) = (consumer.client(), server.agent("stranger").await.client());
    let made = put_dataset(
        &gent,
        "/gent/.dataspace/datasets/fietsen",
        dataset(&server, "meent:automaticAgreement false"),
    )
    .await;
    assert_eq!(made.status, 201, "{}", made.text());

    let asked = post(&mobility, NEGOTIATIONS, &ask(&server, BICYCLES)).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    assert_eq!(asked.json()["state"], "REQUESTED");
    let negotiation = path(&server, asked.header("location"));
    // NEG-8: the same message again gets the same answer and makes nothing new.
    let again = post(&mobility, NEGOTIATIONS, &ask(&server, BICYCLES)).await;
    assert_eq!(
        (again.status.as_u16(), again.json()["@id"].clone()),
        (200, asked.json()["@id"].clone())
    );
    // T99: nobody but the parties knows of it, and only the owner agrees.
    assert_eq!(stranger.get(&negotiation).await.status, 404);
    assert_eq!(server.client().get(&negotiation).await.status, 401);
    for other in [&mobility, &stranger] {
        assert_eq!(
            post(other, &format!("{negotiation}/agree"), &serde_json::json!({}))
                .await
                .status,
            404
        );
    }
    assert_eq!(gent.get(&negotiation).await.json()["message"], "for the cycling plan");

    let agreed = post(&gent, &format!("{negotiation}/agree"), &serde_json::json!({})).await;
    assert_eq!(
        (agreed.status.as_u16(), agreed.json()["state"].as_str()),
        (200, Some("AGREED")),
        "{}",
        agreed.text()
    );
    let iri = agreed.json()["agreement"].as_str().unwrap().to_owned();
    let twice = post(&gent, &format!("{negotiation}/agree"), &serde_json::json!({})).await;
    assert_eq!(
        twice.json()["agreement"],
        iri.as_str(),
        "agreeing twice makes one agreement"
    );
    assert!(
        !in_force(&server, &iri),
        "it counts only once the consumer has verified it"
    );

    // NEG-6: one target, both parties, an instant; the same hash for both.
    let agreement_path = path(&server, &iri);
    let read = mobility.get(&agreement_path).await;
    assert_eq!(read.status, 200, "{}", read.text());
    for part in [
        "odrl:Agreement",
        "odrl:assigner",
        "odrl:assignee",
        consumer.web_id.as_str(),
        "odrl:uid",
        "agreementHash",
    ] {
        assert!(
            read.text().contains(part),
            "the agreement lacks {part}: {}",
            read.text()
        );
    }
    assert_eq!(gent.get(&agreement_path).await.text(), read.text());
    assert_eq!(stranger.get(&agreement_path).await.status, 404);

    assert_eq!(
        post(&gent, &format!("{agreement_path}/token"), &serde_json::json!({}))
            .await
            .status,
        404
    );
    assert_eq!(
        post(&stranger, &format!("{agreement_path}/token"), &serde_json::json!({}))
            .await
            .status,
        404
    );
    let token = post(&mobility, &format!("{agreement_path}/token"), &serde_json::json!({})).await;
    assert_eq!(token.status, 200, "{}", token.text());
    assert_eq!(token.json()["token_type"], "DPoP");
    assert!(
        token.json()["expires_in"]
            .as_i64()
            .is_some_and(|seconds| (1..=3_600).contains(&seconds))
    );
    assert_eq!(mobility.get(&negotiation).await.json()["state"], "FINALIZED");
    assert!(in_force(&server, &iri));

    // The token is for queries only: it opens no other door, and a stolen one opens none at all.
    let access = token.json()["access_token"].as_str().unwrap().to_owned();
    let stolen = server
        .client()
        .request("GET", &agreement_path)
        .header("authorization", format!("DPoP {access}"))
        .send()
        .await;
    assert_eq!(stolen.status, 401);

    assert_eq!(
        post(
            &stranger,
            &format!("{agreement_path}/terminate"),
            &serde_json::json!({})
        )
        .await
        .status,
        404
    );
    let ended = post(
        &mobility,
        &format!("{agreement_path}/terminate"),
        &serde_json::json!({"reason": "done"}),
    )
    .await;
    assert_eq!(
        (ended.status.as_u16(), ended.json()["state"].as_str()),
        (200, Some("terminated")),
        "{}",
        ended.text()
    );
    assert!(!in_force(&server, &iri), "the next decision knows of the end");
    let late = post(&mobility, &format!("{agreement_path}/token"), &serde_json::json!({})).await;
    assert_eq!(
        (
            late.status.as_u16(),
            late.json()["type"].as_str().unwrap().ends_with("agreement-not-active")
        ),
        (409, true)
    );
    // NEG-3: the negotiation is over; a late message changes nothing.
    assert_eq!(
        post(&gent, &format!("{negotiation}/terminate"), &serde_json::json!({}))
            .await
            .status,
        409
    );
    // A new request after the end is a new negotiation.
    let anew = post(&mobility, NEGOTIATIONS, &ask(&server, BICYCLES)).await;
    assert_eq!(anew.status, 201, "{}", anew.text());
    assert_ne!(anew.json()["@id"], asked.json()["@id"]);
    // All of it outlives a restart.
    let server = server.restart().await;
    assert!(!in_force(&server, &iri));
    server.stop().await;
}

/// The owner's rule decides alone, for those whom it names only.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_owner_agrees_for_those_it_names() {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    let (named, other) = (server.agent("named").await, server.agent("other").await);
    let more = format!(
        "meent:automaticAgreement true ; meent:acceptedConsumer <{}>",
        named.web_id
    );
    put_dataset(&gent, "/gent/.dataspace/datasets/fietsen", dataset(&server, &more)).await;
    let agreed = post(&named.client(), NEGOTIATIONS, &ask(&server, MOBILITY)).await;
    assert_eq!(
        (agreed.status.as_u16(), agreed.json()["state"].as_str()),
        (201, Some("AGREED")),
        "{}",
        agreed.text()
    );
    let waiting = post(&other.client(), NEGOTIATIONS, &ask(&server, MOBILITY)).await;
    assert_eq!(
        (waiting.status.as_u16(), waiting.json()["state"].as_str()),
        (201, Some("REQUESTED"))
    );
    // T88: another purpose than the offer's is refused with the reason, also a broader one.
    for purpose in [
        "https://w3id.org/dpv#Marketing",
        "https://w3id.org/dpv#PublicBenefit",
        "https://w3id.org/meent/ns#mobilityplanning",
    ] {
        let refused = post(&named.client(), NEGOTIATIONS, &ask(&server, purpose)).await;
        assert_eq!(refused.status, 422, "{purpose}: {}", refused.text());
        assert!(refused.text().contains("purpose-not-permitted"), "{}", refused.text());
    }
    let unknown =
        serde_json::json!({"dataset": format!("{}gent/.dataspace/datasets/x", server.base_url), "purpose": MOBILITY});
    assert_eq!(post(&named.client(), NEGOTIATIONS, &unknown).await.status, 404);
    assert_eq!(
        post(&gent, NEGOTIATIONS, &ask(&server, MOBILITY)).await.status,
        409,
        "an owner needs no agreement"
    );
    let noise = serde_json::json!({"dataset": 5});
    assert_eq!(post(&named.client(), NEGOTIATIONS, &noise).await.status, 422);
    // The owner withdraws the dataset: what was agreed on it covers nothing any more.
    let token_path = format!("{}/token", path(&server, agreed.json()["agreement"].as_str().unwrap()));
    assert_eq!(
        post(&named.client(), &token_path, &serde_json::json!({})).await.status,
        200
    );
    assert_eq!(gent.delete("/gent/.dataspace/datasets/fietsen").await.status, 204);
    let gone = post(&named.client(), &token_path, &serde_json::json!({})).await;
    assert_eq!(
        (gone.status.as_u16(), gone.text().contains("dataset-missing")),
        (403, true),
        "{}",
        gone.text()
    );
    server.stop().await;
}

/// T102: both parties keep the agreement in words; the log proves the hash of what was concluded, so that a party that changed
/// one word, anywhere, is named from the files alone.
///
/// Requirements dataspace NEG-6.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_copy_of_an_agreement_is_named() {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    let mobility = server.agent("mobility").await.client();
    let offer = dataset(&server, "meent:automaticAgreement true");
    put_dataset(&gent, "/gent/.dataspace/datasets/fietsen", offer).await;
    let asked = post(&mobility, NEGOTIATIONS, &ask(&server, MOBILITY)).await;
    let iri = asked.json()["agreement"].as_str().unwrap().to_owned();
    let log = gent.get("/gent/.log?limit=400").await;
    let export: LogExport = serde_json::from_str(&log.text()).unwrap();
    let key = VerifierKey::parse(&server.client().get("/log/vkey").await.text()).unwrap();
    let concluded = copies::concluded(&export, Some(&key), &iri).unwrap();
    let other = copies::concluded(&export, Some(&key), &format!("{iri}x"));
    assert!(matches!(other, Err(CopyFault::NotLogged(_))));
    let copy = async |client: &Client| {
        let request = client.request("GET", &iri).header("accept", "text/turtle");
        request.send().await.text()
    };
    let (provider, consumer) = (copy(&gent).await, copy(&mobility).await);
    assert!(concluded.is_said_by(&provider).unwrap() && concluded.is_said_by(&consumer).unwrap());
    // What changes afterwards is no part of what was agreed.
    let ended = post(
        &mobility,
        &format!("{}/terminate", path(&server, &iri)),
        &serde_json::json!({}),
    )
    .await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    assert!(concluded.is_said_by(&copy(&gent).await).unwrap());
    // A byte of a name, a value or the hash; where the change makes no sense any more, that is told.
    let mut changed = 0;
    for (place, byte) in consumer
        .bytes()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_alphanumeric())
    {
        let mut bytes = consumer.clone().into_bytes();
        bytes[place] = if byte == b'a' { b'b' } else { b'a' };
        let text = String::from_utf8(bytes).unwrap();
        if !text
            .lines()
            .zip(consumer.lines())
            .any(|(one, other)| one != other && !one.starts_with("@prefix"))
        {
            continue;
        }
        let state = text
            .lines()
            .zip(consumer.lines())
            .any(|(one, other)| one != other && other.contains("agreementState"));
        let verdict = concluded.is_said_by(&text);
        assert!(
            state || !matches!(verdict, Ok(true)),
            "the byte at {place} of\n{consumer}"
        );
        changed += 1;
    }
    assert!(changed > 200, "{changed}");
    server.stop().await;
}

/// T99: a hundred requests at once make one negotiation, and agreeing and refusing at once leaves one outcome.
#[tokio::test(flavor = "multi_thread")]
async fn racing_messages_leave_one_outcome() {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    let mobility = server.agent("mobility").await.client();
    put_dataset(
        &gent,
        "/gent/.dataspace/datasets/fietsen",
        dataset(&server, "meent:automaticAgreement false"),
    )
    .await;
    let body = ask(&server, MOBILITY);
    let asked = futures_util::future::join_all((0..50).map(|_| post(&mobility, NEGOTIATIONS, &body))).await;
    let created = asked.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(created, 1);
    let negotiation = path(&server, asked[0].json()["@id"].as_str().unwrap());
    let (agree, terminate) = (format!("{negotiation}/agree"), format!("{negotiation}/terminate"));
    let none = serde_json::json!({});
    let (agreed, ended) = tokio::join!(post(&gent, &agree, &none), post(&mobility, &terminate, &none));
    let state = gent.get(&negotiation).await.json()["state"]
        .as_str()
        .unwrap()
        .to_owned();
    // Either order is legal: the consumer may leave an agreed negotiation; nobody may agree on an ended one.
    assert_eq!(state, "TERMINATED", "{} {}", agreed.text(), ended.text());
    assert_eq!(ended.status, 200);
    assert!([200, 409].contains(&agreed.status.as_u16()));
    if let Some(iri) = gent.get(&negotiation).await.json()["agreement"].as_str() {
        assert!(
            !in_force(&server, iri),
            "an unverified agreement of an ended negotiation never counts"
        );
        let token = post(&mobility, &format!("{}/token", path(&server, iri)), &none).await;
        assert_eq!(token.status, 409, "{}", token.text());
    }
    server.stop().await;
}

/// T89: a token never outlives what the agreement itself permits, and a period that is over cannot be agreed on.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_the_agreed_period() {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    let mobility = server.agent("mobility").await.client();
    let until = |minutes: i64| {
        let moment = server.app.clock.now() + time::Duration::minutes(minutes);
        moment.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    for (minutes, possible) in [(10, true), (-10, false)] {
        let limited = dataset(&server, "meent:automaticAgreement true").replace(
            "odrl:constraint [",
            &format!(
                "odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; odrl:rightOperand \"{}\"^^xsd:dateTime ] , [",
                until(minutes)
            ),
        );
        let made = put_dataset(&gent, "/gent/.dataspace/datasets/fietsen", limited).await;
        assert!(made.status.is_success(), "{}", made.text());
        let purpose = if possible { MOBILITY } else { BICYCLES };
        let asked = post(&mobility, NEGOTIATIONS, &ask(&server, purpose)).await;
        if !possible {
            assert_eq!(
                (asked.status.as_u16(), asked.text().contains("outside-period")),
                (422, true),
                "{}",
                asked.text()
            );
            continue;
        }
        let token_path = format!("{}/token", path(&server, asked.json()["agreement"].as_str().unwrap()));
        let token = post(&mobility, &token_path, &serde_json::json!({})).await;
        let seconds = token.json()["expires_in"].as_i64().unwrap();
        assert!((500..=600).contains(&seconds), "{seconds}");
    }
    server.stop().await;
}
