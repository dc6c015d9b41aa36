//! Who asks, on a storage's own origin: proofs for its URLs, profiles and groups that are found inside.

use http::Method;
use pod_server::identity::{AccountError, AccountKind, FirstLogin, NewAccount, account, create_account};
use pod_server::origins::Origins;
use serde_json::json;

use meent_tests::pod::{Client, PodServer};

use super::{TURTLE, server};

/// Requirement solid 95, T10, T28, T29: a proof counts for the URL that was asked, on the origin where it was asked, and for
/// no other name.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_for_one_origin() {
    let (server, ending) = server().await;
    let agent = server.agent("gent").await;
    server.agent("brugge").await;
    let client = agent.client();
    client.put("/gent/a.ttl", TURTLE, "<> <urn:p> 1 .").await;
    let plain = Client::new(&server.base_url);
    let asked = format!("http://gent{ending}/a.ttl");
    let port = ending.rsplit(':').next().unwrap();
    for (htu, status) in [
        (asked.clone(), 200),
        (format!("http://GENT{ending}/%61.ttl"), 200),
        (format!("{}gent/a.ttl", server.base_url), 401),
        (format!("{}a.ttl", server.base_url), 401),
        (format!("http://gent{ending}/gent/a.ttl"), 401),
        (format!("http://brugge{ending}/a.ttl"), 401),
        (format!("http://gent.evil.example:{port}/a.ttl"), 401),
        (format!("https://gent{ending}/a.ttl"), 401),
        ("http://gent.data.localhost/a.ttl".to_owned(), 401),
    ] {
        let mut request = plain.request("GET", &asked);
        for (name, value) in agent.credentials(&Method::GET, &htu) {
            request = request.header(name, value);
        }
        let reply = request.send().await;
        assert_eq!(reply.status, status, "{htu}: {}", reply.text());
    }
    server.stop().await;
}

/// Requirements solid 76, 95: the profile that names the issuer, and the group that names a member, are read inside. The server
/// may not knock at its own origins, so that it would not learn them otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_groups_are_found_inside() {
    let (server, ending) = server().await;
    let (gent, bob) = (server.agent("gent").await, server.agent("bob").await);
    let owner = gent.client();
    let group = format!("http://gent{ending}/groups#friends");
    let members = format!(
        "<#friends> <http://www.w3.org/2006/vcard/ns#hasMember> <{}>.",
        bob.web_id
    );
    assert_eq!(owner.put("/gent/groups", TURTLE, members).await.status, 201);
    assert_eq!(
        owner.put("/gent/shared/a.ttl", TURTLE, "<> <urn:p> 1 .").await.status,
        201
    );
    let read = async || {
        bob.client()
            .get(&format!("http://gent{ending}/shared/a.ttl"))
            .await
            .status
            .as_u16()
    };
    for (group, status) in [
        (group.clone(), 200),
        (format!("{}gent/groups#friends", server.base_url), 403),
        (group, 200),
    ] {
        let list = format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#o> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; \
             acl:default <./>; acl:mode acl:Read, acl:Write, acl:Control. <#g> a acl:Authorization; acl:agentGroup <{group}>; \
             acl:default <./>; acl:mode acl:Read.",
            gent.web_id
        );
        assert!(owner.put("/gent/shared/.acl", TURTLE, list).await.status.is_success());
        assert_eq!(read().await, status, "{group}");
    }
    // Who leaves the group leaves at once; who changes the issuer in the profile is nobody at once.
    assert_eq!(owner.put("/gent/groups", TURTLE, "").await.status, 204);
    assert_eq!(read().await, 403);
    assert_eq!(bob.client().get(&format!("http://bob{ending}/")).await.status, 200);
    server
        .place(vec![(
            "/bob/profile/card".to_owned(),
            "<#me> <urn:nothing> 1 .".to_owned(),
        )])
        .await;
    assert_eq!(bob.client().get(&format!("http://bob{ending}/")).await.status, 401);
    server.stop().await;
}

/// Requirements solid 98, 115: an account's WebID, profile and storage lie on an origin of their own from the start, and
/// names that cannot be hosts, or are another's, are refused.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_get_an_origin() {
    let settings = json!({
        "server": { "hosts_additional": ["inside.data.localhost:80"], "subdomains_reserved": ["www"] },
        "identity": { "password": { "memory_kibibytes": 64, "passes": 1 } },
    });
    let server = PodServer::start_on_subdomains(settings).await;
    let authority = server
        .base_url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let make = async |name: &str| {
        let new = NewAccount {
            name: name.to_owned(),
            label: name.to_owned(),
            kind: AccountKind::Person,
            first_login: FirstLogin::Password("een lange zin om mee te beginnen".to_owned()),
        };
        create_account(server.app.store.as_ref(), server.app.identity.account_tools(), new).await
    };
    let made = make("anna").await.unwrap().account;
    let root = format!("http://anna.{authority}/");
    assert_eq!(made.webid, format!("{root}profile/card#me"));
    let card = server.client().get(&format!("{root}profile/card")).await;
    assert_eq!(card.status, 200);
    for said in ["inbox/", "settings/publicTypeIndex", ""] {
        assert!(
            card.text().contains(&format!("<{root}{said}>")),
            "{said}: {}",
            card.text()
        );
    }
    assert_eq!(
        server
            .client()
            .request("POST", &format!("{root}inbox/"))
            .content(TURTLE, "")
            .send()
            .await
            .status,
        201
    );
    let site = server.app.identity.site();
    let second = account::add_storage(server.app.store.as_ref(), site, &made.id, "anna-2")
        .await
        .unwrap();
    assert_eq!(second, "/anna-2/");
    assert_eq!(server.app.origins.root("anna-2"), format!("http://anna-2.{authority}/"));
    for bad in ["inside", "www", "catalog", "xn--nna-5cd", "anna"] {
        let refused = make(bad).await;
        assert!(
            matches!(refused, Err(AccountError::Name { .. } | AccountError::Taken(_))),
            "{bad}: {refused:?}"
        );
    }
    assert!(!server.app.origins.has("inside"));
    server.stop().await;
}

/// Labels that could be somebody else's host are refused, and only where they become hosts.
#[test]
fn names_become_labels() {
    let hosts = [
        "console.data.example".to_owned(),
        "Intern.data.example:8443".to_owned(),
        "other.example".to_owned(),
    ];
    let origins = Origins::with("https://data.example/", true, &hosts);
    for good in ["gent", "a", "7", "burger-00001", "other", &"a".repeat(63)] {
        assert!(origins.check(good).is_ok(), "{good}");
    }
    for bad in [
        "console",
        "intern",
        "Gent",
        "é",
        "a.b",
        "a_b",
        "-a",
        "a-",
        "xn--a",
        "ab--c",
        "",
        "%67ent",
        &"a".repeat(64),
    ] {
        assert!(origins.check(bad).is_err(), "{bad}");
    }
    assert!(Origins::new("https://data.example/").check("a_b").is_ok());
}
