//! What callers of the SPARQL endpoints are told (RFC 9457).

use http::StatusCode;
use server_kit::problem::Problem;
use server_kit::results::{Offer, names};
use server_kit::sparql_text::TextRejection;

use super::aggregate::AggregateRejection;
use super::evaluate::EvaluationFailure;
use super::limits::QueryLimits;
use super::parse::QueryRejection;
use super::request::RequestRejection;

/// The request is no query request.
pub(super) fn of_request(rejection: &RequestRejection) -> Problem {
    let (status, kind, title) = match rejection {
        RequestRejection::Method(_) => (
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The method is not allowed here",
        ),
        RequestRejection::ContentType(_) => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The media type is not supported here",
        ),
        RequestRejection::Update => (StatusCode::BAD_REQUEST, "update-refused", "Updates are refused"),
        _ => (
            StatusCode::BAD_REQUEST,
            "malformed-query-request",
            "The query request is malformed",
        ),
    };
    let problem = Problem::new(status, kind, title).detail(rejection.to_string());
    match rejection {
        RequestRejection::Method(_) => problem.header(
            http::header::ALLOW,
            http::HeaderValue::from_static("GET, HEAD, POST, OPTIONS"),
        ),
        _ => problem,
    }
}

/// The text is not answered.
pub(super) fn of_rejection(rejection: &QueryRejection) -> Problem {
    let detail = rejection.to_string();
    match rejection {
        QueryRejection::Text(TextRejection::TooLong { .. }) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "query-too-long", "The query is too long").detail(detail)
        }
        QueryRejection::Text(rejection) => {
            let problem = Problem::bad_request("query-too-deep", "The query is nested too deeply").detail(detail);
            match rejection.place() {
                Some((line, column)) => problem.with("line", line).with("column", column),
                None => problem,
            }
        }
        QueryRejection::Depth(_) => {
            Problem::bad_request("query-too-deep", "The query is nested too deeply").detail(detail)
        }
        QueryRejection::Syntax { line, column, .. } => {
            Problem::bad_request("malformed-query", "The query is not valid SPARQL")
                .detail(detail)
                .with("line", *line)
                .with("column", *column)
        }
        QueryRejection::Update(_) => Problem::bad_request("update-refused", "Updates are refused").detail(detail),
        QueryRejection::Clause { clause, .. } => {
            Problem::bad_request("clause-refused", "A clause of the query is refused")
                .detail(detail)
                .with("clause", clause.as_str())
        }
        QueryRejection::Iri(_) => Problem::bad_request("malformed-iri", "An IRI is malformed").detail(detail),
    }
}

/// The duties of the agreement do not allow a query of this form.
pub(super) fn of_aggregate(rejection: &AggregateRejection) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "aggregates-only",
        "The agreement permits aggregates only",
    )
    .detail(rejection.to_string())
    .with("clause", rejection.clause.as_str())
    .with("subjectsMin", rejection.subjects_min)
}

/// No format fits.
pub(super) fn not_acceptable(offers: &[Offer]) -> Problem {
    let available: Vec<&str> = offers.iter().map(|(media_type, _)| *media_type).collect();
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        "No acceptable representation",
    )
    .detail(format!("answers of this query come as {}", names(offers)))
    .with("available", available)
}

/// Every evaluator is busy.
pub(super) fn busy() -> Problem {
    Problem::unavailable("too many queries are being answered; try again soon", 2)
}

/// The right to the data ended while the query waited for its turn.
pub(super) fn ended() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "right-ended", "The right to the data ended").detail(
        "a consent, an agreement or an access rule changed while the query waited, and it no longer sees this data",
    )
}

/// The evaluation did not reach its end.
pub(super) fn of_failure(failure: &EvaluationFailure, limits: &QueryLimits) -> Problem {
    let (budget, max) = match failure {
        EvaluationFailure::Stopped => ("time_ms_max", limits.time_ms_max),
        EvaluationFailure::Scanned(max) => ("scanned_max", *max),
        EvaluationFailure::Work(max) => ("copies_max", *max),
        EvaluationFailure::Literal(max) => ("literal_bytes_max", *max as u64),
        EvaluationFailure::Replaced(max) => ("replaced_max", *max as u64),
        EvaluationFailure::Traced(max) => ("traced_max", *max as u64),
        EvaluationFailure::Groups(max) => ("groups_max", *max as u64),
        EvaluationFailure::Rows(max) => ("rows_max", *max),
        EvaluationFailure::Unsuited(words) => {
            return Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "Not in this format")
                .detail(words.clone());
        }
        EvaluationFailure::Unfit(words) => {
            return Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "does-not-fit",
                "A value does not fit the format",
            )
            .detail(words.clone());
        }
        EvaluationFailure::HungUp | EvaluationFailure::Evaluation(_) => {
            tracing::error!(%failure, "a query could not be evaluated");
            return Problem::internal();
        }
    };
    let detail = match failure {
        EvaluationFailure::Stopped => {
            format!("the query was stopped: it took longer than {max} ms, or the right to its data ended")
        }
        other => other.to_string(),
    };
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "query-too-costly",
        "The query costs too much",
    )
    .detail(format!("{detail}; narrow it by constants, filters or LIMIT"))
    .with("budget", budget)
    .with("max", max)
}

/// The evaluation of aggregates did not reach its end. Which bound it reached could tell about a single person, and so
/// could a fault, so all are told alike (T96).
pub(super) fn of_aggregate_failure(failure: &EvaluationFailure) -> Problem {
    if let EvaluationFailure::Evaluation(_) = failure {
        tracing::error!(%failure, "a query of aggregates could not be evaluated");
    }
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "query-too-costly",
        "The query costs too much",
    )
    .detail("the query reached a bound of the server or ran out of time; narrow it by constants, filters or keys")
}
