//! What runs of suites gave, as a report in EARL 1.0 about a project in DOAP, which is what Solid's quality assurance publishes
//! (solid#116).

use oxrdf::{BlankNode, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Term, Triple, vocab::rdf, vocab::xsd};
use oxttl::TurtleSerializer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ConformanceError;
use super::baseline::{Baseline, Case, Outcome};
use super::suites::Suite;

const EARL: &str = "http://www.w3.org/ns/earl#";
const DOAP: &str = "http://usefulinc.com/ns/doap#";
const DCTERMS: &str = "http://purl.org/dc/terms/";

/// The names of what was tested, by whom.
const SUBJECT: &str = "https://w3id.org/meent/pod-server";
const ASSERTOR: &str = "https://w3id.org/meent/xtask/conformance";

/// A report that grows by one suite after the other.
#[derive(Debug)]
pub struct Report {
    when: Literal,
    triples: Vec<Triple>,
}

impl Report {
    /// A report on this version of the server, with results as of a moment.
    ///
    /// # Errors
    /// When the moment has no spelling.
    pub fn new(when: OffsetDateTime) -> Result<Self, ConformanceError> {
        let text = when
            .format(&Rfc3339)
            .map_err(|error| ConformanceError(error.to_string()))?;
        let mut report = Self {
            when: Literal::new_typed_literal(text, xsd::DATE_TIME),
            triples: Vec::new(),
        };
        let (subject, assertor) = (NamedNode::new_unchecked(SUBJECT), NamedNode::new_unchecked(ASSERTOR));
        let release = BlankNode::default();
        report.add(&subject, rdf::TYPE, word(EARL, "Software"));
        report.add(&subject, rdf::TYPE, word(EARL, "TestSubject"));
        report.add(&subject, rdf::TYPE, word(DOAP, "Project"));
        report.add(&subject, &word(DOAP, "name"), Literal::from("Meent pod server"));
        report.add(&subject, &word(DOAP, "programming-language"), Literal::from("Rust"));
        report.add(&subject, &word(DOAP, "release"), release.clone());
        report.add(&release, rdf::TYPE, word(DOAP, "Version"));
        report.add(
            &release,
            &word(DOAP, "revision"),
            Literal::from(env!("CARGO_PKG_VERSION")),
        );
        report.add(&assertor, rdf::TYPE, word(EARL, "Assertor"));
        report.add(&assertor, rdf::TYPE, word(EARL, "Software"));
        report.add(
            &assertor,
            &word(DCTERMS, "title"),
            Literal::from("cargo xtask conformance"),
        );
        Ok(report)
    }

    /// Adds what a run of a suite gave. What did not pass carries the committed reason or, without one, what the suite said.
    pub fn suite(&mut self, suite: &Suite, cases: &[Case], judged: &Baseline) {
        let whole = NamedNode::new_unchecked(suite.iri());
        self.add(&whole, rdf::TYPE, word(EARL, "TestRequirement"));
        self.add(&whole, &word(DCTERMS, "title"), Literal::from(suite.title));
        for case in cases {
            let test = NamedNode::new_unchecked(test_iri(suite, &case.name));
            let (assertion, result) = (BlankNode::default(), BlankNode::default());
            self.add(&test, rdf::TYPE, word(EARL, "TestCase"));
            self.add(&test, &word(DCTERMS, "title"), Literal::from(case.name.as_str()));
            self.add(&test, &word(DCTERMS, "isPartOf"), whole.clone());
            self.add(&assertion, rdf::TYPE, word(EARL, "Assertion"));
            self.add(
                &assertion,
                &word(EARL, "assertedBy"),
                NamedNode::new_unchecked(ASSERTOR),
            );
            self.add(&assertion, &word(EARL, "subject"), NamedNode::new_unchecked(SUBJECT));
            self.add(&assertion, &word(EARL, "test"), test);
            self.add(&assertion, &word(EARL, "mode"), word(EARL, "automatic"));
            self.add(&assertion, &word(EARL, "result"), result.clone());
            self.add(&result, rdf::TYPE, word(EARL, "TestResult"));
            self.add(&result, &word(EARL, "outcome"), outcome(case.outcome));
            self.add(&result, &word(DCTERMS, "date"), self.when.clone());
            let reason = judged.judged.get(&case.name).map(|(_, reason)| reason.as_str());
            let told = reason.unwrap_or(&case.told);
            if case.outcome != Outcome::Passed && !told.is_empty() {
                self.add(&result, &word(DCTERMS, "description"), Literal::from(told));
            }
        }
    }

    /// The report in Turtle.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn turtle(&self) -> Result<Vec<u8>, ConformanceError> {
        let mut serializer = TurtleSerializer::new();
        for (prefix, iri) in [("earl", EARL), ("doap", DOAP), ("dcterms", DCTERMS)] {
            serializer = serializer
                .with_prefix(prefix, iri)
                .map_err(|error| ConformanceError(error.to_string()))?;
        }
        let mut writer = serializer.for_writer(Vec::new());
        for triple in &self.triples {
            writer.serialize_triple(triple)?;
        }
        Ok(writer.finish()?)
    }

    fn add<'p>(
        &mut self,
        subject: &(impl Into<NamedOrBlankNode> + Clone),
        predicate: impl Into<NamedNodeRef<'p>>,
        object: impl Into<Term>,
    ) {
        self.triples
            .push(Triple::new(subject.clone(), predicate.into().into_owned(), object));
    }
}

/// A case's IRI: its name within the suite at the state that was run. Names are of any letters, an IRI's fragment is not.
fn test_iri(suite: &Suite, name: &str) -> String {
    let fragment = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("{}#{fragment}", suite.iri())
}

fn outcome(outcome: Outcome) -> NamedNode {
    word(
        EARL,
        match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::LeftOut => "untested",
        },
    )
}

/// A word of a vocabulary that is spelled here.
fn word(vocabulary: &str, name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{vocabulary}{name}"))
}
