//! What a name stands for before anything is looked up: container, document, auxiliary resource, or none of these.

use http::{HeaderValue, Method};

use crate::http::media_type::{Syntax, is_json, stored_syntax};
use crate::name::{Auxiliary, ResourceName};
use crate::store::{Resource, ResourceKind};

use super::patch::PatchFormat;

/// A name and its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The canonical name.
    pub name: ResourceName,
    /// What it stands for.
    pub role: Role,
}

/// Roles of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// `/`: no storage and no resource.
    ServerRoot,
    /// The root container of a storage.
    StorageRoot,
    /// Any other container.
    Container,
    /// A document.
    Document,
    /// An auxiliary resource; rights are those of its subject.
    Auxiliary {
        /// Which.
        kind: Auxiliary,
        /// Its subject.
        subject: ResourceName,
    },
    /// A name that no resource can have: kept for the server's own interfaces, or an auxiliary of an auxiliary.
    Reserved,
}

impl Target {
    /// Reads the role of a name.
    #[must_use]
    pub fn of(name: ResourceName) -> Self {
        let role = role_of(&name);
        Self { name, role }
    }

    /// The resource whose access control list governs this one.
    #[must_use]
    pub fn subject(&self) -> &ResourceName {
        match &self.role {
            Role::Auxiliary { subject, .. } => subject,
            _ => &self.name,
        }
    }

    /// Which auxiliary resource it is.
    #[must_use]
    pub fn auxiliary(&self) -> Option<Auxiliary> {
        match self.role {
            Role::Auxiliary { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// Whether it is an access control list.
    #[must_use]
    pub fn is_acl(&self) -> bool {
        self.auxiliary() == Some(Auxiliary::Acl)
    }

    /// Whether it is the access control list of a storage's root.
    #[must_use]
    pub fn is_root_acl(&self) -> bool {
        self.is_acl() && self.subject().storage_root().as_ref() == Some(self.subject())
    }

    /// Whether it is a container.
    #[must_use]
    pub fn is_container(&self) -> bool {
        matches!(self.role, Role::StorageRoot | Role::Container)
    }

    /// Whether its documents must be RDF.
    #[must_use]
    pub fn takes_rdf_only(&self) -> bool {
        self.is_container() || self.auxiliary().is_some()
    }

    /// The methods that it supports (solid#7, solid#8, solid#41); `present` is what exists there, if anything.
    #[must_use]
    pub fn methods(&self, present: Option<&Resource>) -> &'static str {
        match &self.role {
            Role::ServerRoot | Role::Reserved => "GET, HEAD, OPTIONS",
            Role::StorageRoot => "GET, HEAD, OPTIONS, PATCH, POST, PUT",
            Role::Container => "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
            Role::Auxiliary { .. } if self.is_root_acl() => "GET, HEAD, OPTIONS, PATCH, PUT",
            Role::Document if self.patch_formats(present).is_empty() => "DELETE, GET, HEAD, OPTIONS, PUT",
            Role::Document | Role::Auxiliary { .. } => "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
        }
    }

    /// The patch formats that it takes (solid#9): RDF is patched as a graph, JSON as JSON, and a description resource also
    /// as the set of links that it is to LWS clients.
    #[must_use]
    pub fn patch_formats(&self, present: Option<&Resource>) -> &'static [PatchFormat] {
        const GRAPH: &[PatchFormat] = &[PatchFormat::N3, PatchFormat::SparqlUpdate];
        const JSON: &[PatchFormat] = &[PatchFormat::Merge];
        match (&self.role, present) {
            (Role::ServerRoot | Role::Reserved, _) => &[],
            (Role::StorageRoot | Role::Container, _) => GRAPH,
            (Role::Auxiliary { kind, .. }, _) if *kind == Auxiliary::Acl => GRAPH,
            (Role::Auxiliary { .. }, _) | (Role::Document, None) => PatchFormat::ALL,
            (Role::Document, Some(resource)) => match (resource.kind, stored_syntax(&resource.media_type)) {
                (ResourceKind::NonRdfSource, _) if is_json(&resource.media_type) => JSON,
                (ResourceKind::NonRdfSource, _) => &[],
                (_, Some(Syntax::JsonLd)) => PatchFormat::ALL,
                _ => GRAPH,
            },
        }
    }

    /// The methods as a header value.
    #[must_use]
    pub fn allow(&self, present: Option<&Resource>) -> HeaderValue {
        HeaderValue::from_static(self.methods(present))
    }

    /// Whether it supports a method.
    #[must_use]
    pub fn supports(&self, method: &Method, present: Option<&Resource>) -> bool {
        self.methods(present).split(", ").any(|known| known == method.as_str())
    }
}

fn role_of(name: &ResourceName) -> Role {
    if name.is_root() {
        return Role::ServerRoot;
    }
    let Some(root) = name.storage_root() else {
        // A document directly below the server's root lies in no storage.
        return Role::Reserved;
    };
    // `/.acl` and everything below a name that begins with a full stop are no storages.
    if root.as_str().starts_with("/.") {
        return Role::Reserved;
    }
    let inside = name.as_str().get(root.as_str().len()..).unwrap_or_default();
    if inside.is_empty() {
        return if has_auxiliary_suffix(root.last_segment()) {
            Role::Reserved
        } else {
            Role::StorageRoot
        };
    }
    let mut containers = inside
        .strip_suffix('/')
        .unwrap_or_else(|| inside.rsplit_once('/').map_or("", |(containers, _)| containers));
    containers = containers.trim_end_matches('/');
    // A container named like an auxiliary resource would be the slash twin of one.
    if containers.split('/').any(has_auxiliary_suffix) {
        return Role::Reserved;
    }
    if let Some((subject, kind)) = name.auxiliary_subject() {
        return if subject.auxiliary_subject().is_some() || is_reserved_inside(&root, &subject) {
            Role::Reserved
        } else {
            Role::Auxiliary { kind, subject }
        };
    }
    if is_reserved_inside(&root, name) {
        return Role::Reserved;
    }
    if name.is_container() {
        Role::Container
    } else {
        Role::Document
    }
}

fn has_auxiliary_suffix(segment: &str) -> bool {
    [Auxiliary::Acl, Auxiliary::Description]
        .iter()
        .any(|auxiliary| segment.ends_with(auxiliary.suffix()))
}

/// Names that begin with a full stop directly below a storage's root belong to the server, and so does the name of the
/// query endpoint, in whatever spelling it is asked for (T4).
fn is_reserved_inside(root: &ResourceName, name: &ResourceName) -> bool {
    name.as_str()
        .get(root.as_str().len()..)
        .is_some_and(|inside| inside.starts_with('.') || inside.split('/').next() == Some("sparql"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn role(path: &str) -> String {
        let target = Target::of(ResourceName::parse(path).unwrap());
        match target.role {
            Role::Auxiliary { kind, subject } => format!("{kind:?} of {subject}"),
            other => format!("{other:?}"),
        }
    }

    /// T4, T5: names of auxiliary resources cannot be had in another way.
    #[test]
    fn roles() {
        for (path, expected) in [
            ("/", "ServerRoot"),
            ("/gent/", "StorageRoot"),
            ("/gent", "Reserved"),
            ("/gent.acl", "Reserved"),
            ("/.acl", "Reserved"),
            ("/gent.acl/", "Reserved"),
            ("/.well-known/x", "Reserved"),
            ("/gent/.acl", "Acl of /gent/"),
            ("/gent/.meta", "Description of /gent/"),
            ("/gent/.log", "Reserved"),
            ("/gent/.ACL", "Reserved"),
            ("/gent/.hidden/x", "Reserved"),
            ("/gent/.log.acl", "Reserved"),
            ("/gent/sparql", "Reserved"),
            ("/gent/%73parql", "Reserved"),
            ("/gent/sparql/", "Reserved"),
            ("/gent/sparql/x", "Reserved"),
            ("/gent/sparql.acl", "Reserved"),
            ("/gent/sparql.ttl", "Document"),
            ("/gent/a/sparql", "Document"),
            ("/gent/a", "Document"),
            ("/gent/a.acl", "Acl of /gent/a"),
            ("/gent/a.acl.acl", "Reserved"),
            ("/gent/a.meta.acl", "Reserved"),
            ("/gent/a.acl/", "Reserved"),
            ("/gent/a.acl/b", "Reserved"),
            ("/gent/a.meta/b/", "Reserved"),
            ("/gent/a/", "Container"),
            ("/gent/a/.acl", "Acl of /gent/a/"),
            ("/gent/a/.acl.acl", "Reserved"),
            ("/gent/a/.hidden", "Document"),
            ("/gent/a/b.ttl", "Document"),
        ] {
            assert_eq!(role(path), expected, "{path}");
        }
    }

    /// solid#41: what cannot be deleted does not offer it.
    #[test]
    fn roots_cannot_be_deleted() {
        for path in ["/gent/", "/gent/.acl", "/"] {
            let target = Target::of(ResourceName::parse(path).unwrap());
            assert!(!target.supports(&Method::DELETE, None), "{path}");
        }
        let other = Target::of(ResourceName::parse("/gent/.meta").unwrap());
        assert!(other.supports(&Method::DELETE, None));
    }
}
