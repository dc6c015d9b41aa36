//! A pod server over HTTP beside baselines of the same run, and beside another server where one is asked for.
//!
//! The servers run on one core and the load generator on another; runs take turns, so that whatever else the machine does
//! falls on all.

mod listing;
mod patching;
mod peer;
mod rates;
mod run;
mod scale;
mod subject;
mod subscribers;
mod transfer;

use std::path::PathBuf;

use self::rates::{CASES, Rates, WARM_UP};
use self::run::LOAD_CORE;
use self::subject::{Content, SERVER_CORE, Subject};
use super::report::{Row, Table};
use super::{BenchError, Effort};

pub use self::transfer::{Transfer, transfer};

/// Members of the container that is compared with a bare server.
const MEMBERS: usize = 10_000;

/// Members of the container that is too long for memory.
const MANY_MEMBERS: usize = 100_000;

/// The programs that take part.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The pod server's binary.
    pub pod_server: PathBuf,
    /// The program whose hidden commands run the parts of a measurement.
    pub own: PathBuf,
}

/// Another server to measure in the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Community Solid Server, from the npm registry.
    CommunitySolidServer,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Only cases whose name contains this.
    pub only: Option<String>,
    /// Another server in the same run.
    pub peer: Option<Peer>,
    /// Whether a server with a hundred thousand storages is filled and measured too, which takes minutes.
    pub scale: bool,
}

impl Scope {
    fn takes(&self, case: &str) -> bool {
        self.only.as_ref().is_none_or(|only| case.contains(only.as_str()))
    }
}

/// Measures all cases.
///
/// # Errors
/// When a server or the load generator cannot run.
pub async fn measure(
    programs: &Programs,
    effort: Effort,
    scope: &Scope,
    progress: &mut dyn FnMut(&str),
) -> Result<Table, BenchError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let content = Content {
        members: MEMBERS,
        many: if scope.takes(listing::CASE) { MANY_MEMBERS } else { 0 },
        encrypted: false,
    };
    progress(&format!(
        "preparing a pod server with {} documents",
        content.members + content.many
    ));
    let subject = Subject::start(&path.join("plain"), &programs.pod_server, content).await?;
    let small = Content {
        members: 0,
        many: 0,
        encrypted: true,
    };
    let encrypted = Subject::start(&path.join("encrypted"), &programs.pod_server, small).await?;
    let peer = match scope.peer {
        Some(Peer::CommunitySolidServer) => Some(peer::start(&path.join("peer"), MEMBERS, progress).await?),
        None => None,
    };
    let rates = Rates {
        programs,
        subject: &subject,
        encrypted: &encrypted,
        peer: peer.as_ref(),
        effort,
        folder: path,
    };
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| scope.takes(case.name)) {
        progress(case.name);
        rows.push(rates.row(case).await?);
    }
    rows.extend(others(&rates, scope, progress).await?);
    Ok(table(effort, scope, rows))
}

/// Cases that are no rates of plain requests.
async fn others(rates: &Rates<'_>, scope: &Scope, progress: &mut dyn FnMut(&str)) -> Result<Vec<Row>, BenchError> {
    let mut rows = Vec::new();
    if scope.takes(patching::CASE) {
        progress(patching::CASE);
        rows.push(patching::row(rates).await?);
    }
    if scope.takes(listing::CASE) {
        progress(listing::CASE);
        rows.push(listing::row(rates).await?);
    }
    for direction in [transfer::Direction::Upload, transfer::Direction::Download] {
        if scope.takes(direction.case()) {
            progress(direction.case());
            rows.push(transfer::row(rates, direction).await?);
        }
    }
    if scope.takes(subscribers::CASE) {
        progress(subscribers::CASE);
        rows.push(subscribers::row(rates).await?);
    }
    if scope.scale && scope.takes(scale::CASE) {
        rows.push(scale::row(rates, progress).await?);
    }
    Ok(rows)
}

fn table(effort: Effort, scope: &Scope, rows: Vec<Row>) -> Table {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pinning = if cores < 2 {
        "one core only: server and load share it".to_owned()
    } else {
        format!("servers pinned to core {SERVER_CORE}, load generator to core {LOAD_CORE} (taskset)")
    };
    let peer = match scope.peer {
        Some(Peer::CommunitySolidServer) => {
            format!(
                " The peer is Community Solid Server {}, files, one worker.",
                peer::VERSION
            )
        }
        None => String::new(),
    };
    Table {
        title: "Pod server".to_owned(),
        method: format!(
            "HTTP/1.1 on loopback; {pinning}; {} rounds of {:.0} s that take turns, the one in the middle counts; warm-up {:.0} s. \
             Where proofs are verified the load generator never sleeps, so that the server does not spend its time on waking it. \
             The bare server returns the same head and bytes without looking at the request; CPU is the server's, by request.{peer}",
            effort.rounds,
            effort.run.as_secs_f64(),
            WARM_UP.as_secs_f64()
        ),
        ratio_of: "of baseline".to_owned(),
        rows,
    }
}
