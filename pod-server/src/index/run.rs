//! Immutable sorted rows.
//!
//! A row is one triple of one document, packed into 128 bits so that comparing two rows is one comparison. A run keeps
//! its rows in five orders, one for every way to ask; one of them only so that the subjects of a predicate come in
//! ascending order, which makes the look-ups of a join neighbours. Rows of documents that are no longer current stay until a merge
//! leaves them out; readers skip them by the set of visible documents.

/// Four 32-bit numbers in one order, the first in the highest bits.
pub type Row = u128;

/// Packs four numbers.
#[inline]
#[must_use]
pub const fn pack(first: u32, second: u32, third: u32, fourth: u32) -> Row {
    (first as u128) << 96 | (second as u128) << 64 | (third as u128) << 32 | fourth as u128
}

/// Unpacks four numbers.
#[inline]
#[must_use]
#[allow(clippy::cast_possible_truncation)] // each part is exactly the 32 bits wanted
pub const fn unpack(row: Row) -> (u32, u32, u32, u32) {
    ((row >> 96) as u32, (row >> 64) as u32, (row >> 32) as u32, row as u32)
}

/// A triple of a document, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quad {
    /// Subject.
    pub subject: u32,
    /// Predicate.
    pub predicate: u32,
    /// Object.
    pub object: u32,
    /// Document.
    pub document: u32,
}

/// The orders in which rows are kept. The letters name subject, predicate, object and document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Subject first.
    Spod,
    /// Predicate first.
    Posd,
    /// Object first.
    Ospd,
    /// Document first.
    Dspo,
    /// Predicate first, then subject.
    Psod,
}

impl Order {
    /// All orders.
    pub const ALL: [Self; 5] = [Self::Spod, Self::Posd, Self::Ospd, Self::Dspo, Self::Psod];

    /// Packs a quad in this order.
    #[inline]
    #[must_use]
    pub const fn row(self, quad: Quad) -> Row {
        let Quad {
            subject: s,
            predicate: p,
            object: o,
            document: d,
        } = quad;
        match self {
            Self::Spod => pack(s, p, o, d),
            Self::Posd => pack(p, o, s, d),
            Self::Ospd => pack(o, s, p, d),
            Self::Dspo => pack(d, s, p, o),
            Self::Psod => pack(p, s, o, d),
        }
    }

    /// Unpacks a row of this order.
    #[inline]
    #[must_use]
    pub const fn quad(self, row: Row) -> Quad {
        let (a, b, c, d) = unpack(row);
        let (subject, predicate, object, document) = match self {
            Self::Spod => (a, b, c, d),
            Self::Posd => (c, a, b, d),
            Self::Ospd => (b, c, a, d),
            Self::Dspo => (b, c, d, a),
            Self::Psod => (b, a, c, d),
        };
        Quad {
            subject,
            predicate,
            object,
            document,
        }
    }
}

/// The rows between two bounds of an order, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Which order.
    pub order: Order,
    /// First row that may match.
    pub low: Row,
    /// Last row that may match.
    pub high: Row,
}

impl Bounds {
    /// Rows whose leading numbers are these (at most four count).
    #[must_use]
    pub fn prefix(order: Order, numbers: &[u32]) -> Self {
        let mut low = 0;
        let mut shift = 128_u32;
        for number in numbers.iter().take(4) {
            shift -= 32;
            low |= u128::from(*number) << shift;
        }
        let rest = 1_u128.checked_shl(shift).map_or(u128::MAX, |above| above - 1);
        Self {
            order,
            low,
            high: low | rest,
        }
    }

    /// The narrowest bounds over all documents for a triple pattern; together with an order in which no further
    /// filter on subject, predicate or object is needed.
    #[must_use]
    pub fn for_pattern(subject: Option<u32>, predicate: Option<u32>, object: Option<u32>) -> Self {
        match (subject, predicate, object) {
            (Some(s), Some(p), Some(o)) => Self::prefix(Order::Spod, &[s, p, o]),
            (Some(s), Some(p), None) => Self::prefix(Order::Spod, &[s, p]),
            (Some(s), None, Some(o)) => Self::prefix(Order::Ospd, &[o, s]),
            (Some(s), None, None) => Self::prefix(Order::Spod, &[s]),
            (None, Some(p), Some(o)) => Self::prefix(Order::Posd, &[p, o]),
            (None, Some(p), None) => Self::prefix(Order::Psod, &[p]),
            (None, None, Some(o)) => Self::prefix(Order::Ospd, &[o]),
            (None, None, None) => Self::prefix(Order::Spod, &[]),
        }
    }
}

/// Rows in all orders.
#[derive(Debug, Default)]
pub struct Run {
    orders: [Box<[Row]>; 5],
}

impl Run {
    /// Sorts quads; doubles are left out.
    #[must_use]
    pub fn new(quads: &[Quad]) -> Self {
        let orders = Order::ALL.map(|order| {
            let mut rows: Vec<Row> = quads.iter().map(|quad| order.row(*quad)).collect();
            rows.sort_unstable();
            rows.dedup();
            rows.into_boxed_slice()
        });
        Self { orders }
    }

    /// One run of several, without the rows of documents that are not current.
    #[must_use]
    pub fn merge(runs: &[&Self], is_current: impl Fn(u32) -> bool) -> Self {
        let orders = Order::ALL.map(|order| {
            let mut rows: Vec<Row> = Vec::with_capacity(runs.iter().map(|run| run.len()).sum());
            for run in runs {
                rows.extend(
                    run.rows(order)
                        .iter()
                        .copied()
                        .filter(|row| is_current(order.quad(*row).document)),
                );
            }
            // The stable sort finds the runs that are sorted already and merges them.
            rows.sort();
            rows.into_boxed_slice()
        });
        Self { orders }
    }

    /// All rows of an order.
    #[must_use]
    pub const fn rows(&self, order: Order) -> &[Row] {
        let [spod, posd, ospd, dspo, psod] = &self.orders;
        match order {
            Order::Spod => spod,
            Order::Posd => posd,
            Order::Ospd => ospd,
            Order::Dspo => dspo,
            Order::Psod => psod,
        }
    }

    /// The rows between bounds.
    #[must_use]
    pub fn range(&self, bounds: Bounds) -> &[Row] {
        self.range_near(bounds, 0).1
    }

    /// The rows between bounds and the position of the first one. `near` is a position at which the search begins:
    /// a join asks for ascending keys, so that the next answer lies close behind the last one.
    #[must_use]
    pub fn range_near(&self, bounds: Bounds, near: usize) -> (usize, &[Row]) {
        let rows = self.rows(bounds.order);
        // Small runs hold few documents, whose terms were numbered together: most searches miss them altogether.
        if rows.first().is_none_or(|first| *first > bounds.high) || rows.last().is_none_or(|last| *last < bounds.low) {
            return (near, &[]);
        }
        let start = lower_bound(rows, bounds.low, near);
        let tail = rows.get(start..).unwrap_or(&[]);
        let length = match tail.first() {
            Some(first) if *first <= bounds.high => gallop(tail, |row| *row <= bounds.high),
            _ => 0,
        };
        (start, tail.get(..length).unwrap_or(&[]))
    }

    /// Number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows(Order::Spod).len()
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the rows in all orders.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.len() * Order::ALL.len() * size_of::<Row>()
    }
}

/// Position of the first row that is not below `low`.
fn lower_bound(rows: &[Row], low: Row, near: usize) -> usize {
    match rows.get(near) {
        Some(row) if near > 0 && *row < low => {
            let tail = rows.get(near..).unwrap_or(&[]);
            near + gallop(tail, |row| *row < low)
        }
        _ if near > 0 => {
            let head = rows.get(..near).unwrap_or(rows);
            head.partition_point(|row| *row < low)
        }
        _ => rows.partition_point(|row| *row < low),
    }
}

/// Number of leading rows for which `holds`, found by doubling steps: cheap when it is small.
fn gallop(rows: &[Row], holds: impl Fn(&Row) -> bool) -> usize {
    let mut step = 1;
    let mut known = 0;
    while rows.get(known + step - 1).is_some_and(&holds) {
        known += step;
        step *= 2;
    }
    let end = rows.len().min(known + step);
    let window = rows.get(known..end).unwrap_or(&[]);
    known + window.partition_point(holds)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quad() -> impl Strategy<Value = Quad> {
        (1..9_u32, 1..5_u32, 1..9_u32, 0..6_u32).prop_map(|(subject, predicate, object, document)| Quad {
            subject,
            predicate,
            object,
            document,
        })
    }

    proptest! {
        #[test]
        fn a_range_holds_exactly_the_rows_that_match(
            quads in proptest::collection::vec(quad(), 0..120),
            s in proptest::option::of(0..10_u32),
            p in proptest::option::of(0..6_u32),
            o in proptest::option::of(0..10_u32),
            near in 0..130_usize,
        ) {
            let run = Run::new(&quads);
            let bounds = Bounds::for_pattern(s, p, o);
            let (_, rows) = run.range_near(bounds, near);
            let mut found: Vec<_> = rows.iter().map(|row| Order::Spod.row(bounds.order.quad(*row))).collect();
            found.sort_unstable();
            let mut expected: Vec<_> = quads
                .iter()
                .filter(|quad| {
                    s.is_none_or(|s| s == quad.subject)
                        && p.is_none_or(|p| p == quad.predicate)
                        && o.is_none_or(|o| o == quad.object)
                })
                .map(|quad| Order::Spod.row(*quad))
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn merging_keeps_what_is_current(
            left in proptest::collection::vec(quad(), 0..60),
            right in proptest::collection::vec(quad(), 0..60),
            current in 0..64_u32,
        ) {
            let is_current = |document: u32| current >> document & 1 == 1;
            let merged = Run::merge(&[&Run::new(&left), &Run::new(&right)], is_current);
            let kept: Vec<_> = left.iter().chain(&right).copied().filter(|quad| is_current(quad.document)).collect();
            let expected = Run::new(&kept);
            for order in Order::ALL {
                let mut rows = merged.rows(order).to_vec();
                rows.dedup();
                prop_assert_eq!(&rows[..], expected.rows(order));
            }
        }
    }
}
