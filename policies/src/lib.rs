//! Pure policy decisions: facts in, decision out
