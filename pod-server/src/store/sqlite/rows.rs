//! Rows of the tables as values, and back.

use rusqlite::types::Type;
use rusqlite::{Error, Row};

use crate::name::ResourceName;
use crate::store::{
    BodyLocation, Member, RecordKind, Resource, ResourceId, ResourceKind, Sequence, Storage, StorageId, StoreError,
};

/// Columns that [`resource`] reads, in its order.
pub(super) const RESOURCE: &str = "id, storage, name, kind, media_type, size, blob, digest, \
     max(version, members_version), max(modified, members_modified)";

/// Columns that [`storage`] reads, in its order.
pub(super) const STORAGE: &str = "id, root, owner, bytes_used";

/// Columns that [`member`] reads, in its order.
pub(super) const MEMBER: &str = "name, kind, media_type, size, modified";

pub(super) fn resource(row: &Row<'_>) -> rusqlite::Result<Resource> {
    let blob: bool = row.get(6)?;
    let body = if blob {
        BodyLocation::Blob(row.get(7)?)
    } else {
        BodyLocation::Inline
    };
    Ok(Resource {
        id: ResourceId(row.get(0)?),
        storage: StorageId(row.get(1)?),
        name: name(row, 2)?,
        kind: kind(row, 3)?,
        media_type: row.get(4)?,
        size: unsigned(row, 5)?,
        version: Sequence(unsigned(row, 8)?),
        modified: row.get(9)?,
        body,
    })
}

pub(super) fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        name: name(row, 0)?,
        kind: kind(row, 1)?,
        media_type: row.get(2)?,
        size: unsigned(row, 3)?,
        modified: row.get(4)?,
    })
}

pub(super) fn storage(row: &Row<'_>) -> rusqlite::Result<Storage> {
    Ok(Storage {
        id: StorageId(row.get(0)?),
        root: name(row, 1)?,
        owner: row.get(2)?,
        bytes_used: unsigned(row, 3)?,
    })
}

/// A stored name was canonical when it was stored.
pub(super) fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<ResourceName> {
    let text = row.get_ref(column)?.as_str()?;
    Ok(ResourceName::from_canonical(text))
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
}

/// A count for the database, whose integers end at 2^63 − 1; nothing that is counted here gets there.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// As [`signed`], for limits of lists.
pub(super) fn limit(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) const fn kind_number(kind: ResourceKind) -> i64 {
    match kind {
        ResourceKind::Container => 0,
        ResourceKind::RdfSource => 1,
        ResourceKind::NonRdfSource => 2,
    }
}

fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<ResourceKind> {
    match row.get::<_, i64>(column)? {
        0 => Ok(ResourceKind::Container),
        1 => Ok(ResourceKind::RdfSource),
        2 => Ok(ResourceKind::NonRdfSource),
        other => Err(Error::IntegralValueOutOfRange(column, other)),
    }
}

/// The word for a kind of record in the database. Words stay as they are for as long as stores exist.
pub(super) const fn record_word(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Account => "account",
        RecordKind::Login => "login",
        RecordKind::ClientCredential => "client-credential",
        RecordKind::Session => "session",
        RecordKind::Issuer => "issuer",
        RecordKind::Dataset => "dataset",
        RecordKind::Negotiation => "negotiation",
        RecordKind::Agreement => "agreement",
        RecordKind::Use => "use",
        RecordKind::Answer => "answer",
        RecordKind::Statement => "statement",
        RecordKind::Consent => "consent",
        RecordKind::Mandate => "mandate",
        RecordKind::ConsentSetting => "consent-setting",
        RecordKind::DeleteDuty => "delete-duty",
        RecordKind::PersonSecret => "person-secret",
        RecordKind::Notification => "notification",
        RecordKind::AuthorizationSystem => "authorization-system",
        RecordKind::StorageOrigin => "storage-origin",
        RecordKind::Creator => "creator",
        RecordKind::Evidence => "evidence",
        RecordKind::Import => "import",
        RecordKind::Server => "server",
    }
}

/// The kind of record that a word in the database means.
pub(super) fn record_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<RecordKind> {
    let word: String = row.get(column)?;
    RECORD_KINDS
        .into_iter()
        .find(|&kind| record_word(kind) == word)
        .ok_or_else(|| {
            let unknown = StoreError::Damaged(format!("unknown kind of record `{word}`"));
            Error::FromSqlConversionFailure(column, Type::Text, Box::new(unknown))
        })
}

/// Every kind of record.
const RECORD_KINDS: [RecordKind; 23] = [
    RecordKind::Account,
    RecordKind::Login,
    RecordKind::ClientCredential,
    RecordKind::Session,
    RecordKind::Issuer,
    RecordKind::Dataset,
    RecordKind::Negotiation,
    RecordKind::Agreement,
    RecordKind::Use,
    RecordKind::Answer,
    RecordKind::Statement,
    RecordKind::Consent,
    RecordKind::Mandate,
    RecordKind::ConsentSetting,
    RecordKind::DeleteDuty,
    RecordKind::PersonSecret,
    RecordKind::Notification,
    RecordKind::AuthorizationSystem,
    RecordKind::StorageOrigin,
    RecordKind::Creator,
    RecordKind::Evidence,
    RecordKind::Import,
    RecordKind::Server,
];
