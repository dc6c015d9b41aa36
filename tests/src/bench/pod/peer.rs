//! Community Solid Server as a server to compare with: installed from the npm registry into a cache folder, with the same
//! account, documents and lists.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use server_kit::egress::{Egress, EgressRequest};
use tokio::process::Command;

use super::subject::{SERVER_CORE, Subject, document, egress, free_ports, loopback, member, open_list};
use crate::bench::BenchError;
use crate::bench::process::Pinned;
use crate::scenario::party::Party;

/// The version that is compared with.
pub(super) const VERSION: &str = "7.2.0";

const PACKAGE: &str = "@solid/community-server";
const EMAIL: &str = "bench@localhost.example";
const PASSWORD: &str = "measured on loopback only";

/// Largest answer of the peer's account interface, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Longest wait for one answer of it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Installs the peer if need be, fills it and starts it.
pub(super) async fn start(
    folder: &Path,
    members: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<Subject, BenchError> {
    let program = installed(progress).await?;
    progress("preparing the peer");
    std::fs::create_dir_all(folder)?;
    let data = folder.join("data");
    let seed = folder.join("seed.json");
    let account = json!([{ "email": EMAIL, "password": PASSWORD, "pods": [{ "name": "bench" }] }]);
    std::fs::write(&seed, account.to_string())?;
    let [port] = free_ports()?;
    // Under this name only it takes WebIDs and issuers without TLS.
    let authority = format!("localhost:{port}");
    let base_url = format!("http://{authority}/");
    let log = folder.join("log.txt");
    let [program, data_text, seed] = [&program, &data, &seed].map(|path| path.display().to_string());
    let port_text = port.to_string();
    let process = Pinned::start(
        &tool("node")?,
        &[
            &program,
            "--config",
            "@css:config/file.json",
            "--rootFilePath",
            &data_text,
            "--port",
            &port_text,
            "--baseUrl",
            &base_url,
            "--seedConfig",
            &seed,
            "--loggingLevel",
            "error",
        ],
        SERVER_CORE,
        &log,
    )?;
    let web_id = format!("{base_url}bench/profile/card#me");
    let egress = egress()?;
    let none = (String::new(), String::new());
    let mut subject = Subject {
        address: loopback(port),
        authority,
        owner: Party::new(&web_id, &base_url, none, &egress)?,
        base_url,
        admin_url: String::new(),
        process,
        folder: folder.to_path_buf(),
        certificate: None,
    };
    subject.await_start(&log).await?;
    let client = credentials(&egress, &subject.base_url, &web_id).await?;
    subject.owner = Party::new(&web_id, &subject.base_url, client, &egress)?;
    fill(&data.join("bench"), &web_id, members)?;
    Ok(subject)
}

/// The program in the cache folder, which is kept from one run to the next.
async fn installed(progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BenchError> {
    let folder = cache()?.join(format!("community-solid-server-{VERSION}"));
    let program = folder.join("node_modules").join(PACKAGE).join("bin/server.js");
    if program.is_file() {
        return Ok(program);
    }
    let npm = tool("npm")?;
    progress(&format!("installing {PACKAGE} {VERSION} into {}", folder.display()));
    std::fs::create_dir_all(&folder)?;
    let output = Command::new(npm)
        .args(["install", "--no-audit", "--no-fund", "--prefix"])
        .arg(&folder)
        .arg(format!("{PACKAGE}@{VERSION}"))
        .stdin(Stdio::null())
        .output()
        .await?;
    if output.status.success() && program.is_file() {
        return Ok(program);
    }
    Err(BenchError(format!(
        "`npm install {PACKAGE}@{VERSION}` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// A folder outside of the project (XDG Base Directory Specification).
fn cache() -> Result<PathBuf, BenchError> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = named.filter(|folder| folder.is_absolute()).or_else(home);
    let cache = cache.ok_or_else(|| BenchError("neither XDG_CACHE_HOME nor HOME is set".to_owned()))?;
    Ok(cache.join("meent"))
}

/// A program of Node.js on the path.
fn tool(name: &str) -> Result<PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            BenchError(format!(
                "`{name}` is not installed, and the peer needs it: install Node.js 20 or later, or measure without `--peer`"
            ))
        })
}

/// Client credentials of the seeded account, through the peer's account interface.
async fn credentials(egress: &Egress, base_url: &str, web_id: &str) -> Result<(String, String), BenchError> {
    let index = format!("{base_url}.account/");
    let login = json!({ "email": EMAIL, "password": PASSWORD });
    let login_url = format!("{base_url}.account/login/password/");
    let mut session = Value::Null;
    // The account is seeded while the server starts to answer.
    for _ in 0..100 {
        session = ask(egress, Method::POST, &login_url, Some(&login), None).await?;
        if session.get("authorization").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let token = text(&session, "authorization")?;
    let controls = ask(egress, Method::GET, &index, None, Some(&token)).await?;
    let url = controls
        .pointer("/controls/account/clientCredentials")
        .and_then(Value::as_str)
        .ok_or_else(|| BenchError(format!("the peer offers no client credentials: {controls}")))?;
    let wanted = json!({ "name": "bench", "webId": web_id });
    let made = ask(egress, Method::POST, url, Some(&wanted), Some(&token)).await?;
    Ok((text(&made, "id")?, text(&made, "secret")?))
}

async fn ask(
    egress: &Egress,
    method: Method,
    url: &str,
    body: Option<&Value>,
    token: Option<&str>,
) -> Result<Value, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::of(url, error);
    let mut request = EgressRequest::new(method, url)
        .bytes_max(ANSWER_BYTES_MAX)
        .time_max(ANSWER_TIME_MAX)
        .header(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
    if let Some(body) = body {
        let json = http::HeaderValue::from_static("application/json");
        request = request.header(http::header::CONTENT_TYPE, json);
        request.body = body.to_string().into();
    }
    if let Some(token) = token {
        let value = http::HeaderValue::from_str(&format!("CSS-Account-Token {token}"));
        request = request.header(http::header::AUTHORIZATION, value.map_err(|error| failed(&error))?);
    }
    let response = egress.fetch(request).await.map_err(|error| failed(&error))?;
    serde_json::from_slice(&response.body).map_err(|error| failed(&error))
}

fn text(value: &Value, name: &str) -> Result<String, BenchError> {
    let found = value.get(name).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| {
        BenchError(format!(
            "the peer's account interface answered without `{name}`: {value}"
        ))
    })
}

/// Writes documents and lists into the peer's data folder, where it keeps each as a file of its name.
fn fill(storage: &Path, web_id: &str, members: usize) -> Result<(), BenchError> {
    let write = |path: &str, text: String| -> Result<(), BenchError> {
        let file = storage.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(file, text)?)
    };
    write("public/document.ttl", document(1))?;
    write("private/document.ttl", document(2))?;
    write("put/first.ttl", document(3))?;
    write("public/.acl", open_list(web_id, "acl:Read"))?;
    write("list/.acl", open_list(web_id, "acl:Read"))?;
    write("put/.acl", open_list(web_id, "acl:Read, acl:Write, acl:Append"))?;
    for number in 0..members {
        write(&format!("list/member-{number:06}.ttl"), member(number))?;
    }
    Ok(())
}
