//! One store over what all owners offer: the floor that a federation is measured against. It knows no owners and asks nobody.

use std::sync::Arc;

use oxigraph::io::{RdfFormat, RdfParser};
use oxigraph::sparql::{QueryResults, SparqlEvaluator};
use oxigraph::store::Store;
use oxrdf::GraphNameRef;
use pod_server::name::ResourceName;
use pod_server::origins::Origins;
use pod_server::store::{Body, ReadPermit, SqliteStore, Store as _, StoreConfig};
use server_kit::clock::SystemClock;

use super::ScenarioError;
use super::input::Input;
use super::neighbours::Counted;
use super::network::{Network, Pod};

/// Containers that are imported and offered to nobody.
const NOT_OFFERED: [&str; 2] = ["/gent/parkeren/", "/brugge/verkeersmetingen/"];

/// Most documents of one container.
const DOCUMENTS_MAX: usize = 1_000_000;

/// Everything that is offered, the data of willing citizens included; while no server runs.
///
/// # Errors
/// What cannot be read.
pub fn merged(network: &Network, input: &Input) -> Result<Store, ScenarioError> {
    let failed = |error: &dyn std::fmt::Display| ScenarioError(format!("merging: {error}"));
    let merged = Store::new().map_err(|error| failed(&error))?;
    for feed in input.feeds.iter().filter(|feed| !NOT_OFFERED.contains(&feed.into)) {
        let pod = network.pod(feed.member)?;
        if feed.member != "kortrijk" {
            load(&merged, pod, &[feed.into.to_owned()])?;
        }
    }
    let willing = input.citizens.iter().filter(|citizen| citizen.consents);
    let citizens: Vec<String> = willing
        .map(|citizen| format!("/{}/telraam/", citizen.storage))
        .collect();
    load(&merged, network.pod("kortrijk")?, &citizens)?;
    for pod in network.pods.values() {
        let hosted = input
            .neighbours
            .iter()
            .filter(|counted| counted.neighbour.host == pod.name);
        let containers: Vec<String> = hosted.map(|Counted { neighbour, .. }| neighbour.container()).collect();
        load(&merged, pod, &containers)?;
    }
    Ok(merged)
}

fn load(merged: &Store, pod: &Pod, containers: &[String]) -> Result<(), ScenarioError> {
    if containers.is_empty() {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| ScenarioError(format!("{}: {error}", pod.name));
    let store = SqliteStore::open(StoreConfig::new(pod.folder.join("store")), Arc::new(SystemClock))?;
    let snapshot = store.snapshot(ReadPermit::without_proof("a measurement reads what was imported"))?;
    for container in containers {
        let root = ResourceName::parse(container).map_err(|error| failed(&error))?;
        for resource in snapshot.descendants(&root, None, DOCUMENTS_MAX)? {
            if !resource.name.as_str().ends_with(".ttl") {
                continue;
            }
            let bytes = match snapshot.body(&resource)? {
                Body::Bytes(bytes) => bytes.to_vec(),
                Body::File { path, .. } => std::fs::read(path)?,
            };
            let parser = RdfParser::from_format(RdfFormat::Turtle)
                .with_base_iri(resource.name.iri(&Origins::new(&pod.base_url)))
                .map_err(|error| failed(&error))?
                .with_default_graph(GraphNameRef::DefaultGraph)
                .rename_blank_nodes();
            merged.load_from_slice(parser, &bytes).map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

/// Rows that a query has over the merged data.
///
/// # Errors
/// When it cannot be answered.
pub fn rows(merged: &Store, query: &str) -> Result<usize, ScenarioError> {
    let failed = |error: &dyn std::fmt::Display| ScenarioError(format!("the merged store: {error}"));
    let prepared = SparqlEvaluator::new()
        .parse_query(query)
        .map_err(|error| failed(&error))?;
    let QueryResults::Solutions(solutions) = prepared.on_store(merged).execute().map_err(|error| failed(&error))?
    else {
        return Err(failed(&"the questions are SELECTs"));
    };
    let mut rows = 0;
    for solution in solutions {
        solution.map_err(|error| failed(&error))?;
        rows += 1;
    }
    Ok(rows)
}
