//! The access rules that govern a resource, compiled: its effective access control list, or its own access control
//! resource and those of all containers above it (solid#71, solid#86).

use std::sync::Arc;

use bytes::Bytes;
use oxrdf::Triple;
use policies::acp::{AccessControlResource, AcpError, AcpLimits, EffectiveAcp};
use policies::audit::Document;
use policies::facts::{EffectiveAcl, Fact};
use policies::wac::{Acl, AclError, AclLimits};
use quick_cache::sync::Cache;

use super::dependency::Dependency;
use super::pip::read_all;
use super::policy_epoch::PolicyEpoch;
use super::system::AuthorizationSystem;
use crate::audit::Evidence;
use crate::error::Error;
use crate::http::media_type::{Syntax, stored_syntax};
use crate::ldp::document::{self, Bounds};
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{ReadPermit, Resource, ResourceId, Sequence, Snapshot, Store, StoreError};

const READ_REASON: &str = "the information point reads policy documents, which every decision rests on";

/// Compiled access rules, kept until a policy document changes.
pub(super) struct Rules {
    store: Arc<dyn Store>,
    origins: Origins,
    bounds: Bounds,
    chain_max: usize,
    epoch: Arc<PolicyEpoch>,
    effective: Cache<ResourceName, Arc<Effective>>,
    /// Rules as they are applied, and where their text is kept once a recorded decision rests on it.
    compiled: Cache<(ResourceId, Sequence), (Compiled, Arc<str>)>,
}

struct Effective {
    epoch: u64,
    fact: Fact,
    dependency: Dependency,
}

#[derive(Clone)]
enum Compiled {
    Acl(Arc<Acl>),
    Acr(Arc<AccessControlResource>),
    Broken(Arc<str>),
}

impl Rules {
    pub(super) fn new(
        store: Arc<dyn Store>,
        origins: Origins,
        bounds: Bounds,
        (entries_max, chain_max): (usize, usize),
        epoch: Arc<PolicyEpoch>,
    ) -> Self {
        Self {
            effective: Cache::new(entries_max),
            compiled: Cache::new(entries_max),
            store,
            origins,
            bounds,
            chain_max,
            epoch,
        }
    }

    /// The compiled rules of a resource, and what they rest on.
    pub(super) fn effective(&self, name: &ResourceName) -> Result<(Fact, Dependency), StoreError> {
        let epoch = self.epoch.now();
        if let Some(cached) = self.effective.get(name)
            && cached.epoch == epoch
        {
            return Ok((cached.fact.clone(), cached.dependency.clone()));
        }
        let snapshot = self.store.snapshot(ReadPermit::without_proof(READ_REASON))?;
        let system = match name.storage_root() {
            Some(root) => AuthorizationSystem::of(snapshot.as_ref(), &root)?,
            None => AuthorizationSystem::Wac,
        };
        let (fact, dependency) = match system {
            AuthorizationSystem::Wac => self.effective_acl(snapshot.as_ref(), name)?,
            AuthorizationSystem::Acp => self.effective_policies(snapshot.as_ref(), name)?,
        };
        let found = Effective {
            epoch,
            fact: fact.clone(),
            dependency: dependency.clone(),
        };
        self.effective.insert(name.clone(), Arc::new(found));
        Ok((fact, dependency))
    }

    fn effective_acl(&self, snapshot: &dyn Snapshot, name: &ResourceName) -> Result<(Fact, Dependency), StoreError> {
        let found = snapshot.effective_acl(name)?;
        let dependency = |documents: Vec<Document>| Dependency::EffectiveAcl {
            subject: name.clone(),
            found: found.as_ref().map(|(_, acl)| (acl.id, acl.version)),
            documents: documents.into(),
        };
        let Some((holder, acl)) = &found else {
            return Ok((Fact::Absent, dependency(Vec::new())));
        };
        let (compiled, document) = self.compile(snapshot, AuthorizationSystem::Wac, holder, acl)?;
        let fact = match compiled {
            Compiled::Acl(acl) => Fact::Acl(EffectiveAcl {
                acl,
                holder: holder.iri(&self.origins),
                inherited: holder != name,
            }),
            other => other.broken(),
        };
        Ok((fact, dependency(vec![document])))
    }

    fn effective_policies(
        &self,
        snapshot: &dyn Snapshot,
        name: &ResourceName,
    ) -> Result<(Fact, Dependency), StoreError> {
        let found = access_control_resources(snapshot, name)?;
        let dependency = |documents: Vec<Document>| Dependency::EffectivePolicies {
            subject: name.clone(),
            found: found.iter().map(|(_, acr)| (acr.id, acr.version)).collect(),
            documents: documents.into(),
        };
        if found.is_empty() {
            return Ok((Fact::Absent, dependency(Vec::new())));
        }
        if found.len() > self.chain_max {
            let why = format!("more than {} access control resources govern `{name}`", self.chain_max);
            return Ok((Fact::AclBroken(why), dependency(Vec::new())));
        }
        let mut effective = EffectiveAcp::default();
        let mut documents = Vec::with_capacity(found.len());
        for (subject, acr) in &found {
            let (compiled, document) = self.compile(snapshot, AuthorizationSystem::Acp, subject, acr)?;
            documents.push(document);
            match compiled {
                Compiled::Acr(acr) if subject == name => effective.own = Some(acr),
                Compiled::Acr(acr) => effective.ancestors.push(acr),
                other => return Ok((other.broken(), dependency(documents))),
            }
        }
        Ok((Fact::Acp(Arc::new(effective)), dependency(documents)))
    }

    fn compile(
        &self,
        snapshot: &dyn Snapshot,
        system: AuthorizationSystem,
        subject: &ResourceName,
        rules: &Resource,
    ) -> Result<(Compiled, Document), StoreError> {
        let key = (rules.id, rules.version);
        let told = |kept: &str| Document {
            holder: subject.iri(&self.origins),
            iri: rules.name.iri(&self.origins),
            kept: kept.to_owned(),
            media_type: rules.media_type.clone(),
            policies: system == AuthorizationSystem::Acp,
        };
        if let Some((compiled, kept)) = self.compiled.get(&key) {
            return Ok((compiled, told(&kept)));
        }
        let iri = rules.name.iri(&self.origins);
        let bytes = read_all(snapshot, rules)?;
        let root = rules.name.storage_root();
        let kept: Arc<str> = Evidence::key(root.as_ref().map_or("/", ResourceName::as_str), &bytes).into();
        let written = WrittenRules {
            document: &iri,
            resource: &subject.iri(&self.origins),
            bytes: &bytes,
            syntax: stored_syntax(&rules.media_type),
            bounds: self.bounds,
        };
        let compiled = match system {
            AuthorizationSystem::Wac => written.acl().map(|acl| Compiled::Acl(Arc::new(acl))),
            AuthorizationSystem::Acp => written
                .access_control_resource()
                .map(|acr| Compiled::Acr(Arc::new(acr))),
        };
        let compiled = compiled.unwrap_or_else(|error| {
            let reason = error.to_string();
            tracing::error!(rules = %iri, %reason, "access rules cannot be understood: access is denied");
            Compiled::Broken(reason.into())
        });
        self.compiled.insert(key, (compiled.clone(), Arc::clone(&kept)));
        Ok((compiled, told(&kept)))
    }
}

impl Compiled {
    fn broken(&self) -> Fact {
        Fact::AclBroken(match self {
            Self::Broken(reason) => reason.to_string(),
            Self::Acl(_) | Self::Acr(_) => "the document belongs to another authorization system".to_owned(),
        })
    }
}

/// The access control resources of a resource and of all containers above it in its storage, from the resource upwards,
/// each with the resource that it controls.
///
/// # Errors
/// When the store fails.
pub(super) fn access_control_resources(
    snapshot: &dyn Snapshot,
    name: &ResourceName,
) -> Result<Vec<(ResourceName, Resource)>, StoreError> {
    let mut found = Vec::new();
    let mut subject = Some(name.clone());
    while let Some(here) = subject.filter(|here| !here.is_root()) {
        if let Some(acr) = snapshot.resource(&here.auxiliary(Auxiliary::Acl))? {
            found.push((here.clone(), acr));
        }
        subject = here.parent();
    }
    Ok(found)
}

/// A document with access rules as it is written.
pub struct WrittenRules<'r> {
    /// IRI of the document.
    pub document: &'r str,
    /// IRI of the resource that it is for.
    pub resource: &'r str,
    /// The document.
    pub bytes: &'r Bytes,
    /// Its syntax; none for what is not RDF.
    pub syntax: Option<Syntax>,
    /// Bounds on reading it.
    pub bounds: Bounds,
}

impl WrittenRules<'_> {
    /// Compiles an access control list.
    ///
    /// # Errors
    /// 400 with a position for a document that cannot be read, 422 with what and where for one that cannot be enforced.
    pub fn acl(&self) -> Result<Acl, Error> {
        match self.triples()? {
            None => Acl::parse(self.bytes, self.document),
            Some(triples) => Acl::from_triples(&triples, &AclLimits::default()),
        }
        .map_err(|error| match error {
            AclError::Syntax { line, column, message } => malformed(line, column, message),
            other => unprocessable(&other),
        })
    }

    /// Compiles an access control resource.
    ///
    /// # Errors
    /// As [`WrittenRules::acl`].
    pub fn access_control_resource(&self) -> Result<AccessControlResource, Error> {
        let (document, resource) = (self.document, self.resource);
        match self.triples()? {
            None => AccessControlResource::parse(self.bytes, document, resource),
            Some(triples) => AccessControlResource::from_triples(&triples, document, resource, &AcpLimits::default()),
        }
        .map_err(|error| match error {
            AcpError::Syntax { line, column, message } => malformed(line, column, message),
            other => unprocessable(&other),
        })
    }

    /// The triples of a document that is not Turtle, of which N-Triples is a part. None for Turtle: its statements are
    /// read where their lines are known.
    fn triples(&self) -> Result<Option<Vec<Triple>>, Error> {
        let not_rdf = || unprocessable(&"access rules are written in RDF");
        let syntax = self.syntax.ok_or_else(not_rdf)?;
        document::check(self.bytes, syntax, self.document, self.bounds)?;
        if syntax != Syntax::JsonLd {
            return Ok(None);
        }
        let read = document::parse(self.bytes, syntax, self.document, self.bounds)?;
        if read.quads.iter().any(|quad| !quad.graph_name.is_default_graph()) {
            return Err(unprocessable(&"access rules in a named graph would not be enforced"));
        }
        let triples = read.quads.into_iter().map(Triple::from).collect();
        Ok(Some(triples))
    }
}

fn malformed(line: u64, column: u64, message: String) -> Error {
    Error::Malformed {
        kind: "malformed-rdf",
        line,
        column,
        message,
    }
}

fn unprocessable(reason: &dyn std::fmt::Display) -> Error {
    Error::Unprocessable {
        kind: "invalid-access-control",
        detail: reason.to_string(),
    }
}
