//! The answer of a federation equals the answer of one store over the merged data, for every operator, however the data is dealt
//! (ARCHITECTURE §5, invariant 7; federation.md §6 "Replicated triples").

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::federation::Network;
use meent_tests::federation::data::{Dealing, QUERIES, dealt, query};

async fn same_as_merged(members: usize, dealing: Dealing) {
    let network = Network::start(dealt(members, dealing)).await;
    let mut wrong = Vec::new();
    for (name, body) in QUERIES {
        let text = query(body);
        let answered = network.ask(&text).await.unwrap();
        let expected = network.expected(&text);
        assert!(answered.completeness.complete, "{name}: {:?}", answered.completeness);
        if answered.rows != expected {
            wrong.push(format!(
                "{name} ({members} members, {dealing:?}):\n  expected {} rows {:?}\n  answered {} rows {:?}\n  residual {}\n  evidence {:#?}",
                expected.len(),
                expected.iter().take(4).collect::<Vec<_>>(),
                answered.rows.len(),
                answered.rows.iter().take(4).collect::<Vec<_>>(),
                answered.plan.residual,
                answered.plan.evidence
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        QUERIES.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_answers_as_itself() {
    same_as_merged(1, Dealing::ByOwner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_answer_as_one() {
    same_as_merged(2, Dealing::ByOwner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_members_answer_as_one() {
    same_as_merged(5, Dealing::ByOwner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_without_an_owner_are_merged() {
    same_as_merged(5, Dealing::SharedAuthority).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicated_triples_count_once() {
    same_as_merged(2, Dealing::Replicated).await;
    same_as_merged(5, Dealing::Replicated).await;
}
