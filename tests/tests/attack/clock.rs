//! The edges of periods, a second before, at, and after.

use std::collections::BTreeSet;

use policies::Effect;
use policies::consent::{Mandate, MandateKind};
use policies::odrl::{OdrlLimits, Situation, evaluate, parse_turtle};
use policies::purpose::Hierarchy;
use policies::request::WebId;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const DATASET: &str = "https://kortrijk.example/city/datasets/telraam";
const CONSUMER: &str = "https://mobility.example/#us";

fn permits(constraints: &[(&str, &str)], now: OffsetDateTime) -> bool {
    let constraints: Vec<String> = constraints
        .iter()
        .map(|(operator, moment)| {
            format!(
                "odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:{operator} ; odrl:rightOperand \
                 \"{moment}\"^^xsd:dateTime ]"
            )
        })
        .collect();
    let text = format!(
        "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
         <https://kortrijk.example/a1> a odrl:Agreement ; odrl:profile <{}> ; odrl:assigner <https://kortrijk.example/#us> ;
           odrl:assignee <{CONSUMER}> ; odrl:permission [ odrl:target <{DATASET}> ; odrl:action odrl:use ; {} ] .",
        vocab::meent::ODRL_PROFILE,
        constraints.join(" ; ")
    );
    let policies = parse_turtle(text.as_bytes(), "https://kortrijk.example/", &OdrlLimits::default()).unwrap();
    let (purposes, part_of) = (Hierarchy::default(), BTreeSet::new());
    let situation = Situation {
        party: Some(CONSUMER),
        dataset: DATASET,
        part_of: &part_of,
        purpose: None,
        now,
        purposes: &purposes,
        world: None,
        uses: None,
        circumstances: &policies::odrl::Circumstances::NotKept,
        forbidding: false,
    };
    evaluate(&policies[0], &situation).effect == Effect::Permit
}

/// T89: a period holds from its first instant and no longer at its last one, in whatever zone its edges are written, also
/// where clocks are put forward and back.
#[test]
fn periods_are_half_open_in_every_zone() {
    for (edge, spellings) in [
        (
            datetime!(2026-03-29 01:00 UTC),
            &[
                "2026-03-29T01:00:00Z",
                "2026-03-29T02:00:00+01:00",
                "2026-03-29T03:00:00+02:00",
                "2026-03-28T20:00:00-05:00",
                "2026-03-29T15:00:00+14:00",
                "2026-03-29T01:00:00.000Z",
            ][..],
        ),
        (
            datetime!(2026-10-25 01:00 UTC),
            &[
                "2026-10-25T01:00:00Z",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T03:00:00+02:00",
            ],
        ),
        (
            datetime!(2026-12-31 23:00 UTC),
            &[
                "2026-12-31T23:00:00Z",
                "2027-01-01T00:00:00+01:00",
                "2026-12-31T12:00:00-11:00",
            ],
        ),
    ] {
        for spelling in spellings {
            for (operator, expected) in [
                ("lt", [true, false, false]),
                ("lteq", [true, true, false]),
                ("gt", [false, false, true]),
                ("gteq", [false, true, true]),
                ("eq", [false, true, false]),
                ("neq", [true, false, true]),
            ] {
                let found =
                    [-1, 0, 1].map(|seconds| permits(&[(operator, spelling)], edge + Duration::seconds(seconds)));
                assert_eq!(found, expected, "{operator} {spelling}");
            }
        }
    }
}

/// T89: two periods that touch leave neither a gap nor an instant that is in both; what overlaps holds where all of it holds.
#[test]
fn touching_periods_have_one_owner_for_each_instant() {
    let edge = datetime!(2026-07-01 0:00 UTC);
    let (first, second) = (
        [("gteq", "2026-06-01T00:00:00Z"), ("lt", "2026-07-01T00:00:00Z")],
        [("gteq", "2026-07-01T00:00:00Z"), ("lt", "2026-08-01T00:00:00Z")],
    );
    for seconds in -5..=5 {
        let now = edge + Duration::seconds(seconds);
        assert_ne!(permits(&first, now), permits(&second, now), "{now}");
        let both: Vec<_> = first.iter().chain(&second).copied().collect();
        assert!(!permits(&both, now), "{now}");
    }
    // A period that is written the wrong way round never holds.
    let never = [("gteq", "2026-08-01T00:00:00Z"), ("lt", "2026-06-01T00:00:00Z")];
    assert!((0..400).all(|day| !permits(&never, datetime!(2026-01-01 0:00 UTC) + Duration::days(day))));
}

/// T89, T104: the same for mandates.
#[test]
fn mandates_end_at_their_last_instant() {
    let (from, until) = (datetime!(2026-06-01 0:00 UTC), datetime!(2026-07-01 0:00 +2));
    let mandate = Mandate {
        id: "https://pod.example/jan/.consent/mandates/1".into(),
        holder: WebId::parse("https://pod.example/an/profile/card#me").unwrap(),
        kind: MandateKind::Carer,
        basis: String::new(),
        from,
        until,
    };
    let around = |edge: OffsetDateTime| [-1, 0, 1].map(|seconds| mandate.counts(edge + Duration::seconds(seconds)));
    assert_eq!(around(from), [false, true, true]);
    assert_eq!(around(until), [true, false, false]);
}
