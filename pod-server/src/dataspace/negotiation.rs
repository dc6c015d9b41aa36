//! Contract negotiations as they are stored: who asks whom for what, and every step since (Dataspace Protocol, contract
//! negotiation).
//!
//! The moves themselves are decided in `policies::contract`; nothing here skips one. A negotiation that nobody ends,
//! ends by its deadline.

use policies::contract::{Actor, Message, NegotiationState, StepError, step};
use serde::{Deserialize, Serialize};

/// A negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiation {
    /// IRI, which is also where it is read.
    pub iri: String,
    /// Root of the owner's storage, `/{storage}/`.
    pub storage: String,
    /// The dataset.
    pub dataset: String,
    /// The offer that is asked for.
    pub offer: String,
    /// WebID of the one who asks.
    pub consumer: String,
    /// WebID of the owner.
    pub provider: String,
    /// Identifier that the consumer chose, so that a repeated request is recognised.
    pub consumer_pid: Option<String>,
    /// Purpose that the consumer states.
    pub purpose: String,
    /// Words to the owner.
    pub message: Option<String>,
    /// Present state.
    pub state: NegotiationState,
    /// The agreement, once there is one.
    pub agreement: Option<String>,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds after which an unfinished negotiation is terminated.
    pub deadline: i64,
    /// Everything that happened.
    pub steps: Vec<Step>,
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Unix seconds.
    pub at: i64,
    /// Which side.
    pub actor: Actor,
    /// The message that made the move.
    pub message: Message,
    /// The state after it.
    pub state: NegotiationState,
    /// A reason or remark.
    pub note: Option<String>,
}

/// What a consumer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// IRI of the dataset.
    pub dataset: String,
    /// IRI of the purpose.
    pub purpose: String,
    /// IRI of the offer; needed when the dataset has more than one.
    #[serde(default)]
    pub offer: Option<String>,
    /// Words to the owner.
    #[serde(default)]
    pub message: Option<String>,
    /// Own identifier of the consumer.
    #[serde(default)]
    pub consumer_pid: Option<String>,
}

impl Negotiation {
    /// Makes the next move.
    ///
    /// # Errors
    /// When the protocol does not allow it; then nothing has changed.
    pub fn advance(&mut self, actor: Actor, message: Message, at: i64, note: Option<String>) -> Result<(), StepError> {
        self.state = step(Some(self.state), actor, message)?;
        self.steps.push(Step {
            at,
            actor,
            message,
            state: self.state,
            note,
        });
        Ok(())
    }

    /// Ends it if its deadline has passed. True when that changed something.
    pub fn lapse(&mut self, now: i64) -> bool {
        if self.state.is_final() || now < self.deadline {
            return false;
        }
        let note = Some("the deadline passed".to_owned());
        // An agreement that the consumer did not verify in time is the consumer's to leave; all else is the provider's.
        let actor = if self.state == NegotiationState::Agreed {
            Actor::Consumer
        } else {
            Actor::Provider
        };
        self.advance(actor, Message::Termination, self.deadline, note).is_ok()
    }

    /// Which side of it a WebID is on.
    #[must_use]
    pub fn side(&self, web_id: &str) -> Option<Actor> {
        if web_id == self.provider {
            Some(Actor::Provider)
        } else if web_id == self.consumer {
            Some(Actor::Consumer)
        } else {
            None
        }
    }

    /// Whether this is what the consumer asked for the first time, so that a retry gets the same answer.
    #[must_use]
    pub fn answers(&self, ask: &Ask) -> bool {
        self.dataset == ask.dataset
            && self.purpose == ask.purpose
            && self.consumer_pid == ask.consumer_pid
            && ask.offer.as_ref().is_none_or(|offer| *offer == self.offer)
    }

    /// The answer that both sides read.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "@id": self.iri,
            "@type": "ContractNegotiation",
            "state": self.state,
            "dataset": self.dataset,
            "offer": self.offer,
            "consumer": self.consumer,
            "provider": self.provider,
            "consumerPid": self.consumer_pid,
            "purpose": self.purpose,
            "message": self.message,
            "agreement": self.agreement,
            "created": moment(self.created),
            "deadline": moment(self.deadline),
            "steps": self.steps.iter().map(|step| serde_json::json!({
                "at": moment(step.at),
                "actor": step.actor,
                "message": step.message.to_string(),
                "state": step.state,
                "note": step.note,
            })).collect::<Vec<_>>(),
        })
    }
}

/// Unix seconds as text (RFC 3339, UTC).
#[must_use]
pub fn moment(unix: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(unix)
        .ok()
        .and_then(|moment| moment.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn negotiation(state: NegotiationState) -> Negotiation {
        Negotiation {
            iri: "https://pod.example/gent/.dataspace/negotiations/1".into(),
            storage: "/gent/".into(),
            dataset: "https://pod.example/gent/.dataspace/datasets/d".into(),
            offer: "https://pod.example/gent/.dataspace/datasets/d#o".into(),
            consumer: "https://c.example/#me".into(),
            provider: "https://pod.example/gent/profile/card#me".into(),
            consumer_pid: None,
            purpose: "https://w3id.org/dpv#ScientificResearch".into(),
            message: None,
            state,
            agreement: None,
            created: 100,
            deadline: 200,
            steps: Vec::new(),
        }
    }

    /// NEG-14: no negotiation hangs, whatever its state; NEG-3: a finished one is not touched.
    #[test]
    fn every_open_negotiation_ends_by_its_deadline() {
        for state in NegotiationState::ALL {
            let mut one = negotiation(state);
            assert!(!one.lapse(199), "{state}: one second early");
            assert_eq!(one.lapse(200), !state.is_final(), "{state}");
            assert!(one.state.is_final(), "{state}");
        }
    }

    #[test]
    fn a_refused_move_changes_nothing() {
        let mut one = negotiation(NegotiationState::Requested);
        let before = one.clone();
        assert!(
            one.advance(Actor::Consumer, Message::AgreementVerification, 150, None)
                .is_err()
        );
        assert_eq!(one, before);
        one.advance(Actor::Provider, Message::ContractAgreement, 150, None)
            .unwrap();
        assert_eq!(one.steps.len(), 1);
    }
}
