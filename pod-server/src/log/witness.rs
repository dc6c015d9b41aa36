//! This server as a witness of the logs of others (C2SP tlog-witness; AUD-4): `POST /log/witness/add-checkpoint`.
//!
//! A witness keeps, for each log that it was told to watch, the last checkpoint that it cosigned, and cosigns only what contains
//! it. The new checkpoint is durable before its cosignature leaves; a witness that forgot could be shown a second history.

use std::path::Path;
use std::sync::Arc;

use http::{Method, StatusCode};
use server_kit::audit_log::witness::{AddCheckpoint, Refusal, SIZE_MEDIA_TYPE, text_of};
use server_kit::audit_log::{Checkpoint, CheckpointError, VerifierKey, WitnessKey, WitnessVerifier};
use server_kit::problem::Problem;

use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::node::Node;
use crate::store::{RecordKind, StoreError, Transaction};

/// What the key of the record begins with that keeps the last cosigned checkpoint of a log.
const RECORD: &str = "log/witness/";
/// Key of the record that says that this store was put back from a backup: an identifier of that.
const RESTORED: &str = "log/restored";
/// What the key of the record begins with that says after which restore the operator confirmed a log.
const CONFIRMED: &str = "log/confirmed/";

/// Cosigns.
pub struct Witness {
    node: Node,
    key: Arc<WitnessKey>,
    logs: Vec<VerifierKey>,
}

impl Witness {
    /// Loads the key, or makes it on first use.
    ///
    /// # Errors
    /// When the key file cannot be used or belongs to another witness.
    pub fn open(node: Node, key_file: &Path, name: &str, logs: Vec<VerifierKey>) -> Result<Self, CheckpointError> {
        let key = Arc::new(WitnessKey::load_or_generate(key_file, name, &*node.random)?);
        Ok(Self { node, key, logs })
    }

    /// The public key that its cosignatures are verified with.
    #[must_use]
    pub fn verifier(&self) -> &WitnessVerifier {
        self.key.verifier()
    }

    /// The number of leaves of a note that a watched log signed and this witness cosigned.
    ///
    /// # Errors
    /// When the log is not watched here, or one of the signatures is missing or wrong.
    pub fn cosigned(&self, log: &str, note: &str) -> Result<u64, CheckpointError> {
        self.key.verifier().verify(note)?;
        let mut found = Err(CheckpointError::Unsigned(log.to_owned()));
        for key in self.logs.iter().filter(|key| key.name() == log) {
            found = key.verify(note);
            if found.is_ok() {
                break;
            }
        }
        found.map(|checkpoint| checkpoint.size)
    }

    /// Answers `POST /log/witness/add-checkpoint`.
    ///
    /// # Errors
    /// 400, 403, 404, 409 with the number of leaves, or 422, as the protocol has it; 503 or 500 if the store fails.
    pub async fn add_checkpoint(&self, call: &Call) -> Answer {
        if call.method != Method::POST {
            return Err(edge::method_not_allowed(&call.method, "POST"));
        }
        let told = |refusal: Refusal| problem(&refusal, &call.path);
        let text =
            std::str::from_utf8(&call.body).map_err(|_| told(Refusal::Malformed("it is not UTF-8".to_owned())))?;
        let request = AddCheckpoint::parse(text).map_err(told)?;
        let new = request.opened(&self.logs).map_err(told)?;
        match self.cosign(request, new, &call.path).await? {
            Ok(line) => edge::respond(StatusCode::OK, "text/plain; charset=utf-8", line.into_bytes()),
            Err(size) => edge::respond(StatusCode::CONFLICT, SIZE_MEDIA_TYPE, format!("{size}\n").into_bytes()),
        }
    }

    /// Compares with what was cosigned last and keeps the new one, in one transaction; then signs. Where the log named another number
    /// of leaves than was cosigned last, that number is the answer.
    async fn cosign(
        &self,
        request: AddCheckpoint,
        new: Checkpoint,
        path: &str,
    ) -> Result<Result<String, u64>, Problem> {
        let path = path.to_owned();
        let cosigned = request.clone();
        let kept = self
            .node
            .commit(move |_, transaction| {
                if in_doubt(transaction, &new.origin).map_err(|error| edge::store_problem(&error))? {
                    tracing::error!(log = new.origin, "a log was not cosigned: see `pod-server log confirm`");
                    return Err(Problem::unavailable(
                        "this witness was restored from a backup and may have forgotten what it cosigned since; its operator \
                         has to confirm the log first",
                        3_600,
                    ));
                }
                let key = format!("{RECORD}{}", new.origin);
                let last = transaction
                    .record(RecordKind::Server, &key)
                    .map_err(|error| edge::store_problem(&error))?
                    .map(|bytes| read(&bytes))
                    .transpose()?;
                match request.follows(&new, last.as_ref()) {
                    Ok(()) => {}
                    Err(Refusal::Behind(size)) => return Ok(Err(size)),
                    Err(refusal @ (Refusal::Forked(_) | Refusal::Inconsistent(_))) => {
                        // The log's own signature stands on it: whoever runs this server holds the proof.
                        tracing::error!(log = new.origin, %refusal, note = request.note, "a log shows two histories");
                        return Err(problem(&refusal, &path));
                    }
                    Err(refusal) => return Err(problem(&refusal, &path)),
                }
                transaction
                    .record_put(RecordKind::Server, &key, request.note.as_bytes())
                    .map_err(|error| edge::store_problem(&error))?;
                Ok(Ok(()))
            })
            .await?;
        if let Err(size) = kept {
            return Ok(Err(size));
        }
        let seconds = u64::try_from(self.node.clock.unix()).unwrap_or_default();
        let text = text_of(&cosigned.note)
            .map_err(|error| Problem::bad_request("malformed-checkpoint", "No checkpoint").detail(error.to_string()))?;
        Ok(Ok(self.key.cosign(text, seconds)))
    }
}

/// Notes that a store was put back from a backup. What was cosigned since is forgotten, so nothing is cosigned until the
/// operator confirms each log.
///
/// # Errors
/// When the store fails.
pub fn doubt(transaction: &mut dyn Transaction, restore: &str) -> Result<(), StoreError> {
    transaction.record_put(RecordKind::Server, RESTORED, restore.as_bytes())
}

fn in_doubt(transaction: &dyn Transaction, origin: &str) -> Result<bool, StoreError> {
    let Some(restored) = transaction.record(RecordKind::Server, RESTORED)? else {
        return Ok(false);
    };
    let confirmed = transaction.record(RecordKind::Server, &format!("{CONFIRMED}{origin}"))?;
    Ok(confirmed.as_ref() != Some(&restored))
}

/// Lets a restored witness cosign a log again. With `note`, the newest one that this witness cosigned, nothing before it is
/// cosigned any more; without, the witness goes by what the backup knows.
///
/// # Errors
/// When the note is older than what the backup knows, or the store fails.
pub fn confirm(transaction: &mut dyn Transaction, origin: &str, note: Option<(&str, u64)>) -> Result<(), StoreError> {
    let key = format!("{RECORD}{origin}");
    if let Some((note, size)) = note {
        let kept = transaction.record(RecordKind::Server, &key)?;
        let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
        let kept = kept.and_then(|note| Checkpoint::parse_unverified(&note).ok());
        if kept.as_ref().is_some_and(|kept| kept.size > size) {
            return Err(StoreError::Misuse(
                "the note is older than what this witness knows that it cosigned".to_owned(),
            ));
        }
        transaction.record_put(RecordKind::Server, &key, note.as_bytes())?;
    }
    if let Some(restored) = transaction.record(RecordKind::Server, RESTORED)? {
        transaction.record_put(RecordKind::Server, &format!("{CONFIRMED}{origin}"), &restored)?;
    }
    Ok(())
}

fn read(note: &[u8]) -> Result<Checkpoint, Problem> {
    std::str::from_utf8(note)
        .ok()
        .and_then(|note| Checkpoint::parse_unverified(note).ok())
        .ok_or_else(|| {
            tracing::error!("the checkpoint that was cosigned last cannot be read");
            Problem::internal()
        })
}

fn problem(refusal: &Refusal, path: &str) -> Problem {
    match refusal {
        Refusal::Malformed(_) => {
            Problem::bad_request("malformed-checkpoint", "The request to the witness is malformed")
                .detail(refusal.to_string())
        }
        Refusal::UnknownLog(_) => edge::not_found(path).detail(refusal.to_string()),
        Refusal::Unsigned(_) => edge::forbidden(refusal.to_string()),
        Refusal::Behind(_) | Refusal::Forked(_) => edge::conflict("two-histories", refusal.to_string()),
        Refusal::Inconsistent(_) => edge::unprocessable("inconsistent-checkpoint", refusal.to_string()),
    }
}
