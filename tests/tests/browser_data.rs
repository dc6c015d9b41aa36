//! The data browser, the profile and the account's pages in a real browser over TLS: by keyboard, on a wide and a narrow
//! screen, in three languages, with pictures for the eye (WCAG 2.2 AA: labels, headings, focus, reflow).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::browser::Browser;
use meent_tests::console::{Failure, Resident, secure_settings};
use meent_tests::pod::PodServer;
use serde_json::json;
use thirtyfour::prelude::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_look_after_their_data() {
    for (screen, width, height) in [("wide", 1_100, 1_600), ("narrow", 390, 2_200)] {
        let Some(browser) = Browser::start(width, height).await.unwrap() else {
            return;
        };
        let outcome = walk(&browser, screen).await;
        browser.quit().await.unwrap();
        outcome.unwrap();
    }
}

async fn walk(browser: &Browser, screen: &str) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let server = PodServer::start_with(secure_settings(directory.path())?).await;
    Resident::settle(&server, "jan", "Jan Peeters").await?;
    let driver = &browser.driver;
    let at = |path: &str| format!("{}{path}", server.console_url);
    driver.goto(at("data?lang=en")).await?;
    browser.log_in("jan", Resident::PASSWORD).await?;
    assert_eq!(
        driver.current_url().await?.path(),
        "/data/jan/",
        "{}",
        driver.source().await?
    );

    // By keyboard alone: the first stop leads past the navigation, the form is filled in and sent with Enter.
    driver.find(By::Tag("body")).await?.send_keys(Key::Tab).await?;
    assert_eq!(
        driver.active_element().await?.attr("class").await?.as_deref(),
        Some("skip")
    );
    driver.find(By::Id("name")).await?.send_keys("Foto's 2026").await?;
    let page = driver.find(By::Tag("html")).await?;
    driver.active_element().await?.send_keys(Key::Enter).await?;
    page.wait_until().stale().await?;
    assert_eq!(driver.find(By::Tag("h1")).await?.text().await?, "Foto's 2026");

    let files = files(&directory)?;
    driver.find(By::Id("files")).await?.send_keys(files).await?;
    browser.press("form[enctype] button").await?;
    for language in ["nl", "fr", "en"] {
        driver
            .goto(at(&format!("data/jan/Foto's%202026/?lang={language}")))
            .await?;
        look(browser, &format!("data-folder-{language}-{screen}")).await?;
        driver
            .goto(at(&format!("data/jan/Foto's%202026/telling.ttl?lang={language}")))
            .await?;
        look(browser, &format!("data-document-{language}-{screen}")).await?;
        driver
            .goto(at(&format!("data/jan/Foto's%202026/?do=share&lang={language}")))
            .await?;
        look(browser, &format!("data-share-{language}-{screen}")).await?;
        driver
            .goto(at(&format!("data/jan/Foto's%202026/?do=delete&lang={language}")))
            .await?;
        look(browser, &format!("data-delete-{language}-{screen}")).await?;
        for page in [
            "account",
            "account/security",
            "account/webids",
            "account/leave",
            "profile",
        ] {
            driver.goto(at(&format!("{page}?lang={language}"))).await?;
            look(browser, &format!("{}-{language}-{screen}", page.replace('/', "-"))).await?;
        }
    }
    driver.goto(at("data/jan/Foto's%202026/punt.png?lang=en")).await?;
    let loaded = driver
        .execute("return document.querySelector('img.shown').naturalWidth", Vec::new())
        .await?;
    assert_eq!(loaded.json().as_i64(), Some(1), "the picture is not shown");
    server.stop().await;
    Ok(())
}

/// A settled page: no sideways scrolling, one first heading, every field and picture named; then its picture.
async fn look(browser: &Browser, name: &str) -> Result<(), Failure> {
    let script = "
        const label = (field) => field.labels.length || field.getAttribute('aria-label');
        const fields = [...document.querySelectorAll('input:not([type=hidden]), select, textarea')];
        const buttons = [...document.querySelectorAll('button, a')];
        return {
            beyond: document.documentElement.scrollWidth - window.innerWidth,
            headings: document.querySelectorAll('h1').length,
            unnamed: fields.filter((field) => !label(field)).map((field) => field.name)
                .concat(buttons.filter((button) => !(button.textContent.trim() || button.getAttribute('aria-label'))).map(String)),
            language: document.documentElement.lang,
            keys: /\\b(data|share|webids?|profile|leave|security|passkeys?|recovery|sessions?)-[a-z]+(-[a-z]+)*\\b/
                .exec(document.querySelector('main').innerText)?.[0] || '',
        };";
    let seen = browser.driver.execute(script, Vec::new()).await?;
    let seen = seen.json();
    assert!(seen["beyond"].as_i64().unwrap_or(0) <= 0, "{name}: {seen}");
    assert_eq!(seen["headings"], 1, "{name}: {seen}");
    assert_eq!(seen["unnamed"], json!([]), "{name}: {seen}");
    assert_eq!(seen["keys"], "", "{name}: a text is missing: {seen}");
    browser.picture(name).await?;
    Ok(())
}

/// Files to upload, as a browser takes several: one path on each line.
fn files(directory: &tempfile::TempDir) -> Result<String, Failure> {
    let picture = hex::decode(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489\
         0000000b49444154789c6360000200000500017a5eab3f0000000049454e44ae426082",
    )?;
    let turtle =
        "@prefix sosa: <http://www.w3.org/ns/sosa/>.\n\n<#1> a sosa:Observation;\n    sosa:hasSimpleResult 42.\n";
    let mut paths = Vec::new();
    for (name, content) in [
        ("punt.png", picture.as_slice()),
        ("telling.ttl", turtle.as_bytes()),
        (
            "een verslag met een lange naam over de fietstellingen van het voorjaar.pdf",
            b"%PDF-1.7",
        ),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, content)?;
        paths.push(path.display().to_string());
    }
    Ok(paths.join("\n"))
}
