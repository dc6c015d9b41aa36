//! `pod-server storage import`: an archive as a new storage.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::super::{ConfigFile, Counting, Failure, blocking, say};
use crate::app::App;
use crate::archive::{self, ArchiveError, Destination, Imported, ReadLimits};
use crate::identity::adopt::{Adoption, adopt};
use crate::identity::{AccountKind, FirstLogin, NewAccount, account};

/// Take an archive in as a new storage
#[derive(Debug, Args)]
#[command(
    after_help = "The whole archive is checked before anything is stored. IRIs that named the old storage name the new one \
                  afterwards, and the old server's issuer in profiles becomes this server's. An interrupted import goes on \
                  where it stopped when it is run again. An owner whose WebID lies in the storage needs an account to log in: \
                  `--account` makes one. Owners whose WebID lies elsewhere go on as before."
)]
pub(in crate::cli) struct ImportCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// The archive, as `storage export` or the account page wrote it
    archive: PathBuf,
    /// Name of the new storage; its old one unless given
    #[arg(long)]
    name: Option<String>,
    /// WebID of the owner; the old one at its new place unless given
    #[arg(long, value_name = "WEBID")]
    owner: Option<String>,
    /// Also make an account that owns the storage, and print a link on which its holder chooses a password
    #[arg(long)]
    account: bool,
    /// How the account calls itself; the name unless given
    #[arg(long, requires = "account")]
    label: Option<String>,
    /// The account is a municipality, agency or company instead of a person
    #[arg(long, requires = "account")]
    organisation: bool,
    /// Most bytes that the archive may unpack to
    #[arg(long, value_name = "BYTES", default_value_t = ReadLimits::default().unpacked_bytes_max)]
    unpacked_bytes_max: u64,
}

impl ImportCommand {
    pub(in crate::cli) async fn run(self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::Said(format!("`{}`: {error}", self.archive.display()));
        let about = archive::about(File::open(&self.archive).map_err(failed)?).map_err(said)?;
        let old = old_name(&about.storage);
        let root = super::root(self.name.as_deref().unwrap_or(&old))?;
        let app = Arc::new(App::build(self.file.load()?)?);
        let destination = Destination {
            root: root.clone(),
            owner: self.owner.clone(),
            issuer: app.config.server.console_url.to_string(),
            origins: app.origins.clone(),
            bounds: app.config.ldp.clone(),
            limits: ReadLimits {
                unpacked_bytes_max: self.unpacked_bytes_max,
            },
            rebase: None,
        };
        let mut file = File::open(&self.archive).map_err(failed)?;
        let store = Arc::clone(&app.store);
        let imported = blocking(move || {
            let mut bar = Counting::new("reading");
            archive::import(&store, &mut file, &destination, &mut |entries, bytes| {
                bar.tell(entries, bytes)
            })
            .map_err(said)
        })
        .await?;
        tell(&imported, &root.iri(&app.origins));
        if self.account {
            self.make_account(&app, &imported.owner, root.last_segment(), root.as_str())
                .await?;
        }
        Ok(())
    }

    async fn make_account(&self, app: &App, owner: &str, name: &str, root: &str) -> Result<(), Failure> {
        let known = account::by_name(app.store.as_ref(), name).map_err(|error| Failure::Said(error.to_string()))?;
        if known.is_some_and(|known| known.webid == owner) {
            say(&format!("the account `{name}` was there already"));
            return Ok(());
        }
        let adoption = Adoption {
            new: NewAccount {
                name: name.to_owned(),
                label: self.label.clone().unwrap_or_else(|| name.to_owned()),
                kind: if self.organisation {
                    AccountKind::Organisation
                } else {
                    AccountKind::Person
                },
                first_login: FirstLogin::SetupLink,
            },
            webid: owner.to_owned(),
            storages: vec![root.to_owned()],
            password_hash: None,
            webids: Vec::new(),
            email: None,
            credentials: Vec::new(),
            came_from: None,
        };
        let created = adopt(app.store.as_ref(), app.identity.account_tools(), adoption)
            .await
            .map_err(|error| Failure::Said(format!("the storage is there, but its account was not made: {error}")))?;
        say(&format!("webid {}", created.account.webid));
        if let Some(url) = &created.setup_url {
            say(&format!("setup {url}"));
        }
        Ok(())
    }
}

fn said(error: ArchiveError) -> Failure {
    Failure::Said(error.to_string())
}

/// The name that a storage had: the end of its path, or the first label of its own host.
fn old_name(storage: &str) -> String {
    let url = url::Url::parse(storage).ok();
    let path = url.as_ref().map_or(storage, |url| url.path()).trim_matches('/');
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    let name = if path.is_empty() {
        host.split('.').next()
    } else {
        path.rsplit('/').next()
    };
    name.unwrap_or_default().to_owned()
}

fn tell(imported: &Imported, iri: &str) {
    let Imported {
        from,
        owner,
        resources,
        bytes,
        replaced,
        rewritten,
        stored_before,
        kept,
    } = imported;
    say(&format!(
        "{from} is at {iri} now, owned by {owner}: {resources} resources with {bytes} bytes stored; IRIs replaced in the text \
         of {replaced} documents, {rewritten} documents written anew for it"
    ));
    if *stored_before > 0 {
        say(&format!(
            "{stored_before} entries had been stored by an earlier run; {kept} resources had come into being meanwhile and were \
             left alone"
        ));
    }
}
