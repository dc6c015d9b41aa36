//! The public side of the audit log, and each storage's own part of it (ARCHITECTURE §6, C2SP tlog-tiles).
//!
//! Anyone may read checkpoints and tiles: they hold salted commitments and nothing else. Readable records go to the
//! owner of the storage that they are about, and reading them is itself recorded (AUD-15).

pub mod checkpoint;
pub mod duties;
pub mod gather;
pub mod own;
pub mod publish;
pub mod replay;
pub mod retention;
pub mod rotation;
pub mod signals;
pub mod verify;
pub mod witness;

pub use checkpoint::Checkpoints;
pub use gather::{WitnessPeer, Witnesses};
pub use own::OwnLog;
pub use witness::Witness;
