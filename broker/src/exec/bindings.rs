//! Keys of a bound join: distinct bindings, sent to their owners only, in blocks sized by bytes.

use super::Session;
use crate::plan::{Anchor, Bind, SubPlan, SubPlanText};
use crate::source::description::authority;
use crate::source::{Keys, SourceId, ValueSet};
use oxrdf::{NamedNode, NamedNodeRef, Term, Variable};
use server_kit::keys::{Key, key};
use server_kit::mask::{Mask, SALT};
use server_kit::random::{Random, SystemRandom};
use spargebra::term::GroundTerm;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows of a `VALUES` table.
pub(super) type Block = Vec<Vec<GroundTerm>>;

/// Distinct keys in an answer; `None` when a key cannot be sent (unbound or a blank node).
pub(super) fn keys<'r>(
    bind: &Bind,
    columns: &[Variable],
    rows: impl Iterator<Item = &'r Vec<Option<Term>>>,
) -> Option<Vec<Vec<Term>>> {
    let positions: Vec<usize> = bind
        .variables
        .iter()
        .map(|variable| columns.iter().position(|column| column == variable))
        .collect::<Option<_>>()?;
    let mut seen: HashSet<Vec<&Term>> = HashSet::new();
    let mut keys = Vec::new();
    for row in rows {
        let key: Vec<&Term> = positions
            .iter()
            .map(|at| row.get(*at).and_then(Option::as_ref))
            .collect::<Option<_>>()?;
        if key.iter().any(|term| matches!(term, Term::Triple(_))) {
            return None;
        }
        if key.iter().any(|term| matches!(term, Term::BlankNode(_))) {
            continue; // never equal to anything at another source
        }
        if seen.insert(key.clone()) {
            keys.push(key.into_iter().cloned().collect());
        }
    }
    Some(keys)
}

/// Blocks per source: each source sees only keys that it can own.
pub(super) fn blocks(
    part: &SubPlan,
    bind: &Bind,
    keys: &[Vec<Term>],
    session: &Session<'_>,
) -> BTreeMap<SourceId, Vec<Block>> {
    let prepared = Prepared::of(part, bind, keys);
    let bytes_max = session.plan_limits.values_block_bytes_max;
    let blocks = part.sources.keys().map(|id| {
        let mut owner = Owner::of(*id, part, bind, session, prepared.authorities.len());
        let mut blocks: Vec<Block> = Vec::new();
        let mut block: Block = Vec::new();
        let mut bytes = 0;
        for key in &prepared.keys {
            if !owner.may_hold(key, &prepared.authorities) {
                continue;
            }
            if bytes + key.bytes > bytes_max && !block.is_empty() {
                blocks.push(std::mem::take(&mut block));
                bytes = 0;
            }
            bytes += key.bytes;
            block.push(key.row.clone());
        }
        if !block.is_empty() {
            blocks.push(block);
        }
        (*id, blocks)
    });
    blocks.filter(|(_, blocks)| !blocks.is_empty()).collect()
}

/// Keys with what is looked at once for all sources.
struct Prepared<'a> {
    keys: Vec<PreparedKey<'a>>,
    authorities: Vec<Term>,
}

struct PreparedKey<'a> {
    row: Vec<GroundTerm>,
    bytes: usize,
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    term: &'a Term,
    /// Place among the authorities, of an IRI.
    authority: Option<usize>,
    /// Its hash, where sources may list it.
    key: Option<Key>,
}

impl<'a> Prepared<'a> {
    fn of(part: &SubPlan, bind: &Bind, keys: &'a [Vec<Term>]) -> Self {
        let mut numbers: HashMap<&'a str, usize> = HashMap::new();
        let mut authorities = Vec::new();
        let mut prepared = Vec::with_capacity(keys.len());
        for terms in keys {
            let row: Vec<GroundTerm> = terms.iter().filter_map(crate::plan::ground).collect();
            let columns = terms.iter().zip(&bind.variables).map(|(term, variable)| {
                let Term::NamedNode(node) = term else {
                    return Column {
                        term,
                        authority: None,
                        key: None,
                    };
                };
                let name = authority(node.as_str());
                let number = *numbers.entry(name).or_insert_with(|| {
                    authorities.push(Term::NamedNode(NamedNode::new_unchecked(name)));
                    authorities.len() - 1
                });
                let listed = part.anchors.get(variable).is_some_and(|anchors| !anchors.is_empty());
                Column {
                    term,
                    authority: Some(number),
                    key: listed.then(|| key(node.as_str())),
                }
            });
            let columns = columns.collect();
            let bytes = row.iter().map(|term| term.to_string().len() + 4).sum();
            prepared.push(PreparedKey { row, bytes, columns });
        }
        Self {
            keys: prepared,
            authorities,
        }
    }
}

/// The sub-query narrowed to keys behind a mask; whole where the keys are not IRIs alone, or too many for one.
pub(super) fn masked(part: &SubPlan, bind: &Bind, blocks: &[Block]) -> String {
    let tuples: Option<Vec<_>> = blocks.iter().flatten().map(|row| iris(row)).collect();
    let mut salt = [0; SALT];
    SystemRandom.fill(&mut salt);
    match tuples.and_then(|tuples| Mask::of(salt, &tuples)) {
        Some(mask) => SubPlanText::masked(part, &bind.variables, &mask),
        None => SubPlanText::whole(part),
    }
}

/// The IRIs of a row; `None` when something else stands in it.
fn iris(row: &[GroundTerm]) -> Option<Vec<NamedNodeRef<'_>>> {
    row.iter()
        .map(|term| match term {
            GroundTerm::NamedNode(node) => Some(node.as_ref()),
            _ => None,
        })
        .collect()
}

/// What one source can hold in each column.
struct Owner<'a> {
    values: Vec<&'a ValueSet>,
    anchors: Vec<&'a [Anchor]>,
    listed: Option<&'a Keys>,
    /// Whole authorities decide for all IRIs below them.
    known: Vec<Vec<Option<bool>>>,
}

impl<'a> Owner<'a> {
    fn of(id: SourceId, part: &'a SubPlan, bind: &'a Bind, session: &'a Session<'_>, authorities: usize) -> Self {
        let values = bind.variables.iter().map(|variable| {
            let per_source = part.values.get(variable);
            per_source.and_then(|column| column.at(id)).unwrap_or(&ValueSet::Any)
        });
        let anchors = bind
            .variables
            .iter()
            .map(|variable| part.anchors.get(variable).map_or(&[][..], Vec::as_slice));
        Self {
            values: values.collect(),
            anchors: anchors.collect(),
            listed: session.sources.get(id).map(|source| source.description.keys()),
            known: vec![vec![None; authorities]; bind.variables.len()],
        }
    }

    fn may_hold(&mut self, key: &PreparedKey<'_>, authorities: &[Term]) -> bool {
        let columns = key
            .columns
            .iter()
            .zip(&self.values)
            .zip(&self.anchors)
            .zip(&mut self.known);
        for (((column, values), anchors), known) in columns {
            if let Some(number) = column.authority {
                let coarse = match (known.get_mut(number), authorities.get(number)) {
                    (Some(place), Some(authority)) => *place.get_or_insert_with(|| values.may_hold(authority)),
                    _ => true,
                };
                if !coarse {
                    return false;
                }
            }
            if !values.may_hold(column.term) {
                return false;
            }
            if let (Term::NamedNode(node), Some(key), Some(listed)) = (column.term, column.key, self.listed) {
                let listed = |anchor: &Anchor| listed.may_have(&anchor.property, anchor.end, node.as_str(), key);
                if !anchors.iter().all(listed) {
                    return false;
                }
            }
        }
        true
    }
}
