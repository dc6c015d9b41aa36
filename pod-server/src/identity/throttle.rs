//! Slows guessing down without locking anybody out (T44).
//!
//! Failures are counted per name and network, and per network over all names. Each failure beyond the free ones doubles a
//! wait. The account holder, who sits on another network, is never made to wait for what a stranger does. Nothing is
//! counted for a success, which clears the count. Loopback is treated like any network.

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use server_kit::network::Network;

use super::config::ThrottleConfig;

/// Failures of one name from one network, or of a network over all names.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    /// No attempt counts before this moment, Unix seconds.
    wait_until: i64,
    /// When the last failure was, Unix seconds.
    last: i64,
}

/// Seconds without failure after which a count begins anew.
const FORGOTTEN_SECONDS: i64 = 3_600;

/// Counts failures.
#[derive(Debug)]
pub struct Throttle {
    config: ThrottleConfig,
    entries: Cache<(String, Network), Failures>,
    /// Reading and writing a count is one step.
    turn: Mutex<()>,
}

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt {
    name: String,
    network: Network,
    /// Until when the network had to wait before the attempt, and has to because of it.
    waited_until: i64,
    waits_until: i64,
}

impl Throttle {
    /// With these bounds.
    #[must_use]
    pub fn new(config: ThrottleConfig) -> Self {
        let entries = Cache::new(config.entries_max.max(1));
        Self {
            config,
            entries,
            turn: Mutex::new(()),
        }
    }

    /// Whether an attempt may be made now; otherwise after how many seconds.
    ///
    /// # Errors
    /// The number of seconds to wait.
    pub fn admit(&self, name: &str, network: Network, now: i64) -> Result<(), u32> {
        let wait = [self.known(name, network), self.known("", network)]
            .into_iter()
            .map(|failures| failures.wait_until - now)
            .max()
            .unwrap_or(0);
        if wait > 0 {
            Err(u32::try_from(wait).unwrap_or(u32::MAX))
        } else {
            Ok(())
        }
    }

    /// As [`admit`](Self::admit), for an attempt whose outcome takes a while: it counts as failed until it
    /// [succeeds](Self::proved), so that a thousand at one time are no more than a thousand in a row.
    ///
    /// # Errors
    /// The number of seconds to wait.
    pub fn attempt(&self, name: &str, network: Network, now: i64) -> Result<Attempt, u32> {
        let _turn = self.turn.lock();
        self.admit(name, network, now)?;
        let waited_until = self.known("", network).wait_until;
        self.count(name, network, now, self.config.failures_free);
        self.count("", network, now, self.config.network_failures_free);
        Ok(Attempt {
            name: name.to_owned(),
            network,
            waited_until,
            waits_until: self.known("", network).wait_until,
        })
    }

    /// Takes back what an attempt counted, and forgets the failures of its name, because it succeeded.
    pub fn proved(&self, attempt: Attempt) {
        let _turn = self.turn.lock();
        self.succeeded(&attempt.name, attempt.network);
        let mut all = self.known("", attempt.network);
        all.count = all.count.saturating_sub(1);
        // A wait that somebody else's failure has set meanwhile stays.
        if all.wait_until == attempt.waits_until {
            all.wait_until = attempt.waited_until;
        }
        self.entries.insert((String::new(), attempt.network), all);
    }

    /// Counts a failed attempt.
    pub fn failed(&self, name: &str, network: Network, now: i64) {
        let _turn = self.turn.lock();
        self.count(name, network, now, self.config.failures_free);
        self.count("", network, now, self.config.network_failures_free);
    }

    /// Forgets the failures of a name from a network, because an attempt succeeded.
    pub fn succeeded(&self, name: &str, network: Network) {
        self.entries.remove(&(name.to_owned(), network));
    }

    fn known(&self, name: &str, network: Network) -> Failures {
        self.entries.get(&(name.to_owned(), network)).unwrap_or_default()
    }

    fn count(&self, name: &str, network: Network, now: i64, free: u32) {
        let mut failures = self.known(name, network);
        if now - failures.last > FORGOTTEN_SECONDS {
            failures = Failures::default();
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        if let Some(beyond) = failures.count.checked_sub(free).filter(|beyond| *beyond > 0) {
            let wait = 1_i64 << beyond.saturating_sub(1).min(20);
            failures.wait_until = now + wait.min(i64::from(self.config.wait_seconds_max));
        }
        self.entries.insert((name.to_owned(), network), failures);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;

    use super::*;

    fn network(address: &str) -> Network {
        Network::from(address.parse::<IpAddr>().unwrap())
    }

    /// T44: ten thousand guesses from one network; the account holder logs in from another meanwhile.
    #[test]
    fn guessing_waits_and_the_holder_does_not() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let (guesser, holder) = (network("203.0.113.7"), network("198.51.100.1"));
        let mut tried = 0;
        for second in 0..10_000 {
            if throttle.admit("gent", guesser, second).is_ok() {
                tried += 1;
                throttle.failed("gent", guesser, second);
            }
        }
        assert!(tried < 60, "{tried} guesses came through");
        assert!(throttle.admit("gent", guesser, 9_999).is_err());
        assert!(throttle.admit("gent", holder, 9_999).is_ok());
        // A neighbour of the guesser counts as the guesser; another name on that network does not wait yet.
        assert!(throttle.admit("gent", network("203.0.113.200"), 9_999).is_err());
        assert!(throttle.admit("kortrijk", guesser, 9_999).is_ok());
    }

    #[test]
    fn a_network_that_tries_many_names_waits() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let guesser = network("2001:db8:1:2::1");
        for n in 0..200 {
            throttle.failed(&format!("name-{n}"), guesser, 0);
        }
        assert!(throttle.admit("another", network("2001:db8:1:2:ffff::9"), 0).is_err());
        assert!(throttle.admit("another", network("2001:db8:1:3::1"), 0).is_ok());
    }

    #[test]
    fn attempts_at_one_time_count_as_attempts_in_a_row() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let here = network("192.0.2.1");
        let under_way: Vec<Attempt> = (0..1_000)
            .filter_map(|_| throttle.attempt("gent", here, 0).ok())
            .collect();
        assert_eq!(under_way.len(), 6);
        // Whoever knows the password costs the neighbours nothing, however often.
        let throttle = Throttle::new(ThrottleConfig::default());
        for _ in 0..1_000 {
            throttle.proved(throttle.attempt("gent", here, 0).unwrap());
        }
        for name in 0..101 {
            throttle.failed(&name.to_string(), here, 0);
        }
        assert!(throttle.attempt("gent", here, 0).is_err());
        throttle.proved(throttle.attempt("gent", here, 1).unwrap());
        assert!(
            throttle.attempt("brugge", here, 1).is_ok(),
            "a success made the others wait"
        );
    }

    #[test]
    fn a_success_clears_the_count_and_time_forgets() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let here = network("192.0.2.1");
        for _ in 0..8 {
            throttle.failed("gent", here, 0);
        }
        assert_eq!(throttle.admit("gent", here, 0), Err(4));
        throttle.succeeded("gent", here);
        assert!(throttle.admit("gent", here, 0).is_ok());
        for _ in 0..8 {
            throttle.failed("gent", here, 0);
        }
        throttle.failed("gent", here, FORGOTTEN_SECONDS + 1);
        assert!(throttle.admit("gent", here, FORGOTTEN_SECONDS + 1).is_ok());
    }
}
