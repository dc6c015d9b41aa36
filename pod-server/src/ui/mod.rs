//! The console's pages: layout, texts in three languages, forms (ARCHITECTURE §7).
//!
//! Pages are rendered here, on the server, and work without script. This module renders what it is given; it never
//! decides, never stores, and never writes text that did not come from the texts of a [`Language`] or from its caller.

pub mod application;
pub mod consent;
pub mod consent_request;
pub mod consent_setting;
pub mod data;
pub mod dataset;
pub mod describing;
pub mod entrance;
pub mod external;
pub mod form;
pub mod language;
pub mod layout;
pub mod leaving;
pub mod log;
pub mod mandate;
pub mod profile;
pub mod response;
pub mod security;
pub mod settings;
pub mod sharing;
pub mod style;
pub mod visit;
pub mod webids;
pub mod words;

pub use form::{Form, FormError};
pub use language::Texts;
pub use layout::{Notice, Tone, layout};
pub use response::{Page, redirect, see_other};
pub use server_kit::language::Language;
pub use visit::{Session, Visit};

/// The body of a response: whole or streamed.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, std::io::Error>;
