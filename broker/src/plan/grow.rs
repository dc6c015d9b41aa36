//! Growing parts of a query together: two that provably join within one source are one part.

use super::local::{Local, next_join};
use super::rewrite::{Node, Planner};
use spargebra::algebra::Expression;
use std::collections::BTreeSet;

impl Planner<'_> {
    /// Grows parts together until no two of them join locally.
    pub(super) fn block(&mut self, mut units: Vec<Local>, filters: Vec<Expression>) -> Node {
        let mut names: Vec<usize> = (0..units.len()).collect();
        let mut grown = units.len();
        let mut separate = BTreeSet::new();
        // Of a pair the first one grows: where it is about copies, it is the one that refers to them.
        while let Some((own, other)) =
            next_join(&units, &names, &mut separate).or_else(|| self.reference_to_copies(&units))
        {
            let added = units.remove(other);
            names.remove(other);
            let at = if other < own { own - 1 } else { own };
            let unit = units.remove(at).join(added);
            units.insert(at, unit);
            if let Some(name) = names.get_mut(at) {
                (*name, grown) = (grown, grown + 1);
            }
        }
        if units.len() == 1
            && let Some(unit) = units.pop()
        {
            let mut node = Node::Local(unit);
            for filter in filters {
                node = self.filter(node, filter);
            }
            return node;
        }
        Node::Block { units, filters }
    }
}
