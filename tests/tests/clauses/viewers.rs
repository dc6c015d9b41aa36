//! Who could see something: for its owner, on a page and for programs.

use meent_tests::console::{Resident, quick_settings};
use serde_json::{Value, json};

use super::{PREFIXES, PodServer, RESEARCH, Scene, TURTLE, post};

/// Requirements ENF-41: access rules and agreements, property by property, in the form in which each sees it; an agreement that
/// ends is gone; nobody but the owner may ask.
#[tokio::test(flavor = "multi_thread")]
async fn owners_learn_who_could_see_a_triple() {
    let scene = Scene::set().await;
    let owner = scene.owner.client();
    let web_id = &scene.owner.web_id;
    let acl = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> .
         <#o> a acl:Authorization ; acl:agent <{web_id}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .
         <#f> a acl:Authorization ; acl:agent <https://vriend.example/#me> ; acl:default <./> ; acl:mode acl:Read .
         <#w> a acl:Authorization ; acl:agent <https://schrijver.example/#me> ; acl:default <./> ; acl:mode acl:Append .
         <#l> a acl:Authorization ; acl:agentClass acl:AuthenticatedAgent ; acl:accessTo <./> ; acl:mode acl:Read ."
    );
    assert!(owner.put("/gent/fietsen/.acl", TURTLE, acl).await.status.is_success());
    let (whole, _) = scene.agree("whole", "", "").await;
    let less = "odrl:duty [ odrl:action meent:hash ; odrl:constraint [ odrl:leftOperand meent:property ; odrl:operator odrl:eq ; odrl:rightOperand <urn:speed> ] ] ;";
    scene.agree("less", less, "").await;
    let figures = "odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint [ odrl:leftOperand meent:distinctDataSubjects ; odrl:operator odrl:gteq ; odrl:rightOperand 7 ] ] ;";
    scene.agree("figures", figures, "").await;
    let hidden = "odrl:prohibition [ odrl:action odrl:use ; odrl:target [ a odrl:AssetCollection ; odrl:source <> ; odrl:refinement [ odrl:leftOperand meent:property ; odrl:operator odrl:eq ; odrl:rightOperand <urn:secret> ] ] ] ;";
    scene.agree("hidden", "", hidden).await;

    let about = |resource: &str, property: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("resource", &format!("{}{resource}", scene.server.base_url));
        if !property.is_empty() {
            query.append_pair("property", property);
        }
        format!("/gent/.dataspace/viewers?{}", query.finish())
    };
    let seen = async |resource: &str, property: &str| {
        let reply = owner.get(&about(resource, property)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    let forms = |viewers: &Value| -> Vec<String> {
        let mut forms: Vec<String> = viewers["agreements"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{} {}", one["form"].as_str().unwrap(), one["subjectsMin"]))
            .collect();
        forms.sort();
        forms
    };
    let speed = seen("gent/fietsen/a", "urn:speed").await;
    assert_eq!(
        forms(&speed),
        ["changed null", "figures 7", "stands null", "stands null"],
        "{speed}"
    );
    assert_eq!(speed["agreements"][0]["assignee"], json!(scene.company.web_id));
    assert_eq!(speed["agreements"][0]["purposes"], json!([RESEARCH]));
    let rules = &speed["rules"];
    assert_eq!(
        (&rules["public"], &rules["loggedIn"]),
        (&json!(false), &json!(false)),
        "{rules}"
    );
    let agents = rules["agents"].to_string();
    assert!(
        agents.contains("vriend.example") && agents.contains(web_id.as_str()),
        "{agents}"
    );
    assert!(
        !agents.contains("schrijver"),
        "whoever may only add does not see: {agents}"
    );
    let secret = seen("gent/fietsen/a", "urn:secret").await;
    assert_eq!(
        forms(&secret),
        ["figures 7", "stands null", "stands null"],
        "one agreement hides it: {secret}"
    );
    assert_eq!(
        seen("gent/profile/card", "").await["agreements"],
        json!([]),
        "no agreement covers it"
    );
    let container = seen("gent/fietsen/", "").await;
    assert_eq!(container["rules"]["loggedIn"], true, "the folder itself: {container}");

    let root = seen("gent/", "").await;
    assert_eq!(
        root["agreements"].as_array().unwrap().len(),
        4,
        "something in it: {root}"
    );

    let ended = post(&owner, &format!("{whole}/terminate"), &json!({})).await;
    assert!(ended.status.is_success(), "{}", ended.text());
    assert_eq!(
        forms(&seen("gent/fietsen/a", "urn:secret").await),
        ["figures 7", "stands null"]
    );
    let company = scene.company.client();
    assert_eq!(company.get(&about("gent/fietsen/a", "")).await.status, 403);
    assert_eq!(
        scene.server.client().get(&about("gent/fietsen/a", "")).await.status,
        401
    );
    assert_eq!(owner.get("/gent/.dataspace/viewers").await.status, 422);
    assert_eq!(owner.get(&about("bedrijf/profile/card", "")).await.status, 422);
    assert_eq!(post(&owner, &about("gent/fietsen/a", ""), &json!({})).await.status, 405);
    scene.server.stop().await;
}

/// Requirements ENF-41: a citizen sees on the page of a document who sees it by consent, and no longer after withdrawing; another
/// person with control over the document does not learn it.
#[tokio::test(flavor = "multi_thread")]
async fn citizens_see_it_on_the_page_of_a_document() {
    let mut settings = quick_settings();
    settings["dataspace"] = json!({ "umbrella_storages": ["kortrijk"] });
    let server = PodServer::start_with(settings).await;
    let mut jan = Resident::arrive(&server, "jan").await.unwrap();
    let kortrijk = Resident::settle(&server, "kortrijk", "kortrijk").await.unwrap();
    let company = server.agent("bedrijf").await;
    let put = jan
        .agent
        .client()
        .put("/jan/telraam/d", TURTLE, "<#it> <urn:speed> 10 .")
        .await;
    assert!(put.status.is_success(), "{}", put.text());
    let turtle = format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Telraam\"@nl ; meent:memberContainer \"telraam/\" ; meent:automaticAgreement true ;
           odrl:hasPolicy <#offer> .
         <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target <> ; odrl:action odrl:use ;
           odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand <{RESEARCH}> ] ,
             [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ] ."
    );
    let path = "/kortrijk/.dataspace/datasets/telraam";
    let described = kortrijk.client().put(path, TURTLE, turtle).await;
    assert!(described.status.is_success(), "{}", described.text());
    let body =
        json!({ "dataset": format!("{}kortrijk/.dataspace/datasets/telraam", server.base_url), "purpose": RESEARCH });
    let asked = post(&company.client(), "/kortrijk/.dataspace/negotiations", &body).await;
    let agreement = asked.json()["agreement"].as_str().unwrap().to_owned();
    let verified = post(&company.client(), &format!("{agreement}/verify"), &json!({})).await;
    assert!(verified.status.is_success(), "{}", verified.text());
    let page = "/data/jan/telraam/d?do=share";
    let before = jan.visitor.open(&format!("{page}&lang=en")).await.unwrap();
    assert!(before.body.contains("No agreement shows this."), "{}", before.body);
    let consent = json!({
        "recipients": [company.web_id], "purposes": [RESEARCH], "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mag dit?" },
    });
    let given = post(&jan.agent.client(), "/jan/.consent/", &consent).await;
    assert_eq!(given.status, 201, "{}", given.text());
    let mut texts = Vec::new();
    for language in ["nl", "fr", "en"] {
        let seen = jan.visitor.open(&format!("{page}&lang={language}")).await.unwrap();
        assert!(seen.body.contains(&company.web_id), "{}", seen.body);
        super::walk_through::no_missing_words(&seen.body);
        texts.push(seen.body);
    }
    assert!(
        texts[2].contains("Sees the data as it is.") && texts[2].contains("Because you consented"),
        "{}",
        texts[2]
    );
    let id = given.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        post(&jan.agent.client(), &format!("/jan/.consent/{id}/withdraw"), &json!({}))
            .await
            .status,
        200
    );
    let after = jan.visitor.open(&format!("{page}&lang=en")).await.unwrap();
    assert!(!after.body.contains(&company.web_id), "{}", after.body);
    server.stop().await;
}
