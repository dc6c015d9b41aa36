//! The resource interface of one server: every request for an LDP resource comes through here.
//!
//! It knows the order of things (decide, record, look, check, do) and leaves each of them to its own module.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use policies::wac::Modes;
use server_kit::body::{self, Body};
use server_kit::clock::Clock;
use server_kit::random::Random;
use tokio::sync::Semaphore;

use crate::authz::{Caller, Pep, UseKind};
use crate::config::LdpSection;
use crate::error::Error;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{ReadPermit, Snapshot, Store, StoreError};

use super::document::Bounds;
use super::headers;
use super::heads::Heads;
use super::issuer_links::IssuerLinks;
use super::operation::Operation;
use super::profile_guard::Writer;
use super::public::PublicReads;
use super::representation::RepresentationCache;
use super::situation::Situation;
use super::target::{Role, Target};
use super::{delete, patch_request, post, put, read};

const LOOK_AROUND: &str = "whether an operation makes or changes a resource decides which rights it needs";

/// The base of IRIs and the bounds with which documents are read, to be taken into a transaction.
pub(super) struct Reading {
    pub(super) origins: Origins,
    pub(super) bounds: Bounds,
}

/// The bounds of the store that writes are held to before they reach it.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Largest body that lies in the database, in bytes.
    pub inline_bytes_max: usize,
    /// Bytes that all bodies of one storage may have together.
    pub quota_bytes_max: u64,
}

/// The resource interface.
pub struct LdpService {
    pub(super) store: Arc<dyn Store>,
    pub(super) pep: Arc<Pep>,
    pub(super) bounds: LdpSection,
    pub(super) inline_bytes_max: usize,
    pub(super) quota_bytes_max: u64,
    /// When this server started, Unix seconds: what it says of itself is as old as that.
    pub(super) started: i64,
    pub(super) origins: Origins,
    pub(super) random: Arc<dyn Random>,
    pub(super) representations: RepresentationCache,
    pub(super) public: PublicReads,
    pub(super) heads: Heads,
    pub(super) conversions: Arc<Semaphore>,
    pub(super) issuer_links: IssuerLinks,
}

impl LdpService {
    /// The interface over a store, behind an enforcement point.
    pub fn new(
        store: Arc<dyn Store>,
        pep: Arc<Pep>,
        bounds: LdpSection,
        room: Room,
        origins: Origins,
        random: Arc<dyn Random>,
        clock: &dyn Clock,
    ) -> Self {
        Self {
            representations: RepresentationCache::new(&bounds),
            issuer_links: IssuerLinks::default(),
            public: PublicReads::new(&bounds),
            heads: Heads::default(),
            conversions: Arc::new(Semaphore::new(bounds.conversions_max)),
            store,
            pep,
            bounds,
            inline_bytes_max: room.inline_bytes_max,
            quota_bytes_max: room.quota_bytes_max,
            started: clock.unix(),
            origins,
            random,
        }
    }

    /// Answers a request for a resource.
    ///
    /// # Errors
    /// Everything that is to become an error response.
    pub async fn handle(&self, request: Request<Body>, caller: &Caller) -> Result<Response<Body>, Error> {
        if request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return Ok(headers::options_of_the_server());
        }
        let name = ResourceName::parse(request.uri().path())?;
        let target = Target::of(name);
        let (parts, incoming) = request.into_parts();
        match parts.method {
            Method::GET | Method::HEAD => read::read(self, &parts, &target, caller).await,
            Method::OPTIONS => read::options(self, &target, caller).await,
            Method::PUT => put::put(self, &parts.headers, incoming, &target, caller).await,
            Method::POST => post::post(self, &parts.headers, incoming, &target, caller).await,
            Method::PATCH => patch_request::patch(self, &parts.headers, incoming, &target, caller).await,
            Method::DELETE => delete::delete(self, &parts.headers, &target, caller).await,
            // They are known, and no resource supports them (T63).
            Method::TRACE | Method::CONNECT => Err(Error::MethodNotAllowed {
                allow: target.allow(None),
            }),
            _ => Err(Error::MethodUnknown),
        }
    }

    /// Answers a plain GET of something that anyone may read, from memory and without any cryptography. None when the
    /// long way has to be taken.
    #[must_use]
    pub fn fast(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        self.public.answer(self, method, path, headers)
    }

    pub(super) fn rdf_bounds(&self) -> Bounds {
        Bounds {
            nesting_max: self.bounds.nesting_max,
        }
    }

    pub(super) fn reading(&self) -> Reading {
        Reading {
            origins: self.origins.clone(),
            bounds: self.rdf_bounds(),
        }
    }

    /// Who writes, for the checks that a transaction makes.
    pub(super) fn writer(&self, caller: &Caller) -> Writer {
        Writer {
            agent: caller.subject.agent.clone(),
            origins: self.origins.clone(),
            quota_bytes_max: self.quota_bytes_max,
            owner_room_percent: self.bounds.owner_room_percent,
            bounds: self.rdf_bounds(),
        }
    }

    /// What is there, before anything was decided. It leaves this module only as the choice of rights to ask for.
    pub(super) fn look_around(&self, target: &Target) -> Result<Situation, StoreError> {
        let snapshot = self.store.snapshot(ReadPermit::without_proof(LOOK_AROUND))?;
        Situation::read(snapshot.as_ref(), target)
    }

    /// As [`Self::look_around`], with the checks that need the store.
    pub(super) fn check_writable(&self, target: &Target, situation: &Situation) -> Result<(), Error> {
        let snapshot = self.store.snapshot(ReadPermit::without_proof(LOOK_AROUND))?;
        let snapshot: &dyn Snapshot = snapshot.as_ref();
        situation.check_writable(snapshot, target)
    }

    /// Decides on a write, or refuses it and records the refusal.
    pub(super) async fn decide(
        &self,
        operation: &Operation,
        target: &Target,
        situation: &Situation,
        caller: &Caller,
    ) -> Result<crate::authz::Verdict, Error> {
        let requirements = operation.requirements(target, situation);
        let verdict = self.pep.consider(&caller.subject, &requirements).await?;
        if verdict.permitted {
            return Ok(verdict);
        }
        let used = caller.uses(operation.use_kind(situation.existing.is_some()), &target.name);
        Err(self.pep.refuse(&verdict, &used))
    }

    /// Refuses methods that the target does not support. Comes after the decision, so that a refusal hides what is there.
    pub(super) fn check_method(&self, method: &Method, target: &Target, situation: &Situation) -> Result<(), Error> {
        let present = situation.existing.as_ref();
        if target.supports(method, present) {
            return Ok(());
        }
        Err(Error::MethodNotAllowed {
            allow: target.allow(present),
        })
    }

    /// What to say about a target that does not exist: 404 to whoever may read there, and otherwise what a target that
    /// exists and may not be touched would get, so that nothing is learnt (T23).
    pub(super) fn missing(target: &Target, verdict: &crate::authz::Verdict, caller: &Caller) -> Error {
        let sees = if target.is_acl() { Modes::CONTROL } else { Modes::READ };
        if verdict.modes.contains(sees) {
            return Error::NotFound;
        }
        if caller.is_authenticated() {
            Error::Forbidden
        } else {
            Error::Unauthenticated
        }
    }

    /// The answer to a write that stands.
    pub(super) fn written(&self, target: &Target, resource: &crate::store::Resource, created: bool) -> Response<Body> {
        let mut response = Response::new(body::empty());
        *response.status_mut() = if created {
            StatusCode::CREATED
        } else {
            StatusCode::NO_CONTENT
        };
        let header_map = response.headers_mut();
        headers::add_links(header_map, target, &self.origins, None);
        if let Err(error) = self.link_access_rules(header_map, target, false) {
            // The write stands, and what could be said about it is less.
            tracing::warn!(%error, name = %target.name, "the access rules could not be described");
        }
        headers::add_methods(header_map, target, Some(resource));
        headers::add_validators(header_map, &read::stored_etag(resource), resource.modified);
        header_map.insert(http::header::VARY, HeaderValue::from_static(headers::VARY_ALL));
        if created && let Ok(location) = HeaderValue::from_str(&resource.name.iri(&self.origins)) {
            header_map.insert(http::header::LOCATION, location);
        }
        response
    }

    /// The owner of the storage whose root a target is.
    pub(super) fn owner_of(&self, target: &Target) -> Result<Option<String>, Error> {
        let permit = ReadPermit::without_proof("the owner is published in the links of a storage's root");
        let snapshot = self.store.snapshot(permit)?;
        Ok(snapshot.storage(&target.name)?.map(|storage| storage.owner))
    }

    /// Whether a role can hold resources at all.
    pub(super) fn is_resource(target: &Target) -> bool {
        !matches!(target.role, Role::ServerRoot | Role::Reserved)
    }

    /// Whether a use of this kind changes anything.
    pub(super) fn use_of(operation: &Operation, situation: &Situation) -> UseKind {
        operation.use_kind(situation.existing.is_some())
    }
}
