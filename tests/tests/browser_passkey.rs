//! Passkeys in a real browser with a virtual device: register, log in by it alone, remove (WebAuthn Level 3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::browser::Browser;
use meent_tests::console::{Console, Failure, quick};
use thirtyfour::prelude::*;

const PASSWORD: &str = "fietsen langs de leie";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_log_in_with_a_passkey() {
    let Some(browser) = Browser::start(1_000, 1_300).await.unwrap() else {
        return;
    };
    let outcome = walk(&browser).await;
    browser.quit().await.unwrap();
    outcome.unwrap();
}

async fn walk(browser: &Browser) -> Result<(), Failure> {
    let console = Console::start_tls(quick()).await?;
    console.account("gent", PASSWORD).await?;
    browser.add_authenticator().await?;
    let driver = &browser.driver;
    driver
        .goto(console.at("login?lang=en&return_to=/account/security"))
        .await?;
    browser.log_in("gent", PASSWORD).await?;
    assert_eq!(
        driver.current_url().await?.path(),
        "/account/security",
        "{}",
        driver.source().await?
    );
    driver.find(By::Id("label")).await?.send_keys("telefoon").await?;
    browser.press("form[data-passkey=register] button").await?;
    assert_eq!(
        driver.current_url().await?.query(),
        Some("done=passkey-added"),
        "{}",
        driver.source().await?
    );
    assert!(driver.find(By::Tag("main")).await?.text().await?.contains("telefoon"));
    browser.picture("security").await?;

    browser.press("form[action='/logout'] button").await?;
    driver
        .goto(console.at("login?lang=en&return_to=/account/security"))
        .await?;
    browser.picture("login-passkey").await?;
    browser.press("form[data-passkey=login] button").await?;
    assert_eq!(
        driver.current_url().await?.path(),
        "/account/security",
        "{}",
        driver.source().await?
    );
    let page = driver.find(By::Tag("main")).await?.text().await?;
    assert!(page.contains("Last used on"), "{page}");

    // A passkey that was removed opens nothing.
    browser
        .press("form[action='/account/security/passkeys/remove'] button")
        .await?;
    browser.press("form[action='/logout'] button").await?;
    driver.goto(console.at("login?lang=en")).await?;
    browser.press("form[data-passkey=login] button").await?;
    assert!(
        driver
            .find(By::Css("main > div [role=alert]"))
            .await?
            .is_displayed()
            .await?
    );
    driver.goto(console.at("account")).await?;
    assert_eq!(driver.current_url().await?.path(), "/login");
    Ok(())
}
