//! POST: makes a member of a container; the server picks its name (solid#25, solid#26).

use http::{HeaderMap, Method, Response};
use server_kit::body::Body;

use crate::authz::{Caller, creators_are_noted, note_creator};
use crate::error::Error;
use crate::http::link::requested_types;
use crate::name::ResourceName;
use crate::store::{Snapshot, StoreError};

use super::commit_write::{Basis, Outcome, Refusal, commit_write};
use super::content::Arrival;
use super::headers::{self, ACCEPT_POST};
use super::operation::Operation;
use super::put::{conditions_of_addition, store_content};
use super::service::LdpService;
use super::slug;
use super::target::{Role, Target};

const CONTAINER_TYPES: [&str; 2] = [
    "http://www.w3.org/ns/ldp#BasicContainer",
    "http://www.w3.org/ns/ldp#Container",
];
/// Names tried before the last one, which is random throughout.
const NAMES_TRIED: usize = 4;

pub(super) async fn post(
    service: &LdpService,
    request: &HeaderMap,
    incoming: Body,
    target: &Target,
    caller: &Caller,
) -> Result<Response<Body>, Error> {
    let is_container = requested_types(request)
        .iter()
        .any(|kind| CONTAINER_TYPES.contains(kind));
    let candidates = candidates(service, request, target, is_container);
    let first = candidates.first().cloned();
    let mut arrival = Arrival::Waiting(incoming);
    for _ in 0..service.bounds.attempts_max {
        let situation = service.look_around(target)?;
        let verdict = service.decide(&Operation::Post, target, &situation, caller).await?;
        if situation.existing.is_none() {
            return Err(LdpService::missing(target, &verdict, caller));
        }
        service.check_method(&Method::POST, target, &situation)?;
        let member = first.clone().map(Target::of).ok_or_else(no_name)?;
        arrival = arrival.check(service, request, &member, &caller.subject.agent, ACCEPT_POST)?;
        let conditions = conditions_of_addition(request, &situation)?;
        let content = arrival.content(service, &member).await?;
        let used = caller.uses(LdpService::use_of(&Operation::Post, &situation), &member.name);
        let proof = service.pep.authorize_write(&verdict, &used, Operation::Post)?;
        let basis = Basis {
            target: target.clone(),
            dependencies: verdict.dependencies().to_vec(),
            shape: situation.shape(),
            conditions,
            writer: service.writer(caller),
        };
        let names = candidates.clone();
        let reading = service.reading();
        let noted = creators_are_noted(verdict.dependencies());
        let creator = caller.subject.agent.web_id().cloned();
        let outcome = commit_write(&service.store, proof, basis, move |transaction, _| {
            let name = free_name(&*transaction, names)?.ok_or_else(|| Refusal::Error(no_name()))?;
            let made = store_content(transaction, &Target::of(name), content, &reading)?;
            if noted {
                note_creator(transaction, &made.name, creator.as_ref().map(|web_id| web_id.as_str()))?;
            }
            Ok(made)
        })
        .await?;
        if let Outcome::Done(resource) = outcome {
            let mut response = service.written(&Target::of(resource.name.clone()), &resource, true);
            // What is allowed is said of the target of the request (solid#8); all else is about the new member.
            headers::add_methods(response.headers_mut(), target, situation.existing.as_ref());
            return Ok(response);
        }
    }
    Err(Error::Contention)
}

/// Names for the member, the best first; all of them lie directly below the container and none is reserved.
fn candidates(service: &LdpService, request: &HeaderMap, target: &Target, is_container: bool) -> Vec<ResourceName> {
    let mut segments = Vec::new();
    if let Some(slug) = slug::from_headers(request, service.bounds.slug_bytes_max) {
        segments.push(slug.clone());
        for _ in 1..NAMES_TRIED {
            segments.push(slug::with_suffix(&slug, &service.random.token(6)));
        }
    }
    segments.push(service.random.uuid());
    segments
        .iter()
        .filter_map(|segment| slug::member(&target.name, segment, is_container))
        .filter(|name| matches!(Target::of(name.clone()).role, Role::Document | Role::Container))
        .collect()
}

fn free_name(snapshot: &dyn Snapshot, names: Vec<ResourceName>) -> Result<Option<ResourceName>, StoreError> {
    for name in names {
        let twin = name.slash_twin();
        let twin_exists = match &twin {
            Some(twin) => snapshot.resource(twin)?.is_some(),
            None => false,
        };
        if !twin_exists && snapshot.resource(&name)?.is_none() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn no_name() -> Error {
    Error::Conflict("no free name could be found for the new resource: send another `Slug`".to_owned())
}
