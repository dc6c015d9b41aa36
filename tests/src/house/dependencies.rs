//! What may enter the build: licences, sources, and crates that were turned down for a reason.

/// Licences that the project accepts. MPL-2.0 and CeCILL-B are used unmodified.
const LICENCES: [&str; 17] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "BSL-1.0",
    "MPL-2.0",
    "CECILL-B",
    "CDLA-Permissive-2.0",
    "EUPL-1.2",
    "MIT-0",
];

/// Crates that must not be built, and why.
const REFUSED: [(&str, &str); 7] = [
    ("ring", "a second rustls provider makes rustls panic"),
    (
        "oxrocksdb-sys",
        "RocksDB does not sync commits and costs most of a cold build",
    ),
    (
        "librocksdb-sys",
        "RocksDB does not sync commits and costs most of a cold build",
    ),
    ("native-tls", "TLS is rustls"),
    ("rumqttc", "it brings a TLS verifier with known advisories"),
    ("ssi", "it brings unmaintained cryptography"),
    ("oxhttp", "the query engine must not fetch anything by itself"),
];

/// Oldest accepted versions of crates with published advisories.
const AT_LEAST: [(&str, [u64; 3]); 5] = [
    ("h2", [0, 4, 16]),
    ("rustls-webpki", [0, 103, 13]),
    ("bytes", [1, 11, 1]),
    ("time", [0, 3, 47]),
    ("tar", [0, 4, 45]),
];

/// One package that is really built: its features and targets are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Where it comes from, if not from crates.io or this workspace.
    pub foreign: Option<String>,
    /// SPDX expression.
    pub licence: String,
}

/// Everything that is built for Linux, tests included.
///
/// # Panics
/// When cargo cannot run: the check cannot be made then.
#[must_use]
pub fn built() -> Vec<Package> {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--prefix",
            "none",
            "--format",
            "{p}|{l}",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .current_dir(super::top())
        .output()
        .expect("cargo tree runs");
    let text = String::from_utf8(output.stdout).expect("cargo tree prints UTF-8");
    let mut packages: Vec<Package> = text.lines().filter_map(package).collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    packages.dedup();
    packages
}

/// Reads a line such as `h2 v0.4.16|MIT`, `serde_derive v1.0.0 (proc-macro)|MIT` or `far v1.0.0 (https://…)|MIT`.
fn package(line: &str) -> Option<Package> {
    let (described, licence) = line.trim_end_matches(" (*)").split_once('|')?;
    let mut words = described.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.trim_start_matches('v').to_owned();
    let foreign = words
        .find(|word| word.contains("://"))
        .map(|word| word.trim_matches(['(', ')']).to_owned());
    Some(Package {
        name,
        version,
        foreign,
        licence: licence.trim_end_matches(" (*)").to_owned(),
    })
}

/// What is wrong with the dependencies, as sentences.
#[must_use]
pub fn faults(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for Package {
        name,
        version,
        foreign,
        licence,
    } in packages
    {
        if let Some(source) = foreign {
            faults.push(format!("`{name}` does not come from crates.io but from `{source}`"));
        }
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| refused == name) {
            faults.push(format!("`{name}` may not be built: {reason}"));
        }
        if let Some((_, least)) = AT_LEAST.iter().find(|(known, _)| known == name)
            && numbers(version) < *least
        {
            faults.push(format!(
                "`{name}` {version} has published advisories; at least {least:?} is needed"
            ));
        }
        if !licence_accepted(licence) {
            faults.push(format!(
                "`{name}` has the licence `{licence}`, which is not on the list"
            ));
        }
    }
    faults
}

/// Whether an SPDX expression can be met from the list: one side of each `OR`, both sides of each `AND`.
fn licence_accepted(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

fn numbers(version: &str) -> [u64; 3] {
    let mut numbers = [0; 3];
    for (slot, part) in numbers.iter_mut().zip(version.split(['.', '-', '+'])) {
        *slot = part.parse().unwrap_or(0);
    }
    numbers
}
