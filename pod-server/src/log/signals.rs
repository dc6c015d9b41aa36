//! Signs of misuse, told to the owner (AUD-13): more use than ever, one refusal after another, questions that look for the
//! difference of two groups. A signal names nobody: it says what was noticed, and the log beside it has who did what.
//!
//! Counting is bounded in memory and time: a window, so many pairs of owner and user, and one signal of a kind per owner
//! in a while.

use std::collections::HashMap;
use std::time::Duration;

use policies::audit::AuditAction;
use serde::Deserialize;
use server_kit::problem::Problem;
use server_kit::shutdown::Shutdown;
use tokio::sync::mpsc::Receiver;

use crate::audit::{Event, Observed, Sign};
use crate::consent::{Letter, post};
use crate::dataspace::edge;
use crate::dataspace::node::Node;
use crate::store::StorageId;

/// When something is unusual.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignalConfig {
    /// Whether anything is watched.
    pub enabled: bool,
    /// Length of a window in which things are counted, in seconds.
    pub window_seconds: u32,
    /// Refusals of one user in a window.
    pub refusals: u32,
    /// Refusals of one consumer in a window because a group was too small or too near another.
    pub differencing: u32,
    /// Uses by one user in a window below which volume is never unusual.
    pub uses_min: u32,
    /// How many times the average of the windows before a sudden volume is.
    pub uses_factor: u32,
    /// How long nothing of the same kind is told to the same owner again, in seconds.
    pub quiet_seconds: u32,
    /// Most pairs of owner and user that are counted; beyond it the counting begins anew.
    pub pairs_max: usize,
}

impl Default for SignalConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            window_seconds: 600,
            refusals: 20,
            differencing: 5,
            uses_min: 1_000,
            uses_factor: 10,
            quiet_seconds: 3_600,
            pairs_max: 100_000,
        }
    }
}

impl SignalConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The key that breaks a rule, and the rule.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let numbers = [
            self.window_seconds,
            self.refusals,
            self.differencing,
            self.uses_min,
            self.uses_factor,
        ];
        match numbers.contains(&0) || self.pairs_max == 0 {
            true => Err(("dataspace.signals", "holds a number that must be at least 1")),
            false => Ok(()),
        }
    }
}

/// What was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Somebody used far more than before.
    SuddenVolume,
    /// Somebody was refused again and again.
    RepeatedRefusals,
    /// Somebody asked again and again for groups that could tell of single people.
    DifferencingSuspected,
}

impl Signal {
    /// The IRI of the signal in records and letters.
    #[must_use]
    pub const fn iri(self) -> &'static str {
        match self {
            Self::SuddenVolume => vocab::meent::SUDDEN_VOLUME,
            Self::RepeatedRefusals => vocab::meent::REPEATED_REFUSALS,
            Self::DifferencingSuspected => vocab::meent::DIFFERENCING_SUSPECTED,
        }
    }
}

/// What one user did with the data of one owner.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    window: i64,
    used: u32,
    refused: u32,
    differencing: u32,
    /// Windows before this one, and the uses in them.
    windows: u32,
    used_before: u64,
}

/// Counts signs and says when they are unusual.
pub struct Counting {
    config: SignalConfig,
    pairs: HashMap<(StorageId, u64), Counts>,
    told: HashMap<(StorageId, Signal), i64>,
}

impl Counting {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(config: SignalConfig) -> Self {
        Self {
            config,
            pairs: HashMap::new(),
            told: HashMap::new(),
        }
    }

    /// Counts a sign at a moment, in Unix seconds; answers what is to be told to whom.
    pub fn count(&mut self, observed: &Observed, now: i64) -> Vec<(StorageId, Signal)> {
        let mut signals = Vec::new();
        if self.pairs.len() >= self.config.pairs_max {
            self.pairs.clear();
        }
        for owner in &observed.owners {
            let counts = self.pairs.entry((*owner, observed.who)).or_default();
            if let Some(signal) = counts.add(observed.sign, now, &self.config)
                && self.is_news(*owner, signal, now)
            {
                signals.push((*owner, signal));
            }
        }
        signals
    }

    fn is_news(&mut self, owner: StorageId, signal: Signal, now: i64) -> bool {
        let quiet = i64::from(self.config.quiet_seconds);
        if self.told.len() >= self.config.pairs_max {
            self.told.retain(|_, at| now - *at < quiet);
        }
        match self.told.get(&(owner, signal)) {
            Some(at) if now - at < quiet => false,
            _ => {
                self.told.insert((owner, signal), now);
                true
            }
        }
    }
}

impl Counts {
    fn add(&mut self, sign: Sign, now: i64, config: &SignalConfig) -> Option<Signal> {
        let window = now.div_euclid(i64::from(config.window_seconds));
        if window != self.window {
            if self.window > 0 {
                self.windows = self.windows.saturating_add(1);
                self.used_before = self.used_before.saturating_add(u64::from(self.used));
            }
            (self.window, self.used, self.refused, self.differencing) = (window, 0, 0, 0);
        }
        match sign {
            Sign::Used => {
                self.used = self.used.saturating_add(1);
                let usual = self.used_before / u64::from(self.windows.max(1));
                let much = usual
                    .saturating_mul(u64::from(config.uses_factor))
                    .max(u64::from(config.uses_min));
                (u64::from(self.used) >= much).then_some(Signal::SuddenVolume)
            }
            Sign::Refused => {
                self.refused = self.refused.saturating_add(1);
                (self.refused >= config.refusals).then_some(Signal::RepeatedRefusals)
            }
            Sign::Differencing => {
                self.differencing = self.differencing.saturating_add(1);
                (self.differencing >= config.differencing).then_some(Signal::DifferencingSuspected)
            }
        }
    }
}

/// Counts what is observed until the shutdown, and tells owners.
pub async fn keep_up(node: Node, config: SignalConfig, mut observed: Receiver<Observed>, shutdown: Shutdown) {
    if !config.enabled {
        return;
    }
    let mut counting = Counting::new(config);
    loop {
        let next = tokio::select! {
            next = observed.recv() => next,
            () = shutdown.wait() => return,
        };
        let Some(next) = next else { return };
        for (owner, signal) in counting.count(&next, node.clock.unix()) {
            metrics::counter!("signals_total").increment(1);
            if let Err(problem) = tell(&node, owner, signal).await {
                tracing::error!(detail = problem.detail, "an owner could not be told of a signal");
                // Not so fast again while the store fails.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Writes the signal into the owner's log and puts a letter to them on its way, in one commit.
async fn tell(node: &Node, owner: StorageId, signal: Signal) -> Result<(), Problem> {
    node.commit(move |node, transaction| {
        let found = transaction
            .storage_by_id(owner)
            .map_err(|error| edge::store_problem(&error))?;
        let Some(storage) = found else { return Ok(()) };
        let (log, iri) = (format!("{}.log", storage.root.iri(&node.origins)), signal.iri());
        let mut event = Event::done(AuditAction::Signal, "", storage.id).on(iri);
        event.actor = None;
        node.record(transaction, &event)?;
        let letter = Letter::signal(&storage.owner, &log, iri);
        post(node, transaction, node.clock.now(), &letter)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(owner: i64, who: u64, sign: Sign) -> Observed {
        Observed {
            owners: vec![StorageId(owner)],
            who,
            sign,
        }
    }

    /// AUD-13: each signal comes when its number is reached, once in a while, for one user and one owner.
    #[test]
    fn signals_come_at_their_numbers() {
        let config = SignalConfig {
            refusals: 3,
            differencing: 2,
            uses_min: 10,
            uses_factor: 4,
            window_seconds: 100,
            quiet_seconds: 1_000,
            ..SignalConfig::default()
        };
        let mut counting = Counting::new(config);
        let start = 1_000_000;
        let mut said = |observed: Observed, at: i64| counting.count(&observed, start + at);
        assert_eq!(said(seen(1, 1, Sign::Refused), 0), []);
        assert_eq!(said(seen(1, 2, Sign::Refused), 0), [], "another user");
        assert_eq!(said(seen(2, 1, Sign::Refused), 0), [], "another owner");
        assert_eq!(said(seen(1, 1, Sign::Refused), 1), []);
        assert_eq!(
            said(seen(1, 1, Sign::Refused), 2),
            [(StorageId(1), Signal::RepeatedRefusals)]
        );
        assert_eq!(said(seen(1, 1, Sign::Refused), 3), [], "told already");
        assert_eq!(said(seen(1, 1, Sign::Refused), 150), [], "another window");
        for at in 2_000..2_003 {
            let told = said(seen(1, 1, Sign::Refused), at);
            assert_eq!(told.len(), usize::from(at == 2_002), "told anew after a while");
        }
        assert_eq!(said(seen(1, 1, Sign::Differencing), 10), []);
        assert_eq!(
            said(seen(1, 1, Sign::Differencing), 11),
            [(StorageId(1), Signal::DifferencingSuspected)]
        );
        // Five uses in each of three windows are usual, twenty are not.
        for at in [3_000, 3_100, 3_200] {
            for more in 0..5 {
                assert_eq!(said(seen(1, 9, Sign::Used), at + more), []);
            }
        }
        for more in 0..19 {
            assert_eq!(said(seen(1, 9, Sign::Used), 3_300 + more), []);
        }
        assert_eq!(
            said(seen(1, 9, Sign::Used), 3_319),
            [(StorageId(1), Signal::SuddenVolume)]
        );
    }

    #[test]
    fn memory_is_bounded() {
        let config = SignalConfig {
            pairs_max: 10,
            refusals: 1,
            ..SignalConfig::default()
        };
        let mut counting = Counting::new(config);
        for who in 0..1_000 {
            counting.count(
                &seen(i64::try_from(who).unwrap(), who, Sign::Refused),
                10_000 + 100 * i64::try_from(who).unwrap(),
            );
            assert!(counting.pairs.len() <= 10);
        }
        assert!(counting.told.len() <= 50, "{}", counting.told.len());
    }
}
