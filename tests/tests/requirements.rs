//! Every Solid requirement has a test that cites it, or a committed reason; and the reading of citations is itself tested.

use meent_tests::conformance::coverage::Coverage;
use meent_tests::house::top;

#[test]
fn every_solid_requirement_has_a_test_or_a_reason() {
    let faults = Coverage::read(&top()).unwrap().faults();
    assert!(
        faults.is_empty(),
        "cite the requirement in a test's doc comment, or give a reason in \
         tests/conformance/requirements-without-test.tsv:\n{}",
        faults.join("\n")
    );
}

/// One source in which citations are written in all accepted ways, and some that are none. Its comments are marked with `@`,
/// so that they do not count for this file.
#[test]
fn citations_are_read_as_they_are_written() {
    let source = r#"@! Everything here concerns ODR-3, also dataspace NEG-2.

@/ Requirements solid 33-35, 37 and 40. It takes 90 s on P-256.
#[tokio::test(flavor = "multi_thread")]
async fn patches() {}

@/ solid#5, solid#7-8, T37-T39, T52: ten of 44 count.
#[test]
fn refusals() {}

@/ solid#90 is cited by what is no test.
fn beside() {}

@/ solid#9999
#[test]
fn mistyped() {}
"#
    .replace("@!", concat!("//", "!"))
    .replace("@/", concat!("//", "/"));
    let mut coverage = Coverage::read(&top()).unwrap();
    coverage.tests.clear();
    coverage.unknown.clear();
    coverage.add("a.rs", &source);
    let cited: Vec<(&str, Vec<&str>)> = coverage
        .tests
        .iter()
        .map(|(id, tests)| (id.as_str(), tests.iter().map(String::as_str).collect()))
        .collect();
    let ids: Vec<&str> = cited.iter().map(|(id, _)| *id).collect();
    assert_eq!(
        ids,
        [
            "NEG-2", "ODR-3", "T37", "T38", "T39", "T52", "solid#33", "solid#34", "solid#35", "solid#37", "solid#40",
            "solid#5", "solid#7", "solid#8"
        ]
    );
    assert_eq!(coverage.tests["solid#34"].iter().collect::<Vec<_>>(), ["a.rs patches"]);
    assert_eq!(coverage.tests["ODR-3"].iter().collect::<Vec<_>>(), ["a.rs (all tests)"]);
    assert_eq!(
        coverage.unknown,
        ["`a.rs` mistyped: there is no requirement `solid#9999`"]
    );
}

/// A requirement without test and reason is named, and so is a reason for what does not exist.
#[test]
fn gaps_are_named() {
    let mut coverage = Coverage::read(&top()).unwrap();
    coverage.tests.remove("solid#36");
    coverage.reasons.remove("solid#36");
    coverage.reasons.insert("solid#117".into(), "because".into());
    let faults = coverage.faults();
    assert!(
        faults.iter().any(|fault| fault.starts_with("solid#36 has no test")),
        "{faults:?}"
    );
    assert!(faults.iter().any(|fault| fault.contains("`solid#117`")), "{faults:?}");
}
