//! Keeps what decides who can log in as a storage's owner, when others write the owner's profile (T33, solid#114).
//!
//! A right to write a document is no right to become its subject. Before and after a write, inside its transaction, the
//! protected statements are compared; if they differ the write does not take place. The owner may change them, and like
//! everyone else must leave a profile that makes sense.

use http::StatusCode;
use oxrdf::Triple;
use policies::request::Agent;
use server_kit::problem::Problem;

use crate::error::Error;
use crate::http::media_type::stored_syntax;
use crate::identity::profile::{self, ProfileFault};
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{ResourceKind, Snapshot};

use super::commit_write::Refusal;
use super::document::{self, Bounds};
use super::representation::whole;
use super::target::Target;

/// Largest profile that is looked at, in bytes: a larger one is not read when somebody logs in either, so that it states
/// nothing.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// Who writes, how documents are read, and how much room there is.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) agent: Agent,
    pub(super) origins: Origins,
    /// Bytes that a storage without a bound of its own may hold.
    pub(super) quota_bytes_max: u64,
    /// Part of that which is left to the owner.
    pub(super) owner_room_percent: u8,
    pub(super) bounds: Bounds,
}

/// The protected document as it was before a write.
pub(super) struct ProfileGuard<'w> {
    writer: &'w Writer,
    document: ResourceName,
    web_id: String,
    /// Whether the write is to the document itself.
    direct: bool,
    /// None for a write by the owner.
    before: Option<Vec<Triple>>,
}

impl<'w> ProfileGuard<'w> {
    /// Looks at the profile before a write; none if the write cannot concern it.
    pub(super) fn before(
        snapshot: &dyn Snapshot,
        target: &Target,
        writer: &'w Writer,
    ) -> Result<Option<Self>, Refusal> {
        let Some(root) = target.name.storage_root() else {
            return Ok(None);
        };
        let Some(storage) = snapshot.storage(&root)? else {
            return Ok(None);
        };
        let document = ResourceName::from_iri(profile::document_of(&storage.owner), &writer.origins);
        let Some(document) = document else {
            return Ok(None);
        };
        let direct = document == target.name;
        // A member that is made in a container may turn out to be the profile, and a deletion may take it along.
        if !direct && !document.is_within(&target.name) {
            return Ok(None);
        }
        let by_owner = writer
            .agent
            .web_id()
            .is_some_and(|web_id| web_id.as_str() == storage.owner);
        let before = if by_owner {
            None
        } else {
            Some(writer.read(snapshot, &document)?)
        };
        Ok(Some(Self {
            writer,
            document,
            web_id: storage.owner,
            direct,
            before,
        }))
    }

    /// Refuses a write that changed the protected statements (409), or that left a profile without sense (422).
    pub(super) fn after(&self, snapshot: &dyn Snapshot) -> Result<(), Refusal> {
        if self.before.is_none() && !self.direct {
            return Ok(());
        }
        let after = self.writer.read(snapshot, &self.document)?;
        if let Some(before) = &self.before {
            profile::protects(before.iter().map(Triple::as_ref), after.iter().map(Triple::as_ref))
                .map_err(|fault| self.taken_over(&fault))?;
        }
        if self.direct {
            profile::check(&self.web_id, after.iter().map(Triple::as_ref)).map_err(|fault| {
                Refusal::Error(Error::Unprocessable {
                    kind: "invalid-profile",
                    detail: fault.to_string(),
                })
            })?;
        }
        Ok(())
    }

    fn taken_over(&self, fault: &ProfileFault) -> Refusal {
        metrics::counter!("profile_takeovers_refused_total").increment(1);
        tracing::warn!(agent = ?self.writer.agent, profile = %self.document, %fault, "a profile was protected");
        let problem = Problem::new(StatusCode::CONFLICT, "profile-protected", "The profile is protected");
        Refusal::Error(Error::from(problem.detail(fault.to_string())))
    }
}

impl Writer {
    fn read(&self, snapshot: &dyn Snapshot, document: &ResourceName) -> Result<Vec<Triple>, Refusal> {
        let Some(resource) = snapshot.resource(document)? else {
            return Ok(Vec::new());
        };
        let syntax = stored_syntax(&resource.media_type)
            .filter(|_| resource.kind == ResourceKind::RdfSource && resource.size <= PROFILE_BYTES_MAX);
        let Some(syntax) = syntax else { return Ok(Vec::new()) };
        let bytes = whole(snapshot.body(&resource)?)?;
        let read = document::parse(&bytes, syntax, &document.iri(&self.origins), self.bounds)?;
        let triples = read.quads.into_iter();
        Ok(triples
            .map(|quad| Triple::new(quad.subject, quad.predicate, quad.object))
            .collect())
    }
}
