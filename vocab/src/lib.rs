//! IRIs, contexts, shapes and requirement ids that every Meent crate names things with
