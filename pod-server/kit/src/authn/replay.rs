//! The memory of used proofs (RFC 9449 §11.1; T28).
//!
//! A proof is good for one request. What is remembered is a 16-byte hash of (key thumbprint, method, normalised URL, `jti`), in
//! sets by issue time, sharded so that threads do not meet; a set is dropped whole once every proof in it is too old to be
//! accepted anyway. When the memory is full nothing is accepted: forgetting would let old proofs in again.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Independent parts of the memory.
const SHARDS: usize = 64;
/// Width of a time bucket, seconds.
const BUCKET_SECONDS: i64 = 8;

/// What the memory says of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// First time; it is remembered now.
    Fresh,
    /// Used before.
    Replayed,
    /// The memory is full.
    Full,
}

/// A bounded memory of used proofs.
pub(super) struct ReplayMemory {
    shards: Vec<Mutex<Shard>>,
    entries: AtomicUsize,
    entries_max: usize,
    age_seconds_max: i64,
}

#[derive(Default)]
struct Shard {
    buckets: VecDeque<Bucket>,
}

struct Bucket {
    start: i64,
    keys: HashSet<[u8; 16], BuildHasherDefault<TakeBytes>>,
}

impl ReplayMemory {
    /// Remembers proofs until they are `age_seconds_max` old.
    pub(super) fn new(entries_max: usize, age_seconds_max: u32) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            entries: AtomicUsize::new(0),
            entries_max,
            age_seconds_max: i64::from(age_seconds_max),
        }
    }

    /// Uses a proof: exactly one of any number of parallel calls with the same proof gets [`Seen::Fresh`].
    pub(super) fn spend(&self, proof: &ProofName, issued: i64, now: i64) -> Seen {
        let key = proof.0;
        let shard = usize::from(key.first().copied().unwrap_or(0)) % SHARDS;
        let Some(shard) = self.shards.get(shard) else {
            return Seen::Full;
        };
        let mut shard = shard.lock();
        self.forget(&mut shard, now);
        // The same `jti` under another issue time is a replay as well, so every live bucket is asked.
        if shard.buckets.iter().any(|bucket| bucket.keys.contains(&key)) {
            return Seen::Replayed;
        }
        if self.entries.fetch_add(1, Ordering::Relaxed) >= self.entries_max {
            self.entries.fetch_sub(1, Ordering::Relaxed);
            return Seen::Full;
        }
        let start = issued.div_euclid(BUCKET_SECONDS) * BUCKET_SECONDS;
        let at = shard.buckets.partition_point(|bucket| bucket.start < start);
        if shard.buckets.get(at).is_none_or(|bucket| bucket.start != start) {
            shard.buckets.insert(
                at,
                Bucket {
                    start,
                    keys: HashSet::default(),
                },
            );
        }
        if let Some(bucket) = shard.buckets.get_mut(at) {
            bucket.keys.insert(key);
        }
        Seen::Fresh
    }

    /// Proofs that are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Drops what is too old in every part; called when the memory looks full, as idle parts do not clean themselves.
    pub(super) fn sweep(&self, now: i64) {
        for shard in &self.shards {
            self.forget(&mut shard.lock(), now);
        }
    }

    fn forget(&self, shard: &mut Shard, now: i64) {
        while let Some(oldest) = shard.buckets.front() {
            if oldest.start + BUCKET_SECONDS + self.age_seconds_max >= now {
                return;
            }
            let dropped = shard.buckets.pop_front().map_or(0, |bucket| bucket.keys.len());
            self.entries.fetch_sub(dropped, Ordering::Relaxed);
        }
    }
}

/// Name of a proof in the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProofName([u8; 16]);

impl ProofName {
    /// The name of a proof by a key, for a method and a normalised URL, with its `jti`.
    pub(super) fn new(jkt: &str, htm: &str, htu: &str, jti: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [jkt, htm, htu, jti] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        Self(digest.first_chunk::<16>().copied().unwrap_or_default())
    }
}

/// The keys are hashes already: eight of their bytes spread them well enough.
#[derive(Default)]
struct TakeBytes(u64);

impl Hasher for TakeBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk::<8>() {
            self.0 = u64::from_le_bytes(*last);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn t28_one_of_many_parallel_uses_wins() {
        let memory = Arc::new(ReplayMemory::new(10_000, 60));
        for round in 0..200 {
            let name = ProofName::new("key", "GET", "https://pod.example/", &round.to_string());
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let memory = Arc::clone(&memory);
                    std::thread::spawn(move || memory.spend(&name, 1_000, 1_000))
                })
                .collect();
            let seen: Vec<Seen> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert_eq!(seen.iter().filter(|seen| **seen == Seen::Fresh).count(), 1);
            assert_eq!(seen.iter().filter(|seen| **seen == Seen::Replayed).count(), 7);
        }
    }

    #[test]
    fn a_proof_stays_known_for_as_long_as_it_is_acceptable() {
        let memory = ReplayMemory::new(100, 60);
        let name = ProofName::new("key", "GET", "https://pod.example/", "one");
        assert_eq!(memory.spend(&name, 1_000, 1_000), Seen::Fresh);
        for now in 1_000..=1_060 {
            assert_eq!(memory.spend(&name, now, now), Seen::Replayed, "at {now}");
        }
        memory.sweep(1_200);
        assert_eq!(memory.len(), 0, "what is too old is forgotten");
    }

    #[test]
    fn a_full_memory_accepts_nothing_until_old_proofs_expire() {
        let memory = ReplayMemory::new(3, 60);
        let name = |number: u32| ProofName::new("key", "GET", "https://pod.example/", &number.to_string());
        for number in 0..3 {
            assert_eq!(memory.spend(&name(number), 1_000, 1_000), Seen::Fresh);
        }
        assert_eq!(memory.spend(&name(9), 1_000, 1_000), Seen::Full);
        assert_eq!(memory.spend(&name(1), 1_000, 1_000), Seen::Replayed);
        memory.sweep(1_100);
        assert_eq!(memory.spend(&name(9), 1_100, 1_100), Seen::Fresh);
    }

    #[test]
    fn parts_of_a_name_cannot_be_shifted() {
        assert_ne!(
            ProofName::new("k", "GET", "u", "ab"),
            ProofName::new("k", "GET", "ua", "b")
        );
    }
}
