//! One identifier for a request on its way over all nodes (W3C Trace Context): taken from `traceparent` or made, kept while
//! the request is answered, sent along to other nodes, written into audit records, and said in `traceresponse`.

pub mod spans;

use std::fmt;
use std::future::Future;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};

use crate::body::Body;
use crate::random::{Random, SystemRandom};

/// The request header (W3C Trace Context §3.2).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The response header (W3C Trace Context level 2): the trace, and the span of whoever answered.
pub const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A trace and one span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// Reads a header value (§3.2.2). None for what the standard calls invalid; a later version is read as far as it is known.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.splitn(5, '-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = digits::<1>(version)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (digits::<16>(trace)?, digits::<8>(span)?, digits::<1>(flags)?);
        (trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }

    /// The trace of a request, with a span of this node's own; a new one unless exactly one valid header names it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> (Self, Option<[u8; 8]>) {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let parent = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(Self::parse),
            _ => None,
        };
        let mut random = [0; 24];
        SystemRandom.fill(&mut random);
        let (trace, span) = random.split_at(16);
        // All zeros means nothing in both parts; that they come by chance is not to be feared, and one bit makes sure.
        let own = |bytes: &[u8], at: usize| bytes.get(at).copied().unwrap_or(0) | u8::from(at == 0);
        let context = Self {
            trace: parent.map_or_else(|| std::array::from_fn(|at| own(trace, at)), |parent| parent.trace),
            span: std::array::from_fn(|at| own(span, at)),
            sampled: parent.is_none_or(|parent| parent.sampled),
        };
        (context, parent.map(|parent| parent.span))
    }

    /// The trace in 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }

    /// The span in 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        hex::encode(self.span)
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(formatter, "00-{}-{}-{flags:02x}", self.trace_id(), self.span_id())
    }
}

/// Lower-case hexadecimal digits, and only those (§3.2.2).
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// The trace that the present task works for, if it answers a request.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// What a span tells of a request besides its times: nothing about a person.
#[derive(Clone, Debug)]
pub struct Answered {
    context: TraceContext,
    parent: Option<[u8; 8]>,
    method: Method,
    started: std::time::SystemTime,
}

impl Answered {
    /// A request that begins to be answered.
    #[must_use]
    pub fn begin<B>(request: &Request<B>) -> Self {
        let (context, parent) = TraceContext::of(request.headers());
        Self {
            context,
            parent,
            method: request.method().clone(),
            started: std::time::SystemTime::now(),
        }
    }

    /// Answers the request within its trace, says the trace in the response, and exports the span if the operator wants that.
    pub async fn within(self, work: impl Future<Output = Response<Body>>) -> Response<Body> {
        let mut response = CURRENT.scope(self.context, work).await;
        if let Some(value) = self.context.header() {
            response.headers_mut().insert(TRACERESPONSE, value);
        }
        if self.context.sampled {
            spans::record(&self, response.status());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// AUD-12: what the standard calls valid is taken, and nothing else.
    #[test]
    fn headers_are_read_as_the_standard_says() {
        let context = TraceContext::parse(VALID).unwrap();
        assert_eq!(context.to_string(), VALID);
        assert!(context.sampled);
        for (text, valid) in [
            (
                "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-is-new",
                true,
            ),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
            ("00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false),
            ("", false),
        ] {
            assert_eq!(TraceContext::parse(text).is_some(), valid, "{text}");
        }
    }

    #[test]
    fn a_trace_goes_on_or_begins() {
        let mut headers = HeaderMap::new();
        let (first, parent) = TraceContext::of(&headers);
        assert_eq!(parent, None);
        assert!(TraceContext::parse(&first.to_string()).is_some());
        assert_ne!(first.trace_id(), TraceContext::of(&headers).0.trace_id());
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        let (next, parent) = TraceContext::of(&headers);
        assert_eq!(next.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.map(hex::encode).as_deref(), Some("b7ad6b7169203331"));
        assert_ne!(next.span_id(), "b7ad6b7169203331");
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert_eq!(TraceContext::of(&headers).1, None, "two headers are none");
    }
}
