//! Agreement tokens and delegations: a token found at a broker is worthless without the consumer's fresh word.

use super::client::{DelegationTerms, DpopKey};
use super::*;

const AGREEMENT: &str = "https://pod.example/gent/.dataspace/agreements/1";
const BROKER: &str = "https://broker.example/";
const PURPOSE: &str = "https://w3id.org/dpv#ResearchAndDevelopment";

impl Fixture {
    fn agreement_claims(&self) -> Value {
        let mut claims = self.claims();
        claims["aud"] = BASE.into();
        claims["agreement"] = AGREEMENT.into();
        claims
    }

    fn delegation_parts(&self, broker: &Key) -> (Value, Value) {
        let header = json!({ "typ": "delegation+jwt", "alg": "ES256", "jwk": self.key.public });
        let claims = json!({
            "iss": WEBID, "act": { "sub": BROKER, "cnf": { "jkt": broker.jkt() } }, "agreements": [AGREEMENT],
            "purpose": PURPOSE, "iat": self.now(), "exp": self.now() + 300, "jti": SystemRandom.token(8),
        });
        (header, claims)
    }

    async fn present_by(&self, broker: &Key, token: &str, delegation: &str) -> Result<Credentials, AuthnRejection> {
        let proof = broker.proof(token, self.now());
        self.ask(&[
            (AUTHORIZATION, format!("DPoP {token}")),
            (client::DPOP, proof),
            (DELEGATION, delegation.to_owned()),
        ])
        .await
    }
}

#[tokio::test]
async fn the_consumer_itself_and_its_broker_are_told_apart() {
    let fixture = Fixture::new();
    let token = fixture.issuer.sign(&fixture.agreement_claims()).unwrap();
    let own = fixture.present_token(&token).await.unwrap();
    assert_eq!(own.agent, Agent::Authenticated(WebId::parse(WEBID).unwrap()));
    let grant = AgreementGrant {
        agreement: AGREEMENT.to_owned(),
        purpose: None,
        via: None,
        until: fixture.now() + 600,
    };
    assert_eq!(own.grant, Some(grant.clone()));

    let broker = Key::new();
    let (header, claims) = fixture.delegation_parts(&broker);
    let delegation = compact(&header, &claims, &*fixture.key.signer).unwrap();
    for _ in 0..3 {
        // One delegation serves all sub-queries of a query; each has a proof of its own.
        let by_broker = fixture.present_by(&broker, &token, &delegation).await.unwrap();
        let grant = AgreementGrant {
            purpose: Some(PURPOSE.to_owned()),
            via: Some(BROKER.to_owned()),
            until: fixture.now() + 300,
            ..grant.clone()
        };
        assert_eq!((by_broker.agent, by_broker.grant), (own.agent.clone(), Some(grant)));
    }
    assert!(
        said(fixture.present(&token, &broker.proof(&token, fixture.now())).await).contains("bound to"),
        "no delegation"
    );
    fixture.clock.advance(300);
    let said = said(fixture.present_by(&broker, &token, &delegation).await);
    assert!(
        said.contains("delegation has expired"),
        "remembered, yet expired: {said}"
    );
}

#[tokio::test]
async fn every_change_to_a_good_delegation_is_refused() {
    type Change = fn(&mut Value, &mut Value, &Fixture);
    let cases: &[(&str, Change, &str)] = &[
        (
            "typ",
            |header, _, _| header["typ"] = "JWT".into(),
            "type is not delegation+jwt",
        ),
        (
            "alg none",
            |header, _, _| header["alg"] = "none".into(),
            "algorithm is not accepted",
        ),
        (
            "no key",
            |header, _, _| drop(header.as_object_mut().unwrap().remove("jwk")),
            "carries no public key",
        ),
        (
            "private key",
            |header, _, fixture| header["jwk"] = fixture.key.private.clone().into(),
            "not an accepted public key",
        ),
        (
            "other key named",
            |header, _, _| header["jwk"] = Key::new().public.into(),
            "signature is wrong",
        ),
        (
            "other consumer",
            |_, claims, _| claims["iss"] = "https://pod.example/piet/profile/card#me".into(),
            "not by the consumer",
        ),
        ("no WebID", |_, claims, _| claims["iss"] = "jan".into(), "not a WebID"),
        (
            "other broker key",
            |_, claims, _| claims["act"]["cnf"]["jkt"] = "x".into(),
            "not by the key that the delegation names",
        ),
        (
            "no actor",
            |_, claims, _| drop(claims.as_object_mut().unwrap().remove("act")),
            "missing or of the wrong type",
        ),
        (
            "other agreement",
            |_, claims, _| claims["agreements"] = json!(["https://pod.example/2"]),
            "does not cover",
        ),
        (
            "no agreement",
            |_, claims, _| claims["agreements"] = json!([]),
            "no agreement",
        ),
        (
            "agreement as text",
            |_, claims, _| claims["agreements"] = AGREEMENT.into(),
            "missing or of the wrong type",
        ),
        ("no purpose", |_, claims, _| claims["purpose"] = "".into(), "no purpose"),
        (
            "too long",
            |_, claims, fixture| claims["exp"] = (fixture.now() + 301).into(),
            "lives too long",
        ),
        (
            "expired",
            |_, claims, fixture| {
                (claims["iat"], claims["exp"]) = ((fixture.now() - 100).into(), fixture.now().into());
            },
            "has expired",
        ),
        (
            "future",
            |_, claims, fixture| {
                (claims["iat"], claims["exp"]) = ((fixture.now() + 60).into(), (fixture.now() + 120).into());
            },
            "lies in the future",
        ),
        (
            "ends before it begins",
            |_, claims, fixture| claims["iat"] = (fixture.now() + 400).into(),
            "lies in the future",
        ),
        (
            "exp as text",
            |_, claims, _| claims["exp"] = "never".into(),
            "missing or of the wrong type",
        ),
    ];
    let fixture = Fixture::new();
    let broker = Key::new();
    let token = fixture.issuer.sign(&fixture.agreement_claims()).unwrap();
    for (name, change, expected) in cases {
        let (mut header, mut claims) = fixture.delegation_parts(&broker);
        change(&mut header, &mut claims, &fixture);
        let delegation = compact(&header, &claims, &*fixture.key.signer).unwrap();
        let said = said(fixture.present_by(&broker, &token, &delegation).await);
        assert!(said.starts_with("401") && said.contains(expected), "{name}: {said}");
    }
    // A stranger who holds the token signs a delegation to itself.
    let thief = Key::new();
    let (mut header, claims) = fixture.delegation_parts(&thief);
    header["jwk"] = thief.public.clone().into();
    let delegation = compact(&header, &claims, &*thief.signer).unwrap();
    assert!(said(fixture.present_by(&thief, &token, &delegation).await).contains("not by the consumer"));
    // Somebody else shows a genuine delegation.
    let (header, claims) = fixture.delegation_parts(&broker);
    let delegation = compact(&header, &claims, &*fixture.key.signer).unwrap();
    assert!(
        said(fixture.present_by(&thief, &token, &delegation).await)
            .contains("not by the key that the delegation names")
    );
    let twice = fixture
        .ask(&[
            (AUTHORIZATION, format!("DPoP {token}")),
            (client::DPOP, broker.proof(&token, fixture.now())),
            (DELEGATION, delegation.clone()),
            (DELEGATION, delegation),
        ])
        .await;
    assert!(said(twice).contains("more than one Delegation"));
}

#[tokio::test]
async fn an_agreement_token_is_for_one_server_and_by_it() {
    let fixture = Fixture::new();
    type Change = fn(&mut Value);
    let changes: [Change; 5] = [
        |claims| claims["aud"] = "https://other.example/".into(),
        |claims| claims["aud"] = json!([BASE, "https://other.example/"]),
        |claims| claims["aud"] = "solid".into(),
        |claims| claims["sub"] = "https://pod.example/piet/profile/card#me".into(),
        |claims| drop(claims.as_object_mut().unwrap().remove("sub")),
    ];
    for change in changes {
        let mut claims = fixture.agreement_claims();
        change(&mut claims);
        let token = fixture.issuer.sign(&claims).unwrap();
        assert!(
            said(fixture.present_token(&token).await).contains("not issued by this server for this server"),
            "{claims}"
        );
    }
    let mut claims = fixture.agreement_claims();
    claims["iss"] = "https://elsewhere.example/".into();
    let token = fixture.issuer.sign(&claims).unwrap();
    assert!(said(fixture.present_token(&token).await).contains("not issued by this server"));
}

#[tokio::test]
async fn a_broker_reads_what_the_asking_side_signs() {
    let fixture = Fixture::new();
    let directory = tempfile::tempdir().unwrap();
    let consumer = DpopKey::load_or_generate(&directory.path().join("key")).unwrap();
    let again = DpopKey::load(&directory.path().join("key")).unwrap().unwrap();
    assert_eq!(consumer.thumbprint(), again.thumbprint());
    let broker = DpopKey::generate().unwrap();
    let agreements = [AGREEMENT.to_owned()];
    let terms = DelegationTerms {
        consumer: WEBID,
        broker: BROKER,
        broker_jkt: broker.thumbprint(),
        agreements: &agreements,
        purpose: PURPOSE,
        seconds: 300,
    };
    let text = consumer.delegation(&terms, fixture.now(), &SystemRandom).unwrap();
    let delegation = fixture.authenticator.verify_delegation(&text).unwrap();
    assert_eq!(
        (delegation.jkt.as_str(), delegation.broker_jkt.as_str()),
        (consumer.thumbprint(), broker.thumbprint())
    );

    let mut claims = fixture.agreement_claims();
    claims["cnf"]["jkt"] = consumer.thumbprint().into();
    let token = fixture.issuer.sign(&claims).unwrap();
    let mut headers = HeaderMap::new();
    broker
        .authorize(
            &mut headers,
            &Method::GET,
            &format!("{URL}?query=1"),
            &token,
            fixture.now(),
            &SystemRandom,
        )
        .unwrap();
    headers.insert(DELEGATION, text.parse().unwrap());
    let credentials = fixture
        .authenticator
        .authenticate(&Method::GET, URL, &headers)
        .await
        .unwrap();
    assert_eq!(credentials.grant.and_then(|grant| grant.via).as_deref(), Some(BROKER));

    // At the broker: the caller's own token and proof, and a delegation that is the broker's to read.
    let mut claims = fixture.claims();
    claims["cnf"]["jkt"] = consumer.thumbprint().into();
    let own = fixture.issuer.sign(&claims).unwrap();
    let mut headers = HeaderMap::new();
    consumer
        .authorize(&mut headers, &Method::GET, URL, &own, fixture.now(), &SystemRandom)
        .unwrap();
    headers.insert(DELEGATION, text.parse().unwrap());
    assert_eq!(
        fixture
            .authenticator
            .authenticate(&Method::GET, URL, &headers)
            .await
            .unwrap()
            .grant,
        None
    );
}
