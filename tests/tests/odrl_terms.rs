//! Terms of ODRL one by one: every left operand, every action, every operator on values of every kind; units, statuses,
//! bounds, the form of the Dataspace Protocol, usage-control classes, and what a compiled policy weighs.

use std::collections::BTreeMap;
use std::sync::Arc;

use meent_tests::house::top;
use meent_tests::odrl::cases::iri;
use oxrdf::{Literal, NamedNode, Term};
use policies::Effect;
use policies::odrl::operand::{LEFT_OPERANDS, ValueKind};
use policies::odrl::usage_class::{UsageClass, classes};
use policies::odrl::{
    Action, AtomicConstraint, Constraint, Document, Duty, InheritanceLimits, LogicalOperator, NormaliseError,
    OdrlLimits, Of, Operator, Party, Permission, Policy, PolicyKind, PolicySet, Prohibition, Reading, Syntax, Target,
    World, WorldBuilder, action, normalise, to_dsp,
};
use time::macros::datetime;
use vocab::{meent, odrl, xsd};

const ASSET: &str = "https://example.org/a";

fn facts() -> WorldBuilder {
    World::at(datetime!(2026-06-01 12:00 UTC))
        .party("https://example.org/alice")
        .target(ASSET)
        .action(odrl::READ)
}

fn permission(constraints: Vec<Constraint>) -> Permission {
    Permission {
        id: None,
        target: Target::named(ASSET),
        assigner: None,
        assignee: None,
        action: Action::named(odrl::USE),
        constraints,
        duties: Vec::new(),
        unknown: Vec::new(),
    }
}

fn set(permissions: Vec<Permission>, prohibitions: Vec<Prohibition>) -> PolicySet {
    let policy = Policy {
        permissions,
        prohibitions,
        ..Policy::new("https://example.org/policy", PolicyKind::Set)
    };
    PolicySet::compile([Arc::new(policy)])
}

fn permits(constraint: &Constraint, world: &World) -> bool {
    set(vec![permission(vec![constraint.clone()])], Vec::new())
        .decide(world)
        .effect
        == Effect::Permit
}

/// Yes, no or unknown, as a permission and a prohibition together tell.
fn answer(constraint: &Constraint, world: &World) -> &'static str {
    let ban = Prohibition {
        id: None,
        target: Target::named(ASSET),
        assigner: None,
        assignee: None,
        action: Action::named(odrl::USE),
        constraints: vec![constraint.clone()],
        remedies: Vec::new(),
        unknown: Vec::new(),
    };
    let banned = set(vec![permission(Vec::new())], vec![ban]).decide(world).effect != Effect::Permit;
    match (permits(constraint, world), banned) {
        (true, true) => "yes",
        (false, false) => "no",
        (false, true) => "unknown",
        (true, false) => panic!("a constraint holds for a permission and not for a prohibition"),
    }
}

fn typed(text: &str, datatype: &'static str) -> Term {
    Literal::new_typed_literal(text, vocab::node(datatype)).into()
}

fn terms(cell: &str) -> Vec<Term> {
    let mut rest = cell;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (term, after) = if first == '<' {
            let (name, after) = rest[1..].split_once('>').unwrap();
            (NamedNode::new_unchecked(iri(name)).into(), after)
        } else {
            let (text, after) = rest[1..].split_once('"').unwrap();
            let (datatype, after) = after
                .trim_start_matches("^^xsd:")
                .split_once(' ')
                .unwrap_or((&after[6..], ""));
            (
                Literal::new_typed_literal(text, NamedNode::new_unchecked(format!("{}{datatype}", xsd::NS))).into(),
                after,
            )
        };
        found.push(term);
        rest = after.trim_start();
    }
    found
}

/// Each row: a left operand, what is stated of it, an operator, what is named, and the answer.
///
/// Requirements ODR-3, ODR-7, ODR-9, ODR-13.
#[test]
fn comparisons() {
    let table = std::fs::read_to_string(top().join("tests/corpus/odrl/comparisons.tsv")).unwrap();
    let mut rows = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [operand, stated, operator, named, expected] = cells.as_slice() else {
            panic!("{line}")
        };
        let operator = Operator::from_iri(&iri(operator)).unwrap();
        let constraint = Constraint::atomic(iri(operand), operator, terms(named));
        let mut world = facts().below(iri("ex:vl"), iri("ex:be"));
        match *stated {
            "-" => {}
            "none" => world = world.none(Of::Request, iri(operand)),
            values => {
                for value in terms(values) {
                    world = world.value(iri(operand), value);
                }
            }
        }
        assert_eq!(answer(&constraint, &world.build()), *expected, "{line}");
        rows += 1;
    }
    eprintln!("ODRL comparisons: {rows} rows");
    assert!(rows > 50);
}

/// Every left operand of the vocabulary has a kind and a source; a value of its kind is compared, one of another kind and
/// a missing one deny.
///
/// Requirements ODR-3, ODR-8.
#[test]
fn left_operands() {
    for operand in &LEFT_OPERANDS {
        let sample = match operand.kind {
            ValueKind::Number | ValueKind::Position => typed("7", xsd::INTEGER),
            ValueKind::Moment => typed("2026-06-01T12:00:00Z", xsd::DATE_TIME),
            ValueKind::Duration => typed("PT7H", xsd::DURATION),
            ValueKind::Iri | ValueKind::Concept => NamedNode::new_unchecked("https://example.org/seven").into(),
            ValueKind::Text => typed("seven", xsd::STRING),
        };
        let other = typed("true", xsd::BOOLEAN);
        let constraint = Constraint::atomic(operand.iri, Operator::Eq, vec![sample.clone()]);
        let told = facts().value(operand.iri, sample.clone()).build();
        assert!(permits(&constraint, &told), "{}", operand.iri);
        if operand.iri != odrl::DATE_TIME {
            assert_eq!(answer(&constraint, &facts().build()), "unknown", "{}", operand.iri);
            let wrong = facts().value(operand.iri, other.clone()).build();
            assert_eq!(answer(&constraint, &wrong), "unknown", "{}", operand.iri);
        }
        let misnamed = Constraint::atomic(operand.iri, Operator::Eq, vec![other]);
        assert_eq!(answer(&misnamed, &told), "unknown", "{}", operand.iri);
    }
    let names: std::collections::BTreeSet<&str> = LEFT_OPERANDS.iter().map(|operand| operand.iri).collect();
    assert_eq!(names.len(), 34);
}

/// All actions of the vocabulary end in `use` or `transfer`, but for five deprecated ones without a place; a permission
/// covers what is included, a prohibition also what includes it.
///
/// Requirements ODR-4, ODR-13.
#[test]
fn actions() {
    assert_eq!(action::all().collect::<std::collections::BTreeSet<_>>().len(), 72);
    let mut without = 0;
    for name in action::all() {
        let mut widest = name;
        while let Some(wider) = action::included_in(widest) {
            widest = wider;
        }
        without += usize::from(widest != odrl::USE && widest != odrl::TRANSFER);
        let allowed = |rule: &str, asked: &str| {
            let one = Permission {
                action: Action::named(rule),
                ..permission(Vec::new())
            };
            set(vec![one], Vec::new()).decide(&facts().action(asked).build()).effect == Effect::Permit
        };
        assert!(allowed(name, name) && allowed(widest, name), "{name}");
        assert!(
            widest == name || !allowed(name, widest),
            "{name} is narrower than {widest}"
        );
    }
    assert_eq!(without, 5);
}

fn with(constraint: Constraint, change: impl Fn(&mut AtomicConstraint)) -> Constraint {
    let Constraint::Atomic(mut atomic) = constraint else {
        panic!("one comparison")
    };
    change(&mut atomic);
    Constraint::Atomic(atomic)
}

/// Units are compared or converted, datatypes read text, a status stands for the left operand.
///
/// Requirements ODR-15, ODR-16.
#[test]
fn units_datatypes_statuses_and_references() {
    let unit = |name: &str| format!("http://qudt.org/vocab/unit/{name}");
    let size = |number: &str, in_unit: Option<&str>| {
        let one = Constraint::atomic(odrl::ABSOLUTE_SIZE, Operator::Lteq, vec![typed(number, xsd::INTEGER)]);
        with(one, |atomic| atomic.unit = in_unit.map(unit))
    };
    let told = |number: &str, in_unit: Option<&str>| {
        let number = typed(number, xsd::INTEGER);
        facts()
            .told(Of::Request, odrl::ABSOLUTE_SIZE, number, in_unit.map(unit))
            .build()
    };
    let cases = [
        (size("5", Some("MegaBYTE")), told("5000000", Some("BYTE")), "yes"),
        (size("5", Some("MegaBYTE")), told("5001", Some("KiloBYTE")), "no"),
        (size("5", Some("MegaBYTE")), told("5", Some("M")), "unknown"),
        (size("5", Some("MegaBYTE")), told("5", None), "unknown"),
        (size("5", None), told("5", Some("BYTE")), "unknown"),
        (size("5", Some("euro")), told("5", Some("euro")), "yes"),
    ];
    for (constraint, world, expected) in &cases {
        assert_eq!(answer(constraint, world), *expected, "{constraint:?}");
    }
    let text = Constraint::atomic(odrl::COUNT, Operator::Lt, vec![typed("5", xsd::STRING)]);
    let three = facts().value(odrl::COUNT, typed("3", xsd::INTEGER)).build();
    assert_eq!(answer(&text, &three), "unknown");
    assert_eq!(
        answer(
            &with(text, |atomic| atomic.data_type = Some(xsd::INTEGER.into())),
            &three
        ),
        "yes"
    );
    let count = Constraint::atomic(odrl::COUNT, Operator::Lt, vec![typed("5", xsd::INTEGER)]);
    let used = with(count.clone(), |atomic| atomic.status = Some(typed("9", xsd::INTEGER)));
    assert_eq!(answer(&used, &three), "no");
    let referring = with(count, |atomic| {
        atomic.right_operands.clear();
        atomic.right_operand_reference = Some("https://example.org/quota".into());
    });
    assert_eq!(answer(&referring, &three), "unknown");
    let resolved = facts()
        .value(odrl::COUNT, typed("3", xsd::INTEGER))
        .reference("https://example.org/quota", vec![typed("5", xsd::INTEGER)])
        .build();
    assert_eq!(answer(&referring, &resolved), "yes");
}

/// The same facts in another order have the same snapshot, and another fact has another.
///
/// Requirements ODR-20.
#[test]
fn snapshots() {
    let one = facts()
        .value(odrl::COUNT, typed("1", xsd::INTEGER))
        .below("ex:a", "ex:b")
        .profile("ex:p")
        .profile("ex:q");
    let other = facts()
        .profile("ex:q")
        .profile("ex:p")
        .below("ex:a", "ex:b")
        .value(odrl::COUNT, typed("1", xsd::INTEGER));
    assert_eq!(one.digest(), other.digest());
    assert_ne!(one.digest(), facts().digest());
    assert_ne!(
        one.digest(),
        one.clone().value(odrl::COUNT, typed("2", xsd::INTEGER)).digest()
    );
}

/// What the Dataspace Protocol can carry comes back as it was; what it cannot carry is named, every piece of it.
///
/// Requirements ODR-1, ODR-23.
#[test]
fn dataspace_form() {
    let purpose = Constraint::atomic(
        odrl::PURPOSE,
        Operator::IsA,
        vec![NamedNode::new_unchecked(meent::ROAD_SAFETY).into()],
    );
    let few = Constraint::atomic(odrl::COUNT, Operator::Lteq, vec![typed("5", xsd::INTEGER)]);
    let either = Constraint::logical(LogicalOperator::Or, vec![purpose, few]);
    let mut policy = Policy::new("https://example.org/policy", PolicyKind::Set).agree(
        "https://example.org/policy",
        "https://example.org/city",
        "https://example.org/alice",
    );
    policy.profiles.push(meent::ODRL_PROFILE.into());
    policy.permissions.push(Permission {
        duties: vec![Duty::to(meent::LOG)],
        ..permission(vec![either])
    });
    let mut object = to_dsp(&policy, false).unwrap();
    object["@context"] = serde_json::json!([policies::odrl::dsp::CONTEXT]);
    let text = serde_json::to_vec(&object).unwrap();
    let limits = OdrlLimits::default();
    let document = Document::read(&text, Syntax::JsonLd, "https://example.org/", &limits, Reading::STRICT).unwrap();
    assert_eq!(document.policies(), std::slice::from_ref(&policy));
    assert!(to_dsp(&policy, true).unwrap().get("target").is_none());
    policy.conflict = Some(policies::odrl::ConflictStrategy::Perm);
    policy.permissions[0]
        .target
        .refinements
        .push(Constraint::atomic(meent::PROPERTY, Operator::Eq, Vec::new()));
    policy.permissions[0].duties[0]
        .consequences
        .push(Duty::to(odrl::COMPENSATE));
    let lost = to_dsp(&policy, false).unwrap_err();
    let paths: Vec<&str> = lost.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["policy", "permission[0]", "permission[0] duty[0]"]);
}

/// The 25 classes are published with labels in three languages, and a policy shows which of them it uses.
///
/// Requirements ODR-23.
#[test]
fn usage_classes() {
    assert_eq!(UsageClass::all().count(), 25);
    for class in UsageClass::all() {
        assert!(
            meent::TERMS.contains(&class.iri().as_str()),
            "{} is not published",
            class.name()
        );
        let _ = class.at_best();
    }
    let mut policy = Policy::new("https://example.org/policy", PolicyKind::Set);
    let during = Constraint::atomic(
        odrl::DATE_TIME,
        Operator::Lt,
        vec![typed("2027-01-01T00:00:00Z", xsd::DATE_TIME)],
    );
    let consent = Constraint::atomic(meent::DATA_SUBJECT_CONSENT, Operator::Eq, Vec::new());
    policy.permissions.push(Permission {
        assignee: Some(Party::named("https://example.org/alice")),
        duties: vec![Duty::to(meent::LOG), Duty::to(odrl::DELETE)],
        ..permission(vec![during, consent])
    });
    let found: Vec<String> = classes(&policy).into_iter().map(UsageClass::name).collect();
    assert_eq!(found, ["pc1", "pc9", "pc12", "pc15", "pc23"]);
}

/// Inheritance is bounded, and each bound has its name.
///
/// Requirements ODR-4, ODR-24.
#[test]
fn inheritance_is_bounded() {
    let name = |number: usize| format!("https://example.org/p{number}");
    let chain: BTreeMap<String, Policy> = (0..50)
        .map(|number| {
            let mut policy = Policy::new(name(number), PolicyKind::Set);
            policy.permissions.push(permission(Vec::new()));
            policy.inherit_from = vec![name(number + 1)];
            (name(number), policy)
        })
        .collect();
    let limits = InheritanceLimits::default();
    let of = |number: usize, library: &BTreeMap<String, Policy>| normalise(&library[&name(number)], library, &limits);
    assert_eq!(of(0, &chain), Err(NormaliseError::TooDeep(name(0), limits.depth_max)));
    assert!(matches!(of(48, &chain), Err(NormaliseError::ParentMissing { .. })));
    let mut round = chain.clone();
    round.get_mut(&name(3)).unwrap().inherit_from = vec![name(1)];
    assert_eq!(of(1, &round), Err(NormaliseError::Circular(name(1))));
    let mut wide = chain;
    let many = wide.get_mut(&name(1)).unwrap();
    many.inherit_from.clear();
    many.permissions = vec![permission(Vec::new()); limits.rules_max];
    assert_eq!(
        of(0, &wide),
        Err(NormaliseError::TooManyRules(name(0), limits.rules_max))
    );
    // Few policies, and too many ways through them: each layer inherits from all of the next.
    let (layers, each) = (7, 8);
    let layered: BTreeMap<String, Policy> = (0..layers * each)
        .map(|number| {
            let next = (number / each + 1) * each;
            let mut policy = Policy::new(name(number), PolicyKind::Set);
            policy.inherit_from = (next..next + each)
                .filter(|one| *one < layers * each)
                .map(name)
                .collect();
            (name(number), policy)
        })
        .collect();
    let too_many = NormaliseError::TooManyParents(name(0), limits.policies_max);
    assert_eq!(of(0, &layered), Err(too_many));
    // Not taken over, a parent leaves the child without effect.
    let child = PolicySet::compile([Arc::new(wide[&name(0)].clone())]);
    assert_eq!(child.decide(&facts().build()).effect, Effect::Indeterminate);
}

/// What narrows a named action, and what is not understood about an asset that names its policy, is not lost.
///
/// Requirements ODR-1, ODR-3.
#[test]
fn narrowing_of_named_parts_counts() {
    let read = |turtle: &str| {
        let prefixed = format!(
            "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix ex: <https://example.org/> . @prefix xsd: <{}> . @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . {turtle}",
            xsd::NS
        );
        let limits = OdrlLimits::default();
        let base = "https://example.org/";
        Document::read(prefixed.as_bytes(), Syntax::Turtle, base, &limits, Reading::KEEPING).unwrap()
    };
    let decide = |document: &Document, count: Option<&str>| {
        let world = count.into_iter().fold(facts(), |world, count| {
            world.value(odrl::COUNT, typed(count, xsd::INTEGER))
        });
        let set = PolicySet::compile(document.policies().iter().cloned().map(Arc::new));
        set.decide(&world.build()).effect
    };
    let action = read(
        "ex:p a odrl:Set ; odrl:permission [ odrl:target ex:a ; odrl:action ex:few ] . ex:few a odrl:Action ;
         rdf:value odrl:read ; odrl:refinement [ odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 5 ] .",
    );
    for (count, effect) in [
        (Some("3"), Effect::Permit),
        (Some("7"), Effect::Deny),
        (None, Effect::Deny),
    ] {
        assert_eq!(decide(&action, count), effect, "{count:?}");
    }
    let asset = read(
        "ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:read ] . [] odrl:source ex:a ; odrl:onlyOnSundays true ;
         odrl:hasPolicy ex:p .",
    );
    assert_eq!(asset.unknown().len(), 1, "{:?}", asset.refused());
    assert_ne!(decide(&asset, None), Effect::Permit);
}

/// An obligation that nobody understands binds whether or not the conditions of its policy's permission hold: otherwise a
/// condition more would permit what was refused.
///
/// Requirements ODR-3, ODR-15, ODR-27.
#[test]
fn a_condition_more_does_not_lift_an_obligation() {
    let never = Constraint::atomic(
        odrl::PURPOSE,
        Operator::Eq,
        vec![NamedNode::new_unchecked(meent::ROAD_SAFETY).into()],
    );
    let world = World::at(datetime!(2026-06-01 12:00 UTC))
        .party("https://example.org/party")
        .target(ASSET)
        .action(odrl::READ)
        .build();
    for conditions in [vec![], vec![never]] {
        let mut bound = Policy::new("https://example.org/bound", PolicyKind::Set);
        bound.permissions.push(permission(conditions));
        bound.obligations.push(Duty::to("https://example.org/frob"));
        let mut free = Policy::new("https://example.org/free", PolicyKind::Set);
        free.permissions.push(permission(vec![]));
        let set = PolicySet::compile([Arc::new(bound), Arc::new(free.clone())]);
        assert_eq!(set.decide(&world).effect, Effect::Deny);
        assert_eq!(
            PolicySet::compile([Arc::new(free)]).decide(&world).effect,
            Effect::Permit
        );
    }
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A typical compiled policy takes less than 2 kB beside its text, and a set that is replaced goes on for its readers.
///
/// Requirements ODR-26.
#[test]
fn weight_and_replacement() {
    const ALONE: &str = "MEENT_WEIGH_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // In a process of its own, because the other tests take memory meanwhile.
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone
            .args(["--exact", "weight_and_replacement", "--nocapture"])
            .env(ALONE, "1");
        assert!(alone.status().unwrap().success());
        return;
    }
    let count = 20_000;
    let policies: Vec<Arc<Policy>> = (0..count)
        .map(|number| {
            let id = format!("https://example.org/agreement{number}");
            let mut policy = Policy::new(id, PolicyKind::Set);
            let purpose = NamedNode::new_unchecked(meent::ROAD_SAFETY);
            let constraints = vec![
                Constraint::atomic(odrl::PURPOSE, Operator::IsA, vec![purpose.into()]),
                Constraint::atomic(
                    odrl::DATE_TIME,
                    Operator::Lt,
                    vec![typed("2027-01-01T00:00:00Z", xsd::DATE_TIME)],
                ),
            ];
            policy.permissions.push(Permission {
                assignee: Some(Party::named(format!("https://example.org/party{number}"))),
                ..permission(constraints)
            });
            Arc::new(policy)
        })
        .collect();
    let before = resident_bytes();
    let old = Arc::new(PolicySet::compile(policies.iter().cloned()));
    let each = resident_bytes().saturating_sub(before) / count;
    eprintln!("a compiled policy takes about {each} bytes");
    assert!(each < 2_000, "{each} bytes");
    let world = World::at(datetime!(2026-06-01 12:00 UTC))
        .party("https://example.org/party7")
        .target(ASSET)
        .action(odrl::READ)
        .value(odrl::PURPOSE, NamedNode::new_unchecked(meent::ROAD_SAFETY))
        .build();
    let reader = Arc::clone(&old);
    let new = Arc::new(PolicySet::compile(policies.iter().skip(8).cloned()));
    drop(old);
    assert_eq!(reader.decide(&world).effect, Effect::Permit);
    assert_eq!(new.decide(&world).effect, Effect::Deny);
}
