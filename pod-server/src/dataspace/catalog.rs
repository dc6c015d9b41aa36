//! The catalogue: what is offered here, by whom, under which offers, and how it is queried (DCAT 3 §6.3-6.9).
//!
//! It shows descriptions and offers, never data, and never with whom an owner deals: the list of consumers that get an
//! automatic agreement stays with the owner.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use oxrdf::{BlankNode, Literal, NamedNode, Term, Triple};
use server_kit::keys::Keys;
use server_kit::summary::Summary;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocab::{dcat, dcterms, dspace, foaf, meent, node, rdf, void, xsd};

use super::dataset::Dataset;
use super::graph::{self, GraphError};
use crate::origins::Origins;

/// The protocol of the query endpoint (SPARQL 1.1 Protocol).
const SPARQL_PROTOCOL: &str = "http://www.w3.org/TR/sparql11-protocol/";

/// Supplies the statistics of a dataset, as the audience that may see nothing but the catalogue may know them.
pub trait Summaries: Send + Sync {
    /// The statistics of the content; none if there are none yet.
    fn summary(&self, dataset: &Dataset) -> Option<Summary>;
    /// Lists of the shared identifiers that the content refers to or describes; none if there are none yet, or too many.
    fn keys(&self, dataset: &Dataset) -> Option<Arc<Keys>>;

    /// Waits until the statistics tell of everything that was acknowledged before; false when that takes too long. Statistics
    /// that lack what is there would make a broker leave the member out without anyone noticing.
    fn caught_up(&self) -> BoxFuture<'_, bool>;
}

/// A server without statistics.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSummaries;

impl Summaries for NoSummaries {
    fn summary(&self, _: &Dataset) -> Option<Summary> {
        None
    }

    fn keys(&self, _: &Dataset) -> Option<Arc<Keys>> {
        None
    }

    fn caught_up(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }
}

/// Builds one catalogue.
pub struct Catalog<'a> {
    origins: &'a Origins,
    iri: NamedNode,
    triples: Vec<Triple>,
    datasets: usize,
}

impl<'a> Catalog<'a> {
    /// An empty catalogue with an IRI.
    #[must_use]
    pub fn new(origins: &'a Origins, iri: String) -> Self {
        let iri = NamedNode::new_unchecked(iri);
        let mut catalog = Self {
            origins,
            iri: iri.clone(),
            triples: Vec::new(),
            datasets: 0,
        };
        catalog.say(&iri, rdf::TYPE, node(dcat::CATALOG));
        catalog
    }

    /// Names the publisher of the whole catalogue.
    pub fn publisher(&mut self, web_id: &str) {
        let iri = self.iri.clone();
        self.agent(&iri, web_id);
    }

    /// Adds a dataset with its offers, its services and, where the owner publishes them, its statistics.
    ///
    /// # Errors
    /// If the stored description can no longer be read.
    pub fn add(&mut self, dataset: &Dataset, summaries: &dyn Summaries) -> Result<(), GraphError> {
        let iri = NamedNode::new_unchecked(dataset.iri.as_str());
        // Blank nodes of different datasets keep apart, and have the same names at each reading.
        let prefix = format!("d{}x", self.datasets);
        for triple in &dataset.graph()? {
            if triple.predicate.as_str() != meent::ACCEPTED_CONSUMER {
                self.triples.push(graph::prefixed(triple.into_owned(), &prefix));
            }
        }
        let catalog = self.iri.clone();
        self.say(&catalog, dcat::DATASET_PROPERTY, iri.clone());
        self.say(
            &iri,
            dcterms::IDENTIFIER,
            Literal::new_simple_literal(dataset.iri.as_str()),
        );
        self.say(&iri, dcterms::ISSUED, instant(dataset.issued));
        self.say(&iri, dcterms::MODIFIED, instant(dataset.modified));
        self.agent(&iri, &dataset.owner);
        self.services(&iri, dataset);
        if dataset.publish_summary
            && let Some(summary) = summaries.summary(dataset)
        {
            // Blank nodes of each dataset's statistics get names of their own, the same at each reading.
            let number = self.datasets;
            let part = |position: usize| BlankNode::new_unchecked(format!("s{number}x{position}"));
            self.triples.extend(summary.to_triples(&iri.clone().into(), part));
            if dataset.publish_identifiers
                && let Some(keys) = summaries.keys(dataset)
            {
                let part = |position: usize| BlankNode::new_unchecked(format!("k{number}x{position}"));
                self.triples.extend(keys.to_triples(&iri.into(), part));
            }
        }
        self.datasets += 1;
        Ok(())
    }

    /// The statements, in no order.
    #[must_use]
    pub fn into_triples(self) -> Vec<Triple> {
        self.triples
    }

    /// The query endpoint and the place where an agreement is asked for.
    fn services(&mut self, iri: &NamedNode, dataset: &Dataset) {
        let catalog = self.iri.clone();
        let root = self.origins.place(&dataset.storage);
        let endpoint = NamedNode::new_unchecked(format!("{root}sparql"));
        let distribution = NamedNode::new_unchecked(format!("{}#sparql", dataset.iri));
        self.say(&catalog, dcat::SERVICE, endpoint.clone());
        self.say(&endpoint, rdf::TYPE, node(dcat::DATA_SERVICE));
        self.say(&endpoint, dcat::ENDPOINT_URL, endpoint.clone());
        self.say(
            &endpoint,
            dcterms::CONFORMS_TO,
            NamedNode::new_unchecked(SPARQL_PROTOCOL),
        );
        self.say(&endpoint, dcat::SERVES_DATASET, iri.clone());
        self.say(iri, dcat::DISTRIBUTION_PROPERTY, distribution.clone());
        self.say(&distribution, rdf::TYPE, node(dcat::DISTRIBUTION));
        self.say(&distribution, dcat::ACCESS_URL, endpoint.clone());
        self.say(&distribution, dcat::ACCESS_SERVICE, endpoint.clone());
        if let Some(license) = &dataset.license {
            self.say(
                &distribution,
                dcterms::LICENSE,
                NamedNode::new_unchecked(license.as_str()),
            );
        }
        self.say(iri, void::SPARQL_ENDPOINT, endpoint);
        let negotiations = NamedNode::new_unchecked(format!("{root}.dataspace/negotiations"));
        self.say(&catalog, dcat::SERVICE, negotiations.clone());
        self.say(&negotiations, rdf::TYPE, node(dcat::DATA_SERVICE));
        self.say(&negotiations, dcat::ENDPOINT_URL, negotiations.clone());
        self.say(&negotiations, dcterms::TYPE, node(dspace::CONTRACT_NEGOTIATION));
        self.say(&negotiations, dcat::SERVES_DATASET, iri.clone());
    }

    fn agent(&mut self, about: &NamedNode, web_id: &str) {
        let agent = NamedNode::new_unchecked(web_id);
        self.say(about, dcterms::PUBLISHER, agent.clone());
        self.say(&agent, rdf::TYPE, node(foaf::AGENT_CLASS));
    }

    fn say(&mut self, subject: &NamedNode, predicate: &'static str, object: impl Into<Term>) {
        self.triples.push(Triple::new(subject.clone(), node(predicate), object));
    }
}

/// Unix seconds as `xsd:dateTime` in UTC.
#[must_use]
pub fn instant(unix: i64) -> Literal {
    let text = OffsetDateTime::from_unix_timestamp(unix)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default();
    Literal::new_typed_literal(text, NamedNode::from(node(xsd::DATE_TIME)))
}
