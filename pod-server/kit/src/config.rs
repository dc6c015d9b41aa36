//! Configuration: one TOML file, overridden by environment variables.
//!
//! A variable is the prefix, then the key's path with `__` between its parts: with prefix `MEENT_`, `MEENT_SERVER__BASE_URL`
//! sets `server.base_url`; variables without `__` are not configuration. A broken configuration never starts a server with defaults: the error names the key and where it was set.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Toml};
use serde::de::DeserializeOwned;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file `{path}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file `{path}` is not valid TOML: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A key is unknown, missing or has a value that cannot be used.
    #[error("configuration key `{key}` in {place}: {reason}")]
    Key {
        /// The key's path with dots.
        key: String,
        /// The file or variable it was read from.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigError {
    /// An error about a key whose value is well typed but cannot be used.
    pub fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Key {
            key: key.into(),
            place: "the configuration".to_owned(),
            reason: reason.into(),
        }
    }
}

/// Loads a configuration. Structs should carry `#[serde(deny_unknown_fields)]` so that a misspelt key is refused.
///
/// # Errors
/// When the file cannot be read or parsed, or a key is unknown, missing or unusable; the error names it.
pub fn load<T: DeserializeOwned>(path: Option<&Path>, env_prefix: &str) -> Result<T, ConfigError> {
    let mut figment = Figment::new();
    if let Some(path) = path {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        // Parsed here first: figment reports a syntax error without the file's name.
        Toml::from_str::<toml_value::Ignored>(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        figment = figment.merge(Toml::file_exact(path));
    }
    // A variable without `__` names no key of a section: it belongs to scripts around the server.
    figment = figment.merge(
        Env::prefixed(env_prefix)
            .filter(|name| name.as_str().contains("__"))
            .split("__"),
    );
    figment.extract().map_err(|error| describe(error, path))
}

/// Accepts any TOML document.
mod toml_value {
    /// Any value.
    pub type Ignored = serde::de::IgnoredAny;
}

fn describe(error: figment::Error, path: Option<&Path>) -> ConfigError {
    let file = || path.map_or("the environment".to_owned(), |path| format!("`{}`", path.display()));
    let place = match error.metadata.as_ref() {
        Some(metadata) if metadata.name.contains("environment") => "an environment variable".to_owned(),
        _ => file(),
    };
    let mut parts = error.path.clone();
    let reason = match &error.kind {
        Kind::UnknownField(name, known) => {
            if parts.last() != Some(name) {
                parts.push(name.clone());
            }
            format!("unknown key; known here: {}", known.join(", "))
        }
        Kind::MissingField(name) => {
            parts.push(name.clone().into_owned());
            if path.is_none() {
                "missing: no configuration file was named (`--config FILE`), and no variable sets it".to_owned()
            } else {
                "missing".to_owned()
            }
        }
        kind => kind.to_string(),
    };
    ConfigError::Key {
        key: parts.join("."),
        place,
        reason,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        server: Server,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Server {
        base_url: String,
        workers: u32,
    }

    fn check(text: &str, expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.toml");
        std::fs::write(&path, text).unwrap();
        let error = load::<Example>(Some(&path), "MEENT_CONFIG_TEST_")
            .unwrap_err()
            .to_string();
        for part in expected {
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        }
        assert!(error.contains("server.toml"), "{error}");
    }

    #[test]
    fn errors_name_the_key_and_the_file() {
        check(
            "[server]\nbase_url = \"x\"\nworkers = \"many\"",
            &["`server.workers`", "many"],
        );
        check(
            "[server]\nbase_url = \"x\"\nworkers = 1\nworkes = 2",
            &["`server.workes`", "unknown key"],
        );
        check("[server]\nbase_url = \"x\"", &["`server.workers`", "missing"]);
        check("[server\n", &["not valid TOML"]);
    }

    /// The environment of a process is its own, so this test runs itself in a second process.
    #[test]
    fn an_environment_variable_overrides_the_file_and_is_named_when_wrong() {
        const RUN: &str = "KIT_CONFIG_TEST_FILE";
        if let Ok(path) = std::env::var(RUN) {
            match load::<Example>(Some(Path::new(&path)), "MEENT_CONFIG_TEST_") {
                Ok(example) => println!("workers are {}", example.server.workers),
                Err(error) => println!("refused: {error}"),
            }
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.toml");
        std::fs::write(&path, "[server]\nbase_url = \"https://example.org/\"\nworkers = 2").unwrap();
        let run = |name: &str, value: &str| {
            let this = "config::tests::an_environment_variable_overrides_the_file_and_is_named_when_wrong";
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", this, "--nocapture"])
                .env(RUN, &path)
                .env(name, value)
                .output()
                .unwrap();
            String::from_utf8_lossy(&child.stdout).into_owned()
        };
        assert!(run("MEENT_CONFIG_TEST_SERVER__WORKERS", "7").contains("workers are 7"));
        assert!(run("MEENT_CONFIG_TEST_SCRIPT", "7").contains("workers are 2"));
        let refused = run("MEENT_CONFIG_TEST_SERVER__WORKERS", "many");
        assert!(
            refused.contains("`server.workers`") && refused.contains("environment variable"),
            "{refused}"
        );
        let refused = run("MEENT_CONFIG_TEST_SERVER__WORKES", "7");
        assert!(
            refused.contains("`server.workes`") && refused.contains("unknown key"),
            "{refused}"
        );
    }

    #[test]
    fn a_file_loads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.toml");
        std::fs::write(&path, "[server]\nbase_url = \"https://example.org/\"\nworkers = 2").unwrap();
        let example: Example = load(Some(&path), "MEENT_CONFIG_TEST_").unwrap();
        assert_eq!(
            (example.server.base_url.as_str(), example.server.workers),
            ("https://example.org/", 2)
        );
    }
}
