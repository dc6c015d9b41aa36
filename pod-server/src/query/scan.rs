//! One scan of the index: the rows that match a pattern, are visible, and are shown.

use spareval::InternalQuad;

use super::dataset::{Execution, ScanError};
use super::terms::UnknownTerm;
use super::treat::Treated;
use super::work::BoundTerm;
use crate::index::{Bounds, DocumentId, DocumentSet, Order, Quad, Row, TermId};
use crate::store::StorageId;

/// Views with fewer triples than this share of the rows that a scan would read are read document by document.
const SMALL_VIEW_SHARE: u64 = 16;

/// A row before anything is made of it.
pub(super) type Raw = Quad;

/// A pattern as the evaluator gives it. For `graph`, `Some(None)` is the default graph and `None` any named graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanPlan {
    pub subject: Option<TermId>,
    pub predicate: Option<TermId>,
    pub object: Option<TermId>,
    pub graph: Option<Option<TermId>>,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    /// The RDF merge of the default documents.
    Merged,
    /// As `Merged`, with the data subjects of each triple in place of a graph name.
    Attributed,
    /// Every named graph for itself.
    Graphs,
    /// One named graph.
    Graph(TermId),
}

/// The iterator of one scan.
#[derive(Debug)]
pub(super) struct Scan<'e> {
    execution: &'e Execution<'e>,
    order: Order,
    target: Target,
    documents: &'e DocumentSet,
    /// Where there is one run with matches, only this is set.
    first: &'e [Row],
    others: Vec<&'e [Row]>,
    /// Rows that were gathered from the documents of a small view, or of the subjects of triples.
    gathered: std::vec::IntoIter<Row>,
    check_predicate: bool,
    check_object: bool,
    /// Whether rows that speak of somebody else's names are left out.
    check_names: bool,
    only_predicate: Option<u32>,
    only_object: Option<u32>,
    last: Option<Row>,
    /// Subject and predicate of the raw row that came last, and of the last one before with another subject. Whoever
    /// gathers the rows of a subject has seen the first row of the next one, or the end.
    told: [(u32, u32); 2],
    over: bool,
}

impl<'e> Scan<'e> {
    pub(super) fn new(execution: &'e Execution<'e>, plan: ScanPlan) -> Self {
        let (target, documents) = match plan.graph {
            Some(None) => (Target::Merged, &execution.default),
            None if execution.attributed => (Target::Attributed, &execution.default),
            None => (Target::Graphs, &execution.named),
            Some(Some(graph)) => (Target::Graph(graph), &execution.named),
        };
        let mut scan = Self {
            execution,
            order: Order::Spod,
            target,
            documents,
            first: &[],
            others: Vec::new(),
            gathered: Vec::new().into_iter(),
            check_predicate: false,
            check_object: execution.view.hides_triple_terms(),
            check_names: execution.view.treated().is_some_and(Treated::replaces_names),
            only_predicate: None,
            only_object: None,
            last: None,
            told: [(0, 0); 2],
            over: false,
        };
        // A term that is not in the index matches nothing.
        let numbers = |term: Option<TermId>| match term {
            None => Ok(None),
            Some(term) if term.position().is_some() => Ok(Some(term.number())),
            Some(_) => Err(()),
        };
        let (Ok(subject), Ok(predicate), Ok(object)) =
            (numbers(plan.subject), numbers(plan.predicate), numbers(plan.object))
        else {
            scan.over = true;
            return scan;
        };
        let predicates = execution.view.predicates();
        if !predicates.all() {
            match predicate {
                Some(predicate) if !predicates.show(predicate) => {
                    scan.over = true;
                    return scan;
                }
                Some(_) => {}
                None => scan.check_predicate = true,
            }
        }
        let changed = execution
            .view
            .treated()
            .is_some_and(|treated| !treated.changed().is_empty());
        scan.check_predicate |= changed && predicate.is_none();
        scan.place(subject, predicate, object);
        scan
    }

    /// Chooses the rows to read.
    fn place(&mut self, subject: Option<u32>, predicate: Option<u32>, object: Option<u32>) {
        let bounds = Bounds::for_pattern(subject, predicate, object);
        if let Target::Graph(graph) = self.target {
            let Some(document) = self.execution.document(graph) else {
                self.over = true;
                return;
            };
            self.open(bounds);
            let triples = self.execution.view.snapshot().document(document);
            let triples = triples.map_or(0, |document| document.triples as usize);
            // Rows of other graphs are skipped one by one, so the document's own rows are better unless few match.
            if self.waiting() > triples.min(8) {
                self.close();
                self.open(document_bounds(document, subject, predicate, object));
                self.only_predicate = predicate;
                self.only_object = object;
            } else {
                self.check_document(document);
            }
            return;
        }
        self.open(bounds);
        let triples = self.execution.view.triples();
        if self.waiting() as u64 / SMALL_VIEW_SHARE > triples {
            self.close();
            self.gather(bounds.order, subject, predicate, object);
        }
    }

    fn open(&mut self, bounds: Bounds) {
        self.order = bounds.order;
        for (position, run) in self.execution.view.snapshot().runs().iter().enumerate() {
            let near = self.execution.near(position, bounds.order as usize);
            let (start, rows) = run.range_near(bounds, near.map_or(0, std::cell::Cell::get));
            if let Some(near) = near {
                near.set(start);
            }
            match rows {
                [] => {}
                rows if self.first.is_empty() => self.first = rows,
                rows => self.others.push(rows),
            }
        }
    }

    fn close(&mut self) {
        self.first = &[];
        self.others.clear();
    }

    fn waiting(&self) -> usize {
        self.first.len() + self.others.iter().map(|rows| rows.len()).sum::<usize>()
    }

    /// Few rows match over all graphs: keeps those of one document.
    fn check_document(&mut self, document: DocumentId) {
        let order = self.order;
        let rows = std::iter::once(self.first).chain(self.others.iter().copied()).flatten();
        let kept: Vec<Row> = rows
            .copied()
            .filter(|row| order.quad(*row).document == document.0)
            .collect();
        self.close();
        self.gathered = kept.into_iter();
    }

    /// Reads the rows of a view's documents, when these are far fewer than the rows that match over all documents.
    fn gather(&mut self, order: Order, subject: Option<u32>, predicate: Option<u32>, object: Option<u32>) {
        self.order = order;
        let mut gathered = Vec::new();
        for document in self.documents.iter() {
            let bounds = document_bounds(DocumentId(document), subject, predicate, object);
            for run in self.execution.view.snapshot().runs() {
                for row in run.range(bounds) {
                    let quad = Order::Dspo.quad(*row);
                    if predicate.is_none_or(|predicate| predicate == quad.predicate)
                        && object.is_none_or(|object| object == quad.object)
                    {
                        gathered.push(order.row(quad));
                    }
                }
            }
        }
        gathered.sort_unstable();
        self.gathered = gathered.into_iter();
    }

    /// The next row in the order of the scan, visible or not.
    #[inline]
    fn next_row(&mut self) -> Option<Row> {
        if self.others.is_empty() {
            return match self.first.split_first() {
                Some((row, rest)) => {
                    self.first = rest;
                    Some(*row)
                }
                None => self.gathered.next(),
            };
        }
        let mut least = self.first.first().copied();
        let mut place = None;
        for (position, rows) in self.others.iter().enumerate() {
            if let Some(row) = rows.first()
                && least.is_none_or(|least| *row < least)
            {
                least = Some(*row);
                place = Some(position);
            }
        }
        let rows = match place {
            None => &mut self.first,
            Some(position) => self.others.get_mut(position)?,
        };
        *rows = rows.split_first().map_or(&[], |(_, rest)| rest);
        if rows.is_empty() {
            match place {
                Some(position) => {
                    self.others.swap_remove(position);
                }
                None => self.first = self.others.pop().unwrap_or(&[]),
            }
        }
        least
    }

    fn visible_row(&mut self) -> Result<Option<Row>, ScanError> {
        let mut read = 0;
        loop {
            let Some(row) = self.next_row() else {
                self.execution.count(read)?;
                return Ok(None);
            };
            read += 1;
            if read == 4_096 {
                self.execution.count(read)?;
                read = 0;
            }
            let quad = self.order.quad(row);
            if self.documents.contains(quad.document)
                && (!self.check_predicate || self.execution.view.shows_plainly(quad.predicate))
                && !(self.check_object && self.execution.view.is_triple_term(quad.object))
                && self.only_predicate.is_none_or(|predicate| predicate == quad.predicate)
                && self.only_object.is_none_or(|object| object == quad.object)
                && !(self.check_names && self.execution.leaves_out(&quad))
            {
                self.execution.count(read)?;
                return Ok(Some(row));
            }
        }
    }

    /// The next visible row before anything is made of it.
    pub(super) fn raw(&mut self) -> Result<Option<Raw>, ScanError> {
        if self.over {
            return Ok(None);
        }
        let row = self.visible_row()?;
        self.over = row.is_none();
        let quad = row.map(|row| self.order.quad(row));
        if let Some(quad) = &quad
            && self.told[0] != (quad.subject, quad.predicate)
        {
            self.told = [(quad.subject, quad.predicate), self.told[0]];
        }
        Ok(quad)
    }

    /// Whether rows of several documents stay several rows.
    pub(super) const fn tells_documents_apart(&self) -> bool {
        matches!(self.target, Target::Graphs | Target::Graph(_))
    }

    /// The graph name of a row of this scan that comes from a document, or from storages where they are merged.
    pub(super) fn graph_name(
        &self,
        document: Option<u32>,
        storages: &[StorageId],
    ) -> Result<Option<TermId>, ScanError> {
        Ok(match self.target {
            Target::Merged => None,
            Target::Attributed => {
                let [last, before] = self.told;
                let (subject, predicate) = if self.over { last } else { before };
                Some(self.execution.trace((subject, predicate, None), storages)?)
            }
            Target::Graphs => document.and_then(|document| self.execution.graph_of(document)),
            Target::Graph(graph) => Some(graph),
        })
    }

    fn step(&mut self) -> Result<Option<InternalQuad<BoundTerm>>, ScanError> {
        loop {
            let Some(row) = self.visible_row()? else {
                return Ok(None);
            };
            let quad = self.order.quad(row);
            let graph_name = match self.target {
                Target::Merged => {
                    // The document stands last in every order of a merged scan: equal triples are neighbours.
                    let triple = row >> 32;
                    if self.last == Some(triple) {
                        continue;
                    }
                    self.last = Some(triple);
                    None
                }
                Target::Attributed => {
                    let triple = row >> 32;
                    if self.last == Some(triple) {
                        continue;
                    }
                    self.last = Some(triple);
                    Some(self.trace(triple, &quad)?)
                }
                Target::Graphs => self.execution.graph_of(quad.document),
                Target::Graph(graph) => Some(graph),
            };
            let term = |number| {
                let id = TermId::from_number(number).ok_or(ScanError::Term(UnknownTerm))?;
                Ok::<_, ScanError>(BoundTerm(id))
            };
            return Ok(Some(InternalQuad {
                subject: term(quad.subject)?,
                predicate: term(quad.predicate)?,
                object: term(quad.object)?,
                graph_name: graph_name.map(BoundTerm),
            }));
        }
    }

    /// A triple and its data subjects: the storages of all visible documents that hold it.
    fn trace(&self, triple: Row, quad: &Quad) -> Result<TermId, ScanError> {
        let storage = |document| {
            let document = self.execution.view.snapshot().document(DocumentId(document));
            document.map(|document| document.storage)
        };
        let mut storages: Vec<StorageId> = storage(quad.document).into_iter().collect();
        let peers = std::iter::once(self.first)
            .chain(self.others.iter().copied())
            .chain(std::iter::once(self.gathered.as_slice()));
        for rows in peers {
            for row in rows.iter().take_while(|row| **row >> 32 == triple) {
                let quad = self.order.quad(*row);
                let document = quad.document;
                if self.documents.contains(document) && !(self.check_names && self.execution.leaves_out(&quad)) {
                    storages.extend(storage(document).filter(|storage| !storages.contains(storage)));
                }
            }
        }
        let traced = (quad.subject, quad.predicate, Some(quad.object));
        self.execution.trace(traced, &storages)
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<InternalQuad<BoundTerm>, ScanError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let step = self.step();
        // After a failure nothing more comes: whoever collects errors would collect one for every row otherwise.
        self.over = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

/// The rows of one document for a pattern, as narrow as the document's order allows.
fn document_bounds(document: DocumentId, subject: Option<u32>, predicate: Option<u32>, object: Option<u32>) -> Bounds {
    match (subject, predicate, object) {
        (Some(s), Some(p), Some(o)) => Bounds::prefix(Order::Dspo, &[document.0, s, p, o]),
        (Some(s), Some(p), None) => Bounds::prefix(Order::Dspo, &[document.0, s, p]),
        (Some(s), None, _) => Bounds::prefix(Order::Dspo, &[document.0, s]),
        _ => Bounds::prefix(Order::Dspo, &[document.0]),
    }
}
