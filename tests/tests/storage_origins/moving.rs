//! Storages that move between a path and an origin of their own, as archives; backups; the operator's commands.

use meent_tests::pod::{Agent, PodFolder, crawl};
use server_kit::clock::{Clock, SystemClock};
use server_kit::tls::LocalAuthority;

use super::{TURTLE, open_to_all};

async fn fill(owner: &Agent, root: &str) {
    let client = owner.client();
    let text = format!("@prefix here: <{root}>.\n<> <urn:p> <b/>, here:c, <{root}profile/card#me>, </top>.");
    for (path, media_type, body) in [
        ("a.ttl", TURTLE, text),
        ("a.ttl.meta", TURTLE, format!("<a.ttl> <urn:about> <{root}a.ttl>.")),
        (
            "open/b.jsonld",
            "application/ld+json",
            format!("{{\"@id\": \"\", \"urn:p\": {{\"@id\": \"{root}a.ttl\"}}}}"),
        ),
        ("open/.acl", TURTLE, open_to_all(&owner.web_id, &format!("{root}open/"))),
        ("open/c.txt", "text/plain", root.to_owned()),
        ("closed/d.ttl", TURTLE, "<> <urn:p> 1 .".to_owned()),
    ] {
        let put = client.put(&format!("{root}{path}"), media_type, body).await;
        assert!(put.status.is_success(), "{path}: {}", put.text());
    }
}

/// Reliability P14: an archive moves a storage from a path to an origin of its own and back; all of it says the new names, and
/// everyone may do what they might before.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_moves_between_path_and_origin() {
    let (old, own, back) = (PodFolder::new(""), PodFolder::on_subdomains(""), PodFolder::new(""));
    let owner = old.account("gent");
    let server = old.serve();
    let mut root = old.origins.root("gent");
    fill(&owner, &root).await;
    let first = crawl(&owner.client(), &old.client(), &root).await;
    assert!(server.stop().success());
    let mut from = &old;
    for (to, name) in [(&own, "stad-gent"), (&back, "gent")] {
        let exported = root
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap()
            .split('.')
            .next()
            .unwrap()
            .to_owned();
        from.succeed(&["storage", "export", &exported, "--to", "moving.tar.gz"]);
        let archive = from.path("moving.tar.gz");
        let said = to.succeed(&[
            "storage",
            "import",
            archive.to_str().unwrap(),
            "--name",
            name,
            "--account",
        ]);
        to.origins.expect(name);
        let new_root = to.origins.root(name);
        assert!(said.contains(&new_root), "{said}");
        let server = to.serve();
        let owner = to.agent(name);
        assert_eq!(owner.web_id, format!("{new_root}profile/card#me"));
        let after = crawl(&owner.client(), &to.client(), &new_root).await;
        assert_eq!(after.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
        for (path, before) in &first {
            let seen = &after[path];
            assert_eq!((&before.owner, before.public), (&seen.owner, seen.public), "{path}");
            let text = String::from_utf8_lossy(&seen.body).into_owned();
            if before.media_type != "text/plain" {
                assert!(!text.contains(&root), "{path}: {text}");
            }
        }
        let client = owner.client();
        let read = client
            .request("GET", &format!("{new_root}a.ttl"))
            .header("accept", "application/n-triples");
        let read = read.send().await.text();
        for object in ["b/", "c", "profile/card#me"] {
            assert!(read.contains(&format!("<{new_root}{object}>")), "{object}: {read}");
        }
        assert!(server.stop().success());
        (from, root) = (to, new_root);
    }
    assert!(from.base_url == back.base_url && root == format!("{}gent/", back.base_url));
}

/// T115: a restored store still knows which storages have an origin of their own; an operator's new storage gets one.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_keeps_the_origins() {
    let pod = PodFolder::on_subdomains("");
    let owner = pod.account("gent");
    let said = pod.succeed(&["storage", "create", "park", "--owner", &owner.web_id]);
    pod.origins.expect("park");
    assert!(said.contains(&pod.origins.root("park")), "{said}");
    let refused = pod.refused(&["storage", "create", "Not_a_host", "--owner", &owner.web_id]);
    assert!(refused.contains("host name"), "{refused}");
    let backups = pod.path("backups");
    let backups = backups.to_str().unwrap();
    pod.succeed(&["backup", "--into", backups]);
    std::fs::rename(pod.store(), pod.path("lost")).unwrap();
    pod.succeed(&["restore", backups, "--without-journal", "--keep-access-rules"]);
    let server = pod.serve();
    let public = pod.client();
    for (url, status) in [
        (format!("{}profile/card", pod.origins.root("gent")), 200),
        (format!("{}gent/profile/card", pod.base_url), 404),
        (format!("{}park/", pod.base_url), 404),
        (pod.origins.root("park"), 401),
    ] {
        assert_eq!(public.get(&url).await.status, status, "{url}");
    }
    assert!(server.stop().success());
}

/// The operator hears of a certificate that is not for the hosts of storages before any client does.
#[test]
fn the_certificate_is_for_storages_too() {
    let pod = PodFolder::on_subdomains("[tls]\ncertificate_file = \"tls.pem\"\nkey_file = \"tls.key\"\n");
    let now = SystemClock.now();
    let authority = LocalAuthority::generate("test", now).unwrap();
    for (names, fits) in [
        (["data.localhost", "127.0.0.1"], false),
        (["*.localhost", "data.localhost"], false),
        (["data.localhost", "*.data.localhost"], true),
    ] {
        let certificate = authority.certificate(&names.map(str::to_owned), now).unwrap();
        certificate.write(&pod.path("tls.pem"), &pod.path("tls.key")).unwrap();
        if fits {
            pod.succeed(&["check"]);
        } else {
            let said = pod.refused(&["check"]);
            assert!(said.contains("`*.data.localhost`"), "{said}");
        }
    }
}
