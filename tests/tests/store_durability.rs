//! Nothing that was acknowledged is lost, and nothing is torn, however the process ends (D1-D4; ARCHITECTURE invariant 4).
//!
//! A short loop for every run; `cargo xtask bench durability` does a thousand cycles.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{SystemTime, UNIX_EPOCH};

use meent_tests::durability::faults::{AtSync, at_every_sync, tracer_works};
use meent_tests::durability::power::{cuts, images_work};
use meent_tests::durability::{Report, run};

/// A new seed each time, so that many runs cover many moments; it is printed, and `MEENT_SEED` repeats it.
fn seed() -> u64 {
    std::env::var("MEENT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        })
}

fn judge(report: &Report, cycles: u64) {
    println!("{report}");
    assert_eq!(report.fault, None, "{report}");
    assert_eq!(report.cycles, cycles, "{report}");
    assert!(report.acknowledged > cycles, "hardly anything was written: {report}");
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged() {
    let cycles = 40;
    let report = run(cycles, seed()).expect("the child starts");
    judge(&report, cycles);
}

#[test]
fn a_kill_at_each_sync_loses_nothing() {
    if !tracer_works() {
        println!("SKIPPED: kills at each sync, because `strace` is missing or may not trace here");
        return;
    }
    let report = at_every_sync(AtSync::Kill, 16, seed()).expect("the child starts");
    judge(&report, 16);
}

#[test]
fn a_failed_sync_ends_the_process_and_loses_nothing() {
    if !tracer_works() {
        println!("SKIPPED: failing syncs, because `strace` is missing or may not trace here");
        return;
    }
    let report = at_every_sync(AtSync::Fail, 16, seed()).expect("the child starts");
    judge(&report, 16);
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    if let Err(reason) = images_work() {
        println!("SKIPPED: power cuts, because no image can be mounted here (needs root): {reason}");
        return;
    }
    let report = cuts(12, seed()).expect("the child starts");
    judge(&report, 12);
}
