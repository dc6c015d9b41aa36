//! The talk between a log and a witness (C2SP tlog-witness): the log sends its newest checkpoint with a proof that it contains the one
//! which the witness saw last; the witness checks both and puts its cosignature on it. This module decides and never stores: the
//! caller keeps, for each log, the last checkpoint that it cosigned, and must keep the new one durably before it hands out a
//! cosignature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policies::audit::merkle;

use super::{Checkpoint, CheckpointError, Hash, VerifierKey};

/// Media type of the number of leaves that a witness answers with when a log knows another one.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";
/// Longest request: 63 hashes and a note.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024;
/// Most hashes of a proof: a tree has no more levels.
const PROOF_MAX: usize = 63;

/// What a log asks of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Leaves of the checkpoint that the witness saw last, as far as the log knows.
    pub old: u64,
    /// Proof that the new tree contains that one (RFC 9162 §2.1.4).
    pub proof: Vec<Hash>,
    /// The new checkpoint, signed by its log.
    pub note: String,
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is not one.
    #[error("not a request to a witness: {0}")]
    Malformed(String),
    /// This witness does not know the log.
    #[error("the log `{0}` is not known here")]
    UnknownLog(String),
    /// The log's own key has not signed the checkpoint.
    #[error("{0}")]
    Unsigned(String),
    /// The log and the witness do not agree on what was cosigned last.
    #[error("the last checkpoint that was cosigned here has {0} leaves")]
    Behind(u64),
    /// Two trees of one size: the log shows two histories.
    #[error("another tree of {0} leaves was cosigned here")]
    Forked(u64),
    /// The proof does not lead from the old tree to the new one.
    #[error("the proof does not show that the tree of {0} leaves is contained")]
    Inconsistent(u64),
}

impl AddCheckpoint {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = |what: &str| Refusal::Malformed(what.to_owned());
        if text.len() > REQUEST_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| malformed("the empty line before the checkpoint is missing"))?;
        let mut lines = head.lines();
        let old_text = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old_text
            .and_then(|text| text.parse::<u64>().ok().filter(|old| old.to_string() == text))
            .ok_or_else(|| malformed("the first line is not `old` and a number"))?;
        let proof: Vec<Hash> = lines
            .map(|line| Hash::try_from(STANDARD.decode(line).ok()?).ok())
            .collect::<Option<_>>()
            .ok_or_else(|| malformed("a line of the proof is not a hash in base64"))?;
        if proof.len() > PROOF_MAX {
            return Err(malformed("the proof has more hashes than a tree has levels"));
        }
        Ok(Self {
            old,
            proof,
            note: note.to_owned(),
        })
    }

    /// The checkpoint, if a log that this witness knows has signed it.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::UnknownLog`], [`Refusal::Unsigned`].
    pub fn opened(&self, logs: &[VerifierKey]) -> Result<Checkpoint, Refusal> {
        let malformed = |error: CheckpointError| Refusal::Malformed(error.to_string());
        let claimed = Checkpoint::parse_unverified(&self.note).map_err(malformed)?;
        let mut keys = logs.iter().filter(|key| key.name() == claimed.origin).peekable();
        if keys.peek().is_none() {
            return Err(Refusal::UnknownLog(claimed.origin));
        }
        let mut refused = String::new();
        for key in keys {
            match key.verify(&self.note) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => refused = error.to_string(),
            }
        }
        Err(Refusal::Unsigned(refused))
    }

    /// Whether the checkpoint of this request may be cosigned after `last`, the one that was cosigned before.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Behind`], [`Refusal::Forked`], [`Refusal::Inconsistent`].
    pub fn follows(&self, new: &Checkpoint, last: Option<&Checkpoint>) -> Result<(), Refusal> {
        if self.old > new.size {
            return Err(Refusal::Malformed("`old` is larger than the checkpoint".to_owned()));
        }
        let (size, root) = last.map_or((0, merkle::empty_root()), |last| (last.size, last.root));
        if self.old != size {
            return Err(Refusal::Behind(size));
        }
        if size == new.size && last.is_some() {
            return if root == new.root {
                Ok(())
            } else {
                Err(Refusal::Forked(size))
            };
        }
        let contained = if size == 0 {
            self.proof.is_empty()
        } else {
            merkle::verify_consistency(size, &root, new.size, &new.root, &self.proof)
        };
        if contained {
            Ok(())
        } else {
            Err(Refusal::Inconsistent(size))
        }
    }
}

impl std::fmt::Display for AddCheckpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(formatter, "{}", STANDARD.encode(hash))?;
        }
        write!(formatter, "\n{}", self.note)
    }
}

/// The text of a note, which signatures are about, with its last newline.
///
/// # Errors
/// When it is no note.
pub fn text_of(note: &str) -> Result<&str, CheckpointError> {
    super::checkpoint::split_note(note).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::audit_log::{LogKey, WitnessKey, WitnessVerifier};
    use crate::random::SystemRandom;

    fn leaves(count: u8, seed: u8) -> Vec<Hash> {
        (0..count).map(|number| merkle::leaf_hash(&[seed, number])).collect()
    }

    /// AUD-4: what a witness accepts and what it refuses, over every pair of sizes.
    #[test]
    fn only_a_tree_that_contains_the_last_one_is_cosigned() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogKey::load_or_generate(&folder.path().join("log"), "log.example", &SystemRandom).unwrap();
        let logs = [log.verifier().clone()];
        let (all, other) = (leaves(20, 0), leaves(20, 1));
        for old in 0..=20_usize {
            let size = old as u64;
            let last = (old > 0).then(|| Checkpoint {
                origin: "log.example".to_owned(),
                size,
                root: merkle::root(&all[..old]),
            });
            for new in old..=20 {
                let answer = |tree: &[Hash], claimed: usize| {
                    let proof = match claimed {
                        0 => Vec::new(),
                        _ => merkle::consistency_proof(&tree[..new], claimed as u64).unwrap(),
                    };
                    let request = AddCheckpoint {
                        old: claimed as u64,
                        proof,
                        note: log.sign(new as u64, &merkle::root(&tree[..new])),
                    };
                    assert_eq!(AddCheckpoint::parse(&request.to_string()), Ok(request.clone()));
                    request.follows(&request.opened(&logs).unwrap(), last.as_ref())
                };
                assert_eq!(answer(&all, old), Ok(()), "{old} {new}");
                if old > 0 {
                    let forked = if old == new {
                        Refusal::Forked(size)
                    } else {
                        Refusal::Inconsistent(size)
                    };
                    assert_eq!(answer(&other, old), Err(forked), "{old} {new}");
                    assert_eq!(answer(&all, old - 1), Err(Refusal::Behind(size)), "{old} {new}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_request_or_of_no_known_log_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogKey::load_or_generate(&folder.path().join("log"), "log.example", &SystemRandom).unwrap();
        let stranger = LogKey::load_or_generate(&folder.path().join("other"), "log.example", &SystemRandom).unwrap();
        let note = log.sign(0, &merkle::empty_root());
        let hashes = format!("{}\n", STANDARD.encode([0; 32])).repeat(64);
        for text in [
            "",
            "old 1",
            "old -1\n\n",
            "old 01\n\nnote",
            "old 1\nnot base64!\n\nnote",
            "old 1\nAAAA\n\nnote",
            &format!("old 1\n{hashes}\n{note}"),
            &format!("old 0\n\n{}", "x".repeat(REQUEST_BYTES_MAX)),
        ] {
            assert!(
                matches!(AddCheckpoint::parse(text), Err(Refusal::Malformed(_))),
                "{text}"
            );
        }
        let request = AddCheckpoint::parse(&format!("old 0\n\n{note}")).unwrap();
        assert!(matches!(request.opened(&[]), Err(Refusal::UnknownLog(_))));
        let logs = [stranger.verifier().clone()];
        assert!(matches!(request.opened(&logs), Err(Refusal::Unsigned(_))));
        let logs = [stranger.verifier().clone(), log.verifier().clone()];
        assert!(request.opened(&logs).is_ok());
    }

    #[test]
    fn a_cosignature_is_of_one_witness_one_text_and_one_time() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogKey::load_or_generate(&folder.path().join("log"), "log.example", &SystemRandom).unwrap();
        let witness =
            |name: &str| WitnessKey::load_or_generate(&folder.path().join(name), name, &SystemRandom).unwrap();
        let (one, two) = (witness("one.example"), witness("two.example"));
        let note = log.sign(3, &merkle::root(&leaves(3, 0)));
        let cosigned = format!("{note}{}", one.cosign(text_of(&note).unwrap(), 1_700_000_000));
        assert!(log.verifier().verify(&cosigned).is_ok());
        let key = WitnessVerifier::parse(&one.verifier().to_string()).unwrap();
        assert_eq!(key.verify(&cosigned).unwrap(), 1_700_000_000);
        assert!(matches!(
            two.verifier().verify(&cosigned),
            Err(CheckpointError::Unsigned(_))
        ));
        let other = cosigned.replacen("\n3\n", "\n4\n", 1);
        assert!(matches!(key.verify(&other), Err(CheckpointError::Signature(_))));
        assert!(
            VerifierKey::parse(&one.verifier().to_string()).is_err(),
            "no key of a log"
        );
        assert!(
            WitnessVerifier::parse(&log.verifier().to_string()).is_err(),
            "no key of a witness"
        );
    }
}
