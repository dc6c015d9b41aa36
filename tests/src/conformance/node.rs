//! Programs in JavaScript: installing the packages that they use, outside the tree, and running them to their end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::ConformanceError;

/// Longest time for installing packages.
const INSTALL_SECONDS_MAX: u64 = 300;

/// What npm says when the registry is out of reach, as opposed to a fault in the package list.
const OUT_OF_REACH: [&str; 8] = [
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "network",
];

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whether it ended with success; false when it was stopped for taking too long.
    pub success: bool,
    /// Everything it wrote, standard output and errors together.
    pub output: String,
}

/// A folder with installed packages, or in words why there is none on this machine.
pub type Installed = Result<PathBuf, String>;

/// Installs what `package.json` and `package-lock.json` in `list` name, once for each state of the two, into cargo's target
/// folder. Several processes may ask at one time.
///
/// # Errors
/// When the lists do not fit each other, or files cannot be written. That the machine has no Node.js, or that the registry
/// is out of reach, is no error: the inner result says so.
pub fn install(name: &str, list: &Path) -> Result<Installed, ConformanceError> {
    for program in ["node", "npm"] {
        if !available(program) {
            return Ok(Err(format!("{program} is missing (deploy/prepare test installs it)")));
        }
    }
    let (package, lock) = (list.join("package.json"), list.join("package-lock.json"));
    let mut digest = Sha256::new();
    digest.update(std::fs::read(&package)?);
    digest.update(std::fs::read(&lock)?);
    let digest = hex::encode(digest.finalize());
    let cache = target().join("conformance");
    let folder = cache.join(format!("{name}-{}", digest.get(..16).unwrap_or_default()));
    std::fs::create_dir_all(&folder)?;
    let guard = File::create(cache.join(format!("{name}.lock")))?;
    guard.lock()?;
    let done = folder.join("installed");
    if done.exists() {
        return Ok(Ok(folder));
    }
    std::fs::copy(&package, folder.join("package.json"))?;
    std::fs::copy(&lock, folder.join("package-lock.json"))?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"])
        .current_dir(&folder);
    let ended = run(&mut npm, Duration::from_secs(INSTALL_SECONDS_MAX))?;
    if ended.success {
        std::fs::write(&done, "")?;
        return Ok(Ok(folder));
    }
    let told = ended
        .output
        .lines()
        .find(|line| line.contains("error"))
        .unwrap_or_default();
    if OUT_OF_REACH.iter().any(|word| ended.output.contains(word)) {
        return Ok(Err(format!("the package registry is out of reach: {told}")));
    }
    Err(ConformanceError(format!("npm ci for {name}: {}", ended.output)))
}

/// Copies the files of a folder of ours, and of the folders in it, beside installed packages, so that they are found from there.
///
/// # Errors
/// When a file cannot be copied.
pub fn lay_out(from: &Path, to: &Path) -> Result<(), ConformanceError> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            lay_out(&entry.path(), &to.join(name))?;
        } else if !name.to_string_lossy().starts_with("package") {
            // Written beside and renamed: another test may be running the same file.
            let mut beside = tempfile::NamedTempFile::new_in(to)?;
            std::io::copy(&mut File::open(entry.path())?, &mut beside)?;
            beside.persist(to.join(name)).map_err(|error| error.error)?;
        }
    }
    Ok(())
}

/// A command for a script, which trusts `ca` and finds our servers on the addresses that they listen on.
#[must_use]
pub fn script(folder: &Path, script: &str, ca: &Path) -> Command {
    let mut command = Command::new("node");
    command
        .args(["--dns-result-order=ipv4first", script])
        .current_dir(folder)
        .env("NODE_EXTRA_CA_CERTS", ca);
    command
}

/// Runs a program to its end, at most so long; then it is stopped.
///
/// # Errors
/// When it cannot be started or its output cannot be read.
pub fn run(command: &mut Command, longest: Duration) -> Result<Ended, ConformanceError> {
    let output = tempfile::NamedTempFile::new()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.reopen()?)
        .stderr(output.as_file().try_clone()?)
        .spawn()
        .map_err(|error| ConformanceError(format!("{}: {error}", command.get_program().display())))?;
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begin.elapsed() > longest {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut text = String::from_utf8_lossy(&std::fs::read(output.path())?).into_owned();
    if status.is_none() {
        text.push_str(&format!("\nstopped after {} seconds\n", longest.as_secs()));
    }
    Ok(Ended {
        success: status.is_some_and(|status| status.success()),
        output: text,
    })
}

fn available(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Cargo's target folder, which this program lies in.
#[must_use]
pub fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.ancestors().find(|folder| folder.join("release").is_dir());
    folder.map_or_else(std::env::temp_dir, Path::to_path_buf)
}
