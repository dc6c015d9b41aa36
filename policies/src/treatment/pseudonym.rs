//! Codes in place of names and values: the same for the same name under one agreement, for one purpose, in one epoch,
//! and without any relation otherwise.

use hmac::{Hmac, Mac};
use oxrdf::{BlankNode, Literal, NamedNode};
use sha2::Sha256;
use vocab::xsd;

/// How the IRIs of codes begin.
pub const PSEUDONYM_IRI: &str = "urn:meent:pseudonym:";
/// Bytes of a code. Two of a million million names share one with a chance of less than one in a million million.
const CODE_BYTES: usize = 16;
/// Codes of whole numbers are below this.
const NUMBER_MAX: u64 = 1_000_000_000_000_000_000;

/// Whether an IRI is a code.
#[must_use]
pub fn is_pseudonym(iri: &str) -> bool {
    iri.starts_with(PSEUDONYM_IRI)
}

/// The key of the codes under one agreement, for one purpose, in one epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymKey([u8; 32]);

impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PseudonymKey")
    }
}

fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A key of 32 bytes is shorter than a block, so it is taken as it is.
    let mut block = [0; 64];
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        // Lengths keep the parts apart.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl PseudonymKey {
    /// Derives the key from a server's secret.
    #[must_use]
    pub fn derive(secret: &[u8; 32], agreement: &str, purpose: &str, epoch: u64) -> Self {
        let parts: [&[u8]; 4] = [
            b"pseudonyms",
            agreement.as_bytes(),
            purpose.as_bytes(),
            &epoch.to_be_bytes(),
        ];
        Self(keyed(secret, &parts))
    }

    fn code(&self, kind: &str, text: &str) -> [u8; 32] {
        keyed(&self.0, &[kind.as_bytes(), text.as_bytes()])
    }

    fn hex(&self, kind: &str, text: &str) -> String {
        let code = self.code(kind, text);
        hex::encode(code.get(..CODE_BYTES).unwrap_or(&code))
    }

    /// The code of an IRI.
    #[must_use]
    pub fn name(&self, iri: &str) -> NamedNode {
        NamedNode::new_unchecked(format!("{PSEUDONYM_IRI}{}", self.hex("name", iri)))
    }

    /// The code of a blank node, by its label at the server.
    #[must_use]
    pub fn blank(&self, label: &str) -> BlankNode {
        BlankNode::new_unchecked(format!("p{}", self.hex("blank", label)))
    }

    /// The code of a literal, of its own kind: a text for a text, in its language, and a whole number for a whole
    /// number. None for other literals.
    #[must_use]
    pub fn literal(&self, literal: &Literal) -> Option<Literal> {
        let text = literal.value();
        if let Some(language) = literal.language() {
            let code = self.hex("text", text);
            return Literal::new_language_tagged_literal(code, language).ok();
        }
        match literal.datatype().as_str() {
            xsd::STRING => Some(Literal::new_simple_literal(self.hex("text", text))),
            xsd::INTEGER => {
                let number: i128 = text.trim().parse().ok()?;
                let code = self.code("number", &number.to_string());
                let mut start = [0; 8];
                for (place, byte) in start.iter_mut().zip(code) {
                    *place = byte;
                }
                let code = u64::from_be_bytes(start) % NUMBER_MAX;
                Some(Literal::new_typed_literal(code.to_string(), vocab::node(xsd::INTEGER)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Requirement ENF-13.
    #[test]
    fn codes_hold_inside_one_agreement_purpose_and_epoch() {
        let key = |secret: u8, agreement: &str, purpose: &str, epoch| {
            PseudonymKey::derive(&[secret; 32], agreement, purpose, epoch)
        };
        let one = key(1, "https://a", "https://p", 0);
        let iri = "https://pod.example/alice/#me";
        assert_eq!(one.name(iri), key(1, "https://a", "https://p", 0).name(iri));
        assert!(is_pseudonym(one.name(iri).as_str()));
        for other in [
            key(2, "https://a", "https://p", 0),
            key(1, "https://b", "https://p", 0),
            key(1, "https://a", "https://q", 0),
            key(1, "https://a", "https://p", 1),
            // Moving a letter from one part to another is another agreement.
            key(1, "https://ah", "ttps://p", 0),
        ] {
            assert_ne!(one.name(iri), other.name(iri));
            assert_ne!(one.blank("d1b0"), other.blank("d1b0"));
            assert_ne!(one.literal(&"Jan".into()), other.literal(&"Jan".into()));
        }
    }

    #[test]
    fn codes_keep_the_kind_of_a_literal() {
        let key = PseudonymKey::derive(&[7; 32], "a", "p", 0);
        let number = |text: &str| key.literal(&Literal::new_typed_literal(text, vocab::node(xsd::INTEGER)));
        assert_eq!(number("7"), number("07"));
        assert_ne!(number("7"), number("8"));
        assert_eq!(number("7").unwrap().datatype().as_str(), xsd::INTEGER);
        let tagged = Literal::new_language_tagged_literal("Jan", "nl").unwrap();
        assert_eq!(key.literal(&tagged).unwrap().language(), Some("nl"));
        let date = Literal::new_typed_literal("2022-01-01", vocab::node(xsd::DATE));
        assert_eq!(key.literal(&date), None);
    }
}
