//! The citizen's page of consents: what is asked, what is shared, what was decided, and the receipt of each decision.
//!
//! Yes and no weigh the same, nothing is chosen beforehand but the shortest time, and stopping takes one press, as
//! giving does (GDPR 7(3); CON-5, CON-9).

use maud::{Markup, html};
use policies::consent::{ConsentRecord, ConsentStatus, Mandate, Recipients};
use time::{Duration, OffsetDateTime};

use super::layout::form_token;
use super::{Notice, Visit, consent_request, consent_setting, mandate, words};
use crate::consent::duty::DeleteDuty;
use crate::consent::setting::{DeclaredActivity, Preferences};
use crate::consent::stored::StoredConsent;
use crate::origins::Origins;

/// Where a request is answered.
pub const ANSWER: &str = "/consent/answer";
/// Where a consent is stopped.
pub const WITHDRAW: &str = "/consent/withdraw";
/// Where a consent is given again.
pub const RENEW: &str = "/consent/renew";
/// Where a request is laid before its person again.
pub const REOPEN: &str = "/consent/reopen";
/// Where a receipt is read.
pub const RECEIPT: &str = "/consent/receipt";

/// The periods that a person can choose, in months.
pub const PERIODS_MONTHS: [u8; 4] = [1, 3, 6, 12];

/// One storage of the visitor with its consents.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Root of the storage, `/jan/`.
    pub storage: &'a str,
    /// Identifier and consent.
    pub consents: &'a [(String, StoredConsent)],
    /// Who may decide for the visitor; none where the visitor decides for somebody else.
    pub mandates: Option<&'a [(String, Mandate)]>,
    /// How long before its end a consent is shown as ending, in days.
    pub reminder_days: u32,
    /// Standing preferences; none where the visitor decides for somebody else.
    pub preferences: Option<&'a Preferences>,
    /// What is done on other grounds than consent.
    pub activities: &'a [DeclaredActivity],
    /// Who has to delete.
    pub duties: &'a [DeleteDuty],
}

/// The page.
#[must_use]
pub fn page(
    visit: &Visit,
    origins: &Origins,
    shown: &[Shown<'_>],
    now: OffsetDateTime,
    notice: Option<&Notice>,
) -> Markup {
    let several = shown.len() > 1;
    html! {
        @if let Some(notice) = notice { (notice) }
        p { (visit.text("consent-intro")) }
        @for part in shown {
            @let name = part.storage.trim_matches('/');
            @if part.mandates.is_none() {
                h2 { (visit.text_with("mandate-for", &[("name", name)])) }
            } @else if several {
                h2 { (visit.text_with("consent-storage", &[("name", name)])) }
            }
            (storage(visit, origins, part, now))
            (consent_setting::duties(visit, origins, part.storage, part.duties, now))
            (consent_setting::activities(visit, part.storage, part.activities))
            @if let Some(preferences) = part.preferences {
                (consent_setting::preferences(visit, part.storage, preferences))
            }
            @if let Some(mandates) = part.mandates { (mandate::section(visit, origins, part.storage, mandates)) }
        }
    }
}

fn storage(visit: &Visit, origins: &Origins, shown: &Shown<'_>, now: OffsetDateTime) -> Markup {
    let name = shown.storage.trim_matches('/');
    let of = |wanted: fn(ConsentStatus) -> bool| {
        shown.consents.iter().filter_map(move |(id, consent)| {
            let record = consent.current()?;
            wanted(consent.status_at(now)).then_some((id.as_str(), consent, record))
        })
    };
    let mut waiting: Vec<_> = of(ConsentStatus::waits).collect();
    // What was put off stands last.
    waiting.sort_by_key(|(_, _, record)| record.status == ConsentStatus::Deferred);
    let shared: Vec<_> = of(ConsentStatus::permits).collect();
    let past: Vec<_> = of(|status| !status.waits() && !status.permits()).collect();
    html! {
        section aria-labelledby=(format!("requests-{name}")) {
            h2 id=(format!("requests-{name}")) { (visit.text("consent-requests")) }
            @if waiting.is_empty() { p.quiet { (visit.text("consent-requests-none")) } }
            @for (id, consent, _) in &waiting { (consent_request::card(visit, origins, shown.storage, id, consent, now)) }
        }
        section aria-labelledby=(format!("shared-{name}")) {
            h2 id=(format!("shared-{name}")) { (visit.text("consent-shared")) }
            @if shared.is_empty() { p.quiet { (visit.text("consent-shared-none")) } }
            @for (id, consent, record) in &shared {
                @let ends_soon = record.expires_at - now <= Duration::days(shown.reminder_days.into());
                (given(visit, origins, shown.storage, id, consent, record, ends_soon))
            }
        }
        @if !past.is_empty() {
            section aria-labelledby=(format!("past-{name}")) {
                h2 id=(format!("past-{name}")) { (visit.text("consent-past")) }
                ul.rows {
                    @for (id, consent, record) in &past {
                        li {
                            p {
                                (who(visit, origins, record)) ", " (why(visit, record)) ": "
                                (status(visit, consent.status_at(now))) ", "
                                time datetime=(words::instant(record.changed_at)) { (words::day(record.changed_at)) }
                            }
                            (receipt_link(visit, shown.storage, id, &who(visit, origins, record)))
                            @if consent.status_at(now) == ConsentStatus::Expired && record.given_at.is_some() {
                                (press(visit, RENEW, shown.storage, id, "consent-renew"))
                            }
                            @if record.act.as_ref().is_some_and(|act| act.automatic()) {
                                p.quiet { (visit.text("consent-automatic")) }
                                (press(visit, REOPEN, shown.storage, id, "consent-reopen"))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn given(
    visit: &Visit,
    origins: &Origins,
    storage: &str,
    id: &str,
    consent: &StoredConsent,
    record: &ConsentRecord,
    ends_soon: bool,
) -> Markup {
    let who = who(visit, origins, record);
    html! {
        article.card aria-labelledby=(format!("share-{id}")) {
            h3 id=(format!("share-{id}")) { (who) }
            dl {
                dt { (visit.text("consent-what")) } dd { (what(visit, origins, record)) }
                dt { (visit.text("consent-why")) } dd { (why(visit, record)) }
                @if let Some(asker) = &consent.requested_by {
                    dt { (visit.text("consent-controller")) } dd { (words::person(origins, asker)) }
                }
                @if let Some(since) = record.given_at {
                    dt { (visit.text("consent-since")) }
                    dd { time datetime=(words::instant(since)) { (words::day(since)) } }
                }
                dt { (visit.text("consent-until")) }
                dd { time datetime=(words::instant(record.expires_at)) { (words::day(record.expires_at)) } }
            }
            @if ends_soon {
                p { (visit.text("consent-ends-soon")) }
                (press(visit, RENEW, storage, id, "consent-renew"))
            }
            p.quiet id=(format!("stop-{id}")) { (visit.text_with("consent-stop-what", &[("who", &who)])) }
            form method="post" action=(WITHDRAW) {
                (form_token(visit))
                (hidden(storage, id))
                div.actions {
                    button.second type="submit" aria-describedby=(format!("stop-{id}")) { (visit.text("consent-stop")) }
                    (receipt_link(visit, storage, id, &who))
                }
            }
        }
    }
}

/// A form that is one button.
fn press(visit: &Visit, action: &str, storage: &str, id: &str, text: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            (form_token(visit))
            (hidden(storage, id))
            button.second type="submit" { (visit.text(text)) }
        }
    }
}

pub(super) fn hidden(storage: &str, id: &str) -> Markup {
    html! {
        input type="hidden" name="storage" value=(storage);
        input type="hidden" name="id" value=(id);
    }
}

fn receipt_link(visit: &Visit, storage: &str, id: &str, about: &str) -> Markup {
    html! {
        a href=(receipt_url(storage, id, None)) aria-label=(format!("{}: {about}", visit.text("consent-receipt"))) {
            (visit.text("consent-receipt"))
        }
    }
}

fn receipt_url(storage: &str, id: &str, form: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("storage", storage).append_pair("id", id);
    if let Some(form) = form {
        query.append_pair("form", form);
    }
    format!("{RECEIPT}?{}", query.finish())
}

/// The receipt of one consent: everything that was decided, when, and on what words (TS 27560).
#[must_use]
pub fn receipt(visit: &Visit, origins: &Origins, storage: &str, id: &str, consent: &StoredConsent) -> Markup {
    let Some(record) = consent.current() else {
        return html! {};
    };
    html! {
        section.card {
            dl {
                dt { (visit.text("consent-identifier")) } dd { code { (record.id) } }
                dt { (visit.text("consent-who")) } dd { (who(visit, origins, record)) }
                dt { (visit.text("consent-what")) } dd { (what(visit, origins, record)) }
                dt { (visit.text("consent-why")) } dd { (why(visit, record)) }
                @if let Some(asker) = &consent.requested_by {
                    dt { (visit.text("consent-controller")) } dd { (words::person(origins, asker)) }
                }
                dt { (visit.text("consent-until")) }
                dd { time datetime=(words::instant(record.expires_at)) { (words::minute(record.expires_at)) } }
                @if let Some(process) = &record.process { (consent_request::details(visit, process)) }
            }
            h2 { (visit.text("consent-notice")) }
            p lang=(record.notice.language) { (consent.agreed_words()) }
            p.quiet { (visit.text("consent-notice-hash")) ": " code { (record.notice.hash) } }
            h2 { (visit.text("consent-receipt-history")) }
            ol {
                @for version in &consent.versions {
                    li {
                        time datetime=(words::instant(version.changed_at)) { (words::minute(version.changed_at)) }
                        ": " (status(visit, version.status))
                        @if let Some(act) = &version.act {
                            ", " (words::person(origins, act.by.as_str()))
                            @if let Some(mandate) = &act.mandate { " (" (mandate::capacity(visit, mandate.kind)) ")" }
                        }
                    }
                }
            }
            div.actions {
                a.button.second href=(receipt_url(storage, id, Some("turtle"))) { (visit.text("consent-receipt-turtle")) }
                a.button.second href=(receipt_url(storage, id, Some("json"))) { (visit.text("consent-receipt-json")) }
                a.button.second href=(receipt_url(storage, id, Some("signed"))) { (visit.text("consent-receipt-signed")) }
                a.button.second href=(receipt_url(storage, id, Some("proof"))) { (visit.text("consent-receipt-proof")) }
                a href=(super::layout::path::CONSENT) { (visit.text("consent-back")) }
            }
        }
    }
}

/// An instant so many months later; the day is the last of its month where there is no such day.
#[must_use]
pub fn after_months(from: OffsetDateTime, months: u8) -> OffsetDateTime {
    let total = i32::from(u8::from(from.month())) - 1 + i32::from(months);
    let year = from.year() + total / 12;
    let month = u8::try_from(total % 12 + 1)
        .ok()
        .and_then(|month| time::Month::try_from(month).ok());
    let month = month.unwrap_or(time::Month::December);
    let day = from.day().min(month.length(year));
    time::Date::from_calendar_date(year, month, day).map_or(from, |date| from.replace_date(date))
}

pub(super) fn who(visit: &Visit, origins: &Origins, record: &ConsentRecord) -> String {
    match &record.recipients {
        Recipients::Any => visit.text("consent-any-recipient"),
        Recipients::These(these) => these
            .iter()
            .map(|web_id| words::person(origins, web_id.as_str()))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

pub(super) fn what(visit: &Visit, origins: &Origins, record: &ConsentRecord) -> Markup {
    let data = &record.data;
    let whole = data.containers.contains(&record.storage);
    html! {
        ul {
            @if whole { li { (visit.text("consent-all-data")) } }
            @for container in data.containers.iter().filter(|container| **container != record.storage) {
                li { code { (words::place(origins, container)) } }
            }
            @for dataset in &data.datasets { li { code { (words::place(origins, dataset)) } } }
            @for property in data.properties.iter().flatten() { li { (vocab::local_name(property)) } }
        }
    }
}

pub(super) fn why(visit: &Visit, record: &ConsentRecord) -> String {
    record
        .purposes
        .iter()
        .map(|purpose| words::purpose(visit.language, purpose))
        .collect::<Vec<_>>()
        .join(", ")
}

fn status(visit: &Visit, status: ConsentStatus) -> String {
    visit.text(&format!("consent-state-{}", status.word()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn months_end_on_days_that_exist() {
        for (from, months, to) in [
            (datetime!(2026-01-31 10:00 UTC), 1, datetime!(2026-02-28 10:00 UTC)),
            (datetime!(2026-11-21 10:00 UTC), 3, datetime!(2027-02-21 10:00 UTC)),
            (datetime!(2027-02-28 10:00 UTC), 12, datetime!(2028-02-28 10:00 UTC)),
            (datetime!(2026-12-31 10:00 UTC), 12, datetime!(2027-12-31 10:00 UTC)),
        ] {
            assert_eq!(after_months(from, months), to);
        }
    }
}
