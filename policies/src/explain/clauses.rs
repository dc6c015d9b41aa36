//! A policy, clause by clause.

use std::borrow::Cow;

use oxrdf::Term;
use vocab::{cc, meent, odrl};

use super::conditions;
use super::{ClauseClass, Language, Text, name, purpose};
use crate::odrl::attached::hands_on;
use crate::odrl::query_action::AFTERWARDS;
use crate::odrl::{AtomicConstraint, Constraint, Duty, LogicalOperator, Operator, Policy, PolicyKind, Target};

/// One clause of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Where it stands, as in the reasons of a decision.
    pub path: String,
    /// A short sentence.
    pub text: String,
    /// How it is kept.
    pub class: ClauseClass,
}

/// Every clause of a policy, in order: permissions with their conditions and duties, then prohibitions, then duties of
/// the whole.
#[must_use]
pub fn policy(policy: &Policy, language: Language) -> Vec<Clause> {
    let mut list = List {
        language,
        clauses: Vec::new(),
    };
    if policy.kind == PolicyKind::Offer {
        let text = [
            "Dit is een aanbod. Het geeft nog geen toegang.",
            "Ceci est une offre. Elle ne donne pas encore accès.",
            "This is an offer. It does not give access yet.",
        ];
        list.add("policy", language.pick(text).to_owned(), ClauseClass::Technical);
    }
    if let Some(assignee) = &policy.assignee {
        let text = ["Alleen voor {}.", "Uniquement pour {}.", "Only for {}."];
        list.add("policy", language.fill(text, &assignee.id), ClauseClass::Technical);
    }
    for (index, rule) in policy.permissions.iter().enumerate() {
        let path = format!("permission[{index}]");
        let text = ["Mag: {}.", "Autorisé : {}.", "Allowed: {}."];
        let what = format!("{} {}", action(&rule.action.id, language), name(&rule.target.source));
        list.add(&path, language.fill(text, what), ClauseClass::Technical);
        list.scope(&path, &rule.target, false);
        list.constraints(&path, &rule.constraints);
        list.constraints(&path, &rule.action.refinements);
        list.duties(&path, "duty", &rule.duties);
    }
    for (index, rule) in policy.prohibitions.iter().enumerate() {
        let path = format!("prohibition[{index}]");
        let text = ["Mag niet: {}.", "Interdit : {}.", "Not allowed: {}."];
        let what = format!("{} {}", action(&rule.action.id, language), name(&rule.target.source));
        let action = rule.action.id.as_str();
        let class = if [cc::COMMERCIAL_USE, odrl::COMMERCIALIZE].contains(&action) {
            // A stated purpose that is commercial is refused; what is done afterwards nobody sees.
            ClauseClass::Attested
        } else if AFTERWARDS.contains(&action) || hands_on(action) {
            ClauseClass::Contract
        } else {
            ClauseClass::Technical
        };
        list.add(&path, language.fill(text, what), class);
        list.scope(&path, &rule.target, true);
        list.constraints(&path, &rule.constraints);
        list.constraints(&path, &rule.action.refinements);
        list.duties(&path, "remedy", &rule.remedies);
    }
    list.duties("policy", "obligation", &policy.obligations);
    list.clauses
}

fn action(iri: &str, language: Language) -> String {
    let text: Text = match iri {
        odrl::USE => ["gebruiken", "utiliser", "use"],
        odrl::READ => ["lezen", "lire", "read"],
        odrl::AGGREGATE => [
            "samenvatten tot cijfers",
            "agréger en chiffres",
            "aggregate into figures",
        ],
        odrl::DISTRIBUTE => ["verspreiden", "diffuser", "distribute"],
        odrl::SELL => ["verkopen", "vendre", "sell"],
        odrl::TRANSFER => ["doorgeven", "transférer", "pass on"],
        odrl::MODIFY => ["wijzigen", "modifier", "modify"],
        odrl::APPEND | odrl::APPEND_TO => ["aanvullen", "compléter", "add to"],
        odrl::WRITE | odrl::WRITE_TO => ["schrijven naar", "écrire dans", "write to"],
        odrl::SHARE | cc::SHARING => ["delen", "partager", "share"],
        cc::DISTRIBUTION => ["verspreiden", "diffuser", "distribute"],
        cc::COMMERCIAL_USE | odrl::COMMERCIALIZE => [
            "commercieel gebruiken",
            "utiliser à des fins commerciales",
            "use commercially",
        ],
        odrl::DELETE => ["wissen", "effacer", "delete"],
        odrl::REPRODUCE => ["kopiëren", "reproduire", "copy"],
        odrl::DERIVE => [
            "afleiden van nieuwe gegevens uit",
            "dériver de nouvelles données de",
            "derive new data from",
        ],
        _ => return format!("`{}`", name(iri)),
    };
    language.pick(text).to_owned()
}

struct List {
    language: Language,
    clauses: Vec<Clause>,
}

impl List {
    fn add(&mut self, path: &str, text: String, class: ClauseClass) {
        self.clauses.push(Clause {
            path: path.to_owned(),
            text,
            class,
        });
    }

    fn scope(&mut self, path: &str, target: &Target, prohibited: bool) {
        for (index, refinement) in target.refinements.iter().enumerate() {
            let path = format!("{path} target refinement[{index}]");
            let (text, class) = match refinement {
                Constraint::Atomic(atomic) if atomic.left_operand == meent::PROPERTY => {
                    let only = matches!(atomic.operator, Operator::Eq | Operator::IsAnyOf);
                    let text: Text = match (only, prohibited) {
                        (true, false) => [
                            "Alleen deze gegevens zijn zichtbaar: {}.",
                            "Seules ces données sont visibles : {}.",
                            "Only these data are visible: {}.",
                        ],
                        (true, true) | (false, false) => [
                            "Deze gegevens blijven verborgen: {}.",
                            "Ces données restent cachées : {}.",
                            "These data stay hidden: {}.",
                        ],
                        (false, true) => [
                            "Alles blijft verborgen behalve: {}.",
                            "Tout reste caché sauf : {}.",
                            "Everything stays hidden except: {}.",
                        ],
                    };
                    (
                        self.language.fill(text, values(atomic, self.language)),
                        ClauseClass::Technical,
                    )
                }
                other => (constraint(other, self.language), class(other)),
            };
            self.add(&path, text, class);
        }
    }

    fn constraints(&mut self, path: &str, constraints: &[Constraint]) {
        for (index, one) in constraints.iter().enumerate() {
            let text = constraint(one, self.language);
            self.add(&format!("{path} constraint[{index}]"), text, class(one));
        }
    }

    fn duties(&mut self, path: &str, kind: &str, duties: &[Duty]) {
        for (index, duty) in duties.iter().enumerate() {
            let at = if path == "policy" {
                format!("{kind}[{index}]")
            } else {
                format!("{path} {kind}[{index}]")
            };
            let (text, class) = self.duty(duty);
            self.add(&at, text, class);
        }
    }

    fn duty(&self, duty: &Duty) -> (String, ClauseClass) {
        let language = self.language;
        match duty.action.id.as_str() {
            meent::LOG => {
                let text = [
                    "Elk gebruik wordt opgetekend, ook voor wie de gegevens gaan.",
                    "Chaque utilisation est consignée, aussi pour les personnes concernées.",
                    "Every use is recorded, also for the people whom the data is about.",
                ];
                (language.pick(text).to_owned(), ClauseClass::Technical)
            }
            meent::AGGREGATE_ONLY => {
                let smallest = duty
                    .constraints
                    .iter()
                    .chain(&duty.action.refinements)
                    .find_map(|one| match one {
                        Constraint::Atomic(atomic) if atomic.left_operand == meent::DISTINCT_DATA_SUBJECTS => {
                            let strictly = if atomic.operator == Operator::Gt { "> " } else { "" };
                            Some(format!("{strictly}{}", values(atomic, language)))
                        }
                        _ => None,
                    });
                let text = [
                    "Alleen samengevatte cijfers, telkens over minstens {} personen.",
                    "Uniquement des chiffres agrégés, portant chaque fois sur au moins {} personnes.",
                    "Only summary figures, each over at least {} people.",
                ];
                let mut said = language.fill(text, smallest.as_deref().unwrap_or("1"));
                let conditions = duty.constraints.iter().chain(&duty.action.refinements);
                for atomic in conditions.filter_map(|one| match one {
                    Constraint::Atomic(atomic) if atomic.left_operand == meent::ROUNDED_TO => Some(atomic),
                    _ => None,
                }) {
                    let text = [
                        " Ze worden afgerond op veelvouden van {}.",
                        " Ils sont arrondis à des multiples de {}.",
                        " They are rounded to multiples of {}.",
                    ];
                    said.push_str(&language.fill(text, values(atomic, language)));
                }
                (said, ClauseClass::Technical)
            }
            action @ (meent::GENERALISE | meent::HASH | meent::DROP | meent::PSEUDONYMISE) => {
                (changed(action, duty, language), ClauseClass::Technical)
            }
            odrl::DELETE | odrl::NEXT_POLICY | odrl::ATTRIBUTE | cc::ATTRIBUTION | meent::MASK_KEYS => {
                conditions::duty(duty, language)
            }
            other => {
                let text = ["Verplichting: {}.", "Obligation : {}.", "Duty: {}."];
                (language.fill(text, action(other, language)), ClauseClass::Contract)
            }
        }
    }
}

/// What becomes of values before they are shown.
fn changed(action: &str, duty: &Duty, language: Language) -> String {
    let conditions = || duty.constraints.iter().chain(&duty.action.refinements);
    let of = |operand: &str| {
        conditions().find_map(|one| match one {
            Constraint::Atomic(atomic) if atomic.left_operand == operand => Some(values(atomic, language)),
            _ => None,
        })
    };
    let properties = of(meent::PROPERTY);
    let text: Text = match (action, properties.is_some()) {
        (meent::GENERALISE, _) => [
            "Deze gegevens worden alleen minder nauwkeurig getoond: {}.",
            "Ces données ne sont montrées que de façon moins précise : {}.",
            "These data are shown less precisely only: {}.",
        ],
        (meent::HASH, _) => [
            "Van deze gegevens wordt alleen een vingerafdruk getoond: {}.",
            "De ces données, seule une empreinte est montrée : {}.",
            "Of these data only a fingerprint is shown: {}.",
        ],
        (meent::DROP, _) => [
            "Deze gegevens worden weggelaten: {}.",
            "Ces données sont omises : {}.",
            "These data are left out: {}.",
        ],
        (_, true) => [
            "Deze gegevens worden vervangen door codes: {}.",
            "Ces données sont remplacées par des codes : {}.",
            "These data are replaced by codes: {}.",
        ],
        (_, false) => [
            "De namen van opslagplaatsen en documenten worden vervangen door codes.",
            "Les noms des espaces de stockage et des documents sont remplacés par des codes.",
            "The names of storages and documents are replaced by codes.",
        ],
    };
    let mut what = properties.unwrap_or_default();
    if let Some(precision) = of(meent::PRECISION) {
        what = format!("{what} ({precision})");
    }
    language.fill(text, what)
}

/// The class of a constraint: purposes are declared, the rest that is understood is enforced, what is not understood
/// refuses and so is enforced too.
fn class(constraint: &Constraint) -> ClauseClass {
    match constraint {
        Constraint::Atomic(atomic) if atomic.left_operand == odrl::PURPOSE => ClauseClass::Attested,
        Constraint::Atomic(atomic) if conditions::is_stated(&atomic.left_operand) => ClauseClass::Attested,
        Constraint::Atomic(_) => ClauseClass::Technical,
        Constraint::Logical(logical) => {
            let attested = logical
                .operands
                .iter()
                .any(|operand| class(operand) == ClauseClass::Attested);
            if attested {
                ClauseClass::Attested
            } else {
                ClauseClass::Technical
            }
        }
    }
}

pub(super) fn values(atomic: &AtomicConstraint, language: Language) -> String {
    let words: Vec<Cow<'_, str>> = atomic
        .right_operands
        .iter()
        .map(|term| match term {
            Term::NamedNode(node) => match atomic.left_operand.as_str() {
                odrl::RECIPIENT => node.as_str().into(),
                odrl::PURPOSE => purpose(node.as_str(), language).into(),
                _ => name(node.as_str()).into(),
            },
            Term::Literal(literal) => literal.value().into(),
            _ => "?".into(),
        })
        .collect();
    match (&atomic.right_operand_reference, words.is_empty()) {
        (Some(reference), true) => reference.clone(),
        _ => words.join(", "),
    }
}

fn constraint(constraint: &Constraint, language: Language) -> String {
    match constraint {
        Constraint::Atomic(one) => atomic(one, language),
        Constraint::Logical(logical) => {
            let text: Text = match logical.operator {
                LogicalOperator::And => ["Al deze samen: {}", "Tout ceci ensemble : {}", "All of these: {}"],
                LogicalOperator::Or => ["Minstens een van: {}", "Au moins un de : {}", "At least one of: {}"],
                LogicalOperator::Xone => ["Precies een van: {}", "Exactement un de : {}", "Exactly one of: {}"],
                LogicalOperator::AndSequence => [
                    "Al deze, in volgorde: {}",
                    "Tout ceci, dans l'ordre : {}",
                    "All of these, in order: {}",
                ],
            };
            let parts: Vec<String> = logical
                .operands
                .iter()
                .map(|operand| self::constraint(operand, language))
                .collect();
            language.fill(text, parts.join(" / "))
        }
    }
}

fn atomic(atomic: &AtomicConstraint, language: Language) -> String {
    use Operator as O;
    let text: Text = match (atomic.left_operand.as_str(), &atomic.operator) {
        (odrl::PURPOSE, O::Eq | O::IsAnyOf | O::IsAllOf) => [
            "Alleen met dit doel: {}.",
            "Uniquement dans ce but : {}.",
            "Only for this purpose: {}.",
        ],
        (odrl::PURPOSE, O::IsA | O::IsPartOf) => [
            "Alleen met dit doel of een onderdeel ervan: {}.",
            "Uniquement dans ce but ou une partie de celui-ci : {}.",
            "Only for this purpose or a part of it: {}.",
        ],
        (odrl::PURPOSE, O::Neq | O::IsNoneOf) => [
            "Niet met dit doel: {}.",
            "Pas dans ce but : {}.",
            "Not for this purpose: {}.",
        ],
        (odrl::RECIPIENT, O::Eq | O::IsAnyOf | O::IsAllOf) => [
            "Alleen voor deze ontvanger: {}.",
            "Uniquement pour ce destinataire : {}.",
            "Only for this recipient: {}.",
        ],
        (odrl::RECIPIENT, O::Neq | O::IsNoneOf) => [
            "Niet voor deze ontvanger: {}.",
            "Pas pour ce destinataire : {}.",
            "Not for this recipient: {}.",
        ],
        (odrl::DATE_TIME, O::Lt) => [
            "Tot {}, die niet meegerekend.",
            "Jusqu'à {} non compris.",
            "Until {}, not included.",
        ],
        (odrl::DATE_TIME, O::Lteq) => ["Tot en met {}.", "Jusqu'à {} compris.", "Until {}, included."],
        (odrl::DATE_TIME, O::Gt) => ["Alleen na {}.", "Seulement après {}.", "Only after {}."],
        (odrl::DATE_TIME, O::Gteq) => ["Vanaf {}.", "À partir de {}.", "From {} on."],
        (odrl::DATE_TIME, O::Eq) => ["Alleen op {}.", "Uniquement le {}.", "Only on {}."],
        (odrl::DATE_TIME, O::Neq) => ["Niet op {}.", "Pas le {}.", "Not on {}."],
        (odrl::COUNT, O::Lteq) => ["Hoogstens {} keer.", "Au plus {} fois.", "At most {} times."],
        (odrl::COUNT, O::Lt) => ["Minder dan {} keer.", "Moins de {} fois.", "Fewer than {} times."],
        (odrl::COUNT, O::Gt) => [
            "Na de eerste {} keer.",
            "Après les {} premières fois.",
            "After the first {} times.",
        ],
        (odrl::COUNT, O::Gteq) => [
            "Vanaf keer nummer {}.",
            "À partir de la fois numéro {}.",
            "From time number {} on.",
        ],
        (meent::DATA_SUBJECT_CONSENT, O::Eq) => [
            "Alleen van mensen die toestemming gaven.",
            "Uniquement de personnes qui ont donné leur consentement.",
            "Only of people who gave their consent.",
        ],
        (left, operator) => {
            if let Some(text) = conditions::condition(atomic, language) {
                return text;
            }
            let clause = format!("{} {} {}", name(left), name(operator.iri()), values(atomic, language));
            let text = [
                "Deze voorwaarde wordt niet begrepen, en houdt daarom toegang tegen: {}.",
                "Cette condition n'est pas comprise et bloque donc l'accès : {}.",
                "This condition is not understood, and therefore blocks access: {}.",
            ];
            return language.fill(text, clause);
        }
    };
    language.fill(text, values(atomic, language))
}
