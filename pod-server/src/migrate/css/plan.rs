//! What is where, and what it becomes: decided before anything is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::report::{Finding, MigrateError, Outcome};
use super::accounts::{self, OldAccount};
use super::run::Options;
use crate::authz::AuthorizationSystem;
use crate::identity::site::check_name;

/// Folder of the other server's own notes.
const INTERNAL: &str = ".internal";

/// The version whose folders are read.
const VERSION: &str = "7";

/// Files of the other server's own notes that are counted for the report.
const COUNTED_MAX: usize = 1_000_000;

/// A storage that moves.
#[derive(Clone, Debug)]
pub(super) struct MovingPod {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// IRI of its root, with a closing slash.
    pub(super) iri: String,
    /// Its name here.
    pub(super) name: String,
    /// WebIDs of its owners there.
    pub(super) owners: Vec<String>,
}

/// An account that moves.
#[derive(Clone, Debug)]
pub(super) struct MovingAccount {
    /// As it was.
    pub(super) old: OldAccount,
    /// Its storages, at least one.
    pub(super) pods: Vec<MovingPod>,
}

/// Everything that moves.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The other server's URL, with a closing slash.
    pub(super) base_url: String,
    /// Its authorization system.
    pub(super) system: AuthorizationSystem,
    /// In the order of their old identities.
    pub(super) accounts: Vec<MovingAccount>,
}

/// Reads the folder's own notes.
pub(super) fn plan(options: &Options, found: &mut dyn FnMut(Finding)) -> Result<Plan, MigrateError> {
    let folder = options.folder.as_path();
    let refuse = |reason: String| MigrateError::Folder {
        folder: folder.display().to_string(),
        reason,
    };
    let internal = folder.join(INTERNAL);
    let data = internal.join("accounts/data");
    if !data.is_dir() {
        return Err(refuse(format!(
            "not the data folder of a Community Solid Server with accounts: there is no `{INTERNAL}/accounts/data` in it. Name \
             the folder that the server was given as `--rootFilePath`"
        )));
    }
    let version = accounts::noted(&internal.join("setup/current-server-version$.json")).map_err(&refuse)?;
    if let Some(version) = version.filter(|version| version.split('.').next() != Some(VERSION)) {
        return Err(refuse(format!(
            "it was last used by version {version}, and version {VERSION} is read here: start version {VERSION} once, which \
             converts it"
        )));
    }
    let noted = accounts::noted(&internal.join("setup/current-base-url$.json")).map_err(&refuse)?;
    let base_url = options.base_url.clone().or(noted);
    let base_url =
        base_url.ok_or_else(|| refuse("its old URL is not noted in it: give it with `--base-url`".to_owned()))?;
    let mut planning = Planning {
        folder,
        base_url: format!("{}/", base_url.trim_end_matches('/')),
        rename: &options.rename,
        folders: BTreeSet::new(),
        names: BTreeMap::new(),
        found,
    };
    let accounts = planning.accounts(&data)?;
    planning.rest()?;
    planning.internal(&internal)?;
    let system = options.system.map_or_else(|| system_of(&accounts), Ok);
    Ok(Plan {
        base_url: planning.base_url,
        system: system.map_err(refuse)?,
        accounts,
    })
}

/// The authorization system of the old server, told by the rules of its storages' roots. They cannot be deleted there, but
/// whoever may write into a root can put a document with the name of the other kind beside them: that proves nothing.
fn system_of(accounts: &[MovingAccount]) -> Result<AuthorizationSystem, String> {
    let mut certain = None;
    for pod in accounts.iter().flat_map(|account| &account.pods) {
        let seen = match (pod.folder.join(".acl").exists(), pod.folder.join(".acr").exists()) {
            (true, false) => AuthorizationSystem::Wac,
            (false, true) => AuthorizationSystem::Acp,
            (false, false) => continue,
            (true, true) => {
                return Err(format!(
                    "`{}` holds an access control list and an access control resource: say with `--system` which of the two \
                     the old server used",
                    pod.folder.display()
                ));
            }
        };
        if certain.is_some_and(|certain| certain != seen) {
            return Err(
                "some storages have access control lists and others access control resources: say with `--system` \
                        which of the two the old server used"
                    .to_owned(),
            );
        }
        certain = Some(seen);
    }
    Ok(certain.unwrap_or_default())
}

struct Planning<'p> {
    folder: &'p Path,
    base_url: String,
    rename: &'p BTreeMap<String, String>,
    /// Names of folders that are storages of accounts.
    folders: BTreeSet<String>,
    /// Names here, and the IRIs that they are of.
    names: BTreeMap<String, String>,
    found: &'p mut dyn FnMut(Finding),
}

impl Planning<'_> {
    fn leave_out(&mut self, what: impl Into<String>, reason: impl Into<String>) {
        (self.found)(Finding {
            outcome: Outcome::LeftOut,
            what: what.into(),
            reason: reason.into(),
        });
    }

    fn listed(&self, folder: &Path) -> Result<Vec<PathBuf>, MigrateError> {
        let failed = |error: std::io::Error| MigrateError::Folder {
            folder: folder.display().to_string(),
            reason: error.to_string(),
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        Ok(paths)
    }

    fn accounts(&mut self, data: &Path) -> Result<Vec<MovingAccount>, MigrateError> {
        let mut moving = Vec::new();
        for path in self.listed(data)? {
            let old = match accounts::read(&path) {
                Ok(old) => old,
                Err(reason) => {
                    self.leave_out(
                        path.display().to_string(),
                        format!("an account that cannot be read: {reason}"),
                    );
                    continue;
                }
            };
            let mut pods = Vec::new();
            for pod in old.pods() {
                let owners = pod.owners().map(str::to_owned).collect();
                match self.pod(&pod.base_url, owners) {
                    Ok(pod) => pods.push(pod),
                    Err(reason) => self.leave_out(pod.base_url.clone(), reason),
                }
            }
            if pods.is_empty() {
                let addresses: Vec<&str> = old.logins().iter().map(|login| login.email.as_str()).collect();
                let what = format!("account {} ({})", old.id, addresses.join(", "));
                self.leave_out(
                    what,
                    "it has no storage that comes along, and an account here begins with one",
                );
                continue;
            }
            moving.push(MovingAccount { old, pods });
        }
        Ok(moving)
    }

    fn pod(&mut self, iri: &str, owners: Vec<String>) -> Result<MovingPod, String> {
        let old = iri.strip_prefix(&self.base_url).ok_or_else(|| {
            format!(
                "a storage that is not below `{}`: is `--base-url` right?",
                self.base_url
            )
        })?;
        let old = old.strip_suffix('/').unwrap_or(old);
        if old.is_empty() || old.contains('/') {
            return Err("a storage is one level below the server's root here, and this one is not".to_owned());
        }
        let decoded = percent_encoding::percent_decode_str(old).decode_utf8();
        let folder = decoded.map_err(|_| "its name is not UTF-8".to_owned())?.into_owned();
        if matches!(folder.as_str(), "." | ".." | INTERNAL) || folder.contains(['/', '\\']) {
            return Err("its name is no folder's".to_owned());
        }
        let path = self.folder.join(&folder);
        if !std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir()) {
            return Err(format!("there is no folder `{}`", path.display()));
        }
        self.folders.insert(folder);
        let name = self.rename.get(old).cloned().unwrap_or_else(|| fitting(old));
        check_name(&name).map_err(|error| format!("{error}: give it another one with `--rename {old}=NAME`"))?;
        if let Some(other) = self.names.get(&name) {
            return Err(format!(
                "the name `{name}` is that of {other} already: give it another one with `--rename {old}=NAME`"
            ));
        }
        self.names.insert(name.clone(), iri.to_owned());
        if name != old {
            (self.found)(Finding {
                outcome: Outcome::Changed,
                what: iri.to_owned(),
                reason: format!("its name becomes `{name}`"),
            });
        }
        Ok(MovingPod {
            folder: path,
            iri: format!("{}{old}/", self.base_url),
            name,
            owners,
        })
    }

    /// What lies beside the storages.
    fn rest(&mut self) -> Result<(), MigrateError> {
        for path in self.listed(self.folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == INTERNAL || self.folders.contains(&name) {
                continue;
            }
            let reason = match name.as_str() {
                ".acl" | ".acr" => "access rules of the server's root, which holds no resources here",
                ".meta" => "a description of the server's root, which holds no resources here",
                _ if path.is_dir() => "a folder that is no account's storage",
                _ => "a document beside the storages, where none can be here",
            };
            self.leave_out(path.display().to_string(), reason);
        }
        Ok(())
    }

    /// What the running server noted for itself.
    fn internal(&mut self, internal: &Path) -> Result<(), MigrateError> {
        for path in self.listed(internal)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let reason = match name.as_str() {
                "accounts" | "setup" => continue,
                "locks" => "locks",
                "idp" => "keys, tokens and log-ins under way of the old issuer: everyone logs in anew",
                "notifications" => "subscriptions to notifications: applications subscribe anew",
                "forgot-password" => "links for forgotten passwords: they count no more",
                _ => "notes that the old server kept for itself",
            };
            match count(&path) {
                0 => {}
                files => self.leave_out(path.display().to_string(), format!("{reason} ({files} files)")),
            }
        }
        Ok(())
    }
}

/// A name that a storage can have here, as near to the old one as may be.
fn fitting(old: &str) -> String {
    let name: String = old
        .chars()
        .map(|character| match character {
            '_' | '.' | ' ' => '-',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    name.trim_matches('-').to_owned()
}

fn count(folder: &Path) -> usize {
    let (mut open, mut files) = (vec![folder.to_path_buf()], 0);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => files += 1,
            }
            if files == COUNTED_MAX {
                return files;
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_as_little_as_they_can() {
        for (old, new) in [("alice", "alice"), ("Alice_B", "alice-b"), ("_a.b_", "a-b"), ("é", "é")] {
            assert_eq!(fitting(old), new);
        }
    }
}
