//! `pod-server storage …`, on a stopped server.

mod access;
mod export;
mod import;
mod quota;

use clap::Subcommand;

use super::{ConfigFile, Failure, say};
use crate::app::App;
use crate::authz::AuthorizationSystem;
use crate::error::Error;
use crate::ldp::provision;
use crate::name::ResourceName;
use crate::store::{CommitError, ReadPermit, Warrant, commit};

/// Storages that are listed at a time.
const LISTED_AT_ONCE: usize = 1_000;

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
        /// Template that it begins with, or `plain`; that of the configuration (`templates.default`) unless given
        #[arg(long, value_name = "NAME")]
        template: Option<String>,
    },
    /// List the storages: name, bytes in use, owner
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show how much a storage holds and may hold; give it a bound of its own
    Quota(quota::QuotaCommand),
    /// Show which authorization system a storage uses; take it from access control lists to policies
    Access(access::AccessCommand),
    /// Write one storage into an archive: data, descriptions and access rules
    Export(export::ExportCommand),
    /// Take an archive in as a new storage, with all IRIs at their new place
    Import(import::ImportCommand),
}

impl StorageCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create {
                file,
                name,
                owner,
                system,
                template,
            } => create(&file, name, owner, (system, template)).await,
            Self::List { file } => list(&file),
            Self::Quota(command) => command.run().await,
            Self::Access(command) => command.run().await,
            Self::Export(command) => command.run().await,
            Self::Import(command) => command.run().await,
        }
    }
}

async fn create(
    file: &ConfigFile,
    name: String,
    owner: String,
    (system, template): (Option<AuthorizationSystem>, Option<String>),
) -> Result<(), Failure> {
    let app = App::build(file.load()?)?;
    let system = system.unwrap_or(app.config.authz.system);
    let said = |error: &dyn std::fmt::Display| Failure::Said(error.to_string());
    let site = match template {
        Some(template) => app.identity.site().choosing(&template).map_err(|error| said(&error))?,
        None => app.identity.site().clone(),
    };
    let site = site.with_system(system);
    let warrant = Warrant::without_proof("the operator makes a storage on a stopped server");
    let (what, who) = (name.clone(), owner.clone());
    let work = move |transaction: &mut dyn crate::store::Transaction| {
        let storage = provision::create_storage(transaction, site.origins(), &what, &who, system)
            .map_err(CommitError::Refused)?;
        site.fill(transaction, &storage.root, &who)?;
        Ok(storage)
    };
    match commit::<_, Error>(app.store.as_ref(), warrant, Box::new(work)).await {
        Ok(_) => {
            say(&format!("made {} for {owner}", app.origins.root(&name)));
            Ok(())
        }
        Err(CommitError::Refused(error)) => Err(Failure::Said(error.to_string())),
        Err(CommitError::Store(error)) => Err(Failure::Said(format!("the store failed: {error}"))),
    }
}

fn list(file: &ConfigFile) -> Result<(), Failure> {
    let app = App::build(file.load()?)?;
    let permit = ReadPermit::without_proof("the operator lists the storages of a stopped server");
    let failed = |error: crate::store::StoreError| Failure::Said(format!("the store failed: {error}"));
    let mut after = None;
    loop {
        let view = app.store.snapshot(permit).map_err(failed)?;
        let storages = view.storages(after.as_ref(), LISTED_AT_ONCE).map_err(failed)?;
        for storage in &storages {
            say(&format!(
                "{}\t{}\t{}",
                storage.root.last_segment(),
                storage.bytes_used,
                storage.owner
            ));
        }
        match storages.last() {
            Some(last) => after = Some(last.root.clone()),
            None => return Ok(()),
        }
    }
}

/// The root of the storage with a name.
fn root(name: &str) -> Result<ResourceName, Failure> {
    let name = name.trim_matches('/');
    ResourceName::parse(&format!("/{name}/"))
        .ok()
        .filter(|root| root.storage_root().as_ref() == Some(root))
        .ok_or_else(|| Failure::Said(format!("`{name}` cannot be the name of a storage")))
}
