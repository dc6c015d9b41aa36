//! An access control list as an access control resource (ACP) that gives the same to everyone, or the reason why none does.
//!
//! The two systems hand rights down differently: of lists only the nearest counts, of policies those of all containers
//! above count together. Policies made here only allow. So a list can be said in policies only if it gives at least what
//! the container above hands down; groups and origins cannot be said at all. In doubt the answer is no.

use std::fmt::Write as _;

use super::{Acl, AclTarget, Authorization, Condition, ConditionKind, Modes};

/// Why a list cannot be said in policies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inexpressible {
    /// Policies know no groups.
    #[error("it names the group <{0}>, and policies know no groups: list its members instead")]
    Group(String),
    /// Policies know no origins.
    #[error("it gives access to origins of web pages, which policies do not know")]
    Origin,
    /// What the containers above hand down would be added to what the list gives.
    #[error(
        "it gives less than a container above hands down ({0}): policies of containers above count too, so that this \
         access would be given here as well"
    )]
    Less(String),
}

/// What a list gives, in terms that policies share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    modes: Modes,
    agents: Vec<Who>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Anyone,
    Authenticated,
    One(Box<str>),
}

/// A list said in policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsPolicies {
    /// The access control resource in Turtle.
    pub turtle: String,
    /// What it hands down to members.
    pub handed_down: Grants,
}

impl Acl {
    /// This list, which is that of `resource`, in policies; `above` is what the nearest container above with a list hands
    /// down.
    ///
    /// # Errors
    /// [`Inexpressible`] when nobody could be sure that the same access is given.
    pub fn as_policies(&self, resource: &str, above: &Grants) -> Result<AsPolicies, Inexpressible> {
        let own = self.grants(AclTarget::own(resource))?;
        own.check_contains(above)?;
        let handed_down = self.grants(AclTarget::inherited(resource))?;
        if resource.ends_with('/') {
            handed_down.check_contains(above)?;
        }
        Ok(AsPolicies {
            turtle: write(resource, &own, &handed_down),
            handed_down,
        })
    }

    fn grants(&self, target: AclTarget<'_>) -> Result<Grants, Inexpressible> {
        let grants = self.applicable(target).map(Authorization::grant);
        Ok(Grants(
            grants.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        ))
    }
}

impl Authorization {
    /// What it gives; none when it gives nothing to anybody.
    fn grant(&self) -> Result<Option<Grant>, Inexpressible> {
        if !self.origins.is_empty() {
            return Err(Inexpressible::Origin);
        }
        let of_conditions = self.conditions.iter().flat_map(|condition| &condition.groups);
        if let Some(group) = self.groups.iter().chain(of_conditions).next() {
            return Err(Inexpressible::Group(group.to_string()));
        }
        let conditions: Vec<Condition> = self.conditions.iter().filter(|one| !one.anyone).map(named).collect();
        let impossible = conditions.iter().any(|one| !one.identified && one.values.is_empty());
        if self.modes.is_empty() || self.has_no_agents() || impossible {
            return Ok(None);
        }
        let agents = if self.public {
            vec![Who::Anyone]
        } else if self.authenticated {
            vec![Who::Authenticated]
        } else {
            self.agents
                .iter()
                .filter(|agent| is_name(agent))
                .cloned()
                .map(Who::One)
                .collect()
        };
        if agents.is_empty() {
            return Ok(None);
        }
        Ok(Some(Grant {
            modes: self.modes,
            agents,
            conditions,
        }))
    }
}

/// Whether an IRI names somebody. The words of policies do not: in a list they are nobody, and in a policy they would be
/// everyone.
fn is_name(iri: &str) -> bool {
    !iri.starts_with(vocab::acp::NS)
}

fn named(condition: &Condition) -> Condition {
    let mut named = condition.clone();
    named.values.retain(|value| is_name(value));
    named
}

impl Grants {
    /// Whether each mode that `others` give to each agent under each condition is given here too.
    fn check_contains(&self, others: &Self) -> Result<(), Inexpressible> {
        for other in &others.0 {
            for who in &other.agents {
                for mode in [Modes::READ, Modes::APPEND, Modes::WRITE, Modes::CONTROL] {
                    let given = other.modes.contains(mode);
                    if given && !self.0.iter().any(|grant| grant.gives(mode, who, &other.conditions)) {
                        return Err(Inexpressible::Less(format!("`{mode}` for {}", who.name())));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Grant {
    /// Whether it gives a mode to somebody wherever the conditions hold.
    fn gives(&self, mode: Modes, who: &Who, conditions: &[Condition]) -> bool {
        let admits = |agent: &Who| match (agent, who) {
            (Who::Anyone, _) | (Who::Authenticated, Who::Authenticated | Who::One(_)) => true,
            (agent, who) => agent == who,
        };
        let follows = |wanted: &Condition| conditions.iter().any(|held| wanted.follows_from(held));
        self.modes.contains(mode) && self.agents.iter().any(admits) && self.conditions.iter().all(follows)
    }
}

impl Condition {
    /// Whether it holds wherever another holds.
    fn follows_from(&self, held: &Self) -> bool {
        let listed = || held.values.iter().all(|value| self.values.contains(value));
        self.kind == held.kind && (self.identified || (!held.identified && listed()))
    }
}

impl Who {
    fn name(&self) -> String {
        match self {
            Self::Anyone => "anyone".to_owned(),
            Self::Authenticated => "whoever has logged in".to_owned(),
            Self::One(web_id) => format!("<{web_id}>"),
        }
    }

    fn iri(&self) -> &str {
        match self {
            Self::Anyone => vocab::acp::PUBLIC_AGENT,
            Self::Authenticated => vocab::acp::AUTHENTICATED_AGENT,
            Self::One(web_id) => web_id,
        }
    }
}

/// The document. Every IRI in it was read from one, so that none holds what would end it.
fn write(resource: &str, own: &Grants, handed_down: &Grants) -> String {
    let mut text = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>.\n@prefix acp: <http://www.w3.org/ns/solid/acp#>.\n\n\
         <> a acp:AccessControlResource;\n    acp:resource <{resource}>"
    );
    let parts = [
        ("accessControl", "access", own),
        ("memberAccessControl", "members", handed_down),
    ];
    for (property, name, _) in parts.iter().filter(|(.., grants)| !grants.0.is_empty()) {
        append(&mut text, format_args!(";\n    acp:{property} <#{name}>"));
    }
    text.push_str(".\n");
    for (_, name, grants) in parts.iter().filter(|(.., grants)| !grants.0.is_empty()) {
        append(&mut text, format_args!("\n<#{name}> a acp:AccessControl"));
        for grant in &grants.0 {
            let modes: Vec<String> = grant.modes.iris().map(|iri| format!("<{iri}>")).collect();
            append(
                &mut text,
                format_args!(
                    ";\n    acp:apply [\n        a acp:Policy;\n        acp:allow {};\n        acp:allOf {}\n    ]",
                    modes.join(", "),
                    matchers(grant).join(", ")
                ),
            );
        }
        text.push_str(".\n");
    }
    text
}

/// One matcher for the agents and one for each condition: all of them have to match.
fn matchers(grant: &Grant) -> Vec<String> {
    let matcher = |attribute: &str, values: Vec<&str>| {
        let values: Vec<String> = values.iter().map(|value| format!("<{value}>")).collect();
        format!("[ a acp:Matcher; acp:{attribute} {} ]", values.join(", "))
    };
    let mut matchers = vec![matcher("agent", grant.agents.iter().map(Who::iri).collect())];
    for condition in &grant.conditions {
        let (attribute, identified) = match condition.kind {
            ConditionKind::Client => ("client", vocab::acp::AUTHENTICATED_CLIENT),
            ConditionKind::Issuer => ("issuer", vocab::acp::AUTHENTICATED_ISSUER),
        };
        let values = if condition.identified {
            vec![identified]
        } else {
            condition.values.iter().map(|value| &**value).collect()
        };
        matchers.push(matcher(attribute, values));
    }
    matchers
}

/// Writing into memory cannot fail.
fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}
