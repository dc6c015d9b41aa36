//! Access tokens that are confused, forged or malformed (T27, T30, T31, T32, T33).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

/// A value for a claim; `None` removes it.
type Change = (&'static str, Option<Value>);

#[tokio::test]
async fn t30_t31_t32_claims_of_the_wrong_type_value_or_time_are_refused() {
    let fixture = Fixture::new();
    let now = fixture.now();
    let wrong_type = "missing or of the wrong type";
    let mut cases: Vec<(Change, &str)> = vec![
        (("exp", Some((now - 5).into())), "has expired"),
        (("exp", Some(0.into())), "has expired"),
        (("iat", Some((now + 6).into())), "not valid yet"),
        (("nbf", Some((now + 6).into())), "not valid yet"),
        (("aud", Some("https://other.example/".into())), "another audience"),
        (("aud", Some("SOLID".into())), "another audience"),
        (("aud", Some(json!([]))), "another audience"),
        (("aud", Some(json!(vec!["x"; 40]))), "another audience"),
        (("iss", Some("https://pod.example:8443".into())), "misspelt"),
        (
            ("iss", Some("https://elsewhere.example/".into())),
            "no key of the token's issuer fits",
        ),
        (("iss", Some("".into())), "no key of the token's issuer fits"),
        (
            ("iss", Some("https://127.0.0.1/".into())),
            "no key of the token's issuer fits",
        ),
        (("webid", Some("mailto:jan@example.org".into())), "not an HTTP IRI"),
        (("webid", Some("".into())), "not an HTTP IRI"),
        (
            ("webid", Some("https://pod.example/piet/profile/card#me".into())),
            "does not name the token's issuer",
        ),
        (
            ("webid", Some("https://pod.example/jan/profile/card#you".into())),
            "does not name the token's issuer",
        ),
        (
            ("webid", Some("https://POD.example/jan/profile/card#me".into())),
            "does not name the token's issuer",
        ),
        (
            ("cnf", Some(json!({ "jkt": "other" }))),
            "not by the key that the token is bound to",
        ),
        (
            ("cnf", Some(json!({ "jkt": "" }))),
            "not by the key that the token is bound to",
        ),
        (
            ("agreement", Some("https://pod.example/a".into())),
            "not issued by this server for this server",
        ),
    ];
    for date in ["exp", "iat", "nbf"] {
        for bad in [
            json!("never"),
            json!("9999999999"),
            json!(1.5),
            json!(-1),
            json!(true),
            json!([now]),
            Value::Null,
            json!({}),
            json!(9_223_372_036_854_775_808_u64),
            json!(1e300),
            json!(253_402_300_800_u64),
        ] {
            cases.push(((date, Some(bad)), wrong_type));
        }
    }
    for text in ["iss", "webid", "sub", "client_id", "azp", "agreement"] {
        for bad in [json!(1), json!(["x"]), json!({}), Value::Null, json!(true)] {
            cases.push(((text, Some(bad)), wrong_type));
        }
    }
    for bad in [
        json!(1),
        json!([1]),
        json!([["solid"]]),
        json!({ "solid": true }),
        Value::Null,
    ] {
        cases.push((("aud", Some(bad)), wrong_type));
    }
    for bad in [
        json!("jkt"),
        json!({}),
        json!({ "jkt": 1 }),
        json!({ "jwk": {} }),
        json!([]),
        Value::Null,
    ] {
        cases.push((("cnf", Some(bad)), wrong_type));
    }
    for required in ["iss", "aud", "exp", "iat", "webid", "cnf"] {
        cases.push(((required, None), wrong_type));
    }
    assert!(cases.len() > 90, "{} cases", cases.len());
    for ((name, value), expected) in cases {
        let mut claims = fixture.claims();
        match &value {
            Some(value) => claims[name] = value.clone(),
            None => drop(claims.as_object_mut().unwrap().remove(name)),
        }
        let token = fixture.issuer.sign(&claims).unwrap();
        let said = said(fixture.present_token(&token).await);
        assert!(
            said.starts_with("401") && said.contains(expected),
            "{name} = {value:?}: {said}"
        );
    }
}

#[tokio::test]
async fn several_audiences_are_accepted_when_solid_is_one() {
    let fixture = Fixture::new();
    let mut claims = fixture.claims();
    claims["aud"] = json!(["https://app.example/id", "solid"]);
    claims.as_object_mut().unwrap().remove("client_id");
    claims["azp"] = "https://app.example/id".into();
    let credentials = fixture
        .present_token(&fixture.issuer.sign(&claims).unwrap())
        .await
        .unwrap();
    assert_eq!(credentials.client.as_deref(), Some("https://app.example/id"));
}

#[tokio::test]
async fn t27_headers_do_not_choose_the_key() {
    let fixture = Fixture::new();
    let attacker = Key::new();
    let claims = fixture.claims();
    let genuine = fixture.token();
    let part = |at: usize| genuine.split('.').nth(at).unwrap().to_owned();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part(0)).unwrap()).unwrap();
    let kid = header["kid"].clone();
    let own = attacker.public.clone();
    let headers = [
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }),
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": own }),
        json!({ "alg": "ES256", "typ": "at+jwt", "jwk": own }),
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "jku": "https://evil.example/jwks" }),
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "x5u": "https://evil.example/cert" }),
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": "../../etc/passwd" }),
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": "" }),
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "crit": ["b64"], "b64": false }),
        json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }),
        json!({ "alg": "none", "typ": "at+jwt", "kid": kid }),
        json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }),
        json!({ "alg": ["ES256"], "typ": "at+jwt", "kid": kid }),
    ];
    for header in headers {
        let token = compact(&header, &claims, &*attacker.signer).unwrap();
        assert!(said(fixture.present_token(&token).await).starts_with("401"), "{header}");
    }
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), part(1));
    let changed = URL_SAFE_NO_PAD.encode(claims.to_string().replace("/jan/", "/piet/"));
    let forged = format!("{}.{changed}.{}", part(0), part(2));
    for token in [
        unsigned,
        forged,
        format!("{}.{}", part(0), part(1)),
        format!("{genuine}A"),
        "..".to_owned(),
    ] {
        assert!(said(fixture.present_token(&token).await).starts_with("401"), "{token}");
    }
    assert!(fixture.present_token(&genuine).await.is_ok());
}

#[tokio::test]
async fn other_signed_statements_are_not_access_tokens() {
    let fixture = Fixture::new();
    for typ in ["dpop+jwt", "delegation+jwt", "logout+jwt", "secevent+jwt", ""] {
        let token = fixture.issuer.sign_typed(typ, &fixture.claims()).unwrap();
        assert!(
            said(fixture.present_token(&token).await).contains("not an access token"),
            "{typ}"
        );
    }
    let proof = fixture.key.proof("x", fixture.now());
    assert!(
        said(fixture.present_token(&proof).await).starts_with("401"),
        "a proof as token"
    );
}

#[tokio::test]
async fn duplicate_members_are_refused() {
    let fixture = Fixture::new();
    let claims = fixture.claims().to_string();
    for double in [
        claims.replacen('{', "{\"webid\":\"https://pod.example/piet/profile/card#me\",", 1),
        claims.replacen('{', "{\"exp\":9999999999,", 1),
        claims.replacen('{', "{\"cnf\":{\"jkt\":\"x\"},", 1),
    ] {
        let genuine = fixture.token();
        let header = genuine.split('.').next().unwrap();
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(double));
        // Refused by its form alone: the signature is never looked at.
        let said = said(fixture.present_token(&format!("{signed}.AAAA")).await);
        assert!(said.contains("missing or of the wrong type"), "{said}");
    }
}

#[tokio::test]
async fn a_known_token_ends_with_its_time() {
    let fixture = Fixture::new();
    let token = fixture.token();
    fixture.present_token(&token).await.unwrap();
    fixture.clock.advance(599);
    fixture.present_token(&token).await.unwrap();
    fixture.clock.advance(6);
    assert!(said(fixture.present_token(&token).await).contains("has expired"));
}
