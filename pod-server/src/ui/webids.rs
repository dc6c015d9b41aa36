//! The page of an account's WebIDs: which it has, and how an external one is proved.

use maud::{Markup, html};

use super::layout::{Field, form_token, path};
use super::{Notice, Session, Visit};

/// The page.
pub const PATH: &str = "/account/webids";
/// Where a proof begins.
pub const LINK: &str = "/account/webids/link";
/// Where the profile is looked at.
pub const CHECK: &str = "/account/webids/check";
/// Where a WebID is taken away.
pub const FORGET: &str = "/account/webids/forget";

/// What the page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The account holder.
    pub session: &'a Session,
    /// The issuer, as it must stand in a profile.
    pub issuer: &'a str,
    /// A proof under way: WebID and token.
    pub proof: Option<(&'a str, &'a str)>,
}

/// The page.
#[must_use]
pub fn page(visit: &Visit, shown: &Shown<'_>, notice: Option<&Notice>) -> Markup {
    html! {
        @if let Some(notice) = notice { (notice) }
        p { (visit.text("webids-explanation")) }
        section.card aria-labelledby="webids" {
            h2 #webids { (visit.text("webids-title")) }
            ul.rows {
                @for webid in &shown.session.webids {
                    li {
                        code { (webid) }
                        @if *webid == shown.session.webid {
                            span.quiet { (visit.text("webid-first")) }
                        } @else {
                            form method="post" action=(FORGET) {
                                (form_token(visit))
                                input type="hidden" name="webid" value=(webid);
                                button.danger type="submit" aria-label=(visit.text_with("webid-forget-which", &[("webid", webid)])) {
                                    (visit.text("webid-forget"))
                                }
                            }
                        }
                    }
                }
            }
        }
        @if let Some((webid, token)) = shown.proof { (proof(visit, shown, webid, token)) }
        section.card aria-labelledby="link" {
            h2 #link { (visit.text("webid-link-title")) }
            p.quiet { (visit.text("webid-link-explanation")) }
            form method="post" action=(LINK) {
                (form_token(visit))
                (Field {
                    name: "webid", kind: "url", label: "WebID".to_owned(), hint: Some(visit.text("share-webid-hint")),
                    autocomplete: "off", characters_max: 2048, ..Field::default()
                })
                button.second type="submit" { (visit.text("webid-link")) }
            }
        }
        p { a href=(path::ACCOUNT) { (visit.text("nav-account")) } }
    }
}

fn proof(visit: &Visit, shown: &Shown<'_>, webid: &str, token: &str) -> Markup {
    let statements = format!(
        "<{webid}> <http://www.w3.org/ns/solid/terms#oidcIssuer> <{}>.\n\
         <{webid}> <http://www.w3.org/ns/solid/terms#oidcIssuerRegistrationToken> \"{token}\".",
        shown.issuer
    );
    html! {
        section.card aria-labelledby="proof" {
            h2 #proof { (visit.text("webid-proof-title")) }
            p { (visit.text_with("webid-proof-explanation", &[("webid", webid)])) }
            pre.shown tabindex="0" role="region" aria-labelledby="proof" { (statements) }
            form method="post" action=(CHECK) {
                (form_token(visit))
                button type="submit" { (visit.text("webid-check")) }
            }
            p.quiet { (visit.text("webid-proof-after")) }
        }
    }
}

/// A choice between WebIDs; `further` is one more answer, value and text. Nothing when there is nothing to choose.
#[must_use]
pub fn choice(visit: &Visit, session: &Session, legend: &str, further: Option<(&str, &str)>) -> Markup {
    if session.webids.len() < 2 && further.is_none() {
        return html! {};
    }
    let webids = session.webids.iter().map(|webid| (webid.as_str(), webid.clone()));
    let further = further.map(|(value, key)| (value, visit.text(key)));
    html! {
        fieldset {
            legend { (visit.text(legend)) }
            @for (index, (value, text)) in webids.chain(further).enumerate() {
                @let id = format!("webid-{index}");
                div.choice {
                    input type="radio" name="webid" id=(id) value=(value) checked[index == 0];
                    label.long for=(id) { (text) }
                }
            }
        }
    }
}
