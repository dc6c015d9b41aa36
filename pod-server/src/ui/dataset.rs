//! The owner's page: datasets with their conditions in plain words, requests that wait, agreements.

use std::collections::BTreeMap;

use maud::{Markup, html};
use policies::contract::{AgreementState, NegotiationState};
use policies::explain;

use super::describing::DESCRIBE;
use super::layout::form_token;
use super::{Notice, Visit, words};
use crate::dataspace::agreement::Agreement;
use crate::dataspace::dataset::Dataset;
use crate::dataspace::deletion::DeletionDuty;
use crate::dataspace::negotiation::Negotiation;
use crate::dataspace::offer;
use crate::origins::Origins;

/// Where a request is accepted or refused.
pub const DECIDE: &str = "/datasets/decide";
/// Where an agreement is ended.
pub const END: &str = "/datasets/end";

/// One storage of the visitor.
#[derive(Debug, Default)]
pub struct Shown {
    /// Root of the storage, `/gent/`.
    pub storage: String,
    /// What is offered.
    pub datasets: Vec<Dataset>,
    /// Key and request.
    pub negotiations: Vec<(String, Negotiation)>,
    /// Agreements.
    pub agreements: Vec<Agreement>,
    /// How far the duty to delete of an agreement is, by its IRI.
    pub deletions: BTreeMap<String, DeletionDuty>,
}

/// The page.
#[must_use]
pub fn page(visit: &Visit, origins: &Origins, shown: &[Shown], notice: Option<&Notice>) -> Markup {
    html! {
        @if let Some(notice) = notice { (notice) }
        p { (visit.text("dataset-intro")) }
        @for part in shown {
            @if shown.len() > 1 {
                h2 { (visit.text_with("dataset-storage", &[("name", part.storage.trim_matches('/'))])) }
            }
            (waiting(visit, origins, part))
            (datasets(visit, origins, part))
            (agreements(visit, origins, part))
        }
    }
}

fn waiting(visit: &Visit, origins: &Origins, shown: &Shown) -> Markup {
    let open: Vec<_> = shown
        .negotiations
        .iter()
        .filter(|(_, negotiation)| negotiation.state == NegotiationState::Requested)
        .collect();
    html! {
        section aria-labelledby=(format!("waiting-{}", shown.storage.trim_matches('/'))) {
            h2 id=(format!("waiting-{}", shown.storage.trim_matches('/'))) { (visit.text("dataset-waiting")) }
            @if open.is_empty() { p.quiet { (visit.text("dataset-waiting-none")) } }
            @for (key, negotiation) in open { (request(visit, origins, shown, key, negotiation)) }
        }
    }
}

fn request(visit: &Visit, origins: &Origins, shown: &Shown, key: &str, negotiation: &Negotiation) -> Markup {
    let who = words::person(origins, &negotiation.consumer);
    let title = shown
        .datasets
        .iter()
        .find(|dataset| dataset.iri == negotiation.dataset)
        .map_or(negotiation.dataset.as_str(), |dataset| {
            dataset.title(visit.language.tag())
        });
    let id = key.replace('/', "-");
    html! {
        article.card aria-labelledby=(format!("ask-{id}")) {
            h3 id=(format!("ask-{id}")) { (visit.text_with("dataset-asks", &[("who", &who), ("what", title)])) }
            dl {
                dt { (visit.text("dataset-with")) } dd { code { (negotiation.consumer) } }
                dt { (visit.text("dataset-purpose")) } dd { (words::purpose(visit.language, &negotiation.purpose)) }
                @if let Some(message) = &negotiation.message { dt { (visit.text("dataset-message")) } dd { (message) } }
                dt { (visit.text("dataset-asked-at")) } dd { (moment(negotiation.created)) }
                dt { (visit.text("dataset-deadline")) } dd { (moment(negotiation.deadline)) }
            }
            form method="post" action=(DECIDE) {
                (form_token(visit))
                input type="hidden" name="negotiation" value=(key);
                div.actions {
                    button.second type="submit" name="answer" value="yes" { (visit.text("dataset-accept")) }
                    button.second type="submit" name="answer" value="no" { (visit.text("dataset-refuse")) }
                }
            }
        }
    }
}

fn datasets(visit: &Visit, origins: &Origins, shown: &Shown) -> Markup {
    html! {
        section aria-labelledby=(format!("datasets-{}", shown.storage.trim_matches('/'))) {
            h2 id=(format!("datasets-{}", shown.storage.trim_matches('/'))) { (visit.text("dataset-datasets")) }
            @if shown.datasets.is_empty() { p.quiet { (visit.text("dataset-datasets-none")) } }
            @for dataset in &shown.datasets { (described(visit, origins, shown, dataset)) }
            p { a.button.second href=(describe(&shown.storage, None)) { (visit.text("dataset-describe")) } }
        }
    }
}

/// Where a dataset of a storage is described: a new one, or one that has a name.
fn describe(storage: &str, name: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(format!("{DESCRIBE}?"));
    query.append_pair("storage", storage);
    if let Some(name) = name {
        query.append_pair("name", name);
    }
    query.finish()
}

fn described(visit: &Visit, origins: &Origins, shown: &Shown, dataset: &Dataset) -> Markup {
    let title = dataset.title(visit.language.tag());
    let name = dataset.iri.rsplit('/').next();
    let rule = if dataset.automatic {
        "dataset-automatic"
    } else {
        "dataset-by-hand"
    };
    html! {
        article.card {
            h3 { (title) }
            @if let Some(text) = dataset.descriptions.get(visit.language.tag()) { p { (text) } }
            dl {
                dt { (visit.text("dataset-covers")) }
                dd {
                    @for container in &dataset.containers { div { code { (words::place(origins, container)) } } }
                    @for path in &dataset.member_containers {
                        div { (visit.text_with("dataset-members", &[("path", path)])) }
                    }
                }
                @for iri in &dataset.offers {
                    @if let Ok(policy) = offer::policy(dataset, iri) {
                        dt { (visit.text("dataset-offer")) }
                        dd { (clauses(visit, &policy)) }
                    }
                }
            }
            p.quiet { (visit.text(rule)) }
            p { a href=(describe(&shown.storage, name)) { (visit.text_with("dataset-change", &[("what", title)])) } }
        }
    }
}

fn agreements(visit: &Visit, origins: &Origins, shown: &Shown) -> Markup {
    html! {
        section aria-labelledby=(format!("agreements-{}", shown.storage.trim_matches('/'))) {
            h2 id=(format!("agreements-{}", shown.storage.trim_matches('/'))) { (visit.text("dataset-agreements")) }
            @if shown.agreements.is_empty() { p.quiet { (visit.text("dataset-agreements-none")) } }
            @for agreement in &shown.agreements { (agreed(visit, origins, shown, agreement)) }
        }
    }
}

fn agreed(visit: &Visit, origins: &Origins, shown: &Shown, agreement: &Agreement) -> Markup {
    let who = words::person(origins, &agreement.assignee);
    let title = shown
        .datasets
        .iter()
        .find(|dataset| dataset.iri == agreement.dataset)
        .map_or(agreement.dataset.as_str(), |dataset| {
            dataset.title(visit.language.tag())
        });
    let id = agreement.iri.rsplit('/').next().unwrap_or_default();
    let ends = matches!(agreement.state, AgreementState::Active | AgreementState::Suspended);
    html! {
        article.card aria-labelledby=(format!("agreed-{id}")) {
            h3 id=(format!("agreed-{id}")) { (who) ": " (title) }
            dl {
                dt { (visit.text("dataset-with")) } dd { code { (agreement.assignee) } }
                dt { (visit.text("dataset-purpose")) } dd { (words::purpose(visit.language, &agreement.purpose)) }
                dt { (visit.text("dataset-since")) } dd { (moment(agreement.created)) }
                dt { (visit.text("dataset-state")) }
                dd { (visit.text(&format!("dataset-state-{}", agreement.state.as_str()))) }
                @if let Some(duty) = shown.deletions.get(&agreement.iri) {
                    dt { (visit.text("dataset-delete")) } dd { (deletion(visit, &who, duty)) }
                }
                @if let Ok(policy) = agreement.policy() {
                    dt { (visit.text("dataset-conditions")) } dd { (clauses(visit, &policy)) }
                }
            }
            @if ends {
                p.quiet id=(format!("end-{id}")) { (visit.text_with("dataset-end-what", &[("who", &who)])) }
                form method="post" action=(END) {
                    (form_token(visit))
                    input type="hidden" name="agreement" value=(agreement.iri);
                    div.actions {
                        button.second type="submit" aria-describedby=(format!("end-{id}")) { (visit.text("dataset-end")) }
                        a href=(super::layout::path::LOG) { (visit.text("dataset-uses")) }
                    }
                }
            }
        }
    }
}

/// How far the recipient is with deleting what it received.
fn deletion(visit: &Visit, who: &str, duty: &DeletionDuty) -> Markup {
    let say = |key: &str, moment: time::OffsetDateTime| {
        let moment = words::minute(moment);
        visit.text_with(key, &[("who", who), ("moment", &moment)])
    };
    html! {
        @match (duty.deadline, duty.confirmed) {
            (Some(deadline), _) if duty.overdue => strong { (say("dataset-delete-overdue", deadline)) },
            (Some(deadline), _) => (say("dataset-delete-open", deadline)),
            (None, Some(confirmed)) => (say("dataset-delete-confirmed", confirmed)),
            (None, None) => (visit.text("dataset-delete-nothing")),
        }
        @if let (None, Some(note)) = (duty.deadline, &duty.note) { @if !note.is_empty() { div.quiet { (note) } } }
    }
}

/// Every clause of a policy with how it is kept.
fn clauses(visit: &Visit, policy: &policies::odrl::Policy) -> Markup {
    let language = explain::Language::from_tag(visit.language.tag());
    html! {
        ul {
            @for clause in explain::policy(policy, language) {
                li { (clause.text) " " span.quiet { "(" (clause.class.words(language)) ")" } }
            }
        }
    }
}

fn moment(unix: i64) -> Markup {
    let moment = time::OffsetDateTime::from_unix_timestamp(unix).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    html! { time datetime=(words::instant(moment)) { (words::minute(moment)) } }
}
