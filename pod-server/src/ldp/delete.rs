//! DELETE (solid#41-43, solid#76), of one resource or, when the client asks for it, of a container with all it holds.

use http::{HeaderMap, Method, Response, StatusCode};
use policies::wac::Modes;
use server_kit::body::{self, Body};

use crate::authz::{Caller, Requirement, Verdict};
use crate::error::Error;
use crate::name::{Auxiliary, ResourceName};
use crate::store::{ReadPermit, ResourceId, Sequence, Snapshot, Transaction};

use super::commit_write::{Basis, Outcome, Refusal, commit_write};
use super::operation::Operation;
use super::put::conditions;
use super::service::LdpService;
use super::situation::Situation;
use super::target::Target;

const LOOK_BELOW: &str = "a deletion depends on what the container holds";

/// Something below a container: its name, its identity, and its state if rights rest on it.
type Seen = (ResourceName, ResourceId, Sequence);

pub(super) async fn delete(
    service: &LdpService,
    request: &HeaderMap,
    target: &Target,
    caller: &Caller,
) -> Result<Response<Body>, Error> {
    let recursive = target.is_container() && is_recursive(request)?;
    for _ in 0..service.bounds.attempts_max {
        let situation = service.look_around(target)?;
        let mut verdict = service.decide(&Operation::Delete, target, &situation, caller).await?;
        service.check_method(&Method::DELETE, target, &situation)?;
        if situation.existing.is_none() {
            return Err(LdpService::missing(target, &verdict, caller));
        }
        let used = caller.uses(LdpService::use_of(&Operation::Delete, &situation), &target.name);
        let mut below = Vec::new();
        if recursive {
            below = look_below(service, target)?;
            verdict = decide_below(service, target, &situation, caller, &below).await?;
        } else {
            let snapshot = service.store.snapshot(ReadPermit::without_proof(LOOK_BELOW))?;
            check_empty(snapshot.as_ref(), &target.name)?;
        }
        let proof = service.pep.authorize_write(&verdict, &used, Operation::Delete)?;
        // Conditions count only where the request would succeed without them (RFC 9110 §13.2.1).
        let conditions = conditions(service, request, &situation)?;
        let basis = Basis {
            target: target.clone(),
            dependencies: verdict.dependencies().to_vec(),
            shape: situation.shape(),
            conditions,
            writer: service.writer(caller),
        };
        let name = target.name.clone();
        let resources_max = service.bounds.delete_resources_max;
        let outcome = commit_write(&service.store, proof, basis, move |transaction, _| {
            if recursive {
                if below_of(&*transaction, &name, resources_max)? != below {
                    return Err(Refusal::Stale);
                }
                remove_below(transaction, &below)?;
            }
            check_empty(&*transaction, &name)?;
            Ok(transaction.remove(&name)?)
        })
        .await?;
        if let Outcome::Done(_) = outcome {
            let mut response = Response::new(body::empty());
            // 205 and not 204: `@ldo/solid` takes nothing else for a deletion, and everyone else takes any success. Where
            // `Depth` comes from, it is 204.
            *response.status_mut() = if recursive {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::RESET_CONTENT
            };
            super::headers::add_methods(response.headers_mut(), target, None);
            return Ok(response);
        }
    }
    Err(Error::Contention)
}

fn check_empty(snapshot: &dyn Snapshot, name: &ResourceName) -> Result<(), Error> {
    if name.is_container() && snapshot.member_count(name)? > 0 {
        return Err(Error::Conflict(
            "the container is not empty: delete its members first, or send `Depth: infinity`".to_owned(),
        ));
    }
    Ok(())
}

/// `Depth: infinity` (RFC 4918 §10.2). Unlike there, it has to be said: a container goes alone otherwise.
fn is_recursive(request: &HeaderMap) -> Result<bool, Error> {
    let mut values = request.get_all("depth").iter();
    let depth = match (values.next(), values.next()) {
        (None, _) => return Ok(false),
        (Some(depth), None) => depth.as_bytes(),
        _ => b"",
    };
    match depth {
        b"0" => Ok(false),
        depth if depth.eq_ignore_ascii_case(b"infinity") => Ok(true),
        _ => Err(Error::BadRequest(
            "`Depth` of a deletion is `0` or `infinity`".to_owned(),
        )),
    }
}

fn look_below(service: &LdpService, target: &Target) -> Result<Vec<Seen>, Error> {
    let snapshot = service.store.snapshot(ReadPermit::without_proof(LOOK_BELOW))?;
    below_of(snapshot.as_ref(), &target.name, service.bounds.delete_resources_max)
}

/// Everything below a container. A state counts only where rights rest on it: other writes do not disturb.
fn below_of(snapshot: &dyn Snapshot, container: &ResourceName, resources_max: usize) -> Result<Vec<Seen>, Error> {
    let found = snapshot.descendants(container, None, resources_max.saturating_add(1))?;
    if found.len() > resources_max {
        return Err(Error::Conflict(format!(
            "the container holds more than {resources_max} resources: delete what it holds in parts"
        )));
    }
    let as_seen = |resource: crate::store::Resource| {
        let is_list = matches!(resource.name.auxiliary_subject(), Some((_, Auxiliary::Acl)));
        let state = if is_list { resource.version } else { Sequence(0) };
        (resource.name, resource.id, state)
    };
    Ok(found.into_iter().map(as_seen).collect())
}

/// The right to remove a container needs, for a recursive deletion, the right to remove each member (solid#76).
async fn decide_below(
    service: &LdpService,
    target: &Target,
    situation: &Situation,
    caller: &Caller,
    below: &[Seen],
) -> Result<Verdict, Error> {
    let mut requirements = Operation::Delete.requirements(target, situation);
    requirements.extend(members(below).map(|name| Requirement {
        resource: name.clone(),
        modes: if name.is_container() {
            Modes::READ | Modes::WRITE
        } else {
            Modes::WRITE
        },
    }));
    service.pep.consider(&caller.subject, &requirements).await
}

/// Auxiliary resources go with their subjects, under the subjects' rights.
fn members(below: &[Seen]) -> impl DoubleEndedIterator<Item = &ResourceName> {
    below
        .iter()
        .map(|(name, _, _)| name)
        .filter(|name| name.auxiliary_subject().is_none())
}

/// In reverse order of their names members come before the containers that hold them.
fn remove_below(transaction: &mut dyn Transaction, below: &[Seen]) -> Result<(), Refusal> {
    for name in members(below).rev() {
        transaction.remove(name)?;
    }
    Ok(())
}
