//! The pod server that is measured: the release binary as a process, over plain HTTP on loopback, with data prepared
//! before it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pod_server::identity::account::{AccountKind, AccountTools, FirstLogin, NewAccount, create_account};
use pod_server::identity::{Passwords, Site, credential};
use pod_server::name::{Auxiliary, ResourceName};
use pod_server::store::{
    CommitError, NewBody, NewState, ResourceKind, SqliteStore, Store, StoreConfig, StoreError, Transaction, Warrant,
    commit,
};
use server_kit::clock::SystemClock;
use server_kit::egress::{Egress, EgressConfig};
use server_kit::random::SystemRandom;

use super::BenchError;
use super::process::Pinned;
use crate::scenario::party::Party;

/// Core of the servers.
pub const SERVER_CORE: usize = 0;

/// Members of the container that is listed.
pub const MEMBERS: usize = 10_000;

/// Documents made in one commit.
const PER_COMMIT: usize = 1_000;

/// A running pod server.
pub struct Subject {
    /// Authority of the content: `127.0.0.1:port`.
    pub authority: String,
    /// Origin of the content.
    pub base_url: String,
    /// The owner, with client credentials.
    pub owner: Party,
    /// The process.
    pub process: Pinned,
    /// Where everything lies.
    pub folder: PathBuf,
}

impl Subject {
    /// Makes an account, its documents and lists, and starts the server.
    ///
    /// # Errors
    /// What could not be prepared, or the server's last words.
    pub async fn start(folder: &Path, binary: &Path) -> Result<Self, BenchError> {
        let [content, console, admin] = free_ports()?;
        let base_url = format!("http://127.0.0.1:{content}/");
        let console_url = format!("http://127.0.0.1:{console}/");
        let egress = EgressConfig {
            allow: vec!["127.0.0.1:*".to_owned()],
            ..EgressConfig::default()
        };
        let egress = Arc::new(Egress::new(egress).map_err(|error| BenchError::of("requests", &error))?);
        let store = folder.join("store");
        let owner = prepare(&store, &base_url, &console_url, &egress).await?;
        let config = folder.join("pod-server.toml");
        std::fs::write(
            &config,
            format!(
                "[server]\nbase_url = \"{base_url}\"\nconsole_url = \"{console_url}\"\ncontent_listen = \"127.0.0.1:{content}\"\n\
                 console_listen = \"127.0.0.1:{console}\"\n\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\n[store]\ndirectory = \"{}\"\n\n\
                 [egress]\nallow = [\"127.0.0.1:*\"]\n",
                store.display()
            ),
        )?;
        let log = folder.join("log.txt");
        let config = config.display().to_string();
        let process = Pinned::start(binary, &["serve", "--config", &config], SERVER_CORE, &log)?;
        let mut subject = Self {
            authority: format!("127.0.0.1:{content}"),
            base_url,
            owner,
            process,
            folder: folder.to_path_buf(),
        };
        if !subject.answers().await {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            return Err(BenchError(format!(
                "the pod server did not start: {}",
                last.join(" | ")
            )));
        }
        Ok(subject)
    }

    async fn answers(&mut self) -> bool {
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(&self.authority).await.is_ok() {
                return true;
            }
            if !self.process.runs() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
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

async fn prepare(store: &Path, base_url: &str, console_url: &str, egress: &Arc<Egress>) -> Result<Party, BenchError> {
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
    let open = |modes: &str| {
        format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .\n\
             <#owner> a acl:Authorization ; acl:agent <{web_id}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .\n\
             <#all> a acl:Authorization ; acl:agentClass foaf:Agent ; acl:accessTo <./> ; acl:default <./> ; acl:mode {modes} ."
        )
    };
    let mut documents = vec![
        (name("/bench/public/document.ttl")?, document(1)),
        (name("/bench/private/document.ttl")?, document(2)),
    ];
    for number in 0..MEMBERS {
        let path = format!("/bench/list/member-{number:05}.ttl");
        documents.push((
            name(&path)?,
            format!("<> <http://purl.org/dc/terms/identifier> {number} .\n"),
        ));
    }
    documents.push((acl("/bench/public/")?, open("acl:Read")));
    documents.push((acl("/bench/list/")?, open("acl:Read")));
    documents.push((name("/bench/put/first.ttl")?, document(3)));
    documents.push((acl("/bench/put/")?, open("acl:Read, acl:Write, acl:Append")));
    for group in documents.chunks(PER_COMMIT) {
        write(&store, group.to_vec()).await?;
    }
    let client = (credential.id, credential.secret);
    Ok(Party::new(&web_id, console_url, client, egress)?)
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
