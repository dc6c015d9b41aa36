//! How often a policy may be used.

use super::*;
use crate::decision::{Effect, ReasonCode};
use crate::explain::{self, ClauseClass, Language};

fn counted(operator: &str, number: &str) -> String {
    permission(&format!(
        "; odrl:constraint {}",
        constraint("odrl:count", operator, number)
    ))
}

/// Each row: the constraint, the uses until now, and whether one more is permitted.
///
/// Requirements ODR-8, ENF-15.
#[test]
fn uses_are_compared_with_this_one_included() {
    for (operator, number, uses, expected) in [
        ("lteq", "3", 0, true),
        ("lteq", "3", 2, true),
        ("lteq", "3", 3, false),
        ("lt", "3", 1, true),
        ("lt", "3", 2, false),
        ("gt", "3", 2, false),
        ("gt", "3", 3, true),
        ("gteq", "3", 2, true),
        ("lteq", "3", u64::MAX, false),
    ] {
        let policy = read(&agreement(&counted(operator, number)));
        assert!(policy.counts());
        let evaluation = judge_after(&policy, Some(CONSUMER), None, NOW, Some(uses));
        assert_eq!(
            evaluation.effect == Effect::Permit,
            expected,
            "{operator} {number} after {uses}"
        );
    }
}

/// Requirements ENF-2, ENF-15.
#[test]
fn what_nobody_counts_permits_nothing() {
    let policy = read(&agreement(&counted("lteq", "3")));
    let evaluation = judge_after(&policy, Some(CONSUMER), None, NOW, None);
    assert_eq!(evaluation.effect, Effect::Deny);
    for (operator, number, code) in [
        ("eq", "3", ReasonCode::UnknownOperator),
        ("isAnyOf", "3", ReasonCode::UnknownOperator),
        ("lteq", "'three'", ReasonCode::UnknownRightOperand),
    ] {
        let policy = read(&agreement(&counted(operator, number)));
        let evaluation = judge_after(&policy, Some(CONSUMER), None, NOW, Some(0));
        assert_eq!(evaluation.effect, Effect::Deny, "{operator} {number}");
        assert!(
            evaluation.reasons.iter().any(|reason| reason.code == code),
            "{:?}",
            evaluation.reasons
        );
    }
    let whole = "odrl:constraint [ odrl:leftOperand odrl:count ; odrl:operator odrl:gt ; odrl:rightOperand 3 ]";
    let banned = format!(
        "{} ; {}",
        permission(""),
        prohibition(&format!("; odrl:action odrl:use ; {whole}"))
    );
    let policy = read(&agreement(&banned));
    let effect = |uses| judge_after(&policy, Some(CONSUMER), None, NOW, uses).effect;
    assert_eq!(effect(Some(2)), Effect::Permit);
    assert_eq!(effect(Some(3)), Effect::Deny);
    assert_eq!(
        effect(None),
        Effect::Deny,
        "a prohibition that nobody can judge applies"
    );
}

/// Requirements ENF-1.
#[test]
fn people_are_told_how_often() {
    let policy = read(&agreement(&counted("lteq", "3")));
    let texts = [Language::Dutch, Language::French, Language::English].map(|language| {
        let clauses = explain::policy(&policy, language);
        let clause = clauses.into_iter().find(|clause| clause.path.contains("constraint"));
        clause
            .filter(|clause| clause.class == ClauseClass::Technical)
            .map(|clause| clause.text)
    });
    let expected = ["Hoogstens 3 keer.", "Au plus 3 fois.", "At most 3 times."];
    assert_eq!(
        texts.each_ref().map(|text| text.as_deref().unwrap_or_default()),
        expected
    );
}
