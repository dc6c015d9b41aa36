//! Networks of addresses, and how much of one kind may come from or go to one network at a time.
//!
//! Whoever has one address usually has the others of its network too, so that bounds hold for the whole of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Networks that are remembered before those without anything in use are looked for and forgotten.
const REMEMBERED_MIN: usize = 1_024;

/// The network that an address lies in: 24 bits of IPv4, 64 bits of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network([u8; 8]);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self([0, 0, 0, 0, 4, a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// A bound on how many are inside at one time, for each network.
#[derive(Debug)]
pub struct NetworkBound {
    most: usize,
    networks: Mutex<Networks>,
}

#[derive(Debug)]
struct Networks {
    known: HashMap<Network, Arc<Semaphore>>,
    /// Number of networks at which the unused ones are forgotten.
    forget_at: usize,
}

/// A place inside, until it is dropped.
pub type Place = OwnedSemaphorePermit;

impl NetworkBound {
    /// At most `most` of each network, at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.clamp(1, Semaphore::MAX_PERMITS),
            networks: Mutex::new(Networks {
                known: HashMap::new(),
                forget_at: REMEMBERED_MIN,
            }),
        }
    }

    /// A place, if the network of this address has one left.
    #[must_use]
    pub fn try_enter(&self, address: IpAddr) -> Option<Place> {
        self.places(address).try_acquire_owned().ok()
    }

    /// Waits for a place. None comes only when the bound is gone.
    pub async fn enter(&self, address: IpAddr) -> Option<Place> {
        self.places(address).acquire_owned().await.ok()
    }

    fn places(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut networks = self.networks.lock();
        if networks.known.len() >= networks.forget_at {
            // Whoever is inside or waits holds the places too.
            networks.known.retain(|_, places| Arc::strong_count(places) > 1);
            networks.forget_at = REMEMBERED_MIN.max(networks.known.len().saturating_mul(2));
        }
        let places = networks.known.entry(address.into());
        Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(self.most))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;

    /// T46: the neighbours of an address share its places, others do not, and a place comes back.
    #[test]
    fn each_network_has_so_many_places() {
        let bound = NetworkBound::new(2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let held = [
            bound.try_enter(address("192.0.2.1")),
            bound.try_enter(address("::ffff:192.0.2.2")),
        ];
        assert!(held.iter().all(Option::is_some));
        assert!(bound.try_enter(address("192.0.2.200")).is_none());
        assert!(bound.try_enter(address("192.0.3.1")).is_some());
        let six = bound.try_enter(address("2001:db8:1:2::1"));
        let more = bound.try_enter(address("2001:db8:1:2:ffff::1"));
        assert!(six.is_some() && more.is_some() && bound.try_enter(address("2001:db8:1:2::7")).is_none());
        drop(held);
        assert!(bound.try_enter(address("192.0.2.200")).is_some());
    }

    #[test]
    fn networks_that_nobody_uses_are_forgotten() {
        let bound = NetworkBound::new(1);
        let kept = bound.try_enter(IpAddr::from(Ipv4Addr::from(0))).unwrap();
        for number in 1..(REMEMBERED_MIN as u32 * 4) {
            assert!(bound.try_enter(IpAddr::from(Ipv4Addr::from(number << 8))).is_some());
        }
        assert!(bound.networks.lock().known.len() <= REMEMBERED_MIN);
        assert!(
            bound.try_enter(IpAddr::from(Ipv4Addr::from(7))).is_none(),
            "its place is taken"
        );
        drop(kept);
    }
}
