//! Why credentials are refused, and how the caller is told (RFC 9449 §7.1, RFC 6750 §3).

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use super::jose::Algorithm;
use crate::problem::Problem;

/// Whose fault, in the words of RFC 9449.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// The access token, or the delegation, is refused.
    InvalidToken,
    /// The proof of possession is refused.
    InvalidProof,
    /// The server remembers as many proofs as it can: refused without judging, to be retried.
    Overloaded,
}

/// Credentials that are refused. The description is fixed text: it repeats nothing that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{description}")]
pub struct AuthnRejection {
    /// Whose fault.
    pub kind: RejectionKind,
    /// What is wrong.
    pub description: &'static str,
    challenge: Option<HeaderValue>,
}

impl AuthnRejection {
    pub(super) fn token(description: &'static str) -> Self {
        Self {
            kind: RejectionKind::InvalidToken,
            description,
            challenge: None,
        }
    }

    pub(super) fn proof(description: &'static str) -> Self {
        Self {
            kind: RejectionKind::InvalidProof,
            description,
            challenge: None,
        }
    }

    pub(super) fn overloaded() -> Self {
        let description = "the server handles as many authenticated requests as it can";
        Self {
            kind: RejectionKind::Overloaded,
            description,
            challenge: None,
        }
    }

    /// Adds the challenge that belongs to this rejection.
    pub(super) fn challenged(mut self, algorithms: &[Algorithm], as_uri: &str) -> Self {
        let error = match self.kind {
            RejectionKind::InvalidToken => "invalid_token",
            RejectionKind::InvalidProof => "invalid_dpop_proof",
            RejectionKind::Overloaded => return self,
        };
        self.challenge = Some(challenge(Some((error, self.description)), algorithms, as_uri));
        self
    }

    /// The response: 401 with its challenge, or 503.
    pub fn to_problem(&self) -> Problem {
        let (kind, title) = match self.kind {
            RejectionKind::InvalidToken => ("invalid-token", "The access token is refused"),
            RejectionKind::InvalidProof => ("invalid-dpop-proof", "The proof of possession is refused"),
            RejectionKind::Overloaded => return Problem::unavailable(self.description, 1),
        };
        let problem = Problem::new(StatusCode::UNAUTHORIZED, kind, title).detail(self.description);
        match &self.challenge {
            Some(challenge) => problem.header(WWW_AUTHENTICATE, challenge.clone()),
            None => problem,
        }
    }
}

impl From<AuthnRejection> for Problem {
    fn from(rejection: AuthnRejection) -> Self {
        rejection.to_problem()
    }
}

/// A `WWW-Authenticate` challenge of the DPoP scheme.
pub(super) fn challenge(error: Option<(&str, &str)>, algorithms: &[Algorithm], as_uri: &str) -> HeaderValue {
    let algorithms: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let mut text = String::from("DPoP ");
    if let Some((error, description)) = error {
        text.push_str(&format!(
            "error=\"{error}\", error_description=\"{}\", ",
            description.replace(['"', '\\', '`'], "'")
        ));
    }
    text.push_str(&format!("algs=\"{}\"", algorithms.join(" ")));
    if !as_uri.is_empty() {
        text.push_str(&format!(", as_uri=\"{}\"", as_uri.replace(['"', '\\'], "")));
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("DPoP"))
}
