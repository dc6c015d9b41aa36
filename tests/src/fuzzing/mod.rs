//! What the fuzzer and the corpus test feed with arbitrary bytes: every parser that reads what a stranger sends.
//!
//! A target must return, whatever the bytes are, and asserts what has to hold for those that it accepts. Seeds lie in
//! `tests/corpus/fuzz/TARGET/`; `tests/run` walks them and simple mutations of them, `cargo xtask fuzz` searches on.

mod headers;
mod policies;
mod rdf;

use std::path::{Path, PathBuf};

/// One parser and what has to hold for it.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is the name of its folder of seeds.
    pub name: &'static str,
    /// Feeds it.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "turtle",
        run: rdf::turtle,
    },
    Target {
        name: "json-ld",
        run: rdf::json_ld,
    },
    Target {
        name: "n3-patch",
        run: rdf::n3_patch,
    },
    Target {
        name: "sparql-update",
        run: rdf::sparql_update,
    },
    Target {
        name: "sparql-query",
        run: rdf::sparql_query,
    },
    Target {
        name: "acl",
        run: policies::acl,
    },
    Target {
        name: "odrl-turtle",
        run: policies::odrl_turtle,
    },
    Target {
        name: "odrl-json-ld",
        run: policies::odrl_json_ld,
    },
    Target {
        name: "path",
        run: headers::path,
    },
    Target {
        name: "range",
        run: headers::range,
    },
    Target {
        name: "link",
        run: headers::link,
    },
    Target {
        name: "accept",
        run: headers::accept,
    },
    Target {
        name: "conditions",
        run: headers::conditions,
    },
    Target {
        name: "jwt",
        run: headers::jwt,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Where the seeds of a target lie.
#[must_use]
pub fn seeds(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus/fuzz")
        .join(target.name)
}
