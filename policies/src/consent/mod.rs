//! Consent of a data subject: the record, the moves it can make, and whether it covers a use.
//!
//! A record is kept in the data subject's own storage. It always has an end. Whatever is not exactly covered is not.

mod rdf;
mod record;
mod status;

pub use rdf::{ConsentRdfError, from_quads, to_quads};
pub use record::{ConsentError, ConsentRecord, ConsentedData, Notice, Recipients, Use, covers};
pub use status::{ConsentEvent, ConsentStatus, ConsentStepError, step};
