//! A log-in through a provider that others wrote: the package `oidc-provider` from npm, run by node.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::StatusCode;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use meent_tests::console::{Answer, Visitor};
use meent_tests::pod::PodServer;
use pod_server::identity::account;
use serde_json::json;

use super::{address, free_port, path_on, quick, secret_file};

const PACKAGE: &str = "oidc-provider@8.8.1";
const SCRIPT: &str = include_str!("provider.mjs");

/// A running provider; it ends with the test.
struct Provider(Child);

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Installs the package and starts it; none when this machine has no node or no registry.
fn start(directory: &Path, configuration: &serde_json::Value) -> Option<Provider> {
    let runs = |program: &str| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|out| out.status.success())
    };
    if !runs("node") || !runs("npm") {
        eprintln!(
            "SKIPPED: logging in through a provider from npm, because node or npm is missing (deploy/prepare test)"
        );
        return None;
    }
    let installed = Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--no-save",
            PACKAGE,
        ])
        .current_dir(directory)
        .output();
    if !installed.as_ref().is_ok_and(|out| out.status.success()) {
        eprintln!("SKIPPED: logging in through a provider from npm, because `npm install {PACKAGE}` failed");
        return None;
    }
    let (script, file) = (directory.join("provider.mjs"), directory.join("provider.json"));
    std::fs::write(&script, SCRIPT).unwrap();
    std::fs::write(&file, configuration.to_string()).unwrap();
    let child = Command::new("node")
        .arg(&script)
        .arg(&file)
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Some(Provider(child))
}

/// The address of the form on a page of the provider.
fn action(issuer: &str, page: &Answer) -> String {
    let (_, rest) = page
        .body
        .split_once("action=\"")
        .unwrap_or_else(|| panic!("{} {}", page.status, page.body));
    path_on(issuer, rest.split('"').next().unwrap())
}

/// Somebody logs in at the provider and comes back; gives the way back.
async fn through(issuer: &str, console: &str, sent: &Answer, login: &str) -> String {
    let mut there = Visitor::at(address(issuer));
    let mut answer = there.open(&path_on(issuer, sent.location())).await.unwrap();
    for _ in 0..8 {
        if answer.status.is_redirection() {
            let target = answer.location().to_owned();
            if target.starts_with(console) {
                return path_on(console, &target);
            }
            let path = if target.starts_with('/') {
                target
            } else {
                path_on(issuer, &target)
            };
            answer = there.open(&path).await.unwrap();
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let form = action(issuer, &answer);
        let fields: &[(&str, &str)] = if answer.body.contains("name=\"login\"") {
            &[("prompt", "login"), ("login", login), ("password", "any")]
        } else {
            &[("prompt", "consent")]
        };
        answer = there.submit(&form, fields).await.unwrap();
    }
    panic!("no way back: {} {}", answer.status, answer.body);
}

/// T41, T43, solid#94: another implementation's provider, once with a secret and once with keys of ours: one for
/// `private_key_jwt`, one for which the ID token is encrypted.
#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_through_a_provider_that_others_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let (port, console_port) = (free_port(), free_port());
    let (issuer, console) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{console_port}/"),
    );
    let mut key = Jwk::generate_ec_key(EcCurve::P256).unwrap();
    key.set_key_id("ours");
    let mut public = key.to_public_key().unwrap();
    public.set_key_id("ours");
    let encryption = Jwk::generate_rsa_key(2_048).unwrap();
    let callback = |name: &str| format!("{console}external/{name}/callback");
    let secret = "a secret of sufficient length: 0123456789";
    let configuration = json!({ "port": port, "clients": [
        {
            "client_id": "by-secret", "client_secret": secret, "redirect_uris": [callback("secret")],
            "token_endpoint_auth_method": "client_secret_basic",
        },
        {
            "client_id": "by-key", "redirect_uris": [callback("key")],
            "jwks": { "keys": [public.as_ref(), encryption.to_public_key().unwrap().as_ref()] },
            "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
            "id_token_encrypted_response_alg": "RSA-OAEP", "id_token_encrypted_response_enc": "A128CBC-HS256",
        },
    ] });
    let Some(_provider) = start(directory.path(), &configuration) else {
        return;
    };
    let entry = |name: &str, more: serde_json::Value| {
        let mut entry = json!({
            "name": name, "label": "Another", "issuer": issuer, "client_id": format!("by-{name}"),
            "scopes": ["profile"], "label_claim": "name", "first_login": "create",
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let secret = secret_file(directory.path(), "secret", &format!("{secret}\n"));
    let key = secret_file(directory.path(), "key", &key.to_string());
    let encryption = secret_file(directory.path(), "encryption", &encryption.to_string());
    let mut settings = quick(json!({ "external": [
        entry("secret", json!({ "client_secret_file": secret })),
        entry("key", json!({ "private_key_file": key, "decryption_key_file": encryption })),
    ] }));
    settings["server"] = json!({ "console_url": console, "console_listen": address(&console) });
    let server = PodServer::start_with(settings).await;
    until_it_listens(port).await;
    for name in ["secret", "key"] {
        let mut visitor = Visitor::at(address(&console));
        let sent = visitor
            .open(&format!("/external/{name}?return_to=%2Faccount"))
            .await
            .unwrap();
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{name}: {}", sent.body);
        let back = through(&issuer, &console, &sent, "an-somebody").await;
        let arrived = visitor.open(&back).await.unwrap();
        assert_eq!(
            (arrived.status, arrived.location()),
            (StatusCode::SEE_OTHER, "/account"),
            "{name}: {}",
            arrived.body
        );
        let page = visitor.open("/account").await.unwrap();
        assert!(page.body.contains("Person an-somebody"), "{name}: {}", page.body);
    }
    // Both ways lead to one account: the person is the same.
    let accounts = account::list(server.app.store.as_ref(), None, 10).unwrap();
    assert_eq!(accounts.len(), 1, "{accounts:?}");
    assert!(!accounts[0].webid.contains("somebody"));
    server.stop().await;
}

/// Waits until the provider accepts connections.
async fn until_it_listens(port: u16) {
    for _ in 0..300 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the provider does not listen");
}
