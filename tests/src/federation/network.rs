//! A federation of members and the broker's engine over them, with the answer that one merged store gives as the expectation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::exec::gate::{Gate, GateLimits};
use broker::exec::manifest::{Completeness, Ledger};
use broker::exec::residual::Delivered;
use broker::exec::{ExecError, ExecLimits, Session, residual, run};
use broker::fetch::{Credentials, FetchError, SubRequest, Transport};
use broker::member::{Foreign, evidence};
use broker::plan::{Duplicates, PhysicalPlan, PlanError, PlanLimits, plan, plan_with};
use broker::source::{Directories, Keys, Source, SourceDescription};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use oxigraph::sparql::SparqlEvaluator;
use oxigraph::store::Store;
use oxrdf::{GraphName, Quad, Term, Triple};
use server_kit::egress::{Egress, EgressConfig};
use spareval::{CancellationToken, QueryEvaluationError, QueryResults};
use spargebra::{Query, SparqlParser};

use super::kinds::{Kind, Server};
use super::member::Member;
use super::site::Site;

/// A federation.
pub struct Network {
    /// The members.
    pub members: Vec<Member>,
    /// The sources as the broker's catalogue describes them.
    pub sources: Vec<Source>,
    /// Bounds of execution.
    pub limits: ExecLimits,
    /// Bounds of planning.
    pub plan_limits: PlanLimits,
    directories: Directories,
    /// Servers of members that are asked for documents.
    pub sites: Vec<Site>,
    gate: Arc<Gate>,
    egress: Egress,
    merged: Store,
}

/// What the engine answered.
#[derive(Debug)]
pub struct Answered {
    /// Rows or triples as text, sorted unless the query orders them; blank nodes all look alike.
    pub rows: Vec<String>,
    /// Which sources answered.
    pub completeness: Completeness,
    /// How it was done.
    pub plan: PhysicalPlan,
}

/// Members that need no credentials.
pub struct Open;

impl Credentials for Open {
    fn headers(&self, _source: &Source, _url: &str) -> Result<HeaderMap, FetchError> {
        Ok(HeaderMap::new())
    }

    fn purpose(&self) -> Option<&str> {
        None
    }
}

impl Network {
    /// Starts one member per set of triples, each described by its own summary.
    ///
    /// # Panics
    /// When a port cannot be bound.
    #[allow(clippy::unwrap_used)]
    pub async fn start(data: Vec<Vec<Triple>>) -> Self {
        let mut members = Vec::new();
        for (at, triples) in data.into_iter().enumerate() {
            members.push(Member::start(&format!("member{at}"), triples).await.unwrap());
        }
        let sources = members
            .iter()
            .map(|member| source(member, SourceDescription::of_triples(&member.triples)))
            .collect();
        Self::over(members, sources)
    }

    /// Starts one member per set of quads, each described by a summary of all of them.
    ///
    /// # Panics
    /// When a port cannot be bound.
    #[allow(clippy::unwrap_used)]
    pub async fn of_quads(data: Vec<Vec<Quad>>) -> Self {
        let merged = Store::new().unwrap();
        let mut members = Vec::new();
        for (at, quads) in data.into_iter().enumerate() {
            merged.extend(quads.iter().cloned()).unwrap();
            let name = format!("member{at}");
            members.push(Member::start_with_graphs(&name, quads).await.unwrap());
        }
        // Lists of shared identifiers are about the default graph, and these triples are of all graphs.
        let described = |member: &Member| SourceDescription::of_triples(&member.triples).with_keys(Keys::default());
        let sources = members.iter().map(|member| source(member, described(member))).collect();
        Self::beside(members, sources, merged)
    }

    /// Starts one member of a kind per set of triples.
    ///
    /// # Panics
    /// When a port cannot be bound.
    pub async fn of_kinds(data: Vec<(Kind, Vec<Triple>)>) -> Self {
        let (mut members, mut sources, mut sites) = (Vec::new(), Vec::new(), Vec::new());
        let mut quads = Vec::new();
        for (at, (kind, triples)) in data.into_iter().enumerate() {
            quads.extend(triples.iter().map(|t| t.clone().in_graph(GraphName::DefaultGraph)));
            let (server, source) = kind.start(&format!("member{at}"), triples).await;
            sources.push(source);
            match server {
                Server::Member(member) => members.push(member),
                Server::Site(site) => sites.push(site),
            }
        }
        let mut network = Self::beside(members, sources, store_of(quads));
        network.sites = sites;
        network
    }

    /// The same members beside another expectation.
    #[must_use]
    pub fn expecting(mut self, quads: Vec<Quad>) -> Self {
        self.merged = store_of(quads);
        self
    }

    /// Sends requests through another guard.
    pub fn through(&mut self, egress: Egress) {
        self.egress = egress;
    }

    /// A network over members that run already.
    ///
    /// # Panics
    /// When the egress guard cannot be set up.
    #[allow(clippy::unwrap_used)]
    pub fn over(members: Vec<Member>, sources: Vec<Source>) -> Self {
        let merged = Store::new().unwrap();
        let all: BTreeSet<String> = members
            .iter()
            .flat_map(|member| &member.triples)
            .map(ToString::to_string)
            .collect();
        let mut loader = merged.bulk_loader();
        loader
            .load_quads(
                members
                    .iter()
                    .flat_map(|m| &m.triples)
                    .map(|t| t.clone().in_graph(GraphName::DefaultGraph)),
            )
            .unwrap();
        loader.commit().unwrap();
        assert_eq!(merged.len().unwrap(), all.len(), "the merge is a set");
        Self::beside(members, sources, merged)
    }

    /// A network whose answers are those of `merged`.
    #[allow(clippy::unwrap_used)]
    fn beside(members: Vec<Member>, sources: Vec<Source>, merged: Store) -> Self {
        let egress = Egress::new(EgressConfig {
            allow: vec!["127.0.0.1:*".to_owned()],
            ..EgressConfig::default()
        })
        .unwrap();
        Self {
            members,
            sources,
            limits: ExecLimits::default(),
            plan_limits: PlanLimits::default(),
            directories: Directories::default(),
            sites: Vec::new(),
            gate: Gate::new(GateLimits::default()),
            egress,
            merged,
        }
    }

    /// A fresh gate with other bounds.
    pub fn set_gate(&mut self, limits: GateLimits) {
        self.gate = Gate::new(limits);
    }

    /// Plans only.
    ///
    /// # Panics
    /// When the query cannot be parsed or planned.
    #[allow(clippy::unwrap_used)]
    #[must_use]
    pub fn plan(&self, query: &str) -> PhysicalPlan {
        let query = SparqlParser::new().parse_query(query).unwrap();
        plan(&query, &self.sources, &self.directories, &self.plan_limits).unwrap()
    }

    /// Answers a query through the federation.
    ///
    /// # Errors
    /// [`ExecError`] when the query as a whole fails.
    ///
    /// # Panics
    /// When the query cannot be parsed, planned or evaluated.
    #[allow(clippy::unwrap_used)]
    pub async fn ask(&self, query: &str) -> Result<Answered, ExecError> {
        let parsed = SparqlParser::new().parse_query(query).unwrap();
        let sources = self.learnt(&parsed).await;
        let planned = plan(&parsed, &sources, &self.directories, &self.plan_limits).unwrap();
        self.follow(planned, &sources, is_ordered(query)).await
    }

    /// The sources with what is found out about them before planning, as the broker does.
    async fn learnt(&self, query: &Query) -> Vec<Source> {
        let mut sources = self.sources.clone();
        for source in &mut sources {
            source.foreign = source.foreign.as_ref().map(Foreign::afresh);
        }
        let found = evidence::gather(&self.session(&sources), query).await;
        for (id, description) in found {
            if let Some(source) = sources.get_mut(id) {
                source.description = Arc::new(description);
            }
        }
        sources
    }

    fn session<'a>(&'a self, sources: &'a [Source]) -> Session<'a> {
        Session {
            sources,
            transport: &self.egress,
            credentials: &Open,
            gate: &self.gate,
            limits: &self.limits,
            plan_limits: &self.plan_limits,
            traceparent: None,
        }
    }

    /// Answers a query that is parsed already; rows are sorted.
    ///
    /// # Errors
    /// In words, when it cannot be planned or fails as a whole.
    ///
    /// # Panics
    /// When the plan's rest cannot be evaluated.
    pub async fn ask_parsed(&self, query: &Query) -> Result<Answered, String> {
        let sources = self.learnt(query).await;
        let planned = plan(query, &sources, &self.directories, &self.plan_limits).map_err(|error| error.to_string())?;
        self.follow(planned, &sources, false)
            .await
            .map_err(|error| error.to_string())
    }

    /// Answers a query with each triple counting as often as it is held; rows are sorted.
    ///
    /// # Errors
    /// [`PlanError`], when the triples cannot count so.
    ///
    /// # Panics
    /// When the query cannot be parsed or evaluated.
    #[allow(clippy::unwrap_used)]
    pub async fn ask_kept(&self, query: &str) -> Result<Answered, PlanError> {
        let parsed = SparqlParser::new().parse_query(query).unwrap();
        let sources = self.learnt(&parsed).await;
        let kept = Duplicates::Kept;
        let planned = plan_with(&parsed, &sources, &self.directories, &self.plan_limits, kept)?;
        Ok(self.follow(planned, &sources, false).await.unwrap())
    }

    #[allow(clippy::unwrap_used)]
    async fn follow(&self, plan: PhysicalPlan, sources: &[Source], ordered: bool) -> Result<Answered, ExecError> {
        let ledger = Ledger::new(sources, &plan.withheld);
        let session = self.session(sources);
        let delivered = run(&session, &plan, &ledger).await?;
        let rows = evaluated(plan.residual.clone(), delivered, ordered).await.unwrap();
        Ok(Answered {
            rows,
            completeness: ledger.completeness(sources),
            plan,
        })
    }

    /// What one store over all triples answers.
    ///
    /// # Panics
    /// When the query cannot be evaluated.
    #[allow(clippy::unwrap_used)]
    #[must_use]
    pub fn expected(&self, query: &str) -> Vec<String> {
        let parsed = SparqlParser::new().parse_query(query).unwrap();
        self.expected_of(parsed, is_ordered(query)).unwrap()
    }

    /// What one store over all quads answers to a query that is parsed already; rows are sorted unless they are `ordered`.
    ///
    /// # Errors
    /// When the query cannot be evaluated.
    pub fn expected_of(&self, query: Query, ordered: bool) -> Result<Vec<String>, QueryEvaluationError> {
        let prepared = SparqlEvaluator::new().for_query(query);
        texts(prepared.on_store(&self.merged).execute()?, ordered)
    }

    /// Seconds of one exchange with a member that has nothing to look up, the way all requests go; the median of several. `None` when
    /// there is no member, or it does not answer.
    pub async fn round_trip(&self) -> Option<f64> {
        const RUNS: usize = 21;
        let source = self.sources.first()?;
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let request = SubRequest {
                method: Method::POST,
                url: source.endpoint.clone(),
                headers: headers.clone(),
                body: broker::fetch::form(source, "ASK {}", None),
                time_max: Duration::from_secs(10),
                bytes_max: 64 * 1024,
            };
            let began = Instant::now();
            let (_, _, body) = Transport::send(&self.egress, request).await.ok()?;
            body.collect().await.ok()?;
            runs.push(began.elapsed().as_secs_f64());
        }
        runs.sort_by(f64::total_cmp);
        runs.get(RUNS / 2).copied()
    }

    /// The client of all requests.
    #[must_use]
    pub fn transport(&self) -> &dyn Transport {
        &self.egress
    }

    /// All requests that the members received.
    #[must_use]
    pub fn requests(&self) -> Vec<u64> {
        self.members.iter().map(Member::requests).collect()
    }
}

/// Evaluates what remains of a query over what was delivered, away from the tasks that wait; rows as text, sorted unless `ordered`.
pub(super) async fn evaluated(rest: Query, delivered: Delivered, ordered: bool) -> Result<Vec<String>, String> {
    tokio::task::spawn_blocking(move || {
        residual::evaluate(&rest, &delivered, CancellationToken::new(), |results| {
            texts(results, ordered)
        })
        .map_err(|error| error.to_string())
    })
    .await
    .map_err(|error| error.to_string())?
}

#[allow(clippy::unwrap_used)]
fn store_of(quads: Vec<Quad>) -> Store {
    let store = Store::new().unwrap();
    store.extend(quads).unwrap();
    store
}

/// A source over a member.
#[must_use]
pub fn source(member: &Member, description: SourceDescription) -> Source {
    Source {
        member: member.name.clone(),
        dataset: member.endpoint.clone(),
        endpoint: member.endpoint.clone(),
        agreement: None,
        description: Arc::new(description),
        aggregate_only: None,
        properties: None,
        hidden: BTreeSet::new(),
        stays: false,
        masks: false,
        foreign: None,
    }
}

/// Whether the outermost query is ordered, so that rows are compared in sequence.
pub(super) fn is_ordered(query: &str) -> bool {
    query
        .rfind("ORDER BY")
        .is_some_and(|at| !query.get(at..).unwrap_or_default().contains('}'))
}

/// Rows as text.
fn texts(results: QueryResults<'_>, ordered: bool) -> Result<Vec<String>, QueryEvaluationError> {
    let mut rows = Vec::new();
    match results {
        QueryResults::Solutions(solutions) => {
            let variables: Vec<_> = solutions.variables().to_vec();
            for solution in solutions {
                let solution = solution?;
                let row: Vec<String> = variables
                    .iter()
                    .map(|variable| format!("{variable}={}", solution.get(variable).map_or("-".to_owned(), text)))
                    .collect();
                rows.push(row.join(" "));
            }
        }
        QueryResults::Boolean(value) => rows.push(value.to_string()),
        QueryResults::Graph(triples) => {
            for triple in triples {
                let triple = triple?;
                let subject = Term::from(triple.subject);
                rows.push(format!(
                    "{} {} {}",
                    text(&subject),
                    triple.predicate,
                    text(&triple.object)
                ));
            }
            rows.sort();
            rows.dedup();
        }
    }
    if !ordered {
        rows.sort();
    }
    Ok(rows)
}

/// A term as text; numbers in canonical form, since `1.0` and `1` written by different routes are the same decimal.
fn text(term: &Term) -> String {
    match term {
        Term::BlankNode(_) => "_:".to_owned(),
        other => other.to_string(),
    }
}
