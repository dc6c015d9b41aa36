//! `pod-server serve`.

use std::time::Duration;

use server_kit::shutdown::Shutdown;
use server_kit::telemetry;

use super::Failure;
use crate::app::{self, Ended};
use crate::config::Config;

/// How much longer than the drain time a server whose store has stopped may take to end, in seconds.
const OVERDUE_SECONDS: u64 = 5;

pub(super) async fn serve(config: Config) -> Result<(), Failure> {
    telemetry::init("pod-server", &config.telemetry)?;
    let shutdown =
        Shutdown::on_signals().map_err(|error| Failure::Said(format!("signals cannot be awaited: {error}")))?;
    let drain = Duration::from_secs(u64::from(config.connections.drain_seconds_max) + OVERDUE_SECONDS);
    let running = app::start(config, shutdown).await?;
    let mut stopped = running.store_stopped();
    let overdue = async move {
        // Without a store there is nothing to wait for: the listeners have ended and say so.
        match stopped.wait_for(|stopped| *stopped).await {
            Ok(_) => tokio::time::sleep(drain).await,
            Err(_) => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = running.finished() => ended,
        () = overdue => Ended::StoreStopped,
    };
    match ended {
        Ended::Told => {
            tracing::info!("the pod server has stopped");
            Ok(())
        }
        Ended::StoreStopped => Err(Failure::Said(
            "a write could not be made durable, so the server has ended; nothing that was acknowledged is lost. Look after \
             the disk, then start again"
                .to_owned(),
        )),
        Ended::JournalFailed => Err(Failure::Said(
            "the revocation journal could not be written, so the server has ended; look after the disk it is on \
             (`backup.revocation_journal`), then start again"
                .to_owned(),
        )),
    }
}
