//! PATCH: reads a patch, applies it to the newest state, and commits the result (solid#33-40).
//!
//! Small documents are changed inside the transaction, so that concurrent patches of one document all succeed; large
//! ones outside it, on a state that the transaction checks, because the writer must not wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use server_kit::body::Body;

use crate::authz::{Authorized, Caller};
use crate::error::Error;
use crate::http::media_type::{MediaType, Syntax, stored_syntax};
use crate::store::{NewBody, NewState, ReadPermit, Resource, ResourceKind, Sequence, Snapshot};

use super::access_rules::AccessRules;
use super::commit_write::{Basis, Outcome, Refusal, commit_write};
use super::container;
use super::document::{self, Bounds, Document};
use super::headers::ACCEPT_PATCH;
use super::operation::{Operation, before_the_patch_is_read};
use super::patch::{Patch, PatchFormat, apply, parse_n3, parse_sparql};
use super::put::{conditions, container_state};
use super::representation::{blocking, whole};
use super::service::LdpService;
use super::situation::Situation;
use super::target::Target;

pub(super) async fn patch(
    service: &LdpService,
    request: &HeaderMap,
    incoming: Body,
    target: &Target,
    caller: &Caller,
) -> Result<Response<Body>, Error> {
    let patch = Arc::new(receive(service, request, incoming, target, caller).await?);
    let operation = Operation::of_patch(&patch);
    let outgrown = Arc::new(AtomicBool::new(false));
    for _ in 0..service.bounds.attempts_max {
        let situation = service.look_around(target)?;
        let verdict = service.decide(&operation, target, &situation, caller).await?;
        service.check_method(&Method::PATCH, target, &situation)?;
        service.check_writable(target, &situation)?;
        let conditions = conditions(service, request, &situation)?;
        let used = caller.uses(LdpService::use_of(&operation, &situation), &target.name);
        let proof = service.pep.authorize_write(&verdict, &used, operation.clone())?;
        let basis = Basis {
            target: target.clone(),
            dependencies: verdict.dependencies().to_vec(),
            shape: situation.shape(),
            conditions,
            writer: service.writer(caller),
        };
        let created = situation.existing.is_none();
        let change = Change {
            target: target.clone(),
            patch: Arc::clone(&patch),
            base_url: Arc::clone(&service.base_url),
            bounds: service.rdf_bounds(),
            steps_max: service.bounds.patch_steps_max,
        };
        let size = situation.existing.as_ref().map_or(0, |resource| resource.size);
        let outcome = if size <= service.inline_bytes_max as u64 && !outgrown.load(Ordering::Relaxed) {
            inside(service, proof, basis, change, Arc::clone(&outgrown)).await?
        } else {
            outside(service, proof, basis, change, &situation).await?
        };
        if let Outcome::Done(resource) = outcome {
            return Ok(service.written(target, &resource, created));
        }
    }
    Err(Error::Contention)
}

/// Reads the patch, after making sure that the caller may change anything at all.
async fn receive(
    service: &LdpService,
    request: &HeaderMap,
    incoming: Body,
    target: &Target,
    caller: &Caller,
) -> Result<Patch, Error> {
    let verdict = service
        .pep
        .consider(&caller.subject, &before_the_patch_is_read(target))
        .await?;
    if !verdict.permitted {
        let used = caller.uses(crate::authz::UseKind::Append, &target.name);
        return Err(service.pep.refuse(&verdict, &used));
    }
    service.check_announced(request)?;
    let media_type = MediaType::from_headers(request)?;
    let format = PatchFormat::from_essence(media_type.essence()).ok_or_else(|| Error::UnsupportedMediaType {
        media_type: media_type.essence().to_owned(),
        accepted: Some((ACCEPT_PATCH, HeaderValue::from_static(PatchFormat::ACCEPTED))),
    })?;
    let bytes = service.receive_whole(incoming, service.bounds.patch_bytes_max).await?;
    let base = target.name.iri(&service.base_url);
    let nesting_max = service.bounds.nesting_max;
    match format {
        PatchFormat::N3 => parse_n3(&bytes, &base, nesting_max),
        PatchFormat::SparqlUpdate => parse_sparql(&bytes, &base, nesting_max),
    }
}

struct Change {
    target: Target,
    patch: Arc<Patch>,
    base_url: Arc<str>,
    bounds: Bounds,
    steps_max: u64,
}

/// A patched document before it is stored.
struct Patched {
    kind: ResourceKind,
    media_type: String,
    bytes: Bytes,
    syntax: Syntax,
}

impl Change {
    /// The document after the patch. Pure but for the look at a container's members.
    fn carry_out(&self, existing: Option<(&Resource, Bytes)>, snapshot: &dyn Snapshot) -> Result<Patched, Error> {
        let base = self.target.name.iri(&self.base_url);
        let (media_type, document) = match existing {
            Some((resource, bytes)) => {
                let syntax = stored_syntax(&resource.media_type)
                    .ok_or_else(|| Error::Conflict("the resource is not RDF and cannot be patched".to_owned()))?;
                (
                    resource.media_type.clone(),
                    document::parse(&bytes, syntax, &base, self.bounds)?,
                )
            }
            None => (Syntax::Turtle.media_type().to_owned(), Document::default()),
        };
        let syntax = stored_syntax(&media_type).unwrap_or(Syntax::Turtle);
        let before = document.quads.clone();
        let patched =
            apply(document, &self.patch, self.steps_max).map_err(|error| Error::Conflict(error.to_string()))?;
        if self.target.is_container() {
            self.check_containment(&before, &patched)?;
            let own = container::without_managed(patched, &self.target.name, &self.base_url, snapshot)?;
            let state = container_state(own)?;
            let NewBody::Bytes(bytes) = state.body else {
                return Err(Error::Internal(
                    "a container's statements are kept in a file".to_owned(),
                ));
            };
            return Ok(Patched {
                kind: state.kind,
                media_type: state.media_type,
                bytes,
                syntax,
            });
        }
        let bytes = Bytes::from(patched.write(syntax)?);
        Ok(Patched {
            kind: ResourceKind::RdfSource,
            media_type,
            bytes,
            syntax,
        })
    }

    /// Containment is never patched, not even with what is already so or not so (solid#27).
    fn check_containment(&self, before: &[oxrdf::Quad], after: &Document) -> Result<(), Error> {
        let contains = |quad: &&oxrdf::Quad| quad.predicate.as_str() == "http://www.w3.org/ns/ldp#contains";
        let touched = self
            .patch
            .changes
            .iter()
            .flat_map(|change| change.insertions.iter().chain(&change.deletions))
            .any(|pattern| {
                matches!(&pattern.predicate, super::patch::PatternTerm::Constant(oxrdf::Term::NamedNode(node))
                if node.as_str() == "http://www.w3.org/ns/ldp#contains")
            });
        if touched || before.iter().filter(contains).count() != after.quads.iter().filter(contains).count() {
            return Err(Error::Conflict(
                "containment is kept by the server: make or delete members instead of patching it".to_owned(),
            ));
        }
        Ok(())
    }
}

async fn inside(
    service: &LdpService,
    proof: Authorized<Operation>,
    basis: Basis,
    change: Change,
    outgrown: Arc<AtomicBool>,
) -> Result<Outcome<Resource>, Error> {
    let inline_max = service.inline_bytes_max;
    let rules = Rules::of(service, &change.target)?;
    commit_write(&service.store, proof, basis, move |transaction, now| {
        let existing = match &now.existing {
            Some(resource) => Some((resource, whole(transaction.body(resource)?)?)),
            None => None,
        };
        let patched = change.carry_out(existing, &*transaction)?;
        rules.check(&patched, &change.target)?;
        if patched.bytes.len() > inline_max {
            // It has just outgrown the database. The next attempt takes the other way.
            outgrown.store(true, Ordering::Relaxed);
            return Err(Refusal::Stale);
        }
        let state = NewState {
            kind: patched.kind,
            media_type: patched.media_type,
            body: NewBody::Bytes(patched.bytes),
        };
        Ok(transaction.put(&change.target.name, state)?)
    })
    .await
}

async fn outside(
    service: &LdpService,
    proof: Authorized<Operation>,
    basis: Basis,
    change: Change,
    situation: &Situation,
) -> Result<Outcome<Resource>, Error> {
    let expected: Option<Sequence> = situation.existing.as_ref().map(|resource| resource.version);
    let store = Arc::clone(&service.store);
    let permit = ReadPermit::proven(&proof);
    let name = change.target.name.clone();
    let rules = Rules::of(service, &change.target)?;
    let target = change.target.clone();
    let patched = blocking(move || {
        let snapshot = store.snapshot(permit)?;
        let snapshot: &dyn Snapshot = snapshot.as_ref();
        let existing = match snapshot.resource(&name)? {
            Some(resource) => {
                let bytes = whole(snapshot.body(&resource)?)?;
                Some((resource, bytes))
            }
            None => None,
        };
        let patched = change.carry_out(
            existing.as_ref().map(|(resource, bytes)| (resource, bytes.clone())),
            snapshot,
        )?;
        rules.check(&patched, &change.target)?;
        Ok((existing.map(|(resource, _)| resource.version), patched))
    })
    .await?;
    let (seen, patched) = patched;
    if seen != expected {
        return Ok(Outcome::Again);
    }
    let body = service.keep(patched.bytes).await?;
    let state = NewState {
        kind: patched.kind,
        media_type: patched.media_type,
        body,
    };
    commit_write(&service.store, proof, basis, move |transaction, now| {
        if now.existing.as_ref().map(|resource| resource.version) != seen {
            return Err(Refusal::Stale);
        }
        Ok(transaction.put(&target.name, state)?)
    })
    .await
}

/// The rules that a patched document has to keep, ready to be taken into a transaction.
struct Rules {
    access: Option<AccessRules>,
    rdf_bytes_max: u64,
    acl_bytes_max: u64,
}

impl Rules {
    fn of(service: &LdpService, target: &Target) -> Result<Self, Error> {
        Ok(Self {
            access: service.access_rules(target)?,
            rdf_bytes_max: service.bounds.rdf_bytes_max,
            acl_bytes_max: service.bounds.acl_bytes_max,
        })
    }

    fn check(&self, patched: &Patched, target: &Target) -> Result<(), Error> {
        let bytes_max = if target.is_acl() {
            self.acl_bytes_max
        } else {
            self.rdf_bytes_max
        };
        if patched.bytes.len() as u64 > bytes_max {
            return Err(Error::Body(server_kit::body::ReadError::TooLarge { bytes_max }));
        }
        match &self.access {
            Some(access) => access.check(&patched.bytes, patched.syntax, target),
            None => Ok(()),
        }
    }
}
