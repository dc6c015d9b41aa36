//! The whole story, told while it happens: every figure is compared with the independent expectation, every promise is
//! put to the test. It ends with an error at the first thing that is not as it should be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pod_server::import::{Progress, Report};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::company::Company;
use super::datasets::{OUTSIDE, PURPOSE, WRONG_PURPOSE, short_lived};
use super::expected::{CITIZENS_MIN, Expected, Rows};
use super::input::Input;
use super::network::{Network, PASSWORD};
use super::queries::{QUESTIONS, Question};
use super::{ScenarioError, proofs, setting_up};

/// How the story is to be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with real data; generated data without it.
    pub data: Option<PathBuf>,
    /// Generated citizens.
    pub citizens: usize,
    /// Folder for the network's files.
    pub folder: PathBuf,
    /// Folder with the servers' binaries.
    pub binaries: PathBuf,
    /// First of the hundred ports that the network uses.
    pub first_port: u16,
}

/// Hears the story.
pub trait Teller {
    /// A new chapter.
    fn chapter(&mut self, title: &str);
    /// A sentence.
    fn say(&mut self, sentence: &str);
    /// Long work goes on.
    fn working(&mut self, what: &str, done: u64, total: u64);
}

/// Lets the whole scenario happen and returns the running network.
///
/// # Errors
/// The first thing that was not as it should be.
pub async fn run(options: &Options, teller: &mut dyn Teller) -> Result<Network, ScenarioError> {
    teller.chapter("The owners bring their own data to their own servers");
    let input = Input::prepare(options.data.as_deref(), options.citizens, &options.folder.join("input"))?;
    teller.say(if input.real {
        "Real data of Gent, Kortrijk, Brugge, Mechelen, ABB and Statbel; further citizens of Kortrijk are generated and say so."
    } else {
        "No data folder was given: all members' data is generated, and says so."
    });
    let mut network = prepare(options, &input, teller).await?;
    teller.say("Starting seven pod servers and a broker …");
    network.start().await?;
    let sharing = settle(&network, &input, teller).await?;

    teller.chapter("A company asks for access and gets agreements");
    let company = agreements(&network, teller).await?;
    let expected = Expected::read(&input, &sharing, CITIZENS_MIN);
    ask_all(&network, &company, &expected, teller).await?;
    let sharing = withdraw(&network, &company, &input, sharing, teller).await?;
    refusals(&network, &company, teller).await?;
    logs(&network, &sharing, teller).await?;
    broker_emptied(&mut network, &expected, teller).await?;
    addresses(&network, teller);
    Ok(network)
}

/// Imports without a word.
pub(super) struct Quiet;

impl Progress for Quiet {
    fn input(&mut self, _: &str, _: u64) {}
    fn lines(&mut self, _: &str, _: u64) {}
    fn documents(&mut self, _: u64, _: u64) {}
}

struct Told<'a>(&'a mut dyn Teller);

impl Progress for Told<'_> {
    fn input(&mut self, label: &str, _: u64) {
        let name = Path::new(label)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.0.working(&name, 0, 0);
    }

    fn lines(&mut self, label: &str, lines: u64) {
        let name = Path::new(label)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.0.working(&format!("{name}: rows"), lines, 0);
    }

    fn documents(&mut self, done: u64, total: u64) {
        self.0.working("documents", done, total);
    }
}

async fn prepare(options: &Options, input: &Input, teller: &mut dyn Teller) -> Result<Network, ScenarioError> {
    let mut imported = Vec::new();
    let network = Network::prepare(
        &options.folder,
        &options.binaries,
        options.first_port,
        input,
        &mut Told(teller),
        &mut |into: &str, report: &Report| {
            imported.push(format!(
                "{into}: {} rows or statements read, {} triples in {} documents, {} rejected",
                report.items, report.triples, report.documents, report.rejected
            ));
        },
    )
    .await?;
    imported.iter().for_each(|line| teller.say(line));
    Ok(network)
}

async fn settle(network: &Network, input: &Input, teller: &mut dyn Teller) -> Result<BTreeSet<String>, ScenarioError> {
    setting_up::open_registers(network).await?;
    let count = setting_up::describe_datasets(network).await?;
    teller.say(&format!(
        "ABB and Statbel open their registers; the members publish {count} datasets, the municipalities' with an offer."
    ));
    let sharing = setting_up::ask_citizens(network, &input.citizens).await?;
    teller.say(&format!(
        "Kortrijk asks its {} citizens with a sensor; {} say yes.",
        input.citizens.len(),
        sharing.len()
    ));
    Ok(sharing)
}

async fn agreements(network: &Network, teller: &mut dyn Teller) -> Result<Company, ScenarioError> {
    let mut company = Company::new(network, network.party("mobiliteit")?.clone()).await?;
    company.wait_for_catalog(network, 6).await?;
    for (member, name) in [
        ("gent", "fietstellingen"),
        ("brugge", "tellingen"),
        ("mechelen", "parkeren"),
        ("kortrijk", "telraam"),
    ] {
        company
            .ask(&network.pod(member)?.base_url, member, name, PURPOSE)
            .await?;
        teller.say(&format!(
            "{member}: the agreement on `{name}` stands, and lies with the owner."
        ));
    }
    Ok(company)
}

async fn ask_all(
    network: &Network,
    company: &Company,
    expected: &Expected,
    teller: &mut dyn Teller,
) -> Result<(), ScenarioError> {
    teller.chapter("Six questions over all owners");
    for question in &QUESTIONS {
        let started = Instant::now();
        let answer = company.query(question.text, PURPOSE).await?;
        same(question, &answer.rows, &expected.rows(question.name))?;
        let manifest = manifest(network, &answer.reply).await?;
        if !answer.complete {
            return Err(ScenarioError(format!(
                "{} says that it is incomplete: {manifest}",
                question.name
            )));
        }
        teller.say(&format!(
            "{}: {}. {} rows in {} ms, equal to the independent expectation; asked: {}.",
            question.name,
            question.shows,
            answer.rows.len(),
            started.elapsed().as_millis(),
            asked(&manifest),
        ));
    }
    Ok(())
}

/// What the broker says about a query that it has answered: which sources, how many requests, rows and milliseconds.
async fn manifest(network: &Network, reply: &super::party::Reply) -> Result<serde_json::Value, ScenarioError> {
    let url = format!("{}queries/{}", network.broker_url, reply.header("meent-query"));
    Ok(serde_json::from_str(
        &super::network::read_public(&network.egress, &url).await?,
    )?)
}

/// The members that a query was sent to, with the number of requests.
fn asked(manifest: &serde_json::Value) -> String {
    let sources = manifest.get("sources").and_then(serde_json::Value::as_array);
    let line = |source: &serde_json::Value| {
        let requests = source
            .get("requests")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default();
        let member = source
            .get("member")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        (requests > 0).then(|| format!("{member} ({requests})"))
    };
    sources
        .into_iter()
        .flatten()
        .filter_map(line)
        .collect::<Vec<_>>()
        .join(", ")
}

async fn withdraw(
    network: &Network,
    company: &Company,
    input: &Input,
    sharing: BTreeSet<String>,
    teller: &mut dyn Teller,
) -> Result<BTreeSet<String>, ScenarioError> {
    teller.chapter("A citizen withdraws");
    let citizen = input
        .citizens
        .first()
        .ok_or_else(|| ScenarioError("there are no citizens".to_owned()))?;
    let question = question("Q4")?;
    let before = company.query(question.text, PURPOSE).await?.rows;
    setting_up::say(network, &citizen.storage, "withdraw").await?;
    let after = company.query(question.text, PURPOSE).await?.rows;
    let left: BTreeSet<String> = sharing
        .into_iter()
        .filter(|storage| *storage != citizen.storage)
        .collect();
    same(question, &after, &Expected::read(input, &left, CITIZENS_MIN).rows("Q4"))?;
    if before == after {
        return Err(ScenarioError("the withdrawal did not change the answer".to_owned()));
    }
    teller.say(&format!(
        "The very next answer to Q4 leaves out the sensor in {}, and nothing else: it equals the expectation without that citizen.",
        citizen.street
    ));
    Ok(left)
}

async fn refusals(network: &Network, company: &Company, teller: &mut dyn Teller) -> Result<(), ScenarioError> {
    teller.chapter("What is not agreed gives nothing, and a reason");
    let q5 = question("Q5")?;
    let mechelen = network.pod("mechelen")?.base_url.clone();
    let parkeren = company
        .access
        .get("parkeren")
        .ok_or_else(|| ScenarioError("no agreement on `parkeren`".to_owned()))?;

    refused(
        "the broker, asked for the wrong purpose",
        &company.send(q5.text, WRONG_PURPOSE).await?,
        teller,
    )?;
    let direct = company
        .query_directly(&mechelen, parkeren, q5.text, WRONG_PURPOSE)
        .await?;
    refused("Mechelen itself, asked for the wrong purpose", &direct, teller)?;

    let outside = format!("SELECT ?observation ?value {{ ?observation <{OUTSIDE}> ?value }} LIMIT 5");
    let direct = company.query_directly(&mechelen, parkeren, &outside, PURPOSE).await?;
    nothing(
        "Mechelen itself, asked for a property outside the agreement",
        &direct,
        teller,
    )?;
    nothing(
        "the broker, asked for a property outside the agreement",
        &company.send(&outside, PURPOSE).await?,
        teller,
    )?;

    expired(network, company, teller).await?;

    let mut stranger = Company::new(network, network.party("statbel")?.clone()).await?;
    stranger.access.clear();
    refused(
        "the broker, asked by a company without an agreement",
        &stranger.send(q5.text, PURPOSE).await?,
        teller,
    )?;
    let direct = stranger.query_directly(&mechelen, parkeren, q5.text, PURPOSE).await?;
    refused("Mechelen itself, shown another company's token", &direct, teller)
}

/// An agreement that ends within seconds: it answers while it holds and refuses afterwards.
async fn expired(network: &Network, company: &Company, teller: &mut dyn Teller) -> Result<(), ScenarioError> {
    let base_url = network.pod("mechelen")?.base_url.clone();
    let until = OffsetDateTime::now_utc() + Duration::from_secs(4);
    let text = until
        .format(&Rfc3339)
        .map_err(|error| ScenarioError(error.to_string()))?;
    let url = format!("{base_url}mechelen/.dataspace/datasets/kort");
    let turtle = [("content-type", "text/turtle")];
    network
        .party("mechelen")?
        .send(http::Method::PUT, &url, &turtle, short_lived(&base_url, &text))
        .await?
        .success("describing a short offer")?;
    let mut brief = Company::new(network, company.party.clone()).await?;
    brief.ask(&base_url, "mechelen", "kort", PURPOSE).await?;
    let access = brief
        .access
        .get("kort")
        .cloned()
        .ok_or_else(|| ScenarioError("no short agreement".to_owned()))?;
    let q5 = question("Q5")?;
    let early = brief.query_directly(&base_url, &access, q5.text, PURPOSE).await?;
    early.success("a query while the agreement holds")?;
    let rest = until - OffsetDateTime::now_utc();
    tokio::time::sleep(rest.try_into().unwrap_or_default()).await;
    let late = brief.query_directly(&base_url, &access, q5.text, PURPOSE).await?;
    refused("Mechelen itself, after the agreement has expired", &late, teller)?;
    refused(
        "the broker, after the agreement has expired",
        &brief.send(q5.text, PURPOSE).await?,
        teller,
    )
}

fn refused(who: &str, reply: &super::party::Reply, teller: &mut dyn Teller) -> Result<(), ScenarioError> {
    if reply.status.is_success() {
        return Err(ScenarioError(format!(
            "{who}, answered instead of refusing: {}",
            reply.text()
        )));
    }
    let detail = reply
        .json()
        .get("detail")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if detail.is_empty() {
        return Err(ScenarioError(format!(
            "{who}, refused without a reason: {} {}",
            reply.status,
            reply.text()
        )));
    }
    teller.say(&format!("{who}: {} — {detail}", reply.status.as_u16()));
    Ok(())
}

/// Either a refusal with a reason or an answer without a row.
fn nothing(who: &str, reply: &super::party::Reply, teller: &mut dyn Teller) -> Result<(), ScenarioError> {
    if !reply.status.is_success() {
        return refused(who, reply, teller);
    }
    if !super::company::rows(&reply.json())?.is_empty() {
        return Err(ScenarioError(format!("{who}, gave rows: {}", reply.text())));
    }
    teller.say(&format!(
        "{who}: no rows — that property does not exist in what the agreement shows."
    ));
    Ok(())
}

async fn logs(network: &Network, sharing: &BTreeSet<String>, teller: &mut dyn Teller) -> Result<(), ScenarioError> {
    teller.chapter("The logs prove every use");
    let missing = |what: &str| ScenarioError(format!("the log does not show {what}"));
    let mechelen = proofs::read(network, "mechelen", "mechelen").await?;
    if mechelen.refused().count() < 2 || mechelen.allowed().count() == 0 {
        return Err(missing("Mechelen's answers and refusals"));
    }
    teller.say(&format!(
        "Mechelen sees {} queries, {} of them refused; all {} entries prove that they are in the log.",
        mechelen.queries.len(),
        mechelen.refused().count(),
        mechelen.proven
    ));
    let citizen = sharing.iter().next().ok_or_else(|| missing("a sharing citizen"))?;
    let seen = proofs::read(network, "kortrijk", citizen).await?;
    if seen.allowed().count() == 0 || seen.about_me == 0 {
        return Err(missing("the uses of a citizen's data to that citizen"));
    }
    teller.say(&format!(
        "The citizen of `{citizen}` sees {} uses of the own data, and {} proofs that they are about this person.",
        seen.allowed().count(),
        seen.about_me
    ));
    Ok(())
}

async fn broker_emptied(
    network: &mut Network,
    expected: &Expected,
    teller: &mut dyn Teller,
) -> Result<(), ScenarioError> {
    teller.chapter("The broker is killed and emptied; nobody loses anything");
    network.stop("broker", true)?;
    let state = network.folder.join("broker").join("state");
    std::fs::remove_dir_all(&state)?;
    network.spawn("broker")?;
    network.ready("broker").await?;
    let mut company = Company::new(network, network.party("mobiliteit")?.clone()).await?;
    company.wait_for_catalog(network, 6).await?;
    company
        .ask(&network.pod("mechelen")?.base_url, "mechelen", "parkeren", PURPOSE)
        .await?;
    let q5 = question("Q5")?;
    same(q5, &company.query(q5.text, PURPOSE).await?.rows, &expected.rows("Q5"))?;
    teller.say(
        "A new broker finds the members' catalogues again; the company shows its agreement; Q5 answers as before.",
    );
    Ok(())
}

fn addresses(network: &Network, teller: &mut dyn Teller) {
    teller.chapter("Where everything is");
    teller.say(&format!("broker      {}   (search page at /)", network.broker_url));
    for pod in network.pods.values() {
        teller.say(&format!(
            "{:<11} {}   accounts and pages: {}   login: {}",
            pod.name, pod.base_url, pod.console_url, pod.name
        ));
    }
    teller.say(&format!(
        "Password of the organisations and of the first three citizens: {PASSWORD}"
    ));
    teller.say(&format!(
        "Certificates are of a local authority: {}",
        network.folder.join("ca.pem").display()
    ));
}

fn question(name: &str) -> Result<&'static Question, ScenarioError> {
    QUESTIONS
        .iter()
        .find(|question| question.name == name)
        .ok_or_else(|| ScenarioError(format!("no question {name}")))
}

pub(super) fn same(question: &Question, found: &Rows, wanted: &Rows) -> Result<(), ScenarioError> {
    if found == wanted {
        return Ok(());
    }
    let missing: Vec<_> = wanted.difference(found).take(3).collect();
    let surplus: Vec<_> = found.difference(wanted).take(3).collect();
    Err(ScenarioError(format!(
        "{} has {} rows instead of {}; missing for example {missing:?}, surplus for example {surplus:?}",
        question.name,
        found.len(),
        wanted.len()
    )))
}
