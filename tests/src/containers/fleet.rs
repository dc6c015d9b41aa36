//! Starts a prepared network as containers, and ends single ones the hard way.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use server_kit::egress::{EgressRequest, Resolve};
use testcontainers::core::{IntoContainerPort, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use super::engine::said;
use super::mapped::MappedPorts;
use crate::scenario::ScenarioError;
use crate::scenario::input::Input;
use crate::scenario::network::{Layout, MEMBERS, Network, owned};

/// First port of the servers inside their containers.
const FIRST_PORT: u16 = 7_100;

/// The user that the images run as.
const IMAGE_USER: &str = "10001:10001";

/// A network of containers. They and their network are gone when it is dropped.
pub struct Fleet {
    /// Who acts, and where everything is.
    pub network: Network,
    containers: BTreeMap<String, ContainerAsync<GenericImage>>,
    ports: Arc<MappedPorts>,
    /// Part of every name, so that runs do not meet.
    tag: String,
}

impl Fleet {
    /// Prepares the data of the members on this machine, and starts them and the broker as containers that find each
    /// other by name.
    ///
    /// # Errors
    /// What could not be prepared or started, with the container's last words.
    pub async fn start(folder: &Path, members: &[&str], input: &Input) -> Result<Self, ScenarioError> {
        let tag = std::process::id().to_string();
        let ports = Arc::new(MappedPorts::default());
        let host_tag = tag.clone();
        let layout = Layout {
            members: owned(&MEMBERS)
                .into_iter()
                .filter(|(name, _)| members.contains(&name.as_str()))
                .collect(),
            host: Arc::new(move |name: &str| host_name(name, &host_tag)),
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            first_port: FIRST_PORT,
            resolver: Arc::clone(&ports) as Arc<dyn Resolve>,
        };
        let network = Network::prepare_as(folder, Path::new(""), &layout, input, &mut Quiet, &mut |_, _| ()).await?;
        let mut fleet = Self {
            network,
            containers: BTreeMap::new(),
            ports,
            tag,
        };
        let user = give_to_image_user(folder)?;
        let names: Vec<String> = fleet
            .network
            .pods
            .keys()
            .cloned()
            .chain(["broker".to_owned()])
            .collect();
        for name in &names {
            fleet.run(folder, name, user.as_deref()).await?;
        }
        for name in &names {
            fleet.ready(name).await?;
        }
        Ok(fleet)
    }

    async fn run(&mut self, folder: &Path, name: &str, user: Option<&str>) -> Result<(), ScenarioError> {
        let failed = |error: &dyn std::fmt::Display| ScenarioError(format!("the container of {name}: {error}"));
        let (image, config, urls) = match self.network.pods.get(name) {
            Some(pod) => (
                "meent/pod-server",
                "pod-server.toml",
                vec![pod.base_url.clone(), pod.console_url.clone()],
            ),
            None => ("meent/broker", "broker.toml", vec![self.network.broker_url.clone()]),
        };
        let ports = urls.iter().map(|url| port(url)).collect::<Result<Vec<_>, _>>()?;
        let mut built = GenericImage::new(image, "local");
        for port in &ports {
            built = built.with_exposed_port(port.tcp());
        }
        // The files lie at the same path inside, so that the configuration holds for both sides.
        let own = folder.join(name);
        let place = |path: &Path| path.display().to_string();
        let host = host_name(name, &self.tag);
        let mut request = built
            .with_cmd(["serve", "--config", &place(&own.join(config))])
            .with_container_name(&host)
            .with_network(format!("meent-{}", self.tag))
            .with_readonly_rootfs(true)
            .with_mount(Mount::bind_mount(place(&own), place(&own)))
            .with_mount(Mount::tmpfs_mount("/tmp/meent"));
        for file in ["ca.pem", "certificate.pem", "key.pem"] {
            let file = place(&folder.join(file));
            request = request.with_mount(Mount::bind_mount(file.clone(), file));
        }
        if let Some(user) = user {
            request = request.with_user(user);
        }
        let container = request.start().await.map_err(|error| failed(&error))?;
        for port in ports {
            let outside = container
                .get_host_port_ipv4(port.tcp())
                .await
                .map_err(|error| failed(&error))?;
            self.ports.set(&host, port, outside);
        }
        self.containers.insert(name.to_owned(), container);
        Ok(())
    }

    /// Waits until a server answers over TLS.
    async fn ready(&self, name: &str) -> Result<(), ScenarioError> {
        let url = match self.network.pods.get(name) {
            Some(pod) => pod.base_url.clone(),
            None => format!("{}.well-known/meent-broker", self.network.broker_url),
        };
        let mut last = String::new();
        for _ in 0..300 {
            match self.network.egress.fetch(EgressRequest::get(&url)).await {
                Ok(_) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(ScenarioError(format!(
            "{name} does not answer: {last}; {}",
            self.last_words(name).await
        )))
    }

    async fn last_words(&self, name: &str) -> String {
        let Some(container) = self.containers.get(name) else {
            return "it was never started".to_owned();
        };
        let mut text = String::from_utf8_lossy(&container.stderr_to_vec().await.unwrap_or_default()).into_owned();
        text.push_str(&String::from_utf8_lossy(
            &container.stdout_to_vec().await.unwrap_or_default(),
        ));
        let last: Vec<&str> = text.lines().rev().take(8).collect();
        last.join(" | ")
    }

    /// Freezes a server: its connections stay, and nothing is answered.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn freeze(&self, name: &str) -> Result<(), ScenarioError> {
        let container = self
            .containers
            .get(name)
            .ok_or_else(|| ScenarioError(format!("there is no container of {name}")))?;
        container
            .pause()
            .await
            .map_err(|error| ScenarioError(error.to_string()))
    }

    /// Kills a server, frozen or not.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn kill(&self, name: &str) -> Result<(), ScenarioError> {
        said(Command::new("docker").args(["kill", &host_name(name, &self.tag)])).map(drop)
    }
}

/// Container names are host names on the network of the containers.
fn host_name(name: &str, tag: &str) -> String {
    format!("{name}-{tag}")
}

fn port(url: &str) -> Result<u16, ScenarioError> {
    url::Url::parse(url)
        .ok()
        .and_then(|url| url.port_or_known_default())
        .ok_or_else(|| ScenarioError(format!("`{url}` has no port")))
}

/// Lets the user inside the containers read and write what was prepared. Whoever may not give files away runs the
/// containers as themselves.
fn give_to_image_user(folder: &Path) -> Result<Option<String>, ScenarioError> {
    let own = std::fs::metadata(folder)?;
    if own.uid() == 0 {
        said(Command::new("chown").args(["-R", IMAGE_USER]).arg(folder))?;
        return Ok(None);
    }
    Ok(Some(format!("{}:{}", own.uid(), own.gid())))
}

struct Quiet;

impl pod_server::import::Progress for Quiet {
    fn input(&mut self, _: &str, _: u64) {}
    fn lines(&mut self, _: &str, _: u64) {}
    fn documents(&mut self, _: u64, _: u64) {}
}
