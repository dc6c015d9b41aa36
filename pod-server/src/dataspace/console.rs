//! The console's pages about consents, the log and datasets: reads forms, lets the services act for the person who is
//! logged in, and shows what came of it.
//!
//! A form counts only with the token of the page that showed it. Who acts is the session's account, whose storages the
//! store names as its own; nothing that a form says about a person is believed.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use maud::html;
use server_kit::problem::Problem;

use super::api::datasets;
use super::exchange::{self, storage_name};
use super::service::DataspaceService;
use super::{deletion, edge};
use crate::consent::decision::OWN_INTEREST;
use crate::log::own::Page as LogPage;
use crate::name::ResourceName;
use crate::store::{RecordKind, Storage};
use crate::ui::layout::path;
use crate::ui::response::protect;
use crate::ui::{Body, Form, FormError, Notice, Page, Session, Visit, consent, dataset, describing, log, see_other};

/// Records of one kind that a page shows.
const SHOWN_MAX: usize = 500;

impl DataspaceService {
    /// Whether a path of the console is one of these pages.
    #[must_use]
    pub fn owns_page(target: &str) -> bool {
        [path::CONSENT, path::LOG, path::DATASETS].iter().any(|own| {
            target
                .strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Answers a visit of one of these pages.
    pub async fn page<B>(&self, visit: &Visit, parts: &Parts, body: B) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(session) = &visit.session else {
            let back = form_urlencoded::Serializer::new(String::new())
                .append_pair("return_to", &visit.here)
                .finish();
            return see_other(visit, &format!("{}?{back}", path::LOGIN));
        };
        let query = match Form::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            Ok(query) => query,
            Err(error) => return refused(visit, &error),
        };
        let answer = match parts.method {
            Method::GET | Method::HEAD => self.show(visit, session, parts.uri.path(), &query).await,
            Method::POST => match Form::read(&parts.headers, body).await {
                Ok(form) if visit.sent(&form) => self.submit(visit, session, parts.uri.path(), &form).await,
                Ok(_) => {
                    return refusal(visit, StatusCode::FORBIDDEN, "form-foreign", "");
                }
                Err(error) => return refused(visit, &error),
            },
            _ => Err(edge::method_not_allowed(&parts.method, "GET, HEAD, POST")),
        };
        answer.unwrap_or_else(|problem| {
            let words = match problem.kind {
                OWN_INTEREST => visit.text("consent-own-interest"),
                _ => visit.text_with("consent-failed", &[("reason", &problem.detail)]),
            };
            let content = html! {
                (Notice::problem(words))
                p { a href=(path::ACCOUNT) { (visit.text("nav-account")) } }
            };
            let mut response = Page::new(problem.title.to_string(), content)
                .status(problem.status)
                .respond(visit);
            if let Some(allow) = problem.headers.get(header::ALLOW) {
                response.headers_mut().insert(header::ALLOW, allow.clone());
            }
            response
        })
    }

    async fn show(
        &self,
        visit: &Visit,
        person: &Session,
        target: &str,
        query: &Form,
    ) -> Result<Response<Body>, Problem> {
        match target {
            path::CONSENT => self.show_consents(visit, person, query),
            consent::RECEIPT => self.show_receipt(visit, person, query).await,
            path::LOG => self.show_log(visit, person, query).await,
            log::PROOF => self.proof(person, query).await,
            path::DATASETS => self.show_datasets(visit, person, query),
            describing::DESCRIBE => self.show_describing(visit, person, query),
            _ => Err(edge::not_found(target)),
        }
    }

    async fn submit(
        &self,
        visit: &Visit,
        person: &Session,
        target: &str,
        form: &Form,
    ) -> Result<Response<Body>, Problem> {
        if let Some(answer) = self.submit_consent(visit, person, target, form).await {
            return answer;
        }
        match target {
            describing::DESCRIBE => self.describe(visit, person, form).await,
            describing::REMOVE => self.remove_description(visit, person, form).await,
            dataset::DECIDE => self.decide_negotiation(visit, person, form).await,
            dataset::END => {
                let iri = form.field("agreement").unwrap_or_default().to_owned();
                let root = ResourceName::from_iri(&iri, &self.dataspace.node.origins)
                    .and_then(|name| name.storage_root())
                    .ok_or_else(|| edge::not_found(&iri))?;
                let storage = self.own_storage(person, root.as_str())?;
                let caller = storage.owner.clone();
                self.dataspace
                    .node
                    .commit(move |node, transaction| {
                        exchange::terminate_agreement(node, transaction, &iri, storage.id, &caller, None)
                    })
                    .await?;
                Ok(see_other(visit, "/datasets?done=ended"))
            }
            _ => Err(edge::not_found(target)),
        }
    }

    async fn show_log(&self, visit: &Visit, person: &Session, query: &Form) -> Result<Response<Body>, Problem> {
        let before = query.field("before").and_then(|before| before.parse().ok());
        let only = query.field("storage");
        let mut pages = Vec::new();
        for storage in self.own_storages(visit, person)? {
            if only.is_none_or(|only| only == storage.root.as_str()) {
                let page = LogPage {
                    before,
                    ..LogPage::default()
                };
                pages.push((
                    storage.root.as_str().to_owned(),
                    self.log.read(&storage, &storage.owner, page).await?,
                ));
            }
        }
        let parts: Vec<_> = pages
            .iter()
            .map(|(storage, page)| log::Shown {
                storage,
                page,
                later: before.is_some(),
            })
            .collect();
        let content = log::page(visit, &self.log.node.origins, &parts);
        Ok(Page::new(visit.text("log-title"), content).respond(visit))
    }

    async fn proof(&self, person: &Session, query: &Form) -> Result<Response<Body>, Problem> {
        let storage = self.own_storage(person, query.field("storage").unwrap_or_default())?;
        let leaf = query
            .field("leaf")
            .and_then(|leaf| leaf.parse().ok())
            .ok_or_else(|| edge::not_found(log::PROOF))?;
        let page = LogPage {
            leaf: Some(leaf),
            ..LogPage::default()
        };
        let export = self.log.read(&storage, &storage.owner, page).await?;
        let bytes = serde_json::to_vec_pretty(&export).map_err(|_| Problem::internal())?;
        Ok(download("application/json", &format!("proof-{leaf}.json"), bytes))
    }

    fn show_datasets(&self, visit: &Visit, person: &Session, query: &Form) -> Result<Response<Body>, Problem> {
        let node = &self.dataspace.node;
        let now = node.clock.unix();
        let mut parts = Vec::new();
        for storage in self.own_storages(visit, person)? {
            let snapshot = node.snapshot()?;
            let name = storage_name(storage.root.as_str());
            let mut part = dataset::Shown {
                storage: storage.root.as_str().to_owned(),
                datasets: datasets(&*snapshot, Some(&storage))?,
                ..dataset::Shown::default()
            };
            let negotiations = snapshot
                .records(RecordKind::Negotiation, &format!("{name}/"), None, SHOWN_MAX)
                .map_err(|error| edge::store_problem(&error))?;
            for (key, _) in negotiations {
                let negotiation = exchange::read_negotiation(&*snapshot, &key, now)?;
                part.negotiations.push((key, negotiation));
            }
            let prefix = format!("{}.dataspace/agreements/", storage.root.iri(&node.origins));
            let agreements = snapshot
                .records(RecordKind::Agreement, &prefix, None, SHOWN_MAX)
                .map_err(|error| edge::store_problem(&error))?;
            for (key, bytes) in agreements {
                part.agreements.extend(
                    super::agreement::read_json(Some(bytes), &key).map_err(|error| edge::store_problem(&error))?,
                );
            }
            for agreement in &part.agreements {
                let duty = deletion::duty(&*snapshot, agreement, node.clock.now());
                if let Some(duty) = duty.map_err(|error| edge::store_problem(&error))? {
                    part.deletions.insert(agreement.iri.clone(), duty);
                }
            }
            part.agreements
                .sort_by_key(|agreement| std::cmp::Reverse(agreement.created));
            parts.push(part);
        }
        let notice = Notice::done(
            visit,
            query,
            "dataset-done",
            &["accepted", "refused", "ended", "described", "removed"],
        );
        let content = dataset::page(visit, &node.origins, &parts, notice.as_ref());
        Ok(Page::new(visit.text("dataset-title"), content).respond(visit))
    }

    async fn decide_negotiation(
        &self,
        visit: &Visit,
        person: &Session,
        form: &Form,
    ) -> Result<Response<Body>, Problem> {
        let key = form.field("negotiation").unwrap_or_default().to_owned();
        let storage = self.own_storage(person, &format!("/{}/", key.split('/').next().unwrap_or_default()))?;
        let (caller, yes) = (storage.owner.clone(), form.field("answer") == Some("yes"));
        if !yes && form.field("answer") != Some("no") {
            return Err(edge::unprocessable("answer-missing", "say yes or no"));
        }
        self.dataspace
            .node
            .commit(move |node, transaction| {
                if yes {
                    exchange::agree(node, transaction, &key, storage.id, &caller)
                } else {
                    exchange::terminate_negotiation(node, transaction, &key, storage.id, &caller, None)
                }
            })
            .await?;
        Ok(see_other(
            visit,
            if yes {
                "/datasets?done=accepted"
            } else {
                "/datasets?done=refused"
            },
        ))
    }

    /// A storage of the person; anything else is not found.
    pub(crate) fn own_storage(&self, person: &Session, root: &str) -> Result<Storage, Problem> {
        let node = &self.dataspace.node;
        let snapshot = node.snapshot()?;
        let storage = node.storage(&*snapshot, root.trim_matches('/'))?;
        if person.webids.contains(&storage.owner) {
            Ok(storage)
        } else {
            Err(edge::not_found(root))
        }
    }

    pub(crate) fn own_storages(&self, visit: &Visit, person: &Session) -> Result<Vec<Storage>, Problem> {
        let roots = visit
            .session
            .as_ref()
            .map(|session| session.storages.as_slice())
            .unwrap_or_default();
        roots.iter().map(|root| self.own_storage(person, root)).collect()
    }
}

fn refused(visit: &Visit, error: &FormError) -> Response<Body> {
    refusal(visit, error.clone().into(), "form-broken", &error.to_string())
}

fn refusal(visit: &Visit, status: StatusCode, key: &str, detail: &str) -> Response<Body> {
    let content = html! {
        p { (visit.text(&format!("{key}-explanation"))) }
        @if !detail.is_empty() { p.quiet { (detail) } }
    };
    Page::new(visit.text(&format!("{key}-title")), content)
        .status(status)
        .respond(visit)
}

/// A file that the browser saves.
pub(crate) fn download(media_type: &'static str, name: &str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = crate::ui::response::respond(StatusCode::OK, media_type, bytes);
    let headers = response.headers_mut();
    protect(headers, None);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
