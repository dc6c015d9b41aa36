//! Everything an operator can set about identity, with units in the names.

use std::path::PathBuf;

use serde::Deserialize;

/// Accounts, sessions, tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// Whether anyone may open an account on the page; the operator's commands always can.
    pub registration_open: bool,
    /// Whether applications may register themselves (RFC 7591). Without it they need a client identifier document.
    pub client_registration_open: bool,
    /// Registrations of clients that one network may make in an hour before it has to wait.
    pub client_registrations_per_hour: u32,
    /// How long an access token counts, in seconds.
    pub access_token_seconds: u32,
    /// How long an authorization code counts, in seconds.
    pub code_seconds: u32,
    /// How long an application may keep refreshing without being used, in days.
    pub refresh_days: u32,
    /// How long a session of the console lasts, in hours.
    pub session_hours: u32,
    /// How long a link for the first password counts, in days.
    pub setup_days: u32,
    /// How long a client that registered itself is kept, in days.
    pub client_registration_days: u32,
    /// How long a client identifier document is kept before it is read again, in seconds.
    pub client_document_seconds: u32,
    /// Client identifier documents that are kept.
    pub client_documents_max: usize,
    /// Largest client identifier document, in bytes.
    pub client_document_bytes_max: u64,
    /// Client credentials that one account may have.
    pub credentials_max: usize,
    /// Applications that one account may have approved.
    pub applications_max: usize,
    /// Whether ID tokens may be exchanged for access tokens (UMA 2.0), also those of other issuers.
    pub uma: bool,
    /// How long an access token counts that was given for an ID token, in seconds.
    pub exchanged_token_seconds: u32,
    /// How long the ticket of a refused request counts, in seconds.
    pub ticket_seconds: u32,
    /// Used tickets that are remembered; more exchanges have to wait.
    pub tickets_spent_max: usize,
    /// Other OpenID providers through which people may log in.
    pub external: Vec<ExternalProvider>,
    /// Storages that one account may have by its holder's own doing; the operator may make more.
    pub storages_max: usize,
    /// WebIDs that one account may have besides its first.
    pub webids_max: usize,
    /// How long somebody who wants to leave may come back before everything is erased, in days.
    pub leaving_days: u32,
    /// Passkeys that one account may have.
    pub passkeys_max: usize,
    /// Ceremonies of passkeys that may be under way; the oldest give way.
    pub passkey_ceremonies_max: usize,
    /// How long after a login ways into the account may be changed, in minutes; later the person logs in again first.
    pub confirmed_minutes: u32,
    /// How passwords are hashed.
    pub password: PasswordConfig,
    /// How guessing is slowed down.
    pub throttle: ThrottleConfig,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            registration_open: false,
            client_registration_open: true,
            client_registrations_per_hour: 1_000,
            access_token_seconds: 3_600,
            code_seconds: 60,
            refresh_days: 30,
            session_hours: 12,
            setup_days: 90,
            client_registration_days: 30,
            client_document_seconds: 300,
            client_documents_max: 1_000,
            client_document_bytes_max: 64 * 1024,
            credentials_max: 100,
            applications_max: 200,
            uma: true,
            exchanged_token_seconds: 300,
            ticket_seconds: 300,
            tickets_spent_max: 100_000,
            external: Vec::new(),
            storages_max: 20,
            webids_max: 10,
            leaving_days: 30,
            passkeys_max: 20,
            passkey_ceremonies_max: 20_000,
            confirmed_minutes: 15,
            password: PasswordConfig::default(),
            throttle: ThrottleConfig::default(),
        }
    }
}

/// Another OpenID provider through which people may log in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalProvider {
    /// Its name in URLs: lower-case letters, digits, inner hyphens. `{console}/external/{name}/callback` is the redirect URI
    /// to register there.
    pub name: String,
    /// What people know it by.
    pub label: String,
    /// Its issuer IRI, exactly as its ID tokens say it.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// File of mode 0600 with our secret there.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Whether the secret is sent in the body instead of the `Authorization` header field.
    #[serde(default)]
    pub secret_in_body: bool,
    /// File of mode 0600 with a private JWK (EC P-256 or RSA), for `private_key_jwt` instead of a secret.
    #[serde(default)]
    pub private_key_file: Option<PathBuf>,
    /// File of mode 0600 with a private JWK (RSA or EC P-256) for which the provider encrypts its ID tokens. Our public keys
    /// stand at `{console}/external/{name}/jwks`.
    #[serde(default)]
    pub decryption_key_file: Option<PathBuf>,
    /// Scopes to ask for besides `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Assurance levels (`acr`) that are asked for and accepted; none accepts any.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// The claim that names a person for good. Choose one that is not given to anybody else, and no national number.
    #[serde(default = "subject")]
    pub subject_claim: String,
    /// The claim that says how a new account's holder is called.
    #[serde(default)]
    pub label_claim: Option<String>,
    /// What happens when a person comes who is linked to no account.
    #[serde(default)]
    pub first_login: ExternalFirstLogin,
}

fn subject() -> String {
    "sub".to_owned()
}

/// What happens when a person comes through another provider for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExternalFirstLogin {
    /// Nothing: an account holder links the account first, on the account page.
    #[default]
    Link,
    /// An account is made.
    Create,
}

/// How passwords are hashed: argon2id (RFC 9106).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordConfig {
    /// Shortest password, in characters.
    pub characters_min: usize,
    /// Memory for one hash, in kibibytes.
    pub memory_kibibytes: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Hashes that are computed at one time.
    pub concurrent_max: usize,
    /// Hashes that may wait for their turn; more are answered with 503.
    pub waiting_max: usize,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            characters_min: 10,
            memory_kibibytes: 19 * 1024,
            passes: 2,
            concurrent_max: 2,
            waiting_max: 256,
        }
    }
}

/// How guessing is slowed down. Only failures count, and no account is ever locked (T44).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleConfig {
    /// Failures of one name from one network before it has to wait.
    pub failures_free: u32,
    /// Failures from one network over all names before it has to wait.
    pub network_failures_free: u32,
    /// Longest wait, in seconds.
    pub wait_seconds_max: u32,
    /// Pairs of name and network that are remembered.
    pub entries_max: usize,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            failures_free: 5,
            network_failures_free: 100,
            wait_seconds_max: 300,
            entries_max: 100_000,
        }
    }
}
