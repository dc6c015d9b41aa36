//! The rules of the house hold over the whole tree, and each check fails when it is provoked.

use meent_tests::house::dependencies::Package;
use meent_tests::house::{dependencies, layers, metadata, tidy, top};
use serde_json::json;

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn layers_hold() {
    none(&layers::faults(&metadata()));
}

#[test]
fn dependencies_are_accepted() {
    none(&dependencies::faults(&dependencies::built()));
}

#[test]
fn the_tree_is_tidy() {
    none(&tidy::faults(&top()).unwrap());
}

/// A forbidden edge and I/O below the line are each named.
#[test]
fn layers_fail_when_provoked() {
    let package =
        |name: &str, to: &str| json!({"name": name, "source": null, "dependencies": [{"name": to, "kind": null}]});
    let metadata =
        json!({"packages": [package("policies", "tokio"), package("pod-server", "broker"), package("new", "vocab")]});
    let faults = layers::faults(&metadata);
    assert_eq!(
        faults,
        [
            "`policies` is pure and may not depend on `tokio`",
            "`pod-server` may not depend on `broker`",
            "the crate `new` has no place in the layers",
        ]
    );
}

/// A refused crate, an unknown licence, a foreign source and an old version are each named.
#[test]
fn dependencies_fail_when_provoked() {
    let package = |name: &str, version: &str, licence: &str, foreign: Option<&str>| Package {
        name: name.into(),
        version: version.into(),
        licence: licence.into(),
        foreign: foreign.map(Into::into),
    };
    let built = [
        package("ring", "0.17.0", "ISC", None),
        package("odd", "1.0.0", "Proprietary", None),
        package("far", "1.0.0", "MIT OR Apache-2.0", Some("https://example.org/far")),
        package("h2", "0.4.2", "MIT", None),
        package("fine", "1.0.0", "(MIT OR GPL-3.0) AND Zlib", None),
    ];
    assert_eq!(dependencies::faults(&built).len(), 4);
}

/// A long file, a file without a beginning, a nameless name, a left-over, a file that no module names and a stray
/// top-level entry are each named.
#[test]
fn tidy_fails_when_provoked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("stray.txt", "");
    std::fs::create_dir(folder.path().join("vocab")).unwrap();
    write("vocab/lib.rs", "//! All.\nmod utils;\nmod long;\npub mod bare;\n");
    write("vocab/utils.rs", "//! Something.\n");
    write("vocab/long.rs", &format!("//! Long.\n{}", "\n".repeat(700)));
    write("vocab/bare.rs", "fn main() {}\n");
    write(
        "vocab/forgotten.rs",
        concat!("//! Left over.\nfn f() { to", "do!() }\n"),
    );
    let faults = tidy::faults(folder.path()).unwrap();
    assert_eq!(faults.len(), 6, "{}", faults.join("\n"));
}
