//! Why an outgoing request gave nothing.

use std::fmt;

/// An outgoing request that failed. Its text is the same for every cause: who chose the address must not learn from an error
/// which addresses, ports or names exist behind this server (T36). The cause is in the trace and in [`failure`](Self::failure).
#[derive(Debug)]
pub struct EgressError {
    failure: EgressFailure,
}

/// The cause of an [`EgressError`], for the log and for decisions about retries; never shown to who chose the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EgressFailure {
    /// The guard refuses the address, the scheme or the URL.
    Refused,
    /// The name does not resolve, nothing listens, or TLS fails.
    Unreachable,
    /// The time is over.
    TimedOut,
    /// The answer is larger than allowed.
    TooLarge,
    /// The remote redirects where it may not be followed.
    Redirected,
    /// The remote broke the protocol or the connection.
    Broken,
}

impl EgressError {
    pub(super) fn new(failure: EgressFailure) -> Self {
        Self { failure }
    }

    /// The cause.
    pub fn failure(&self) -> EgressFailure {
        self.failure
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.failure,
            EgressFailure::Unreachable | EgressFailure::TimedOut | EgressFailure::Broken
        )
    }
}

impl EgressFailure {
    /// A word for traces and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::TooLarge => "too-large",
            Self::Redirected => "redirected",
            Self::Broken => "broken",
        }
    }
}

impl fmt::Display for EgressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the remote resource could not be used")
    }
}

impl std::error::Error for EgressError {}
