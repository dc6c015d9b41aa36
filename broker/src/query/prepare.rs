//! From text to plan: guarded, parsed and planned on a thread with a stack of known size.

use super::Asked;
use crate::app::Broker;
use crate::catalog::DatasetEntry;
use crate::config::QuerySection;
use crate::enforce::{Admission, Asker, Refused, admit};
use crate::error;
use crate::member::evidence;
use crate::plan::{Duplicates, PhysicalPlan, PlanError, PlanLimits, plan_with};
use crate::source::{Directories, Selection, Source};
use server_kit::problem::Problem;
use server_kit::sparql_text::{self, TextBounds, TextRejection};
use spargebra::algebra::{GraphPattern, QueryDataset};
use spargebra::term::{GroundTerm, NamedNode, TriplePattern, Variable};
use spargebra::{Query, SparqlParser};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs work on a thread of its own with a stack of this many bytes.
///
/// # Errors
/// 500 when no thread can be started or it stops without a result; 503 is for the caller to decide before.
pub async fn deep<T: Send + 'static>(
    stack_bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("query".to_owned())
        .stack_size(stack_bytes)
        .spawn(move || {
            // The receiver may have gone away with its request.
            let _ = sender.send(work());
        })
        .map_err(|cause| error::internal(&cause))?;
    receiver.await.map_err(|cause| error::internal(&cause))
}

/// Parses a guarded query.
///
/// # Errors
/// 400 with the position.
pub fn parse(text: &str, base_url: &str, limits: &QuerySection) -> Result<Query, Problem> {
    let bounds = TextBounds {
        bytes_max: limits.query_bytes_max,
        nesting_max: limits.nesting_max,
        operators_max: limits.operators_max,
    };
    sparql_text::check(text, &bounds).map_err(|error| match error {
        TextRejection::TooLong { .. } => Problem::new(
            http::StatusCode::PAYLOAD_TOO_LARGE,
            "query-too-large",
            "The query is too large",
        )
        .detail(error.to_string()),
        _ => error::bad_request("query-too-complex", error.to_string()),
    })?;
    let parser = SparqlParser::new()
        .with_base_iri(base_url)
        .map_err(|cause| error::internal(&cause))?;
    parser.parse_query(text).map_err(|failure| {
        let words = failure.to_string();
        let problem = Problem::bad_request("malformed-query", "The query is not valid SPARQL");
        let problem = match position(&words) {
            Some((line, column)) => problem.with("line", line).with("column", column),
            None => problem,
        };
        let hint = if looks_like_update(text) {
            "; updates are refused here"
        } else {
            ""
        };
        problem.detail(format!("{words}{hint}"))
    })
}

/// The query over the data that the request names, when it names any (SPARQL 1.1 Protocol §2.1.4).
#[must_use]
pub fn about(mut query: Query, named: Option<QueryDataset>) -> Query {
    if let Some(named) = named {
        let (Query::Select { dataset, .. }
        | Query::Construct { dataset, .. }
        | Query::Describe { dataset, .. }
        | Query::Ask { dataset, .. }) = &mut query;
        *dataset = Some(named);
    }
    query
}

/// Line and column out of the parser's words (`error at 1:8: …`).
fn position(words: &str) -> Option<(u64, u64)> {
    let at = words.find(" at ")?;
    let rest = words.get(at + 4..)?;
    let place: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ':').collect();
    let (line, column) = place.trim_end_matches(':').split_once(':')?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

fn looks_like_update(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    [
        "INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "COPY", "MOVE", "ADD ",
    ]
    .iter()
    .any(|word| upper.trim_start().starts_with(word) || upper.contains(&format!("\n{word}")))
}

/// Plans a query.
///
/// # Errors
/// 400 for what this endpoint does not do.
pub fn planned(
    query: &Query,
    sources: &[Source],
    directories: &Directories,
    limits: &PlanLimits,
    duplicates: Duplicates,
) -> Result<PhysicalPlan, Problem> {
    plan_with(query, sources, directories, limits, duplicates).map_err(|error| match error {
        PlanError::Unsupported(words) => error::bad_request("unsupported-query", words),
        PlanError::Merges => error::bad_request("duplicates-merged", error.to_string()),
        PlanError::TooManySubPlans(_) | PlanError::TooManyGraphScans(_) => {
            error::unprocessable("query-too-wide", error.to_string())
        }
    })
}

/// What a query may ask of whom, and how it is split.
pub(crate) struct Prepared {
    /// The selection of a `DESCRIBE`.
    pub(crate) selection: Option<Query>,
    /// Whether nothing that could answer may be asked.
    pub(crate) denied: bool,
    /// The plan.
    pub(crate) plan: PhysicalPlan,
    /// What may be asked.
    pub(crate) admission: Admission,
    /// Datasets that could have answered and may not be asked.
    pub(crate) not_covered: Vec<Refused>,
    /// How long it took to read the query, decide about every agreement and plan.
    pub(crate) planning: Duration,
}

/// Parses, admits and plans; in between, members that publish no summary are asked what they hold.
pub(crate) async fn prepared(broker: &Arc<Broker>, asker: &Asker, asked: &Asked) -> Result<Prepared, Problem> {
    let (text, named) = (asked.query.clone(), asked.dataset.clone());
    let (base, limits) = (broker.config.server.base_url.to_string(), broker.config.query.clone());
    let snapshot = broker.catalogue.snapshot();
    let deposits = broker.deposits.of(asker.web_id.as_str());
    let (now, plan_limits, who) = (broker.clock.now(), broker.config.plan.clone(), asker.clone());
    let (directories, stack_bytes) = (Arc::clone(&broker.directories), limits.stack_bytes);
    let duplicates = asked.duplicates;
    let first = deep(stack_bytes, move || {
        let began = Instant::now();
        let query = about(parse(&text, &base, &limits)?, named);
        let mut admission = admit(&snapshot, &deposits, &who, now);
        leave_out_unconcerned(&query, &mut admission);
        if admission.sources.iter().any(|source| source.foreign.is_some()) {
            return Ok::<_, Problem>(First::Unknown(Box::new((
                query,
                admission,
                plan_limits,
                began.elapsed(),
            ))));
        }
        let mut prepared = over(&query, admission, &directories, &plan_limits, duplicates)?;
        prepared.planning = began.elapsed();
        Ok(First::Prepared(Box::new(prepared)))
    })
    .await??;
    let prepared = match first {
        First::Prepared(prepared) => *prepared,
        First::Unknown(known) => {
            let (query, mut admission, plan_limits, before) = *known;
            evidence::learn(broker, &query, &mut admission.sources).await;
            let directories = Arc::clone(&broker.directories);
            deep(stack_bytes, move || {
                let began = Instant::now();
                let mut prepared = over(&query, admission, &directories, &plan_limits, duplicates)?;
                prepared.planning = before + began.elapsed();
                Ok::<_, Problem>(prepared)
            })
            .await??
        }
    };
    metrics::histogram!("meent_query_planning_seconds").record(prepared.planning.as_secs_f64());
    Ok(prepared)
}

/// What is there after admission.
enum First {
    /// All of it: every source describes itself.
    Prepared(Box<Prepared>),
    /// The query and its sources, of which some are not described yet.
    Unknown(Box<(Query, Admission, PlanLimits, Duration)>),
}

/// Plans a query over what may be asked.
fn over(
    query: &Query,
    admission: Admission,
    directories: &Directories,
    limits: &PlanLimits,
    duplicates: Duplicates,
) -> Result<Prepared, Problem> {
    let selection = describe_selection(query);
    let wanted = selection.as_ref().unwrap_or(query);
    let plan = planned(wanted, &admission.sources, directories, limits, duplicates)?;
    let not_covered: Vec<Refused> = could_contribute(query, &admission.refused)
        .into_iter()
        .cloned()
        .collect();
    let denied = plan.starved
        || needs_refused(query, &admission)
        || plan.asked().is_empty() && (!not_covered.is_empty() || !plan.withheld.is_empty());
    Ok(Prepared {
        selection,
        denied,
        plan,
        admission,
        not_covered,
        planning: Duration::ZERO,
    })
}

/// The `SELECT` that finds what a `DESCRIBE` describes; `None` for other forms.
#[must_use]
pub fn describe_selection(query: &Query) -> Option<Query> {
    match query {
        Query::Describe {
            dataset,
            pattern,
            base_iri,
        } => Some(Query::Select {
            dataset: dataset.clone(),
            pattern: GraphPattern::Distinct {
                inner: Box::new(pattern.clone()),
            },
            base_iri: base_iri.clone(),
        }),
        _ => None,
    }
}

/// The `CONSTRUCT` that describes resources: every triple with one of them as subject, in the data that the selection is about.
#[must_use]
pub fn describe_construction(selection: &Query, resources: Vec<NamedNode>) -> Query {
    let variable = |name: &str| Variable::new_unchecked(name);
    let triple = TriplePattern {
        subject: variable("s").into(),
        predicate: variable("p").into(),
        object: variable("o").into(),
    };
    Query::Construct {
        template: vec![triple.clone()],
        dataset: selection.dataset().cloned(),
        pattern: GraphPattern::Join {
            left: Box::new(GraphPattern::Values {
                variables: vec![variable("s")],
                bindings: resources
                    .into_iter()
                    .map(|node| vec![Some(GroundTerm::NamedNode(node))])
                    .collect(),
            }),
            right: Box::new(GraphPattern::Bgp { patterns: vec![triple] }),
        },
        base_iri: None,
    }
}

/// Leaves out the refused datasets that the query's `FROM` says it is not about.
pub fn leave_out_unconcerned(query: &Query, admission: &mut Admission) {
    if query.dataset().is_none() || admission.refused.is_empty() {
        return;
    }
    let of_sources = admission.sources.iter().map(|source| source.dataset.clone());
    let of_refused = admission.refused.iter().map(|(refused, _)| refused.dataset.clone());
    let known: BTreeSet<String> = of_sources.chain(of_refused).collect();
    admission
        .refused
        .retain(|(refused, _)| crate::plan::concerns(query, &refused.dataset, &known));
}

/// Which of these datasets could contribute to a query, by their own summaries, if they could be asked.
#[must_use]
pub fn could_contribute<'a>(query: &Query, refused: &'a [(Refused, Arc<DatasetEntry>)]) -> Vec<&'a Refused> {
    let probes = crate::plan::probes(query);
    refused
        .iter()
        .filter(|(_, dataset)| {
            probes
                .iter()
                .any(|pattern| dataset.description.matches(pattern).is_some())
        })
        .map(|(refused, _)| refused)
        .collect()
}

/// Whether a pattern without which there is no solution can be answered by refused datasets only: the answer would be empty for no
/// other reason than a lacking agreement, and must not look like an empty answer.
#[must_use]
pub fn needs_refused(query: &Query, admission: &Admission) -> bool {
    let shows_all = |source: &Source| source.properties.is_none() && source.hidden.is_empty();
    if admission.refused.is_empty() && admission.sources.iter().all(shows_all) {
        return false;
    }
    crate::plan::required(query).iter().any(|pattern| {
        let mut denied = admission
            .refused
            .iter()
            .any(|(_, dataset)| dataset.description.matches(pattern).is_some());
        for source in &admission.sources {
            match source.select(pattern) {
                Selection::Candidate(_) => return false,
                Selection::NotAgreed(_) => denied = true,
                Selection::Irrelevant => {}
            }
        }
        denied
    })
}
