//! Other ways to log in, on the log-in page and on the account page.

use maud::{Markup, html};

use super::Visit;
use super::layout::form_token;
use super::settings::date;

/// Links to the providers through which somebody may log in: URL and name.
#[must_use]
pub fn choices(visit: &Visit, choices: &[(String, &str)]) -> Markup {
    html! {
        @if !choices.is_empty() {
            section.card aria-labelledby="external" {
                h2 #external { (visit.text("external-choices")) }
                ul.rows {
                    @for (url, label) in choices {
                        li { a.button.second href=(url) { (visit.text_with("external-with", &[("provider", label)])) } }
                    }
                }
            }
        }
    }
}

/// The account's links to providers (digest, name, since when), and the providers that it may be linked to (URL, name).
#[must_use]
pub fn section(visit: &Visit, unlink: &str, linked: &[(String, String, i64)], open: &[(String, String)]) -> Markup {
    html! {
        section.card aria-labelledby="external" {
            h2 #external { (visit.text("external-title")) }
            p.quiet { (visit.text("external-explanation")) }
            @if !linked.is_empty() {
                ul.rows {
                    @for (person, label, since) in linked {
                        li {
                            div {
                                p { strong { (label) } }
                                p.quiet { (visit.text_with("since", &[("date", &date(*since))])) }
                            }
                            form method="post" action=(unlink) {
                                (form_token(visit))
                                input type="hidden" name="person" value=(person);
                                @let described = visit.text_with("external-unlink-which", &[("provider", label)]);
                                button.danger type="submit" aria-label=(described) { (visit.text("external-unlink")) }
                            }
                        }
                    }
                }
            }
            @if !open.is_empty() {
                ul.rows {
                    @for (url, label) in open {
                        li { a.button.second href=(url) { (visit.text_with("external-link", &[("provider", label)])) } }
                    }
                }
            }
        }
    }
}
