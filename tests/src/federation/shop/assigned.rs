//! The perfect assignment: somebody who knows all the data chooses, for each group of a query that goes whole to members, the members
//! that contribute to its answer, and the keys that each can match. Run over the same members with the same client and the same
//! evaluator for what remains, it is what no planner can be much better than.

use sparesults::QueryResultsFormat;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use broker::exec::arriving::{Arriving, Part};
use broker::exec::residual::Delivered;
use broker::fetch::{Budget, SubRequest, Transport, form, parse};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use oxrdf::{Dataset, Term, Variable};
use spargebra::{Query, SparqlParser};
use std::time::Duration;

use super::queries::{Constants, Kind, Step};
use crate::federation::Network;
use crate::federation::network::{evaluated, is_ordered};

type Rows = Vec<Vec<Option<Term>>>;

/// A query with its perfect assignment.
pub struct Assigned<'a> {
    network: &'a Network,
    kind: Kind,
    constants: Constants,
    columns: Vec<Vec<Variable>>,
    rest: Query,
    /// What remains, without leaving out the first rows: whose rows lead to one of those contributes too.
    whole_rest: Query,
    ordered: bool,
    /// Per step, the members to ask, each with the keys that it can match.
    members: Vec<BTreeMap<usize, HashSet<Vec<Term>>>>,
}

impl<'a> Assigned<'a> {
    /// Finds out, by asking everybody, who contributes to a query.
    ///
    /// # Errors
    /// In words, when a part of the plan is no SPARQL or a member refuses it.
    pub async fn prepare(network: &'a Network, kind: Kind, constants: Constants) -> Result<Self, String> {
        let mut rest = kind.rest.to_owned();
        let mut columns = Vec::new();
        for (at, step) in kind.steps.iter().enumerate() {
            let bare = step.text.replace("$keys", "");
            columns.push(columns_of(&parsed(&constants.fill(&bare))?));
            let service = format!("SERVICE <urn:meent:subplan:{at}> {{ {bare} }}");
            rest = rest.replace(&format!("#{at}"), &service);
        }
        let text = constants.fill(&rest);
        let mut assigned = Self {
            network,
            kind,
            constants,
            columns,
            rest: parsed(&text)?,
            whole_rest: parsed(&text.replace("OFFSET 1 ", ""))?,
            ordered: is_ordered(&text),
            members: vec![BTreeMap::new(); kind.steps.len()],
        };
        assigned.choose().await?;
        Ok(assigned)
    }

    /// Requests that one run sends.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.members.iter().map(BTreeMap::len).sum()
    }

    /// Runs the plan; rows as text, as the network answers.
    ///
    /// # Errors
    /// In words, when a member refuses or the rest cannot be evaluated.
    pub async fn run(&self) -> Result<Vec<String>, String> {
        let mut answers: Vec<Arc<Arriving>> = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        // Steps without keys go at once, then those that wait for them: no plan here is deeper.
        for (at, step) in self.kind.steps.iter().enumerate() {
            if step.keys.is_some() {
                waiting.push(at);
            }
        }
        let first = self.kind.steps.iter().enumerate().map(|(at, step)| async move {
            if step.keys.is_some() {
                return Ok(Vec::new());
            }
            let tasks = self.asked(at).map(|member| (*member, self.text(step, &[])));
            self.ask(at, tasks.collect()).await.map(joined)
        });
        for (at, rows) in futures_util::future::join_all(first).await.into_iter().enumerate() {
            answers.push(self.answer(at, rows?));
        }
        for at in waiting {
            let Some(step) = self.kind.steps.get(at) else { continue };
            let keys = keys_of(step, &answers);
            let mut tasks = Vec::new();
            for (member, matching) in self.members.get(at).into_iter().flatten() {
                let own: Vec<Vec<Term>> = keys.iter().filter(|key| matching.contains(*key)).cloned().collect();
                tasks.push((*member, self.text(step, &own)));
            }
            let rows = joined(self.ask(at, tasks).await?);
            if let Some(place) = answers.get_mut(at) {
                *place = self.answer(at, rows);
            }
        }
        self.evaluate(&self.rest, answers).await
    }

    fn asked(&self, at: usize) -> impl Iterator<Item = &usize> {
        self.members.get(at).into_iter().flat_map(BTreeMap::keys)
    }

    /// Asks everybody, and keeps whoever's rows alone lead to an answer.
    async fn choose(&mut self) -> Result<(), String> {
        let mut answers: Vec<Arc<Arriving>> = Vec::new();
        let mut each: Vec<Vec<(usize, Rows)>> = Vec::new();
        for (at, step) in self.kind.steps.iter().enumerate() {
            let text = self.text(step, &keys_of(step, &answers));
            let tasks = (0..self.network.members.len()).map(|member| (member, text.clone()));
            let rows = self.ask(at, tasks.collect()).await?;
            answers.push(self.answer(at, joined(rows.clone())));
            each.push(rows);
        }
        for (at, (rows, step)) in each.into_iter().zip(self.kind.steps).enumerate() {
            for (member, rows) in rows {
                if rows.is_empty() {
                    continue;
                }
                let keys = match step.keys {
                    Some((_, names)) => self.keys_in(at, names, &rows),
                    None => HashSet::new(),
                };
                let mut alone = answers.clone();
                if let Some(place) = alone.get_mut(at) {
                    *place = self.answer(at, rows);
                }
                if (step.optional || !self.evaluate(&self.whole_rest, alone).await?.is_empty())
                    && let Some(members) = self.members.get_mut(at)
                {
                    members.insert(member, keys);
                }
            }
        }
        Ok(())
    }

    fn keys_in(&self, at: usize, names: &[&str], rows: &Rows) -> HashSet<Vec<Term>> {
        let columns = self.columns.get(at).map_or(&[][..], Vec::as_slice);
        let places: Vec<usize> = names
            .iter()
            .filter_map(|name| columns.iter().position(|column| column.as_str() == *name))
            .collect();
        rows.iter().filter_map(|row| key(row, &places)).collect()
    }

    fn text(&self, step: &Step, keys: &[Vec<Term>]) -> String {
        let table = match step.keys {
            Some((_, names)) => {
                let columns: Vec<String> = names.iter().map(|name| format!("?{name}")).collect();
                let rows: Vec<String> = keys
                    .iter()
                    .map(|key| {
                        format!(
                            "({})",
                            key.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
                        )
                    })
                    .collect();
                format!("VALUES ({}) {{ {} }}", columns.join(" "), rows.join(" "))
            }
            None => String::new(),
        };
        self.constants.fill(&step.text.replace("$keys", &table))
    }

    fn answer(&self, at: usize, rows: Rows) -> Arc<Arriving> {
        let variables: Vec<Variable> = self.columns.get(at).cloned().unwrap_or_default();
        let answer = Arriving::new(variables.into());
        answer.add(Part {
            sources: Vec::new(),
            place: 0,
            rows,
        });
        answer.end();
        Arc::new(answer)
    }

    async fn ask(&self, at: usize, tasks: Vec<(usize, String)>) -> Result<Vec<(usize, Rows)>, String> {
        let budget = Budget::new(u64::MAX - 1, u64::MAX - 1);
        let asked = tasks.into_iter().map(|(member, text)| {
            let budget = Arc::clone(&budget);
            async move {
                let source = self.network.sources.get(member).ok_or("no such member")?;
                let mut headers = HeaderMap::new();
                let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(CONTENT_TYPE, form_type);
                headers.insert(ACCEPT, HeaderValue::from_static("application/sparql-results+json"));
                let request = SubRequest {
                    method: Method::POST,
                    url: source.endpoint.clone(),
                    headers,
                    body: form(source, &text, None),
                    time_max: Duration::from_secs(60),
                    bytes_max: 1 << 30,
                };
                let transport: &dyn Transport = self.network.transport();
                let (status, _, body) = transport.send(request).await.map_err(|error| error.to_string())?;
                if !status.is_success() {
                    return Err(format!("{status} for {text}"));
                }
                let expected = parse::Expected {
                    keys: None,
                    variables: self.columns.get(at).cloned().unwrap_or_default(),
                    certain: Vec::new(),
                    rows_max: u64::MAX,
                    bytes_max: u64::MAX,
                    blank_prefix: format!("a{at}m{member}x"),
                };
                let rows = parse::read(body, QueryResultsFormat::Json, expected, budget).await;
                rows.map(|read| (member, read.rows)).map_err(|error| error.to_string())
            }
        });
        futures_util::future::join_all(asked).await.into_iter().collect()
    }

    async fn evaluate(&self, rest: &Query, answers: Vec<Arc<Arriving>>) -> Result<Vec<String>, String> {
        let delivered = Delivered::whole(answers.into(), Dataset::new());
        evaluated(rest.clone(), delivered, self.ordered).await
    }
}

fn joined(rows: Vec<(usize, Rows)>) -> Rows {
    rows.into_iter().flat_map(|(_, rows)| rows).collect()
}

fn key(row: &[Option<Term>], places: &[usize]) -> Option<Vec<Term>> {
    places.iter().map(|at| row.get(*at).cloned().flatten()).collect()
}

/// The distinct keys that an earlier answer gives a step.
fn keys_of(step: &Step, answers: &[Arc<Arriving>]) -> Vec<Vec<Term>> {
    let Some((from, names)) = step.keys else {
        return Vec::new();
    };
    let Some(answer) = answers.get(from) else {
        return Vec::new();
    };
    let places: Vec<usize> = names
        .iter()
        .filter_map(|name| answer.variables.iter().position(|column| column.as_str() == *name))
        .collect();
    let mut seen = HashSet::new();
    let parts = answer.parts();
    let rows = parts.iter().flat_map(|part| &part.rows);
    let keys = rows.filter_map(|row| key(row, &places));
    keys.filter(|key| seen.insert(key.clone())).collect()
}

fn parsed(text: &str) -> Result<Query, String> {
    SparqlParser::new()
        .parse_query(text)
        .map_err(|error| format!("{error} in {text}"))
}

/// The columns of a `SELECT`, in order.
fn columns_of(query: &Query) -> Vec<Variable> {
    let mut found = Vec::new();
    broker::plan::pattern_of(query).on_in_scope_variable(|variable| {
        if !found.contains(variable) {
            found.push(variable.clone());
        }
    });
    found
}
