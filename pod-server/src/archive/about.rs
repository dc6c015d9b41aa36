//! The first and the last file of an archive.

use serde::{Deserialize, Serialize};

use crate::authz::AuthorizationSystem;

/// `about.json`: whose storage it was and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Always `meent-storage`.
    pub format: String,
    /// Version of the layout.
    pub version: u32,
    /// IRI of the storage's root.
    pub storage: String,
    /// WebID of the owner.
    pub owner: String,
    /// The issuer of the server that it was on.
    pub issuer: String,
    /// The authorization system that its access rules are written for.
    #[serde(default)]
    pub authorization: AuthorizationSystem,
    /// When the archive was begun (RFC 3339).
    pub written: String,
    /// What the archive holds and what not, for people.
    pub holds: String,
}

impl About {
    /// What stands in [`About::holds`].
    pub const HOLDS: &'static str = "All resources of the storage with their media types, access rules and \
         descriptions. Not in here: accounts, consents, agreements, the audit log, and who made which resource, which \
         stay with the server.";
}

/// `complete.json`: how much there is. It is written last, and only when all of it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Complete {
    /// Files and folders below `data/`.
    pub entries: u64,
    /// Bytes of all files below `data/`.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits, over a line `{SHA-256 of the file}  {name}` for each entry, as `sha256sum` writes them; a
    /// folder counts as an empty file.
    pub digest: String,
    /// The last commit of the store when the archive was begun, and when it was finished. Where they differ, the storage
    /// was in use: each resource is whole and as it was at one moment in between, and no access rule changed meanwhile.
    pub commits: [u64; 2],
}
