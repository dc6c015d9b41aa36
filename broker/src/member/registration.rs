//! What the registry says about one member.

use super::MemberKind;
use super::terms::Terms;
use oxsdatatypes::DateTime;
use serde::{Deserialize, Serialize};
use server_kit::config::ConfigError;
use url::Url;

/// One member of the federation.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MemberConfig {
    /// Short name, shown to people.
    pub name: String,
    /// What it is; a pod server unless said otherwise.
    #[serde(default)]
    pub kind: MemberKind,
    /// Base URL of a pod server or root container of a Solid pod, with a closing slash; the endpoint of `sparql`; the stream or its
    /// view of `ldes`.
    #[serde(default)]
    pub url: Option<Url>,
    /// The endpoint: short for `kind = "sparql"` with `url`.
    #[serde(default)]
    pub sparql: Option<Url>,
    /// Of a Solid pod: whose profile names the public type index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_id: Option<Url>,
    /// Of a stream: members of before this moment (`xsd:dateTime`) are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What the owner grants. Every kind but pod servers needs it, which decide themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

impl MemberConfig {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> MemberKind {
        if self.sparql.is_some() {
            MemberKind::Sparql
        } else {
            self.kind
        }
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Option<&Url> {
        self.sparql.as_ref().or(self.url.as_ref())
    }

    /// The base URL of a pod server; `None` for every other kind.
    #[must_use]
    pub fn pod_server(&self) -> Option<&Url> {
        self.url.as_ref().filter(|_| self.kind() == MemberKind::Pod)
    }

    /// The moment before which a stream's members are left out.
    #[must_use]
    pub fn since(&self) -> Option<DateTime> {
        self.since.as_deref().and_then(|text| text.parse().ok())
    }

    /// Checks one member.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        let refuse = |key, words: String| Err(ConfigError::invalid(key, words));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return refuse(
                "members.name",
                "use 1 to 64 letters, digits, `-`, `_` or `.`".to_owned(),
            );
        }
        let kind = self.kind();
        let place = match (&self.url, &self.sparql) {
            (Some(url), None) | (None, Some(url)) => url,
            _ => return refuse("members", format!("give `{name}` either `url` or `sparql`")),
        };
        if self.sparql.is_some() && !matches!(self.kind, MemberKind::Pod | MemberKind::Sparql) {
            return refuse("members.sparql", format!("`{name}` is of another kind: write `url`"));
        }
        if matches!(kind, MemberKind::Pod | MemberKind::Solid) && !place.path().ends_with('/') {
            return refuse("members.url", format!("`{place}` needs a closing slash"));
        }
        if self.web_id.is_some() && kind != MemberKind::Solid {
            return refuse("members.web_id", format!("`{name}` is no Solid pod"));
        }
        if self.since.is_some() && kind != MemberKind::Ldes {
            return refuse("members.since", format!("`{name}` is no stream"));
        }
        if self.since.is_some() && self.since().is_none() {
            return refuse(
                "members.since",
                format!("`{name}`: write a moment, as in 2026-01-01T00:00:00Z"),
            );
        }
        match (&self.terms, kind) {
            (None, MemberKind::Pod) => Ok(()),
            (Some(_), MemberKind::Pod) => refuse(
                "members.terms",
                format!("the pod server `{name}` decides itself: its owners state their offers there"),
            ),
            (Some(terms), _) => terms.validate(name, kind),
            (None, _) => refuse(
                "members.terms",
                format!(
                    "`{name}` cannot enforce a policy itself: say what its owner grants, with `licence`, `stated_at` and `grants`"
                ),
            ),
        }
    }
}
