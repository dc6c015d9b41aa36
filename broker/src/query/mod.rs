//! `/sparql`: the SPARQL 1.1 Protocol with `agreement` and `purpose`, and honest answers.

pub mod answer;
pub(crate) mod delegation;
pub mod explain;
pub mod manifests;
pub mod prepare;
pub mod write;

use crate::app::Broker;
use crate::error::{self, Answer};
use crate::http::Call;
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
    /// Whether a partial answer is an error.
    pub complete_required: bool,
    /// Whether the plan is wanted instead of the answer.
    pub explain: bool,
    /// Whether that plan is followed first, so that it tells beside each estimate what really came.
    pub measured: bool,
}

/// Answers calls to `/sparql` and `/explain`.
///
/// # Errors
/// A problem for the caller.
pub async fn respond(broker: &Arc<Broker>, call: Call) -> Answer {
    let asked = asked(&call)?;
    if !asked.explain && crate::standing::wanted(&call) {
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
    let complete_required = match call.parameter("complete") {
        None | Some("best-effort") => false,
        Some("required") => true,
        Some(other) => {
            return Err(error::bad_request(
                "wrong-parameter",
                format!("`complete` is `required` or `best-effort`, not `{other}`"),
            ));
        }
    };
    Ok(Asked {
        query,
        dataset: dataset(call)?,
        purpose: call.parameter("purpose").map(str::to_owned),
        agreements: call.all("agreement").map(str::to_owned).collect(),
        complete_required,
        explain: call.path == "/explain" || matches!(call.parameter("explain"), Some("true" | "measured")),
        measured: call.parameter("explain") == Some("measured"),
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
