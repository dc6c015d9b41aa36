//! Measures decisions by ODRL policies beside Cedar's by equivalent ones, in one run, and prints the figures as JSON.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, Request};
use oxrdf::{Literal, NamedNode, Term};
use policies::Effect;
use policies::odrl::{
    Action, Constraint, LogicalOperator, Operator, Party, Permission, Policy, PolicyKind, PolicySet, Target, World,
};
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use vocab::{dpv, meent, odrl, xsd};

const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);
const DATASET: &str = "https://kortrijk.example/city/datasets/telraam";
const CITY: &str = "https://kortrijk.example/#us";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let rows = vec![small()?, intervals(260)?, crowd(10_000)?];
    println!("{}", serde_json::to_string(&rows)?);
    Ok(())
}

fn moment(at: OffsetDateTime) -> Result<Term, Failure> {
    let text = at.format(&time::format_description::well_known::Rfc3339)?;
    Ok(Literal::new_typed_literal(text, vocab::node(xsd::DATE_TIME)).into())
}

fn during(from: OffsetDateTime, until: OffsetDateTime) -> Result<Constraint, Failure> {
    let compare = |operator, at| Ok::<_, Failure>(Constraint::atomic(odrl::DATE_TIME, operator, vec![moment(at)?]));
    let ends = vec![compare(Operator::Gteq, from)?, compare(Operator::Lt, until)?];
    Ok(Constraint::logical(LogicalOperator::And, ends))
}

fn purpose() -> Constraint {
    let named = NamedNode::new_unchecked(meent::MOBILITY_PLANNING);
    Constraint::atomic(odrl::PURPOSE, Operator::IsA, vec![named.into()])
}

fn agreement(id: &str, party: &str, constraints: Vec<Constraint>) -> Policy {
    let mut policy = Policy::new(id, PolicyKind::Set).agree(id, CITY, party);
    policy.permissions.push(Permission {
        id: None,
        target: Target::named(DATASET),
        assigner: None,
        assignee: Some(Party::named(party)),
        action: Action::named(odrl::USE),
        constraints,
        duties: Vec::new(),
        unknown: Vec::new(),
    });
    policy
}

fn world(party: &str) -> World {
    World::at(NOW)
        .party(party)
        .target(DATASET)
        .action(odrl::READ)
        .value(odrl::PURPOSE, NamedNode::new_unchecked(meent::BICYCLE_POLICY))
        .build()
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Failure> {
    Ok(format!("{kind}::\"{id}\"").parse()?)
}

fn request(party: &str) -> Result<Request, Failure> {
    let purposes = [meent::BICYCLE_POLICY, meent::MOBILITY_PLANNING, dpv::IMPROVE_TRANSPORT_MOBILITY];
    let context = json!({ "now": NOW.unix_timestamp() * 1_000, "purposes": purposes });
    let context = Context::from_json_value(context, None)?;
    Ok(Request::new(uid("User", party)?, uid("Action", "read")?, uid("Dataset", DATASET)?, context, None)?)
}

fn permit(party: &str, condition: &str) -> String {
    format!(
        "permit(principal == User::\"{party}\", action in [Action::\"read\", Action::\"use\"], resource == Dataset::\"{DATASET}\") when {{ {condition} }};\n"
    )
}

fn cedar_purpose() -> String {
    format!("context.purposes.contains(\"{}\")", meent::MOBILITY_PLANNING)
}

fn cedar_during(from: OffsetDateTime, until: OffsetDateTime) -> String {
    let millis = |at: OffsetDateTime| at.unix_timestamp() * 1_000;
    format!("(context.now >= {} && context.now < {})", millis(from), millis(until))
}

/// A purpose and a period.
fn small() -> Result<Value, Failure> {
    let (from, until) = (NOW - Duration::days(100), NOW + Duration::days(100));
    let party = "https://mobility.example/#us";
    let policy = agreement("https://kortrijk.example/a1", party, vec![purpose(), during(from, until)?]);
    let other = permit(party, &format!("{} && {}", cedar_purpose(), cedar_during(from, until)));
    compare("a purpose and a period", &[policy], &other, &[party], 20_000)
}

/// Any of many working days.
fn intervals(count: i64) -> Result<Value, Failure> {
    let party = "https://mobility.example/#us";
    let days: Vec<(OffsetDateTime, OffsetDateTime)> = (0..count)
        .map(|day| {
            let start = NOW - Duration::hours(3) + Duration::days(day - count / 2);
            (start, start + Duration::hours(8))
        })
        .collect();
    let parts: Result<Vec<Constraint>, Failure> = days.iter().map(|(from, until)| during(*from, *until)).collect();
    let any = Constraint::logical(LogicalOperator::Or, parts?);
    let policy = agreement("https://kortrijk.example/a1", party, vec![purpose(), any]);
    // In groups, so that no expression nests deeper than a parser likes.
    let groups: Vec<String> = days
        .chunks(20)
        .map(|chunk| {
            let parts: Vec<String> = chunk.iter().map(|(from, until)| cedar_during(*from, *until)).collect();
            format!("({})", parts.join(" || "))
        })
        .collect();
    let other = permit(party, &format!("{} && ({})", cedar_purpose(), groups.join(" || ")));
    compare(&format!("{count} intervals, {} comparisons", 2 * count), &[policy], &other, &[party], 2_000)
}

/// Many policies on one dataset, each for another party.
fn crowd(count: usize) -> Result<Value, Failure> {
    let (from, until) = (NOW - Duration::days(100), NOW + Duration::days(100));
    let parties: Vec<String> = (0..count).map(|number| format!("https://party{number}.example/#us")).collect();
    let mut policies = Vec::with_capacity(count);
    let mut other = String::new();
    for (number, party) in parties.iter().enumerate() {
        let id = format!("https://kortrijk.example/a{number}");
        policies.push(agreement(&id, party, vec![purpose(), during(from, until)?]));
        other.push_str(&permit(party, &format!("{} && {}", cedar_purpose(), cedar_during(from, until))));
    }
    let asking: Vec<&str> = parties.iter().step_by(97).map(String::as_str).collect();
    compare(&format!("{count} policies on one dataset"), &policies, &other, &asking, 100)
}

fn compare(case: &str, policies: &[Policy], other: &str, parties: &[&str], peer_rounds: usize) -> Result<Value, Failure> {
    let started = Instant::now();
    let set = PolicySet::compile(policies.iter().cloned().map(Arc::new));
    let compiled = started.elapsed();
    let worlds: Vec<World> = parties.iter().map(|party| world(party)).collect();
    let ours = times(200_000, &worlds, |world| set.decide(black_box(world)).effect == Effect::Permit)?;
    let cedar: cedar_policy::PolicySet = other.parse()?;
    let requests: Result<Vec<Request>, Failure> = parties.iter().map(|party| request(party)).collect();
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    let theirs = times(peer_rounds, &requests?, |request| {
        authorizer.is_authorized(black_box(request), &cedar, &entities).decision() == Decision::Allow
    })?;
    Ok(json!({
        "case": case,
        "compile_micros": compiled.as_micros() as u64,
        "ours": { "median_nanos": ours.0, "p99_nanos": ours.1 },
        "cedar": { "median_nanos": theirs.0, "p99_nanos": theirs.1 },
    }))
}

/// Median and 99th percentile of single calls, in nanoseconds; each call must answer yes.
fn times<R>(rounds: usize, requests: &[R], call: impl Fn(&R) -> bool) -> Result<(u64, u64), Failure> {
    let mut times = Vec::with_capacity(rounds);
    for request in requests.iter().cycle().take(rounds + rounds / 10) {
        let started = Instant::now();
        let permitted = black_box(call(request));
        let took = started.elapsed();
        if !permitted {
            return Err("a request that should be permitted was refused".into());
        }
        times.push(took.as_nanos() as u64);
    }
    // The first tenth warms caches.
    let mut times = times.split_off(rounds / 10);
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}
