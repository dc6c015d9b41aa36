//! Evaluation of a policy for a query: what it grants to whom, on what, under which duties.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::attached::hands_on;
use super::circumstance::Circumstances;
use super::condition::Condition;
use super::constraint::{Truth, all, turning_points};
use super::model::{Action, AtomicConstraint, ConflictStrategy, Constraint, Operator, Party, Permission};
use super::model::{Policy, PolicyKind, Prohibition, Target};
use super::query_action::{AFTERWARDS, QUERYING, WRITING};
use super::query_duty::Asked;
use super::truth::Tri;
use super::validate::validate;
use super::world::{Of, World};
use crate::decision::{ConsentCondition, Effect, Obligation, Reason, ReasonCode};
use crate::purpose::Hierarchy;
use crate::treatment::Treatment;

/// The state of the world in which a policy is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// WebID of who asks and receives; `None` for the public.
    pub party: Option<&'a str>,
    /// IRI of the dataset in question.
    pub dataset: &'a str,
    /// Asset collections that the dataset belongs to.
    pub part_of: &'a BTreeSet<String>,
    /// The stated purpose.
    pub purpose: Option<&'a str>,
    /// The instant.
    pub now: OffsetDateTime,
    /// Which purposes are below which.
    pub purposes: &'a Hierarchy,
    /// Further facts: values of other left operands, members of collections, what references stand for. Without them
    /// whatever needs one is not known.
    pub world: Option<&'a World>,
    /// How often the policy was used until now, when somebody counts; `odrl:count` is compared with one more.
    pub uses: Option<u64>,
    /// What the server that holds the data knows beyond all that.
    pub circumstances: &'a Circumstances,
    /// Whether a prohibition is judged: what is taken as met for a permission is not taken as met for it.
    pub forbidding: bool,
}

/// What a permission opens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Only documents whose data subject consents to this.
    pub consent: Option<ConsentCondition>,
    /// Visible predicates; `None` means all that are not hidden.
    pub properties: Option<BTreeSet<String>>,
    /// Hidden predicates.
    pub hidden: BTreeSet<String>,
    /// What becomes of values before they are shown.
    pub treatment: Treatment,
}

/// The outcome for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The outcome.
    pub effect: Effect,
    /// Why, at least one.
    pub reasons: Vec<Reason>,
    /// Duties, sorted, when permitted.
    pub obligations: Vec<Obligation>,
    /// What is opened, when permitted.
    pub grant: Option<Grant>,
    /// The first instant after now at which the outcome may change.
    pub valid_until: Option<OffsetDateTime>,
}

/// Which predicates a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    All,
    Only(BTreeSet<String>),
    Except(BTreeSet<String>),
}

/// An active permission before prohibitions are taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Active {
    rule: String,
    consent: Option<ConsentCondition>,
    obligations: Vec<Obligation>,
    treatment: Treatment,
    scope: Scope,
}

/// Evaluates a policy for reading by query. Offers grant nothing; broken policies and unknown terms grant nothing; a
/// prohibition that may apply and cannot be evaluated forbids everything.
///
/// When several permissions are active, those with the same duties and the same wish for consent are taken together;
/// of the rest the most protective group counts, so the outcome never exceeds what some permissions grant and does not
/// depend on their order.
#[must_use]
pub fn evaluate(policy: &Policy, situation: &Situation<'_>) -> Evaluation {
    let valid_until = valid_until(policy, situation.now);
    let refused = |effect, reasons| Evaluation {
        effect,
        reasons,
        obligations: Vec::new(),
        grant: None,
        valid_until,
    };
    if let Err((effect, reason)) = usable(policy, situation) {
        return refused(effect, vec![reason]);
    }
    let mut shared = Asked::default();
    for (index, duty) in policy.obligations.iter().enumerate() {
        if let Err(reason) = shared.take(duty) {
            return refused(Effect::Deny, vec![reason.at(format!("obligation[{index}]"))]);
        }
    }
    let mut bans = Vec::new();
    for (index, prohibition) in policy.prohibitions.iter().enumerate() {
        let path = format!("prohibition[{index}]");
        match ban(policy, prohibition, situation) {
            Ok(None) => {}
            Ok(Some(scope)) => bans.push((path, scope)),
            Err(reason) => {
                let unknown = Reason::new(ReasonCode::ProhibitionUnknown, reason.about.clone()).at(&path);
                return refused(Effect::Deny, vec![unknown, reason.at(path)]);
            }
        }
    }
    let mut active = Vec::new();
    let mut reasons = Vec::new();
    for (index, permission) in policy.permissions.iter().enumerate() {
        let path = format!("permission[{index}]");
        match permit(policy, permission, situation) {
            Ok((consent, asked, scope)) => {
                let asked = asked.and(&shared);
                active.push(Active {
                    rule: path,
                    consent,
                    obligations: asked.obligations,
                    treatment: asked.treatment,
                    scope: scope.and(Scope::Except(asked.dropped)),
                });
            }
            Err(reason) => reasons.push(reason.at(path)),
        }
    }
    if active.is_empty() {
        if reasons.is_empty() {
            reasons.push(Reason::new(ReasonCode::ActionNotPermitted, situation.dataset));
        }
        return refused(Effect::Deny, reasons);
    }
    match policy.conflict.unwrap_or_default() {
        ConflictStrategy::Perm => bans.clear(),
        ConflictStrategy::Prohibit => {}
        ConflictStrategy::Invalid => {
            if let Some((path, _)) = bans.first() {
                let reason = Reason::new(ReasonCode::Prohibited, vocab::odrl::INVALID).at(path);
                return refused(Effect::Indeterminate, vec![reason]);
            }
        }
    }
    combine(active, &bans, valid_until)
}

/// Checks on the policy as a whole.
fn usable(policy: &Policy, situation: &Situation<'_>) -> Result<(), (Effect, Reason)> {
    if policy.kind == PolicyKind::Offer {
        return Err((Effect::Deny, Reason::new(ReasonCode::PolicyNotAgreement, &policy.id)));
    }
    if let Some(term) = policy.unknown.first() {
        return Err((Effect::Indeterminate, Reason::new(ReasonCode::UnknownTerm, term)));
    }
    if let Some(profile) = policy.profiles.iter().find(|profile| !understood(profile)) {
        return Err((Effect::Indeterminate, Reason::new(ReasonCode::ProfileUnknown, profile)));
    }
    if let Some((_, successor)) = policy
        .annotations
        .iter()
        .find(|(p, _)| p == vocab::dcterms::IS_REPLACED_BY)
    {
        return Err((
            Effect::Indeterminate,
            Reason::new(ReasonCode::PolicyInvalid, successor.to_string()),
        ));
    }
    if let Err(errors) = validate(policy) {
        let about = errors.first().map(ToString::to_string).unwrap_or_default();
        return Err((Effect::Indeterminate, Reason::new(ReasonCode::PolicyInvalid, about)));
    }
    if let Some(assignee) = &policy.assignee {
        match is_party(assignee, situation) {
            Some(true) => {}
            Some(false) => {
                let asking = situation.party.unwrap_or("public");
                return Err((Effect::Deny, Reason::new(ReasonCode::AssigneeMismatch, asking)));
            }
            None => return Err((Effect::Deny, Reason::new(ReasonCode::UnknownCollection, &assignee.id))),
        }
    }
    Ok(())
}

/// Profiles whose terms are evaluated here.
#[must_use]
pub fn understood(profile: &str) -> bool {
    [
        vocab::meent::ODRL_PROFILE,
        "http://www.w3.org/ns/odrl/2/core",
        vocab::odrl::NS,
    ]
    .contains(&profile)
}

/// Whether the asking party is this one or in it; `None` for a collection whose members are not known.
fn is_party(party: &Party, situation: &Situation<'_>) -> Option<bool> {
    if !party.collection && party.refinements.is_empty() {
        return Some(situation.party == Some(party.id.as_str()));
    }
    let world = situation.world?;
    if !world.parties.iter().any(|one| **one == *party.id) {
        return Some(false);
    }
    let refined = Condition::all(party.refinements.iter().map(|constraint| (Of::Party, constraint)));
    match refined
        .judge(world, world.now().unix_timestamp_nanos(), &mut None)
        .truth
    {
        Tri::True => Some(true),
        Tri::False => Some(false),
        Tri::Unknown => None,
    }
}

fn is_target(target: &Target, situation: &Situation<'_>) -> bool {
    target.source == situation.dataset || situation.part_of.contains(&target.source)
}

type Permitted = (Option<ConsentCondition>, Asked, Scope);

fn permit(policy: &Policy, permission: &Permission, situation: &Situation<'_>) -> Result<Permitted, Reason> {
    if !is_target(&permission.target, situation) {
        return Err(Reason::new(ReasonCode::ActionNotPermitted, &permission.target.source));
    }
    if let Some(term) = permission.unknown.first() {
        return Err(Reason::new(ReasonCode::UnknownTerm, term));
    }
    if let Some(assignee) = permission.assignee.as_ref().or(policy.assignee.as_ref()) {
        match is_party(assignee, situation) {
            Some(true) => {}
            Some(false) => return Err(Reason::new(ReasonCode::AssigneeMismatch, &assignee.id)),
            None => return Err(Reason::new(ReasonCode::UnknownCollection, &assignee.id)),
        }
    }
    let mut asked = Asked::default();
    match permission.action.id.as_str() {
        vocab::odrl::USE | vocab::odrl::READ => {}
        // Only aggregating is permitted, so only aggregates may leave.
        vocab::odrl::AGGREGATE => asked.obligations.push(Obligation::AggregateOnly { subjects_min: 1 }),
        other if is_known_action(other) => return Err(Reason::new(ReasonCode::ActionNotPermitted, other)),
        other => return Err(Reason::new(ReasonCode::UnknownAction, other)),
    }
    let scope = properties(&permission.target)?;
    let truth = both(
        all(&permission.constraints, situation),
        all(&permission.action.refinements, situation),
    );
    let consent = match truth {
        Truth::True => None,
        Truth::False(reason) | Truth::Unknown(reason) => return Err(reason),
        Truth::ByConsent => Some(consent_condition(situation)?),
    };
    for duty in &permission.duties {
        asked.take(duty)?;
    }
    Ok((consent, asked, scope))
}

fn both(first: Truth, second: Truth) -> Truth {
    match (first, second) {
        (Truth::False(reason), _) | (_, Truth::False(reason)) => Truth::False(reason),
        (Truth::Unknown(reason), _) | (_, Truth::Unknown(reason)) => Truth::Unknown(reason),
        (Truth::ByConsent, _) | (_, Truth::ByConsent) => Truth::ByConsent,
        (Truth::True, Truth::True) => Truth::True,
    }
}

/// A consent is always for someone and for something, so both must be stated.
fn consent_condition(situation: &Situation<'_>) -> Result<ConsentCondition, Reason> {
    let missing = |what: &str| Reason::new(ReasonCode::ConsentRequired, what);
    Ok(ConsentCondition {
        recipient: situation.party.ok_or_else(|| missing("recipient"))?.to_owned(),
        purpose: situation
            .purpose
            .ok_or_else(|| Reason::new(ReasonCode::PurposeMissing, vocab::dpv::CONSENT_GIVEN))?
            .to_owned(),
    })
}

/// `None` when the prohibition does not apply, its scope when it does, an error when that cannot be said.
fn ban(policy: &Policy, prohibition: &Prohibition, situation: &Situation<'_>) -> Result<Option<Scope>, Reason> {
    if !is_target(&prohibition.target, situation) {
        return Ok(None);
    }
    let assignee = prohibition.assignee.as_ref().or(policy.assignee.as_ref());
    match assignee.map(|assignee| is_party(assignee, situation)) {
        None | Some(Some(true)) => {}
        Some(Some(false)) => return Ok(None),
        Some(None) => return Err(Reason::new(ReasonCode::UnknownCollection, "assignee")),
    }
    if !concerns_query(&prohibition.action)? && !is_commercial(&prohibition.action, situation) {
        return Ok(None);
    }
    if let Some(term) = prohibition.unknown.first() {
        return Err(Reason::new(ReasonCode::UnknownTerm, term));
    }
    let forbidding = Situation {
        forbidding: true,
        ..*situation
    };
    let truth = both(
        all(&prohibition.constraints, &forbidding),
        all(&prohibition.action.refinements, &forbidding),
    );
    match truth {
        Truth::False(_) => Ok(None),
        Truth::True => properties(&prohibition.target).map(Some),
        Truth::Unknown(reason) => Err(reason),
        Truth::ByConsent => Err(Reason::new(
            ReasonCode::UnknownOperator,
            vocab::meent::DATA_SUBJECT_CONSENT,
        )),
    }
}

fn is_known_action(action: &str) -> bool {
    QUERYING.contains(&action) || AFTERWARDS.contains(&action) || hands_on(action)
}

fn concerns_query(action: &Action) -> Result<bool, Reason> {
    let id = action.id.as_str();
    match id {
        // Forbidding a safeguard makes no sense; it is not guessed at.
        vocab::meent::LOG | vocab::meent::AGGREGATE_ONLY => Err(Reason::new(ReasonCode::UnknownAction, id)),
        _ if QUERYING.contains(&id) => Ok(true),
        _ if AFTERWARDS.contains(&id) || WRITING.contains(&id) || hands_on(id) => Ok(false),
        _ => Err(Reason::new(ReasonCode::UnknownAction, id)),
    }
}

/// Whether commercial use is forbidden and a commercial purpose is stated. What is done with the answer afterwards binds by
/// contract; a purpose that says so itself is refused.
fn is_commercial(action: &Action, situation: &Situation<'_>) -> bool {
    let commercial = [vocab::cc::COMMERCIAL_USE, vocab::odrl::COMMERCIALIZE].contains(&action.id.as_str());
    let wide = [
        vocab::dpv::COMMERCIAL_PURPOSE,
        vocab::dpv::MARKETING,
        vocab::dpv::SELL_PRODUCTS,
    ];
    let stated = |purpose: &str| wide.iter().any(|wide| situation.purposes.is_a(purpose, wide));
    commercial && situation.purpose.is_some_and(stated)
}

/// The predicates that the refinements of a target leave.
fn properties(target: &Target) -> Result<Scope, Reason> {
    let mut scope = Scope::All;
    for refinement in &target.refinements {
        let Constraint::Atomic(atomic) = refinement else {
            return Err(Reason::new(ReasonCode::UnknownRefinement, &target.source));
        };
        scope = scope.and(property_scope(atomic)?);
    }
    Ok(scope)
}

fn property_scope(atomic: &AtomicConstraint) -> Result<Scope, Reason> {
    if atomic.left_operand != vocab::meent::PROPERTY {
        return Err(Reason::new(ReasonCode::UnknownRefinement, &atomic.left_operand));
    }
    let unusable = || Reason::new(ReasonCode::UnknownRightOperand, &atomic.left_operand);
    let plain = atomic.right_operand_reference.is_none() && atomic.unit.is_none() && atomic.status.is_none();
    if !plain || atomic.right_operands.is_empty() {
        return Err(unusable());
    }
    let mut named = BTreeSet::new();
    for term in &atomic.right_operands {
        let oxrdf::Term::NamedNode(node) = term else {
            return Err(unusable());
        };
        named.insert(node.as_str().to_owned());
    }
    match atomic.operator {
        Operator::IsAnyOf => Ok(Scope::Only(named)),
        Operator::IsNoneOf => Ok(Scope::Except(named)),
        Operator::Eq if named.len() == 1 => Ok(Scope::Only(named)),
        Operator::Neq if named.len() == 1 => Ok(Scope::Except(named)),
        _ => Err(Reason::new(ReasonCode::UnknownOperator, atomic.operator.iri())),
    }
}

impl Scope {
    /// Predicates in both.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) => other,
            (scope, Self::All) => scope,
            (Self::Only(a), Self::Only(b)) => Self::Only(a.intersection(&b).cloned().collect()),
            (Self::Only(a), Self::Except(b)) | (Self::Except(b), Self::Only(a)) => {
                Self::Only(a.difference(&b).cloned().collect())
            }
            (Self::Except(a), Self::Except(b)) => Self::Except(a.union(&b).cloned().collect()),
        }
    }

    /// Predicates in either.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Only(a), Self::Only(b)) => Self::Only(a.union(&b).cloned().collect()),
            (Self::Only(a), Self::Except(b)) | (Self::Except(b), Self::Only(a)) => {
                Self::Except(b.difference(&a).cloned().collect())
            }
            (Self::Except(a), Self::Except(b)) => Self::Except(a.intersection(&b).cloned().collect()),
        }
    }

    /// All other predicates.
    fn complement(self) -> Self {
        match self {
            Self::All => Self::Only(BTreeSet::new()),
            Self::Only(names) => Self::Except(names),
            Self::Except(names) => Self::Only(names),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }
}

/// Sorts the most protective first: the largest group size, consent before none, the fewest predicates.
fn protection(active: &Active) -> impl Ord + use<> {
    let subjects_min = active
        .obligations
        .iter()
        .map(|obligation| match obligation {
            Obligation::AggregateOnly { subjects_min } => *subjects_min,
            Obligation::Round { .. } | Obligation::Log | Obligation::ChangeValues => 0,
        })
        .max();
    let breadth = match &active.scope {
        Scope::Only(names) => (0, names.len(), names.clone()),
        Scope::Except(names) => (1, usize::MAX - names.len(), names.clone()),
        Scope::All => (2, 0, BTreeSet::new()),
    };
    let changes = active.treatment.values.len() + usize::from(active.treatment.names);
    let duties = std::cmp::Reverse((
        subjects_min,
        active.consent.is_some(),
        active.obligations.len(),
        changes,
    ));
    (duties, breadth, active.treatment.clone())
}

fn combine(active: Vec<Active>, bans: &[(String, Scope)], valid_until: Option<OffsetDateTime>) -> Evaluation {
    let mut groups: Vec<Active> = Vec::new();
    let mut reasons: Vec<Reason> = Vec::new();
    let allowed = bans.iter().fold(Scope::All, |allowed, (_, banned)| {
        allowed.and(banned.clone().complement())
    });
    let banned = bans
        .iter()
        .map(|(path, _)| Reason::new(ReasonCode::Prohibited, "").at(path));
    for mut one in active {
        one.scope = one.scope.and(allowed.clone());
        if one.scope.is_empty() {
            continue;
        }
        match groups.iter_mut().find(|group| {
            group.consent == one.consent && group.obligations == one.obligations && group.treatment == one.treatment
        }) {
            Some(group) => {
                group.scope = std::mem::replace(&mut group.scope, Scope::All).or(one.scope);
                group.rule = format!("{} {}", group.rule, one.rule);
            }
            None => groups.push(one),
        }
    }
    let Some(chosen) = groups.into_iter().min_by_key(protection) else {
        reasons.extend(banned);
        if reasons.is_empty() {
            reasons.push(Reason::new(ReasonCode::NothingVisible, ""));
        }
        return Evaluation {
            effect: Effect::Deny,
            reasons,
            obligations: Vec::new(),
            grant: None,
            valid_until,
        };
    };
    reasons.push(Reason::new(ReasonCode::PermissionActive, "").at(&chosen.rule));
    if let Some(condition) = &chosen.consent {
        reasons.push(Reason::new(ReasonCode::ConsentRequired, &condition.purpose).at(&chosen.rule));
    }
    reasons.extend(banned);
    let (properties, hidden) = match chosen.scope {
        Scope::All => (None, BTreeSet::new()),
        Scope::Only(names) => (Some(names), BTreeSet::new()),
        Scope::Except(names) => (None, names),
    };
    Evaluation {
        effect: Effect::Permit,
        reasons,
        obligations: chosen.obligations,
        grant: Some(Grant {
            consent: chosen.consent,
            properties,
            hidden,
            treatment: chosen.treatment,
        }),
        valid_until,
    }
}

fn valid_until(policy: &Policy, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let permissions = policy
        .permissions
        .iter()
        .map(|rule| (&rule.constraints, &rule.action.refinements));
    let prohibitions = policy
        .prohibitions
        .iter()
        .map(|rule| (&rule.constraints, &rule.action.refinements));
    permissions
        .chain(prohibitions)
        .flat_map(|(constraints, refinements)| turning_points(constraints).chain(turning_points(refinements)))
        .filter(|instant| *instant > now)
        .min()
}
