//! Server records and the events by which followers learn of every change.

use super::resource::{ResourceId, Sequence};
use crate::name::ResourceName;

/// Kinds of server records: small documents that are not resources. The key is unique inside its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    /// Accounts, by account id.
    Account,
    /// Login name → account id.
    Login,
    /// Client credentials, by client id.
    ClientCredential,
    /// Console sessions, by hashed token.
    Session,
    /// Authorization codes, refresh tokens and registered clients of the issuer.
    Issuer,
    /// Dataset descriptions, by `{storage}/{id}`.
    Dataset,
    /// Contract negotiations, by `{storage}/{id}`.
    Negotiation,
    /// Agreements, by agreement IRI.
    Agreement,
    /// When and how often agreements were used whose policy looks at that, by agreement IRI.
    Use,
    /// What numbers rest on that were given out where only aggregates are, by `{storage}/{dataset}/{consumer}/…`.
    Answer,
    /// What owners state about the world, by `{storage}/facts`.
    Statement,
    /// Consents, by `{storage}/{id}`.
    Consent,
    /// Mandates to decide about consents for someone, by `{storage}/{id}`, and where a holder has one, by
    /// `~{digest of the holder}/{storage}/{id}`.
    Mandate,
    /// What a person wants done with requests for consent, and what is done without consent, by `{storage}/…`.
    ConsentSetting,
    /// Notices about ended consents on their way to recipients, and the duties that they open, by `{storage}/…` and
    /// `~due/…`.
    DeleteDuty,
    /// Per-person secrets that salt audit commitments, by WebID or storage root. Deleting one erases the link.
    PersonSecret,
    /// Notification channels, their ends in order, and how many there are: `channel/…`, `end/…`, `count/…`.
    Notification,
    /// Which authorization system a storage uses, by its root; without one it is Web Access Control.
    AuthorizationSystem,
    /// That a storage has an origin of its own, by its root; without one it lies below the server's base URL. It stays when
    /// the storage is gone: nobody else's data gets its IRIs.
    StorageOrigin,
    /// Who made a resource, by its identity; only in storages whose rules may ask for it.
    Creator,
    /// States of documents that recorded decisions rest on, by `{root of the storage}{SHA-256 in hexadecimal}`.
    Evidence,
    /// Progress of imports, by job.
    Import,
    /// Everything the server needs to remember about itself, such as keys' fingerprints and format versions.
    Server,
}

/// What happened, for those who follow the store (index, caches, notifications, streams).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Order of commits; several events may share one.
    pub sequence: Sequence,
    /// What changed.
    pub change: Change,
}

/// A change that followers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The resource is new.
    Created {
        /// Identity.
        id: ResourceId,
        /// Name.
        name: ResourceName,
    },
    /// The resource has a new state.
    Updated {
        /// Identity.
        id: ResourceId,
        /// Name.
        name: ResourceName,
    },
    /// The resource is gone.
    Deleted {
        /// Identity.
        id: ResourceId,
        /// Name.
        name: ResourceName,
    },
    /// A record was written or, with `deleted`, removed.
    Record {
        /// Kind.
        kind: RecordKind,
        /// Key.
        key: String,
        /// Whether it is gone.
        deleted: bool,
    },
}
