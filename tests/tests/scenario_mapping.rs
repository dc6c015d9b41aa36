//! The mappings and the import lose and invent nothing: one Oxigraph over the imported documents answers the
//! scenario's questions exactly as plain code over the raw files does. Without policy, so without smallest groups.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meent_tests::scenario::expected::{Expected, Rows};
use meent_tests::scenario::input::Input;
use meent_tests::scenario::queries::QUESTIONS;
use oxigraph::io::{RdfFormat, RdfParser};
use oxigraph::sparql::{QueryResults, SparqlEvaluator};
use oxrdf::{GraphNameRef, Term};
use pod_server::import::{self, ImportOptions, Progress};
use pod_server::name::ResourceName;
use pod_server::origins::Origins;
use pod_server::store::{self, Body, CommitError, ReadPermit, Store, Transaction, Warrant};

struct Quiet;

impl Progress for Quiet {
    fn input(&mut self, _: &str, _: u64) {}
    fn lines(&mut self, _: &str, _: u64) {}
    fn documents(&mut self, _: u64, _: u64) {}
}

async fn imported(input: &Input, store: &dyn Store) {
    let mut roots: BTreeSet<String> = input
        .citizens
        .iter()
        .map(|citizen| format!("/{}/", citizen.storage))
        .collect();
    roots.extend(input.feeds.iter().map(|feed| format!("/{}/", feed.member)));
    let work = Box::new(move |transaction: &mut dyn Transaction| {
        for root in roots {
            transaction.create_storage(&ResourceName::parse(&root).unwrap(), "https://example.org/me")?;
        }
        Ok::<(), CommitError<()>>(())
    });
    store::commit(store, Warrant::without_proof("a test prepares storages"), work)
        .await
        .unwrap();
    let mappings = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/mappings");
    for feed in &input.feeds {
        let options = ImportOptions {
            into: ResourceName::parse(feed.into).unwrap(),
            origins: Origins::new("https://example.org/"),
            mapping: feed
                .mapping
                .map(|name| std::fs::read_to_string(mappings.join(name)).unwrap()),
            constants: feed.constants.clone(),
            sources: feed.sources.clone(),
            unpacked_bytes_max: 1 << 30,
            triples_max: 50_000_000,
        };
        let report = import::run(store, &options, &mut Quiet).await.unwrap();
        println!(
            "{}: {} items, {} triples, {} documents, {} rejected",
            feed.into, report.items, report.triples, report.documents, report.rejected
        );
        assert!(report.documents > 0, "{} has documents", feed.into);
        // A second run finds nothing to do.
        let again = import::run(store, &options, &mut Quiet).await.unwrap();
        assert_eq!(again.documents, 0, "{}", feed.into);
    }
}

fn loaded(input: &Input, store: &dyn Store) -> oxigraph::store::Store {
    let merged = oxigraph::store::Store::new().unwrap();
    let snapshot = store
        .snapshot(ReadPermit::without_proof("a test reads everything"))
        .unwrap();
    let mut roots: BTreeSet<String> = input
        .citizens
        .iter()
        .map(|citizen| format!("/{}/", citizen.storage))
        .collect();
    roots.extend(input.feeds.iter().map(|feed| format!("/{}/", feed.member)));
    for root in roots {
        let root = ResourceName::parse(&root).unwrap();
        for resource in snapshot.descendants(&root, None, 1_000_000).unwrap() {
            // Brugge keeps its measurements in OSLO too, but offers only the observations made from them.
            if !resource.name.as_str().ends_with(".ttl")
                || resource.name.as_str().starts_with("/brugge/verkeersmetingen/")
            {
                continue;
            }
            let bytes = match snapshot.body(&resource).unwrap() {
                Body::Bytes(bytes) => bytes.to_vec(),
                Body::File { path, .. } => std::fs::read(path).unwrap(),
            };
            let parser = RdfParser::from_format(RdfFormat::Turtle)
                .with_base_iri(resource.name.iri(&Origins::new("https://example.org/")))
                .unwrap()
                .with_default_graph(GraphNameRef::DefaultGraph)
                .rename_blank_nodes();
            merged.load_from_slice(parser, &bytes).unwrap();
        }
    }
    merged
}

fn answer(merged: &oxigraph::store::Store, query: &str) -> Rows {
    let QueryResults::Solutions(solutions) = SparqlEvaluator::new()
        .parse_query(query)
        .unwrap()
        .on_store(merged)
        .execute()
        .unwrap()
    else {
        panic!("the questions are SELECTs");
    };
    let text = |term: Option<&Term>| match term {
        Some(Term::NamedNode(node)) => node.as_str().to_owned(),
        Some(Term::Literal(literal)) => literal.value().to_owned(),
        other => format!("{other:?}"),
    };
    solutions
        .map(|solution| {
            solution
                .unwrap()
                .values()
                .iter()
                .map(|term| text(term.as_ref()))
                .collect()
        })
        .collect()
}

async fn check(data: Option<&Path>) {
    let scratch = tempfile::tempdir().unwrap();
    let input = Input::prepare(data, 40, scratch.path()).unwrap();
    let config = store::StoreConfig::new(scratch.path().join("store"));
    let store = store::SqliteStore::open(config, Arc::new(server_kit::clock::SystemClock)).unwrap();
    imported(&input, &store).await;
    let merged = loaded(&input, &store);
    let everyone = input.citizens.iter().map(|citizen| citizen.storage.clone()).collect();
    let expected = Expected::read(&input, &everyone, 0);
    for question in &QUESTIONS {
        let (found, wanted) = (answer(&merged, question.text), expected.rows(question.name));
        let missing: Vec<_> = wanted.difference(&found).take(3).collect();
        let surplus: Vec<_> = found.difference(&wanted).take(3).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{}: missing {missing:?}, surplus {surplus:?}",
            question.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_input_survives_the_import() {
    check(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_input_survives_the_import() {
    if let Some(data) = meent_tests::house::shared_data() {
        check(Some(&data)).await;
    }
}

/// Names that the mappings and the questions take from Meent's namespace, with their prefixes `prop:` and `meent:`.
fn terms_used(folder: &Path) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rq") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for prefix in ["prop:", "meent:"] {
            if !text.contains(&format!("PREFIX {prefix} <{}>", vocab::meent::NS)) {
                continue;
            }
            let names = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'));
            let locals = names
                .filter_map(|word| word.strip_prefix(prefix))
                .filter(|name| !name.is_empty());
            terms.extend(locals.map(|local| format!("{}{local}", vocab::meent::NS)));
        }
    }
    terms
}

#[test]
fn every_term_of_ours_in_mappings_and_questions_is_published() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut used = terms_used(&project.join("deploy/mappings"));
    used.extend(terms_used(&project.join("tests/src/scenario/queries")));
    assert!(
        used.len() >= 7,
        "few terms were found, so the texts were misread: {used:?}"
    );
    for term in used {
        assert!(
            vocab::meent::TERMS.contains(&term.as_str()),
            "{term} is not in vocab/meent.ttl"
        );
    }
}

#[test]
fn the_published_vocabulary_is_turtle_and_defines_each_term_once() {
    let mut types = std::collections::BTreeMap::<String, usize>::new();
    for triple in oxttl::TurtleParser::new().for_slice(vocab::meent::TURTLE) {
        let triple = triple.unwrap();
        if triple.predicate.as_str() == vocab::rdfs::IS_DEFINED_BY {
            *types.entry(triple.subject.to_string()).or_default() += 1;
        }
    }
    for term in vocab::meent::TERMS {
        assert_eq!(types.get(&format!("<{term}>")), Some(&1), "{term}");
    }
}
