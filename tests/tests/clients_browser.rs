//! An application in a real browser: bundled from the registry's `@inrupt/solid-client-authn-browser`, it sends the person to our
//! login and consent pages, comes back, reads and writes a private document, and finds its session again after a reload.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use meent_tests::browser::Browser;
use meent_tests::conformance::node::Installed;
use meent_tests::conformance::subject::{Ours, Person};
use meent_tests::conformance::{folder, loudly, node};
use meent_tests::console::Failure;
use thirtyfour::prelude::*;

/// The application's own server; ended when dropped.
struct Application {
    process: Child,
    url: String,
}

impl Application {
    fn start(installed: &Path) -> Result<Self, Failure> {
        node::lay_out(&folder().join("clients"), installed)?;
        let mut process = Command::new("node")
            .arg("browser/serve.mjs")
            .current_dir(installed)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let told = process.stdout.take().ok_or("no output")?;
        BufReader::new(told).read_line(&mut url)?;
        Ok(Self {
            process,
            url: url.trim().to_owned(),
        })
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Requirements solid 46-49, 97-102: the code flow with PKCE and DPoP as a browser application does it, with pictures of login
/// and consent in three languages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_in_the_browser() {
    let list = folder().join("clients");
    let installed: Installed = tokio::task::spawn_blocking(move || node::install("clients", &list).unwrap())
        .await
        .unwrap();
    let installed = match installed {
        Ok(installed) => installed,
        Err(reason) => return loudly(&format!("the application in the browser: {reason}")),
    };
    let Some(browser) = Browser::start(1_000, 1_100).await.unwrap() else {
        return loudly("the application in the browser: chromedriver is missing");
    };
    let ours = Ours::start().await.unwrap();
    let application = Application::start(&installed).unwrap();
    let outcome = walk(&browser, &ours, &application.url).await;
    let last = browser.picture("application-last").await.unwrap();
    browser.quit().await.unwrap();
    outcome.unwrap_or_else(|error| panic!("{error}; see {}", last.display()));
}

async fn walk(browser: &Browser, ours: &Ours, application: &str) -> Result<(), Failure> {
    let (driver, alice) = (&browser.driver, &ours.subject.alice);
    let document = format!("{}room.txt", alice.storage);
    let mut address: url::Url = application.parse()?;
    address
        .query_pairs_mut()
        .append_pair("issuer", &ours.subject.issuer)
        .append_pair("document", &document)
        .append_pair("restore", "no");
    driver.goto(address.as_str()).await?;
    shows(driver, "who", "nobody").await?;
    press(driver, "login").await?;

    // The login page, in the three languages; then in.
    arrived(driver, &ours.subject.issuer).await?;
    pictures(browser, "application-login").await?;
    log_in(driver, alice).await?;
    driver.query(By::Css("button[value=allow]")).first().await?;
    pictures(browser, "application-consent").await?;
    driver.find(By::Css("button[value=allow]")).await?.click().await?;

    // Back in the application, as the person and with the rights that this gives.
    arrived(driver, application).await?;
    shows(driver, "who", &alice.web_id).await?;
    press(driver, "write").await?;
    shows(driver, "content", "201").await?;
    press(driver, "read").await?;
    shows(driver, "content", "written in the browser").await?;
    browser.picture("application-returned").await?;

    // A reload finds the session again without asking the person anything.
    address.query_pairs_mut().clear().append_pair("restore", "yes");
    driver.goto(address.as_str()).await?;
    shows(driver, "who", &alice.web_id).await?;
    press(driver, "read").await?;
    shows(driver, "content", "written in the browser").await?;

    // Logged out of the application, it reads nothing private.
    press(driver, "logout").await?;
    shows(driver, "who", "nobody").await?;
    press(driver, "read").await?;
    shows(driver, "content", "refused 401").await
}

/// Pictures of the page at hand in the three languages; ends in Dutch.
async fn pictures(browser: &Browser, name: &str) -> Result<(), Failure> {
    let here = browser.driver.current_url().await?;
    for language in ["en", "fr", "nl"] {
        let mut page = here.clone();
        let others: Vec<(String, String)> = here
            .query_pairs()
            .filter(|(key, _)| key != "lang")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        page.query_pairs_mut()
            .clear()
            .extend_pairs(others)
            .append_pair("lang", language);
        browser.driver.goto(page.as_str()).await?;
        let spoken = browser.driver.find(By::Tag("html")).await?.attr("lang").await?;
        assert_eq!(spoken.as_deref(), Some(language));
        browser.picture(&format!("{name}-{language}")).await?;
    }
    Ok(())
}

async fn log_in(driver: &WebDriver, person: &Person) -> Result<(), Failure> {
    driver.find(By::Id("name")).await?.send_keys(&person.name).await?;
    driver
        .find(By::Id("password"))
        .await?
        .send_keys(&person.password)
        .await?;
    driver
        .find(By::Css("form[action='/login'] button"))
        .await?
        .click()
        .await?;
    Ok(())
}

async fn press(driver: &WebDriver, button: &str) -> Result<(), Failure> {
    driver.find(By::Id(button)).await?.click().await?;
    Ok(())
}

/// Waits until the browser is on a page below `origin`.
async fn arrived(driver: &WebDriver, origin: &str) -> Result<(), Failure> {
    for _ in 0..200 {
        if driver.current_url().await?.as_str().starts_with(origin) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{} instead of {origin}", driver.current_url().await?).into())
}

/// Waits until an output of the application shows a text.
async fn shows(driver: &WebDriver, id: &str, text: &str) -> Result<(), Failure> {
    let mut last = String::new();
    for _ in 0..200 {
        // The page may just be changing into another: then it is asked again.
        if driver.find(By::Css("body[data-ready=yes]")).await.is_ok()
            && let Ok(output) = driver.find(By::Id(id)).await
        {
            last = output.text().await.unwrap_or_default();
            if last == text {
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let problem = match driver.find(By::Id("problem")).await {
        Ok(problem) => problem.text().await.unwrap_or_default(),
        Err(_) => driver.source().await?,
    };
    Err(format!("`{id}` shows `{last}` instead of `{text}`: {problem}").into())
}
