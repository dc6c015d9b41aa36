//! The network as processes: one pod server for each member, the company's own, and the broker; with certificates of a
//! local authority, accounts and imported data.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pod_server::identity::account::{AccountKind, AccountTools, FirstLogin, NewAccount, create_accounts};
use pod_server::identity::{Passwords, Site, credential};
use pod_server::import::{self, ImportOptions, Progress, Report};
use pod_server::name::ResourceName;
use pod_server::origins::Origins;
use pod_server::store::{SqliteStore, StoreConfig};
use server_kit::clock::SystemClock;
use server_kit::egress::{Egress, EgressConfig, EgressRequest, Resolve, SystemResolver};
use server_kit::random::SystemRandom;
use server_kit::tls::LocalAuthority;
use time::OffsetDateTime;

use super::ScenarioError;
use super::input::Input;
use super::neighbours::{self, Counted};
use super::party::Party;

/// The members with a pod server each: name and label.
pub const MEMBERS: [(&str, &str); 7] = [
    ("gent", "Stad Gent"),
    ("kortrijk", "Stad Kortrijk"),
    ("brugge", "Stad Brugge"),
    ("mechelen", "Stad Mechelen"),
    ("abb", "Agentschap Binnenlands Bestuur"),
    ("statbel", "Statbel"),
    ("mobiliteit", "Mobiliteitsbedrijf"),
];

/// Password of every account of the scenario, for looking around afterwards.
pub const PASSWORD: &str = "meent-quickstart-2026";

/// Ports from one server's first to the next one's.
const PORTS_EACH: u16 = 10;

/// Members with names and labels of their own.
#[must_use]
pub fn owned(members: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, label): &(&str, &str)| ((*name).to_owned(), (*label).to_owned());
    members.iter().map(own).collect()
}

/// Which servers a network has, and how they find each other.
#[derive(Clone)]
pub struct Layout {
    /// Members with a pod server: name and label.
    pub members: Vec<(String, String)>,
    /// Host of a server in its URLs, by its name (`broker` is one).
    pub host: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// Address that every server listens on; the operator's listeners stay on loopback.
    pub listen: IpAddr,
    /// First of the ports that the network uses: ten for each server, a hundred at least.
    pub first_port: u16,
    /// How this process finds the hosts.
    pub resolver: Arc<dyn Resolve>,
}

impl Layout {
    /// All members on this machine.
    #[must_use]
    pub fn local(first_port: u16) -> Self {
        Self {
            members: owned(&MEMBERS),
            host: Arc::new(|_| "localhost".to_owned()),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            first_port,
            resolver: Arc::new(SystemResolver),
        }
    }

    /// The same with so many servers more, on which generated municipalities are hosted.
    #[must_use]
    pub fn with_hosting(mut self, servers: usize) -> Self {
        let hosting = (0..servers).map(|number| (neighbours::host(number), format!("Hosting {number:03}")));
        self.members.extend(hosting);
        self
    }

    /// The broker's port lies behind those of the members.
    fn broker_port(&self) -> u16 {
        let servers = u16::try_from(self.members.len()).unwrap_or(u16::MAX).max(9);
        self.first_port.saturating_add(servers.saturating_mul(PORTS_EACH))
    }

    /// Every host once.
    fn hosts(&self) -> BTreeSet<String> {
        let names = self.members.iter().map(|(name, _)| name.as_str()).chain(["broker"]);
        names.map(|name| (self.host)(name)).collect()
    }

    /// What every server and this process may connect to, as the configuration writes it.
    fn allowed(&self) -> Vec<String> {
        self.hosts().into_iter().map(|host| format!("{host}:*")).collect()
    }
}

/// A pod server's addresses.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Member.
    pub name: String,
    /// Origin of content.
    pub base_url: String,
    /// Origin of accounts and pages.
    pub console_url: String,
    /// Address of health and metrics.
    pub admin: String,
    /// Its folder: configuration, store, log.
    pub folder: PathBuf,
}

/// Where everything is, and who acts.
pub struct Network {
    /// Folder of the whole network.
    pub folder: PathBuf,
    /// Pod servers by member.
    pub pods: BTreeMap<String, Pod>,
    /// The broker's URL, with a closing slash.
    pub broker_url: String,
    /// Owners by member, citizens by storage, the company as `mobiliteit`.
    pub parties: BTreeMap<String, Party>,
    /// For requests without credentials.
    pub egress: Arc<Egress>,
    binaries: PathBuf,
    processes: BTreeMap<String, Child>,
}

impl Network {
    /// Prepares folders, certificates, accounts and data. Nothing runs yet.
    ///
    /// # Errors
    /// What could not be prepared.
    pub async fn prepare(
        folder: &Path,
        binaries: &Path,
        first_port: u16,
        input: &Input,
        progress: &mut dyn Progress,
        imported: &mut dyn FnMut(&str, &Report),
    ) -> Result<Self, ScenarioError> {
        Self::prepare_as(folder, binaries, &Layout::local(first_port), input, progress, imported).await
    }

    /// As [`prepare`](Self::prepare), in another layout.
    ///
    /// # Errors
    /// What could not be prepared.
    pub async fn prepare_as(
        folder: &Path,
        binaries: &Path,
        layout: &Layout,
        input: &Input,
        progress: &mut dyn Progress,
        imported: &mut dyn FnMut(&str, &Report),
    ) -> Result<Self, ScenarioError> {
        std::fs::create_dir_all(folder)?;
        certificates(folder, layout)?;
        let egress = EgressConfig {
            allow: layout.allowed(),
            roots: serde_json::from_value(serde_json::json!({ "extra_ca_file": folder.join("ca.pem") }))?,
            ..EgressConfig::default()
        };
        let egress = Egress::with_resolver(egress, Arc::clone(&layout.resolver));
        let egress = Arc::new(egress.map_err(|error| ScenarioError(error.to_string()))?);
        let broker_port = layout.broker_port();
        let mut network = Self {
            folder: folder.to_path_buf(),
            pods: BTreeMap::new(),
            broker_url: format!("https://{}:{broker_port}/", (layout.host)("broker")),
            parties: BTreeMap::new(),
            egress,
            binaries: binaries.to_path_buf(),
            processes: BTreeMap::new(),
        };
        for (number, (name, _)) in (0_u16..).zip(&layout.members) {
            let port = layout.first_port + PORTS_EACH * number;
            network.pods.insert(name.clone(), pod(folder, name, port, layout)?);
        }
        for (name, label) in &layout.members {
            network.furnish(name, label, input, progress, imported).await?;
        }
        network.configure_broker(broker_port, layout)?;
        Ok(network)
    }

    /// Makes one member's accounts and imports its data, while its server is not running.
    async fn furnish(
        &mut self,
        name: &str,
        label: &str,
        input: &Input,
        progress: &mut dyn Progress,
        imported: &mut dyn FnMut(&str, &Report),
    ) -> Result<(), ScenarioError> {
        let pod = self.pod(name)?.clone();
        let store = SqliteStore::open(StoreConfig::new(pod.folder.join("store")), Arc::new(SystemClock))?;
        let failed = |error: &dyn std::fmt::Display| ScenarioError(format!("{name}: {error}"));
        let passwords = Passwords::new(Default::default(), &SystemRandom).map_err(|error| failed(&error))?;
        let site = Site::new(&pod.base_url, &pod.console_url);
        let tools = AccountTools {
            site: &site,
            passwords: &passwords,
            setup_days: 30,
            clock: &SystemClock,
            random: &SystemRandom,
        };
        let mut accounts = vec![NewAccount {
            name: name.to_owned(),
            label: label.to_owned(),
            kind: AccountKind::Organisation,
            first_login: FirstLogin::Password(PASSWORD.to_owned()),
        }];
        if name == "kortrijk" {
            accounts.extend(input.citizens.iter().enumerate().map(|(number, citizen)| NewAccount {
                name: citizen.storage.clone(),
                label: format!("Telraam {}", citizen.segment),
                kind: AccountKind::Person,
                // A password hash takes its time on purpose: only the first citizens can log in on the page at once.
                first_login: if number < 3 {
                    FirstLogin::Password(PASSWORD.to_owned())
                } else {
                    FirstLogin::SetupLink
                },
            }));
        }
        let hosted = || input.neighbours.iter().filter(|counted| counted.neighbour.host == name);
        accounts.extend(hosted().map(|Counted { neighbour, .. }| NewAccount {
            name: neighbour.storage.clone(),
            label: neighbour.label.clone(),
            kind: AccountKind::Organisation,
            first_login: FirstLogin::SetupLink,
        }));
        for created in create_accounts(&store, tools, accounts)
            .await
            .map_err(|error| failed(&error))?
        {
            let account = created.account;
            let credential =
                credential::create_for_consent(&store, &account.id, "scenario", 10, &SystemClock, &SystemRandom)
                    .await
                    .map_err(|error| failed(&error))?
                    .ok_or_else(|| failed(&"no credentials"))?;
            let web_id = format!("{}{}/profile/card#me", pod.base_url, account.name);
            let party = Party::new(
                &web_id,
                &pod.console_url,
                (credential.id, credential.secret),
                &self.egress,
            )?;
            self.parties.insert(account.name, party);
        }
        for feed in input.feeds.iter().filter(|feed| feed.member == name) {
            let mapping = feed.mapping.map(mapping_text).transpose()?;
            let mut options = options(&pod, feed.into, mapping, feed.sources.clone())?;
            options.constants.clone_from(&feed.constants);
            let report = import::run(&store, &options, progress)
                .await
                .map_err(|error| failed(&error))?;
            imported(feed.into, &report);
        }
        for Counted { neighbour, file } in hosted() {
            let mapping = neighbour.mapping(&mapping_text("gent-fietstelpaal.rq")?);
            let options = options(&pod, &neighbour.container(), Some(mapping), vec![file.clone()])?;
            import::run(&store, &options, progress)
                .await
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    fn configure_broker(&self, port: u16, layout: &Layout) -> Result<(), ScenarioError> {
        let members: String = self
            .pods
            .values()
            .filter(|pod| pod.name != "mobiliteit")
            .map(|pod| format!("[[members]]\nname = \"{}\"\nurl = \"{}\"\n\n", pod.name, pod.base_url))
            .collect();
        let folder = self.folder.join("broker");
        std::fs::create_dir_all(&folder)?;
        let text = format!(
            "[server]\nbase_url = \"{url}\"\nlisten = \"{listen}\"\n\n{tls}\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\n\
             [state]\ndirectory = \"{folder}\"\n\n{egress}\n{members}",
            url = self.broker_url,
            listen = SocketAddr::new(layout.listen, port),
            tls = tls(&self.folder),
            admin = port + 2,
            folder = folder.join("state").display(),
            egress = egress_section(&self.folder, layout),
        );
        std::fs::write(folder.join("broker.toml"), text)?;
        Ok(())
    }

    /// Starts every server and waits until each is ready.
    ///
    /// # Errors
    /// The server that did not become ready, and its last words.
    pub async fn start(&mut self) -> Result<(), ScenarioError> {
        let names: Vec<String> = self.pods.keys().cloned().collect();
        for name in &names {
            self.spawn(name)?;
        }
        self.spawn("broker")?;
        for name in names.iter().map(String::as_str).chain(["broker"]) {
            self.ready(name).await?;
        }
        Ok(())
    }

    /// Starts one server (a member's name, or `broker`).
    ///
    /// # Errors
    /// When the process cannot start.
    pub fn spawn(&mut self, name: &str) -> Result<(), ScenarioError> {
        let binary = self
            .binaries
            .join(if name == "broker" { "broker" } else { "pod-server" });
        let folder = self.folder.join(name);
        let log = File::options().create(true).append(true).open(folder.join("log.txt"))?;
        let config = folder.join(if name == "broker" {
            "broker.toml"
        } else {
            "pod-server.toml"
        });
        let child = Command::new(&binary)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| ScenarioError(format!("{}: {error}", binary.display())))?;
        self.processes.insert(name.to_owned(), child);
        Ok(())
    }

    /// Waits until a server says that it is ready.
    ///
    /// # Errors
    /// After half a minute, or when the process has ended; with its last words.
    pub async fn ready(&mut self, name: &str) -> Result<(), ScenarioError> {
        let admin = match self.pods.get(name) {
            Some(pod) => pod.admin.clone(),
            None => format!("127.0.0.1:{}", port_of(&self.broker_url) + 2),
        };
        for _ in 0..1_200 {
            if let Some(child) = self.processes.get_mut(name)
                && child.try_wait()?.is_some()
            {
                break;
            }
            if admin_answers(&admin, "/health/ready").await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.join(name).join("log.txt")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        Err(ScenarioError(format!(
            "{name} did not become ready: {}",
            last.join(" | ")
        )))
    }

    /// Ends one server: at once, or after it has finished its work.
    ///
    /// # Errors
    /// When the process cannot be reached.
    pub fn stop(&mut self, name: &str, at_once: bool) -> Result<(), ScenarioError> {
        if let Some(mut child) = self.processes.remove(name) {
            if at_once {
                child.kill()?;
            } else {
                Command::new("kill").arg(child.id().to_string()).status()?;
            }
            child.wait()?;
        }
        Ok(())
    }

    /// Lets the processes run on after this one, and writes down their ids.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn leave_running(mut self) -> Result<PathBuf, ScenarioError> {
        let ids: Vec<String> = self.processes.values().map(|child| child.id().to_string()).collect();
        let file = self.folder.join("processes");
        std::fs::write(&file, ids.join("\n"))?;
        self.processes.clear();
        Ok(file)
    }

    /// Resident memory of a server's process, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_bytes(&self, name: &str) -> Result<u64, ScenarioError> {
        let child = self.processes.get(name);
        let child = child.ok_or_else(|| ScenarioError(format!("`{name}` does not run")))?;
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kibibytes.unwrap_or_default() << 10)
    }

    /// A member's pod server.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn pod(&self, name: &str) -> Result<&Pod, ScenarioError> {
        self.pods
            .get(name)
            .ok_or_else(|| ScenarioError(format!("there is no member `{name}`")))
    }

    /// Someone who acts.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn party(&self, name: &str) -> Result<&Party, ScenarioError> {
        self.parties
            .get(name)
            .ok_or_else(|| ScenarioError(format!("there is no party `{name}`")))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where the mapping files are.
#[must_use]
pub fn mappings() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/mappings")
}

fn mapping_text(file: &str) -> Result<String, ScenarioError> {
    Ok(std::fs::read_to_string(mappings().join(file))?)
}

/// An import into a container of a pod.
fn options(
    pod: &Pod,
    into: &str,
    mapping: Option<String>,
    sources: Vec<PathBuf>,
) -> Result<ImportOptions, ScenarioError> {
    Ok(ImportOptions {
        into: ResourceName::parse(into).map_err(|error| ScenarioError(format!("{into}: {error}")))?,
        origins: Origins::new(&pod.base_url),
        mapping,
        constants: Vec::new(),
        sources,
        unpacked_bytes_max: 1 << 30,
        triples_max: 50_000_000,
    })
}

fn certificates(folder: &Path, layout: &Layout) -> Result<(), ScenarioError> {
    let failed = |error: &dyn std::fmt::Display| ScenarioError(format!("certificates: {error}"));
    let now = OffsetDateTime::now_utc();
    let authority = LocalAuthority::generate("Meent quickstart", now).map_err(|error| failed(&error))?;
    let mut names = layout.hosts();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let names: Vec<String> = names.into_iter().collect();
    let leaf = authority.certificate(&names, now).map_err(|error| failed(&error))?;
    std::fs::write(folder.join("ca.pem"), authority.certificate_pem())?;
    leaf.write(&folder.join("certificate.pem"), &folder.join("key.pem"))
        .map_err(|error| failed(&error))
}

fn pod(folder: &Path, name: &str, port: u16, layout: &Layout) -> Result<Pod, ScenarioError> {
    let own = folder.join(name);
    std::fs::create_dir_all(&own)?;
    let host = (layout.host)(name);
    let pod = Pod {
        name: name.to_owned(),
        base_url: format!("https://{host}:{port}/"),
        console_url: format!("https://{host}:{}/", port + 1),
        admin: format!("127.0.0.1:{}", port + 2),
        folder: own.clone(),
    };
    let umbrella = if name == "kortrijk" { "\"kortrijk\"" } else { "" };
    let text = format!(
        "[server]\nbase_url = \"{}\"\nconsole_url = \"{}\"\ncontent_listen = \"{}\"\nconsole_listen = \"{}\"\n\n\
         {}\n[admin]\nlisten = \"{}\"\n\n[store]\ndirectory = \"{}\"\n\n[dataspace]\numbrella_storages = [{umbrella}]\n\n\
         # The story asks the same again after a withdrawal and shows the difference of one citizen, which comparing would withhold.\n\
         [query]\nanswers_compared = false\ndominance_percent = 0\n\n{}",
        pod.base_url,
        pod.console_url,
        SocketAddr::new(layout.listen, port),
        SocketAddr::new(layout.listen, port + 1),
        tls(folder),
        pod.admin,
        own.join("store").display(),
        egress_section(folder, layout),
    );
    std::fs::write(own.join("pod-server.toml"), text)?;
    Ok(pod)
}

fn tls(folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    format!(
        "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
        file("certificate.pem"),
        file("key.pem")
    )
}

fn egress_section(folder: &Path, layout: &Layout) -> String {
    format!(
        "[egress]\nallow = {:?}\n\n[egress.roots]\nextra_ca_file = \"{}\"\n\n",
        layout.allowed(),
        folder.join("ca.pem").display()
    )
}

fn port_of(url: &str) -> u16 {
    url.trim_end_matches('/')
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .unwrap_or_default()
}

/// Whether an operator's address answers a path with success.
async fn admin_answers(address: &str, path: &str) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_end(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

/// Reads a public page or document.
///
/// # Errors
/// When no answer comes.
pub async fn read_public(egress: &Egress, url: &str) -> Result<String, ScenarioError> {
    let response = egress
        .fetch(EgressRequest::get(url))
        .await
        .map_err(|error| ScenarioError(format!("{url}: {error}")))?;
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}
