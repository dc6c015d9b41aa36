//! The context of an access: what matchers are compared with (ACP §3).

use crate::request::{Agent, Subject};

/// Who asks, through what, and what they have to do with the resource. Values were verified; what is not known is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcpContext<'c> {
    /// WebID of whoever asks, if anyone gave credentials.
    pub agent: Option<&'c str>,
    /// Client identifier.
    pub client: Option<&'c str>,
    /// Issuer of the credentials.
    pub issuer: Option<&'c str>,
    /// WebIDs of the owners of the resource; none if that is not known.
    pub owners: Option<&'c [String]>,
    /// WebIDs of those who made the resource; none if that is not known, empty if it does not exist.
    pub creators: Option<&'c [String]>,
}

impl<'c> AcpContext<'c> {
    /// The context of a subject, before owners and creators were looked up.
    #[must_use]
    pub fn of(subject: &'c Subject) -> Self {
        match &subject.agent {
            // Without a verified agent, client and issuer say nothing either.
            Agent::Public => Self::default(),
            Agent::Authenticated(web_id) => Self {
                agent: Some(web_id.as_str()),
                client: subject.client.as_deref(),
                issuer: subject.issuer.as_deref(),
                owners: None,
                creators: None,
            },
        }
    }
}
