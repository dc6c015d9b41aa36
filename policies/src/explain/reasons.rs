//! A decision, reason by reason.

use std::borrow::Cow;

use super::{Language, Text, name, purpose};
use crate::decision::{Decision, Effect, Obligation, Reason, ReasonCode};

/// A decision in short sentences: the outcome, why, and what comes with it.
#[must_use]
pub fn decision(decision: &Decision, language: Language) -> Vec<String> {
    let outcome: Text = match decision.effect {
        Effect::Permit => ["Toegestaan.", "Autorisé.", "Allowed."],
        Effect::Deny => ["Geweigerd.", "Refusé.", "Refused."],
        Effect::NotApplicable => [
            "Geweigerd: geen regel spreekt hierover.",
            "Refusé : aucune règle n'en parle.",
            "Refused: no rule speaks about this.",
        ],
        Effect::Indeterminate => [
            "Geweigerd: dit kon niet worden beoordeeld.",
            "Refusé : ceci n'a pas pu être évalué.",
            "Refused: this could not be judged.",
        ],
    };
    let mut sentences = vec![language.pick(outcome).to_owned()];
    sentences.extend(decision.reasons.iter().map(|one| reason(one, language)));
    for obligation in &decision.obligations {
        sentences.push(match obligation {
            Obligation::AggregateOnly { subjects_min } => language.fill(
                [
                    "Alleen samengevatte cijfers over minstens {} personen gaan naar buiten.",
                    "Seuls des chiffres agrégés sur au moins {} personnes sont communiqués.",
                    "Only summary figures over at least {} people leave.",
                ],
                subjects_min,
            ),
            Obligation::Round { base } => language.fill(
                [
                    "De cijfers worden afgerond op veelvouden van {}.",
                    "Les chiffres sont arrondis à des multiples de {}.",
                    "The figures are rounded to multiples of {}.",
                ],
                base,
            ),
            Obligation::Log => language
                .pick([
                    "Het gebruik wordt opgetekend.",
                    "L'utilisation est consignée.",
                    "The use is recorded.",
                ])
                .to_owned(),
            Obligation::ChangeValues => language
                .pick([
                    "Sommige gegevens worden minder nauwkeurig of als code getoond.",
                    "Certaines données sont montrées de façon moins précise ou sous forme de code.",
                    "Some data are shown less precisely or as codes.",
                ])
                .to_owned(),
        });
    }
    if let Some(until) = decision.valid_until {
        let text = ["Dit geldt tot {}.", "Ceci vaut jusqu'au {}.", "This holds until {}."];
        let instant = until.format(&time::format_description::well_known::Rfc3339);
        sentences.push(language.fill(text, instant.unwrap_or_else(|_| until.to_string())));
    }
    sentences
}

/// One reason as a sentence.
#[must_use]
pub fn reason(reason: &Reason, language: Language) -> String {
    let text = sentence(reason.code);
    // Short names for terms; who and where stay whole, because their last part would say nothing.
    let about = match reason.code {
        ReasonCode::PurposeNotPermitted => purpose(&reason.about, language).into(),
        ReasonCode::UnknownLeftOperand
        | ReasonCode::UnknownAction
        | ReasonCode::UnknownDuty
        | ReasonCode::UnknownTerm
        | ReasonCode::DutyNotFulfilled
        | ReasonCode::ObligationViolated
        | ReasonCode::UnknownRefinement => Cow::from(name(&reason.about)),
        _ => reason.about.as_str().into(),
    };
    let filled = language.fill(text, about);
    match &reason.rule {
        Some(rule) => format!("{filled} ({rule})"),
        None => filled,
    }
}

fn sentence(code: ReasonCode) -> Text {
    use ReasonCode as R;
    match code {
        R::AclGrants => [
            "De toegangslijst van {} laat dit toe.",
            "La liste d'accès de {} le permet.",
            "The access list of {} allows this.",
        ],
        R::AclDoesNotGrant => [
            "De toegangslijst geeft dit recht niet: {}.",
            "La liste d'accès ne donne pas ce droit : {}.",
            "The access list does not give this right: {}.",
        ],
        R::AclMissing => [
            "Er is geen toegangslijst voor {}.",
            "Il n'y a pas de liste d'accès pour {}.",
            "There is no access list for {}.",
        ],
        R::AclBroken => [
            "De toegangslijst is onleesbaar: {}.",
            "La liste d'accès est illisible : {}.",
            "The access list cannot be read: {}.",
        ],
        R::GroupUnavailable => [
            "De leden van groep {} zijn nu niet bekend.",
            "Les membres du groupe {} ne sont pas connus pour l'instant.",
            "The members of group {} are not known now.",
        ],
        R::AgreementNotNamed => [
            "De vraag noemt geen overeenkomst.",
            "La demande ne cite aucun accord.",
            "The request names no agreement.",
        ],
        R::AgreementMissing => [
            "De overeenkomst {} bestaat hier niet.",
            "L'accord {} n'existe pas ici.",
            "The agreement {} does not exist here.",
        ],
        R::AgreementNotActive => [
            "De overeenkomst is niet van kracht: {}.",
            "L'accord n'est pas en vigueur : {}.",
            "The agreement is not in force: {}.",
        ],
        R::PolicyNotAgreement => [
            "{} is maar een aanbod, en een aanbod geeft geen toegang.",
            "{} n'est qu'une offre, et une offre ne donne pas accès.",
            "{} is only an offer, and an offer gives no access.",
        ],
        R::PolicyInvalid => [
            "Het beleid klopt niet: {}.",
            "La politique est incorrecte : {}.",
            "The policy is not valid: {}.",
        ],
        R::ProfileUnknown => [
            "Het beleid gebruikt een onbekend profiel: {}.",
            "La politique utilise un profil inconnu : {}.",
            "The policy uses an unknown profile: {}.",
        ],
        R::DatasetMissing => [
            "De dataset {} bestaat niet of is leeg.",
            "Le jeu de données {} n'existe pas ou est vide.",
            "The dataset {} does not exist or covers nothing.",
        ],
        R::AssigneeMismatch => [
            "De overeenkomst is met iemand anders gesloten dan {}.",
            "L'accord n'est pas conclu avec {}.",
            "The agreement is not with {}.",
        ],
        R::ActionNotPermitted => [
            "Deze handeling is niet toegestaan: {}.",
            "Cette action n'est pas autorisée : {}.",
            "This action is not permitted: {}.",
        ],
        R::PurposeNotPermitted => [
            "Dit doel is niet afgesproken: {}.",
            "Ce but n'est pas convenu : {}.",
            "This purpose is not agreed: {}.",
        ],
        R::PurposeMissing => [
            "Er is geen doel opgegeven.",
            "Aucun but n'est indiqué.",
            "No purpose was stated.",
        ],
        R::OutsidePeriod => [
            "Buiten de afgesproken periode: {}.",
            "En dehors de la période convenue : {}.",
            "Outside the agreed period: {}.",
        ],
        R::RecipientNotPermitted => [
            "Deze ontvanger is niet afgesproken: {}.",
            "Ce destinataire n'est pas convenu : {}.",
            "This recipient is not agreed: {}.",
        ],
        R::ConstraintNotSatisfied => [
            "Aan een voorwaarde is niet voldaan: {}.",
            "Une condition n'est pas remplie : {}.",
            "A condition is not met: {}.",
        ],
        R::Prohibited => [
            "Een verbod geldt.",
            "Une interdiction s'applique.",
            "A prohibition applies.",
        ],
        R::ProhibitionUnknown => [
            "Een verbod kan gelden, en dat is niet na te gaan: {}.",
            "Une interdiction peut s'appliquer et cela ne peut être vérifié : {}.",
            "A prohibition may apply, and that cannot be checked: {}.",
        ],
        R::UnknownLeftOperand => [
            "Dit begrip is onbekend: {}.",
            "Cette notion est inconnue : {}.",
            "This term is unknown: {}.",
        ],
        R::UnknownOperator => [
            "Deze vergelijking heeft hier geen betekenis: {}.",
            "Cette comparaison n'a pas de sens ici : {}.",
            "This comparison has no meaning here: {}.",
        ],
        R::UnknownRightOperand => [
            "Deze waarde is onbruikbaar: {}.",
            "Cette valeur est inutilisable : {}.",
            "This value cannot be used: {}.",
        ],
        R::UnknownAction => [
            "Deze handeling is onbekend: {}.",
            "Cette action est inconnue : {}.",
            "This action is unknown: {}.",
        ],
        R::UnknownDuty => [
            "Deze verplichting kan hier niet worden uitgevoerd: {}.",
            "Cette obligation ne peut être remplie ici : {}.",
            "This duty cannot be carried out here: {}.",
        ],
        R::UnknownTerm => [
            "De regel bevat {}, wat hier niet begrepen wordt.",
            "La règle contient {}, qui n'est pas compris ici.",
            "The rule contains {}, which is not understood here.",
        ],
        R::DutyNotFulfilled => [
            "Eerst moet deze plicht vervuld zijn: {}.",
            "Ce devoir doit d'abord être rempli : {}.",
            "This duty must be fulfilled first: {}.",
        ],
        R::ObligationViolated => [
            "Deze verplichting is niet op tijd nagekomen: {}.",
            "Cette obligation n'a pas été respectée à temps : {}.",
            "This obligation was not met in time: {}.",
        ],
        R::UnknownRefinement => [
            "Deze afbakening is onbekend: {}.",
            "Cette délimitation est inconnue : {}.",
            "This limitation is unknown: {}.",
        ],
        R::UnknownCollection => [
            "Deze groep kan niet worden nagegaan: {}.",
            "Ce groupe ne peut être vérifié : {}.",
            "This group cannot be checked: {}.",
        ],
        R::NothingVisible => [
            "Er blijft niets zichtbaar over.",
            "Il ne reste rien de visible.",
            "Nothing visible is left.",
        ],
        R::FactUnavailable => [
            "Iets wat nodig is om te beslissen is nu niet te achterhalen: {}.",
            "Un élément nécessaire à la décision est indisponible : {}.",
            "Something needed to decide cannot be found out now: {}.",
        ],
        R::PermissionActive => [
            "De overeenkomst laat dit toe.",
            "L'accord le permet.",
            "The agreement allows this.",
        ],
        R::ConsentRequired => [
            "Alleen gegevens van mensen die hiervoor toestemming gaven tellen mee.",
            "Seules comptent les données des personnes qui y ont consenti.",
            "Only data of people who consented to this count.",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{ClauseClass, policy};
    use crate::odrl::{OdrlLimits, parse_turtle};

    #[test]
    fn languages_by_tag() {
        for (tag, language) in [
            ("nl", Language::Dutch),
            ("fr-BE", Language::French),
            ("EN", Language::English),
            ("de", Language::Dutch),
            ("", Language::Dutch),
        ] {
            assert_eq!(Language::from_tag(tag), language, "{tag}");
        }
    }

    #[test]
    fn a_refusal_says_why_in_each_language() {
        let refusal = Decision::refuse(
            Effect::Deny,
            Reason::new(ReasonCode::PurposeNotPermitted, vocab::dpv::MARKETING),
        );
        for (language, expected) in [
            (
                Language::Dutch,
                ["Geweigerd.", "Dit doel is niet afgesproken: reclame en verkoop."],
            ),
            (Language::French, ["Refusé.", "Ce but n'est pas convenu : marketing."]),
            (
                Language::English,
                ["Refused.", "This purpose is not agreed: marketing."],
            ),
        ] {
            assert_eq!(decision(&refusal, language), expected);
        }
    }

    /// Every clause is shown with its class; what is not understood is shown too.
    ///
    /// Requirements ODR-25.
    #[test]
    fn a_policy_in_words() {
        let text = r#"
            @prefix odrl: <http://www.w3.org/ns/odrl/2/> .
            @prefix meent: <https://w3id.org/meent/ns#> .
            @prefix dpv: <https://w3id.org/dpv#> .
            <https://a.example/agreement> a odrl:Agreement ;
                odrl:assigner <https://a.example/#me> ; odrl:assignee <https://b.example/#me> ;
                odrl:permission [ odrl:target <https://a.example/datasets/counts> ; odrl:action odrl:use ;
                    odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ,
                        [ odrl:leftOperand odrl:media ; odrl:operator odrl:eq ; odrl:rightOperand <https://a.example/Print> ] ;
                    odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint
                        [ odrl:leftOperand meent:distinctDataSubjects ; odrl:operator odrl:gteq ; odrl:rightOperand 5 ] ] ] ;
                odrl:prohibition [ odrl:target <https://a.example/datasets/counts> ; odrl:action odrl:sell ] .
        "#;
        let policies = parse_turtle(text.as_bytes(), "https://a.example/", &OdrlLimits::default()).unwrap();
        let clauses = policy(&policies[0], Language::English);
        let found: Vec<(&str, ClauseClass)> = clauses.iter().map(|c| (c.text.as_str(), c.class)).collect();
        assert_eq!(
            found,
            [
                ("Only for https://b.example/#me.", ClauseClass::Technical),
                ("Allowed: use counts.", ClauseClass::Technical),
                (
                    "Only for this purpose or a part of it: planning mobility.",
                    ClauseClass::Attested
                ),
                (
                    "This condition is not understood, and therefore blocks access: media eq Print.",
                    ClauseClass::Technical
                ),
                (
                    "Only summary figures, each over at least 5 people.",
                    ClauseClass::Technical
                ),
                ("Not allowed: sell counts.", ClauseClass::Contract),
            ]
        );
        for language in Language::ALL {
            let in_words = policy(&policies[0], language);
            assert_eq!(in_words.len(), clauses.len());
            assert!(in_words.iter().all(|clause| !clause.text.contains("{}")));
        }
    }
}
