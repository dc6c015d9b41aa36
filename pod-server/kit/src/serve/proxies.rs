//! Reverse proxies that are trusted to say for whom they ask, in `X-Forwarded-For`.

use std::net::{AddrParseError, IpAddr, SocketAddr};

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The header field: the addresses that a request came by, the nearest last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Addresses of trusted proxies, single or as networks such as `10.0.0.0/8`. What anybody else says in the header field means
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TrustedProxies(Vec<Range>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: IpAddr,
    /// Leading bits that all addresses of the range share.
    bits: u8,
}

/// Why an entry names no address or network.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Not an address.
    #[error("`{0}` is no address and no network such as `10.0.0.0/8`: {1}")]
    Address(String, AddrParseError),
    /// Not a number of bits that such an address has.
    #[error("`{0}` names a network with an impossible number of bits")]
    Bits(String),
}

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = ProxyError;

    fn try_from(entries: Vec<String>) -> Result<Self, ProxyError> {
        entries
            .iter()
            .map(|entry| Range::parse(entry))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl From<TrustedProxies> for Vec<String> {
    fn from(proxies: TrustedProxies) -> Self {
        let text = |range: &Range| format!("{}/{}", range.first, range.bits);
        proxies.0.iter().map(text).collect()
    }
}

impl Range {
    fn parse(entry: &str) -> Result<Self, ProxyError> {
        let (address, bits) = match entry.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (entry, None),
        };
        let first: IpAddr = address
            .trim()
            .parse()
            .map_err(|error| ProxyError::Address(entry.to_owned(), error))?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .trim()
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(|| ProxyError::Bits(entry.to_owned()))?,
        };
        Ok(Self { first, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = u32::from(first) ^ u32::from(address);
                differing.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = u128::from(first) ^ u128::from(address);
                differing.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl TrustedProxies {
    /// Whether an address is that of a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }

    /// Who asks: the peer, or, where that is a trusted proxy, the nearest address that it names and that is not one too.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            // What a client wrote before may be no text at all; what the proxies added after it still counts.
            for said in String::from_utf8_lossy(value.as_bytes()).rsplit(',') {
                if !self.contains(client) {
                    return client;
                }
                let Some(address) = address(said.trim()) else {
                    return client;
                };
                client = address;
            }
        }
        client
    }
}

/// An address, with or without a port, as proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().ok().map(|both| both.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trusted(entries: &[&str]) -> Result<TrustedProxies, ProxyError> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        TrustedProxies::try_from(entries)
    }

    /// T44: behind a proxy every visitor is who the proxy says, and nobody else is believed.
    #[test]
    fn only_trusted_proxies_say_who_asks() {
        let proxies = trusted(&["127.0.0.1", "10.1.0.0/16", "2001:db8::/32"]).unwrap();
        for (peer, said, client) in [
            ("198.51.100.7", &["203.0.113.9"][..], "198.51.100.7"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:127.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("127.0.0.1", &["1.2.3.4, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            ("127.0.0.1", &["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["10.2.0.1,10.1.255.255"], "10.2.0.1"),
            ("2001:db8::1", &["[2001:db9::7]:99"], "2001:db9::7"),
            ("127.0.0.1", &["1.2.3.4, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["unknown, 10.1.0.9"], "10.1.0.9"),
            ("127.0.0.1", &["10.1.0.8, 10.1.0.9"], "10.1.0.8"),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let found = proxies.client(peer.parse().unwrap(), &headers);
            assert_eq!(
                found.to_canonical(),
                client.parse::<IpAddr>().unwrap(),
                "{peer} {said:?}"
            );
        }
    }

    #[test]
    fn entries_are_addresses_or_networks() {
        for wrong in ["", "proxy.example", "10.0.0.0/33", "::/129", "10.0.0.0/x", "10.0.0.0/"] {
            assert!(trusted(&[wrong]).is_err(), "{wrong}");
        }
        let all = trusted(&["0.0.0.0/0"]).unwrap();
        assert!(all.contains("9.9.9.9".parse().unwrap()) && !all.contains("::9".parse().unwrap()));
        assert_eq!(Vec::<String>::from(trusted(&["::1"]).unwrap()), ["::1/128"]);
    }
}
