//! A person's decisions, and what each makes of a consent.

use std::collections::BTreeSet;

use http::StatusCode;
use policies::consent::{Act, ConsentError, ConsentEvent, ConsentRecord, ConsentStatus, Mandate, Recipients};
use policies::request::WebId;
use serde::Deserialize;
use server_kit::problem::Problem;
use time::{Duration, OffsetDateTime};

use super::stored::{StoredConsent, notice_hash};
use crate::dataspace::edge;

/// The kind of the problem of a holder of a mandate who would gain from a yes.
pub(crate) const OWN_INTEREST: &str = "own-interest";

/// What a yes says besides yes. Nothing is taken for granted: what is not chosen and not required is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Yes {
    /// When it ends, if earlier than asked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// The items that are given besides the required ones, by their `what`.
    pub items: BTreeSet<String>,
    /// Hash of the words that the person was shown; those of the request's first language unless given.
    pub notice: Option<String>,
    /// The separate statement that data of special categories is given too (GDPR art. 9(2)(a)).
    pub special: bool,
}

/// What a person decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Give(Yes),
    /// No.
    Refuse,
    /// Not now.
    Defer,
    /// A request that a standing preference answered is to be answered by the person after all.
    Reopen,
    /// Yes again, for as long as the first time or until an earlier end.
    Renew(Yes),
    /// No longer.
    Withdraw,
}

/// Who decides, how, and on what ground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting {
    /// Who.
    pub by: WebId,
    /// How: `page`, `api`, or by which standing preference.
    pub method: String,
    /// Under which mandate, when it is not the person.
    pub mandate: Option<Mandate>,
}

impl Acting {
    /// The act as a record keeps it.
    #[must_use]
    pub fn act(&self, explicit: bool) -> Act {
        Act {
            by: self.by.clone(),
            method: self.method.clone(),
            mandate: self.mandate.as_ref().map(Mandate::named),
            explicit,
        }
    }

    /// Whoever answers for somebody else has no part in it: a yes that the holder of a mandate gives must not be to the
    /// holder, and none that the holder thought of is to everybody.
    ///
    /// # Errors
    /// 403 with the part that the holder has.
    pub(super) fn check_interest(&self, consent: &StoredConsent) -> Result<(), Problem> {
        let (Some(_), Some(record)) = (&self.mandate, consent.current()) else {
            return Ok(());
        };
        // Whoever stands in one document of a WebID stands there for the same party.
        let document = |id: &str| id.split('#').next().unwrap_or_default().to_owned();
        let own = document(self.by.as_str());
        let is_holder = |id: &str| document(id) == own;
        let process = record.process.as_ref();
        let controller = process.and_then(|process| process.controller.as_ref());
        let mut described = process.iter().flat_map(|process| &process.recipients);
        let part = match &record.recipients {
            Recipients::These(these) if these.iter().any(|one| is_holder(one.as_str())) => "receive the data",
            Recipients::Any if consent.requested_by.is_none() => "receive the data as anyone may",
            _ if described.any(|entity| is_holder(&entity.id)) => "receive the data",
            _ if controller.is_some_and(|entity| is_holder(&entity.id)) => "answer for the process",
            _ if consent.requested_by.as_deref().is_some_and(is_holder) => "have asked for it yourself",
            _ => return Ok(()),
        };
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            OWN_INTEREST,
            "A mandate does not cover one's own interest",
        )
        .detail(format!(
            "you answer for somebody else here and would {part}: the person decides about this one, or somebody else with a \
             mandate"
        )))
    }
}

/// Bounds on time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) now: OffsetDateTime,
    pub(super) days_max: u32,
}

/// Whether a decision was made before, so that it can be repeated without harm.
pub(super) fn already(consent: &StoredConsent, decision: &Decision, now: OffsetDateTime) -> bool {
    match (consent.status_at(now), decision) {
        (status, Decision::Give(yes)) => status.permits() && *yes == Yes::default(),
        (ConsentStatus::Refused, Decision::Refuse)
        | (ConsentStatus::Withdrawn, Decision::Withdraw)
        | (ConsentStatus::Deferred, Decision::Defer) => true,
        _ => false,
    }
}

/// Adds the version that a decision makes.
pub(super) fn advance(
    consent: &mut StoredConsent,
    decision: &Decision,
    acting: &Acting,
    bounds: Bounds,
) -> Result<(), Problem> {
    let now = bounds.now;
    let over = consent.current().is_some_and(|record| now >= record.expires_at);
    if over && !matches!(decision, Decision::Renew(_)) {
        return Err(step_problem(&ConsentError::Ended));
    }
    let (event, yes) = match decision {
        Decision::Give(yes) => (ConsentEvent::Give, Some(yes)),
        Decision::Renew(yes) => (ConsentEvent::Renew, Some(yes)),
        Decision::Refuse => (ConsentEvent::Refuse, None),
        Decision::Defer => (ConsentEvent::Defer, None),
        Decision::Withdraw => (ConsentEvent::Withdraw, None),
        Decision::Reopen => {
            check_reopening(consent)?;
            (ConsentEvent::Request, None)
        }
    };
    let mut next = consent
        .current()
        .ok_or(ConsentError::Versions)
        .and_then(|record| record.next(event, now))
        .map_err(|error| step_problem(&error))?;
    if let Some(yes) = yes {
        next = agreed(consent, next, yes, event, bounds)?;
    }
    let explicit = yes.is_some_and(|yes| yes.special);
    next.act = Some(Box::new(acting.act(explicit)));
    if yes.is_some() {
        next.validate(bounds.days_max).map_err(|error| step_problem(&error))?;
        acting.check_interest(consent)?;
    }
    consent.versions.push(next);
    consent.note_basis(acting.mandate.as_ref());
    Ok(())
}

/// The version of a yes: what was chosen, on the words that were shown, until the end that was chosen.
fn agreed(
    consent: &StoredConsent,
    mut next: ConsentRecord,
    yes: &Yes,
    event: ConsentEvent,
    bounds: Bounds,
) -> Result<ConsentRecord, Problem> {
    let now = bounds.now;
    let longest = match event {
        ConsentEvent::Renew => now.saturating_add(first_length(consent).min(Duration::days(bounds.days_max.into()))),
        // A person can choose less than was asked for, never more.
        _ => next.expires_at,
    };
    next.expires_at = yes.expires_at.map_or(longest, |until| until.min(longest));
    if let Some(hash) = &yes.notice {
        let shown = consent.shown(hash).ok_or_else(|| {
            edge::conflict(
                "notice-changed",
                "`notice` is not the hash of any words of this request",
            )
        })?;
        shown.clone_into(&mut next.notice.language);
        hash.clone_into(&mut next.notice.hash);
    }
    if event == ConsentEvent::Give {
        next = next.narrowed(&yes.items).map_err(|error| step_problem(&error))?;
    }
    let special = next.process.as_ref().and_then(|process| process.special().next());
    match special {
        Some(item) if !yes.special => Err(edge::conflict(
            "explicit-step-needed",
            format!(
                "`{}` is data of a special category: it takes a statement of its own, `special`, after the yes",
                item.what
            ),
        )),
        _ => Ok(next),
    }
}

/// For how long the consent was asked the first time.
fn first_length(consent: &StoredConsent) -> Duration {
    let first = consent.versions.first();
    first.map_or(Duration::ZERO, |first| first.expires_at - first.changed_at)
}

/// Only what a standing preference did can be undone: a refusal by the person takes a new request.
fn check_reopening(consent: &StoredConsent) -> Result<(), Problem> {
    let current = consent.current();
    let automatic = current
        .and_then(|record| record.act.as_ref())
        .is_some_and(|act| act.automatic());
    let later = current.is_some_and(|record| record.status == ConsentStatus::Deferred);
    if automatic || later {
        return Ok(());
    }
    Err(edge::conflict(
        "step-not-allowed",
        "only what a standing preference refused, or what was put off, is laid before the person again",
    ))
}

pub(super) fn step_problem(error: &ConsentError) -> Problem {
    match error {
        ConsentError::Step(_) | ConsentError::Ended | ConsentError::GivenAt => {
            edge::conflict("step-not-allowed", error.to_string())
        }
        other => edge::unprocessable("invalid-consent", other.to_string()),
    }
}

impl StoredConsent {
    /// The language of the words with a hash, if they are among those of this consent.
    #[must_use]
    pub fn shown(&self, hash: &str) -> Option<&str> {
        let first = self.versions.first()?;
        if first.notice.hash == hash {
            return Some(&first.notice.language);
        }
        let mut translations = self.translations.iter();
        translations
            .find(|(_, text)| notice_hash(text) == hash)
            .map(|(tag, _)| tag.as_str())
    }

    /// The words in a language, or in the first one: with their language and their hash.
    #[must_use]
    pub fn words(&self, language: &str) -> (String, &str, String) {
        let first = self.versions.first().map(|first| &first.notice);
        match (first, self.translations.get(language)) {
            (Some(first), Some(text)) if first.language != language => (language.to_owned(), text, notice_hash(text)),
            (Some(first), _) => (first.language.clone(), &self.notice_text, first.hash.clone()),
            (None, _) => (String::new(), &self.notice_text, String::new()),
        }
    }

    /// The words on which the present version rests.
    #[must_use]
    pub fn agreed_words(&self) -> &str {
        let hash = self
            .current()
            .map(|record| record.notice.hash.as_str())
            .unwrap_or_default();
        let mut translations = self.translations.values();
        translations
            .find(|text| notice_hash(text) == hash)
            .unwrap_or(&self.notice_text)
    }
}
