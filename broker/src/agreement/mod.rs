//! Agreements that consumers deposited: the token that lets the broker ask, useless without the consumer's fresh delegation, and the
//! agreement itself for the second gate.

pub mod deposit;
mod verdicts;

pub use verdicts::{Granted, Verdicts};

use crate::state::{DepositRow, State, StateError};
use parking_lot::RwLock;
use policies::odrl::{OdrlLimits, Policy, PolicyKind, parse_turtle};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One deposited agreement.
#[derive(Clone)]
pub struct Deposit {
    /// WebID of the consumer.
    pub web_id: String,
    /// IRI of the agreement.
    pub agreement: String,
    /// IRI of the agreed dataset.
    pub dataset: String,
    /// The agreement token. Never logged.
    pub token: String,
    /// When the token ends, Unix seconds.
    pub expires: i64,
    /// What was agreed.
    pub policy: Arc<Policy>,
    /// What was decided on it.
    pub verdicts: Arc<Verdicts>,
}

impl std::fmt::Debug for Deposit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Deposit")
            .field("agreement", &self.agreement)
            .field("dataset", &self.dataset)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Why a document is not the agreement that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// It cannot be read.
    #[error("the agreement cannot be understood: {0}")]
    Unreadable(String),
    /// The document holds no such agreement.
    #[error("the document is not the agreement `{0}`")]
    Another(String),
    /// Somebody else's.
    #[error("the agreement is not with you")]
    NotYours,
    /// Nothing is agreed about.
    #[error("the agreement is not about exactly one dataset")]
    NoDataset,
}

/// Reads the agreement `iri` of `web_id` from Turtle.
///
/// # Errors
/// [`AgreementError`].
pub fn read(turtle: &str, iri: &str, web_id: &str) -> Result<(Arc<Policy>, String), AgreementError> {
    let policies = parse_turtle(turtle.as_bytes(), iri, &OdrlLimits::default())
        .map_err(|error| AgreementError::Unreadable(error.to_string()))?;
    let policy = policies
        .into_iter()
        .find(|policy| policy.id == iri && policy.kind == PolicyKind::Agreement)
        .ok_or_else(|| AgreementError::Another(iri.to_owned()))?;
    let mut assignee = policy
        .assignee
        .iter()
        .chain(policy.permissions.iter().filter_map(|rule| rule.assignee.as_ref()));
    if !assignee.any(|party| party.id == web_id) {
        return Err(AgreementError::NotYours);
    }
    let dataset = policy.dataset().ok_or(AgreementError::NoDataset)?.to_owned();
    Ok((Arc::new(policy), dataset))
}

/// All deposits: in memory, written through to the database.
pub struct Deposits {
    state: Arc<State>,
    by_consumer: RwLock<HashMap<String, BTreeMap<String, Arc<Deposit>>>>,
    per_consumer_max: usize,
}

/// Why a deposit was not kept.
#[derive(Debug, thiserror::Error)]
pub enum DepositError {
    /// The document is not the agreement.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// Too many already.
    #[error("you have deposited {0} agreements already")]
    TooMany(usize),
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Deposits {
    /// Loads what was deposited before. A deposit that can no longer be understood is left out and logged: nothing is decided by guess.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(state: Arc<State>, per_consumer_max: usize) -> Result<Self, StateError> {
        let mut by_consumer: HashMap<String, BTreeMap<String, Arc<Deposit>>> = HashMap::new();
        for row in state.deposits()? {
            match read(&row.document, &row.agreement, &row.web_id) {
                Ok((policy, dataset)) => {
                    let deposit = deposit_of(&row, policy, dataset);
                    by_consumer
                        .entry(row.web_id)
                        .or_default()
                        .insert(row.agreement, Arc::new(deposit));
                }
                Err(error) => tracing::warn!(agreement = row.agreement, %error, "a deposited agreement is left out"),
            }
        }
        Ok(Self {
            state,
            by_consumer: RwLock::new(by_consumer),
            per_consumer_max,
        })
    }

    /// Keeps a deposit. Blocks on the disk.
    ///
    /// # Errors
    /// [`DepositError`].
    pub fn put(&self, row: DepositRow, now: i64) -> Result<Arc<Deposit>, DepositError> {
        let (policy, dataset) = read(&row.document, &row.agreement, &row.web_id)?;
        {
            let known = self.by_consumer.read();
            let own = known.get(&row.web_id);
            let count = own.map_or(0, BTreeMap::len);
            if count >= self.per_consumer_max && own.is_none_or(|own| !own.contains_key(&row.agreement)) {
                return Err(DepositError::TooMany(count));
            }
        }
        self.state.put_deposit(&row, now)?;
        let deposit = Arc::new(deposit_of(&row, policy, dataset));
        self.by_consumer
            .write()
            .entry(row.web_id)
            .or_default()
            .insert(row.agreement, Arc::clone(&deposit));
        Ok(deposit)
    }

    /// Forgets a deposit; `false` when there was none. Blocks on the disk.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove(&self, web_id: &str, agreement: &str) -> Result<bool, StateError> {
        let gone = self.state.remove_deposit(web_id, agreement)?;
        if let Some(own) = self.by_consumer.write().get_mut(web_id) {
            own.remove(agreement);
        }
        Ok(gone)
    }

    /// A consumer's own deposits, by agreement.
    #[must_use]
    pub fn of(&self, web_id: &str) -> Vec<Arc<Deposit>> {
        self.by_consumer
            .read()
            .get(web_id)
            .map(|own| own.values().cloned().collect())
            .unwrap_or_default()
    }
}

fn deposit_of(row: &DepositRow, policy: Arc<Policy>, dataset: String) -> Deposit {
    Deposit {
        web_id: row.web_id.clone(),
        agreement: row.agreement.clone(),
        dataset,
        token: row.token.clone(),
        expires: row.expires,
        policy,
        verdicts: Arc::default(),
    }
}
