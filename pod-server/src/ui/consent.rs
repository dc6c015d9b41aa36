//! The citizen's page of consents: what is asked, what is shared, what was decided, and the receipt of each decision.
//!
//! Yes and no weigh the same, nothing is chosen beforehand but the shortest time, and stopping takes one press, as
//! giving does (GDPR 7(3); CON-5, CON-9).

use maud::{Markup, html};
use policies::consent::{ConsentRecord, ConsentStatus, Recipients};
use time::OffsetDateTime;

use super::layout::form_token;
use super::{Notice, Visit, words};
use crate::consent::stored::StoredConsent;
use crate::origins::Origins;

/// Where a request is answered.
pub const ANSWER: &str = "/consent/answer";
/// Where a consent is stopped.
pub const WITHDRAW: &str = "/consent/withdraw";
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
            @if several { h2 { (visit.text_with("consent-storage", &[("name", part.storage.trim_matches('/'))])) } }
            (storage(visit, origins, part, now))
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
    let waiting: Vec<_> = of(|status| status == ConsentStatus::Requested).collect();
    let shared: Vec<_> = of(|status| status == ConsentStatus::Given).collect();
    let past: Vec<_> = of(|status| !matches!(status, ConsentStatus::Requested | ConsentStatus::Given)).collect();
    html! {
        section aria-labelledby=(format!("requests-{name}")) {
            h2 id=(format!("requests-{name}")) { (visit.text("consent-requests")) }
            @if waiting.is_empty() { p.quiet { (visit.text("consent-requests-none")) } }
            @for (id, consent, record) in &waiting { (request(visit, origins, shown.storage, id, consent, record, now)) }
        }
        section aria-labelledby=(format!("shared-{name}")) {
            h2 id=(format!("shared-{name}")) { (visit.text("consent-shared")) }
            @if shared.is_empty() { p.quiet { (visit.text("consent-shared-none")) } }
            @for (id, consent, record) in &shared { (given(visit, origins, shown.storage, id, consent, record)) }
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
                        }
                    }
                }
            }
        }
    }
}

fn request(
    visit: &Visit,
    origins: &Origins,
    storage: &str,
    id: &str,
    consent: &StoredConsent,
    record: &ConsentRecord,
    now: OffsetDateTime,
) -> Markup {
    let who = who(visit, origins, record);
    let until = words::day(record.expires_at);
    let offered: Vec<u8> = PERIODS_MONTHS
        .into_iter()
        .filter(|months| after_months(now, *months) < record.expires_at)
        .collect();
    html! {
        article.card aria-labelledby=(format!("ask-{id}")) {
            h3 id=(format!("ask-{id}")) { (visit.text_with("consent-request-heading", &[("who", &who)])) }
            p lang=(record.notice.language) { (consent.notice_text) }
            dl {
                dt { (visit.text("consent-who")) } dd { (who) }
                dt { (visit.text("consent-what")) } dd { (what(visit, origins, record)) }
                dt { (visit.text("consent-why")) } dd { (why(visit, record)) }
                @if let Some(asker) = &consent.requested_by {
                    dt { (visit.text("consent-controller")) } dd { (words::person(origins, asker)) }
                }
                dt { (visit.text("consent-until-asked")) }
                dd { time datetime=(words::instant(record.expires_at)) { (until) } }
            }
            p.quiet { (visit.text("consent-if-refused")) }
            form method="post" action=(ANSWER) {
                (form_token(visit))
                (hidden(storage, id))
                // What the person read is what their answer is about (T103).
                input type="hidden" name="notice" value=(record.notice.hash);
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
                }
            }
        }
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

fn given(
    visit: &Visit,
    origins: &Origins,
    storage: &str,
    id: &str,
    consent: &StoredConsent,
    record: &ConsentRecord,
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

fn hidden(storage: &str, id: &str) -> Markup {
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
            }
            h2 { (visit.text("consent-notice")) }
            p lang=(record.notice.language) { (consent.notice_text) }
            p.quiet { (visit.text("consent-notice-hash")) ": " code { (record.notice.hash) } }
            h2 { (visit.text("consent-receipt-history")) }
            ol {
                @for version in &consent.versions {
                    li {
                        time datetime=(words::instant(version.changed_at)) { (words::minute(version.changed_at)) }
                        ": " (status(visit, version.status))
                    }
                }
            }
            div.actions {
                a.button.second href=(receipt_url(storage, id, Some("turtle"))) { (visit.text("consent-receipt-turtle")) }
                a.button.second href=(receipt_url(storage, id, Some("json"))) { (visit.text("consent-receipt-json")) }
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

fn who(visit: &Visit, origins: &Origins, record: &ConsentRecord) -> String {
    match &record.recipients {
        Recipients::Any => visit.text("consent-any-recipient"),
        Recipients::These(these) => these
            .iter()
            .map(|web_id| words::person(origins, web_id.as_str()))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn what(visit: &Visit, origins: &Origins, record: &ConsentRecord) -> Markup {
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

fn why(visit: &Visit, record: &ConsentRecord) -> String {
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
