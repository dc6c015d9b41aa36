//! A pod server as an operator has it: the real program, with its commands, under faults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use http::StatusCode;
use meent_tests::durability::faults::tracer_works;
use meent_tests::pod::{PodFolder, PodProcess};

/// Lets every sync of the writer's thread fail from now on.
fn fail_syncs(server: &PodProcess) -> Child {
    let mut tracer = Command::new("strace")
        .args([
            "-o",
            "/dev/null",
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            "inject=fsync,fdatasync:error=EIO",
            "-p",
        ])
        .arg(server.thread("store-writer").to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(tracer.stderr.take().unwrap()).lines();
    let attached = said.next().unwrap().unwrap();
    assert!(attached.contains("attached"), "{attached}");
    tracer
}

/// ARCHITECTURE invariant 4; reliability D4. Requirements solid 53.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_process_and_the_next_start_has_all_that_was_acknowledged() {
    if !tracer_works() {
        println!("SKIPPED: a failing sync of a server, because `strace` is missing or may not trace here");
        return;
    }
    let folder = PodFolder::new("");
    let owner = folder.account("gent").client();
    let mut server = folder.serve();
    let first = owner.put("/gent/first", "text/plain", "kept").await;
    assert_eq!(first.status, StatusCode::CREATED);

    let mut tracer = fail_syncs(&server);
    let failed = owner.put("/gent/second", "text/plain", "never acknowledged").await;
    assert!(failed.status.is_server_error(), "{} {}", failed.status, failed.text());
    let status = server.ended();
    assert_eq!(status.code(), Some(1), "{}", server.said());
    assert!(server.said().contains("could not be made durable"), "{}", server.said());
    tracer.wait().unwrap();

    let server = folder.serve();
    let found = owner.get("/gent/first").await;
    assert_eq!((found.status, found.text().as_str()), (StatusCode::OK, "kept"));
    let third = owner.put("/gent/third", "text/plain", "again").await;
    assert_eq!(third.status, StatusCode::CREATED);
    assert!(server.stop().success());
}
