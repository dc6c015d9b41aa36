//! Who people and machines are: accounts, login, and the built-in Solid-OIDC issuer on the console origin.
//!
//! This module gives out identity; it never decides what an identity may do with data. Cookies count on the console
//! origin only. Secrets are stored as digests, and no secret, password or token ever reaches a log.

pub mod account;
pub mod adopt;
mod authorize;
mod belonging;
mod claims;
mod client;
mod client_document;
pub mod config;
pub mod credential;
mod discovery;
pub mod error;
mod external;
pub mod external_link;
mod flow;
mod grant;
pub mod leaving;
mod pages;
pub mod passkey;
pub mod password;
pub mod profile;
pub mod profiles;
mod record;
mod recovery;
mod redirect_uri;
mod revocation;
mod router;
mod seal;
mod security;
mod session;
pub mod site;
pub mod standing;
mod storage;
mod sweep;
mod throttle;
mod token;
mod uma;
mod userinfo;
pub mod webid;

use std::path::PathBuf;
use std::sync::Arc;

use http::request::Parts;
use server_kit::authn::{Algorithm, Authenticator, LocalIssuer};
use server_kit::clock::Clock;
use server_kit::egress::Egress;
use server_kit::random::Random;

use crate::store::Store;
use crate::ui::Visit;

pub use account::{
    Account, AccountKind, AccountTools, CreatedAccount, FirstLogin, NewAccount, create_account, create_accounts,
};
pub use authorize::CONSENT as CONSENT_SCOPE;
pub(crate) use client::turns_text;
pub use config::IdentityConfig;
pub use error::{AccountError, IdentityError};
pub use passkey::HeldPasskey;
pub use password::Passwords;
pub use session::OpenSession;
pub use site::Site;
pub use sweep::Sweeper;

use client::Client;
use client_document::{ClientDocuments, DocumentFault, is_document};
use config::ThrottleConfig;
use external::External;
use external_link::PersonKey;
use passkey::Passkeys;
use seal::Seal;
use throttle::Throttle;
use uma::Tickets;

/// What identity is built from.
pub struct IdentityParts {
    /// The store of record.
    pub store: Arc<dyn Store>,
    /// The two origins.
    pub site: Site,
    /// Bounds and switches.
    pub config: IdentityConfig,
    /// Signs tokens.
    pub issuer: Arc<LocalIssuer>,
    /// Verifies DPoP proofs, with the memory of those that were used.
    pub authenticator: Arc<Authenticator>,
    /// For client identifier documents.
    pub egress: Arc<Egress>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where keys lie: the store's directory.
    pub directory: PathBuf,
    /// Bytes that all bodies of one storage may have together, unless it has a bound of its own.
    pub quota_bytes_max: u64,
}

/// The console's issuer, accounts and pages.
pub struct Identity {
    parts: IdentityParts,
    passwords: Passwords,
    throttle: Throttle,
    /// Counts registrations of clients, each of which takes room.
    registrations: Throttle,
    documents: ClientDocuments,
    /// Other providers through which people may log in.
    externals: Vec<External>,
    /// For the people whom they vouch for; none without providers.
    person_key: Option<PersonKey>,
    /// For the exchange of ID tokens.
    tickets: Tickets,
    passkeys: Passkeys,
    /// For what leaves the server and has to come back unchanged.
    seal: Seal,
}

impl Identity {
    /// Builds identity.
    ///
    /// # Errors
    /// When the configured costs of password hashing are impossible, or another provider's secret cannot be used.
    pub fn new(parts: IdentityParts) -> Result<Self, IdentityError> {
        let config = &parts.config;
        let passwords = Passwords::new(config.password.clone(), parts.random.as_ref())?;
        let throttle = Throttle::new(config.throttle.clone());
        let registrations = Throttle::new(ThrottleConfig {
            failures_free: config.client_registrations_per_hour,
            network_failures_free: config.client_registrations_per_hour,
            ..config.throttle.clone()
        });
        let documents = ClientDocuments::new(
            Arc::clone(&parts.egress),
            config.client_document_bytes_max,
            config.client_document_seconds,
            config.client_documents_max,
        );
        let externals = external::providers(&parts)?;
        let person_key = match externals.as_slice() {
            [] => None,
            _ => Some(PersonKey::load_or_generate(&parts.directory, parts.random.as_ref())?),
        };
        let passkeys = Passkeys::new(parts.site.issuer(), config.passkey_ceremonies_max);
        let tickets = Tickets::new(config.ticket_seconds, config.tickets_spent_max);
        let seal = Seal::new(parts.random.as_ref());
        Ok(Self {
            passkeys,
            passwords,
            throttle,
            registrations,
            documents,
            externals,
            person_key,
            tickets,
            seal,
            parts,
        })
    }

    /// Reads who visits a page of the console, and in which language. Pages of other modules on the console begin here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn visit(&self, parts: &Parts) -> Result<Visit, IdentityError> {
        let session = session::find(self.store(), &parts.headers, self.clock().unix())?;
        Ok(Visit::new(parts, session, &self.random().token(32)))
    }

    /// What making accounts needs.
    #[must_use]
    pub fn account_tools(&self) -> AccountTools<'_> {
        AccountTools {
            site: self.site(),
            passwords: &self.passwords,
            setup_days: self.parts.config.setup_days,
            clock: self.clock(),
            random: self.random(),
        }
    }

    /// The origins.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.parts.site
    }

    fn store(&self) -> &dyn Store {
        self.parts.store.as_ref()
    }

    fn config(&self) -> &IdentityConfig {
        &self.parts.config
    }

    fn clock(&self) -> &dyn Clock {
        self.parts.clock.as_ref()
    }

    fn random(&self) -> &dyn Random {
        self.parts.random.as_ref()
    }

    fn proofs(&self) -> &Authenticator {
        &self.parts.authenticator
    }

    fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    fn passkeys(&self) -> &Passkeys {
        &self.passkeys
    }

    fn sign_access_token(&self, claims: &serde_json::Value) -> Result<String, IdentityError> {
        self.parts
            .issuer
            .sign(claims)
            .map_err(|error| IdentityError::Sign(error.to_string()))
    }

    async fn sign_id_token(&self, algorithm: Algorithm, claims: serde_json::Value) -> Result<String, IdentityError> {
        let issuer = Arc::clone(&self.parts.issuer);
        // RSA takes its time, the more so when its key is made.
        let signed = tokio::task::spawn_blocking(move || issuer.sign_with(algorithm, "JWT", &claims)).await;
        let signed = signed.map_err(|error| IdentityError::Sign(error.to_string()))?;
        signed.map_err(|error| IdentityError::Sign(error.to_string()))
    }

    /// The public keys of the issuer. The first time, the one for RS256 has to be made.
    async fn keys(&self) -> Result<serde_json::Value, IdentityError> {
        let issuer = Arc::clone(&self.parts.issuer);
        let keys = tokio::task::spawn_blocking(move || issuer.jwks()).await;
        keys.map_err(|error| IdentityError::Sign(error.to_string()))
    }

    /// The client with an id, whichever way it made itself known.
    async fn client(&self, id: &str) -> Result<Result<Arc<Client>, UnknownClient>, IdentityError> {
        let now = self.clock().unix();
        if is_document(id) {
            return Ok(self.documents.client(id, now).await.map_err(UnknownClient::Document));
        }
        let found = client::registered(self.store().snapshot(account::permit())?.as_ref(), id, now)?;
        Ok(found.map(Arc::new).ok_or(UnknownClient::Unregistered))
    }
}

/// Why there is no client with an id.
#[derive(Debug, thiserror::Error)]
enum UnknownClient {
    /// Its document cannot be used.
    #[error(transparent)]
    Document(DocumentFault),
    /// It never registered, or the registration has ended.
    #[error("the client has not registered, or its registration has expired")]
    Unregistered,
}
