//! The constraints that the server holds writes to, as a public document that refusals point to (LDP §4.2.1.6; solid#32).

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::origins::Origins;

use super::document::{self, Bounds, Document};

/// Where the document is, from the server's root.
pub const PATH: &str = "/.constraints";

const TURTLE: &str = include_str!("constraints.ttl");

/// The document on a server's own origin.
///
/// # Errors
/// None in practice: the text is ours.
pub fn document(origins: &Origins, bounds: Bounds) -> Result<Document, Error> {
    let iri = origins.place(PATH);
    document::parse(TURTLE.as_bytes(), Syntax::Turtle, &iri, bounds)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_turtle() {
        let found = document(&Origins::new("https://pod.example/"), Bounds { nesting_max: 8 }).unwrap();
        assert!(found.quads.len() > 20);
    }
}
