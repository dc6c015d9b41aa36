//! Pages for coming in: log in, open an account, choose the first password.

use maud::{Markup, html};

use super::layout::{Field, form_token, path};
use super::{Form, Notice, Visit};
use crate::origins::Origins;

/// Longest password that a field takes, in characters.
const PASSWORD_CHARACTERS_MAX: u16 = 256;

/// The login form. `return_to` is the path that follows; `for_application` says that an application waits there;
/// `registration_open` that strangers may open an account; `hint` is the name that the application suggests.
#[must_use]
pub fn login(
    visit: &Visit,
    return_to: &str,
    for_application: bool,
    registration_open: bool,
    hint: Option<&str>,
    notice: Option<&Notice>,
) -> Markup {
    html! {
        div.narrow {
            @if let Some(notice) = notice { (notice) }
            p { (visit.text(if for_application { "login-for-application" } else { "login-introduction" })) }
            form.card method="post" action=(path::LOGIN) {
                (form_token(visit))
                input type="hidden" name="return_to" value=(return_to);
                (Field {
                    name: "name", kind: "text", label: visit.text("name-label"), value: hint,
                    autocomplete: "username", characters_max: 63, ..Field::default()
                })
                (Field {
                    name: "password", kind: "password", label: visit.text("password-label"),
                    autocomplete: "current-password", characters_max: PASSWORD_CHARACTERS_MAX, ..Field::default()
                })
                button type="submit" { (visit.text("log-in")) }
            }
            @if registration_open && !for_application {
                p { a href=(path::REGISTER) { (visit.text("login-register")) } }
            }
        }
    }
}

/// The form for opening an account.
#[must_use]
pub fn register(
    visit: &Visit,
    form: &Form,
    characters_min: usize,
    origins: &Origins,
    notice: Option<&Notice>,
) -> Markup {
    let organisation = form.field("kind") == Some("organisation");
    html! {
        div.narrow {
            @if let Some(notice) = notice { (notice) }
            p { (visit.text("register-introduction")) }
            form.card method="post" action=(path::REGISTER) {
                (form_token(visit))
                fieldset {
                    legend { (visit.text("kind-label")) }
                    div.choice {
                        input type="radio" name="kind" id="kind-person" value="person" checked[!organisation];
                        label for="kind-person" { (visit.text("kind-person")) }
                    }
                    div.choice {
                        input type="radio" name="kind" id="kind-organisation" value="organisation" checked[organisation];
                        label for="kind-organisation" { (visit.text("kind-organisation")) }
                    }
                }
                (Field {
                    name: "label", kind: "text", label: visit.text("label-label"), hint: Some(visit.text("label-hint")),
                    value: form.field("label"), autocomplete: "name", characters_max: 200,
                })
                (Field {
                    name: "name", kind: "text", label: visit.text("name-label"),
                    hint: Some(visit.text_with("name-hint", &[("address", &origins.new_root(&visit.text("name-example")))])), value: form.field("name"),
                    autocomplete: "username", characters_max: 63,
                })
                (new_password(visit, "password", characters_min))
                button type="submit" { (visit.text("register")) }
            }
        }
    }
}

/// The form behind a one-time link: choose the first password.
#[must_use]
pub fn setup(visit: &Visit, form: &Form, characters_min: usize, notice: Option<&Notice>) -> Markup {
    let name = form.field("account").unwrap_or_default();
    html! {
        div.narrow {
            @if let Some(notice) = notice { (notice) }
            p { (visit.text("setup-introduction")) }
            form.card method="post" action=(path::SETUP) {
                (form_token(visit))
                input type="hidden" name="secret" value=(form.field("secret").unwrap_or_default());
                div.field {
                    label for="account" { (visit.text("name-label")) }
                    input id="account" name="account" type="text" value=(name) readonly autocomplete="username";
                }
                (new_password(visit, "password", characters_min))
                button type="submit" { (visit.text("setup")) }
            }
        }
    }
}

/// A field for a new password.
pub(super) fn new_password(visit: &Visit, name: &str, characters_min: usize) -> Markup {
    let characters = characters_min.to_string();
    html! {
        (Field {
            name, kind: "password", label: visit.text("password-new-label"),
            hint: Some(visit.text_with("password-hint", &[("characters", &characters)])),
            autocomplete: "new-password", characters_max: PASSWORD_CHARACTERS_MAX, ..Field::default()
        })
    }
}
