//! The HTTP interface of the dataspace: datasets, catalogues, negotiations, agreements, tokens.
//!
//! It turns calls into the moves of [`super::exchange`] and back; it decides nothing that is not decided there.

use std::sync::Arc;

use http::{Method, StatusCode};
use policies::audit::AuditAction;
use policies::decision::ReasonCode;
use server_kit::authn::LocalIssuer;
use server_kit::problem::Problem;

use super::agreement::{self, Agreement};
use super::catalog::{Catalog, NoSummaries, Summaries};
use super::config::DataspaceConfig;
use super::dataset::Dataset;
use super::edge::{self, Answer, Call};
use super::exchange;
use super::graph::{self, Syntax};
use super::negotiation::Ask;
use super::node::Node;
use super::{deletion, describing, offer, token};
use crate::audit::Event;
use crate::log::duties::Duties;
use crate::store::{RecordKind, Snapshot, Storage};

/// Records read from the store at a time.
const BATCH: usize = 500;

/// The dataspace side of a pod server.
pub struct Dataspace {
    /// What it stands on.
    pub node: Node,
    /// Bounds and choices.
    pub config: Arc<DataspaceConfig>,
    /// Signs agreement tokens.
    pub issuer: Arc<LocalIssuer>,
    /// Supplies the statistics that the catalogue shows.
    pub summaries: Arc<dyn Summaries>,
    /// Reads along with the log what is owed.
    pub duties: Arc<Duties>,
}

/// Body of a termination.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Farewell {
    #[serde(default)]
    reason: Option<String>,
}

impl Dataspace {
    /// Answers a call below `/{storage}/.dataspace/` or on `/catalog`; none for any other path.
    pub async fn respond(&self, call: &Call) -> Option<Answer> {
        let segments: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
        let answer = match segments.as_slice() {
            ["catalog"] => self.catalog(call, None).await,
            [storage, ".dataspace", rest @ ..] => self.in_storage(call, storage, rest).await,
            _ => return None,
        };
        Some(answer)
    }

    async fn in_storage(&self, call: &Call, storage: &str, rest: &[&str]) -> Answer {
        let storage = self.node.storage(&*self.node.snapshot()?, storage)?;
        match (rest, &call.method) {
            (["catalog"], _) => self.catalog(call, Some(&storage)).await,
            (["datasets"], &Method::GET) => self.list_datasets(call, &storage),
            (["datasets"], &Method::POST) => self.create_dataset(call, &storage).await,
            (["datasets"], method) => Err(edge::method_not_allowed(method, "GET, POST")),
            (["datasets", id], &Method::GET | &Method::HEAD) => self.read_dataset(call, &storage, id),
            (["datasets", id], &Method::PUT) => self.put_dataset(call, &storage, id).await,
            (["datasets", id], &Method::DELETE) => self.delete_dataset(call, &storage, id).await,
            (["datasets", _], method) => Err(edge::method_not_allowed(method, "GET, HEAD, PUT, DELETE")),
            (["negotiations"], &Method::POST) => self.ask(call, &storage).await,
            (["negotiations"], &Method::GET) => self.list_negotiations(call, &storage),
            (["negotiations"], method) => Err(edge::method_not_allowed(method, "GET, POST")),
            (["negotiations", id], &Method::GET) => self.read_negotiation(call, &storage, id),
            (["negotiations", _], method) => Err(edge::method_not_allowed(method, "GET")),
            (["negotiations", id, "agree"], &Method::POST) => self.agree(call, &storage, id).await,
            (["negotiations", id, "terminate"], &Method::POST) => self.end_negotiation(call, &storage, id).await,
            (["agreements"], &Method::GET) => self.list_agreements(call, &storage),
            (["agreements"], method) => Err(edge::method_not_allowed(method, "GET")),
            (["agreements", id], &Method::GET | &Method::HEAD) => self.read_agreement(call, &storage, id),
            (["agreements", _], method) => Err(edge::method_not_allowed(method, "GET, HEAD")),
            (["agreements", id, "obligations"], _) => {
                let iri = self.agreement_iri(&storage, id);
                self.duties.respond(&self.node, call, &storage, &iri).await
            }
            (["agreements", id, "deletion"], _) => {
                let iri = self.agreement_iri(&storage, id);
                self.respond_deletion(call, &storage, &iri).await
            }
            (["facts"], _) => self.respond_facts(call, &storage).await,
            (["agreements", id, "verify"], &Method::POST) => self.verify(call, &storage, id).await,
            (["agreements", id, "token"], &Method::POST) => self.token(call, &storage, id).await,
            (["agreements", id, "terminate"], &Method::POST) => self.end_agreement(call, &storage, id).await,
            (
                ["negotiations", _, "agree" | "terminate"] | ["agreements", _, "verify" | "token" | "terminate"],
                method,
            ) => Err(edge::method_not_allowed(method, "POST")),
            _ => Err(edge::not_found(&call.iri)),
        }
    }

    /// The caller, who must own the storage. A refusal is recorded.
    /// # Errors
    /// 401 without credentials, 403 for everyone else.
    pub async fn owner<'c>(&self, call: &'c Call, storage: &Storage, action: AuditAction) -> Result<&'c str, Problem> {
        let caller = call.web_id()?.as_str();
        if caller == storage.owner {
            return Ok(caller);
        }
        let reasons = vec![ReasonCode::AclDoesNotGrant];
        self.node
            .note(Event::refused(action, Some(caller), storage.id, reasons).on(&call.iri))
            .await?;
        Err(edge::forbidden("only the owner of the storage may do this"))
    }

    async fn catalog(&self, call: &Call, storage: Option<&Storage>) -> Answer {
        if !matches!(call.method, Method::GET | Method::HEAD) {
            return Err(edge::method_not_allowed(&call.method, "GET, HEAD"));
        }
        let syntax = Syntax::negotiate(&call.headers).ok_or_else(edge::not_acceptable)?;
        let caught_up = self.summaries.caught_up().await;
        let summaries: &dyn Summaries = if caught_up { &*self.summaries } else { &NoSummaries };
        let snapshot = self.node.snapshot()?;
        let mut catalog = Catalog::new(&self.node.origins, call.iri.clone());
        if let Some(storage) = storage {
            catalog.publisher(&storage.owner);
        }
        for dataset in datasets(&*snapshot, storage)? {
            catalog.add(&dataset, summaries).map_err(|error| {
                tracing::error!(dataset = %dataset.iri, %error, "a stored description cannot be read");
                Problem::internal()
            })?;
        }
        let bytes = written(&catalog.into_triples(), syntax)?;
        Ok(edge::revalidated(call, syntax, bytes))
    }

    fn list_datasets(&self, call: &Call, storage: &Storage) -> Answer {
        let snapshot = self.node.snapshot()?;
        let owner = call
            .credentials
            .agent
            .web_id()
            .is_some_and(|caller| caller.as_str() == storage.owner);
        let list: Vec<_> = datasets(&*snapshot, Some(storage))?
            .into_iter()
            .map(|dataset| {
                let mut item = serde_json::json!({
                    "@id": dataset.iri,
                    "title": dataset.titles,
                    "offers": dataset.offers,
                    "automaticAgreement": dataset.automatic,
                });
                if owner && let Some(item) = item.as_object_mut() {
                    item.insert(
                        "acceptedConsumers".to_owned(),
                        serde_json::json!(dataset.accepted_consumers),
                    );
                }
                item
            })
            .collect();
        edge::json(StatusCode::OK, &serde_json::json!({ "datasets": list }))
    }

    fn read_dataset(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let syntax = Syntax::negotiate(&call.headers).ok_or_else(edge::not_acceptable)?;
        let key = key(storage, id);
        let snapshot = self.node.snapshot()?;
        let dataset: Dataset = snapshot
            .record(RecordKind::Dataset, &key)
            .and_then(|bytes| agreement::read_json(bytes, &key))
            .map_err(|error| edge::store_problem(&error))?
            .ok_or_else(|| edge::not_found(&call.iri))?;
        let owner = call
            .credentials
            .agent
            .web_id()
            .is_some_and(|caller| caller.as_str() == storage.owner);
        let triples: Vec<_> = dataset
            .graph()
            .map_err(|error| edge::graph_problem(&error))?
            .iter()
            .filter(|triple| owner || triple.predicate.as_str() != vocab::meent::ACCEPTED_CONSUMER)
            .map(oxrdf::TripleRef::into_owned)
            .collect();
        Ok(edge::revalidated(call, syntax, written(&triples, syntax)?))
    }

    async fn create_dataset(&self, call: &Call, storage: &Storage) -> Answer {
        self.owner(call, storage, AuditAction::Create).await?;
        let wish = call
            .headers
            .get("slug")
            .and_then(|value| value.to_str().ok())
            .map(describing::slug)
            .unwrap_or_default();
        let wish = if wish.is_empty() { self.node.random.uuid() } else { wish };
        let taken = self
            .node
            .snapshot()?
            .record(RecordKind::Dataset, &key(storage, &wish))
            .map_err(|error| edge::store_problem(&error))?
            .is_some();
        // A Slug is only a hint (RFC 5023 §9.7).
        let id = if taken { self.node.random.uuid() } else { wish };
        self.store_dataset(call, storage, &id, true).await
    }

    async fn put_dataset(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        self.owner(call, storage, AuditAction::Update).await?;
        describing::check_name(id)?;
        self.store_dataset(call, storage, id, false).await
    }

    async fn store_dataset(&self, call: &Call, storage: &Storage, id: &str, create: bool) -> Answer {
        let syntax = Syntax::of_content(&call.headers).map_err(|error| edge::graph_problem(&error))?;
        let (dataset, created) = self.describe(storage, id, (&call.body, syntax), create).await?;
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        let body = serde_json::json!({ "@id": dataset.iri, "title": dataset.titles, "offers": dataset.offers });
        edge::json(status, &body).map(|response| edge::located(response, &dataset.iri))
    }

    async fn delete_dataset(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        self.owner(call, storage, AuditAction::Delete).await?;
        self.remove_dataset(storage, id).await?;
        no_content()
    }

    async fn ask(&self, call: &Call, storage: &Storage) -> Answer {
        let consumer = call.web_id()?.as_str().to_owned();
        let ask: Ask = call.json()?;
        let (name, id, config) = (
            exchange::storage_name(storage.root.as_str()).to_owned(),
            storage.id,
            Arc::clone(&self.config),
        );
        let (resource, purpose, asking) = (ask.dataset.clone(), ask.purpose.clone(), consumer.clone());
        let outcome = self
            .node
            .commit(move |node, transaction| exchange::ask(node, &config, transaction, (&name, id), &consumer, &ask))
            .await;
        match outcome {
            Ok((negotiation, created)) => {
                let status = if created { StatusCode::CREATED } else { StatusCode::OK };
                edge::json(status, &negotiation.to_json()).map(|response| edge::located(response, &negotiation.iri))
            }
            Err(problem) => {
                let reasons = edge::reasons_of(&problem);
                let event = Event::refused(AuditAction::Agreement, Some(&asking), storage.id, reasons)
                    .on(&resource)
                    .purpose(&purpose);
                self.node.note(event).await?;
                Err(problem)
            }
        }
    }

    fn read_negotiation(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let caller = call.web_id()?.as_str();
        let snapshot = self.node.snapshot()?;
        let key = key(storage, id);
        let negotiation = exchange::read_negotiation(&*snapshot, &key, self.node.clock.unix())?;
        if negotiation.side(caller).is_none() {
            return Err(exchange::unknown(&key));
        }
        edge::json(StatusCode::OK, &negotiation.to_json())
    }

    fn list_negotiations(&self, call: &Call, storage: &Storage) -> Answer {
        let caller = call.web_id()?.as_str();
        let now = self.node.clock.unix();
        let snapshot = self.node.snapshot()?;
        // A consumer's own ones: the names of others' tell who they are.
        let prefix = if caller == storage.owner {
            key(storage, "")
        } else {
            exchange::asked_by(exchange::storage_name(storage.root.as_str()), caller)
        };
        let (page, next) = page(call, &self.config, &*snapshot, RecordKind::Negotiation, &prefix)?;
        let mut found = Vec::new();
        for (key, bytes) in page {
            let Some(mut negotiation) = agreement::read_json::<super::negotiation::Negotiation>(Some(bytes), &key)
                .map_err(|error| edge::store_problem(&error))?
            else {
                continue;
            };
            negotiation.lapse(now);
            if negotiation.side(caller).is_some() {
                found.push(negotiation.to_json());
            }
        }
        edge::json(
            StatusCode::OK,
            &serde_json::json!({ "negotiations": found, "next": next }),
        )
    }

    async fn agree(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let (caller, key, storage_id) = (call.web_id()?.as_str().to_owned(), key(storage, id), storage.id);
        let negotiation = self
            .node
            .commit(move |node, transaction| exchange::agree(node, transaction, &key, storage_id, &caller))
            .await?;
        edge::json(StatusCode::OK, &negotiation.to_json())
    }

    async fn end_negotiation(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let (caller, key, storage_id) = (call.web_id()?.as_str().to_owned(), key(storage, id), storage.id);
        let reason = self.farewell(call)?;
        let negotiation = self
            .node
            .commit(move |node, transaction| {
                exchange::terminate_negotiation(node, transaction, &key, storage_id, &caller, reason)
            })
            .await?;
        edge::json(StatusCode::OK, &negotiation.to_json())
    }

    fn list_agreements(&self, call: &Call, storage: &Storage) -> Answer {
        let caller = call.web_id()?.as_str();
        let snapshot = self.node.snapshot()?;
        let prefix = format!("{}.dataspace/agreements/", storage.root.iri(&self.node.origins));
        let mut after = call.parameter("after").map(|after| format!("{prefix}{after}"));
        let (mut found, mut next) = (Vec::new(), None);
        // Only the caller's own agreements are shown, counted and named: who else has one, and how many do, is between them
        // and the owner.
        'all: loop {
            let batch = snapshot
                .records(RecordKind::Agreement, &prefix, after.as_deref(), BATCH)
                .map_err(|error| edge::store_problem(&error))?;
            let last = batch.len() < BATCH;
            for (key, bytes) in batch {
                let agreement = agreement::read_json::<Agreement>(Some(bytes), &key)
                    .map_err(|error| edge::store_problem(&error))?;
                if let Some(agreement) = agreement.filter(|agreement| agreement.is_party(caller)) {
                    found.push(deletion::described(&*snapshot, &agreement, self.node.clock.now())?);
                    if found.len() == self.config.page_entries_max {
                        next = key.strip_prefix(&prefix).map(str::to_owned);
                        break 'all;
                    }
                }
                after = Some(key);
            }
            if last {
                break;
            }
        }
        edge::json(
            StatusCode::OK,
            &serde_json::json!({ "agreements": found, "next": next }),
        )
    }

    fn read_agreement(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let iri = self.agreement_iri(storage, id);
        let caller = call.reader_of(&iri)?.as_str();
        let syntax = Syntax::negotiate(&call.headers).ok_or_else(edge::not_acceptable)?;
        let snapshot = self.node.snapshot()?;
        let agreement = agreement::load(&*snapshot, &iri)
            .map_err(|error| edge::store_problem(&error))?
            .filter(|agreement| agreement.is_party(caller))
            .ok_or_else(|| edge::not_found(&call.iri))?;
        let triples = offer::described(&agreement)?;
        Ok(edge::revalidated(call, syntax, written(&triples, syntax)?))
    }

    async fn verify(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let (caller, iri, storage_id) = (
            call.web_id()?.as_str().to_owned(),
            self.agreement_iri(storage, id),
            storage.id,
        );
        let agreement = self
            .node
            .commit(move |node, transaction| exchange::verify(node, transaction, &iri, storage_id, &caller))
            .await?;
        edge::json(StatusCode::OK, &agreement.to_json())
    }

    async fn end_agreement(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let (caller, iri, storage_id) = (
            call.web_id()?.as_str().to_owned(),
            self.agreement_iri(storage, id),
            storage.id,
        );
        let reason = self.farewell(call)?;
        let agreement = self
            .node
            .commit(move |node, transaction| {
                exchange::terminate_agreement(node, transaction, &iri, storage_id, &caller, reason)
            })
            .await?;
        edge::json(StatusCode::OK, &agreement.to_json())
    }

    async fn token(&self, call: &Call, storage: &Storage, id: &str) -> Answer {
        let iri = self.agreement_iri(storage, id);
        let token = token::issue(self, call, storage, &iri).await?;
        edge::json(StatusCode::OK, &token)
    }

    fn agreement_iri(&self, storage: &Storage, id: &str) -> String {
        format!("{}.dataspace/agreements/{id}", storage.root.iri(&self.node.origins))
    }

    fn farewell(&self, call: &Call) -> Result<Option<String>, Problem> {
        let farewell: Farewell = if call.body.is_empty() {
            Farewell::default()
        } else {
            call.json()?
        };
        if farewell
            .reason
            .as_ref()
            .is_some_and(|reason| reason.chars().count() > self.config.message_chars_max)
        {
            let detail = format!("`reason` has more than {} characters", self.config.message_chars_max);
            return Err(edge::unprocessable("message-too-long", detail));
        }
        Ok(farewell.reason)
    }
}

/// Every dataset of a storage, or of the server, in the order of their names.
///
/// # Errors
/// If the store fails or is damaged.
pub fn datasets(snapshot: &dyn Snapshot, storage: Option<&Storage>) -> Result<Vec<Dataset>, Problem> {
    let prefix = storage.map(|storage| key(storage, "")).unwrap_or_default();
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let batch = snapshot
            .records(RecordKind::Dataset, &prefix, after.as_deref(), BATCH)
            .map_err(|error| edge::store_problem(&error))?;
        let last = batch.len() < BATCH;
        for (key, bytes) in batch {
            found.extend(
                agreement::read_json::<Dataset>(Some(bytes), &key).map_err(|error| edge::store_problem(&error))?,
            );
            after = Some(key);
        }
        if last {
            return Ok(found);
        }
    }
}

/// One page of records: `?after=` names the key to go on from, `next` the one for the following page.
type RecordPage = (Vec<(String, Vec<u8>)>, Option<String>);

fn page(
    call: &Call,
    config: &DataspaceConfig,
    snapshot: &dyn Snapshot,
    kind: RecordKind,
    prefix: &str,
) -> Result<RecordPage, Problem> {
    let after = call.parameter("after").map(|after| format!("{prefix}{after}"));
    let page = snapshot
        .records(kind, prefix, after.as_deref(), config.page_entries_max)
        .map_err(|error| edge::store_problem(&error))?;
    let next = (page.len() == config.page_entries_max)
        .then(|| {
            page.last()
                .and_then(|(key, _)| key.strip_prefix(prefix))
                .map(str::to_owned)
        })
        .flatten();
    Ok((page, next))
}

/// The record key of something in a storage.
pub(super) fn key(storage: &Storage, id: &str) -> String {
    format!("{}/{id}", exchange::storage_name(storage.root.as_str()))
}

fn written(triples: &[oxrdf::Triple], syntax: Syntax) -> Result<Vec<u8>, Problem> {
    graph::write(triples, syntax).map_err(|error| {
        tracing::error!(%error, "a graph could not be written");
        Problem::internal()
    })
}

fn no_content() -> Answer {
    let mut response = http::Response::new(server_kit::body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
