//! Who looked: every recorded use of a storage in plain words, refused ones too, each with its proof to keep (AUD-7).

use maud::{Markup, html};
use policies::audit::{AuditAction, AuditRecord, Outcome};
use policies::consent::{ConsentStatus, is_digest};
use policies::decision::{Decision, Effect, Reason, ReasonCode};
use policies::explain;
use policies::wac::Modes;

use super::{Texts, Visit, words};
use crate::log::own::LogExport;
use crate::origins::Origins;

/// Where a proof is fetched.
pub const PROOF: &str = "/log/proof";

/// What the addresses of duties to delete have in common.
const DUTIES: &str = "/.consent/duties/";

/// One storage of the visitor with a page of its log.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Root of the storage, `/jan/`.
    pub storage: &'a str,
    /// The page.
    pub page: &'a LogExport,
    /// Whether this is not the newest page.
    pub later: bool,
}

/// The page.
#[must_use]
pub fn page(visit: &Visit, origins: &Origins, shown: &[Shown<'_>]) -> Markup {
    html! {
        p { (visit.text("log-intro")) }
        @for part in shown { (storage(visit, origins, part)) }
        p.quiet { (visit.text("log-verify")) }
    }
}

fn storage(visit: &Visit, origins: &Origins, shown: &Shown<'_>) -> Markup {
    let name = shown.storage.trim_matches('/');
    html! {
        section aria-labelledby=(format!("log-{name}")) {
            h2 id=(format!("log-{name}")) { (visit.text_with("log-table", &[("name", name)])) }
            @if shown.page.entries.is_empty() { p.quiet { (visit.text("log-none")) } }
            @for entry in &shown.page.entries { (one(visit, origins, shown.storage, entry.leaf, &entry.sealed.record)) }
            div.actions {
                @if shown.later { a href=(super::layout::path::LOG) { (visit.text("log-newest")) } }
                @if let Some(next) = shown.page.next {
                    a href=(url(super::layout::path::LOG, shown.storage, "before", next)) { (visit.text("log-older")) }
                }
            }
        }
    }
}

fn one(visit: &Visit, origins: &Origins, storage: &str, leaf: u64, record: &AuditRecord) -> Markup {
    let who = record.agent.as_deref().map_or_else(
        || visit.text("log-unknown-person"),
        |agent| words::person(origins, agent),
    );
    let did = visit.text(&format!("log-action-{}", word(record)));
    let refused = record.outcome == Outcome::Deny;
    let named = record.targets.iter().filter(|target| !is_digest(target));
    let (steps, targets): (Vec<&String>, Vec<&String>) = named.partition(|target| step(visit, target).is_some());
    let step = steps.first().and_then(|target| step(visit, target));
    html! {
        article.card aria-labelledby=(format!("use-{leaf}")) {
            h3 id=(format!("use-{leaf}")) {
                (who) ": " (did)
                @if let Some(step) = step { ": " (step) }
                @if refused { " (" (visit.text("log-refused")) ")" }
            }
            dl {
                dt { (visit.text("log-when")) }
                dd { time datetime=(words::instant(record.time)) { (words::minute(record.time)) } }
                dt { (visit.text("log-did")) }
                dd { @for target in targets { div { code { (words::legible(words::place(origins, target))) } } } }
                @if let Some(via) = &record.via { dt { (visit.text("log-through")) } dd { (words::legible(via.clone())) } }
                @match &record.purpose {
                    Some(purpose) => {
                        dt { (visit.text("log-why")) } dd { (words::purpose(visit.language, purpose)) }
                    },
                    // Only who looks at data is to say why.
                    None if matches!(record.action, AuditAction::Query | AuditAction::Read) => {
                        dt { (visit.text("log-why")) } dd { (visit.text("log-no-purpose")) }
                    },
                    None => {},
                }
                @if let Some(agreement) = &record.agreement {
                    dt { (visit.text("log-agreement")) } dd { code { (words::legible(words::place(origins, agreement))) } }
                }
                dt { (visit.text("log-outcome")) }
                dd { @for sentence in sentences(visit, record) { div { (sentence) } } }
                @if record.subjects > 1 {
                    dt { } dd { (visit.language.text_counted("log-subjects", record.subjects)) }
                }
            }
            a href=(url(PROOF, storage, "leaf", leaf)) download=(format!("proof-{leaf}.json"))
                aria-label=(visit.text_with("log-proof-of", &[("number", &leaf.to_string())])) {
                (visit.text("log-proof"))
            }
        }
    }
}

/// The decision behind a record, sentence by sentence.
fn sentences(visit: &Visit, record: &AuditRecord) -> Vec<String> {
    let about = |code: ReasonCode| match code {
        ReasonCode::PurposeNotPermitted | ReasonCode::PurposeMissing => record.purpose.clone(),
        ReasonCode::AgreementMissing => record.agreement.clone(),
        ReasonCode::AssigneeMismatch | ReasonCode::RecipientNotPermitted => record.agent.clone(),
        _ => record.targets.first().cloned(),
    };
    let decision = Decision {
        effect: match record.outcome {
            Outcome::Permit => Effect::Permit,
            Outcome::Deny => Effect::Deny,
        },
        reasons: record
            .reasons
            .iter()
            .map(|code| Reason::new(*code, words::legible(about(*code).unwrap_or_default())))
            .collect(),
        obligations: record.obligations.clone(),
        advice: Vec::new(),
        valid_until: None,
        view: None,
        modes: Modes::NONE,
        public_modes: Modes::NONE,
    };
    explain::decision(&decision, explain::Language::from_tag(visit.language.tag()))
}

/// The words for a target that names the state to which a step led.
fn step(visit: &Visit, target: &str) -> Option<String> {
    if let Some(status) = ConsentStatus::from_iri(target) {
        return Some(visit.text(&format!("consent-state-{}", status.word())));
    }
    if target.contains(DUTIES) {
        return Some(visit.text("log-step-duty"));
    }
    let key = match target.strip_prefix(vocab::meent::NS) {
        Some(signal) => format!("log-signal-{}", signal.to_ascii_lowercase()),
        None => format!(
            "log-step-{}",
            target.strip_prefix(vocab::dspace::NS)?.to_ascii_lowercase()
        ),
    };
    let text = visit.text(&key);
    (text != key).then_some(text)
}

/// The action as it stands in records and in the keys of texts.
fn word(record: &AuditRecord) -> String {
    serde_json::to_value(record.action)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn url(path: &str, storage: &str, name: &str, value: u64) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("storage", storage)
        .append_pair(name, &value.to_string())
        .finish();
    format!("{path}?{query}")
}
