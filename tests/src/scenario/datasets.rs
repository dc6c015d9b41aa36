//! The datasets that the members offer, as their owners describe them.

use pod_server::dataspace::dataset::PUBLIC;

use super::neighbours::Neighbour;

/// The purpose that every offer of the scenario allows.
pub const PURPOSE: &str = "https://w3id.org/dpv#ResearchAndDevelopment";
/// A purpose that none of them allows.
pub const WRONG_PURPOSE: &str = "https://w3id.org/dpv#Marketing";
/// The property that the offer of Mechelen leaves out.
pub const OUTSIDE: &str = vocab::meent::AIR_TEMPERATURE;

const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> .
@prefix dpv: <https://w3id.org/dpv#> .
@prefix meent: <https://w3id.org/meent/ns#> .
@prefix sosa: <http://www.w3.org/ns/sosa/> .
@prefix time: <http://www.w3.org/2006/time#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
";

/// A description and where it goes.
#[derive(Clone, Debug)]
pub struct Description {
    /// Member whose owner describes it.
    pub member: &'static str,
    /// Name below `.dataspace/datasets/`.
    pub name: &'static str,
    /// Turtle.
    pub turtle: String,
}

/// All datasets: the two open registers, and the offers that need an agreement; given the base URL of each member's pod server.
#[must_use]
pub fn descriptions(base_url: &dyn Fn(&str) -> String) -> Vec<Description> {
    let purpose = "odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand dpv:ResearchAndDevelopment ]";
    let simple = |member: &'static str, name: &'static str, title: &str, container: &str, target: &str| {
        Description {
        member,
        name,
        turtle: format!(
            "{PREFIXES}<> a dcat:Dataset ; dcterms:title {title} ;
  meent:container <{base}{container}> ;
  meent:publishSummary true ; meent:automaticAgreement true ;
  odrl:hasPolicy [ a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:assigner <{base}{member}/profile/card#me> ;
    odrl:permission [ odrl:action odrl:use ; odrl:target {target} ; {purpose} ; odrl:duty [ odrl:action meent:log ] ] ] .",
            base = base_url(member),
        ),
    }
    };
    let open = |member: &'static str, name: &'static str, title: &str, container: &str| {
        Description {
        member,
        name,
        turtle: format!(
            "{PREFIXES}<> a dcat:Dataset ; dcterms:title {title} ; meent:container <{}{container}> ; meent:publishSummary true ;
  dcterms:accessRights <{PUBLIC}> .",
            base_url(member),
        ),
    }
    };
    vec![
        open("abb", "register", "\"Register van gemeenten\"@nl , \"Registre des communes\"@fr , \"Register of municipalities\"@en", "abb/register/"),
        open("statbel", "ongevallen", "\"Verkeersslachtoffers\"@nl , \"Victimes de la route\"@fr , \"Road casualties\"@en", "statbel/ongevallen/"),
        simple("gent", "fietstellingen", "\"Fietstellingen Gent\"@nl , \"Comptages vélo Gand\"@fr , \"Bicycle counts Gent\"@en", "gent/fietstellingen/", "<>"),
        simple("brugge", "tellingen", "\"Fietstellingen Brugge\"@nl , \"Comptages vélo Bruges\"@fr , \"Bicycle counts Brugge\"@en", "brugge/tellingen/", "<>"),
        simple(
            "mechelen",
            "parkeren",
            "\"Bezetting van parkings\"@nl , \"Occupation des parkings\"@fr , \"Occupancy of car parks\"@en",
            "mechelen/parkeren/",
            "[ a odrl:AssetCollection ; odrl:source <> ; odrl:refinement [ odrl:leftOperand meent:property ; odrl:operator odrl:isAnyOf ; \
             odrl:rightOperand rdf:type , sosa:observedProperty , sosa:hasFeatureOfInterest , sosa:resultTime , sosa:hasSimpleResult , dcterms:spatial , rdfs:label ] ]",
        ),
        Description {
            member: "kortrijk",
            name: "telraam",
            turtle: format!(
                "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Telraamtellingen van burgers\"@nl , \"Comptages des citoyens\"@fr , \"Citizens' traffic counts\"@en ;
  meent:memberContainer \"telraam/\" ;
  meent:publishSummary true ; meent:automaticAgreement true ;
  odrl:hasPolicy [ a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:assigner <{kortrijk}kortrijk/profile/card#me> ;
    odrl:permission [ odrl:action odrl:use ; odrl:target <> ; {purpose} ;
      odrl:constraint [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ;
      odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint [ odrl:leftOperand meent:distinctDataSubjects ; odrl:operator odrl:gteq ; odrl:rightOperand 5 ] ] ;
      odrl:duty [ odrl:action meent:log ] ] ] .",
                kortrijk = base_url("kortrijk"),
            ),
        },
    ]
}

/// The offer of a generated municipality, on the terms of the real ones.
#[must_use]
pub fn hosted(base_url: &str, neighbour: &Neighbour) -> String {
    let (label, storage) = (&neighbour.label, &neighbour.storage);
    let container = neighbour.container();
    format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Fietstellingen {label}\"@nl , \"Bicycle counts {label}\"@en ;
  meent:container <{base_url}{}> ; meent:publishSummary true ; meent:automaticAgreement true ;
  odrl:hasPolicy [ a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:assigner <{base_url}{storage}/profile/card#me> ;
    odrl:permission [ odrl:action odrl:use ; odrl:target <> ;
      odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand dpv:ResearchAndDevelopment ] ;
      odrl:duty [ odrl:action meent:log ] ] ] .",
        container.trim_start_matches('/'),
    )
}

/// The same data, open to anyone.
#[must_use]
pub fn opened(base_url: &str, neighbour: &Neighbour) -> String {
    let label = &neighbour.label;
    let container = neighbour.container();
    format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Fietstellingen {label}\"@nl , \"Bicycle counts {label}\"@en ;
  meent:container <{base_url}{}> ; meent:publishSummary true ; dcterms:accessRights <{PUBLIC}> .",
        container.trim_start_matches('/'),
    )
}

/// An offer that has ended already: for showing that an expired agreement gives nothing.
#[must_use]
pub fn short_lived(base_url: &str, until: &str) -> String {
    format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Kort aanbod\"@nl , \"Short offer\"@en ;
  meent:container <{base_url}mechelen/parkeren/> ; meent:automaticAgreement true ;
  odrl:hasPolicy [ a odrl:Offer ; odrl:assigner <{base_url}mechelen/profile/card#me> ; odrl:permission [ odrl:action odrl:use ; odrl:target <> ;
    odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; odrl:rightOperand \"{until}\"^^xsd:dateTime ] ] ] ."
    )
}
