//! The states of a consent and the moves between them, as DPV names them.

use serde::{Deserialize, Serialize};

/// Where a consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConsentStatus {
    /// `dpv:ConsentRequested`: asked, not answered. Permits nothing.
    #[serde(rename = "ConsentRequested")]
    Requested,
    /// `dpv:ConsentRequestDeferred`: the data subject wants to answer later. Permits nothing.
    #[serde(rename = "ConsentRequestDeferred")]
    Deferred,
    /// `dpv:ConsentGiven`: permits.
    #[serde(rename = "ConsentGiven")]
    Given,
    /// `dpv:RenewedConsentGiven`: given again before or after its end; permits.
    #[serde(rename = "RenewedConsentGiven")]
    Renewed,
    /// `dpv:ConsentRefused`.
    #[serde(rename = "ConsentRefused")]
    Refused,
    /// `dpv:ConsentWithdrawn`. Final.
    #[serde(rename = "ConsentWithdrawn")]
    Withdrawn,
    /// `dpv:ConsentRevoked`: ended by someone else than the data subject. Final.
    #[serde(rename = "ConsentRevoked")]
    Revoked,
    /// `dpv:ConsentExpired`. The data subject can renew it.
    #[serde(rename = "ConsentExpired")]
    Expired,
    /// `dpv:ConsentInvalidated`: declared void. Final.
    #[serde(rename = "ConsentInvalidated")]
    Invalidated,
}

/// What can happen to a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentEvent {
    /// Someone asks, or what was put off or refused is laid before the data subject again.
    Request,
    /// The data subject wants to answer later.
    Defer,
    /// The data subject says yes, asked or on their own account.
    Give,
    /// The data subject says no.
    Refuse,
    /// The data subject says yes again.
    Renew,
    /// The data subject takes it back.
    Withdraw,
    /// Someone else ends it.
    Revoke,
    /// Its time is over.
    Expire,
    /// It is declared void.
    Invalidate,
}

/// A move that is not allowed. The record stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a consent that is {} cannot {}", state.map_or("new", ConsentStatus::word), event.word())]
pub struct ConsentStepError {
    /// The present state; `None` for a consent that does not exist yet.
    pub state: Option<ConsentStatus>,
    /// What was tried.
    pub event: ConsentEvent,
}

impl ConsentStatus {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::Deferred,
        Self::Given,
        Self::Renewed,
        Self::Refused,
        Self::Withdrawn,
        Self::Revoked,
        Self::Expired,
        Self::Invalidated,
    ];

    /// The DPV term.
    #[must_use]
    pub fn iri(self) -> &'static str {
        match self {
            Self::Requested => vocab::dpv::CONSENT_REQUESTED,
            Self::Deferred => vocab::dpv::CONSENT_REQUEST_DEFERRED,
            Self::Given => vocab::dpv::CONSENT_GIVEN,
            Self::Renewed => vocab::dpv::RENEWED_CONSENT_GIVEN,
            Self::Refused => vocab::dpv::CONSENT_REFUSED,
            Self::Withdrawn => vocab::dpv::CONSENT_WITHDRAWN,
            Self::Revoked => vocab::dpv::CONSENT_REVOKED,
            Self::Expired => vocab::dpv::CONSENT_EXPIRED,
            Self::Invalidated => vocab::dpv::CONSENT_INVALIDATED,
        }
    }

    /// The state that a DPV term names.
    #[must_use]
    pub fn from_iri(iri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.iri() == iri)
    }

    /// One word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Deferred => "deferred",
            Self::Given => "given",
            Self::Renewed => "renewed",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
        }
    }

    /// Whether it permits, until its end: given, or given again.
    #[must_use]
    pub const fn permits(self) -> bool {
        matches!(self, Self::Given | Self::Renewed)
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Requested | Self::Deferred)
    }
}

impl ConsentEvent {
    /// Every event.
    pub const ALL: [Self; 9] = [
        Self::Request,
        Self::Defer,
        Self::Give,
        Self::Refuse,
        Self::Renew,
        Self::Withdraw,
        Self::Revoke,
        Self::Expire,
        Self::Invalidate,
    ];

    /// What happens, after "cannot".
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "be requested",
            Self::Defer => "be put off",
            Self::Give => "be given",
            Self::Refuse => "be refused",
            Self::Renew => "be renewed",
            Self::Withdraw => "be withdrawn",
            Self::Revoke => "be revoked",
            Self::Expire => "expire",
            Self::Invalidate => "be declared void",
        }
    }
}

/// The state after an event. What was withdrawn, revoked or declared void never comes back: a new consent is a new record.
/// What was refused can only be laid before the person again, which takes the person's own act where a standing
/// preference had refused it.
///
/// # Errors
/// Every move that is not named here.
pub fn step(state: Option<ConsentStatus>, event: ConsentEvent) -> Result<ConsentStatus, ConsentStepError> {
    use ConsentStatus as S;
    match (state, event) {
        (None | Some(S::Deferred | S::Refused), ConsentEvent::Request) => Ok(S::Requested),
        (Some(S::Requested), ConsentEvent::Defer) => Ok(S::Deferred),
        (None | Some(S::Requested | S::Deferred), ConsentEvent::Give) => Ok(S::Given),
        (Some(S::Requested | S::Deferred), ConsentEvent::Refuse) => Ok(S::Refused),
        (Some(S::Given | S::Renewed | S::Expired), ConsentEvent::Renew) => Ok(S::Renewed),
        (Some(S::Given | S::Renewed), ConsentEvent::Withdraw) => Ok(S::Withdrawn),
        (Some(S::Given | S::Renewed), ConsentEvent::Revoke) => Ok(S::Revoked),
        (Some(S::Given | S::Renewed), ConsentEvent::Invalidate) => Ok(S::Invalidated),
        (Some(S::Requested | S::Deferred | S::Given | S::Renewed), ConsentEvent::Expire) => Ok(S::Expired),
        _ => Err(ConsentStepError { state, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirements dataspace CON-3: rows are states, columns are events in the order of [`ConsentEvent::ALL`]; `.` is
    /// refused.
    #[test]
    fn all_pairs() {
        const TABLE: &str = "
            new         requested  .         given  .        .        .          .        .        .
            requested   .          deferred  given  refused  .        .          .        expired  .
            deferred    requested  .         given  refused  .        .          .        expired  .
            given       .          .         .      .        renewed  withdrawn  revoked  expired  invalidated
            renewed     .          .         .      .        renewed  withdrawn  revoked  expired  invalidated
            refused     requested  .         .      .        .        .          .        .        .
            withdrawn   .          .         .      .        .        .          .        .        .
            revoked     .          .         .      .        .        .          .        .        .
            expired     .          .         .      .        renewed  .          .        .        .
            invalidated .          .         .      .        .        .          .        .        .";
        let rows: Vec<Vec<&str>> = TABLE
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<&str>| !row.is_empty())
            .collect();
        assert_eq!(rows.len(), ConsentStatus::ALL.len() + 1);
        for state in std::iter::once(None).chain(ConsentStatus::ALL.map(Some)) {
            let word = state.map_or("new", ConsentStatus::word);
            let row = rows.iter().find(|row| row[0] == word).unwrap();
            for (event, expected) in ConsentEvent::ALL.into_iter().zip(&row[1..]) {
                let found = step(state, event).map_or(".", ConsentStatus::word);
                assert_eq!(found, *expected, "{word}, {event:?}");
            }
        }
    }

    #[test]
    fn states_are_named_as_in_dpv() {
        for state in ConsentStatus::ALL {
            assert_eq!(ConsentStatus::from_iri(state.iri()), Some(state));
            let word = serde_json::to_value(state).unwrap();
            assert_eq!(format!("{}{}", vocab::dpv::NS, word.as_str().unwrap()), state.iri());
        }
    }
}
