//! The race rules of consent (CON-22), checked in every order in which givers, withdrawals, queries and another node can be
//! interleaved. The moves of a record are those of `policies::consent`; who is covered is what the server's own
//! `Coverage` says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;

use pod_server::consent::coverage::{Coverage, Span, nanoseconds};
use policies::consent::{ConsentEvent, ConsentStatus, step};
use time::{Duration, OffsetDateTime};

/// Queries that run at a time.
const QUERIES: usize = 2;
/// Pieces of an answer, each let out after a look at the ledger.
const PIECES: u8 = 2;
/// How long another node goes on without word from the owner's node.
const LEASE: u8 = 2;
/// Until when the clock runs.
const CLOCK: u8 = 3;

/// What a person, or two at once, try to do with one consent.
const ATTEMPTS: [ConsentEvent; 3] = [ConsentEvent::Give, ConsentEvent::Renew, ConsentEvent::Withdraw];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Query {
    /// Not begun.
    Waiting,
    /// Decided, with pieces still to let out.
    Running { left: u8 },
    /// Over: all let out, or cut.
    Over,
}

/// Everything that the rules speak of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    /// State of the record, and the number of its last commit.
    status: Option<ConsentStatus>,
    sequence: u8,
    /// Which attempts are yet to be made.
    open: [bool; ATTEMPTS.len()],
    /// Committed, and not yet told to whoever tried.
    untold: Vec<(usize, ConsentStatus)>,
    /// Whether anyone was told that it is withdrawn.
    told_withdrawn: bool,
    /// Whether the ledger covers the storage.
    covered: bool,
    queries: [Query; QUERIES],
    /// What the other node believes, until when on its own clock, and which commit it last heard of.
    remote: (bool, u8, u8),
    /// The newest commit that the other node ever heard of.
    heard: u8,
    /// Messages to the other node, in any order and perhaps never: commit and whether it permits.
    messages: Vec<(u8, bool)>,
    clock: u8,
}

/// What happens in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Commit(usize),
    Tell(usize),
    Begin(usize),
    Piece(usize),
    Hear(usize),
    Lose(usize),
    AskAnew,
    Tick,
}

/// A flaw that is put in, to see that the check finds it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The ledger follows only after the answer.
    LateLedger,
    /// A piece is let out without another look.
    NoSecondLook,
    /// The other node keeps what it believes for ever.
    NoLease,
    /// The other node takes messages in the order in which they come.
    NoSequence,
}

fn start() -> World {
    World {
        status: None,
        sequence: 0,
        open: [true; ATTEMPTS.len()],
        untold: Vec::new(),
        told_withdrawn: false,
        covered: false,
        queries: std::array::from_fn(|_| Query::Waiting),
        remote: (false, 0, 0),
        heard: 0,
        messages: Vec::new(),
        clock: 0,
    }
}

fn steps(world: &World) -> Vec<Step> {
    let mut steps = Vec::new();
    for (at, event) in ATTEMPTS.into_iter().enumerate() {
        if world.open[at] && step(world.status, event).is_ok() {
            steps.push(Step::Commit(at));
        }
    }
    steps.extend((0..world.untold.len()).map(Step::Tell));
    for (at, query) in world.queries.iter().enumerate() {
        match query {
            Query::Waiting => steps.push(Step::Begin(at)),
            Query::Running { .. } => steps.push(Step::Piece(at)),
            Query::Over => {}
        }
    }
    for at in 0..world.messages.len() {
        steps.extend([Step::Hear(at), Step::Lose(at)]);
    }
    if world.clock < CLOCK {
        steps.extend([Step::Tick, Step::AskAnew]);
    }
    steps
}

/// The world after a step; the rule that is broken, if one is.
fn go(mut world: World, step_taken: Step, flaw: Flaw) -> Result<World, &'static str> {
    match step_taken {
        Step::Commit(at) => {
            let status = step(world.status, ATTEMPTS[at]).unwrap();
            if world.status == Some(ConsentStatus::Withdrawn) {
                return Err("a withdrawn consent came back");
            }
            world.status = Some(status);
            world.sequence += 1;
            world.open[at] = false;
            // The ledger listens on the writer's thread, before anyone hears of the commit.
            if flaw != Flaw::LateLedger {
                world.covered = covers(status);
            }
            world.untold.push((at, status));
            world.messages.push((world.sequence, status.permits()));
        }
        Step::Tell(at) => {
            let (_, status) = world.untold.remove(at);
            world.told_withdrawn |= status == ConsentStatus::Withdrawn;
        }
        Step::Begin(at) => {
            if world.covered && world.told_withdrawn {
                return Err("a query that began after the withdrawal was acknowledged found the consent");
            }
            world.queries[at] = match world.covered {
                true => Query::Running { left: PIECES },
                false => Query::Over,
            };
        }
        Step::Piece(at) => {
            let Query::Running { left } = world.queries[at] else {
                return Ok(world);
            };
            let looks = flaw != Flaw::NoSecondLook;
            if looks && !world.covered {
                world.queries[at] = Query::Over;
                return Ok(world);
            }
            if world.told_withdrawn {
                return Err("a running answer went on after the withdrawal was acknowledged");
            }
            world.queries[at] = match left {
                1 => Query::Over,
                more => Query::Running { left: more - 1 },
            };
        }
        Step::Hear(at) => {
            let (sequence, permits) = world.messages.remove(at);
            if sequence > world.remote.2 || flaw == Flaw::NoSequence {
                world.remote = (permits, world.clock + LEASE, sequence);
            }
            world.heard = world.heard.max(sequence);
        }
        Step::Lose(at) => {
            world.messages.remove(at);
        }
        Step::AskAnew => {
            let permits = world.status.is_some_and(ConsentStatus::permits);
            world.remote = (permits, world.clock + LEASE, world.sequence);
            world.heard = world.sequence;
        }
        Step::Tick => {
            world.clock += 1;
            if flaw == Flaw::LateLedger {
                world.covered = world.status.is_some_and(covers);
            }
        }
    }
    remote_rules(&world, flaw)?;
    Ok(world)
}

/// Another node may believe what was withdrawn only until its lease ends, and never after it heard of the withdrawal.
fn remote_rules(world: &World, flaw: Flaw) -> Result<(), &'static str> {
    let (permits, until, heard) = world.remote;
    let believes = permits && (world.clock < until || flaw == Flaw::NoLease);
    let now = world.status.is_some_and(ConsentStatus::permits);
    if believes && !now && heard == world.sequence {
        return Err("a node that knows the last commit believes another");
    }
    if believes && world.clock >= until {
        return Err("a node without word went on after its lease");
    }
    if heard < world.heard {
        return Err("an old message undid a newer one");
    }
    Ok(())
}

/// Whether the server's own look-up finds a consent in this state, whatever the clocks said when it was made.
fn covers(status: ConsentStatus) -> bool {
    let now = OffsetDateTime::UNIX_EPOCH;
    let mut coverage = Coverage::default();
    let span = Span::new(now, now + Duration::DAY);
    coverage.note(1, &[span]);
    if !status.permits() {
        coverage.forget(1, &[span]);
    }
    coverage.at(nanoseconds(now), &|_| vec![span]).contains(1)
}

/// Every world that can be reached; how many there are, or the way to one that breaks a rule.
fn explore(flaw: Flaw) -> Result<usize, (&'static str, Vec<Step>)> {
    let mut known: HashSet<World> = HashSet::from([start()]);
    let mut worlds: Vec<(World, Option<(usize, Step)>)> = vec![(start(), None)];
    let mut next = 0;
    while let Some((world, _)) = worlds.get(next).cloned() {
        for taken in steps(&world) {
            match go(world.clone(), taken, flaw) {
                Ok(reached) => {
                    if known.insert(reached.clone()) {
                        worlds.push((reached, Some((next, taken))));
                    }
                }
                Err(rule) => return Err((rule, way(&worlds, next, taken))),
            }
        }
        next += 1;
    }
    Ok(known.len())
}

/// The steps that lead to a world, and one more.
fn way(worlds: &[(World, Option<(usize, Step)>)], at: usize, last: Step) -> Vec<Step> {
    let mut way = vec![last];
    let mut before = worlds[at].1;
    while let Some((parent, taken)) = before {
        way.push(taken);
        before = worlds[parent].1;
    }
    way.reverse();
    way
}

/// Requirements dataspace CON-22, CON-9: in no order of steps does a query find, or go on under, a consent whose withdrawal was
/// acknowledged; nothing brings a withdrawn one back; another node stops when it hears or when its lease ends.
#[test]
fn no_order_of_steps_breaks_the_rules() {
    let worlds = explore(Flaw::None).unwrap_or_else(|(rule, way)| panic!("{rule}: {way:?}"));
    assert!(worlds > 10_000, "{worlds} worlds");
    println!("{worlds} worlds");
}

/// The check finds each flaw that it is there for.
#[test]
fn each_flaw_is_found() {
    for flaw in [Flaw::LateLedger, Flaw::NoSecondLook, Flaw::NoLease, Flaw::NoSequence] {
        assert!(explore(flaw).is_err());
    }
}
