//! Conditions on what the owner states, on the course of the agreement and on the channel; duties to delete and to send
//! something along.

use proptest::prelude::*;
use time::Duration;

use super::*;
use crate::decision::{Effect, ReasonCode};
use crate::explain::{self, ClauseClass, Language};
use crate::odrl::circumstance::answerable;
use crate::odrl::{Circumstances, Known, Statements, attached, masks_keys, retention, stays_with_recipient};

fn known() -> Known {
    Known {
        agreed: NOW - Duration::days(10),
        first_use: Some(NOW - Duration::days(5)),
        last_use: Some(NOW - Duration::hours(6)),
        encrypted: true,
        stated: Some(Statements {
            values: vec![
                (odrl::EVENT.into(), iri("urn:x:emergency"), None),
                (odrl::SPATIAL.into(), iri("urn:x:gent"), None),
                (odrl::PAY_AMOUNT.into(), number("250"), Some("urn:x:EUR".into())),
            ],
            below: vec![("urn:x:gent".into(), "urn:x:belgium".into())],
        }),
        held: false,
        delete_by: None,
    }
}

fn iri(text: &str) -> oxrdf::Term {
    oxrdf::NamedNode::new(text).unwrap().into()
}

fn number(text: &str) -> oxrdf::Term {
    oxrdf::Literal::new_typed_literal(text, vocab::node(xsd::DECIMAL)).into()
}

fn judged(rules: &str, circumstances: &Circumstances, client: Option<&str>, purpose: &str) -> Evaluation {
    let policy = read(&agreement(rules));
    let (purposes, part_of) = (Hierarchy::default(), BTreeSet::new());
    let world = match circumstances {
        Circumstances::Known(known) => Some(known.world(NOW, client)),
        _ => None,
    };
    let situation = Situation {
        party: Some(CONSUMER),
        dataset: DATASET,
        part_of: &part_of,
        purpose: Some(purpose),
        now: NOW,
        purposes: &purposes,
        world: world.as_ref(),
        uses: None,
        circumstances,
        forbidding: false,
    };
    evaluate(&policy, &situation)
}

fn effect(rules: &str, circumstances: &Circumstances) -> Effect {
    judged(
        rules,
        circumstances,
        Some("https://app.example/id"),
        meent::BICYCLE_POLICY,
    )
    .effect
}

fn under(left: &str, operator: &str, right: &str) -> String {
    permission(&format!("; odrl:constraint {}", constraint(left, operator, right)))
}

/// Each row: a condition, and whether it is met by what is known. Where nobody keeps these things none is met; where the
/// owner states nothing, no statement is.
///
/// Requirements ENF-5, ENF-6, ENF-15, ENF-16, ENF-20, ENF-21, ENF-23.
#[test]
fn conditions_on_circumstances() {
    let all = Circumstances::Known(Box::new(known()));
    let silent = Circumstances::Known(Box::new(Known {
        stated: None,
        ..known()
    }));
    let day = |text: &str| format!("'{text}'^^xsd:duration");
    for (left, operator, right, expected, without_words) in [
        ("odrl:event", "eq", "<urn:x:emergency>".to_owned(), true, false),
        ("odrl:event", "isAnyOf", "<urn:x:other>".to_owned(), false, false),
        ("odrl:event", "isNoneOf", "<urn:x:retired>".to_owned(), true, false),
        ("odrl:event", "isNoneOf", "<urn:x:emergency>".to_owned(), false, false),
        ("odrl:spatial", "isPartOf", "<urn:x:belgium>".to_owned(), true, false),
        ("odrl:spatial", "isPartOf", "<urn:x:france>".to_owned(), false, false),
        ("odrl:industry", "eq", "<urn:x:health>".to_owned(), false, false),
        ("odrl:system", "eq", "<https://app.example/id>".to_owned(), true, true),
        (
            "odrl:system",
            "eq",
            "<https://other.example/id>".to_owned(),
            false,
            false,
        ),
        (
            "odrl:deliveryChannel",
            "eq",
            "meent:EncryptedTransport".to_owned(),
            true,
            true,
        ),
        ("odrl:elapsedTime", "lteq", day("P5D"), true, true),
        ("odrl:elapsedTime", "lt", day("P5D"), false, false),
        ("odrl:elapsedTime", "eq", day("P6D"), true, true),
        ("odrl:timeInterval", "eq", day("PT6H"), true, true),
        ("odrl:timeInterval", "gteq", day("PT7H"), false, false),
        ("odrl:delayPeriod", "eq", day("P10D"), true, true),
        ("odrl:delayPeriod", "gt", day("P10D"), false, false),
        ("odrl:delayPeriod", "eq", day("P1M"), false, false),
        ("odrl:meteredTime", "lteq", day("P1D"), false, false),
    ] {
        let rules = under(left, operator, &right);
        let permits = |circumstances| effect(&rules, circumstances) == Effect::Permit;
        assert_eq!(permits(&all), expected, "{rules}");
        assert_eq!(
            permits(&silent),
            without_words,
            "{rules} where the owner states nothing"
        );
        assert!(!permits(&Circumstances::NotKept), "{rules} where nobody keeps it");
        assert_eq!(
            permits(&Circumstances::Elsewhere),
            left != "odrl:meteredTime",
            "{rules} where another server decides"
        );
        let banned = format!(
            "{} ; {}",
            permission(""),
            prohibition(&format!(
                "; odrl:action odrl:use ; odrl:constraint {}",
                constraint(left, operator, &right)
            ))
        );
        assert!(
            effect(&banned, &Circumstances::NotKept) != Effect::Permit,
            "{banned}: a prohibition that cannot be judged applies"
        );
    }
    let paid = |least: &str, unit: &str| {
        let rules = format!(
            "; odrl:constraint [ odrl:leftOperand odrl:payAmount ; odrl:operator odrl:gteq ; odrl:rightOperand {least} ; odrl:unit <{unit}> ]"
        );
        effect(&permission(&rules), &all)
    };
    assert_eq!(paid("250.00", "urn:x:EUR"), Effect::Permit);
    assert_eq!(paid("250.01", "urn:x:EUR"), Effect::Deny);
    assert_eq!(paid("1.00", "urn:x:USD"), Effect::Deny);
}

/// A decision ends when the time since the first use does, and at the deadline for deleting.
///
/// Requirements ENF-5, ENF-19.
#[test]
fn the_course_of_an_agreement_ends_a_decision() {
    let policy = read(&agreement(&under("odrl:elapsedTime", "lteq", "'P6D'^^xsd:duration")));
    let mut known = known();
    assert_eq!(known.changes(&policy, NOW), [NOW + Duration::days(1)]);
    known.delete_by = Some(NOW + Duration::hours(1));
    assert!(known.changes(&policy, NOW).contains(&(NOW + Duration::hours(1))));
    known.first_use = None;
    assert!(
        known.changes(&policy, NOW).contains(&(NOW + Duration::days(6))),
        "from this use on"
    );
}

fn duty(body: &str) -> String {
    permission(&format!("; odrl:duty [ {body} ]"))
}

/// Requirements ENF-19: each row is a duty to delete and the deadline for what is received now; what has no deadline that
/// can be followed permits nothing.
#[test]
fn duties_to_delete_have_a_deadline() {
    let delete = |left: &str, operator: &str, right: &str| {
        duty(&format!(
            "odrl:action odrl:delete ; odrl:constraint {}",
            constraint(left, operator, right)
        ))
    };
    for (rules, expected) in [
        (
            delete("odrl:elapsedTime", "lteq", "'P30D'^^xsd:duration"),
            Some(NOW + Duration::days(30)),
        ),
        (
            delete("odrl:delayPeriod", "eq", "'PT12H'^^xsd:dayTimeDuration"),
            Some(NOW + Duration::hours(12)),
        ),
        (
            delete("odrl:dateTime", "lteq", "'2026-07-01T00:00:00Z'^^xsd:dateTime"),
            Some(datetime!(2026-07-01 00:00 UTC)),
        ),
        (delete("odrl:elapsedTime", "lteq", "'P1M'^^xsd:duration"), None),
        (delete("odrl:elapsedTime", "gteq", "'P1D'^^xsd:duration"), None),
        (delete("odrl:event", "eq", "<urn:x:end>"), None),
        (duty("odrl:action odrl:delete"), None),
    ] {
        let policy = read(&agreement(&rules));
        let found = retention(&policy).and_then(|retention| retention.deadline(NOW));
        assert_eq!(found, expected, "{rules}");
        let permits = judge(&rules).effect == Effect::Permit;
        assert_eq!(permits, expected.is_some(), "{rules}");
    }
    let both = format!(
        "{} ; odrl:obligation [ odrl:action odrl:delete ; odrl:constraint {} ]",
        delete("odrl:elapsedTime", "lteq", "'P30D'^^xsd:duration"),
        constraint("odrl:elapsedTime", "lteq", "'P7D'^^xsd:duration")
    );
    let strict = retention(&read(&agreement(&both))).unwrap();
    assert_eq!(
        strict.deadline(NOW),
        Some(NOW + Duration::days(7)),
        "the earlier one counts"
    );
}

/// Requirements ENF-18: what goes along with answers; a duty that cannot be sent along permits nothing.
#[test]
fn next_policies_and_sources_go_along() {
    let rules = format!(
        "{} ; odrl:obligation [ odrl:action odrl:attribute ]",
        duty("odrl:action odrl:nextPolicy ; odrl:target <urn:x:next>")
    );
    let found = attached(&read(&agreement(&rules)));
    assert_eq!(found.next_policies, BTreeSet::from(["urn:x:next".to_owned()]));
    assert_eq!(found.attributed_to, BTreeSet::from([OWNER.to_owned()]));
    assert_eq!(judge(&rules).effect, Effect::Permit);
    let named = duty("odrl:action odrl:attribute ; odrl:attributedParty <urn:x:maker>");
    let found = attached(&read(&agreement(&named)));
    assert_eq!(found.attributed_to, BTreeSet::from(["urn:x:maker".to_owned()]));
    for broken in [
        duty("odrl:action odrl:nextPolicy"),
        duty("odrl:action odrl:attribute ; odrl:target <urn:x:other>"),
        duty("odrl:action odrl:attribute ; odrl:trackingParty <urn:x:other>"),
    ] {
        assert_eq!(judge(&broken).effect, Effect::Deny, "{broken}");
    }
}

/// Requirement ENF-34: join keys that leave only behind a mask are a duty that the broker's node attests; with conditions it is not
/// understood, and permits nothing.
#[test]
fn join_keys_leave_masked() {
    for (rules, expected) in [
        (duty("odrl:action meent:maskKeys"), true),
        (
            format!("{} ; odrl:obligation [ odrl:action meent:maskKeys ]", permission("")),
            true,
        ),
        (duty("odrl:action meent:log"), false),
    ] {
        let policy = read(&agreement(&rules));
        assert_eq!(
            (judge(&rules).effect, masks_keys(&policy)),
            (Effect::Permit, expected),
            "{rules}"
        );
        for language in Language::ALL {
            let clauses = explain::policy(&policy, language);
            let attested = clauses.iter().any(|clause| clause.class == ClauseClass::Attested);
            assert_eq!(attested, expected, "{clauses:?}");
        }
    }
    for broken in [
        duty("odrl:action meent:maskKeys ; odrl:target <urn:x:other>"),
        duty(
            "odrl:action meent:maskKeys ; odrl:constraint [ odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 3 ]",
        ),
    ] {
        assert_eq!(judge(&broken).effect, Effect::Deny, "{broken}");
    }
}

/// Requirements ENF-21, ENF-24, ENF-34: what happens afterwards binds by contract; a purpose that says it is commercial is
/// refused where that is forbidden; writing is never possible.
#[test]
fn what_is_forbidden_afterwards() {
    let with = |action: &str| {
        format!(
            "{} ; {}",
            permission(""),
            prohibition(&format!("; odrl:action {action}"))
        )
    };
    for (action, stays, class) in [
        ("odrl:distribute", true, ClauseClass::Contract),
        ("<http://creativecommons.org/ns#Sharing>", true, ClauseClass::Contract),
        (
            "<http://creativecommons.org/ns#CommercialUse>",
            false,
            ClauseClass::Attested,
        ),
        ("odrl:modify", false, ClauseClass::Technical),
        ("odrl:append", false, ClauseClass::Technical),
        ("odrl:print", false, ClauseClass::Contract),
    ] {
        let rules = with(action);
        let policy = read(&agreement(&rules));
        assert_eq!(judge(&rules).effect, Effect::Permit, "{action}");
        assert_eq!(stays_with_recipient(&policy), stays, "{action}");
        for language in Language::ALL {
            let clauses = explain::policy(&policy, language);
            let clause = clauses.iter().find(|clause| clause.path == "prohibition[0]").unwrap();
            assert_eq!(clause.class, class, "{action}");
            assert!(!clause.text.contains('`') || action == "odrl:print", "{}", clause.text);
        }
    }
    let rules = with("<http://creativecommons.org/ns#CommercialUse>");
    for (purpose, expected) in [
        (meent::BICYCLE_POLICY, Effect::Permit),
        (dpv::COMMERCIAL_RESEARCH, Effect::Deny),
        (dpv::TARGETED_ADVERTISING, Effect::Deny),
    ] {
        assert_eq!(
            judged(&rules, &Circumstances::NotKept, None, purpose).effect,
            expected,
            "{purpose}"
        );
    }
    let alone = judge(&format!(
        "odrl:permission [ odrl:target <{DATASET}> ; odrl:action odrl:append ]"
    ));
    assert!(
        alone
            .reasons
            .iter()
            .any(|reason| reason.code == ReasonCode::UnknownAction),
        "{:?}",
        alone.reasons
    );
}

/// Requirements ENF-1: each of these clauses is said in three languages, and how it is kept.
#[test]
fn people_read_every_clause() {
    let day = "'P1D'^^xsd:duration";
    for (rules, class) in [
        (under("odrl:event", "eq", "<urn:x:emergency>"), ClauseClass::Attested),
        (
            under("odrl:event", "isNoneOf", "<urn:x:retired>"),
            ClauseClass::Attested,
        ),
        (
            under("odrl:spatial", "isPartOf", "<urn:x:belgium>"),
            ClauseClass::Attested,
        ),
        (under("odrl:payAmount", "gteq", "250"), ClauseClass::Attested),
        (under("odrl:version", "eq", "'2'"), ClauseClass::Attested),
        (
            under("odrl:system", "eq", "<https://app.example/id>"),
            ClauseClass::Attested,
        ),
        (
            under("odrl:deliveryChannel", "eq", "meent:EncryptedTransport"),
            ClauseClass::Technical,
        ),
        (under("odrl:elapsedTime", "lteq", day), ClauseClass::Technical),
        (under("odrl:timeInterval", "eq", day), ClauseClass::Technical),
        (under("odrl:delayPeriod", "eq", day), ClauseClass::Technical),
        (
            duty(&format!(
                "odrl:action odrl:delete ; odrl:constraint {}",
                constraint("odrl:elapsedTime", "lteq", day)
            )),
            ClauseClass::Attested,
        ),
        (
            duty("odrl:action odrl:nextPolicy ; odrl:target <urn:x:next>"),
            ClauseClass::Contract,
        ),
        (duty("odrl:action odrl:attribute"), ClauseClass::Contract),
    ] {
        let policy = read(&agreement(&rules));
        let texts = Language::ALL.map(|language| {
            let clauses = explain::policy(&policy, language);
            let clause = clauses
                .into_iter()
                .find(|clause| clause.path.contains("constraint") || clause.path.contains("duty"))
                .unwrap();
            assert_eq!(clause.class, class, "{rules}");
            assert!(
                !clause.text.contains("{}") && !clause.text.contains("P1D"),
                "{}",
                clause.text
            );
            clause.text
        });
        let distinct: BTreeSet<&String> = texts.iter().collect();
        assert_eq!(distinct.len(), 3, "{texts:?}");
        assert!(!texts[2].contains("not understood"), "{}", texts[2]);
    }
}

/// Requirements ENF-2: what can never be answered is told apart before anybody agrees to it.
#[test]
fn conditions_that_nothing_answers() {
    for (left, operator, right, expected) in [
        ("odrl:event", "eq", "<urn:x:a>", true),
        ("odrl:event", "gteq", "<urn:x:a>", false),
        ("odrl:event", "eq", "5", false),
        ("odrl:payAmount", "gteq", "5", true),
        ("odrl:payAmount", "gteq", "'five'", false),
        ("odrl:timeInterval", "eq", "'P1D'^^xsd:duration", true),
        ("odrl:timeInterval", "eq", "'P1M'^^xsd:duration", false),
        ("odrl:timeInterval", "isAnyOf", "'P1D'^^xsd:duration", false),
    ] {
        let policy = read(&agreement(&under(left, operator, right)));
        let Constraint::Atomic(atomic) = &policy.permissions[0].constraints[0] else {
            panic!("{left}");
        };
        assert_eq!(answerable(atomic), expected, "{left} {operator} {right}");
    }
}

proptest! {
    /// Requirements ENF-16: whatever an owner states, taking statements about the world away never opens what they closed
    /// for permissions that ask for them to hold.
    #[test]
    fn fewer_statements_never_open(kept in proptest::collection::vec(any::<bool>(), 3)) {
        let full = known();
        let mut less = known();
        if let Some(stated) = &mut less.stated {
            let mut keep = kept.iter();
            stated.values.retain(|_| *keep.next().unwrap());
        }
        for rules in [under("odrl:event", "eq", "<urn:x:emergency>"), under("odrl:spatial", "isPartOf", "<urn:x:belgium>")] {
            let opens = |known: &Known| effect(&rules, &Circumstances::Known(Box::new(known.clone()))) == Effect::Permit;
            prop_assert!(opens(&full) || !opens(&less));
        }
    }
}

/// Requirements ODR-20, AUD-9: what was known is kept as JSON, and read back it decides the same.
#[test]
fn circumstances_survive_being_kept() {
    let known = known();
    let kept = serde_json::to_vec(&known).unwrap();
    assert_eq!(serde_json::from_slice::<Known>(&kept).unwrap(), known);
    let bare = Known {
        stated: None,
        delete_by: Some(NOW),
        ..known
    };
    let kept = serde_json::to_vec(&bare).unwrap();
    assert_eq!(serde_json::from_slice::<Known>(&kept).unwrap(), bare);
}
