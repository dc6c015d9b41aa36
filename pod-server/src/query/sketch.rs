//! What an answered number rests on, in bounded space: a vector over data subjects and their triples, folded.
//!
//! A sum or count over a group is a linear combination of what single triples of single persons add to it. Its sketch
//! keeps the coefficients: each person has one of [`PLACES`] places, each triple one of [`SLOTS`] slots of its persons'
//! places, and a coordinate holds the sum of keyed values of what falls on it, modulo a prime. Sketches of differences,
//! unions and totals are differences and sums of sketches, whatever the queries look like that were answered, and none
//! is larger than [`PLACES`] × [`SLOTS`] numbers. A combination on which fewer than *k* persons are left has fewer than
//! *k* places that are not empty. Persons that share a place make it look smaller than it is, which errs on the safe side.
//! No person can be read from a sketch without the server's key.

use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

/// Places that persons share.
pub const PLACES: u16 = 4_096;
/// Coordinates of each place.
pub const SLOTS: u16 = 16;
/// A Mersenne prime: sums and products of two residues fit into 64 bits.
pub(super) const PRIME: u64 = (1 << 31) - 1;
/// Bytes of a coordinate with its value, as stored.
const ENTRY_BYTES: usize = 6;

/// The secret by which persons get places and triples values. It is derived for each consumer and dataset.
#[derive(Clone, PartialEq, Eq)]
pub struct SketchKey([u8; 32]);

impl std::fmt::Debug for SketchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SketchKey")
    }
}

/// A triple, digested.
#[derive(Clone, Copy, Debug)]
pub struct TripleValue {
    slot: u16,
    offset: u64,
    slope: u64,
}

/// A person, digested.
#[derive(Clone, Copy, Debug)]
pub struct PersonPlace {
    place: u16,
    point: u64,
}

impl SketchKey {
    /// A key.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    fn numbers(&self, kind: u8, parts: &[&[u8]]) -> (u16, u64, u64) {
        let mut digest = Sha256::new_with_prefix(self.0);
        digest.update([kind]);
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let bytes: [u8; 32] = digest.finalize().into();
        let number = |from: usize| {
            let taken = bytes.iter().skip(from).take(8);
            taken.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let small = u16::try_from(number(0) % 65_536).unwrap_or(0);
        (small, number(8) % PRIME, number(16) % PRIME)
    }

    /// The value of a triple, whose terms are given as text; of a thing, where only the first is.
    #[must_use]
    pub fn triple(&self, terms: [&str; 3]) -> TripleValue {
        let (small, offset, slope) = self.numbers(b't', &terms.map(str::as_bytes));
        TripleValue {
            // Things and triples have slots apart, so that neither hides what the other shows.
            slot: small % (SLOTS / 2) + if terms[1].is_empty() { 0 } else { SLOTS / 2 },
            offset,
            slope,
        }
    }

    /// The place of a person, by the number of the person's storage.
    #[must_use]
    pub fn person(&self, storage: i64) -> PersonPlace {
        let (small, point, _) = self.numbers(b'p', &[&storage.to_be_bytes()]);
        PersonPlace {
            place: small % PLACES,
            point,
        }
    }
}

/// Adds up a sketch.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    coordinates: FxHashMap<u16, u64>,
    rows: u64,
}

/// What a number rests on, and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// The persons and triples.
    pub sketch: Sketch,
    /// Rows: those of a union of groups are the sum of theirs.
    pub rows: u64,
}

impl Sum {
    /// Adds a triple of a person, so many times.
    pub fn add(&mut self, person: PersonPlace, triple: TripleValue, times: u64) {
        let value = (triple.offset + triple.slope * person.point % PRIME) % PRIME;
        let value = value * (times % PRIME) % PRIME;
        let sum = self.coordinates.entry(person.place * SLOTS + triple.slot).or_default();
        *sum = (*sum + value) % PRIME;
        self.rows = self.rows.saturating_add(times);
    }

    /// The sketch and the rows.
    #[must_use]
    pub fn number(self) -> Number {
        let rows = self.rows;
        let sketch = self.sketch();
        Number { sketch, rows }
    }

    /// The sketch.
    #[must_use]
    pub fn sketch(self) -> Sketch {
        let kept = self.coordinates.into_iter().filter(|(_, value)| *value != 0);
        let mut entries: Vec<(u16, u32)> = kept.filter_map(|(at, value)| Some((at, residue(value)?))).collect();
        entries.sort_unstable();
        Sketch(entries)
    }
}

fn residue(value: u64) -> Option<u32> {
    u32::try_from(value).ok().filter(|value| *value != 0)
}

/// A folded vector: the coordinates that are not zero, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch(Vec<(u16, u32)>);

impl Sketch {
    /// Whether nobody is left.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether somebody is left, and fewer than so many places.
    #[must_use]
    pub fn concerns_fewer_than(&self, subjects_min: u32) -> bool {
        let mut places = 0_u32;
        let mut last = None;
        for (at, _) in &self.0 {
            let place = at / SLOTS;
            if last != Some(place) {
                (last, places) = (Some(place), places + 1);
                if places >= subjects_min {
                    return false;
                }
            }
        }
        places > 0
    }

    /// Whether this differs from another by somebody, and by fewer than so many places. Ends at the first place too many.
    #[must_use]
    pub fn differs_by_fewer_than(&self, other: &Self, subjects_min: u32) -> bool {
        let (mut ours, mut theirs) = (self.0.as_slice(), other.0.as_slice());
        let (mut places, mut last) = (0_u32, None);
        loop {
            let at = match (ours, theirs) {
                ([], []) => return places > 0,
                ([one, rest @ ..], [other, others @ ..]) if one.0 == other.0 => {
                    (ours, theirs) = (rest, others);
                    if one.1 == other.1 {
                        continue;
                    }
                    one.0
                }
                ([one, rest @ ..], _) if theirs.first().is_none_or(|other| one.0 < other.0) => {
                    ours = rest;
                    one.0
                }
                (_, [other, others @ ..]) => {
                    theirs = others;
                    other.0
                }
                (_, []) => return places > 0,
            };
            if last != Some(at / SLOTS) {
                (last, places) = (Some(at / SLOTS), places + 1);
                if places >= subjects_min {
                    return false;
                }
            }
        }
    }

    /// This and so many times another.
    #[must_use]
    pub fn plus(&self, other: &Self, times: u64) -> Self {
        let times = times % PRIME;
        let mut sum = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let (at, value) = match (ours.peek(), theirs.peek()) {
                (None, None) => break,
                (Some((a, x)), Some((b, y))) if a == b => {
                    let both = (*a, u64::from(*x) + u64::from(*y) * times);
                    ours.next();
                    theirs.next();
                    both
                }
                (Some((a, x)), theirs_next) if theirs_next.is_none_or(|(b, _)| a < b) => {
                    let one = (*a, u64::from(*x));
                    ours.next();
                    one
                }
                (_, Some((b, y))) => {
                    let one = (*b, u64::from(*y) * times);
                    theirs.next();
                    one
                }
                (Some(_), None) => break,
            };
            sum.extend(residue(value % PRIME).map(|value| (at, value)));
        }
        Self(sum)
    }

    /// This less another.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.plus(other, PRIME - 1)
    }

    /// The coordinates that are not zero, in order, and what stands there.
    pub(super) fn entries(&self) -> &[(u16, u32)] {
        &self.0
    }

    /// Bytes of [`Self::to_bytes`].
    #[must_use]
    pub const fn size(&self) -> usize {
        self.0.len() * ENTRY_BYTES
    }

    /// For storing.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let entry = |(at, value): &(u16, u32)| {
            let [a, b] = at.to_be_bytes();
            let [c, d, e, f] = value.to_be_bytes();
            [a, b, c, d, e, f]
        };
        self.0.iter().flat_map(entry).collect()
    }

    /// As stored; none when it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut entries = Vec::with_capacity(bytes.len() / ENTRY_BYTES);
        for chunk in bytes.chunks(ENTRY_BYTES) {
            let [a, b, c, d, e, f] = <[u8; ENTRY_BYTES]>::try_from(chunk).ok()?;
            entries.push((u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])));
        }
        let ordered = entries.is_sorted_by(|(one, _), (other, _)| one < other);
        let reduced = entries
            .iter()
            .all(|(_, value)| *value != 0 && u64::from(*value) < PRIME);
        (ordered && reduced).then_some(Self(entries))
    }
}

/// So few persons would be left by some combination of numbers that their part could be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Determined;

/// Everything that can be computed from answered numbers by adding and subtracting multiples of them: a basis in
/// reduced echelon form. If some combination leaves a single coordinate, a row of that form is that combination.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// The column of each coordinate that any row has.
    columns: FxHashMap<u16, usize>,
    /// The coordinate of each column.
    coordinates: Vec<u16>,
    /// Rows with the column of their pivot, where they are one and all others are zero. A row ends where only zeros follow.
    rows: Vec<(usize, Vec<u32>)>,
}

impl Span {
    /// Whether a vector can be computed.
    #[must_use]
    pub fn contains(&self, vector: &Sketch) -> bool {
        let known = vector.0.iter().all(|(at, _)| self.columns.contains_key(at));
        known && self.reduced(vector).iter().all(|value| *value == 0)
    }

    /// Bytes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        self.rows.iter().map(|(_, row)| row.len() * size_of::<u32>()).sum()
    }

    /// What is left of a vector that cannot be computed, whose coordinates all have columns.
    fn reduced(&self, vector: &Sketch) -> Vec<u32> {
        let mut left = vec![0; self.coordinates.len()];
        for (at, value) in &vector.0 {
            if let Some(place) = self.columns.get(at).and_then(|column| left.get_mut(*column)) {
                *place = *value;
            }
        }
        for (pivot, row) in &self.rows {
            let share = left.get(*pivot).copied().unwrap_or(0);
            if share != 0 {
                add_multiple(&mut left, row, PRIME - u64::from(share));
            }
        }
        left
    }

    /// Whether fewer than so many places are left of a vector and so many times another.
    fn leaves_few(&self, vector: &[u32], other: &[u32], times: u64, subjects_min: u32) -> bool {
        let mut places: Vec<u16> = Vec::new();
        for (column, at) in self.coordinates.iter().enumerate() {
            let value = |of: &[u32]| u64::from(of.get(column).copied().unwrap_or(0));
            let place = at / SLOTS;
            if !(value(vector) + value(other) * times).is_multiple_of(PRIME) && !places.contains(&place) {
                places.push(place);
                if places.len() >= subjects_min as usize {
                    return false;
                }
            }
        }
        true
    }

    /// Adds a vector; says whether it was new.
    ///
    /// # Errors
    /// [`Determined`] if the basis then had a row on fewer than `subjects_min` persons; nothing is added.
    pub fn add(&mut self, vector: &Sketch, subjects_min: u32) -> Result<bool, Determined> {
        for (at, _) in &vector.0 {
            if !self.columns.contains_key(at) {
                self.columns.insert(*at, self.coordinates.len());
                self.coordinates.push(*at);
            }
        }
        let mut row = self.reduced(vector);
        let Some(pivot) = row.iter().position(|value| *value != 0) else {
            return Ok(false);
        };
        let first = row.get(pivot).copied().unwrap_or(1);
        let whole = row.clone();
        add_multiple(&mut row, &whole, PRIME - 1 + inverse(u64::from(first)));
        if self.leaves_few(&row, &[], 0, subjects_min) {
            return Err(Determined);
        }
        let share = |other: &[u32]| u64::from(other.get(pivot).copied().unwrap_or(0));
        for (_, other) in &self.rows {
            let share = share(other);
            if share != 0 && self.leaves_few(other, &row, PRIME - share, subjects_min) {
                return Err(Determined);
            }
        }
        for (_, other) in &mut self.rows {
            let share = share(other);
            if share != 0 {
                other.resize(row.len(), 0);
                add_multiple(other, &row, PRIME - share);
            }
        }
        self.rows.push((pivot, row));
        Ok(true)
    }
}

/// Adds so many times a row to another that is at least as long.
fn add_multiple(to: &mut [u32], row: &[u32], times: u64) {
    let times = times % PRIME;
    for (value, added) in to.iter_mut().zip(row) {
        // Twice folded, a product of two residues and a third is one residue or the prime itself.
        let sum = u64::from(*value) + u64::from(*added) * times;
        let sum = (sum & PRIME) + (sum >> 31);
        let sum = (sum & PRIME) + (sum >> 31);
        *value = if sum == PRIME {
            0
        } else {
            u32::try_from(sum).unwrap_or(0)
        };
    }
}

/// By Fermat's little theorem.
pub(super) fn inverse(value: u64) -> u64 {
    let (mut power, mut exponent, mut result) = (value % PRIME, PRIME - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * power % PRIME;
        }
        power = power * power % PRIME;
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SketchKey {
        SketchKey::new([7; 32])
    }

    /// A sum over persons, each with one triple of a measure.
    fn over(persons: impl IntoIterator<Item = i64>, measure: &str) -> Sketch {
        let key = key();
        let mut sum = Sum::default();
        for person in persons {
            let subject = person.to_string();
            sum.add(key.person(person), key.triple([&subject, "p", measure]), 1);
        }
        sum.sketch()
    }

    /// ENF-12: any combination that leaves one person is found, however many answers it takes.
    #[test]
    fn combinations_that_leave_a_person_are_found() {
        let total = over(0..100, "m");
        for (parts, last) in [
            (vec![over(0..50, "m")], over(50..99, "m")),
            (vec![over(0..30, "m"), over(30..60, "m")], over(60..99, "m")),
            (vec![over(0..60, "m"), over(40..100, "m")], over(40..61, "m")),
            (vec![over(0..40, "m").plus(&over(40..99, "m"), 1)], over(0..100, "m")),
        ] {
            let mut span = Span::default();
            let mut answered = vec![total.clone()];
            answered.extend(parts);
            let added: Vec<_> = answered.iter().chain([&last]).map(|one| span.add(one, 5)).collect();
            assert!(added.contains(&Err(Determined)), "{added:?}");
        }
        // The same numbers about another measure tell nothing about the first.
        let mut span = Span::default();
        for one in [&total, &over(0..50, "m"), &over(50..99, "other"), &over(0..99, "third")] {
            assert_eq!(span.add(one, 5), Ok(true));
        }
        assert_eq!(
            span.add(&over(50..100, "m"), 5),
            Ok(false),
            "it can be computed already"
        );
        assert_eq!(span.add(&total.plus(&total, 1), 5), Ok(false));
    }

    proptest! {
        #[test]
        fn sketches_add_up_and_are_stored(one in prop::collection::btree_set(0_i64..300, 0..60),
            other in prop::collection::btree_set(0_i64..300, 0..60)) {
            let (a, b) = (over(one.iter().copied(), "m"), over(other.iter().copied(), "m"));
            let only_one = over(one.difference(&other).copied(), "m");
            let only_other = over(other.difference(&one).copied(), "m");
            prop_assert_eq!(a.minus(&b), only_one.minus(&only_other));
            prop_assert_eq!(a.minus(&b).plus(&b, 1), a.clone());
            prop_assert_eq!(Sketch::from_bytes(&a.to_bytes()), Some(a.clone()));
            prop_assert_eq!(a.to_bytes().len(), a.size());
            let differing = one.symmetric_difference(&other).count();
            let few = a.minus(&b).concerns_fewer_than(5);
            prop_assert_eq!(a.differs_by_fewer_than(&b, 5), few);
            prop_assert!(few || differing == 0 || differing >= 5, "{differing} persons look like more");
        }
    }
}
