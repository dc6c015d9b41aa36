//! Makes recorded decisions again from what their records hold, offline, and names each that comes out differently (AUD-9).
//!
//! A record tells what was asked and known; the documents among that are kept beside the log by their digests. The
//! decision is made by the same function as then, so that a difference means that the record, a document or the deciding
//! changed. It reads the database with its own few statements, as the verifier does.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use policies::acp::EffectiveAcp;
use policies::audit::basis::{Told, again};
use policies::audit::{Apart, AuditAction, AuditRecord, Basis, Document, Known};
use policies::facts::{AgreementFact, EffectiveAcl, Fact, FactRequest, Facts};
use policies::odrl;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::verify::{LogFault, open};
use crate::audit::{Sealed, place};
use crate::authz::WrittenRules;
use crate::http::media_type::stored_syntax;
use crate::ldp::document::Bounds;

/// Documents that are held ready while a log is replayed.
const READY_MAX: usize = 10_000;
/// Differences that are told one by one; the others are counted.
pub const TOLD_MAX: usize = 1_000;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Decisions that came out as they were recorded.
    pub same: u64,
    /// Records in which no policy decided: acts of owners and subjects, refusals for the form of a request, and what earlier
    /// releases recorded.
    pub without: u64,
    /// Leaves whose readable record, or a document that it rests on, was purged or erased, as the log says.
    pub gone: u64,
    /// Number of decisions that differ.
    pub differing: u64,
    /// The first [`TOLD_MAX`] of them.
    pub told: Vec<Difference>,
}

/// A decision that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Position in the log.
    pub leaf: u64,
    /// How.
    pub how: String,
}

/// Replays the log in a store's directory, from a position on and before another.
///
/// # Errors
/// When the database cannot be read. What is wrong with single records is in the answer.
pub fn store(directory: &Path, from: u64, before: u64) -> Result<Replayed, LogFault> {
    database(&open(directory)?, from, before)
}

/// The same for an open database.
///
/// # Errors
/// As [`store`].
pub fn database(connection: &Connection, from: u64, before: u64) -> Result<Replayed, LogFault> {
    let mut replay = Replay {
        connection,
        ready: HashMap::new(),
        purged: purged(connection)?,
    };
    let mut replayed = Replayed::default();
    let mut statement = connection.prepare(
        "SELECT position, hash, record FROM audit_log_hash LEFT JOIN audit_records ON leaf = position \
         WHERE level = 0 AND position >= ?1 AND position < ?2 ORDER BY position",
    )?;
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![signed(from), signed(before)])?;
    while let Some(row) = rows.next()? {
        let leaf = row.get::<_, i64>(0)?.unsigned_abs();
        let (hash, record): (Vec<u8>, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
        let Some(record) = record else {
            replayed.gone += 1;
            continue;
        };
        match replay.one(&hash, &record)? {
            Outcome::Same => replayed.same += 1,
            Outcome::Without => replayed.without += 1,
            Outcome::Gone => replayed.gone += 1,
            Outcome::Differs(how) => {
                replayed.differing += 1;
                if replayed.told.len() < TOLD_MAX {
                    replayed.told.push(Difference { leaf, how });
                }
            }
        }
    }
    Ok(replayed)
}

enum Outcome {
    Same,
    Without,
    Gone,
    Differs(String),
}

/// Why a fact cannot be had again: the store failed, or what was kept is not what it should be.
enum Lost {
    Database(rusqlite::Error),
    /// The log says that it was deleted.
    Purged,
    Changed(String),
}

impl From<rusqlite::Error> for Lost {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

struct Replay<'c> {
    connection: &'c Connection,
    /// Facts whose documents were read already, by request and kept state.
    ready: HashMap<String, Fact>,
    /// Digests of the places of documents that the log says were deleted.
    purged: HashSet<String>,
}

fn purged(connection: &Connection) -> Result<HashSet<String>, LogFault> {
    let mut statement = connection
        .prepare("SELECT record FROM audit_records WHERE instr(record, CAST('\"documents\":[\"' AS BLOB)) > 0")?;
    let mut rows = statement.query([])?;
    let mut found = HashSet::new();
    while let Some(row) = rows.next()? {
        let sealed = Sealed::from_bytes(&row.get::<_, Vec<u8>>(0)?);
        found.extend(
            sealed
                .ok()
                .and_then(|sealed| sealed.record.purged)
                .into_iter()
                .flat_map(|purged| purged.documents),
        );
    }
    Ok(found)
}

impl Replay<'_> {
    fn one(&mut self, hash: &[u8], bytes: &[u8]) -> Result<Outcome, LogFault> {
        let read = Sealed::from_bytes(bytes).and_then(|sealed| {
            let root = sealed.subjects_root()?;
            let leaf = sealed.leaf_hash(&root)?;
            Ok((sealed, leaf))
        });
        let (sealed, leaf) = match read {
            Ok(read) => read,
            Err(error) => return Ok(Outcome::Differs(format!("the record cannot be read: {error}"))),
        };
        if leaf != hash {
            return Ok(Outcome::Differs(
                "the record is not the one that the leaf commits to".to_owned(),
            ));
        }
        let record = &sealed.record;
        let Some(basis) = &record.basis else {
            return Ok(Outcome::Without);
        };
        let found = self.whole(basis).and_then(|basis| {
            let facts = self.facts(record, &basis)?;
            Ok((basis, facts))
        });
        let (basis, facts) = match found {
            Ok(found) => found,
            Err(Lost::Database(error)) => return Err(error.into()),
            Err(Lost::Purged) => return Ok(Outcome::Gone),
            Err(Lost::Changed(how)) => return Ok(Outcome::Differs(how)),
        };
        Ok(match again(record, &basis, &facts) {
            Ok(told) if same(&told, record, &basis) => Outcome::Same,
            Ok(told) => Outcome::Differs(format!("recorded {:?}, decided again {told:?}", Told::by(record))),
            Err(error) => Outcome::Differs(error.to_string()),
        })
    }

    /// The basis with what is kept apart.
    fn whole(&self, basis: &Basis) -> Result<Basis, Lost> {
        let Some(kept) = &basis.kept else {
            return Ok(basis.clone());
        };
        let apart: Apart = serde_json::from_slice(&self.text(kept)?)
            .map_err(|error| Lost::Changed(format!("`{kept}` is no basis of a decision: {error}")))?;
        Ok(apart.basis)
    }

    fn facts(&mut self, record: &AuditRecord, basis: &Basis) -> Result<Facts, Lost> {
        let mut facts = Facts::new().with(FactRequest::Purposes, Fact::Absent);
        for known in &basis.facts {
            let (request, fact) = self.fact(record, known)?;
            facts.insert(request, fact);
        }
        Ok(facts)
    }

    fn fact(&mut self, record: &AuditRecord, known: &Known) -> Result<(FactRequest, Fact), Lost> {
        let unavailable = || Fact::Unavailable("it could not be looked up then".to_owned());
        Ok(match known {
            Known::Rules {
                broken,
                documents,
                resource,
            } => {
                let fact = match broken {
                    Some(why) => Fact::AclBroken(why.clone()),
                    None => self.rules(resource, documents)?,
                };
                let resource = resource.clone();
                (FactRequest::EffectiveAcl { resource }, fact)
            }
            Known::Group { group, member } => {
                let fact = match (member, &record.agent) {
                    (Some(true), Some(agent)) => Fact::Members(Arc::new(BTreeSet::from([agent.clone()]))),
                    (Some(_), _) => Fact::Absent,
                    (None, _) => unavailable(),
                };
                (FactRequest::GroupMembers { group: group.clone() }, fact)
            }
            Known::People {
                creators,
                people,
                resource,
            } => {
                let fact = match people {
                    Some(people) if people.is_empty() => Fact::Absent,
                    Some(people) => Fact::People(Arc::new(people.clone())),
                    None => unavailable(),
                };
                let resource = resource.clone();
                let request = match creators {
                    true => FactRequest::Creators { resource },
                    false => FactRequest::Owners { resource },
                };
                (request, fact)
            }
            Known::Agreement { id, .. } => (FactRequest::Agreement { id: id.clone() }, self.agreement(known)?),
            Known::Dataset {
                covers,
                id,
                unavailable,
            } => {
                let fact = match (unavailable, covers) {
                    (Some(why), _) => Fact::Unavailable(why.clone()),
                    (None, None) => Fact::Absent,
                    (None, Some(kept)) => {
                        let covers = serde_json::from_slice(&self.text(kept)?);
                        Fact::Dataset(Arc::new(
                            covers.map_err(|error| Lost::Changed(format!("`{kept}` is no dataset: {error}")))?,
                        ))
                    }
                };
                (FactRequest::Dataset { id: id.clone() }, fact)
            }
        })
    }

    fn agreement(&mut self, known: &Known) -> Result<Fact, Lost> {
        let Known::Agreement {
            circumstances,
            id,
            policy,
            state,
            unavailable,
            uses,
        } = known
        else {
            return Ok(Fact::Absent);
        };
        if let Some(why) = unavailable {
            return Ok(Fact::Unavailable(why.clone()));
        }
        let (Some(kept), Some(state)) = (policy, state) else {
            return Ok(Fact::Absent);
        };
        let policy = odrl::parse_turtle(&self.text(kept)?, id, &odrl::OdrlLimits::default())
            .map_err(|error| Lost::Changed(format!("the agreement `{kept}` cannot be read: {error}")))?
            .into_iter()
            .find(|policy| policy.id == *id)
            .ok_or_else(|| Lost::Changed(format!("`{kept}` is not the agreement `{id}`")))?;
        let circumstances = match circumstances {
            None => odrl::Circumstances::NotKept,
            Some(kept) => {
                let known = serde_json::from_slice(&self.text(kept)?);
                let known =
                    known.map_err(|error| Lost::Changed(format!("`{kept}` tells no circumstances: {error}")))?;
                odrl::Circumstances::Known(Box::new(known))
            }
        };
        Ok(Fact::Agreement(Arc::new(AgreementFact {
            circumstances,
            policy: Arc::new(policy),
            state: *state,
            expires_at: None,
            uses: *uses,
        })))
    }

    /// The rules of a resource, compiled as the server compiles them.
    fn rules(&mut self, resource: &str, documents: &[Document]) -> Result<Fact, Lost> {
        let Some(first) = documents.first() else {
            return Ok(Fact::Absent);
        };
        if !first.policies {
            let inherited = first.holder != resource;
            let compiled = self.compiled(first)?;
            return Ok(match compiled {
                Fact::Acl(effective) => Fact::Acl(EffectiveAcl { inherited, ..effective }),
                other => other,
            });
        }
        let mut effective = EffectiveAcp::default();
        for document in documents {
            match self.compiled(document)? {
                Fact::Acp(one) => match &one.own {
                    Some(own) if document.holder == resource => effective.own = Some(Arc::clone(own)),
                    Some(own) => effective.ancestors.push(Arc::clone(own)),
                    None => {}
                },
                other => return Ok(other),
            }
        }
        Ok(Fact::Acp(Arc::new(effective)))
    }

    /// One document, compiled: an access control list, or an access control resource as if it were that of its holder.
    fn compiled(&mut self, document: &Document) -> Result<Fact, Lost> {
        let key = format!("{} {} {}", document.policies, document.holder, document.kept);
        if let Some(ready) = self.ready.get(&key) {
            return Ok(ready.clone());
        }
        let bytes = Bytes::from(self.text(&document.kept)?);
        let written = WrittenRules {
            document: &document.iri,
            resource: &document.holder,
            bytes: &bytes,
            syntax: stored_syntax(&document.media_type),
            bounds: Bounds {
                nesting_max: crate::config::LdpSection::default().nesting_max,
            },
        };
        let fact = if document.policies {
            written.access_control_resource().map(|own| {
                Fact::Acp(Arc::new(EffectiveAcp {
                    own: Some(Arc::new(own)),
                    ..EffectiveAcp::default()
                }))
            })
        } else {
            written.acl().map(|acl| {
                Fact::Acl(EffectiveAcl {
                    acl: Arc::new(acl),
                    holder: document.holder.clone(),
                    inherited: false,
                })
            })
        };
        let fact = fact.unwrap_or_else(|error| Fact::AclBroken(error.to_string()));
        if self.ready.len() >= READY_MAX {
            self.ready.clear();
        }
        self.ready.insert(key, fact.clone());
        Ok(fact)
    }

    /// A kept state of a document, which must have its digest.
    fn text(&self, kept: &str) -> Result<Vec<u8>, Lost> {
        let found: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT value FROM records WHERE kind = 'evidence' AND key = ?1")?
            .query_row([kept], |row| row.get(0))
            .optional()?;
        let Some(bytes) = found else {
            return Err(match self.purged.contains(&place(kept)) {
                true => Lost::Purged,
                false => Lost::Changed(format!("the document `{kept}` is not kept any more")),
            });
        };
        match kept.ends_with(&hex::encode(Sha256::digest(&bytes))) {
            true => Ok(bytes),
            false => Err(Lost::Changed(format!("the document `{kept}` was changed"))),
        }
    }
}

/// Whether a decision is the recorded one. A query over what somebody may read rests on many answers: it tells only that
/// there were any.
fn same(told: &Told, record: &AuditRecord, basis: &Basis) -> bool {
    let by_rules = record.action == AuditAction::Query && basis.questions.iter().all(|asked| asked.modes.is_some());
    match by_rules {
        true => told.outcome == record.outcome,
        false => *told == Told::by(record),
    }
}
