//! The page on which a person sees and says who may do what with a folder or document, in plain words.

use maud::{Markup, html};
use policies::wac::Modes;

use super::data::{INHERIT, PATH, SHARE, UNSHARE, trail};
use super::layout::form_token;
use super::{Notice, Visit, words};
use crate::authz::scope::{ByAgreement, SeenAs, Viewers};
use crate::browse::{Share, Who};
use crate::name::ResourceName;
use crate::origins::Origins;

/// What the page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The folder or document.
    pub name: &'a ResourceName,
    /// Origin of pod content.
    pub origins: &'a Origins,
    /// The person's own WebID.
    pub own_webid: &'a str,
    /// Whose rules count: its own, or those of a folder above.
    pub holder: &'a ResourceName,
    /// Whether it could go back to the rules of the folder above.
    pub removable: bool,
    /// What was shown, to be sent back.
    pub state: &'a str,
    /// Who may do what.
    pub shares: &'a [Share],
    /// Who else could see it, where the visitor may know.
    pub viewers: Option<&'a Viewers>,
}

/// The levels that the page offers: value and key of the text.
const LEVELS: [(&str, &str); 3] = [
    ("read", "share-level-read"),
    ("add", "share-level-add"),
    ("write", "share-level-write"),
];

/// The page.
#[must_use]
pub fn page(visit: &Visit, shown: &Shown<'_>, notice: Option<&Notice>) -> Markup {
    let folder = shown.name.is_container();
    html! {
        (trail(visit, shown.name))
        @if let Some(notice) = notice { (notice) }
        p {
            @if shown.holder == shown.name {
                (visit.text(if folder { "share-own-folder" } else { "share-own" }))
            } @else {
                (visit.text_with("share-inherited", &[("folder", shown.holder.as_str())]))
            }
        }
        section.card aria-labelledby="who-may" {
            h2 #who-may { (visit.text("share-who-may")) }
            ul.rows { @for share in shown.shares { li { (row(visit, shown, share)) } } }
        }
        @if let Some(viewers) = shown.viewers { (under_agreements(visit, shown, viewers)) }
        (add(visit, shown, folder))
        @if shown.removable {
            form method="post" action=(format!("{PATH}{}", shown.name)) {
                (hidden(visit, shown, INHERIT))
                p.quiet { (visit.text("share-inherit-explanation")) }
                button.second type="submit" { (visit.text("share-inherit")) }
            }
        }
        p { a href=(format!("{PATH}{}", shown.name)) { (visit.text("share-back")) } }
    }
}

fn under_agreements(visit: &Visit, shown: &Shown<'_>, viewers: &Viewers) -> Markup {
    html! {
        section.card aria-labelledby="under-agreements" {
            h2 #under-agreements { (visit.text("share-agreements")) }
            @if viewers.agreements.is_empty() { p.quiet { (visit.text("share-agreements-none")) } }
            ul.rows {
                @for one in &viewers.agreements {
                    li { div {
                        p { strong { (words::person(shown.origins, &one.assignee)) } }
                        p.quiet { code { (one.assignee) } }
                        @for purpose in &one.purposes { p { (words::purpose(visit.language, purpose)) } }
                        p { (form(visit, one)) }
                        @if one.by_consent { p.quiet { (visit.text("share-by-consent")) } }
                        @if let Some(until) = one.until {
                            p.quiet { (visit.text_with("share-until", &[("moment", &words::minute(until))])) }
                        }
                    } }
                }
            }
            @if viewers.more { p.quiet { (visit.text("share-agreements-more")) } }
        }
    }
}

fn form(visit: &Visit, one: &ByAgreement) -> String {
    match one.form {
        SeenAs::Stands => visit.text("share-as-it-stands"),
        SeenAs::Changed => visit.text("share-less-precise"),
        SeenAs::Figures => {
            let least = one.subjects_min.unwrap_or(1).to_string();
            visit.text_with("share-figures", &[("least", &least)])
        }
    }
}

fn row(visit: &Visit, shown: &Shown<'_>, share: &Share) -> Markup {
    let (kind, iri) = value(&share.who);
    let own = iri == shown.own_webid;
    let name = name(visit, shown, &share.who);
    html! {
        div {
            p { strong { (name) } }
            @if !iri.is_empty() { p.quiet { code { (iri) } } }
            p { (modes(visit, share.modes)) }
            @if shown.name.is_container() && share.here != share.below {
                p.quiet { (visit.text(if share.here { "share-here-only" } else { "share-below-only" })) }
            }
            @if share.conditional { p.quiet { (visit.text("share-conditional")) } }
        }
        @if !own && !share.conditional {
            form method="post" action=(format!("{PATH}{}", shown.name)) {
                (hidden(visit, shown, UNSHARE))
                input type="hidden" name="who" value=(kind);
                input type="hidden" name="iri" value=(iri);
                button.danger type="submit" aria-label=(visit.text_with("share-stop-for", &[("name", &name)])) {
                    (visit.text("share-stop"))
                }
            }
        }
    }
}

fn add(visit: &Visit, shown: &Shown<'_>, folder: bool) -> Markup {
    html! {
        section.card aria-labelledby="add" {
            h2 #add { (visit.text("share-add-title")) }
            @if folder { p.quiet { (visit.text("share-add-folder")) } }
            form method="post" action=(format!("{PATH}{}", shown.name)) {
                (hidden(visit, shown, SHARE))
                fieldset {
                    legend { (visit.text("share-with")) }
                    (choice(visit, "who", "agent", "share-agent", true))
                    div.field.inset {
                        label for="webid" { (visit.text("share-webid")) }
                        p.hint #webid-hint { (visit.text("share-webid-hint")) }
                        input id="webid" name="webid" type="url" maxlength="2048" autocomplete="off" spellcheck="false"
                            autocapitalize="none" aria-describedby="webid-hint";
                    }
                    (choice(visit, "who", "logged-in", "share-logged-in", false))
                    (choice(visit, "who", "everyone", "share-everyone", false))
                }
                fieldset {
                    legend { (visit.text("share-level")) }
                    @for (index, (level, key)) in LEVELS.into_iter().enumerate() { (choice(visit, "level", level, key, index == 0)) }
                }
                button type="submit" { (visit.text("share-add")) }
            }
        }
    }
}

fn choice(visit: &Visit, group: &str, value: &str, key: &str, chosen: bool) -> Markup {
    let id = format!("{group}-{value}");
    html! {
        div.choice {
            input type="radio" name=(group) id=(id) value=(value) checked[chosen];
            label for=(id) { (visit.text(key)) }
        }
    }
}

fn hidden(visit: &Visit, shown: &Shown<'_>, act: &str) -> Markup {
    html! {
        (form_token(visit))
        input type="hidden" name="do" value=(act);
        input type="hidden" name="state" value=(shown.state);
    }
}

/// How a form names somebody.
fn value(who: &Who) -> (&'static str, &str) {
    match who {
        Who::Everyone => ("everyone", ""),
        Who::LoggedIn => ("logged-in", ""),
        Who::Agent(iri) => ("agent", iri),
        Who::Group(iri) => ("group", iri),
    }
}

fn name(visit: &Visit, shown: &Shown<'_>, who: &Who) -> String {
    match who {
        Who::Everyone => visit.text("share-everyone"),
        Who::LoggedIn => visit.text("share-logged-in"),
        Who::Agent(iri) if iri == shown.own_webid => visit.text("share-you"),
        Who::Agent(iri) => words::person(shown.origins, iri),
        Who::Group(iri) => visit.text_with("share-group", &[("name", &words::person(shown.origins, iri))]),
    }
}

/// What somebody may do, as a sentence.
fn modes(visit: &Visit, modes: Modes) -> String {
    let words = [
        (Modes::READ, "share-may-read"),
        (Modes::WRITE, "share-may-write"),
        (Modes::APPEND, "share-may-add"),
        (Modes::CONTROL, "share-may-control"),
    ];
    let said: Vec<String> = words
        .into_iter()
        // Who may change may add as well; saying both would sound like more.
        .filter(|(mode, _)| modes.contains(*mode) && !(*mode == Modes::APPEND && modes.contains(Modes::WRITE)))
        .map(|(_, key)| visit.text(key))
        .collect();
    said.join(", ")
}
