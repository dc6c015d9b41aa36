//! The HTTP interface of consents: `/{storage}/.consent/…`, in JSON, and records also as Turtle and JSON-LD with DPV's
//! terms.

use std::collections::BTreeMap;

use http::{HeaderValue, Method, StatusCode, header};
use oxrdf::{GraphName, Quad, Triple};
use policies::consent::{Recipients, from_quads, to_quads};
use policies::request::WebId;
use serde::Deserialize;
use server_kit::problem::Problem;
use time::{Duration, OffsetDateTime};

use super::decision::{Decision, Yes};
use super::mandate::MandateTerms;
use super::proof::{policy_as_rdf, receipt_as_rdf};
use super::register::as_csv;
use super::service::{Consents, refused};
use super::stored::StoredConsent;
use super::terms::ConsentTerms;
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::graph::{self, Syntax};
use crate::identity::CONSENT_SCOPE;
use crate::name::ResourceName;
use crate::store::Storage;

/// Most triples of one consent record.
const RECORD_TRIPLES_MAX: usize = 1_000;

/// What can be decided about a consent.
const VERBS: [&str; 6] = ["give", "refuse", "defer", "reopen", "renew", "withdraw"];

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
        let caller = call.web_id()?;
        let storage = self.node.storage(&*self.node.snapshot()?, storage)?;
        match (rest, &call.method) {
            ([] | [""], &Method::POST) => self.post(call, &storage, caller).await,
            ([] | [""], &Method::GET) => {
                self.acting(&storage, caller, "api", &call.iri).await?;
                self.listed(&storage, caller)
            }
            ([] | [""], method) => Err(edge::method_not_allowed(method, "GET, POST")),
            (["requests"], &Method::POST) => self.bulk(call, &storage, caller).await,
            (["requests"], method) => Err(edge::method_not_allowed(method, "POST")),
            (["mandates"] | ["mandates", ""], &Method::GET) => {
                self.person(call, &storage, caller).await?;
                let mandates: Vec<_> = self
                    .mandates(&storage)?
                    .into_iter()
                    .map(|(_, mandate)| mandate)
                    .collect();
                edge::json(StatusCode::OK, &serde_json::json!({ "mandates": mandates }))
            }
            (["mandates"] | ["mandates", ""], &Method::POST) => {
                self.person(call, &storage, caller).await?;
                may_give(call)?;
                let terms: MandateTerms = call.json()?;
                let (_, mandate) = self.mandate(&storage, terms).await?;
                edge::json(StatusCode::CREATED, &mandate).map(|response| edge::located(response, &mandate.id))
            }
            (["mandates"] | ["mandates", ""], method) => Err(edge::method_not_allowed(method, "GET, POST")),
            (["mandates", id], &Method::DELETE) => {
                self.acting(&storage, caller, "api", &call.iri).await?;
                self.end_mandate(&storage, id, caller.as_str()).await?;
                edge::respond(StatusCode::NO_CONTENT, "text/plain", Vec::new())
            }
            (["mandates", _], method) => Err(edge::method_not_allowed(method, "DELETE")),
            (["preferences"] | ["activities"] | ["activities", _], _) => {
                self.person(call, &storage, caller).await?;
                self.settings(call, &storage, rest).await
            }
            (["register"], &Method::GET) => {
                self.person(call, &storage, caller).await?;
                self.show_register(call, &storage)
            }
            (["register"], method) => Err(edge::method_not_allowed(method, "GET")),
            (["duties", rest @ ..], _) => self.respond_duties(call, &storage, caller, rest).await,
            ([id], &Method::GET) => self.read_one(call, &storage, caller, id).await,
            ([_], method) => Err(edge::method_not_allowed(method, "GET")),
            ([id, verb], _) if VERBS.contains(verb) => self.decided(call, &storage, caller, id, verb).await,
            ([id, "receipt" | "proof" | "credential" | "policy"] | [id, "receipts", _], &Method::GET) => {
                let consent = self.readable(call, &storage, caller, id).await?;
                self.proven(call, &storage, caller, &consent, rest).await
            }
            ([_, "receipt" | "proof" | "credential" | "policy"] | [_, "receipts", _], method) => {
                Err(edge::method_not_allowed(method, "GET"))
            }
            _ => Err(edge::not_found(&call.iri)),
        }
    }

    /// A decision of the person, or of somebody who acts for them.
    async fn decided(&self, call: &Call, storage: &Storage, caller: &WebId, id: &str, verb: &str) -> Answer {
        if call.method != Method::POST {
            return Err(edge::method_not_allowed(&call.method, "POST"));
        }
        let acting = self.acting(storage, caller, "api", &call.iri).await?;
        let yes = || match call.body.is_empty() {
            true => Ok(Yes::default()),
            false => call.json(),
        };
        let decision = match verb {
            "give" => {
                may_give(call)?;
                Decision::Give(yes()?)
            }
            "renew" => {
                may_give(call)?;
                Decision::Renew(yes()?)
            }
            "refuse" => Decision::Refuse,
            "defer" => Decision::Defer,
            "reopen" => Decision::Reopen,
            _ => Decision::Withdraw,
        };
        let consent = self.decide(storage, id, decision, acting).await?;
        edge::json(StatusCode::OK, &self.described(storage, caller, id, &consent))
    }

    /// A receipt, a proof or a credential of a consent that the caller may read.
    async fn proven(
        &self,
        call: &Call,
        storage: &Storage,
        caller: &WebId,
        consent: &StoredConsent,
        rest: &[&str],
    ) -> Answer {
        let version = match rest {
            [_, "receipts", version] => {
                let version = version.parse::<u32>();
                Some(version.map_err(|_| edge::not_found(&call.iri))?)
            }
            _ => None,
        };
        match rest {
            [_, "credential"] => self.credential(consent),
            [_, "policy"] => {
                let syntax = wants_rdf(call).unwrap_or(Syntax::Turtle);
                Ok(edge::revalidated(call, syntax, policy_as_rdf(consent, syntax)?))
            }
            [_, "proof"] => {
                let proof = self.proof(storage, consent, version, caller.as_str()).await?;
                edge::json(StatusCode::OK, &proof)
            }
            _ => match wants_rdf(call) {
                Some(syntax) => Ok(edge::revalidated(
                    call,
                    syntax,
                    receipt_as_rdf(consent, version, syntax)?,
                )),
                None => {
                    let receipt = self.receipt(consent, version)?;
                    edge::respond(StatusCode::OK, "application/jose", receipt.into_bytes())
                }
            },
        }
    }

    /// Only the person goes on; for everyone else there is nothing here, and the attempt is recorded.
    async fn person(&self, call: &Call, storage: &Storage, caller: &WebId) -> Result<(), Problem> {
        if caller.as_str() == storage.owner {
            return Ok(());
        }
        self.node
            .note(refused(Some(caller.as_str()), storage, &call.iri))
            .await?;
        Err(edge::not_found(&call.iri))
    }

    async fn post(&self, call: &Call, storage: &Storage, caller: &WebId) -> Answer {
        let asks = caller.as_str() != storage.owner && self.may_ask(caller.as_str())?;
        if asks && !is_rdf(call) {
            let terms: ConsentTerms = call.json()?;
            let (id, consent) = self.request(storage, &terms, caller).await?;
            return self.created(storage, caller, &id, &consent);
        }
        if asks {
            return Err(edge::unprocessable(
                "invalid-consent",
                "a request for consent is sent as `application/json`",
            ));
        }
        let acting = self.acting(storage, caller, "api", &call.iri).await?;
        may_give(call)?;
        let (id, consent) = match is_rdf(call) {
            true => {
                let record = self.record(call, storage)?;
                self.give_record(storage, record, &acting).await?
            }
            false => self.give(storage, call.json()?, &acting).await?,
        };
        self.created(storage, caller, &id, &consent)
    }

    fn created(&self, storage: &Storage, caller: &WebId, id: &str, consent: &StoredConsent) -> Answer {
        let iri = consent.current().map(|record| record.id.clone()).unwrap_or_default();
        edge::json(StatusCode::CREATED, &self.described(storage, caller, id, consent))
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

    async fn read_one(&self, call: &Call, storage: &Storage, caller: &WebId, id: &str) -> Answer {
        let consent = self.readable(call, storage, caller, id).await?;
        match wants_rdf(call) {
            Some(syntax) => Ok(edge::revalidated(call, syntax, as_rdf(&consent, syntax)?)),
            None => edge::json(StatusCode::OK, &self.described(storage, caller, id, &consent)),
        }
    }

    /// A consent for those who may know of it: the person, who acts for them, who asked for it, and who was named in one
    /// that was given. For everyone else there is nothing here (CON-20).
    async fn readable(
        &self,
        call: &Call,
        storage: &Storage,
        caller: &WebId,
        id: &str,
    ) -> Result<StoredConsent, Problem> {
        let consent = self.read(storage, id).ok();
        let own = self.mandated(storage, caller, "api")?.is_some();
        let party = |consent: &StoredConsent| {
            let asked = consent.requested_by.as_deref() == Some(caller.as_str());
            asked
                || consent.versions.iter().any(|record| {
                    let named = matches!(&record.recipients, Recipients::These(these) if these.contains(caller));
                    named && record.status.permits()
                })
        };
        match consent {
            Some(consent) if own || party(&consent) => Ok(consent),
            _ => {
                if !own {
                    self.node
                        .note(refused(Some(caller.as_str()), storage, &call.iri))
                        .await?;
                }
                Err(edge::not_found(&call.iri))
            }
        }
    }

    fn listed(&self, storage: &Storage, caller: &WebId) -> Answer {
        let consents = self.list(storage)?;
        let consents: Vec<_> = consents
            .iter()
            .map(|(id, consent)| self.described(storage, caller, id, consent))
            .collect();
        // What is done on other grounds stands in the same list, and is no switch (CON-14).
        let without_consent = self.activities_about(storage)?;
        edge::json(
            StatusCode::OK,
            &serde_json::json!({ "consents": consents, "without_consent": without_consent }),
        )
    }

    /// The register of processing activities, as JSON or as a table.
    fn show_register(&self, call: &Call, storage: &Storage) -> Answer {
        let entries = self.register(storage)?;
        let accept = call
            .headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        match accept.contains("text/csv") {
            true => edge::respond(StatusCode::OK, "text/csv; charset=utf-8", as_csv(&entries).into_bytes()),
            false => edge::json(StatusCode::OK, &serde_json::json!({ "activities": entries })),
        }
    }

    /// Whether a consent that permits ends soon, so that its giver may renew it.
    #[must_use]
    pub fn ends_soon(&self, consent: &StoredConsent, now: OffsetDateTime) -> bool {
        let days = Duration::days(self.config.consent_reminder_days.into());
        let soon = |record: &policies::consent::ConsentRecord| record.expires_at - now <= days;
        consent.status_at(now).permits() && consent.current().is_some_and(soon)
    }

    /// What a person or another party reads about a consent.
    fn described(&self, storage: &Storage, caller: &WebId, id: &str, consent: &StoredConsent) -> serde_json::Value {
        let now = self.node.clock.now();
        serde_json::json!({
            "id": id,
            "status": consent.status_at(now),
            "ends_soon": self.ends_soon(consent, now),
            "record": consent.current(),
            "versions": consent.versions,
            "notice": consent.notice_text,
            "translations": consent.translations,
            "requested_by": consent.requested_by,
            "mandate_bases": bases_for(consent, storage, caller),
        })
    }

    /// Asks many people at once. Only the owner of the umbrella storage under whose name it is called may.
    async fn bulk(&self, call: &Call, umbrella: &Storage, caller: &WebId) -> Answer {
        let name = umbrella.root.as_str().trim_matches('/');
        if caller.as_str() != umbrella.owner || !self.config.umbrella_storages.iter().any(|known| known == name) {
            self.node
                .note(refused(Some(caller.as_str()), umbrella, &call.iri))
                .await?;
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

/// What the mandates rest on under which versions were made, as far as a caller may know: the person and the controller
/// all of it, whoever acted the ground of their own mandate.
fn bases_for<'c>(consent: &'c StoredConsent, storage: &Storage, caller: &WebId) -> BTreeMap<u32, &'c str> {
    let process = consent.current().and_then(|record| record.process.as_ref());
    let controller = match process.and_then(|process| process.controller.as_ref()) {
        Some(controller) => Some(controller.id.as_str()),
        None => consent.requested_by.as_deref(),
    };
    let all = caller.as_str() == storage.owner || controller == Some(caller.as_str());
    let acted = |version: u32| {
        let record = consent.versions.iter().find(|record| record.version == version);
        record.is_some_and(|record| record.act.as_ref().is_some_and(|act| act.by == *caller))
    };
    consent
        .bases
        .iter()
        .filter(|(version, _)| all || acted(**version))
        .map(|(version, basis)| (*version, basis.as_str()))
        .collect()
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
