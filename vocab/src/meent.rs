//! Meent's own small vocabulary and its ODRL profile.
//!
//! The published document is [`TURTLE`], with labels in Dutch, French and English; a test holds that every constant
//! here is defined there.

/// The IRI of the ODRL profile. A policy that uses one of our operands or actions names it with `odrl:profile`.
pub const ODRL_PROFILE: &str = "https://w3id.org/meent/odrl";

/// The vocabulary and the profile as Turtle, to be served at [`NS`] and [`ODRL_PROFILE`].
pub const TURTLE: &str = include_str!("../meent.ttl");

/// The JSON-LD context of the profile: short names for ODRL's terms and for Meent's own.
pub const CONTEXT: &str = include_str!("../meent.jsonld");

pub use terms::*;

vocabulary! {
    /// The terms themselves, re-exported one level up.
    terms = "https://w3id.org/meent/ns#" {
        // What a dataset covers.
        CONTAINER "container",
        MEMBER_CONTAINER "memberContainer",
        AUTOMATIC_AGREEMENT "automaticAgreement",
        ACCEPTED_CONSUMER "acceptedConsumer",
        PUBLISH_SUMMARY "publishSummary",
        PUBLISH_IDENTIFIERS "publishIdentifiers",
        // ODRL left operands.
        DATA_SUBJECT_CONSENT "dataSubjectConsent",
        DISTINCT_DATA_SUBJECTS "distinctDataSubjects",
        ROUNDED_TO "roundedTo",
        PROPERTY "property",
        CLASS "class",
        SHAPE "shape",
        PATTERN "pattern",
        PRECISION "precision",
        // ODRL actions.
        AGGREGATE_ONLY "aggregateOnly",
        LOG "log",
        PSEUDONYMISE "pseudonymise",
        GENERALISE "generalise",
        HASH "hash",
        DROP "drop",
        MASK_KEYS "maskKeys",
        // Usage-control classes of International Data Spaces.
        PC1 "pc1",
        PC2 "pc2",
        PC3 "pc3",
        PC4 "pc4",
        PC5 "pc5",
        PC6 "pc6",
        PC7 "pc7",
        PC8 "pc8",
        PC9 "pc9",
        PC10 "pc10",
        PC11 "pc11",
        PC12 "pc12",
        PC13 "pc13",
        PC14 "pc14",
        PC15 "pc15",
        PC16 "pc16",
        PC17 "pc17",
        PC18 "pc18",
        PC19 "pc19",
        PC20 "pc20",
        PC21 "pc21",
        PC22 "pc22",
        PC23 "pc23",
        PC24 "pc24",
        PC25 "pc25",
        // Consent records.
        DATA_PROPERTY "dataProperty",
        STORAGE "storage",
        NOTICE_LANGUAGE "noticeLanguage",
        NOTICE_HASH "noticeHash",
        ANY_RECIPIENT "AnyRecipient",
        VERSION "version",
        COLLECTIVE_APPROVAL "collectiveApproval",
        MANDATE "mandate",
        // Agreements.
        AGREEMENT_HASH "agreementHash",
        AGREEMENT_STATE "agreementState",
        ENCRYPTED_TRANSPORT "EncryptedTransport",
        WITHHELD_SILENTLY "withheldSilently",
        // Data.
        DATA_SUBJECT "dataSubject",
        GENERATED "generated",
        // Notifications.
        NOTIFICATION_DELIVERY "notificationDelivery",
        // Signals of unusual use.
        SUDDEN_VOLUME "SuddenVolume",
        REPEATED_REFUSALS "RepeatedRefusals",
        DIFFERENCING_SUSPECTED "DifferencingSuspected",
        // What the mappings of Flemish traffic data use.
        BICYCLE_COUNT "bicycleCount",
        PARKING_OCCUPANCY "parkingOccupancy",
        AIR_TEMPERATURE "airTemperature",
        UPTIME "uptime",
        ACCIDENT_VICTIMS "AccidentVictims",
        ROAD_USER "roadUser",
        VICTIMS "victims",
        // Purposes, each below a purpose of DPV.
        MOBILITY_PLANNING "MobilityPlanning",
        BICYCLE_POLICY "BicyclePolicy",
        ROAD_SAFETY "RoadSafety",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odrl;

    /// The document is data, so it is read here without a parser (this crate has none): each term's block starts its line.
    fn block(term: &str) -> Option<String> {
        let name = format!("meent:{}", crate::local_name(term));
        let start = TURTLE
            .lines()
            .position(|line| line.split_whitespace().next() == Some(name.as_str()) && !line.starts_with(' '))?;
        let lines: Vec<&str> = TURTLE.lines().skip(start).take_while(|line| !line.is_empty()).collect();
        Some(lines.join("\n"))
    }

    #[test]
    fn every_constant_is_defined_with_labels_in_three_languages() {
        for term in TERMS {
            let block = block(term).unwrap_or_else(|| panic!("{term} is not in meent.ttl"));
            for language in ["@nl", "@fr", "@en"] {
                assert!(block.contains(language), "{term} has no label in {language}");
            }
            assert!(block.contains(" a "), "{term} has no type");
        }
    }

    #[test]
    fn nothing_is_defined_that_has_no_constant() {
        for line in TURTLE.lines().filter(|line| line.starts_with("meent:")) {
            let name = line.split_whitespace().next().unwrap().trim_start_matches("meent:");
            assert!(
                TERMS.contains(&format!("{NS}{name}").as_str()),
                "{name} has no constant"
            );
        }
    }

    /// The context names every operand and action of the profile.
    #[test]
    fn the_context_names_the_profile() {
        for term in TERMS {
            let kinds = ["odrl:LeftOperand", "odrl:Action"];
            if kinds.iter().any(|kind| block(term).unwrap().contains(kind)) {
                let entry = format!("\"{0}\": \"meent:{0}\"", crate::local_name(term));
                assert!(CONTEXT.contains(&entry), "{entry} is missing");
            }
        }
    }

    #[test]
    fn the_profile_lists_its_operands_and_actions() {
        for (term, kind) in [
            (DATA_SUBJECT_CONSENT, "odrl:LeftOperand"),
            (DISTINCT_DATA_SUBJECTS, "odrl:LeftOperand"),
            (ROUNDED_TO, "odrl:LeftOperand"),
            (PROPERTY, "odrl:LeftOperand"),
            (CLASS, "odrl:LeftOperand"),
            (SHAPE, "odrl:LeftOperand"),
            (PATTERN, "odrl:LeftOperand"),
            (PRECISION, "odrl:LeftOperand"),
            (PSEUDONYMISE, "odrl:Action"),
            (GENERALISE, "odrl:Action"),
            (HASH, "odrl:Action"),
            (DROP, "odrl:Action"),
            (MASK_KEYS, "odrl:Action"),
            (AGGREGATE_ONLY, "odrl:Action"),
            (LOG, "odrl:Action"),
        ] {
            assert!(block(term).unwrap().contains(kind), "{term} is not an {kind}");
        }
        assert!(TURTLE.contains(ODRL_PROFILE));
        assert!(TURTLE.contains(odrl::NS));
    }
}
