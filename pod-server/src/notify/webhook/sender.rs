//! Who sends webhooks: a WebID of the server with a key, and the two proofs that each delivery carries (solid#108).
//!
//! A receiver can check either: the HTTP message signature (RFC 9421) with the key in the sender's document, or, as
//! with any Solid request, the DPoP-bound token of the issuer that the document names.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use oxrdf::{GraphName, Literal, NamedNode, Quad};
use serde_json::{Value, json};
use server_kit::authn::LocalIssuer;
use server_kit::authn::client::{ClientError, DpopKey};
use server_kit::random::Random;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use url::Url;

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::ldp::description::Described;
use crate::ldp::document::Document;

/// Name of the key's file in the store's directory.
const KEY_FILE: &str = "notification-sender.key";
/// Life of the token of one delivery, in seconds.
const TOKEN_SECONDS: i64 = 300;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");

const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const RDF_JSON: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON";
const OIDC_ISSUER: &str = "http://www.w3.org/ns/solid/terms#oidcIssuer";
const SECURITY: &str = "https://w3id.org/security#";
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// The sender of one server.
pub struct Sender {
    web_id: String,
    key_id: String,
    key: DpopKey,
    issuer: Arc<LocalIssuer>,
    random: Arc<dyn Random>,
}

impl Sender {
    /// The sender with its key, which is made on first use.
    ///
    /// # Errors
    /// When the key file cannot be used.
    pub fn load_or_generate(
        directory: &Path,
        base_url: &str,
        issuer: Arc<LocalIssuer>,
        random: Arc<dyn Random>,
    ) -> Result<Self, ClientError> {
        let document = format!("{base_url}.notifications/sender");
        Ok(Self {
            web_id: format!("{document}#it"),
            key_id: format!("{document}#key"),
            key: DpopKey::load_or_generate(&directory.join(KEY_FILE))?,
            issuer,
            random,
        })
    }

    /// Its WebID: `sender` of webhook channels.
    #[must_use]
    pub fn web_id(&self) -> &str {
        &self.web_id
    }

    /// The header fields that authenticate the delivery of a body to a URL.
    ///
    /// # Errors
    /// When signing fails or the URL is none.
    pub fn authenticate(&self, send_to: &str, media_type: &str, body: &[u8], now: i64) -> Result<HeaderMap, Error> {
        let url = target(send_to)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value(media_type)?);
        let claims = json!({
            "iss": self.issuer.issuer(),
            "aud": "solid",
            "webid": self.web_id,
            "sub": self.web_id,
            "client_id": self.web_id,
            "azp": self.web_id,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": self.random.token(16),
            "cnf": { "jkt": self.key.thumbprint() },
        });
        let token = self.issuer.sign(&claims).map_err(failed)?;
        self.key
            .authorize(&mut headers, &Method::POST, &url, &token, now, &*self.random)
            .map_err(failed)?;
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
        let parameters = format!(
            "(\"@method\" \"@target-uri\" \"content-type\" \"content-digest\");created={now};keyid=\"{}\";\
             alg=\"ecdsa-p256-sha256\"",
            self.key_id
        );
        // RFC 9421 §2.5: one line for each component, the parameters last.
        let base = format!(
            "\"@method\": POST\n\"@target-uri\": {url}\n\"content-type\": {media_type}\n\"content-digest\": {digest}\n\
             \"@signature-params\": {parameters}"
        );
        let signature = self.key.sign(base.as_bytes()).map_err(failed)?;
        headers.insert(CONTENT_DIGEST, value(&digest)?);
        headers.insert(SIGNATURE_INPUT, value(&format!("sig={parameters}"))?);
        headers.insert(SIGNATURE, value(&format!("sig=:{}:", STANDARD.encode(signature)))?);
        Ok(headers)
    }

    /// The document in which receivers find the sender's issuer and key.
    #[must_use]
    pub(crate) fn describe(&self) -> Described {
        let key = Value::Object(self.key.public_jwk().clone());
        let mut quads = Vec::new();
        let mut say = |subject: &str, predicate: &str, object: oxrdf::Term| {
            let subject = NamedNode::new_unchecked(subject);
            let predicate = NamedNode::new_unchecked(predicate);
            quads.push(Quad::new(subject, predicate, object, GraphName::DefaultGraph));
        };
        let node = |iri: &str| oxrdf::Term::from(NamedNode::new_unchecked(iri));
        let security = |name: &str| format!("{SECURITY}{name}");
        say(&self.web_id, OIDC_ISSUER, node(self.issuer.issuer()));
        say(&self.web_id, &security("assertionMethod"), node(&self.key_id));
        say(&self.web_id, &security("verificationMethod"), node(&self.key_id));
        say(&self.key_id, RDF_TYPE, node(&security("JsonWebKey")));
        say(&self.key_id, &security("controller"), node(&self.web_id));
        let text = Literal::new_typed_literal(key.to_string(), NamedNode::new_unchecked(RDF_JSON));
        say(&self.key_id, &security("publicKeyJwk"), text.into());
        let json = json!({
            "@context": {
                "@version": 1.1,
                "id": "@id",
                "type": "@type",
                "JsonWebKey": security("JsonWebKey"),
                "oidcIssuer": { "@id": OIDC_ISSUER, "@type": "@id" },
                "assertionMethod": { "@id": security("assertionMethod"), "@type": "@id" },
                "verificationMethod": { "@id": security("verificationMethod"), "@type": "@id" },
                "controller": { "@id": security("controller"), "@type": "@id" },
                "publicKeyJwk": { "@id": security("publicKeyJwk"), "@type": "@json" },
            },
            "id": self.web_id,
            "oidcIssuer": self.issuer.issuer(),
            "assertionMethod": [self.key_id],
            "verificationMethod": [{
                "id": self.key_id,
                "type": "JsonWebKey",
                "controller": self.web_id,
                "publicKeyJwk": key,
            }],
        });
        Described {
            document: Document {
                quads,
                prefixes: vec![
                    ("solid".to_owned(), "http://www.w3.org/ns/solid/terms#".to_owned()),
                    ("sec".to_owned(), SECURITY.to_owned()),
                ],
            },
            json: Some(json),
            modified: 0,
            link: None,
            allow: ALLOW,
            // As for every WebID.
            favourite: Syntax::Turtle,
        }
    }
}

/// The URL as the request is sent to it, without a fragment.
fn target(send_to: &str) -> Result<String, Error> {
    let mut url = Url::parse(send_to).map_err(|error| Error::Internal(format!("`sendTo` is no URL: {error}")))?;
    url.set_fragment(None);
    Ok(url.into())
}

fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|error| Error::Internal(format!("`{text}` is no header value: {error}")))
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("a delivery could not be signed: {error}"))
}
