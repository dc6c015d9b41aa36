//! The ODRL test suite of SolidLab, read from where it lies: policy, request, state of the world, expected report.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use oxrdf::{NamedOrBlankNode, Quad, Term};
use policies::odrl::parse::turtle_quads;
use policies::odrl::{Behaviour, DutyState, OdrlLimits, Policy, Reading, World, parse_as};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocab::{force, odrl};

const EXAMPLE: &str = "http://example.org/";
const CURRENT_TIME: &str = "http://example.com/request/currentTime";
const ISSUED: &str = "http://purl.org/dc/terms/issued";

/// Bounds wide enough for the suite's policy with hundreds of intervals.
pub const LIMITS: OdrlLimits = OdrlLimits {
    bytes_max: 4 * 1024 * 1024,
    quads_max: 100_000,
    policies_max: 100,
    rules_max: 200,
    depth_max: 16,
    nodes_max: 100_000,
};

/// How the suite means what the information model leaves open: rules without parts are about everything, and duties
/// may be fulfilled afterwards.
pub const BEHAVIOUR: Behaviour = Behaviour {
    open: false,
    duties_may_follow: true,
    what_if: false,
    absent_is_any: true,
};

/// Statements by subject.
#[derive(Debug, Default)]
pub struct Statements {
    quads: Vec<Quad>,
    by_subject: BTreeMap<String, Vec<usize>>,
}

impl Statements {
    fn add(&mut self, path: &Path) -> Result<(), String> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let quads = turtle_quads(&text, EXAMPLE, &LIMITS).map_err(|error| format!("{}: {error}", path.display()))?;
        for quad in quads {
            let subject = subject(&quad.subject);
            self.by_subject.entry(subject).or_default().push(self.quads.len());
            self.quads.push(quad);
        }
        Ok(())
    }

    /// The objects of a subject and predicate.
    pub fn objects<'s>(&'s self, subject: &str, predicate: &'s str) -> impl Iterator<Item = String> + 's {
        let numbers = self.by_subject.get(subject).into_iter().flatten();
        numbers
            .map(|number| &self.quads[*number])
            .filter(move |quad| quad.predicate.as_str() == predicate)
            .map(|quad| text(&quad.object))
    }

    /// The first object of a subject and predicate.
    #[must_use]
    pub fn object(&self, subject: &str, predicate: &str) -> Option<String> {
        self.objects(subject, predicate).next()
    }

    fn with_predicate<'s>(&'s self, predicate: &'s str) -> impl Iterator<Item = (String, String)> + 's {
        let found = self
            .quads
            .iter()
            .filter(move |quad| quad.predicate.as_str() == predicate);
        found.map(|quad| (subject(&quad.subject), text(&quad.object)))
    }
}

fn subject(subject: &NamedOrBlankNode) -> String {
    match subject {
        NamedOrBlankNode::NamedNode(node) => node.as_str().to_owned(),
        NamedOrBlankNode::BlankNode(node) => node.to_string(),
    }
}

fn text(term: &Term) -> String {
    match term {
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        other => other.to_string(),
    }
}

/// One case of the suite.
#[derive(Debug)]
pub struct Case {
    /// Name of its file.
    pub name: String,
    /// The policy.
    pub policy: Policy,
    /// Request and state of the world.
    pub world: World,
    /// Whether each rule is expected to be active, by its IRI.
    pub rules: BTreeMap<String, bool>,
    /// Whether each constraint is expected to hold, by its IRI.
    pub constraints: BTreeMap<String, bool>,
    /// Whether the request is expected to be permitted.
    pub permitted: bool,
}

/// Reads all cases.
///
/// # Errors
/// What cannot be read, in words.
pub fn cases(folder: &Path) -> Result<Vec<Case>, String> {
    let mut shared = Statements::default();
    for file in files(&folder.join("requests"))? {
        shared.add(&file)?;
    }
    // Policies and states of the world use the same names for different things, so they are read one by one.
    let mut policies = BTreeMap::new();
    let mut sources = BTreeSet::new();
    for file in files(&folder.join("policies"))? {
        let mut one = Statements::default();
        one.add(&file)?;
        for policy in parse_as(&one.quads, &LIMITS, SUITE_READING).map_err(|error| error.to_string())? {
            let policy = policy.map_err(|error| format!("{}: {error}", file.display()))?;
            policies.insert(policy.id.clone(), policy);
        }
        sources.extend(one.with_predicate(odrl::SOURCE));
    }
    let mut worlds = BTreeMap::new();
    for file in files(&folder.join("sotw"))? {
        let mut world = Statements::default();
        world.add(&file)?;
        let id = world
            .with_predicate(vocab::rdf::TYPE)
            .find(|(_, class)| *class == format!("{EXAMPLE}Sotw"));
        let (id, _) = id.ok_or_else(|| format!("{} has no state of the world", file.display()))?;
        worlds.insert(id, world);
    }
    let mut cases = Vec::new();
    for file in files(&folder.join("test_cases"))? {
        let name = file
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut expected = Statements::default();
        expected.add(&file)?;
        cases.push(case(name, &expected, &shared, (&policies, &sources), &worlds)?);
    }
    Ok(cases)
}

const SUITE_READING: Reading = Reading {
    keep_unknown: false,
    absent_is_any: true,
};

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ttl"));
    files.sort();
    Ok(files)
}

fn case(
    name: String,
    expected: &Statements,
    shared: &Statements,
    (policies, sources): (&BTreeMap<String, Policy>, &BTreeSet<(String, String)>),
    worlds: &BTreeMap<String, Statements>,
) -> Result<Case, String> {
    let missing = |what: &str| format!("{name} has no {what}");
    let test = expected
        .with_predicate(vocab::rdf::TYPE)
        .find(|(_, class)| *class == format!("{EXAMPLE}TestCase"));
    let (test, _) = test.ok_or_else(|| missing("test case"))?;
    let of = |local: &str| {
        expected
            .object(&test, &format!("{EXAMPLE}{local}"))
            .ok_or_else(|| missing(local))
    };
    let policy = policies
        .get(&of("policy")?)
        .ok_or_else(|| missing("policy that exists"))?;
    let state = worlds.get(&of("sotw")?).ok_or_else(|| missing("world that exists"))?;
    let request = of("request")?;
    let asked = shared
        .object(&request, odrl::PERMISSION)
        .ok_or_else(|| missing("request with a permission"))?;
    let now = state.object(CURRENT_TIME, ISSUED).ok_or_else(|| missing("time"))?;
    let now = OffsetDateTime::parse(&now, &Rfc3339).map_err(|error| error.to_string())?;
    let mut world = World::at(now).behaviour(BEHAVIOUR);
    if let Some(party) = shared.object(&asked, odrl::ASSIGNEE) {
        world = world.party(party);
    }
    if let Some(target) = shared.object(&asked, odrl::TARGET) {
        world = world.target(target);
    }
    world = world.action(shared.object(&asked, odrl::ACTION).ok_or_else(|| missing("action"))?);
    for (member, collection) in state.with_predicate(odrl::PART_OF) {
        world = world.below(member, collection);
    }
    // Who is in a collection is in what it is a selection of.
    for (collection, source) in sources {
        world = world.below(collection, source);
    }
    for (report, state_iri) in state.with_predicate(force::DEONTIC_STATE) {
        let duty = state
            .object(&report, force::RULE)
            .ok_or_else(|| missing("duty in a report"))?;
        world = world.duty(duty, duty_state(&state_iri));
    }
    let (mut rules, mut constraints, mut permitted, mut forbidden) = (BTreeMap::new(), BTreeMap::new(), false, false);
    for (report, activation) in expected.with_predicate(force::ACTIVATION_STATE) {
        let active = activation == force::ACTIVE;
        let permits = expected
            .objects(&report, vocab::rdf::TYPE)
            .any(|class| class == force::PERMISSION_REPORT);
        permitted |= active && permits;
        forbidden |= active && !permits;
        rules.insert(
            expected.object(&report, force::RULE).ok_or_else(|| missing("rule"))?,
            active,
        );
    }
    for (report, constraint) in expected.with_predicate(force::CONSTRAINT) {
        let state = expected
            .object(&report, force::SATISFACTION_STATE)
            .ok_or_else(|| missing("satisfaction"))?;
        constraints.insert(constraint, state == force::SATISFIED);
    }
    Ok(Case {
        policy: policy.clone(),
        world: world.build(),
        rules,
        constraints,
        permitted: permitted && !forbidden,
        name,
    })
}

fn duty_state(iri: &str) -> DutyState {
    match iri {
        force::FULFILLED => DutyState::Fulfilled,
        force::VIOLATED => DutyState::Violated,
        _ => DutyState::NotSet,
    }
}
