//! Join keys behind a mask: a Bloom filter over IRIs, for owners who let their values narrow what other owners send only so (ENF-34).
//! Whoever gets one can test an IRI that they hold, and is told "yes" for about one in a hundred that were never meant; nobody can read
//! the IRIs out of it. Each mask has a salt of its own, so that two of them cannot be compared. Pure data: it must never say "no"
//! to what it was made from, because a row would be missing then and nobody would notice.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oxrdf::{NamedNodeRef, Term};
use sha2::{Digest, Sha256};

/// The function of a sub-query that looks through a mask: `fn:mayBeAmong("mask", ?a, ?b)`.
pub const FUNCTION: &str = "https://w3id.org/meent/fn#mayBeAmong";

/// Bytes of a salt.
pub const SALT: usize = 8;
/// Bits per key: with [`PROBES`] of them looked at, one in a hundred others passes.
const BITS_PER_KEY: usize = 10;
/// Bits looked at for each key.
const PROBES: u64 = 7;
/// Fewest bits, so that a mask over one key does not tell that it is one.
const BITS_MIN: usize = 1_024;
/// Most bytes that are read.
const BYTES_MAX: usize = 64 * 1024;
/// Most keys in one mask.
pub const KEYS_MAX: usize = BYTES_MAX * 8 / BITS_PER_KEY / 2;

/// A set of tuples of IRIs that can be asked and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    salt: [u8; SALT],
    /// A power of two of bits, so that the size tells only roughly how many keys there are.
    bits: Vec<u8>,
}

impl Mask {
    /// A mask over tuples of IRIs, all of one length; `None` for more than [`KEYS_MAX`].
    #[must_use]
    pub fn of<'a, T>(salt: [u8; SALT], tuples: &[T]) -> Option<Self>
    where
        T: AsRef<[NamedNodeRef<'a>]>,
    {
        if tuples.len() > KEYS_MAX {
            return None;
        }
        let bits = (tuples.len() * BITS_PER_KEY).max(BITS_MIN).next_power_of_two();
        let mut mask = Self {
            salt,
            bits: vec![0; bits / 8],
        };
        for tuple in tuples {
            for (byte, bit) in mask.places(tuple.as_ref()) {
                if let Some(byte) = mask.bits.get_mut(byte) {
                    *byte |= bit;
                }
            }
        }
        Some(mask)
    }

    /// Reads the text of a mask; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > (SALT + BYTES_MAX).div_ceil(3) * 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (salt, bits) = bytes.split_first_chunk::<SALT>()?;
        (bits.len().is_power_of_two() && (BITS_MIN / 8..=BYTES_MAX).contains(&bits.len())).then(|| Self {
            salt: *salt,
            bits: bits.to_vec(),
        })
    }

    /// The mask as it stands in a sub-query.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = [self.salt.as_slice(), &self.bits].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether a tuple can be one of those that the mask was made from. What is not made of IRIs alone always can: literals have
    /// several spellings.
    #[must_use]
    pub fn may_hold(&self, tuple: &[Term]) -> bool {
        let iris: Option<Vec<NamedNodeRef<'_>>> = tuple
            .iter()
            .map(|term| match term {
                Term::NamedNode(node) => Some(node.as_ref()),
                _ => None,
            })
            .collect();
        iris.is_none_or(|iris| {
            self.places(&iris)
                .all(|(byte, bit)| self.bits.get(byte).is_some_and(|byte| byte & bit != 0))
        })
    }

    /// Bytes and bits of a tuple, by double hashing.
    fn places(&self, tuple: &[NamedNodeRef<'_>]) -> impl Iterator<Item = (usize, u8)> + use<> {
        let mut hasher = Sha256::new_with_prefix(self.salt);
        for node in tuple {
            hasher.update(node.as_str());
            // No IRI holds a line break.
            hasher.update(b"\n");
        }
        let digest = hasher.finalize();
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        let (first, step) = digest.split_at(digest.len() / 2);
        let (first, step) = (number(first), number(step) | 1);
        let last = self.bits.len() as u64 * 8 - 1;
        (0..PROBES).map(move |probe| {
            let place = first.wrapping_add(probe.wrapping_mul(step)) & last;
            (usize::try_from(place / 8).unwrap_or(usize::MAX), 1 << (place % 8))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use oxrdf::{Literal, NamedNode};
    use proptest::prelude::*;

    fn iris(numbers: impl Iterator<Item = usize>) -> Vec<NamedNode> {
        numbers
            .map(|number| NamedNode::new(format!("https://example.org/{number}")).unwrap())
            .collect()
    }

    proptest! {
        /// Requirement ENF-34: what a mask was made from always passes, also after the journey.
        #[test]
        fn nothing_that_was_meant_is_ruled_out(salt: [u8; SALT], count in 0..2_000_usize, width in 1..4_usize) {
            let nodes = iris(0..count * width);
            let tuples: Vec<Vec<_>> = nodes.chunks(width).map(|tuple| tuple.iter().map(NamedNode::as_ref).collect()).collect();
            let mask = Mask::parse(&Mask::of(salt, &tuples).unwrap().to_text()).unwrap();
            for tuple in nodes.chunks(width) {
                let terms: Vec<Term> = tuple.iter().cloned().map(Term::from).collect();
                prop_assert!(mask.may_hold(&terms));
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".*") {
            if let Some(mask) = Mask::parse(&text) {
                prop_assert_eq!(mask.to_text(), text);
            }
        }
    }

    #[test]
    fn few_others_pass() {
        let nodes = iris(0..5_000);
        let tuples: Vec<_> = nodes.iter().map(|node| [node.as_ref()]).collect();
        let mask = Mask::of([7; SALT], &tuples).unwrap();
        let others = iris(5_000..25_000).into_iter();
        let passed = others.filter(|node| mask.may_hold(&[node.clone().into()])).count();
        assert!((1..=200).contains(&passed), "{passed} of 20,000 pass");
    }

    #[test]
    fn masks_of_the_same_keys_cannot_be_compared_and_literals_always_pass() {
        let nodes = iris(0..3);
        let tuples: Vec<_> = nodes.iter().map(|node| [node.as_ref()]).collect();
        let (one, other) = (
            Mask::of([1; SALT], &tuples).unwrap(),
            Mask::of([2; SALT], &tuples).unwrap(),
        );
        assert_ne!(one.bits, other.bits);
        assert_eq!(one.bits.len(), Mask::of([1; SALT], &tuples[..1]).unwrap().bits.len());
        assert!(one.may_hold(&[Literal::new_simple_literal("x").into()]));
        assert!(!one.may_hold(&[iris(99..100).remove(0).into()]));
    }

    #[test]
    fn what_is_no_mask_is_not_read() {
        let long = URL_SAFE_NO_PAD.encode(vec![0; SALT + 2 * BYTES_MAX]);
        let odd = URL_SAFE_NO_PAD.encode([0; SALT + 129]);
        for text in ["", "AAAA", "%", &odd, &long] {
            assert_eq!(Mask::parse(text), None, "{text:.20}");
        }
        assert!(Mask::of([0; SALT], &vec![[NamedNodeRef::new_unchecked("a:b")]; KEYS_MAX + 1]).is_none());
    }
}
