//! Reading a member's DCAT catalogue: datasets, offers, endpoints and summaries. What is malformed is left out and said, never guessed.

use super::DatasetEntry;
use crate::source::SourceDescription;
use oxrdf::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term, Triple};
use oxttl::TurtleParser;
use policies::nesting::{self, Grammar};
use policies::odrl::{self, OdrlLimits, PolicyKind};
use server_kit::keys::Keys;
use server_kit::summary::Summary;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use vocab::{dcat, dcterms, dspace, meent, odrl as odrl_terms, rdf, void};

/// `dcterms:accessRights` of open data, in the European authority table.
const PUBLIC: &str = "http://publications.europa.eu/resource/authority/access-right/PUBLIC";

/// Why a catalogue cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Not Turtle.
    #[error("the catalogue is not valid Turtle: {0}")]
    Syntax(String),
    /// A dataset of another origin than the member's own.
    #[error("the catalogue describes `{0}`, which is not the member's own")]
    Foreign(String),
}

/// A parsed catalogue.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The datasets.
    pub datasets: Vec<Arc<DatasetEntry>>,
    /// Everything that was said.
    pub triples: Vec<Triple>,
    /// What had to be left out, and why.
    pub remarks: Vec<String>,
}

/// Parses the Turtle of a catalogue published by `member` at `base`; `others` are the base URLs of the other members.
///
/// # Errors
/// [`CatalogError`]; then nothing of it counts.
pub fn parse(turtle: &[u8], member: &str, base: &str, others: &[String]) -> Result<Parsed, CatalogError> {
    nesting::check(turtle, Grammar::Turtle, nesting::DEPTH_MAX)
        .map_err(|error| CatalogError::Syntax(format!("line {}: {error}", error.line)))?;
    let parser = TurtleParser::new()
        .with_base_iri(base)
        .map_err(|error| CatalogError::Syntax(error.to_string()))?;
    let triples: Vec<Triple> = parser
        .for_slice(turtle)
        .collect::<Result<_, _>>()
        .map_err(|error| CatalogError::Syntax(error.to_string()))?;
    let graph = Graph::new(&triples);
    let mut parsed = Parsed::default();
    for subject in graph.instances(dcat::DATASET) {
        let NamedOrBlankNode::NamedNode(iri) = subject else {
            continue;
        };
        // A member may speak for its own data only: otherwise it could put itself in another's place.
        if !super::speaks_for(base, others.iter().map(String::as_str), iri.as_str()) {
            return Err(CatalogError::Foreign(iri.as_str().to_owned()));
        }
        let entry = dataset(&graph, iri, member, &triples, &mut parsed.remarks);
        parsed.datasets.push(Arc::new(entry));
    }
    parsed.datasets.sort_by(|a, b| a.iri.cmp(&b.iri));
    parsed.triples = triples;
    Ok(parsed)
}

struct Graph<'a> {
    by_subject: HashMap<&'a NamedOrBlankNode, Vec<&'a Triple>>,
}

impl<'a> Graph<'a> {
    fn new(triples: &'a [Triple]) -> Self {
        let mut by_subject: HashMap<&NamedOrBlankNode, Vec<&Triple>> = HashMap::new();
        for triple in triples {
            by_subject.entry(&triple.subject).or_default().push(triple);
        }
        Self { by_subject }
    }

    fn instances(&self, class: &str) -> Vec<&'a NamedOrBlankNode> {
        let is = |triple: &&Triple| {
            triple.predicate.as_str() == rdf::TYPE
                && matches!(&triple.object, Term::NamedNode(node) if node.as_str() == class)
        };
        self.by_subject
            .iter()
            .filter(|(_, about)| about.iter().any(&is))
            .map(|(subject, _)| *subject)
            .collect()
    }

    fn objects<'b>(&'b self, subject: &NamedOrBlankNode, predicate: &'b str) -> impl Iterator<Item = &'a Term> + 'b {
        self.by_subject
            .get(subject)
            .into_iter()
            .flatten()
            .filter(move |triple| triple.predicate.as_str() == predicate)
            .map(|triple| &triple.object)
    }

    fn iri(&self, subject: &NamedOrBlankNode, predicate: &str) -> Option<String> {
        self.objects(subject, predicate).find_map(|object| match object {
            Term::NamedNode(node) => Some(node.as_str().to_owned()),
            _ => None,
        })
    }

    /// The IRI of a property, if it has this one value and no other: of two, nobody could say which was meant.
    fn only_iri(&self, subject: &NamedOrBlankNode, predicate: &str) -> Option<String> {
        let only = self.objects(subject, predicate).count() == 1;
        self.iri(subject, predicate).filter(|_| only)
    }

    fn texts(&self, subject: &NamedOrBlankNode, predicate: &str) -> BTreeMap<String, String> {
        self.objects(subject, predicate)
            .filter_map(|object| match object {
                Term::Literal(literal) => Some((
                    literal.language().unwrap_or_default().to_owned(),
                    literal.value().to_owned(),
                )),
                _ => None,
            })
            .collect()
    }
}

fn dataset(
    graph: &Graph<'_>,
    iri: &NamedNode,
    member: &str,
    triples: &[Triple],
    remarks: &mut Vec<String>,
) -> DatasetEntry {
    let node = NamedOrBlankNode::from(iri.clone());
    let offers = offers(graph, &node, triples, remarks);
    let says_public = graph
        .iri(&node, dcterms::ACCESS_RIGHTS)
        .is_some_and(|rights| rights == PUBLIC);
    let offered = graph.objects(&node, odrl_terms::HAS_POLICY).next().is_some();
    let description = match Summary::from_triples(&node, triples) {
        Ok(Some(summary)) => {
            let (keys, unread) = Keys::from_triples(&node, triples);
            if unread > 0 {
                remarks.push(format!("{iri}: {unread} lists of identifiers cannot be read"));
            }
            SourceDescription::of_summary(&summary).with_keys(keys)
        }
        Ok(None) => SourceDescription::unknown(),
        Err(error) => {
            remarks.push(format!("{iri}: {error}"));
            SourceDescription::unknown()
        }
    };
    let endpoint = graph.iri(&node, void::SPARQL_ENDPOINT).filter(|url| {
        crate::source::description::authority(url) == crate::source::description::authority(iri.as_str())
    });
    if endpoint.is_none() {
        remarks.push(format!("{iri}: no SPARQL endpoint of its own origin"));
    }
    DatasetEntry {
        iri: iri.as_str().to_owned(),
        member: member.to_owned(),
        titles: graph.texts(&node, dcterms::TITLE),
        descriptions: graph.texts(&node, dcterms::DESCRIPTION),
        keywords: graph
            .objects(&node, dcat::KEYWORD)
            .filter_map(|object| match object {
                Term::Literal(literal) => Some(literal.value().to_owned()),
                _ => None,
            })
            .collect(),
        publisher: graph.only_iri(&node, dcterms::PUBLISHER),
        endpoint,
        negotiation: negotiation(graph, iri),
        offers,
        open: says_public || !offered,
        silent: graph
            .objects(&node, meent::WITHHELD_SILENTLY)
            .any(|object| matches!(object, Term::Literal(literal) if matches!(literal.value().trim(), "true" | "1"))),
        description: Arc::new(description),
        foreign: None,
    }
}

/// The service where an agreement is asked for.
fn negotiation(graph: &Graph<'_>, iri: &NamedNode) -> Option<String> {
    graph
        .instances(dcat::DATA_SERVICE)
        .into_iter()
        .filter(|service| graph.iri(service, dcterms::TYPE).as_deref() == Some(dspace::CONTRACT_NEGOTIATION))
        .find(|service| {
            graph
                .objects(service, dcat::SERVES_DATASET)
                .any(|served| matches!(served, Term::NamedNode(node) if node == iri))
        })
        .and_then(|service| graph.iri(service, dcat::ENDPOINT_URL))
}

/// The offers of a dataset, each read from its own part of the graph, so that one broken offer spoils no other.
fn offers(
    graph: &Graph<'_>,
    dataset: &NamedOrBlankNode,
    triples: &[Triple],
    remarks: &mut Vec<String>,
) -> Vec<Arc<odrl::Policy>> {
    let mut found = Vec::new();
    for object in graph.objects(dataset, odrl_terms::HAS_POLICY) {
        let Term::NamedNode(offer) = object else { continue };
        let quads: Vec<Quad> = reachable(graph, &offer.clone().into(), triples)
            .into_iter()
            .map(|triple| triple.in_graph(GraphName::DefaultGraph))
            .collect();
        match odrl::parse(&quads, &OdrlLimits::default()) {
            Ok(policies) => found.extend(
                policies
                    .into_iter()
                    .filter(|policy| policy.kind == PolicyKind::Offer && policy.id == offer.as_str())
                    .map(Arc::new),
            ),
            Err(error) => remarks.push(format!("{offer}: {error}")),
        }
    }
    found
}

/// Everything said about a node and the nodes below it, not going into other named datasets.
fn reachable(graph: &Graph<'_>, root: &NamedOrBlankNode, _all: &[Triple]) -> Vec<Triple> {
    let mut seen = std::collections::BTreeSet::from([root.to_string()]);
    let mut waiting = vec![root.clone()];
    let mut out = Vec::new();
    while let Some(node) = waiting.pop() {
        for triple in graph.by_subject.get(&node).into_iter().flatten() {
            out.push((*triple).clone());
            let next: Option<NamedOrBlankNode> = match &triple.object {
                Term::BlankNode(blank) => Some(blank.clone().into()),
                _ => None,
            };
            if let Some(next) = next
                && seen.insert(next.to_string())
            {
                waiting.push(next);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member's storages may have origins of their own; another member's, below its host, are not among them.
    #[test]
    fn a_member_describes_what_lies_on_its_storages_origins() {
        let turtle = format!(
            "<https://gent.data.example/.dataspace/datasets/a> a <{}> ; <{}> <https://gent.data.example/sparql> .",
            dcat::DATASET,
            void::SPARQL_ENDPOINT
        );
        let read = |others: &[String]| parse(turtle.as_bytes(), "data", "https://data.example/", others);
        let parsed = read(&["https://brugge.data.example/".to_owned()]).unwrap_or_default();
        let endpoints: Vec<_> = parsed
            .datasets
            .iter()
            .map(|dataset| dataset.endpoint.as_deref())
            .collect();
        assert_eq!(endpoints, [Some("https://gent.data.example/sparql")]);
        let refused = read(&["https://gent.data.example/".to_owned()]);
        assert!(matches!(refused, Err(CatalogError::Foreign(_))));
    }

    /// T67, T97: a member's catalogue cannot end the broker.
    #[test]
    fn a_nested_catalogue_is_refused() {
        let nested = format!(
            "<a> <b> {}<c>{} .",
            "<<(<a> <b> ".repeat(100_000),
            ")>>".repeat(100_000)
        );
        let refused = parse(nested.as_bytes(), "gent", "https://gent.example/", &[]);
        assert!(matches!(refused, Err(CatalogError::Syntax(_))));
    }
}
