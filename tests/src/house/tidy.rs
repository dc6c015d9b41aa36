//! What every file of the tree must keep to: length, names, words, and a reason for being there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Longest source file in lines.
const LINES_MAX: usize = 600;

/// File and module names that say nothing about what is inside.
const NAMES_REFUSED: [&str; 8] = [
    "utils", "util", "helpers", "helper", "misc", "common", "manager", "stuff",
];

/// Entries that the top level may hold; names that begin with a dot are allowed besides.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "pod-server",
    "broker",
    "policies",
    "vocab",
    "tests",
    "deploy",
];

/// What is wrong with the tree below `top`, as sentences.
///
/// # Errors
/// When the tree cannot be read.
pub fn faults(top: &Path) -> std::io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(top)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && name != "target" && !TOP_LEVEL.contains(&name.as_str()) {
            faults.push(format!("`{name}` does not belong at the top level"));
        }
    }
    let files = files(top)?;
    let named = named(&files);
    for path in files {
        let shown = path.strip_prefix(top).unwrap_or(&path).display().to_string();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        if NAMES_REFUSED.contains(&stem.as_str()) {
            faults.push(format!("`{shown}`: the name does not say what is inside"));
        }
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        if path.extension().is_some_and(|extension| extension == "rs") {
            source(&shown, &text, &mut faults);
            if !is_compiled(&path, &stem, &named) {
                faults.push(format!(
                    "`{shown}`: no module and no manifest names it, so nobody compiles it"
                ));
            }
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = forbidden(line) {
                faults.push(format!("`{shown}` line {}: `{word}` may not stand here", number + 1));
            }
        }
    }
    faults.sort();
    Ok(faults)
}

/// What modules (`mod name;`) and manifests (`path = "tests/name.rs"`) name.
fn named(files: &[PathBuf]) -> HashSet<String> {
    let mut named = HashSet::new();
    for path in files {
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        let of_rust = path.extension().is_some_and(|extension| extension == "rs");
        if of_rust {
            let modules = text
                .lines()
                .filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod "));
            named.extend(modules.map(|(_, name)| name.to_lowercase()));
        }
        if of_rust || path.file_name().is_some_and(|name| name == "Cargo.toml") {
            let paths = text
                .lines()
                .filter_map(|line| line.split_once("path = \"")?.1.split_once(".rs\""));
            named.extend(paths.filter_map(|(path, _)| Some(path.rsplit('/').next()?.to_lowercase())));
        }
    }
    named
}

fn is_compiled(path: &Path, stem: &str, named: &HashSet<String>) -> bool {
    let in_bin = path.parent().is_some_and(|folder| folder.ends_with("bin"));
    in_bin || matches!(stem, "main" | "lib" | "mod" | "build") || named.contains(stem)
}

fn source(shown: &str, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("`{shown}` has {lines} lines; {LINES_MAX} is the most"));
    }
    if !text.trim_start().starts_with("//!") {
        faults.push(format!("`{shown}` does not begin by saying what it is for (`//!`)"));
    }
}

/// Words that would make the text untrue or tie it to one machine. They are spelt apart so that this file passes.
fn forbidden(line: &str) -> Option<String> {
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ign", "ore"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
    ];
    words
        .iter()
        .find(|word| line.contains(**word))
        .map(|word| (*word).to_owned())
}

/// All files of the tree that belong to the project, without what a build leaves behind.
fn files(top: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if matches!(
                name.as_str(),
                "target" | ".git" | "node_modules" | "Cargo.lock" | "package-lock.json"
            ) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
