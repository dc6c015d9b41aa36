//! Trees of every small size against a direct computation, and a log that is tampered with.
