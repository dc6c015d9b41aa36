//! Reading rules and duties, and expanding compact ones to atomic ones.

use oxrdf::Term;
use vocab::odrl;

use super::model::{Action, Constraint, Duty, Party, Permission, Policy, Prohibition, Target};
use super::parse::{ParseError, Reader, Statements, at, iri, is_remark, too_large};

/// Parties, targets and actions given for a policy as a whole.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) targets: Vec<Target>,
    pub(super) actions: Vec<Action>,
    pub(super) assigners: Vec<Party>,
    pub(super) assignees: Vec<Party>,
}

/// What a rule holds before it is expanded to atomic ones.
#[derive(Default)]
struct RawRule {
    id: Option<String>,
    shared: Shared,
    constraints: Vec<Constraint>,
    duties: Vec<Duty>,
    remedies: Vec<Duty>,
    consequences: Vec<Duty>,
    parties: Vec<(String, Party)>,
    unknown: Vec<String>,
}

/// The functions of parties in a duty, besides assigner and assignee.
const FUNCTIONS: [&str; 12] = [
    odrl::ATTRIBUTED_PARTY,
    odrl::ATTRIBUTING_PARTY,
    odrl::COMPENSATED_PARTY,
    odrl::COMPENSATING_PARTY,
    odrl::CONSENTED_PARTY,
    odrl::CONSENTING_PARTY,
    odrl::CONTRACTED_PARTY,
    odrl::CONTRACTING_PARTY,
    odrl::INFORMED_PARTY,
    odrl::INFORMING_PARTY,
    odrl::TRACKED_PARTY,
    odrl::TRACKING_PARTY,
];

impl<'q> Reader<'q> {
    pub(super) fn rules(
        &mut self,
        statements: &Statements<'q>,
        path: &str,
        shared: &Shared,
        policy: &mut Policy,
    ) -> Result<(), ParseError> {
        let (mut permission, mut prohibition, mut obligation) = (0usize, 0usize, 0usize);
        for (predicate, object) in statements {
            match *predicate {
                odrl::PERMISSION => {
                    let path = format!("{path} permission[{permission}]");
                    permission += 1;
                    let rule = self.rule(object, &path, 0)?;
                    if !rule.remedies.is_empty() || !rule.consequences.is_empty() {
                        return Err(at(&path, "a permission has neither odrl:remedy nor odrl:consequence"));
                    }
                    self.expand(&rule, shared, &path, |atomic| {
                        policy.permissions.push(Permission {
                            id: atomic.id,
                            target: atomic.target,
                            assigner: atomic.assigner,
                            assignee: atomic.assignee,
                            action: atomic.action,
                            constraints: atomic.constraints,
                            duties: rule.duties.clone(),
                            unknown: rule.unknown.clone(),
                        });
                        policy.rules()
                    })?;
                }
                odrl::PROHIBITION => {
                    let path = format!("{path} prohibition[{prohibition}]");
                    prohibition += 1;
                    let rule = self.rule(object, &path, 0)?;
                    if !rule.duties.is_empty() || !rule.consequences.is_empty() {
                        return Err(at(&path, "a prohibition has neither odrl:duty nor odrl:consequence"));
                    }
                    self.expand(&rule, shared, &path, |atomic| {
                        policy.prohibitions.push(Prohibition {
                            id: atomic.id,
                            target: atomic.target,
                            assigner: atomic.assigner,
                            assignee: atomic.assignee,
                            action: atomic.action,
                            constraints: atomic.constraints,
                            remedies: rule.remedies.clone(),
                            unknown: rule.unknown.clone(),
                        });
                        policy.rules()
                    })?;
                }
                odrl::OBLIGATION => {
                    let path = format!("{path} obligation[{obligation}]");
                    obligation += 1;
                    let duty = self.duty(object, &path, 0)?;
                    policy.obligations.push(duty);
                    if policy.rules() > self.limits.rules_max {
                        return Err(too_large("rules", "rules_max", self.limits.rules_max));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a statement that may stand on a policy or on a rule; false when it is something else.
    pub(super) fn shared(
        &mut self,
        predicate: &str,
        object: &Term,
        path: &str,
        into: &mut Shared,
    ) -> Result<bool, ParseError> {
        match predicate {
            odrl::TARGET => {
                let target = self.target(object, path)?;
                into.targets.push(target);
            }
            odrl::ACTION => {
                let action = self.action(object, path)?;
                into.actions.push(action);
            }
            odrl::ASSIGNER => {
                let party = self.party(object, path)?;
                into.assigners.push(party);
            }
            odrl::ASSIGNEE => {
                let party = self.party(object, path)?;
                into.assignees.push(party);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn rule(&mut self, term: &Term, path: &str, depth: usize) -> Result<RawRule, ParseError> {
        self.enter(depth)?;
        let flagged_before = self.flagged.len();
        let mut rule = RawRule::default();
        match term {
            Term::NamedNode(node) => rule.id = Some(node.as_str().to_owned()),
            Term::BlankNode(_) => {}
            other => return Err(at(path, format!("a rule must be a node, not `{other}`"))),
        }
        let statements = self.node_statements(term);
        if statements.is_empty() {
            return Err(at(path, "the rule says nothing: it is named and not described"));
        }
        for (predicate, object) in statements {
            match predicate {
                vocab::rdf::TYPE => {}
                odrl::UID => rule.id = Some(iri(object, path, "odrl:uid")?.to_owned()),
                odrl::CONSTRAINT => {
                    let path = format!("{path} constraint[{}]", rule.constraints.len());
                    let constraint = self.constraint(object, &path, depth + 1)?;
                    rule.constraints.push(constraint);
                }
                odrl::DUTY => {
                    let duty = self.duty(object, &format!("{path} duty[{}]", rule.duties.len()), depth + 1)?;
                    rule.duties.push(duty);
                }
                odrl::REMEDY => {
                    let duty = self.duty(object, &format!("{path} remedy[{}]", rule.remedies.len()), depth + 1)?;
                    rule.remedies.push(duty);
                }
                odrl::CONSEQUENCE => {
                    let path = format!("{path} consequence[{}]", rule.consequences.len());
                    let duty = self.duty(object, &path, depth + 1)?;
                    rule.consequences.push(duty);
                }
                other if is_remark(other) => {}
                other if FUNCTIONS.contains(&other) => {
                    let party = self.party(object, path)?;
                    rule.parties.push((other.to_owned(), party));
                }
                other => {
                    if !self.shared(other, object, path, &mut rule.shared)? {
                        self.unknown(path, other)?;
                    }
                }
            }
        }
        rule.unknown = self.flagged.split_off(flagged_before);
        Ok(rule)
    }

    fn duty(&mut self, term: &Term, path: &str, depth: usize) -> Result<Duty, ParseError> {
        let rule = self.rule(term, path, depth)?;
        let [action] = rule.shared.actions.as_slice() else {
            return Err(at(path, "a duty has exactly one odrl:action"));
        };
        if !rule.duties.is_empty() || !rule.remedies.is_empty() {
            return Err(at(path, "a duty has neither odrl:duty nor odrl:remedy"));
        }
        let mut parties = rule.parties;
        for (function, found) in [
            (odrl::ASSIGNER, &rule.shared.assigners),
            (odrl::ASSIGNEE, &rule.shared.assignees),
        ] {
            parties.extend(found.iter().map(|party| (function.to_owned(), party.clone())));
        }
        Ok(Duty {
            id: rule.id,
            action: action.clone(),
            constraints: rule.constraints,
            target: single(&rule.shared.targets, path, "target")?,
            parties,
            consequences: rule.consequences,
            unknown: rule.unknown,
        })
    }

    /// Hands out the atomic rules of a rule: every target with every action with every party.
    fn expand(
        &self,
        rule: &RawRule,
        shared: &Shared,
        path: &str,
        mut push: impl FnMut(AtomicRule) -> usize,
    ) -> Result<(), ParseError> {
        let own = &rule.shared;
        if !rule.parties.is_empty() {
            return Err(at(
                path,
                "a permission or prohibition has no parties but assigner and assignee",
            ));
        }
        let (any_target, any_action) = ([Target::anything()], [Action::any()]);
        let targets = match (own.targets.as_slice(), shared.targets.as_slice()) {
            ([], []) if self.reading.absent_is_any => &any_target,
            ([], shared) => shared,
            (own, _) => own,
        };
        let actions = match (own.actions.as_slice(), shared.actions.as_slice()) {
            ([], []) if self.reading.absent_is_any => &any_action,
            ([], shared) => shared,
            (own, _) => own,
        };
        if targets.is_empty() {
            return Err(at(path, "has no odrl:target"));
        }
        if actions.is_empty() {
            return Err(at(path, "has no odrl:action"));
        }
        let assigner = single(&own.assigners, path, "assigner")?;
        let assignees: Vec<Option<Party>> = match own.assignees.as_slice() {
            [] => vec![None],
            several => several.iter().cloned().map(Some).collect(),
        };
        let atomic = targets.len() == 1 && actions.len() == 1 && assignees.len() == 1;
        for target in targets {
            for action in actions {
                for assignee in &assignees {
                    let rules = push(AtomicRule {
                        id: rule.id.clone().filter(|_| atomic),
                        target: target.clone(),
                        action: action.clone(),
                        assigner: assigner.clone(),
                        assignee: assignee.clone(),
                        constraints: if atomic {
                            rule.constraints.clone()
                        } else {
                            rule.constraints.iter().map(Constraint::anonymous).collect()
                        },
                    });
                    if rules > self.limits.rules_max {
                        return Err(too_large("rules", "rules_max", self.limits.rules_max));
                    }
                }
            }
        }
        Ok(())
    }
}

struct AtomicRule {
    id: Option<String>,
    target: Target,
    action: Action,
    assigner: Option<Party>,
    assignee: Option<Party>,
    constraints: Vec<Constraint>,
}

pub(super) fn single<T: Clone>(values: &[T], path: &str, what: &str) -> Result<Option<T>, ParseError> {
    match values {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(at(path, format!("has more than one odrl:{what}"))),
    }
}
