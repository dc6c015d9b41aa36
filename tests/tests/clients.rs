//! Applications on the client libraries that Solid has, against a real server over TLS: each library installed from the
//! registry as its version in `tests/conformance/clients` says, and driven as an application would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use meent_tests::conformance::subject::Ours;
use meent_tests::conformance::{folder, loudly, node};

/// Longest time for one script.
const SCRIPT_SECONDS_MAX: u64 = 120;

/// Requirements solid 3, 17, 24-26, 30, 42-43, 50, 52, 55, 61, 67, 71-73, 76-77, 79, 97 and 101: documents, containers, files and
/// access lists by `@inrupt/solid-client`, logged in with `@inrupt/solid-client-authn-node`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn solid_client() {
    drive("solid-client.mjs", 14).await;
}

/// Requirements solid 9, 27, 33, 36, 39 and 41: an application on rdflib's store, fetcher and update manager.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rdflib() {
    drive("rdflib.mjs", 10).await;
}

/// Requirements solid 14, 18, 20, 25 and 67: linked data objects of `@ldo/solid`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldo() {
    drive("ldo.mjs", 8).await;
}

/// Requirements solid 104, 105, 107, 108 and 109: changes told over a WebSocket to `@inrupt/solid-client-notifications`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications() {
    drive("notifications.mjs", 4).await;
}

/// Starts a server, runs one script against it and expects `steps` steps to pass.
async fn drive(script: &'static str, steps: usize) {
    let ours = Ours::start().await.unwrap();
    let subject = ours.file().unwrap();
    let ca = ours.subject.ca.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let list = folder().join("clients");
        let installed = match node::install("clients", &list).unwrap() {
            Ok(installed) => installed,
            Err(reason) => {
                loudly(&format!("the clients of {script}: {reason}"));
                return None;
            }
        };
        node::lay_out(&list, &installed).unwrap();
        let mut command = node::script(&installed, script, &ca);
        Some(node::run(command.env("SUBJECT", subject), Duration::from_secs(SCRIPT_SECONDS_MAX)).unwrap())
    });
    let Some(ended) = ended.await.unwrap() else {
        return;
    };
    let passed = ended.output.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(
        ended.success && passed == steps,
        "{passed} of {steps} steps:\n{}",
        ended.output
    );
}
