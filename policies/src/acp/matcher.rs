//! Matchers: whether a context is one of those that a matcher describes (ACP §6.5).

use super::context::AcpContext;

/// Three-valued answer. In the order of the variants, "and" is the least and "or" the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// It does not match, for certain.
    No,
    /// It depends on what is not known.
    Unknown,
    /// It matches, for certain.
    Yes,
}

impl Answer {
    pub(super) const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }

    const fn of(matches: bool) -> Self {
        if matches { Self::Yes } else { Self::No }
    }
}

/// One matcher. An attribute without values is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Matcher {
    pub(super) agents: Vec<AgentValue>,
    pub(super) clients: Vec<Value>,
    pub(super) issuers: Vec<Value>,
    /// Types of verifiable credentials.
    pub(super) credentials: Vec<Box<str>>,
}

/// A value of `acp:agent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AgentValue {
    Public,
    Authenticated,
    Creator,
    Owner,
    Agent(Box<str>),
}

/// A value of `acp:client` or `acp:issuer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Public,
    Authenticated,
    Iri(Box<str>),
}

impl Matcher {
    /// Whether the context matches: at least one attribute is used, and of each at least one value matches (solid#89).
    pub(super) fn answer(&self, context: &AcpContext<'_>) -> Answer {
        let mut answer = None;
        let mut and = |attribute: Option<Answer>| {
            if let Some(attribute) = attribute {
                answer = Some(answer.map_or(attribute, |answer: Answer| answer.min(attribute)));
            }
        };
        and(self.agents.iter().map(|value| value.answer(context)).max());
        and(self.clients.iter().map(|value| value.answer(context.client)).max());
        and(self.issuers.iter().map(|value| value.answer(context.issuer)).max());
        // No presentation can be verified here, so nothing is known of what the requester holds.
        and((!self.credentials.is_empty()).then_some(Answer::Unknown));
        answer.unwrap_or(Answer::No)
    }
}

impl AgentValue {
    fn answer(&self, context: &AcpContext<'_>) -> Answer {
        let among = |known: Option<&[String]>| match (context.agent, known) {
            (None, _) => Answer::No,
            (Some(_), None) => Answer::Unknown,
            (Some(agent), Some(known)) => Answer::of(known.iter().any(|one| one == agent)),
        };
        match self {
            Self::Public => Answer::Yes,
            Self::Authenticated => Answer::of(context.agent.is_some()),
            Self::Creator => among(context.creators),
            Self::Owner => among(context.owners),
            Self::Agent(iri) => Answer::of(context.agent == Some(iri)),
        }
    }
}

impl Value {
    fn answer(&self, known: Option<&str>) -> Answer {
        Answer::of(match self {
            Self::Public => true,
            Self::Authenticated => known.is_some(),
            Self::Iri(iri) => known == Some(iri),
        })
    }
}
