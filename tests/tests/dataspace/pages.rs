//! The pages, as a browser without script uses them (CON-5, CON-9, AUD-7, T103).

use std::net::SocketAddr;

use meent_tests::console::Visitor;
use meent_tests::pod::{Agent, PodServer};
use pod_server::identity::{AccountKind, FirstLogin, NewAccount, create_account};
use serde_json::json;

use super::{MOBILITY, dataset, post, put_dataset};

const PASSWORD: &str = "vijf grijze fietsen";

/// An account with its storage, the browser of its holder (logged in), and its holder as an agent.
pub(super) async fn account(server: &PodServer, name: &str) -> (Visitor, Agent) {
    let new = NewAccount {
        name: name.to_owned(),
        label: name.to_owned(),
        kind: AccountKind::Person,
        first_login: FirstLogin::Password(PASSWORD.to_owned()),
    };
    create_account(server.app.store.as_ref(), server.app.identity.account_tools(), new)
        .await
        .unwrap();
    let console: url::Url = server.console_url.parse().unwrap();
    let mut visitor = Visitor::at(SocketAddr::from(([127, 0, 0, 1], console.port().unwrap())));
    let logged_in = visitor.log_in(name, PASSWORD).await.unwrap();
    assert_eq!(logged_in.status, 303, "{}", logged_in.body);
    let web_id = format!("{}{name}/profile/card#me", server.base_url);
    (visitor, Agent::new(&server.app.issuer, web_id, &server.base_url))
}

pub(super) async fn server() -> PodServer {
    PodServer::start_with(json!({
        "dataspace": { "umbrella_storages": ["kortrijk"] },
        "identity": { "password": { "memory_kibibytes": 64, "passes": 1 } },
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_citizen_answers_stops_and_keeps_proof_without_script() {
    let server = server().await;
    let (mut jan, jan_agent) = account(&server, "jan").await;
    let (mut piet, _) = account(&server, "piet").await;
    let (_, kortrijk) = account(&server, "kortrijk").await;
    let bulk = json!({ "storages": ["jan", "piet"], "consent": {
        "recipients": [kortrijk.web_id], "purposes": [MOBILITY], "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mogen wij <uw> tellingen gebruiken?" },
    }});
    assert_eq!(
        post(&kortrijk.client(), "/kortrijk/.consent/requests", &bulk)
            .await
            .status,
        201
    );

    let page = jan.open("/consent").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    for part in [
        "Vragen aan u",
        "kortrijk",
        "mobiliteit plannen",
        "Mogen wij &lt;uw&gt; tellingen",
        "/jan/telraam/",
        "frame-ancestors 'none'",
    ] {
        assert!(
            page.body.contains(part) || page.header("content-security-policy").contains(part),
            "{part}: {}",
            page.body
        );
    }
    assert!(!page.body.contains("<script"), "no script is needed");
    // Yes, no and later weigh the same.
    assert_eq!(
        page.body
            .matches("<button class=\"second\" type=\"submit\" name=\"answer\"")
            .count(),
        3
    );
    let (id, notice) = (page.hidden("id"), page.hidden("notice"));
    let yes = [
        ("storage", "/jan/"),
        ("id", id.as_str()),
        ("notice", notice.as_str()),
        ("period", "3"),
        ("answer", "yes"),
    ];
    // T45: without the page's token nothing happens; T103: other words than those shown are no answer; nor is another's.
    let mut forged = yes.to_vec();
    forged.push(("form_token", "0000"));
    assert_eq!(jan.submit("/consent/answer", &forged).await.unwrap().status, 403);
    let mut changed = yes;
    changed[2].1 = "abc";
    assert_eq!(jan.submit("/consent/answer", &changed).await.unwrap().status, 409);
    piet.open("/consent").await.unwrap();
    assert_eq!(piet.submit("/consent/answer", &yes).await.unwrap().status, 404);
    let answered = jan.submit("/consent/answer", &yes).await.unwrap();
    assert_eq!(
        (answered.status.as_u16(), answered.location()),
        (303, "/consent?done=given"),
        "{}",
        answered.body
    );

    let page = jan.open("/consent?done=given&lang=en").await.unwrap();
    for part in ["Your consent is stored", "What you share now", "Stop"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let receipt = jan
        .open(&format!("/consent/receipt?storage=%2Fjan%2F&id={id}"))
        .await
        .unwrap();
    assert!(
        receipt.status == 200 && receipt.body.contains(&notice),
        "{}",
        receipt.body
    );
    let turtle = jan
        .open(&format!("/consent/receipt?storage=%2Fjan%2F&id={id}&form=turtle"))
        .await
        .unwrap();
    assert!(turtle.header("content-disposition").contains("attachment") && turtle.body.contains("dpv:ConsentGiven"));
    assert_eq!(
        piet.open(&format!("/consent/receipt?storage=%2Fjan%2F&id={id}"))
            .await
            .unwrap()
            .status,
        404
    );
    // One press stops it.
    jan.open("/consent").await.unwrap();
    let stopped = jan
        .submit("/consent/withdraw", &[("storage", "/jan/"), ("id", &id)])
        .await
        .unwrap();
    assert_eq!(
        (stopped.status.as_u16(), stopped.location()),
        (303, "/consent?done=withdrawn"),
        "{}",
        stopped.body
    );
    let state = jan_agent.client().get(&format!("/jan/.consent/{id}")).await.json()["status"].clone();
    assert_eq!(state, "ConsentWithdrawn");
    // T103: the yes of before, sent once more, does not bring it back.
    assert_eq!(jan.submit("/consent/answer", &yes).await.unwrap().status, 409);
    let kept = jan_agent.client().get(&format!("/jan/.consent/{id}")).await.json();
    assert_eq!(
        (&kept["status"], kept["versions"].as_array().unwrap().len()),
        (&state, 3)
    );

    // Who looked: also the attempts that were refused, each with a proof that stands alone.
    assert_eq!(kortrijk.client().get("/jan/.log").await.status, 404);
    let page = jan.open("/log?lang=nl").await.unwrap();
    for part in [
        "Wie keek",
        "kortrijk",
        "geweigerd",
        "toestemming: gestopt",
        "Bewijs bewaren",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let link = page
        .body
        .split("href=\"/log/proof?")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&");
    let proof = jan.open(&format!("/log/proof?{link}")).await.unwrap();
    let export = serde_json::from_str(&proof.body).unwrap();
    let proved = pod_server::log::verify::export(&export, None, None).unwrap();
    assert_eq!(proved.records, 1);
    // Nobody looks without logging in.
    let console: url::Url = server.console_url.parse().unwrap();
    let mut nobody = Visitor::at(SocketAddr::from(([127, 0, 0, 1], console.port().unwrap())));
    let sent = nobody.open("/log").await.unwrap();
    assert_eq!(
        (sent.status.as_u16(), sent.location()),
        (303, "/login?return_to=%2Flog")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_accepts_and_ends_on_a_page() {
    let server = server().await;
    let (mut gent, gent_agent) = account(&server, "gent").await;
    let (mut other, consumer) = account(&server, "mobility").await;
    put_dataset(
        &gent_agent.client(),
        "/gent/.dataspace/datasets/fietsen",
        dataset(&server, "meent:automaticAgreement false"),
    )
    .await;
    let ask = json!({ "dataset": format!("{}gent/.dataspace/datasets/fietsen", server.base_url), "purpose": MOBILITY });
    let asked = post(&consumer.client(), "/gent/.dataspace/negotiations", &ask).await;
    assert_eq!(asked.status, 201, "{}", asked.text());

    let page = gent.open("/datasets").await.unwrap();
    for part in [
        "Fietstellingen",
        "mobility wil Fietstellingen gebruiken",
        "mobiliteit plannen",
        "afgedwongen door het systeem",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let key = page.hidden("negotiation");
    other.open("/datasets").await.unwrap();
    let foreign = other
        .submit("/datasets/decide", &[("negotiation", &key), ("answer", "yes")])
        .await
        .unwrap();
    assert_eq!(foreign.status, 404);
    let accepted = gent
        .submit("/datasets/decide", &[("negotiation", &key), ("answer", "yes")])
        .await
        .unwrap();
    assert_eq!(
        (accepted.status.as_u16(), accepted.location()),
        (303, "/datasets?done=accepted"),
        "{}",
        accepted.body
    );
    let page = gent.open("/datasets?done=accepted").await.unwrap();
    let iri = page.hidden("agreement");
    assert!(iri.contains("/gent/.dataspace/agreements/"), "{}", page.body);
    let ended = gent.submit("/datasets/end", &[("agreement", &iri)]).await.unwrap();
    assert_eq!(
        (ended.status.as_u16(), ended.location()),
        (303, "/datasets?done=ended"),
        "{}",
        ended.body
    );
    let token = post(
        &consumer.client(),
        &format!("/{}/token", iri.strip_prefix(&server.base_url).unwrap()),
        &json!({}),
    )
    .await;
    assert_eq!(token.status, 409, "{}", token.text());
    server.stop().await;
}

/// An owner without software describes, changes and removes a dataset; what is refused keeps every word of the form.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_describes_a_dataset_on_a_page() {
    let server = server().await;
    let (mut gent, agent) = account(&server, "gent").await;
    let (mut other, _) = account(&server, "mobility").await;
    let page = gent.open("/datasets/describe?lang=en").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    let root = format!("{}gent/", server.base_url);
    let example = pod_server::ui::describing::example(&root, &agent.web_id);
    let titled = example.replace("\"Fietstellingen\"", "\"Passanten\"");
    let stored = "/datasets?done=described";
    // Storage, name, whether it is known, text, status, and words of the page or the place that follows.
    for (storage, name, known, text, status, words) in [
        (
            "/gent/",
            "Fiets Tellingen",
            "",
            example.as_str(),
            422,
            "cannot name a dataset",
        ),
        ("/gent/", "fietsen", "", "<> a <broken", 400, "&lt;&gt; a &lt;broken"),
        (
            "/gent/",
            "fietsen",
            "",
            "<> a <http://www.w3.org/ns/dcat#Dataset> .",
            422,
            "at least one title",
        ),
        ("/mobility/", "fietsen", "", example.as_str(), 404, ""),
        ("/gent/", "fietsen", "", example.as_str(), 303, stored),
        ("/gent/", "fietsen", "", example.as_str(), 409, "has this name already"),
        ("/gent/", "fietsen", "yes", titled.as_str(), 303, stored),
    ] {
        let fields = [("storage", storage), ("name", name), ("known", known), ("text", text)];
        let sent = gent.submit("/datasets/describe", &fields).await.unwrap();
        let found = if status == 303 {
            sent.location()
        } else {
            sent.body.as_str()
        };
        assert_eq!(sent.status, status, "{name}: {}", sent.body);
        assert!(found.contains(words), "{name}: `{words}` is not in {found}");
        gent.open("/datasets/describe?storage=%2Fgent%2F&lang=en")
            .await
            .unwrap();
    }
    let catalogue = agent.client().get("/catalog").await;
    assert!(catalogue.text().contains("Passanten"), "{}", catalogue.text());
    let page = gent
        .open("/datasets/describe?storage=%2Fgent%2F&name=fietsen")
        .await
        .unwrap();
    assert!(page.body.contains("Passanten"), "{}", page.body);
    other.open("/datasets").await.unwrap();
    let remove = [("storage", "/gent/"), ("name", "fietsen")];
    assert_eq!(other.submit("/datasets/remove", &remove).await.unwrap().status, 404);
    let removed = gent.submit("/datasets/remove", &remove).await.unwrap();
    assert_eq!(
        (removed.status.as_u16(), removed.location()),
        (303, "/datasets?done=removed")
    );
    let catalogue = agent.client().get("/catalog").await;
    assert!(!catalogue.text().contains("Passanten"), "{}", catalogue.text());
    server.stop().await;
}
