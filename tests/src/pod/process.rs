//! The pod server's own program: commands as an operator gives them, and a server as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pod_server::origins::Origins;
use server_kit::authn::LocalIssuer;
use tempfile::TempDir;

use super::agent::Agent;
use super::client::Client;

/// Longest time until a server says that it is ready, and until a process that should end has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration and a store, for commands and for a server.
#[derive(Clone)]
pub struct PodFolder {
    folder: Arc<TempDir>,
    /// Origin of pod content, with a closing slash. It stays the same over restarts.
    pub base_url: String,
    /// Origin of the console, with a closing slash.
    pub console_url: String,
    /// Where its storages are.
    pub origins: Origins,
}

/// A running server process, killed at the end of the test.
pub struct PodProcess {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl PodFolder {
    /// A folder with a configuration whose ports are free at this moment; `more` is TOML that is added.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn new(more: &str) -> Self {
        Self::on("127.0.0.1", false, more)
    }

    /// As [`new`](Self::new), for a server whose storages each have an origin of their own.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn on_subdomains(more: &str) -> Self {
        Self::on("data.localhost", true, more)
    }

    fn on(host: &str, subdomains: bool, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let free = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let ports = [free(), free()].map(|listener| listener.local_addr().expect("an address").port());
        let [content, console] = ports;
        let base_url = format!("http://{host}:{content}/");
        let made = Self {
            origins: Origins::with(&base_url, subdomains, &[]),
            base_url,
            console_url: format!("http://127.0.0.1:{console}/"),
            folder: Arc::new(folder),
        };
        let text = format!(
            "[server]\nbase_url = \"{}\"\nconsole_url = \"{}\"\ncontent_listen = \"127.0.0.1:{content}\"\n\
             console_listen = \"127.0.0.1:{console}\"\nsubdomains = {subdomains}\n\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[egress]\n\
             allow = [\"127.0.0.1:*\"]\n\n[store]\ndirectory = {:?}\nreserve_bytes = 0\n{more}",
            made.base_url,
            made.console_url,
            made.store(),
        );
        std::fs::write(made.config(), text).expect("a configuration");
        made
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("pod.toml")
    }

    /// The store's directory.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// A path inside the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of the program with this folder's configuration; `words` are its arguments.
    ///
    /// # Panics
    /// When the program cannot run at all: build it with `cargo build --release --workspace --bins`.
    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program runs")
    }

    /// A command of the program that has not been started yet.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(words)
            .env("MEENT_POD_CONFIG", self.config())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// As [`run`](Self::run) for a command that succeeds; answers what it said on standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn succeed(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {}: {errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As [`run`](Self::run) for a command that is refused; answers what it said on standard error.
    ///
    /// # Panics
    /// When it succeeds.
    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Makes an account by the command, and an agent with a token for its WebID. The server must not run.
    ///
    /// # Panics
    /// When the account cannot be made.
    pub fn account(&self, name: &str) -> Agent {
        self.succeed(&["account", "create", name]);
        self.agent(name)
    }

    /// An agent with a token for the WebID of an account that is there.
    ///
    /// # Panics
    /// When the issuer's key is not there.
    pub fn agent(&self, name: &str) -> Agent {
        let issuer = LocalIssuer::load_or_generate(&self.console_url, &self.store().join("issuer.key"));
        self.origins.expect(name);
        let web_id = format!("{}profile/card#me", self.origins.root(name));
        Agent::new(&issuer.expect("the issuer's key"), web_id, &self.base_url).at(self.origins.clone())
    }

    /// A client without credentials.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(self.origins.clone())
    }

    /// Starts a server and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready; with its last words.
    pub fn serve(&self) -> PodProcess {
        let mut child = Command::new(program())
            .args(["serve", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let said = Arc::new(Mutex::new(Vec::new()));
        let ready = listen(&mut child, &said);
        let process = PodProcess { child, said };
        let is_ready = ready.recv_timeout(PATIENCE).is_ok();
        assert!(is_ready, "the server is not ready: {:?}", process.said.lock());
        process
    }
}

impl PodProcess {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The thread of a name inside the process, as the system numbers threads.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn thread(&self, name: &str) -> u32 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("a running process");
        let named = |task: &Path| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
        let found = tasks
            .filter_map(|task| Some(task.ok()?.path()))
            .find(|task| named(task));
        let number = found
            .as_deref()
            .and_then(Path::file_name)
            .and_then(|number| number.to_str()?.parse().ok());
        number.expect("a thread of that name")
    }

    /// Tells it to end, and waits.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(mut self) -> ExitStatus {
        let told = Command::new("kill")
            .arg(self.id().to_string())
            .status()
            .expect("a signal");
        assert!(told.success());
        self.ended()
    }

    /// Kills it without any warning.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("its end");
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it goes on for too long.
    pub fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the process goes on: {:?}",
                self.said.lock()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has said on standard error so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().join("\n")
    }
}

impl Drop for PodProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps what a process says, and tells when it says that it is ready.
fn listen(child: &mut Child, said: &Arc<Mutex<Vec<String>>>) -> Receiver<()> {
    let (sender, receiver) = channel();
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let ready = line.contains("the pod server is ready");
            said.lock().push(line);
            if ready {
                let _ = sender.send(());
            }
        }
    });
    receiver
}

/// The program beside the tests.
fn program() -> PathBuf {
    let here = std::env::current_exe().expect("this program");
    let folder = here.parent().and_then(Path::parent).expect("a build folder");
    folder.join("pod-server")
}
