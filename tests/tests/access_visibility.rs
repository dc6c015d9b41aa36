//! What a query shows is what requests show: for arbitrary rules, a document is in the answer of the query endpoint exactly
//! when the same agent may read it with GET (invariant 7).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use meent_tests::pod::{Client, PodServer};
use pod_server::authz::AuthorizationSystem;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const TURTLE: &str = "text/turtle";
const PREFIXES: &str = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix acp: <http://www.w3.org/ns/solid/acp#>. \
                        @prefix foaf: <http://xmlns.com/foaf/0.1/>. @prefix vcard: <http://www.w3.org/2006/vcard/ns#>.\n";
/// The documents of each storage, below its root. A description and a container with statements of its own are documents.
const DOCUMENTS: [&str; 9] = ["x", "a/", "a/x", "a/x.meta", "a/b/", "a/b/x", "a/b/y", "c/x", "c/d/e/x"];
/// Subjects that may have rules of their own.
const SUBJECTS: [&str; 8] = ["", "a/", "a/x", "a/b/", "a/b/x", "c/", "c/d/", "c/d/e/x"];
/// Storages per system.
const CASES: usize = 24;
/// Changes of rules in each of them.
const CHANGES: usize = 3;

/// Rules of one subject: for itself and for what is below.
type Rules = Vec<(bool, bool, String)>;

/// Whom an access control list may name. `{bob}` stands for a WebID, `{group}` for a group that Bob is in.
const LISTED: [&str; 9] = [
    "acl:agentClass foaf:Agent",
    "acl:agentClass acl:AuthenticatedAgent",
    "acl:agent <{bob}>",
    "acl:agent <{carol}>",
    "acl:agentGroup <{group}>",
    "acl:agent <{bob}>; acl:condition [ a acl:ClientCondition; acl:client <https://client.example/id> ]",
    "acl:agentClass foaf:Agent; acl:condition [ a acl:ClientCondition; acl:client <https://client.example/id> ]",
    "acl:agentClass acl:AuthenticatedAgent; acl:condition [ a acl:ClientCondition; acl:client <https://b.example/id> ]",
    "acl:origin <https://app.example>; acl:agent <{carol}>",
];

/// Policies, with what they say about modes left out.
const MATCHED: [&str; 11] = [
    "acp:anyOf [ acp:agent acp:PublicAgent ]",
    "acp:anyOf [ acp:agent acp:AuthenticatedAgent ]",
    "acp:anyOf [ acp:agent <{bob}> ]",
    "acp:anyOf [ acp:agent <{carol}> ], [ acp:agent <{bob}> ]",
    "acp:anyOf [ acp:agent acp:CreatorAgent ]",
    "acp:anyOf [ acp:agent acp:OwnerAgent ]",
    "acp:allOf [ acp:client <https://client.example/id> ], [ acp:agent <{carol}> ]",
    "acp:anyOf [ acp:client <https://b.example/id> ]",
    "acp:anyOf [ acp:agent acp:PublicAgent ]; acp:noneOf [ acp:agent <{bob}> ]",
    "acp:anyOf [ acp:agent acp:AuthenticatedAgent ]; acp:noneOf [ acp:agent acp:CreatorAgent ]",
    "acp:anyOf [ acp:vc <https://vc.example/Member> ]",
];
const VERBS: [&str; 4] = [
    "acp:allow acl:Read",
    "acp:allow acl:Read",
    "acp:deny acl:Read",
    "acp:allow acl:Append",
];

fn any_rules(system: AuthorizationSystem) -> BoxedStrategy<Rules> {
    let who: BoxedStrategy<String> = match system {
        AuthorizationSystem::Wac => (proptest::sample::select(&LISTED[..]), 0..4_u8)
            .prop_map(|(who, mode)| format!("{who}; acl:mode {}", if mode > 0 { "acl:Read" } else { "acl:Write" }))
            .boxed(),
        AuthorizationSystem::Acp => (
            proptest::sample::select(&MATCHED[..]),
            proptest::sample::select(&VERBS[..]),
        )
            .prop_map(|(who, verb)| format!("{verb}; {who}"))
            .boxed(),
    };
    proptest::collection::vec((any::<bool>(), any::<bool>(), who), 1..5).boxed()
}

fn written(system: AuthorizationSystem, resource: &str, owner: &str, rules: &Rules) -> String {
    let mut text = PREFIXES.to_owned();
    match system {
        AuthorizationSystem::Wac => {
            text.push_str(&format!(
                "<#owner> a acl:Authorization; acl:agent <{owner}>; acl:accessTo <{resource}>; acl:default <{resource}>; \
                 acl:mode acl:Write, acl:Control.\n"
            ));
            for (number, (own, members, who)) in rules.iter().enumerate() {
                let own = if *own {
                    format!("acl:accessTo <{resource}>; ")
                } else {
                    String::new()
                };
                let members = if *members {
                    format!("acl:default <{resource}>; ")
                } else {
                    String::new()
                };
                text.push_str(&format!("<#r{number}> a acl:Authorization; {own}{members}{who}.\n"));
            }
        }
        AuthorizationSystem::Acp => {
            text.push_str(&format!(
                "<> acp:resource <{resource}>; acp:accessControl <#owner>; acp:memberAccessControl <#owner>. <#owner> \
                 acp:apply [ acp:allow acl:Write, acl:Control; acp:anyOf [ acp:agent <{owner}> ] ].\n"
            ));
            for (number, (own, members, policy)) in rules.iter().enumerate() {
                for (property, used) in [("accessControl", own), ("memberAccessControl", members)] {
                    if *used {
                        text.push_str(&format!("<> acp:{property} <#r{number}>.\n"));
                    }
                }
                text.push_str(&format!("<#r{number}> acp:apply [ {policy} ].\n"));
            }
        }
    }
    text
}

async fn put(client: &Client, path: &str, body: &str) {
    let reply = client.put(path, TURTLE, body.to_owned()).await;
    assert!(reply.status.is_success(), "{path}: {}\n{body}", reply.text());
}

/// The documents that a query shows.
async fn shown(client: &Client, storage: &str) -> BTreeSet<String> {
    let query = "SELECT DISTINCT ?g { GRAPH ?g { ?s <urn:p> ?o } }";
    let reply = client
        .request("POST", &format!("/{storage}/sparql"))
        .content("application/sparql-query", query)
        .send()
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let json = reply.json();
    let rows = json["results"]["bindings"].as_array().unwrap();
    rows.iter()
        .map(|row| row["g"]["value"].as_str().unwrap().to_owned())
        .collect()
}

async fn compare(
    server: &PodServer,
    system: AuthorizationSystem,
    storage: &str,
    clients: &[(&str, Client)],
    rules: &str,
) -> usize {
    let mut visible = 0;
    for (who, client) in clients {
        let mut readable = BTreeSet::new();
        for document in DOCUMENTS {
            let path = format!("{storage}/{document}");
            if client.get(&format!("/{path}")).await.status == 200 {
                readable.insert(format!("{}{path}", server.base_url));
            }
        }
        let shown = shown(client, storage).await;
        assert_eq!(shown, readable, "{who} under {system:?}:\n{rules}");
        visible += shown.len();
    }
    visible
}

async fn walk(system: AuthorizationSystem) {
    let server = PodServer::start().await;
    let (bob, carol) = (server.agent("bob").await, server.agent("carol").await);
    let group = format!("{PREFIXES}<#g> a vcard:Group; vcard:hasMember <{}>.", bob.web_id);
    put(&bob.client(), "/bob/group", &group).await;
    let filled = |text: &str| {
        text.replace("{bob}", &bob.web_id)
            .replace("{carol}", &carol.web_id)
            .replace("{group}", &format!("{}bob/group#g", server.base_url))
    };
    let mut runner = TestRunner::deterministic();
    let any_document = (0..SUBJECTS.len(), any_rules(system));
    let (mut visible, mut all) = (0, 0);
    for case in 0..CASES {
        let storage = format!("s{case}");
        let owner = server.agent_under(&storage, system).await;
        let keeper = owner.client();
        let open = format!(
            "{}{}",
            written(system, "./", &owner.web_id, &Vec::new()),
            match system {
                AuthorizationSystem::Wac =>
                    "<#all> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:default <./>; acl:mode acl:Write.",
                AuthorizationSystem::Acp =>
                    "<> acp:accessControl <#all>; acp:memberAccessControl <#all>. <#all> acp:apply [ acp:allow acl:Write; acp:anyOf [ acp:agent acp:PublicAgent ] ].",
            }
        );
        put(&keeper, &format!("/{storage}/.acl"), &open).await;
        // Different makers.
        for (number, document) in DOCUMENTS.iter().enumerate() {
            let maker = if number % 2 == 0 { bob.client() } else { keeper.clone() };
            put(&maker, &format!("/{storage}/{document}"), "<#it> <urn:p> 1 .").await;
        }
        let clients = [
            ("owner", keeper.clone()),
            ("bob", bob.client()),
            ("carol", carol.client()),
            ("anyone", server.client()),
        ];
        let mut history = String::new();
        for _ in 0..CHANGES {
            for _ in 0..2 {
                let (subject, rules) = any_document.new_tree(&mut runner).unwrap().current();
                let subject = SUBJECTS[subject];
                let resource = if subject.is_empty() || subject.ends_with('/') {
                    "./"
                } else {
                    subject.rsplit('/').next().unwrap()
                };
                let text = filled(&written(system, resource, &owner.web_id, &rules));
                history.push_str(&format!("--- {subject}\n{text}\n"));
                put(&keeper, &format!("/{storage}/{subject}.acl"), &text).await;
            }
            visible += compare(&server, system, &storage, &clients, &history).await;
            all += DOCUMENTS.len() * clients.len();
        }
    }
    // The rules are neither all open nor all closed.
    assert!(visible * 10 > all && visible * 10 < all * 9, "{visible} of {all}");
    server.stop().await;
}

/// Requirements solid 71-82, T24: under access control lists.
#[tokio::test(flavor = "multi_thread")]
async fn queries_and_requests_agree_under_lists() {
    walk(AuthorizationSystem::Wac).await;
}

/// Requirements solid 86-90: under access control policies.
#[tokio::test(flavor = "multi_thread")]
async fn queries_and_requests_agree_under_policies() {
    walk(AuthorizationSystem::Acp).await;
}
