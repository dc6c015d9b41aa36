//! PUT: gives a resource a state, or makes it with the containers on the way (solid#24, solid#56, solid#63).

use http::{HeaderMap, Method, Response};
use server_kit::body::Body;

use crate::authz::Caller;
use crate::error::Error;
use crate::http::conditional::Preconditions;
use crate::store::{NewBody, NewState, Resource, ResourceKind, Transaction};

use super::commit_write::{Basis, Outcome, Refusal, commit_write};
use super::container;
use super::content::{Arrival, Content};
use super::document::Document;
use super::headers::ACCEPT_PUT;
use super::operation::Operation;
use super::service::{LdpService, Reading};
use super::situation::Situation;
use super::target::Target;
use crate::http::media_type::Syntax;

pub(super) async fn put(
    service: &LdpService,
    request: &HeaderMap,
    incoming: Body,
    target: &Target,
    caller: &Caller,
) -> Result<Response<Body>, Error> {
    let mut arrival = Arrival::Waiting(incoming);
    for _ in 0..service.bounds.attempts_max {
        let situation = service.look_around(target)?;
        let verdict = service.decide(&Operation::Put, target, &situation, caller).await?;
        service.check_method(&Method::PUT, target, &situation)?;
        service.check_writable(target, &situation)?;
        arrival = arrival.check(service, request, target, &caller.subject.agent, ACCEPT_PUT)?;
        let conditions = conditions(service, request, &situation)?;
        let content = arrival.content(service, target).await?;
        let used = caller.uses(LdpService::use_of(&Operation::Put, &situation), &target.name);
        let proof = service.pep.authorize_write(&verdict, &used, Operation::Put)?;
        let basis = Basis {
            target: target.clone(),
            dependencies: verdict.dependencies().to_vec(),
            shape: situation.shape(),
            conditions,
            writer: service.writer(caller),
        };
        let created = situation.existing.is_none();
        let name = target.clone();
        let reading = service.reading();
        let outcome = commit_write(&service.store, proof, basis, move |transaction, _| {
            store_content(transaction, &name, content, &reading)
        })
        .await?;
        if let Outcome::Done(resource) = outcome {
            return Ok(service.written(target, &resource, created));
        }
    }
    Err(Error::Contention)
}

/// The conditions of a write, with those that already fail refused before the content is asked for, and after everything
/// that can be refused without it (RFC 9110 §13.2.1).
pub(super) fn conditions(
    service: &LdpService,
    request: &HeaderMap,
    situation: &Situation,
) -> Result<Preconditions, Error> {
    let conditions = conditions_of_addition(request, situation)?;
    if service.bounds.preconditions_required && situation.existing.is_some() && !conditions.protects_state() {
        return Err(Error::PreconditionRequired);
    }
    Ok(conditions)
}

/// The conditions of a write that changes nothing of what is there, such as a new member: none can be demanded.
pub(super) fn conditions_of_addition(request: &HeaderMap, situation: &Situation) -> Result<Preconditions, Error> {
    let conditions = Preconditions::from_headers(request)?;
    conditions
        .evaluate_write(situation.current())
        .map_err(Error::Precondition)?;
    Ok(conditions)
}

/// Stores content under a name.
pub(super) fn store_content(
    transaction: &mut dyn Transaction,
    target: &Target,
    content: Content,
    reading: &Reading,
) -> Result<Resource, Refusal> {
    let state = match content {
        Content::State(state) => state,
        Content::Container(content) => {
            let origins = &reading.origins;
            let document = content.under(&target.name, origins, reading.bounds)?;
            let own = container::without_managed(document, &target.name, origins, &*transaction)?;
            container_state(own)?
        }
    };
    Ok(transaction.put(&target.name, state)?)
}

/// A container keeps its own statements as Turtle.
pub(super) fn container_state(own: Document) -> Result<NewState, Error> {
    let bytes = if own.quads.is_empty() {
        Vec::new()
    } else {
        own.write(Syntax::Turtle)?
    };
    Ok(NewState {
        kind: ResourceKind::Container,
        media_type: Syntax::Turtle.media_type().to_owned(),
        body: NewBody::Bytes(bytes.into()),
    })
}
