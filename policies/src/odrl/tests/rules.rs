//! Tables of rules and what they lead to.

use std::collections::BTreeSet;

use time::macros::datetime;
use vocab::meent;

use super::*;
use crate::decision::{Effect, Obligation, ReasonCode};

/// Requirements ODR-7, ODR-13, ENF-3, ENF-4, ENF-5: constraints of a permission (recipient, purpose, dates), and whether it is
/// active (or why not).
#[test]
fn constraints() {
    let cases: &[(&str, &str, &str, Option<ReasonCode>)] = &[
        ("odrl:purpose", "isA", "meent:BicyclePolicy", None),
        ("odrl:purpose", "isA", "dpv:PublicBenefit", None),
        (
            "odrl:purpose",
            "isA",
            "dpv:Marketing",
            Some(ReasonCode::PurposeNotPermitted),
        ),
        ("odrl:purpose", "isPartOf", "meent:MobilityPlanning", None),
        ("odrl:purpose", "eq", "meent:BicyclePolicy", None),
        (
            "odrl:purpose",
            "eq",
            "meent:MobilityPlanning",
            Some(ReasonCode::PurposeNotPermitted),
        ),
        ("odrl:purpose", "neq", "dpv:Marketing", None),
        (
            "odrl:purpose",
            "neq",
            "meent:MobilityPlanning",
            Some(ReasonCode::PurposeNotPermitted),
        ),
        ("odrl:purpose", "isAnyOf", "meent:RoadSafety, meent:BicyclePolicy", None),
        (
            "odrl:purpose",
            "isAnyOf",
            "meent:RoadSafety, dpv:Marketing",
            Some(ReasonCode::PurposeNotPermitted),
        ),
        ("odrl:purpose", "isNoneOf", "meent:RoadSafety, dpv:Marketing", None),
        (
            "odrl:purpose",
            "isNoneOf",
            "meent:BicyclePolicy",
            Some(ReasonCode::PurposeNotPermitted),
        ),
        ("odrl:purpose", "isAllOf", "meent:BicyclePolicy", None),
        ("odrl:purpose", "hasPart", "meent:BicyclePolicy", None),
        (
            "odrl:purpose",
            "hasPart",
            "meent:MobilityPlanning",
            Some(ReasonCode::PurposeNotPermitted),
        ),
        (
            "odrl:purpose",
            "lt",
            "meent:BicyclePolicy",
            Some(ReasonCode::UnknownOperator),
        ),
        (
            "odrl:purpose",
            "eq",
            "meent:BicyclePolicy, dpv:Marketing",
            Some(ReasonCode::UnknownOperator),
        ),
        (
            "odrl:purpose",
            "isA",
            "\"bicycles\"",
            Some(ReasonCode::UnknownRightOperand),
        ),
        ("odrl:recipient", "eq", "<https://mobility.example/#us>", None),
        (
            "odrl:recipient",
            "eq",
            "<https://other.example/#us>",
            Some(ReasonCode::RecipientNotPermitted),
        ),
        (
            "odrl:recipient",
            "isAnyOf",
            "<https://mobility.example/#us>, <https://other.example/#us>",
            None,
        ),
        (
            "odrl:recipient",
            "isNoneOf",
            "<https://mobility.example/#us>",
            Some(ReasonCode::RecipientNotPermitted),
        ),
        (
            "odrl:recipient",
            "isPartOf",
            "<https://mobility.example/#us>",
            Some(ReasonCode::UnknownOperator),
        ),
        ("odrl:dateTime", "lt", "\"2027-01-01T00:00:00Z\"^^xsd:dateTime", None),
        (
            "odrl:dateTime",
            "lt",
            "\"2026-01-01T00:00:00Z\"^^xsd:dateTime",
            Some(ReasonCode::OutsidePeriod),
        ),
        ("odrl:dateTime", "gteq", "\"2026-01-01\"^^xsd:date", None),
        (
            "odrl:dateTime",
            "lteq",
            "\"2026-06-01\"^^xsd:date",
            Some(ReasonCode::OutsidePeriod),
        ),
        (
            "odrl:dateTime",
            "lt",
            "\"next year\"^^xsd:dateTime",
            Some(ReasonCode::UnknownRightOperand),
        ),
        (
            "odrl:dateTime",
            "lt",
            "\"2027-01-01T00:00:00Z\"",
            Some(ReasonCode::UnknownRightOperand),
        ),
        (
            "odrl:dateTime",
            "isA",
            "\"2027-01-01T00:00:00Z\"^^xsd:dateTime",
            Some(ReasonCode::UnknownOperator),
        ),
        ("meent:dataSubjectConsent", "eq", "dpv:ConsentGiven", None),
        (
            "meent:dataSubjectConsent",
            "eq",
            "dpv:ConsentRequested",
            Some(ReasonCode::UnknownRightOperand),
        ),
        (
            "meent:dataSubjectConsent",
            "neq",
            "dpv:ConsentGiven",
            Some(ReasonCode::UnknownOperator),
        ),
        (
            "odrl:spatial",
            "eq",
            "<https://a.example/Gent>",
            Some(ReasonCode::UnknownLeftOperand),
        ),
        ("odrl:count", "lteq", "5", Some(ReasonCode::UnknownLeftOperand)),
        (
            "<https://a.example/mood>",
            "eq",
            "\"good\"",
            Some(ReasonCode::UnknownLeftOperand),
        ),
    ];
    for (left, operator, right, refusal) in cases {
        let found = judge(&permission(&format!(
            "; odrl:constraint {}",
            constraint(left, operator, right)
        )));
        let (effect, code) = match refusal {
            None => (Effect::Permit, ReasonCode::PermissionActive),
            Some(code) => (Effect::Deny, *code),
        };
        assert_eq!(found.effect, effect, "{left} {operator} {right}: {found:?}");
        assert_eq!(found.reasons[0].code, code, "{left} {operator} {right}: {found:?}");
        assert_eq!(found.grant.is_some(), refusal.is_none());
    }
}

/// ODR-10: logical constraints over true (T), false (F), unknown (U) and by consent (C).
#[test]
fn logic() {
    let part = |letter: char| match letter {
        'T' => constraint("odrl:purpose", "isA", "dpv:PublicBenefit"),
        'F' => constraint("odrl:purpose", "isA", "dpv:Marketing"),
        'U' => constraint("odrl:spatial", "eq", "<https://a.example/Gent>"),
        _ => constraint("meent:dataSubjectConsent", "eq", "dpv:ConsentGiven"),
    };
    // In a permission: granted (T), granted by consent (C) or refused (-).
    let cases = [
        ("and", "TT", 'T'),
        ("and", "TF", '-'),
        ("and", "TU", '-'),
        ("and", "TC", 'C'),
        ("and", "CC", 'C'),
        ("and", "CF", '-'),
        ("or", "TF", 'T'),
        ("or", "FF", '-'),
        ("or", "TU", 'T'),
        ("or", "FU", '-'),
        ("or", "TC", 'T'),
        ("or", "FC", 'C'),
        ("or", "UC", '-'),
        ("xone", "TF", 'T'),
        ("xone", "TT", '-'),
        ("xone", "FF", '-'),
        ("xone", "TU", '-'),
        ("xone", "FC", '-'),
        ("xone", "TTU", '-'),
        ("andSequence", "TT", 'T'),
        ("andSequence", "TF", '-'),
    ];
    for (operator, letters, expected) in cases {
        for letters in [letters.to_owned(), letters.chars().rev().collect::<String>()] {
            let parts: Vec<String> = letters.chars().map(part).collect();
            let separator = if operator == "andSequence" { " " } else { ", " };
            let list = parts.join(separator);
            let list = if operator == "andSequence" {
                format!("( {list} )")
            } else {
                list
            };
            let found = judge(&permission(&format!("; odrl:constraint [ odrl:{operator} {list} ]")));
            let outcome = match &found.grant {
                None => '-',
                Some(grant) if grant.consent.is_some() => 'C',
                Some(_) => 'T',
            };
            assert_eq!(outcome, expected, "{operator} {letters}");
        }
    }
}

/// Requirements ODR-3, ODR-14, ENF-2: prohibitions.
#[test]
fn prohibitions() {
    let always = permission("");
    let cases: &[(&str, Effect, ReasonCode)] = &[
        ("; odrl:action odrl:use", Effect::Deny, ReasonCode::Prohibited),
        ("; odrl:action odrl:read", Effect::Deny, ReasonCode::Prohibited),
        ("; odrl:action odrl:sell", Effect::Permit, ReasonCode::PermissionActive),
        (
            "; odrl:action <https://a.example/frobnicate>",
            Effect::Deny,
            ReasonCode::ProhibitionUnknown,
        ),
        (
            "; odrl:action odrl:use ; odrl:assignee <https://other.example/#us>",
            Effect::Permit,
            ReasonCode::PermissionActive,
        ),
        (
            "; odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand dpv:Marketing ]",
            Effect::Permit,
            ReasonCode::PermissionActive,
        ),
        (
            "; odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand dpv:PublicBenefit ]",
            Effect::Deny,
            ReasonCode::Prohibited,
        ),
        (
            "; odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand odrl:spatial ; odrl:operator odrl:eq ; odrl:rightOperand dpv:X ]",
            Effect::Deny,
            ReasonCode::ProhibitionUnknown,
        ),
        (
            "; odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ]",
            Effect::Deny,
            ReasonCode::ProhibitionUnknown,
        ),
        (
            "; odrl:action odrl:use ; odrl:assignee [ a odrl:PartyCollection ; odrl:source <https://a.example/all> ]",
            Effect::Deny,
            ReasonCode::ProhibitionUnknown,
        ),
    ];
    for (body, effect, code) in cases {
        for rules in [
            format!("{always} ; {}", prohibition(body)),
            format!("{} ; {always}", prohibition(body)),
        ] {
            let found = judge(&rules);
            assert_eq!(
                (found.effect, found.reasons[0].code),
                (*effect, *code),
                "{body}: {found:?}"
            );
        }
    }
    let both = format!("{always} ; {}", prohibition("; odrl:action odrl:use"));
    for (strategy, effect) in [
        ("prohibit", Effect::Deny),
        ("perm", Effect::Permit),
        ("invalid", Effect::Indeterminate),
    ] {
        assert_eq!(
            judge(&format!("odrl:conflict odrl:{strategy} ; {both}")).effect,
            effect,
            "{strategy}"
        );
    }
    let unknown = format!(
        "odrl:conflict odrl:perm ; {always} ; {}",
        prohibition("; odrl:action <https://a.example/x>")
    );
    assert_eq!(
        judge(&unknown).effect,
        Effect::Deny,
        "what cannot be evaluated denies under every strategy"
    );
}

fn with_properties(rule: &str, operator: &str, names: &str) -> String {
    format!(
        "odrl:{rule} [ odrl:action odrl:use ; odrl:target [ a odrl:AssetCollection ; odrl:source <{DATASET}> ; odrl:refinement
         [ odrl:leftOperand meent:property ; odrl:operator odrl:{operator} ; odrl:rightOperand {names} ] ] ]"
    )
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| format!("https://a.example/{name}")).collect()
}

type Names = &'static [&'static str];

/// Requirements ENF-8.
#[test]
fn properties() {
    let (p, q, pq) = (
        "<https://a.example/p>",
        "<https://a.example/q>",
        "<https://a.example/p>, <https://a.example/q>",
    );
    let cases: [(String, Option<Names>, Names); 6] = [
        (permission(""), None, &[]),
        (with_properties("permission", "isAnyOf", pq), Some(&["p", "q"]), &[]),
        (with_properties("permission", "isNoneOf", p), None, &["p"]),
        (
            format!(
                "{} ; {}",
                with_properties("permission", "isAnyOf", pq),
                with_properties("prohibition", "eq", p)
            ),
            Some(&["q"]),
            &[],
        ),
        (
            format!("{} ; {}", permission(""), with_properties("prohibition", "isAnyOf", p)),
            None,
            &["p"],
        ),
        (
            format!(
                "{} ; {}",
                with_properties("permission", "eq", p),
                with_properties("permission", "eq", q)
            ),
            Some(&["p", "q"]),
            &[],
        ),
    ];
    for (rules, visible, hidden) in cases {
        let grant = judge(&rules).grant.unwrap_or_else(|| panic!("{rules} grants nothing"));
        assert_eq!(grant.properties, visible.map(set), "{rules}");
        assert_eq!(grant.hidden, set(hidden), "{rules}");
    }
    let nothing_left = format!(
        "{} ; {}",
        with_properties("permission", "eq", p),
        with_properties("prohibition", "eq", p)
    );
    assert_eq!(judge(&nothing_left).effect, Effect::Deny);
    assert_eq!(
        judge(&with_properties("permission", "lt", p)).reasons[0].code,
        ReasonCode::UnknownOperator
    );
    let unknown = with_properties("permission", "eq", p).replace("meent:property", "odrl:spatial");
    assert_eq!(judge(&unknown).reasons[0].code, ReasonCode::UnknownRefinement);
}

/// Requirements ENF-2, ENF-10.
#[test]
fn duties() {
    let duty = |body: &str| permission(&format!("; odrl:duty {body}"));
    let k = |operator: &str, number: &str| {
        format!(
            "[ odrl:action meent:aggregateOnly ; odrl:constraint {} ]",
            constraint("meent:distinctDataSubjects", operator, number)
        )
    };
    let at_least = |subjects_min| Some(vec![Obligation::AggregateOnly { subjects_min }]);
    let cases: [(String, Option<Vec<Obligation>>); 10] = [
        (duty("[ odrl:action meent:log ]"), Some(vec![Obligation::Log])),
        (duty(&k("gteq", "5")), at_least(5)),
        (duty(&k("gt", "5")), at_least(6)),
        (duty("[ odrl:action meent:aggregateOnly ]"), at_least(1)),
        (duty(&format!("{}, {}", k("gteq", "5"), k("gteq", "9"))), at_least(9)),
        (
            format!("{} ; odrl:obligation {}", duty(&k("gteq", "5")), k("gteq", "7")),
            at_least(7),
        ),
        (duty(&k("lteq", "5")), None),
        (duty(&k("gteq", "\"many\"")), None),
        (duty(&k("gteq", "-5")), None),
        (duty("[ odrl:action odrl:compensate ]"), None),
    ];
    for (rules, expected) in cases {
        let found = judge(&rules);
        assert_eq!(found.grant.is_some(), expected.is_some(), "{rules}: {found:?}");
        assert_eq!(found.obligations, expected.unwrap_or_default(), "{rules}");
    }
    let aggregate = permission("").replace("odrl:use", "odrl:aggregate");
    assert_eq!(Some(judge(&aggregate).obligations), at_least(1));
}

/// ODR-5 and the rest of the gate.
#[test]
fn whole_policies() {
    let text = agreement(&permission(""));
    let ok = read(&text);
    let judged = |policy: &Policy| {
        let found = judge_as(policy, Some(CONSUMER), None, NOW);
        (found.effect, found.reasons[0].code)
    };
    assert_eq!(judged(&ok), (Effect::Permit, ReasonCode::PermissionActive));
    let offer = read(&text.replace("odrl:Agreement", "odrl:Offer"));
    assert_eq!(judged(&offer), (Effect::Deny, ReasonCode::PolicyNotAgreement));
    let agreed = offer.agree("https://kortrijk.example/a2", OWNER, CONSUMER);
    assert_eq!(judged(&agreed), (Effect::Permit, ReasonCode::PermissionActive));
    let strange = read(&text.replace(meent::ODRL_PROFILE, "https://a.example/profile"));
    assert_eq!(judged(&strange), (Effect::Indeterminate, ReasonCode::ProfileUnknown));
    let replaced = read(&text.replace(
        "odrl:assigner",
        "dcterms:isReplacedBy <https://kortrijk.example/a2> ; odrl:assigner",
    ));
    assert_eq!(judged(&replaced), (Effect::Indeterminate, ReasonCode::PolicyInvalid));
    let mut nobodys = ok.clone();
    nobodys.assignee = None;
    assert_eq!(judged(&nobodys), (Effect::Indeterminate, ReasonCode::PolicyInvalid));
    for party in [None, Some("https://other.example/#us")] {
        let found = judge_as(&ok, party, None, NOW);
        assert_eq!(
            (found.effect, found.reasons[0].code),
            (Effect::Deny, ReasonCode::AssigneeMismatch)
        );
    }
}

/// Requirements ODR-19, ENF-5: the decision says until when it holds, whichever rule the date is in.
#[test]
fn valid_until() {
    let date = |day: &str, operator: &str| {
        constraint("odrl:dateTime", operator, &format!("\"{day}T00:00:00Z\"^^xsd:dateTime"))
    };
    let rules = format!(
        "{} ; {}",
        permission(&format!(
            "; odrl:constraint {}, {}",
            date("2026-12-31", "lt"),
            date("2026-01-01", "gteq")
        )),
        prohibition(&format!(
            "; odrl:action odrl:use ; odrl:constraint {}",
            date("2026-09-01", "gteq")
        ))
    );
    let policy = read(&agreement(&rules));
    let found = judge_as(&policy, Some(CONSUMER), None, NOW);
    assert_eq!(found.effect, Effect::Permit);
    assert_eq!(found.valid_until, Some(datetime!(2026-09-01 0:00 UTC)));
    let before = judge_as(&policy, Some(CONSUMER), None, datetime!(2026-08-31 23:59:59 UTC));
    let after = judge_as(&policy, Some(CONSUMER), None, datetime!(2026-09-01 0:00 UTC));
    assert_eq!((before.effect, after.effect), (Effect::Permit, Effect::Deny));
}
