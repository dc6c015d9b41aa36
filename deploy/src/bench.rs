//! `xtask bench`: the measurements, with the machine they ran on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use meent_tests::bench::comunica::Comunica;
use meent_tests::bench::machine::Machine;
use meent_tests::bench::pod::{Peer, Programs, Scope};
use meent_tests::bench::report::Table;
use meent_tests::bench::{Effort, audit, durability, federation, pod, scope, shop, standing, story};
use meent_tests::scenario::many;
use serde_json::json;

use crate::{Failure, beside_programs, say};

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A pod server over HTTP beside a bare hyper server
    Pod {
        #[command(flatten)]
        output: Output,
        /// Length of a run
        #[arg(long, default_value_t = 8.0)]
        seconds: f64,
        /// Runs of each case; the one in the middle counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Only cases whose name contains this
        #[arg(long)]
        only: Option<String>,
        /// Another server to measure in the same run; it is installed into the cache folder of the user
        #[arg(long, value_enum)]
        peer: Option<PeerName>,
        /// Also fill and measure a server with 100,000 storages, which takes minutes
        #[arg(long)]
        scale: bool,
    },
    /// Federated queries over 3, 10 and 50 members beside one store with all the data
    Federation {
        #[command(flatten)]
        output: Output,
        /// Numbers of members
        #[arg(long, value_delimiter = ',', default_values_t = [3, 10, 50])]
        members: Vec<usize>,
        /// Days of observations of each member
        #[arg(long, default_value_t = 7)]
        days: usize,
        /// Runs of each query; the median counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Milliseconds that members wait before they answer, as if they were that far away
        #[arg(long, value_delimiter = ',', default_values_t = [0])]
        delays: Vec<u64>,
        /// Another engine to ask in the same run; it is installed into cargo's target folder
        #[arg(long, value_enum)]
        peer: Option<EngineName>,
        /// Longest time for all runs of one query by the other engine
        #[arg(long, default_value_t = 60)]
        peer_seconds: u64,
        /// Instead: the six questions of the story through a broker and pod servers, with their plans, the price of policies and the
        /// broker's memory
        #[arg(long)]
        story: bool,
        #[command(flatten)]
        network: StoryNetwork,
    },
    /// Shops and rating sites with replicated products beside a perfect assignment of sources made by hand
    Shop {
        #[command(flatten)]
        output: Output,
        /// Numbers of shops and sites together
        #[arg(long, value_delimiter = ',', default_values_t = [20, 50, 100, 200])]
        sources: Vec<usize>,
        /// Instances of each of the twelve kinds of queries
        #[arg(long, default_value_t = 10)]
        instances: usize,
        /// Runs of each query; the median counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// A million citizens' consents, and queries over a hundred thousand storages beside the same ones unscoped
    Scope {
        #[command(flatten)]
        output: Output,
        /// Citizens in the ledger of consents
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
        citizens: u32,
        /// Consents of each
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        consents: u32,
        /// Storages with a document and a consent each
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
        storages: u32,
        /// Runs of each query; the median counts
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// From a citizen's withdrawal until a standing query has cut the rows
    Standing {
        #[command(flatten)]
        output: Output,
        /// Citizens with a storage each
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..))]
        citizens: u32,
        /// Withdrawals
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Decisions by compiled policies beside Cedar's
    Policy {
        #[command(flatten)]
        output: Output,
    },
    /// The audit log beside a bare file that takes the same bytes and syncs
    Audit {
        #[command(flatten)]
        output: Output,
        /// Length of a run
        #[arg(long, default_value_t = 4.0)]
        seconds: f64,
        /// Runs of each case; the one in the middle counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Crashes under write load, every acknowledged write verified; durable writes beside the disk's own rate
    Durability {
        #[command(flatten)]
        output: Output,
        /// Crashes
        #[arg(long, default_value_t = 1_000)]
        cycles: u64,
        /// Decides what is written and when it is killed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Length of each measurement of writes
        #[arg(long, default_value_t = 4.0)]
        seconds: f64,
    },
}

/// The network of `bench federation --story`.
#[derive(Debug, Args)]
pub struct StoryNetwork {
    /// Owners: those of the story, and generated municipalities
    #[arg(long, default_value_t = 285, value_parser = clap::value_parser!(u16).range(6..=1_000))]
    owners: u16,
    /// Servers that host the generated municipalities
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    hosting: u16,
    /// Folder with the real data of the story's members; it is generated otherwise
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Generated citizens of Kortrijk
    #[arg(long, default_value_t = 200)]
    citizens: usize,
    /// First of the ports that the servers use, ten for each
    #[arg(long, default_value_t = 27_100)]
    first_port: u16,
}

/// Servers to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PeerName {
    /// Community Solid Server (needs Node.js and npm)
    Css,
}

/// Federation engines to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// Comunica (needs Node.js and npm)
    Comunica,
}

/// Where results go besides standard output.
#[derive(Debug, Args)]
pub struct Output {
    /// File for the result as JSON; `bench-….json` in cargo's target folder unless given
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl BenchCommand {
    /// Measures and prints.
    ///
    /// # Errors
    /// When a part cannot run, or a measurement that also checks found a fault.
    pub fn run(self) -> Result<(), Failure> {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut progress = |text: &str| bar.set_message(text.to_owned());
        let machine = Machine::measure()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (table, output, name, sound) = match self {
            Self::Pod {
                output,
                seconds,
                rounds,
                only,
                peer,
                scale,
            } => {
                let effort = Effort {
                    run: length(seconds)?,
                    rounds: rounds.max(1),
                };
                let programs = programs()?;
                let scope = Scope {
                    only,
                    peer: peer.map(|PeerName::Css| Peer::CommunitySolidServer),
                    scale,
                };
                let measured = pod::measure(&programs, effort, &scope, &mut progress);
                (runtime.block_on(measured)?, output, "pod", true)
            }
            Self::Federation {
                output,
                members,
                days,
                rounds,
                delays,
                peer,
                peer_seconds,
                story,
                network,
            } => {
                if story {
                    let measured = network.measure(rounds.max(1), &mut progress);
                    let (table, plans) = runtime.block_on(measured)?;
                    bar.finish_and_clear();
                    say(&plans);
                    return publish(&machine, &table, output.json, "story");
                }
                let longest = Duration::from_secs(peer_seconds);
                let peer = peer
                    .map(|EngineName::Comunica| Comunica::install(longest))
                    .transpose()?;
                let scope = federation::Scope {
                    sizes: members,
                    days,
                    rounds: rounds.max(1),
                    delays: delays.into_iter().map(Duration::from_millis).collect(),
                    peer,
                };
                let measured = federation::measure(&scope, &mut progress);
                (runtime.block_on(measured)?, output, "federation", true)
            }
            Self::Shop {
                output,
                sources,
                instances,
                rounds,
            } => {
                if sources.iter().any(|sources| *sources < 6) {
                    return Err(Failure("`--sources` must be 6 or more".to_owned()));
                }
                let scope = shop::Scope {
                    sources,
                    instances: instances.max(1),
                    rounds: rounds.max(1),
                };
                let measured = shop::measure(&scope, &mut progress);
                (runtime.block_on(measured)?, output, "shop", true)
            }
            Self::Scope {
                output,
                citizens,
                consents,
                storages,
                rounds,
            } => {
                let size = scope::Size {
                    citizens,
                    consents,
                    storages,
                    rounds: rounds.max(1),
                };
                let measured = scope::measure(size, &mut progress);
                (runtime.block_on(measured)?, output, "scope", true)
            }
            Self::Standing {
                output,
                citizens,
                rounds,
            } => {
                let measured = standing::measure(citizens, rounds, &mut progress);
                (runtime.block_on(measured)?, output, "standing", true)
            }
            Self::Policy { output } => (crate::policy_bench::measure(&mut progress)?, output, "policy", true),
            Self::Audit {
                output,
                seconds,
                rounds,
            } => {
                let effort = Effort {
                    run: length(seconds)?,
                    rounds: rounds.max(1),
                };
                (
                    runtime.block_on(audit::measure(effort, &mut progress))?,
                    output,
                    "audit",
                    true,
                )
            }
            Self::Durability {
                output,
                cycles,
                seed,
                seconds,
            } => {
                let (table, sound) = durability::measure(cycles, seed, length(seconds)?, &mut progress)?;
                (table, output, "durability", sound)
            }
        };
        bar.finish_and_clear();
        publish(&machine, &table, output.json, name)?;
        let void = table.rows.iter().filter(|row| row.ratio.is_none()).count();
        if !sound || void > 0 {
            return Err(Failure(format!("{void} cases are void: see their notes")));
        }
        Ok(())
    }
}

impl StoryNetwork {
    async fn measure(self, rounds: usize, progress: &mut dyn FnMut(&str)) -> Result<(Table, String), Failure> {
        let folder = tempfile::tempdir()?;
        let binaries = programs()?
            .pod_server
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let options = many::Options {
            data: self.data,
            citizens: self.citizens,
            owners: self.owners.into(),
            hosting: self.hosting.into(),
            rounds,
            folder: folder.path().to_path_buf(),
            binaries,
            first_port: self.first_port,
        };
        Ok(story::measure(&options, progress).await?)
    }
}

fn publish(machine: &Machine, table: &Table, file: Option<PathBuf>, name: &str) -> Result<(), Failure> {
    say(&format!("{}\nMachine: {}.", table.text(), machine.text()));
    let file = file.map_or_else(|| beside_programs(&format!("bench-{name}.json")), Ok)?;
    let result = json!({ "machine": machine, "table": table });
    std::fs::write(&file, serde_json::to_vec_pretty(&result)?)?;
    say(&format!("JSON: {}", file.display()));
    Ok(())
}

/// The programs lie beside this one.
fn programs() -> Result<Programs, Failure> {
    let own = std::env::current_exe()?;
    let pod_server = own.parent().unwrap_or(Path::new(".")).join("pod-server");
    if !pod_server.is_file() {
        return Err(Failure(format!(
            "`{}` is not there: build it with `cargo build --release --workspace --bins`",
            pod_server.display()
        )));
    }
    Ok(Programs { pod_server, own })
}

fn length(seconds: f64) -> Result<Duration, Failure> {
    if !(0.1..=100.0).contains(&seconds) {
        return Err(Failure(format!("`--seconds {seconds}` must lie between 0.1 and 100")));
    }
    Ok(Duration::from_secs_f64(seconds))
}
