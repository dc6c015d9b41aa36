//! A server under test as suites need it: over TLS, with two people who have passwords and client credentials.

use std::path::{Path, PathBuf};

use pod_server::error::Error;
use pod_server::identity::{AccountKind, FirstLogin, NewAccount, create_account, credential};
use pod_server::name::{Auxiliary, ResourceName};
use pod_server::store::{NewBody, NewState, ResourceKind, Transaction, Warrant, commit};
use serde::Serialize;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;
use server_kit::tls::LocalAuthority;

use super::ConformanceError;
use crate::pod::{PodServer, PodSettings};

/// Someone who uses the server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: String,
    /// WebID.
    pub web_id: String,
    /// Own storage, with a closing slash.
    pub storage: String,
    /// Client id for client credentials.
    pub client_id: String,
    /// Secret for client credentials.
    pub client_secret: String,
}

/// What a suite must know about the server it runs against.
#[derive(Clone, Debug, Serialize)]
pub struct Subject {
    /// Origin of pod content, with a closing slash.
    pub base: String,
    /// Issuer, with a closing slash.
    pub issuer: String,
    /// Certificate of the authority that signed the server's, for clients to trust.
    pub ca: PathBuf,
    /// Who owns what is tested.
    pub alice: Person,
    /// Who is someone else.
    pub bob: Person,
}

/// A pod server of ours with its subject; gone when dropped.
pub struct Ours {
    /// What suites are told.
    pub subject: Subject,
    /// The server.
    pub server: PodServer,
    folder: tempfile::TempDir,
}

impl Ours {
    /// Starts a server with a certificate of its own authority on `localhost`.
    ///
    /// # Errors
    /// When certificates or accounts cannot be made.
    pub async fn start() -> Result<Self, ConformanceError> {
        Self::start_with(serde_json::json!({})).await
    }

    /// The same with changed settings, section by section.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(changes: PodSettings) -> Result<Self, ConformanceError> {
        let folder = tempfile::tempdir()?;
        let ca = certificates(folder.path())?;
        let mut settings = serde_json::json!({
            "server": { "base_url": "https://localhost:0/", "console_url": "https://localhost:0/" },
            "tls": {
                "certificate_file": folder.path().join("certificate.pem"),
                "key_file": folder.path().join("key.pem"),
            },
            "egress": { "allow": ["localhost:*"], "roots": { "extra_ca_file": ca } },
            "identity": { "password": { "memory_kibibytes": 64, "passes": 1 } },
        });
        for (section, values) in changes.as_object().into_iter().flatten() {
            settings[section.as_str()] = values.clone();
        }
        let server = PodServer::start_with(settings).await;
        let (alice, bob) = (person(&server, "alice").await?, person(&server, "bob").await?);
        let subject = Subject {
            base: server.base_url.clone(),
            issuer: server.console_url.clone(),
            ca,
            alice,
            bob,
        };
        Ok(Self {
            subject,
            server,
            folder,
        })
    }

    /// Makes a container in Alice's storage that everyone may read and write.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn open_to_everyone(&self, name: &str) -> Result<(), ConformanceError> {
        let failed = |error: &dyn std::fmt::Display| ConformanceError(format!("the container {name}: {error}"));
        let path = format!("/{}/{name}/", self.subject.alice.name);
        let container = ResourceName::parse(&path).map_err(|error| failed(&error))?;
        let list = format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.\n\
             <#all> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:default <./>; \
             acl:mode acl:Read, acl:Write.\n\
             <#owner> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; acl:default <./>; \
             acl:mode acl:Read, acl:Write, acl:Control.\n",
            self.subject.alice.web_id
        );
        let work = move |transaction: &mut dyn Transaction| {
            let turtle = |text: String, kind| NewState {
                kind,
                media_type: "text/turtle".to_owned(),
                body: NewBody::Bytes(text.into()),
            };
            transaction.put(&container, turtle(String::new(), ResourceKind::Container))?;
            transaction.put(
                &container.auxiliary(Auxiliary::Acl),
                turtle(list, ResourceKind::RdfSource),
            )?;
            Ok(())
        };
        let warrant = Warrant::without_proof("a suite is given a container");
        commit::<(), Error>(self.server.app.store.as_ref(), warrant, Box::new(work))
            .await
            .map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Writes what suites are told into a file and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self) -> Result<PathBuf, ConformanceError> {
        let path = self.folder.path().join("subject.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&self.subject)?)?;
        Ok(path)
    }
}

/// A certificate for `localhost` and the authority that signed it; gives the authority's file.
fn certificates(folder: &Path) -> Result<PathBuf, ConformanceError> {
    let failed = |error: &dyn std::fmt::Display| ConformanceError(format!("certificates: {error}"));
    let now = SystemClock.now();
    let authority = LocalAuthority::generate("Meent conformance", now).map_err(|error| failed(&error))?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = authority.certificate(&names, now).map_err(|error| failed(&error))?;
    leaf.write(&folder.join("certificate.pem"), &folder.join("key.pem"))
        .map_err(|error| failed(&error))?;
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, authority.certificate_pem())?;
    Ok(ca)
}

async fn person(server: &PodServer, name: &str) -> Result<Person, ConformanceError> {
    let failed = |error: &dyn std::fmt::Display| ConformanceError(format!("the account of {name}: {error}"));
    let password = format!("the pass words of {name}");
    let new = NewAccount {
        name: name.to_owned(),
        label: name.to_owned(),
        kind: AccountKind::Person,
        first_login: FirstLogin::Password(password.clone()),
    };
    let store = server.app.store.as_ref();
    let tools = server.app.identity.account_tools();
    let created = create_account(store, tools, new)
        .await
        .map_err(|error| failed(&error))?;
    let made = credential::create(store, &created.account.id, "suites", 10, &SystemClock, &SystemRandom).await;
    let made = made
        .map_err(|error| failed(&error))?
        .ok_or_else(|| failed(&"no credentials"))?;
    Ok(Person {
        name: name.to_owned(),
        password,
        web_id: format!("{}{name}/profile/card#me", server.base_url),
        storage: format!("{}{name}/", server.base_url),
        client_id: made.id,
        client_secret: made.secret,
    })
}
