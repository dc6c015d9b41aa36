//! A request for consent as its person reads and answers it, and the second step for data of special categories.
//!
//! Yes, no and later weigh the same, and no item is chosen beforehand (CON-5). The words are shown in the visitor's
//! language where the asking party gave them; the answer names the words that were shown.

use maud::{Markup, html};
use policies::consent::{ConsentRecord, ConsentStatus, Entity, Item, Process};
use time::OffsetDateTime;

use super::consent::{ANSWER, PERIODS_MONTHS, after_months, hidden, what, who, why};
use super::layout::form_token;
use super::{Form, Visit, words};
use crate::consent::stored::StoredConsent;
use crate::origins::Origins;

/// The field of an item in the form.
#[must_use]
pub fn item_field(at: usize) -> String {
    format!("item-{at}")
}

/// The card of a request.
#[must_use]
pub fn card(
    visit: &Visit,
    origins: &Origins,
    storage: &str,
    id: &str,
    consent: &StoredConsent,
    now: OffsetDateTime,
) -> Markup {
    let Some(record) = consent.current() else {
        return html! {};
    };
    let who = who(visit, origins, record);
    let (language, text, hash) = consent.words(visit.language.tag());
    html! {
        article.card aria-labelledby=(format!("ask-{id}")) {
            h3 id=(format!("ask-{id}")) { (visit.text_with("consent-request-heading", &[("who", &who)])) }
            @if record.status == ConsentStatus::Deferred { p.quiet { (visit.text("consent-put-off")) } }
            p lang=(language) { (text) }
            dl {
                dt { (visit.text("consent-who")) } dd { (who) }
                dt { (visit.text("consent-what")) } dd { (what(visit, origins, record)) }
                dt { (visit.text("consent-why")) } dd { (why(visit, record)) }
                @if let Some(asker) = &consent.requested_by {
                    dt { (visit.text("consent-controller")) } dd { (words::person(origins, asker)) }
                }
                @if let Some(process) = &record.process { (details(visit, process)) }
                dt { (visit.text("consent-until-asked")) }
                dd { time datetime=(words::instant(record.expires_at)) { (words::day(record.expires_at)) } }
            }
            p.quiet { (refusal(visit, record)) }
            (form(visit, storage, id, record, &hash, now))
        }
    }
}

/// What follows from a no: in the asking party's words if it gave any, else that nothing does.
fn refusal(visit: &Visit, record: &ConsentRecord) -> Markup {
    let said = record.process.as_ref().and_then(|process| {
        let own = process.consequences.get_key_value(visit.language.tag());
        own.or_else(|| process.consequences.first_key_value())
    });
    match said {
        Some((tag, text)) => html! { (visit.text("consent-refusal")) " " span lang=(tag) { (text) } },
        None => html! { (visit.text("consent-if-refused")) },
    }
}

/// What TS 27560 has a person told about the process.
pub(super) fn details(visit: &Visit, process: &Process) -> Markup {
    let names = |iris: &std::collections::BTreeSet<String>| {
        let names: Vec<&str> = iris.iter().map(|iri| vocab::local_name(iri)).collect();
        names.join(", ")
    };
    html! {
        @if let Some(controller) = &process.controller {
            dt { (visit.text("consent-answers")) } dd { (entity(controller)) }
        }
        @for recipient in &process.recipients {
            dt { (visit.text("consent-recipient")) } dd { (entity(recipient)) }
        }
        @if let Some(days) = process.storage.days {
            dt { (visit.text("consent-kept")) }
            dd { (visit.text_with("consent-days", &[("days", &days.to_string())])) }
        }
        @if !process.storage.locations.is_empty() {
            dt { (visit.text("consent-kept-where")) } dd { (names(&process.storage.locations)) }
        }
        @if !process.third_countries.is_empty() {
            dt { (visit.text("consent-third-countries")) } dd { (names(&process.third_countries)) }
        }
        @if let Some(basis) = &process.legal_basis {
            dt { (visit.text("consent-basis")) } dd { (basis_words(visit, basis)) }
        }
        @if let Some(approval) = &process.collective_approval {
            dt { (visit.text("consent-approved")) } dd { code { (approval) } }
        }
    }
}

/// A legal basis of the GDPR in the visitor's words, or the last part of its IRI.
#[must_use]
pub fn basis_words(visit: &Visit, iri: &str) -> String {
    let letter = iri
        .strip_prefix(vocab::dpv_gdpr::NS)
        .and_then(|name| name.strip_prefix("A6-1-"))
        .filter(|letter| ["a", "b", "c", "d", "e", "f"].contains(letter));
    match letter {
        Some(letter) => visit.text(&format!("consent-basis-{letter}")),
        None => vocab::local_name(iri).to_owned(),
    }
}

/// Somebody's name, and how to reach them.
#[must_use]
pub fn entity(entity: &Entity) -> Markup {
    let name = if entity.name.is_empty() {
        &entity.id
    } else {
        &entity.name
    };
    html! {
        (name)
        @for more in [&entity.contact, &entity.address] { @if !more.is_empty() { br; (more) } }
    }
}

fn form(visit: &Visit, storage: &str, id: &str, record: &ConsentRecord, hash: &str, now: OffsetDateTime) -> Markup {
    let until = words::day(record.expires_at);
    let offered: Vec<u8> = PERIODS_MONTHS
        .into_iter()
        .filter(|months| after_months(now, *months) < record.expires_at)
        .collect();
    html! {
        form method="post" action=(ANSWER) {
            (form_token(visit))
            (hidden(storage, id))
            // What the person read is what their answer is about (T103).
            input type="hidden" name="notice" value=(hash);
            @if let Some(process) = &record.process {
                @if !process.items.is_empty() { (items(visit, id, process)) }
            }
            fieldset {
                legend { (visit.text("consent-period")) }
                @for (position, months) in offered.iter().enumerate() {
                    (choice(id, &months.to_string(), &visit.text(&format!("consent-period-{months}")), position == 0))
                }
                (choice(id, "asked", &visit.text_with("consent-period-asked", &[("until", &until)]), offered.is_empty()))
            }
            div.actions {
                button.second type="submit" name="answer" value="yes" { (visit.text("consent-yes")) }
                button.second type="submit" name="answer" value="no" { (visit.text("consent-no")) }
                @if record.status == ConsentStatus::Requested {
                    button.second type="submit" name="answer" value="later" { (visit.text("consent-later")) }
                }
            }
        }
    }
}

fn items(visit: &Visit, id: &str, process: &Process) -> Markup {
    html! {
        fieldset {
            legend { (visit.text("consent-items")) }
            @for (at, item) in process.items.iter().enumerate() {
                @let element = format!("item-{id}-{at}");
                @if item.required {
                    p { (label(visit, item)) " (" (visit.text("consent-item-required")) ")" }
                } @else {
                    div.choice {
                        input type="checkbox" id=(element) name=(item_field(at)) value="yes";
                        label for=(element) { (label(visit, item)) }
                    }
                }
            }
        }
    }
}

fn label(visit: &Visit, item: &Item) -> Markup {
    let words = item.labels.get_key_value(visit.language.tag());
    let words = words.or_else(|| item.labels.first_key_value());
    html! {
        @match words {
            Some((tag, text)) => { span lang=(tag) { (text) } },
            None => { (vocab::local_name(&item.what)) },
        }
        @if item.special { " – " (visit.text("consent-item-special")) }
    }
}

fn choice(id: &str, value: &str, label: &str, chosen: bool) -> Markup {
    let element = format!("period-{id}-{value}");
    html! {
        div.choice {
            input type="radio" id=(element) name="period" value=(value) checked[chosen];
            label for=(element) { (label) }
        }
    }
}

/// The second step: data of special categories takes a statement of its own (GDPR art. 9(2)(a)).
#[must_use]
pub fn explicit(visit: &Visit, action: &str, storage: &str, id: &str, record: &ConsentRecord, sent: &Form) -> Markup {
    let all = record
        .process
        .iter()
        .flat_map(|process| process.items.iter().enumerate());
    let special: Vec<&Item> = all
        .filter(|(at, item)| {
            item.special && (item.required || action != ANSWER || sent.field(&item_field(*at)).is_some())
        })
        .map(|(_, item)| item)
        .collect();
    let items = record.process.as_ref().map_or(0, |process| process.items.len());
    let kept = ["notice", "period", "answer"].map(str::to_owned);
    html! {
        section.card {
            p { (visit.text("consent-special-intro")) }
            ul { @for item in special { li { (label(visit, item)) } } }
            form method="post" action=(action) {
                (form_token(visit))
                (hidden(storage, id))
                @for field in kept.into_iter().chain((0..items).map(item_field)) {
                    @if let Some(value) = sent.field(&field) { input type="hidden" name=(field) value=(value); }
                }
                div.actions {
                    button.second type="submit" name="special" value="yes" { (visit.text("consent-special-yes")) }
                    a.button.second href=(super::layout::path::CONSENT) { (visit.text("consent-special-no")) }
                }
            }
        }
    }
}
