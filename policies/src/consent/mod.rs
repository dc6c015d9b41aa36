//! Consent of a data subject: the record, the moves it can make, and whether it covers a use.
//!
//! A record is kept in the data subject's own storage. It always has an end. Whatever is not exactly covered is not.

mod activity;
mod conformance;
mod policy;
mod preference;
mod process;
mod rdf_read;
mod rdf_write;
mod receipt;
mod record;
mod status;

pub use activity::{Activity, ActivityError};
pub use conformance::{MissingField, missing_of_receipt, missing_of_record};
pub use policy::{policy_iri, to_policy};
pub use preference::{Preference, PreferenceEffect, PreferenceError, check_preferences, preference_for};
pub use process::{Act, BY_PREFERENCE, ConsentProfile, Entity, Item, Mandate, MandateKind, Process, StorageCondition};
pub use rdf_read::{ConsentRdfError, from_quads};
pub use rdf_write::{receipt_to_quads, to_quads};
pub use receipt::{ConsentReceipt, credential, digest, is_digest};
pub use record::{ConsentError, ConsentRecord, ConsentedData, Notice, Recipients, Use, covers};
pub use status::{ConsentEvent, ConsentStatus, ConsentStepError, step};
