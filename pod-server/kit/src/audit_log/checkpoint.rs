//! Checkpoints: what the log says about itself, signed (C2SP tlog-checkpoint in a C2SP signed-note, Ed25519).

use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Hash;
use crate::random::Random;
use crate::secret_file::{self, SecretFileError};

/// Signature type of Ed25519 in signed notes.
const ED25519_TYPE: u8 = 1;
/// Signature type of a witness's Ed25519 cosignature with a time (C2SP tlog-cosignature).
pub(super) const COSIGNATURE_TYPE: u8 = 4;
/// Longest note that is read, bytes.
const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Most signatures of a note that are looked at: witnesses add theirs.
const SIGNATURES_MAX: usize = 64;

/// Why a checkpoint or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The text is not a checkpoint in a signed note.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// No signature of the wanted key is on the note.
    #[error("the checkpoint carries no signature of `{0}`")]
    Unsigned(String),
    /// The signature of the wanted key is wrong.
    #[error("the signature of `{0}` on the checkpoint is wrong")]
    Signature(String),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of `{found}`, not of `{expected}`")]
    Origin {
        /// The log that was asked for.
        expected: String,
        /// The log that the checkpoint names.
        found: String,
    },
    /// The key text is malformed or of another kind.
    #[error("not a log key: {0}")]
    Key(&'static str),
    /// The key file cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
}

/// What a log said about itself: its name, its number of leaves, the hash of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log: a URL without scheme.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Hash of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a note without looking at its signatures.
    ///
    /// # Errors
    /// When the text is not a checkpoint.
    pub fn parse_unverified(note: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        if note.len() > NOTE_BYTES_MAX {
            return Err(malformed("the note is too long"));
        }
        let (text, _) = split_note(note)?;
        let mut lines = text.lines();
        let origin = lines
            .next()
            .filter(|line| !line.is_empty())
            .ok_or(malformed("the origin is missing"))?;
        let size_text = lines.next().ok_or(malformed("the size is missing"))?;
        let size: u64 = size_text.parse().map_err(|_| malformed("the size is not a number"))?;
        if size.to_string() != size_text {
            return Err(malformed("the size has leading zeros or a sign"));
        }
        let root = STANDARD
            .decode(lines.next().unwrap_or_default())
            .map_err(|_| malformed("the hash is not base64"))?;
        let root = Hash::try_from(root).map_err(|_| malformed("the hash is not 32 bytes"))?;
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }
}

/// The text with its last newline, and the signature lines.
pub(super) fn split_note(note: &str) -> Result<(&str, &str), CheckpointError> {
    let at = note.rfind("\n\n").ok_or(CheckpointError::Malformed(
        "the empty line before the signatures is missing",
    ))?;
    let (text, rest) = (note.get(..=at), note.get(at + 2..));
    text.zip(rest)
        .ok_or(CheckpointError::Malformed("the note breaks inside a character"))
}

/// The private key that signs a log's checkpoints.
pub struct LogKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl LogKey {
    /// Loads the key of a log, or makes it on first use. The file has mode 0600 and names the log.
    ///
    /// # Errors
    /// When the file is readable by others, is no log key, or belongs to another log.
    pub fn load_or_generate(path: &Path, origin: &str, random: &dyn Random) -> Result<Self, CheckpointError> {
        Self::load(path, origin, ED25519_TYPE, random)
    }

    pub(super) fn load(path: &Path, origin: &str, kind: u8, random: &dyn Random) -> Result<Self, CheckpointError> {
        if let Some(bytes) = secret_file::read(path)? {
            let text = String::from_utf8(bytes).map_err(|_| CheckpointError::Key("the file is not text"))?;
            return Self::parse(text.trim(), origin, kind);
        }
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let key = Self::from_seed(&seed, origin, kind)?;
        let text = format!(
            "PRIVATE+KEY+{origin}+{}+{}\n",
            hex::encode(key.verifier.id),
            STANDARD.encode([&[kind][..], &seed].concat())
        );
        secret_file::write(path, text.as_bytes())?;
        Ok(key)
    }

    fn parse(text: &str, origin: &str, kind: u8) -> Result<Self, CheckpointError> {
        let rest = text
            .strip_prefix("PRIVATE+KEY+")
            .ok_or(CheckpointError::Key("the prefix is missing"))?;
        let (name, id, bytes) = split_key(rest, kind)?;
        let seed = <[u8; 32]>::try_from(bytes).map_err(|_| CheckpointError::Key("the seed is not 32 bytes"))?;
        if name != origin {
            return Err(CheckpointError::Origin {
                expected: origin.to_owned(),
                found: name,
            });
        }
        let key = Self::from_seed(&seed, origin, kind)?;
        if key.verifier.id != id {
            return Err(CheckpointError::Key("the key id does not belong to the key"));
        }
        Ok(key)
    }

    fn from_seed(seed: &[u8; 32], origin: &str, kind: u8) -> Result<Self, CheckpointError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CheckpointError::Key("the seed is refused"))?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref())
            .map_err(|_| CheckpointError::Key("the public key is not 32 bytes"))?;
        Ok(Self {
            pair,
            verifier: VerifierKey::new(origin, public, kind)?,
        })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// A signed note that says: this log has `size` leaves and this root.
    pub fn sign(&self, size: u64, root: &Hash) -> String {
        let text = Checkpoint {
            origin: self.verifier.name.clone(),
            size,
            root: *root,
        }
        .text();
        let signature = self.sign_bytes(text.as_bytes());
        format!("{text}\n{}", self.verifier.line(&signature))
    }

    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LogKey")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

/// The public key of a log, with the name of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
    kind: u8,
}

impl VerifierKey {
    fn new(name: &str, public: [u8; 32], kind: u8) -> Result<Self, CheckpointError> {
        if name.is_empty() || name.contains('+') || name.chars().any(char::is_whitespace) {
            return Err(CheckpointError::Key(
                "a log's name has no spaces and no `+`, and is not empty",
            ));
        }
        let digest = Sha256::new()
            .chain_update(name)
            .chain_update([b'\n', kind])
            .chain_update(public)
            .finalize();
        let id = digest.first_chunk::<4>().copied().unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            id,
            public,
            kind,
        })
    }

    /// Reads a verifier key: `name+id+base64`, as [`Display`](std::fmt::Display) writes it.
    ///
    /// # Errors
    /// When the text is malformed or the key is not Ed25519.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        Self::parse_kind(text, ED25519_TYPE)
    }

    pub(super) fn parse_kind(text: &str, kind: u8) -> Result<Self, CheckpointError> {
        let (name, id, bytes) = split_key(text.trim(), kind)?;
        let public = <[u8; 32]>::try_from(bytes).map_err(|_| CheckpointError::Key("the public key is not 32 bytes"))?;
        let key = Self::new(&name, public, kind)?;
        if key.id == id {
            Ok(key)
        } else {
            Err(CheckpointError::Key("the key id does not belong to the key"))
        }
    }

    pub(super) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Name of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Verifies a checkpoint of this log.
    ///
    /// # Errors
    /// When the note is malformed, of another log, unsigned or wrongly signed by this key.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let checkpoint = Checkpoint::parse_unverified(note)?;
        if checkpoint.origin != self.name {
            return Err(CheckpointError::Origin {
                expected: self.name.clone(),
                found: checkpoint.origin,
            });
        }
        let (text, signature) = self.signature(note)?;
        self.check(text.as_bytes(), &signature)?;
        Ok(checkpoint)
    }

    /// The text of a note, and what this key put on it.
    pub(super) fn signature<'n>(&self, note: &'n str) -> Result<(&'n str, Vec<u8>), CheckpointError> {
        let (text, signatures) = split_note(note)?;
        let prefix = format!("\u{2014} {} ", self.name);
        // Signatures by other keys of the same name are passed over (signed-note, verifying).
        signatures
            .lines()
            .take(SIGNATURES_MAX)
            .filter_map(|line| STANDARD.decode(line.strip_prefix(&prefix)?).ok())
            .find_map(|blob| blob.strip_prefix(&self.id[..]).map(<[u8]>::to_vec))
            .map(|signature| (text, signature))
            .ok_or_else(|| CheckpointError::Unsigned(self.name.clone()))
    }

    /// A signature line of a note, with its newline.
    pub(super) fn line(&self, signature: &[u8]) -> String {
        let blob = STANDARD.encode([&self.id[..], signature].concat());
        format!("\u{2014} {} {blob}\n", self.name)
    }

    pub(super) fn check(&self, signed: &[u8], signature: &[u8]) -> Result<(), CheckpointError> {
        UnparsedPublicKey::new(&ED25519, self.public)
            .verify(signed, signature)
            .map_err(|_| CheckpointError::Signature(self.name.clone()))
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = STANDARD.encode([&[self.kind][..], &self.public].concat());
        write!(formatter, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

/// `name+id+base64(type, key)`; the base64 part may itself contain `+`.
fn split_key(text: &str, kind: u8) -> Result<(String, [u8; 4], Vec<u8>), CheckpointError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(CheckpointError::Key("it has three parts with `+` between them"));
    };
    let mut id_bytes = [0; 4];
    hex::decode_to_slice(id, &mut id_bytes).map_err(|_| CheckpointError::Key("the key id is not 8 hex digits"))?;
    let key = STANDARD
        .decode(key)
        .map_err(|_| CheckpointError::Key("the key is not base64"))?;
    match key.split_first() {
        Some((found, key)) if *found == kind => Ok((name.to_owned(), id_bytes, key.to_vec())),
        _ => Err(CheckpointError::Key("the key is not Ed25519, or for another use")),
    }
}
