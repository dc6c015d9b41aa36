//! Shops and rating sites with replicated products: every kind of query is answered as one store would, whatever the copies say, and
//! hardly anybody is asked who has nothing to add (federation.md §3.1, §7).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::federation::Network;
use meent_tests::federation::shop::assigned::Assigned;
use meent_tests::federation::shop::queries::{Constants, KINDS};
use meent_tests::federation::shop::{CATALOGUE, SCHEMA, Size, federation};
use oxrdf::{BlankNode, Literal, NamedNode, NamedOrBlankNode, Term, Triple};

const SIZE: Size = Size {
    sources: 8,
    listed: 40,
    seed: 1,
};
const INSTANCES: usize = 4;

async fn differences(network: &Network, kinds: &[usize]) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in KINDS.iter().enumerate().filter(|(at, _)| kinds.contains(&(at + 1))) {
        for number in 0..INSTANCES {
            let text = Constants::instance(number, SIZE).fill(kind.1.text);
            let answered = network.ask(&text).await.unwrap();
            assert!(answered.completeness.complete, "{text}");
            let expected = network.expected(&text);
            if answered.rows != expected {
                wrong.push(format!(
                    "{}: {} rows instead of {}\n  {text}\n  {:#?}",
                    kind.1.name,
                    answered.rows.len(),
                    expected.len(),
                    answered.plan.evidence
                ));
            }
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_are_answered_with_hardly_a_request_too_many() {
    let network = Network::start(federation(SIZE)).await;
    let (mut requests, mut perfect) = (0, 0);
    let mut lines = Vec::new();
    for kind in KINDS {
        let mut rows = 0;
        let (mut own, mut by_hand) = (0, 0);
        for number in 0..INSTANCES {
            let constants = Constants::instance(number, SIZE);
            let text = constants.fill(kind.text);
            let expected = network.expected(&text);
            let before: u64 = network.requests().iter().sum();
            let answered = network.ask(&text).await.unwrap();
            own += network.requests().iter().sum::<u64>() - before;
            assert!(answered.completeness.complete, "{text}");
            assert_eq!(answered.rows, expected, "{}\n{:#?}", kind.name, answered.plan.evidence);
            let assigned = Assigned::prepare(&network, kind, constants).await.unwrap();
            assert_eq!(assigned.run().await.unwrap(), expected, "{}", kind.name);
            by_hand += assigned.requests() as u64;
            rows += expected.len();
        }
        assert!(rows > 0, "{} has answers", kind.name);
        lines.push(format!("{}: {own} requests, by hand {by_hand}, {rows} rows", kind.name));
        requests += own;
        perfect += by_hand;
    }
    assert!(requests <= perfect * 2, "{requests} by {perfect}\n{}", lines.join("\n"));
}

/// What a source says of the makers, changed.
fn changed(mut data: Vec<Vec<Triple>>, at: usize, change: impl Fn(&Triple) -> Vec<Triple>) -> Vec<Vec<Triple>> {
    let makers = format!("{CATALOGUE}maker/");
    data[at] = data[at]
        .iter()
        .flat_map(|triple| {
            let about =
                matches!(&triple.subject, NamedOrBlankNode::NamedNode(node) if node.as_str().starts_with(&makers));
            match about && triple.predicate.as_str() == format!("{SCHEMA}name") {
                true => change(triple),
                false => vec![triple.clone()],
            }
        })
        .collect();
    data
}

/// Copies that differ, that are missing where they are referred to, and that only a site which refers to nothing holds.
#[tokio::test(flavor = "multi_thread")]
async fn copies_that_are_not_the_same_count_each_once() {
    let other = |triple: &Triple, object: Term| Triple {
        object,
        ..triple.clone()
    };
    let names: Vec<Triple> = federation(SIZE)
        .into_iter()
        .flatten()
        .filter(|triple| triple.subject.to_string().contains("/maker/"))
        .collect();
    let renamed = changed(federation(SIZE), 2, |triple| {
        vec![other(triple, Literal::from("another name").into())]
    });
    let more = changed(federation(SIZE), 4, |triple| {
        vec![triple.clone(), other(triple, Literal::from("a second name").into())]
    });
    let nameless = changed(federation(SIZE), 0, |_| Vec::new());
    let unnamed = changed(federation(SIZE), 0, |triple| {
        vec![other(
            triple,
            BlankNode::new_unchecked(format!("n{}", triple.object.to_string().len())).into(),
        )]
    });
    let mut elsewhere = federation(SIZE);
    for shop in [0, 2, 4, 6] {
        elsewhere = changed(elsewhere, shop, |_| Vec::new());
    }
    elsewhere[1].extend(names);
    elsewhere[1].sort_by_key(ToString::to_string);
    elsewhere[1].dedup();
    for (case, data) in [renamed, more, nameless, unnamed, elsewhere].into_iter().enumerate() {
        let network = Network::start(data).await;
        let wrong = differences(&network, &[2, 12]).await;
        assert!(wrong.is_empty(), "case {case}: {}", wrong.join("\n"));
    }
}

/// A product that nobody lists is asked of nobody; one that two shops list, of those two.
#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_speak_of_a_product_are_asked() {
    let network = Network::start(federation(SIZE)).await;
    let same = NamedNode::new_unchecked("http://www.w3.org/2002/07/owl#sameAs");
    for number in [999_999, 0, 1, 2, 7, 40, 300] {
        let product: Term = NamedNode::new_unchecked(format!("{CATALOGUE}product/{number}")).into();
        let holders = network.members.iter().filter(|member| {
            let mut triples = member.triples.iter();
            triples.any(|triple| triple.predicate == same && triple.object == product)
        });
        let holders = holders.count() as u64;
        let text = format!(
            "SELECT ?l ?n {{ ?l <{}> {product} ; <{SCHEMA}name> ?n }}",
            same.as_str()
        );
        let before: u64 = network.requests().iter().sum();
        assert_eq!(network.ask(&text).await.unwrap().rows, network.expected(&text));
        assert_eq!(network.requests().iter().sum::<u64>() - before, holders, "{product}");
    }
}
