//! Every error of the pod server, and the one table that turns it into an HTTP response (RFC 9457; ARCHITECTURE
//! invariant 12).
//!
//! A response says whose fault it is and what to do. It never carries an internal error text: causes on our side go to
//! the log.

use http::{HeaderValue, Response, StatusCode, header};
use server_kit::authn::AuthnRejection;
use server_kit::body::{Body, ReadError};
use server_kit::problem::Problem;

use crate::http::conditional::{Condition, MalformedCondition};
use crate::http::media_type::MediaTypeError;
use crate::name::NameError;
use crate::store::{CommitError, StoreError};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed, or it is full.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The path names nothing.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A part of the server describes its own problem.
    #[error("{}", .0.title)]
    Problem(Box<Problem>),
    /// The resource is protected and the request carries no credentials.
    #[error("the request needs credentials")]
    Unauthenticated,
    /// The agent is known and may not do this.
    #[error("the agent has no right to do this")]
    Forbidden,
    /// There is no such resource, or the agent may not know of it.
    #[error("there is no such resource")]
    NotFound,
    /// There is no such resource, and the agent may know that: it is told what it could make here.
    #[error("there is no such resource")]
    Vacant {
        /// `Allow`, `Accept-*`, `WAC-Allow` and caching.
        offers: Box<http::HeaderMap>,
    },
    /// The target does not support the method.
    #[error("the resource does not support this method")]
    MethodNotAllowed {
        /// Methods that it supports.
        allow: HeaderValue,
    },
    /// No resource supports the method.
    #[error("this server does not know the method")]
    MethodUnknown,
    /// The request contradicts the state of the resource.
    #[error("{0}")]
    Conflict(String),
    /// The state changed again and again while the request was decided.
    #[error("the resource is being changed by others")]
    Contention,
    /// A precondition does not hold.
    #[error("`{}` does not hold", .0.header())]
    Precondition(Condition),
    /// The server wants writes to name the state that they change.
    #[error("the request needs `If-Match`")]
    PreconditionRequired,
    /// A condition cannot be read.
    #[error(transparent)]
    MalformedCondition(#[from] MalformedCondition),
    /// `Content-Type` is missing or malformed.
    #[error(transparent)]
    MediaType(#[from] MediaTypeError),
    /// The target does not take this media type.
    #[error("the resource does not take `{media_type}`")]
    UnsupportedMediaType {
        /// What was sent.
        media_type: String,
        /// `Accept-Put`, `Accept-Post` or `Accept-Patch`, with what it takes.
        accepted: Option<(header::HeaderName, HeaderValue)>,
    },
    /// Encoded requests are refused (T53).
    #[error("the server does not decode `{0}` requests")]
    ContentEncoding(String),
    /// No representation fits `Accept`.
    #[error("no representation of the resource is acceptable")]
    NotAcceptable,
    /// The body breaks a bound or broke off.
    #[error(transparent)]
    Body(#[from] ReadError),
    /// The request target or a header is malformed in a way that has no better name.
    #[error("{0}")]
    BadRequest(String),
    /// The request target is too long.
    #[error("the request target is longer than {bytes_max} bytes")]
    TargetTooLong {
        /// The bound, in bytes.
        bytes_max: usize,
    },
    /// The bytes are not what their media type says.
    #[error("line {line}, column {column}: {message}")]
    Malformed {
        /// What cannot be read: `malformed-rdf`, `malformed-patch`.
        kind: &'static str,
        /// First line is 1.
        line: u64,
        /// First column is 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// The content can be read and says something that the server must not do.
    #[error("{detail}")]
    Unprocessable {
        /// Last part of the problem's type.
        kind: &'static str,
        /// What is wrong and what would be right.
        detail: String,
    },
    /// None of the bytes asked for exist.
    #[error("the range lies beyond the {size} bytes of the representation")]
    RangeNotSatisfiable {
        /// Length of the representation in bytes.
        size: u64,
    },
    /// The request was sent to a host that this server does not serve (T10).
    #[error("this server does not answer for that host")]
    Misdirected,
    /// Facts that the decision needs cannot be had now, or the use cannot be recorded: no audit, no data.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of ours that has no better name; the text goes to the log only.
    #[error("{0}")]
    Internal(String),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<AuthnRejection> for Error {
    fn from(rejection: AuthnRejection) -> Self {
        rejection.to_problem().into()
    }
}

impl From<CommitError<Error>> for Error {
    fn from(error: CommitError<Error>) -> Self {
        match error {
            CommitError::Refused(error) => error,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl Error {
    /// The one table from errors to responses. `challenge` is the value of `WWW-Authenticate` for requests that need
    /// credentials (solid#3, solid#93).
    #[must_use]
    pub fn into_response(self, challenge: &HeaderValue) -> Response<Body> {
        self.into_problem(challenge).into_response()
    }

    fn into_problem(self, challenge: &HeaderValue) -> Problem {
        let text = self.to_string();
        match self {
            Self::Problem(problem) => *problem,
            Self::Store(error) => store_problem(error),
            Self::Internal(cause) => {
                tracing::error!(%cause, "a request failed through our own fault");
                Problem::internal()
            }
            Self::Unavailable(detail) => Problem::unavailable(detail, 1),
            Self::Unauthenticated => Problem::new(
                StatusCode::UNAUTHORIZED,
                "credentials-required",
                "Credentials are required",
            )
            .detail("send a DPoP-bound access token of an issuer that your WebID names")
            .header(header::WWW_AUTHENTICATE, challenge.clone()),
            Self::Vacant { offers } => {
                let problem = titled(StatusCode::NOT_FOUND, "not-found", "Not found", text);
                let named = offers.into_iter().filter_map(|(name, value)| Some((name?, value)));
                named.fold(problem, |problem, (name, value)| problem.header(name, value))
            }
            Self::MethodNotAllowed { allow } => titled(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The method is not allowed here",
                text,
            )
            .header(header::ALLOW, allow),
            Self::UnsupportedMediaType { accepted, .. } => {
                let problem = titled(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported-media-type",
                    "The media type is not supported here",
                    text,
                );
                match accepted {
                    Some((name, value)) => constrained(problem).header(name, value),
                    None => constrained(problem),
                }
            }
            Self::Malformed { kind, line, column, .. } => {
                titled(StatusCode::BAD_REQUEST, kind, "The content is malformed", text)
                    .with("line", line)
                    .with("column", column)
            }
            Self::Unprocessable { kind, .. } => constrained(titled(
                StatusCode::UNPROCESSABLE_ENTITY,
                kind,
                "The content cannot be carried out",
                text,
            )),
            Self::Conflict(_) => constrained(titled(
                StatusCode::CONFLICT,
                "conflict",
                "The request conflicts with the resource",
                text,
            )),
            Self::RangeNotSatisfiable { size } => {
                let range = HeaderValue::from_str(&format!("bytes */{size}"));
                let problem = titled(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    "range-not-satisfiable",
                    "The range cannot be satisfied",
                    text,
                );
                match range {
                    Ok(range) => problem.header(header::CONTENT_RANGE, range),
                    Err(_) => problem,
                }
            }
            Self::Body(error) => body_problem(&error, text),
            Self::Precondition(condition) => titled(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "A precondition does not hold",
                text,
            )
            .with("condition", condition.header()),
            other => {
                let (status, kind, title) = plain(&other);
                titled(status, kind, title, text)
            }
        }
    }
}

/// Errors that need no more than a status, a type and a title.
fn plain(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::Name(NameError::TooLong) | Error::TargetTooLong { .. } => (
            StatusCode::URI_TOO_LONG,
            "target-too-long",
            "The request target is too long",
        ),
        Error::Name(_) => (StatusCode::BAD_REQUEST, "malformed-path", "The path names nothing"),
        Error::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Access is denied"),
        Error::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        Error::MethodUnknown => (StatusCode::NOT_IMPLEMENTED, "method-unknown", "The method is unknown"),
        Error::Contention => (
            StatusCode::CONFLICT,
            "contention",
            "The resource keeps changing; try again",
        ),
        Error::PreconditionRequired => (
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "A precondition is required",
        ),
        Error::MediaType(MediaTypeError::Missing) => (
            StatusCode::BAD_REQUEST,
            "content-type-missing",
            "The content has no type",
        ),
        Error::MediaType(MediaTypeError::Malformed) => (
            StatusCode::BAD_REQUEST,
            "content-type-malformed",
            "The content type is malformed",
        ),
        Error::ContentEncoding(_) => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-encoding",
            "Encoded content is not accepted",
        ),
        Error::NotAcceptable => (
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "No acceptable representation",
        ),
        Error::Misdirected => (StatusCode::MISDIRECTED_REQUEST, "misdirected", "Wrong host"),
        _ => (StatusCode::BAD_REQUEST, "bad-request", "The request is malformed"),
    }
}

/// Points to the constraints that writes are held to (LDP §4.2.1.6; solid#32).
fn constrained(problem: Problem) -> Problem {
    let link = HeaderValue::from_static("</.constraints>; rel=\"http://www.w3.org/ns/ldp#constrainedBy\"");
    problem.header(header::LINK, link)
}

fn titled(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Problem {
    Problem::new(status, kind, title).detail(detail)
}

fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::Full(reason) => {
            // How much a storage holds is not for everyone who may add to it.
            tracing::info!(%reason, "there was no room for a write");
            Problem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "insufficient-storage",
                "There is no room left",
            )
            .detail("the content does not fit any more; nothing was changed")
        }
        StoreError::Busy(reason) => Problem::unavailable(reason, 1),
        StoreError::Stopped => Problem::unavailable("the server is stopping or recovering", 5),
        other => {
            tracing::error!(error = &other as &dyn std::error::Error, "the store failed");
            Problem::internal()
        }
    }
}

fn body_problem(error: &ReadError, text: String) -> Problem {
    match error {
        ReadError::TooLarge { bytes_max } => titled(
            StatusCode::PAYLOAD_TOO_LARGE,
            "content-too-large",
            "The content is too large",
            text,
        )
        .with("bytes_max", *bytes_max),
        ReadError::TooSlow { .. } => titled(
            StatusCode::REQUEST_TIMEOUT,
            "upload-too-slow",
            "The content arrives too slowly",
            text,
        ),
        ReadError::Broken(_) => titled(
            StatusCode::BAD_REQUEST,
            "upload-broken",
            "The content broke off",
            "the body ended before its announced end; nothing was changed".to_owned(),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let challenge = HeaderValue::from_static("DPoP");
        let cases = [
            (Error::Unauthenticated, 401),
            (Error::Forbidden, 403),
            (Error::NotFound, 404),
            (
                Error::MethodNotAllowed {
                    allow: HeaderValue::from_static("GET"),
                },
                405,
            ),
            (Error::NotAcceptable, 406),
            (Error::Conflict("x".into()), 409),
            (Error::Precondition(Condition::IfMatch), 412),
            (Error::Body(ReadError::TooLarge { bytes_max: 1 }), 413),
            (Error::Name(NameError::TooLong), 414),
            (
                Error::UnsupportedMediaType {
                    media_type: "x/y".into(),
                    accepted: None,
                },
                415,
            ),
            (Error::RangeNotSatisfiable { size: 3 }, 416),
            (Error::Misdirected, 421),
            (
                Error::Unprocessable {
                    kind: "invalid-patch",
                    detail: "x".into(),
                },
                422,
            ),
            (Error::PreconditionRequired, 428),
            (
                Error::Malformed {
                    kind: "malformed-rdf",
                    line: 3,
                    column: 9,
                    message: "x".into(),
                },
                400,
            ),
            (Error::Name(NameError::DotSegment), 400),
            (Error::MediaType(MediaTypeError::Missing), 400),
            (Error::Store(StoreError::Full("quota".into())), 507),
            (Error::Store(StoreError::Stopped), 503),
            (Error::Internal("secret".into()), 500),
            (Error::MethodUnknown, 501),
        ];
        for (error, status) in cases {
            let name = format!("{error:?}");
            let response = error.into_response(&challenge);
            assert_eq!(response.status().as_u16(), status, "{name}");
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "application/problem+json",
                "{name}"
            );
            assert_eq!(status == 401, response.headers().contains_key(header::WWW_AUTHENTICATE));
        }
    }
}
