//! The six questions over as many owners as there are municipalities in Flanders: the members of the story with their data, real or
//! generated, and generated municipalities beside them, each an owner with an offer of its own. Every answer is compared with plain code
//! over the raw files; every plan is told with what it estimated and what came.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use futures_util::future::join_all;
use http::Method;
use oxigraph::store::Store;

use super::ScenarioError;
use super::company::{Answer, Company};
use super::datasets::{PURPOSE, hosted, opened};
use super::expected::{CITIZENS_MIN, Expected, Rows};
use super::input::Input;
use super::merged;
use super::neighbours::{Counted, neighbours};
use super::network::{Layout, Network};
use super::queries::{QUESTIONS, Question};
use super::setting_up::{self, publish};
use super::story::{Quiet, same};

/// Owners of the story's own datasets.
pub const OWNERS_OF_THE_STORY: usize = 6;

/// Requests that are under way at one time while owners prepare.
const AT_ONCE: usize = 8;

/// How large, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with real data; generated data without it.
    pub data: Option<PathBuf>,
    /// Generated citizens of Kortrijk.
    pub citizens: usize,
    /// All owners: those of the story, and generated municipalities for the rest.
    pub owners: usize,
    /// Servers that host the generated municipalities.
    pub hosting: usize,
    /// Runs of each question that count.
    pub rounds: usize,
    /// Folder for the network's files.
    pub folder: PathBuf,
    /// Folder with the servers' binaries.
    pub binaries: PathBuf,
    /// First of the ports that the network uses.
    pub first_port: u16,
}

/// What became of one question.
#[derive(Clone, Debug)]
pub struct Told {
    /// The question.
    pub question: Question,
    /// Rows of its answer, equal to the expectation.
    pub rows: usize,
    /// Seconds of each run.
    pub seconds: Vec<f64>,
    /// Seconds of each run over one store with all that is offered, in memory, without policies and without smallest groups.
    pub merged: Vec<f64>,
    /// How the broker did it, in words.
    pub plan: String,
    /// The same for programs.
    pub facts: serde_json::Value,
}

/// One question under agreements and over open data.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The question.
    pub question: Question,
    /// Rows, the same in both.
    pub rows: usize,
    /// Seconds of each run under agreements.
    pub agreed: Vec<f64>,
    /// Seconds of each run over open data.
    pub open: Vec<f64>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether the members' data was real.
    pub real: bool,
    /// Pod servers.
    pub servers: usize,
    /// Resident memory of the broker before the first query, in bytes.
    pub idle_bytes: u64,
    /// The same after all queries.
    pub used_bytes: u64,
    /// The six questions.
    pub told: Vec<Told>,
    /// Questions with and without policies.
    pub compared: Vec<Compared>,
}

/// Prepares and starts the network, asks everything, and stops it.
///
/// # Errors
/// The first thing that was not as it should be.
pub async fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Outcome, ScenarioError> {
    progress("preparing the members' data");
    let scratch = options.folder.join("input");
    let mut input = Input::prepare(options.data.as_deref(), options.citizens, &scratch)?;
    let generated = options.owners.saturating_sub(OWNERS_OF_THE_STORY);
    let hosting = options.hosting.clamp(1, generated.max(1));
    input.add_neighbours(neighbours(generated, hosting), &scratch)?;
    let layout = Layout::local(options.first_port).with_hosting(hosting);
    let (folder, binaries) = (&options.folder, &options.binaries);
    let mut network = Network::prepare_as(folder, binaries, &layout, &input, &mut Quiet, &mut |_, _| ()).await?;
    progress("merging all data into one store");
    let merged = merged::merged(&network, &input)?;
    progress("starting the servers");
    network.start().await?;
    let (company, sharing) = settle(&network, &input, progress).await?;
    let idle_bytes = network.resident_bytes("broker")?;

    let expected = Expected::read(&input, &sharing, CITIZENS_MIN);
    let mut told = Vec::new();
    for question in QUESTIONS {
        progress(&format!("{} over {} owners", question.name, options.owners));
        told.push(ask(&company, question, &expected, &merged, options.rounds).await?);
    }
    let compared = compare(&network, &company, &input, options.rounds, progress).await?;
    Ok(Outcome {
        real: input.real,
        servers: network.pods.len(),
        idle_bytes,
        used_bytes: network.resident_bytes("broker")?,
        told,
        compared,
    })
}

/// Owners open registers, describe datasets and ask citizens; the company gets an agreement with each owner.
async fn settle(
    network: &Network,
    input: &Input,
    progress: &mut dyn FnMut(&str),
) -> Result<(Company, BTreeSet<String>), ScenarioError> {
    progress("owners describe what they offer");
    setting_up::open_registers(network).await?;
    let described = setting_up::describe_datasets(network).await?;
    for some in input.neighbours.chunks(AT_ONCE) {
        let all = some.iter().map(|counted| offer(network, counted));
        join_all(all).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let sharing = setting_up::ask_citizens(network, &input.citizens).await?;
    let mut company = Company::new(network, network.party("mobiliteit")?.clone()).await?;
    company
        .wait_for_catalog(network, described + input.neighbours.len())
        .await?;
    let own = [
        ("gent", "fietstellingen"),
        ("brugge", "tellingen"),
        ("mechelen", "parkeren"),
        ("kortrijk", "telraam"),
    ];
    for (member, dataset) in own {
        let base_url = &network.pod(member)?.base_url;
        company.ask(base_url, member, dataset, PURPOSE).await?;
    }
    for (number, Counted { neighbour, .. }) in input.neighbours.iter().enumerate() {
        progress(&format!("agreement {} of {}", number + 1, input.neighbours.len()));
        let base_url = &network.pod(&neighbour.host)?.base_url;
        company
            .ask(base_url, &neighbour.storage, &neighbour.dataset(), PURPOSE)
            .await?;
    }
    Ok((company, sharing))
}

/// A generated municipality offers its counts.
async fn offer(network: &Network, counted: &Counted) -> Result<(), ScenarioError> {
    let base_url = &network.pod(&counted.neighbour.host)?.base_url;
    let turtle = hosted(base_url, &counted.neighbour);
    publish(
        network,
        base_url,
        &counted.neighbour.storage,
        &counted.neighbour.dataset(),
        turtle,
    )
    .await
}

/// The same municipality lets anyone read and query its counts, without an agreement.
async fn open(network: &Network, counted: &Counted) -> Result<(), ScenarioError> {
    let neighbour = &counted.neighbour;
    let base_url = &network.pod(&neighbour.host)?.base_url;
    let owner = network.party(&neighbour.storage)?;
    let container = neighbour.container();
    let url = format!("{base_url}{}.acl", container.trim_start_matches('/'));
    let acl = setting_up::public_list(&owner.web_id);
    owner
        .send(Method::PUT, &url, &[("content-type", "text/turtle")], acl)
        .await?
        .success("opening counts")?;
    publish(
        network,
        base_url,
        &neighbour.storage,
        &neighbour.dataset(),
        opened(base_url, neighbour),
    )
    .await
}

/// One answer that is complete and as expected, with its seconds.
async fn answered(company: &Company, question: &Question, expected: &Rows) -> Result<f64, ScenarioError> {
    let started = Instant::now();
    let Answer { rows, complete, reply } = company.query(question.text, PURPOSE).await?;
    let seconds = started.elapsed().as_secs_f64();
    same(question, &rows, expected)?;
    if complete {
        return Ok(seconds);
    }
    Err(ScenarioError(format!(
        "{} says that it is incomplete: {}",
        question.name,
        reply.header("link")
    )))
}

/// One question, by the network and by the one store in turns.
async fn ask(
    company: &Company,
    question: Question,
    expected: &Expected,
    one_store: &Store,
    rounds: usize,
) -> Result<Told, ScenarioError> {
    let wanted = expected.rows(question.name);
    let (mut seconds, mut merged) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let once = answered(company, &question, &wanted).await?;
        let started = Instant::now();
        tokio::task::block_in_place(|| merged::rows(one_store, question.text))?;
        if round > 0 {
            seconds.push(once);
            merged.push(started.elapsed().as_secs_f64());
        }
    }
    Ok(Told {
        question,
        rows: wanted.len(),
        seconds,
        merged,
        plan: company.explain_in_words(question.text, PURPOSE).await?,
        facts: company.explain(question.text, PURPOSE).await?,
    })
}

/// The questions that generated municipalities and open registers can answer alone, first under agreements, then over open data.
async fn compare(
    network: &Network,
    company: &Company,
    input: &Input,
    rounds: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Compared>, ScenarioError> {
    if input.neighbours.is_empty() {
        return Ok(Vec::new());
    }
    let mut alone = input.clone();
    alone.feeds.retain(|feed| ["abb", "statbel"].contains(&feed.member));
    alone.citizens.clear();
    let expected = Expected::read(&alone, &BTreeSet::new(), CITIZENS_MIN);
    let names: BTreeSet<String> = input
        .neighbours
        .iter()
        .map(|counted| counted.neighbour.dataset())
        .collect();
    let company = company.with_only(|name| names.contains(name));
    let questions: Vec<Question> = QUESTIONS
        .into_iter()
        .filter(|question| ["Q1", "Q2", "Q3", "Q6"].contains(&question.name))
        .collect();
    let mut found: Vec<Compared> = Vec::new();
    for question in &questions {
        progress(&format!("{} under agreements", question.name));
        let wanted = expected.rows(question.name);
        found.push(Compared {
            question: *question,
            rows: wanted.len(),
            agreed: times(&company, question, &wanted, rounds).await?,
            open: Vec::new(),
        });
    }
    progress("owners open their data");
    for some in input.neighbours.chunks(AT_ONCE) {
        let all = some.iter().map(|counted| open(network, counted));
        join_all(all).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let anyone = Company::new(network, network.party("gent")?.clone()).await?;
    seen_open(&anyone, &questions, &expected).await?;
    for compared in &mut found {
        progress(&format!("{} over open data", compared.question.name));
        let wanted = expected.rows(compared.question.name);
        compared.open = times(&anyone, &compared.question, &wanted, rounds).await?;
    }
    Ok(found)
}

async fn times(
    company: &Company,
    question: &Question,
    wanted: &Rows,
    rounds: usize,
) -> Result<Vec<f64>, ScenarioError> {
    let mut seconds = Vec::new();
    for round in 0..=rounds {
        let once = answered(company, question, wanted).await?;
        if round > 0 {
            seconds.push(once);
        }
    }
    Ok(seconds)
}

/// Waits until the broker has read in the catalogues that all of it is open.
async fn seen_open(anyone: &Company, questions: &[Question], expected: &Expected) -> Result<(), ScenarioError> {
    const TRIES: usize = 120;
    let Some(question) = questions.first() else {
        return Ok(());
    };
    let wanted = expected.rows(question.name);
    let mut last = String::new();
    for _ in 0..TRIES {
        match answered(anyone, question, &wanted).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    Err(ScenarioError(format!(
        "the broker does not see the opened data: {last}"
    )))
}

impl Outcome {
    /// All plans, one after the other.
    #[must_use]
    pub fn plans(&self) -> String {
        let one = |told: &Told| format!("# {}: {}\n\n{}\n", told.question.name, told.question.shows, told.plan);
        self.told.iter().map(one).collect()
    }
}
