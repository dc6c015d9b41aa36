//! A real browser (Chromium, headless) that looks at our pages as people do.
//!
//! Without `chromedriver` a test says so in one line and passes; with `CI=true` it fails.

mod authenticator;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thirtyfour::prelude::*;

use crate::console::Failure;

/// Seconds that chromedriver may take to start.
const START_SECONDS_MAX: u64 = 30;

/// A running browser. End it with [`Browser::quit`]; dropping it ends the driver all the same.
pub struct Browser {
    /// The session.
    pub driver: WebDriver,
    process: Child,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts a browser of `width` by `height` pixels; `None` when this machine has none and need not have one.
    ///
    /// # Errors
    /// When there is no chromedriver although `CI=true`, or it does not start.
    pub async fn start(width: u32, height: u32) -> Result<Option<Self>, Failure> {
        let Some(program) = find("chromedriver") else {
            if std::env::var("CI").is_ok_and(|value| value == "true") {
                return Err("chromedriver is missing: apt-get install chromium chromium-driver".into());
            }
            eprintln!("BROWSER TEST NOT RUN: chromedriver is missing (apt-get install chromium chromium-driver)");
            return Ok(None);
        };
        let port = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?
            .local_addr()?
            .port();
        let process = Command::new(program)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let profile = tempfile::tempdir()?;
        let mut starting = Starting { process: Some(process) };
        let driver = connect(port, profile.path(), width, height).await?;
        let process = starting.process.take().ok_or("the driver is gone")?;
        Ok(Some(Self {
            driver,
            process,
            _profile: profile,
        }))
    }

    /// Saves a picture of the whole window among the build's results and gives its path.
    ///
    /// # Errors
    /// When the browser cannot take it.
    pub async fn picture(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = pictures();
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.png"));
        self.driver.screenshot(&path).await?;
        Ok(path)
    }

    /// Presses a button, named by a CSS selector, and waits until another page has taken this one's place.
    ///
    /// # Errors
    /// When there is no such button, or no page comes.
    pub async fn press(&self, button: &str) -> WebDriverResult<()> {
        let page = self.driver.find(By::Tag("html")).await?;
        self.driver.find(By::Css(button)).await?.click().await?;
        page.wait_until().error("no page came after the button").stale().await
    }

    /// Fills the login page in and sends it.
    ///
    /// # Errors
    /// When the page has no such form, or no page comes.
    pub async fn log_in(&self, name: &str, password: &str) -> WebDriverResult<()> {
        let field = self.driver.find(By::Id("name")).await?;
        field.clear().await?;
        field.send_keys(name).await?;
        self.driver.find(By::Id("password")).await?.send_keys(password).await?;
        self.press("form[action='/login'] button").await
    }

    /// Ends the browser.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub async fn quit(self) -> Result<(), Failure> {
        self.driver.clone().quit().await?;
        Ok(())
    }
}

/// Ends a driver whose browser never came up.
struct Starting {
    process: Option<Child>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

async fn connect(port: u16, profile: &Path, width: u32, height: u32) -> Result<WebDriver, Failure> {
    let mut capabilities = DesiredCapabilities::chrome();
    for flag in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--ignore-certificate-errors",
        "--hide-scrollbars",
    ] {
        capabilities.add_arg(flag)?;
    }
    capabilities.add_arg(&format!("--window-size={width},{height}"))?;
    capabilities.add_arg(&format!("--user-data-dir={}", profile.display()))?;
    capabilities.accept_insecure_certs(true)?;
    let url = format!("http://127.0.0.1:{port}");
    let begin = std::time::Instant::now();
    loop {
        match WebDriver::new(&url, capabilities.clone()).await {
            Ok(driver) => return Ok(driver),
            Err(error) if begin.elapsed() > Duration::from_secs(START_SECONDS_MAX) => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Where pictures are kept: beside the test's own program, in the build directory.
fn pictures() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program
        .ancestors()
        .nth(2)
        .unwrap_or_else(|| Path::new("."))
        .join("pictures")
}

fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
