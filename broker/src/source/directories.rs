//! The directories in use, one for each list of sources that queries run over.

use super::{Directory, Source, SourceDescription, SourceId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The directories in use: one for each list of sources that queries run over, which differ by who asks under which agreements.
#[derive(Debug)]
pub struct Directories {
    kept: Mutex<Vec<Arc<Directory>>>,
    most: usize,
}

impl Directories {
    /// Keeps at most so many; the one that was not used for longest goes first.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            kept: Mutex::new(Vec::new()),
            most: most.max(1),
        }
    }

    /// The directory of these sources. A list with a new published description is a new list.
    #[must_use]
    pub fn of(&self, sources: &[Source]) -> Arc<Directory> {
        let published = self.published(sources);
        let foreign = sources
            .iter()
            .enumerate()
            .filter(|(_, source)| source.foreign.is_some());
        let learnt: BTreeMap<SourceId, Arc<SourceDescription>> = foreign
            .map(|(id, source)| (id, Arc::clone(&source.description)))
            .collect();
        match learnt.is_empty() {
            true => published,
            false => Arc::new(published.knowing(learnt)),
        }
    }

    fn published(&self, sources: &[Source]) -> Arc<Directory> {
        {
            let mut kept = self.kept.lock();
            if let Some(at) = kept
                .iter()
                .position(|known| known.describes(sources.iter().map(published_by)))
            {
                let known = kept.remove(at);
                kept.push(Arc::clone(&known));
                return known;
            }
        }
        let descriptions = sources.iter().map(|source| Arc::clone(published_by(source))).collect();
        let made = Arc::new(Directory::of(descriptions));
        let mut kept = self.kept.lock();
        if kept.len() >= self.most {
            kept.remove(0);
        }
        kept.push(Arc::clone(&made));
        made
    }
}

impl Default for Directories {
    fn default() -> Self {
        Self::new(crate::plan::PlanLimits::default().directories_max)
    }
}

/// What a source publishes: of a member that publishes no summary nothing, whatever was found out about it for one query.
fn published_by(source: &Source) -> &Arc<SourceDescription> {
    static NOTHING: LazyLock<Arc<SourceDescription>> = LazyLock::new(|| Arc::new(SourceDescription::unknown()));
    match &source.foreign {
        Some(_) => &NOTHING,
        None => &source.description,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use oxrdf::{NamedNode, Term, Triple};
    use spargebra::term::{TriplePattern, Variable};
    use std::collections::BTreeSet;

    fn node(text: &str) -> NamedNode {
        NamedNode::new_unchecked(text)
    }

    fn holding(predicate: &str) -> Arc<SourceDescription> {
        let held = Triple::new(
            node("https://m.example/a"),
            node(predicate),
            Term::from(node("https://x.example/")),
        );
        Arc::new(SourceDescription::of_triples([&held]))
    }

    #[test]
    fn a_new_description_makes_a_new_directory() {
        let source = |predicate: &str| Source {
            member: "m".to_owned(),
            dataset: "https://m.example/d".to_owned(),
            endpoint: "https://m.example/sparql".to_owned(),
            agreement: None,
            description: holding(predicate),
            aggregate_only: None,
            properties: None,
            hidden: BTreeSet::new(),
            stays: false,
            masks: false,
            foreign: None,
        };
        let mut sources = ["https://v.example/p", "https://v.example/q"].map(source);
        let directories = Directories::new(2);
        let first = directories.of(&sources);
        assert!(Arc::ptr_eq(&first, &directories.of(&sources)));
        sources[1].description = holding("https://v.example/new");
        let second = directories.of(&sources);
        assert!(!Arc::ptr_eq(&first, &second));
        let pattern = TriplePattern {
            subject: Variable::new_unchecked("s").into(),
            predicate: node("https://v.example/new").into(),
            object: Variable::new_unchecked("o").into(),
        };
        assert!(first.find(&pattern).triples.get(&1).is_none() && second.find(&pattern).triples.get(&1).is_some());
    }
}
