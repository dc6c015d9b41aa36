//! Every parser of what strangers send, fed with the seeds of `tests/corpus/fuzz` and with mutations of them. A search
//! beyond these is `cargo xtask fuzz`; what it finds becomes a seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meent_tests::fuzzing::{TARGETS, Target, seeds};
use parking_lot::Mutex;

/// Mutations of each seed. Together with the seeds' number this is what one run costs.
const MUTATIONS: u64 = 5_000;
const BYTES_MAX: usize = 1 << 16;

/// A sequence that is the same in every run (xorshift64*).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below.max(1)
    }
}

/// Changes, removes, repeats or brings in some bytes, up to four times.
fn mutated(seed: &[u8], other: &[u8], sequence: &mut Sequence) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=sequence.next(4) {
        let at = sequence.next(bytes.len());
        let end = (at + 1 + sequence.next(16)).min(bytes.len());
        match sequence.next(5) {
            0 if at < bytes.len() => bytes[at] = [0, b'"', b'<', b'{', b'\\', 0xff, b'%', b'.'][sequence.next(8)],
            1 => drop(bytes.drain(at.min(end)..end)),
            2 => {
                let part = bytes[at.min(end)..end].repeat(1 + sequence.next(40));
                bytes.splice(at..at, part);
            }
            3 => {
                let from = sequence.next(other.len());
                let part = &other[from..(from + sequence.next(32)).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
            _ => bytes.truncate(at),
        }
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn stored_seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = seeds(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 3, "{} has too few seeds", target.name);
    seeds
}

/// What is being fed now, and how often that has changed: a parser that does not come back is named and ends the test.
#[derive(Default)]
struct Watch {
    inputs: AtomicU64,
    current: Mutex<(&'static str, Vec<u8>)>,
}

impl Watch {
    /// Far above what any input of this size may take, even on a machine that is busy with other things.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn feed(&self, target: &'static Target, input: &[u8]) {
        *self.current.lock() = (target.name, input.to_vec());
        self.inputs.fetch_add(1, Ordering::Relaxed);
    }

    fn watch(&self) {
        let mut seen = u64::MAX;
        while self.inputs.load(Ordering::Relaxed) != seen {
            seen = self.inputs.load(Ordering::Relaxed);
            std::thread::park_timeout(Self::PATIENCE);
        }
        let (name, input) = &*self.current.lock();
        eprintln!("{name} does not come back from {:?}", String::from_utf8_lossy(input));
        std::process::abort();
    }
}

/// Requirements solid 5, 34, 37, 58, 66. Nothing that a stranger sends makes a parser panic, abort or contradict itself.
#[test]
fn seeds_and_their_mutations() {
    let watch = Arc::new(Watch::default());
    let watched = Arc::clone(&watch);
    std::thread::spawn(move || watched.watch());
    // Queries are parsed on threads with a large stack in the server too.
    let walk = std::thread::Builder::new().stack_size(64 << 20).spawn(move || {
        for target in TARGETS {
            let seeds = stored_seeds(target);
            let mut sequence = Sequence(0x9E37_79B9_7F4A_7C15);
            for (name, seed) in &seeds {
                let other = &seeds[sequence.next(seeds.len())].1;
                let inputs = std::iter::once(seed.clone())
                    .chain((0..MUTATIONS).map(|_| mutated(seed, other, &mut sequence)))
                    .collect::<Vec<_>>();
                for input in inputs {
                    watch.feed(target, &input);
                    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
                    assert!(
                        outcome.is_ok(),
                        "{} fails on a mutation of {name}: {:?}",
                        target.name,
                        String::from_utf8_lossy(&input)
                    );
                }
            }
        }
    });
    walk.unwrap().join().unwrap();
}
