//! The query evaluation tests of W3C's SPARQL 1.0 and 1.1 suites with their data dealt over several members: the broker's engine must
//! answer each as one store over all of it does. Entailment and `SERVICE` have tests of their own there, which are about neither.
//!
//! What hangs together by blank nodes lies at one member, because outside of it a blank node has no name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use oxrdf::vocab::rdf;
use oxrdf::{Graph, GraphName, NamedNode, NamedOrBlankNode, NamedOrBlankNodeRef, Quad, Term, TermRef};
use oxrdfio::{RdfFormat, RdfParser};
use oxttl::TurtleParser;
use spargebra::algebra::{GraphPattern, QueryDataset};
use spargebra::{Query, SparqlParser};

use super::ConformanceError;
use super::baseline::{Case, Outcome};
use crate::federation::Network;

/// Where the files seem to come from: names in them are relative.
const BASE: &str = "http://rdf-tests.example/";
const MANIFEST: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const TEST_QUERY: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#";

/// Folders with other tests than those of queries over given data.
const OTHER_FOLDERS: [&str; 2] = ["sparql11/entailment", "sparql11/service"];

/// How data is dealt over the members.
#[derive(Clone, Copy, Debug)]
enum Dealing {
    Triples,
    Subjects,
    Graphs,
}

/// Numbers of members, each with the ways to deal that make a difference.
const DEALS: [(usize, &[Dealing]); 3] = [
    (1, &[Dealing::Triples]),
    (2, &[Dealing::Triples, Dealing::Subjects, Dealing::Graphs]),
    (5, &[Dealing::Triples, Dealing::Subjects, Dealing::Graphs]),
];

/// One test: a query and its data.
struct Test {
    name: String,
    /// The query, or why the parser does not read it.
    query: Result<Query, String>,
    quads: Vec<Quad>,
}

/// Runs all tests below a checkout of `w3c/rdf-tests`, each with each deal.
///
/// # Errors
/// When a file of the suite cannot be read.
pub async fn run(checkout: &Path) -> Result<Vec<Case>, ConformanceError> {
    let mut cases = Vec::new();
    for manifest in manifests(&checkout.join("sparql"))? {
        for test in tests(checkout, &manifest)? {
            for (members, dealings) in DEALS {
                for dealing in dealings {
                    cases.push(case(&test, members, *dealing).await);
                }
            }
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

async fn case(test: &Test, members: usize, dealing: Dealing) -> Case {
    let way = match dealing {
        _ if members == 1 => "1 member".to_owned(),
        Dealing::Triples => format!("{members} members by triple"),
        Dealing::Subjects => format!("{members} members by subject"),
        Dealing::Graphs => format!("{members} members by graph"),
    };
    let told = difference(test, members, dealing).await.err();
    Case {
        name: format!("{}, {way}", test.name),
        outcome: if told.is_none() {
            Outcome::Passed
        } else {
            Outcome::Failed
        },
        told: told.unwrap_or_default(),
    }
}

/// Compares the federation's answer with the single store's.
async fn difference(test: &Test, members: usize, dealing: Dealing) -> Result<(), String> {
    let query = test.query.as_ref()?;
    let network = Network::of_quads(dealt(&test.quads, members, dealing)).await;
    let expected = network
        .expected_of(query.clone(), false)
        .map_err(|error| format!("the single store: {error}"))?;
    let answered = network.ask_parsed(query).await?;
    if !answered.completeness.complete {
        return Err(format!("incomplete: {:?}", answered.completeness.sources));
    }
    let (expected, rows) = if leaves_number_open(query) {
        (distinct(expected), distinct(answered.rows))
    } else {
        (expected, answered.rows)
    };
    if rows == expected {
        return Ok(());
    }
    let few = |rows: &[String]| rows.iter().take(9).cloned().collect::<Vec<_>>().join(" | ");
    Err(format!(
        "{} rows instead of {}: {} instead of {}",
        rows.len(),
        expected.len(),
        few(&rows),
        few(&expected)
    ))
}

/// Whether the query is `REDUCED`: equal rows may then be one row or several (SPARQL 1.1 §15.3.2).
fn leaves_number_open(query: &Query) -> bool {
    matches!(
        query,
        Query::Select {
            pattern: GraphPattern::Reduced { .. },
            ..
        }
    )
}

fn distinct(mut rows: Vec<String>) -> Vec<String> {
    rows.dedup();
    rows
}

/// All manifests below a folder, in order.
fn manifests(folder: &Path) -> Result<Vec<PathBuf>, ConformanceError> {
    let mut found = BTreeSet::new();
    for suite in ["sparql10", "sparql11"] {
        for entry in std::fs::read_dir(folder.join(suite))? {
            let place = entry?.path();
            let manifest = place.join("manifest.ttl");
            if manifest.is_file() && !OTHER_FOLDERS.iter().any(|other| place.ends_with(other)) {
                found.insert(manifest);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The query evaluation tests of a manifest.
fn tests(checkout: &Path, manifest: &Path) -> Result<Vec<Test>, ConformanceError> {
    let graph: Graph = TurtleParser::new()
        .with_base_iri(iri(checkout, manifest)?)
        .map_err(broken(manifest))?
        .for_slice(&std::fs::read(manifest)?)
        .collect::<Result<_, _>>()
        .map_err(broken(manifest))?;
    let folder = manifest.parent().unwrap_or(checkout);
    let part = folder.strip_prefix(checkout.join("sparql")).unwrap_or(folder);
    let kind = NamedNode::new_unchecked(format!("{MANIFEST}QueryEvaluationTest"));
    let mut found = BTreeMap::new();
    for subject in graph.subjects_for_predicate_object(rdf::TYPE, kind.as_ref()) {
        let local = match subject {
            NamedOrBlankNodeRef::NamedNode(node) => node.as_str().rsplit(['#', '/']).next().unwrap_or_default(),
            NamedOrBlankNodeRef::BlankNode(_) => continue,
        };
        let name = format!("{}: {local}", part.display());
        let test = test(checkout, &graph, subject, name.clone())?;
        found.insert(name, test);
    }
    Ok(found.into_values().collect())
}

fn test(
    checkout: &Path,
    graph: &Graph,
    subject: NamedOrBlankNodeRef<'_>,
    name: String,
) -> Result<Test, ConformanceError> {
    let missing = |what: &str| ConformanceError(format!("{name}: there is no {what}"));
    let property = |space: &str, local: &str| NamedNode::new_unchecked(format!("{space}{local}"));
    let action = match graph.object_for_subject_predicate(subject, property(MANIFEST, "action").as_ref()) {
        Some(TermRef::BlankNode(node)) => NamedOrBlankNodeRef::from(node),
        Some(TermRef::NamedNode(node)) => node.into(),
        _ => return Err(missing("action")),
    };
    let named = |local: &str| -> Vec<NamedNode> {
        graph
            .objects_for_subject_predicate(action, property(TEST_QUERY, local).as_ref())
            .filter_map(|term| match term {
                TermRef::NamedNode(node) => Some(node.into_owned()),
                _ => None,
            })
            .collect()
    };
    let text_file = named("query").into_iter().next().ok_or_else(|| missing("query"))?;
    let text = std::fs::read_to_string(file(checkout, &text_file)?)?;
    let mut query = SparqlParser::new()
        .with_base_iri(text_file.as_str())
        .map_err(broken(&name))?
        .parse_query(&text)
        .map_err(|error| error.to_string());
    let mut quads = Vec::new();
    for data in named("data") {
        quads.extend(read(checkout, &data, GraphName::DefaultGraph)?);
    }
    let mut graphs: BTreeSet<NamedNode> = named("graphData").into_iter().collect();
    if let Some(clause) = query.as_mut().ok().and_then(clause_of) {
        // Without `FROM NAMED` no graph is named, which the single store has to be told.
        let named = clause.named.get_or_insert_default();
        graphs.extend(clause.default.iter().chain(named.iter()).cloned());
    }
    for data in graphs {
        quads.extend(read(checkout, &data, data.clone().into())?);
    }
    Ok(Test { name, query, quads })
}

fn clause_of(query: &mut Query) -> Option<&mut QueryDataset> {
    let (Query::Select { dataset, .. }
    | Query::Construct { dataset, .. }
    | Query::Describe { dataset, .. }
    | Query::Ask { dataset, .. }) = query;
    dataset.as_mut()
}

/// The quads of a data file; each file has blank nodes of its own.
fn read(checkout: &Path, name: &NamedNode, graph: GraphName) -> Result<Vec<Quad>, ConformanceError> {
    let path = file(checkout, name)?;
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    let format = RdfFormat::from_extension(extension)
        .ok_or_else(|| ConformanceError(format!("`{}` is no RDF that is known", path.display())))?;
    RdfParser::from_format(format)
        .with_base_iri(name.as_str())
        .map_err(broken(&path))?
        .with_default_graph(graph)
        .rename_blank_nodes()
        .for_slice(&std::fs::read(&path)?)
        .collect::<Result<_, _>>()
        .map_err(broken(&path))
}

/// Deals quads over members, in parts that no blank node connects.
fn dealt(quads: &[Quad], members: usize, dealing: Dealing) -> Vec<Vec<Quad>> {
    let mut sorted: Vec<&Quad> = quads.iter().collect();
    sorted.sort_by_key(|quad| quad.to_string());
    sorted.dedup();
    let graphs: BTreeSet<String> = sorted.iter().map(|quad| quad.graph_name.to_string()).collect();
    let subjects: BTreeSet<String> = sorted.iter().map(|quad| quad.subject.to_string()).collect();
    let mut out = vec![Vec::new(); members];
    for (at, part) in connected(&sorted).into_iter().enumerate() {
        let Some(first) = part.first() else { continue };
        let place = match dealing {
            Dealing::Triples => at,
            Dealing::Subjects => position(&subjects, &first.subject.to_string()),
            Dealing::Graphs => position(&graphs, &first.graph_name.to_string()),
        };
        if let Some(member) = out.get_mut(place % members) {
            member.extend(part.into_iter().cloned());
        }
    }
    out
}

fn position(all: &BTreeSet<String>, one: &str) -> usize {
    all.iter().position(|other| other == one).unwrap_or_default()
}

/// Quads in parts that share no blank node.
fn connected<'a>(quads: &[&'a Quad]) -> Vec<Vec<&'a Quad>> {
    let mut parts: Vec<(BTreeSet<String>, Vec<&Quad>)> = Vec::new();
    for quad in quads {
        let mut blank = blank_nodes(quad);
        let mut members = vec![*quad];
        let (touching, apart): (Vec<_>, Vec<_>) = std::mem::take(&mut parts)
            .into_iter()
            .partition(|(other, _)| !other.is_disjoint(&blank));
        for (other, own) in touching {
            blank.extend(other);
            members.extend(own);
        }
        parts = apart;
        parts.push((blank, members));
    }
    parts.into_iter().map(|(_, own)| own).collect()
}

fn blank_nodes(quad: &Quad) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let NamedOrBlankNode::BlankNode(node) = &quad.subject {
        found.insert(node.to_string());
    }
    if let Term::BlankNode(node) = &quad.object {
        found.insert(node.to_string());
    }
    found
}

/// The IRI of a file of the checkout.
fn iri(checkout: &Path, path: &Path) -> Result<String, ConformanceError> {
    let inside = path.strip_prefix(checkout).map_err(broken(path))?;
    Ok(format!("{BASE}{}", inside.display()))
}

/// The file behind an IRI.
fn file(checkout: &Path, name: &NamedNode) -> Result<PathBuf, ConformanceError> {
    name.as_str()
        .strip_prefix(BASE)
        .map(|inside| checkout.join(inside))
        .ok_or_else(|| ConformanceError(format!("{name} is not in the suite")))
}

/// Says where something broke.
fn broken<E: std::fmt::Display>(place: impl std::fmt::Debug) -> impl FnOnce(E) -> ConformanceError {
    move |error| ConformanceError(format!("{place:?}: {error}"))
}
