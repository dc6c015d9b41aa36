//! The pod server that is measured: the release binary as a process, over plain HTTP on loopback, with data prepared
//! before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pod_server::identity::account::{AccountKind, AccountTools, FirstLogin, NewAccount, create_account};
use pod_server::identity::{Passwords, Site, credential};
use pod_server::name::{Auxiliary, ResourceName};
use pod_server::store::{
    CommitError, NewBody, NewState, ResourceKind, SqliteStore, Store, StoreConfig, StoreError, Transaction, Warrant,
    commit,
};
use server_kit::clock::{Clock, SystemClock};
use server_kit::egress::{Egress, EgressConfig};
use server_kit::random::SystemRandom;
use server_kit::tls::LocalAuthority;

use crate::bench::BenchError;
use crate::bench::process::Pinned;
use crate::pod::Client;
use crate::scenario::party::Party;

/// Core of the servers.
pub const SERVER_CORE: usize = 0;

/// What lies on a server that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// Members of `/bench/list/`.
    pub members: usize,
    /// Members of `/bench/many/`.
    pub many: usize,
    /// Whether it speaks TLS.
    pub encrypted: bool,
}

/// Files of a certificate (PEM).
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain.
    pub certificate_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// The authority that it is by.
    pub authority_file: PathBuf,
}

/// Longest wait for a server to start, in steps of [`START_STEP`].
const START_STEPS_MAX: usize = 6_000;

/// Longest wait until the index has read everything.
const INDEX_WAIT_MAX: Duration = Duration::from_secs(900);

/// Connections that a server takes: subscribers, and the load beside them.
const CONNECTIONS_MAX: usize = 12_000;

/// How often a starting server is looked at.
const START_STEP: Duration = Duration::from_millis(10);

/// Documents made in one commit.
const PER_COMMIT: usize = 1_000;

/// A running pod server.
pub struct Subject {
    /// Where it listens, on loopback.
    pub address: SocketAddr,
    /// Authority of the content, as requests name it.
    pub authority: String,
    /// Origin of the content.
    pub base_url: String,
    /// The owner, with client credentials.
    pub owner: Party,
    /// Where the operator asks for its health.
    pub admin_url: String,
    /// The process.
    pub process: Pinned,
    /// Where everything lies.
    pub folder: PathBuf,
    /// Its certificate, if it speaks TLS.
    pub certificate: Option<Certificate>,
}

impl Subject {
    /// Makes an account, its documents and lists, and starts the server.
    ///
    /// # Errors
    /// What could not be prepared, or the server's last words.
    pub async fn start(folder: &Path, binary: &Path, content: Content) -> Result<Self, BenchError> {
        std::fs::create_dir_all(folder)?;
        let [port, console_port, admin_port] = free_ports()?;
        let certificate = content.encrypted.then(|| certificate(folder)).transpose()?;
        let scheme = if content.encrypted { "https" } else { "http" };
        let [base_url, console_url] = [port, console_port].map(|port| format!("{scheme}://127.0.0.1:{port}/"));
        let owner = prepare(&folder.join("store"), &base_url, &console_url, content).await?;
        let config = write_config(
            folder,
            [port, console_port, admin_port],
            &base_url,
            &console_url,
            certificate.as_ref(),
        )?;
        let log = folder.join("log.txt");
        let process = Pinned::start(binary, &["serve", "--config", &config], SERVER_CORE, &log)?;
        let mut subject = Self {
            address: loopback(port),
            authority: format!("127.0.0.1:{port}"),
            admin_url: format!("http://127.0.0.1:{admin_port}/"),
            base_url,
            owner,
            process,
            folder: folder.to_path_buf(),
            certificate,
        };
        subject.await_start(&log).await?;
        subject.await_index().await?;
        Ok(subject)
    }

    /// Waits until the operator's listener calls the server ready, which it is with its index; answers how long that
    /// took, in seconds. What it does meanwhile must not count as the cost of requests.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn await_index(&self) -> Result<f64, BenchError> {
        let began = Instant::now();
        let client = Client::new(&self.admin_url);
        while began.elapsed() < INDEX_WAIT_MAX {
            if client.get("/health/ready").await.status.is_success() {
                return Ok(began.elapsed().as_secs_f64());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(BenchError("the index was not ready in time".to_owned()))
    }

    /// Ends the process, and waits until it has closed its store.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<(), BenchError> {
        self.process.terminate()?;
        for _ in 0..START_STEPS_MAX {
            if !self.process.runs() {
                return Ok(());
            }
            tokio::time::sleep(START_STEP).await;
        }
        Err(BenchError("the server did not stop".to_owned()))
    }

    /// Starts the process again, on what its folder holds by now.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self, binary: &Path) -> Result<(), BenchError> {
        let config = self.folder.join("pod-server.toml").display().to_string();
        let log = self.folder.join("log.txt");
        self.process = Pinned::start(binary, &["serve", "--config", &config], SERVER_CORE, &log)?;
        self.await_start(&log).await
    }

    /// Waits until the server accepts connections.
    ///
    /// # Errors
    /// The last lines of its log, if it ends or takes too long.
    pub async fn await_start(&mut self, log: &Path) -> Result<(), BenchError> {
        if self.answers().await {
            return Ok(());
        }
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        Err(BenchError(format!("the server did not start: {}", last.join(" | "))))
    }

    async fn answers(&mut self) -> bool {
        for _ in 0..START_STEPS_MAX {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return true;
            }
            if !self.process.runs() {
                return false;
            }
            tokio::time::sleep(START_STEP).await;
        }
        false
    }
}

/// A certificate for the loopback address by an authority of its own.
fn certificate(folder: &Path) -> Result<Certificate, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::of("the certificate", error);
    let now = SystemClock.now();
    let authority = LocalAuthority::generate("measurement", now).map_err(|error| failed(&error))?;
    let made = authority
        .certificate(&["127.0.0.1".to_owned()], now)
        .map_err(|error| failed(&error))?;
    let files = Certificate {
        certificate_file: folder.join("certificate.pem"),
        key_file: folder.join("key.pem"),
        authority_file: folder.join("authority.pem"),
    };
    made.write(&files.certificate_file, &files.key_file)
        .map_err(|error| failed(&error))?;
    std::fs::write(&files.authority_file, authority.certificate_pem())?;
    Ok(files)
}

fn write_config(
    folder: &Path,
    [content, console, admin]: [u16; 3],
    base_url: &str,
    console_url: &str,
    certificate: Option<&Certificate>,
) -> Result<String, BenchError> {
    let tls = certificate.map_or(String::new(), |files| {
        format!(
            "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n\n",
            files.certificate_file.display(),
            files.key_file.display()
        )
    });
    let text = format!(
        "[server]\nbase_url = \"{base_url}\"\nconsole_url = \"{console_url}\"\ncontent_listen = \"127.0.0.1:{content}\"\n\
         console_listen = \"127.0.0.1:{console}\"\n\n{tls}[admin]\nlisten = \"127.0.0.1:{admin}\"\n\n[store]\n\
         directory = \"{}\"\n\n[egress]\nallow = [\"127.0.0.1:*\"]\n\n[connections]\nconnections_max = {CONNECTIONS_MAX}\nconnections_per_network_max = {CONNECTIONS_MAX}\n",
        folder.join("store").display()
    );
    let config = folder.join("pod-server.toml");
    std::fs::write(&config, text)?;
    Ok(config.display().to_string())
}

/// Requests of the measurement itself: to loopback addresses only.
///
/// # Errors
/// When the guard cannot be set up.
pub fn egress() -> Result<Arc<Egress>, BenchError> {
    let config = EgressConfig {
        allow: vec!["127.0.0.1:*".to_owned(), "localhost:*".to_owned()],
        ..EgressConfig::default()
    };
    let egress = Egress::new(config).map_err(|error| BenchError::of("requests", &error))?;
    Ok(Arc::new(egress))
}

/// A port of the loopback address.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Ports that are free now, below those that the system gives to outgoing connections: nobody gets them by chance between
/// this look and the start of a server.
///
/// # Errors
/// When there are none.
pub fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT], BenchError> {
    const FIRST: u16 = 20_000;
    const RANGE: u16 = 10_000;
    let first = u16::try_from(std::process::id() % u32::from(RANGE)).unwrap_or_default();
    let mut found = [0; COUNT];
    let mut candidates = (0..RANGE).map(|step| FIRST + (first + step) % RANGE);
    for port in &mut found {
        *port = candidates
            .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .ok_or_else(|| BenchError("no port is free".to_owned()))?;
    }
    Ok(found)
}

/// A Turtle document of one kilobyte, as a sensor would write it.
#[must_use]
pub fn document(number: usize) -> String {
    let mut text = String::from(
        "@prefix sosa: <http://www.w3.org/ns/sosa/> .\n@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n",
    );
    for observation in 0.. {
        let line = format!(
            "<#o{observation}> a sosa:Observation ; sosa:hasSimpleResult {} ; sosa:resultTime \"2025-11-20T{observation:02}:00:00Z\"^^xsd:dateTime .\n",
            number % 100 + observation
        );
        if text.len() + line.len() > 1_022 {
            break;
        }
        text.push_str(&line);
    }
    let missing = 1_024_usize.saturating_sub(text.len() + 2);
    text.push_str(&format!("#{}\n", "-".repeat(missing)));
    text
}

async fn prepare(store: &Path, base_url: &str, console_url: &str, content: Content) -> Result<Party, BenchError> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(StoreConfig::new(store), Arc::new(SystemClock))?);
    let failed = |error: &dyn std::fmt::Display| BenchError::of("the account", error);
    let passwords = Passwords::new(Default::default(), &SystemRandom).map_err(|error| failed(&error))?;
    let site = Site::new(base_url, console_url);
    let tools = AccountTools {
        site: &site,
        passwords: &passwords,
        setup_days: 1,
        clock: &SystemClock,
        random: &SystemRandom,
    };
    let new = NewAccount {
        name: "bench".to_owned(),
        label: "Measurement".to_owned(),
        kind: AccountKind::Organisation,
        first_login: FirstLogin::SetupLink,
    };
    let created = create_account(store.as_ref(), tools, new)
        .await
        .map_err(|error| failed(&error))?;
    let credential = credential::create(
        store.as_ref(),
        &created.account.id,
        "bench",
        1,
        &SystemClock,
        &SystemRandom,
    )
    .await
    .map_err(|error| failed(&error))?
    .ok_or_else(|| failed(&"no credentials"))?;
    let web_id = created.account.webid;
    let mut documents = documents(&web_id, content)?;
    while !documents.is_empty() {
        let rest = documents.split_off(documents.len().min(PER_COMMIT));
        write(&store, std::mem::replace(&mut documents, rest)).await?;
    }
    let client = (credential.id, credential.secret);
    Ok(Party::new(&web_id, console_url, client, &egress()?)?)
}

/// An access control list that gives everyone modes, and the owner all of them.
#[must_use]
pub fn open_list(web_id: &str, modes: &str) -> String {
    format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .\n\
         <#owner> a acl:Authorization ; acl:agent <{web_id}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .\n\
         <#all> a acl:Authorization ; acl:agentClass foaf:Agent ; acl:accessTo <./> ; acl:default <./> ; acl:mode {modes} ."
    )
}

/// A member of a container that is listed.
#[must_use]
pub fn member(number: usize) -> String {
    format!("<> <http://purl.org/dc/terms/identifier> {number} .\n")
}

fn documents(web_id: &str, content: Content) -> Result<Vec<(ResourceName, String)>, BenchError> {
    let mut documents = vec![
        (name("/bench/public/document.ttl")?, document(1)),
        (name("/bench/private/document.ttl")?, document(2)),
        (name("/bench/put/first.ttl")?, document(3)),
        (acl("/bench/public/")?, open_list(web_id, "acl:Read")),
        (
            acl("/bench/put/")?,
            open_list(web_id, "acl:Read, acl:Write, acl:Append"),
        ),
    ];
    for (container, members) in [("/bench/list/", content.members), ("/bench/many/", content.many)] {
        for number in 0..members {
            documents.push((name(&format!("{container}member-{number:06}.ttl"))?, member(number)));
        }
        if members > 0 {
            documents.push((acl(container)?, open_list(web_id, "acl:Read")));
        }
    }
    Ok(documents)
}

fn name(path: &str) -> Result<ResourceName, BenchError> {
    ResourceName::parse(path).map_err(|error| BenchError::of(path, &error))
}

fn acl(container: &str) -> Result<ResourceName, BenchError> {
    Ok(name(container)?.auxiliary(Auxiliary::Acl))
}

async fn write(store: &Arc<dyn Store>, documents: Vec<(ResourceName, String)>) -> Result<(), StoreError> {
    let work = move |transaction: &mut dyn Transaction| -> Result<(), CommitError<()>> {
        for (name, text) in &documents {
            let state = NewState {
                kind: ResourceKind::RdfSource,
                media_type: "text/turtle".to_owned(),
                body: NewBody::Bytes(Bytes::from(text.clone())),
            };
            transaction.put(name, state)?;
        }
        Ok(())
    };
    let warrant = Warrant::without_proof("documents of a measurement, made on a stopped server");
    match commit(&**store, warrant, Box::new(work)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Refused(())) => Err(StoreError::Stopped),
    }
}
