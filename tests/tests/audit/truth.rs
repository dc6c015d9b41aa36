//! The log tells what happened: no more and no less, whatever is sent.

use std::collections::HashMap;

use futures_util::future::join_all;
use meent_tests::console::{Resident, quick_settings};
use meent_tests::pod::sparql::ask;
use meent_tests::pod::{Agent, PodServer};
use pod_server::log::own::LogExport;
use pod_server::log::verify;
use policies::audit::{AuditAction, AuditRecord, Outcome};
use server_kit::audit_log::VerifierKey;

use super::scene::TURTLE;

/// Who did what to what, and how it ended.
type Fact = (String, AuditAction, String, Outcome);

fn fact(record: AuditRecord) -> Fact {
    let target = record.targets.into_iter().next().unwrap_or_default();
    (record.agent.unwrap_or_default(), record.action, target, record.outcome)
}

/// Every page of a storage's log, each entry proven.
async fn report(owner: &Agent, path: &str, key: &VerifierKey) -> Vec<AuditRecord> {
    let (client, mut found, mut before) = (owner.client(), Vec::new(), None);
    loop {
        let next = before.map_or_else(String::new, |before| format!("&before={before}"));
        let page = client.get(&format!("{path}?limit=500{next}")).await;
        let export: LogExport = serde_json::from_slice(&page.body).unwrap();
        verify::export(&export, Some(key), None).unwrap();
        found.extend(export.entries.into_iter().map(|entry| entry.sealed.record));
        match export.next {
            Some(next) => before = Some(next),
            None => return found,
        }
    }
}

/// Two thousand reads, writes, queries and refused attempts by several people at once: the owner's report is exactly what the
/// clients saw, each answer with one entry and each entry with one answer. Reliability T107, T112; requirement AUD-7.
#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_the_truth() {
    let server = PodServer::start().await;
    let jan = server.agent("jan").await;
    let friends = [server.agent("bob").await, server.agent("eve").await];
    let strangers = [server.agent("mallory").await, server.agent("trudy").await];
    let owner = jan.client();
    for document in 0..10 {
        let body = format!("<#it> <urn:n> {document} .");
        assert!(
            owner
                .put(&format!("/jan/d/{document}"), TURTLE, body)
                .await
                .status
                .is_success()
        );
    }
    let readers: String = friends
        .iter()
        .map(|friend| format!("acl:agent <{}> ; ", friend.web_id))
        .collect();
    let acl = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> .
         <#o> a acl:Authorization ; acl:agent <{}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .
         <#r> a acl:Authorization ; {readers} acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read .",
        jan.web_id
    );
    assert!(owner.put("/jan/d/.acl", TURTLE, acl).await.status.is_success());
    let key = VerifierKey::parse(&server.client().get("/log/vkey").await.text()).unwrap();
    let before = report(&jan, "/jan/.log", &key).await.len();

    let mut truth: HashMap<Fact, usize> = HashMap::new();
    for round in 0..50_usize {
        let some = (0..40_usize).map(|step| {
            let (number, base) = (round * 40 + step, server.base_url.as_str());
            let (friend, stranger) = (&friends[number % 2], &strangers[number % 2]);
            let (path, other) = (format!("/jan/d/{}", number % 10), format!("/jan/d/{}", number % 7));
            let iri = format!("{base}{}", path.trim_start_matches('/'));
            async move {
                match number % 5 {
                    0 | 1 => {
                        assert_eq!(friend.client().get(&path).await.status, 200);
                        (friend.web_id.clone(), AuditAction::Read, iri, Outcome::Permit)
                    }
                    2 => {
                        assert_eq!(stranger.client().get(&path).await.status, 403);
                        (stranger.web_id.clone(), AuditAction::Read, iri, Outcome::Deny)
                    }
                    3 => {
                        let reply = ask(&friend.client(), "/jan/sparql", "SELECT * { ?s <urn:n> ?n }", &[]).await;
                        assert_eq!(reply.status, 200, "{}", reply.text());
                        (
                            friend.web_id.clone(),
                            AuditAction::Query,
                            format!("{base}jan/sparql"),
                            Outcome::Permit,
                        )
                    }
                    _ => {
                        let reply = friend.client().delete(&other).await;
                        assert_eq!(reply.status, 403);
                        let iri = format!("{base}{}", other.trim_start_matches('/'));
                        (friend.web_id.clone(), AuditAction::Delete, iri, Outcome::Deny)
                    }
                }
            }
        });
        for fact in join_all(some).await {
            *truth.entry(fact).or_default() += 1;
        }
    }
    let mut told: HashMap<Fact, usize> = HashMap::new();
    let records = report(&jan, "/jan/.log", &key).await;
    let new = records.len() - before;
    for record in records
        .into_iter()
        .take(new)
        .filter(|record| record.action != AuditAction::Audit)
    {
        if record.action != AuditAction::Signal {
            *told.entry(fact(record)).or_default() += 1;
        }
    }
    assert_eq!(told.values().sum::<usize>(), 2_000);
    assert_eq!(told, truth);
    server.stop().await;
}

/// Texts that try to be more than one line, one member or one element: each is one entry that reads back as it was sent, and is
/// harmless on the page. Reliability T111.
#[tokio::test(flavor = "multi_thread")]
async fn t111_whatever_is_sent_is_one_entry() {
    let server = PodServer::start_with(quick_settings()).await;
    let mut jan = Resident::arrive(&server, "jan").await.unwrap();
    let stranger = server.agent("mallory").await.client();
    let corpus = [
        "line\nbreak",
        "return\r\nSet-Cookie: a=b",
        "\u{1b}[2Jgone\u{7}",
        "\"},{\"record\":{\"action\":\"read\"}",
        "<script>alert(1)</script>",
        "\u{202e}txt.exe\u{2066}",
        "null\u{0}byte",
        "\\u0022\\n",
        "{{7*7}}${7*7}",
        "' OR 1=1 --",
    ];
    let key = VerifierKey::parse(&server.client().get("/log/vkey").await.text()).unwrap();
    for text in corpus {
        let purpose = format!("https://purpose.example/{text}");
        let reply = ask(
            &stranger,
            "/jan/sparql",
            "SELECT * { ?s ?p ?o }",
            &[("purpose", &purpose)],
        )
        .await;
        assert!(reply.status.is_client_error(), "{text:?}: {}", reply.text());
        let path: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let reply = stranger.get(&format!("/jan/{}", path.replace('+', "%20"))).await;
        assert!(reply.status.is_client_error(), "{text:?}: {}", reply.status);
    }
    let huge = format!(
        "query=ASK%7B%7D&purpose=https://purpose.example/{}",
        "x".repeat(10 << 20)
    );
    let sent = stranger
        .request("POST", "/jan/sparql")
        .content("application/x-www-form-urlencoded", huge);
    // The server may say no and hang up before it has read all of it.
    if let Some(reply) = sent.try_send().await {
        assert!(reply.status.is_client_error(), "{}", reply.status);
    }

    let records = report(&jan.agent, "/jan/.log", &key).await;
    for record in &records {
        assert!(
            record.canonical_bytes().unwrap().len() < 64 << 10,
            "an entry is bounded"
        );
        assert!(
            record
                .targets
                .iter()
                .all(|target| !target.contains(['\n', '\u{1b}', '<', '"'])),
            "{record:?}"
        );
    }
    for text in corpus {
        let purpose = format!("https://purpose.example/{text}");
        let told = records
            .iter()
            .filter(|record| record.purpose.as_deref() == Some(purpose.as_str()));
        assert!(told.count() <= 1, "{text:?}");
    }
    let page = jan.visitor.open("/log").await.unwrap();
    assert_eq!(page.status.as_u16(), 200);
    assert!(
        !page.body.contains("<script>alert") && !page.body.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "{}",
        page.body
    );
    let proved = verify::store(server.directory(), &key, None).unwrap();
    assert_eq!(proved.leaves, proved.records);
    server.stop().await;
}
