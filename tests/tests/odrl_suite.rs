//! Suites of others for ODRL, run where they lie; and the ODRL sets of Flemish authorities, unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use meent_tests::house::{shared_data, top};
use meent_tests::odrl::suite;
use policies::Effect;
use policies::odrl::{ConstraintReport, Document, PolicySet, Reading, Syntax, World, report, write_report};
use time::macros::datetime;

fn shared() -> Option<PathBuf> {
    shared_data().map(|data| data.join("decide-dataspace"))
}

/// Differences that were judged, as `case<tab>level<tab>reason`.
fn judged() -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(top().join("tests/conformance/baseline/odrl-suite.tsv")).unwrap();
    let rows = text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(|line| {
        let mut cells = line.splitn(3, '\t').map(str::to_owned);
        let row = (cells.next().unwrap(), cells.next().unwrap());
        assert!(
            cells.next().is_some_and(|reason| !reason.trim().is_empty()),
            "no reason: {line}"
        );
        row
    });
    rows.collect()
}

fn flat<'r>(reports: &'r [ConstraintReport], into: &mut BTreeMap<&'r str, bool>) {
    for one in reports {
        if let Some(id) = &one.constraint {
            into.insert(id, one.satisfied);
        }
        flat(&one.parts, into);
    }
}

/// The 68 cases: which rules are active, which constraints hold, and what is permitted.
///
/// Requirements ODR-5, ODR-10, ODR-12, ODR-17, ODR-18, ODR-27.
#[test]
fn test_suite() {
    let Some(folder) = shared() else {
        return;
    };
    let cases = suite::cases(&folder.join("solidlab-odrl-test-suite")).unwrap();
    let judged = judged();
    let (mut rules, mut constraints, mut decisions) = (0, 0, 0);
    let (mut differences, mut compared) = (BTreeSet::new(), 0);
    for case in &cases {
        let found = report(&case.policy, &case.world);
        let active: BTreeMap<&str, bool> = found
            .rules
            .iter()
            .filter_map(|rule| Some((rule.rule.as_deref()?, rule.active)))
            .collect();
        let same_rules = case
            .rules
            .iter()
            .all(|(rule, expected)| active.get(rule.as_str()) == Some(expected));
        let mut held = BTreeMap::new();
        found.rules.iter().for_each(|rule| flat(&rule.constraints, &mut held));
        let same_constraints = case
            .constraints
            .iter()
            .all(|(constraint, expected)| held.get(constraint.as_str()) == Some(expected));
        compared += case.constraints.len();
        let set = PolicySet::compile([Arc::new(case.policy.clone())]);
        let permitted = set.decide(&case.world).effect == Effect::Permit;
        let same_decision = permitted == case.permitted;
        for (level, same, count) in [
            ("rule", same_rules, &mut rules),
            ("constraint", same_constraints, &mut constraints),
            ("decision", same_decision, &mut decisions),
        ] {
            if same {
                *count += 1;
            } else {
                differences.insert((case.name.clone(), level.to_owned()));
            }
        }
        assert!(!write_report(&found, "https://example.org/request").is_empty());
    }
    eprintln!(
        "ODRL test suite: {} cases, {rules} alike in rules, {constraints} in constraints ({compared} of them), {decisions} in decisions",
        cases.len()
    );
    assert_eq!(cases.len(), 68);
    assert_eq!(differences, judged, "differences and judged differences");
}

/// Real sets and offers are read without loss, and every rule in them is judged.
///
/// Requirements ODR-1, ODR-3, ODR-11, ODR-12.
#[test]
fn flemish_sets() {
    let Some(folder) = shared() else {
        return;
    };
    let files = [
        // File, profile that its enforcement point understands, rules, refused policies.
        ("20260504133512-insert-odrl-authorization-policy.ttl", 18),
        ("authorization-config.ttl", 0),
        ("odrl-parser-config-simplified.ttl", 0),
        ("vmm-authorization-config.ttl", 0),
        ("20260519091850-add-private-dataset.ttl", 0),
    ];
    const PROFILE: &str = "http://mu.semte.ch/vocabularies/ext/muAuthProfile";
    let (mut read, mut rules, mut permitted, mut flagged) = (0, 0, 0, 0);
    for (file, rules_min) in files {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let document = Document::read(
            &bytes,
            Syntax::Turtle,
            "https://example.org/",
            &suite::LIMITS,
            Reading::KEEPING,
        )
        .unwrap();
        assert_eq!(document.refused(), [], "{file}");
        assert!(!document.policies().is_empty(), "{file} has no policy");
        let again = Document::read(
            &document.to_turtle().unwrap(),
            Syntax::Turtle,
            "https://example.org/",
            &suite::LIMITS,
            Reading::KEEPING,
        )
        .unwrap();
        assert_eq!(document.quads().len(), again.quads().len(), "{file} loses statements");
        flagged += document.unknown().len();
        let set = PolicySet::compile(document.policies().iter().cloned().map(Arc::new));
        let count: usize = document.policies().iter().map(policies::odrl::Policy::rules).sum();
        assert!(count >= rules_min, "{file}: {count} rules");
        read += document.policies().len();
        rules += count;
        for policy in document.policies() {
            for rule in &policy.permissions {
                let facts = |profile: bool| {
                    let mut world = World::at(datetime!(2026-06-01 12:00 UTC))
                        .party("https://example.org/somebody")
                        .target("https://example.org/thing")
                        .below("https://example.org/thing", rule.target.source.clone())
                        .action(rule.action.id.clone());
                    if let Some(party) = &rule.assignee {
                        world = world.below("https://example.org/somebody", party.id.clone());
                    }
                    if profile {
                        world = world.profile(PROFILE);
                    }
                    world.build()
                };
                let understood = facts(true);
                let verdict = set.decide(&understood);
                let should = rule.unknown.is_empty() && policy.kind != policies::odrl::PolicyKind::Offer;
                if verdict.effect == Effect::Permit {
                    permitted += 1;
                } else {
                    assert!(!should, "{file} {:?}: {:?}", rule.id, set.reasons(&verdict));
                }
                if policy.profiles.iter().any(|profile| profile == PROFILE) {
                    let strange = facts(false);
                    assert_ne!(
                        set.decide(&strange).effect,
                        Effect::Permit,
                        "an unknown profile must not grant"
                    );
                }
            }
        }
    }
    eprintln!(
        "Flemish ODRL sets: {} files, {read} policies, {rules} rules, {permitted} requests permitted, {flagged} unknown terms flagged",
        files.len()
    );
}
