//! The page for leaving: take everything along, and have the account deleted after a time for second thoughts.

use maud::{Markup, html};

use super::data;
use super::layout::{Field, form_token, path};
use super::security::again;
use super::{Notice, Session, Visit};

/// The page.
pub const PATH: &str = "/account/leave";
/// Where the holder stays after all.
pub const STAY: &str = "/account/leave/stay";

/// What the page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The account holder.
    pub session: &'a Session,
    /// Days for second thoughts.
    pub days: u32,
    /// When the account will be deleted, if it is to be; as people write a day.
    pub due: Option<String>,
    /// Whether the person has logged in lately.
    pub fresh: bool,
}

/// The page.
#[must_use]
pub fn page(visit: &Visit, shown: &Shown<'_>, notice: Option<&Notice>) -> Markup {
    let days = shown.days.to_string();
    html! {
        @if let Some(notice) = notice { (notice) }
        section.card aria-labelledby="along" {
            h2 #along { (visit.text("leave-along-title")) }
            p { (visit.text("leave-along-explanation")) }
            ul.rows {
                @for root in &shown.session.storages {
                    @let name = root.trim_matches('/');
                    @let target = format!("{}{root}?do={}", data::PATH, data::TAKE_OUT);
                    li { a href=(target) download { (visit.text_with("leave-along-download", &[("name", name)])) } }
                }
            }
        }
        section.card aria-labelledby="leave" {
            @if let Some(due) = &shown.due {
                h2 #leave { (visit.text("leave-due-title")) }
                p { strong { (visit.text_with("leave-due", &[("date", due)])) } }
                form method="post" action=(STAY) {
                    (form_token(visit))
                    button type="submit" { (visit.text("leave-stay")) }
                }
            } @else {
                h2 #leave { (visit.text("leave-delete-title")) }
                p { (visit.text_with("leave-delete-explanation", &[("days", &days)])) }
                ul {
                    li { (visit.text("leave-delete-data")) }
                    li { (visit.text("leave-delete-webid")) }
                    li { (visit.text("leave-delete-log")) }
                }
                @if shown.fresh {
                    form.narrow method="post" action=(PATH) {
                        (form_token(visit))
                        (Field {
                            name: "name", kind: "text", label: visit.text("leave-name"),
                            hint: Some(visit.text_with("leave-name-hint", &[("name", &shown.session.name)])),
                            autocomplete: "off", characters_max: 63, ..Field::default()
                        })
                        button.danger type="submit" { (visit.text("leave-delete")) }
                    }
                } @else {
                    p { (visit.text("security-again")) " " a href=(again(PATH)) { (visit.text("security-again-link")) } }
                }
            }
        }
        p { a href=(path::ACCOUNT) { (visit.text("nav-account")) } }
    }
}
