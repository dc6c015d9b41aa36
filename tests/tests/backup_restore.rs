//! Backups of a server that is written to, and restoring them without bringing back what was revoked (reliability D19,
//! P13, T109, T115).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "backup_restore/load.rs"]
mod load;
#[path = "backup_restore/revoked.rs"]
mod revoked;

use std::path::{Path, PathBuf};

use meent_tests::pod::PodFolder;

/// Moves a folder's store away, as a broken disk would; answers where it is.
fn lose_store(folder: &PodFolder) -> PathBuf {
    let lost = folder.path("lost");
    if lost.exists() {
        std::fs::remove_dir_all(&lost).unwrap();
    }
    std::fs::rename(folder.store(), &lost).unwrap();
    lost
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The folder of the newest backup.
fn newest(backups: &Path) -> PathBuf {
    let folders = std::fs::read_dir(backups).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|path| path.join("backup.json").exists()).max().unwrap()
}

/// Requirements of reliability P13: what is not what was backed up is not restored, and nothing that looks like a store is left.
#[test]
fn a_damaged_backup_is_refused() {
    let folder = PodFolder::new("");
    folder.account("gent");
    let large: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::create_dir(folder.path("files")).unwrap();
    let literal = "x".repeat(100_000);
    std::fs::write(
        folder.path("files/large.ttl"),
        format!("<urn:s> <urn:p> \"{literal}\" ."),
    )
    .unwrap();
    folder.succeed(&["import", "--into", "/gent/data/", "files"]);
    let backups = folder.path("backups");
    let said = folder.succeed(&["backup", "--into", text(&backups)]);
    assert!(said.contains(" 1 bodies"), "{said}");
    let backup = newest(&backups);
    folder.succeed(&["backup", "--check", text(&backup)]);
    let journal = lose_store(&folder).join("revocations.journal");
    let blob = walk(&backups.join("blobs")).pop().unwrap();
    let restore = ["restore", text(&backup), "--journal", text(&journal)];
    for (path, change) in [
        (blob.clone(), Some(7)),
        (backup.join("store.sqlite"), Some(9_000)),
        (backup.join("issuer.key"), Some(3)),
        (backup.join("backup.json"), Some(40)),
        (backup.join("store.sqlite"), None),
        (blob, None),
    ] {
        let before = std::fs::read(&path).unwrap();
        match change {
            Some(place) => {
                let mut changed = before.clone();
                changed[place] ^= 1;
                std::fs::write(&path, changed).unwrap();
            }
            None => std::fs::remove_file(&path).unwrap(),
        }
        folder.refused(&["backup", "--check", text(&backup)]);
        folder.refused(&restore);
        assert!(!folder.store().join("store.sqlite").exists(), "{}", path.display());
        std::fs::write(&path, before).unwrap();
    }
    std::fs::write(folder.store().join("something"), large).unwrap();
    let said = folder.refused(&restore);
    assert!(said.contains("must be empty"), "{said}");
    std::fs::remove_file(folder.store().join("something")).unwrap();
    let said = folder.refused(&["restore", text(&backup)]);
    assert!(said.contains("--journal"), "{said}");
    // A restore that was killed half way leaves no store, and no server starts on it.
    std::fs::create_dir_all(folder.store().join("restoring")).unwrap();
    let said = folder.refused(&["storage", "list"]);
    assert!(said.contains("restore"), "{said}");
    let said = folder.succeed(&restore);
    assert!(said.contains("restored commit"), "{said}");
    let said = folder.succeed(&["storage", "list"]);
    assert!(said.starts_with("gent\t"), "{said}");
    folder.succeed(&["log", "verify"]);
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Old backups go, with the bodies that only they referred to; the newer ones stay whole.
#[test]
fn only_so_many_backups_are_kept() {
    let folder = PodFolder::new("");
    folder.account("gent");
    std::fs::create_dir(folder.path("files")).unwrap();
    let backups = folder.path("backups");
    for round in 0..4 {
        let literal = format!("{round}").repeat(100_000);
        std::fs::write(
            folder.path("files/large.ttl"),
            format!("<urn:s> <urn:p> \"{literal}\" ."),
        )
        .unwrap();
        folder.succeed(&["import", "--into", "/gent/data/", "files"]);
        folder.succeed(&["backup", "--into", text(&backups), "--keep", "2"]);
    }
    let folders = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<PathBuf> = folders.filter(|path| path.join("backup.json").exists()).collect();
    assert_eq!(kept.len(), 2);
    for backup in &kept {
        folder.succeed(&["backup", "--check", text(backup)]);
    }
    assert_eq!(walk(&backups.join("blobs")).len(), 2);
}
