//! This server's own log before its witnesses: asks each to cosign the newest checkpoint, and keeps what they put on it (AUD-4).
//!
//! A witness that cannot be reached stops nothing: the checkpoint is published without its word, and asked for again later.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use server_kit::audit_log::WitnessVerifier;
use server_kit::audit_log::witness::AddCheckpoint;
use server_kit::egress::{Egress, EgressRequest, EgressResponse};
use server_kit::problem::Problem;
use server_kit::shutdown::Shutdown;

use super::checkpoint::Checkpoints;
use crate::dataspace::edge;
use crate::dataspace::node::Node;
use crate::store::RecordKind;

/// Key of the record that keeps the newest cosigned note.
pub const RECORD: &str = "log/witnessed";

/// Longest time that one witness is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer of a witness, in bytes.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// A witness that this log asks.
#[derive(Clone, Debug)]
pub struct WitnessPeer {
    /// What `add-checkpoint` is appended to, with a slash at its end.
    pub url: String,
    /// The key that its word is verified with.
    pub key: WitnessVerifier,
}

/// The witnesses of this log.
pub struct Witnesses {
    node: Node,
    egress: Arc<Egress>,
    checkpoints: Arc<Checkpoints>,
    peers: Vec<Seen>,
}

/// A witness and the number of leaves that it saw last.
struct Seen {
    peer: WitnessPeer,
    size: Mutex<u64>,
}

impl Witnesses {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(node: Node, egress: Arc<Egress>, checkpoints: Arc<Checkpoints>, peers: Vec<WitnessPeer>) -> Self {
        let peers = peers
            .into_iter()
            .map(|peer| Seen {
                peer,
                size: Mutex::new(0),
            })
            .collect();
        Self {
            node,
            egress,
            checkpoints,
            peers,
        }
    }

    /// Signs what has grown and has it cosigned, now and then, until the shutdown: so a copy of the store proves itself, although
    /// nobody asked for a checkpoint.
    pub async fn keep_up(self: Arc<Self>, every: Duration, shutdown: Shutdown) {
        let mut witnessed = None;
        loop {
            if let Some((size, note)) = self.checkpoints.sign().await
                && !self.peers.is_empty()
                && witnessed != Some(size)
                && tokio::select! {
                    complete = self.gather(size, &note) => complete,
                    () = shutdown.wait() => return,
                }
            {
                witnessed = Some(size);
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = shutdown.wait() => return,
            }
        }
    }

    /// The newest note that any witness cosigned.
    ///
    /// # Errors
    /// 503 or 500 if the store fails.
    pub fn witnessed(&self) -> Result<Option<Vec<u8>>, Problem> {
        self.node
            .snapshot()?
            .record(RecordKind::Server, RECORD)
            .map_err(|error| edge::store_problem(&error))
    }

    /// Asks all witnesses at once, and keeps the note with what they gave; true when all of them have cosigned.
    async fn gather(&self, size: u64, note: &str) -> bool {
        let asked = self.peers.iter().map(|seen| self.ask(seen, size, note));
        let lines: Vec<Option<String>> = futures_util::future::join_all(asked).await;
        let complete = lines.iter().all(Option::is_some);
        let cosigned: String = std::iter::once(note.to_owned())
            .chain(lines.into_iter().flatten())
            .collect();
        if cosigned.len() > note.len() {
            let kept = self.node.commit(move |_, transaction| {
                transaction
                    .record_put(RecordKind::Server, RECORD, cosigned.as_bytes())
                    .map_err(|error| edge::store_problem(&error))
            });
            if let Err(problem) = kept.await {
                tracing::error!(detail = problem.detail, "a witnessed checkpoint could not be kept");
                return false;
            }
        }
        complete
    }

    /// One witness's signature line. It may know more or less than this server remembers: then it says how much, and is asked again.
    async fn ask(&self, seen: &Seen, size: u64, note: &str) -> Option<String> {
        let witness = seen.peer.key.name();
        for _ in 0..2 {
            let old = *seen.size.lock();
            let response = match self.send(&seen.peer.url, old, size, note).await {
                Ok(response) => response,
                Err(reason) => {
                    tracing::warn!(witness, reason, "a witness of the log gave no answer");
                    return None;
                }
            };
            let text = String::from_utf8_lossy(&response.body).into_owned();
            match response.status {
                StatusCode::OK => {
                    // Whatever else it sent is left out, also lines by other keys of its name.
                    let (key, cosigned) = (&seen.peer.key, format!("{note}{text}"));
                    return match key.verify(&cosigned).and_then(|_| key.line(&cosigned)) {
                        Ok(line) => {
                            *seen.size.lock() = size;
                            Some(line)
                        }
                        Err(error) => {
                            tracing::error!(witness, %error, "a witness of the log gave no valid cosignature");
                            None
                        }
                    };
                }
                StatusCode::CONFLICT => match text.trim().parse::<u64>() {
                    Ok(known) if known != old && known <= size => *seen.size.lock() = known,
                    _ => return accused(witness, &text),
                },
                StatusCode::UNPROCESSABLE_ENTITY => return accused(witness, &text),
                status => {
                    tracing::warn!(witness, %status, "a witness of the log refused");
                    return None;
                }
            }
        }
        None
    }

    async fn send(&self, url: &str, old: u64, size: u64, note: &str) -> Result<EgressResponse, String> {
        let proof = {
            let snapshot = self.node.snapshot().map_err(|problem| problem.detail)?;
            match old {
                0 => Vec::new(),
                _ => snapshot
                    .audit_consistency(old, size)
                    .map_err(|error| error.to_string())?,
            }
        };
        let body = AddCheckpoint {
            old,
            proof,
            note: note.to_owned(),
        };
        let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut request = EgressRequest::post(format!("{url}add-checkpoint"), media_type, body.to_string())
            .bytes_max(ANSWER_BYTES_MAX);
        request.time_max = Some(ANSWER_TIME_MAX);
        self.egress.fetch(request).await.map_err(|error| error.to_string())
    }
}

/// The witness holds a checkpoint that this log does not contain: the store was replaced, restored or tampered with.
fn accused(witness: &str, answer: &str) -> Option<String> {
    tracing::error!(
        witness,
        answer,
        "a witness of the log says that it was shown another history; compare the store with a backup"
    );
    None
}
