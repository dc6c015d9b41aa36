//! Whether a record or a receipt has every field that ISO/IEC TS 27560 makes mandatory, in the terms of DPV's guide to it:
//! 25 fields of a record, 4 of a receipt, and what the profile for the GDPR adds.

use oxrdf::{Quad, Term};
use serde::Serialize;
use vocab::{dcat, dcterms, dpv, dpv_gdpr, meent, rdf, skos};

use super::process::ConsentProfile;
use super::rdf_read::{ConsentRdfError, Node};
use super::status::ConsentStatus;

/// A mandatory field that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MissingField {
    /// What the standard calls it.
    pub field: &'static str,
    /// Where it stands in the JSON of a request.
    pub path: &'static str,
    /// The property of the RDF, the last of its path.
    pub property: &'static str,
}

/// A mandatory field: how it is called, where it stands, and how it is found.
struct Field {
    name: &'static str,
    path: &'static str,
    /// Properties from the record to the value.
    steps: &'static [&'static str],
    /// What counts as a value.
    counts: fn(&Term) -> bool,
}

const fn field(name: &'static str, path: &'static str, steps: &'static [&'static str]) -> Field {
    Field {
        name,
        path,
        steps,
        counts: anything,
    }
}

const RECORD: [Field; 25] = [
    Field {
        counts: |value| iri(value).is_some_and(|iri| ConsentProfile::from_iri(iri).is_some()),
        ..field("schema version", "process.profile", &[dcterms::CONFORMS_TO])
    },
    field("record identifier", "id", &[dcterms::IDENTIFIER]),
    field("data subject", "data_subject", &[dpv::HAS_DATA_SUBJECT]),
    field("notice", "notice.text", &[dpv::HAS_NOTICE, dcterms::IDENTIFIER]),
    field(
        "notice language",
        "notice.language",
        &[dpv::HAS_NOTICE, dcterms::LANGUAGE],
    ),
    field("process", "process.titles", &[dpv::HAS_PROCESS, dcterms::TITLE]),
    field("purpose", "purposes", &[dpv::HAS_PROCESS, dpv::HAS_PURPOSE]),
    field("personal data", "data", &[dpv::HAS_PROCESS, meent::CONTAINER]),
    field(
        "personal data type",
        "process.personal_data",
        &[dpv::HAS_PROCESS, dpv::HAS_PERSONAL_DATA],
    ),
    field(
        "storage condition",
        "process.storage",
        &[dpv::HAS_PROCESS, dpv::HAS_STORAGE_CONDITION],
    ),
    field("data controller", "process.controller", &[dpv::HAS_DATA_CONTROLLER]),
    field("recipients", "recipients", &[dpv::HAS_PROCESS, dpv::HAS_RECIPIENT]),
    field(
        "consent change and withdrawal",
        "process.control",
        &[dpv::HAS_CONSENT_CONTROL, dpv::IS_EXERCISED_AT],
    ),
    field("jurisdiction", "process.jurisdiction", &[dpv::HAS_JURISDICTION]),
    field("rights", "process.rights", &[dpv::HAS_RIGHT]),
    field(
        "entity name",
        "process.controller.name",
        &[dpv::HAS_DATA_CONTROLLER, dpv::HAS_NAME],
    ),
    field(
        "entity identifier",
        "process.controller.id",
        &[dpv::HAS_DATA_CONTROLLER, dpv::HAS_IDENTIFIER],
    ),
    field(
        "entity role",
        "process.controller",
        &[dpv::HAS_DATA_CONTROLLER, rdf::TYPE],
    ),
    field(
        "entity contact",
        "process.controller.contact",
        &[dpv::HAS_DATA_CONTROLLER, dpv::HAS_CONTACT],
    ),
    field(
        "entity address",
        "process.controller.address",
        &[dpv::HAS_DATA_CONTROLLER, dpv::HAS_ADDRESS],
    ),
    Field {
        counts: |value| {
            let kinds = [dpv::EXPRESSED_CONSENT, dpv::EXPLICITLY_EXPRESSED_CONSENT];
            iri(value).is_some_and(|iri| kinds.contains(&iri))
        },
        ..field("consent type", "act", &[dpv::CONSENT_STATUS, rdf::TYPE])
    },
    Field {
        counts: |value| iri(value).is_some_and(|iri| ConsentStatus::from_iri(iri).is_some()),
        ..field("consent state", "status", &[dpv::CONSENT_STATUS, rdf::TYPE])
    },
    field(
        "event time",
        "changed_at",
        &[dpv::CONSENT_STATUS, dpv::IS_INDICATED_AT_TIME],
    ),
    field(
        "event duration",
        "expires_at",
        &[dpv::CONSENT_STATUS, dpv::HAS_DURATION, rdf::VALUE],
    ),
    field(
        "expression by entity",
        "act.by",
        &[dpv::CONSENT_STATUS, dpv::IS_INDICATED_BY],
    ),
];

const RECEIPT: [Field; 4] = [
    Field {
        counts: |value| iri(value).is_some_and(|iri| ConsentProfile::from_iri(iri).is_some()),
        ..field("receipt schema version", "conforms_to", &[dcterms::CONFORMS_TO])
    },
    field("receipt identifier", "id", &[dpv::HAS_IDENTIFIER]),
    field("associated record", "record", &[dpv::HAS_RECORD_OF_ACTIVITY]),
    field("creation time", "created", &[dcterms::CREATED]),
];

const LEGAL_BASIS: Field = Field {
    counts: |value| iri(value).is_some_and(|iri| iri.starts_with(dpv_gdpr::NS)),
    ..field(
        "legal basis of the GDPR",
        "process.legal_basis",
        &[dpv::HAS_LEGAL_BASIS],
    )
};

/// Other properties that give a field as well.
const ALSO: [(&str, &[&str]); 3] = [
    ("personal data", &[dpv::HAS_PROCESS, dcat::DATASET_PROPERTY]),
    ("personal data", &[dpv::HAS_PROCESS, meent::DATA_PROPERTY]),
    (
        "personal data type",
        &[dpv::HAS_PROCESS, dcterms::HAS_PART, skos::BROADER],
    ),
];

/// The mandatory fields that the one record in these quads lacks, in the order of the standard. None are missing from a
/// record that conforms.
///
/// # Errors
/// When there is not exactly one record, or a part of it is no node.
pub fn missing_of_record(quads: &[Quad]) -> Result<Vec<MissingField>, ConsentRdfError> {
    let record = Node::of_class(quads, dpv::CONSENT_RECORD)?;
    let mut missing = lacking(&record, &RECORD)?;
    if record
        .iris(dcterms::CONFORMS_TO)?
        .contains(ConsentProfile::EuGdpr.record_iri())
    {
        missing.extend(lacking(&record, &[LEGAL_BASIS])?);
    }
    Ok(missing)
}

/// The same of the one receipt in these quads, and of its record.
///
/// # Errors
/// As [`missing_of_record`].
pub fn missing_of_receipt(quads: &[Quad]) -> Result<Vec<MissingField>, ConsentRdfError> {
    let mut missing = lacking(&Node::of_class(quads, dpv::CONSENT_RECEIPT)?, &RECEIPT)?;
    missing.extend(missing_of_record(quads)?);
    Ok(missing)
}

fn lacking(start: &Node<'_>, fields: &[Field]) -> Result<Vec<MissingField>, ConsentRdfError> {
    let mut missing = Vec::new();
    for field in fields {
        let also = ALSO
            .iter()
            .filter(|(name, _)| *name == field.name)
            .map(|(_, steps)| *steps);
        let mut found = false;
        for steps in std::iter::once(field.steps).chain(also) {
            found |= reaches(start, steps, field.counts)?;
        }
        if !found {
            missing.push(MissingField {
                field: field.name,
                path: field.path,
                property: field.steps.last().copied().unwrap_or_default(),
            });
        }
    }
    Ok(missing)
}

fn reaches(node: &Node<'_>, steps: &[&'static str], counts: fn(&Term) -> bool) -> Result<bool, ConsentRdfError> {
    match steps {
        [] => Ok(false),
        [last] => Ok(node.values(last).into_iter().any(counts)),
        [first, rest @ ..] => {
            for part in node.parts(first)? {
                if reaches(&part, rest, counts)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

fn iri(value: &Term) -> Option<&str> {
    match value {
        Term::NamedNode(node) => Some(node.as_str()),
        _ => None,
    }
}

/// Any node, and any text with something in it.
fn anything(value: &Term) -> bool {
    match value {
        Term::Literal(literal) => !literal.value().trim().is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::process::{Act, Entity, Item, Mandate, MandateKind, Process, StorageCondition};
    use super::super::record::tests::record;
    use super::super::{ConsentReceipt, ConsentRecord, from_quads, receipt_to_quads, to_quads};
    use super::*;
    use crate::request::WebId;

    fn entity(id: &str, name: &str) -> Entity {
        Entity {
            id: id.into(),
            name: name.into(),
            contact: "privacy@kortrijk.example".into(),
            address: "Grote Markt 54, 8500 Kortrijk".into(),
        }
    }

    /// A record with every field that there is.
    pub(in crate::consent) fn complete() -> ConsentRecord {
        let mut complete = record();
        let dataset = "https://kortrijk.example/city/datasets/telraam";
        complete.process = Some(Box::new(Process {
            profile: Some(ConsentProfile::EuGdpr),
            titles: BTreeMap::from([("nl".into(), "Tellingen van fietsers".into())]),
            controller: Some(entity("https://kortrijk.example/city/profile/card#me", "Stad Kortrijk")),
            recipients: vec![entity("https://mobility.example/#us", "Mobility")],
            items: vec![
                Item {
                    what: dataset.into(),
                    personal_data: Some("https://w3id.org/dpv/pd#Location".into()),
                    required: true,
                    special: false,
                    labels: BTreeMap::from([("en".into(), "counts".into()), ("nl".into(), "tellingen".into())]),
                },
                Item {
                    what: "https://kortrijk.example/jan/telraam/".into(),
                    special: true,
                    ..Item::default()
                },
            ],
            personal_data: BTreeSet::from(["https://w3id.org/dpv/pd#Behavioral".into()]),
            storage: StorageCondition {
                locations: BTreeSet::from(["https://w3id.org/dpv/loc#BE".into()]),
                days: Some(90),
                deleted_within_days: Some(30),
            },
            third_countries: BTreeSet::from(["https://w3id.org/dpv/loc#GB".into()]),
            jurisdiction: Some("https://w3id.org/dpv/loc#BE".into()),
            legal_basis: Some(dpv_gdpr::CONSENT_6_1_A.into()),
            control: Some("https://kortrijk.example/consent".into()),
            rights: BTreeSet::from([dpv_gdpr::RIGHT_TO_WITHDRAW.into()]),
            consequences: BTreeMap::from([("nl".into(), "Er verandert niets voor u.".into())]),
            collective_approval: Some("https://ethics.example/2026/7".into()),
        }));
        let holder = WebId::parse("https://kortrijk.example/an/profile/card#me").unwrap();
        complete.act = Some(Box::new(Act {
            by: holder.clone(),
            method: "page".into(),
            mandate: Some(Mandate {
                id: "https://kortrijk.example/jan/.consent/mandates/1".into(),
                holder,
                kind: MandateKind::Guardian,
                basis: String::new(),
                from: complete.changed_at,
                until: complete.expires_at,
            }),
            explicit: true,
        }));
        complete
    }

    /// Requirements dataspace CON-2, CON-4, CON-15: everything that a record can say is written and read back.
    #[test]
    fn complete_records_read_back_as_they_were() {
        let mut plain = complete();
        plain.process = None;
        for record in [complete(), plain] {
            assert_eq!(from_quads(&to_quads(&record).unwrap()).unwrap(), record);
        }
    }

    /// Requirements dataspace CON-2: 25 fields of a record and 4 of a receipt; each that is taken away is missed, alone or with
    /// what hangs on it, and named with its place.
    #[test]
    fn each_mandatory_field_is_missed() {
        let receipt = ConsentReceipt::of(&complete());
        let quads = receipt_to_quads(&receipt).unwrap();
        assert_eq!(missing_of_receipt(&quads), Ok(Vec::new()));
        let all: Vec<(&str, &Field)> = RECORD
            .iter()
            .chain([&LEGAL_BASIS])
            .map(|field| (dpv::CONSENT_RECORD, field))
            .chain(RECEIPT.iter().map(|field| (dpv::CONSENT_RECEIPT, field)))
            .collect();
        assert_eq!(all.len(), 25 + 1 + 4);
        for (class, field) in all {
            let also = ALSO
                .iter()
                .filter(|(name, _)| *name == field.name)
                .map(|(_, steps)| *steps);
            let paths: Vec<_> = std::iter::once(field.steps).chain(also).collect();
            let mut ends: Vec<&Quad> = Vec::new();
            for steps in paths {
                let (last, before) = steps.split_last().unwrap();
                let mut nodes = vec![Node::of_class(&quads, class).unwrap()];
                for step in before {
                    nodes = nodes.iter().flat_map(|node| node.parts(step).unwrap()).collect();
                }
                ends.extend(quads.iter().filter(|quad| {
                    quad.predicate.as_str() == *last
                        && nodes.iter().any(|node| node.subject == quad.subject)
                        && (field.counts)(&quad.object)
                }));
            }
            let rest: Vec<Quad> = quads.iter().filter(|quad| !ends.contains(quad)).cloned().collect();
            let missing = missing_of_receipt(&rest).unwrap();
            let found = missing.iter().find(|missing| missing.field == field.name);
            assert!(
                found.is_some_and(|missing| missing.path == field.path),
                "{}: {missing:?}",
                field.name
            );
        }
        // A record without a profile is not held to one, but it lacks it.
        let mut loose = complete();
        loose.process.as_mut().unwrap().profile = None;
        let missing = missing_of_record(&to_quads(&loose).unwrap()).unwrap();
        assert_eq!(
            missing.iter().map(|missing| missing.field).collect::<Vec<_>>(),
            ["schema version"]
        );
    }
}
