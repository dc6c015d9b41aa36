//! Tables and properties for ODRL, and the agreements they are about.

mod circumstances;
mod documents;
mod one_engine;
mod properties;
mod rules;
mod treatment;
mod uses;

use std::collections::BTreeSet;

use time::OffsetDateTime;
use time::macros::datetime;
use vocab::{dpv, meent, odrl, xsd};

use super::*;
use crate::purpose::Hierarchy;

pub(super) const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);
pub(super) const DATASET: &str = "https://kortrijk.example/city/datasets/telraam";
pub(super) const OWNER: &str = "https://kortrijk.example/#us";
pub(super) const CONSUMER: &str = "https://mobility.example/#us";

/// Permission bodies and prohibition bodies put into an agreement.
pub(super) fn agreement(rules: &str) -> String {
    format!(
        "@prefix odrl: <{}> . @prefix meent: <{}> . @prefix dpv: <{}> . @prefix xsd: <{}> . @prefix dcterms: <http://purl.org/dc/terms/> .
         @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
         <https://kortrijk.example/a1> a odrl:Agreement ; odrl:profile <{}> ;
           odrl:assigner <{OWNER}> ; odrl:assignee <{CONSUMER}> ; {rules} .",
        odrl::NS, meent::NS, dpv::NS, xsd::NS, meent::ODRL_PROFILE
    )
}

pub(super) fn read(turtle: &str) -> Policy {
    let mut policies = parse_turtle(turtle.as_bytes(), "https://kortrijk.example/", &OdrlLimits::default()).unwrap();
    assert_eq!(policies.len(), 1);
    policies.remove(0)
}

pub(super) fn judge_as(policy: &Policy, party: Option<&str>, purpose: Option<&str>, now: OffsetDateTime) -> Evaluation {
    judge_after(policy, party, purpose, now, None)
}

pub(super) fn judge_after(
    policy: &Policy,
    party: Option<&str>,
    purpose: Option<&str>,
    now: OffsetDateTime,
    uses: Option<u64>,
) -> Evaluation {
    let purposes = Hierarchy::default();
    let part_of = BTreeSet::new();
    let situation = Situation {
        party,
        dataset: DATASET,
        part_of: &part_of,
        purpose,
        now,
        purposes: &purposes,
        world: None,
        uses,
        circumstances: &Circumstances::NotKept,
        forbidding: false,
    };
    evaluate(policy, &situation)
}

pub(super) fn judge(rules: &str) -> Evaluation {
    judge_as(
        &read(&agreement(rules)),
        Some(CONSUMER),
        Some(meent::BICYCLE_POLICY),
        NOW,
    )
}

pub(super) fn permission(rest: &str) -> String {
    format!("odrl:permission [ odrl:target <{DATASET}> ; odrl:action odrl:use {rest} ]")
}

pub(super) fn prohibition(rest: &str) -> String {
    format!("odrl:prohibition [ odrl:target <{DATASET}> {rest} ]")
}

pub(super) fn constraint(left: &str, operator: &str, right: &str) -> String {
    format!("[ odrl:leftOperand {left} ; odrl:operator odrl:{operator} ; odrl:rightOperand {right} ]")
}
