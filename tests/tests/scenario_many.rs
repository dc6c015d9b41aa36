//! The six questions over more owners than the story has, through a broker and pod servers: equal to plain code over the raw files,
//! under agreements and over opened data, with the plans that were followed.

use std::path::PathBuf;

use meent_tests::scenario::many::{self, Options};

/// Where cargo puts the servers: beside the folder of this test's own binary.
fn binaries() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(std::path::Path::parent).unwrap().to_path_buf();
    assert!(
        folder.join("broker").exists(),
        "build the servers first: cargo build --release --workspace --bins"
    );
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn the_questions_are_answered_over_more_owners() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        data: None,
        citizens: 40,
        owners: 16,
        hosting: 2,
        rounds: 1,
        folder: folder.path().to_path_buf(),
        binaries: binaries(),
        first_port: 17_400,
    };
    let outcome = many::run(&options, &mut |_| ())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let plan = |name: &str| {
        let told = outcome.told.iter().find(|told| told.question.name == name);
        told.map(|told| (told.plan.as_str(), &told.facts)).unwrap()
    };
    let number = |name: &str, pointer: &str| {
        plan(name)
            .1
            .pointer(pointer)
            .and_then(serde_json::Value::as_u64)
            .unwrap()
    };
    // Ten municipalities, Gent, Brugge and Kortrijk count bicycles; not every question tells Mechelen's car parks from them.
    for name in ["Q1", "Q3"] {
        let requests = number(name, "/measured/requests");
        assert!((13..=14).contains(&requests), "{requests}: {}", plan(name).0);
    }
    assert_eq!(
        number("Q5", "/measured/requests"),
        1,
        "only Mechelen can answer: {}",
        plan("Q5").0
    );
    for told in &outcome.told {
        assert_eq!(
            told.facts.pointer("/measured/complete"),
            Some(&true.into()),
            "{}",
            told.plan
        );
        for words in ["under an agreement", " came\n", "Why:", "Followed: "] {
            assert!(
                told.plan.contains(words),
                "{} lacks {words:?}: {}",
                told.question.name,
                told.plan
            );
        }
    }
    let shared = plan("Q4").0;
    assert!(shared.contains("only aggregates over at least 5 people"), "{shared}");
    assert_eq!(
        outcome.compared.len(),
        4,
        "with and without policies the answers are equal"
    );
    assert!(
        outcome
            .compared
            .iter()
            .all(|compared| compared.rows > 0 && !compared.open.is_empty())
    );
}
