//! The citizen's and the owner's pages in a real browser over TLS: wide and narrow, in three languages, with pictures
//! for the eye (ARCHITECTURE §7, WCAG 2.2 AA: labels, headings, reflow; CON-5, CON-9).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::browser::Browser;
use meent_tests::console::{Failure, Resident, secure_settings};
use meent_tests::pod::{Agent, PodServer};
use serde_json::json;
use thirtyfour::prelude::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_decide_in_a_browser() {
    for (screen, width, height) in [("wide", 1_200, 1_900), ("narrow", 390, 2_600)] {
        let Some(browser) = Browser::start(width, height).await.unwrap() else {
            return;
        };
        let outcome = walk(&browser, screen).await;
        browser.quit().await.unwrap();
        outcome.unwrap();
    }
}

async fn walk(browser: &Browser, screen: &str) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut settings = secure_settings(directory.path())?;
    settings["dataspace"] = json!({ "umbrella_storages": ["kortrijk"] });
    let server = PodServer::start_with(settings).await;
    let kortrijk = Resident::settle(&server, "kortrijk", "kortrijk").await?;
    Resident::settle(&server, "jan", "jan").await?;
    let company = Resident::settle(&server, "mobiliteit", "mobiliteit").await?;
    prepare(&server, &kortrijk, &company).await?;
    let driver = &browser.driver;
    let at = |path: &str| format!("{}{path}", server.console_url);

    driver.goto(at("consent")).await?;
    browser.log_in("jan", Resident::PASSWORD).await?;
    assert_eq!(
        driver.current_url().await?.path(),
        "/consent",
        "back to where the person wanted to go"
    );
    for language in ["nl", "fr", "en"] {
        driver.goto(at(&format!("consent?lang={language}"))).await?;
        look(browser, &format!("consent-asked-{language}-{screen}")).await?;
    }
    // Nothing but the shortest time is chosen beforehand; yes and no have one size.
    let chosen = driver.find_all(By::Css("input[type=radio]:checked")).await?;
    assert_eq!(
        (chosen.len(), chosen[0].attr("value").await?.as_deref()),
        (1, Some("1"))
    );
    let (yes, no) = (
        driver.find(By::Css("button[value=yes]")).await?,
        driver.find(By::Css("button[value=no]")).await?,
    );
    assert_eq!(
        yes.css_value("background-color").await?,
        no.css_value("background-color").await?
    );
    assert_eq!(yes.rect().await?.height, no.rect().await?.height);
    browser.press("button[value=yes]").await?;
    let status = driver.find(By::Css("[role=status]")).await?.text().await?;
    assert!(status.contains("stored"), "{status}");
    look(browser, &format!("consent-given-{screen}")).await?;
    driver.find(By::LinkText("See the receipt")).await?.click().await?;
    look(browser, &format!("consent-receipt-{screen}")).await?;
    driver.goto(at("consent")).await?;
    browser.press("form[action='/consent/withdraw'] button").await?;
    let status = driver.find(By::Css("[role=status]")).await?.text().await?;
    assert!(status.contains("stopped"), "{status}");
    look(browser, &format!("consent-stopped-{screen}")).await?;
    for language in ["nl", "fr", "en"] {
        driver.goto(at(&format!("log?lang={language}"))).await?;
        look(browser, &format!("log-{language}-{screen}")).await?;
    }

    for language in ["nl", "fr", "en"] {
        driver.goto(at(&format!("data/jan/?do=share&lang={language}"))).await?;
        assert!(driver.find(By::Id("under-agreements")).await.is_ok());
        look(browser, &format!("share-{language}-{screen}")).await?;
    }

    driver.delete_all_cookies().await?;
    driver.goto(at("datasets?lang=nl")).await?;
    browser.log_in("kortrijk", Resident::PASSWORD).await?;
    for language in ["nl", "fr", "en"] {
        driver.goto(at(&format!("datasets?lang={language}"))).await?;
        look(browser, &format!("datasets-{language}-{screen}")).await?;
    }
    for language in ["nl", "fr", "en"] {
        driver
            .goto(at(&format!("datasets/describe?storage=/kortrijk/&lang={language}")))
            .await?;
        look(browser, &format!("describe-{language}-{screen}")).await?;
    }
    driver.goto(at("datasets?lang=en")).await?;
    browser.press("button[value=yes]").await?;
    look(browser, &format!("datasets-agreed-{screen}")).await?;
    assert!(driver.find(By::Css("form[action='/datasets/end']")).await.is_ok());
    server.stop().await;
    Ok(())
}

/// A dataset, a request of a company, and a request to a citizen, made with the server's own parts: the browser is what is
/// tried here.
async fn prepare(server: &PodServer, kortrijk: &Agent, company: &Agent) -> Result<(), Failure> {
    use http::{HeaderMap, Method, header};
    use pod_server::dataspace::Call;
    use server_kit::authn::{Agent as Who, Credentials, WebId};
    let turtle = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
        @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .
        @prefix dpv: <https://w3id.org/dpv#> .
        <> a dcat:Dataset ; dcterms:title \"Tellingen van burgers\"@nl , \"Comptages de citoyens\"@fr , \"Citizens' counts\"@en ;
          dcterms:description \"Verkeer in de straat, geteld door bewoners.\"@nl ;
          meent:memberContainer \"telraam/\" ; odrl:hasPolicy <#offer> .
        <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target <> ; odrl:action odrl:use ;
          odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ,
            [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ;
          odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint [ odrl:leftOperand meent:distinctDataSubjects ;
            odrl:operator odrl:gteq ; odrl:rightOperand 5 ] ] , [ odrl:action odrl:delete ; odrl:constraint [
            odrl:leftOperand odrl:elapsedTime ; odrl:operator odrl:lteq ;
            odrl:rightOperand \"P30D\"^^<http://www.w3.org/2001/XMLSchema#duration> ] ] ] .";
    let ask = json!({
        "dataset": format!("{}kortrijk/.dataspace/datasets/telraam", server.base_url),
        "purpose": vocab::meent::BICYCLE_POLICY, "message": "Wij onderzoeken waar fietspaden ontbreken.",
    });
    let bulk = json!({ "storages": ["jan"], "consent": {
        "recipients": [company.web_id], "purposes": [vocab::meent::BICYCLE_POLICY], "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Kortrijk telt het verkeer met bewoners. Mobiliteit bv wil uw tellingen \
            gebruiken om te zien waar fietspaden ontbreken. Alleen cijfers over minstens vijf personen gaan naar buiten." },
    }});
    for (who, method, path, media_type, body) in [
        (
            kortrijk,
            Method::PUT,
            "/kortrijk/.dataspace/datasets/telraam",
            "text/turtle",
            turtle.to_owned(),
        ),
        (
            company,
            Method::POST,
            "/kortrijk/.dataspace/negotiations",
            "application/json",
            ask.to_string(),
        ),
        (
            kortrijk,
            Method::POST,
            "/kortrijk/.consent/requests",
            "application/json",
            bulk.to_string(),
        ),
        (
            company,
            Method::GET,
            "/jan/.consent/",
            "application/json",
            String::new(),
        ),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, media_type.parse()?);
        let credentials = Credentials {
            agent: Who::Authenticated(WebId::parse(who.web_id.clone())?),
            ..Credentials::public()
        };
        let refused = method == Method::GET;
        let call = Call {
            method,
            iri: server.app.origins.place(path),
            path: path.to_owned(),
            query: None,
            headers,
            body: body.into(),
            credentials,
        };
        let answer = server.app.dataspace.respond(&call).await.ok_or("no such path")?;
        match answer {
            Ok(_) => assert!(!refused, "{path} was to be refused"),
            Err(problem) => assert!(refused, "{path}: {}", problem.to_json()),
        }
    }
    Ok(())
}

/// Keeps a picture and checks that nothing is wider than the window (WCAG 1.4.10) and headings are in order (1.3.1).
async fn look(browser: &Browser, name: &str) -> Result<(), Failure> {
    browser.picture(name).await?;
    let script = "return [document.documentElement.scrollWidth - window.innerWidth,
        [...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1]),
        [...document.querySelectorAll('input:not([type=hidden])')].filter(i => !i.labels.length).length,
        new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size - document.querySelectorAll('[id]').length]";
    let seen = browser.driver.execute(script, Vec::new()).await?;
    let seen = seen.json();
    assert!(
        seen[0].as_i64().unwrap_or(0) <= 0,
        "{name}: {} pixels too wide",
        seen[0]
    );
    let levels: Vec<i64> = seen[1]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_i64)
        .collect();
    assert_eq!(levels.first(), Some(&1), "{name}: the first heading is the title");
    assert!(
        levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
        "{name}: a heading skips a level: {levels:?}"
    );
    assert_eq!(seen[2], 0, "{name}: a field has no label");
    assert_eq!(seen[3], 0, "{name}: an id stands twice");
    Ok(())
}
