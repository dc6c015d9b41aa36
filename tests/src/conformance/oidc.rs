//! Our reading of the 24 cases of solid-oidc-tests: what an issuer says about itself, and what its ID token holds after a
//! person has logged in over the real pages. And what an application then does with the tokens, and what is refused: the
//! cases whose names begin with `use`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use josekit::jwk::Jwk;
use josekit::{jws, jwt};
use oxttl::TurtleParser;
use serde_json::{Value, json};
use server_kit::authn::client::DpopKey;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;
use server_kit::tls::{RootsConfig, client_config};

use super::ConformanceError;
use super::baseline::{Case, Outcome};
use super::subject::Subject;
use crate::console::{Answer, Failure, Tokens, Visitor, Wire, parameter, pkce, send};

/// Where people come back to.
const REDIRECT_URI: &str = "https://app.example/callback";

/// The relation by which a WebID names its issuer.
const OIDC_ISSUER: &str = "http://www.w3.org/ns/solid/terms#oidcIssuer";

impl From<Failure> for ConformanceError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

/// Runs all cases against a server over TLS.
///
/// # Errors
/// When an exchange breaks off, or nobody can log in.
pub async fn run(subject: &Subject) -> Result<Vec<Case>, ConformanceError> {
    let mut cases = Cases::default();
    let net = Net::new(&subject.ca)?;
    let metadata = net
        .get(&format!("{}.well-known/openid-configuration", subject.issuer))
        .await?
        .json()?;
    discovery(&mut cases, subject, &metadata);
    let provider = Provider {
        net: &net,
        subject,
        metadata: &metadata,
    };
    let application = provider.register(json!({})).await?;
    let (login, verifier) = provider.log_in(&application).await?;
    let code = parameter(&login, "code").ok_or_else(|| ConformanceError(format!("no code: {login}")))?;
    let issuer = text(&metadata, "issuer");
    cases.check(
        "use: the answer to a login names its issuer",
        parameter(&login, "iss").as_deref() == Some(issuer),
        &login,
    );
    let other = provider
        .redeem(&application, &code, "a verifier of somebody else")
        .await?;
    cases.refused("use: a code with another verifier", &other, 400);
    // A code that was tried with a wrong verifier may be spent, so that nobody can guess.
    let (login, verifier) = match other.status {
        StatusCode::BAD_REQUEST => provider.log_in(&application).await?,
        _ => (login, verifier),
    };
    let code = parameter(&login, "code").unwrap_or_default();
    let answer = provider.redeem(&application, &code, &verifier).await?;
    let token = answer.json()?;
    id_token(&mut cases, &provider, &application, &token).await?;
    let tokens = Tokens::read(&answer)?;
    access(&mut cases, &provider, &application, &tokens).await?;
    let again = provider.redeem(&application, &code, &verifier).await?;
    cases.refused("use: a code a second time", &again, 400);
    requests(&mut cases, &provider, &application).await?;
    other_algorithm(&mut cases, &provider).await?;
    Ok(cases.0)
}

/// What was found so far.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn check(&mut self, name: &str, holds: bool, told: impl std::fmt::Display) {
        let outcome = if holds { Outcome::Passed } else { Outcome::Failed };
        self.0.push(Case {
            name: name.to_owned(),
            outcome,
            told: if holds { String::new() } else { told.to_string() },
        });
    }

    fn refused(&mut self, name: &str, answer: &Answer, status: u16) {
        let told = format!("{} {}", answer.status, answer.body);
        self.check(name, answer.status.as_u16() == status, told);
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a member is a list that holds one of some words, or is the word itself.
fn lists(value: &Value, name: &str, words: &[&str]) -> bool {
    match value.get(name) {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(|one| words.contains(&one)),
        Some(Value::String(one)) => words.contains(&one.as_str()),
        _ => false,
    }
}

/// The 14 cases of the metadata (OpenID Connect Discovery §3, RFC 8414, RFC 9449, Solid-OIDC §6.1 and §9).
fn discovery(cases: &mut Cases, subject: &Subject, metadata: &Value) {
    cases.check(
        "MetadataIssuer",
        text(metadata, "issuer") == subject.issuer,
        text(metadata, "issuer"),
    );
    for (case, member, words) in [
        ("MetadataWebidClaim", "claims_supported", &["webid"][..]),
        (
            "MetadataProofKeyCodeExchange",
            "code_challenge_methods_supported",
            &["S256"],
        ),
        (
            "MetadataAuthorizationCodeGrant",
            "grant_types_supported",
            &["authorization_code"],
        ),
        (
            "MetadataDpopAlgorithm",
            "dpop_signing_alg_values_supported",
            &["ES256", "RS256"],
        ),
        (
            "MetadataSigningAlgorithm",
            "id_token_signing_alg_values_supported",
            &["RS256"],
        ),
        (
            "MetadataSubjectTypesSupported",
            "subject_types_supported",
            &["public", "pairwise"],
        ),
        ("MetadataResponseType", "response_types_supported", &["code"]),
        ("MetadataWebidScope", "scopes_supported", &["webid"]),
        (
            "use: the metadata say that this is Solid-OIDC",
            "solid_oidc_supported",
            &["https://solidproject.org/TR/solid-oidc"],
        ),
    ] {
        let told = format!("`{member}` is {}", metadata.get(member).unwrap_or(&Value::Null));
        cases.check(case, lists(metadata, member, words), told);
    }
    for (case, member) in [
        ("MetadataDynamicRegistration", "registration_endpoint"),
        ("MetadataLogout", "end_session_endpoint"),
        ("MetadataTokenEndpoint", "token_endpoint"),
        ("MetadataAuthorizationEndpoint", "authorization_endpoint"),
        ("MetadataJwksEndpoint", "jwks_uri"),
    ] {
        let url = text(metadata, member);
        cases.check(case, url.starts_with("https://"), format!("`{member}` is `{url}`"));
    }
}

/// The ten cases of the token response and the ID token (OpenID Connect Core §2, Solid-OIDC §5).
async fn id_token(
    cases: &mut Cases,
    provider: &Provider<'_>,
    application: &Application,
    response: &Value,
) -> Result<(), ConformanceError> {
    cases.check("TokenType", text(response, "token_type") == "DPoP", response);
    let token = text(response, "id_token");
    let claims = Tokens::claims(token)?;
    let issuer = text(provider.metadata, "issuer");
    let now = SystemClock.unix();
    let moment = |name: &str| claims.get(name).and_then(Value::as_i64);
    cases.check("IdTokenIssuerClaim", text(&claims, "iss") == issuer, &claims);
    let validated = provider.validates(token, "ES256").await?;
    cases.check(
        "IdTokenValidation",
        validated.is_ok(),
        validated.err().unwrap_or_default(),
    );
    cases.check(
        "IdTokenAudienceClaim",
        lists(&claims, "aud", &[&application.id]),
        &claims,
    );
    cases.check("IdTokenAudienceClaimSolid", lists(&claims, "aud", &["solid"]), &claims);
    cases.check(
        "IdTokenAuthorizedPartyClaim",
        text(&claims, "azp") == application.id,
        &claims,
    );
    let web_id = text(&claims, "webid");
    cases.check("IdTokenWebidClaim", web_id == provider.subject.alice.web_id, &claims);
    let in_time = moment("iat").is_some_and(|at| at <= now + 60);
    cases.check("IdTokenIatClaim", in_time, &claims);
    cases.check("IdTokenExpClaim", moment("exp").is_some_and(|at| at > now), &claims);

    let document = provider.net.get(web_id.split('#').next().unwrap_or(web_id)).await?;
    let wanted = [format!("<{issuer}>"), format!("rel=\"{OIDC_ISSUER}\"")];
    let linked = document.headers.get_all("link").iter().any(|value| {
        let links = value.to_str().unwrap_or_default().split(", <");
        let mut links = links.map(|link| format!("<{}", link.trim_start_matches('<')));
        links.any(|link| wanted.iter().all(|part| link.contains(part)))
    });
    let headers = format!("{:?}", document.headers);
    cases.check("WebidHeaderDiscovery", linked, headers);
    let says = TurtleParser::new()
        .for_slice(&document.body)
        .filter_map(Result::ok)
        .any(|triple| {
            triple.subject.to_string() == format!("<{web_id}>")
                && triple.predicate.as_str() == OIDC_ISSUER
                && triple.object.to_string() == format!("<{issuer}>")
        });
    cases.check("use: the WebID document names the issuer", says, &document.body);
    Ok(())
}

/// What the access token opens at the resource server, and what opens nothing (Solid-OIDC §6, RFC 9449 §7).
async fn access(
    cases: &mut Cases,
    provider: &Provider<'_>,
    application: &Application,
    tokens: &Tokens,
) -> Result<(), ConformanceError> {
    let net = provider.net;
    let place = format!("{}oidc-case.txt", provider.subject.alice.storage);
    let bound = |token: &str, key: &DpopKey, method: &Method, url: &str| -> Result<HeaderMap, Failure> {
        let proof = key.proof(method, url, Some(token), SystemClock.unix(), &SystemRandom)?;
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("DPoP {token}").parse()?);
        headers.insert("dpop", proof.parse()?);
        Ok(headers)
    };
    let (put, get, own) = (Method::PUT, Method::GET, &application.key);
    let mut writing = bound(&tokens.access, own, &put, &place)?;
    writing.insert("content-type", "text/plain".parse().map_err(Failure::from)?);
    let written = net
        .ask(put.clone(), &place, writing, Bytes::from_static(b"mine"))
        .await?;
    cases.refused(
        "use: the access token writes what only its person may write",
        &written,
        201,
    );
    let nothing = Bytes::new();
    let reading = bound(&tokens.access, own, &get, &place)?;
    let read = net.ask(get.clone(), &place, reading.clone(), nothing.clone()).await?;
    cases.check(
        "use: the access token reads what only its person may read",
        read.status == StatusCode::OK && read.body == "mine",
        format!("{} {}", read.status, read.body),
    );
    let mut without_proof = bound(&tokens.access, own, &get, &place)?;
    without_proof.remove("dpop");
    let mut as_bearer = without_proof.clone();
    as_bearer.insert(
        "authorization",
        format!("Bearer {}", tokens.access).parse().map_err(Failure::from)?,
    );
    let elsewhere = format!("{}somewhere-else", provider.subject.alice.storage);
    for (case, headers) in [
        ("use: nobody", HeaderMap::new()),
        ("use: the same proof a second time", reading),
        ("use: an access token without a proof", without_proof),
        ("use: an access token as a bearer token", as_bearer),
        (
            "use: a proof by another key",
            bound(
                &tokens.access,
                &DpopKey::generate().map_err(Failure::from)?,
                &get,
                &place,
            )?,
        ),
        (
            "use: a proof for another address",
            bound(&tokens.access, own, &get, &elsewhere)?,
        ),
        (
            "use: a proof for another method",
            bound(&tokens.access, own, &put, &place)?,
        ),
        (
            "use: an ID token in place of an access token",
            bound(&tokens.id, own, &get, &place)?,
        ),
    ] {
        let answer = net.ask(get.clone(), &place, headers, nothing.clone()).await?;
        cases.refused(case, &answer, 401);
    }
    Ok(())
}

/// Requests for authorization that must lead nowhere (RFC 9700 §4.1, RFC 7636).
async fn requests(
    cases: &mut Cases,
    provider: &Provider<'_>,
    application: &Application,
) -> Result<(), ConformanceError> {
    let (_, challenge) = pkce();
    let ask = async |changes: &[(&str, &str)]| {
        let url = provider.authorization(application, &challenge, changes);
        Ok::<_, ConformanceError>(provider.visitor()?.open(&url).await?)
    };
    for (case, changes) in [
        (
            "use: a return to another address",
            [("redirect_uri", "https://app.example/callback/")],
        ),
        ("use: an application that nobody knows", [("client_id", "nobody")]),
    ] {
        let answer = ask(&changes).await?;
        let told = format!("{} to {}", answer.status, answer.location());
        cases.check(case, answer.status == 400 && answer.location().is_empty(), told);
    }
    for (case, changes) in [
        ("use: no code challenge", [("code_challenge", ""), ("state", "s")]),
        (
            "use: a plain code challenge",
            [("code_challenge_method", "plain"), ("state", "s")],
        ),
        ("use: an implicit flow", [("response_type", "token"), ("state", "s")]),
    ] {
        let answer = ask(&changes).await?;
        let back = answer.location();
        // On the server's own page, or told to the application; never with a code (T38).
        let told = back.starts_with(REDIRECT_URI) && parameter(back, "error").is_some();
        let refused = told || (answer.status == 400 && back.is_empty());
        let given = parameter(back, "code").is_some();
        cases.check(case, refused && !given, format!("{} to {back}", answer.status));
    }
    Ok(())
}

/// Whoever asks for RS256, as the metadata offer it, gets it (OpenID Connect Core §2).
async fn other_algorithm(cases: &mut Cases, provider: &Provider<'_>) -> Result<(), ConformanceError> {
    let wanted = json!({ "id_token_signed_response_alg": "RS256" });
    let application = provider.register(wanted).await?;
    let (login, verifier) = provider.log_in(&application).await?;
    let code = parameter(&login, "code").unwrap_or_default();
    let answer = provider.redeem(&application, &code, &verifier).await?;
    let validated = provider.validates(&Tokens::read(&answer)?.id, "RS256").await?;
    cases.check(
        "use: an ID token that is signed with RS256",
        validated.is_ok(),
        validated.err().unwrap_or_default(),
    );
    Ok(())
}

/// The network as somebody sees it who trusts one authority.
struct Net {
    trust: Arc<rustls::ClientConfig>,
}

impl Net {
    fn new(ca: &Path) -> Result<Self, Failure> {
        let trust = client_config(&RootsConfig {
            system_ca_file: None,
            extra_ca_file: Some(ca.to_owned()),
        })?;
        Ok(Self { trust: Arc::new(trust) })
    }

    /// The way to the host of a URL, which is this machine; the authority and the path.
    fn way(&self, url: &str) -> Result<(Wire, String, String), Failure> {
        let url = url::Url::parse(url)?;
        let port = url.port_or_known_default().ok_or("no port")?;
        let host = format!("{}:{port}", url.host_str().ok_or("no host")?);
        let wire = Wire {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            tls: Some(Arc::clone(&self.trust)),
        };
        let path = url
            .query()
            .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok((wire, host, path))
    }

    async fn ask(&self, method: Method, url: &str, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
        let (wire, host, path) = self.way(url)?;
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        send(&wire, None, request.body(Full::new(body))?).await
    }

    async fn get(&self, url: &str) -> Result<Answer, Failure> {
        self.ask(Method::GET, url, HeaderMap::new(), Bytes::new()).await
    }
}

/// An application that registered itself.
struct Application {
    id: String,
    key: DpopKey,
}

/// The issuer under test, used as its metadata say.
struct Provider<'s> {
    net: &'s Net,
    subject: &'s Subject,
    metadata: &'s Value,
}

impl Provider<'_> {
    /// Registers an application without a secret (RFC 7591).
    async fn register(&self, changes: Value) -> Result<Application, ConformanceError> {
        let mut wanted = json!({
            "client_name": "Cases", "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code"], "response_types": ["code"],
        });
        if let (Some(wanted), Value::Object(changes)) = (wanted.as_object_mut(), changes) {
            wanted.extend(changes);
        }
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().map_err(Failure::from)?);
        let place = text(self.metadata, "registration_endpoint");
        let answer = self
            .net
            .ask(Method::POST, place, headers, wanted.to_string().into())
            .await?;
        let told = answer.json()?;
        match (answer.status, text(&told, "client_id")) {
            (StatusCode::CREATED, id) if !id.is_empty() => Ok(Application {
                id: id.to_owned(),
                key: DpopKey::generate().map_err(Failure::from)?,
            }),
            _ => Err(ConformanceError(format!("registration: {} {told}", answer.status))),
        }
    }

    fn visitor(&self) -> Result<Visitor, Failure> {
        let (wire, host, _) = self.net.way(text(self.metadata, "authorization_endpoint"))?;
        Ok(Visitor::over(wire, host))
    }

    /// The path of an authorization request, with changes; an empty value leaves a parameter out.
    fn authorization(&self, application: &Application, challenge: &str, changes: &[(&str, &str)]) -> String {
        let mut parameters = BTreeMap::from([
            ("response_type", "code"),
            ("scope", "openid webid"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("client_id", application.id.as_str()),
            ("redirect_uri", REDIRECT_URI),
        ]);
        parameters.extend(changes.iter().copied());
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters.into_iter().filter(|(_, value)| !value.is_empty()));
        let place = text(self.metadata, "authorization_endpoint");
        let path = self.net.way(place).map(|(_, _, path)| path).unwrap_or_default();
        format!("{path}?{}", query.finish())
    }

    /// Alice logs in on the pages and lets the application in; where she is sent then, and the verifier.
    async fn log_in(&self, application: &Application) -> Result<(String, String), ConformanceError> {
        let (verifier, challenge) = pkce();
        let mut visitor = self.visitor()?;
        let page = visitor.open(&self.authorization(application, &challenge, &[])).await?;
        let (alice, return_to) = (&self.subject.alice, page.hidden("return_to"));
        let fields = [
            ("name", alice.name.as_str()),
            ("password", &alice.password),
            ("return_to", &return_to),
        ];
        let answer = visitor.submit("/login", &fields).await?;
        if answer.status != StatusCode::SEE_OTHER {
            return Err(ConformanceError(format!("login: {} {}", answer.status, answer.body)));
        }
        let page = visitor.open(answer.location()).await?;
        if page.location().starts_with(REDIRECT_URI) {
            // Alice let this application in before.
            return Ok((page.location().to_owned(), verifier));
        }
        let (request, statement) = (page.hidden("request"), page.hidden("statement"));
        let fields = [
            ("request", request.as_str()),
            ("statement", &statement),
            ("decision", "allow"),
        ];
        let answer = visitor.submit("/.oidc/decision", &fields).await?;
        match answer.location() {
            back if back.starts_with(REDIRECT_URI) => Ok((back.to_owned(), verifier)),
            _ => Err(ConformanceError(format!("consent: {} {}", answer.status, answer.body))),
        }
    }

    async fn redeem(&self, application: &Application, code: &str, verifier: &str) -> Result<Answer, ConformanceError> {
        let place = text(self.metadata, "token_endpoint");
        let proof = application
            .key
            .proof(&Method::POST, place, None, SystemClock.unix(), &SystemRandom)
            .map_err(Failure::from)?;
        let mut headers = HeaderMap::new();
        let form = "application/x-www-form-urlencoded";
        headers.insert("content-type", form.parse().map_err(Failure::from)?);
        headers.insert("dpop", proof.parse().map_err(Failure::from)?);
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs([
            ("client_id", application.id.as_str()),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", REDIRECT_URI),
        ]);
        Ok(self.net.ask(Method::POST, place, headers, body.finish().into()).await?)
    }

    /// Whether a token's signature is that of a published key for an algorithm; else why not.
    async fn validates(&self, token: &str, algorithm: &str) -> Result<Result<(), String>, ConformanceError> {
        let keys = self.net.get(text(self.metadata, "jwks_uri")).await?.json()?;
        let header = token.split('.').next().unwrap_or_default();
        let header = URL_SAFE_NO_PAD
            .decode(header)
            .map_err(|error| ConformanceError(error.to_string()))?;
        let header: Value = serde_json::from_slice(&header)?;
        if text(&header, "alg") != algorithm {
            return Ok(Err(format!("the token is signed with {header}")));
        }
        let published = keys.get("keys").and_then(Value::as_array).into_iter().flatten();
        let named = published
            .filter_map(Value::as_object)
            .find(|key| key.get("kid") == header.get("kid"));
        let Some(key) = named else {
            return Ok(Err(format!("no published key has the name in {header}")));
        };
        let verified = Jwk::from_map(key.clone()).and_then(|key| {
            if algorithm == "RS256" {
                jwt::decode_with_verifier(token, &jws::RS256.verifier_from_jwk(&key)?)
            } else {
                jwt::decode_with_verifier(token, &jws::ES256.verifier_from_jwk(&key)?)
            }
        });
        Ok(verified.map(drop).map_err(|error| error.to_string()))
    }
}
