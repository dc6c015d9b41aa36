//! The states of a consent and the moves between them, as DPV names them.

use serde::{Deserialize, Serialize};

/// Where a consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConsentStatus {
    /// `dpv:ConsentRequested`: asked, not answered. Permits nothing.
    #[serde(rename = "ConsentRequested")]
    Requested,
    /// `dpv:ConsentGiven`: the only state that permits.
    #[serde(rename = "ConsentGiven")]
    Given,
    /// `dpv:ConsentRefused`. Final.
    #[serde(rename = "ConsentRefused")]
    Refused,
    /// `dpv:ConsentWithdrawn`. Final.
    #[serde(rename = "ConsentWithdrawn")]
    Withdrawn,
    /// `dpv:ConsentExpired`. Final.
    #[serde(rename = "ConsentExpired")]
    Expired,
}

/// What can happen to a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentEvent {
    /// Someone asks.
    Request,
    /// The data subject says yes, asked or on their own account.
    Give,
    /// The data subject says no.
    Refuse,
    /// The data subject takes it back.
    Withdraw,
    /// Its time is over.
    Expire,
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
    pub const ALL: [Self; 5] = [
        Self::Requested,
        Self::Given,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
    ];

    /// The DPV term.
    #[must_use]
    pub fn iri(self) -> &'static str {
        match self {
            Self::Requested => vocab::dpv::CONSENT_REQUESTED,
            Self::Given => vocab::dpv::CONSENT_GIVEN,
            Self::Refused => vocab::dpv::CONSENT_REFUSED,
            Self::Withdrawn => vocab::dpv::CONSENT_WITHDRAWN,
            Self::Expired => vocab::dpv::CONSENT_EXPIRED,
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
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

impl ConsentEvent {
    /// Every event.
    pub const ALL: [Self; 5] = [Self::Request, Self::Give, Self::Refuse, Self::Withdraw, Self::Expire];

    /// What happens, after "cannot".
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "be requested",
            Self::Give => "be given",
            Self::Refuse => "be refused",
            Self::Withdraw => "be withdrawn",
            Self::Expire => "expire",
        }
    }
}

/// The state after an event. A consent that has ended never comes back: a new one is a new record.
///
/// # Errors
/// Every move that is not named here.
pub fn step(state: Option<ConsentStatus>, event: ConsentEvent) -> Result<ConsentStatus, ConsentStepError> {
    use ConsentStatus as S;
    match (state, event) {
        (None, ConsentEvent::Request) => Ok(S::Requested),
        (None | Some(S::Requested), ConsentEvent::Give) => Ok(S::Given),
        (Some(S::Requested), ConsentEvent::Refuse) => Ok(S::Refused),
        (Some(S::Given), ConsentEvent::Withdraw) => Ok(S::Withdrawn),
        (Some(S::Requested | S::Given), ConsentEvent::Expire) => Ok(S::Expired),
        _ => Err(ConsentStepError { state, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CON-3: rows are states, columns are events in the order of [`ConsentEvent::ALL`]; `.` is refused.
    #[test]
    fn all_pairs() {
        const TABLE: &str = "
            new        requested  given  .        .          .
            requested  .          given  refused  .          expired
            given      .          .      .        withdrawn  expired
            refused    .          .      .        .          .
            withdrawn  .          .      .        .          .
            expired    .          .      .        .          .";
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
