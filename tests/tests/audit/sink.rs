//! A log that is full, fails or hangs: nothing protected leaves, and whoever asks is told to come back.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::StatusCode;
use meent_tests::durability::faults::tracer_works;
use meent_tests::pod::{Client, PodFolder, PodProcess};
use pod_server::log::own::LogExport;
use policies::audit::AuditAction;

const SECRET: &str = "GEHEIM";

async fn put_secret(owner: &Client) {
    let put = owner.put("/jan/secret", "text/plain", SECRET).await;
    assert_eq!(put.status, StatusCode::CREATED, "{}", put.text());
}

/// Asks for what is protected until the answer has a status, for a minute at most. Whatever comes instead holds nothing
/// protected and says when to come back.
async fn until(owner: &Client, wanted: StatusCode) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(reply) = owner.request("GET", "/jan/secret").try_send().await {
            let safe = reply.status == StatusCode::OK || !reply.text().contains(SECRET);
            assert!(safe, "{} with what is protected", reply.status);
            if reply.status == StatusCode::SERVICE_UNAVAILABLE {
                assert!(!reply.header("retry-after").is_empty());
            }
            if reply.status == wanted {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("there was never a {wanted}");
}

/// A tracer that lets the syncs of the store's writer go wrong, until it is dropped.
struct Wrong(Child);

impl Wrong {
    fn begin(server: &PodProcess, effect: &str) -> Self {
        let thread = server.thread("store-writer").to_string();
        let mut command = Command::new("strace");
        command
            .args(["-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-p", &thread])
            .args(["-e", &format!("inject=fsync,fdatasync:{effect}")])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let tracer = Self(command.spawn().unwrap());
        let status = format!("/proc/{}/task/{thread}/status", server.id());
        let began = Instant::now();
        loop {
            let traced = std::fs::read_to_string(&status).is_ok_and(|text| {
                text.lines()
                    .any(|line| line.strip_prefix("TracerPid:").is_some_and(|id| id.trim() != "0"))
            });
            if traced {
                return tracer;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "the tracer does not attach");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        // A tracer that is asked to end lets go of what it traces.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn is_traceable() -> bool {
    let works = tracer_works();
    if !works {
        println!("SKIPPED: a log that fails or hangs, because `strace` does not work here");
    }
    works
}

/// A log whose disk hangs holds nobody up for ever: 503 within its bound, and the server goes on when the disk does.
/// Reliability T106.
#[tokio::test(flavor = "multi_thread")]
async fn t106_a_hanging_log_lets_nothing_out() {
    if !is_traceable() {
        return;
    }
    let folder = PodFolder::new("use_wait_ms_max = 500\n");
    let owner = folder.account("jan").client();
    let server = folder.serve();
    put_secret(&owner).await;
    until(&owner, StatusCode::OK).await;
    let wrong = Wrong::begin(&server, "delay_enter=3000000:when=1");
    until(&owner, StatusCode::SERVICE_UNAVAILABLE).await;
    until(&owner, StatusCode::OK).await;
    drop(wrong);
    assert!(server.stop().success());
    folder.succeed(&["log", "verify"]);
}

/// A log whose sync fails ends the server without a byte, and after a restart everything is there. Reliability T106.
#[tokio::test(flavor = "multi_thread")]
async fn t106_a_failing_log_lets_nothing_out() {
    if !is_traceable() {
        return;
    }
    let folder = PodFolder::new("");
    let owner = folder.account("jan").client();
    let mut server = folder.serve();
    put_secret(&owner).await;
    let wrong = Wrong::begin(&server, "error=EIO");
    let reply = owner.request("GET", "/jan/secret").try_send().await;
    assert!(
        reply.is_none_or(|reply| reply.status == StatusCode::SERVICE_UNAVAILABLE && !reply.text().contains(SECRET))
    );
    assert!(!server.ended().success(), "the server ends by itself");
    drop(wrong);
    let server = folder.serve();
    until(&owner, StatusCode::OK).await;
    assert!(server.stop().success());
    folder.succeed(&["log", "verify"]);
}

/// A small file system, gone at the end.
struct Disk<'d>(&'d Path);

impl<'d> Disk<'d> {
    fn mount(path: &'d Path) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(path)
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// A full log hands out nothing that is protected, and goes on without a restart once there is room. Reliability T106.
#[tokio::test(flavor = "multi_thread")]
async fn t106_a_full_log_lets_nothing_out() {
    let folder = PodFolder::new("wal_bytes_wanted = 262144\n");
    let path = folder.store();
    let Some(disk) = Disk::mount(&path) else {
        println!("SKIPPED: a full log, because a small file system cannot be mounted here (needs root)");
        return;
    };
    let owner = folder.account("jan").client();
    let server = folder.serve();
    put_secret(&owner).await;
    until(&owner, StatusCode::OK).await;
    let filler = path.join("filler");
    let fill = Command::new("dd")
        .args(["if=/dev/zero", "bs=4096"])
        .arg(format!("of={}", filler.display()))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!fill.success(), "the disk is full");
    until(&owner, StatusCode::SERVICE_UNAVAILABLE).await;
    std::fs::remove_file(&filler).unwrap();
    until(&owner, StatusCode::OK).await;
    assert!(server.stop().success());
    folder.succeed(&["log", "verify"]);
    drop(disk);
}

/// Whatever was answered is in the log: the server is killed as soon as the first byte of an answer is there, again and again.
/// Requirement AUD-5; reliability T107.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_is_in_the_log() {
    let folder = PodFolder::new("");
    let owner = folder.account("jan").client();
    let server = folder.serve();
    put_secret(&owner).await;
    assert!(server.stop().success());
    let rounds = 6;
    for _ in 0..rounds {
        let server = folder.serve();
        let begun = owner.request("GET", "/jan/secret").opened().await.expect("an answer");
        server.kill();
        assert_eq!(begun.status(), StatusCode::OK);
    }
    let server = folder.serve();
    let page = owner.get("/jan/.log?limit=100").await;
    let export: LogExport = serde_json::from_slice(&page.body).unwrap();
    let reads = export
        .entries
        .iter()
        .filter(|entry| entry.sealed.record.action == AuditAction::Read);
    assert_eq!(reads.count(), rounds);
    assert!(server.stop().success());
    folder.succeed(&["log", "verify"]);
}
