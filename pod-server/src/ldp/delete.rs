//! DELETE (solid#41-43, solid#76).

use http::{HeaderMap, Method, Response, StatusCode};
use server_kit::body::{self, Body};

use crate::authz::Caller;
use crate::error::Error;

use super::commit_write::{Basis, Outcome, Refusal, commit_write};
use super::operation::Operation;
use super::put::conditions;
use super::service::LdpService;
use super::target::Target;

pub(super) async fn delete(
    service: &LdpService,
    request: &HeaderMap,
    target: &Target,
    caller: &Caller,
) -> Result<Response<Body>, Error> {
    for _ in 0..service.bounds.attempts_max {
        let situation = service.look_around(target)?;
        let verdict = service.decide(&Operation::Delete, target, &situation, caller).await?;
        service.check_method(&Method::DELETE, target, &situation)?;
        if situation.existing.is_none() {
            return Err(LdpService::missing(target, &verdict, caller));
        }
        let conditions = conditions(service, request, &situation)?;
        let used = caller.uses(LdpService::use_of(&Operation::Delete, &situation), &target.name);
        let proof = service.pep.authorize_write(&verdict, &used, Operation::Delete)?;
        let basis = Basis {
            target: target.clone(),
            dependencies: verdict.dependencies().to_vec(),
            shape: situation.shape(),
            conditions,
            writer: service.writer(caller),
        };
        let name = target.name.clone();
        let outcome = commit_write(&service.store, proof, basis, move |transaction, _| {
            if name.is_container() && transaction.member_count(&name)? > 0 {
                return Err(Refusal::Error(Error::Conflict(
                    "the container is not empty: delete its members first".to_owned(),
                )));
            }
            Ok(transaction.remove(&name)?)
        })
        .await?;
        if let Outcome::Done(_) = outcome {
            let mut response = Response::new(body::empty());
            // 205 and not 204: `@ldo/solid` takes nothing else for a deletion, and everyone else takes any success.
            *response.status_mut() = StatusCode::RESET_CONTENT;
            super::headers::add_methods(response.headers_mut(), target, None);
            return Ok(response);
        }
    }
    Err(Error::Contention)
}
