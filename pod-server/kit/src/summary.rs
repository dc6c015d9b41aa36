//! What a source can answer, in a few kilobytes: the statistics that a pod server publishes in its catalogue and a
//! broker selects sources by.
//!
//! For each predicate, the authority of subjects and the authority (or datatype) of objects, the number of triples;
//! for each class, the number of instances. As RDF it is a VoID description: `void:propertyPartition` and
//! `void:classPartition`, with `meent:subjectAuthority` and `meent:objectAuthority` beside `void:property`. Pure data:
//! whoever makes a summary has made sure that it tells only of what its audience may see.

use std::collections::BTreeMap;

use oxrdf::vocab::rdf;
use oxrdf::{BlankNode, Literal, NamedNode, NamedOrBlankNode, Term, Triple};

const VOID: &str = "http://rdfs.org/ns/void#";
const MEENT: &str = "https://w3id.org/meent/ns#";

/// Statistics of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Distinct triples.
    pub triples: u64,
    /// Documents.
    pub documents: u64,
    /// Distinct subjects.
    pub distinct_subjects: u64,
    /// Triples per predicate and authorities.
    pub properties: Vec<PropertyCount>,
    /// Instances per class.
    pub classes: Vec<ClassCount>,
}

/// Triples of one predicate between one authority of subjects and one of objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PropertyCount {
    /// The predicate's IRI.
    pub property: String,
    /// Authority of the subjects, or [`Summary::BLANK`].
    pub subject_authority: String,
    /// Authority of the objects, [`Summary::BLANK`], or the IRI of their datatype.
    pub object_authority: String,
    /// Number of triples.
    pub triples: u64,
}

/// Instances of one class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ClassCount {
    /// The class's IRI.
    pub class: String,
    /// Number of instances.
    pub instances: u64,
}

/// Why RDF is no summary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// A part lacks a value that it needs.
    #[error("the summary's part `{part}` lacks `{property}`")]
    Missing {
        /// The node of the part.
        part: String,
        /// The missing property.
        property: &'static str,
    },
    /// A count is not a whole number.
    #[error("`{0}` is not a count")]
    Count(String),
    /// More parts than are accepted.
    #[error("the summary has more than {} parts", Summary::PARTS_MAX)]
    TooLarge,
}

/// The authority of an IRI: scheme, host and port for hierarchical IRIs (`https://gent.example:8443`), the scheme and
/// the namespace up to the next colon for others (`urn:isbn`). Finer keys, such as a first path segment, would be
/// longer prefixes of the IRI: a summary's authority always is a prefix of the IRIs that it stands for.
#[must_use]
pub fn authority(iri: &str) -> &str {
    let Some((scheme, rest)) = iri.split_once(':') else {
        return iri;
    };
    let end = match rest.strip_prefix("//") {
        Some(host) => scheme.len() + 3 + host.find(['/', '?', '#']).unwrap_or(host.len()),
        None => scheme.len() + 1 + rest.find(':').unwrap_or(0),
    };
    iri.get(..end).unwrap_or(iri).trim_end_matches(':')
}

impl Summary {
    /// Stands for blank nodes where an authority is expected.
    pub const BLANK: &'static str = "https://w3id.org/meent/ns#BlankNode";
    /// Stands for RDF 1.2 triple terms where an authority is expected.
    pub const TRIPLE: &'static str = "https://w3id.org/meent/ns#TripleTerm";
    /// Most parts that are read from RDF.
    pub const PARTS_MAX: usize = 100_000;

    /// The same summary in its one order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.properties.sort();
        self.classes.sort();
        self
    }

    /// Number of triples that a pattern can match at most: by predicate, and by the IRIs or datatype of its ends where
    /// they are known. `None` means anything.
    #[must_use]
    pub fn triples_matching(&self, subject: Option<&str>, property: Option<&str>, object: Option<&str>) -> u64 {
        self.properties
            .iter()
            .filter(|count| {
                property.is_none_or(|property| property == count.property)
                    && subject.is_none_or(|iri| authority(iri) == count.subject_authority)
                    && object
                        .is_none_or(|end| count.object_authority == end || count.object_authority == authority(end))
            })
            .map(|count| count.triples)
            .sum()
    }

    /// Number of instances of a class.
    #[must_use]
    pub fn instances_of(&self, class: &str) -> u64 {
        self.classes
            .iter()
            .filter(|count| count.class == class)
            .map(|count| count.instances)
            .sum()
    }

    /// The summary as a VoID description of `dataset`. `part` names the parts: it gets their number.
    #[must_use]
    pub fn to_triples(&self, dataset: &NamedOrBlankNode, part: impl Fn(usize) -> BlankNode) -> Vec<Triple> {
        let mut out = Vec::with_capacity(4 + self.properties.len() * 5 + self.classes.len() * 3);
        out.push(Triple::new(dataset.clone(), rdf::TYPE, void("Dataset")));
        out.push(Triple::new(dataset.clone(), void("triples"), count(self.triples)));
        out.push(Triple::new(dataset.clone(), void("documents"), count(self.documents)));
        out.push(Triple::new(
            dataset.clone(),
            void("distinctSubjects"),
            count(self.distinct_subjects),
        ));
        let mut number = 0;
        let mut next = || {
            number += 1;
            part(number - 1)
        };
        for property in &self.properties {
            let node = next();
            let iri = |text: &str| NamedNode::new_unchecked(text);
            out.push(Triple::new(dataset.clone(), void("propertyPartition"), node.clone()));
            out.push(Triple::new(node.clone(), void("property"), iri(&property.property)));
            out.push(Triple::new(
                node.clone(),
                meent("subjectAuthority"),
                iri(&property.subject_authority),
            ));
            out.push(Triple::new(
                node.clone(),
                meent("objectAuthority"),
                iri(&property.object_authority),
            ));
            out.push(Triple::new(node, void("triples"), count(property.triples)));
        }
        for class in &self.classes {
            let node = next();
            out.push(Triple::new(dataset.clone(), void("classPartition"), node.clone()));
            out.push(Triple::new(
                node.clone(),
                void("class"),
                NamedNode::new_unchecked(&class.class),
            ));
            out.push(Triple::new(node, void("entities"), count(class.instances)));
        }
        out
    }

    /// Reads the summary of `dataset` from triples, which may hold other things too. None if there is no summary.
    ///
    /// # Errors
    /// [`SummaryError`] when a part is not what it should be.
    pub fn from_triples<'a>(
        dataset: &NamedOrBlankNode,
        triples: impl IntoIterator<Item = &'a Triple>,
    ) -> Result<Option<Self>, SummaryError> {
        let mut nodes: BTreeMap<String, Vec<&Triple>> = BTreeMap::new();
        for triple in triples {
            nodes.entry(triple.subject.to_string()).or_default().push(triple);
        }
        let own = nodes.get(&dataset.to_string()).map_or(&[][..], Vec::as_slice);
        let Some(total) = value(own, VOID, "triples") else {
            return Ok(None);
        };
        let own_count = |name| value(own, VOID, name).map_or(Ok(0), number);
        let mut summary = Self {
            triples: number(total)?,
            documents: own_count("documents")?,
            distinct_subjects: own_count("distinctSubjects")?,
            ..Self::default()
        };
        for triple in own {
            let Some(name) = triple.predicate.as_str().strip_prefix(VOID) else {
                continue;
            };
            if summary.properties.len() + summary.classes.len() >= Self::PARTS_MAX {
                return Err(SummaryError::TooLarge);
            }
            let part = triple.object.to_string();
            let about = nodes.get(&part).map_or(&[][..], Vec::as_slice);
            let need = |namespace, property: &'static str| {
                value(about, namespace, property).ok_or_else(|| SummaryError::Missing {
                    part: part.clone(),
                    property,
                })
            };
            match name {
                "propertyPartition" => summary.properties.push(PropertyCount {
                    property: text(need(VOID, "property")?),
                    subject_authority: text(need(MEENT, "subjectAuthority")?),
                    object_authority: text(need(MEENT, "objectAuthority")?),
                    triples: number(need(VOID, "triples")?)?,
                }),
                "classPartition" => summary.classes.push(ClassCount {
                    class: text(need(VOID, "class")?),
                    instances: number(need(VOID, "entities")?)?,
                }),
                _ => {}
            }
        }
        Ok(Some(summary.sorted()))
    }
}

fn void(name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{VOID}{name}"))
}

fn meent(name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{MEENT}{name}"))
}

fn count(value: u64) -> Literal {
    Literal::new_typed_literal(value.to_string(), oxrdf::vocab::xsd::INTEGER)
}

fn value<'a>(triples: &[&'a Triple], namespace: &str, name: &str) -> Option<&'a Term> {
    triples
        .iter()
        .find(|triple| triple.predicate.as_str().strip_prefix(namespace) == Some(name))
        .map(|triple| &triple.object)
}

fn number(term: &Term) -> Result<u64, SummaryError> {
    let text = text(term);
    text.parse().map_err(|_| SummaryError::Count(text))
}

fn text(term: &Term) -> String {
    match term {
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> Summary {
        Summary {
            triples: 30,
            documents: 2,
            distinct_subjects: 7,
            properties: vec![
                PropertyCount {
                    property: "http://www.w3.org/ns/sosa/hasSimpleResult".into(),
                    subject_authority: "https://gent.example:8443".into(),
                    object_authority: "http://www.w3.org/2001/XMLSchema#integer".into(),
                    triples: 20,
                },
                PropertyCount {
                    property: "http://www.w3.org/ns/sosa/madeBySensor".into(),
                    subject_authority: Summary::BLANK.into(),
                    object_authority: "urn:sensor".into(),
                    triples: 10,
                },
            ],
            classes: vec![ClassCount {
                class: "http://www.w3.org/ns/sosa/Observation".into(),
                instances: 20,
            }],
        }
        .sorted()
    }

    #[test]
    fn a_summary_survives_its_rdf_form() {
        let dataset = NamedOrBlankNode::from(NamedNode::new("https://gent.example/catalog#s").unwrap());
        let triples = sample().to_triples(&dataset, |number| BlankNode::new_unchecked(format!("p{number}")));
        assert_eq!(Summary::from_triples(&dataset, &triples).unwrap(), Some(sample()));
        let other = NamedOrBlankNode::from(NamedNode::new("https://gent.example/other").unwrap());
        assert_eq!(Summary::from_triples(&other, &triples).unwrap(), None);
        let torn: Vec<_> = triples
            .into_iter()
            .filter(|triple| !triple.predicate.as_str().ends_with("subjectAuthority"))
            .collect();
        assert!(matches!(
            Summary::from_triples(&dataset, &torn),
            Err(SummaryError::Missing {
                property: "subjectAuthority",
                ..
            })
        ));
    }

    #[test]
    fn authorities_are_prefixes() {
        for (iri, expected) in [
            ("https://gent.example:8443/a/b#c", "https://gent.example:8443"),
            ("https://gent.example", "https://gent.example"),
            ("https://gent.example?q", "https://gent.example"),
            ("urn:isbn:123", "urn:isbn"),
            ("urn:x", "urn"),
            ("mailto:a@b", "mailto"),
        ] {
            assert_eq!(authority(iri), expected, "{iri}");
        }
    }

    #[test]
    fn patterns_are_counted_by_what_is_known_of_them() {
        let summary = sample();
        assert_eq!(summary.triples_matching(None, None, None), 30);
        assert_eq!(
            summary.triples_matching(Some("https://gent.example:8443/x"), None, None),
            20
        );
        assert_eq!(
            summary.triples_matching(Some("https://brugge.example/x"), None, None),
            0
        );
        assert_eq!(summary.triples_matching(None, None, Some("urn:sensor:7")), 10);
        assert_eq!(summary.instances_of("http://www.w3.org/ns/sosa/Observation"), 20);
    }
}
