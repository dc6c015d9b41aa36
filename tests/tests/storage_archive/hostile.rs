//! Archives that were damaged or made up: refused with the place and the reason, and nothing is stored (T127).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use meent_tests::pod::PodFolder;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

/// One file of an archive, to be changed.
#[derive(Clone, Debug)]
struct File {
    kind: EntryType,
    path: String,
    media_type: String,
    /// None: the right one.
    sha256: Option<String>,
    content: Vec<u8>,
}

fn file(path: &str, media_type: &str, content: &str) -> File {
    File {
        kind: if path.ends_with('/') {
            EntryType::Directory
        } else {
            EntryType::Regular
        },
        path: path.to_owned(),
        media_type: media_type.to_owned(),
        sha256: None,
        content: content.as_bytes().to_vec(),
    }
}

fn sha256(file: &File) -> String {
    file.sha256
        .clone()
        .unwrap_or_else(|| hex::encode(Sha256::digest(&file.content)))
}

const ACL: &str = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#o> a acl:Authorization; \
                   acl:agent <https://old.example/gent/profile/card#me>; acl:accessTo <./>; acl:default <./>; \
                   acl:mode acl:Read, acl:Write, acl:Control.";

/// A small sound archive.
fn sound() -> Vec<File> {
    let about = "{\"format\": \"meent-storage\", \"version\": 1, \"storage\": \"https://old.example/gent/\", \
                 \"owner\": \"https://old.example/gent/profile/card#me\", \"issuer\": \"https://console.old.example/\", \
                 \"written\": \"2026-01-01T00:00:00Z\", \"holds\": \"\"}";
    vec![
        file("about.json", "", about),
        file("data/", "", ""),
        file("data/.acl", "text/turtle", ACL),
        file("data/a/", "", ""),
        file("data/a/b.ttl", "text/turtle", "<> <urn:p> <#me> ."),
        file("data/a/c", "text/plain", "hallo"),
    ]
}

/// The archive of some files, with a fitting end.
fn written(files: &[File]) -> Vec<u8> {
    let data: Vec<&File> = files.iter().filter(|file| file.path.starts_with("data/")).collect();
    let lines: String = data
        .iter()
        .map(|file| format!("{}  {}\n", sha256(file), file.path))
        .collect();
    let complete = format!(
        "{{\"entries\": {}, \"bytes\": {}, \"digest\": \"{}\", \"commits\": [1, 1]}}",
        data.len(),
        data.iter().map(|file| file.content.len()).sum::<usize>(),
        hex::encode(Sha256::digest(lines))
    );
    let mut all = files.to_vec();
    all.push(file("complete.json", "", &complete));
    packed(&all)
}

fn packed(files: &[File]) -> Vec<u8> {
    let mut out = Vec::new();
    for file in files {
        if file.kind != EntryType::Directory && !file.media_type.is_empty() {
            let records = [
                ("path", file.path.as_str()),
                ("SCHILY.xattr.user.mime_type", file.media_type.as_str()),
                ("SCHILY.xattr.user.checksum.sha256", &sha256(file)),
            ];
            let pax: String = records.iter().map(|(key, value)| record(key, value)).collect();
            entry(&mut out, EntryType::XHeader, "pax", pax.as_bytes());
        }
        entry(&mut out, file.kind, &file.path, &file.content);
    }
    out.extend([0; 1_024]);
    out
}

fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length = (rest..)
        .find(|length| *length == rest + length.to_string().len())
        .unwrap();
    format!("{length} {key}={value}\n")
}

fn entry(out: &mut Vec<u8>, kind: EntryType, path: &str, content: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    // Written into the field itself: the library would refuse what is tried here.
    let field = &mut header.as_old_mut().name;
    let length = path.len().min(field.len());
    field[..length].copy_from_slice(&path.as_bytes()[..length]);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    out.extend(header.as_bytes());
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The sound archive after a change of its files.
fn with(change: impl FnOnce(&mut Vec<File>)) -> Vec<u8> {
    let mut files = sound();
    change(&mut files);
    written(&files)
}

/// What was done to the archive, the archive, and what the refusal says.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let of = |path: &str, media_type: &str, content: &str| {
        let added = file(path, media_type, content);
        with(move |files| files.push(added))
    };
    let kind = |kind: EntryType| {
        with(move |files| {
            files.push(File {
                kind,
                ..file("data/z", "text/plain", "")
            });
        })
    };
    let cut = |bytes: Vec<u8>, to: usize| bytes[..to].to_vec();
    let mut flipped = written(&sound());
    let place = flipped.windows(5).position(|bytes| bytes == b"hallo").unwrap();
    flipped[place] = b'H';
    let whole = written(&sound());
    let length = whole.len();
    vec![
        ("nothing", Vec::new(), "about.json"),
        ("no archive", b"{}".to_vec(), "about.json"),
        ("cut before the end", cut(whole.clone(), length - 2_048), "cut off"),
        ("cut in a file", cut(whole.clone(), 3_000), ""),
        ("half of a zip", cut(zipped(&whole), 300), ""),
        ("another byte", flipped, "SHA-256"),
        ("no end", packed(&sound()), "cut off"),
        (
            "something behind the end",
            {
                let mut files = sound();
                files.extend([file(
                    "complete.json",
                    "",
                    "{\"entries\":0,\"bytes\":0,\"digest\":\"\",\"commits\":[0,0]}",
                )]);
                packed(&files)
            },
            "added, changed or taken away",
        ),
        (
            "a file less",
            {
                let all = written(&sound());
                let mut fewer = sound();
                fewer.truncate(4);
                let mut bytes = packed(&fewer);
                bytes.truncate(bytes.len() - 1_024);
                let end = all.windows(13).rposition(|bytes| bytes == b"complete.json").unwrap();
                bytes.extend(&all[end..]);
                bytes
            },
            "added, changed or taken away",
        ),
        (
            "not the first file",
            with(|files| files.swap(0, 1)),
            "no archive of a storage",
        ),
        (
            "another format",
            with(|files| files[0].content = b"{\"format\":\"x\"}".to_vec()),
            "about.json",
        ),
        ("a link", kind(EntryType::Symlink), "does not belong"),
        ("a hard link", kind(EntryType::Link), "does not belong"),
        ("a device", kind(EntryType::Char), "does not belong"),
        ("a pipe", kind(EntryType::Fifo), "does not belong"),
        (
            "a long name of another kind",
            kind(EntryType::GNULongName),
            "does not belong",
        ),
        (
            "a way out",
            of("data/../../etc/passwd", "text/plain", "x"),
            "dot segment",
        ),
        (
            "a hidden way out",
            of("data/%2e%2e/x", "text/plain", "x"),
            "dot segment",
        ),
        (
            "an absolute path",
            of("/etc/passwd", "text/plain", "x"),
            "outside `data/`",
        ),
        ("another folder", of("other/x", "text/plain", "x"), "outside `data/`"),
        ("an empty segment", of("data/b//c", "text/plain", "x"), "empty segment"),
        (
            "a name spelt otherwise",
            of("data/%7Ex", "text/plain", "x"),
            "not spelt canonically",
        ),
        ("an encoded slash", of("data/b%2Fc", "text/plain", "x"), "may not stand"),
        (
            "a control character",
            of("data/b%00c", "text/plain", "x"),
            "may not stand",
        ),
        ("twice", of("data/a/c", "text/plain", "again"), "twice"),
        ("out of order", of("data/a/aa", "text/plain", "x"), "out of order"),
        (
            "no container",
            of("data/b/c", "text/plain", "x"),
            "container is missing",
        ),
        (
            "rules before their resource",
            with(|files| files.insert(3, file("data/a/.acl", "text/turtle", ACL))),
            "behind",
        ),
        ("rules long after", of("data/a/.acl", "text/turtle", ACL), "behind"),
        ("rules of nothing", of("data/x.acl", "text/turtle", ACL), "behind"),
        (
            "a folder with content",
            with(|files| files[3].content = b"x".to_vec()),
            "a folder with content",
        ),
        (
            "a folder that is a file",
            with(|files| files[3].kind = EntryType::Regular),
            "slash",
        ),
        (
            "no media type",
            with(|files| files[5].media_type = String::new()),
            "media type",
        ),
        (
            "no real media type",
            with(|files| files[5].media_type = "plain".to_owned()),
            "no media type",
        ),
        (
            "the server's own names",
            of("data/sparql", "text/plain", "x"),
            "keeps this name",
        ),
        (
            "the server's hidden names",
            with(|files| files.insert(3, file("data/.log", "text/plain", "x"))),
            "keeps this name",
        ),
        (
            "rules of rules",
            with(|files| {
                files.truncate(3);
                files.push(file("data/.acl.acl", "text/turtle", ACL));
            }),
            "behind",
        ),
        (
            "no Turtle",
            with(|files| files[4].content = b"<> <urn:p".to_vec()),
            "b.ttl",
        ),
        (
            "no rules",
            with(|files| files[2].content = b"<#o> a <urn:x> ; .".to_vec()),
            ".acl",
        ),
        (
            "rules that lock everyone out",
            with(|files| files[2].content = b"<> <urn:p> 1 .".to_vec()),
            "Control",
        ),
        (
            "rules that are no RDF",
            with(|files| files[2].media_type = "text/plain".to_owned()),
            "no RDF",
        ),
        (
            "deep brackets",
            with(|files| files[4].content = "[".repeat(100_000).into_bytes()),
            "b.ttl",
        ),
    ]
}

/// Reliability T127.
#[test]
fn damaged_and_made_up_archives_change_nothing() {
    let folder = PodFolder::new("");
    let path = folder.path("x.tar");
    let words = ["storage", "import", path.to_str().unwrap(), "--name", "gent"];
    let (mut refused, mut surprises) = (0, Vec::new());
    for (what, bytes, reason) in cases() {
        std::fs::write(&path, bytes).unwrap();
        let said = folder.refused(&words);
        if !said.contains(reason) {
            surprises.push(format!("{what}: {said}"));
        }
        refused += 1;
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(refused > 35);
    // A bomb: a few kilobytes that unpack to far more than allowed.
    std::fs::write(&path, zipped(&with(|files| files[5].content = vec![0; 8 << 20]))).unwrap();
    let said = folder.refused(&[&words[..], &["--unpacked-bytes-max", "1000000"]].concat());
    assert!(said.contains("more bytes than allowed"), "{said}");
    // A header that is none: larger than any real one.
    let mut bytes = Vec::new();
    entry(&mut bytes, EntryType::XHeader, "pax", &vec![b'x'; 1 << 20]);
    std::fs::write(&path, bytes).unwrap();
    folder.refused(&words);
    assert_eq!(folder.succeed(&["storage", "list"]), "", "no storage came into being");

    std::fs::write(&path, zipped(&written(&sound()))).unwrap();
    folder.succeed(&words);
    let listed = folder.succeed(&["storage", "list"]);
    assert!(
        listed.starts_with("gent\t") && listed.contains("/gent/profile/card#me"),
        "{listed}"
    );
    let other = with(|files| files[5].content = b"other".to_vec());
    std::fs::write(&path, other).unwrap();
    let said = folder.refused(&words);
    assert!(said.contains("exists already"), "{said}");
}
