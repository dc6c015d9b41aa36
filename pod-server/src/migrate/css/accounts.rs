//! Accounts of the other server: one JSON document each, with logins, WebIDs, storages and client credentials inside.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// Largest document of one account, in bytes.
const ACCOUNT_BYTES_MAX: u64 = 4 << 20;

#[derive(Deserialize)]
struct Entry<T> {
    payload: T,
}

/// An account as the other server keeps it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct OldAccount {
    /// Its identity there.
    pub(super) id: String,
    #[serde(rename = "**password**", default)]
    passwords: BTreeMap<String, OldPassword>,
    #[serde(rename = "**pod**", default)]
    pods: BTreeMap<String, OldPod>,
    #[serde(rename = "**webIdLink**", default)]
    links: BTreeMap<String, OldLink>,
    #[serde(rename = "**clientCredentials**", default)]
    credentials: BTreeMap<String, OldCredential>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// A login with address and password.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct OldPassword {
    /// Address.
    pub(super) email: String,
    /// Hash in bcrypt's form.
    pub(super) password: String,
    /// Whether registering was finished.
    #[serde(default)]
    pub(super) verified: bool,
}

/// A storage.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldPod {
    /// IRI of its root.
    pub(super) base_url: String,
    #[serde(rename = "**owner**", default)]
    owners: BTreeMap<String, OldLink>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldLink {
    web_id: String,
}

/// Client credentials.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldCredential {
    /// Client id.
    pub(super) label: String,
    /// Secret.
    pub(super) secret: String,
    /// WebID that they act under.
    pub(super) web_id: String,
}

impl OldPod {
    /// WebIDs of its owners.
    pub(super) fn owners(&self) -> impl Iterator<Item = &str> {
        self.owners.values().map(|owner| owner.web_id.as_str())
    }
}

impl OldAccount {
    /// Storages in the order of their IRIs.
    pub(super) fn pods(&self) -> Vec<&OldPod> {
        let mut pods: Vec<&OldPod> = self.pods.values().collect();
        pods.sort_by(|left, right| left.base_url.cmp(&right.base_url));
        pods
    }

    /// Its WebIDs.
    pub(super) fn webids(&self) -> impl Iterator<Item = &str> {
        self.links.values().map(|link| link.web_id.as_str())
    }

    /// Finished logins with a password, in the order of their addresses.
    pub(super) fn logins(&self) -> Vec<&OldPassword> {
        let mut logins: Vec<&OldPassword> = self.passwords.values().filter(|login| login.verified).collect();
        logins.sort_by(|left, right| left.email.cmp(&right.email));
        logins
    }

    /// Client credentials.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &OldCredential> {
        self.credentials.values()
    }

    /// Kinds of login and other parts that this version does not know.
    pub(super) fn unknown_parts(&self) -> impl Iterator<Item = &str> {
        self.rest
            .iter()
            .filter(|(name, value)| name.starts_with("**") && value.as_object().is_some_and(|it| !it.is_empty()))
            .map(|(name, _)| name.trim_matches('*'))
    }
}

/// Reads the document of one account.
///
/// # Errors
/// In words.
pub(super) fn read(path: &Path) -> Result<OldAccount, String> {
    Ok(json::<OldAccount>(path)?.payload)
}

/// Reads a text that the other server notes about itself.
///
/// # Errors
/// In words; nothing when there is no such file.
pub(super) fn noted(path: &Path) -> Result<Option<String>, String> {
    if !path.exists() {
        return Ok(None);
    }
    json::<String>(path).map(|entry| Some(entry.payload))
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Entry<T>, String> {
    let about = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("not a plain file".to_owned());
    }
    if about.len() > ACCOUNT_BYTES_MAX {
        return Err(format!("longer than {ACCOUNT_BYTES_MAX} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("not the JSON that version 7 writes: {error}"))
}
