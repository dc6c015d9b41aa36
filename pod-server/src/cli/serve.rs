//! `pod-server serve`.

use server_kit::shutdown::Shutdown;
use server_kit::telemetry;

use super::Failure;
use crate::app;
use crate::config::Config;

pub(super) async fn serve(config: Config) -> Result<(), Failure> {
    telemetry::init(&config.telemetry)?;
    let shutdown =
        Shutdown::on_signals().map_err(|error| Failure::Said(format!("signals cannot be awaited: {error}")))?;
    let running = app::start(config, shutdown).await?;
    running.finished().await;
    tracing::info!("the pod server has stopped");
    Ok(())
}
