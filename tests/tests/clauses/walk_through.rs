//! A walk through as citizen, owner and consumer: request, partial grant, query, log with proof, withdrawal, cut answer,
//! receipt, overdue duty to delete; each page in three languages.

use http_body_util::BodyExt;
use meent_tests::console::{Resident, Visitor, quick_settings};
use meent_tests::pod::sparql::{ask, values};
use meent_tests::pod::{Agent, Client, PodServer};
use pod_server::log::own::LogExport;
use pod_server::log::verify;
use policies::odrl::{OdrlLimits, parse_turtle};
use serde_json::{Value, json};

use super::{ALL, PREFIXES, RESEARCH, TURTLE, post};

const LANGUAGES: [&str; 3] = ["nl", "fr", "en"];

/// Everyone in the story.
struct Cast {
    server: PodServer,
    jan: Resident,
    city: Resident,
    company: Agent,
}

impl Cast {
    async fn arrive() -> Self {
        let mut settings = quick_settings();
        settings["dataspace"] = json!({ "umbrella_storages": ["kortrijk"] });
        settings["query"] = json!({
            "rows_max": 100_000_000, "scanned_max": 1_000_000_000_000_u64, "copies_max": 1_000_000_000_000_u64,
        });
        let server = PodServer::start_with(settings).await;
        let jan = Resident::arrive(&server, "jan").await.unwrap();
        let city = Resident::arrive(&server, "kortrijk").await.unwrap();
        let company = server.agent("mobiliteit").await;
        let client = jan.agent.client();
        let counts: String = (0..1_500).map(|n| format!("<urn:x:m{n}> <urn:speed> {n} . ")).collect();
        for (path, body) in [
            ("/jan/telraam/d", counts),
            ("/jan/dagboek/d", "<urn:x:day> <urn:speed> 99999 .".to_owned()),
        ] {
            let put = client.put(path, TURTLE, body).await;
            assert!(put.status.is_success(), "{}", put.text());
        }
        Self {
            server,
            jan,
            city,
            company,
        }
    }

    /// The city asks for two things, of which it needs one.
    async fn ask_for_consent(&self) -> String {
        let request = json!({
            "recipients": [self.company.web_id], "purposes": [RESEARCH],
            "data": { "containers": ["telraam/", "dagboek/"] },
            "notice": { "language": "nl", "text": "Mogen wij uw gegevens gebruiken?",
                        "translations": { "fr": "Pouvons-nous utiliser vos données ?", "en": "May we use your data?" } },
            "process": {
                "controller": { "id": self.city.web_id, "name": "Stad Kortrijk", "contact": "dpo@kortrijk.example" },
                "items": [
                    { "what": "telraam/", "required": true, "labels": { "nl": "uw tellingen", "fr": "vos comptages", "en": "your counts" } },
                    { "what": "dagboek/", "labels": { "nl": "uw dagboek", "fr": "votre journal", "en": "your diary" } },
                ],
                "storage": { "deleted_within_days": 0 },
            },
        });
        let asked = post(&self.city.agent.client(), "/jan/.consent/", &request).await;
        assert_eq!(asked.status, 201, "{}", asked.text());
        asked.json()["id"].as_str().unwrap().to_owned()
    }

    /// The city offers the data of those who consent, and decides about each request.
    async fn offer(&self) {
        let turtle = format!(
            "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Telraam\"@nl , \"Comptages\"@fr , \"Counts\"@en ;
               meent:memberContainer \"telraam/\" , \"dagboek/\" ; odrl:hasPolicy <#offer> .
             <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ;
               odrl:prohibition [ odrl:target <> ; odrl:action odrl:distribute ] ;
               odrl:permission [ odrl:target <> ; odrl:action odrl:use ;
               odrl:duty [ odrl:action meent:log ] , [ odrl:action odrl:delete ; odrl:constraint
                 [ odrl:leftOperand odrl:elapsedTime ; odrl:operator odrl:lteq ; odrl:rightOperand 'P30D'^^xsd:duration ] ] ;
               odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand <{RESEARCH}> ] ,
                 [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ] ."
        );
        let path = "/kortrijk/.dataspace/datasets/telraam";
        let described = self.city.agent.client().put(path, TURTLE, turtle).await;
        assert!(described.status.is_success(), "{}", described.text());
    }

    /// The company asks, the city says yes on its page, and the company gets a token.
    async fn agree(&mut self) -> (String, Client) {
        let dataset = format!("{}kortrijk/.dataspace/datasets/telraam", self.server.base_url);
        let body = json!({ "dataset": dataset, "purpose": RESEARCH, "message": "Onderzoek naar drukte" });
        let asked = post(&self.company.client(), "/kortrijk/.dataspace/negotiations", &body).await;
        assert_eq!(asked.status, 201, "{}", asked.text());
        in_three_languages(&mut self.city.visitor, "/datasets", &["mobiliteit"]).await;
        let page = self.city.visitor.open("/datasets?lang=nl").await.unwrap();
        let negotiation = page.hidden("negotiation");
        let yes = [("negotiation", negotiation.as_str()), ("answer", "yes")];
        let agreed = self.city.visitor.submit("/datasets/decide", &yes).await.unwrap();
        assert_eq!(agreed.location(), "/datasets?done=accepted", "{}", agreed.body);
        let read = self
            .company
            .client()
            .get(&super::path_of(asked.header("location"), &self.server))
            .await;
        let agreement = read.json()["agreement"].as_str().unwrap().to_owned();
        let token = post(&self.company.client(), &format!("{agreement}/token"), &json!({})).await;
        let token = token.json()["access_token"].as_str().expect("a token").to_owned();
        (agreement, self.company.with_token(&token).client())
    }
}

/// Opens a page in each language: all there, no text missing, and no two alike.
pub(super) async fn in_three_languages(visitor: &mut Visitor, path: &str, parts: &[&str]) {
    let mut seen: Vec<String> = Vec::new();
    for language in LANGUAGES {
        let mark = if path.contains('?') { '&' } else { '?' };
        let page = visitor.open(&format!("{path}{mark}lang={language}")).await.unwrap();
        assert_eq!(page.status, 200, "{path} {language}: {}", page.body);
        for part in parts {
            assert!(
                page.body.contains(part),
                "{path} {language} lacks {part}: {}",
                page.body
            );
        }
        assert!(
            page.body.contains(&format!("lang=\"{language}\"")),
            "{path}: {}",
            page.body
        );
        no_missing_words(&page.body);
        assert!(!seen.contains(&page.body), "{path} reads the same in {language}");
        seen.push(page.body);
    }
}

/// A text that is missing is shown by its key.
pub(super) fn no_missing_words(page: &str) {
    let keys = [
        "consent-", "dataset-", "share-", "log-", "duty-", "nav-", "receipt-", "purpose-", "data-", "status-",
    ];
    for text in page.split('>').filter_map(|part| part.split('<').next()) {
        let text = text.trim();
        let is_key = !text.contains([' ', '/', '{']) && keys.iter().any(|key| text.starts_with(key));
        assert!(!is_key, "`{text}` has no text");
    }
}

/// Starts a long answer, lets `end` end the right to it, and sees that it breaks off.
pub(super) async fn cut_by(client: &Client, endpoint: &str, property: &str, purpose: &str, end: impl AsyncFnOnce()) {
    let query = format!("SELECT * {{ ?a {property} ?b . ?c {property} ?d }}");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", &query).append_pair("purpose", purpose);
    let response = client
        .request("POST", endpoint)
        .content("application/x-www-form-urlencoded", form.finish())
        .opened()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = body.frame().await.expect("a first piece").expect("whole");
    assert!(first.into_data().is_ok());
    end().await;
    // The whole answer has more than two million rows.
    let mut bytes = 0_usize;
    let broken = loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes += frame.into_data().map_or(0, |data| data.len()),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(broken, "the answer went on to its end, {bytes} bytes");
}

/// Requirements dataspace CON-5, CON-6, CON-9, CON-10, CON-17, CON-18, ENF-17, ENF-19, ENF-22, ENF-39, AUD-7.
#[tokio::test(flavor = "multi_thread")]
async fn from_request_to_overdue_deletion() {
    let mut cast = Cast::arrive().await;
    let id = cast.ask_for_consent().await;
    cast.offer().await;

    // The request, and a part of it granted.
    in_three_languages(&mut cast.jan.visitor, "/consent", &["Stad Kortrijk"]).await;
    let page = cast.jan.visitor.open("/consent?lang=nl").await.unwrap();
    assert!(
        page.body.contains("uw dagboek") && !page.body.contains("checked value=\"dagboek"),
        "{}",
        page.body
    );
    let notice = page.hidden("notice");
    let yes = [
        ("storage", "/jan/"),
        ("id", id.as_str()),
        ("notice", notice.as_str()),
        ("period", "3"),
        ("answer", "yes"),
    ];
    let given = cast.jan.visitor.submit("/consent/answer", &yes).await.unwrap();
    assert_eq!(given.location(), "/consent?done=given", "{}", given.body);
    in_three_languages(&mut cast.jan.visitor, "/consent?done=given", &["telraam"]).await;

    // The same grant as a policy, for the citizen and for the recipient, and for nobody else.
    let one = format!("/jan/.consent/{id}");
    for reader in [cast.jan.agent.client(), cast.company.client()] {
        let policy = reader.get(&format!("{one}/policy")).await;
        assert_eq!(policy.status, 200, "{}", policy.text());
        let iri = format!("{}{}/policy", cast.server.base_url, one.trim_start_matches('/'));
        let read = parse_turtle(policy.text().as_bytes(), &iri, &OdrlLimits::default()).unwrap();
        let permissions = &read[0].permissions;
        assert_eq!(
            (read[0].id.as_str(), permissions.len()),
            (iri.as_str(), 1),
            "{}",
            policy.text()
        );
        assert!(
            permissions[0].target.source.ends_with("/jan/telraam/"),
            "not the diary: {}",
            policy.text()
        );
        assert_eq!(
            permissions[0].assignee.as_ref().map(|party| &party.id),
            Some(&cast.company.web_id)
        );
        let record = reader.request("GET", &one).header("accept", "text/turtle").send().await;
        assert!(
            record.text().contains(&format!("{one}/policy")),
            "the record names it: {}",
            record.text()
        );
    }
    let stranger = cast.server.agent("ander").await.client();
    assert_eq!(stranger.get(&format!("{one}/policy")).await.status, 404);

    // Agreement and query.
    let (agreement, company) = cast.agree().await;
    in_three_languages(&mut cast.city.visitor, "/datasets?done=accepted", &["mobiliteit"]).await;
    let shown = ask(&company, "/kortrijk/sparql", ALL, &[("purpose", RESEARCH)]).await;
    let shown = values(&shown, "v");
    assert_eq!(
        (shown.len(), shown.contains(&"99999".to_owned())),
        (1_500, false),
        "the diary stays shut"
    );

    // The log, with proof.
    in_three_languages(&mut cast.jan.visitor, "/log", &["mobiliteit"]).await;
    let log = cast.jan.agent.client().get("/jan/.log").await;
    let export: LogExport = serde_json::from_str(&log.text()).expect("an export");
    verify::export(&export, None, None).expect("every entry is proven");
    let queried = export.entries.iter().any(|entry| {
        let record = serde_json::to_value(&entry.sealed.record).unwrap();
        record["agent"] == cast.company.web_id.as_str() && record["agreement"] == agreement.as_str()
    });
    assert!(queried, "the citizen sees who asked, under which agreement");

    // Withdrawal, by one press, while an answer runs.
    let visitor = &mut cast.jan.visitor;
    cut_by(&company, "/kortrijk/sparql", "<urn:speed>", RESEARCH, async || {
        visitor.open("/consent?lang=fr").await.unwrap();
        let stop = [("storage", "/jan/"), ("id", id.as_str())];
        let stopped = visitor.submit("/consent/withdraw", &stop).await.unwrap();
        assert_eq!(stopped.location(), "/consent?done=withdrawn", "{}", stopped.body);
    })
    .await;
    let after = ask(&company, "/kortrijk/sparql", ALL, &[("purpose", RESEARCH)]).await;
    assert_eq!(values(&after, "v"), Vec::<String>::new());
    let policy = cast.jan.agent.client().get(&format!("{one}/policy")).await.text();
    assert!(
        !policy.contains("odrl:permission"),
        "nothing is permitted any more: {policy}"
    );

    // Receipt.
    let receipt = format!("/consent/receipt?storage=%2Fjan%2F&id={id}");
    in_three_languages(&mut cast.jan.visitor, &receipt, &[&notice]).await;
    let signed = cast.jan.agent.client().get(&format!("{one}/receipt")).await;
    assert_eq!(signed.header("content-type"), "application/jose");

    // Who has to delete, and has not.
    let duties = cast.jan.agent.client().get("/jan/.consent/duties/").await.json();
    let overdue = |duty: &Value| duty["recipient"] == cast.company.web_id.as_str() && duty["overdue"] == true;
    assert!(duties["duties"].as_array().unwrap().iter().any(overdue), "{duties}");
    let words = [
        "te laat, niet bevestigd",
        "en retard, pas confirmé",
        "overdue, not confirmed",
    ];
    for (language, word) in LANGUAGES.into_iter().zip(words) {
        let page = cast
            .jan
            .visitor
            .open(&format!("/consent?lang={language}"))
            .await
            .unwrap();
        assert!(page.body.contains(word), "{word}: {}", page.body);
        no_missing_words(&page.body);
    }
    let agreed = duties["duties"]
        .as_array()
        .unwrap()
        .iter()
        .find(|duty| duty["id"] == format!("{agreement}/deletion"));
    assert!(
        agreed.is_some_and(|duty| duty["overdue"] == false),
        "and what the agreement asks: {duties}"
    );
    // The owner sees on its page by when the company has to delete what it got under the agreement.
    let words = [
        "Te wissen ten laatste op",
        "À effacer au plus tard le",
        "To be deleted by",
    ];
    for (language, word) in LANGUAGES.into_iter().zip(words) {
        let page = cast
            .city
            .visitor
            .open(&format!("/datasets?lang={language}"))
            .await
            .unwrap();
        assert!(page.body.contains(word), "{word}: {}", page.body);
        no_missing_words(&page.body);
    }
    cast.server.stop().await;
}
