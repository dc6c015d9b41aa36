//! The independent expectation reads real and generated input alike, and is what its description says.

use std::collections::BTreeSet;
use std::path::Path;

use meent_tests::scenario::expected::{CITIZENS_MIN, Expected};
use meent_tests::scenario::input::Input;

fn everyone(input: &Input) -> BTreeSet<String> {
    input
        .citizens
        .iter()
        .filter(|citizen| citizen.consents)
        .map(|citizen| citizen.storage.clone())
        .collect()
}

fn check(data: Option<&Path>) {
    let scratch = tempfile::tempdir().unwrap();
    let input = Input::prepare(data, 200, scratch.path()).unwrap();
    let all = everyone(&input);
    let expected = Expected::read(&input, &all, CITIZENS_MIN);
    for question in ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6"] {
        let rows = expected.rows(question);
        println!(
            "{question}: {} rows, first {:?}, last {:?}",
            rows.len(),
            rows.first(),
            rows.last()
        );
        assert!(!rows.is_empty(), "{question} has an answer");
    }
    assert_eq!(expected.rows("Q2").len(), 3, "Gent, Kortrijk and Brugge count bicycles");
    assert!(
        !expected.rows("Q4").iter().any(|row| row[1].ends_with(" 00")),
        "a street of three citizens is not shown"
    );

    let gone = all.first().unwrap().clone();
    let without: BTreeSet<String> = all.into_iter().filter(|storage| *storage != gone).collect();
    let changed = Expected::read(&input, &without, CITIZENS_MIN).rows("Q4");
    let before = expected.rows("Q4");
    assert!(before != changed, "a withdrawal shows");
    assert!(
        before.symmetric_difference(&changed).count() <= 2,
        "a withdrawal shows in one street only"
    );
}

#[test]
fn generated_input_has_answers() {
    check(None);
}

#[test]
fn real_input_has_answers() {
    if let Some(data) = meent_tests::house::shared_data() {
        check(Some(&data));
    }
}
