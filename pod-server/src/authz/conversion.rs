//! Takes a storage from access control lists to access control policies, all of it or none (solid#50).

use std::collections::HashMap;

use policies::acp::AccessControlResource;
use policies::wac::Grants;

use super::pip::read_all;
use super::rules::WrittenRules;
use super::system::AuthorizationSystem;
use crate::error::Error;
use crate::http::media_type::{Syntax, stored_syntax};
use crate::ldp::document::Bounds;
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{NewBody, NewState, Resource, ResourceKind, Snapshot, Transaction};

/// Most lists of a storage that are rewritten: they are one commit.
const LISTS_MAX: usize = 50_000;
/// Resources that are looked through at a time.
const RESOURCES_AT_ONCE: usize = 1_000;

/// Says every access control list of a storage in policies that give everyone the same, and puts the storage under Access
/// Control Policies. Gives the number of lists.
///
/// # Errors
/// [`Error::Conflict`] names the first list that policies cannot express; nothing is changed then.
pub fn to_policies(
    transaction: &mut dyn Transaction,
    root: &ResourceName,
    origins: &Origins,
    bounds: Bounds,
) -> Result<usize, Error> {
    let storage = transaction.storage(root)?.ok_or(Error::NotFound)?;
    if AuthorizationSystem::of(&*transaction, root)? == AuthorizationSystem::Acp {
        return Err(Error::Conflict(
            "the storage is under Access Control Policies already".to_owned(),
        ));
    }
    let lists = lists(&*transaction, root)?;
    if lists.first().is_none_or(|(subject, _)| subject != root) {
        return Err(Error::Conflict("the storage's root has no list of its own".to_owned()));
    }
    let nothing = Grants::default();
    let mut handed_down: HashMap<ResourceName, Grants> = HashMap::new();
    for (subject, list) in &lists {
        let fault =
            |reason: &dyn std::fmt::Display| Error::Conflict(format!("`{}` stays as it is: {reason}", list.name));
        let (document, resource) = (list.name.iri(origins), subject.iri(origins));
        let written = WrittenRules {
            document: &document,
            resource: &resource,
            bytes: &read_all(&*transaction, list)?,
            syntax: stored_syntax(&list.media_type),
            bounds,
        };
        let acl = written.acl().map_err(|error| fault(&error))?;
        let above = above(subject, &handed_down).unwrap_or(&nothing);
        let said = acl.as_policies(&resource, above).map_err(|error| fault(&error))?;
        let read = AccessControlResource::parse(said.turtle.as_bytes(), &document, &resource);
        let read = read.map_err(|error| fault(&error))?;
        if subject == root && !read.gives_control(&storage.owner) {
            return Err(fault(&"it does not give its owner control whatever the application"));
        }
        let state = NewState {
            kind: ResourceKind::RdfSource,
            media_type: Syntax::Turtle.media_type().to_owned(),
            body: NewBody::Bytes(said.turtle.into()),
        };
        transaction.put(&list.name, state)?;
        handed_down.insert(subject.clone(), said.handed_down);
    }
    AuthorizationSystem::Acp.assign(transaction, root)?;
    Ok(lists.len())
}

/// The lists of a storage with their subjects, those of containers before those of what they hold.
fn lists(snapshot: &dyn Snapshot, root: &ResourceName) -> Result<Vec<(ResourceName, Resource)>, Error> {
    let mut found = Vec::new();
    let mut after: Option<ResourceName> = None;
    loop {
        let page: Vec<Resource> = snapshot.descendants(root, after.as_ref(), RESOURCES_AT_ONCE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        for resource in page {
            if let Some((subject, Auxiliary::Acl)) = resource.name.auxiliary_subject() {
                found.push((subject, resource));
            }
        }
        if found.len() > LISTS_MAX {
            return Err(Error::Conflict(format!("the storage has more than {LISTS_MAX} lists")));
        }
    }
    // A container's name begins the names of what it holds.
    found.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Ok(found)
}

/// What the nearest container above with a list hands down.
fn above<'g>(subject: &ResourceName, handed_down: &'g HashMap<ResourceName, Grants>) -> Option<&'g Grants> {
    let mut container = subject.parent();
    while let Some(here) = container {
        if let Some(grants) = handed_down.get(&here) {
            return Some(grants);
        }
        container = here.parent();
    }
    None
}
