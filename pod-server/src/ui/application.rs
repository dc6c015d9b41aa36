//! The screens between a person and an application: approve it, and log out on its behalf.

use maud::{Markup, html};

use super::layout::{form_token, path};
use super::{Form, Notice, Session, Visit};

/// What the approval screen says about an application.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Client id.
    pub id: &'a str,
    /// What it calls itself.
    pub name: Option<&'a str>,
    /// Whether it describes itself in a document at its id, rather than having registered without any proof.
    pub described: bool,
    /// Origin or scheme that the person is sent back to.
    pub target: &'a str,
    /// Whether it may go on while the person is away.
    pub refreshes: bool,
    /// Whether it may give consent in the person's name.
    pub consents: bool,
    /// The request, to be read anew when the answer comes.
    pub request: &'a str,
    /// Digest of what is shown.
    pub statement: &'a str,
    /// Where the answer goes.
    pub action: &'a str,
}

/// Asks a person whether an application may act under their WebID. Refusing is as easy as allowing.
#[must_use]
pub fn approval(visit: &Visit, session: &Session, shown: &Shown<'_>, notice: Option<&Notice>) -> Markup {
    let name = shown.name.unwrap_or(shown.target);
    html! {
        @if let Some(notice) = notice { (notice) }
        section.card {
            p { (visit.text_with("application-question", &[("name", name), ("label", &session.label)])) }
            dl {
                dt { (visit.text("application-label")) }
                dd { @if shown.described { code { (shown.id) } } @else { (visit.text("application-undescribed")) } }
                dt { (visit.text("application-target")) }
                dd { code { (shown.target) } }
                @if session.webids.len() == 1 {
                    dt { (visit.text("application-webid")) }
                    dd { code { (session.webid) } }
                }
            }
            p { (visit.text("application-means")) }
            @if shown.refreshes { p { (visit.text("application-offline")) } }
            @if shown.consents { div.notice { p { strong { (visit.text("application-consents")) } } } }
            form method="post" action=(shown.action) {
                (form_token(visit))
                input type="hidden" name="request" value=(shown.request);
                input type="hidden" name="statement" value=(shown.statement);
                (super::webids::choice(visit, session, "application-webid-choice", None))
                div.actions {
                    button.second type="submit" name="decision" value="allow" { (visit.text("application-allow")) }
                    button.second type="submit" name="decision" value="deny" { (visit.text("application-deny")) }
                }
            }
        }
        p.quiet { (visit.text("application-other-account")) }
    }
}

/// Asks whether to log out; the fields that say where to go afterwards travel along and are checked again.
#[must_use]
pub fn logout(visit: &Visit, action: &str, form: &Form) -> Markup {
    html! {
        section.card.narrow {
            p { (visit.text("logout-question")) }
            form method="post" action=(action) {
                (form_token(visit))
                @for name in ["client_id", "id_token_hint", "post_logout_redirect_uri", "state"] {
                    @if let Some(value) = form.field(name) { input type="hidden" name=(name) value=(value); }
                }
                div.actions {
                    button type="submit" { (visit.text("log-out")) }
                    a.button.second href=(path::ACCOUNT) { (visit.text("logout-stay")) }
                }
            }
        }
    }
}
