//! Purposes as people say them.

use vocab::{dpv, meent};

use super::{Language, Text};

/// Those that people meet most; the vocabularies have hundreds.
const PURPOSES: [(&str, Text); 12] = [
    (
        meent::MOBILITY_PLANNING,
        ["mobiliteit plannen", "planifier la mobilité", "planning mobility"],
    ),
    (
        meent::BICYCLE_POLICY,
        ["fietsbeleid", "politique cyclable", "bicycle policy"],
    ),
    (
        meent::ROAD_SAFETY,
        ["verkeersveiligheid", "sécurité routière", "road safety"],
    ),
    (
        dpv::SCIENTIFIC_RESEARCH,
        [
            "wetenschappelijk onderzoek",
            "recherche scientifique",
            "scientific research",
        ],
    ),
    (
        dpv::RESEARCH_AND_DEVELOPMENT,
        [
            "onderzoek en ontwikkeling",
            "recherche et développement",
            "research and development",
        ],
    ),
    (
        dpv::PUBLIC_BENEFIT,
        ["algemeen belang", "intérêt général", "public benefit"],
    ),
    (
        dpv::IMPROVE_TRANSPORT_MOBILITY,
        [
            "vervoer en mobiliteit verbeteren",
            "améliorer le transport et la mobilité",
            "improving transport and mobility",
        ],
    ),
    (
        dpv::IMPROVE_PUBLIC_SERVICES,
        [
            "openbare diensten verbeteren",
            "améliorer les services publics",
            "improving public services",
        ],
    ),
    (
        dpv::PROVIDE_OFFICIAL_STATISTICS,
        [
            "officiële statistiek",
            "statistiques officielles",
            "official statistics",
        ],
    ),
    (dpv::MARKETING, ["reclame en verkoop", "marketing", "marketing"]),
    (
        dpv::SERVICE_PROVISION,
        ["een dienst leveren", "fournir un service", "providing a service"],
    ),
    (
        dpv::COMMERCIAL_PURPOSE,
        ["een commercieel doel", "un but commercial", "a commercial purpose"],
    ),
];

/// A purpose in words; the last part of its IRI, with its words apart, where there are none.
#[must_use]
pub fn purpose(iri: &str, language: Language) -> String {
    let known = PURPOSES.iter().find(|(known, _)| *known == iri);
    known.map_or_else(|| apart(super::name(iri)), |(_, text)| language.pick(*text).to_owned())
}

/// `EnforceSecurity` → `enforce security`.
fn apart(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words.replace(['-', '_'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_words_and_not_identifiers() {
        assert_eq!(purpose(meent::BICYCLE_POLICY, Language::Dutch), "fietsbeleid");
        assert_eq!(
            purpose("https://w3id.org/dpv#EnforceSecurity", Language::English),
            "enforce security"
        );
    }
}
