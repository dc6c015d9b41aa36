//! Storages as archives: taken along, checked, and moved to another server (reliability P14, T127).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "storage_archive/hostile.rs"]
mod hostile;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use meent_tests::pod::{Agent, Client, PodFolder, PodServer, Seen, crawl};
use pod_server::archive::{Exports, Source};
use pod_server::name::ResourceName;
use pod_server::store::ReadPermit;
use time::OffsetDateTime;

const PRIVATE: &str = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#o> a acl:Authorization; acl:agent <{owner}>; \
                       acl:accessTo <./>; acl:default <./>; acl:mode acl:Read, acl:Write, acl:Control.";
const PUBLIC: &str = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. \
                      <#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <{it}>; acl:mode acl:Read. \
                      <#o> a acl:Authorization; acl:agent <{owner}>; acl:accessTo <{it}>; \
                      acl:mode acl:Read, acl:Write, acl:Control.";

/// A storage with everything that a storage can hold.
async fn fill(owner: &Agent, base: &str) {
    let client = owner.client();
    let long = "l".repeat(180);
    let documents: Vec<(String, &str, Bytes)> = vec![
        (
            "a%20b/%C3%A9t%C3%A9.ttl".into(),
            "text/turtle",
            "<> <urn:p> <#me> . # a comment".into(),
        ),
        ("plain.txt".into(), "text/plain; charset=utf-8", "hallo".into()),
        ("empty".into(), "application/octet-stream", Bytes::new()),
        (
            format!("deep/{long}/{long}/x.bin"),
            "application/x-odd",
            vec![7; 300_000].into(),
        ),
        ("!first(1)*;=@:,$&'+~.txt".into(), "text/plain", "odd".into()),
        (
            "private/secret.ttl".into(),
            "text/turtle",
            "<> <urn:p> \"secret\" .".into(),
        ),
        (
            "linked.ttl".into(),
            "text/turtle",
            format!("<> <urn:p> <{base}gent/plain.txt>, \"{base}gent/plain.txt\" . # kept").into(),
        ),
        (
            "data.jsonld".into(),
            "application/ld+json",
            "{\"@id\": \"#x\", \"urn:p\": {\"@id\": \"plain.txt\"}}".into(),
        ),
        (
            "lines.nt".into(),
            "application/n-triples",
            format!("<{base}gent/a> <urn:p> <urn:o> .\n").into(),
        ),
        ("a%20b/.hidden".into(), "text/plain", "hidden".into()),
    ];
    for (name, media_type, bytes) in documents {
        let reply = client.put(&format!("/gent/{name}"), media_type, bytes).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{name}: {}", reply.text());
    }
    let own = client
        .put(
            "/gent/described/",
            "text/turtle",
            "<> <http://purl.org/dc/terms/title> \"Mijn map\" .",
        )
        .await;
    assert_eq!(own.status, StatusCode::CREATED, "{}", own.text());
    for (name, text, it) in [
        ("private/.acl", PRIVATE, "./"),
        ("plain.txt.acl", PUBLIC, "./plain.txt"),
        ("plain.txt.meta", "<plain.txt> <urn:p> <{owner}> .", ""),
        ("described/.meta", "<> <urn:p> 1 .", ""),
    ] {
        let text = text.replace("{owner}", &owner.web_id).replace("{it}", it);
        let reply = client.put(&format!("/gent/{name}"), "text/turtle", text).await;
        assert!(reply.status.is_success(), "{name}: {} {}", reply.status, reply.text());
    }
    for number in 0..40 {
        let reply = client
            .put(&format!("/gent/many/{number}.ttl"), "text/turtle", "<> <urn:n> 1 .")
            .await;
        assert_eq!(reply.status, StatusCode::CREATED);
    }
}

/// What a server shows must be what another shows at its own place.
fn assert_moved(before: &BTreeMap<String, Seen>, after: &BTreeMap<String, Seen>, move_text: &dyn Fn(&str) -> String) {
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>(),
        "the same resources"
    );
    let moved = |bytes: &Bytes, media_type: &str| match std::str::from_utf8(bytes) {
        Ok(text) if media_type != "text/plain" => Bytes::from(move_text(text)),
        _ => bytes.clone(),
    };
    for (path, before) in before {
        let expected = Seen {
            body: moved(&before.body, &before.media_type),
            acl: before.acl.as_ref().map(|acl| moved(acl, "text/turtle")),
            description: before.description.as_ref().map(|it| moved(it, "text/turtle")),
            ..before.clone()
        };
        assert_eq!(after[path], expected, "{path}");
    }
}

/// Reliability P14: the archive is read without our programs, and the storage works at another
/// place with the same data and the same rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_moves_to_another_server() {
    let old = PodFolder::new("");
    let owner = old.account("gent");
    let server = old.serve();
    fill(&owner, &old.base_url).await;
    let before = crawl(&owner.client(), &old.client(), &format!("{}gent/", old.base_url)).await;
    assert!(before.len() > 60, "{}", before.len());
    assert!(server.stop().success());
    let said = old.succeed(&["storage", "export", "gent", "--to", "gent.tar.gz"]);
    assert!(said.contains("gent.tar.gz") && said.contains("digest"), "{said}");
    let again = old.refused(&["storage", "export", "gent", "--to", "gent.tar.gz"]);
    assert!(again.contains("exists"), "{again}");
    let listed = Command::new("tar")
        .arg("tzf")
        .arg(old.path("gent.tar.gz"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(listed.status.success() && errors.is_empty(), "{errors}");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("data/private/secret.ttl\n"));

    let new = PodFolder::new("");
    let archive = old.path("gent.tar.gz");
    let archive = archive.to_str().unwrap();
    let said = new.succeed(&["storage", "import", archive, "--name", "stad-gent", "--account"]);
    assert!(
        said.contains("/stad-gent/ now") && said.contains("setup http"),
        "{said}"
    );
    let again = new.succeed(&["storage", "import", archive, "--name", "stad-gent", "--account"]);
    assert!(
        again.contains(" 0 resources with") && again.contains("there already"),
        "{again}"
    );
    let server = new.serve();
    let owner = new.agent("stad-gent");
    let after = crawl(&owner.client(), &new.client(), &format!("{}stad-gent/", new.base_url)).await;
    let (root, issuer) = (format!("{}gent", old.base_url), old.console_url.clone());
    let (new_root, new_issuer) = (format!("{}stad-gent", new.base_url), new.console_url.clone());
    assert_moved(&before, &after, &|text| {
        text.replace(&format!("<{root}"), &format!("<{new_root}"))
            .replace(&format!("<{issuer}>"), &format!("<{new_issuer}>"))
    });
    let described = owner.client().get("/stad-gent/described/").await;
    assert!(described.text().contains("Mijn map"), "{}", described.text());
    assert!(server.stop().success());
}

/// Makes documents quickly, many at a time.
async fn make_many(owner: &Client, count: usize) {
    let mut running = tokio::task::JoinSet::new();
    for number in 0..count {
        let owner = owner.clone();
        running.spawn(async move {
            let path = format!("/gent/{}/{number}.ttl", number % 7);
            let body = format!("<> <urn:n> {number} . # {}", "x".repeat(200));
            owner.put(&path, "text/turtle", body).await.status
        });
        if running.len() == 64 {
            assert_eq!(running.join_next().await.unwrap().unwrap(), StatusCode::CREATED);
        }
    }
    while let Some(status) = running.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::CREATED);
    }
}

/// However often an import is killed, running it again finishes it, and nobody sees too much in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_goes_on() {
    let old = PodFolder::new("");
    let owner = old.account("gent").client();
    let server = old.serve();
    make_many(&owner, 1_500).await;
    assert!(server.stop().success());
    old.succeed(&["storage", "export", "gent", "--to", "gent.tar.gz"]);

    let new = PodFolder::new("");
    let archive = old.path("gent.tar.gz");
    let words = ["storage", "import", archive.to_str().unwrap(), "--account"];
    let mut kills = 0;
    for round in 1..200_u64 {
        let mut command = new.command(&words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment is chosen at random on purpose: a little later each time.
        tokio::time::sleep(Duration::from_millis(20 + 7 * round)).await;
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0, "the import was never killed");
    let last = new.succeed(&words);
    assert!(last.contains(" 0 resources with"), "{last}");
    new.succeed(&["storage", "export", "gent", "--to", "again.tar.gz"]);
    let (before, after) = (digests(&archive), digests(&new.path("again.tar.gz")));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    // Profile, settings and rules name the storage; everything else stays byte for byte.
    let documents = before.iter().filter(|(path, _)| path.ends_with(".ttl"));
    assert_eq!(documents.clone().count(), 1_500);
    for (path, digest) in documents {
        assert_eq!(after[path], *digest, "{path}");
    }
}

/// What an archive says of each file: path and SHA-256.
fn digests(archive: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(archive).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
        let extensions = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(Result::unwrap);
        let digest = extensions
            .filter(|extension| extension.key() == Ok("SCHILY.xattr.user.checksum.sha256"))
            .map(|extension| extension.value().unwrap().to_owned())
            .last();
        found.extend(digest.map(|digest| (path, digest)));
    }
    found
}

/// The archive as a download: it keeps the pace of its receiver, at most so many at a time, and breaks off rather than
/// mixing old and new access rules.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_bounded_and_consistent() {
    let server = PodServer::start().await;
    let owner = server.agent("gent").await;
    let client = owner.client();
    for number in 0..20_u8 {
        let body = noise(400_000, number.into());
        let reply = client
            .put(&format!("/gent/{number}.bin"), "application/octet-stream", body)
            .await;
        assert_eq!(reply.status, StatusCode::CREATED);
    }
    let source = Source {
        root: ResourceName::parse("/gent/").unwrap(),
        origins: server.app.origins.clone(),
        issuer: server.console_url.clone(),
        now: OffsetDateTime::now_utc(),
    };
    let exports = Exports::new(1);
    let permit = ReadPermit::without_proof("a test");
    let begin = || exports.stream(Arc::clone(&server.app.store), permit, source.clone());

    let mut slow = begin().unwrap();
    let first = slow.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.len() <= 64 << 10, "{}", first.len());
    assert!(begin().is_err(), "only one at a time");
    // Data may change meanwhile, also what was not written yet.
    assert!(client.delete("/gent/9.bin").await.status.is_success());
    let mut bytes = first.to_vec();
    bytes.extend(slow.collect().await.unwrap().to_bytes());
    assert!(bytes.len() > 5_000_000, "{}", bytes.len());
    let about = pod_server::archive::about(&*bytes).unwrap();
    assert_eq!(about.storage, format!("{}gent/", server.base_url));

    let mut broken = begin_when_free(&begin).await;
    broken.frame().await.unwrap().unwrap();
    let acl = PUBLIC.replace("{owner}", &owner.web_id).replace("{it}", "./8.bin");
    assert!(
        client
            .put("/gent/8.bin.acl", "text/turtle", acl)
            .await
            .status
            .is_success()
    );
    let error = broken.collect().await.unwrap_err();
    assert!(error.to_string().contains("access rules"), "{error}");

    let gone = begin_when_free(&begin).await;
    drop(gone);
    begin_when_free(&begin).await.collect().await.unwrap();
    server.stop().await;
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The place of an archive that has ended is given back on another thread.
async fn begin_when_free<B, E: std::fmt::Debug>(begin: &impl Fn() -> Result<B, E>) -> B {
    for _ in 0..500 {
        match begin() {
            Ok(body) => return body,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    begin().unwrap()
}
