//! The page on which a person sees and changes how the account is entered: passkeys, recovery codes, open sessions; and
//! the page for the day on which password and passkeys are lost.

use maud::{Markup, html};
use time::OffsetDateTime;

use super::entrance::new_password;
use super::layout::{Field, form_token, path};
use super::{Form, Notice, Texts, Visit, words};
use crate::identity::{HeldPasskey, OpenSession};

/// The page.
pub const PATH: &str = "/account/security";
/// Where a passkey is begun to be registered.
pub const PASSKEY_BEGIN: &str = "/account/security/passkeys/begin";
/// Where a passkey is registered.
pub const PASSKEY_FINISH: &str = "/account/security/passkeys";
/// Where a passkey is removed.
pub const PASSKEY_REMOVE: &str = "/account/security/passkeys/remove";
/// Where recovery codes are made.
pub const RECOVERY: &str = "/account/security/recovery";
/// Where one session is ended.
pub const SESSION_END: &str = "/account/security/sessions/end";
/// Where all other sessions are ended.
pub const SESSIONS_END: &str = "/account/security/sessions/end-others";
/// Where a login with a passkey begins.
pub const LOGIN_BEGIN: &str = "/login/passkey/begin";
/// Where a login with a passkey ends.
pub const LOGIN_FINISH: &str = "/login/passkey";
/// Where a recovery code is used.
pub const RECOVER: &str = "/recover";
/// The script of the ceremony.
pub const SCRIPT: &str = "/.ui/passkey.js";

/// What the page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The account's passkeys.
    pub passkeys: &'a [HeldPasskey],
    /// Whether passkeys can be used at this address.
    pub available: bool,
    /// Whether the person has logged in so lately that something may be changed.
    pub fresh: bool,
    /// Recovery codes left, and when they were made (Unix seconds).
    pub codes: Option<(usize, i64)>,
    /// Open sessions.
    pub sessions: &'a [OpenSession],
}

/// The page.
#[must_use]
pub fn page(visit: &Visit, shown: &Shown<'_>, notice: Option<&Notice>) -> Markup {
    html! {
        @if let Some(notice) = notice { (notice) }
        @if !shown.fresh {
            div.notice role="note" {
                p { (visit.text("security-again")) " " a href=(again(PATH)) { (visit.text("security-again-link")) } }
            }
        }
        (passkeys(visit, shown))
        (recovery(visit, shown))
        (sessions(visit, shown))
        p { a href=(path::ACCOUNT) { (visit.text("nav-account")) } }
        @if shown.available { script src=(SCRIPT) defer {} }
    }
}

/// Where a person proves anew who it is, and comes back from.
#[must_use]
pub fn again(return_to: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("again", "1")
        .append_pair("return_to", return_to)
        .finish();
    format!("{}?{query}", path::LOGIN)
}

fn passkeys(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="passkeys" {
            h2 #passkeys { (visit.text("passkeys-title")) }
            p.quiet { (visit.text("passkeys-explanation")) }
            @if shown.passkeys.is_empty() { p { (visit.text("passkeys-none")) } }
            @if !shown.passkeys.is_empty() {
                ul.rows { @for held in shown.passkeys { li { (passkey(visit, shown, held)) } } }
            }
            @if !shown.available {
                p { (visit.text("passkeys-unavailable")) }
            } @else if shown.fresh {
                (ceremony(visit, "register", PASSKEY_BEGIN, PASSKEY_FINISH, &html! {
                    (Field {
                        name: "label", kind: "text", label: visit.text("passkey-label"),
                        hint: Some(visit.text("passkey-hint")), autocomplete: "off", characters_max: 100,
                        ..Field::default()
                    })
                    button.second type="submit" { (visit.text("passkey-add")) }
                }))
            }
        }
    }
}

fn passkey(visit: &Visit, shown: &Shown<'_>, held: &HeldPasskey) -> Markup {
    html! {
        div {
            p { strong { (held.label) } }
            p.quiet {
                (visit.text_with("since", &[("date", &date(held.created))]))
                @if let Some(used) = held.used { ". " (visit.text_with("passkey-used", &[("date", &date(used))])) }
            }
        }
        @if shown.fresh {
            form method="post" action=(PASSKEY_REMOVE) {
                (form_token(visit))
                input type="hidden" name="id" value=(held.id);
                button.danger type="submit" aria-label=(visit.text_with("passkey-remove-which", &[("name", &held.label)])) {
                    (visit.text("passkey-remove"))
                }
            }
        }
    }
}

/// A form that a script completes. Without script it stays hidden, and a sentence stands in its place.
fn ceremony(visit: &Visit, kind: &str, begin: &str, finish: &str, fields: &Markup) -> Markup {
    html! {
        noscript { p.quiet { (visit.text("passkey-no-script")) } }
        form method="post" action=(finish) data-passkey=(kind) data-begin=(begin) hidden {
            (form_token(visit))
            input type="hidden" name="ticket";
            input type="hidden" name="credential";
            (fields)
            div.notice.problem role="alert" data-failed hidden { p { (visit.text("passkey-failed")) } }
        }
    }
}

/// The other ways in, for the login page: with a passkey, if there can be one here, and with a recovery code.
#[must_use]
pub fn login(visit: &Visit, return_to: &str, passkeys: bool) -> Markup {
    html! {
        div.narrow {
            @if passkeys {
            (ceremony(visit, "login", LOGIN_BEGIN, LOGIN_FINISH, &html! {
                input type="hidden" name="return_to" value=(return_to);
                p { button.second.wide type="submit" { (visit.text("passkey-log-in")) } }
            }))
            }
            p { a href=(RECOVER) { (visit.text("recover-link")) } }
        }
        @if passkeys { script src=(SCRIPT) defer {} }
    }
}

fn recovery(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="recovery" {
            h2 #recovery { (visit.text("recovery-title")) }
            p.quiet { (visit.text("recovery-explanation")) }
            p {
                @match shown.codes {
                    Some((left, made)) => {
                        (visit.language.text_counted("recovery-left", u64::try_from(left).unwrap_or(u64::MAX))) " "
                        (visit.text_with("recovery-made", &[("date", &date(made))]))
                    }
                    None => { (visit.text("recovery-none")) }
                }
            }
            @if shown.fresh {
                form method="post" action=(RECOVERY) {
                    (form_token(visit))
                    @if shown.codes.is_some() { p.quiet { (visit.text("recovery-replaces")) } }
                    button.second type="submit" { (visit.text("recovery-make")) }
                }
            }
        }
    }
}

/// New recovery codes, shown this once.
#[must_use]
pub fn new_codes(visit: &Visit, codes: &[String]) -> Markup {
    html! {
        div.notice role="status" { p { (visit.text("recovery-once")) } }
        section.card {
            ol.codes { @for code in codes { li { code { (code) } } } }
            p { a.button href=(PATH) { (visit.text("recovery-kept")) } }
        }
    }
}

fn sessions(visit: &Visit, shown: &Shown<'_>) -> Markup {
    html! {
        section.card aria-labelledby="sessions" {
            h2 #sessions { (visit.text("sessions-title")) }
            p.quiet { (visit.text("sessions-explanation")) }
            ul.rows {
                @for session in shown.sessions {
                    @let name = if session.browser.is_empty() { visit.text("session-unnamed") } else { session.browser.clone() };
                    li {
                        div {
                            p { strong { (name) } @if session.current { " (" (visit.text("session-current")) ")" } }
                            p.quiet { (visit.text_with("session-since", &[("moment", &minute(session.since))])) }
                        }
                        @if !session.current {
                            form method="post" action=(SESSION_END) {
                                (form_token(visit))
                                input type="hidden" name="key" value=(session.key);
                                button.danger type="submit" aria-label=(visit.text_with("session-end-which", &[("name", &name)])) {
                                    (visit.text("session-end"))
                                }
                            }
                        }
                    }
                }
            }
            @if shown.sessions.len() > 1 {
                form method="post" action=(SESSIONS_END) {
                    (form_token(visit))
                    button.second type="submit" { (visit.text("sessions-end")) }
                }
            }
        }
    }
}

/// The form for a recovery code and a new password.
#[must_use]
pub fn recover(visit: &Visit, form: &Form, characters_min: usize, notice: Option<&Notice>) -> Markup {
    html! {
        div.narrow {
            @if let Some(notice) = notice { (notice) }
            p { (visit.text("recover-introduction")) }
            form.card method="post" action=(RECOVER) {
                (form_token(visit))
                (Field {
                    name: "name", kind: "text", label: visit.text("name-label"), value: form.field("name"),
                    autocomplete: "username", characters_max: 63, ..Field::default()
                })
                (Field {
                    name: "code", kind: "text", label: visit.text("recover-code"),
                    hint: Some(visit.text("recover-code-hint")), autocomplete: "off", characters_max: 40,
                    ..Field::default()
                })
                (new_password(visit, "password", characters_min))
                button type="submit" { (visit.text("recover")) }
            }
            p.quiet { (visit.text("recover-operator")) }
            p { a href=(path::LOGIN) { (visit.text("login-title")) } }
        }
    }
}

fn date(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix)
        .map(words::day)
        .unwrap_or_default()
}

fn minute(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix)
        .map(words::minute)
        .unwrap_or_default()
}
