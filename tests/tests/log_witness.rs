//! Two servers as they run: one cosigns the log of the other, and will not when that shows another history (AUD-4).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use meent_tests::pod::{Client, PodFolder};
use server_kit::audit_log::{Checkpoint, VerifierKey, WitnessVerifier};

fn configure(folder: &PodFolder, more: &str) {
    let text = std::fs::read_to_string(folder.config()).unwrap();
    let sound = text.split("[dataspace]").next().unwrap();
    let text = format!("{sound}[dataspace]\ncheckpoint_seconds = 1\n{more}");
    std::fs::write(folder.config(), text).unwrap();
}

async fn text(client: &Client, path: &str) -> String {
    let got = client.get(path).await;
    assert_eq!(got.status, StatusCode::OK, "{path}");
    got.text()
}

/// Waits until the witness has cosigned at least so many leaves; answers the note.
async fn witnessed(client: &Client, leaves: u64) -> String {
    for _ in 0..600 {
        let got = client.get("/log/witnessed").await;
        if got.status == StatusCode::OK {
            let note = got.text();
            if Checkpoint::parse_unverified(&note).unwrap().size >= leaves {
                return note;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{leaves} leaves were not cosigned in time");
}

async fn leaves(client: &Client) -> u64 {
    let note = text(client, "/log/checkpoint").await;
    Checkpoint::parse_unverified(&note).unwrap().size
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Requirements AUD-3, AUD-4; reliability T109.
#[tokio::test(flavor = "multi_thread")]
async fn a_witness_cosigns_one_history_only() {
    let (log, witness) = (PodFolder::new(""), PodFolder::new(""));
    let owner = log.account("gent").client();
    let neighbour = witness.account("brugge").client();
    let server = log.serve();
    let log_key = text(&owner, "/log/vkey").await;
    assert_eq!(owner.get("/log/witnessed").await.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.get("/log/witness/vkey").await.status, StatusCode::NOT_FOUND);
    assert!(server.stop().success());

    configure(&witness, &format!("witnessed_logs = [{:?}]\n", log_key.trim()));
    let other = witness.serve();
    let witness_key = text(&neighbour, "/log/witness/vkey").await;
    configure(
        &log,
        &format!(
            "[[dataspace.witnesses]]\nurl = \"{}log/witness/\"\nkey = {:?}\n",
            witness.base_url,
            witness_key.trim()
        ),
    );
    let server = log.serve();
    let first = owner.put("/gent/first", "text/plain", "first").await;
    assert_eq!(first.status, StatusCode::CREATED);
    let note = witnessed(&owner, leaves(&owner).await).await;
    assert!(VerifierKey::parse(&log_key).unwrap().verify(&note).is_ok());
    assert!(WitnessVerifier::parse(&witness_key).unwrap().verify(&note).is_ok());
    let verify = ["log", "verify", "--witness", witness_key.trim()];
    let said = log.succeed(&verify);
    assert!(said.contains("cosigned by") && said.contains("is sound"), "{said}");
    assert!(server.stop().success());

    // Someone puts an older store back and goes on as if nothing had been.
    let saved = tempfile::tempdir().unwrap();
    copy(&log.store(), saved.path());
    let server = log.serve();
    for name in ["/gent/second", "/gent/third"] {
        assert_eq!(owner.put(name, "text/plain", "true").await.status, StatusCode::CREATED);
    }
    let seen = leaves(&owner).await;
    let note = witnessed(&owner, seen).await;
    let public = log.path("witnessed");
    std::fs::write(&public, &note).unwrap();
    log.succeed(&[
        "log",
        "verify",
        "--checkpoint",
        "witnessed",
        "--witness",
        witness_key.trim(),
    ]);
    assert!(server.stop().success());
    std::fs::remove_dir_all(log.store()).unwrap();
    copy(saved.path(), &log.store());
    let server = log.serve();
    while leaves(&owner).await <= seen {
        let put = owner.put("/gent/other", "text/plain", "another history").await;
        assert!(put.status.is_success());
    }
    for _ in 0..600 {
        if server.said().contains("another history") && other.said().contains("two histories") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(server.said().contains("another history"), "{}", server.said());
    let kept = Checkpoint::parse_unverified(&text(&owner, "/log/witnessed").await).unwrap();
    assert!(kept.size < seen, "nothing of the other history was cosigned");
    let said = log.refused(&[
        "log",
        "verify",
        "--checkpoint",
        "witnessed",
        "--witness",
        witness_key.trim(),
    ]);
    assert!(said.contains("NOT sound"), "{said}");
    assert!(server.stop().success());
    assert!(other.said().contains("two histories"), "{}", other.said());
    assert!(other.stop().success());
}

/// What the protocol answers to those who are no log, or not this one. Requirement AUD-4.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_no_cosignature() {
    let (log, witness) = (PodFolder::new(""), PodFolder::new(""));
    let owner = log.account("gent").client();
    let server = log.serve();
    let log_key = text(&owner, "/log/vkey").await;
    assert_eq!(
        owner.put("/gent/a", "text/plain", "a").await.status,
        StatusCode::CREATED
    );
    let note = text(&owner, "/log/checkpoint").await;
    assert!(server.stop().success());
    configure(&witness, &format!("witnessed_logs = [{:?}]\n", log_key.trim()));
    let neighbour = witness.account("brugge").client();
    let server = witness.serve();
    let own = text(&neighbour, "/log/checkpoint").await;
    let forged = note.replacen('\n', "\n1", 1);
    let path = "/log/witness/add-checkpoint";
    for (body, status) in [
        (String::new(), StatusCode::BAD_REQUEST),
        (format!("old 5\n\n{own}"), StatusCode::NOT_FOUND),
        (format!("old 0\n\n{forged}"), StatusCode::FORBIDDEN),
        (format!("old 1\n\n{note}"), StatusCode::CONFLICT),
        (
            format!("old 0\n{}=\n\n{note}", "A".repeat(43)),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (format!("old 0\n\n{note}"), StatusCode::OK),
        (format!("old 0\n\n{note}"), StatusCode::CONFLICT),
    ] {
        let got = neighbour
            .request("POST", path)
            .content("text/plain", body.clone())
            .send()
            .await;
        assert_eq!(got.status, status, "{body}: {}", got.text());
    }
    assert_eq!(neighbour.get(path).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(server.stop().success());
}

/// A witness that was put back from a backup has forgotten what it cosigned since: it cosigns nothing until its operator says
/// from where it may go on, and that is in its own log. Requirement AUD-4; reliability T109.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_witness_waits_for_its_operator() {
    let (log, witness) = (PodFolder::new(""), PodFolder::new(""));
    let owner = log.account("gent").client();
    let neighbour = witness.account("brugge").client();
    let server = log.serve();
    let log_key = text(&owner, "/log/vkey").await;
    assert!(server.stop().success());
    configure(&witness, &format!("witnessed_logs = [{:?}]\n", log_key.trim()));
    let other = witness.serve();
    let witness_key = text(&neighbour, "/log/witness/vkey").await;
    configure(
        &log,
        &format!(
            "[[dataspace.witnesses]]\nurl = \"{}log/witness/\"\nkey = {:?}\n",
            witness.base_url,
            witness_key.trim()
        ),
    );
    let server = log.serve();
    let first = witnessed(&owner, leaves(&owner).await).await;
    assert!(other.stop().success());
    let backups = witness.path("backups");
    witness.succeed(&["backup", "--into", backups.to_str().unwrap()]);
    let other = witness.serve();
    assert_eq!(
        owner.put("/gent/a", "text/plain", "a").await.status,
        StatusCode::CREATED
    );
    let second = witnessed(&owner, leaves(&owner).await).await;
    assert!(other.stop().success());
    std::fs::rename(witness.store(), witness.path("lost")).unwrap();
    let mut folders = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path());
    let backup = folders.find(|path| path.join("backup.json").exists()).unwrap();
    let journal = witness.path("lost").join("revocations.journal");
    witness.succeed(&[
        "restore",
        backup.to_str().unwrap(),
        "--journal",
        journal.to_str().unwrap(),
    ]);

    // The log, or whoever holds its key, asks to cosign what follows the older note.
    let other = witness.serve();
    let size = Checkpoint::parse_unverified(&first).unwrap().size;
    let body = format!("old {size}\n\n{first}");
    let path = "/log/witness/add-checkpoint";
    let asked = neighbour.request("POST", path).content("text/plain", body);
    let refused = asked.send().await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text());
    assert!(refused.text().contains("operator"), "{}", refused.text());
    assert!(other.stop().success());
    let origin = Checkpoint::parse_unverified(&second).unwrap().origin;
    std::fs::write(witness.path("first"), &first).unwrap();
    std::fs::write(witness.path("second"), &second).unwrap();
    let forged = second.replace("\u{2014} ", "\u{2014} x");
    std::fs::write(witness.path("forged"), forged).unwrap();
    witness.refused(&["log", "confirm", &origin]);
    witness.refused(&["log", "confirm", &origin, "--note", "forged"]);
    witness.refused(&["log", "confirm", "another.example", "--note", "second"]);
    witness.succeed(&["log", "confirm", &origin, "--note", "second"]);
    let older = witness.refused(&["log", "confirm", &origin, "--note", "first"]);
    assert!(older.contains("older"), "{older}");
    let other = witness.serve();
    assert_eq!(
        owner.put("/gent/b", "text/plain", "b").await.status,
        StatusCode::CREATED
    );
    let third = witnessed(&owner, leaves(&owner).await).await;
    assert!(WitnessVerifier::parse(&witness_key).unwrap().verify(&third).is_ok());
    assert!(other.stop().success());
    assert!(server.stop().success());
    witness.succeed(&["log", "verify"]);
}
