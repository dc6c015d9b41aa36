//! RFC 9449 §4.3, line by line (T28, T29).

use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{self, ES384, EdDSA, HS256, PS256, RS256};

use super::*;

/// One change to a good proof, and what the server must say.
struct Case(&'static str, fn(&mut Value, &mut Value, &Fixture), &'static str);

const CASES: &[Case] = &[
    Case(
        "typ absent",
        |header, _, _| drop(header.as_object_mut().unwrap().remove("typ")),
        "type is not dpop+jwt",
    ),
    Case(
        "typ of a token",
        |header, _, _| header["typ"] = "at+jwt".into(),
        "type is not dpop+jwt",
    ),
    Case(
        "typ in capitals",
        |header, _, _| header["typ"] = "DPOP+JWT".into(),
        "type is not dpop+jwt",
    ),
    Case(
        "typ null",
        |header, _, _| header["typ"] = Value::Null,
        "not a signed JWT",
    ),
    Case(
        "alg none",
        |header, _, _| header["alg"] = "none".into(),
        "algorithm is not accepted",
    ),
    Case(
        "alg None",
        |header, _, _| header["alg"] = "None".into(),
        "algorithm is not accepted",
    ),
    Case(
        "alg HS256",
        |header, _, _| header["alg"] = "HS256".into(),
        "algorithm is not accepted",
    ),
    Case(
        "alg of another key type",
        |header, _, _| header["alg"] = "RS256".into(),
        "algorithm is not accepted",
    ),
    Case(
        "alg of another curve",
        |header, _, _| header["alg"] = "ES384".into(),
        "algorithm is not accepted",
    ),
    Case(
        "alg ES256K",
        |header, _, _| header["alg"] = "ES256K".into(),
        "algorithm is not accepted",
    ),
    Case(
        "crit",
        |header, _, _| header["crit"] = json!(["exp"]),
        "not a signed JWT",
    ),
    Case(
        "no key",
        |header, _, _| drop(header.as_object_mut().unwrap().remove("jwk")),
        "carries no public key",
    ),
    Case(
        "private key",
        |header, _, fixture| header["jwk"] = fixture.key.private.clone().into(),
        "not an accepted public key",
    ),
    Case(
        "private member empty",
        |header, _, _| header["jwk"]["d"] = "".into(),
        "not an accepted public key",
    ),
    Case(
        "symmetric key",
        |header, _, _| header["jwk"] = json!({"kty": "oct", "k": "c2VjcmV0"}),
        "not an accepted public key",
    ),
    Case(
        "key of another",
        |header, _, _| header["jwk"] = Key::new().public.into(),
        "not by the key that the token is bound to",
    ),
    Case(
        "point not on the curve",
        |header, _, _| header["jwk"]["y"] = header["jwk"]["x"].clone(),
        "not by the key",
    ),
    Case(
        "coordinate too short",
        |header, _, _| header["jwk"]["x"] = "AAAA".into(),
        "not an accepted public key",
    ),
    Case(
        "coordinate padded",
        |header, _, _| {
            header["jwk"]["x"] = format!("{}=", header["jwk"]["x"].as_str().unwrap()).into();
        },
        "not an accepted public key",
    ),
    Case(
        "weak RSA",
        |header, _, _| header["jwk"] = json!({"kty": "RSA", "e": "AQAB", "n": "qqqq"}),
        "not an accepted public key",
    ),
    Case(
        "RSA exponent 1",
        |header, _, _| {
            header["jwk"] = json!({"kty": "RSA", "e": "AQ", "n": "w".repeat(342)});
        },
        "not an accepted public key",
    ),
    Case(
        "htm of another method",
        |_, claims, _| claims["htm"] = "POST".into(),
        "another method",
    ),
    Case(
        "htm in small letters",
        |_, claims, _| claims["htm"] = "get".into(),
        "another method",
    ),
    Case(
        "htm as array",
        |_, claims, _| claims["htm"] = json!(["GET"]),
        "missing or of the wrong type",
    ),
    Case(
        "htu of another path",
        |_, claims, _| claims["htu"] = "https://pod.example/gent/other".into(),
        "another URL",
    ),
    Case(
        "htu of a case variant",
        |_, claims, _| claims["htu"] = "https://pod.example/Gent/data".into(),
        "another URL",
    ),
    Case(
        "htu with slash",
        |_, claims, _| claims["htu"] = "https://pod.example/gent/data/".into(),
        "another URL",
    ),
    Case(
        "htu with port",
        |_, claims, _| claims["htu"] = "https://pod.example:8443/gent/data".into(),
        "another URL",
    ),
    Case(
        "htu with http",
        |_, claims, _| claims["htu"] = "http://pod.example/gent/data".into(),
        "another URL",
    ),
    Case(
        "htu with encoded slash",
        |_, claims, _| claims["htu"] = "https://pod.example/gent%2fdata".into(),
        "another URL",
    ),
    Case(
        "htu with user",
        |_, claims, _| claims["htu"] = "https://a@pod.example/gent/data".into(),
        "another URL",
    ),
    Case(
        "htu relative",
        |_, claims, _| claims["htu"] = "/gent/data".into(),
        "another URL",
    ),
    Case("htu empty", |_, claims, _| claims["htu"] = "".into(), "another URL"),
    Case(
        "iat 61 s old",
        |_, claims, fixture| claims["iat"] = (fixture.now() - 61).into(),
        "too old",
    ),
    Case(
        "iat 6 s ahead",
        |_, claims, fixture| claims["iat"] = (fixture.now() + 6).into(),
        "lies in the future",
    ),
    Case(
        "iat as text",
        |_, claims, fixture| claims["iat"] = fixture.now().to_string().into(),
        "missing or of the wrong type",
    ),
    Case(
        "iat as fraction",
        |_, claims, _| claims["iat"] = json!(1_800_000_120.5),
        "missing or of the wrong type",
    ),
    Case(
        "iat negative",
        |_, claims, _| claims["iat"] = (-1).into(),
        "missing or of the wrong type",
    ),
    Case(
        "iat 2^63",
        |_, claims, _| claims["iat"] = 9_223_372_036_854_775_808_u64.into(),
        "missing or of the wrong type",
    ),
    Case(
        "iat absent",
        |_, claims, _| drop(claims.as_object_mut().unwrap().remove("iat")),
        "missing or of the wrong type",
    ),
    Case(
        "jti absent",
        |_, claims, _| drop(claims.as_object_mut().unwrap().remove("jti")),
        "missing or of the wrong type",
    ),
    Case("jti empty", |_, claims, _| claims["jti"] = "".into(), "jti is empty"),
    Case(
        "jti endless",
        |_, claims, _| claims["jti"] = "x".repeat(600).into(),
        "jti is empty or too long",
    ),
    Case(
        "ath of another token",
        |_, claims, _| claims["ath"] = token_hash("other").into(),
        "another access token",
    ),
    Case(
        "ath null",
        |_, claims, _| claims["ath"] = Value::Null,
        "missing or of the wrong type",
    ),
    Case(
        "ath empty",
        |_, claims, _| claims["ath"] = "".into(),
        "another access token",
    ),
];

#[tokio::test]
async fn t29_every_change_to_a_good_proof_is_refused() {
    let fixture = Fixture::new();
    let token = fixture.token();
    fixture.present_token(&token).await.unwrap();
    for known in [true, false] {
        for Case(name, change, expected) in CASES {
            // Once with a token that the server knows, once with a new one.
            let token = if known { token.clone() } else { fixture.token() };
            let (mut header, mut claims) = fixture.key.proof_parts(&token, fixture.now());
            change(&mut header, &mut claims, &fixture);
            let proof = compact(&header, &claims, &*fixture.key.signer).unwrap();
            let said = said(fixture.present(&token, &proof).await);
            let expected = if *name == "point not on the curve" && !known {
                "not an accepted public key"
            } else {
                expected
            };
            let expected = if *name == "key of another" && !known {
                "signature is wrong"
            } else {
                expected
            };
            assert!(said.contains(expected), "{name}: {said}");
            assert!(
                said.starts_with("401") && said.contains("error=\"invalid_dpop_proof\""),
                "{name}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn t29_signatures_and_header_fields_are_checked() {
    let fixture = Fixture::new();
    let token = fixture.token();
    let good = fixture.key.proof(&token, fixture.now());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let stranger = Key::new();
    let (own_header, own_claims) = fixture.key.proof_parts(&token, fixture.now());
    let by_stranger = compact(&own_header, &own_claims, &*stranger.signer).unwrap();
    let secret = HS256
        .signer_from_bytes(serde_json::to_vec(&fixture.key.public).unwrap())
        .unwrap();
    let mut hmac_header = own_header.clone();
    hmac_header["alg"] = "HS256".into();
    let broken = [
        (format!("{signed}."), "signature is wrong"),
        (format!("{signed}.{}", "A".repeat(86)), "signature is wrong"),
        (format!("{signed}.{}", "A".repeat(85)), "not a signed JWT"),
        (format!("{signed}.{signature}="), "not a signed JWT"),
        (format!("{signed}.{signature}.x"), "not a signed JWT"),
        (format!("{header}.{payload}"), "not a signed JWT"),
        (
            format!("{header}.{}.{signature}", &payload[..payload.len() - 4]),
            "proof is not a signed JWT",
        ),
        (by_stranger, "signature is wrong"),
        (
            compact(&hmac_header, &own_claims, &secret).unwrap(),
            "algorithm is not accepted",
        ),
        ("x".repeat(9_000), "too long"),
        (String::new(), "not a signed JWT"),
        (format!("{good} {good}"), "not a signed JWT"),
    ];
    for (proof, expected) in broken {
        let said = said(fixture.present(&token, &proof).await);
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let field = |value: &str| (client::DPOP, value.to_owned());
    let authorization = |value: String| (AUTHORIZATION, value);
    let other = fixture.key.proof(&token, fixture.now());
    let requests = [
        (vec![authorization(format!("DPoP {token}"))], "exactly one DPoP"),
        (
            vec![authorization(format!("DPoP {token}")), field(&good), field(&other)],
            "exactly one DPoP",
        ),
        (
            vec![authorization(format!("DPoP {token}")), field(&good), field(&good)],
            "exactly one DPoP",
        ),
        (
            vec![authorization(format!("Bearer {token}"))],
            "bearer tokens are not accepted",
        ),
        (
            vec![authorization(format!("Bearer {token}")), field(&good)],
            "bearer tokens are not accepted",
        ),
        (
            vec![authorization(format!("Basic {token}")), field(&good)],
            "scheme is not DPoP",
        ),
        (vec![authorization("DPoP".to_owned()), field(&good)], "holds no token"),
        (
            vec![
                authorization(format!("DPoP {token}")),
                authorization(format!("DPoP {token}")),
                field(&good),
            ],
            "more than one",
        ),
        (vec![field(&good)], "without an access token"),
    ];
    for (fields, expected) in requests {
        let said = said(fixture.ask(&fields).await);
        assert!(said.starts_with("401") && said.contains(expected), "{said}");
    }
    assert!(fixture.present(&token, &good).await.is_ok(), "refusals spend nothing");
}

#[tokio::test]
async fn equivalent_spellings_of_the_url_are_accepted_once() {
    let fixture = Fixture::new();
    let token = fixture.token();
    for (number, htu) in [
        "https://pod.example/gent/data",
        "HTTPS://POD.EXAMPLE:443/gent/data",
        "https://pod.example/gent/%64ata?query#part",
        "https://pod.example/x/../gent/./data",
    ]
    .iter()
    .enumerate()
    {
        let (header, mut claims) = fixture.key.proof_parts(&token, fixture.now());
        (claims["htu"], claims["jti"]) = ((*htu).into(), "the same".into());
        let outcome = fixture
            .present(&token, &compact(&header, &claims, &*fixture.key.signer).unwrap())
            .await;
        // T28: another spelling does not make another proof.
        assert_eq!(outcome.is_ok(), number == 0, "{htu}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t28_of_a_hundred_parallel_uses_one_passes() {
    let fixture = Arc::new(Fixture::new());
    let token = fixture.token();
    let proof = fixture.key.proof(&token, fixture.now());
    let uses: Vec<_> = (0..100)
        .map(|_| {
            let (fixture, token, proof) = (Arc::clone(&fixture), token.clone(), proof.clone());
            tokio::spawn(async move { fixture.present(&token, &proof).await })
        })
        .collect();
    let mut passed = 0;
    for used in uses {
        match used.await.unwrap() {
            Ok(_) => passed += 1,
            Err(rejection) => assert_eq!(rejection.description, "the proof was used before"),
        }
    }
    assert_eq!(passed, 1);
    // Still known at the end of its life, and under another issue time with the same jti.
    fixture.clock.advance(60);
    assert!(said(fixture.present(&token, &proof).await).contains("used before"));
    fixture.clock.advance(1);
    assert!(said(fixture.present(&token, &proof).await).contains("too old"));
}

#[tokio::test]
async fn t28_proofs_from_before_the_start_are_refused() {
    let fixture = Fixture::new();
    let (token, proof_from_before) = (fixture.token(), fixture.now() - 10);
    let config = AuthnConfig {
        audience: BASE.to_owned(),
        ..AuthnConfig::default()
    };
    let clock = Arc::<FixedClock>::clone(&fixture.clock);
    let restarted = Authenticator::new(config, no_network(), clock, Arc::clone(&fixture.issuer)).unwrap();
    let restarted = Fixture {
        authenticator: restarted.with_local_profiles(Arc::new(Profiles)),
        ..fixture
    };
    let old = restarted.key.proof(&token, proof_from_before);
    assert!(said(restarted.present(&token, &old).await).contains("too old"));
    assert!(restarted.present_token(&token).await.is_ok());
}

#[tokio::test]
async fn a_full_memory_refuses_with_503() {
    let fixture = Fixture::with(
        AuthnConfig {
            replay_entries_max: 3,
            ..AuthnConfig::default()
        },
        no_network(),
    );
    let token = fixture.token();
    for _ in 0..3 {
        fixture.present_token(&token).await.unwrap();
    }
    assert!(said(fixture.present_token(&token).await).starts_with("503"));
    fixture.clock.advance(100);
    assert!(fixture.present_token(&token).await.is_ok());
}

#[tokio::test]
async fn ath_is_optional_or_required_by_configuration() {
    for (token_hash, accepted) in [(TokenHash::Optional, true), (TokenHash::Required, false)] {
        let fixture = Fixture::with(
            AuthnConfig {
                token_hash,
                ..AuthnConfig::default()
            },
            no_network(),
        );
        let token = fixture.token();
        let (header, mut claims) = fixture.key.proof_parts(&token, fixture.now());
        claims.as_object_mut().unwrap().remove("ath");
        let proof = compact(&header, &claims, &*fixture.key.signer).unwrap();
        assert_eq!(fixture.present(&token, &proof).await.is_ok(), accepted);
    }
}

#[tokio::test]
async fn every_accepted_algorithm_verifies() {
    let members = |jwk: &Jwk, names: &[&str]| -> Map<String, Value> {
        names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), jwk.parameter(name)?.clone())))
            .collect()
    };
    let (ec, ed, rsa) = (
        Jwk::generate_ec_key(EcCurve::P384).unwrap(),
        Jwk::generate_ed_key(EdCurve::Ed25519).unwrap(),
        Jwk::generate_rsa_key(2_048).unwrap(),
    );
    let p256 = Jwk::generate_ec_key(EcCurve::P256).unwrap();
    let signers: [(&str, Box<dyn JwsSigner>, Map<String, Value>); 5] = [
        (
            "ES256",
            Box::new(jws::ES256.signer_from_jwk(&p256).unwrap()),
            members(&p256, &["kty", "crv", "x", "y"]),
        ),
        (
            "ES384",
            Box::new(ES384.signer_from_jwk(&ec).unwrap()),
            members(&ec, &["kty", "crv", "x", "y"]),
        ),
        (
            "EdDSA",
            Box::new(EdDSA.signer_from_jwk(&ed).unwrap()),
            members(&ed, &["kty", "crv", "x"]),
        ),
        (
            "RS256",
            Box::new(RS256.signer_from_jwk(&rsa).unwrap()),
            members(&rsa, &["kty", "n", "e"]),
        ),
        (
            "PS256",
            Box::new(PS256.signer_from_jwk(&rsa).unwrap()),
            members(&rsa, &["kty", "n", "e"]),
        ),
    ];
    let fixture = Fixture::new();
    for (name, signer, public) in signers {
        let mut claims = fixture.claims();
        claims["cnf"]["jkt"] = thumbprint(&public).unwrap().into();
        let token = fixture.issuer.sign(&claims).unwrap();
        let (mut header, claims) = fixture.key.proof_parts(&token, fixture.now());
        (header["alg"], header["jwk"]) = (name.into(), public.into());
        let outcome = fixture
            .present(&token, &compact(&header, &claims, &*signer).unwrap())
            .await;
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

#[test]
fn rfc7638_thumbprint_of_its_own_example() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    assert_eq!(
        thumbprint(jwk.as_object().unwrap()).unwrap(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}
