//! The six questions of the scenario over as many owners as Flanders has municipalities, through real servers; the price of policies;
//! and the memory of the broker.

use serde_json::json;

use super::BenchError;
use super::federation::micros;
use super::report::{Goal, Row, Table, median, time};
use crate::scenario::many::{self, Compared, Options, Outcome, Told};

/// How much longer a query under agreements may take than one over open data.
const POLICY_MAX: f64 = 1.3;

/// Most memory of an idle broker, in bytes.
const IDLE_BYTES_MAX: u64 = 200 << 20;

/// Lets the network happen, and puts what was found into a table; the plans come beside it.
///
/// # Errors
/// The first answer that was not as it should be.
pub async fn measure(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<(Table, String), BenchError> {
    let outcome = many::run(options, progress).await?;
    let mut rows: Vec<Row> = outcome.told.iter().map(told).collect();
    rows.extend(outcome.compared.iter().map(compared));
    rows.push(memory("broker before the first query", outcome.idle_bytes, true));
    rows.push(memory("broker after all queries", outcome.used_bytes, false));
    Ok((table(options, &outcome, rows), outcome.plans()))
}

fn table(options: &Options, outcome: &Outcome, rows: Vec<Row>) -> Table {
    let data = if outcome.real {
        "real data of Gent, Kortrijk, Brugge, Mechelen, ABB and Statbel"
    } else {
        "generated data of the story's members"
    };
    Table {
        title: format!("The six questions over {} owners", options.owners),
        method: format!(
            "A broker and {} pod servers as processes on this machine, over TLS, with agreements, delegations and durable logs: {data}, and \
             generated municipalities for the other owners, ten days of hourly counts each, on {} hosting servers. Every answer equals what \
             plain code finds in the raw files. Times are those of a client, median of {} rounds after one that does not count; the \
             baseline of a question is one store with all data, asked in memory without policies; that of a policy is the same question by \
             the same servers over the same data, opened to anyone.",
            outcome.servers, options.hosting, options.rounds
        ),
        ratio_of: "times baseline".to_owned(),
        rows,
    }
}

fn told(told: &Told) -> Row {
    let (own, floor) = (median(told.seconds.clone()), median(told.merged.clone()));
    let number = |at: &str| told.facts.pointer(at).and_then(serde_json::Value::as_u64);
    let requests = number("/measured/requests").unwrap_or_default();
    let planning = number("/planningMicros").unwrap_or_default();
    Row {
        case: format!("{}: {}", told.question.name, told.question.shows),
        figure: format!("{}, {requests} requests", time(micros(own))),
        baseline: time(micros(floor)),
        ratio: Some(own / floor.max(1e-9)),
        goal: None,
        peer: None,
        note: format!("{} rows, equal; decided and planned in {planning} µs", told.rows),
        runs: json!({ "seconds": told.seconds, "merged_seconds": told.merged, "plan": told.facts }),
    }
}

fn compared(compared: &Compared) -> Row {
    let (agreed, open) = (median(compared.agreed.clone()), median(compared.open.clone()));
    let ratio = Some(agreed / open.max(1e-9));
    Row {
        case: format!("{} with policies, beside open data", compared.question.name),
        figure: time(micros(agreed)),
        baseline: time(micros(open)),
        ratio,
        goal: Some(Goal::at_most(POLICY_MAX, ratio)),
        peer: None,
        note: format!("{} rows, equal", compared.rows),
        runs: json!({ "agreed_seconds": compared.agreed, "open_seconds": compared.open }),
    }
}

#[allow(clippy::cast_precision_loss)]
fn memory(case: &str, bytes: u64, bounded: bool) -> Row {
    let ratio = Some(bytes as f64 / IDLE_BYTES_MAX as f64);
    Row {
        case: case.to_owned(),
        figure: format!("{} MiB", bytes >> 20),
        baseline: format!("bound: {} MiB", IDLE_BYTES_MAX >> 20),
        ratio,
        goal: bounded.then(|| Goal::at_most(1.0, ratio)),
        peer: None,
        note: "resident memory".to_owned(),
        runs: json!({ "bytes": bytes }),
    }
}
