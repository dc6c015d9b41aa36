//! What the commands of a pod server say to an operator who got something wrong: each answer names what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt;

use http::StatusCode;
use meent_tests::pod::PodFolder;

/// For a table with the columns `Naam plaats` and `aantal`.
const MAPPING: &str = "PREFIX e: <https://example.org/> CONSTRUCT { ?s e:count ?aantal } WHERE {
  BIND(IRI(CONCAT(\"https://example.org/\", ENCODE_FOR_URI(?Naam_plaats))) AS ?s)
  BIND(CONCAT(ENCODE_FOR_URI(?Naam_plaats), \".ttl\") AS ?document)
  FILTER(BOUND(?aantal)) }";

fn prepared() -> PodFolder {
    let folder = PodFolder::new("");
    for (name, text) in [
        ("counts.rq", MAPPING),
        ("counts.csv", "Naam plaats;aantal\nGent;1\nBrugge;2\n"),
        ("other.csv", "plaats,getal\nGent,1\nBrugge,2\n"),
        ("torn.csv", "Naam plaats;aantal\nGent;1\nBrugge\n"),
        ("empty.csv", "Naam plaats;aantal\n"),
        ("map.geojson", "{}"),
    ] {
        std::fs::write(folder.path(name), text).unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_do_its_work_says_what_to_do() {
    let folder = prepared();
    let owner = folder.account("gent").client();
    let import =
        |into: &'static str, source: &'static str| vec!["import", "--into", into, "--mapping", "counts.rq", source];
    let table: &[(Vec<&str>, &[&str])] = &[
        (import("/gent/x", "counts.csv"), &["/gent/x", "must end with `/`"]),
        (
            import("/brugge/x/", "counts.csv"),
            &["/brugge/x/", "no storage", "storage list"],
        ),
        (
            import("/gent/x/", "other.csv"),
            &["nothing of the 2 rows", "plaats, getal"],
        ),
        (import("/gent/x/", "nowhere.csv"), &["nowhere.csv", "No such file"]),
        (import("/gent/x/", "map.geojson"), &["map.geojson", ".csv"]),
        (
            vec!["import", "--into", "/gent/x/", "counts.csv"],
            &["is a table", "--mapping"],
        ),
        (vec!["backup", "--check", "."], &["backup.json"]),
        (vec!["account", "create", "Stad Gent"], &["letters a to z"]),
    ];
    for (words, expected) in table {
        let said = folder.refused(words);
        for part in *expected {
            assert!(said.contains(part), "{words:?}: `{part}` is not in: {said}");
        }
    }
    let without_file = folder
        .command(&["check"])
        .env_remove("MEENT_POD_CONFIG")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&without_file.stderr).into_owned();
    assert!(!without_file.status.success() && said.contains("--config"), "{said}");

    // A row that cannot be read is named without a report file, the others are there; a table without rows is none.
    let said = folder.succeed(&import("/gent/x/", "torn.csv"));
    assert!(
        said.contains("1 documents stored") && said.contains("torn.csv, line 3"),
        "{said}"
    );
    folder.succeed(&import("/gent/x/", "empty.csv"));

    let server = folder.serve();
    let said = folder.refused(&["storage", "list"]);
    assert!(said.contains("in use") && said.contains("end that one first"), "{said}");
    let imported = owner.get("/gent/x/Gent.ttl").await;
    assert_eq!(imported.status, StatusCode::OK);
    assert!(imported.text().contains("count"), "{}", imported.text());
    assert!(server.stop().success());
}

/// The store's directory may be named as seen from where the command is given.
#[test]
fn doctor_reads_a_relative_directory_and_account_tells_what_the_link_is_for() {
    let folder = prepared();
    let output = folder
        .command(&["doctor"])
        .env("MEENT_POD_STORE__DIRECTORY", "elsewhere")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("elsewhere` will be made") && !said.contains("BAD"),
        "{said}"
    );
    let said = folder.succeed(&["account", "create", "jan"]);
    assert!(said.contains("setup http") && said.contains("within 90 days"), "{said}");
    // Nobody else on the machine looks into the store.
    let mode = std::fs::metadata(folder.store()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    std::fs::set_permissions(folder.store(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = folder.command(&["doctor"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("chmod 700"), "{said}");
    // A backup directory stands for its newest backup.
    folder.succeed(&["backup", "--into", "backups"]);
    let said = folder.succeed(&["backup", "--check", "backups"]);
    assert!(said.starts_with("sound"), "{said}");
}
