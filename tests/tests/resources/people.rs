//! What a storage holds for its owner from the start: profile, inbox, preferences, type indexes.

use meent_tests::pod::{Agent, PodServer};
use pod_server::authz::AuthorizationSystem;
use pod_server::error::Error;
use pod_server::identity::{AccountKind, FirstLogin, NewAccount, create_account};
use pod_server::ldp::provision::create_storage;
use pod_server::store::{CommitError, Transaction, Warrant, commit};

const TURTLE: &str = "text/turtle";
const JSON_LD: &str = "application/ld+json";
const SOLID: &str = "http://www.w3.org/ns/solid/terms#";
const PIM: &str = "http://www.w3.org/ns/pim/space#";

/// An account as its holder makes it, and an agent that is its holder.
async fn account(server: &PodServer, name: &str) -> Agent {
    let new = NewAccount {
        name: name.to_owned(),
        label: "Stad Gent".to_owned(),
        kind: AccountKind::Organisation,
        first_login: FirstLogin::Password("fietsen langs de leie".to_owned()),
    };
    let app = &server.app;
    let made = create_account(app.store.as_ref(), app.identity.account_tools(), new)
        .await
        .unwrap();
    Agent::new(&app.issuer, made.account.webid, &server.base_url)
}

/// The one object of a property of a subject in a document, followed from N-Triples.
async fn object(agent: &Agent, document: &str, subject: &str, predicate: &str) -> String {
    let read = agent.client();
    let read = read
        .request("GET", document)
        .header("accept", "application/n-triples")
        .send()
        .await;
    assert_eq!(read.status, 200, "{document}: {}", read.text());
    let start = format!("<{subject}> <{predicate}> <");
    let found: Vec<String> = read
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix(&start)?.strip_suffix("> .").map(str::to_owned))
        .collect();
    assert_eq!(found.len(), 1, "{start} in {}", read.text());
    found[0].clone()
}

/// Requirements solid 114, 115: everything about an account is found from its WebID, and only what must be is public.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_leads_to_what_belongs_to_it() {
    let server = PodServer::start().await;
    let gent = account(&server, "gent").await;
    let me = gent.web_id.clone();
    let card = me.trim_end_matches("#me").to_owned();
    for accept in [TURTLE, JSON_LD] {
        let public = server
            .client()
            .request("GET", &card)
            .header("accept", accept)
            .send()
            .await;
        assert_eq!((public.status.as_u16(), public.header("content-type")), (200, accept));
        for part in ["PersonalProfileDocument", "oidcIssuer", "Stad Gent"] {
            assert!(public.text().contains(part), "{part}: {}", public.text());
        }
    }
    assert_eq!(
        object(&gent, &card, &me, &format!("{SOLID}oidcIssuer")).await,
        server.console_url
    );
    let storage = object(&gent, &card, &me, &format!("{PIM}storage")).await;
    assert_eq!(storage, format!("{}gent/", server.base_url));
    let preferences = object(&gent, &card, &me, &format!("{PIM}preferencesFile")).await;
    let public_index = object(&gent, &card, &me, &format!("{SOLID}publicTypeIndex")).await;
    let private_index = object(&gent, &preferences, &me, &format!("{SOLID}privateTypeIndex")).await;
    for (document, class, status) in [
        (&preferences, "ConfigurationFile", 401),
        (&private_index, "UnlistedDocument", 401),
        (&public_index, "ListedDocument", 200),
        (&storage, "Storage", 401),
    ] {
        assert_eq!(server.client().get(document).await.status, status, "{document}");
        assert!(gent.client().get(document).await.text().contains(class), "{document}");
    }
    // An application registers where its things are.
    let registration = format!(
        "@prefix solid: <{SOLID}>. _:p a solid:InsertDeletePatch; solid:inserts {{ <#bikes> a solid:TypeRegistration; \
         solid:forClass <urn:Bike>; solid:instanceContainer </gent/bikes/> . }} ."
    );
    assert_eq!(gent.client().patch(&public_index, registration).await.status, 204);
    assert!(
        server
            .client()
            .get(&public_index)
            .await
            .text()
            .contains("TypeRegistration")
    );
    server.stop().await;
}

/// Requirements solid 114: the issuers of a profile stay its owner's, and the profile keeps its sense.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_keeps_its_issuers_and_its_sense() {
    let server = PodServer::start().await;
    let gent = account(&server, "gent").await;
    let bob = server.agent("bob").await;
    let (owner, other) = (gent.client(), bob.client());
    let card = "/gent/profile/card";
    let rights = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. \
         <#o> a acl:Authorization; acl:agent <{}>; acl:accessTo <card>; acl:mode acl:Read, acl:Write, acl:Control. \
         <#b> a acl:Authorization; acl:agent <{}>; acl:accessTo <card>; acl:mode acl:Read, acl:Write. \
         <#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <card>; acl:mode acl:Read.",
        gent.web_id, bob.web_id
    );
    assert_eq!(owner.put("/gent/profile/card.acl", TURTLE, rights).await.status, 204);
    let before = owner.get(card).await.text();
    let insert = |statement: &str| {
        format!("@prefix solid: <{SOLID}>. _:p a solid:InsertDeletePatch; solid:inserts {{ {statement} }} .")
    };
    let issuer = format!("<#me> <{SOLID}oidcIssuer> <https://evil.example/> .");
    let second = format!("<#me> <{PIM}preferencesFile> </gent/other> .");
    for (who, statement, status) in [(&other, &issuer, 409), (&owner, &second, 422), (&other, &second, 422)] {
        let patched = who.patch(card, insert(statement)).await;
        assert_eq!(patched.status, status, "{statement}: {}", patched.text());
        let put = who.put(card, TURTLE, format!("{before}\n{statement}")).await;
        assert_eq!(put.status, status, "{statement}: {}", put.text());
        assert_eq!(put.header("content-type"), "application/problem+json");
        assert_eq!(owner.get(card).await.text(), before);
    }
    assert_eq!(other.patch(card, insert("<#me> <urn:nick> \"G\" .")).await.status, 204);
    server.stop().await;
}

/// Requirements solid 44, 112: a stranger finds the inbox, sends a notification in the words of ActivityStreams, and
/// sees nothing of what lies there; its owner lists and reads it in either syntax.
#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_receives_notifications() {
    let server = PodServer::start().await;
    let gent = account(&server, "gent").await;
    let me = gent.web_id.clone();
    let inbox = object(&gent, me.trim_end_matches("#me"), &me, "http://www.w3.org/ns/ldp#inbox").await;
    let stranger = server.client();
    let announce = "{ \"@context\": \"https://www.w3.org/ns/activitystreams\",  \"type\": \"Announce\", \"id\": \"\", \
                    \"actor\": \"https://a.example/#me\", \"object\": {\"id\": \"https://a.example/x\", \"name\": \"X\"}, \
                    \"published\": \"2026-01-01T00:00:00Z\" }";
    let sent = stranger.request("POST", &inbox).content(JSON_LD, announce).send().await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let location = sent.header("location").to_owned();
    assert!(location.starts_with(&inbox), "{location}");
    for (media_type, body, status) in [
        (JSON_LD, "{\"@context\": ", 400),
        (
            JSON_LD,
            "{\"@context\": \"https://evil.example/context\", \"type\": \"Announce\"}",
            422,
        ),
        ("", announce, 400),
    ] {
        let mut request = stranger.request("POST", &inbox).body(body);
        if !media_type.is_empty() {
            request = request.header("content-type", media_type);
        }
        let refused = request.send().await;
        assert_eq!(refused.status, status, "{media_type} {body}: {}", refused.text());
    }
    for path in [&inbox, &location] {
        assert_eq!(stranger.get(path).await.status, 401, "{path}");
    }
    let owner = gent.client();
    let list = owner.request("GET", &inbox).header("accept", JSON_LD).send().await;
    assert_eq!(list.header("content-type"), JSON_LD);
    let contained = list.json().to_string().matches("ldp#contains").count();
    assert_eq!(contained, 1, "{}", list.text());
    assert!(list.text().contains(&location));
    assert_eq!(
        owner
            .request("GET", &location)
            .header("accept", JSON_LD)
            .send()
            .await
            .text(),
        announce
    );
    let turtle = owner
        .request("GET", &location)
        .header("accept", TURTLE)
        .send()
        .await
        .text();
    for part in [
        "https://www.w3.org/ns/activitystreams#",
        "Announce",
        "https://a.example/x",
        "2026-01-01T00:00:00Z",
    ] {
        assert!(turtle.contains(part), "{part}: {turtle}");
    }
    server.stop().await;
}

/// Requirements solid 13, 14: a storage is a path of one segment, and nothing inside it is or becomes another.
#[tokio::test(flavor = "multi_thread")]
async fn storages_never_overlap() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    for name in [
        "alice/inner",
        "alice/inner/deep",
        "alice",
        "alice/",
        "",
        "/",
        ".",
        "..",
        ".well-known",
        "alice.acl",
    ] {
        let (name, owner) = (name.to_owned(), alice.web_id.clone());
        let origins = server.app.origins.clone();
        let asked = name.clone();
        let work = move |transaction: &mut dyn Transaction| {
            create_storage(transaction, &origins, &name, &owner, AuthorizationSystem::Wac)
                .map(drop)
                .map_err(CommitError::Refused)
        };
        let warrant = Warrant::without_proof("a test asks for storages that cannot be");
        let refused = commit::<(), Error>(server.app.store.as_ref(), warrant, Box::new(work)).await;
        assert!(matches!(refused, Err(CommitError::Refused(_))), "{asked}: {refused:?}");
    }
    let inner = "<> a <http://www.w3.org/ns/pim/space#Storage> .";
    assert_eq!(alice.client().put("/alice/inner/", TURTLE, inner).await.status, 201);
    let read = alice.client().get("/alice/inner/").await;
    assert!(
        !read.header("link").contains("space#Storage"),
        "{}",
        read.header("link")
    );
    server.stop().await;
}

/// Requirements solid 3, 51: a cookie, whoever set it, is no credential here, and a request with it is a stranger's.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_mean_nothing() {
    let server = PodServer::start().await;
    server.agent("alice").await;
    for cookie in ["session=1", "__Host-session=abc; a=b"] {
        for path in ["/alice/", "/alice/nothing"] {
            let stranger = server.client();
            let request = stranger.request("GET", path).header("cookie", cookie);
            let reply = request.header("origin", "https://evil.example").send().await;
            assert_eq!(reply.status, 401, "{path}");
            assert!(reply.header("www-authenticate").starts_with("DPoP"));
            assert_eq!(
                (
                    reply.header("set-cookie"),
                    reply.header("access-control-allow-credentials")
                ),
                ("", "")
            );
        }
    }
    server.stop().await;
}
