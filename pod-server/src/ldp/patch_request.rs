//! PATCH: reads a patch, applies it to the newest state, and commits the result (solid#33-40; RFC 7396).
//!
//! Small documents are changed inside the transaction, so that concurrent patches of one document all succeed; large
//! ones outside it, on a state that the transaction checks, because the writer must not wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use server_kit::body::Body;

use crate::authz::{Authorized, Caller};
use crate::error::Error;
use crate::http::media_type::{MediaType, Syntax, stored_syntax};
use crate::origins::Origins;
use crate::store::{NewBody, NewState, ReadPermit, Resource, ResourceKind, Sequence, Snapshot};

use super::access_rules::AccessRules;
use super::commit_write::{Basis, Outcome, Refusal, commit_write};
use super::container;
use super::document::{self, Bounds, Document};
use super::headers::{ACCEPT_PATCH, accept_patch};
use super::linkset;
use super::operation::{Operation, before_the_patch_is_read};
use super::patch::{MergePatch, Patch, PatchBounds, PatchDocument, PatchFormat, apply, read_json};
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
        check_format(&patch, target, &situation)?;
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
            origins: service.origins.clone(),
            bounds: service.rdf_bounds(),
            json_bytes_max: service.bounds.rdf_bytes_max,
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
) -> Result<PatchDocument, Error> {
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
        accepted: Some((ACCEPT_PATCH, accept_patch(target, None))),
    })?;
    let bytes = service.receive_whole(incoming, service.bounds.patch_bytes_max).await?;
    let base = target.name.iri(&service.origins);
    let bounds = PatchBounds {
        nesting_max: service.bounds.nesting_max,
        conditions_max: service.bounds.patch_conditions_max,
    };
    PatchDocument::read(format, &bytes, &base, bounds)
}

/// Refuses a patch in a format that the target does not take, and says which it does (RFC 5789 §2.2).
fn check_format(patch: &PatchDocument, target: &Target, situation: &Situation) -> Result<(), Error> {
    let present = situation.existing.as_ref();
    if target.patch_formats(present).contains(&patch.format()) {
        return Ok(());
    }
    let media_type = match patch {
        PatchDocument::Graph(_) => "text/n3` or `application/sparql-update",
        PatchDocument::Merge(_) => "application/merge-patch+json",
    };
    Err(Error::UnsupportedMediaType {
        media_type: media_type.to_owned(),
        accepted: Some((ACCEPT_PATCH, accept_patch(target, present))),
    })
}

const CONTAINS: &str = "http://www.w3.org/ns/ldp#contains";

struct Change {
    target: Target,
    patch: Arc<PatchDocument>,
    origins: Origins,
    bounds: Bounds,
    json_bytes_max: u64,
    steps_max: u64,
}

/// A patched document before it is stored.
struct Patched {
    kind: ResourceKind,
    media_type: String,
    bytes: Bytes,
    /// None for what is not RDF.
    syntax: Option<Syntax>,
}

/// The document before a patch, if there is one.
type Existing<'e> = Option<(&'e Resource, Bytes)>;

impl Change {
    /// The document after the patch. Pure but for the look at a container's members.
    fn carry_out(&self, existing: Existing<'_>, snapshot: &dyn Snapshot) -> Result<Patched, Error> {
        match &*self.patch {
            PatchDocument::Graph(patch) => self.carry_out_on_graph(patch, existing, snapshot),
            PatchDocument::Merge(patch) if self.target.auxiliary().is_some() => {
                let (media_type, syntax, description) = self.statements(existing)?;
                let patched = linkset::patched(description, patch, &self.target, &self.origins)?;
                Ok(Patched {
                    kind: ResourceKind::RdfSource,
                    media_type,
                    bytes: Bytes::from(patched.write(syntax)?),
                    syntax: Some(syntax),
                })
            }
            PatchDocument::Merge(patch) => self.carry_out_on_json(patch, existing),
        }
    }

    fn carry_out_on_graph(
        &self,
        patch: &Patch,
        existing: Existing<'_>,
        snapshot: &dyn Snapshot,
    ) -> Result<Patched, Error> {
        let (media_type, syntax, document) = self.statements(existing)?;
        let before = document.quads.clone();
        let patched = apply(document, patch, self.steps_max).map_err(|error| Error::Conflict(error.to_string()))?;
        if self.target.is_container() {
            check_containment(patch, &before, &patched)?;
            let own = container::without_managed(patched, &self.target.name, &self.origins, snapshot)?;
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
                syntax: Some(syntax),
            });
        }
        Ok(Patched {
            kind: ResourceKind::RdfSource,
            media_type,
            bytes: Bytes::from(patched.write(syntax)?),
            syntax: Some(syntax),
        })
    }

    /// The RDF document with its media type; an empty Turtle document where there is none.
    fn statements(&self, existing: Existing<'_>) -> Result<(String, Syntax, Document), Error> {
        let Some((resource, bytes)) = existing else {
            let media_type = Syntax::Turtle.media_type().to_owned();
            return Ok((media_type, Syntax::Turtle, Document::default()));
        };
        let syntax = stored_syntax(&resource.media_type)
            .filter(|_| resource.kind != ResourceKind::NonRdfSource)
            .ok_or_else(|| Error::Conflict("the resource is not RDF and cannot be patched".to_owned()))?;
        let base = self.target.name.iri(&self.origins);
        let document = document::parse(&bytes, syntax, &base, self.bounds)?;
        Ok((resource.media_type.clone(), syntax, document))
    }

    /// JSON after a merge; an absent document is made of the patch alone (RFC 7396 §2).
    fn carry_out_on_json(&self, patch: &MergePatch, existing: Existing<'_>) -> Result<Patched, Error> {
        let (kind, media_type, before) = match existing {
            None => (
                ResourceKind::NonRdfSource,
                "application/json".to_owned(),
                serde_json::Value::Null,
            ),
            Some((resource, bytes)) => {
                let before = read_json(&bytes, self.bounds.nesting_max, "malformed-json").map_err(not_mergeable)?;
                (resource.kind, resource.media_type.clone(), before)
            }
        };
        let bytes = Bytes::from(patch.apply(before).to_string());
        let syntax = stored_syntax(&media_type).filter(|_| kind == ResourceKind::RdfSource);
        if let Some(syntax) = syntax {
            document::check(&bytes, syntax, &self.target.name.iri(&self.origins), self.bounds)?;
        }
        Ok(Patched {
            kind,
            media_type,
            bytes,
            syntax,
        })
    }

    /// Refuses to take a large document into memory: only JSON that was never looked at can be one.
    fn check_size(&self, existing: &Resource) -> Result<(), Error> {
        if existing.size > self.json_bytes_max {
            return Err(Error::Conflict(format!(
                "the document has more than {} bytes and cannot be patched: replace it instead",
                self.json_bytes_max
            )));
        }
        Ok(())
    }
}

/// What is stored under a JSON media type was never promised to be JSON: the document is at odds with the patch.
fn not_mergeable(error: Error) -> Error {
    Error::Conflict(format!("the document cannot be merged with: {error}"))
}

/// Containment is never patched, not even with what is already so or not so (solid#27).
fn check_containment(patch: &Patch, before: &[oxrdf::Quad], after: &Document) -> Result<(), Error> {
    let contains = |quad: &&oxrdf::Quad| quad.predicate.as_str() == CONTAINS;
    let touched = patch
        .changes
        .iter()
        .flat_map(|change| change.insertions.iter().chain(&change.deletions))
        .any(|pattern| {
            matches!(&pattern.predicate, super::patch::PatternTerm::Constant(oxrdf::Term::NamedNode(node))
                if node.as_str() == CONTAINS)
        });
    if touched || before.iter().filter(contains).count() != after.quads.iter().filter(contains).count() {
        return Err(Error::Conflict(
            "containment is kept by the server: make or delete members instead of patching it".to_owned(),
        ));
    }
    Ok(())
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
                change.check_size(&resource)?;
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
        match (&self.access, patched.syntax) {
            (Some(access), Some(syntax)) => access.check(&patched.bytes, syntax, target),
            (Some(_), None) => Err(Error::Internal(
                "access rules that are no RDF were to be kept".to_owned(),
            )),
            (None, _) => Ok(()),
        }
    }
}
