//! Keys of a bound join: distinct bindings, sent to their owners only, in blocks sized by bytes.

use crate::plan::{Bind, SubPlan};
use crate::source::{SourceId, ValueSet};
use oxrdf::{Term, Variable};
use spargebra::term::GroundTerm;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows of a `VALUES` table.
pub(super) type Block = Vec<Vec<GroundTerm>>;

/// Distinct keys in an answer; `None` when a key cannot be sent (unbound or a blank node).
pub(super) fn keys(bind: &Bind, columns: &[Variable], rows: &[Vec<Option<Term>>]) -> Option<Vec<Vec<Term>>> {
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
    block_bytes_max: usize,
) -> BTreeMap<SourceId, Vec<Block>> {
    let any = ValueSet::Any;
    part.sources
        .keys()
        .map(|source| {
            let sets: Vec<&ValueSet> = bind
                .variables
                .iter()
                .map(|variable| {
                    part.values
                        .get(variable)
                        .and_then(|column| column.at(*source))
                        .unwrap_or(&any)
                })
                .collect();
            let mut known: HashMap<(usize, String), bool> = HashMap::new();
            let mut blocks: Vec<Block> = Vec::new();
            let mut block: Block = Vec::new();
            let mut bytes = 0;
            for key in keys {
                let owned = key
                    .iter()
                    .zip(&sets)
                    .enumerate()
                    .all(|(column, (term, set))| match term {
                        // Whole authorities decide for all IRIs below them; finer sets are asked each time.
                        Term::NamedNode(node) => {
                            let authority = crate::source::description::authority(node.as_str());
                            let coarse = *known.entry((column, authority.to_owned())).or_insert_with(|| {
                                set.may_hold(&Term::NamedNode(oxrdf::NamedNode::new_unchecked(authority)))
                            });
                            coarse && set.may_hold(term)
                        }
                        other => set.may_hold(other),
                    });
                if !owned {
                    continue;
                }
                let row: Vec<GroundTerm> = key.iter().filter_map(crate::plan::ground).collect();
                let size: usize = row.iter().map(|term| term.to_string().len() + 4).sum();
                if bytes + size > block_bytes_max && !block.is_empty() {
                    blocks.push(std::mem::take(&mut block));
                    bytes = 0;
                }
                bytes += size;
                block.push(row);
            }
            if !block.is_empty() {
                blocks.push(block);
            }
            (*source, blocks)
        })
        .filter(|(_, blocks)| !blocks.is_empty())
        .collect()
}
