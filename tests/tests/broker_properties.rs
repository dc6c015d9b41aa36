//! Random data dealt at random, random policies, random queries: the federation's answer is that of one store over the union of what
//! the members' policies permit (invariant 7). `MEENT_FEDERATION_CASES` says on how many cases (`cargo xtask soak federation`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::sync::Arc;

use broker::source::{Source, SourceDescription};
use meent_tests::federation::Network;
use oxrdf::{BlankNode, Literal, NamedNode, NamedOrBlankNode, Term, Triple};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Queries asked of each federation; each is a case.
const QUERIES_EACH: u32 = 8;

/// A node of one of three owners, of nobody, or a blank node of the member that holds it.
fn node(kind: u8, number: u8, member: usize) -> NamedOrBlankNode {
    match kind {
        0..=2 => NamedNode::new_unchecked(format!("http://o{kind}.example/{number}")).into(),
        3 => NamedNode::new_unchecked(format!("http://shared.example/{number}")).into(),
        _ => BlankNode::new_unchecked(format!("b{member}x{number}")).into(),
    }
}

#[derive(Debug, Clone)]
struct Fact {
    members: Vec<usize>,
    subject: (u8, u8),
    predicate: u8,
    object: (u8, u8),
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let fact = (
        prop::collection::vec(0..3_usize, 1..3),
        (0..5_u8, 0..3_u8),
        0..3_u8,
        (0..6_u8, 0..3_u8),
    );
    prop::collection::vec(
        fact.prop_map(|(members, subject, predicate, object)| Fact {
            members,
            subject,
            predicate,
            object,
        }),
        1..40,
    )
}

fn dealt(facts: &[Fact], by_owner: bool) -> Vec<Vec<Triple>> {
    let mut out = vec![Vec::new(); 3];
    for fact in facts {
        let blank = fact.subject.0 > 3 || fact.object.0 == 4;
        let members = if by_owner && fact.subject.0 < 3 {
            vec![usize::from(fact.subject.0)]
        } else if blank {
            fact.members[..1].to_vec()
        } else {
            fact.members.clone()
        };
        for member in members {
            let object: Term = match fact.object {
                (5, number) => Literal::from(i64::from(number)).into(),
                (kind, number) => node(kind, number, member).into(),
            };
            let predicate = NamedNode::new_unchecked(format!("http://v.example/p{}", fact.predicate));
            out[member].push(Triple::new(
                node(fact.subject.0, fact.subject.1, member),
                predicate,
                object,
            ));
        }
    }
    out
}

fn term() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..4_u8).prop_map(|n| format!("?v{n}")),
        1 => (0..4_u8, 0..3_u8).prop_map(|(kind, n)| node(kind, n, 0).to_string()),
    ]
}

fn bgp() -> impl Strategy<Value = String> {
    let predicate =
        prop_oneof![8 => (0..3_u8).prop_map(|p| format!("<http://v.example/p{p}>")), 1 => Just("?v9".to_owned())];
    prop::collection::vec(
        (term(), predicate, term()).prop_map(|(s, p, o)| format!("{s} {p} {o} .")),
        1..4,
    )
    .prop_map(|patterns| patterns.join(" "))
}

fn query() -> impl Strategy<Value = String> {
    (bgp(), bgp(), term(), 0..26_u8).prop_map(|(a, b, t, shape)| match shape {
        0 => format!("SELECT * WHERE {{ {a} OPTIONAL {{ {b} }} }}"),
        1 => format!("SELECT * WHERE {{ {{ {a} }} UNION {{ {b} }} }}"),
        2 => format!("SELECT * WHERE {{ {a} MINUS {{ {b} }} }}"),
        3 => format!("SELECT * WHERE {{ {a} FILTER EXISTS {{ {b} }} }}"),
        4 => format!("SELECT * WHERE {{ {a} FILTER NOT EXISTS {{ {b} }} }}"),
        5 => format!("SELECT ?v0 (COUNT(*) AS ?n) (COUNT(DISTINCT ?v1) AS ?d) WHERE {{ {a} }} GROUP BY ?v0"),
        6 => format!("SELECT DISTINCT ?v0 ?v1 WHERE {{ {a} {b} }}"),
        7 => format!("SELECT (COUNT(*) AS ?n) WHERE {{ {a} }}"),
        8 => format!("SELECT ?v0 ?c WHERE {{ {{ SELECT ?v0 (COUNT(*) AS ?c) WHERE {{ {a} }} GROUP BY ?v0 }} {b} }}"),
        9 => format!("SELECT ?v0 ?v1 WHERE {{ ?v0 <http://v.example/p0>+ ?v1 . {a} }}"),
        10 => format!("SELECT ?v1 (COUNT(*) AS ?n) (MAX(?v2) AS ?m) WHERE {{ {a} {b} }} GROUP BY ?v1"),
        11 => format!("SELECT * WHERE {{ {{ {a} FILTER(?v0 != {t}) }} {b} }}"),
        12 => format!("SELECT * WHERE {{ {a} OPTIONAL {{ {b} FILTER(?v0 != {t}) }} }}"),
        13 => format!("SELECT * WHERE {{ {a} OPTIONAL {{ {b} }} FILTER(!BOUND(?v2)) }}"),
        14 => format!("SELECT * WHERE {{ {a} BIND(STR(?v0) AS ?s) OPTIONAL {{ {b} }} }}"),
        15 => format!("SELECT * WHERE {{ VALUES (?v0 ?v1) {{ (<http://o0.example/0> UNDEF) (UNDEF <http://o1.example/1>) }} {a} {b} }}"),
        16 => format!("SELECT * WHERE {{ {{ {a} }} UNION {{ {b} }} ?v0 ?v8 {t} FILTER EXISTS {{ {b} }} }}"),
        17 => format!("SELECT * WHERE {{ {a} OPTIONAL {{ {b} FILTER NOT EXISTS {{ ?v1 <http://v.example/p1> {t} }} }} }}"),
        18 => format!("SELECT * WHERE {{ {a} OPTIONAL {{ ?v0 <http://v.example/p1> {t} OPTIONAL {{ {b} }} }} }}"),
        19 => format!("SELECT * WHERE {{ {{ {a} }} MINUS {{ {b} FILTER(?v1 = {t}) }} FILTER(?v0 = {t} || ?v2 = {t}) }}"),
        20 => format!("SELECT * WHERE {{ {a} {{ SELECT DISTINCT ?v1 WHERE {{ {b} }} }} FILTER(?v1 != {t}) }}"),
        21 => format!("SELECT ?v0 (SUM(?v2) AS ?n) WHERE {{ {a} OPTIONAL {{ {b} }} }} GROUP BY ?v0 HAVING (COUNT(*) > 1)"),
        22 => format!("SELECT * WHERE {{ {a} FILTER(EXISTS {{ {b} }} || ?v0 = {t}) }}"),
        23 => format!("SELECT * WHERE {{ {{ {a} FILTER(?v1 != {t}) }} VALUES ?v1 {{ <http://o1.example/1> <http://o0.example/0> }} {{ {b} FILTER(?v0 = ?v3) }} }}"),
        24 => format!("SELECT * WHERE {{ {a} OPTIONAL {{ {{ {b} FILTER(!BOUND(?v2) || ?v2 = {t}) }} }} }}"),
        _ => format!("SELECT * WHERE {{ {a} FILTER(isIRI(?v0)) }}"),
    })
}

/// What one member's policy shows: for each property whether it is agreed, and whether it is hidden whatever is agreed.
#[derive(Debug, Clone)]
struct Policy {
    agreed: Option<[bool; 3]>,
    hidden: [bool; 3],
}

fn policy() -> impl Strategy<Value = Policy> {
    let some = || prop::array::uniform3(prop::bool::weighted(0.8));
    let few = prop::array::uniform3(prop::bool::weighted(0.1));
    (prop::option::weighted(0.4, some()), few).prop_map(|(agreed, hidden)| Policy { agreed, hidden })
}

fn property(number: usize) -> String {
    format!("http://v.example/p{number}")
}

/// Properties by their number, where the policy says yes.
fn chosen(flags: [bool; 3]) -> BTreeSet<String> {
    (0..3).filter(|number| flags[*number]).map(property).collect()
}

impl Policy {
    fn shows(&self, triple: &Triple) -> bool {
        let number = (0..3)
            .position(|number| property(number) == triple.predicate.as_str())
            .unwrap();
        self.agreed.is_none_or(|agreed| agreed[number]) && !self.hidden[number]
    }

    fn tell(&self, source: &mut Source) {
        source.properties = self.agreed.map(chosen);
        source.hidden = chosen(self.hidden);
    }
}

/// Starts members that hold what their policies permit, as the broker knows them: by the description of all they hold, or by that of
/// what this consumer may see.
async fn network(facts: &[Fact], by_owner: bool, policies: &[Policy; 3], for_audience: bool) -> Network {
    let held = dealt(facts, by_owner);
    let permitted = |(held, policy): (&Vec<Triple>, &Policy)| -> Vec<Triple> {
        held.iter().filter(|triple| policy.shows(triple)).cloned().collect()
    };
    let mut network = Network::start(held.iter().zip(policies).map(permitted).collect()).await;
    for ((source, policy), held) in network.sources.iter_mut().zip(policies).zip(&held) {
        policy.tell(source);
        if !for_audience {
            source.description = Arc::new(SourceDescription::of_triples(held));
        }
    }
    network
}

/// Rows without the extremes over mixed kinds of terms, which have no defined order: only their number is compared.
fn strip(rows: Vec<String>) -> Vec<String> {
    let mut rows: Vec<String> = rows
        .iter()
        .map(|row| row.split(" ?m=").next().unwrap().to_owned())
        .collect();
    rows.sort();
    rows
}

/// Requirements ENF-30, ENF-31.
#[test]
fn random_federations_answer_as_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let asked = std::env::var("MEENT_FEDERATION_CASES")
        .ok()
        .map(|number| number.parse().unwrap());
    let mut runner = TestRunner::new(Config {
        cases: asked.unwrap_or(1_200_u32).div_ceil(QUERIES_EACH),
        failure_persistence: None,
        ..Config::default()
    });
    let queries = prop::collection::vec(query(), QUERIES_EACH as usize);
    let policies = prop::array::uniform3(policy());
    let cases = (facts(), queries, any::<bool>(), policies, any::<bool>());
    runner
        .run(&cases, |(facts, queries, by_owner, policies, for_audience)| {
            runtime.block_on(async {
                let network = network(&facts, by_owner, &policies, for_audience).await;
                for text in queries {
                    let answered = network.ask(&text).await.unwrap();
                    prop_assert_eq!(
                        strip(answered.rows),
                        strip(network.expected(&text)),
                        "{} (by owner: {})\nresidual {}\n{:#?}",
                        text,
                        by_owner,
                        answered.plan.residual,
                        answered.plan.evidence
                    );
                }
                Ok(())
            })
        })
        .unwrap();
}
