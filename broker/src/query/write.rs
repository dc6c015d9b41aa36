//! Results on their way out: written as they are computed, broken off (never cleanly ended) when something fails on the way.

use bytes::Bytes;
use oxrdfio::{RdfFormat, RdfSerializer};
use server_kit::body::Sender;
use sparesults::{QueryResultsFormat, QueryResultsSerializer};
use spareval::{QueryEvaluationError, QueryResults};
use std::io::{self, Write};

/// Bytes of one frame.
const FRAME_BYTES: usize = 32 * 1024;

/// Formats of rows and booleans, best first.
pub const ROWS: [&str; 4] = [
    "application/sparql-results+json",
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
];

/// Formats of graphs, best first.
pub const GRAPHS: [&str; 4] = crate::http::RDF;

/// A writer into a response body that another task reads. It says when it has begun, so that a failure before that can still become
/// a proper response.
pub struct Out {
    sender: Sender,
    runtime: tokio::runtime::Handle,
    buffer: Vec<u8>,
    begun: Option<tokio::sync::oneshot::Sender<()>>,
    link: Option<String>,
}

impl Out {
    /// A writer; `link` goes into the head of JSON results (SPARQL 1.1 Results JSON §3.1.2).
    #[must_use]
    pub fn new(
        sender: Sender,
        runtime: tokio::runtime::Handle,
        begun: tokio::sync::oneshot::Sender<()>,
        link: Option<String>,
    ) -> Self {
        Self {
            sender,
            runtime,
            buffer: Vec::with_capacity(FRAME_BYTES + 1024),
            begun: Some(begun),
            link,
        }
    }

    fn pass(&mut self) -> io::Result<()> {
        if let Some(link) = self.link.take() {
            self.buffer = linked(std::mem::take(&mut self.buffer), &link);
        }
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(());
        }
        let frame = Bytes::from(std::mem::replace(
            &mut self.buffer,
            Vec::with_capacity(FRAME_BYTES + 1024),
        ));
        self.runtime
            .block_on(self.sender.send(frame))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the caller hung up"))
    }

    /// Sends the rest and ends the body.
    ///
    /// # Errors
    /// When the caller hung up.
    pub fn finish(mut self) -> io::Result<()> {
        self.pass()
    }

    /// Breaks the body off.
    pub fn break_off(self, words: &str) {
        self.sender.abort(io::Error::other(words.to_owned()));
    }

    /// Whether anything was sent.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_none()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FRAME_BYTES {
            self.pass()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts `"link"` into the head of JSON results.
fn linked(bytes: Vec<u8>, link: &str) -> Vec<u8> {
    const HEAD: &[u8] = b"{\"head\":{";
    let Some(rest) = bytes.strip_prefix(HEAD) else {
        return bytes;
    };
    let mut out = HEAD.to_vec();
    out.extend_from_slice(format!("\"link\":[{}]", serde_json::Value::from(link)).as_bytes());
    if !rest.starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out
}

/// Writes results in a media type.
///
/// # Errors
/// Of evaluation, or when the caller hung up.
pub fn results<'w>(
    results: QueryResults<'_>,
    media_type: &str,
    out: &'w mut Out,
) -> Result<&'w mut Out, QueryEvaluationError> {
    let broken = |error: io::Error| QueryEvaluationError::Unexpected(Box::new(error));
    let format = QueryResultsFormat::from_media_type(media_type).unwrap_or(QueryResultsFormat::Json);
    match results {
        QueryResults::Boolean(value) => {
            QueryResultsSerializer::from_format(format)
                .serialize_boolean_to_writer(&mut *out, value)
                .map_err(broken)?;
        }
        QueryResults::Solutions(solutions) => {
            let variables = solutions.variables().to_vec();
            let mut writer = QueryResultsSerializer::from_format(format)
                .serialize_solutions_to_writer(&mut *out, variables)
                .map_err(broken)?;
            for solution in solutions {
                writer.serialize(&solution?).map_err(broken)?;
            }
            writer.finish().map_err(broken)?;
        }
        QueryResults::Graph(triples) => {
            let format = RdfFormat::from_media_type(media_type).unwrap_or(RdfFormat::Turtle);
            let mut writer = RdfSerializer::from_format(format).for_writer(&mut *out);
            for triple in triples {
                writer.serialize_triple(&triple?).map_err(broken)?;
            }
            writer.finish().map_err(broken)?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::linked;

    #[test]
    fn the_link_stands_in_the_head() {
        for (before, after) in [
            (r#"{"head":{"vars":["x"]}}"#, r#"{"head":{"link":["u"],"vars":["x"]}}"#),
            (
                r#"{"head":{},"boolean":true}"#,
                r#"{"head":{"link":["u"]},"boolean":true}"#,
            ),
            ("x,y", "x,y"),
        ] {
            assert_eq!(linked(before.as_bytes().to_vec(), "u"), after.as_bytes());
        }
    }
}
