//! The committed judgements of the suites can be read, and a run that differs from them in any way is told.

use meent_tests::conformance::baseline::{Baseline, Case, Outcome, table};
use meent_tests::conformance::folder;
use meent_tests::conformance::suites::SUITES;

#[test]
fn every_suite_has_a_baseline_in_which_each_exception_is_judged() {
    for suite in SUITES {
        let baseline = Baseline::read(&folder(), suite.name).unwrap();
        assert!(baseline.passed > 0, "{}", suite.name);
    }
}

/// A new failure, a new pass, a case that is gone, and one more that passes each differ from the baseline.
#[test]
fn every_difference_is_told() {
    let case = |name: &str, outcome| Case {
        name: name.to_owned(),
        outcome,
        told: String::new(),
    };
    let known = || {
        let judged = ("failed".to_owned(), "the suite is wrong".to_owned());
        Baseline {
            passed: 1,
            judged: [("b".to_owned(), judged)].into(),
        }
    };
    let (passed, failed) = (Outcome::Passed, Outcome::Failed);
    let told = |cases: &[Case]| known().differences(cases);
    assert!(told(&[case("a", passed), case("b", failed)]).is_empty());
    assert_eq!(
        told(&[case("a", failed), case("b", failed)]),
        ["a: failed, and the baseline says passed"]
    );
    assert_eq!(
        told(&[case("a", passed), case("b", passed)]),
        ["b: passed, and the baseline says failed"]
    );
    assert_eq!(told(&[case("a", passed)]), ["b: in the baseline, and not in the suite"]);
    assert_eq!(
        told(&[case("a", passed), case("b", failed), case("c", passed)]),
        ["2 cases passed, and the baseline says 1"]
    );
}

/// A table that a run writes keeps the judgements that are there, and cannot be read before the others are judged.
#[test]
fn an_unjudged_case_makes_the_table_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("baseline")).unwrap();
    let failed = Case {
        name: "a".to_owned(),
        outcome: Outcome::Failed,
        told: String::new(),
    };
    let write = |known: &Baseline| {
        let text = table(std::slice::from_ref(&failed), known);
        std::fs::write(folder.path().join("baseline/x.tsv"), text).unwrap();
    };
    write(&Baseline::default());
    assert!(Baseline::read(folder.path(), "x").is_err());
    let judged = ("failed".to_owned(), "the suite is wrong".to_owned());
    write(&Baseline {
        passed: 0,
        judged: [("a".to_owned(), judged)].into(),
    });
    assert_eq!(Baseline::read(folder.path(), "x").unwrap().judged.len(), 1);
}
