//! What a standing query has heard of since it was evaluated last, and by when something must have followed from it.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Something is new.
    pub(super) changed: bool,
    /// Something was withdrawn: by when the consumer must have what follows from it.
    pub(super) urgent: Option<Instant>,
    /// The same, of withdrawals that an evaluation under way takes in.
    answering: Option<Instant>,
}

/// Where members' channels tell, and the query listens.
#[derive(Debug)]
pub(super) struct Signals(watch::Sender<Heard>);

impl Signals {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Heard::default()))
    }

    pub(super) fn listen(&self) -> watch::Receiver<Heard> {
        self.0.subscribe()
    }

    /// Something is new.
    pub(super) fn changed(&self) {
        self.0.send_modify(|heard| heard.changed = true);
    }

    /// Something may have been withdrawn: what follows from it must be with the consumer in this time.
    pub(super) fn withdrawn(&self, within: Duration) {
        let by = Instant::now() + within;
        self.0.send_modify(|heard| {
            heard.changed = true;
            heard.urgent = Some(heard.urgent.map_or(by, |earlier| earlier.min(by)));
        });
    }

    /// An evaluation begins, which takes in everything that was heard until now.
    pub(super) fn begin(&self) {
        self.0.send_modify(|heard| {
            heard.answering = [heard.answering, heard.urgent].into_iter().flatten().min();
            heard.urgent = None;
            heard.changed = false;
        });
    }

    /// The consumer has what that evaluation found.
    pub(super) fn settled(&self) {
        self.0.send_modify(|heard| heard.answering = None);
    }

    /// Waits until something that was withdrawn should have been with the consumer, and is not.
    pub(super) async fn overdue(&self) {
        let mut heard = self.listen();
        loop {
            let now = *heard.borrow_and_update();
            let by = [now.answering, now.urgent].into_iter().flatten().min();
            let passes = async {
                match by {
                    Some(by) => tokio::time::sleep_until(by).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = passes => return,
                // The sender is this very value.
                _ = heard.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_withdrawal_is_overdue_until_what_follows_from_it_has_arrived() {
        let signals = Signals::new();
        let soon = Duration::from_millis(5);
        signals.changed();
        signals.begin();
        signals.withdrawn(soon);
        signals.settled();
        signals.overdue().await;
        signals.begin();
        signals.overdue().await;
        signals.settled();
        let heard = *signals.listen().borrow();
        assert_eq!(heard, Heard::default(), "nothing is owed any more");
        // The earlier of two is what counts.
        signals.withdrawn(Duration::from_secs(600));
        signals.begin();
        signals.withdrawn(soon);
        signals.overdue().await;
    }
}
