//! The contract negotiation of the Dataspace Protocol as a pure, total function.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a negotiation; `None` in [`step`] stands for one that does not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NegotiationState {
    /// The consumer has asked (or asked again).
    Requested,
    /// The provider has made an offer.
    Offered,
    /// The consumer has accepted the offer.
    Accepted,
    /// The provider has sent the agreement.
    Agreed,
    /// The consumer has verified the agreement.
    Verified,
    /// The provider has confirmed: the agreement is in force. Final.
    Finalized,
    /// Ended without agreement. Final.
    Terminated,
}

/// The side that sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// Who asks for the data.
    Consumer,
    /// Who owns it.
    Provider,
}

/// The messages that can move a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// `ContractRequestMessage`, first or as a counter-offer.
    ContractRequest,
    /// `ContractOfferMessage`, first or in answer.
    ContractOffer,
    /// `ContractNegotiationEventMessage` with `ACCEPTED`.
    EventAccepted,
    /// `ContractAgreementMessage`.
    ContractAgreement,
    /// `ContractAgreementVerificationMessage`.
    AgreementVerification,
    /// `ContractNegotiationEventMessage` with `FINALIZED`.
    EventFinalized,
    /// `ContractNegotiationTerminationMessage`.
    Termination,
}

/// A move that the protocol does not allow. The state stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The negotiation is over; a late message is an error.
    #[error("the negotiation is {state}, which is final")]
    Final {
        /// The final state.
        state: NegotiationState,
    },
    /// This message from this side is not allowed now.
    #[error("`{message}` by the {actor} is not allowed when the negotiation is {}", state.map_or("new", NegotiationState::as_str))]
    NotAllowed {
        /// The present state; `None` for a new negotiation.
        state: Option<NegotiationState>,
        /// Who sent it.
        actor: Actor,
        /// What was sent.
        message: Message,
    },
}

impl NegotiationState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Requested,
        Self::Offered,
        Self::Accepted,
        Self::Agreed,
        Self::Verified,
        Self::Finalized,
        Self::Terminated,
    ];

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finalized | Self::Terminated)
    }

    /// The protocol's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        }
    }
}

impl fmt::Display for NegotiationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Actor {
    /// Both sides.
    pub const ALL: [Self; 2] = [Self::Consumer, Self::Provider];
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        })
    }
}

impl Message {
    /// Every message.
    pub const ALL: [Self; 7] = [
        Self::ContractRequest,
        Self::ContractOffer,
        Self::EventAccepted,
        Self::ContractAgreement,
        Self::AgreementVerification,
        Self::EventFinalized,
        Self::Termination,
    ];
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContractRequest => "ContractRequestMessage",
            Self::ContractOffer => "ContractOfferMessage",
            Self::EventAccepted => "ContractNegotiationEventMessage:ACCEPTED",
            Self::ContractAgreement => "ContractAgreementMessage",
            Self::AgreementVerification => "ContractAgreementVerificationMessage",
            Self::EventFinalized => "ContractNegotiationEventMessage:FINALIZED",
            Self::Termination => "ContractNegotiationTerminationMessage",
        })
    }
}

/// The state after `message` from `actor` in `state` (Dataspace Protocol 2025-1, contract negotiation).
///
/// # Errors
/// [`StepError`] for every move that the protocol does not name.
pub fn step(state: Option<NegotiationState>, actor: Actor, message: Message) -> Result<NegotiationState, StepError> {
    use Actor::{Consumer, Provider};
    use NegotiationState as S;
    if let Some(state) = state.filter(|state| state.is_final()) {
        return Err(StepError::Final { state });
    }
    match (state, actor, message) {
        (None | Some(S::Offered), Consumer, Message::ContractRequest) => Ok(S::Requested),
        (None | Some(S::Requested), Provider, Message::ContractOffer) => Ok(S::Offered),
        (Some(S::Offered), Consumer, Message::EventAccepted) => Ok(S::Accepted),
        (Some(S::Requested | S::Accepted), Provider, Message::ContractAgreement) => Ok(S::Agreed),
        (Some(S::Agreed), Consumer, Message::AgreementVerification) => Ok(S::Verified),
        (Some(S::Verified), Provider, Message::EventFinalized) => Ok(S::Finalized),
        // Before an agreement is on the table either side may leave; after it only the side whose turn it is.
        (Some(S::Requested | S::Offered | S::Accepted), _, Message::Termination)
        | (Some(S::Agreed), Consumer, Message::Termination)
        | (Some(S::Verified), Provider, Message::Termination) => Ok(S::Terminated),
        _ => Err(StepError::NotAllowed { state, actor, message }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// NEG-2: the legal moves as text, written from the protocol's table and not from the function above.
    const TABLE: &str = "
        -         C ContractRequest       REQUESTED
        -         P ContractOffer         OFFERED
        REQUESTED P ContractOffer         OFFERED
        REQUESTED P ContractAgreement     AGREED
        REQUESTED C Termination           TERMINATED
        REQUESTED P Termination           TERMINATED
        OFFERED   C ContractRequest       REQUESTED
        OFFERED   C EventAccepted         ACCEPTED
        OFFERED   C Termination           TERMINATED
        OFFERED   P Termination           TERMINATED
        ACCEPTED  P ContractAgreement     AGREED
        ACCEPTED  P Termination           TERMINATED
        ACCEPTED  C Termination           TERMINATED
        AGREED    C AgreementVerification VERIFIED
        AGREED    C Termination           TERMINATED
        VERIFIED  P EventFinalized        FINALIZED
        VERIFIED  P Termination           TERMINATED";

    #[test]
    fn every_combination_is_as_in_the_table() {
        let mut legal = 0;
        for state in std::iter::once(None).chain(NegotiationState::ALL.map(Some)) {
            for actor in Actor::ALL {
                for message in Message::ALL {
                    let key = [
                        state.map_or("-", NegotiationState::as_str).to_owned(),
                        if actor == Actor::Consumer { "C" } else { "P" }.to_owned(),
                        format!("{message:?}"),
                    ];
                    let expected = TABLE.lines().find_map(|line| {
                        let words: Vec<&str> = line.split_whitespace().collect();
                        (words.len() == 4 && words[..3] == key).then(|| words[3])
                    });
                    let found = step(state, actor, message);
                    assert_eq!(found.ok().map(NegotiationState::as_str), expected, "{key:?}");
                    legal += usize::from(expected.is_some());
                    if state.is_some_and(NegotiationState::is_final) {
                        assert!(matches!(found, Err(StepError::Final { .. })));
                    }
                }
            }
        }
        assert_eq!(legal, TABLE.lines().filter(|line| !line.trim().is_empty()).count());
    }

    /// T99: whatever messages come in whatever order, doubled or from the wrong side, nothing is final before the provider has
    /// agreed and then the consumer has verified; and what is over stays over.
    #[test]
    fn no_order_of_messages_skips_a_party() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |below: usize| {
            // xorshift64: the same orders in each run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
        };
        let (mut finalized, mut refused) = (0, 0);
        for _ in 0..200_000 {
            let (mut state, mut taken) = (None, Vec::new());
            for _ in 0..12 {
                let (actor, message) = (Actor::ALL[draw(2)], Message::ALL[draw(7)]);
                match step(state, actor, message) {
                    Ok(next) => {
                        assert!(!state.is_some_and(NegotiationState::is_final));
                        taken.push((actor, message));
                        state = Some(next);
                    }
                    Err(_) => refused += 1,
                }
            }
            if state != Some(NegotiationState::Finalized) {
                continue;
            }
            finalized += 1;
            let last = |wanted| taken.iter().rposition(|one| *one == wanted);
            let agreed = last((Actor::Provider, Message::ContractAgreement)).unwrap();
            let verified = last((Actor::Consumer, Message::AgreementVerification)).unwrap();
            let ended = last((Actor::Provider, Message::EventFinalized)).unwrap();
            let asked = taken.iter().any(|(actor, message)| {
                *actor == Actor::Consumer && matches!(message, Message::ContractRequest | Message::EventAccepted)
            });
            assert!(
                asked && agreed < verified && verified < ended && ended == taken.len() - 1,
                "{taken:?}"
            );
        }
        assert!(finalized > 10 && refused > 1_000_000, "{finalized} {refused}");
    }

    #[test]
    fn json_uses_the_words_of_the_protocol() {
        for state in NegotiationState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
