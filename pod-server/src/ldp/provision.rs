//! Makes a storage with the access rules of its root, in one commit: there is no moment without a policy (T12).

use crate::authz::{AuthorizationSystem, FirstRules, note_creator};
use crate::error::Error;
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{NewBody, NewState, ResourceKind, Storage, Transaction};

use super::target::{Role, Target};

/// Makes `/{name}/` for an owner, who alone may do anything in it.
///
/// # Errors
/// [`Error::BadRequest`] for a name that no storage can have or an owner that is no WebID, [`Error::Conflict`] when it
/// exists.
pub fn create_storage(
    transaction: &mut dyn Transaction,
    origins: &Origins,
    name: &str,
    owner: &str,
    system: AuthorizationSystem,
) -> Result<Storage, Error> {
    let root = ResourceName::parse(&format!("/{name}/"))?;
    if Target::of(root.clone()).role != Role::StorageRoot || root.storage_root().as_ref() != Some(&root) {
        return Err(Error::BadRequest(format!("`{name}` cannot be the name of a storage")));
    }
    let owner = policies::request::WebId::parse(owner).map_err(|error| Error::BadRequest(error.to_string()))?;
    if transaction.storage(&root)?.is_some() {
        return Err(Error::Conflict(format!("the storage `{name}` exists")));
    }
    origins
        .check(name)
        .map_err(|reason| Error::BadRequest(format!("`{name}`: {reason}")))?;
    origins.assign(transaction, &root)?;
    let storage = transaction.create_storage(&root, owner.as_str())?;
    system.assign(transaction, &root)?;
    let rules = FirstRules {
        owner: owner.as_str(),
        resource: "./",
        members: true,
        public: None,
    };
    let state = NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body: NewBody::Bytes(rules.write(system).into()),
    };
    transaction.put(&root.auxiliary(Auxiliary::Acl), state)?;
    if system == AuthorizationSystem::Acp {
        note_creator(transaction, &root, Some(owner.as_str()))?;
    }
    Ok(storage)
}

/// The access rules that leave a resource, and what is below it, to one WebID alone, whatever was allowed before or further
/// up.
#[must_use]
pub fn owners_only(system: AuthorizationSystem, owner: &str, subject: &ResourceName) -> NewState {
    let is_container = subject.is_container();
    let resource = if is_container {
        "./".to_owned()
    } else {
        format!("./{}", subject.last_segment())
    };
    let text = match system {
        // The nearest list alone counts.
        AuthorizationSystem::Wac => FirstRules {
            owner,
            resource: &resource,
            members: is_container,
            public: None,
        }
        .write(system),
        // What containers above allow counts too, so everyone else is refused by name.
        AuthorizationSystem::Acp => {
            let below = if is_container {
                "; acp:memberAccessControl <#owner>, <#others>"
            } else {
                ""
            };
            format!(
                "@prefix acl: <http://www.w3.org/ns/auth/acl#>.\n@prefix acp: <http://www.w3.org/ns/solid/acp#>.\n\n\
                 <> a acp:AccessControlResource; acp:resource <{resource}>; acp:accessControl <#owner>, <#others>{below}.\n\
                 <#owner> a acp:AccessControl; acp:apply [ a acp:Policy; acp:allow acl:Read, acl:Write, acl:Control;\n    \
                 acp:anyOf [ a acp:Matcher; acp:agent <{owner}> ] ].\n\
                 <#others> a acp:AccessControl; acp:apply [ a acp:Policy; acp:deny acl:Read, acl:Append, acl:Write, acl:Control;\n    \
                 acp:anyOf [ a acp:Matcher; acp:agent acp:PublicAgent ]; acp:noneOf [ a acp:Matcher; acp:agent <{owner}> ] ].\n"
            )
        }
    };
    NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body: NewBody::Bytes(text.into()),
    }
}
