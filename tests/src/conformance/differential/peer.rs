//! Community Solid Server as a process on loopback: in memory, where whoever asks says who they are, or over a folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::conformance::{ConformanceError, folder, node};

/// Longest time until it answers.
const START_SECONDS_MAX: u64 = 120;

/// The running server; ended when dropped.
pub struct Peer {
    /// Its base URL, with a closing slash.
    pub base: String,
    process: Child,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Peer {
    /// Installs and starts it. The inner error says in words why it cannot run on this machine.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Result<Self, String>, ConformanceError> {
        Self::start_with(&["--config", "config.json"]).await
    }

    /// The same with its data in a folder, real credentials, and the accounts of a file (`--seedConfig`).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_over(data: &Path, accounts: &Path) -> Result<Result<Self, String>, ConformanceError> {
        let [data, accounts] = [data, accounts].map(|path| path.display().to_string());
        let config = ["--config", "@css:config/file.json"];
        Self::start_with(&[config[0], config[1], "--rootFilePath", &data, "--seedConfig", &accounts]).await
    }

    async fn start_with(words: &[&str]) -> Result<Result<Self, String>, ConformanceError> {
        let list = folder().join("css");
        let installed = tokio::task::spawn_blocking(move || {
            let installed = node::install("css", &list)?;
            if let Ok(installed) = &installed {
                node::lay_out(&list, installed)?;
            }
            Ok::<_, ConformanceError>(installed)
        });
        let installed = installed.await.map_err(|error| ConformanceError(error.to_string()))??;
        match installed {
            Ok(installed) => Ok(Ok(Self::spawn(&installed, words).await?)),
            Err(reason) => Ok(Err(reason)),
        }
    }

    async fn spawn(installed: &Path, words: &[&str]) -> Result<Self, ConformanceError> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let base = format!("http://localhost:{port}/");
        let process = Command::new("node")
            .args([
                "--dns-result-order=ipv4first",
                "node_modules/@solid/community-server/bin/server.js",
            ])
            .args(words)
            .args(["--loggingLevel", "error"])
            .args(["--port", &port.to_string(), "--baseUrl", &base])
            .current_dir(installed)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut peer = Self { base, process };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(START_SECONDS_MAX) {
            // A connection to a free port of the system's own range can meet itself.
            if let Ok(stream) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await
                && stream.local_addr()? != stream.peer_addr()?
            {
                return Ok(peer);
            }
            if peer.process.try_wait()?.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(ConformanceError("Community Solid Server did not start".to_owned()))
    }
}
