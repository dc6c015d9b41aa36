//! Removes what has expired: sessions, codes, refresh tokens, registrations. A little at a time, so that nobody waits.

use std::sync::Arc;

use server_kit::shutdown::Shutdown;

use crate::store::{RecordKind, Store, Transaction};

use super::Identity;
use super::error::IdentityError;
use super::session::run;
use super::{client, grant, leaving, session};

/// Records that one sweep looks at, of each kind.
const RECORDS_PER_SWEEP: usize = 500;

/// How long a record is kept after its end, in seconds: reuse of a code or token must still be recognised (T37).
const KEPT_SECONDS: i64 = 3_600;

/// Time between two sweeps.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(30);

impl Identity {
    /// Removes what has expired, a little at a time, until the server shuts down. Run it as a task of its own.
    pub async fn keep_house(self: Arc<Self>, shutdown: Shutdown) {
        let mut sweeper = Sweeper::default();
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            match sweeper.sweep(self.store(), self.clock().unix()).await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!(removed, "removed expired sessions and tokens"),
                Err(error) => tracing::warn!(%error, "expired sessions and tokens could not be removed"),
            }
            if let Err(error) = leaving::sweep(self.store(), self.site().origins(), self.clock().unix()).await {
                tracing::error!(%error, "an account that was left could not be erased");
            }
        }
    }
}

/// Where the last sweep stopped, for each kind.
#[derive(Clone, Debug, Default)]
pub struct Sweeper {
    positions: [Option<String>; 4],
}

impl Sweeper {
    /// Looks at the next records of each kind and removes those that have expired. Gives the number removed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep(&mut self, store: &dyn Store, now: i64) -> Result<usize, IdentityError> {
        let kinds = [
            (RecordKind::Session, ""),
            (RecordKind::Issuer, grant::CODE_PREFIX),
            (RecordKind::Issuer, grant::FAMILY_PREFIX),
            (RecordKind::Issuer, client::KEY_PREFIX),
        ];
        let mut removed = 0;
        for ((kind, prefix), position) in kinds.into_iter().zip(&mut self.positions) {
            let after = position.take();
            let (count, next) = run(store, move |transaction: &mut dyn Transaction| {
                sweep_kind(transaction, kind, prefix, after.as_deref(), now - KEPT_SECONDS)
            })
            .await?;
            removed += count;
            *position = next;
        }
        Ok(removed)
    }
}

fn sweep_kind(
    transaction: &mut dyn Transaction,
    kind: RecordKind,
    prefix: &str,
    after: Option<&str>,
    before: i64,
) -> Result<(usize, Option<String>), IdentityError> {
    let page = transaction.records(kind, prefix, after, RECORDS_PER_SWEEP)?;
    let next = if page.len() < RECORDS_PER_SWEEP {
        None
    } else {
        page.last().map(|(key, _)| key.clone())
    };
    let mut removed = 0;
    for (key, bytes) in page {
        let expires = if kind == RecordKind::Session {
            session::expires(&bytes)
        } else {
            grant::expires(&bytes)
        };
        if expires.is_some_and(|expires| expires < before) {
            transaction.record_delete(kind, &key)?;
            removed += 1;
        }
    }
    Ok((removed, next))
}
