//! A look at SPARQL text before it is parsed. Parsers of SPARQL, and every walk over what they make, descend with the text: enough
//! brackets, prefix operators or links of a chain end the process, and some calls are read again and again (T67). So texts are
//! counted first, in one pass and in constant stack. It must never let through what it cannot count.

mod calls;
mod nesting;

use policies::written::{self, TooLong};

pub use calls::{NestedCalls, REREAD_CALLS_MAX};

/// Bounds of a query text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextBounds {
    /// Longest text, in bytes.
    pub bytes_max: usize,
    /// Deepest nesting of brackets and prefix operators.
    pub nesting_max: usize,
    /// Most operators, which parsers chain without brackets.
    pub operators_max: usize,
}

/// Why a text is not given to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextRejection {
    /// Longer than the bound.
    #[error("the query has {bytes} bytes, more than {max}")]
    TooLong {
        /// Bytes of the text.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Nested deeper than the bound.
    #[error("line {line}, column {column}: nested deeper than {max}")]
    TooDeep {
        /// Line of what is too deep, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The bound.
        max: usize,
    },
    /// More operators than the bound.
    #[error("the query has more than {0} operators")]
    TooManyOperators(usize),
    /// A name that is written once and stands in very many places.
    #[error(transparent)]
    Names(#[from] TooLong),
    /// Calls nested so deeply that the parser would not come back.
    #[error(transparent)]
    Calls(#[from] NestedCalls),
}

impl TextRejection {
    /// Line and column, both from 1, where the rejection has a place.
    #[must_use]
    pub const fn place(&self) -> Option<(usize, usize)> {
        match self {
            Self::TooDeep { line, column, .. } | Self::Calls(NestedCalls { line, column }) => Some((*line, *column)),
            Self::TooLong { .. } | Self::TooManyOperators(_) | Self::Names(_) => None,
        }
    }
}

/// Checks a query or an update.
///
/// # Errors
/// [`TextRejection`], with the place where there is one.
pub fn check(text: &str, bounds: &TextBounds) -> Result<(), TextRejection> {
    if text.len() > bounds.bytes_max {
        return Err(TextRejection::TooLong {
            bytes: text.len(),
            max: bounds.bytes_max,
        });
    }
    nesting::check(text, bounds)?;
    written::sparql(text)?;
    Ok(calls::check(text)?)
}
