//! `/sparql`: the SPARQL 1.1 Protocol with `agreement` and `purpose`, and honest answers.

pub mod answer;
pub(crate) mod credentials;
pub(crate) mod delegation;
mod early;
pub mod explain;
pub(crate) mod head;
pub mod manifests;
pub mod prepare;
pub mod provenance;
pub mod write;

use crate::app::Broker;
use crate::error::{self, Answer};
use crate::http::Call;
use crate::plan::Duplicates;
use http::Method;
use spargebra::algebra::QueryDataset;
use spargebra::term::NamedNode;
use std::sync::Arc;

/// What the caller asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The query text.
    pub query: String,
    /// The data that the request says the query is about; it goes before what the query itself says.
    pub dataset: Option<QueryDataset>,
    /// The stated purpose.
    pub purpose: Option<String>,
    /// The agreements named; empty for all that fit.
    pub agreements: Vec<String>,
    /// What becomes of an answer that is not complete.
    pub complete: Complete,
    /// Whether each row says which sources it rests on.
    pub provenance: bool,
    /// What becomes of triples that several sources hold.
    pub duplicates: Duplicates,
    /// Whether the plan is wanted instead of the answer.
    pub explain: bool,
    /// Whether that plan is followed first, so that it tells beside each estimate what really came.
    pub measured: bool,
}

impl Asked {
    /// Whether a partial answer is an error.
    #[must_use]
    pub fn complete_required(&self) -> bool {
        self.complete == Complete::Required
    }
}

/// What becomes of an answer that is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complete {
    /// It is given, and says so.
    BestEffort,
    /// It is an error.
    Required,
    /// Rows are given as sources answer; whether they were all is said at the end.
    Later,
}

/// Answers calls to `/sparql` and `/explain`.
///
/// # Errors
/// A problem for the caller.
pub async fn respond(broker: &Arc<Broker>, call: Call) -> Answer {
    let asked = asked(&call)?;
    if !asked.explain && crate::standing::wanted(&call) {
        if asked.provenance || asked.complete == Complete::Later {
            return Err(error::bad_request(
                "wrong-parameter",
                "a standing query takes neither `provenance=rows` nor `complete=later`",
            ));
        }
        return crate::standing::open(broker, &call, asked).await;
    }
    answer::answer(broker, &call, asked).await
}

/// Reads the protocol's parameters (SPARQL 1.1 Protocol §2.1).
fn asked(call: &Call) -> Result<Asked, server_kit::problem::Problem> {
    let direct = call.method == Method::POST && call.media_type() == "application/sparql-query";
    if call.method == Method::POST && !direct && call.media_type() != "application/x-www-form-urlencoded" {
        return Err(match call.media_type().as_str() {
            "application/sparql-update" => {
                error::bad_request("update-refused", "updates go to the owners, not through a broker")
            }
            "" => error::bad_request(
                "missing-content-type",
                "say what the body is: `application/sparql-query` or a form",
            ),
            other => error::bad_request(
                "wrong-content-type",
                format!("`{other}` is neither `application/sparql-query` nor a form"),
            ),
        });
    }
    if !matches!(call.method, Method::GET | Method::POST) {
        return Err(error::method_not_allowed("GET, POST"));
    }
    if call.parameter("update").is_some() {
        return Err(error::bad_request(
            "update-refused",
            "updates go to the owners, not through a broker",
        ));
    }
    let query = if direct {
        String::from_utf8(call.body.to_vec())
            .map_err(|_| error::bad_request("malformed-query", "the query is not UTF-8"))?
    } else {
        let mut all = call.all("query");
        match (all.next(), all.next()) {
            (Some(query), None) => query.to_owned(),
            (None, _) => {
                return Err(error::bad_request(
                    "missing-parameter",
                    "the parameter `query` is missing",
                ));
            }
            _ => {
                return Err(error::bad_request(
                    "repeated-parameter",
                    "the parameter `query` is there more than once",
                ));
            }
        }
    };
    let complete = one_of(
        call,
        "complete",
        &[
            ("best-effort", Complete::BestEffort),
            ("required", Complete::Required),
            ("later", Complete::Later),
        ],
    )?;
    let provenance = one_of(call, "provenance", &[("none", false), ("rows", true)])?;
    let duplicates = one_of(
        call,
        "duplicates",
        &[("merged", Duplicates::Merged), ("kept", Duplicates::Kept)],
    )?;
    Ok(Asked {
        query,
        dataset: dataset(call)?,
        purpose: call.parameter("purpose").map(str::to_owned),
        agreements: call.all("agreement").map(str::to_owned).collect(),
        complete,
        provenance,
        duplicates,
        explain: call.path == "/explain" || matches!(call.parameter("explain"), Some("true" | "measured")),
        measured: call.parameter("explain") == Some("measured"),
    })
}

/// A parameter that takes one of a few words; the first is meant when it is absent.
fn one_of<T: Copy>(call: &Call, name: &str, words: &[(&str, T)]) -> Result<T, server_kit::problem::Problem> {
    let asked = call.parameter(name);
    let found = match asked {
        None => words.first(),
        Some(asked) => words.iter().find(|(word, _)| *word == asked),
    };
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        error::bad_request(
            "wrong-parameter",
            format!(
                "`{name}` is {}, not `{}`",
                known.join(" or "),
                asked.unwrap_or_default()
            ),
        )
    })
}

/// `default-graph-uri` and `named-graph-uri` (SPARQL 1.1 Protocol §2.1.4).
fn dataset(call: &Call) -> Result<Option<QueryDataset>, server_kit::problem::Problem> {
    let names = |parameter: &str| {
        call.all(parameter)
            .map(|name| {
                NamedNode::new(name).map_err(|cause| {
                    error::bad_request("wrong-parameter", format!("`{parameter}`: `{name}` is no IRI: {cause}"))
                })
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let (default, named) = (names("default-graph-uri")?, names("named-graph-uri")?);
    if default.is_empty() && named.is_empty() {
        return Ok(None);
    }
    Ok(Some(QueryDataset {
        default,
        named: Some(named),
    }))
}
