//! The HTTP interface of consents: `/{storage}/.consent/…`, in JSON, and records also as Turtle and JSON-LD with DPV's
//! terms.

use http::{HeaderValue, Method, StatusCode, header};
use oxrdf::{GraphName, Quad, Triple};
use policies::consent::{from_quads, to_quads};
use serde::Deserialize;
use server_kit::problem::Problem;
use time::OffsetDateTime;

use super::service::{ConsentTerms, Consents, Decision, refused};
use super::stored::StoredConsent;
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::graph::{self, Syntax};
use crate::identity::CONSENT_SCOPE;
use crate::name::ResourceName;
use crate::store::Storage;

/// Most triples of one consent record.
const RECORD_TRIPLES_MAX: usize = 1_000;

/// Storages read at a time for a bulk request.
const BATCH: usize = 1_000;

/// Body of a bulk request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    /// Names of the storages to ask.
    storages: Vec<String>,
    /// What for.
    consent: ConsentTerms,
}

/// Body of a yes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Yes {
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

impl Consents {
    /// Answers a call below `/{storage}/.consent/`; none for any other path.
    pub async fn respond(&self, call: &Call) -> Option<Answer> {
        let segments: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            [storage, ".consent", rest @ ..] => Some(self.in_storage(call, storage, rest).await),
            _ => None,
        }
    }

    async fn in_storage(&self, call: &Call, storage: &str, rest: &[&str]) -> Answer {
        let caller = call.web_id()?.as_str();
        let storage = self.node.storage(&*self.node.snapshot()?, storage)?;
        match (rest, &call.method) {
            ([] | [""], &Method::POST) => self.post(call, &storage, caller).await,
            ([] | [""], &Method::GET) => {
                self.person(call, &storage, caller).await?;
                self.listed(&storage)
            }
            ([] | [""], method) => Err(edge::method_not_allowed(method, "GET, POST")),
            (["requests"], &Method::POST) => self.bulk(call, &storage, caller).await,
            (["requests"], method) => Err(edge::method_not_allowed(method, "POST")),
            ([id], &Method::GET) => self.read_one(call, &storage, caller, id).await,
            ([_], method) => Err(edge::method_not_allowed(method, "GET")),
            ([id, verb @ ("give" | "refuse" | "withdraw")], &Method::POST) => {
                self.person(call, &storage, caller).await?;
                let decision = match *verb {
                    "give" => {
                        may_give(call)?;
                        let yes: Yes = if call.body.is_empty() {
                            Yes::default()
                        } else {
                            call.json()?
                        };
                        Decision::Give(yes.expires_at)
                    }
                    "refuse" => Decision::Refuse,
                    _ => Decision::Withdraw,
                };
                let consent = self.decide(&storage, id, decision).await?;
                edge::json(StatusCode::OK, &described(id, &consent, self.node.clock.now()))
            }
            ([_, "give" | "refuse" | "withdraw"], method) => Err(edge::method_not_allowed(method, "POST")),
            _ => Err(edge::not_found(&call.iri)),
        }
    }

    /// Only the person goes on; for everyone else there is nothing here, and the attempt is recorded.
    async fn person(&self, call: &Call, storage: &Storage, caller: &str) -> Result<(), Problem> {
        if caller == storage.owner {
            return Ok(());
        }
        self.node.note(refused(Some(caller), storage, &call.iri)).await?;
        Err(edge::not_found(&call.iri))
    }

    async fn post(&self, call: &Call, storage: &Storage, caller: &str) -> Answer {
        let own = caller == storage.owner;
        if !own && !self.may_ask(caller)? {
            self.node.note(refused(Some(caller), storage, &call.iri)).await?;
            return Err(edge::not_found(&call.iri));
        }
        if own {
            may_give(call)?;
        }
        let (id, consent) = if is_rdf(call) {
            if !own {
                return Err(edge::unprocessable(
                    "invalid-consent",
                    "a request for consent is sent as `application/json`",
                ));
            }
            self.give_record(storage, self.record(call, storage)?).await?
        } else {
            let terms: ConsentTerms = call.json()?;
            if own {
                self.give(storage, terms).await?
            } else {
                self.request(storage, &terms, caller).await?
            }
        };
        let iri = consent.current().map(|record| record.id.clone()).unwrap_or_default();
        edge::json(StatusCode::CREATED, &described(&id, &consent, self.node.clock.now()))
            .map(|response| edge::located(response, &iri))
    }

    /// A consent record in Turtle or JSON-LD.
    fn record(&self, call: &Call, storage: &Storage) -> Result<policies::consent::ConsentRecord, Problem> {
        let syntax = Syntax::of_content(&call.headers).map_err(|error| edge::graph_problem(&error))?;
        let base = format!("{}.consent/new", storage.root.iri(&self.node.origins));
        let graph =
            graph::read(&call.body, syntax, &base, RECORD_TRIPLES_MAX).map_err(|error| edge::graph_problem(&error))?;
        let quads: Vec<Quad> = graph
            .iter()
            .map(|triple| triple.into_owned().in_graph(GraphName::DefaultGraph))
            .collect();
        from_quads(&quads).map_err(|error| edge::unprocessable("invalid-consent", error.to_string()))
    }

    async fn read_one(&self, call: &Call, storage: &Storage, caller: &str, id: &str) -> Answer {
        let consent = self.read(storage, id).ok();
        let allowed = caller == storage.owner
            || consent
                .as_ref()
                .is_some_and(|consent| consent.requested_by.as_deref() == Some(caller));
        let (Some(consent), true) = (consent, allowed) else {
            if caller != storage.owner {
                self.node.note(refused(Some(caller), storage, &call.iri)).await?;
            }
            return Err(edge::not_found(&call.iri));
        };
        match wants_rdf(call) {
            Some(syntax) => Ok(edge::revalidated(call, syntax, as_rdf(&consent, syntax)?)),
            None => edge::json(StatusCode::OK, &described(id, &consent, self.node.clock.now())),
        }
    }

    fn listed(&self, storage: &Storage) -> Answer {
        let now = self.node.clock.now();
        let consents: Vec<_> = self
            .list(storage)?
            .iter()
            .map(|(id, consent)| described(id, consent, now))
            .collect();
        edge::json(StatusCode::OK, &serde_json::json!({ "consents": consents }))
    }

    /// Asks many people at once. Only the owner of the umbrella storage under whose name it is called may.
    async fn bulk(&self, call: &Call, umbrella: &Storage, caller: &str) -> Answer {
        let name = umbrella.root.as_str().trim_matches('/');
        if caller != umbrella.owner || !self.config.umbrella_storages.iter().any(|known| known == name) {
            self.node.note(refused(Some(caller), umbrella, &call.iri)).await?;
            return Err(edge::not_found(&call.iri));
        }
        let bulk: Bulk = call.json()?;
        if bulk.storages.len() > self.config.bulk_subjects_max {
            let detail = format!("at most {} storages in one request", self.config.bulk_subjects_max);
            return Err(edge::unprocessable("too-many-subjects", detail));
        }
        let (mut asked, mut unknown) = (Vec::new(), Vec::new());
        for chunk in bulk.storages.chunks(BATCH) {
            let mut found = Vec::new();
            {
                let snapshot = self.node.snapshot()?;
                for name in chunk {
                    let root = ResourceName::parse(&format!("/{name}/")).ok();
                    let storage = root.and_then(|root| snapshot.storage(&root).transpose()).transpose();
                    match storage.map_err(|error| edge::store_problem(&error))? {
                        Some(storage) => found.push(storage),
                        None => unknown.push(name.clone()),
                    }
                }
            }
            // Concurrent commits share a sync.
            let requests = found.iter().map(|storage| self.request(storage, &bulk.consent, caller));
            for request in futures_util::future::join_all(requests).await {
                let (_, consent) = request?;
                asked.extend(consent.current().map(|record| record.id.clone()));
            }
        }
        edge::json(
            StatusCode::CREATED,
            &serde_json::json!({ "requests": asked, "unknown": unknown }),
        )
    }
}

/// Saying yes in a person's name takes a token that was given for it: the person was told so when letting the application
/// in, or when making the key for a program. Refusing and withdrawing take no more than the person's token.
fn may_give(call: &Call) -> Result<(), Problem> {
    if call.credentials.has_scope(CONSENT_SCOPE) {
        return Ok(());
    }
    let challenge = HeaderValue::from_static("DPoP error=\"insufficient_scope\", scope=\"consent\"");
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "consent-scope-required",
        "The application may not give consent",
    )
    .detail(
        "giving consent in somebody's name takes an access token with the scope `consent`, which the person approves on \
         its own; or the person answers on the console's pages",
    )
    .header(header::WWW_AUTHENTICATE, challenge))
}

/// What a person or an asking party reads about a consent.
fn described(id: &str, consent: &StoredConsent, now: OffsetDateTime) -> serde_json::Value {
    serde_json::json!({
        "id": id,
        "status": consent.status_at(now),
        "record": consent.current(),
        "versions": consent.versions,
        "notice": consent.notice_text,
        "requested_by": consent.requested_by,
    })
}

/// The present version as RDF.
///
/// # Errors
/// 500 if the stored record is damaged.
pub fn as_rdf(consent: &StoredConsent, syntax: Syntax) -> Result<Vec<u8>, Problem> {
    let broken = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a stored consent cannot be written");
        Problem::internal()
    };
    let record = consent.current().ok_or_else(|| broken(&"it has no version"))?;
    let triples: Vec<Triple> = to_quads(record)
        .map_err(|error| broken(&error))?
        .into_iter()
        .map(|quad| Triple::new(quad.subject, quad.predicate, quad.object))
        .collect();
    graph::write(&triples, syntax).map_err(|error| broken(&error))
}

fn is_rdf(call: &Call) -> bool {
    let content = call
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    ["text/turtle", "application/ld+json"]
        .iter()
        .any(|media_type| content.trim().starts_with(media_type))
}

/// The RDF syntax that is asked for by name; JSON is the answer to everything else.
fn wants_rdf(call: &Call) -> Option<Syntax> {
    let accept = call
        .headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if accept.contains("text/turtle") {
        Some(Syntax::Turtle)
    } else if accept.contains("application/ld+json") {
        Some(Syntax::JsonLd)
    } else {
        None
    }
}
