//! The meter inside the evaluator.
//!
//! The evaluator looks at its cancellation token only when it reads the dataset. Products, hash joins, sorts and groups
//! over what has been read already would go on for as long as they please. All of them copy bound terms; the term type
//! that the evaluator is given counts its copies here. When the budget is used up, or the token is cancelled, the copy
//! unwinds the evaluation up to [`metered`].

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use spareval::CancellationToken;

use crate::index::TermId;

/// Copies between two looks at the token.
const SLICE: u64 = 1 << 16;

/// A term inside the evaluator. Copying it is work.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct BoundTerm(pub TermId);

impl Clone for BoundTerm {
    #[inline]
    fn clone(&self) -> Self {
        LEFT.with(|left| match left.get().checked_sub(1) {
            Some(rest) => left.set(rest),
            None => look(),
        });
        Self(self.0)
    }
}

struct Meter {
    token: CancellationToken,
    used: u64,
    max: u64,
}

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static METER: RefCell<Option<Meter>> = const { RefCell::new(None) };
}

/// Why metered work was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// The token was cancelled.
    Cancelled,
    /// The budget of this many copies is used up.
    Budget(u64),
}

#[cold]
fn look() {
    let cut_off = METER.with_borrow_mut(|meter| {
        let meter = meter.as_mut()?;
        meter.used += SLICE;
        if meter.token.is_cancelled() {
            return Some(CutOff::Cancelled);
        }
        (meter.used >= meter.max).then_some(CutOff::Budget(meter.max))
    });
    match cut_off {
        // Dropping what the evaluation holds copies nothing, but must not be cut off a second time either.
        Some(cut_off) if !std::thread::panicking() => {
            LEFT.set(u64::MAX);
            resume_unwind(Box::new(cut_off));
        }
        Some(_) => LEFT.set(u64::MAX),
        None => LEFT.set(SLICE),
    }
}

/// Runs work on this thread with a budget of copies.
///
/// # Errors
/// [`CutOff`] when the work was cut off. Other panics go on.
pub fn metered<T>(token: &CancellationToken, copies_max: u64, work: impl FnOnce() -> T) -> Result<T, CutOff> {
    METER.set(Some(Meter {
        token: token.clone(),
        used: 0,
        max: copies_max,
    }));
    LEFT.set(SLICE.min(copies_max));
    let result = catch_unwind(AssertUnwindSafe(work));
    LEFT.set(u64::MAX);
    METER.set(None);
    result.map_err(|payload| match payload.downcast::<CutOff>() {
        Ok(cut_off) => *cut_off,
        Err(payload) => resume_unwind(payload),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::suspicious_map, reason = "the copies are the point")]
    fn copies_are_counted_and_cut_off() {
        let term = BoundTerm(TermId::from_number(7).unwrap());
        let token = CancellationToken::new();
        assert_eq!(
            metered(&token, 1_000_000, || (0..500_000).map(|_| term.clone()).count()),
            Ok(500_000)
        );
        let endless = || (0..u64::MAX).map(|_| term.clone()).count();
        assert_eq!(metered(&token, 1_000_000, endless), Err(CutOff::Budget(1_000_000)));
        token.cancel();
        assert_eq!(metered(&token, u64::MAX, endless), Err(CutOff::Cancelled));
        assert_eq!((0..500_000).map(|_| term.clone()).count(), 500_000, "no meter outside");
    }
}
