//! Documents with access rules: what a storage's authorization system asks of them, and how they show it (solid#70,
//! solid#81, solid#84, solid#85, T17).

use bytes::Bytes;
use http::header::LINK;
use http::{HeaderMap, HeaderValue};
use policies::acp::AccessControlResource;
use policies::wac::Acl;

use crate::authz::{AuthorizationSystem, WrittenRules};
use crate::error::Error;
use crate::http::link::Links;
use crate::http::media_type::Syntax;
use crate::origins::Origins;
use crate::store::ReadPermit;

use super::document::Bounds;
use super::service::LdpService;
use super::target::Target;

const SYSTEM: &str = "the authorization system and the owner of a storage decide which access rules it takes";
const CONDITION: &str = "http://www.w3.org/ns/auth/acl#condition";

/// What a document with access rules has to keep to.
#[derive(Clone, Debug)]
pub(super) struct AccessRules {
    system: AuthorizationSystem,
    /// WebID of the storage's owner.
    owner: String,
    origins: Origins,
    bounds: Bounds,
}

impl LdpService {
    /// What the target has to keep to, if it holds access rules.
    pub(super) fn access_rules(&self, target: &Target) -> Result<Option<AccessRules>, Error> {
        let Some(root) = target.name.storage_root().filter(|_| target.is_acl()) else {
            return Ok(None);
        };
        let snapshot = self.store.snapshot(ReadPermit::without_proof(SYSTEM))?;
        Ok(Some(AccessRules {
            system: AuthorizationSystem::of(snapshot.as_ref(), &root)?,
            owner: snapshot
                .storage(&root)?
                .map(|storage| storage.owner)
                .unwrap_or_default(),
            origins: self.origins.clone(),
            bounds: self.rdf_bounds(),
        }))
    }

    /// Says in links what the access rules of a target can say; nothing for other targets.
    pub(super) fn link_access_rules(
        &self,
        headers: &mut HeaderMap,
        target: &Target,
        is_options: bool,
    ) -> Result<(), Error> {
        let Some(rules) = self.access_rules(target)? else {
            return Ok(());
        };
        let mut links = Links::default();
        match rules.system {
            AuthorizationSystem::Wac => {
                for condition in Acl::CONDITIONS {
                    links.push(condition, CONDITION);
                }
            }
            AuthorizationSystem::Acp => {
                links.push(vocab::acp::ACCESS_CONTROL_RESOURCE, "type");
                if is_options {
                    for mode in AccessControlResource::GRANTS {
                        links.push(mode, vocab::acp::GRANT);
                    }
                    for attribute in AccessControlResource::ATTRIBUTES {
                        links.push(attribute, vocab::acp::ATTRIBUTE);
                    }
                }
            }
        }
        if let Ok(value) = HeaderValue::from_str(&links.into_string()) {
            headers.append(LINK, value);
        }
        Ok(())
    }
}

impl AccessRules {
    /// For a storage that may not be there yet.
    pub(super) fn new(system: AuthorizationSystem, owner: &str, origins: &Origins, bounds: Bounds) -> Self {
        Self {
            system,
            owner: owner.to_owned(),
            origins: origins.clone(),
            bounds,
        }
    }

    /// Checks a document: it must be understood whole, and a storage's root must stay controllable.
    ///
    /// # Errors
    /// 400 with a position, 422 for rules that cannot be enforced, 409 for those that would lock everyone out.
    pub(super) fn check(&self, bytes: &Bytes, syntax: Syntax, target: &Target) -> Result<(), Error> {
        let resource = target.subject().iri(&self.origins);
        let written = WrittenRules {
            document: &target.name.iri(&self.origins),
            resource: &resource,
            bytes,
            syntax: Some(syntax),
            bounds: self.bounds,
        };
        let controlled = match self.system {
            AuthorizationSystem::Wac => written.acl()?.gives_control(&resource),
            AuthorizationSystem::Acp => written.access_control_resource()?.gives_control(&self.owner),
        };
        if controlled || !target.is_root_acl() {
            return Ok(());
        }
        Err(Error::Conflict(match self.system {
            AuthorizationSystem::Wac => {
                "the access control list of a storage's root must give someone `acl:Control` over it".to_owned()
            }
            AuthorizationSystem::Acp => format!(
                "the access control resource of a storage's root must allow `acl:Control` to its owner <{}> in an \
                 `acp:accessControl`, whatever the application, and not deny it",
                self.owner
            ),
        }))
    }
}
