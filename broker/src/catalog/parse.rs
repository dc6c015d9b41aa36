//! Reading a member's DCAT catalogue: datasets, offers, endpoints and summaries. What is malformed is left out and said, never guessed.

use super::DatasetEntry;
use crate::source::SourceDescription;
use oxrdf::{GraphName, GraphNameRef, NamedNode, NamedOrBlankNode, Quad, Term, Triple};
use oxttl::TurtleParser;
use policies::nesting::{self, Grammar};
use policies::odrl::{self, OdrlLimits, PolicyKind};
use policies::written::Written;
use server_kit::keys::Keys;
use server_kit::summary::Summary;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use vocab::{dcat, dcterms, dspace, meent, odrl as odrl_terms, rdf, void};

/// `dcterms:accessRights` of open data, in the European authority table.
const PUBLIC: &str = "http://publications.europa.eu/resource/authority/access-right/PUBLIC";

/// Most datasets of one member.
const DATASETS_MAX: usize = 200_000;
/// Most statements about one part of a summary or one list that are looked at; they have five.
const PART_STATEMENTS_MAX: usize = 16;
/// Most offers that share a part.
const OFFERS_PER_PART_MAX: usize = 64;
/// Most things that are said to be left out of one catalogue; further ones are counted.
const REMARKS_MAX: usize = 100;

/// Why a catalogue cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Not Turtle.
    #[error("the catalogue is not valid Turtle: {0}")]
    Syntax(String),
    /// A dataset of another origin than the member's own.
    #[error("the catalogue describes `{0}`, which is not the member's own")]
    Foreign(String),
    /// More datasets than one member may have.
    #[error("the catalogue describes more than {DATASETS_MAX} datasets")]
    TooMany,
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
    let (mut triples, mut written) = (Vec::new(), Written::of(turtle.len()));
    for triple in parser.for_slice(turtle) {
        let triple: Triple = triple.map_err(|error| CatalogError::Syntax(error.to_string()))?;
        written
            .takes(triple.as_ref().in_graph(GraphNameRef::DefaultGraph))
            .map_err(|error| CatalogError::Syntax(error.to_string()))?;
        triples.push(triple);
    }
    let mut reading = Reading::of(Graph::new(&triples));
    let mut datasets = Vec::new();
    for subject in reading.graph.instances(dcat::DATASET) {
        let NamedOrBlankNode::NamedNode(iri) = subject else {
            continue;
        };
        // A member may speak for its own data only: otherwise it could put itself in another's place.
        if !super::speaks_for(base, others.iter().map(String::as_str), iri.as_str()) {
            return Err(CatalogError::Foreign(iri.as_str().to_owned()));
        }
        if datasets.len() >= DATASETS_MAX {
            return Err(CatalogError::TooMany);
        }
        datasets.push(Arc::new(reading.dataset(iri, member)));
    }
    datasets.sort_by(|a, b| a.iri.cmp(&b.iri));
    let mut remarks = reading.remarks;
    if remarks.len() > REMARKS_MAX {
        let more = remarks.len() - REMARKS_MAX;
        remarks.truncate(REMARKS_MAX);
        remarks.push(format!("and {more} more"));
    }
    Ok(Parsed {
        datasets,
        remarks,
        triples,
    })
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

    fn about(&self, subject: &NamedOrBlankNode) -> &[&'a Triple] {
        self.by_subject.get(subject).map_or(&[], Vec::as_slice)
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

/// A catalogue while it is read: each part of it is looked at for one dataset and no other, so that reading takes time and memory
/// by its length, whatever refers to what.
struct Reading<'a> {
    graph: Graph<'a>,
    /// Where an agreement on a dataset is asked for.
    negotiations: HashMap<&'a str, &'a NamedOrBlankNode>,
    /// Parts of summaries and lists that were looked at.
    taken: HashSet<&'a NamedOrBlankNode>,
    /// Offers that were read: several datasets may have the same one.
    offers: HashMap<&'a str, Vec<Arc<odrl::Policy>>>,
    /// How many offers each blank node is a part of.
    shared: HashMap<&'a NamedOrBlankNode, usize>,
    remarks: Vec<String>,
}

impl<'a> Reading<'a> {
    fn of(graph: Graph<'a>) -> Self {
        let mut negotiations = HashMap::new();
        for service in graph.instances(dcat::DATA_SERVICE) {
            if graph.iri(service, dcterms::TYPE).as_deref() == Some(dspace::CONTRACT_NEGOTIATION) {
                for served in graph.objects(service, dcat::SERVES_DATASET) {
                    if let Term::NamedNode(dataset) = served {
                        negotiations.entry(dataset.as_str()).or_insert(service);
                    }
                }
            }
        }
        Self {
            graph,
            negotiations,
            taken: HashSet::new(),
            offers: HashMap::new(),
            shared: HashMap::new(),
            remarks: Vec::new(),
        }
    }

    fn dataset(&mut self, iri: &NamedNode, member: &str) -> DatasetEntry {
        let node = NamedOrBlankNode::from(iri.clone());
        let offers = self.offers(&node);
        let description = self.description(&node);
        let graph = &self.graph;
        let says_public = graph
            .iri(&node, dcterms::ACCESS_RIGHTS)
            .is_some_and(|rights| rights == PUBLIC);
        let offered = graph.objects(&node, odrl_terms::HAS_POLICY).next().is_some();
        let endpoint = graph.iri(&node, void::SPARQL_ENDPOINT).filter(|url| {
            crate::source::description::authority(url) == crate::source::description::authority(iri.as_str())
        });
        if endpoint.is_none() {
            self.remarks
                .push(format!("{iri}: no SPARQL endpoint of its own origin"));
        }
        let negotiation = self.negotiations.get(iri.as_str());
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
            negotiation: negotiation.and_then(|service| graph.iri(service, dcat::ENDPOINT_URL)),
            offers,
            open: says_public || !offered,
            silent: graph.objects(&node, meent::WITHHELD_SILENTLY).any(
                |object| matches!(object, Term::Literal(literal) if matches!(literal.value().trim(), "true" | "1")),
            ),
            description: Arc::new(description),
            foreign: None,
        }
    }

    /// What a dataset's summary and lists tell.
    fn description(&mut self, node: &NamedOrBlankNode) -> SourceDescription {
        let around = self.around(node);
        match Summary::from_triples(node, around.iter().copied()) {
            Ok(Some(summary)) => {
                let (keys, unread) = Keys::from_triples(node, around.iter().copied());
                if unread > 0 {
                    self.remarks
                        .push(format!("{node}: {unread} lists of identifiers cannot be read"));
                }
                SourceDescription::of_summary(&summary).with_keys(keys)
            }
            Ok(None) => SourceDescription::unknown(),
            Err(error) => {
                self.remarks.push(format!("{node}: {error}"));
                SourceDescription::unknown()
            }
        }
    }

    /// What is said of a dataset, and of the parts of its summary. A part of two datasets is the first one's.
    fn around(&mut self, node: &NamedOrBlankNode) -> Vec<&'a Triple> {
        let mut around: Vec<&'a Triple> = self.graph.about(node).to_vec();
        let parts: Vec<NamedOrBlankNode> = around
            .iter()
            .filter(|triple| is_part(triple.predicate.as_str()))
            .filter_map(|triple| match &triple.object {
                Term::NamedNode(part) => Some(part.clone().into()),
                Term::BlankNode(part) => Some(part.clone().into()),
                _ => None,
            })
            .collect();
        for part in parts {
            if let Some((part, about)) = self.graph.by_subject.get_key_value(&part)
                && self.taken.insert(*part)
            {
                around.extend(about.iter().take(PART_STATEMENTS_MAX));
            }
        }
        around
    }

    /// The offers of a dataset, each read from its own part of the graph, so that one broken offer spoils no other.
    fn offers(&mut self, dataset: &NamedOrBlankNode) -> Vec<Arc<odrl::Policy>> {
        let mut found = Vec::new();
        for triple in self.graph.about(dataset).to_vec() {
            let (odrl_terms::HAS_POLICY, Term::NamedNode(offer)) = (triple.predicate.as_str(), &triple.object) else {
                continue;
            };
            if let Some(known) = self.offers.get(offer.as_str()) {
                found.extend(known.iter().cloned());
                continue;
            }
            let read = self.offer(offer);
            found.extend(read.iter().cloned());
            self.offers.insert(offer.as_str(), read);
        }
        found
    }

    fn offer(&mut self, offer: &NamedNode) -> Vec<Arc<odrl::Policy>> {
        let limits = OdrlLimits::default();
        let Some(quads) = self.reachable(&offer.clone().into(), limits.quads_max) else {
            self.remarks
                .push(format!("{offer}: too large, or its parts are those of too many offers"));
            return Vec::new();
        };
        match odrl::parse(&quads, &limits) {
            Ok(policies) => {
                let own = |policy: &odrl::Policy| policy.kind == PolicyKind::Offer && policy.id == offer.as_str();
                policies.into_iter().filter(own).map(Arc::new).collect()
            }
            Err(error) => {
                self.remarks.push(format!("{offer}: {error}"));
                Vec::new()
            }
        }
    }

    /// Everything said about a node and the blank nodes below it; none if that is more than so many statements, or shared too often.
    fn reachable(&mut self, root: &NamedOrBlankNode, most: usize) -> Option<Vec<Quad>> {
        let mut seen = HashSet::from([root.clone()]);
        let mut waiting = vec![root.clone()];
        let mut out = Vec::new();
        while let Some(node) = waiting.pop() {
            let Some((node, about)) = self.graph.by_subject.get_key_value(&node) else {
                continue;
            };
            let offers = self.shared.entry(*node).or_insert(0);
            *offers += 1;
            if *offers > OFFERS_PER_PART_MAX || out.len() + about.len() > most {
                return None;
            }
            for triple in about {
                out.push((*triple).clone().in_graph(GraphName::DefaultGraph));
                let next: Option<NamedOrBlankNode> = match &triple.object {
                    Term::BlankNode(blank) => Some(blank.clone().into()),
                    _ => None,
                };
                waiting.extend(next.filter(|next| seen.insert(next.clone())));
            }
        }
        Some(out)
    }
}

/// Whether a property leads from a dataset to a part of its summary or to a list.
fn is_part(property: &str) -> bool {
    [void::PROPERTY_PARTITION, void::CLASS_PARTITION].contains(&property)
        || property.strip_prefix(meent::NS) == Some("identifierList")
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

    /// T67, T97: whatever refers to what in a member's catalogue, reading it takes time by its length, and other members are still
    /// read.
    #[test]
    fn an_entangled_catalogue_is_read_once() {
        const COUNT: usize = 20_000;
        let mut turtle = format!(
            "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix void: <http://rdfs.org/ns/void#> . \
             @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .\n\
             _:part void:property <urn:p> ; void:triples {} . _:list meent:identifiers \"AAAA\" .\n",
            (0..COUNT)
                .map(|number| number.to_string())
                .collect::<Vec<_>>()
                .join(",")
        );
        for number in 0..COUNT {
            turtle.push_str(&format!(
                "<d{number}> a dcat:Dataset ; void:triples 1 ; void:propertyPartition _:part ; meent:identifierList _:list ; \
                 odrl:hasPolicy <o{number}> . <o{number}> a odrl:Offer ; odrl:permission _:b0 . _:b{number} <urn:n> _:b{} .\n\
                 <s{number}> a dcat:DataService ; dcat:servesDataset <d{number}> .\n",
                number + 1
            ));
        }
        let parsed = parse(turtle.as_bytes(), "gent", "https://gent.example/", &[]).unwrap_or_default();
        assert_eq!(parsed.datasets.len(), COUNT);
        assert_eq!(
            parsed.remarks.len(),
            REMARKS_MAX + 1,
            "what was left out is said, not at any length"
        );
        assert!(
            parsed
                .datasets
                .iter()
                .all(|dataset| dataset.offers.is_empty() && !dataset.open)
        );
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
