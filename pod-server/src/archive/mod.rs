//! One storage as one archive: what a person takes along, what an operator moves to another server.
//!
//! The archive is a gzip-compressed tar file (POSIX.1-2001, pax) that any program unpacks:
//!
//! - `about.json`: whose storage it was, where, and what the archive holds;
//! - `data/…`: the resources under their own names. Access rules (`….acl`) and descriptions (`….meta`) stand right
//!   behind the resource that they belong to; what a container says of itself is `…/%container.ttl`, which is no name that
//!   a resource could have;
//! - `complete.json`: how much there is, and one digest over all of it. An archive without it is a broken one.
//!
//! Media type and SHA-256 of each file stand in its pax header, as the extended attributes `user.mime_type` and
//! `user.checksum.sha256`. Data and access rules are in the archive; accounts, consents, agreements and the audit log are
//! not: they are between people and the server that they dealt with, and nobody may carry them elsewhere and claim that
//! they hold there.
//!
//! Writing and reading take a bounded amount of memory. An import replays resources under the rules of a PUT; nothing is
//! ever unpacked to the disk (T127).

mod about;
mod error;
mod export;
mod import;
mod read;
mod rebase;
mod stream;

pub use about::{About, Complete};
pub use error::ArchiveError;
pub use export::{Source, export};
pub use import::{Check, Destination, Entries, Imported, has_begun, import, store_entries};
pub use read::{Item, Part, ReadLimits, Visit, about};
pub(crate) use rebase::with_iris;
pub use rebase::{How, Rebase, Storages};
pub use stream::{Exports, file_name};

/// Version of the layout, in `about.json`.
const VERSION: u32 = 1;

/// What `about.json` says it is.
const FORMAT: &str = "meent-storage";

/// First file.
const ABOUT: &str = "about.json";

/// Last file.
const COMPLETE: &str = "complete.json";

/// Folder of the resources.
const DATA: &str = "data/";

/// File name of a container's own statements. `%co` is no percent-encoding, so no resource is called that.
const OWN_STATEMENTS: &str = "%container.ttl";

/// The pax key of the media type: the extended attribute that desktop programs know.
const PAX_MEDIA_TYPE: &str = "SCHILY.xattr.user.mime_type";

/// The pax key of the SHA-256, in hexadecimal digits.
const PAX_SHA256: &str = "SCHILY.xattr.user.checksum.sha256";
