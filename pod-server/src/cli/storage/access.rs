//! `pod-server storage access`: under which authorization system a storage is, and from lists to policies.

use clap::Args;

use super::super::{ConfigFile, Failure, say};
use crate::app::App;
use crate::authz::{AuthorizationSystem, to_policies};
use crate::error::Error;
use crate::ldp::document::Bounds;
use crate::store::{CommitError, ReadPermit, Transaction, Warrant, commit};

/// Show which authorization system a storage uses; take it from access control lists to policies
#[derive(Debug, Args)]
pub(in crate::cli) struct AccessCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of the storage
    name: String,
    /// Say every list in policies that give everyone the same, or change nothing and name the list that has none
    #[arg(long, value_enum)]
    system: Option<AuthorizationSystem>,
}

impl AccessCommand {
    pub(in crate::cli) async fn run(self) -> Result<(), Failure> {
        let root = super::root(&self.name)?;
        let app = App::build(self.file.load()?)?;
        let failed = |error: crate::store::StoreError| Failure::Said(format!("the store failed: {error}"));
        let permit = ReadPermit::without_proof("the operator looks at the system of a storage on a stopped server");
        let now = {
            let view = app.store.snapshot(permit).map_err(failed)?;
            if view.storage(&root).map_err(failed)?.is_none() {
                return Err(Failure::Said(format!("there is no storage `{}`", self.name)));
            }
            AuthorizationSystem::of(&*view, &root).map_err(failed)?
        };
        match self.system {
            Some(AuthorizationSystem::Acp) if now == AuthorizationSystem::Wac => {}
            Some(wanted) if wanted != now => {
                return Err(Failure::Said(
                    "policies are not turned into lists: they may deny, which lists cannot".to_owned(),
                ));
            }
            _ => {
                let word = match now {
                    AuthorizationSystem::Wac => "access control lists (wac)",
                    AuthorizationSystem::Acp => "access control policies (acp)",
                };
                say(&format!("{}: {word}", root.last_segment()));
                return Ok(());
            }
        }
        if app.config.authz.origins_always {
            return Err(Failure::Said(
                "`authz.origins_always` bounds access by the origin of web pages, which policies do not know: say it \
                 in policies by application, and take the key out, before you change the system"
                    .to_owned(),
            ));
        }
        let origins = app.origins.clone();
        let bounds = Bounds {
            nesting_max: app.config.ldp.nesting_max,
        };
        let work = move |transaction: &mut dyn Transaction| {
            to_policies(transaction, &root, &origins, bounds).map_err(CommitError::Refused)
        };
        let warrant = Warrant::without_proof("the operator changes the system of a storage on a stopped server");
        match commit::<usize, Error>(app.store.as_ref(), warrant, Box::new(work)).await {
            Ok((count, _)) => {
                say(&format!(
                    "{}: {count} access control lists are policies now, and give everyone the same",
                    self.name
                ));
                Ok(())
            }
            Err(CommitError::Refused(error)) => Err(Failure::Said(error.to_string())),
            Err(CommitError::Store(error)) => Err(failed(error)),
        }
    }
}
