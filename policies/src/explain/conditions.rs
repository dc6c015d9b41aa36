//! Conditions that the owner's statements, the course of an agreement or the channel answer, and duties that are followed up
//! or sent along, in plain words.

use vocab::{cc, meent, odrl};

use super::clauses::values;
use super::{ClauseClass, Language, Text};
use crate::odrl::circumstance::STATED;
use crate::odrl::{AtomicConstraint, Constraint, Duty, Operator};

/// Whether a condition rests on what somebody says: the owner about the world and the other party, or the application
/// about itself.
pub(super) fn is_stated(operand: &str) -> bool {
    STATED.contains(&operand) || operand == odrl::SYSTEM
}

/// A condition in a sentence; none for one that is not judged here.
pub(super) fn condition(atomic: &AtomicConstraint, language: Language) -> Option<String> {
    use Operator as O;
    let positive = matches!(atomic.operator, O::Eq | O::IsA | O::IsAnyOf | O::IsAllOf | O::IsPartOf);
    let negative = matches!(atomic.operator, O::Neq | O::IsNoneOf);
    if !positive && !negative {
        return measured(atomic, language);
    }
    let text: Text = match (atomic.left_operand.as_str(), positive) {
        (odrl::EVENT, true) => [
            "Alleen zolang dit geldt, volgens de eigenaar: {}.",
            "Seulement tant que ceci vaut, selon le propriétaire : {}.",
            "Only while this holds, by the owner's word: {}.",
        ],
        (odrl::EVENT, false) => [
            "Niet zolang dit geldt, volgens de eigenaar: {}.",
            "Pas tant que ceci vaut, selon le propriétaire : {}.",
            "Not while this holds, by the owner's word: {}.",
        ],
        (odrl::SPATIAL, true) => [
            "Alleen voor gebruik in: {}.",
            "Uniquement pour une utilisation à : {}.",
            "Only for use in: {}.",
        ],
        (odrl::SPATIAL, false) => [
            "Niet voor gebruik in: {}.",
            "Pas pour une utilisation à : {}.",
            "Not for use in: {}.",
        ],
        (odrl::INDUSTRY, true) => [
            "Alleen voor deze sector: {}.",
            "Uniquement pour ce secteur : {}.",
            "Only for this sector: {}.",
        ],
        (odrl::INDUSTRY, false) => [
            "Niet voor deze sector: {}.",
            "Pas pour ce secteur : {}.",
            "Not for this sector: {}.",
        ],
        (odrl::SYSTEM, true) => [
            "Alleen met deze toepassing: {}.",
            "Uniquement avec cette application : {}.",
            "Only with this application: {}.",
        ],
        (odrl::SYSTEM, false) => [
            "Niet met deze toepassing: {}.",
            "Pas avec cette application : {}.",
            "Not with this application: {}.",
        ],
        (odrl::DELIVERY_CHANNEL, true) if names(atomic, meent::ENCRYPTED_TRANSPORT) => [
            "Antwoorden vertrekken alleen versleuteld.{}",
            "Les réponses ne partent que chiffrées.{}",
            "Answers leave encrypted only.{}",
        ],
        (odrl::PAY_AMOUNT, _) => return measured(atomic, language),
        (left, positive) if STATED.contains(&left) || left == odrl::DELIVERY_CHANNEL => {
            let text: Text = match positive {
                true => [
                    "Alleen met dit kenmerk ({}).",
                    "Uniquement avec cette caractéristique ({}).",
                    "Only with this characteristic ({}).",
                ],
                false => [
                    "Niet met dit kenmerk ({}).",
                    "Pas avec cette caractéristique ({}).",
                    "Not with this characteristic ({}).",
                ],
            };
            return Some(language.fill(text, format!("{}: {}", super::name(left), values(atomic, language))));
        }
        _ => return measured(atomic, language),
    };
    let about = match atomic.left_operand.as_str() {
        odrl::DELIVERY_CHANNEL => String::new(),
        // An application is known by its whole address.
        odrl::SYSTEM => whole(atomic),
        _ => values(atomic, language),
    };
    Some(language.fill(text, about))
}

/// Conditions on amounts and times.
fn measured(atomic: &AtomicConstraint, language: Language) -> Option<String> {
    use Operator as O;
    let text: Text = match (atomic.left_operand.as_str(), &atomic.operator) {
        (odrl::PAY_AMOUNT, O::Eq | O::Gteq) => [
            "Pas na betaling van {}, volgens de eigenaar.",
            "Seulement après paiement de {}, selon le propriétaire.",
            "Only after payment of {}, by the owner's word.",
        ],
        (odrl::ELAPSED_TIME, O::Eq | O::Lt | O::Lteq) => [
            "Hoogstens {} lang, vanaf het eerste gebruik.",
            "Pendant {} au plus, dès la première utilisation.",
            "For {} at most, from the first use on.",
        ],
        (odrl::TIME_INTERVAL, O::Eq | O::Gt | O::Gteq) => [
            "Hoogstens één keer per {}.",
            "Au plus une fois par {}.",
            "At most once in {}.",
        ],
        (odrl::DELAY_PERIOD, O::Eq | O::Gt | O::Gteq) => [
            "Pas {} na de overeenkomst.",
            "Seulement {} après l'accord.",
            "Only {} after the agreement.",
        ],
        _ => return None,
    };
    let mut what = period(&values(atomic, language), language);
    if let (odrl::PAY_AMOUNT, Some(unit)) = (atomic.left_operand.as_str(), &atomic.unit) {
        what = format!("{what} {}", super::name(unit));
    }
    Some(language.fill(text, what))
}

/// A duty to delete, or one that is fulfilled by what goes along with the answer or by how a join is carried out.
pub(super) fn duty(duty: &Duty, language: Language) -> (String, ClauseClass) {
    match duty.action.id.as_str() {
        odrl::NEXT_POLICY => {
            let target = duty.target.as_ref().map_or("", |target| target.source.as_str());
            let text = [
                "Wie de gegevens verder krijgt, is gebonden aan: {}. Dat staat bij elk antwoord.",
                "Quiconque reçoit ensuite les données est lié par : {}. Chaque réponse le mentionne.",
                "Whoever gets the data next is bound by: {}. Each answer says so.",
            ];
            (language.fill(text, target), ClauseClass::Contract)
        }
        odrl::ATTRIBUTE | cc::ATTRIBUTION => {
            let text = [
                "De bron moet vermeld worden. Ze staat bij elk antwoord.",
                "La source doit être mentionnée. Elle figure avec chaque réponse.",
                "The source has to be named. It goes along with each answer.",
            ];
            (language.pick(text).to_owned(), ClauseClass::Contract)
        }
        meent::MASK_KEYS => {
            let text = [
                "Namen uit deze gegevens bereiken andere eigenaars alleen afgeschermd, wanneer gegevens verbonden worden.",
                "Lors d'une jointure, les noms de ces données n'atteignent d'autres propriétaires que masqués.",
                "Where data are joined, names from these data reach other owners only behind a mask.",
            ];
            (language.pick(text).to_owned(), ClauseClass::Attested)
        }
        _ => {
            let mut conditions = duty.constraints.iter().chain(&duty.action.refinements);
            let when = conditions.find_map(|one| match one {
                Constraint::Atomic(atomic) => Some((atomic.left_operand == odrl::DATE_TIME, values(atomic, language))),
                Constraint::Logical(_) => None,
            });
            let (text, when): (Text, String) = match when {
                Some((true, day)) => (
                    [
                        "Wissen ten laatste op {}, en dat bevestigen. Wie dat niet doet, krijgt niets meer.",
                        "Effacer au plus tard le {}, et le confirmer. Qui ne le fait pas ne reçoit plus rien.",
                        "Delete by {} at the latest, and confirm it. Whoever does not gets nothing more.",
                    ],
                    day,
                ),
                found => (
                    [
                        "Wissen binnen {} na ontvangst, en dat bevestigen. Wie dat niet doet, krijgt niets meer.",
                        "Effacer dans les {} après réception, et le confirmer. Qui ne le fait pas ne reçoit plus rien.",
                        "Delete within {} of receipt, and confirm it. Whoever does not gets nothing more.",
                    ],
                    period(&found.map(|(_, time)| time).unwrap_or_default(), language),
                ),
            };
            (language.fill(text, when), ClauseClass::Attested)
        }
    }
}

fn names(atomic: &AtomicConstraint, iri: &str) -> bool {
    let named = |term: &oxrdf::Term| matches!(term, oxrdf::Term::NamedNode(node) if node.as_str() == iri);
    atomic.right_operands.iter().any(named)
}

fn whole(atomic: &AtomicConstraint) -> String {
    let words: Vec<&str> = atomic
        .right_operands
        .iter()
        .map(|term| match term {
            oxrdf::Term::NamedNode(node) => node.as_str(),
            oxrdf::Term::Literal(literal) => literal.value(),
            _ => "?",
        })
        .collect();
    words.join(", ")
}

/// `P30D` and `PT12H` in words; anything finer as it stands.
fn period(text: &str, language: Language) -> String {
    let number = |prefix: &str, suffix: char| {
        let number: Option<u64> = text.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok();
        number
    };
    let named = |number: u64, one: Text, many: Text| {
        format!("{number} {}", language.pick(if number == 1 { one } else { many }))
    };
    if let Some(days) = number("P", 'D') {
        return named(days, ["dag", "jour", "day"], ["dagen", "jours", "days"]);
    }
    if let Some(hours) = number("PT", 'H') {
        return named(hours, ["uur", "heure", "hour"], ["uur", "heures", "hours"]);
    }
    if let Some(minutes) = number("PT", 'M') {
        return named(
            minutes,
            ["minuut", "minute", "minute"],
            ["minuten", "minutes", "minutes"],
        );
    }
    text.to_owned()
}
