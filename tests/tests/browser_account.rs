//! The console's pages in a real browser: log in, see the account, let an application in, on a wide and a narrow screen, in
//! three languages, with their pictures kept for the eye (ARCHITECTURE §7; T45, T120).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::browser::Browser;
use meent_tests::console::{Application, Console, pkce, quick};
use thirtyfour::prelude::*;

const PASSWORD: &str = "fietsen langs de leie";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_log_in_and_see_their_account() {
    for (screen, width, height) in [("wide", 1_200, 1_500), ("narrow", 390, 1_900)] {
        let Some(browser) = Browser::start(width, height).await.unwrap() else {
            return;
        };
        let outcome = walk(&browser, screen).await;
        browser.quit().await.unwrap();
        outcome.unwrap();
    }
}

async fn walk(browser: &Browser, screen: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let console = Console::start_tls(quick()).await?;
    console.account("gent", PASSWORD).await?;
    let driver = &browser.driver;
    for language in ["nl", "fr", "en"] {
        driver.goto(console.at(&format!("login?lang={language}"))).await?;
        assert_eq!(
            driver.find(By::Tag("html")).await?.attr("lang").await?.as_deref(),
            Some(language)
        );
        browser.picture(&format!("login-{language}-{screen}")).await?;
    }
    // The label is bound to its field: a click on it gives the field the focus.
    driver.find(By::Css("label[for=name]")).await?.click().await?;
    assert_eq!(
        driver.active_element().await?.attr("id").await?.as_deref(),
        Some("name")
    );
    browser.log_in("gent", "wrong password").await?;
    let alert = driver.find(By::Css("[role=alert]")).await?.text().await?;
    assert!(!alert.is_empty());
    browser.picture(&format!("login-failed-{screen}")).await?;
    browser.log_in("gent", PASSWORD).await?;
    assert_eq!(
        driver.current_url().await?.path(),
        "/account",
        "{}",
        driver.source().await?
    );
    assert!(
        driver
            .find(By::Tag("main"))
            .await?
            .text()
            .await?
            .contains("https://pod.example/gent/profile/card#me")
    );
    let cookies = driver.execute("return document.cookie", Vec::new()).await?;
    assert_eq!(cookies.json().as_str(), Some(""), "a script can read the session");

    driver
        .find(By::Id("label"))
        .await?
        .send_keys("Dagelijkse tellingen")
        .await?;
    browser.press("form[action='/account/credentials'] button").await?;
    assert!(driver.find(By::Id("client-secret")).await?.text().await?.len() >= 40);
    browser.picture(&format!("credential-{screen}")).await?;
    for language in ["nl", "fr", "en"] {
        driver.goto(console.at(&format!("account?lang={language}"))).await?;
        browser.picture(&format!("account-{language}-{screen}")).await?;
        overflow(driver).await?;
    }

    let application = Application::register(&console, "none").await?;
    let (_, challenge) = pkce();
    for language in ["nl", "fr", "en"] {
        driver
            .goto(console.at(&application.authorization(&challenge, &[("lang", language)])))
            .await?;
        browser.picture(&format!("application-{language}-{screen}")).await?;
        overflow(driver).await?;
    }
    browser.press("button[value=deny]").await?;
    // The application's host does not exist here; what counts is where the browser was sent.
    let sent = driver.current_url().await?;
    assert!(sent.as_str().starts_with("https://app.example/callback"), "{sent}");

    driver.goto(console.at("account")).await?;
    browser.press("form[action='/logout'] button").await?;
    driver.goto(console.at("account")).await?;
    assert_eq!(
        driver.current_url().await?.path(),
        "/login",
        "still logged in after logging out"
    );
    driver.goto(console.at("nowhere")).await?;
    browser.picture(&format!("error-{screen}")).await?;
    Ok(())
}

/// Nothing is wider than the window (WCAG 1.4.10, reflow).
async fn overflow(driver: &WebDriver) -> WebDriverResult<()> {
    let script = "return document.documentElement.scrollWidth - window.innerWidth";
    let beyond = driver.execute(script, Vec::new()).await?;
    assert!(
        beyond.json().as_i64().unwrap_or(0) <= 0,
        "the page is {beyond:?} pixels too wide"
    );
    Ok(())
}
