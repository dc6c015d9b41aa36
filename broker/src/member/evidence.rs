//! What can be found out about members that publish no summary, before a query over them is planned: in parallel, each within
//! its bounds. Without it such a member may hold anything, so that nothing could be proved of it; with it, most of them are out.

use super::{At, Wanted, adapter};
use crate::app::Broker;
use crate::exec::Session;
use crate::fetch::{Credentials, FetchError};
use crate::plan::{concerns, probes};
use crate::source::{Source, SourceDescription, SourceId};
use futures_util::future::join_all;
use http::HeaderMap;
use spargebra::Query;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern, Variable};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most patterns of one query that a member is asked about; it may hold whatever else there is.
const PATTERNS_MAX: usize = 64;

/// What everybody may ask needs no credentials.
struct Nobody;

impl Credentials for Nobody {
    fn headers(&self, _source: &Source, _url: &str) -> Result<HeaderMap, FetchError> {
        Ok(HeaderMap::new())
    }

    fn purpose(&self) -> Option<&str> {
        None
    }
}

/// Describes, before planning, the sources whose members publish no summary.
pub async fn learn(broker: &Broker, query: &Query, sources: &mut [Source]) {
    let session = Session {
        sources,
        transport: &*broker.egress,
        credentials: &Nobody,
        gate: &broker.gate,
        limits: &broker.config.exec,
        plan_limits: &broker.config.plan,
        traceparent: None,
    };
    for (id, description) in gather(&session, query).await {
        if let Some(source) = sources.get_mut(id) {
            source.description = Arc::new(description);
        }
    }
}

/// Asks every member that publishes no summary and that the query is about.
pub async fn gather(session: &Session<'_>, query: &Query) -> Vec<(SourceId, SourceDescription)> {
    let sources = session.sources;
    let unknown = sources
        .iter()
        .enumerate()
        .filter(|(_, source)| source.foreign.is_some());
    let unknown: Vec<_> = unknown.collect();
    if unknown.is_empty() {
        return Vec::new();
    }
    let datasets: BTreeSet<String> = sources.iter().map(|source| source.dataset.clone()).collect();
    let wanted = wanted(query);
    let asked = unknown
        .into_iter()
        .filter(|(_, source)| concerns(query, &source.dataset, &datasets));
    let learnt = asked.map(|(id, source)| {
        let wanted = &wanted;
        async move { (id, adapter(source).learn(At { session, source, id }, wanted).await) }
    });
    join_all(learnt).await
}

fn wanted(query: &Query) -> Wanted {
    let mut patterns: Vec<TriplePattern> = Vec::new();
    for pattern in probes(query).iter().filter_map(general) {
        if patterns.len() < PATTERNS_MAX && !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    Wanted {
        patterns,
        graphs: query.dataset().is_some() || query.to_string().contains("GRAPH"),
    }
}

/// A pattern that holds at least wherever another one does: the same terms, and different variables everywhere else. `None` where a
/// triple stands within the triple.
#[must_use]
pub fn general(pattern: &TriplePattern) -> Option<TriplePattern> {
    let term = |term: &TermPattern, name: &str| match term {
        TermPattern::NamedNode(_) | TermPattern::Literal(_) => Some(term.clone()),
        TermPattern::Variable(_) | TermPattern::BlankNode(_) => Some(Variable::new_unchecked(name).into()),
        TermPattern::Triple(_) => None,
    };
    Some(TriplePattern {
        subject: term(&pattern.subject, "s")?,
        predicate: match &pattern.predicate {
            NamedNodePattern::NamedNode(node) => node.clone().into(),
            NamedNodePattern::Variable(_) => Variable::new_unchecked("p").into(),
        },
        object: term(&pattern.object, "o")?,
    })
}
