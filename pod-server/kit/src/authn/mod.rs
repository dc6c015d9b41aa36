//! Who is asking: verification of DPoP-bound access tokens (Solid-OIDC, RFC 9449), agreement tokens and delegations.
//!
//! Raw text from the network becomes [`Credentials`] in one function, [`Authenticator::authenticate`], or a rejection. Nothing
//! here decides what an agent may do, and nothing here trusts a key, a URL or a time that came with the request itself.

mod access_token;
mod authenticator;
mod claims;
pub mod client;
mod config;
mod delegation;
mod discovery;
mod dpop;
pub mod encrypted;
mod htu;
mod id_token;
mod jose;
mod local_issuer;
mod proof_key;
mod rejection;
pub mod relying_party;
mod replay;
mod standing;
mod webid;

use std::sync::Arc;

pub use authenticator::Authenticator;
pub use config::{AuthnConfig, TokenHash};
pub use delegation::Delegation;
pub use id_token::IdToken;
pub use jose::{Algorithm, JoseFailure, thumbprint};
pub use local_issuer::{LocalIssuer, LocalIssuerError};
pub use policies::request::{Agent, WebId};
pub use rejection::{AuthnRejection, RejectionKind};
pub use standing::LocalGrants;
pub use webid::{LocalProfile, LocalProfiles};

/// Verified statements about who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The agent.
    pub agent: Agent,
    /// The application that acts for the agent: its client identifier.
    pub client: Option<String>,
    /// Who vouched for the agent.
    pub issuer: Option<String>,
    /// Thumbprint (RFC 7638) of the key that the access token is bound to.
    pub jkt: Option<String>,
    /// Scopes of the access token, separated by spaces.
    pub scope: Option<Arc<str>>,
    /// The agreement that the token is bound to, when it is an agreement token.
    pub grant: Option<AgreementGrant>,
    /// Name of what this server's own issuer gave the token for, as [`LocalGrants`] knows it.
    pub given_for: Option<Arc<str>>,
}

impl Credentials {
    /// Nobody in particular: no credentials were sent.
    pub fn public() -> Self {
        Self {
            agent: Agent::Public,
            client: None,
            issuer: None,
            jkt: None,
            scope: None,
            grant: None,
            given_for: None,
        }
    }

    /// Whether the access token was given for a scope.
    pub fn has_scope(&self, wanted: &str) -> bool {
        self.scope
            .as_deref()
            .is_some_and(|scope| scope.split(' ').any(|given| given == wanted))
    }
}

/// What an agreement token entitles to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementGrant {
    /// IRI of the agreement.
    pub agreement: String,
    /// IRI of the purpose that the consumer signed, when the query is delegated.
    pub purpose: Option<String>,
    /// URL of the broker that acts for the consumer, when the query is delegated.
    pub via: Option<String>,
    /// When it ends, Unix seconds: with the token, or with the delegation when that is sooner.
    pub until: i64,
}

#[cfg(test)]
mod tests;
