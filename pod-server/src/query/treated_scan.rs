//! One scan of a view that changes values or names: the answer is that of a scan over the changed data.

use spareval::InternalQuad;

use super::dataset::{Execution, ScanError};
use super::scan::{Raw, Scan, ScanPlan};
use super::terms::UnknownTerm;
use super::work::BoundTerm;
use crate::index::TermId;
use crate::store::StorageId;

/// The iterator of one scan, with or without changes.
pub(super) enum Rows<'e> {
    /// Everything is shown as it is.
    Plain(Scan<'e>),
    /// Values or names are changed.
    Treated(Box<TreatedScan<'e>>),
}

impl<'e> Rows<'e> {
    pub(super) fn new(execution: &'e Execution<'e>, plan: ScanPlan) -> Self {
        match execution.view.treated() {
            None => Self::Plain(Scan::new(execution, plan)),
            Some(treated) => Self::Treated(Box::new(TreatedScan::new(execution, plan, treated.changed()))),
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<InternalQuad<BoundTerm>, ScanError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Plain(scan) => scan.next(),
            Self::Treated(scan) => scan.next(),
        }
    }
}

/// A scan of the unchanged predicates, then one of each changed predicate.
pub(super) struct TreatedScan<'e> {
    execution: &'e Execution<'e>,
    /// In terms of the index, but for the object, which is one of the view.
    plan: ScanPlan,
    plain: Option<Scan<'e>>,
    waiting: std::vec::IntoIter<u32>,
    current: Option<Changed<'e>>,
}

impl<'e> TreatedScan<'e> {
    fn new(execution: &'e Execution<'e>, plan: ScanPlan, changed: &[u32]) -> Self {
        let meant = |term: Option<TermId>| match term {
            None => Some(None),
            Some(term) => execution.meant(term).map(Some),
        };
        let graph = match plan.graph {
            Some(Some(graph)) => execution.meant(graph).map(|graph| Some(Some(graph))),
            other => Some(other),
        };
        let mut scan = Self {
            execution,
            plan,
            plain: None,
            waiting: Vec::new().into_iter(),
            current: None,
        };
        // What stands for nothing in the view matches nothing.
        let (Some(subject), Some(graph)) = (meant(plan.subject), graph) else {
            return scan;
        };
        let predicate = match plan.predicate.map(|predicate| execution.meant_predicate(predicate)) {
            Some(None) => return scan,
            predicate => predicate.flatten(),
        };
        scan.plan = ScanPlan {
            subject,
            predicate,
            graph,
            ..plan
        };
        let (plain, waiting) = match predicate {
            None => (true, changed.to_vec()),
            Some(predicate) if changed.contains(&predicate.number()) => (false, vec![predicate.number()]),
            Some(_) => (true, Vec::new()),
        };
        if let (true, Some(object)) = (plain, meant(plan.object)) {
            scan.plain = Some(Scan::new(execution, ScanPlan { object, ..scan.plan }));
        }
        scan.waiting = waiting.into_iter();
        scan
    }

    fn shown(&self, quad: InternalQuad<BoundTerm>) -> Result<InternalQuad<BoundTerm>, ScanError> {
        let shown = |term: BoundTerm| self.execution.shown(term.0).map(BoundTerm);
        Ok(InternalQuad {
            subject: shown(quad.subject)?,
            predicate: BoundTerm(self.execution.shown_predicate(quad.predicate.0)?),
            object: shown(quad.object)?,
            graph_name: match quad.graph_name {
                // Data subjects have no number in the index.
                Some(graph) if graph.0.position().is_some() => Some(shown(graph)?),
                other => other,
            },
        })
    }

    fn step(&mut self) -> Result<Option<InternalQuad<BoundTerm>>, ScanError> {
        if let Some(plain) = &mut self.plain {
            match plain.next().transpose()? {
                Some(quad) => return self.shown(quad).map(Some),
                None => self.plain = None,
            }
        }
        loop {
            if let Some(current) = &mut self.current {
                if let Some(quad) = current.step(self.execution)? {
                    return Ok(Some(quad));
                }
                self.current = None;
            }
            let Some(predicate) = self.waiting.next() else {
                return Ok(None);
            };
            self.current = Changed::new(self.execution, self.plan, predicate);
        }
    }
}

impl Iterator for TreatedScan<'_> {
    type Item = Result<InternalQuad<BoundTerm>, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.plain = None;
            self.current = None;
            self.waiting = Vec::new().into_iter();
        }
        step.transpose()
    }
}

/// A scan of one changed predicate. Two values may become one, so all rows of a subject are changed together; every
/// order that a predicate is read in keeps the rows of a subject together.
struct Changed<'e> {
    rows: Scan<'e>,
    predicate: TermId,
    wanted: Option<TermId>,
    /// The first row of the next subject.
    next: Option<Raw>,
    ready: std::vec::IntoIter<InternalQuad<BoundTerm>>,
}

/// A changed row: its value, its document where documents are told apart, and the storages that hold it.
struct Group {
    value: TermId,
    document: Option<u32>,
    storages: Vec<StorageId>,
}

impl<'e> Changed<'e> {
    fn new(execution: &'e Execution<'e>, plan: ScanPlan, predicate: u32) -> Option<Self> {
        let predicate = TermId::from_number(predicate)?;
        let raw = ScanPlan {
            predicate: Some(predicate),
            object: None,
            ..plan
        };
        Some(Self {
            rows: Scan::new(execution, raw),
            predicate,
            wanted: plan.object,
            next: None,
            ready: Vec::new().into_iter(),
        })
    }

    fn step(&mut self, execution: &Execution<'_>) -> Result<Option<InternalQuad<BoundTerm>>, ScanError> {
        loop {
            if let Some(ready) = self.ready.next() {
                return Ok(Some(ready));
            }
            let first = match self.next.take() {
                Some(row) => row,
                None => match self.rows.raw()? {
                    Some(row) => row,
                    None => return Ok(None),
                },
            };
            self.gather(execution, first)?;
        }
    }

    /// Changes all rows of the subject of a row.
    fn gather(&mut self, execution: &Execution<'_>, first: Raw) -> Result<(), ScanError> {
        let apart = self.rows.tells_documents_apart();
        let mut groups: Vec<Group> = Vec::new();
        let mut places = rustc_hash::FxHashMap::default();
        let subject = first.subject;
        let mut row = Some(first);
        while let Some(raw) = row.take() {
            if raw.subject != subject {
                self.next = Some(raw);
                break;
            }
            let value = execution.shown_value(raw.predicate, raw.object)?;
            if let Some(value) = value.filter(|value| self.wanted.is_none_or(|wanted| wanted == *value)) {
                let document = apart.then_some(raw.document);
                let place = *places.entry((value, document)).or_insert(groups.len());
                if place == groups.len() {
                    groups.push(Group {
                        value,
                        document,
                        storages: Vec::new(),
                    });
                }
                if let (Some(group), Some(storage)) = (groups.get_mut(place), execution.storage_of(raw.document))
                    && !group.storages.contains(&storage)
                {
                    group.storages.push(storage);
                }
            }
            row = self.rows.raw()?;
        }
        let subject = execution.shown(TermId::from_number(subject).ok_or(UnknownTerm)?)?;
        let mut ready = Vec::with_capacity(groups.len());
        for group in groups {
            let graph = self.rows.graph_name(group.document, &group.storages)?;
            let graph_name = match graph {
                Some(graph) if graph.position().is_some() => Some(execution.shown(graph)?),
                other => other,
            };
            ready.push(InternalQuad {
                subject: BoundTerm(subject),
                predicate: BoundTerm(self.predicate),
                object: BoundTerm(group.value),
                graph_name: graph_name.map(BoundTerm),
            });
        }
        self.ready = ready.into_iter();
        Ok(())
    }
}
