//! Folders as no server should leave them: what is wrong is named, nothing of it is taken over, and nobody sees more.

use std::path::Path;

use http::StatusCode;
use meent_tests::pod::PodFolder;

use super::QUICK;

const HASH: &str = "$2b$04$nnnnnnnnnnnnnnnnnnnnnekPkyG1MfAxSAmdRcKmXwjV2vNHyA2nS";

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A folder with one account and its storage.
fn sound(folder: &Path) {
    write(
        folder,
        ".internal/setup/current-base-url$.json",
        "{\"payload\":\"http://old.example/\"}",
    );
    write(
        folder,
        ".internal/setup/current-server-version$.json",
        "{\"payload\":\"7.1.9\"}",
    );
    let account = format!(
        "{{\"payload\":{{\"id\":\"1\",\"**password**\":{{\"p\":{{\"email\":\"Eva@old.example\",\"password\":\"{HASH}\",\
         \"verified\":true}}}},\"**pod**\":{{\"q\":{{\"baseUrl\":\"http://old.example/eva/\",\"**owner**\":{{\"o\":{{\"webId\":\
         \"http://old.example/eva/profile/card#me\"}}}}}}}},\"**webIdLink**\":{{\"l\":{{\"webId\":\
         \"http://old.example/eva/profile/card#me\"}}}}}}}}"
    );
    write(folder, ".internal/accounts/data/1$.json", account);
    write(
        folder,
        "eva/.meta",
        "<http://old.example/eva/> a <http://www.w3.org/ns/pim/space#Storage>.",
    );
    write(
        folder,
        "eva/.acl",
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. <#o> a acl:Authorization; \
         acl:agent <profile/card#me>; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read, acl:Write, acl:Control. <#p> a \
         acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read.",
    );
    write(
        folder,
        "eva/profile/card$.ttl",
        "<#me> <http://www.w3.org/ns/solid/terms#oidcIssuer> <http://old.example/>.",
    );
}

/// Requirements solid 66, 69, 71: each odd thing is named with its reason and left out; access rules that cannot be used leave
/// the owner alone with the resource.
#[tokio::test(flavor = "multi_thread")]
async fn odd_things_are_named_and_left_out() {
    let old = tempfile::tempdir().unwrap();
    let folder = old.path();
    sound(folder);
    write(folder, "outside.txt", "outside");
    std::os::unix::fs::symlink(folder.join("outside.txt"), folder.join("eva/link.txt")).unwrap();
    let odd: [(&str, &[u8], &str); 13] = [
        (
            ".internal/accounts/data/2$.json",
            b"{\"payload\":",
            "an account that cannot be read",
        ),
        (".internal/idp/keys/jwks$.json", b"{}", "everyone logs in anew"),
        ("nobody/x.ttl", b"", "no account's storage"),
        ("eva/broken.ttl", b"<a <b> .", "line 1"),
        (
            "eva/context.jsonld",
            b"{\"@context\":\"https://far.example/c\",\"@id\":\"\"}",
            "context",
        ),
        ("eva/sl%2Fash$.txt", b"x", "an encoded slash"),
        ("eva/huge.bin", &[0; 500_000], "longer than 400000 bytes"),
        ("eva/gone.acl", b"", "what it belongs to is not there"),
        ("eva/twin/x.txt", b"x", ""),
        ("eva/twin$.txt", b"x", "only one of the two"),
        ("eva/double$.txt", b"x", "has the same name and counts"),
        ("eva/.notifications/x.txt", b"x", "keeps this name for itself"),
        ("eva/kept.txt.meta", b"<broken", "line 1"),
    ];
    for (name, bytes, _) in odd {
        write(folder, name, bytes);
    }
    for (name, text) in [
        ("eva/double.txt$.ttl", "<> <urn:p> 1 ."),
        ("eva/double$.ttl", "<> <urn:p> 1 ."),
        ("eva/kept.txt", "kept"),
        ("eva/strange.zzz", "strange"),
        ("eva/typeless$.unknown", "typeless"),
        ("eva/locked.txt", "locked"),
        ("eva/locked.txt.acl", "this is no list"),
        ("eva/100%$.txt", "percent"),
    ] {
        write(folder, name, text);
    }
    let new = PodFolder::new(QUICK);
    let data = folder.to_str().unwrap();
    let said = new.succeed(&["migrate", "css", data]);
    for (name, _, reason) in odd {
        assert!(said.contains(reason), "{name}: {reason}: {said}");
    }
    assert!(
        said.contains("a symbolic link") && said.contains("1 accounts and 1 storages"),
        "{said}"
    );
    assert!(said.contains("owner only\thttp://old.example/eva/locked.txt"), "{said}");
    let _server = new.serve();
    for (path, status, media_type) in [
        ("kept.txt", StatusCode::OK, "text/plain"),
        ("strange.zzz", StatusCode::OK, "application/octet-stream"),
        ("typeless", StatusCode::OK, "application/octet-stream"),
        ("100%25", StatusCode::OK, "text/plain"),
        ("twin/x.txt", StatusCode::OK, "text/plain"),
        ("locked.txt", StatusCode::UNAUTHORIZED, ""),
        ("link.txt", StatusCode::NOT_FOUND, ""),
        ("broken.ttl", StatusCode::NOT_FOUND, ""),
    ] {
        let reply = new.client().get(&format!("/eva/{path}")).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(
            media_type.is_empty() || reply.header("content-type") == media_type,
            "{path}"
        );
    }
    let locked = new.agent("eva").client().get("/eva/locked.txt").await;
    assert_eq!((locked.status, locked.text().as_str()), (StatusCode::OK, "locked"));
}

/// Folders that cannot be taken over at all are refused with what to do, and nothing is stored.
#[test]
fn wrong_folders_are_refused() {
    type Change = fn(&Path);
    let cases: [(Change, &[&str], &str); 5] = [
        (
            |folder| std::fs::remove_dir_all(folder.join(".internal")).unwrap(),
            &[],
            "--rootFilePath",
        ),
        (
            |folder| {
                write(
                    folder,
                    ".internal/setup/current-server-version$.json",
                    "{\"payload\":\"6.0.2\"}",
                )
            },
            &[],
            "start version 7 once",
        ),
        (
            |folder| std::fs::remove_dir_all(folder.join(".internal/setup")).unwrap(),
            &[],
            "give it with `--base-url`",
        ),
        (|_| {}, &["--rename", "eva=taken"], "taken here already"),
        // Whoever may add documents to a root must not choose which rules count.
        (|folder| write(folder, "eva/.acr", ""), &[], "say with `--system`"),
    ];
    for (change, words, expected) in cases {
        let old = tempfile::tempdir().unwrap();
        sound(old.path());
        change(old.path());
        let new = PodFolder::new(QUICK);
        new.succeed(&["account", "create", "taken"]);
        let data = old.path().to_str().unwrap();
        let mut all = vec!["migrate", "css", data];
        all.extend(words);
        let said = new.refused(&all);
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(new.succeed(&["storage", "list"]).lines().count(), 1);
    }
}
