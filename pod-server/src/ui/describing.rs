//! The page on which an owner describes a dataset, in Turtle, and takes a description back.

use maud::{Markup, html};

use super::layout::form_token;
use super::{Notice, Visit};

/// Shows the form, and takes it in.
pub const DESCRIBE: &str = "/datasets/describe";
/// Takes a description back.
pub const REMOVE: &str = "/datasets/remove";

/// A description to begin with; `{{storage}}` and `{{webid}}` stand for the owner's own.
const EXAMPLE: &str = include_str!("../../dataset.ttl");

/// What the form holds.
#[derive(Debug)]
pub struct Description<'a> {
    /// Root of the storage, `/gent/`.
    pub storage: &'a str,
    /// Name of the dataset in the storage; empty while it has none.
    pub name: &'a str,
    /// Whether a dataset has this name already and is changed.
    pub known: bool,
    /// Turtle.
    pub text: &'a str,
}

/// The example with the owner's own IRIs.
#[must_use]
pub fn example(root: &str, owner: &str) -> String {
    EXAMPLE.replace("{{storage}}", root).replace("{{webid}}", owner)
}

/// The page.
#[must_use]
pub fn page(visit: &Visit, description: &Description<'_>, notice: Option<&Notice>) -> Markup {
    html! {
        @if let Some(notice) = notice { (notice) }
        p { (visit.text("describe-intro")) }
        form.card method="post" action=(DESCRIBE) {
            (form_token(visit))
            input type="hidden" name="storage" value=(description.storage);
            @if description.known {
                input type="hidden" name="known" value="yes";
                input type="hidden" name="name" value=(description.name);
            } @else {
                div.field {
                    label for="name" { (visit.text("describe-name")) }
                    p.hint id="name-hint" { (visit.text("describe-name-hint")) }
                    input id="name" name="name" type="text" required maxlength="64" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"
                        value=(description.name) aria-describedby="name-hint" autocapitalize="none" spellcheck="false";
                }
            }
            div.field {
                label for="text" { (visit.text("describe-text")) }
                p.hint id="text-hint" { (visit.text("describe-text-hint")) }
                // A browser drops the first line break after the tag.
                textarea.code id="text" name="text" rows="28" required aria-describedby="text-hint" wrap="off"
                    autocapitalize="none" spellcheck="false" { "\n" (description.text) }
            }
            div.actions {
                button type="submit" { (visit.text("describe-store")) }
                a href=(super::layout::path::DATASETS) { (visit.text("describe-back")) }
            }
        }
        @if description.known {
            form.card method="post" action=(REMOVE) {
                (form_token(visit))
                h2 { (visit.text("describe-remove")) }
                p id="remove-what" { (visit.text("describe-remove-what")) }
                input type="hidden" name="storage" value=(description.storage);
                input type="hidden" name="name" value=(description.name);
                button.danger type="submit" aria-describedby="remove-what" { (visit.text("describe-remove")) }
            }
        }
    }
}
