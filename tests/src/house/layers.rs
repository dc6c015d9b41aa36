//! Which crate may depend on which (ARCHITECTURE §2).

use serde_json::Value;

/// The allowed edges between the workspace's crates. What is not listed is forbidden.
pub const ALLOWED: [(&str, &[&str]); 7] = [
    ("vocab", &[]),
    ("policies", &["vocab"]),
    ("server-kit", &["policies", "vocab"]),
    ("pod-server", &["server-kit", "policies", "vocab"]),
    ("broker", &["server-kit", "policies", "vocab"]),
    (
        "meent-tests",
        &["vocab", "policies", "server-kit", "pod-server", "broker"],
    ),
    ("xtask", &["meent-tests"]),
];

/// Crates that do I/O and so may not stand below the I/O line, in `policies` and `vocab` (invariant 1).
const IO: [&str; 12] = [
    "tokio",
    "hyper",
    "hyper-util",
    "rusqlite",
    "getrandom",
    "rand",
    "reqwest",
    "tracing",
    "parking_lot",
    "openssl",
    "josekit",
    "rustls",
];

/// The edges that break the layers, as sentences.
#[must_use]
pub fn faults(metadata: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    for package in packages.filter(|package| package.get("source").is_some_and(Value::is_null)) {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            faults.push(format!("the crate `{name}` has no place in the layers"));
            continue;
        };
        for dependency in package
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let to = dependency.get("name").and_then(Value::as_str).unwrap_or_default();
            let inside = ALLOWED.iter().any(|(known, _)| *known == to);
            if inside && !allowed.contains(&to) {
                faults.push(format!("`{name}` may not depend on `{to}`"));
            }
            let normal = dependency.get("kind").is_none_or(Value::is_null);
            if normal && matches!(name, "vocab" | "policies") && IO.contains(&to) {
                faults.push(format!("`{name}` is pure and may not depend on `{to}`"));
            }
        }
    }
    faults
}
