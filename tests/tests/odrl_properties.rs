//! What holds for every ODRL policy and all facts, and that two evaluators written apart agree.

use std::sync::Arc;

use meent_tests::odrl::{cases, random, reference};
use policies::Effect;
use policies::odrl::{
    Constraint, Document, Input, OdrlLimits, Of, Operator, Policy, PolicySet, Reading, Syntax, World,
    at_least_as_strict, canonical_hash, permits_nothing, write, write_json_ld, write_turtle,
};
use policies::purpose::Hierarchy;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use time::{Duration, OffsetDateTime};

/// How many cases a property is tried on; `MEENT_ODRL_CASES` makes it more.
fn config() -> Config {
    let cases = std::env::var("MEENT_ODRL_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    Config {
        cases: cases.unwrap_or(800),
        max_shrink_iters: 4_000,
        failure_persistence: None,
        ..Config::default()
    }
}

fn permits(policies: &[Policy], world: &World) -> bool {
    let set = PolicySet::compile(policies.iter().cloned().map(Arc::new));
    set.decide(world).effect == Effect::Permit
}

fn agrees(policies: &[Policy], facts: &cases::Facts) -> bool {
    permits(policies, &facts.world()) == reference::permits(policies, facts)
}

/// The compiled evaluator and the plain one say the same.
///
/// Requirements ODR-6, ODR-7, ODR-9, ODR-10, ODR-13, ODR-14, ODR-15, ODR-27.
#[test]
fn both_evaluators_agree() {
    let (mut permitted, mut tried) = (0, 0);
    TestRunner::new(config())
        .run(
            &(random::policies(), proptest::collection::vec(random::facts(), 4)),
            |(policies, facts)| {
                for facts in &facts {
                    prop_assert!(agrees(&policies, facts), "{facts:?}");
                }
                Ok(())
            },
        )
        .unwrap();
    TestRunner::deterministic()
        .run(&(random::policies(), random::facts()), |(policies, facts)| {
            prop_assert!(agrees(&policies, &facts));
            Ok(())
        })
        .unwrap();
    // The comparison would be worth little if everything were refused.
    let mut runner = TestRunner::deterministic();
    for _ in 0..400 {
        let policies = random::policies().new_tree(&mut runner).unwrap().current();
        let facts = random::facts().new_tree(&mut runner).unwrap().current();
        tried += 1;
        permitted += usize::from(permits(&policies, &facts.world()));
    }
    eprintln!("of {tried} random requests {permitted} are permitted");
    assert!(permitted * 10 > tried, "{permitted} of {tried}");
}

proptest! {
    #![proptest_config(config())]

    /// The order of policies, rules and constraints does not matter.
    ///
    /// Requirements ODR-14, ODR-19.
    #[test]
    fn order_does_not_matter(policies in random::policies(), facts in random::facts()) {
        let mut turned = policies.clone();
        turned.reverse();
        for policy in &mut turned {
            policy.permissions.reverse();
            policy.prohibitions.reverse();
            policy.obligations.reverse();
            policy.permissions.iter_mut().for_each(|rule| rule.constraints.reverse());
            policy.prohibitions.iter_mut().for_each(|rule| rule.constraints.reverse());
        }
        let world = facts.world();
        let (set, other) = (
            PolicySet::compile(policies.into_iter().map(Arc::new)),
            PolicySet::compile(turned.into_iter().map(Arc::new)),
        );
        prop_assert_eq!(set.decide(&world).effect, other.decide(&world).effect);
    }

    /// One more constraint never permits what was refused.
    ///
    /// Requirements ODR-27.
    #[test]
    fn a_constraint_never_widens(policies in random::policies(), extra in random::constraint(), facts in random::facts(), at in 0usize..9) {
        let mut narrower = policies.clone();
        let count = narrower.len();
        let policy = &mut narrower[at % count];
        let rules = policy.permissions.len();
        policy.permissions[at % rules].constraints.push(extra);
        let world = facts.world();
        prop_assert!(!permits(&narrower, &world) || permits(&policies, &world));
    }

    /// One more prohibition never permits what was refused.
    ///
    /// Requirements ODR-14, ODR-27.
    #[test]
    fn a_prohibition_never_widens(policies in random::policies(), extra in random::prohibition(), facts in random::facts(), at in 0usize..9) {
        let mut narrower = policies.clone();
        let count = narrower.len();
        narrower[at % count].prohibitions.push(extra);
        let world = facts.world();
        prop_assert!(!permits(&narrower, &world) || permits(&policies, &world));
    }

    /// Until the instant that a decision names, nothing changes by time alone.
    ///
    /// Requirements ODR-19.
    #[test]
    fn valid_until_is_kept(policies in random::policies(), facts in random::facts(), part in 0.0f64..1.0) {
        let set = PolicySet::compile(policies.into_iter().map(Arc::new));
        let before = set.decide(&facts.world());
        let now = facts.now.unwrap();
        let end = before.valid_until.unwrap_or(now + Duration::days(5_000));
        prop_assert!(end > now);
        // What the log already holds from later on would be news, not time.
        let next_event = facts.performed.iter().map(|event| event.at).filter(|at| *at > now).min();
        let end = next_event.map_or(end, |event| event.min(end));
        let seconds = ((end - now).as_seconds_f64() * part).floor();
        let later: OffsetDateTime = now + Duration::seconds_f64(seconds);
        let after = set.decide(&cases::Facts { now: Some(later), ..facts.clone() }.world()).effect;
        prop_assert_eq!(before.effect, after, "at {} of {}", later, end);
    }

    /// What a decision does not name among its inputs cannot change it.
    ///
    /// Requirements ODR-19, ODR-20.
    #[test]
    fn other_inputs_change_nothing(policies in random::policies(), facts in random::facts(), other in random::facts()) {
        let set = PolicySet::compile(policies.into_iter().map(Arc::new));
        let before = set.decide(&facts.world());
        let inputs = set.inputs(&before);
        let mut changed = facts.clone();
        for operand in [vocab::odrl::PURPOSE, vocab::odrl::COUNT, vocab::odrl::SPATIAL, vocab::odrl::LANGUAGE] {
            if !inputs.contains(&Input::Operand(operand.to_owned())) {
                changed.values.remove(operand);
                changed.values.extend(other.values.get(operand).map(|values| (operand.to_owned(), values.clone())));
            }
        }
        if !inputs.contains(&Input::PartyAttribute("https://example.org/age".to_owned())) {
            changed.party_values = other.party_values;
        }
        if !inputs.contains(&Input::TargetAttribute("https://example.org/size".to_owned())) {
            changed.target_values = other.target_values;
        }
        prop_assert_eq!(before.effect, set.decide(&changed.world()).effect);
    }

    /// Where one policy is shown to be at least as strict as another, nothing that it permits is refused by the other.
    ///
    /// Requirements ODR-22.
    #[test]
    fn strictness_is_sound(policy in random::policy(), changes in changes(), facts in proptest::collection::vec(random::facts(), 6)) {
        let other = changed(&policy, &changes);
        for (strict, lax) in [(&policy, &other), (&other, &policy), (&policy, &policy)] {
            if at_least_as_strict(strict, lax, &Hierarchy::default()).is_yes() {
                for facts in &facts {
                    let world = facts.world();
                    prop_assert!(!permits(std::slice::from_ref(strict), &world) || permits(std::slice::from_ref(lax), &world), "{facts:?}");
                }
            }
        }
    }

    /// A policy that is shown to permit nothing never permits.
    ///
    /// Requirements ODR-22.
    #[test]
    fn vacuity_is_sound(policy in random::policy(), facts in proptest::collection::vec(random::facts(), 6)) {
        if permits_nothing(&policy).is_yes() {
            for facts in &facts {
                prop_assert!(!permits(std::slice::from_ref(&policy), &facts.world()));
            }
        }
    }

}

proptest! {
    #![proptest_config(Config { cases: config().cases / 5, ..config() })]

    /// Policies and documents are written and read back without loss, in every syntax.
    ///
    /// Requirements ODR-1.
    #[test]
    fn nothing_is_lost(policy in random::policy()) {
        let mut policy = policy;
        // What is not understood is kept by documents; the model alone cannot invent its statements.
        policy.permissions.iter_mut().for_each(|rule| {
            rule.unknown.clear();
            rule.duties.iter_mut().for_each(|duty| duty.unknown.clear());
            // Duties with one name are one duty.
            rule.duties.iter_mut().for_each(|duty| duty.id = None);
        });
        policy.prohibitions.iter_mut().for_each(|rule| rule.unknown.clear());
        policy.obligations.iter_mut().for_each(|duty| { duty.unknown.clear(); duty.id = None; });
        let quads = write(&policy);
        let limits = OdrlLimits::default();
        let hash = canonical_hash(&quads);
        let texts = [
            (write_turtle(&policy).unwrap(), Syntax::Turtle),
            (write_json_ld(&policy).unwrap(), Syntax::JsonLd),
            (quads.iter().map(|quad| format!("{quad} .\n")).collect::<String>().into_bytes(), Syntax::NQuads),
        ];
        for (text, syntax) in texts {
            let document = Document::read(&text, syntax, "https://example.org/", &limits, Reading::STRICT).unwrap();
            prop_assert_eq!(document.refused(), &[]);
            prop_assert_eq!(&canonical_hash(document.quads()), &hash);
            let again = Document::read(&document.to_turtle().unwrap(), Syntax::Turtle, "https://example.org/", &limits, Reading::STRICT).unwrap();
            prop_assert_eq!(&canonical_hash(again.quads()), &hash);
            let again = Document::read(&document.to_json_ld().unwrap(), Syntax::JsonLd, "https://example.org/", &limits, Reading::STRICT).unwrap();
            prop_assert_eq!(&canonical_hash(again.quads()), &hash);
            prop_assert_eq!(canonical_hash(&write(&document.policies()[0])), hash.clone());
        }
    }
}

/// A change that makes a policy stricter or laxer, or something else.
#[derive(Clone, Debug)]
enum Change {
    Constrain(Box<Constraint>),
    Loosen(usize),
    Drop(usize),
    Number(i64),
    Forbid(Box<policies::odrl::Prohibition>),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = prop_oneof![
        random::constraint().prop_map(|one| Change::Constrain(Box::new(one))),
        (0usize..9).prop_map(Change::Loosen),
        (0usize..9).prop_map(Change::Drop),
        (-2i64..3).prop_map(Change::Number),
        random::prohibition().prop_map(|rule| Change::Forbid(Box::new(rule))),
    ];
    proptest::collection::vec(one, 1..3)
}

fn changed(policy: &Policy, changes: &[Change]) -> Policy {
    let mut policy = policy.clone();
    for change in changes {
        match change {
            Change::Constrain(constraint) => {
                policy
                    .permissions
                    .iter_mut()
                    .for_each(|rule| rule.constraints.push((**constraint).clone()));
            }
            Change::Loosen(at) => {
                for rule in &mut policy.permissions {
                    if !rule.constraints.is_empty() {
                        let count = rule.constraints.len();
                        rule.constraints.remove(at % count);
                    }
                }
            }
            Change::Drop(at) => {
                if policy.permissions.len() > 1 {
                    let count = policy.permissions.len();
                    policy.permissions.remove(at % count);
                }
            }
            Change::Number(by) => {
                policy
                    .permissions
                    .iter_mut()
                    .for_each(|rule| rule.constraints.iter_mut().for_each(|one| moved(one, *by)));
            }
            Change::Forbid(rule) => policy.prohibitions.push((**rule).clone()),
        }
    }
    policy
}

fn moved(constraint: &mut Constraint, by: i64) {
    match constraint {
        Constraint::Logical(logical) => logical.operands.iter_mut().for_each(|operand| moved(operand, by)),
        Constraint::Atomic(atomic) => {
            for term in &mut atomic.right_operands {
                if let oxrdf::Term::Literal(literal) = term
                    && let Ok(number) = literal.value().parse::<i64>()
                {
                    *term =
                        oxrdf::Literal::new_typed_literal((number + by).to_string(), vocab::node(vocab::xsd::INTEGER))
                            .into();
                }
            }
            if by < 0 && atomic.operator == Operator::Eq {
                atomic.operator = Operator::IsAnyOf;
            }
        }
    }
}

/// Attributes of a request are not attributes of a party.
///
/// Requirements ODR-9, ODR-11.
#[test]
fn attributes_stay_apart() {
    let world = World::at(time::macros::datetime!(2026-06-01 12:00 UTC))
        .party("https://example.org/alice")
        .target("https://example.org/a")
        .action(vocab::odrl::READ)
        .told(Of::Request, "https://example.org/age", oxrdf::Literal::from(40), None)
        .build();
    let text = "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix ex: <https://example.org/> .
        ex:p a odrl:Set ; odrl:permission [ odrl:target ex:a ; odrl:action odrl:read ; odrl:assignee
          [ a odrl:PartyCollection ; odrl:source ex:alice ;
            odrl:refinement [ odrl:leftOperand ex:age ; odrl:operator odrl:gt ; odrl:rightOperand 17 ] ] ] .";
    let read = policies::odrl::parse_turtle(text.as_bytes(), "https://example.org/", &OdrlLimits::default()).unwrap();
    assert!(!permits(&read, &world));
}
