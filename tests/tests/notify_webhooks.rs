//! Webhooks: proofs that receivers can check, retries, giving up visibly, restarts, and receivers that mean harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use meent_tests::notify::{Answer, Delivered, Receiver, subscribe};
use meent_tests::pod::{Client, PodServer};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const WEBHOOK: &str = "WebhookChannel2023";

/// Quick retries, so that tests need not wait.
fn quick(more: Value) -> Value {
    let mut webhook = json!({"retry_milliseconds_min": 20, "keep_milliseconds": 20});
    webhook
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "notify": { "webhook": webhook } })
}

/// Subscribes a receiver and returns the IRI of the channel.
async fn hook(client: &Client, server: &PodServer, topic: &str, receiver: &Receiver, more: Value) -> String {
    let mut wanted = json!({ "sendTo": receiver.url });
    wanted
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let reply = subscribe(client, &server.base_url, WEBHOOK, topic, &wanted).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let channel = reply.json();
    assert_eq!(channel["sendTo"], receiver.url);
    assert_eq!(
        channel["sender"],
        format!("{}.notifications/sender#it", server.base_url)
    );
    assert!(channel.get("receiveFrom").is_none());
    channel["id"].as_str().unwrap().to_owned()
}

async fn write(client: &Client, names: &[&str]) {
    for name in names {
        let reply = client.put(&format!("/alice/box/{name}"), "text/plain", "x").await;
        assert!(reply.status.is_success(), "{}", reply.text());
    }
}

/// The members that were added, in the order of arrival; other activities are left out.
fn added(deliveries: &[Delivered]) -> Vec<String> {
    let adds = deliveries.iter().filter(|delivery| delivery.json()["type"] == "Add");
    adds.map(Delivered::object).collect()
}

/// Waits until a channel shows what is wanted of its delivery.
async fn shows(client: &Client, channel: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..400 {
        let delivery = client.get(channel).await.json()["delivery"].clone();
        if wanted(&delivery) {
            return delivery;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{}", client.get(channel).await.text());
}

/// Checks an HTTP message signature with nothing but the text of RFC 9421 and the key in the sender's document.
async fn check_signature(client: &Client, delivery: &Delivered, url: &str) {
    let header = |name: &str| delivery.headers[name].to_str().unwrap();
    let digest = header("content-digest")
        .strip_prefix("sha-256=:")
        .unwrap()
        .strip_suffix(':')
        .unwrap();
    assert_eq!(
        STANDARD.decode(digest).unwrap(),
        Sha256::digest(&delivery.body).to_vec()
    );
    let parameters = header("signature-input").strip_prefix("sig=").unwrap();
    assert!(parameters.contains("alg=\"ecdsa-p256-sha256\""));
    let key_id = parameters.split("keyid=\"").nth(1).unwrap().split('"').next().unwrap();
    let components = parameters.split([')', '(']).nth(1).unwrap();
    let mut base = String::new();
    for component in components.split(' ') {
        let value = match component.trim_matches('"') {
            "@method" => "POST",
            "@target-uri" => url,
            name => header(name),
        };
        base.push_str(&format!("{component}: {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    let document = client
        .request("GET", key_id.split('#').next().unwrap())
        .header("accept", "application/ld+json")
        .send()
        .await
        .json();
    let method = &document["verificationMethod"][0];
    assert_eq!(method["id"], key_id);
    let coordinate = |name: &str| {
        let bytes = URL_SAFE_NO_PAD
            .decode(method["publicKeyJwk"][name].as_str().unwrap())
            .unwrap();
        BigNum::from_slice(&bytes).unwrap()
    };
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::from_public_key_affine_coordinates(&group, &coordinate("x"), &coordinate("y")).unwrap();
    let signature = header("signature")
        .strip_prefix("sig=:")
        .unwrap()
        .strip_suffix(':')
        .unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    let part = |bytes: &[u8]| BigNum::from_slice(bytes).unwrap();
    let signature = EcdsaSig::from_private_components(part(&signature[..32]), part(&signature[32..])).unwrap();
    let signed = Sha256::digest(base.as_bytes());
    assert!(signature.verify(&signed, &key).unwrap(), "{base}");
    let forged = Sha256::digest(base.replace("POST", "PUT").as_bytes());
    assert!(!signature.verify(&forged, &key).unwrap());
}

/// Each delivery proves its sender twice: by a message signature over content and target, and by a token as any Solid
/// server checks it. Requirements solid 45, 107, 108.
#[tokio::test]
async fn a_delivery_proves_its_sender() {
    let (server, other) = (PodServer::start().await, PodServer::start().await);
    let alice = server.agent("alice").await;
    let client = alice.client();
    let mut receiver = Receiver::start().await;
    hook(&client, &server, "/alice/box/a", &receiver, json!({})).await;
    write(&client, &["a"]).await;
    let delivery = receiver.next().await;
    assert_eq!(delivery.json()["type"], "Create");
    assert_eq!(delivery.headers["content-type"], "application/ld+json");
    check_signature(&server.client(), &delivery, &receiver.url).await;
    // Another server knows nothing of this one, and finds issuer and key by the sender's WebID.
    let method = http::Method::POST;
    let accepted = other
        .app
        .authenticator
        .authenticate(&method, &receiver.url, &delivery.headers)
        .await
        .unwrap();
    let sender = format!("{}.notifications/sender#it", server.base_url);
    assert_eq!(
        format!("{:?}", accepted.agent),
        format!("Authenticated(WebId(\"{sender}\"))")
    );
    let turtle = server.client().get("/.notifications/sender").await.text();
    assert!(turtle.contains("solid:oidcIssuer"), "{turtle}");
    assert!(!turtle.contains("\"d\""), "the private key stays where it is");
    server.stop().await;
    other.stop().await;
}

/// A receiver that fails gets the same notification again, with the same identifier, and then the next ones in order.
/// Requirements solid 109.
#[tokio::test]
async fn failures_are_repeated_in_order() {
    let server = PodServer::start_with(quick(json!({"delivery_seconds_max": 1}))).await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    client.put("/alice/box/", "text/turtle", "").await;
    let mut receiver = Receiver::start().await;
    let canary = Receiver::start().await;
    let refusals = [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Redirect(canary.url.clone()),
        Answer::Silence,
    ];
    let attempts = refusals.len() + 1;
    receiver.answer_first(refusals);
    let channel = hook(&client, &server, "/alice/box/", &receiver, json!({})).await;
    write(&client, &["a", "b", "c"]).await;
    let mut deliveries = Vec::new();
    for _ in 0..attempts + 2 {
        deliveries.push(receiver.next().await);
    }
    let ids: std::collections::BTreeSet<String> = deliveries
        .iter()
        .take(attempts)
        .map(|delivery| delivery.json()["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(added(&deliveries[attempts - 1..]), ["a", "b", "c"]);
    let working = shows(&client, &channel, |delivery| delivery["waiting"] == 0).await;
    assert_eq!(working["status"], "working");
    assert!({ canary }.arrived().is_empty(), "redirects are not followed");
    server.stop().await;
}

/// What is given up is shown to the subscriber with its reason, and what comes after it is still delivered; a receiver
/// that says that it is gone ends its channel. Requirements solid 109.
#[tokio::test]
async fn what_is_given_up_is_shown() {
    let server = PodServer::start_with(quick(json!({"attempts_max": 2}))).await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    client.put("/alice/box/", "text/turtle", "").await;
    let mut receiver = Receiver::start().await;
    receiver.answer_first([Answer::Status(503), Answer::Status(503)]);
    let channel = hook(&client, &server, "/alice/box/", &receiver, json!({})).await;
    write(&client, &["a", "b"]).await;
    let shown = shows(&client, &channel, |delivery| {
        delivery["deadLettersTotal"] == 1 && delivery["waiting"] == 0
    })
    .await;
    let letter = &shown["deadLetters"][0];
    assert!(letter["object"].as_str().unwrap().ends_with("/a"), "{shown}");
    assert_eq!((&letter["attempts"], &letter["type"]), (&json!(2), &json!("Add")));
    assert!(letter["reason"].as_str().unwrap().contains("503"));
    assert_eq!(added(&receiver.arrived()), ["a", "a", "b"]);
    receiver.answer_always(Answer::Status(410));
    write(&client, &["c"]).await;
    receiver.next().await;
    for _ in 0..400 {
        if client.get(&channel).await.status == 404 {
            server.stop().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the channel is still there");
}

/// A receiver that takes nothing for too long has its channel given up as a whole, and the channel says so. Requirements
/// solid 109.
#[tokio::test]
async fn a_dead_receiver_is_given_up() {
    let server = PodServer::start_with(quick(json!({"failing_seconds_max": 0, "attempts_max": 1000}))).await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let receiver = Receiver::start().await;
    let channel = hook(&client, &server, "/alice/box/a", &receiver, json!({})).await;
    let url = receiver.url.clone();
    drop(receiver);
    write(&client, &["a"]).await;
    let shown = shows(&client, &channel, |delivery| delivery["status"] == "suspended").await;
    let reason = shown["deadLetters"][0]["reason"].as_str().unwrap();
    assert!(
        !reason.contains("refused") && !reason.contains(&url),
        "the reason tells nothing about the network: {reason}"
    );
    let server = server.restart().await;
    let again = shows(&alice.client(), &channel, |delivery| delivery["status"] == "suspended").await;
    assert_eq!(again["deadLettersTotal"], 1);
    server.stop().await;
}

/// Deliveries go on after a restart, in order and at least once, also those that did not fit into memory; what happened
/// before the subscription is not told. Requirements solid 109.
#[tokio::test]
async fn deliveries_go_on_after_a_restart() {
    let server = PodServer::start_with(quick(json!({"queue_messages_max": 3}))).await;
    let alice = server.agent("alice").await;
    write(&alice.client(), &["before"]).await;
    let mut receiver = Receiver::start().await;
    receiver.answer_always(Answer::Status(500));
    let channel = hook(&alice.client(), &server, "/alice/box/", &receiver, json!({})).await;
    let mut quiet = Receiver::start().await;
    hook(&alice.client(), &server, "/alice/elsewhere", &quiet, json!({})).await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    write(&alice.client(), &names).await;
    receiver.next().await;
    shows(&alice.client(), &channel, |delivery| delivery["waiting"] == 3).await;
    let server = server.restart().await;
    receiver.arrived();
    receiver.answer_always(Answer::Status(202));
    write(&alice.client(), &["i"]).await;
    let mut got: Vec<String> = Vec::new();
    while got.last().map(String::as_str) != Some("i") {
        let name = receiver.next().await.object();
        if got.last() != Some(&name) {
            got.push(name);
        }
    }
    assert_eq!(got, ["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    // Nothing is behind any more, so that another restart repeats nothing.
    shows(&alice.client(), &channel, |delivery| {
        delivery["waiting"] == 0 && delivery["status"] == "working"
    })
    .await;
    let server = server.restart().await;
    write(&alice.client(), &["j"]).await;
    assert_eq!(receiver.next().await.object(), "j");
    assert!(quiet.arrived().is_empty());
    server.stop().await;
}

/// The right counts at the moment of delivery; without it nothing is sent. Requirements solid 109 (T86).
#[tokio::test]
async fn nothing_is_sent_without_the_right() {
    let server = PodServer::start_with(quick(json!({}))).await;
    let (alice, bob) = (server.agent("alice").await, server.agent("bob").await);
    let client = alice.client();
    let acl = |readers: &str| {
        format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. \
             <#owner> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; acl:default <./>; \
             acl:mode acl:Read, acl:Write, acl:Control. {readers}",
            alice.web_id
        )
    };
    let with_bob = acl(&format!(
        "<#bob> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read.",
        bob.web_id
    ));
    client.put("/alice/box/", "text/turtle", "").await;
    client.put("/alice/box/.acl", "text/turtle", with_bob.clone()).await;
    let (mut his, mut hers) = (Receiver::start().await, Receiver::start().await);
    hook(&bob.client(), &server, "/alice/box/", &his, json!({})).await;
    hook(&client, &server, "/alice/box/", &hers, json!({})).await;
    write(&client, &["a"]).await;
    assert_eq!(his.next().await.object(), "a");
    client.put("/alice/box/.acl", "text/turtle", acl("")).await;
    write(&client, &["secret"]).await;
    hers.next().await;
    assert_eq!(hers.next().await.object(), "secret");
    client.put("/alice/box/.acl", "text/turtle", with_bob).await;
    write(&client, &["c"]).await;
    assert_eq!(his.next().await.object(), "c");
    server.stop().await;
}

/// Addresses inside the network, and whatever is no `https` receiver, are refused with one and the same text, and nothing
/// is sent there. Requirements solid 108 (T61).
#[tokio::test]
async fn receivers_inside_the_network_are_refused() {
    let server = PodServer::start_with(json!({"egress": {"allow": []}})).await;
    let alice = server.agent("alice").await;
    let mut canary = Receiver::start().await;
    let port = canary.url.split([':', '/']).nth(4).unwrap().to_owned();
    let addresses = [
        canary.url.clone(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://0x7f.1:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://user:secret@example.org/".to_owned(),
        "ftp://example.org/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    let mut texts = std::collections::BTreeSet::new();
    for send_to in addresses {
        let wanted = json!({ "sendTo": send_to });
        let reply = subscribe(&alice.client(), &server.base_url, WEBHOOK, "/alice/a", &wanted).await;
        assert_eq!(reply.status, 422, "{send_to}: {}", reply.text());
        texts.insert(reply.text());
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    let missing = subscribe(&alice.client(), &server.base_url, WEBHOOK, "/alice/a", &json!({})).await;
    assert_eq!(missing.status, 422);
    let anonymous = json!({"sendTo": canary.url});
    let reply = subscribe(
        &server.client(),
        &server.base_url,
        WEBHOOK,
        "/alice/profile/card",
        &anonymous,
    )
    .await;
    assert_eq!(reply.status, 401, "a webhook needs someone who asked for it");
    alice.client().put("/alice/a", "text/plain", "x").await;
    assert!(canary.arrived().is_empty());
    server.stop().await;
}

/// `rate` keeps deliveries apart and sends the latest of what came in between. Requirements solid 106.
#[tokio::test]
async fn a_rate_keeps_deliveries_apart() {
    let server = PodServer::start_with(quick(json!({}))).await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    client.put("/alice/box/", "text/turtle", "").await;
    let mut receiver = Receiver::start().await;
    hook(&client, &server, "/alice/box/", &receiver, json!({"rate": "PT2S"})).await;
    write(&client, &["a"]).await;
    assert_eq!(receiver.next().await.object(), "a");
    write(&client, &["b", "c"]).await;
    let mut last = receiver.next().await.object();
    while last != "c" {
        last = receiver.next().await.object();
    }
    server.stop().await;
}
