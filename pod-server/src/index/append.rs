//! A growing sequence that is read without locks.
//!
//! One writer appends; any number of readers hold positions below the length that they have seen. A slot is written
//! once and never again, so that reading is two array steps and one acquire load. Nothing is ever removed: whoever
//! wants to forget builds a new sequence.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const CHUNK_BITS: u32 = 12;
const BRANCH_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;
const BRANCH: usize = 1 << BRANCH_BITS;

type Chunk<T> = Box<[OnceLock<T>]>;
type Branch<T> = Box<[OnceLock<Chunk<T>>]>;

/// A sequence of at most 2³² values that only grows.
#[derive(Debug)]
pub struct AppendOnly<T> {
    branches: Box<[OnceLock<Branch<T>>]>,
    length: AtomicU32,
}

impl<T> Default for AppendOnly<T> {
    fn default() -> Self {
        Self {
            branches: empty_slots(BRANCH),
            length: AtomicU32::new(0),
        }
    }
}

fn empty_slots<T>(count: usize) -> Box<[OnceLock<T>]> {
    std::iter::repeat_with(OnceLock::new).take(count).collect()
}

const fn split(position: u32) -> (usize, usize, usize) {
    let position = position as usize;
    (
        position >> (BRANCH_BITS + CHUNK_BITS),
        (position >> CHUNK_BITS) & (BRANCH - 1),
        position & (CHUNK - 1),
    )
}

impl<T> AppendOnly<T> {
    /// The value at a position; none where nothing has been written yet.
    #[inline]
    pub fn value(&self, position: u32) -> Option<&T> {
        let (branch, chunk, slot) = split(position);
        self.branches.get(branch)?.get()?.get(chunk)?.get()?.get(slot)?.get()
    }

    /// Number of values.
    pub fn len(&self) -> u32 {
        self.length.load(Ordering::Acquire)
    }

    /// Adds a value and returns its position; gives the value back when all 2³² − 1 positions are taken. Only one
    /// thread may append at a time: with two, one of them would be handed its value back.
    pub fn push(&self, value: T) -> Result<u32, T> {
        let position = self.len();
        let (branch, chunk, slot) = split(position);
        let Some(branch) = self.branches.get(branch) else {
            return Err(value);
        };
        let Some(chunk) = branch.get_or_init(|| empty_slots(BRANCH)).get(chunk) else {
            return Err(value);
        };
        let Some(slot) = chunk.get_or_init(|| empty_slots(CHUNK)).get(slot) else {
            return Err(value);
        };
        slot.set(value)?;
        self.length.store(position.saturating_add(1), Ordering::Release);
        Ok(position)
    }

    /// Bytes that the slots take up, without what the values point to.
    pub fn slot_bytes(&self) -> usize {
        (self.len() as usize).div_ceil(CHUNK) * CHUNK * size_of::<OnceLock<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_where_they_were_put() {
        let sequence = AppendOnly::default();
        for number in 0..20_000_u32 {
            assert_eq!(sequence.push(number * 3), Ok(number));
        }
        assert_eq!(sequence.len(), 20_000);
        assert_eq!(sequence.value(4_096), Some(&12_288));
        assert_eq!(sequence.value(19_999), Some(&59_997));
        assert_eq!(sequence.value(20_000), None);
        assert_eq!(sequence.value(u32::MAX), None);
    }

    #[test]
    fn readers_see_whole_values_while_the_writer_appends() {
        let sequence = std::sync::Arc::new(AppendOnly::default());
        let reader = {
            let sequence = std::sync::Arc::clone(&sequence);
            std::thread::spawn(move || {
                let mut seen = 0;
                while seen < 50_000 {
                    let length = sequence.len();
                    for position in seen..length {
                        assert_eq!(sequence.value(position), Some(&format!("value {position}")));
                    }
                    seen = length;
                }
            })
        };
        for number in 0..50_000 {
            assert!(sequence.push(format!("value {number}")).is_ok());
        }
        assert!(reader.join().is_ok());
    }
}
