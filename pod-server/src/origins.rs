//! Names as IRIs, and IRIs as names: the only place that translates between the two.
//!
//! Inside the server a resource has its [`ResourceName`] alone. Everything that leaves, and everything that others say about
//! resources of this server, is an IRI on one of its origins. Both ways go through here, so that a resource has one IRI and no
//! other spelling of it is taken for the resource (ARCHITECTURE invariant 6, T1-T11).
//!
//! A storage lies below the server's own origin, `https://data.example/gent/`, or has one of its own,
//! `https://gent.data.example/`. Which, is recorded when it is made, and stays: IRIs are for good.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use rustc_hash::FxHashSet;

use crate::identity::site::NAMES_RESERVED;
use crate::name::ResourceName;
use crate::store::{RecordKind, Snapshot, StoreError, Transaction};

/// What the record of a storage says that has an origin of its own.
const OWN: &[u8] = b"own";

/// Longest label of a domain name, in characters (RFC 1035 §2.3.4).
const LABEL_CHARACTERS_MAX: usize = 63;

/// Records that are read at a time when the server starts.
const RECORDS_AT_ONCE: usize = 1_000;

/// Where the resources of a server are.
#[derive(Clone)]
pub struct Origins(Arc<Inner>);

struct Inner {
    /// With a closing slash.
    base_url: Box<str>,
    /// Bytes of `base_url` before its authority.
    scheme: usize,
    /// How authorities of storages end, behind their label: a full stop, the host, and the port in each of its spellings.
    endings: Vec<String>,
    /// The same without a port.
    below: String,
    /// Whether new storages get an origin of their own.
    subdomains: bool,
    /// Labels that no storage may have.
    reserved: Vec<String>,
    /// Whether `own` holds anything: servers without such storages pay nothing for them.
    any: AtomicBool,
    /// Storages with an origin of their own. It only grows.
    own: RwLock<FxHashSet<Box<str>>>,
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base_url())
    }
}

impl Origins {
    /// The origins of a server with this base URL, all of whose storages lie below it. A closing slash is added where it is
    /// missing.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        Self::with(base_url, false, &[])
    }

    /// The origins of a server whose new storages get an origin of their own if `subdomains` says so. The names of `hosts`
    /// are other servers' or the console's, so that no storage gets them.
    #[must_use]
    pub fn with(base_url: &str, subdomains: bool, hosts: &[String]) -> Self {
        let base_url = format!("{}/", base_url.trim_end_matches('/'));
        let scheme = base_url.find("://").map_or(0, |at| at + "://".len());
        let authority = base_url.get(scheme..).unwrap_or_default().trim_end_matches('/');
        let mut endings = vec![format!(".{authority}")];
        let default_port = if base_url.starts_with("https:") { ":443" } else { ":80" };
        if !authority.contains(':') {
            endings.push(format!(".{authority}{default_port}"));
        }
        let host = authority.split(':').next().unwrap_or_default();
        let below = format!(".{host}");
        let label = |other: &String| {
            let other = other.split(':').next().unwrap_or_default().to_ascii_lowercase();
            Some(
                other
                    .strip_suffix(host)?
                    .strip_suffix('.')?
                    .rsplit('.')
                    .next()?
                    .to_owned(),
            )
        };
        Self(Arc::new(Inner {
            scheme,
            endings,
            below,
            subdomains,
            reserved: hosts.iter().filter_map(label).collect(),
            any: AtomicBool::new(false),
            own: RwLock::default(),
            base_url: base_url.into(),
        }))
    }

    /// Learns which storages of a store have an origin of their own.
    ///
    /// # Errors
    /// When the store fails, or holds a word that this version does not know.
    pub fn learn(&self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let page = snapshot.records(RecordKind::StorageOrigin, "", after.as_deref(), RECORDS_AT_ONCE)?;
            for (root, word) in &page {
                known(root, word)?;
                self.note(root.trim_matches('/'));
            }
            match page.into_iter().next_back() {
                Some((root, _)) => after = Some(root),
                None => return Ok(()),
            }
        }
    }

    /// Gives a storage that is being made its place, before anything is written into it: an origin of its own if new
    /// storages get one, or if a storage of this name had one before.
    ///
    /// # Errors
    /// When the store fails, or the name cannot be a host's.
    pub fn assign(&self, transaction: &mut dyn Transaction, root: &ResourceName) -> Result<(), StoreError> {
        let kind = RecordKind::StorageOrigin;
        if let Some(word) = transaction.record(kind, root.as_str())? {
            return known(root.as_str(), &word);
        }
        if !self.0.subdomains {
            return Ok(());
        }
        let storage = root.as_str().trim_matches('/');
        self.check(storage)
            .map_err(|reason| StoreError::Misuse(format!("`{storage}`: {reason}")))?;
        transaction.record_put(kind, root.as_str(), OWN)?;
        // Before anyone can see the storage. If the commit fails, the name stands for a storage that is not there.
        self.note(storage);
        Ok(())
    }

    /// Says that a storage is about to be made where none is: from here on names in it have the IRIs that they will have.
    pub fn expect(&self, storage: &str) {
        if self.0.subdomains && self.check(storage).is_ok() {
            self.note(storage);
        }
    }

    /// Whether a new storage can have a name, with the rule that it breaks.
    ///
    /// # Errors
    /// The rule, in words.
    pub fn check(&self, storage: &str) -> Result<(), &'static str> {
        if !self.0.subdomains {
            return Ok(());
        }
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if storage.is_empty() || storage.len() > LABEL_CHARACTERS_MAX || !storage.bytes().all(plain) {
            return Err(
                "the name of a storage becomes part of a host name: 1 to 63 letters a to z, digits and hyphens",
            );
        }
        // `xn--` begins a name in other letters, which could look like somebody else's.
        if storage.starts_with('-') || storage.ends_with('-') || storage.get(2..4) == Some("--") {
            return Err("a host name neither begins nor ends with a hyphen, and has no two of them in third place");
        }
        let hosts = self.0.reserved.iter().map(String::as_str);
        if hosts.chain(NAMES_RESERVED).any(|reserved| reserved == storage) {
            return Err("the server uses this name itself");
        }
        Ok(())
    }

    /// The server's own origin, with a closing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.0.base_url
    }

    /// Whether new storages get an origin of their own.
    #[must_use]
    pub fn subdomains(&self) -> bool {
        self.0.subdomains
    }

    /// Whether any storage has an origin of its own.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.any.load(Ordering::Acquire)
    }

    /// The IRI of what has a name.
    #[must_use]
    pub fn iri(&self, name: &ResourceName) -> String {
        self.place(name.as_str())
    }

    /// An origin, without a closing slash, and what comes after it in the IRI of a name.
    #[must_use]
    pub fn split<'n>(&self, name: &'n ResourceName) -> (String, &'n str) {
        match self.own_part(name.as_str()) {
            Some((storage, inside)) => (self.own_origin(storage), inside),
            None => (self.base().to_owned(), name.as_str()),
        }
    }

    /// The IRI of the root of the storage with a name, with its closing slash.
    #[must_use]
    pub fn root(&self, storage: &str) -> String {
        if self.has(storage) {
            format!("{}/", self.own_origin(storage))
        } else {
            format!("{}{storage}/", self.0.base_url)
        }
    }

    /// As [`Self::root`], of a storage that may not be there yet.
    #[must_use]
    pub fn new_root(&self, storage: &str) -> String {
        if self.0.subdomains {
            format!("{}/", self.own_origin(storage))
        } else {
            self.root(storage)
        }
    }

    /// The IRI of a path below the server's root, as it stands in a request or a route.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        match self.own_part(path) {
            Some((storage, inside)) => self.own_origin(storage) + inside,
            None => [self.base(), path].concat(),
        }
    }

    /// The name behind an IRI without query and fragment; none if it is not one of this server's.
    #[must_use]
    pub fn name(&self, iri: &str) -> Option<ResourceName> {
        if iri.contains(['?', '#']) {
            return None;
        }
        if let Some(path) = iri.strip_prefix(self.base()) {
            // What lies on another origin is not here too.
            return ResourceName::parse(path)
                .ok()
                .filter(|name| !self.leads_away(name.as_str()));
        }
        let (storage, path) = self.on_own(iri)?;
        ResourceName::parse(&format!("/{storage}{path}")).ok()
    }

    /// Whether an IRI, in the one spelling of our origins, lies on this server, whether or not anything is there.
    #[must_use]
    pub fn hold(&self, iri: &str) -> bool {
        iri.starts_with(self.base_url()) || self.on_own(iri).is_some()
    }

    /// The storage that an IRI speaks of, whatever its spelling: with another scheme or port, other letters in the host,
    /// escapes that are not needed, without a path. Empty for the server itself. None for what lies on other hosts.
    ///
    /// For judging what names give away, never for reaching a resource: that takes the one spelling of [`Self::name`].
    #[must_use]
    pub fn storage_meant(&self, iri: &str) -> Option<String> {
        let (_, rest) = iri.split_once("://")?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let named = authority.rsplit('@').next().unwrap_or(authority);
        let host = plainly(named).to_ascii_lowercase();
        let host = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => host.as_str(),
        };
        let host = host.trim_end_matches('.');
        if Some(host) == self.0.below.strip_prefix('.') {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let segment = path.split('/').find(|segment| !segment.is_empty());
            return Some(plainly(segment.unwrap_or_default()));
        }
        self.storage_of_host(host)
    }

    /// The storage that has an origin with this host and port, as a request names them, for its own.
    #[must_use]
    pub fn storage_at(&self, authority: &str) -> Option<String> {
        if !self.any() {
            return None;
        }
        let authority = authority.to_ascii_lowercase();
        let mut labels = self
            .0
            .endings
            .iter()
            .filter_map(|ending| authority.strip_suffix(ending.as_str()));
        labels.find(|label| self.has(label)).map(str::to_owned)
    }

    /// As [`Self::storage_at`], for a host on whatever port.
    #[must_use]
    pub fn storage_of_host(&self, host: &str) -> Option<String> {
        let host = host.to_ascii_lowercase();
        let label = host.strip_suffix(self.0.below.as_str())?;
        self.has(label).then(|| label.to_owned())
    }

    /// Whether a path on the server's own origin, as it was sent, leads into a storage that has another origin. There is
    /// nothing at such a path: a resource has one IRI.
    #[must_use]
    pub fn leads_away(&self, path: &str) -> bool {
        if !self.any() {
            return false;
        }
        let first = path
            .strip_prefix('/')
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        // In every spelling of the segment that would name the storage.
        ResourceName::parse(&format!("/{first}")).is_ok_and(|name| self.has(name.last_segment()))
    }

    /// Whether a storage has an origin of its own.
    #[must_use]
    pub fn has(&self, storage: &str) -> bool {
        self.any() && self.0.own.read().contains(storage)
    }

    fn note(&self, storage: &str) {
        self.0.own.write().insert(storage.into());
        self.0.any.store(true, Ordering::Release);
    }

    /// The storage with an origin of its own that a path below the server's root leads into, and the path on that origin.
    fn own_part<'p>(&self, path: &'p str) -> Option<(&'p str, &'p str)> {
        if !self.any() {
            return None;
        }
        let rest = path.strip_prefix('/')?;
        let (storage, inside) = rest.split_at(rest.find('/')?);
        self.has(storage).then_some((storage, inside))
    }

    /// The storage whose own origin an IRI lies on, and the rest, which begins with a slash.
    fn on_own<'i>(&self, iri: &'i str) -> Option<(&'i str, &'i str)> {
        if !self.any() {
            return None;
        }
        let scheme = self.0.base_url.get(..self.0.scheme)?;
        let rest = iri.strip_prefix(scheme)?;
        let (authority, path) = rest.split_at(rest.find('/')?);
        // Of the spellings of the authority, the one that our IRIs have.
        let storage = authority.strip_suffix(self.0.endings.first()?.as_str())?;
        self.has(storage).then_some((storage, path))
    }

    fn own_origin(&self, storage: &str) -> String {
        let (scheme, authority) = self.base().split_at(self.0.scheme);
        format!("{scheme}{storage}.{authority}")
    }

    fn base(&self) -> &str {
        self.0.base_url.trim_end_matches('/')
    }
}

/// A text without escapes; as it is where they stand for no text.
fn plainly(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map_or_else(|_| text.to_owned(), |plain| plain.into_owned())
}

fn known(root: &str, word: &[u8]) -> Result<(), StoreError> {
    if word == OWN {
        return Ok(());
    }
    Err(StoreError::Damaged(format!(
        "the origin of `{root}` is not known to this version"
    )))
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

    /// What a name gives away does not hang on how it is spelt.
    ///
    /// Requirement ENF-13.
    #[test]
    fn every_spelling_of_a_name_speaks_of_one_storage() {
        let origins = Origins::with("https://pod.example:8443/", true, &[]);
        origins.note("gent");
        for (storage, iris) in [
            (
                "bob",
                &[
                    "https://pod.example:8443/bob/#me",
                    "https://pod.example/bob/a",
                    "http://pod.example:80/bob",
                    "https://POD.example:8443/b%6Fb/a?x#y",
                    "https://pod.example.:8443/bob/",
                    "https://pod%2Eexample:8443/bob/",
                    "https://anyone@pod.example:8443/bob/",
                    "https://pod.example:8443//bob/",
                ][..],
            ),
            (
                "gent",
                &[
                    "https://gent.pod.example:8443/a",
                    "https://gent.pod.example:8443",
                    "https://gent.pod.example#me",
                    "http://GENT.pod.example:1/a%20b",
                    "https://g%65nt.pod.example:8443/",
                    "https://pod.example/gent/a",
                ][..],
            ),
            (
                "",
                &[
                    "https://pod.example:8443/",
                    "https://pod.example",
                    "http://pod.example#x",
                ][..],
            ),
        ] {
            for iri in iris {
                assert_eq!(origins.storage_meant(iri).as_deref(), Some(storage), "{iri}");
            }
        }
        for foreign in [
            "https://brugge.pod.example:8443/",
            "https://pod.example.evil.example/bob/",
            "https://evil.example/https://pod.example:8443/bob/",
            "https://pod.example@evil.example/bob/",
            "urn:pod.example/bob/",
            "/bob/",
            "",
        ] {
            assert_eq!(origins.storage_meant(foreign), None, "{foreign}");
        }
    }

    /// The same for storages with an origin of their own, beside others: nothing of the one is on the origin of the other.
    #[test]
    fn storages_with_an_origin_have_no_other_name() {
        let origins = Origins::with("https://pod.example/", true, &[]);
        origins.note("gent");
        for (path, iri) in [
            ("/gent/", "https://gent.pod.example/"),
            ("/gent/a%20b.ttl", "https://gent.pod.example/a%20b.ttl"),
            ("/gent/gent/", "https://gent.pod.example/gent/"),
            (
                "/gent/.dataspace/catalog",
                "https://gent.pod.example/.dataspace/catalog",
            ),
            ("/brugge/a", "https://pod.example/brugge/a"),
            ("/gentbrugge/a", "https://pod.example/gentbrugge/a"),
            ("/sparql", "https://pod.example/sparql"),
        ] {
            let name = ResourceName::parse(path).unwrap();
            assert_eq!(name.iri(&origins), iri);
            assert_eq!(origins.place(path), iri);
            assert_eq!(ResourceName::from_iri(iri, &origins), Some(name));
            assert!(origins.hold(iri));
        }
        assert_eq!(origins.place("/gent/a?x=/y"), "https://gent.pod.example/a?x=/y");
        assert_eq!(origins.root("gent"), "https://gent.pod.example/");
        assert_eq!(origins.root("brugge"), "https://pod.example/brugge/");
        assert_eq!(origins.new_root("brugge"), "https://brugge.pod.example/");
        for nowhere in [
            "https://pod.example/gent/a",
            "https://pod.example/gent/",
            "https://pod.example/gent",
            "https://pod.example/%67ent/a",
            "https://gent.pod.example",
            "https://gent.pod.example/../brugge/a",
            "https://gent.pod.example//a",
            "https://gent.pod.example:443/a",
            "https://GENT.pod.example/a",
            "https://brugge.pod.example/a",
            "https://a.gent.pod.example/a",
            "http://gent.pod.example/a",
            "https://gent.pod.example.evil.example/a",
        ] {
            assert_eq!(ResourceName::from_iri(nowhere, &origins), None, "{nowhere}");
        }
        for (path, away) in [
            ("/gent", true),
            ("/gent/a", true),
            ("/%67e%6et/a", true),
            ("/gent%2Fa", false),
            ("/brugge/gent/", false),
            ("/Gent/", false),
            ("//gent/", false),
            ("*", false),
        ] {
            assert_eq!(origins.leads_away(path), away, "{path}");
        }
        for (authority, storage) in [
            ("gent.pod.example", Some("gent")),
            ("Gent.Pod.Example:443", Some("gent")),
            ("gent.pod.example:80", None),
            ("brugge.pod.example", None),
            ("pod.example", None),
            ("a.gent.pod.example", None),
            ("gent.pod.example.", None),
            (".pod.example", None),
            ("gentpod.example", None),
        ] {
            assert_eq!(origins.storage_at(authority).as_deref(), storage, "{authority}");
        }
    }
}
