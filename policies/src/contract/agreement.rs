//! The life of an agreement after it was concluded.

use serde::{Deserialize, Serialize};

/// Whether an agreement is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgreementState {
    /// In force.
    Active,
    /// Not in force for now; can be resumed.
    Suspended,
    /// Ended by a party. Final.
    Terminated,
    /// Ended by time. Final.
    Expired,
}

/// What can happen to an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgreementEvent {
    /// The owner stops it for a while.
    Suspend,
    /// The owner lets it go on.
    Resume,
    /// Either party ends it.
    Terminate,
    /// Its end date has passed.
    Expire,
}

/// An event that does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an agreement that is {} cannot {}", state.as_str(), event.as_str())]
pub struct AgreementStepError {
    /// The present state.
    pub state: AgreementState,
    /// What was tried.
    pub event: AgreementEvent,
}

impl AgreementState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Active, Self::Suspended, Self::Terminated, Self::Expired];

    /// The word in storage and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Terminated => "terminated",
            Self::Expired => "expired",
        }
    }

    /// The state that a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// The state after an event.
    ///
    /// # Errors
    /// When the event does not fit; nothing leaves a final state, so access once ended never comes back.
    pub fn step(self, event: AgreementEvent) -> Result<Self, AgreementStepError> {
        match (self, event) {
            (Self::Active, AgreementEvent::Suspend) => Ok(Self::Suspended),
            (Self::Suspended, AgreementEvent::Resume) => Ok(Self::Active),
            (Self::Active | Self::Suspended, AgreementEvent::Terminate) => Ok(Self::Terminated),
            (Self::Active | Self::Suspended, AgreementEvent::Expire) => Ok(Self::Expired),
            (state, event) => Err(AgreementStepError { state, event }),
        }
    }
}

impl AgreementEvent {
    /// Every event.
    pub const ALL: [Self; 4] = [Self::Suspend, Self::Resume, Self::Terminate, Self::Expire];

    /// The verb.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Terminate => "terminate",
            Self::Expire => "expire",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_as_in_the_table() {
        const TABLE: &[(&str, &str, &str)] = &[
            ("active", "suspend", "suspended"),
            ("active", "terminate", "terminated"),
            ("active", "expire", "expired"),
            ("suspended", "resume", "active"),
            ("suspended", "terminate", "terminated"),
            ("suspended", "expire", "expired"),
        ];
        for state in AgreementState::ALL {
            assert_eq!(AgreementState::from_word(state.as_str()), Some(state));
            for event in AgreementEvent::ALL {
                let expected = TABLE
                    .iter()
                    .find(|(from, verb, _)| *from == state.as_str() && *verb == event.as_str())
                    .map(|(_, _, to)| *to);
                assert_eq!(
                    state.step(event).ok().map(AgreementState::as_str),
                    expected,
                    "{state:?} {event:?}"
                );
            }
        }
        assert_eq!(AgreementState::from_word("paused"), None);
    }
}
