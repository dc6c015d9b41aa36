//! Trees of every small size against a direct computation, and logs that are tampered with (AUD-3).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use policies::audit::merkle::{verify_consistency, verify_inclusion};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::*;
use crate::random::SystemRandom;

fn leaf(number: u64) -> Hash {
    Sha256::digest([&[0][..], &number.to_be_bytes()].concat()).into()
}

fn log_of(count: u64) -> Connection {
    let mut database = Connection::open_in_memory().unwrap();
    database.execute_batch(SCHEMA).unwrap();
    grow(&mut database, 0, count);
    database
}

fn grow(database: &mut Connection, from: u64, to: u64) {
    let transaction = database.transaction().unwrap();
    for number in from..to {
        assert_eq!(append(&transaction, &leaf(number)).unwrap(), number);
    }
    transaction.commit().unwrap();
}

/// RFC 9162 §2.1.1 as it is written.
fn direct_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest(b"").into(),
        [only] => *only,
        many => {
            let mut split = 1;
            while split * 2 < many.len() {
                split *= 2;
            }
            let (left, right) = many.split_at(split);
            Sha256::digest([&[1][..], &direct_root(left), &direct_root(right)].concat()).into()
        }
    }
}

#[test]
fn roots_and_proofs_follow_rfc9162() {
    let sizes: Vec<u64> = (0..=20).chain([255, 256, 257, 300, 511, 512, 513, 700]).collect();
    let all: Vec<Hash> = (0..700).map(leaf).collect();
    let database = log_of(700);
    for &size in &sizes {
        let expected = direct_root(&all[..usize::try_from(size).unwrap()]);
        assert_eq!(root(&database, size).unwrap(), expected, "root of {size}");
        for index in (0..size).filter(|index| size < 30 || index % 37 == 0 || *index + 2 > size) {
            let proof = inclusion(&database, index, size).unwrap();
            assert!(
                verify_inclusion(&leaf(index), index, size, &proof, &expected),
                "{index} in {size}"
            );
            assert!(
                !verify_inclusion(&leaf(index + 1), index, size, &proof, &expected),
                "{index} in {size}, other leaf"
            );
        }
        for &earlier in sizes.iter().filter(|earlier| **earlier <= size && **earlier > 0) {
            let proof = consistency(&database, earlier, size).unwrap();
            let old = direct_root(&all[..usize::try_from(earlier).unwrap()]);
            assert!(
                verify_consistency(earlier, &old, size, &expected, &proof),
                "{earlier} to {size}"
            );
        }
    }
    assert!(matches!(
        root(&database, 701),
        Err(AuditLogError::OutOfRange { size: 700, asked: 701 })
    ));
    assert!(inclusion(&database, 5, 5).is_err() && consistency(&database, 6, 5).is_err());
}

#[test]
fn three_levels_of_tiles() {
    let count = 256 * 256 + 300;
    let database = log_of(count);
    let all: Vec<Hash> = (0..count).map(leaf).collect();
    assert_eq!(root(&database, count).unwrap(), direct_root(&all));
    let top = tile(&database, 2, 0, 1).unwrap();
    assert_eq!(
        top,
        direct_root(&all[..65_536]).to_vec(),
        "a tile two levels up is the root of 65536 leaves"
    );
    assert_eq!(tile(&database, 0, 256, 256).unwrap(), all[65_536..65_792].concat());
    assert!(tile(&database, 0, 257, 45).is_err(), "wider than the log");
    let proof = inclusion(&database, 65_700, count).unwrap();
    assert!(verify_inclusion(
        &leaf(65_700),
        65_700,
        count,
        &proof,
        &root(&database, count).unwrap()
    ));
}

#[test]
fn a_rolled_back_leaf_never_was() {
    let mut database = log_of(3);
    let before = root(&database, 3).unwrap();
    let transaction = database.transaction().unwrap();
    append(&transaction, &leaf(9)).unwrap();
    transaction.rollback().unwrap();
    assert_eq!((size(&database).unwrap(), root(&database, 3).unwrap()), (3, before));
}

#[test]
fn tile_paths_have_one_spelling() {
    for (path, level, index, width) in [
        ("tile/0/000", 0, 0, 256),
        ("tile/0/x001/x234/067", 0, 1_234_067, 256),
        ("tile/3/x001/000.p/8", 3, 1_000, 8),
    ] {
        let tile = TilePath { level, index, width };
        assert_eq!((tile_path(tile).as_str(), parse_tile_path(path)), (path, Some(tile)));
    }
    for bad in [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/08",
        "tile/0/+01",
        "tile/8/000",
        "tile/0/000/",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(parse_tile_path(bad), None, "{bad}");
    }
}

fn key(directory: &Path) -> LogKey {
    LogKey::load_or_generate(&directory.join("log.key"), "pod.example/log", &SystemRandom).unwrap()
}

fn sign(database: &mut Connection, key: &LogKey) -> Result<String, AuditLogError> {
    let transaction = database.transaction().unwrap();
    let note = sign_checkpoint(&transaction, key)?;
    transaction.commit().unwrap();
    Ok(note)
}

#[test]
fn checkpoints_are_signed_notes() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(directory.path());
    let mut database = log_of(5);
    let note = sign(&mut database, &key).unwrap();
    assert!(
        note.starts_with("pod.example/log\n5\n") && note.contains("\n\n\u{2014} pod.example/log "),
        "{note}"
    );
    let public = VerifierKey::parse(&key.verifier().to_string()).unwrap();
    let checkpoint = public.verify(&note).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (5, root(&database, 5).unwrap()));
    let again = LogKey::load_or_generate(&directory.path().join("log.key"), "pod.example/log", &SystemRandom).unwrap();
    assert_eq!(again.verifier(), key.verifier(), "the key is kept");
    assert!(LogKey::load_or_generate(&directory.path().join("log.key"), "other.example/log", &SystemRandom).is_err());

    let other =
        LogKey::load_or_generate(&directory.path().join("other.key"), "pod.example/log", &SystemRandom).unwrap();
    assert!(matches!(
        other.verifier().verify(&note),
        Err(CheckpointError::Unsigned(_))
    ));
    for (from, to) in [
        ("\n5\n", "\n6\n"),
        ("\n5\n", "\n05\n"),
        ("pod.example/log\n5", "bad.example/log\n5"),
        ("\n\n", "\n"),
    ] {
        assert!(
            public.verify(&note.replacen(from, to, 1)).is_err(),
            "`{from}` to `{to}`"
        );
    }
    let witnessed = format!("{note}\u{2014} witness.example AAAAAAAAAAAA\n");
    assert!(public.verify(&witnessed).is_ok(), "signatures of others do not disturb");
}

#[test]
fn a_damaged_or_rewritten_log_is_not_signed() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(directory.path());
    let tamper = |statement: &str, grown: u64| {
        let mut database = log_of(600);
        sign(&mut database, &key).unwrap();
        grow(&mut database, 600, grown);
        database.execute_batch(statement).unwrap();
        sign(&mut database, &key)
    };
    let flip = |level: u8, position: u64| {
        format!("UPDATE audit_log_hash SET hash = zeroblob(32) WHERE level = {level} AND position = {position}")
    };
    assert!(tamper("", 1_100).is_ok());
    assert!(matches!(
        tamper(&flip(0, 700), 1_100),
        Err(AuditLogError::Damaged {
            level: 1,
            position: 2,
            ..
        })
    ));
    assert!(matches!(
        tamper(&flip(1, 3), 1_100),
        Err(AuditLogError::Damaged {
            level: 1,
            position: 3,
            ..
        })
    ));
    assert!(matches!(
        tamper(&flip(0, 599), 601),
        Err(AuditLogError::Forked { size: 600 })
    ));
    let cut = "DELETE FROM audit_log_hash WHERE level = 0 AND position >= 590";
    assert!(matches!(tamper(cut, 600), Err(AuditLogError::Forked { size: 600 })));
    let hole = "DELETE FROM audit_log_hash WHERE level = 0 AND position = 650";
    assert!(matches!(tamper(hole, 700), Err(AuditLogError::Damaged { .. })));
}

/// Changes one exported file.
fn edit(directory: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = directory.join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn swap_hashes(bytes: &mut [u8], left: usize, right: usize) {
    for offset in 0..32 {
        bytes.swap(left * 32 + offset, right * 32 + offset);
    }
}

fn check(with_list: bool, tamper: impl FnOnce(&Path), expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let key = key(directory.path());
    let mut database = log_of(700);
    sign(&mut database, &key).unwrap();
    let out = directory.path().join("out");
    export(&database, &out).unwrap();
    if !with_list {
        std::fs::remove_file(out.join("leaves")).unwrap();
    }
    tamper(&out);
    let outcome = verify_directory(&out, key.verifier(), None);
    let said = outcome.map_or_else(|fault| fault.to_string(), |log| format!("{} leaves", log.leaves.len()));
    assert!(said.starts_with(expected), "`{said}`, not `{expected}`");
}

#[test]
fn aud3_flip_drop_reorder_and_truncate_are_each_named() {
    let lines = |change: fn(&mut Vec<String>)| {
        move |directory: &Path| {
            edit(directory, "leaves", |bytes| {
                let text = String::from_utf8(bytes.clone()).unwrap();
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                change(&mut lines);
                *bytes = lines.join("\n").into_bytes();
            });
        }
    };
    check(true, |_| {}, "700 leaves");
    check(false, |_| {}, "700 leaves");
    check(true, lines(|lines| lines[300] = "00".repeat(32)), "flipped: leaf 300");
    check(true, lines(|lines| drop(lines.remove(300))), "dropped: leaf 300");
    check(
        true,
        lines(|lines| lines.swap(300, 400)),
        "reordered: leaf 300 stands where leaf 400",
    );
    check(true, lines(|lines| lines.truncate(650)), "truncated: 650 leaves of 700");
    check(
        true,
        lines(|lines| lines.insert(300, "00".repeat(32))),
        "inserted: leaf 300",
    );
    check(
        true,
        lines(|lines| lines[3] = "xyz".to_owned()),
        "file `leaves`: line 4",
    );

    check(
        true,
        |out| edit(out, "tile/0/001", |bytes| bytes[0] ^= 1),
        "flipped: leaf 256",
    );
    check(
        true,
        |out| edit(out, "tile/0/001", |bytes| swap_hashes(bytes, 3, 4)),
        "reordered: leaf 259",
    );
    check(
        false,
        |out| edit(out, "tile/0/001", |bytes| bytes[0] ^= 1),
        "altered: tile 1 at level 0",
    );
    check(
        false,
        |out| edit(out, "tile/0/002.p/188", |bytes| bytes[0] ^= 1),
        "altered: tile 2 at level 0",
    );
    check(
        false,
        |out| edit(out, "tile/0/002.p/188", |bytes| bytes.truncate(320)),
        "truncated: 522 leaves of 700",
    );
    check(
        true,
        |out| std::fs::remove_file(out.join("tile/0/002.p/188")).unwrap(),
        "truncated: 512 leaves of 700",
    );
    check(
        true,
        |out| std::fs::remove_file(out.join("tile/0/001")).unwrap(),
        "missing: tile 1 at level 0",
    );
    check(
        true,
        |out| edit(out, "tile/1/000.p/2", |bytes| bytes[40] ^= 1),
        "altered: tile 0 at level 1",
    );
    check(
        true,
        |out| edit(out, "tile/0/001", |bytes| bytes.truncate(100)),
        "file `tile/0/001`",
    );
    let size = |out: &Path| {
        edit(out, "checkpoint", |bytes| {
            *bytes = String::from_utf8(bytes.clone())
                .unwrap()
                .replace("\n700\n", "\n600\n")
                .into()
        })
    };
    check(true, size, "the signature of `pod.example/log`");
}

#[test]
fn a_log_that_lost_its_past_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(directory.path());
    let mut database = log_of(100);
    let earlier = key.verifier().verify(&sign(&mut database, &key).unwrap()).unwrap();
    grow(&mut database, 100, 150);
    sign(&mut database, &key).unwrap();
    let out = directory.path().join("out");
    export(&database, &out).unwrap();
    let log = verify_directory(&out, key.verifier(), Some(&earlier)).unwrap();
    let mut leaves = log.leaves.clone();
    assert!(verify_leaves(&log, &leaves).is_ok());
    leaves.swap(1, 2);
    assert!(matches!(
        verify_leaves(&log, &leaves),
        Err(LogFault::Reordered { first: 1, second: 2 })
    ));
    let other = Checkpoint {
        root: [7; 32],
        ..earlier
    };
    assert!(matches!(
        verify_directory(&out, key.verifier(), Some(&other)),
        Err(LogFault::Rewritten {
            size: 150,
            earlier: 100
        })
    ));
}

/// A witness's answer may hold lines by other keys that bear its name: what is kept is the line that was verified.
#[test]
fn the_line_of_a_witness_is_by_its_own_key() {
    let directory = tempfile::tempdir().unwrap();
    let witness = |file: &str| {
        WitnessKey::load_or_generate(&directory.path().join(file), "witness.example", &SystemRandom).unwrap()
    };
    let (own, other) = (witness("own"), witness("other"));
    let note = key(directory.path()).sign(1, &[1; 32]);
    let (text, _) = note.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    let (foreign, line) = (other.cosign(&text, 7), own.cosign(&text, 9));
    let cosigned = format!("{note}{foreign}{line}");
    assert_eq!(own.verifier().verify(&cosigned).unwrap(), 9);
    assert_eq!(own.verifier().line(&cosigned).unwrap(), line);
    assert!(own.verifier().line(&format!("{note}{foreign}")).is_err());
}
