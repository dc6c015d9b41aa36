//! Deleting with a question before: one document in the state that was shown, or a folder with all that is in it.

use http::{Method, Response, StatusCode, header};
use server_kit::body::{self, Body};

use crate::error::Error;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::ui::data::{self, PATH};
use crate::ui::{Form, Page, see_other};

use super::{DataBrowser, Fault, Turn};

/// Whether the page is about the document that the person's own WebID lies in. It is never deleted here: whoever deletes
/// it can log in nowhere any more.
pub(super) fn is_profile(turn: &Turn<'_>, origins: &Origins) -> bool {
    let iri = turn.name.iri(origins);
    turn.session.webids.iter().any(|webid| {
        let document = webid.split('#').next().unwrap_or_default();
        document == iri || (turn.name.is_container() && document.starts_with(&iri))
    })
}

impl DataBrowser {
    pub(super) async fn ask_removal(&self, turn: &Turn<'_>) -> Result<Response<Body>, Fault> {
        let visit = turn.visit;
        self.may_be_removed(turn)?;
        let (state, members) = if turn.name.is_container() {
            let page = self.parts.ldp.members(&turn.name, None, 1, &turn.caller).await?;
            (String::new(), Some(page.total))
        } else {
            (self.etag(turn).await?, None)
        };
        let content = data::removal(visit, &turn.name, &state, members);
        Ok(Page::new(visit.text("data-delete-title"), content).respond(visit))
    }

    pub(super) async fn remove(&self, turn: &Turn<'_>, form: &Form) -> Result<Response<Body>, Fault> {
        self.may_be_removed(turn)?;
        if turn.name.is_container() {
            self.remove_folder(turn).await?;
        } else {
            let state = form.field("state").unwrap_or_default();
            let headers = [(header::IF_MATCH, state)];
            self.ask(Method::DELETE, &turn.name, &headers, body::empty(), &turn.caller)
                .await?;
        }
        let parent = turn.name.parent().filter(|parent| !parent.is_root());
        let back = parent.map_or_else(|| PATH.to_owned(), |parent| format!("{PATH}{parent}?done=deleted"));
        Ok(see_other(turn.visit, &back))
    }

    fn may_be_removed(&self, turn: &Turn<'_>) -> Result<(), Fault> {
        if is_profile(turn, &self.parts.origins) {
            return Err(Fault::Said(StatusCode::CONFLICT, "data-delete-profile"));
        }
        Ok(())
    }

    /// Deletes what is in a folder, the deepest first, and then the folder. Each is decided and recorded by itself; the
    /// first that cannot be deleted ends it, and what was deleted before stays deleted.
    async fn remove_folder(&self, turn: &Turn<'_>) -> Result<(), Fault> {
        for name in self.inside(turn).await?.iter().rev() {
            match self.ask(Method::DELETE, name, &[], body::empty(), &turn.caller).await {
                // Somebody else was quicker.
                Ok(_) | Err(Error::NotFound | Error::Vacant { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The folder and everything in it, each folder before its members.
    async fn inside(&self, turn: &Turn<'_>) -> Result<Vec<ResourceName>, Fault> {
        let most = self.parts.bounds.delete_items_max;
        let mut found = vec![turn.name.clone()];
        let mut next = 0;
        while let Some(container) = found.get(next).cloned() {
            next += 1;
            if !container.is_container() {
                continue;
            }
            let page = self.parts.ldp.members(&container, None, most, &turn.caller).await?;
            found.extend(page.members.into_iter().map(|member| member.name));
            if page.more || found.len() > most.saturating_add(1) {
                return Err(Fault::Said(StatusCode::CONFLICT, "data-delete-many"));
            }
        }
        Ok(found)
    }
}
