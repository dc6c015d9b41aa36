//! IRIs and requirement ids that every Meent crate names things with.
//!
//! One module per vocabulary, each a list of plain `&str` constants (`vocab::ldp::CONTAINER`), its namespace as `NS`
//! and all its terms as `TERMS`. Where a class and a property differ only in case, the property has the plain name
//! and the class ends in `_CLASS`.
//!
//! This crate must never do I/O and must never hold behaviour: it only names.

#[macro_use]
mod vocabulary;

mod catalogue;
mod general;
mod policy;
mod solid_family;

pub mod context;
pub mod meent;
pub mod requirement;

pub use catalogue::{dcat, geo, ldes, locn, oslo, sosa, ssn, stat, tree, verkeer, void};
pub use general::{dcterms, foaf, org, owl, prov, rdf, rdfs, schema, skos, vann, vcard, xsd};
pub use policy::{cc, dpv, dpv_27560, dpv_gdpr, dspace, force, odrl};
pub use solid_family::{acl, acp, as2, iana, ldp, notify, pim, solid};

use oxrdf::NamedNodeRef;

/// A constant of this crate as an RDF term. Only for the constants here: the text is not checked again.
#[must_use]
pub fn node(iri: &'static str) -> NamedNodeRef<'static> {
    NamedNodeRef::new_unchecked(iri)
}

/// The last part of an IRI, after `#` or the last `/`: the short name that a person recognises.
#[must_use]
pub fn local_name(iri: &str) -> &str {
    let trimmed = iri.trim_end_matches('/');
    trimmed.rsplit(['#', '/']).next().unwrap_or(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_is_a_valid_iri_and_listed_once() {
        let modules: &[&[&str]] = &[
            acl::TERMS,
            acp::TERMS,
            as2::TERMS,
            cc::TERMS,
            dcat::TERMS,
            dcterms::TERMS,
            dpv::TERMS,
            dpv_27560::TERMS,
            dpv_gdpr::TERMS,
            dspace::TERMS,
            foaf::TERMS,
            force::TERMS,
            geo::TERMS,
            ldes::TERMS,
            iana::TERMS,
            ldp::TERMS,
            locn::TERMS,
            meent::TERMS,
            notify::TERMS,
            odrl::TERMS,
            org::TERMS,
            oslo::TERMS,
            owl::TERMS,
            pim::TERMS,
            prov::TERMS,
            rdf::TERMS,
            rdfs::TERMS,
            schema::TERMS,
            skos::TERMS,
            solid::TERMS,
            sosa::TERMS,
            ssn::TERMS,
            stat::TERMS,
            tree::TERMS,
            vann::TERMS,
            vcard::TERMS,
            verkeer::TERMS,
            void::TERMS,
            xsd::TERMS,
        ];
        for terms in modules {
            let distinct: std::collections::BTreeSet<_> = terms.iter().collect();
            assert_eq!(distinct.len(), terms.len(), "a term is listed twice: {terms:?}");
            for term in *terms {
                oxrdf::NamedNode::new(*term).unwrap();
            }
        }
    }

    #[test]
    fn local_names() {
        for (iri, name) in [
            (ldp::CONTAINER, "Container"),
            ("https://example.org/a/b/", "b"),
            ("plain", "plain"),
        ] {
            assert_eq!(local_name(iri), name);
        }
    }
}
