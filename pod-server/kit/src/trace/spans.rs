//! Spans for OpenTelemetry: one line of OTLP/JSON per batch in a file, as its collectors read it (OTLP file exporter). A span
//! tells method, status and times, and nothing by which a person could be known: no path, no address, no name.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde_json::{Value, json};

use super::Answered;

/// Spans that wait to be written; further ones are left out and counted.
const WAITING_MAX: usize = 4_096;
/// Most spans in one line.
const BATCH_MAX: usize = 512;

static SPANS: OnceLock<SyncSender<Value>> = OnceLock::new();

/// Starts the export of this process into a file, which is set aside under the name with `.1` when it is full. A second call
/// changes nothing.
///
/// # Errors
/// When the file cannot be written.
pub fn export(service: &'static str, path: &Path, bytes_max: u64) -> std::io::Result<()> {
    let mut writing = Writing::open(path, bytes_max)?;
    let (sender, receiver) = sync_channel(WAITING_MAX);
    if SPANS.set(sender).is_err() {
        return Ok(());
    }
    std::thread::Builder::new().name("spans".to_owned()).spawn(move || {
        while let Some(spans) = batch(&receiver) {
            if let Err(error) = writing.line(&lines(service, spans)) {
                tracing::warn!(%error, "spans could not be written");
            }
        }
    })?;
    Ok(())
}

fn batch(receiver: &Receiver<Value>) -> Option<Vec<Value>> {
    let mut spans = vec![receiver.recv().ok()?];
    while spans.len() < BATCH_MAX
        && let Ok(span) = receiver.try_recv()
    {
        spans.push(span);
    }
    Some(spans)
}

fn lines(service: &str, spans: Vec<Value>) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] },
        "scopeSpans": [{ "scope": { "name": "meent" }, "spans": spans }],
    }]})
}

struct Writing {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl Writing {
    fn open(path: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            bytes: file.metadata()?.len(),
            path: path.to_owned(),
            file,
            bytes_max,
        })
    }

    fn line(&mut self, value: &Value) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        let more = text.len() as u64;
        if self.bytes > 0 && self.bytes + more > self.bytes_max {
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            std::fs::rename(&self.path, aside)?;
            *self = Self::open(&self.path, self.bytes_max)?;
        }
        self.file.write_all(&text)?;
        self.bytes += more;
        Ok(())
    }
}

/// Exports the span of a request that was answered, if the operator wants that.
pub(super) fn record(answered: &Answered, status: StatusCode) {
    let Some(spans) = SPANS.get() else { return };
    if spans.try_send(span(answered, status, SystemTime::now())).is_err() {
        metrics::counter!("spans_left_out_total").increment(1);
    }
}

fn span(answered: &Answered, status: StatusCode, ended: SystemTime) -> Value {
    let nanos = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_nanos().to_string()
    };
    let failed = status.is_server_error();
    json!({
        "traceId": answered.context.trace_id(),
        "spanId": answered.context.span_id(),
        "parentSpanId": answered.parent.map(hex::encode).unwrap_or_default(),
        "name": answered.method.as_str(),
        "kind": 2,
        "startTimeUnixNano": nanos(answered.started),
        "endTimeUnixNano": nanos(ended),
        "attributes": [
            { "key": "http.request.method", "value": { "stringValue": answered.method.as_str() } },
            { "key": "http.response.status_code", "value": { "intValue": status.as_u16().to_string() } },
        ],
        "status": { "code": if failed { 2 } else { 0 } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    /// AUD-12: a span has the fields of OTLP, in a file of bounded size, and nothing of what was asked by whom.
    #[test]
    fn spans_are_written_without_personal_data() {
        let request = Request::get("https://pod.example/jan/dossier?wie=jan")
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .header("authorization", "DPoP geheim")
            .body(())
            .unwrap();
        let one = span(&Answered::begin(&request), StatusCode::OK, SystemTime::now());
        assert_eq!(one["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(one["parentSpanId"], "b7ad6b7169203331");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spans.jsonl");
        let mut writing = Writing::open(&path, 1_500).unwrap();
        for _ in 0..5 {
            writing.line(&lines("pod-server", vec![one.clone()])).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() <= 1_500 && folder.path().join("spans.jsonl.1").exists());
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let spans = &line["resourceSpans"][0]["scopeSpans"][0]["spans"];
            assert_eq!(spans[0]["attributes"][1]["value"]["intValue"], "200");
        }
        for private in ["jan", "dossier", "geheim", "pod.example"] {
            assert!(!text.contains(private), "{private}");
        }
    }
}
