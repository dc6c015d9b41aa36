//! The test regime of the W3C working group for ODRL, written down as our own data in `tests/corpus/odrl`: 36 rows of
//! evaluation, 24 rules of validation (each kept and broken), 10 normalisations; and tables of our own.

use std::collections::BTreeMap;
use std::sync::Arc;

use meent_tests::house::top;
use meent_tests::odrl::cases::{self, Case};
use policies::Effect;
use policies::odrl::{
    Document, InheritanceLimits, OdrlLimits, Policy, PolicySet, Reading, Syntax, World, kept, normalise, track,
    validate,
};

const BASE: &str = "https://example.org/";

fn read(name: &str) -> Vec<Case> {
    cases::read(&top().join("tests/corpus/odrl").join(name)).unwrap()
}

fn document(case: &Case, reading: Reading) -> Result<Document, String> {
    let text = serde_json::to_vec(&case.policy).unwrap();
    Document::read(&text, Syntax::JsonLd, BASE, &OdrlLimits::default(), reading).map_err(|error| error.to_string())
}

fn policies(case: &Case) -> Vec<Policy> {
    let document = document(case, Reading::STRICT).unwrap_or_else(|error| panic!("{}: {error}", case.id));
    assert_eq!(document.refused(), [], "{}", case.id);
    document.policies().to_vec()
}

fn permitted(policies: &[Policy], world: &World) -> (bool, String) {
    let set = PolicySet::compile(policies.iter().cloned().map(Arc::new));
    let verdict = set.decide(world);
    (verdict.effect == Effect::Permit, format!("{:?}", set.reasons(&verdict)))
}

/// Permissions, prohibitions, obligations, duties, consequences, remedies and refinements, state by state.
///
/// Requirements ODR-6, ODR-10, ODR-11, ODR-16, ODR-21.
#[test]
fn evaluation() {
    let cases = read("evaluation.json");
    for case in &cases {
        let (policies, world) = (policies(case), case.world.world());
        let policy = &policies[0];
        let found = match case.expect.as_str() {
            "active" | "inactive" => {
                let (permitted, reasons) = permitted(&policies, &world);
                let found = if permitted { "active" } else { "inactive" };
                assert_eq!(found, case.expect, "{} {}: {reasons}", case.id, case.title);
                continue;
            }
            "kept" | "infringed" | "remedied" => {
                assert!(!permitted(&policies, &world).0, "{}", case.id);
                serde_json::to_value(kept(policy, 0, &world).unwrap())
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned()
            }
            _ => {
                let owed = track(policy, &world);
                let state = |owed: &policies::odrl::Owed| {
                    serde_json::to_value(owed.state).unwrap().as_str().unwrap().to_owned()
                };
                let mut parts = vec![format!("obligation {}", state(&owed[0]))];
                parts.extend(owed.iter().skip(1).map(|owed| format!("consequence {}", state(owed))));
                if owed.len() > 1 && owed[0].settled {
                    parts.push("settled".to_owned());
                }
                parts.join(", ")
            }
        };
        assert_eq!(found, case.expect, "{} {}", case.id, case.title);
    }
    eprintln!("ODRL evaluation: {} of {} rows", cases.len(), cases.len());
    assert_eq!(cases.len(), 36);
}

/// What is wrong in a document: read, validated and inherited, the first fault with its path; and what is understood by
/// nobody, by what a decision says.
fn fault(case: &Case) -> Option<String> {
    let document = match document(case, Reading::STRICT) {
        Ok(document) => document,
        Err(error) => return Some(error),
    };
    if let Some(error) = document.refused().first() {
        return Some(error.to_string());
    }
    if document.policies().is_empty() {
        return Some("no policy".to_owned());
    }
    let library: BTreeMap<String, Policy> = document
        .policies()
        .iter()
        .map(|policy| (policy.id.clone(), policy.clone()))
        .collect();
    for policy in document.policies() {
        let whole = match normalise(policy, &library, &InheritanceLimits::default()) {
            Ok(whole) => whole,
            Err(error) => return Some(error.to_string()),
        };
        if let Err(errors) = validate(&whole) {
            return Some(errors[0].to_string());
        }
        if case.expect.starts_with("denied") {
            let mut facts = case.world.clone();
            facts.party = Some("ex:alice".into());
            facts.target = Some("ex:a".into());
            facts.action = whole.permissions[0].action.id.clone();
            let set = PolicySet::compile([Arc::new(whole)]);
            let world = facts.world();
            let verdict = set.decide(&world);
            assert_ne!(verdict.effect, Effect::Permit, "{}", case.id);
            return Some(format!("denied: {}", set.reasons(&verdict)[0].code));
        }
    }
    None
}

/// Every rule of validation, kept and broken; the fault names where it is.
///
/// Requirements ODR-2, ODR-3.
#[test]
fn validation() {
    let cases = read("validation.json");
    for case in &cases {
        let found = fault(case);
        if case.expect == "valid" {
            assert_eq!(found, None, "{} {}", case.id, case.title);
            continue;
        }
        let found = found.unwrap_or_else(|| panic!("{} {}: nothing is found wrong", case.id, case.title));
        for part in case.expect.split(" | ") {
            assert!(found.contains(part), "{}: `{found}` should say `{part}`", case.id);
        }
    }
    let rules: std::collections::BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    eprintln!("ODRL validation: {} of 24 rules, each kept and broken", rules.len());
    assert_eq!((rules.len(), cases.len()), (24, 48));
}

/// Compact rules, inheritance, links from outside, hierarchies, collections, replacement.
///
/// Requirements ODR-4, ODR-12, ODR-13.
#[test]
fn normalisation() {
    let cases = read("normalisation.json");
    for case in &cases {
        let document = document(case, Reading::STRICT).unwrap();
        assert_eq!(document.refused(), [], "{}", case.id);
        let library: BTreeMap<String, Policy> = document
            .policies()
            .iter()
            .map(|policy| (policy.id.clone(), policy.clone()))
            .collect();
        let policy = &library["https://example.org/policy"];
        let normal = normalise(policy, &library, &InheritanceLimits::default());
        let mut facts = case.world.clone();
        facts.below.extend(
            document
                .below()
                .map(|(narrow, wide)| (narrow.to_owned(), wide.to_owned())),
        );
        let (found, reasons) = match &normal {
            Ok(normal) => permitted(std::slice::from_ref(normal), &facts.world()),
            Err(error) => (false, error.to_string()),
        };
        assert_eq!(found, case.expect == "active", "{} {}: {reasons}", case.id, case.title);
        // As it was written, without its normal form, it never permits more.
        assert!(
            found || !permitted(std::slice::from_ref(policy), &facts.world()).0,
            "{}",
            case.id
        );
    }
    eprintln!("ODRL normalisation: {} of {} cases", cases.len(), cases.len());
    assert_eq!(cases.len(), 10);
}
