//! What duties make of values: read from policies, joined, told to people.

use super::*;
use crate::decision::{Effect, Obligation, ReasonCode};
use crate::explain::{self, ClauseClass, Language};
use crate::treatment::{Change, Precision, TimeStep};

fn duty(action: &str, refinements: &str) -> String {
    format!("odrl:duty [ odrl:action [ rdf:value {action} ; {refinements} ] ]")
}

fn refined(left: &str, right: &str) -> String {
    format!("odrl:refinement {}", constraint(left, "eq", right))
}

fn about(property: &str) -> String {
    refined("meent:property", property)
}

fn generalise(property: &str, precision: &str) -> String {
    let precision = refined("meent:precision", precision);
    duty("meent:generalise", &format!("{} ; {precision}", about(property)))
}

/// Requirement ENF-14.
#[test]
fn duties_say_what_becomes_of_values() {
    let metres = "odrl:refinement [ odrl:leftOperand meent:precision ; odrl:operator odrl:eq ; odrl:rightOperand 500 ;
        odrl:unit <http://qudt.org/vocab/unit/M> ]";
    let precision = |precision| Change::Generalise { precision };
    for (duty, expected) in [
        (generalise("<urn:p>", "10"), precision(Precision::Number("10".into()))),
        (
            generalise("<urn:p>", "'P1Y'^^xsd:duration"),
            precision(Precision::Time(TimeStep::Years(1))),
        ),
        (
            duty("meent:generalise", &format!("{} ; {metres}", about("<urn:p>"))),
            precision(Precision::Place(500)),
        ),
        (duty("meent:hash", &about("<urn:p>")), Change::Hash),
        (duty("meent:pseudonymise", &about("<urn:p>")), Change::Pseudonymise),
    ] {
        let evaluation = judge(&permission(&format!("; {duty}")));
        assert_eq!(evaluation.effect, Effect::Permit, "{duty}: {:?}", evaluation.reasons);
        assert_eq!(evaluation.obligations, [Obligation::ChangeValues]);
        let treatment = evaluation.grant.unwrap().treatment;
        assert_eq!(treatment.values.get("urn:p"), Some(&expected), "{duty}");
        assert!(!treatment.names);
    }
    let names = judge(&permission("; odrl:duty [ odrl:action meent:pseudonymise ]"));
    assert!(names.grant.unwrap().treatment.names);
    let both = "odrl:refinement [ odrl:leftOperand meent:property ; odrl:operator odrl:isAnyOf ; odrl:rightOperand <urn:p> , <urn:q> ]";
    let dropped = judge(&permission(&format!("; {}", duty("meent:drop", both))))
        .grant
        .unwrap();
    assert!(dropped.treatment.is_none());
    assert!(dropped.hidden.contains("urn:p") && dropped.hidden.contains("urn:q"));
}

/// Requirements ENF-2, ENF-14.
#[test]
fn what_cannot_be_done_is_refused() {
    for (duty, code) in [
        (duty("meent:generalise", &about("<urn:p>")), ReasonCode::UnknownDuty),
        (
            duty("meent:generalise", &refined("meent:precision", "10")),
            ReasonCode::UnknownDuty,
        ),
        (
            generalise("<urn:p>", "'P5M'^^xsd:duration"),
            ReasonCode::UnknownRightOperand,
        ),
        (generalise("<urn:p>", "0"), ReasonCode::UnknownRightOperand),
        (generalise("'p'", "10"), ReasonCode::UnknownRightOperand),
        (
            duty(
                "meent:hash",
                &format!("{} ; {}", about("<urn:p>"), refined("meent:precision", "10")),
            ),
            ReasonCode::UnknownDuty,
        ),
        (
            duty("meent:drop", &refined("odrl:count", "3")),
            ReasonCode::UnknownLeftOperand,
        ),
        (duty("odrl:anonymize", &about("<urn:p>")), ReasonCode::UnknownDuty),
    ] {
        let evaluation = judge(&permission(&format!("; {duty}")));
        assert_eq!(evaluation.effect, Effect::Deny, "{duty}");
        assert!(
            evaluation.reasons.iter().any(|reason| reason.code == code),
            "{duty}: {:?}",
            evaluation.reasons
        );
    }
}

/// What two duties cannot both have is not shown, wherever they stand, and the more protective permission counts.
///
/// Requirements ENF-14, ENF-35.
#[test]
fn duties_meet() {
    let (coarse, fine) = (generalise("<urn:p>", "100"), generalise("<urn:p>", "10"));
    let twice = judge(&permission(&format!("; {coarse} ; {fine}"))).grant.unwrap();
    assert!(twice.hidden.contains("urn:p"));
    let same = judge(&permission(&format!("; {coarse} ; {coarse}"))).grant.unwrap();
    assert!(same.hidden.is_empty() && same.treatment.values.len() == 1);
    let whole = fine.replace("odrl:duty", "odrl:obligation");
    let shared = judge(&format!("{} ; {whole}", permission(&format!("; {coarse}"))))
        .grant
        .unwrap();
    assert!(shared.hidden.contains("urn:p"));
    for rules in [
        format!("{} ; {}", permission(""), permission(&format!("; {coarse}"))),
        format!("{} ; {}", permission(&format!("; {coarse}")), permission("")),
    ] {
        let evaluation = judge(&rules);
        assert_eq!(evaluation.grant.unwrap().treatment.values.len(), 1, "{rules}");
    }
}

/// Requirement ENF-1.
#[test]
fn people_are_told() {
    let names = "; odrl:duty [ odrl:action meent:pseudonymise ] ";
    let rules = permission(&format!(
        "{names} ; {}",
        generalise("<urn:p#birthDate>", "'P1Y'^^xsd:duration")
    ));
    let policy = read(&agreement(&rules));
    for language in [Language::Dutch, Language::French, Language::English] {
        let clauses = explain::policy(&policy, language);
        let duties: Vec<_> = clauses.iter().filter(|clause| clause.path.contains("duty")).collect();
        assert_eq!(duties.len(), 2);
        assert!(duties.iter().all(|clause| clause.class == ClauseClass::Technical));
        assert!(
            duties.iter().any(|clause| clause.text.contains("birthDate (P1Y)")),
            "{duties:?}"
        );
    }
}
