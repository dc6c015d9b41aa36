//! The page on which a person says how others see the WebID: name, picture and other plain fields.
//!
//! It changes exactly the statements of its fields, with a patch of the state that was shown, through the resource
//! interface. Everything else in the profile stays as it is, above all what others trust: issuer, storages, inbox,
//! preferences (solid#114).

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use oxrdf::{Literal, NamedNode, NamedOrBlankNode, Quad, Term, Triple};
use server_kit::body::{self, Body, ReadLimits, Reader};

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::ldp::document::{self, Bounds};
use crate::name::ResourceName;
use crate::ui::profile::{self as page, FIELDS, Kind, PATH};
use crate::ui::{Form, Notice, Page, Session, Tone, Visit, see_other};

use super::{DataBrowser, Fault, Turn};

/// Brackets open at one time in a profile; it was checked when it was stored.
const NESTING_MAX: u32 = 64;

/// A profile as it is.
struct Profile {
    statements: Vec<Quad>,
    etag: String,
}

impl DataBrowser {
    pub(super) async fn profile(
        &self,
        visit: &Visit,
        session: &Session,
        parts: &Parts,
        content: Body,
    ) -> Result<Response<Body>, Fault> {
        let query = Form::parse(parts.uri.query().unwrap_or_default().as_bytes()).map_err(Fault::Form)?;
        let form = match parts.method {
            Method::POST => Some(Form::read(&parts.headers, content).await.map_err(Fault::Form)?),
            _ => None,
        };
        let wish = form.as_ref().unwrap_or(&query).field("webid").unwrap_or(&session.webid);
        let webid = session
            .webids
            .iter()
            .find(|webid| *webid == wish)
            .ok_or(Fault::Interface(Error::NotFound))?;
        let Some(name) = self.document_of(webid) else {
            return Err(Fault::Said(StatusCode::NOT_FOUND, "profile-elsewhere"));
        };
        let turn = Turn {
            visit,
            session,
            caller: self.caller(webid)?,
            webid,
            name,
        };
        let Some(form) = form else {
            let done = query.field("done").is_some().then(|| Notice {
                tone: Tone::Done,
                text: visit.text("done-profile"),
            });
            return self.show_profile(&turn, StatusCode::OK, done).await;
        };
        if !visit.sent(&form) {
            return Err(Fault::Said(StatusCode::FORBIDDEN, "form-foreign-explanation"));
        }
        self.change_profile(&turn, &form).await
    }

    /// The document of a WebID of this server.
    fn document_of(&self, webid: &str) -> Option<ResourceName> {
        let document = webid.split('#').next().unwrap_or(webid);
        ResourceName::from_iri(document, &self.parts.origins)
    }

    async fn show_profile(
        &self,
        turn: &Turn<'_>,
        status: StatusCode,
        notice: Option<Notice>,
    ) -> Result<Response<Body>, Fault> {
        let profile = self.read_profile(turn).await?;
        let values: Vec<String> = FIELDS
            .iter()
            .map(|field| {
                let held = field.predicates.iter().find_map(|predicate| {
                    held(&profile.statements, turn.webid, predicate)
                        .into_iter()
                        .next()
                        .map(text)
                });
                held.unwrap_or_default()
            })
            .collect();
        let shown = page::Shown {
            session: turn.session,
            webid: turn.webid,
            state: &profile.etag,
            values: &values,
        };
        let content = page::page(turn.visit, &shown, notice.as_ref());
        Ok(Page::new(turn.visit.text("profile-title"), content)
            .status(status)
            .respond(turn.visit))
    }

    async fn change_profile(&self, turn: &Turn<'_>, form: &Form) -> Result<Response<Body>, Fault> {
        let profile = self.read_profile(turn).await?;
        let problem = |key: &str| Some(Notice::problem(turn.visit.text(key)));
        if form.field("state") != Some(profile.etag.as_str()) {
            return self
                .show_profile(turn, StatusCode::CONFLICT, problem("profile-changed"))
                .await;
        }
        let (mut deleted, mut inserted) = (Vec::new(), Vec::new());
        for field in &FIELDS {
            let wish = form.field(field.name).map(str::trim).filter(|wish| !wish.is_empty());
            let new = match wish.map(|wish| term(field.kind, wish)) {
                Some(None) => {
                    return self
                        .show_profile(turn, StatusCode::UNPROCESSABLE_ENTITY, problem("profile-address"))
                        .await;
                }
                Some(Some(term)) => Some(term),
                None if field.required => {
                    return self
                        .show_profile(turn, StatusCode::UNPROCESSABLE_ENTITY, problem("label-malformed"))
                        .await;
                }
                None => None,
            };
            for predicate in field.predicates {
                let held = held(&profile.statements, turn.webid, predicate);
                // What says the same already stays as it is, language and all.
                if held.len() == 1 && held.first().map(|held| text(held)).as_deref() == wish {
                    continue;
                }
                deleted.extend(held.iter().map(|old| statement(turn.webid, predicate, (*old).clone())));
                inserted.extend(new.iter().map(|new| statement(turn.webid, predicate, new.clone())));
            }
        }
        if !(deleted.is_empty() && inserted.is_empty()) {
            let patch = Bytes::from(patch(&deleted, &inserted));
            let headers = [
                (header::CONTENT_TYPE, "text/n3"),
                (header::IF_MATCH, profile.etag.as_str()),
            ];
            match self
                .ask(Method::PATCH, &turn.name, &headers, body::full(patch), &turn.caller)
                .await
            {
                Ok(_) => {}
                Err(Error::Precondition(_)) => {
                    return self
                        .show_profile(turn, StatusCode::CONFLICT, problem("profile-changed"))
                        .await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("webid", turn.webid)
            .append_pair("done", "profile")
            .finish();
        Ok(see_other(turn.visit, &format!("{PATH}?{query}")))
    }

    async fn read_profile(&self, turn: &Turn<'_>) -> Result<Profile, Fault> {
        let headers = [(header::ACCEPT, Syntax::Turtle.media_type())];
        let found = self
            .ask(Method::GET, &turn.name, &headers, body::empty(), &turn.caller)
            .await?;
        let etag = super::render::text(found.headers(), &header::ETAG).to_owned();
        let bytes = Reader::new(found.into_body(), ReadLimits::default())
            .map_err(Error::Body)?
            .all()
            .await
            .map_err(Error::Body)?;
        let bounds = Bounds {
            nesting_max: NESTING_MAX,
        };
        let base = turn.name.iri(&self.parts.origins);
        let document = document::parse(&bytes, Syntax::Turtle, &base, bounds)?;
        Ok(Profile {
            statements: document.quads,
            etag,
        })
    }
}

/// The plain values of a property.
fn held<'q>(statements: &'q [Quad], webid: &str, predicate: &str) -> Vec<&'q Term> {
    statements
        .iter()
        .filter(|quad| {
            quad.predicate.as_str() == predicate
                && matches!(&quad.subject, NamedOrBlankNode::NamedNode(node) if node.as_str() == webid)
                && !matches!(quad.object, Term::BlankNode(_))
        })
        .map(|quad| &quad.object)
        .collect()
}

fn text(term: &Term) -> String {
    match term {
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        other => other.to_string(),
    }
}

/// What a person wrote as a term; none when it is no address where one is needed.
fn term(kind: Kind, text: &str) -> Option<Term> {
    match kind {
        Kind::Text => Some(Literal::new_simple_literal(text).into()),
        Kind::Address => {
            let web = text.starts_with("https://") || text.starts_with("http://");
            NamedNode::new(text).ok().filter(|_| web).map(Term::from)
        }
    }
}

fn statement(webid: &str, predicate: &str, object: Term) -> Triple {
    Triple::new(
        NamedNode::new_unchecked(webid),
        NamedNode::new_unchecked(predicate),
        object,
    )
}

fn patch(deleted: &[Triple], inserted: &[Triple]) -> String {
    let lines = |triples: &[Triple]| triples.iter().map(|triple| format!("{triple} .\n")).collect::<String>();
    let mut patch = "@prefix solid: <http://www.w3.org/ns/solid/terms#>.\n_:patch a solid:InsertDeletePatch".to_owned();
    for (property, triples) in [("deletes", deleted), ("inserts", inserted)] {
        if !triples.is_empty() {
            patch.push_str(&format!(";\n solid:{property} {{\n{}}}", lines(triples)));
        }
    }
    patch.push_str(".\n");
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_cannot_break_out_of_its_place() {
        assert!(term(Kind::Address, "javascript:alert(1)").is_none());
        assert!(term(Kind::Address, "https://a.example/> <#x").is_none());
        let text = "a\" . <#me> <http://www.w3.org/ns/solid/terms#oidcIssuer> <https://evil.example/> . \\ \n";
        let term = term(Kind::Text, text);
        let triple = term.map(|term| statement("https://a.example/#me", "http://xmlns.com/foaf/0.1/name", term));
        let patch = patch(&[], triple.as_slice());
        let parsed: Vec<_> = oxttl::N3Parser::new().for_slice(patch.as_bytes()).flatten().collect();
        let named = parsed
            .iter()
            .filter(|quad| matches!(quad.subject, oxttl::n3::N3Term::NamedNode(_)));
        assert_eq!(named.count(), 1, "{patch}");
    }
}
