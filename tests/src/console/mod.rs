//! A console of its own for a test: a real store, the built-in issuer, and a real socket.

mod application;
mod resident;
mod visitor;

use std::net::SocketAddr;
use std::sync::Arc;

use pod_server::identity::standing::{GrantEpochs, StandingGrants};
use pod_server::identity::{
    AccountKind, CreatedAccount, FirstLogin, Identity, IdentityConfig, IdentityParts, NewAccount, Site, create_account,
};
use pod_server::store::Store;
use pod_server::store::sqlite::{SqliteStore, StoreConfig};
use server_kit::authn::{Authenticator, AuthnConfig, LocalIssuer};
use server_kit::clock::{Clock, FixedClock, SystemClock};
use server_kit::egress::{Egress, EgressConfig};
use server_kit::random::SystemRandom;
use server_kit::serve::{Handler, ListenConfig, Listener, ServeLimits, serve};
use server_kit::shutdown::Shutdown;
use server_kit::tls::{LocalAuthority, RootsConfig, TlsConfig, client_config};

pub use application::{Application, REDIRECT_URI, Tokens, parameter, pkce};
pub use resident::{Resident, quick_settings, secure_settings};
pub use visitor::{Answer, Visitor, Wire, send};

/// What tests stop on; they have nobody to tell.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A running console.
pub struct Console {
    /// Origin, with a closing slash; also the issuer.
    pub url: String,
    /// How it is reached.
    pub wire: Wire,
    /// What answers.
    pub identity: Arc<Identity>,
    /// The store behind it.
    pub store: Arc<dyn Store>,
    /// The time that it lives in; it stands still unless moved.
    pub clock: Arc<FixedClock>,
    /// Verifies what the console signs, as a resource server would.
    pub authenticator: Arc<Authenticator>,
    shutdown: Shutdown,
    _directory: tempfile::TempDir,
}

impl Drop for Console {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// Settings that make hashing quick; everything else as in production.
#[must_use]
pub fn quick() -> IdentityConfig {
    let mut config = IdentityConfig::default();
    config.password.memory_kibibytes = 64;
    config.password.passes = 1;
    config.registration_open = true;
    config
}

impl Console {
    /// Starts a console with plain HTTP on loopback.
    ///
    /// # Errors
    /// When any part cannot start.
    pub async fn start(config: IdentityConfig) -> Result<Self, Failure> {
        Self::start_with(config, false).await
    }

    /// Starts a console with TLS under a certificate that nobody trusts but this test.
    ///
    /// # Errors
    /// When any part cannot start.
    pub async fn start_tls(config: IdentityConfig) -> Result<Self, Failure> {
        Self::start_with(config, true).await
    }

    async fn start_with(config: IdentityConfig, encrypted: bool) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let clock = Arc::new(FixedClock::at_unix(SystemClock.unix()));
        let (tls, trust) = if encrypted {
            let (tls, trust) = certificate(&directory)?;
            (Some(tls), Some(trust))
        } else {
            (None, None)
        };
        let listen = ListenConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls,
            plain_http: false,
        };
        let listener = Listener::bind(&listen).await?;
        let address = listener.local_address()?;
        let scheme = if encrypted { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}/", address.port());
        let site = Site::new("https://pod.example/", &url);
        let egress = Arc::new(Egress::new(EgressConfig {
            allow: vec!["127.0.0.1:*".to_owned(), "localhost:*".to_owned()],
            ..EgressConfig::default()
        })?);
        let issuer = Arc::new(LocalIssuer::load_or_generate(
            site.issuer(),
            &directory.path().join("issuer.jwk"),
        )?);
        let time: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(
            StoreConfig::new(directory.path().join("store")),
            Arc::clone(&time),
        )?);
        let profiles = pod_server::identity::profiles::StoredProfiles::new(Arc::clone(&store), site.origins());
        let authenticator = Authenticator::new(
            AuthnConfig::default(),
            Arc::clone(&egress),
            Arc::clone(&time),
            Some(Arc::clone(&issuer)),
        )?;
        let epochs = Arc::new(GrantEpochs::default());
        store.listen(Arc::clone(&epochs) as _);
        let grants = StandingGrants::new(Arc::clone(&store), epochs);
        let authenticator = authenticator
            .with_local_profiles(Arc::new(profiles))
            .with_local_grants(Arc::new(grants));
        let authenticator = Arc::new(authenticator);
        let identity = Arc::new(Identity::new(IdentityParts {
            store: Arc::clone(&store),
            site,
            config,
            issuer,
            authenticator: Arc::clone(&authenticator),
            egress,
            clock: time,
            random: Arc::new(SystemRandom),
            directory: directory.path().to_owned(),
            quota_bytes_max: 1 << 30,
        })?);
        let answering = Arc::clone(&identity);
        let handler: Handler = Arc::new(move |request, peer| {
            let identity = Arc::clone(&answering);
            Box::pin(async move {
                match identity.handle(request, peer.client).await {
                    Ok(response) => response,
                    Err(error) => server_kit::problem::Problem::internal()
                        .detail(error.to_string())
                        .into_response(),
                }
            })
        });
        let shutdown = Shutdown::new();
        tokio::spawn(serve(listener, handler, shutdown.clone(), ServeLimits::default()));
        Ok(Self {
            url,
            wire: Wire { address, tls: trust },
            identity,
            store,
            clock,
            authenticator,
            shutdown,
            _directory: directory,
        })
    }

    /// Makes an account that logs in with a password.
    ///
    /// # Errors
    /// When the account cannot be made.
    pub async fn account(&self, name: &str, password: &str) -> Result<CreatedAccount, Failure> {
        let new = NewAccount {
            name: name.to_owned(),
            label: format!("{name} & co"),
            kind: AccountKind::Organisation,
            first_login: FirstLogin::Password(password.to_owned()),
        };
        Ok(create_account(self.store.as_ref(), self.identity.account_tools(), new).await?)
    }

    /// A URL of the console.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{}", self.url, path.trim_start_matches('/'))
    }
}

fn certificate(directory: &tempfile::TempDir) -> Result<(TlsConfig, Arc<rustls::ClientConfig>), Failure> {
    let now = SystemClock.now();
    let authority = LocalAuthority::generate("Meent test authority", now)?;
    let file = |name: &str| directory.path().join(name);
    let (certificate, key, trusted) = (file("tls.pem"), file("tls.key"), file("authority.pem"));
    authority
        .certificate(&["localhost".to_owned()], now)?
        .write(&certificate, &key)?;
    std::fs::write(&trusted, authority.certificate_pem())?;
    let trust = client_config(&RootsConfig {
        system_ca_file: None,
        extra_ca_file: Some(trusted),
    })?;
    let tls = serde_json::from_value(serde_json::json!({ "certificate_file": certificate, "key_file": key }))?;
    Ok((tls, Arc::new(trust)))
}
