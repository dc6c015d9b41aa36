//! What belongs to an account, over sockets: several WebIDs and storages, the profile, and leaving (T43, T103).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use http::StatusCode;
use meent_tests::console::{Answer, Application, Console, Resident, Tokens, Visitor, pkce, quick, quick_settings};
use meent_tests::notify::{WebSocketListener, subscribe};
use meent_tests::pod::{Agent, Client, PodServer};
use pod_server::identity::leaving;
use pod_server::name::ResourceName;
use pod_server::store::{ReadPermit, RecordKind};
use serde_json::json;

const PASSWORD: &str = "fietsen langs de leie";
const PERMIT: ReadPermit = ReadPermit::without_proof("the test looks at what was stored");

fn found(answer: &Answer, expected: u16) {
    assert_eq!(answer.status, expected, "{}", answer.body);
}

/// Requirements solid 98-100. A person chooses a WebID for each application, and the choice holds for every token.
#[tokio::test]
async fn the_consent_screen_asks_under_which_webid() {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut gent = Visitor::new(&console);
    gent.log_in("gent", PASSWORD).await.unwrap();
    gent.open("/account").await.unwrap();
    let new = [("name", "gent-archief"), ("webid", "new")];
    let answer = gent.submit("/account/storages", &new).await.unwrap();
    assert_eq!(answer.location(), "/account?done=storage-created", "{}", answer.body);
    let second = "https://pod.example/gent-archief/profile/card#me";
    let application = Application::register(&console, "none").await.unwrap();
    let (verifier, challenge) = pkce();
    let page = gent.open(&application.authorization(&challenge, &[])).await.unwrap();
    assert!(page.body.contains(&format!("value=\"{second}\"")), "{}", page.body);
    let (request, statement) = (page.hidden("request"), page.hidden("statement"));
    let decide = |webid: &'static str| {
        [
            ("request", request.clone()),
            ("statement", statement.clone()),
            ("decision", "allow".to_owned()),
            ("webid", webid.to_owned()),
        ]
    };
    for foreign in ["https://pod.example/brugge/profile/card#me", "javascript:1"] {
        let form = decide(foreign);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        found(&gent.submit("/.oidc/decision", &form).await.unwrap(), 409);
    }
    let form = decide(second);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = gent.submit("/.oidc/decision", &form).await.unwrap();
    let code = meent_tests::console::parameter(answer.location(), "code").expect("a code");
    let tokens = Tokens::read(&application.redeem(&console, &code, &verifier).await.unwrap()).unwrap();
    for token in [&tokens.access, &tokens.id] {
        assert_eq!(Tokens::claims(token).unwrap()["webid"], second);
    }
    let again = Tokens::read(&application.refresh(&console, &tokens.refresh).await.unwrap()).unwrap();
    assert_eq!(Tokens::claims(&again.access).unwrap()["webid"], second);
    // The next time nobody is asked, and the choice still holds.
    let (verifier, challenge) = pkce();
    let code = application.code(&mut gent, &challenge).await.unwrap();
    let tokens = Tokens::read(&application.redeem(&console, &code, &verifier).await.unwrap()).unwrap();
    assert_eq!(Tokens::claims(&tokens.access).unwrap()["webid"], second);
    // Nobody logs in with the name of a further storage.
    found(
        &Visitor::new(&console).log_in("gent-archief", PASSWORD).await.unwrap(),
        403,
    );
}

/// Requirements solid 95. A WebID from elsewhere is linked only by whoever can write its profile.
#[tokio::test(flavor = "multi_thread")]
async fn an_external_webid_is_proved() {
    let (here, there) = (
        PodServer::start_with(quick_settings()).await,
        PodServer::start_with(quick_settings()).await,
    );
    let mut gent = Resident::arrive(&here, "gent").await.unwrap();
    let mut thief = Resident::arrive(&here, "thief").await.unwrap();
    let eva = Resident::arrive(&there, "eva").await.unwrap();
    gent.visitor.open("/account/webids").await.unwrap();
    for (webid, status) in [
        ("nonsense", 422),
        ("javascript:alert(1)", 422),
        (gent.web_id.as_str(), 409),
        (thief.web_id.as_str(), 409),
        (eva.web_id.as_str(), 303),
    ] {
        found(
            &gent
                .visitor
                .submit("/account/webids/link", &[("webid", webid)])
                .await
                .unwrap(),
            status,
        );
    }
    let page = gent.visitor.open("/account/webids").await.unwrap();
    let token = page
        .body
        .split("oidcIssuerRegistrationToken&gt; &quot;")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    found(&gent.visitor.submit("/account/webids/check", &[]).await.unwrap(), 422);
    let say = |statement: String| {
        format!(
            "@prefix solid: <http://www.w3.org/ns/solid/terms#>. _:p a solid:InsertDeletePatch; \
             solid:inserts {{ <{}> {statement} }}.",
            eva.web_id
        )
    };
    let owner = eva.agent.client();
    let issuer = say(format!("solid:oidcIssuer <{}>.", here.console_url));
    assert_eq!(owner.patch("/eva/profile/card", issuer).await.status, 204);
    found(&gent.visitor.submit("/account/webids/check", &[]).await.unwrap(), 422);
    // Somebody else has begun too, and has another token.
    thief.visitor.open("/account/webids").await.unwrap();
    found(
        &thief
            .visitor
            .submit("/account/webids/link", &[("webid", &eva.web_id)])
            .await
            .unwrap(),
        303,
    );
    let proof = say(format!("solid:oidcIssuerRegistrationToken \"{token}\"."));
    assert_eq!(owner.patch("/eva/profile/card", proof).await.status, 204);
    found(&thief.visitor.submit("/account/webids/check", &[]).await.unwrap(), 422);
    let answer = gent.visitor.submit("/account/webids/check", &[]).await.unwrap();
    assert_eq!(
        answer.location(),
        "/account/webids?done=webid-linked",
        "{}",
        answer.body
    );
    found(
        &thief
            .visitor
            .submit("/account/webids/link", &[("webid", &eva.web_id)])
            .await
            .unwrap(),
        409,
    );

    // A storage of that WebID, opened on the pages and by a token in its name.
    gent.visitor.open("/account").await.unwrap();
    let form = [("name", "eva-hier"), ("webid", eva.web_id.as_str())];
    found(&gent.visitor.submit("/account/storages", &form).await.unwrap(), 303);
    found(&gent.visitor.open("/data/eva-hier/").await.unwrap(), 200);
    found(&gent.visitor.open("/log").await.unwrap(), 200);
    let as_eva = Agent::new(&here.app.issuer, eva.web_id.clone(), &here.base_url);
    assert_eq!(
        as_eva.client().put("/eva-hier/x.txt", "text/plain", "x").await.status,
        201
    );
    found(
        &gent
            .visitor
            .submit("/account/webids/forget", &[("webid", &eva.web_id)])
            .await
            .unwrap(),
        409,
    );
    found(&thief.visitor.open("/data/eva-hier/").await.unwrap(), 403);
    let form = [("name", "other"), ("webid", thief.web_id.as_str())];
    gent.visitor.open("/account").await.unwrap();
    found(&gent.visitor.submit("/account/storages", &form).await.unwrap(), 422);
    here.stop().await;
    there.stop().await;
}

/// Requirements solid 114, 115. The page changes its fields and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_profile_keeps_what_others_rely_on() {
    let server = PodServer::start_with(quick_settings()).await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let ann = Resident::arrive(&server, "ann").await.unwrap();
    let client = gent.agent.client();
    let before = client.get("/gent/profile/card").await.text();
    let page = gent.visitor.open("/profile").await.unwrap();
    assert!(page.body.contains("value=\"gent\""), "{}", page.body);
    let state = page.hidden("state");
    let injected = "Stad \"Gent\" . <#me> <http://www.w3.org/ns/solid/terms#oidcIssuer> <https://evil.example/>";
    let form = [
        ("state", state.as_str()),
        ("name", injected),
        ("image", "https://pod.example/gent.png"),
        ("note", "Een stad."),
    ];
    let answer = gent.visitor.submit("/profile", &form).await.unwrap();
    found(&answer, 303);
    let after = client.get("/gent/profile/card").await;
    let graph = |text: &str| {
        let base = format!("{}gent/profile/card", server.base_url);
        let parser = oxttl::TurtleParser::new().with_base_iri(base).unwrap();
        parser
            .for_slice(text.as_bytes())
            .map(|triple| triple.unwrap().to_string())
            .collect::<Vec<_>>()
    };
    let (old, new) = (graph(&before), graph(&after.text()));
    let kept = old
        .iter()
        .filter(|triple| !triple.contains("foaf/0.1/name"))
        .all(|triple| new.contains(triple));
    assert!(kept, "{old:#?}\n{new:#?}");
    let issuer = format!("<{}> <http://www.w3.org/ns/solid/terms#oidcIssuer> ", gent.web_id);
    assert_eq!(
        new.iter().filter(|triple| triple.starts_with(&issuer)).count(),
        1,
        "{new:#?}"
    );
    // The state that was shown is gone.
    found(&gent.visitor.submit("/profile", &form).await.unwrap(), 409);
    let state = gent.visitor.open("/profile").await.unwrap().hidden("state");
    for (changes, status) in [
        ([("name", ""), ("image", "")], 422),
        ([("name", "Gent"), ("image", "javascript:alert(1)")], 422),
        ([("name", "Gent"), ("image", "https://a.example/> <b")], 422),
        ([("name", "Gent"), ("image", "")], 303),
    ] {
        let mut form = vec![("state", state.as_str())];
        form.extend(changes);
        found(&gent.visitor.submit("/profile", &form).await.unwrap(), status);
    }
    let text = client.get("/gent/profile/card").await.text();
    assert!(
        text.contains("\"Gent\"") && !text.contains("gent.png") && !text.contains("Een stad"),
        "{text}"
    );
    let form = [("state", state.as_str()), ("webid", ann.web_id.as_str()), ("name", "x")];
    found(&gent.visitor.submit("/profile", &form).await.unwrap(), 404);
    server.stop().await;
}

/// Requirements solid 62: owners see how full a storage is before a write is refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_account_page_says_how_full_a_storage_is() {
    let mut settings = quick_settings();
    settings["store"] = json!({ "quota_bytes_max": 200_000 });
    let server = PodServer::start_with(settings).await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let owner = gent.agent.client();
    let put = |bytes: usize| owner.put("/gent/a.bin", "application/octet-stream", vec![0_u8; bytes]);
    assert_eq!(put(120_000).await.status, 201);
    for (language, room, warning) in [
        ("en", "of 200 kB in use (6", "nearly full"),
        ("nl", "van 200 kB in gebruik (6", "bijna vol"),
        ("fr", "utilisés sur 200 ko (6", "presque plein"),
    ] {
        let page = gent.visitor.open(&format!("/account?lang={language}")).await.unwrap();
        // Fluent sets variables apart from the text around them.
        let text = page.body.replace(['\u{2068}', '\u{2069}'], "");
        assert!(text.contains(room) && !text.contains(warning), "{text}");
    }
    assert_eq!(put(185_000).await.status, 204);
    let page = gent.visitor.open("/account?lang=nl").await.unwrap();
    assert!(page.body.contains("bijna vol"), "{}", page.body);
    assert_eq!(put(200_001).await.status, 507);
    server.stop().await;
}

/// An agreement in force of a storage's owner with somebody.
async fn agree(server: &PodServer, owner: &Client, other: &Client) -> String {
    let base = &server.base_url;
    let dataset = format!(
        "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
         @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .
         <> a dcat:Dataset ; dcterms:title \"A\"@nl ; meent:container <{base}gent/a/> ; odrl:hasPolicy <#offer> .
         <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [
           odrl:target <> ; odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand odrl:purpose ;
           odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ] ."
    );
    let made = owner.put("/gent/.dataspace/datasets/a", "text/turtle", dataset).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let post = |client: &Client, url: &str, body: serde_json::Value| {
        let path = url
            .strip_prefix(base.as_str())
            .map_or_else(|| url.to_owned(), |rest| format!("/{rest}"));
        let (client, body) = (client.clone(), body.to_string());
        async move {
            let request = client.request("POST", &path);
            request.content("application/json", body).send().await
        }
    };
    let wish = json!({
        "dataset": format!("{base}gent/.dataspace/datasets/a"),
        "purpose": "https://w3id.org/meent/ns#BicyclePolicy",
        "message": "please",
    });
    let asked = post(other, "/gent/.dataspace/negotiations", wish).await;
    let agree = format!("{}/agree", asked.header("location"));
    let agreed = post(owner, &agree, json!({})).await.json();
    let iri = agreed["agreement"].as_str().unwrap().to_owned();
    let token = post(other, &format!("{iri}/token"), json!({})).await;
    assert_eq!(token.status, 200, "{}", token.text());
    iri
}

/// Leaving ends everything at once, can be taken back for a while, and then leaves nothing but the name.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_leaves_nothing_behind() {
    let server = PodServer::start_with(quick_settings()).await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let mut ann = Resident::arrive(&server, "ann").await.unwrap();
    let owner = gent.agent.client();
    for number in 0..230 {
        owner
            .put(&format!("/gent/a/{}/{number}.txt", number % 7), "text/plain", "x")
            .await;
    }
    gent.visitor.open("/account").await.unwrap();
    gent.visitor
        .submit("/account/storages", &[("name", "gent-twee"), ("webid", "new")])
        .await
        .unwrap();
    let agreement = agree(&server, &owner, &ann.agent.client()).await;
    // Somebody hears of changes in gent's storage, and gent of changes in somebody's.
    let public = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.
        <#o> a acl:Authorization; acl:agent </gent/profile/card#me>; acl:accessTo <./>; acl:default <./>;
            acl:mode acl:Read, acl:Write, acl:Control.
        <#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read.";
    owner.put("/gent/a/.acl", "text/turtle", public).await;
    let ann_client = ann.agent.client();
    ann_client.put("/ann/a/x", "text/plain", "x").await;
    ann_client
        .put("/ann/a/.acl", "text/turtle", public.replace("/gent/", "/ann/"))
        .await;
    let base = server.base_url.as_str();
    let heard = subscribe(&ann_client, base, "WebSocketChannel2023", "/gent/a/", &json!({})).await;
    let mut listener = WebSocketListener::open(heard.json()["receiveFrom"].as_str().unwrap())
        .await
        .unwrap();
    let hears = subscribe(&owner, base, "EventSourceChannel2023", "/ann/a/", &json!({})).await;
    let kept = subscribe(&ann_client, base, "WebSocketChannel2023", "/ann/a/", &json!({})).await;
    for made in [&heard, &hears, &kept] {
        assert!(made.status.is_success(), "{}", made.text());
    }
    gent.visitor.open("/account/security").await.unwrap();
    gent.visitor.submit("/account/security/recovery", &[]).await.unwrap();
    gent.visitor.open("/account/leave").await.unwrap();
    let archive = gent.visitor.open("/data/gent/?do=take-out").await.unwrap();
    assert_eq!(
        (archive.status.as_u16(), archive.header("content-type")),
        (200, "application/gzip")
    );
    let name = archive.header("content-disposition");
    assert!(name.starts_with("attachment; filename=\"gent-"), "{name}");
    assert!(archive.body.len() > 1_000);
    for closed in [
        "/data/ann/?do=take-out",
        "/data/gent/a/?do=take-out",
        "/data/gent/a/1/1.txt?do=take-out",
    ] {
        found(&gent.visitor.open(closed).await.unwrap(), 404);
    }
    found(
        &gent.visitor.submit("/account/leave", &[("name", "ann")]).await.unwrap(),
        422,
    );
    let old = gent.visitor.clone();
    let answer = gent
        .visitor
        .submit("/account/leave", &[("name", "gent")])
        .await
        .unwrap();
    assert_eq!(answer.location(), "/account/leave?done=left", "{}", answer.body);
    let mut old = old;
    assert_eq!(
        old.open("/account").await.unwrap().location(),
        "/login",
        "another session goes on"
    );
    found(&gent.visitor.open("/account/leave").await.unwrap(), 200);
    assert_eq!(
        gent.visitor
            .submit("/account/leave/stay", &[])
            .await
            .unwrap()
            .location(),
        "/account/leave?done=stayed"
    );
    let store = server.app.store.as_ref();
    let late = server.app.clock.unix() + 31 * 86_400;
    let origins = pod_server::origins::Origins::new(base);
    assert_eq!(
        leaving::sweep(store, &origins, late).await.unwrap(),
        0,
        "somebody who stayed was erased"
    );

    gent.visitor.open("/account/leave").await.unwrap();
    found(
        &gent
            .visitor
            .submit("/account/leave", &[("name", "gent")])
            .await
            .unwrap(),
        303,
    );
    assert_eq!(
        leaving::sweep(store, &origins, server.app.clock.unix()).await.unwrap(),
        0,
        "erased before its time"
    );
    let mut sweeps = 0;
    while leaving::sweep(store, &origins, late).await.unwrap() > 0 {
        sweeps += 1;
        assert!(sweeps < 20, "it does not end");
    }
    assert!(sweeps > 1, "everything was erased in one commit");
    let snapshot = store.snapshot(PERMIT).unwrap();
    for root in ["/gent/", "/gent-twee/"] {
        let name = ResourceName::parse(root).unwrap();
        assert!(snapshot.storage(&name).unwrap().is_none() && snapshot.resource(&name).unwrap().is_none());
    }
    for kind in [RecordKind::Account, RecordKind::Session, RecordKind::Issuer] {
        let left = snapshot.records(kind, "", None, 1_000).unwrap();
        let text: String = left
            .iter()
            .map(|(key, bytes)| format!("{key} {}", String::from_utf8_lossy(bytes)))
            .collect();
        assert!(!text.contains("gent"), "{kind:?}: {text}");
    }
    let records = |kind| snapshot.records(kind, "", None, 1_000).unwrap();
    assert!(records(RecordKind::Agreement).iter().all(|(iri, _)| *iri != agreement));
    let channels: Vec<String> = records(RecordKind::Notification)
        .into_iter()
        .map(|(key, _)| key)
        .filter(|key| key != "followed")
        .collect();
    let id = kept.json()["id"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(channels.len(), 5, "{channels:?}");
    assert!(channels.contains(&format!("channel/ann/{id}")), "{channels:?}");
    drop(snapshot);
    // Nobody is told any more, and the open stream has ended.
    let ended = async { while listener.next().await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended)
        .await
        .unwrap();
    assert_eq!(gent.visitor.open("/account").await.unwrap().location(), "/login");
    let again = Resident::arrive(&server, "gent").await;
    assert!(again.is_err(), "somebody else got the name");
    assert_eq!(ann.visitor.open("/data/ann/").await.unwrap().status, StatusCode::OK);
    server.stop().await;
}
