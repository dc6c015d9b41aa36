//! The data browser: a person's own storage as pages (view, upload, make folders, share, delete).
//!
//! Everything it shows and does goes through the resource interface as the person who has logged in, so that the same
//! rules decide and the same log remembers. Nothing here touches data without that. Files are handed out as downloads
//! that no browser runs, because the console never acts as an origin of pod content.

mod profile_page;
mod removal;
mod render;
mod sharing;
mod sharing_page;
mod take_out;
mod upload;

pub mod multipart;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use policies::request::{Agent, Subject, WebId};
use server_kit::body::{self, Body};
use server_kit::clock::Clock;

use crate::archive::Exports;
use crate::authz::Caller;
use crate::authz::scope::Scope;
use crate::config::BrowseSection;
use crate::error::Error;
use crate::ldp::{LdpService, slug};
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{ReadPermit, Store, StoreError};
use crate::ui::data::{self, PATH};
use crate::ui::layout::path;
use crate::ui::{Form, FormError, Notice, Page, Session, Visit, profile, see_other};

/// What a page before may say that it has done.
const DONE: [&str; 6] = ["folder", "uploaded", "replaced", "deleted", "shared", "unshared"];

pub use sharing::{Share, Who};

/// What the data browser is built from.
pub struct DataBrowserParts {
    /// The resource interface.
    pub ldp: Arc<LdpService>,
    /// The store, for the names and sizes of the person's own storages.
    pub store: Arc<dyn Store>,
    /// Where the resources of the server are.
    pub origins: Origins,
    /// IRI of the built-in issuer: who vouches for the person on these pages.
    pub issuer: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Bounds.
    pub bounds: BrowseSection,
    /// Knows who could see what under agreements.
    pub scope: Arc<Scope>,
}

/// The data browser of one server.
pub struct DataBrowser {
    parts: DataBrowserParts,
    /// Storages that are being taken along.
    exports: Exports,
}

/// Why a page cannot do what was asked.
#[derive(Debug)]
enum Fault {
    /// The resource interface refused or failed.
    Interface(Error),
    /// Something about the form, by the key of its text.
    Said(StatusCode, &'static str),
    /// The form cannot be read.
    Form(FormError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Interface(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Interface(error.into())
    }
}

/// One visit of a resource's page.
struct Turn<'a> {
    visit: &'a Visit,
    session: &'a Session,
    /// The WebID that the person acts under.
    webid: &'a str,
    name: ResourceName,
    caller: Caller,
}

impl DataBrowser {
    /// A data browser.
    #[must_use]
    pub fn new(parts: DataBrowserParts) -> Self {
        Self {
            exports: Exports::new(parts.bounds.take_outs_max),
            parts,
        }
    }

    /// Whether a path of the console is one of these pages.
    #[must_use]
    pub fn owns_page(target: &str) -> bool {
        let below = |own: &str| {
            target
                .strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        target == profile::PATH || below(PATH)
    }

    /// Answers a visit of one of these pages.
    pub async fn page(&self, visit: &Visit, parts: &Parts, body: Body) -> Response<Body> {
        let Some(session) = visit.session.as_ref() else {
            let back = form_urlencoded::Serializer::new(String::new())
                .append_pair("return_to", &visit.here)
                .finish();
            return see_other(visit, &format!("{}?{back}", path::LOGIN));
        };
        match self.answer(visit, session, parts, body).await {
            Ok(response) => response,
            Err(fault) => fault_page(visit, fault),
        }
    }

    async fn answer(
        &self,
        visit: &Visit,
        session: &Session,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Fault> {
        if parts.uri.path() == profile::PATH {
            return self.profile(visit, session, parts, body).await;
        }
        let query = Form::parse(parts.uri.query().unwrap_or_default().as_bytes()).map_err(Fault::Form)?;
        let place = parts.uri.path().strip_prefix(PATH).unwrap_or_default();
        if matches!(place, "" | "/") {
            return self.storages(visit, session);
        }
        let name = ResourceName::parse(place).map_err(|_| Fault::Interface(Error::NotFound))?;
        let webid = self.webid_for(session, &name)?;
        let turn = Turn {
            visit,
            session,
            caller: self.caller(webid)?,
            webid,
            name,
        };
        match parts.method {
            Method::GET | Method::HEAD => self.show(&turn, &parts.headers, &query).await,
            Method::POST if multipart::Multipart::is_announced(&parts.headers) => {
                self.receive(&turn, &parts.headers, body).await
            }
            Method::POST => {
                let form = Form::read(&parts.headers, body).await.map_err(Fault::Form)?;
                if !visit.sent(&form) {
                    return Err(Fault::Said(StatusCode::FORBIDDEN, "form-foreign-explanation"));
                }
                self.submit(&turn, &form).await
            }
            _ => Err(Fault::Interface(Error::MethodNotAllowed {
                allow: HeaderValue::from_static("GET, HEAD, POST"),
            })),
        }
    }

    /// The person as a caller of the resource interface: the WebID, vouched for by this server's own issuer.
    fn caller(&self, webid: &str) -> Result<Caller, Error> {
        let webid = WebId::parse(webid).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Caller {
            subject: Subject {
                agent: Agent::Authenticated(webid),
                issuer: Some(self.parts.issuer.clone()),
                ..Subject::default()
            },
            ..Caller::default()
        })
    }

    /// The WebID of the person that a storage belongs to, if it is the person's own; else the first.
    fn webid_for<'s>(&self, session: &'s Session, name: &ResourceName) -> Result<&'s str, Error> {
        let root = name
            .storage_root()
            .filter(|root| session.storages.iter().any(|own| own == root.as_str()));
        let Some(root) = root.filter(|_| session.webids.len() > 1) else {
            return Ok(&session.webid);
        };
        let permit = ReadPermit::without_proof("which of the account's own WebIDs a storage of the account belongs to");
        let storage = self.parts.store.snapshot(permit)?.storage(&root)?;
        let owner = storage.and_then(|storage| session.webids.iter().find(|webid| **webid == storage.owner));
        Ok(owner.unwrap_or(&session.webid))
    }

    /// The person's storages; the only one at once.
    fn storages(&self, visit: &Visit, session: &Session) -> Result<Response<Body>, Fault> {
        if let [only] = session.storages.as_slice() {
            return Ok(see_other(visit, &format!("{PATH}{only}")));
        }
        let permit = ReadPermit::without_proof("the account holder sees which storages are the account's own");
        let snapshot = self.parts.store.snapshot(permit)?;
        let mut shown = Vec::new();
        for root in &session.storages {
            let name = ResourceName::parse(root).map_err(Error::from)?;
            if let Some(storage) = snapshot.storage(&name)? {
                shown.push((root.as_str(), storage.bytes_used));
            }
        }
        let content = data::storages(visit, &shown);
        Ok(Page::new(visit.text("data-title"), content).respond(visit))
    }

    async fn show(&self, turn: &Turn<'_>, request: &HeaderMap, query: &Form) -> Result<Response<Body>, Fault> {
        match query.field("do") {
            None if turn.name.is_container() => self.show_folder(turn, query, None, StatusCode::OK).await,
            None => self.show_document(turn, query).await,
            Some(data::DOWNLOAD) => self.download(turn, request).await,
            Some(data::TAKE_OUT) => self.take_out(turn).await,
            Some(data::PICTURE) => self.picture(turn).await,
            Some(data::SHARE) => {
                self.show_sharing(
                    turn,
                    Notice::done(turn.visit, query, "data-done", &DONE),
                    StatusCode::OK,
                )
                .await
            }
            Some(data::DELETE) => self.ask_removal(turn).await,
            Some(_) => Err(Fault::Interface(Error::NotFound)),
        }
    }

    async fn submit(&self, turn: &Turn<'_>, form: &Form) -> Result<Response<Body>, Fault> {
        match form.field("do") {
            Some(data::FOLDER) => self.make_folder(turn, form).await,
            Some(data::DELETE) => self.remove(turn, form).await,
            Some(data::SHARE) => self.share(turn, form).await,
            Some(data::UNSHARE) => self.unshare(turn, form).await,
            Some(data::INHERIT) => self.inherit(turn, form).await,
            _ => Err(Fault::Said(StatusCode::BAD_REQUEST, "form-broken-explanation")),
        }
    }

    /// Asks the resource interface.
    async fn ask(
        &self,
        method: Method,
        name: &ResourceName,
        headers: &[(HeaderName, &str)],
        content: Body,
        caller: &Caller,
    ) -> Result<Response<Body>, Error> {
        let mut request = Request::new(content);
        *request.method_mut() = method;
        let uri = name.as_str().parse();
        *request.uri_mut() = uri.map_err(|_| Error::Internal(format!("`{name}` is no target")))?;
        for (field, value) in headers {
            let value =
                HeaderValue::from_str(value).map_err(|_| Error::BadRequest(format!("`{field}` is malformed")))?;
            request.headers_mut().insert(field.clone(), value);
        }
        self.parts.ldp.handle(request, caller).await
    }

    async fn make_folder(&self, turn: &Turn<'_>, form: &Form) -> Result<Response<Body>, Fault> {
        let wish = form.field("name").unwrap_or_default().trim();
        let made = slug::member(&turn.name, wish, true)
            .filter(|made| !wish.is_empty() && made.parent().as_ref() == Some(&turn.name));
        let refused = || Some(Notice::problem(turn.visit.text("data-name-refused")));
        let Some(made) = made else {
            let notice = refused();
            return self
                .show_folder(turn, &Form::default(), notice, StatusCode::UNPROCESSABLE_ENTITY)
                .await;
        };
        let headers = [(header::IF_NONE_MATCH, "*")];
        match self
            .ask(Method::PUT, &made, &headers, body::empty(), &turn.caller)
            .await
        {
            Ok(_) => Ok(see_other(turn.visit, &format!("{PATH}{made}?done=folder"))),
            Err(Error::Precondition(_) | Error::Conflict(_)) => {
                let notice = Some(Notice::problem(
                    turn.visit.text_with("data-name-taken", &[("name", wish)]),
                ));
                self.show_folder(turn, &Form::default(), notice, StatusCode::CONFLICT)
                    .await
            }
            // A name that belongs to the server itself.
            Err(Error::MethodNotAllowed { .. }) => {
                self.show_folder(turn, &Form::default(), refused(), StatusCode::UNPROCESSABLE_ENTITY)
                    .await
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What went wrong, in the visitor's words, with the status that a program would get.
fn fault_page(visit: &Visit, fault: Fault) -> Response<Body> {
    let (status, text) = explain(visit, fault);
    let content = data::fault(visit, &text);
    Page::new(visit.text("data-fault-title"), content)
        .status(status)
        .respond(visit)
}

fn explain(visit: &Visit, fault: Fault) -> (StatusCode, String) {
    let error = match fault {
        Fault::Said(status, key) => return (status, visit.text(key)),
        Fault::Form(error) => return (error.into(), visit.text("form-broken-explanation")),
        Fault::Interface(error) => error,
    };
    let text = match &error {
        Error::Forbidden | Error::Unauthenticated => visit.text("data-refused"),
        Error::NotFound | Error::Vacant { .. } | Error::Name(_) => visit.text("data-missing"),
        Error::Precondition(_) | Error::Contention => visit.text("data-changed"),
        Error::Malformed { line, message, .. } => {
            visit.text_with("data-malformed", &[("line", &line.to_string()), ("reason", message)])
        }
        Error::Store(StoreError::Full(_)) => visit.text("data-full"),
        Error::Body(server_kit::body::ReadError::TooLarge { .. }) => visit.text("data-too-large"),
        Error::Body(_) => visit.text("data-broken-off"),
        Error::Conflict(reason) | Error::Unprocessable { detail: reason, .. } | Error::BadRequest(reason) => {
            visit.text_with("data-not-possible", &[("reason", reason)])
        }
        other => {
            let reason = match other {
                // What our own fault is goes to the log only.
                Error::Internal(_) | Error::Store(_) => String::new(),
                told => told.to_string(),
            };
            visit.text_with("data-not-possible", &[("reason", &reason)])
        }
    };
    let status = error.into_response(&HeaderValue::from_static("DPoP")).status();
    (status, text)
}
