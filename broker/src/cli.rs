//! The command line: the operator's commands, and those of a consumer without software of its own.

use crate::app;
use crate::config::{Config, ENV_PREFIX};
use crate::consumer::{BrokerDescription, Consumer, ConsumerAccount, ConsumerError, ConsumerQuery, is_complete, words};
use crate::standing::event::Event;
use clap::{Args, Parser, Subcommand};
use server_kit::audit_log::{Checkpoint, VerifierKey, export, verify_directory};
use server_kit::authn::client::{ClientError, DpopKey};
use server_kit::clock::SystemClock;
use server_kit::egress::{Egress, EgressConfig, EgressFailure, EgressRequest};
use server_kit::random::SystemRandom;
use server_kit::shutdown::Shutdown;
use server_kit::telemetry;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A broker: finds data, carries agreements, and answers queries over many owners.
#[derive(Debug, Parser)]
#[command(
    name = "broker",
    version,
    about,
    long_about = None,
    after_help = "An operator starts with a copy of example.toml: `broker check --config broker.toml`, then `broker serve --config \
                  broker.toml`. A consumer needs no configuration: `key` once, `ask` for each dataset, then `query`."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop (SIGTERM or SIGINT).
    Serve(ConfigArg),
    /// Check a configuration and say what is wrong with it, without serving.
    Check(ConfigArg),
    /// The broker's own log.
    #[command(subcommand)]
    Log(LogCommand),
    /// Make the key that a consumer's tokens are bound to.
    Key {
        /// File for the private key; made with mode 0600, never overwritten.
        #[arg(long)]
        key: PathBuf,
    },
    /// Ask an owner for an agreement, and deposit its token at a broker.
    Ask(AskArgs),
    /// Send a query to a broker and print the answer.
    Query(QueryArgs),
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// The configuration file (see example.toml).
    #[arg(long, short, value_name = "FILE", env = "MEENT_BROKER_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Write the log as files that can be verified anywhere.
    Export {
        #[command(flatten)]
        config: ConfigArg,
        /// Folder to write to.
        #[arg(long)]
        to: PathBuf,
    },
    /// Verify an exported log offline: signature, every tile, every leaf.
    Verify {
        /// The exported folder.
        directory: PathBuf,
        /// The verifier key itself, as `/log/vkey` of the broker says it.
        #[arg(long)]
        key: String,
        /// File with an earlier checkpoint that the log must contain.
        #[arg(long)]
        earlier: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct ConsumerArgs {
    /// WebID of the consumer.
    #[arg(long, env = "MEENT_WEB_ID")]
    web_id: String,
    /// The WebID's issuer, whose token endpoint is looked up.
    #[arg(long, env = "MEENT_ISSUER", required_unless_present = "token_endpoint")]
    issuer: Option<String>,
    /// Token endpoint of the WebID's issuer, instead of `--issuer`.
    #[arg(long, env = "MEENT_TOKEN_ENDPOINT")]
    token_endpoint: Option<String>,
    /// Client identifier: a key for programs, made on the account page of the issuer.
    #[arg(long, env = "MEENT_CLIENT_ID")]
    client_id: String,
    /// Client secret; better given by the environment than on the command line.
    #[arg(long, env = "MEENT_CLIENT_SECRET", hide_env_values = true)]
    client_secret: String,
    /// File with the private key (see `broker key`).
    #[arg(long, env = "MEENT_KEY_FILE")]
    key: PathBuf,
    /// The broker's URL.
    #[arg(long, env = "MEENT_BROKER")]
    broker: String,
    /// Hosts that may be on this machine or a private line, as `host:port` or `host:*`.
    #[arg(long)]
    allow: Vec<String>,
    /// PEM file with further certification authorities.
    #[arg(long)]
    ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct AskArgs {
    #[command(flatten)]
    consumer: ConsumerArgs,
    /// IRI of the dataset.
    #[arg(long)]
    dataset: String,
    /// Where to negotiate; by default the place that the broker's catalogue names.
    #[arg(long)]
    negotiations: Option<String>,
    /// IRI of the purpose.
    #[arg(long)]
    purpose: String,
    /// A few words to the owner.
    #[arg(long, default_value = "")]
    message: String,
    /// How long to wait for the owner's decision, seconds.
    #[arg(long, default_value_t = 60)]
    wait_seconds: u64,
}

#[derive(Debug, Args)]
struct QueryArgs {
    #[command(flatten)]
    consumer: ConsumerArgs,
    /// File with the query; `-` for standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// IRI of the purpose.
    #[arg(long)]
    purpose: String,
    /// IRI of an agreement to use; may be repeated. All that lie at the broker unless given.
    #[arg(long = "agreement")]
    agreements: Vec<String>,
    /// Format of the answer; rows are CSV and graphs Turtle unless told otherwise.
    #[arg(long, value_enum, conflicts_with = "accept")]
    format: Option<AnswerFormat>,
    /// Media type of the answer, or several as in an HTTP `Accept` field.
    #[arg(long)]
    accept: Option<String>,
    /// Let each row name the datasets that it rests on (in JSON, GeoJSON, Arrow and Parquet).
    #[arg(long)]
    provenance: bool,
    /// Count a triple as often as it is held, instead of once.
    #[arg(long)]
    keep_duplicates: bool,
    /// Take a partial answer for an error.
    #[arg(long)]
    complete: bool,
    /// Print how the query would be split and under which terms each owner is asked, instead of the answer.
    #[arg(long, conflicts_with_all = ["standing", "measure"])]
    explain: bool,
    /// As `--explain`, but follow the plan and print beside each estimate what really came, which is a use of the agreements.
    #[arg(long, conflicts_with = "standing")]
    measure: bool,
    /// Stay, and print each change of the answer as a line of JSON, until the query ends or the command is stopped.
    #[arg(long)]
    standing: bool,
    /// With `--standing`: least time between two looks at the members, seconds. Each look is a use of the agreements.
    #[arg(long)]
    interval: Option<u64>,
}

/// Formats by short names.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AnswerFormat {
    /// SPARQL results as JSON.
    Json,
    /// SPARQL results as XML.
    Xml,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values, with terms in full.
    Tsv,
    /// A GeoJSON feature for each row.
    Geojson,
    /// A stream of Arrow batches.
    Arrow,
    /// A Parquet file.
    Parquet,
    /// Turtle, of `CONSTRUCT` and `DESCRIBE` as all that follow.
    Turtle,
    /// N-Triples.
    Ntriples,
    /// JSON-LD.
    Jsonld,
    /// RDF/XML.
    Rdfxml,
    /// N-Quads.
    Nquads,
    /// TriG.
    Trig,
}

impl AnswerFormat {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/sparql-results+json",
            Self::Xml => "application/sparql-results+xml",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Geojson => server_kit::results::GEOJSON,
            Self::Arrow => server_kit::results::ARROW,
            Self::Parquet => server_kit::results::PARQUET,
            Self::Turtle => "text/turtle",
            Self::Ntriples => "application/n-triples",
            Self::Jsonld => "application/ld+json",
            Self::Rdfxml => "application/rdf+xml",
            Self::Nquads => "application/n-quads",
            Self::Trig => "application/trig",
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// In words.
    #[error("{0}")]
    Said(String),
}

impl From<ConsumerError> for Failure {
    fn from(error: ConsumerError) -> Self {
        let cause = advice(&error);
        Self::Said(format!("{error}{cause}"))
    }
}

/// Why an outgoing request failed. Who uses the command line has chosen the address, so nothing is given away.
fn advice(error: &ConsumerError) -> &'static str {
    let failure = match error {
        ConsumerError::Egress { source, .. } | ConsumerError::Client(ClientError::Egress(source)) => source.failure(),
        _ => return "",
    };
    match failure {
        EgressFailure::Refused => {
            " (an address on this machine or a private line needs `--allow HOST:PORT`, and every other one `https`)"
        }
        EgressFailure::Unreachable => {
            " (the name is unknown, nothing listens there, or the certificate is not trusted: `--ca FILE` adds an authority)"
        }
        EgressFailure::TimedOut => " (no answer in time)",
        EgressFailure::TooLarge => " (the answer is too large)",
        EgressFailure::Redirected => " (it sends on to elsewhere, which is not followed)",
        EgressFailure::Broken => " (the connection broke)",
    }
}

fn said(error: impl std::fmt::Display) -> Failure {
    Failure::Said(error.to_string())
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(arg) => {
                let config = load(&arg)?;
                telemetry::init("broker", &config.telemetry).map_err(said)?;
                let shutdown = Shutdown::on_signals().map_err(said)?;
                app::start(config, shutdown).await.map_err(said)?.finished().await;
                tracing::info!("the broker has stopped");
                Ok(())
            }
            Command::Check(arg) => {
                let config = load(&arg)?;
                let mut words = format!(
                    "{}: fine; serves {} with {} members\n",
                    arg.config.display(),
                    config.server.base_url,
                    config.members.len()
                );
                for member in &config.members {
                    let Some(terms) = &member.terms else { continue };
                    let grants: Vec<String> = terms
                        .grants
                        .iter()
                        .map(|grant| format!("{grant:?}").to_lowercase())
                        .collect();
                    words.push_str(&format!(
                        "  {} ({}): {} to everybody under {}, as stated at {}\n",
                        member.name,
                        member.kind().as_str(),
                        grants.join(" and "),
                        terms.licence,
                        terms.stated_at
                    ));
                }
                say(&words)
            }
            Command::Log(LogCommand::Export { config, to }) => {
                let config = load(&config)?;
                let broker = app::Broker::build(config).map_err(said)?;
                broker.auditor.checkpoint().map_err(said)?;
                let path = broker.config.state.directory.join("broker.sqlite");
                let database = rusqlite::Connection::open(path).map_err(said)?;
                let checkpoint = export(&database, &to).map_err(said)?;
                say(&format!(
                    "{} leaves; verifier key {}\n",
                    checkpoint.size,
                    broker.auditor.verifier()
                ))
            }
            Command::Log(LogCommand::Verify {
                directory,
                key,
                earlier,
            }) => {
                let key = VerifierKey::parse(key.trim()).map_err(said)?;
                let earlier = match earlier {
                    Some(file) => {
                        let note = std::fs::read_to_string(&file).map_err(said)?;
                        key.verify(&note).map_err(said)?;
                        Some(Checkpoint::parse_unverified(&note).map_err(said)?)
                    }
                    None => None,
                };
                let log = verify_directory(&directory, &key, earlier.as_ref()).map_err(said)?;
                say(&format!("verified: {} leaves\n", log.checkpoint.size))
            }
            Command::Key { key } => {
                if DpopKey::load(&key).map_err(said)?.is_some() {
                    return Err(Failure::Said(format!("{} is there already", key.display())));
                }
                let made = DpopKey::generate().map_err(said)?;
                made.save(&key).map_err(said)?;
                say(&format!("{}\n", made.thumbprint()))
            }
            Command::Ask(args) => ask(args).await,
            Command::Query(args) => query(args).await,
        }
    }
}

fn load(arg: &ConfigArg) -> Result<Config, Failure> {
    let config: Config = server_kit::config::load(Some(&arg.config), ENV_PREFIX).map_err(said)?;
    config.validate().map_err(said)?;
    Ok(config)
}

fn say(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(said)
}

fn egress(args: &ConsumerArgs) -> Result<Arc<Egress>, Failure> {
    let mut config = EgressConfig {
        allow: args.allow.clone(),
        request_seconds_max: 300,
        stream_seconds_max: 365 * 86_400,
        ..EgressConfig::default()
    };
    config.roots.extra_ca_file.clone_from(&args.ca);
    Ok(Arc::new(Egress::new(config).map_err(said)?))
}

/// The token endpoint: the one that was given, or the one that the issuer names (OpenID Connect Discovery §4).
async fn token_endpoint(args: &ConsumerArgs, egress: &Egress) -> Result<String, Failure> {
    if let Some(endpoint) = &args.token_endpoint {
        return Ok(endpoint.clone());
    }
    let issuer = args.issuer.as_deref().unwrap_or_default().trim_end_matches('/');
    let url = format!("{issuer}/.well-known/openid-configuration");
    let response = egress.fetch(EgressRequest::get(&url)).await;
    let response = response.map_err(|source| ConsumerError::Egress {
        url: url.clone(),
        source,
    })?;
    let value: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
    value
        .as_ref()
        .and_then(|value| value.get("token_endpoint")?.as_str())
        .map(str::to_owned)
        .ok_or_else(|| {
            Failure::Said(format!(
                "{url} answered {} and names no token endpoint",
                response.status
            ))
        })
}

async fn consumer(args: &ConsumerArgs) -> Result<(Consumer, Arc<Egress>), Failure> {
    let key = DpopKey::load(&args.key).map_err(said)?.ok_or_else(|| {
        Failure::Said(format!(
            "{} is not there: make it with `broker key`",
            args.key.display()
        ))
    })?;
    let egress = egress(args)?;
    let account = ConsumerAccount {
        web_id: args.web_id.clone(),
        token_endpoint: token_endpoint(args, &egress).await?,
        client: (args.client_id.clone(), args.client_secret.clone()),
    };
    Ok((
        Consumer::new(
            account,
            key,
            Arc::clone(&egress),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
        ),
        egress,
    ))
}

async fn ask(args: AskArgs) -> Result<(), Failure> {
    let (consumer, egress) = consumer(&args.consumer).await?;
    let broker = consumer.broker(&args.consumer.broker).await?;
    let negotiations = match args.negotiations {
        Some(url) => url,
        None => negotiations(&egress, &broker.url, &args.dataset).await?,
    };
    let wait = Duration::from_secs(args.wait_seconds);
    let agreed = consumer
        .negotiate(&negotiations, &args.dataset, &args.purpose, &args.message, wait)
        .await?;
    let token = consumer.agreement_token(&agreed.agreement).await?;
    consumer
        .deposit(&broker, &agreed.agreement, &token, &args.purpose)
        .await?;
    say(&format!("{}\n", agreed.agreement))
}

/// Where to negotiate about a dataset, by the broker's catalogue.
async fn negotiations(egress: &Egress, broker: &str, dataset: &str) -> Result<String, Failure> {
    let url = format!("{broker}catalog");
    let request = EgressRequest::get(&url)
        .header(http::header::ACCEPT, http::HeaderValue::from_static("application/json"))
        .bytes_max(32 * 1024 * 1024);
    let response = egress.fetch(request).await;
    let response = response.map_err(|source| ConsumerError::Egress { url, source })?;
    let value: serde_json::Value = serde_json::from_slice(&response.body).map_err(said)?;
    value
        .get("datasets")
        .and_then(|list| list.as_array())
        .and_then(|list| {
            list.iter()
                .find(|entry| entry.get("@id").and_then(|id| id.as_str()) == Some(dataset))
        })
        .and_then(|entry| entry.get("negotiation"))
        .and_then(|url| url.as_str())
        .map(str::to_owned)
        .ok_or_else(|| {
            Failure::Said(format!(
                "the broker knows no place to negotiate about `{dataset}`: give `--negotiations`"
            ))
        })
}

/// Deposits a fresh token of each agreement to use, as a token lives an hour at most, so that a query never fails for its age
/// alone. Where no agreement was named, one whose owner gives no token now is left out, and said.
async fn agreements(consumer: &Consumer, broker: &BrokerDescription, args: &QueryArgs) -> Result<Vec<String>, Failure> {
    let named = !args.agreements.is_empty();
    let wanted = if named {
        args.agreements.clone()
    } else {
        consumer.deposited(broker).await?
    };
    let mut usable = Vec::with_capacity(wanted.len());
    for agreement in wanted {
        let fresh = match consumer.agreement_token(&agreement).await {
            Ok(token) => consumer
                .deposit(broker, &agreement, &token, &args.purpose)
                .await
                .map(drop),
            Err(error) => Err(error),
        };
        match fresh {
            Ok(()) => usable.push(agreement),
            Err(error) if named => return Err(error.into()),
            Err(error) => note(&format!("left out: {}", Failure::from(error)))?,
        }
    }
    Ok(usable)
}

/// Tells something beside the answer.
fn note(text: &str) -> Result<(), Failure> {
    std::io::stderr()
        .write_all(format!("broker: {text}\n").as_bytes())
        .map_err(said)
}

async fn query(args: QueryArgs) -> Result<(), Failure> {
    let (consumer, _) = consumer(&args.consumer).await?;
    let text = if args.file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(said)?;
        text
    } else {
        std::fs::read_to_string(&args.file)
            .map_err(|error| Failure::Said(format!("{}: {error}", args.file.display())))?
    };
    let broker = consumer.broker(&args.consumer.broker).await?;
    let agreements = agreements(&consumer, &broker, &args).await?;
    let accept = match (args.format, &args.accept) {
        (Some(format), _) => format.media_type(),
        (None, Some(accept)) => accept,
        (None, None) if args.explain || args.measure => "text/plain",
        (None, None) => "text/csv, text/turtle;q=0.9",
    };
    let mut parameters = Vec::new();
    if args.provenance {
        parameters.push(("provenance", "rows"));
    }
    if args.keep_duplicates {
        parameters.push(("duplicates", "kept"));
    }
    let asked = ConsumerQuery {
        query: &text,
        purpose: &args.purpose,
        agreements: &agreements,
        accept,
        complete_required: args.complete,
        parameters: &parameters,
    };
    if args.standing {
        let print = |event: &Event| {
            let data = if event.data.is_empty() { "null" } else { &event.data };
            let name = serde_json::Value::from(event.name.as_str());
            let id = serde_json::Value::from(event.id.as_str());
            say(&format!("{{\"event\":{name},\"id\":{id},\"data\":{data}}}\n"))
        };
        return consumer.follow(&broker, &asked, args.interval, print).await;
    }
    let response = if args.explain || args.measure {
        consumer.explain(&broker, &asked, args.measure).await?
    } else {
        consumer.query(&broker, &asked).await?
    };
    if !response.status.is_success() {
        return Err(Failure::Said(format!("{}: {}", response.status, words(&response.body))));
    }
    std::io::stdout().write_all(&response.body).map_err(said)?;
    if is_complete(&response) == Some(false) {
        let manifest = response
            .headers
            .get(http::header::LINK)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        note(&format!("this answer is not complete; see {manifest}"))?;
    }
    Ok(())
}
