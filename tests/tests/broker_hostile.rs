//! Members that are slow, dead, broken or hostile cost their timeout and a clear note: never a hang, never a silent gap, and the
//! others' rows stay exact (D13, T74, T77, T80, T81, T97, T98).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use broker::exec::ExecError;
use broker::exec::gate::GateLimits;
use broker::exec::manifest::SourceStatus;
use meent_tests::federation::data::{Dealing, EX, dealt, query};
use meent_tests::federation::{Behaviour, Network};
use oxrdf::{Literal, NamedNode, Triple};
use std::time::{Duration, Instant};

const ROWS: &str = "SELECT ?o ?v WHERE { ?o :value ?v }";

async fn network() -> Network {
    let mut network = Network::start(dealt(5, Dealing::ByOwner)).await;
    network.limits.member_ms_max = 1_500;
    network.limits.member_bytes_max = 4 * 1024 * 1024;
    network.limits.member_rows_max = 50_000;
    network
}

#[tokio::test(flavor = "multi_thread")]
async fn every_misbehaviour_is_named_and_the_others_answer() {
    let network = network().await;
    let whole = network.ask(&query(ROWS)).await.unwrap().rows;
    let good: Vec<String> = whole
        .iter()
        .filter(|row| !row.contains("owner2.example"))
        .cloned()
        .collect();
    assert!(good.len() < whole.len());
    for (behaviour, word) in [
        (Behaviour::Hangs, "within 1500 ms"),
        (Behaviour::HangsAfterHead, "within 1500 ms"),
        (Behaviour::Drips, "within 1500 ms"),
        (Behaviour::Garbage, "broken"),
        (Behaviour::Html, "text/html"),
        (Behaviour::Truncated, "broken"),
        (Behaviour::DiesMidway, "broken"),
        (Behaviour::Closes, "broken"),
        (Behaviour::ServerError, "status 500: out of memory"),
        (
            Behaviour::Forbids,
            "refused by the owner (403): Not agreed: the agreement has ended",
        ),
        (Behaviour::ExtraColumn, "column `leak` was not asked for"),
        (Behaviour::EmptyRows, "leaves column"),
        (Behaviour::Boolean, "does not fit"),
        (Behaviour::Nested, "nest deeper"),
        (Behaviour::Endless, "more than"),
        (Behaviour::Redirects, "307"),
        (Behaviour::Huge, "more than"),
        (Behaviour::Nothing, "broken"),
    ] {
        network.members[2].behave(behaviour);
        let started = Instant::now();
        let answered = network.ask(&query(ROWS)).await.unwrap();
        let took = started.elapsed();
        assert!(took < Duration::from_millis(5_000), "{behaviour:?} took {took:?}");
        assert_eq!(answered.rows, good, "{behaviour:?}");
        assert!(!answered.completeness.complete, "{behaviour:?} went unnoticed");
        let report = &answered.completeness.sources[2];
        assert_eq!(report.status, SourceStatus::Failed, "{behaviour:?}");
        assert!(
            report.reasons.iter().any(|reason| reason.contains(word)),
            "{behaviour:?}: {:?}",
            report.reasons
        );
        for other in [0, 1, 3, 4] {
            assert_eq!(
                answered.completeness.sources[other].status,
                SourceStatus::Answered,
                "{behaviour:?}"
            );
        }
        network.members[2].behave(Behaviour::Normal);
        // An answer in between keeps the member from resting.
        assert_eq!(
            network.ask(&query(ROWS)).await.unwrap().rows,
            whole,
            "after {behaviour:?}"
        );
    }
}

/// T97: of twenty members the one that is hostile is left out and named; the nineteen answer as if it were not there.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_member_of_twenty_costs_its_own_rows() {
    let one = |member: usize| {
        let subject = NamedNode::new(format!("http://owner{member}.example/o")).unwrap();
        let property = NamedNode::new(format!("{EX}value")).unwrap();
        vec![Triple::new(
            subject,
            property,
            Literal::from(i64::try_from(member).unwrap()),
        )]
    };
    let mut network = Network::start((0..20).map(one).collect()).await;
    network.limits.member_ms_max = 10_000;
    let whole = network.ask(&query(ROWS)).await.unwrap();
    assert!(whole.completeness.complete);
    let good: Vec<String> = whole
        .rows
        .iter()
        .filter(|row| !row.contains("owner7.example"))
        .cloned()
        .collect();
    assert!(good.len() < whole.rows.len());
    for behaviour in [
        Behaviour::Garbage,
        Behaviour::Nested,
        Behaviour::ExtraColumn,
        Behaviour::Closes,
    ] {
        network.members[7].behave(behaviour);
        let answered = network.ask(&query(ROWS)).await.unwrap();
        assert_eq!(answered.rows, good, "{behaviour:?}");
        let sources = &answered.completeness.sources;
        let failed: Vec<usize> = (0..sources.len())
            .filter(|place| sources[*place].status != SourceStatus::Answered)
            .collect();
        assert_eq!((sources.len(), failed), (20, vec![7]), "{behaviour:?}");
        network.members[7].behave(Behaviour::Normal);
        assert_eq!(
            network.ask(&query(ROWS)).await.unwrap().rows,
            whole.rows,
            "after {behaviour:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_triples_are_whole_documents_or_nothing() {
    let mut network = Network::start(dealt(3, Dealing::SharedAuthority)).await;
    network.limits.member_ms_max = 1_500;
    for behaviour in [Behaviour::Truncated, Behaviour::DiesMidway, Behaviour::Hangs] {
        network.members[1].behave(behaviour);
        let answered = network.ask(&query(ROWS)).await.unwrap();
        assert!(!answered.completeness.complete);
        assert!(
            answered.plan.sub_plans.is_empty(),
            "nothing can be proved here, so triples are merged"
        );
        assert_eq!(answered.completeness.sources[1].rows, 0, "{behaviour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_member_matters_only_to_queries_that_need_it() {
    let network = network().await;
    network.members[2].stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let elsewhere = query("SELECT ?v WHERE { <http://owner3.example/obs/301> :value ?v }");
    let answered = network.ask(&elsewhere).await.unwrap();
    assert!(answered.completeness.complete);
    assert_eq!(answered.rows, network.expected(&elsewhere));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_keeps_failing_rests_and_comes_back() {
    let mut network = network().await;
    network.set_gate(GateLimits {
        failures_max: 2,
        rest_ms: 400,
        ..GateLimits::default()
    });
    network.members[2].behave(Behaviour::ServerError);
    for _ in 0..2 {
        network.ask(&query(ROWS)).await.unwrap();
    }
    let before = network.members[2].requests();
    network.members[2].behave(Behaviour::Normal);
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(network.members[2].requests(), before, "it rests");
    assert!(answered.completeness.sources[2].reasons[0].contains("2 times in a row"));
    tokio::time::sleep(Duration::from_millis(450)).await;
    assert!(
        network.ask(&query(ROWS)).await.unwrap().completeness.complete,
        "it was tried again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_queries_at_once_never_crowd_a_member() {
    let mut network = network().await;
    network.limits.member_ms_max = 20_000;
    network.set_gate(GateLimits {
        member_requests_max: 3,
        ..GateLimits::default()
    });
    network.members[2].delay(Duration::from_millis(5));
    let text = query(ROWS);
    let all = futures_util::future::join_all((0..200).map(|_| network.ask(&text))).await;
    let expected = network.expected(&text);
    assert!(all.into_iter().all(|answered| answered.unwrap().rows == expected));
    for member in &network.members {
        assert!(
            member.concurrent_max() <= 3,
            "{} saw {} at once",
            member.name,
            member.concurrent_max()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_cancels_what_runs_at_the_members() {
    let mut network = network().await;
    network.limits.member_ms_max = 20_000;
    for member in &network.members {
        member.behave(Behaviour::Hangs);
    }
    let text = query(ROWS);
    let hung_up = tokio::time::timeout(Duration::from_millis(200), network.ask(&text)).await;
    assert!(hung_up.is_err());
    for _ in 0..100 {
        if network.members.iter().all(|member| member.running() == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("members still work for nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_an_error_not_a_shorter_answer() {
    let mut network = network().await;
    network.limits.rows_max = 30;
    assert!(matches!(network.ask(&query(ROWS)).await, Err(ExecError::Budget(words)) if words.contains("30 rows")));
    network.limits.rows_max = 1_000_000;
    network.limits.bytes_max = 1_000;
    assert!(matches!(network.ask(&query(ROWS)).await, Err(ExecError::Budget(words)) if words.contains("1000 bytes")));
    network.limits.bytes_max = 1_000_000;
    network.limits.query_ms_max = 200;
    network.limits.member_ms_max = 20_000;
    network.members[0].behave(Behaviour::Hangs);
    assert_eq!(network.ask(&query(ROWS)).await.unwrap_err(), ExecError::TimedOut(200));
}

/// T97: one member cannot use up what a query has for all of them: its answers to all sub-queries count together.
#[tokio::test(flavor = "multi_thread")]
async fn no_member_uses_up_the_budget_of_all() {
    let mut network = network().await;
    // Every member is asked twice: nothing joins within one.
    let text = query("SELECT ?o ?v WHERE { { ?o :value ?v } UNION { ?v :street ?o } }");
    let honest = network.ask(&text).await.unwrap();
    assert!(honest.completeness.complete);
    let most = honest
        .completeness
        .sources
        .iter()
        .map(|source| source.rows)
        .max()
        .unwrap();
    let all: u64 = honest.completeness.sources.iter().map(|source| source.rows).sum();
    network.limits.member_rows_max = most;
    network.limits.rows_max = all;
    assert!(
        network.ask(&text).await.unwrap().completeness.complete,
        "each has its share"
    );
    network.limits.member_rows_max = most - 1;
    let answered = network.ask(&text).await.unwrap();
    let sources = &answered.completeness.sources;
    for (before, source) in honest.completeness.sources.iter().zip(sources) {
        let expected = if before.rows == most {
            SourceStatus::Failed
        } else {
            SourceStatus::Answered
        };
        assert_eq!(source.status, expected, "{source:?}");
    }
}

/// No session survives between sources: open sources never see any credential (T77).
#[tokio::test(flavor = "multi_thread")]
async fn open_sources_see_no_credentials() {
    let network = network().await;
    network.ask(&query(ROWS)).await.unwrap();
    for member in &network.members {
        for headers in member.take_headers() {
            for name in ["authorization", "dpop", "delegation", "cookie"] {
                assert!(!headers.contains_key(name), "{name}");
            }
        }
    }
}
