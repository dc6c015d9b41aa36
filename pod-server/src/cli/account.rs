//! `pod-server account …`, on a stopped server.

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand};

use super::{ConfigFile, Failure, say};
use crate::app::App;
use crate::identity::{AccountKind, FirstLogin, NewAccount, account, create_account, credential};

/// Longest password file, in bytes.
const PASSWORD_FILE_BYTES_MAX: usize = 4_096;

/// Commands about accounts.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Make an account with a storage, a WebID profile and a way to log in
    #[command(group(ArgGroup::new("kind")))]
    Create {
        #[command(flatten)]
        file: ConfigFile,
        /// Login name; also the name of the storage: small letters, digits and hyphens
        name: String,
        /// How the account calls itself; the name unless given
        #[arg(long)]
        label: Option<String>,
        /// A municipality, agency or company instead of a person
        #[arg(long)]
        organisation: bool,
        /// File whose first line is the password; without it, a link is printed on which the holder chooses one
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Also make client credentials for a machine and print them as `id:secret`
        #[arg(long)]
        client_credentials: bool,
    },
    /// Print a one-time link on which the holder of an account chooses a new password
    Reset {
        #[command(flatten)]
        file: ConfigFile,
        /// Login name
        name: String,
    },
}

impl AccountCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self::Create {
            file,
            name,
            label,
            organisation,
            password_file,
            client_credentials,
        } = self
        else {
            return self.reset().await;
        };
        let first_login = match password_file {
            Some(path) => FirstLogin::Password(password(&path)?),
            None => FirstLogin::SetupLink,
        };
        let app = App::build(file.load()?)?;
        let new = NewAccount {
            label: label.unwrap_or_else(|| name.clone()),
            kind: if organisation {
                AccountKind::Organisation
            } else {
                AccountKind::Person
            },
            name,
            first_login,
        };
        let created = create_account(app.store.as_ref(), app.identity.account_tools(), new)
            .await
            .map_err(|error| Failure::Said(error.to_string()))?;
        say(&format!("webid {}", created.account.webid));
        if let Some(url) = &created.setup_url {
            tell_setup(url, app.config.identity.setup_days);
        }
        if client_credentials {
            let made = credential::create(
                app.store.as_ref(),
                &created.account.id,
                "made with the account",
                app.config.identity.credentials_max,
                app.clock.as_ref(),
                app.random.as_ref(),
            )
            .await
            .map_err(|error| Failure::Said(error.to_string()))?
            .ok_or_else(|| Failure::Said("the account may have no client credentials".to_owned()))?;
            say(&format!("client {}:{}", made.id, made.secret));
        }
        Ok(())
    }

    async fn reset(self) -> Result<(), Failure> {
        let Self::Reset { file, name } = self else {
            return Ok(());
        };
        let app = App::build(file.load()?)?;
        let url = account::setup_link(app.store.as_ref(), app.identity.account_tools(), &name)
            .await
            .map_err(|error| Failure::Said(error.to_string()))?;
        tell_setup(&url, app.config.identity.setup_days);
        Ok(())
    }
}

fn tell_setup(url: &str, days: u32) {
    say(&format!("setup {url}"));
    say(&format!(
        "Give the setup link to the holder alone: whoever opens it, once, within {days} days and while the server runs, chooses the password."
    ));
}

fn password(path: &std::path::Path) -> Result<String, Failure> {
    let unreadable = |reason: String| Failure::Said(format!("the password file `{}`: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    if text.len() > PASSWORD_FILE_BYTES_MAX {
        return Err(unreadable(format!("longer than {PASSWORD_FILE_BYTES_MAX} bytes")));
    }
    text.lines()
        .next()
        .map(str::to_owned)
        .ok_or_else(|| unreadable("it is empty".to_owned()))
}
