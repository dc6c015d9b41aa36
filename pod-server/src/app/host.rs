//! Whether a request was meant for this server (T10, T64): its host is one of ours, whatever a proxy or a client says.

use http::{HeaderMap, Uri, header};
use url::Url;

use crate::error::Error;

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
            (Some(host), _) | (None, Some(host)) if self.0.iter().any(|ours| ours.eq_ignore_ascii_case(host)) => Ok(()),
            _ => Err(Error::Misdirected),
        }
    }
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
}
