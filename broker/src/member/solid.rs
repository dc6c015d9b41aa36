//! Plain Solid pods without SPARQL: what everybody may read of them is read into memory for a query, documents named by the public
//! type index first, then the containers from the root down.
//!
//! There is no access token for such a pod that somebody could deposit, so its public documents are all there is. Each is a
//! graph of its own, and all together are the default graph, as with pod servers.

use super::documents::{Document, Outcome, Reading};
use super::page::Page;
use super::replica::Replica;
use super::{Adapter, At, Question, Wanted};
use crate::fetch::FetchError;
use crate::fetch::parse::Rows;
use crate::source::{SourceDescription, authority};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use oxrdf::{GraphName, NamedNode, NamedOrBlankNode, Term, Triple};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use url::Url;
use vocab::{ldp, solid};

/// Documents under way at a time; the gate bounds how many of them are requests.
const AT_A_TIME: usize = 16;

/// The adapter.
pub(super) struct Pod;

impl Adapter for Pod {
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

/// The pod's data as this query sees it: read once.
async fn held(at: At<'_>) -> Result<Arc<Replica>, FetchError> {
    let unreadable = || FetchError::Broken("it is not registered as a Solid pod".to_owned());
    let foreign = at.source.foreign.as_ref().ok_or_else(unreadable)?;
    let held = foreign.held.get_or_init(|| async { walk(at).await.map(Some) }).await;
    held.clone()?.ok_or_else(unreadable)
}

async fn walk(at: At<'_>) -> Result<Arc<Replica>, FetchError> {
    let unreadable = || FetchError::Broken("it is not registered as a Solid pod".to_owned());
    let foreign = at.source.foreign.as_ref().ok_or_else(unreadable)?;
    let root = foreign.registration.place().ok_or_else(unreadable)?.as_str();
    let reading = Reading::begin(at).ok_or_else(unreadable)?;
    let mut walk = Walk {
        root,
        depth_max: at.session.limits.documents.depth_max,
        waiting: VecDeque::new(),
        seen: BTreeSet::new(),
        found: BTreeMap::new(),
    };
    if let Some(web_id) = &foreign.registration.web_id {
        walk.type_index(&reading, web_id.as_str()).await;
    }
    walk.enter(root, 0);
    walk.run(&reading).await?;
    let documents: Vec<Arc<Document>> = walk.found.into_values().collect();
    reading.finish(documents, union).await
}

/// Everything in the default graph, and each document in its own.
fn union(documents: &[Arc<Document>]) -> Page {
    let mut page = Page::default();
    for document in documents {
        let name = NamedNode::new(&document.url).ok();
        let own = document
            .quads
            .iter()
            .filter(|quad| quad.graph_name == GraphName::DefaultGraph);
        for quad in own {
            let triple = Triple::from(quad.clone());
            if let Some(name) = &name {
                page.quads.push(triple.clone().in_graph(name.clone()));
            }
            page.triples.push(triple);
        }
    }
    page
}

struct Visit {
    url: String,
    depth: usize,
}

impl Visit {
    fn is_container(&self) -> bool {
        self.url.ends_with('/')
    }
}

struct Walk<'a> {
    root: &'a str,
    depth_max: usize,
    waiting: VecDeque<Visit>,
    seen: BTreeSet<String>,
    found: BTreeMap<String, Arc<Document>>,
}

impl Walk<'_> {
    /// Puts a document or container of the pod on the list, once.
    fn enter(&mut self, iri: &str, depth: usize) {
        let url = iri.split('#').next().unwrap_or_default();
        // Dots, written in whatever way, would lead out of the pod once they are resolved.
        let inside = url.starts_with(self.root) && Url::parse(url).is_ok_and(|url| url.as_str().starts_with(self.root));
        if inside && self.seen.insert(url.to_owned()) {
            self.waiting.push_back(Visit {
                url: url.to_owned(),
                depth,
            });
        }
    }

    /// What the public type index names, found through the profile.
    async fn type_index(&mut self, reading: &Reading<'_>, web_id: &str) {
        let profile_url = web_id.split('#').next().unwrap_or_default();
        let profile = match reading.read(profile_url).await {
            Outcome::Read(profile) => profile,
            Outcome::Failed(error) => return reading.unread(profile_url, &error),
            Outcome::Hidden(_) | Outcome::Other | Outcome::Over => return,
        };
        for index in objects(&profile, Some(web_id), solid::PUBLIC_TYPE_INDEX) {
            let url = index.split('#').next().unwrap_or_default();
            if authority(url) != authority(web_id) && !url.starts_with(self.root) {
                let shown: String = url.chars().take(200).collect();
                reading.note(format!("the type index <{shown}> lies elsewhere and was not read"));
                continue;
            }
            match reading.read(url).await {
                Outcome::Read(index) => {
                    for instance in objects(&index, None, solid::INSTANCE) {
                        self.enter(&instance, 0);
                    }
                    for container in objects(&index, None, solid::INSTANCE_CONTAINER) {
                        self.enter(&container, 0);
                    }
                }
                Outcome::Failed(error) => reading.unread(url, &error),
                Outcome::Hidden(_) | Outcome::Other | Outcome::Over => {}
            }
        }
    }

    /// Reads what is on the list until nothing is left or a bound is reached.
    async fn run(&mut self, reading: &Reading<'_>) -> Result<(), FetchError> {
        let mut running = FuturesUnordered::new();
        let mut no_root = None;
        loop {
            while running.len() < AT_A_TIME
                && let Some(visit) = self.waiting.pop_front()
            {
                running.push(async move {
                    let outcome = reading.read(&visit.url).await;
                    (visit, outcome)
                });
            }
            let Some((visit, outcome)) = running.next().await else {
                break;
            };
            match outcome {
                Outcome::Read(document) if visit.is_container() => self.list(reading, &visit, &document),
                Outcome::Read(document) => {
                    self.found.insert(visit.url, document);
                }
                Outcome::Hidden(status) if visit.url == self.root => no_root = Some(hidden(status)),
                Outcome::Failed(error) => {
                    if visit.url == self.root {
                        no_root = Some(error.clone());
                    }
                    reading.unread(&visit.url, &error);
                }
                Outcome::Over => self.waiting.clear(),
                // A picture is no RDF; a container that is none cannot tell what it contains.
                Outcome::Other if visit.is_container() => {
                    let error = FetchError::WrongType("no RDF".to_owned());
                    if visit.url == self.root {
                        no_root = Some(error.clone());
                    }
                    reading.unread(&visit.url, &error);
                }
                Outcome::Hidden(_) | Outcome::Other => {}
            }
        }
        match no_root {
            Some(error) if self.found.is_empty() => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts what a container contains on the list. What the server says about its containers is no data of the pod's.
    fn list(&mut self, reading: &Reading<'_>, visit: &Visit, listing: &Document) {
        for member in objects(listing, None, ldp::CONTAINS) {
            if !member.starts_with(&visit.url) {
                reading.note("a container lists what does not lie in it; that was not read".to_owned());
                continue;
            }
            if member.ends_with('/') && visit.depth >= self.depth_max {
                reading.miss(format!("its containers nest deeper than {}", self.depth_max));
                continue;
            }
            self.enter(&member, visit.depth + 1);
        }
    }
}

fn hidden(status: u16) -> FetchError {
    let reason = "it shows nothing to everybody".to_owned();
    match status {
        401 | 403 => FetchError::Refused { status, reason },
        _ => FetchError::Status { status, reason },
    }
}

/// IRIs that a document names with a property, of one subject or of any.
fn objects(document: &Document, subject: Option<&str>, property: &str) -> Vec<String> {
    let of = |node: &NamedOrBlankNode| match (subject, node) {
        (None, _) => true,
        (Some(subject), NamedOrBlankNode::NamedNode(node)) => node.as_str() == subject,
        (Some(_), NamedOrBlankNode::BlankNode(_)) => false,
    };
    let quads = document.quads.iter();
    quads
        .filter(|quad| quad.predicate.as_str() == property && of(&quad.subject))
        .filter_map(|quad| match &quad.object {
            Term::NamedNode(node) => Some(node.as_str().to_owned()),
            _ => None,
        })
        .collect()
}
