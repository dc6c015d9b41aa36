//! The form for a WebID profile: plain fields, each with what it is for.

use maud::{Markup, html};

use super::layout::{form_token, path};
use super::{Notice, Session, Visit};

/// The page.
pub const PATH: &str = "/profile";

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any words.
    Text,
    /// An address on the web.
    Address,
}

/// One field: what it is called, and the statements that it stands for.
#[derive(Clone, Copy, Debug)]
pub struct ProfileField {
    /// Name in the form; the texts are `profile-{name}` and `profile-{name}-hint`.
    pub name: &'static str,
    /// Properties that carry the value: applications differ in which they read.
    pub predicates: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Whether it may not be empty.
    pub required: bool,
    /// `autocomplete` token (WCAG 1.3.5).
    pub autocomplete: &'static str,
}

/// The fields in their order.
pub const FIELDS: [ProfileField; 6] = [
    ProfileField {
        name: "name",
        predicates: &["http://xmlns.com/foaf/0.1/name", "http://www.w3.org/2006/vcard/ns#fn"],
        kind: Kind::Text,
        required: true,
        autocomplete: "name",
    },
    ProfileField {
        name: "image",
        predicates: &[
            "http://xmlns.com/foaf/0.1/img",
            "http://www.w3.org/2006/vcard/ns#hasPhoto",
        ],
        kind: Kind::Address,
        required: false,
        autocomplete: "photo",
    },
    ProfileField {
        name: "note",
        predicates: &["http://www.w3.org/2006/vcard/ns#note"],
        kind: Kind::Text,
        required: false,
        autocomplete: "off",
    },
    ProfileField {
        name: "organisation",
        predicates: &["http://www.w3.org/2006/vcard/ns#organization-name"],
        kind: Kind::Text,
        required: false,
        autocomplete: "organization",
    },
    ProfileField {
        name: "role",
        predicates: &["http://www.w3.org/2006/vcard/ns#role"],
        kind: Kind::Text,
        required: false,
        autocomplete: "organization-title",
    },
    ProfileField {
        name: "homepage",
        predicates: &["http://xmlns.com/foaf/0.1/homepage"],
        kind: Kind::Address,
        required: false,
        autocomplete: "url",
    },
];

/// What the page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The account holder.
    pub session: &'a Session,
    /// The WebID whose profile it is.
    pub webid: &'a str,
    /// Entity tag of what is shown.
    pub state: &'a str,
    /// Values of the [`FIELDS`], in their order; empty where there is none.
    pub values: &'a [String],
}

/// The page.
#[must_use]
pub fn page(visit: &Visit, shown: &Shown<'_>, notice: Option<&Notice>) -> Markup {
    html! {
        @if let Some(notice) = notice { (notice) }
        p { (visit.text("profile-explanation")) }
        p { code { (shown.webid) } }
        @if shown.session.webids.len() > 1 {
            ul.links {
                @for webid in shown.session.webids.iter().filter(|webid| *webid != shown.webid) {
                    li { a href=(of(webid)) { (visit.text_with("profile-other", &[("webid", webid)])) } }
                }
            }
        }
        form.card method="post" action=(PATH) {
            (form_token(visit))
            input type="hidden" name="webid" value=(shown.webid);
            input type="hidden" name="state" value=(shown.state);
            @for (field, value) in FIELDS.iter().zip(shown.values) { (input(visit, field, value)) }
            button type="submit" { (visit.text("profile-save")) }
        }
        p.quiet { (visit.text("profile-protected")) }
        p { a href=(path::ACCOUNT) { (visit.text("nav-account")) } }
    }
}

fn input(visit: &Visit, field: &ProfileField, value: &str) -> Markup {
    let hint = format!("profile-{}-hint", field.name);
    let kind = if field.kind == Kind::Address { "url" } else { "text" };
    html! {
        div.field {
            label for=(field.name) { (visit.text(&format!("profile-{}", field.name))) }
            p.hint id=(hint) { (visit.text(&hint)) }
            input id=(field.name) name=(field.name) type=(kind) value=(value) required[field.required] maxlength="2000"
                autocomplete=(field.autocomplete) aria-describedby=(hint);
        }
    }
}

/// The page of one WebID.
fn of(webid: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("webid", webid)
        .finish();
    format!("{PATH}?{query}")
}
