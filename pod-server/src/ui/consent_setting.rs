//! What stands beside consents on their page: standing preferences, what is done on other grounds, and who has yet to delete
//! (CON-11, CON-14, CON-16).

use std::collections::BTreeSet;

use maud::{Markup, html};
use policies::consent::{Activity, Preference, PreferenceEffect};
use time::OffsetDateTime;

use super::consent_request::{basis_words, entity};
use super::layout::form_token;
use super::{Form, Visit, words};
use crate::consent::duty::DeleteDuty;
use crate::consent::setting::{DeclaredActivity, Preferences};
use crate::origins::Origins;

/// Where preferences are set.
pub const PREFER: &str = "/consent/preferences";

/// The kinds of requests for which the page has a choice: word of the field and of the text.
const KINDS: [&str; 4] = ["special", "third-countries", "any-recipient", "marketing"];

/// How the page names its own preferences.
fn name(kind: &str) -> String {
    format!("page-{kind}")
}

/// The form of standing preferences.
#[must_use]
pub fn preferences(visit: &Visit, storage: &str, preferences: &Preferences) -> Markup {
    let heading = format!("preferences-{}", storage.trim_matches('/'));
    let chosen = |kind: &str| {
        let mut known = preferences.preferences.iter();
        known
            .find(|preference| preference.id == name(kind))
            .map(|preference| preference.effect)
    };
    let option = |kind: &str, value: &'static str, effect: Option<PreferenceEffect>| {
        html! {
            option value=(value) selected[chosen(kind) == effect] { (visit.text(&format!("preference-{value}"))) }
        }
    };
    html! {
        section aria-labelledby=(heading) {
            h2 id=(heading) { (visit.text("preference-title")) }
            p { (visit.text("preference-intro")) }
            form method="post" action=(PREFER) {
                (form_token(visit))
                input type="hidden" name="storage" value=(storage);
                @for kind in KINDS {
                    @let field = format!("{heading}-{kind}");
                    div.field {
                        label for=(field) { (visit.text(&format!("preference-kind-{kind}"))) }
                        select id=(field) name=(kind) {
                            (option(kind, "ask", None))
                            (option(kind, "defer", Some(PreferenceEffect::Defer)))
                            (option(kind, "refuse", Some(PreferenceEffect::Refuse)))
                        }
                    }
                }
                button.second type="submit" { (visit.text("preference-keep")) }
            }
        }
    }
}

/// The preferences after a form: those of the page as chosen, and all others as they were.
#[must_use]
pub fn chosen(form: &Form, known: Preferences) -> Preferences {
    let own: Vec<String> = KINDS.iter().map(|kind| name(kind)).collect();
    let others = known
        .preferences
        .into_iter()
        .filter(|preference| !own.contains(&preference.id));
    let chosen = KINDS.iter().filter_map(|kind| {
        let effect = match form.field(kind)? {
            "defer" => PreferenceEffect::Defer,
            "refuse" => PreferenceEffect::Refuse,
            _ => return None,
        };
        let marketing = (*kind == "marketing").then(|| vocab::dpv::MARKETING.to_owned());
        Some(Preference {
            id: name(kind),
            effect,
            purposes: marketing.into_iter().collect(),
            recipients: BTreeSet::new(),
            any_recipient: *kind == "any-recipient",
            special: *kind == "special",
            third_countries: *kind == "third-countries",
            longer_than_days: None,
        })
    });
    Preferences {
        preferences: chosen.chain(others).collect(),
    }
}

/// What is done with the person's data on other grounds: information and a way to object, no switch.
#[must_use]
pub fn activities(visit: &Visit, storage: &str, activities: &[DeclaredActivity]) -> Markup {
    let heading = format!("activities-{}", storage.trim_matches('/'));
    html! {
        @if !activities.is_empty() {
            section aria-labelledby=(heading) {
                h2 id=(heading) { (visit.text("activity-title")) }
                p { (visit.text("activity-intro")) }
                @for declared in activities {
                    article.card {
                        h3 { (title(visit, &declared.activity)) }
                        (described(visit, &declared.activity))
                        p { a href=(declared.activity.objection) { (visit.text("activity-object")) } }
                    }
                }
            }
        }
    }
}

fn title(visit: &Visit, activity: &Activity) -> Markup {
    let own = activity.titles.get_key_value(visit.language.tag());
    let words = own.or_else(|| activity.titles.first_key_value());
    html! { @if let Some((tag, text)) = words { span lang=(tag) { (text) } } }
}

fn described(visit: &Visit, activity: &Activity) -> Markup {
    let purposes: Vec<String> = activity
        .purposes
        .iter()
        .map(|iri| words::purpose(visit.language, iri))
        .collect();
    html! {
        dl {
            dt { (visit.text("consent-answers")) } dd { (entity(&activity.controller)) }
            dt { (visit.text("consent-basis")) }
            dd {
                (basis_words(visit, &activity.legal_basis))
                @if !activity.source.is_empty() { " (" (activity.source) ")" }
            }
            dt { (visit.text("consent-why")) } dd { (purposes.join(", ")) }
            @for recipient in &activity.recipients { dt { (visit.text("consent-recipient")) } dd { (entity(recipient)) } }
            @if let Some(days) = activity.storage.days {
                dt { (visit.text("consent-kept")) }
                dd { (visit.text_with("consent-days", &[("days", &days.to_string())])) }
            }
        }
    }
}

/// Who has to delete, by when, and who said that they did.
#[must_use]
pub fn duties(visit: &Visit, origins: &Origins, storage: &str, duties: &[DeleteDuty], now: OffsetDateTime) -> Markup {
    let heading = format!("duties-{}", storage.trim_matches('/'));
    html! {
        @if !duties.is_empty() {
            section aria-labelledby=(heading) {
                h2 id=(heading) { (visit.text("duty-title")) }
                p { (visit.text("duty-intro")) }
                ul.rows {
                    @for duty in duties {
                        li {
                            p {
                                (words::person(origins, &duty.recipient)) ": "
                                strong { (visit.text(state(duty, now))) } ", " (visit.text("duty-until")) " "
                                time datetime=(words::instant(duty.deadline)) { (words::day(duty.deadline)) }
                            }
                            @if let Some(word) = &duty.acknowledged { @if !word.note.is_empty() { p { q { (word.note) } } } }
                            @if duty.acknowledged.is_none() && duty.undelivered.is_some() {
                                p.quiet { (visit.text("duty-undelivered")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The text for where a duty stands.
fn state(duty: &DeleteDuty, now: OffsetDateTime) -> &'static str {
    if duty.acknowledged.is_some() {
        "duty-acknowledged"
    } else if duty.overdue(now) {
        "duty-overdue"
    } else if duty.notified.is_some() {
        "duty-notified"
    } else {
        "duty-open"
    }
}
