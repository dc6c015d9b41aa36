//! A broker with members that are no pod servers: only what their owners grant is asked, and everybody can see on what terms.

use super::harness::{BrokerServer, JSON, PURPOSE, ask, numbers};
use meent_tests::answers::read_parquet;
use meent_tests::federation::Member;
use meent_tests::federation::kinds::{pod, stream};
use meent_tests::federation::site::Site;
use meent_tests::pod::PodServer;
use oxrdf::{Literal, NamedNode, Triple};
use serde_json::{Value, json};
use server_kit::results::PARQUET;

const QUERY: &str = "SELECT ?n WHERE { ?s <http://open.example/p> ?n } ORDER BY ?n";

fn fact(number: i64) -> Triple {
    Triple::new(
        NamedNode::new_unchecked(format!("http://open.example/{number}")),
        NamedNode::new_unchecked("http://open.example/p"),
        Literal::from(number),
    )
}

fn terms(grants: &[&str]) -> Value {
    json!({
        "licence": "https://licences.example/by", "stated_at": "https://open.example/about", "publisher": "https://open.example/#us",
        "grants": grants,
    })
}

async fn register(broker: &BrokerServer, directory: &std::path::Path, member: &Value) -> meent_tests::pod::Reply {
    let token = std::fs::read_to_string(directory.join("operator.token")).unwrap();
    let client = broker.client();
    let request = client
        .request("POST", "/members")
        .header("authorization", format!("Bearer {}", token.trim()));
    request.content("application/json", member.to_string()).send().await
}

/// Members of each kind are registered with what their owners grant; they answer together, the manifest, the plan, the catalogue and the
/// registry say on what terms, the answer carries them on, and the log names what was asked.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_other_kinds_are_asked_as_their_owners_grant() {
    let directory = tempfile::tempdir().unwrap();
    let pod_server = PodServer::start().await;
    let broker = BrokerServer::start(directory.path(), &[&pod_server], json!({})).await;
    let agent = pod_server.agent("someone").await;
    let endpoint = Member::start("open", vec![fact(1)]).await.unwrap();
    let documents = Site::start(|root| pod(root, &[fact(2)])).await;
    let events = Site::start(|root| stream(root, &[fact(3)])).await;
    for member in [
        json!({ "name": "endpoint", "kind": "sparql", "url": endpoint.endpoint, "terms": terms(&["query"]) }),
        json!({ "name": "documents", "kind": "solid", "url": documents.root, "terms": terms(&["query"]) }),
        json!({ "name": "events", "kind": "ldes", "url": events.root, "terms": terms(&["query", "replicate"]) }),
    ] {
        let reply = register(&broker, directory.path(), &member).await;
        assert_eq!(reply.status, 204, "{}", reply.text());
    }
    let reply = ask(&agent, &broker, &[], QUERY, &[], JSON).await;
    assert_eq!(numbers(&reply), [1, 2, 3], "{}", reply.text());
    assert_eq!(reply.header("meent-complete"), "true");
    let links: Vec<&str> = reply
        .headers
        .get_all("link")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    assert!(
        links
            .iter()
            .any(|link| link.contains("licences.example/by") && link.contains("license")),
        "{links:?}"
    );
    let id = reply.header("meent-query").to_owned();
    let manifest = broker.client().get(&format!("/queries/{id}")).await.json();
    let sources = manifest["sources"].as_array().unwrap();
    for kind in ["sparql", "solid", "ldes"] {
        let source = sources.iter().find(|source| source["kind"] == kind).unwrap();
        assert_eq!(source["granted"]["licence"], "https://licences.example/by", "{source}");
        assert_eq!(source["status"], "answered", "{source}");
    }
    let plan = ask(&agent, &broker, &[], QUERY, &[("explain", "true")], "text/plain").await;
    assert!(
        plan.text()
            .contains("of kind `ldes` under <https://licences.example/by>, stated at <https://open.example/about>"),
        "{}",
        plan.text()
    );
    let plan = ask(&agent, &broker, &[], QUERY, &[("explain", "true")], "application/json").await;
    assert!(plan.text().contains("\"kind\":\"solid\""), "{}", plan.text());
    let registry = broker.client().get("/members").await.text();
    assert!(
        registry.contains("\"kind\":\"ldes\"") && registry.contains("replicate"),
        "{registry}"
    );
    let catalogue = broker
        .client()
        .request("GET", "/catalog")
        .header("accept", "text/turtle")
        .send()
        .await
        .text();
    assert!(catalogue.contains("https://licences.example/by"), "{catalogue}");

    // What was asked of whom is in the broker's own log: the query, its end, and the two looks at the plan.
    let auditor = &broker.running.as_ref().unwrap().broker.auditor;
    let checkpoint = auditor.checkpoint().unwrap();
    assert!(checkpoint.contains("\n4\n"), "{checkpoint}");
    broker.stop().await;
}

/// Rows of members of every kind name whom they rest on: the very member where each counts for itself, and all that delivered triples where
/// what may be the same is merged; a row that two hold is there once or twice as is asked for, also while members still answer.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_every_kind_name_their_members_and_count_as_asked() {
    let directory = tempfile::tempdir().unwrap();
    let pod_server = PodServer::start().await;
    let broker = BrokerServer::start(directory.path(), &[&pod_server], json!({})).await;
    let agent = pod_server.agent("someone").await;
    let endpoint = Member::start("open", vec![fact(1), fact(2)]).await.unwrap();
    let documents = Site::start(|root| pod(root, &[fact(2)])).await;
    let events = Site::start(|root| stream(root, &[fact(3)])).await;
    for member in [
        json!({ "name": "endpoint", "kind": "sparql", "url": endpoint.endpoint, "terms": terms(&["query"]) }),
        json!({ "name": "documents", "kind": "solid", "url": documents.root, "terms": terms(&["query"]) }),
        json!({ "name": "events", "kind": "ldes", "url": events.root, "terms": terms(&["query", "replicate"]) }),
    ] {
        assert_eq!(register(&broker, directory.path(), &member).await.status, 204);
    }
    let (first, second, third) = (&endpoint.endpoint, &documents.root, &events.root);
    for complete in ["best-effort", "required", "later"] {
        for (duplicates, expected) in [("merged", vec![1, 2, 3]), ("kept", vec![1, 2, 2, 3])] {
            let fields = [("complete", complete), ("duplicates", duplicates)];
            let reply = ask(&agent, &broker, &[], QUERY, &fields, JSON).await;
            assert_eq!(numbers(&reply), expected, "{fields:?}: {}", reply.text());
            assert_eq!(reply.json()["meent"]["complete"], true, "{fields:?}: {}", reply.text());

            let traced = [fields[0], fields[1], ("provenance", "rows")];
            let reply = ask(&agent, &broker, &[], QUERY, &traced, PARQUET).await;
            let read = read_parquet(&reply.body);
            let exact = duplicates == "kept";
            assert_eq!(
                read.note("sourcesExact"),
                Some(exact.to_string().as_str()),
                "{traced:?}"
            );
            let named = read.sources.unwrap();
            assert_eq!(named.len(), expected.len(), "{traced:?}");
            for (number, sources) in expected.iter().zip(&named) {
                let holders: &[&String] = match number {
                    1 => &[first],
                    2 => &[first, second],
                    _ => &[third],
                };
                if exact {
                    assert!(
                        sources.len() == 1 && holders.contains(&&sources[0]),
                        "{number}: {sources:?}"
                    );
                } else {
                    assert!(
                        holders.iter().all(|holder| sources.contains(holder)),
                        "{number}: {sources:?}"
                    );
                }
            }
            if exact {
                assert_ne!(named[1], named[2], "each of the two rows is another member's");
            }
        }
    }
    broker.stop().await;
}

/// Deny by default: what the registry does not say to be granted is not asked, and the refusal says what is lacking.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_not_asked() {
    let directory = tempfile::tempdir().unwrap();
    let pod_server = PodServer::start().await;
    let endpoint = Member::start("open", vec![fact(1)]).await.unwrap();
    // Registered by an earlier version, without a word about what is granted.
    let state = broker::state::State::open(directory.path()).unwrap();
    let old = json!({ "name": "old", "sparql": endpoint.endpoint }).to_string();
    state.put_member("old", &old).unwrap();
    drop(state);
    let broker = BrokerServer::start(directory.path(), &[&pod_server], json!({})).await;
    let agent = pod_server.agent("someone").await;
    let refused = ask(&agent, &broker, &[], QUERY, &[], JSON).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("no-terms"), "{}", refused.text());
    assert_eq!(endpoint.requests(), 0);

    let mut only = terms(&["query"]);
    only["purposes"] = json!([PURPOSE]);
    let member = json!({ "name": "old", "kind": "sparql", "url": endpoint.endpoint, "terms": only });
    assert_eq!(register(&broker, directory.path(), &member).await.status, 204);
    for (fields, word) in [
        (&[][..], "purpose-missing"),
        (
            &[("purpose", "https://purposes.example/advertising")][..],
            "purpose-not-granted",
        ),
    ] {
        let refused = ask(&agent, &broker, &[], QUERY, fields, JSON).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.text().contains(word), "{}", refused.text());
    }
    assert_eq!(endpoint.requests(), 0);
    let granted = ask(&agent, &broker, &[], QUERY, &[("purpose", PURPOSE)], JSON).await;
    assert_eq!(numbers(&granted), [1], "{}", granted.text());

    for (member, words) in [
        (
            json!({ "name": "x", "kind": "sparql", "url": "https://x.example/" }),
            "cannot enforce a policy itself",
        ),
        (
            json!({ "name": "x", "kind": "solid", "url": "https://x.example/a", "terms": terms(&["query"]) }),
            "closing slash",
        ),
        (
            json!({ "name": "x", "kind": "ldes", "url": "https://x.example/", "terms": terms(&["query"]) }),
            "does not grant",
        ),
        (
            json!({ "name": "x", "kind": "sparql", "url": "https://x.example/", "terms": terms(&["replicate"]) }),
            "grants no `query`",
        ),
        (
            json!({ "name": "x", "url": "https://x.example/", "terms": terms(&["query"]) }),
            "decides itself",
        ),
        (
            json!({ "name": "x", "kind": "solid", "sparql": "https://x.example/", "terms": terms(&["query"]) }),
            "another kind",
        ),
        (
            json!({ "name": "x", "kind": "sparql", "url": "https://x.example/", "web_id": "https://x.example/#me", "terms": terms(&["query"]) }),
            "no Solid pod",
        ),
        (
            json!({ "name": "x", "kind": "ldes", "url": "https://x.example/", "since": "lately", "terms": terms(&["query", "replicate"]) }),
            "write a moment",
        ),
        (
            json!({ "name": "x", "kind": "solid", "url": "https://x.example/", "since": "2026-01-01T00:00:00Z", "terms": terms(&["query"]) }),
            "no stream",
        ),
        (
            json!({ "name": "x", "kind": "ftp", "url": "https://x.example/" }),
            "unknown variant",
        ),
    ] {
        let reply = register(&broker, directory.path(), &member).await;
        assert!(matches!(reply.status.as_u16(), 400 | 422), "{member}: {}", reply.text());
        assert!(reply.text().contains(words), "{member}: {}", reply.text());
    }
    broker.stop().await;
}

/// A complete answer that was required is refused when a pod is only read in part, and the problem says what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_pod_is_no_complete_answer() {
    let directory = tempfile::tempdir().unwrap();
    let pod_server = PodServer::start().await;
    let settings = json!({ "exec": { "documents": { "documents_max": 3 } } });
    let broker = BrokerServer::start(directory.path(), &[&pod_server], settings).await;
    let agent = pod_server.agent("someone").await;
    let facts: Vec<Triple> = (1..9).map(fact).collect();
    let documents = Site::start(move |root| pod(root, &facts)).await;
    let member = json!({ "name": "documents", "kind": "solid", "url": documents.root, "terms": terms(&["query"]) });
    assert_eq!(register(&broker, directory.path(), &member).await.status, 204);
    let part = ask(&agent, &broker, &[], QUERY, &[], JSON).await;
    assert_eq!(
        (part.status.as_u16(), part.header("meent-complete")),
        (200, "false"),
        "{}",
        part.text()
    );
    for fields in [&[][..], &[("complete", "later"), ("duplicates", "kept")][..]] {
        let told = ask(&agent, &broker, &[], QUERY, fields, JSON).await.json();
        assert_eq!(told["meent"]["complete"], false, "{told}");
        let missing = &told["meent"]["missing"][0];
        assert_eq!(missing["status"], "partial", "{told}");
        assert!(
            missing["reasons"].to_string().contains("more than 3 documents"),
            "{told}"
        );
    }
    let whole = ask(&agent, &broker, &[], QUERY, &[("complete", "required")], JSON).await;
    assert_eq!(whole.status, 502, "{}", whole.text());
    assert!(whole.text().contains("more than 3 documents"), "{}", whole.text());
    broker.stop().await;
}

/// The command that checks a configuration says what each owner grants, and refuses a member of which nobody says anything.
#[test]
fn the_check_says_what_is_granted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broker.toml");
    let base = format!(
        "[server]\nbase_url = \"https://broker.example/\"\nlisten = \"127.0.0.1:7190\"\n[state]\ndirectory = {:?}\n
         [[members]]\nname = \"open\"\nkind = \"sparql\"\nurl = \"https://open.example/sparql\"\n",
        directory.path()
    );
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let here = std::env::current_exe().unwrap();
        let program = here.parent().unwrap().parent().unwrap().join("broker");
        let output = std::process::Command::new(program)
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (fine, said) = check(&base);
    assert!(!fine && said.contains("cannot enforce a policy itself"), "{said}");
    let granted = format!(
        "{base}[members.terms]\nlicence = \"https://licences.example/by\"\nstated_at = \"https://open.example/about\"\ngrants = [\"query\"]\n"
    );
    let (fine, said) = check(&granted);
    assert!(
        fine && said.contains("open (sparql): query to everybody under https://licences.example/by"),
        "{said}"
    );
}
