//! An account on a whole pod server: its holder in front of the console, and as an application's agent.

use std::net::SocketAddr;
use std::path::Path;

use pod_server::identity::{AccountKind, FirstLogin, NewAccount, create_account};
use serde_json::json;
use server_kit::clock::{Clock, SystemClock};
use server_kit::tls::LocalAuthority;

use super::{Failure, Visitor};
use crate::pod::{Agent, PodServer, PodSettings};

/// The password of every resident.
const PASSWORD: &str = "vijf grijze fietsen";

/// Settings of a pod server that make hashing quick.
#[must_use]
pub fn quick_settings() -> PodSettings {
    json!({ "identity": { "password": { "memory_kibibytes": 64, "passes": 1 } } })
}

/// As [`quick_settings`], of a server that speaks TLS on both origins, with a certificate that is written into a folder.
///
/// # Errors
/// When the certificate cannot be made.
pub fn secure_settings(folder: &Path) -> Result<PodSettings, Failure> {
    let now = SystemClock.now();
    let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
    LocalAuthority::generate("Meent test authority", now)?
        .certificate(&["localhost".to_owned()], now)?
        .write(&certificate, &key)?;
    let mut settings = quick_settings();
    settings["server"] = json!({ "base_url": "https://localhost:0/", "console_url": "https://localhost:0/" });
    settings["tls"] = json!({ "certificate_file": certificate, "key_file": key });
    Ok(settings)
}

/// Somebody with an account and a storage.
pub struct Resident {
    /// In front of the console, logged in.
    pub visitor: Visitor,
    /// As an application with a token sees itself.
    pub agent: Agent,
    /// WebID.
    pub web_id: String,
}

impl Resident {
    /// The password, to log in again.
    pub const PASSWORD: &'static str = PASSWORD;

    /// Opens an account with a storage of the same name, and logs its holder in.
    ///
    /// # Errors
    /// When the account cannot be made or the login does not succeed.
    pub async fn arrive(server: &PodServer, name: &str) -> Result<Self, Failure> {
        let agent = Self::settle(server, name, name).await?;
        let console: url::Url = server.console_url.parse()?;
        let port = console.port().ok_or("the console has no port")?;
        let mut visitor = Visitor::at(SocketAddr::from(([127, 0, 0, 1], port)));
        let answer = visitor.log_in(name, PASSWORD).await?;
        if answer.status != 303 {
            return Err(format!("{name} cannot log in: {}", answer.body).into());
        }
        Ok(Self {
            visitor,
            web_id: agent.web_id.clone(),
            agent,
        })
    }

    /// Opens an account for somebody who is called `label`, with a storage, and gives its holder's agent.
    ///
    /// # Errors
    /// When the account cannot be made.
    pub async fn settle(server: &PodServer, name: &str, label: &str) -> Result<Agent, Failure> {
        let new = NewAccount {
            name: name.to_owned(),
            label: label.to_owned(),
            kind: AccountKind::Person,
            first_login: FirstLogin::Password(PASSWORD.to_owned()),
        };
        let tools = server.app.identity.account_tools();
        let made = create_account(server.app.store.as_ref(), tools, new).await?;
        let agent = Agent::new(&server.app.issuer, made.account.webid, &server.base_url);
        Ok(agent.at(server.app.origins.clone()))
    }
}
