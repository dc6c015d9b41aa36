//! Descriptions and catalogues: what is accepted, what is refused and why, what strangers see.

use meent_tests::pod::PodServer;

use super::{PREFIXES, dataset, path, put_dataset};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_describes_a_dataset_and_everyone_finds_it() {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    let stranger = server.agent("stranger").await.client();
    let secret_partner = "https://partner.example/#us";
    let turtle = dataset(
        &server,
        &format!("meent:automaticAgreement true ; meent:acceptedConsumer <{secret_partner}>"),
    );
    assert_eq!(
        put_dataset(&stranger, "/gent/.dataspace/datasets/fietsen", turtle.clone())
            .await
            .status,
        403
    );
    assert_eq!(
        server
            .client()
            .put("/gent/.dataspace/datasets/fietsen", "text/turtle", turtle.clone())
            .await
            .status,
        401
    );
    let made = put_dataset(&gent, "/gent/.dataspace/datasets/fietsen", turtle.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(
        put_dataset(&gent, "/gent/.dataspace/datasets/fietsen", turtle)
            .await
            .status,
        200
    );
    assert_eq!(
        path(&server, made.header("location")),
        "/gent/.dataspace/datasets/fietsen"
    );

    for catalog in ["/catalog", "/gent/.dataspace/catalog"] {
        let read = server.client().get(catalog).await;
        assert_eq!(
            (read.status.as_u16(), read.header("content-type")),
            (200, "text/turtle"),
            "{}",
            read.text()
        );
        for expected in [
            "Fietstellingen",
            "gent/sparql",
            "MobilityPlanning",
            "gent/.dataspace/negotiations",
            "dcat:Catalog",
        ] {
            assert!(
                read.text().contains(expected),
                "{catalog} lacks {expected}: {}",
                read.text()
            );
        }
        assert!(
            !read.text().contains(secret_partner),
            "with whom an owner deals is nobody's business"
        );
        let again = server
            .client()
            .request("GET", catalog)
            .header("if-none-match", read.header("etag"))
            .send()
            .await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
        let json = server
            .client()
            .request("GET", catalog)
            .header("accept", "application/ld+json")
            .send()
            .await;
        assert_eq!(json.header("content-type"), "application/ld+json");
        assert!(
            json.text().contains("Fietstellingen") && serde_json::from_str::<serde_json::Value>(&json.text()).is_ok()
        );
        assert_ne!(json.header("etag"), read.header("etag"));
        let neither = server
            .client()
            .request("GET", catalog)
            .header("accept", "image/png")
            .send()
            .await;
        assert_eq!(neither.status, 406);
    }
    let seen = |reply: meent_tests::pod::Reply| reply.text().contains(secret_partner);
    assert!(seen(gent.get("/gent/.dataspace/datasets/fietsen").await));
    assert!(!seen(stranger.get("/gent/.dataspace/datasets/fietsen").await));

    assert_eq!(stranger.delete("/gent/.dataspace/datasets/fietsen").await.status, 403);
    assert_eq!(gent.delete("/gent/.dataspace/datasets/fietsen").await.status, 204);
    assert_eq!(gent.delete("/gent/.dataspace/datasets/fietsen").await.status, 404);
    assert!(!server.client().get("/catalog").await.text().contains("Fietstellingen"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_ld_is_read_with_the_context_of_odrl_and_post_names_the_dataset() {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    let body = serde_json::json!({
        "@context": ["http://www.w3.org/ns/odrl.jsonld", { "dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/",
                      "odrl": "http://www.w3.org/ns/odrl/2/", "meent": "https://w3id.org/meent/ns#" }],
        "@id": "", "@type": "dcat:Dataset",
        "dct:title": { "@value": "Parkeren", "@language": "nl" },
        "meent:container": { "@id": format!("{}gent/parkeren/", server.base_url) },
        "odrl:hasPolicy": { "@id": "#offer", "@type": "odrl:Offer", "odrl:permission": {
            "odrl:target": { "@id": "" }, "odrl:action": { "@id": "odrl:read" } } },
    });
    let made = gent
        .request("POST", "/gent/.dataspace/datasets")
        .header("slug", "Parkeren 2026")
        .content("application/ld+json", body.to_string())
        .send()
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(
        path(&server, made.header("location")),
        "/gent/.dataspace/datasets/parkeren-2026"
    );
    server.stop().await;
}

/// What could not be honoured later is refused at once, with the place of the fault (unknown terms deny).
///
/// Requirements ENF-2, ENF-25, ODR-3.
#[tokio::test(flavor = "multi_thread")]
async fn offers_that_cannot_be_honoured_are_refused_when_they_are_made() {
    let server = PodServer::start().await;
    let gent = server.agent("gent").await.client();
    server.agent("jan").await;
    let good = dataset(&server, "meent:automaticAgreement true");
    let unknown_operand = good.replace("odrl:leftOperand odrl:purpose", "odrl:leftOperand <urn:x:weather>");
    let unknown_action = good.replace("odrl:action odrl:use", "odrl:action <urn:x:dance>");
    let unknown_duty = good.replace(
        "odrl:action odrl:use ;",
        "odrl:action odrl:use ; odrl:duty [ odrl:action <urn:x:sing> ] ;",
    );
    let other_target = good.replace("odrl:target <>", "odrl:target <https://elsewhere.example/d>");
    let foreign = good.replace("gent/fietsen/", "jan/telraam/");
    let undescribed = good.replace("odrl:hasPolicy <#offer>", "odrl:hasPolicy <#other>");
    let agreement = good.replace("a odrl:Offer", "a odrl:Agreement");
    let elsewhere = good.replace("<#offer>", "<elsewhere#offer>");
    for (what, turtle) in [
        ("an unknown operand", unknown_operand),
        ("an unknown action", unknown_action),
        ("an unknown duty", unknown_duty),
        ("another target", other_target),
        ("someone else's storage", foreign),
        ("an offer that is not there", undescribed),
        ("an agreement", agreement),
        ("an offer by the name of another dataset", elsewhere),
    ] {
        let refused = put_dataset(&gent, "/gent/.dataspace/datasets/d", turtle).await;
        assert_eq!(refused.status, 422, "{what}: {}", refused.text());
        let json = refused.json();
        assert!(
            json["faults"][0]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}: {json}"
        );
    }
    let broken = put_dataset(
        &gent,
        "/gent/.dataspace/datasets/d",
        format!("{PREFIXES}<> a dcat:Dataset ;; oops"),
    )
    .await;
    assert_eq!(
        (broken.status.as_u16(), broken.json()["line"].as_u64()),
        (400, Some(4)),
        "{}",
        broken.text()
    );
    let typeless = gent
        .request("PUT", "/gent/.dataspace/datasets/d")
        .body(good.clone())
        .send()
        .await;
    assert_eq!(typeless.status, 400, "{}", typeless.text());
    assert_eq!(
        gent.put("/gent/.dataspace/datasets/d", "text/csv", good).await.status,
        415
    );
    assert_eq!(gent.get("/gent/.dataspace/datasets/d").await.status, 404);
    server.stop().await;
}

/// A city reaches into its citizens' storages only under their consent (CON-12).
#[tokio::test(flavor = "multi_thread")]
async fn an_umbrella_needs_the_consent_of_those_it_covers() {
    let settings = serde_json::json!({ "dataspace": { "umbrella_storages": ["kortrijk"] } });
    let server = PodServer::start_with(settings).await;
    let kortrijk = server.agent("kortrijk").await.client();
    let without = dataset(&server, "meent:automaticAgreement true").replace(
        &format!("meent:container <{}gent/fietsen/>", server.base_url),
        "meent:memberContainer \"telraam/\"",
    );
    let refused = put_dataset(&kortrijk, "/kortrijk/.dataspace/datasets/telraam", without.clone()).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("dataSubjectConsent"), "{}", refused.text());
    let with = without.replace(
        "odrl:constraint [",
        "odrl:constraint [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] , [",
    );
    let made = put_dataset(&kortrijk, "/kortrijk/.dataspace/datasets/telraam", with).await;
    assert_eq!(made.status, 201, "{}", made.text());
    server.stop().await;
}
