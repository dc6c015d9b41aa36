//! The account page: who I am here, my storages, applications that I let in, credentials for machines, password.

use maud::{Markup, html};
use time::OffsetDateTime;

use crate::origins::Origins;

use super::data::size;
use super::entrance::new_password;
use super::layout::{Field, form_token};
use super::{Notice, Session, Visit};

/// Where the password is changed.
pub const PASSWORD: &str = "/account/password";
/// Where client credentials are made.
pub const CREDENTIALS: &str = "/account/credentials";
/// Where client credentials are deleted.
pub const CREDENTIALS_DELETE: &str = "/account/credentials/delete";
/// Where an application's approval is taken back.
pub const APPLICATIONS_WITHDRAW: &str = "/account/applications/withdraw";
/// Where a further storage is made.
pub const STORAGES: &str = "/account/storages";

/// Everything that the account page's forms do; each needs a session.
pub const ACTIONS: [&str; 5] = [
    PASSWORD,
    CREDENTIALS,
    CREDENTIALS_DELETE,
    APPLICATIONS_WITHDRAW,
    STORAGES,
];

/// A storage and the room in it.
#[derive(Debug)]
pub struct Room {
    /// Path of its root.
    pub root: String,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that it may hold.
    pub most: u64,
}

impl Room {
    /// The part in use, in whole percent: rounded down, so that 100 means full.
    fn percent(&self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.most.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

/// Part of a storage in use, in percent, from which on its owner is warned.
const NEARLY_FULL_PERCENT: u64 = 90;

/// What the account page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The account holder.
    pub session: &'a Session,
    /// Their storages.
    pub storages: Vec<Room>,
    /// Origin of pod content.
    pub origins: &'a Origins,
    /// Templates for a further storage, the usual one first.
    pub templates: Vec<&'a str>,
    /// Approved applications: client id, name, since when.
    pub applications: Vec<(&'a str, Option<&'a str>, i64)>,
    /// Client credentials: id, label, since when.
    pub credentials: Vec<(&'a str, &'a str, i64)>,
    /// Shortest password, in characters.
    pub password_characters_min: usize,
}

/// The account page.
#[must_use]
pub fn account(visit: &Visit, shown: &Shown<'_>, notice: Option<&Notice>) -> Markup {
    html! {
        @if let Some(notice) = notice { (notice) }
        @if shown.session.leaving {
            div.notice.problem role="note" {
                p { (visit.text("leave-due-title")) " " a href=(super::leaving::PATH) { (visit.text("leave-stay")) } }
            }
        }
        (identity(visit, shown))
        (storages(visit, shown))
        (applications(visit, shown))
        (credentials(visit, shown))
        (password(visit, shown))
    }
}

fn identity(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="who" {
            h2 #who { (shown.session.label) }
            dl {
                dt { (visit.text("name-label")) }
                dd { (shown.session.name) }
                dt { "WebID" }
                dd { a href=(shown.session.webid) { (shown.session.webid) } }
            }
            p.quiet { (visit.text("webid-explanation")) }
            ul.links {
                li { a href=(super::profile::PATH) { (visit.text("profile-title")) } }
                li { a href=(super::webids::PATH) { (visit.text("webids-page-title")) } }
                li { a href=(super::security::PATH) { (visit.text("security-title")) } }
                li { a href=(super::leaving::PATH) { (visit.text("leave-title")) } }
            }
        }
    }
}

fn storages(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="storages" {
            h2 #storages { (visit.text("storages-title")) }
            ul.rows {
                @for room in &shown.storages {
                    @let url = shown.origins.place(&room.root);
                    li {
                        div {
                            p { a href=(url) { (url) } }
                            p.quiet { (in_use(visit, room)) }
                            @if room.percent() >= NEARLY_FULL_PERCENT {
                                p { strong { (visit.text("storage-nearly-full")) } }
                            }
                        }
                    }
                }
            }
            details {
                summary { (visit.text("storage-new")) }
                form method="post" action=(STORAGES) {
                    (form_token(visit))
                    (Field {
                        name: "name", kind: "text", label: visit.text("storage-name-label"),
                        hint: Some(visit.text_with("name-hint", &[("address", &shown.origins.new_root(&visit.text("name-example")))])), autocomplete: "off",
                        characters_max: 63, ..Field::default()
                    })
                    (super::webids::choice(visit, shown.session, "storage-webid", Some(("new", "storage-webid-new"))))
                    (templates(visit, shown))
                    button.second type="submit" { (visit.text("storage-create")) }
                }
            }
        }
    }
}

fn in_use(visit: &Visit, room: &Room) -> String {
    let (used, most) = (size(visit.language, room.used), size(visit.language, room.most));
    let percent = room.percent().to_string();
    visit.text_with(
        "storage-in-use",
        &[("used", &used), ("most", &most), ("percent", &percent)],
    )
}

/// A choice between templates, where there is one.
fn templates(visit: &Visit, shown: &Shown<'_>) -> Markup {
    if shown.templates.len() < 2 {
        return html! {};
    }
    html! {
        fieldset {
            legend { (visit.text("storage-template")) }
            @for (index, name) in shown.templates.iter().enumerate() {
                @let id = format!("template-{index}");
                div.choice {
                    input type="radio" name="template" id=(id) value=(name) checked[index == 0];
                    label.long for=(id) {
                        @if *name == crate::ldp::template::PLAIN { (visit.text("storage-template-plain")) } @else { (name) }
                    }
                }
            }
        }
    }
}

fn applications(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="applications" {
            h2 #applications { (visit.text("applications-title")) }
            @if shown.applications.is_empty() {
                p.quiet { (visit.text("applications-none")) }
            } @else {
                p.quiet { (visit.text("applications-explanation")) }
                ul.rows {
                    @for (id, name, given) in &shown.applications {
                        li {
                            div {
                                p { strong { (name.unwrap_or(id)) } }
                                @if name.is_some() { p.quiet { code { (id) } } }
                                p.quiet { (visit.text_with("since", &[("date", &date(*given))])) }
                            }
                            form method="post" action=(APPLICATIONS_WITHDRAW) {
                                (form_token(visit))
                                input type="hidden" name="client" value=(id);
                                @let label = visit.text_with("application-withdraw-which", &[("name", name.unwrap_or(id))]);
                                button.danger type="submit" aria-label=(label) { (visit.text("application-withdraw")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn credentials(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="credentials" {
            h2 #credentials { (visit.text("credentials-title")) }
            p.quiet { (visit.text("credentials-explanation")) }
            @if !shown.credentials.is_empty() {
                ul.rows {
                    @for (id, label, created) in &shown.credentials {
                        li {
                            div {
                                p { strong { (label) } }
                                p.quiet { code { (id) } }
                                p.quiet { (visit.text_with("since", &[("date", &date(*created))])) }
                            }
                            form method="post" action=(CREDENTIALS_DELETE) {
                                (form_token(visit))
                                input type="hidden" name="id" value=(id);
                                @let described = visit.text_with("credential-delete-which", &[("name", label)]);
                                button.danger type="submit" aria-label=(described) { (visit.text("credential-delete")) }
                            }
                        }
                    }
                }
            }
            form method="post" action=(CREDENTIALS) {
                (form_token(visit))
                (Field {
                    name: "label", kind: "text", label: visit.text("credential-label"),
                    hint: Some(visit.text("credential-hint")), autocomplete: "off", characters_max: 100,
                    ..Field::default()
                })
                div.choice {
                    input type="checkbox" name="consents" id="consents" value="yes";
                    label for="consents" { (visit.text("credential-consents")) }
                }
                button.second type="submit" { (visit.text("credential-create")) }
            }
        }
    }
}

fn password(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="password-title" {
            h2 #password-title { (visit.text("password-title")) }
            p.quiet { (visit.text("password-explanation")) }
            form.narrow method="post" action=(PASSWORD) {
                (form_token(visit))
                // Password managers need to know whose password this is.
                input type="hidden" name="name" value=(shown.session.name) autocomplete="username";
                (Field {
                    name: "current", kind: "password", label: visit.text("password-current-label"),
                    autocomplete: "current-password", characters_max: 256, ..Field::default()
                })
                (new_password(visit, "new", shown.password_characters_min))
                button.second type="submit" { (visit.text("password-change")) }
            }
        }
    }
}

/// New client credentials, shown this once.
#[must_use]
pub fn new_credential(visit: &Visit, id: &str, secret: &str, issuer: &str) -> Markup {
    html! {
        div.notice role="status" { p { (visit.text("credential-once")) } }
        section.card {
            dl {
                dt { (visit.text("issuer-label")) }
                dd { code { (issuer) } }
                dt { "Client ID" }
                dd { code.secret #client-id { (id) } }
                dt { "Client secret" }
                dd { code.secret #client-secret { (secret) } }
            }
            p { a.button href=(super::layout::path::ACCOUNT) { (visit.text("credential-kept")) } }
        }
    }
}

/// A day in the form of ISO 8601, which all three languages read the same way.
pub(super) fn date(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix)
        .map(|moment| moment.date().to_string())
        .unwrap_or_default()
}
