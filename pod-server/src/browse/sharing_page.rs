//! The page on which a person says who may do what with a folder or document.

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use oxrdf::Quad;
use policies::request::WebId;
use policies::wac::Modes;
use server_kit::body::{self, Body, ReadLimits, Reader};

use crate::authz::scope::Viewers;
use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::ldp::document::{self, Bounds, Document};
use crate::name::{Auxiliary, ResourceName};
use crate::ui::data::{self, PATH};
use crate::ui::{Form, Notice, Page, see_other, sharing as page};

use super::sharing::{self, Place, Who};
use super::{DataBrowser, Fault, Turn};

/// The access control list that counts for something.
struct List {
    document: Document,
    /// What it belongs to: the thing itself or a folder above it.
    holder: ResourceName,
    /// Entity tag of the list.
    etag: String,
}

impl List {
    /// What the page must send back, so that nothing is changed that was not seen.
    fn state(&self) -> String {
        format!("{} {}", self.holder, self.etag)
    }
}

/// Whether the access rules that were read are policies, which this page neither shows nor changes.
fn is_policies(headers: &http::HeaderMap) -> bool {
    let links = headers.get_all(header::LINK).iter();
    links.filter_map(|link| link.to_str().ok()).any(|link| {
        let kind = vocab::acp::ACCESS_CONTROL_RESOURCE;
        link.contains(&format!("<{kind}>; rel=\"type\""))
    })
}

impl DataBrowser {
    pub(super) async fn show_sharing(
        &self,
        turn: &Turn<'_>,
        notice: Option<Notice>,
        status: StatusCode,
    ) -> Result<Response<Body>, Fault> {
        let visit = turn.visit;
        let list = self.list(turn).await?;
        let iris = self.iris(&turn.name);
        let shares = sharing::shares(&self.own(&list, turn, &iris), iris.place());
        let viewers = self.viewers(turn).await?;
        let shown = page::Shown {
            viewers: viewers.as_ref(),
            name: &turn.name,
            origins: &self.parts.origins,
            own_webid: turn.webid,
            holder: &list.holder,
            removable: list.holder == turn.name && turn.name.storage_root().as_ref() != Some(&turn.name),
            state: &list.state(),
            shares: &shares,
        };
        let content = page::page(visit, &shown, notice.as_ref());
        let title = visit.text_with("share-title", &[("name", &data::title(visit, &turn.name))]);
        Ok(Page::new(title, content).status(status).respond(visit))
    }

    pub(super) async fn share(&self, turn: &Turn<'_>, form: &Form) -> Result<Response<Body>, Fault> {
        let modes = match form.field("level") {
            Some("read") => Modes::READ,
            Some("add") => Modes::READ | Modes::APPEND,
            Some("write") => Modes::READ | Modes::WRITE,
            _ => return self.say(turn, "share-level-missing").await,
        };
        let who = match (form.field("who"), form.field("webid").map(str::trim)) {
            (Some("everyone"), _) => Who::Everyone,
            (Some("logged-in"), _) => Who::LoggedIn,
            (Some("agent"), Some(webid)) => match WebId::parse(webid) {
                Ok(webid) => Who::Agent(webid.as_str().to_owned()),
                Err(_) => return self.say(turn, "share-webid-malformed").await,
            },
            (Some("agent"), None) => return self.say(turn, "share-webid-malformed").await,
            _ => return self.say(turn, "share-who-missing").await,
        };
        if who == Who::Agent(turn.webid.to_owned()) {
            return self.say(turn, "share-self").await;
        }
        let mut mark = [0; 8];
        getrandom::fill(&mut mark).map_err(|error| Error::Internal(error.to_string()))?;
        let name = format!("share-{}", hex::encode(mark));
        self.change(turn, form, "shared", move |statements, place| {
            sharing::grant(statements, place, &who, modes, &name);
        })
        .await
    }

    pub(super) async fn unshare(&self, turn: &Turn<'_>, form: &Form) -> Result<Response<Body>, Fault> {
        let iri = form.field("iri").unwrap_or_default().to_owned();
        let who = match form.field("who") {
            Some("everyone") => Who::Everyone,
            Some("logged-in") => Who::LoggedIn,
            Some("agent") if iri != turn.webid => Who::Agent(iri),
            Some("group") => Who::Group(iri),
            // Nobody takes the own access away by a slip of the hand.
            _ => return self.say(turn, "share-self").await,
        };
        self.change(turn, form, "unshared", move |statements, place| {
            sharing::revoke(statements, place, &who);
        })
        .await
    }

    /// Takes the list of the thing itself away, so that those of the folder above count again.
    pub(super) async fn inherit(&self, turn: &Turn<'_>, form: &Form) -> Result<Response<Body>, Fault> {
        let list = self.list(turn).await?;
        if form.field("state") != Some(&list.state()) || list.holder != turn.name {
            return self.changed(turn).await;
        }
        let headers = [(header::IF_MATCH, list.etag.as_str())];
        let name = turn.name.auxiliary(Auxiliary::Acl);
        let answer = self
            .ask(Method::DELETE, &name, &headers, body::empty(), &turn.caller)
            .await;
        self.written(turn, answer, "unshared").await
    }

    async fn change(
        &self,
        turn: &Turn<'_>,
        form: &Form,
        done: &str,
        change: impl FnOnce(&mut Vec<Quad>, Place<'_>) + Send,
    ) -> Result<Response<Body>, Fault> {
        let list = self.list(turn).await?;
        if form.field("state") != Some(&list.state()) {
            return self.changed(turn).await;
        }
        let iris = self.iris(&turn.name);
        let mut statements = self.own(&list, turn, &iris);
        change(&mut statements, iris.place());
        let document = Document {
            quads: statements,
            prefixes: vec![
                ("acl".to_owned(), vocab::acl::NS.to_owned()),
                ("foaf".to_owned(), vocab::foaf::NS.to_owned()),
            ],
        };
        let text = Bytes::from(document.write(Syntax::Turtle)?);
        let condition = if list.holder == turn.name {
            (header::IF_MATCH, list.etag.as_str())
        } else {
            (header::IF_NONE_MATCH, "*")
        };
        let headers = [(header::CONTENT_TYPE, Syntax::Turtle.media_type()), condition];
        let name = turn.name.auxiliary(Auxiliary::Acl);
        let answer = self
            .ask(Method::PUT, &name, &headers, body::full(text), &turn.caller)
            .await;
        self.written(turn, answer, done).await
    }

    async fn written(
        &self,
        turn: &Turn<'_>,
        answer: Result<Response<Body>, Error>,
        done: &str,
    ) -> Result<Response<Body>, Fault> {
        match answer {
            Ok(_) => {
                let target = format!("{PATH}{}?do={}&done={done}", turn.name, data::SHARE);
                Ok(see_other(turn.visit, &target))
            }
            Err(Error::Precondition(_)) => self.changed(turn).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn changed(&self, turn: &Turn<'_>) -> Result<Response<Body>, Fault> {
        let notice = Some(Notice::problem(turn.visit.text("share-changed")));
        self.show_sharing(turn, notice, StatusCode::CONFLICT).await
    }

    async fn say(&self, turn: &Turn<'_>, key: &str) -> Result<Response<Body>, Fault> {
        let notice = Some(Notice::problem(turn.visit.text(key)));
        self.show_sharing(turn, notice, StatusCode::UNPROCESSABLE_ENTITY).await
    }

    /// Who else could see it, under agreements. Only whose own storage it is learns with whom there are any.
    async fn viewers(&self, turn: &Turn<'_>) -> Result<Option<Viewers>, Error> {
        let root = turn.name.storage_root();
        let own = |root: &ResourceName| turn.session.storages.iter().any(|own| own == root.as_str());
        if !root.as_ref().is_some_and(own) {
            return Ok(None);
        }
        Ok(Some(self.parts.scope.viewers(&turn.name, None).await?))
    }

    /// The nearest list, from the thing itself up to the root of its storage.
    async fn list(&self, turn: &Turn<'_>) -> Result<List, Fault> {
        let mut holder = turn.name.clone();
        loop {
            let name = holder.auxiliary(Auxiliary::Acl);
            let headers = [(header::ACCEPT, Syntax::Turtle.media_type())];
            match self
                .ask(Method::GET, &name, &headers, body::empty(), &turn.caller)
                .await
            {
                Ok(found) if is_policies(found.headers()) => {
                    return Err(Fault::Said(StatusCode::CONFLICT, "share-policies"));
                }
                Ok(found) => {
                    let etag = super::render::text(found.headers(), &header::ETAG).to_owned();
                    let document = self.parse(&name, found.into_body()).await?;
                    return Ok(List { document, holder, etag });
                }
                Err(Error::NotFound | Error::Vacant { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let above = holder.parent().filter(|above| !above.is_root());
            holder = above.ok_or(Fault::Interface(Error::NotFound))?;
        }
    }

    async fn parse(&self, name: &ResourceName, content: Body) -> Result<Document, Error> {
        let limits = ReadLimits::default();
        let bytes = Reader::new(content, limits)?.all().await?;
        let bounds = Bounds {
            nesting_max: NESTING_MAX,
        };
        document::parse(&bytes, Syntax::Turtle, &name.iri(&self.parts.origins), bounds)
    }

    /// The statements that count, as those of a list of the thing itself.
    fn own(&self, list: &List, turn: &Turn<'_>, iris: &Iris) -> Vec<Quad> {
        if list.holder == turn.name {
            return list.document.quads.clone();
        }
        let holder = list.holder.iri(&self.parts.origins);
        sharing::inherited(&list.document.quads, &holder, iris.place())
    }

    fn iris(&self, name: &ResourceName) -> Iris {
        Iris {
            list: name.auxiliary(Auxiliary::Acl).iri(&self.parts.origins),
            target: name.iri(&self.parts.origins),
            container: name.is_container(),
        }
    }
}

/// Brackets open at one time in a list; it was checked when it was stored.
const NESTING_MAX: u32 = 64;

struct Iris {
    list: String,
    target: String,
    container: bool,
}

impl Iris {
    fn place(&self) -> Place<'_> {
        Place {
            list: &self.list,
            target: &self.target,
            container: self.container,
        }
    }
}
