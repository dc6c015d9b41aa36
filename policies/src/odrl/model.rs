//! ODRL policies as types: the atomic form of the information model, one target and one action per rule.

use oxrdf::Term;

/// What kind of policy it is. Only sets and agreements are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// `odrl:Set`, the default.
    Set,
    /// `odrl:Offer`: what an owner would agree to. Grants nothing.
    Offer,
    /// `odrl:Agreement`: concluded between assigner and assignee.
    Agreement,
}

/// Which rule wins when a permission and a prohibition both apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConflictStrategy {
    /// `odrl:perm`.
    Perm,
    /// `odrl:prohibit`, and our default.
    #[default]
    Prohibit,
    /// `odrl:invalid`: the policy is void.
    Invalid,
}

/// A policy in atomic form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// IRI of the policy.
    pub id: String,
    /// Set, offer or agreement.
    pub kind: PolicyKind,
    /// `odrl:profile`.
    pub profiles: Vec<String>,
    /// `odrl:inheritFrom`: policies whose rules this one takes over, see [`super::normalise`].
    pub inherit_from: Vec<String>,
    /// `odrl:conflict`; `None` when the policy does not say.
    pub conflict: Option<ConflictStrategy>,
    /// What is allowed.
    pub permissions: Vec<Permission>,
    /// What is forbidden.
    pub prohibitions: Vec<Prohibition>,
    /// `odrl:obligation`: duties of the policy as a whole.
    pub obligations: Vec<Duty>,
    /// Assigner, for the policy as a whole.
    pub assigner: Option<Party>,
    /// Assignee, for the policy as a whole.
    pub assignee: Option<Party>,
    /// Statements about the policy in other vocabularies (title, dates), kept for writing back.
    pub annotations: Vec<(String, Term)>,
    /// Terms on the policy itself that are not understood; nothing is granted while there is one.
    pub unknown: Vec<String>,
}

/// `odrl:permission`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// IRI of the rule, when it has one and stands for one atomic rule.
    pub id: Option<String>,
    /// What it is about.
    pub target: Target,
    /// Who gives; the policy's when `None`.
    pub assigner: Option<Party>,
    /// Who receives; the policy's when `None`.
    pub assignee: Option<Party>,
    /// What may be done.
    pub action: Action,
    /// All must hold.
    pub constraints: Vec<Constraint>,
    /// All must be fulfilled.
    pub duties: Vec<Duty>,
    /// Terms of the rule that are not understood; it grants nothing while there is one.
    pub unknown: Vec<String>,
}

/// `odrl:prohibition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prohibition {
    /// IRI of the rule, when it has one and stands for one atomic rule.
    pub id: Option<String>,
    /// What it is about.
    pub target: Target,
    /// Who forbids; the policy's when `None`.
    pub assigner: Option<Party>,
    /// Who is forbidden; the policy's, and without that everyone, when `None`.
    pub assignee: Option<Party>,
    /// What may not be done.
    pub action: Action,
    /// It applies when all hold.
    pub constraints: Vec<Constraint>,
    /// `odrl:remedy`.
    pub remedies: Vec<Duty>,
    /// Terms of the rule that are not understood; it could then apply to anything.
    pub unknown: Vec<String>,
}

/// `odrl:duty`, `odrl:obligation`, `odrl:remedy` or `odrl:consequence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// IRI of the duty, when it has one.
    pub id: Option<String>,
    /// What must be done.
    pub action: Action,
    /// How, or when.
    pub constraints: Vec<Constraint>,
    /// What it is about, if something else than the rule.
    pub target: Option<Target>,
    /// Who has to do it, or to whom it is done: `odrl:assignee`, `odrl:informedParty`, ….
    pub parties: Vec<(String, Party)>,
    /// Further duties if it is not done.
    pub consequences: Vec<Duty>,
    /// Terms of the duty that are not understood; it is never fulfilled while there is one.
    pub unknown: Vec<String>,
}

/// The asset of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// IRI of the asset, or of the `odrl:source` of a refined collection.
    pub source: String,
    /// True for an `odrl:AssetCollection` with `odrl:source`.
    pub collection: bool,
    /// Narrows the collection; all must hold.
    pub refinements: Vec<Constraint>,
}

/// A party of a policy or a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// IRI of the party, or of the `odrl:source` of a refined collection.
    pub id: String,
    /// True for an `odrl:PartyCollection`.
    pub collection: bool,
    /// Narrows the collection; all must hold.
    pub refinements: Vec<Constraint>,
}

/// An action with its refinements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// IRI of the action.
    pub id: String,
    /// Narrow the action; all must hold.
    pub refinements: Vec<Constraint>,
}

/// A constraint, atomic or logical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// One comparison.
    Atomic(AtomicConstraint),
    /// Several constraints combined.
    Logical(LogicalConstraint),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtomicConstraint {
    /// IRI of the constraint, when it has one.
    pub id: Option<String>,
    /// IRI of the left operand.
    pub left_operand: String,
    /// The operator.
    pub operator: Operator,
    /// `odrl:rightOperand`: one value or several. Empty when there is a reference.
    pub right_operands: Vec<Term>,
    /// `odrl:rightOperandReference`: an IRI whose value the world supplies; not satisfied when it does not.
    pub right_operand_reference: Option<String>,
    /// `odrl:dataType`.
    pub data_type: Option<String>,
    /// `odrl:unit`.
    pub unit: Option<String>,
    /// `odrl:status`: a value of the left operand computed earlier.
    pub status: Option<Term>,
}

/// Several constraints combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalConstraint {
    /// IRI of the constraint, when it has one.
    pub id: Option<String>,
    /// How.
    pub operator: LogicalOperator,
    /// What, in order.
    pub operands: Vec<Constraint>,
}

macro_rules! terms {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $iri:expr),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The IRI.
            #[must_use]
            pub fn iri(&self) -> &'static str {
                match self { $(Self::$variant => $iri,)* }
            }

            /// The term that an IRI names.
            #[must_use]
            pub fn from_iri(iri: &str) -> Option<Self> {
                $(if iri == $iri { return Some(Self::$variant); })*
                None
            }
        }
    };
}

terms! {
    /// The operators of constraints. An operator outside the vocabulary is an error when the policy is read.
    Operator {
        /// `odrl:eq`
        Eq = vocab::odrl::EQ,
        /// `odrl:neq`
        Neq = vocab::odrl::NEQ,
        /// `odrl:lt`
        Lt = vocab::odrl::LT,
        /// `odrl:lteq`
        Lteq = vocab::odrl::LTEQ,
        /// `odrl:gt`
        Gt = vocab::odrl::GT,
        /// `odrl:gteq`
        Gteq = vocab::odrl::GTEQ,
        /// `odrl:isA`
        IsA = vocab::odrl::IS_A,
        /// `odrl:isAnyOf`
        IsAnyOf = vocab::odrl::IS_ANY_OF,
        /// `odrl:isNoneOf`
        IsNoneOf = vocab::odrl::IS_NONE_OF,
        /// `odrl:isAllOf`
        IsAllOf = vocab::odrl::IS_ALL_OF,
        /// `odrl:isPartOf`
        IsPartOf = vocab::odrl::IS_PART_OF,
        /// `odrl:hasPart`
        HasPart = vocab::odrl::HAS_PART,
    }
}

terms! {
    /// How the operands of a logical constraint combine.
    LogicalOperator {
        /// `odrl:and`: all.
        And = vocab::odrl::AND,
        /// `odrl:or`: at least one.
        Or = vocab::odrl::OR,
        /// `odrl:xone`: exactly one.
        Xone = vocab::odrl::XONE,
        /// `odrl:andSequence`: all, in order.
        AndSequence = vocab::odrl::AND_SEQUENCE,
    }
}

impl PolicyKind {
    /// The class IRI.
    #[must_use]
    pub fn iri(self) -> &'static str {
        match self {
            Self::Set => vocab::odrl::SET,
            Self::Offer => vocab::odrl::OFFER,
            Self::Agreement => vocab::odrl::AGREEMENT,
        }
    }
}

impl ConflictStrategy {
    /// The IRI.
    #[must_use]
    pub fn iri(self) -> &'static str {
        match self {
            Self::Perm => vocab::odrl::PERM,
            Self::Prohibit => vocab::odrl::PROHIBIT,
            Self::Invalid => vocab::odrl::INVALID,
        }
    }
}

fn counts(constraints: &[Constraint]) -> bool {
    constraints.iter().any(|constraint| match constraint {
        Constraint::Atomic(atomic) => atomic.left_operand == vocab::odrl::COUNT,
        Constraint::Logical(logical) => counts(&logical.operands),
    })
}

impl Policy {
    /// A policy without rules.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: PolicyKind) -> Self {
        Self {
            id: id.into(),
            kind,
            profiles: Vec::new(),
            inherit_from: Vec::new(),
            conflict: None,
            permissions: Vec::new(),
            prohibitions: Vec::new(),
            obligations: Vec::new(),
            assigner: None,
            assignee: None,
            annotations: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Whether a rule depends on how often the policy was used (`odrl:count`).
    #[must_use]
    pub fn counts(&self) -> bool {
        let permissions = self.permissions.iter().map(|rule| (&rule.constraints, &rule.action));
        let prohibitions = self.prohibitions.iter().map(|rule| (&rule.constraints, &rule.action));
        permissions
            .chain(prohibitions)
            .any(|(constraints, action)| counts(constraints) || counts(&action.refinements))
    }

    /// The one asset that all rules are about, or `None` when there is none or more than one. An agreement has
    /// exactly one.
    #[must_use]
    pub fn dataset(&self) -> Option<&str> {
        let mut targets = self
            .permissions
            .iter()
            .map(|rule| rule.target.source.as_str())
            .chain(self.prohibitions.iter().map(|rule| rule.target.source.as_str()));
        let first = targets.next()?;
        targets.all(|other| other == first).then_some(first)
    }

    /// How many rules there are.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.permissions.len() + self.prohibitions.len() + self.obligations.len()
    }

    /// The agreement that this offer becomes between two parties: same rules, new identity, parties filled in.
    /// Parties that rules of the offer name are kept.
    #[must_use]
    pub fn agree(&self, id: impl Into<String>, assigner: &str, assignee: &str) -> Self {
        Self {
            id: id.into(),
            kind: PolicyKind::Agreement,
            assigner: Some(Party::named(assigner)),
            assignee: Some(Party::named(assignee)),
            ..self.clone()
        }
    }
}

impl Target {
    /// Every asset there is; only [`super::Reading::absent_is_any`] reads this.
    #[must_use]
    pub fn anything() -> Self {
        Self::named("")
    }

    /// Whether every asset is meant.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        self.source.is_empty()
    }

    /// An asset by name.
    #[must_use]
    pub fn named(iri: impl Into<String>) -> Self {
        Self {
            source: iri.into(),
            collection: false,
            refinements: Vec::new(),
        }
    }
}

impl Party {
    /// A party by name.
    #[must_use]
    pub fn named(iri: impl Into<String>) -> Self {
        Self {
            id: iri.into(),
            collection: false,
            refinements: Vec::new(),
        }
    }
}

impl Action {
    /// Every action there is; only [`super::Reading::absent_is_any`] reads this.
    #[must_use]
    pub fn any() -> Self {
        Self::named("")
    }

    /// Whether every action is meant.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.id.is_empty()
    }

    /// An action without refinement.
    #[must_use]
    pub fn named(iri: impl Into<String>) -> Self {
        Self {
            id: iri.into(),
            refinements: Vec::new(),
        }
    }
}

impl Duty {
    /// A duty to do this, without more.
    #[must_use]
    pub fn to(action: impl Into<String>) -> Self {
        Self {
            id: None,
            action: Action::named(action),
            constraints: Vec::new(),
            target: None,
            parties: Vec::new(),
            consequences: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// The party with a function in the duty, such as [`vocab::odrl::ASSIGNEE`].
    #[must_use]
    pub fn party(&self, function: &str) -> Option<&Party> {
        self.parties
            .iter()
            .find(|(found, _)| found == function)
            .map(|(_, party)| party)
    }
}

impl Constraint {
    /// Several constraints combined.
    #[must_use]
    pub fn logical(operator: LogicalOperator, operands: Vec<Constraint>) -> Self {
        Self::Logical(LogicalConstraint {
            id: None,
            operator,
            operands,
        })
    }

    /// The IRI of the constraint, when it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Atomic(atomic) => atomic.id.as_deref(),
            Self::Logical(logical) => logical.id.as_deref(),
        }
    }

    /// The same constraint without its IRI and those of its parts: it stands in several rules now.
    pub(super) fn anonymous(&self) -> Self {
        match self {
            Self::Atomic(atomic) => Self::Atomic(AtomicConstraint {
                id: None,
                ..atomic.clone()
            }),
            Self::Logical(logical) => Self::Logical(LogicalConstraint {
                id: None,
                operator: logical.operator.clone(),
                operands: logical.operands.iter().map(Self::anonymous).collect(),
            }),
        }
    }

    /// An atomic constraint with these right operands.
    #[must_use]
    pub fn atomic(left_operand: impl Into<String>, operator: Operator, right_operands: Vec<Term>) -> Self {
        Self::Atomic(AtomicConstraint {
            id: None,
            left_operand: left_operand.into(),
            operator,
            right_operands,
            right_operand_reference: None,
            data_type: None,
            unit: None,
            status: None,
        })
    }
}
