//! Who sent a request, as far as it was verified.

use std::sync::Arc;

use policies::request::{Agent, Subject};

use super::recorder::{Use, UseKind};
use crate::name::ResourceName;

/// The verified sender of a request.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Agent, client, issuer and origin.
    pub subject: Subject,
    /// Agreement that the credentials are bound to.
    pub agreement: Option<String>,
    /// Purpose that was stated.
    pub purpose: Option<String>,
    /// Server that acts for the agent under a delegation.
    pub via: Option<String>,
    /// Name of what this server's own issuer gave the access token for: an approval, a log-in, client credentials.
    pub given_for: Option<Arc<str>>,
}

impl Caller {
    /// Whether the request carried credentials.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.subject.agent != Agent::Public
    }

    /// This caller's use of a resource, for the audit log.
    #[must_use]
    pub fn uses<'u>(&'u self, operation: UseKind, resource: &'u ResourceName) -> Use<'u> {
        Use {
            subject: &self.subject,
            agreement: self.agreement.as_deref(),
            purpose: self.purpose.as_deref(),
            via: self.via.as_deref(),
            operation,
            resource,
        }
    }
}
