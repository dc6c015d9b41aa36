//! `pod-server storage quota`: how much a storage holds, and how much it may.

use clap::{ArgGroup, Args};

use super::super::{ConfigFile, Failure, say};
use crate::app::App;
use crate::store::{CommitError, ReadPermit, Transaction, Warrant, commit, quota};

/// Show how much a storage holds and may hold; give it a bound of its own
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change")))]
pub(in crate::cli) struct QuotaCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of the storage
    name: String,
    /// Bytes that the storage may hold: its bodies, and 512 for each resource
    #[arg(long, value_name = "BYTES", group = "change")]
    set: Option<u64>,
    /// Go back to the bound of the configuration (`store.quota_bytes_max`)
    #[arg(long, group = "change")]
    default: bool,
}

impl QuotaCommand {
    pub(in crate::cli) async fn run(self) -> Result<(), Failure> {
        let root = super::root(&self.name)?;
        let app = App::build(self.file.load()?)?;
        let failed = |error: crate::store::StoreError| Failure::Said(format!("the store failed: {error}"));
        let permit = ReadPermit::without_proof("the operator looks at the room of a storage on a stopped server");
        let found = app
            .store
            .snapshot(permit)
            .and_then(|view| view.storage(&root))
            .map_err(failed)?;
        let storage = found.ok_or_else(|| Failure::Said(format!("there is no storage `{}`", self.name)))?;
        if self.set.is_some() || self.default {
            let (root, bytes) = (root.clone(), self.set);
            let work = move |transaction: &mut dyn Transaction| Ok(quota::assign(transaction, &root, bytes)?);
            let warrant = Warrant::without_proof("the operator bounds a storage on a stopped server");
            commit::<(), std::convert::Infallible>(app.store.as_ref(), warrant, Box::new(work))
                .await
                .map_err(|error| match error {
                    CommitError::Store(error) => failed(error),
                    CommitError::Refused(never) => match never {},
                })?;
        }
        let view = app.store.snapshot(permit).map_err(failed)?;
        let own = quota::of(&*view, &root).map_err(failed)?;
        let most = own.unwrap_or(app.config.store.quota_bytes_max);
        let whose = if own.is_some() {
            "its own"
        } else {
            "the configuration's"
        };
        let percent = storage.bytes_used.saturating_mul(100).checked_div(most).unwrap_or(100);
        say(&format!(
            "{}: {} of {most} bytes in use ({percent} %); the bound is {whose}",
            root.last_segment(),
            storage.bytes_used
        ));
        Ok(())
    }
}
