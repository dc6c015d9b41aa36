//! Describing datasets: what stores a description and takes it back, for the HTTP interface and for the owner's page.

use http::{Response, StatusCode};
use oxrdf::Graph;
use policies::audit::AuditAction;
use server_kit::problem::Problem;

use super::agreement;
use super::api::{Dataspace, key};
use super::dataset::{self, Dataset, Setting};
use super::edge;
use super::exchange;
use super::graph::{self, Syntax};
use super::offer;
use super::service::DataspaceService;
use crate::audit::Event;
use crate::store::{RecordKind, Storage};
use crate::ui::describing::{self, Description};
use crate::ui::{Body, Form, Notice, Page, Session, Visit, see_other};

impl Dataspace {
    /// Stores the description of a dataset, as the storage's owner; tells whether it is new. With `create`, a name that is
    /// taken is refused.
    pub(super) async fn describe(
        &self,
        storage: &Storage,
        id: &str,
        (text, syntax): (&[u8], Syntax),
        create: bool,
    ) -> Result<(Dataset, bool), Problem> {
        let iri = format!("{}.dataspace/datasets/{id}", storage.root.iri(&self.node.origins));
        let graph: Graph = graph::read(text, syntax, &iri, self.config.description_triples_max)
            .map_err(|error| edge::graph_problem(&error))?;
        let name = exchange::storage_name(storage.root.as_str()).to_owned();
        let setting = Setting {
            iri: &iri,
            storage: &storage.root,
            owner: &storage.owner,
            origins: &self.node.origins,
            umbrella: self.config.umbrella_storages.contains(&name),
            now: self.node.clock.unix(),
        };
        let mut dataset = dataset::parse(&graph, &setting).map_err(|faults| edge::faults_problem(&faults))?;
        let encrypted = self.node.origins.base_url().starts_with("https://");
        offer::check_all(&dataset, encrypted, self.node.clock.now()).map_err(|faults| edge::faults_problem(&faults))?;
        let (key, storage_id, datasets_max) = (format!("{name}/{id}"), storage.id, self.config.datasets_max);
        let caller = storage.owner.clone();
        self.node
            .commit(move |node, transaction| {
                let before: Option<Dataset> = transaction
                    .record(RecordKind::Dataset, &key)
                    .and_then(|bytes| agreement::read_json(bytes, &key))
                    .map_err(|error| edge::store_problem(&error))?;
                if create && before.is_some() {
                    return Err(edge::conflict(
                        "name-taken",
                        "a dataset of this storage has this name already: choose another",
                    ));
                }
                if before.is_none() {
                    let count = transaction
                        .records(RecordKind::Dataset, &format!("{name}/"), None, datasets_max)
                        .map_err(|error| edge::store_problem(&error))?
                        .len();
                    if count >= datasets_max {
                        let detail = format!("a storage holds at most {datasets_max} datasets");
                        return Err(edge::conflict("too-many-datasets", detail));
                    }
                }
                if let Some(before) = &before {
                    dataset.continue_from(before);
                }
                let action = if before.is_some() {
                    AuditAction::Update
                } else {
                    AuditAction::Create
                };
                node.record(transaction, &Event::done(action, &caller, storage_id).on(&dataset.iri))?;
                let bytes = agreement::to_json(&dataset).map_err(|error| edge::store_problem(&error))?;
                transaction
                    .record_put(RecordKind::Dataset, &key, &bytes)
                    .map_err(|error| edge::store_problem(&error))?;
                Ok((dataset, before.is_none()))
            })
            .await
    }

    /// Takes a dataset's description back, as the storage's owner.
    pub(super) async fn remove_dataset(&self, storage: &Storage, id: &str) -> Result<(), Problem> {
        let iri = format!("{}.dataspace/datasets/{id}", storage.root.iri(&self.node.origins));
        let (key, caller, storage_id) = (key(storage, id), storage.owner.clone(), storage.id);
        self.node
            .commit(move |node, transaction| {
                let gone = transaction
                    .record_delete(RecordKind::Dataset, &key)
                    .map_err(|error| edge::store_problem(&error))?;
                if !gone {
                    return Err(edge::not_found(&iri));
                }
                node.record(
                    transaction,
                    &Event::done(AuditAction::Delete, &caller, storage_id).on(&iri),
                )
            })
            .await
    }

    /// The stored description of a dataset in Turtle.
    fn described(&self, storage: &Storage, id: &str) -> Result<String, Problem> {
        let key = key(storage, id);
        let dataset: Dataset = self
            .node
            .snapshot()?
            .record(RecordKind::Dataset, &key)
            .and_then(|bytes| agreement::read_json(bytes, &key))
            .map_err(|error| edge::store_problem(&error))?
            .ok_or_else(|| edge::not_found(&key))?;
        let graph = dataset.graph().map_err(|error| edge::graph_problem(&error))?;
        let triples: Vec<_> = graph.iter().map(oxrdf::TripleRef::into_owned).collect();
        let written = graph::write(&triples, Syntax::Turtle).map_err(|error| {
            tracing::error!(%error, "a graph could not be written");
            Problem::internal()
        })?;
        Ok(String::from_utf8_lossy(&written).into_owned())
    }
}

impl DataspaceService {
    /// Shows the form: a description that is there, or an example to begin with.
    pub(super) fn show_describing(
        &self,
        visit: &Visit,
        person: &Session,
        query: &Form,
    ) -> Result<Response<Body>, Problem> {
        let first = person.storages.first().map(String::as_str);
        let storage = self.own_storage(person, query.field("storage").or(first).unwrap_or_default())?;
        let name = query.field("name").unwrap_or_default();
        let text = if name.is_empty() {
            describing::example(&storage.root.iri(&self.dataspace.node.origins), &storage.owner)
        } else {
            self.dataspace.described(&storage, name)?
        };
        let description = Description {
            storage: storage.root.as_str(),
            name,
            known: !name.is_empty(),
            text: &text,
        };
        Ok(describing_page(visit, &description, StatusCode::OK, None))
    }

    /// Stores what the form says; what is wrong with it stands above the form, which keeps every word.
    pub(super) async fn describe(
        &self,
        visit: &Visit,
        person: &Session,
        form: &Form,
    ) -> Result<Response<Body>, Problem> {
        let storage = self.own_storage(person, form.field("storage").unwrap_or_default())?;
        let description = Description {
            storage: storage.root.as_str(),
            name: form.field("name").unwrap_or_default().trim(),
            known: form.field("known").is_some(),
            text: form.field("text").unwrap_or_default(),
        };
        let text = (description.text.as_bytes(), Syntax::Turtle);
        let stored = match check_name(description.name) {
            Ok(()) => {
                let new = !description.known;
                self.dataspace.describe(&storage, description.name, text, new).await
            }
            Err(problem) => Err(problem),
        };
        match stored {
            Ok(_) => Ok(see_other(visit, "/datasets?done=described")),
            Err(problem) if problem.status.is_client_error() => {
                let reason = visit.text_with("describe-failed", &[("reason", &problem.detail)]);
                let notice = Notice::problem(reason);
                Ok(describing_page(visit, &description, problem.status, Some(&notice)))
            }
            Err(problem) => Err(problem),
        }
    }

    /// Takes a description back.
    pub(super) async fn remove_description(
        &self,
        visit: &Visit,
        person: &Session,
        form: &Form,
    ) -> Result<Response<Body>, Problem> {
        let storage = self.own_storage(person, form.field("storage").unwrap_or_default())?;
        let name = form.field("name").unwrap_or_default();
        self.dataspace.remove_dataset(&storage, name).await?;
        Ok(see_other(visit, "/datasets?done=removed"))
    }
}

fn describing_page(
    visit: &Visit,
    description: &Description<'_>,
    status: StatusCode,
    notice: Option<&Notice>,
) -> Response<Body> {
    let content = describing::page(visit, description, notice);
    Page::new(visit.text("describe-title"), content)
        .status(status)
        .respond(visit)
}

/// Whether something can name a dataset in its storage.
///
/// # Errors
/// 422 with the rule.
pub(super) fn check_name(id: &str) -> Result<(), Problem> {
    if !id.is_empty() && slug(id) == id {
        return Ok(());
    }
    Err(edge::unprocessable(
        "invalid-name",
        format!("`{id}` cannot name a dataset: use a-z, 0-9 and `-`, no `-` at either end, 64 characters at most"),
    ))
}

/// The part of a wish that can stand in a name.
pub(super) fn slug(wish: &str) -> String {
    let plain: String = wish
        .chars()
        .take(64)
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    plain.trim_matches('-').to_owned()
}
