//! Names as IRIs, and IRIs as names: the only place that translates between the two.
//!
//! Inside the server a resource has its [`ResourceName`] alone. Everything that leaves, and everything that others say about
//! resources of this server, is an IRI below its origin. Both ways go through here, so that a resource has one IRI and no
//! other spelling of it is taken for the resource (ARCHITECTURE invariant 6, T1-T11).

use std::fmt;
use std::sync::Arc;

use crate::name::ResourceName;

/// Where the resources of a server are.
#[derive(Clone)]
pub struct Origins(Arc<str>);

impl Origins {
    /// The origins of a server with this base URL; a closing slash is added where it is missing.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        Self(format!("{}/", base_url.trim_end_matches('/')).into())
    }

    /// The server's own origin, with a closing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.0
    }

    /// The IRI of what has a name.
    #[must_use]
    pub fn iri(&self, name: &ResourceName) -> String {
        let (origin, inside) = self.split(name);
        format!("{origin}{inside}")
    }

    /// An origin, without a closing slash, and what comes after it in the IRI of a name.
    #[must_use]
    pub fn split<'n>(&self, name: &'n ResourceName) -> (String, &'n str) {
        (self.base().to_owned(), name.as_str())
    }

    /// The IRI of the root of the storage with a name, with its closing slash.
    #[must_use]
    pub fn root(&self, storage: &str) -> String {
        format!("{}{storage}/", self.0)
    }

    /// The IRI of a path below the server's root, as it stands in a request or a route.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        let (first, inside) = path
            .strip_prefix('/')
            .and_then(|rest| rest.split_once('/'))
            .unwrap_or_default();
        match first {
            "" => format!("{}{path}", self.base()),
            storage => format!("{}{inside}", self.root(storage)),
        }
    }

    /// The name behind an IRI without query and fragment; none if it is not one of this server's.
    #[must_use]
    pub fn name(&self, iri: &str) -> Option<ResourceName> {
        if iri.contains(['?', '#']) {
            return None;
        }
        ResourceName::parse(iri.strip_prefix(self.base())?).ok()
    }

    /// Whether an IRI, in the one spelling of our origins, lies on this server, whether or not anything is there.
    #[must_use]
    pub fn hold(&self, iri: &str) -> bool {
        iri.starts_with(self.base_url())
    }

    fn base(&self) -> &str {
        self.0.trim_end_matches('/')
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base_url())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Every name has one IRI, which leads back to it; what only looks like one of ours leads nowhere.
    #[test]
    fn a_name_and_its_iri_are_one_to_one() {
        let origins = Origins::new("https://pod.example:8443");
        for (path, iri) in [
            ("/", "https://pod.example:8443/"),
            ("/gent/", "https://pod.example:8443/gent/"),
            ("/gent/a%20b.ttl", "https://pod.example:8443/gent/a%20b.ttl"),
            (
                "/gent/.dataspace/catalog",
                "https://pod.example:8443/gent/.dataspace/catalog",
            ),
            ("/sparql", "https://pod.example:8443/sparql"),
        ] {
            let name = ResourceName::parse(path).unwrap();
            assert_eq!(name.iri(&origins), iri);
            assert_eq!(origins.place(path), iri);
            assert_eq!(ResourceName::from_iri(iri, &origins), Some(name));
            assert!(origins.hold(iri));
        }
        assert_eq!(origins.root("gent"), "https://pod.example:8443/gent/");
        for foreign in [
            "https://pod.example/gent/",
            "http://pod.example:8443/gent/",
            "https://pod.example:8443.evil.example/gent/",
            "https://pod.example:8443",
            "https://gent.pod.example:8443/",
            "https://evil.example/https://pod.example:8443/gent/",
            "/gent/",
            "",
        ] {
            assert_eq!(ResourceName::from_iri(foreign, &origins), None, "{foreign}");
            assert!(!origins.hold(foreign), "{foreign}");
        }
        for unfit in [
            "gent/a?b",
            "gent/a#b",
            "gent/../a",
            "gent//a",
            "gent/%2e/",
            "gent/a%2fb",
        ] {
            let iri = format!("{}{unfit}", origins.base_url());
            assert_eq!(ResourceName::from_iri(&iri, &origins), None, "{unfit}");
        }
    }
}
