//! The committed judgements of suites and of differences can be read, and a run that differs from them in any way is told.

use std::collections::HashSet;

use meent_tests::conformance::baseline::{Baseline, Case, Outcome, table};
use meent_tests::conformance::differential::{Class, Found, Judged};
use meent_tests::conformance::earl::Report;
use meent_tests::conformance::folder;
use meent_tests::conformance::suites::SUITES;
use meent_tests::pod::PodServer;
use oxttl::TurtleParser;

#[test]
fn every_suite_has_a_baseline_in_which_each_exception_is_judged() {
    for suite in SUITES {
        let baseline = Baseline::read(&folder(), suite.name).unwrap();
        assert!(baseline.passed > 0, "{}", suite.name);
    }
}

/// The 24 cases of solid-oidc-tests as we read them, and what an application does with its tokens, over TLS and the real pages.
///
/// Requirements solid 93-102, 103.
#[tokio::test(flavor = "multi_thread")]
async fn the_oidc_cases_end_as_the_baseline_says() {
    let suite = SUITES.iter().find(|suite| suite.name == "oidc").unwrap();
    let cases = suite.run(None).await.unwrap().unwrap();
    let of = |own: bool| cases.iter().filter(move |case| case.name.starts_with("use: ") == own);
    let passed = |own| of(own).filter(|case| case.outcome == Outcome::Passed).count();
    eprintln!(
        "solid-oidc-tests: {} of {} cases passed, and {} of {} of what applications do",
        passed(false),
        of(false).count(),
        passed(true),
        of(true).count()
    );
    assert_eq!(of(false).count(), 24);
    let baseline = Baseline::read(&folder(), suite.name).unwrap();
    assert_eq!(baseline.differences(&cases), Vec::<String>::new());
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

/// Requirements solid 116: the report is EARL that can be read again, with one assertion for each case.
#[test]
fn the_report_is_earl() {
    let case = |name: &str, outcome, told: &str| Case {
        name: name.to_owned(),
        outcome,
        told: told.to_owned(),
    };
    let cases = [
        case("a: passes", Outcome::Passed, "nothing"),
        case("b: \"fails\" <here>\n# Ünder", Outcome::Failed, "says \"why\" \\ \n"),
        case("b: \"fails\" <there>", Outcome::LeftOut, ""),
    ];
    let judged = ("left out".to_owned(), "for a reason".to_owned());
    let known = Baseline {
        passed: 1,
        judged: [(cases[2].name.clone(), judged)].into(),
    };
    let mut report = Report::new(time::macros::datetime!(2026-11-21 12:00 UTC)).unwrap();
    report.suite(&SUITES[0], &cases, &known);
    report.suite(&SUITES[1], &cases, &Baseline::default());
    let turtle = report.turtle().unwrap();
    let triples: Vec<_> = TurtleParser::new().for_slice(&turtle).map(Result::unwrap).collect();
    let of = |subject: &str, local: &str| -> Vec<String> {
        let wanted = triples.iter().filter(|triple| {
            triple.subject.to_string() == subject && triple.predicate.as_str().ends_with(&format!("/{local}"))
                || triple.subject.to_string() == subject && triple.predicate.as_str().ends_with(&format!("#{local}"))
        });
        wanted.map(|triple| triple.object.to_string()).collect()
    };
    let assertions: Vec<String> = triples
        .iter()
        .filter(|triple| triple.object.to_string() == "<http://www.w3.org/ns/earl#Assertion>")
        .map(|triple| triple.subject.to_string())
        .collect();
    let mut found = Vec::new();
    let mut tests = HashSet::new();
    for assertion in &assertions {
        let one = |local: &str| {
            let values = of(assertion, local);
            assert_eq!(values.len(), 1, "{assertion} {local}");
            values[0].clone()
        };
        assert_eq!(of(&one("subject"), "name"), ["\"Meent pod server\""]);
        assert_eq!(of(&one("assertedBy"), "title").len(), 1);
        assert_eq!(one("mode"), "<http://www.w3.org/ns/earl#automatic>");
        let (test, result) = (one("test"), one("result"));
        assert_eq!(of(&test, "isPartOf").len(), 1);
        assert_eq!(of(&result, "date").len(), 1);
        found.push((of(&test, "title"), of(&result, "outcome"), of(&result, "description")));
        tests.insert(test);
    }
    assert_eq!((assertions.len(), tests.len()), (6, 6));
    let earl = |word: &str| vec![format!("<http://www.w3.org/ns/earl#{word}>")];
    let text = |text: &str| vec![oxrdf::Literal::from(text).to_string()];
    assert_eq!(
        found[..3],
        [
            (text(&cases[0].name), earl("passed"), vec![]),
            (text(&cases[1].name), earl("failed"), text(&cases[1].told)),
            (text(&cases[2].name), earl("untested"), text("for a reason")),
        ]
    );
}

/// Every row of the table of differences has a verdict with a reason; a difference without a row and a row without a difference
/// are both told.
#[test]
fn the_table_of_differences_is_judged() {
    let judged = Judged::read(&folder()).unwrap();
    assert!(judged.len() > 20);
    let class = |part: &str| Class {
        part: part.to_owned(),
        method: "GET".to_owned(),
        target: "document".to_owned(),
        theirs: "a".to_owned(),
        ours: "b".to_owned(),
    };
    let mut found = Found::default();
    found.classes.insert(class("colour"), (2, "an example".to_owned()));
    let faults = judged.faults(&found);
    assert!(faults[0].starts_with("colour\tGET\tdocument\ta\tb\t"), "{}", faults[0]);
    assert_eq!(faults.len(), 1 + judged.len());
}

/// Requirements solid 79: what `WAC-Allow` says on a list is about the list, which only who controls the subject may read, and
/// on what is missing it says what could be made.
#[tokio::test]
async fn rights_are_told_for_what_they_are_rights_on() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let card = alice.get("/alice/profile/card").await;
    assert!(card.header("wac-allow").contains("public=\"read\""));
    let list = alice.get("/alice/profile/card.acl").await;
    assert_eq!(list.status, 200);
    assert!(
        list.header("wac-allow").contains("public=\"\""),
        "{}",
        list.header("wac-allow")
    );
    let missing = alice.get("/alice/nothing").await;
    assert_eq!(missing.status, 404);
    assert!(missing.header("wac-allow").contains("write"));
    assert!(missing.header("allow").contains("PUT") && missing.header("accept-patch").contains("text/n3"));
}
