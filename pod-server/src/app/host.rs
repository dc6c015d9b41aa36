//! Whether a request was meant for this server (T10, T64): its host is one of ours, whatever a proxy or a client says.

use http::{HeaderMap, Uri, header};
use url::Url;

use crate::error::Error;
use crate::name::ResourceName;
use crate::origins::Origins;

/// The hosts that an origin answers for.
#[derive(Clone, Debug)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// The authority of an origin, with and without a default port, and further ones.
    #[must_use]
    pub fn new(origin: &Url, additional: &[String]) -> Self {
        let mut hosts: Vec<String> = additional.iter().map(|host| host.to_ascii_lowercase()).collect();
        if let Some(host) = origin.host_str() {
            let host = host.to_ascii_lowercase();
            match origin.port() {
                Some(port) => hosts.push(format!("{host}:{port}")),
                None => {
                    if let Some(port) = origin.port_or_known_default() {
                        hosts.push(format!("{host}:{port}"));
                    }
                    hosts.push(host);
                }
            }
        }
        Self(hosts)
    }

    /// Checks the host of a request.
    ///
    /// # Errors
    /// 400 for none or two different ones, 421 for a foreign one.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
        if self.hold(named(uri, headers)?) {
            Ok(())
        } else {
            Err(Error::Misdirected)
        }
    }

    /// The storage on whose own origin a request was made; none for the server's own origin.
    ///
    /// # Errors
    /// As [`Self::check`]; 421 also for a storage that has no origin of its own.
    pub fn storage(&self, uri: &Uri, headers: &HeaderMap, origins: &Origins) -> Result<Option<String>, Error> {
        let host = named(uri, headers)?;
        if self.hold(host) {
            return Ok(None);
        }
        origins.storage_at(host).map(Some).ok_or(Error::Misdirected)
    }

    fn hold(&self, host: &str) -> bool {
        self.0.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }
}

/// The one host that a request names.
fn named<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Result<&'r str, Error> {
    let mut values = headers.get_all(header::HOST).iter();
    let named = values.next();
    if values.next().is_some() {
        return Err(Error::BadRequest("the request names more than one host".to_owned()));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let named = match named.map(|value| value.to_str()) {
        Some(Ok(named)) => Some(named),
        Some(Err(_)) => return Err(Error::Misdirected),
        None => None,
    };
    match (authority, named) {
        (None, None) => Err(Error::BadRequest("the request names no host".to_owned())),
        (Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => Err(Error::Misdirected),
        (Some(host), _) | (None, Some(host)) => Ok(host),
    }
}

/// The origin to send somebody to who came over plain HTTP, without a closing slash: that of the storage whose host the
/// request names, else the server's own. Nothing of the request enters it.
pub fn secure_origin(uri: &Uri, headers: &HeaderMap, origins: &Origins) -> String {
    let host = named(uri, headers).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let origin = match origins.storage_of_host(host) {
        Some(storage) => origins.root(&storage),
        None => origins.base_url().to_owned(),
    };
    origin.trim_end_matches('/').to_owned()
}

/// The path of a request on a storage's own origin, from the server's root: the storage's name stands in front. What is no
/// path (`OPTIONS *`) stays what it is.
///
/// # Errors
/// 414 when it gets too long.
pub fn inside(storage: &str, uri: &Uri) -> Result<Uri, Error> {
    let path = uri.path();
    if !path.starts_with('/') {
        return Ok(uri.clone());
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{storage}{path}{query}")
        .parse()
        .map_err(|_| Error::TargetTooLong {
            bytes_max: ResourceName::BYTES_MAX,
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_hosts() {
        let check = |origin: &str, target: &str, host: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            Hosts::new(&Url::parse(origin).unwrap(), &["inside:8080".to_owned()])
                .check(&target.parse().unwrap(), &headers)
                .is_ok()
        };
        assert!(check("https://pod.example/", "/x", Some("pod.example")));
        assert!(check("https://pod.example/", "/x", Some("POD.example:443")));
        assert!(check("https://pod.example/", "/x", Some("inside:8080")));
        assert!(check("https://pod.example:7101/", "https://pod.example:7101/x", None));
        assert!(!check("https://pod.example:7101/", "/x", Some("pod.example")));
        assert!(!check("https://pod.example/", "/x", Some("evil.example")));
        assert!(!check(
            "https://pod.example/",
            "https://evil.example/x",
            Some("pod.example")
        ));
        assert!(!check("https://pod.example/", "/x", None));
    }

    /// Requirement solid 2: plain HTTP leads to the origin of the storage that was asked for, and never to a foreign host.
    #[test]
    fn plain_requests_are_sent_to_their_own_origin() {
        let origins = Origins::with("https://pod.example:8443/", true, &[]);
        origins.expect("gent");
        for (host, origin) in [
            ("gent.pod.example", "https://gent.pod.example:8443"),
            ("GENT.pod.example:80", "https://gent.pod.example:8443"),
            ("pod.example", "https://pod.example:8443"),
            ("nobody.pod.example", "https://pod.example:8443"),
            ("gent.evil.example", "https://pod.example:8443"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(
                secure_origin(&Uri::from_static("/x"), &headers, &origins),
                origin,
                "{host}"
            );
        }
    }

    #[test]
    fn a_path_on_a_storages_origin_begins_with_the_storage() {
        for (target, path) in [
            ("/", "/gent/"),
            ("/a/b?c=/d&e", "/gent/a/b?c=/d&e"),
            ("//a", "/gent//a"),
            ("/../a", "/gent/../a"),
            ("https://gent.pod.example/a", "/gent/a"),
            ("https://gent.pod.example", "/gent/"),
            ("https://gent.pod.example?q", "/gent/?q"),
            ("*", "*"),
        ] {
            assert_eq!(
                inside("gent", &target.parse().unwrap()).unwrap().to_string(),
                path,
                "{target}"
            );
        }
        let long = format!("/{}", "a".repeat(65_530));
        assert!(matches!(
            inside("gent", &long.parse().unwrap()),
            Err(Error::TargetTooLong { .. })
        ));
    }
}
