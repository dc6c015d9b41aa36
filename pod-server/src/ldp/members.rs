//! A page of a container's members for people, decided and recorded like any other read, and never the whole of a large
//! container; and the right to take a whole storage along.

use policies::wac::Modes;

use crate::authz::{Caller, Requirement, UseKind};
use crate::error::Error;
use crate::name::ResourceName;
use crate::store::{Member, ReadPermit, Resource, ResourceKind};

use super::operation::Operation;
use super::service::LdpService;
use super::situation::Situation;
use super::target::Target;

/// Some members of a container.
#[derive(Clone, Debug)]
pub struct MemberPage {
    /// The container.
    pub container: Resource,
    /// Members in name order.
    pub members: Vec<Member>,
    /// How many members there are in all.
    pub total: u64,
    /// Whether more follow.
    pub more: bool,
    /// What the caller may do with the container.
    pub modes: Modes,
}

impl LdpService {
    /// The right to read all of a storage: for whoever may read its root and decide who else may.
    ///
    /// # Errors
    /// As a GET of the root.
    pub async fn take_out(&self, root: &ResourceName, caller: &Caller) -> Result<ReadPermit, Error> {
        let required = Requirement {
            resource: root.clone(),
            modes: Modes::READ | Modes::CONTROL,
        };
        let verdict = self.pep.consider(&caller.subject, &[required]).await?;
        let used = caller.uses(UseKind::Read, root);
        let proof = self.pep.authorize_read(&verdict, &used, Operation::Read).await?;
        Ok(ReadPermit::proven(&proof))
    }

    /// Members of a container in name order, after a name, at most `limit`.
    ///
    /// # Errors
    /// As a GET of the container; 404 also for what is no container.
    pub async fn members(
        &self,
        container: &ResourceName,
        after: Option<&ResourceName>,
        limit: usize,
        caller: &Caller,
    ) -> Result<MemberPage, Error> {
        let target = Target::of(container.clone());
        let nothing = Situation::unseen();
        let verdict = self.decide(&Operation::Read, &target, &nothing, caller).await?;
        let used = caller.uses(UseKind::Read, &target.name);
        let proof = self.pep.authorize_read(&verdict, &used, Operation::Read).await?;
        if !target.is_container() {
            return Err(Error::NotFound);
        }
        let snapshot = self.store.snapshot(ReadPermit::proven(&proof))?;
        let found = snapshot.resource(container)?;
        let Some(resource) = found.filter(|resource| resource.kind == ResourceKind::Container) else {
            return Err(Error::NotFound);
        };
        let mut members = snapshot.members(container, after, limit.saturating_add(1))?;
        let more = members.len() > limit;
        members.truncate(limit);
        Ok(MemberPage {
            total: snapshot.member_count(container)?,
            container: resource,
            members,
            more,
            modes: verdict.modes,
        })
    }
}
