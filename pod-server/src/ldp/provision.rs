//! Makes a storage with the access control list of its root, in one commit: there is no moment without a policy (T12).

use crate::error::Error;
use crate::name::{Auxiliary, ResourceName};
use crate::store::{NewBody, NewState, ResourceKind, Storage, Transaction};

use super::target::{Role, Target};

/// Makes `/{name}/` for an owner, who alone may do anything in it.
///
/// # Errors
/// [`Error::BadRequest`] for a name that no storage can have or an owner that is no WebID, [`Error::Conflict`] when it
/// exists.
pub fn create_storage(transaction: &mut dyn Transaction, name: &str, owner: &str) -> Result<Storage, Error> {
    let root = ResourceName::parse(&format!("/{name}/"))?;
    if Target::of(root.clone()).role != Role::StorageRoot || root.storage_root().as_ref() != Some(&root) {
        return Err(Error::BadRequest(format!("`{name}` cannot be the name of a storage")));
    }
    let owner = policies::request::WebId::parse(owner).map_err(|error| Error::BadRequest(error.to_string()))?;
    if transaction.storage(&root)?.is_some() {
        return Err(Error::Conflict(format!("the storage `{name}` exists")));
    }
    let storage = transaction.create_storage(&root, owner.as_str())?;
    let state = NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body: NewBody::Bytes(owner_acl(owner.as_str()).into()),
    };
    transaction.put(&root.auxiliary(Auxiliary::Acl), state)?;
    Ok(storage)
}

fn owner_acl(owner: &str) -> String {
    format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>.\n\n\
         <#owner> a acl:Authorization;\n    acl:agent <{owner}>;\n    acl:accessTo <./>;\n    acl:default <./>;\n    \
         acl:mode acl:Read, acl:Write, acl:Control.\n"
    )
}
