//! Linked Data Event Streams: their pages are followed over TREE relations into a copy in memory, which the owner must grant.
//! Pages that can only hold members of before the registered moment are not followed. What the stream's own retention policy would
//! drop is not dropped here, and the answer says so: what the pages hold counts.

use super::documents::{Document, Outcome, Reading};
use super::page::Page;
use super::replica::{Account, Replica};
use super::terms::Grant;
use super::{Adapter, At, Foreign, Question, Wanted};
use crate::fetch::FetchError;
use crate::fetch::parse::Rows;
use crate::source::{SourceDescription, authority};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use oxrdf::{GraphName, NamedOrBlankNode, Quad, Term, Triple};
use oxsdatatypes::{Date, DateTime};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use vocab::{ldes, rdf, tree, xsd};

/// Pages under way at a time; the gate bounds how many of them are requests.
const AT_A_TIME: usize = 16;

/// The adapter.
pub(super) struct Stream;

impl Adapter for Stream {
    fn learn<'a>(&'a self, at: At<'a>, _wanted: &'a Wanted) -> BoxFuture<'a, SourceDescription> {
        async move {
            match held(at).await {
                Ok(replica) => replica.description(),
                Err(_) => SourceDescription::unknown(),
            }
        }
        .boxed()
    }

    fn answer<'a>(&'a self, at: At<'a>, question: Question<'a>) -> BoxFuture<'a, Result<Rows, FetchError>> {
        async move {
            let replica = held(at).await?;
            question.ledger.read(at.id, replica.account());
            replica.answer(question.text, question.expected, question.budget).await
        }
        .boxed()
    }
}

fn not_registered() -> FetchError {
    FetchError::Broken("it is not registered as a stream that may be copied".to_owned())
}

/// The copy as this query sees it.
async fn held(at: At<'_>) -> Result<Arc<Replica>, FetchError> {
    let foreign = at.source.foreign.as_ref().ok_or_else(not_registered)?;
    let terms = foreign.registration.terms.as_ref();
    if !terms.is_some_and(|terms| terms.grants(Grant::Replicate)) {
        return Err(not_registered());
    }
    let copy = || async { copy(at, foreign).await.map(Some) };
    let held = foreign.held.get_or_init(copy).await;
    held.clone()?.ok_or_else(not_registered)
}

/// The last copy while it is recent, otherwise one that holds what the pages hold now.
async fn copy(at: At<'_>, foreign: &Foreign) -> Result<Arc<Replica>, FetchError> {
    let age = Duration::from_millis(at.session.limits.documents.replica_ms);
    if let Some(recent) = foreign.kept.recent(age) {
        let account = Account {
            documents: recent.account().documents,
            notes: recent.account().notes.clone(),
            ..Account::default()
        };
        return Ok(Arc::new(recent.read_again(account)));
    }
    let url = foreign.registration.place().ok_or_else(not_registered)?;
    let reading = Reading::begin(at).ok_or_else(not_registered)?;
    let mut walk = Walk {
        since: foreign.registration.since(),
        first: url.as_str().split('#').next().unwrap_or_default().to_owned(),
        ..Walk::default()
    };
    walk.run(&reading).await?;
    let Walk { since, path, found, .. } = walk;
    if let Some(since) = since {
        reading.note(format!("members of before {since} are left out"));
    }
    let pages: Vec<Arc<Document>> = found.into_values().collect();
    reading
        .finish(pages, move |pages| members(pages, since, path.as_deref()))
        .await
}

#[derive(Default)]
struct Walk {
    first: String,
    since: Option<DateTime>,
    /// The property that says when a member came to be.
    path: Option<String>,
    waiting: VecDeque<String>,
    seen: BTreeSet<String>,
    found: BTreeMap<String, Arc<Document>>,
}

impl Walk {
    fn enter(&mut self, reading: &Reading<'_>, iri: &str) {
        let url = iri.split('#').next().unwrap_or_default();
        if authority(url) != authority(&self.first) {
            return reading.miss("its pages lead to another place, which is not followed".to_owned());
        }
        if self.seen.insert(url.to_owned()) {
            self.waiting.push_back(url.to_owned());
        }
    }

    async fn run(&mut self, reading: &Reading<'_>) -> Result<(), FetchError> {
        let first = self.first.clone();
        self.enter(reading, &first);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_A_TIME
                && let Some(url) = self.waiting.pop_front()
            {
                running.push(async move {
                    let outcome = reading.read(&url).await;
                    (url, outcome)
                });
            }
            let Some((url, outcome)) = running.next().await else {
                return Ok(());
            };
            let missing = match outcome {
                Outcome::Read(page) => {
                    self.follow(reading, &url, &page);
                    self.found.insert(url, page);
                    continue;
                }
                Outcome::Over => {
                    self.waiting.clear();
                    continue;
                }
                Outcome::Hidden(status) => {
                    let reason = "the page is not there for everybody".to_owned();
                    if matches!(status, 401 | 403) {
                        FetchError::Refused { status, reason }
                    } else {
                        FetchError::Status { status, reason }
                    }
                }
                Outcome::Other => FetchError::WrongType("no RDF".to_owned()),
                Outcome::Failed(error) => error,
            };
            if url == self.first {
                return Err(missing);
            }
            reading.unread(&url, &missing);
        }
    }

    /// Puts the pages that a page leads to on the list.
    fn follow(&mut self, reading: &Reading<'_>, url: &str, page: &Document) {
        let about = About::of(page);
        if let Some(path) = about.any(ldes::TIMESTAMP_PATH).next() {
            self.path.get_or_insert_with(|| path.to_owned());
        }
        if about.any(ldes::RETENTION_POLICY).next().is_some() || about.has_blank(ldes::RETENTION_POLICY) {
            reading.note("the stream has a retention policy, which is not applied to the copy".to_owned());
        }
        // A page that only names views of the collection leads to the first of them: each view holds all members.
        let views: BTreeSet<&str> = about.any(tree::VIEW).collect();
        let is_view = views.iter().any(|view| view.split('#').next() == Some(url));
        if let (false, Some(view)) = (is_view, views.first()) {
            self.enter(reading, view);
        }
        for relation in about.relations() {
            let past = self
                .since
                .is_some_and(|since| about.is_past(relation, since, self.path.as_deref()));
            if past {
                reading.note("pages of before the registered moment are not read".to_owned());
                continue;
            }
            for next in about.iris(relation, tree::NODE) {
                self.enter(reading, next);
            }
        }
    }
}

/// A page by subject.
struct About<'p> {
    by_subject: HashMap<&'p NamedOrBlankNode, Vec<&'p Quad>>,
    quads: &'p [Quad],
}

impl<'p> About<'p> {
    fn of(page: &'p Document) -> Self {
        let mut by_subject: HashMap<&NamedOrBlankNode, Vec<&Quad>> = HashMap::new();
        for quad in &page.quads {
            by_subject.entry(&quad.subject).or_default().push(quad);
        }
        Self {
            by_subject,
            quads: &page.quads,
        }
    }

    fn with<'q>(&self, property: &'q str) -> impl Iterator<Item = &'p Quad> + use<'p, 'q> {
        self.quads
            .iter()
            .filter(move |quad| quad.predicate.as_str() == property)
    }

    /// IRIs that a property has of whatever subject.
    fn any<'q>(&self, property: &'q str) -> impl Iterator<Item = &'p str> + use<'p, 'q> {
        self.with(property).filter_map(|quad| iri(&quad.object))
    }

    fn has_blank(&self, property: &str) -> bool {
        self.with(property)
            .any(|quad| matches!(quad.object, Term::BlankNode(_)))
    }

    fn objects(&self, subject: &NamedOrBlankNode, property: &str) -> Vec<&'p Term> {
        let about = self.by_subject.get(subject).into_iter().flatten();
        about
            .filter(|quad| quad.predicate.as_str() == property)
            .map(|quad| &quad.object)
            .collect()
    }

    fn iris(&self, subject: &NamedOrBlankNode, property: &str) -> Vec<&'p str> {
        self.objects(subject, property).into_iter().filter_map(iri).collect()
    }

    fn relations(&self) -> Vec<&'p NamedOrBlankNode> {
        let of: HashSet<NamedOrBlankNode> = self
            .with(tree::RELATION)
            .filter_map(|quad| node(&quad.object))
            .collect();
        self.by_subject
            .keys()
            .filter(|subject| of.contains(**subject))
            .copied()
            .collect()
    }

    /// What describes pages and not members.
    fn paging(&self) -> HashSet<NamedOrBlankNode> {
        let pages = [tree::RELATION, tree::MEMBER, tree::VIEW];
        let subjects = pages.into_iter().flat_map(|property| self.with(property));
        let objects = [tree::VIEW, tree::RELATION, tree::NODE];
        let objects = objects.into_iter().flat_map(|property| self.with(property));
        let named = objects.filter_map(|quad| node(&quad.object));
        subjects.map(|quad| quad.subject.clone()).chain(named).collect()
    }

    /// Whether a relation leads only to members of before a moment: it says so of the property that tells their time.
    fn is_past(&self, relation: &NamedOrBlankNode, since: DateTime, path: Option<&str>) -> bool {
        let Some(path) = path else { return false };
        if self.iris(relation, tree::PATH) != [path] {
            return false;
        }
        let values = self.objects(relation, tree::VALUE);
        let [value] = values.as_slice() else { return false };
        let Some(value) = moment(value) else { return false };
        let kinds = self.iris(relation, rdf::TYPE);
        kinds.iter().any(|kind| match *kind {
            tree::LESS_THAN_RELATION => value <= since,
            tree::LESS_THAN_OR_EQUAL_TO_RELATION | tree::EQUAL_TO_RELATION => value < since,
            _ => false,
        })
    }
}

fn iri(term: &Term) -> Option<&str> {
    match term {
        Term::NamedNode(node) => Some(node.as_str()),
        _ => None,
    }
}

fn node(term: &Term) -> Option<NamedOrBlankNode> {
    match term {
        Term::NamedNode(node) => Some(node.clone().into()),
        Term::BlankNode(node) => Some(node.clone().into()),
        _ => None,
    }
}

/// The moment that a literal tells; a day counts from its beginning.
fn moment(term: &Term) -> Option<DateTime> {
    let Term::Literal(literal) = term else { return None };
    match literal.datatype().as_str() {
        xsd::DATE_TIME => literal.value().parse().ok(),
        xsd::DATE => literal.value().parse::<Date>().ok()?.try_into().ok(),
        _ => None,
    }
}

/// What the pages say about their members: from each member along what is described on the page, not into other members and not
/// into the paging. Each statement is looked at once, however many members it is reached from.
fn members(pages: &[Arc<Document>], since: Option<DateTime>, path: Option<&str>) -> Page {
    let mut out = Page::default();
    for page in pages {
        let about = About::of(page);
        let members: HashSet<NamedOrBlankNode> =
            about.with(tree::MEMBER).filter_map(|quad| node(&quad.object)).collect();
        let kept: HashSet<&NamedOrBlankNode> = members
            .iter()
            .filter(|member| !is_before(&about, member, since, path))
            .collect();
        let paging = about.paging();
        let described = |next: &NamedOrBlankNode| !members.contains(next) && !paging.contains(next);
        let mut seen: HashSet<NamedOrBlankNode> = kept.iter().copied().cloned().collect();
        let mut waiting: Vec<NamedOrBlankNode> = seen.iter().cloned().collect();
        // What stands in a graph named after a member belongs to it, whatever it is about.
        for quad in about.quads {
            if graph(quad).is_some_and(|graph| kept.contains(&graph)) {
                out.triples.push(Triple::from(quad.clone()));
                let next = node(&quad.object).filter(described);
                waiting.extend(next.filter(|next| seen.insert(next.clone())));
            }
        }
        while let Some(subject) = waiting.pop() {
            for quad in about.by_subject.get(&subject).into_iter().flatten() {
                if graph(quad).is_some_and(|graph| members.contains(&graph)) {
                    continue;
                }
                out.triples.push(Triple::from((*quad).clone()));
                let next = node(&quad.object).filter(described);
                waiting.extend(next.filter(|next| seen.insert(next.clone())));
            }
        }
    }
    out
}

fn graph(quad: &Quad) -> Option<NamedOrBlankNode> {
    match &quad.graph_name {
        GraphName::NamedNode(node) => Some(node.clone().into()),
        GraphName::BlankNode(node) => Some(node.clone().into()),
        GraphName::DefaultGraph => None,
    }
}

/// Whether a member tells one moment, and that is before another.
fn is_before(about: &About<'_>, member: &NamedOrBlankNode, since: Option<DateTime>, path: Option<&str>) -> bool {
    let (Some(since), Some(path)) = (since, path) else {
        return false;
    };
    match about.objects(member, path).as_slice() {
        [one] => moment(one).is_some_and(|at| at < since),
        _ => false,
    }
}
