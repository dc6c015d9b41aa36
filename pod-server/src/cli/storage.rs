//! `pod-server storage …`, on a stopped server.

use clap::Subcommand;

use super::{ConfigFile, Failure, say};
use crate::app::App;
use crate::authz::AuthorizationSystem;
use crate::error::Error;
use crate::ldp::provision;
use crate::store::{CommitError, Warrant, commit};

/// Commands about storages.
#[derive(Debug, Subcommand)]
pub(super) enum StorageCommand {
    /// Make a storage for an owner whose WebID lives elsewhere
    Create {
        #[command(flatten)]
        file: ConfigFile,
        /// Name: the first part of the path of everything in it
        name: String,
        /// WebID of the owner, who alone may do anything in it at first
        #[arg(long, value_name = "WEBID")]
        owner: String,
        /// Authorization system: access control lists or access control policies; that of the configuration unless given
        #[arg(long, value_enum)]
        system: Option<AuthorizationSystem>,
    },
}

impl StorageCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self::Create {
            file,
            name,
            owner,
            system,
        } = self;
        let app = App::build(file.load()?)?;
        let system = system.unwrap_or(app.config.authz.system);
        let warrant = Warrant::without_proof("the operator makes a storage on a stopped server");
        let (what, who) = (name.clone(), owner.clone());
        let work = move |transaction: &mut dyn crate::store::Transaction| {
            provision::create_storage(transaction, &what, &who, system).map_err(CommitError::Refused)
        };
        match commit::<_, Error>(app.store.as_ref(), warrant, Box::new(work)).await {
            Ok(_) => {
                say(&format!("made {}{name}/ for {owner}", app.base_url));
                Ok(())
            }
            Err(CommitError::Refused(error)) => Err(Failure::Said(error.to_string())),
            Err(CommitError::Store(error)) => Err(Failure::Said(format!("the store failed: {error}"))),
        }
    }
}
