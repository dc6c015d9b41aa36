//! A mapping file: a SPARQL CONSTRUCT that is evaluated once for each row of a table, with the column names as
//! variables, or once over the statements of an RDF file.
//!
//! A column's name becomes a variable after every character outside `A-Z a-z 0-9 _` was replaced by `_`. An empty cell
//! leaves its variable unbound. Besides the triples of the template the pattern may bind
//! - `?document`: the name of the document that the row's triples go to, relative to the target container;
//! - nothing else: other variables are the mapping's own.
//!
//! A row whose pattern has no solution (a `FILTER` turned it away) is left out on purpose; a row that cannot be read is
//! rejected with its line.

use std::collections::BTreeMap;

use oxrdf::{BlankNode, Dataset, NamedOrBlankNode, Term, Triple, Variable};
use spareval::{QueryEvaluationError, QueryEvaluator, QueryResults, QuerySolution};
use spargebra::algebra::GraphPattern;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern};
use spargebra::{Query, SparqlParser};

use super::functions::with_functions;

/// A mapping that was read and checked.
pub struct Mapping {
    template: Vec<TriplePattern>,
    select: Query,
    variables: Vec<Variable>,
    evaluator: QueryEvaluator,
    prefixes: BTreeMap<String, String>,
    nothing: Dataset,
}

/// Why a mapping file is no mapping.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// It does not parse; the message holds line and column.
    #[error("the mapping does not parse: {0}")]
    Syntax(String),
    /// It is a SELECT, ASK or DESCRIBE.
    #[error("the mapping must be a CONSTRUCT query")]
    NotConstruct,
}

/// What a row became.
#[derive(Debug, Default)]
pub struct Mapped {
    /// Name of the document, if the mapping binds `?document`.
    pub document: Option<String>,
    /// The triples.
    pub triples: Vec<Triple>,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingError`] with the place of the fault.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let query = SparqlParser::new()
            .parse_query(text)
            .map_err(|error| MappingError::Syntax(error.to_string()))?;
        let Query::Construct {
            template,
            pattern,
            base_iri,
            ..
        } = query
        else {
            return Err(MappingError::NotConstruct);
        };
        let pattern = match pattern {
            GraphPattern::Project { inner, .. } | GraphPattern::Reduced { inner } => *inner,
            other => other,
        };
        let variables = variables(text);
        let select = Query::Select {
            dataset: None,
            pattern: GraphPattern::Project {
                inner: Box::new(pattern),
                variables: variables.clone(),
            },
            base_iri,
        };
        // A row binds its variables and joins nothing: planning anew for each row would be most of the work.
        let evaluator = with_functions(QueryEvaluator::new()).without_optimizations();
        Ok(Self {
            template,
            select,
            variables,
            evaluator,
            prefixes: prefixes(text),
            nothing: Dataset::new(),
        })
    }

    /// The prefixes that the mapping declares, for writing documents that people can read.
    #[must_use]
    pub const fn prefixes(&self) -> &BTreeMap<String, String> {
        &self.prefixes
    }

    /// The variable that a column's name stands for.
    #[must_use]
    pub fn variable(column: &str) -> Variable {
        let mut name: String = column
            .trim()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' })
            .collect();
        if name.is_empty() {
            name.push('_');
        }
        Variable::new_unchecked(name)
    }

    /// Evaluates the mapping for one row. Blank nodes of the template are fresh for each row: `row` makes them so.
    ///
    /// # Errors
    /// The reason in words, when the row cannot be evaluated.
    pub fn apply(&self, cells: &[(Variable, Term)], row: u64) -> Result<Mapped, String> {
        let mut prepared = self.evaluator.prepare(&self.select);
        for (variable, value) in cells.iter().filter(|(variable, _)| self.variables.contains(variable)) {
            prepared = prepared.substitute_variable(variable.clone(), value.clone());
        }
        let results = prepared.execute(&self.nothing).map_err(|error| error.to_string())?;
        let mut mapped = Mapped::default();
        for solution in self.instantiate(results, cells, row) {
            let solution = solution?;
            mapped.document = solution.document.or(mapped.document);
            mapped.triples.extend(solution.triples);
        }
        Ok(mapped)
    }

    /// Evaluates the mapping over the statements of an RDF file; one result for each solution.
    ///
    /// # Errors
    /// The reason in words, when the query cannot be evaluated.
    pub fn apply_to_graph(&self, graph: &Dataset) -> Result<Vec<Result<Mapped, String>>, String> {
        let results = self
            .evaluator
            .prepare(&self.select)
            .execute(graph)
            .map_err(|error| error.to_string())?;
        Ok(self.instantiate(results, &[], 0))
    }

    fn instantiate(
        &self,
        results: QueryResults<'_>,
        cells: &[(Variable, Term)],
        row: u64,
    ) -> Vec<Result<Mapped, String>> {
        let QueryResults::Solutions(solutions) = results else {
            return vec![Err("the mapping gave no solutions".to_owned())];
        };
        let document = Variable::new_unchecked("document");
        let one = |(number, solution): (usize, Result<QuerySolution, _>)| {
            let solution = solution.map_err(|error: QueryEvaluationError| error.to_string())?;
            let value = |variable: &Variable| {
                let cell = || cells.iter().find(|(name, _)| name == variable).map(|(_, value)| value);
                solution.get(variable).or_else(cell).cloned()
            };
            // Ends with what no number holds, so that the label of the template follows unmistakably.
            let scope = format!("r{row}s{number}n");
            Ok(Mapped {
                document: match value(&document) {
                    Some(Term::Literal(name)) => Some(name.value().to_owned()),
                    _ => None,
                },
                triples: self
                    .template
                    .iter()
                    .filter_map(|pattern| triple(pattern, &value, &scope))
                    .collect(),
            })
        };
        solutions.enumerate().map(one).collect()
    }
}

/// One triple of the template; none when a variable is unbound or the triple would be ill-formed (SPARQL 1.1 §16.2).
fn triple(pattern: &TriplePattern, value: &dyn Fn(&Variable) -> Option<Term>, scope: &str) -> Option<Triple> {
    let subject = match term(&pattern.subject, value, scope)? {
        Term::NamedNode(node) => NamedOrBlankNode::from(node),
        Term::BlankNode(node) => node.into(),
        _ => return None,
    };
    let predicate = match &pattern.predicate {
        NamedNodePattern::NamedNode(node) => node.clone(),
        NamedNodePattern::Variable(variable) => match value(variable)? {
            Term::NamedNode(node) => node,
            _ => return None,
        },
    };
    Some(Triple::new(subject, predicate, term(&pattern.object, value, scope)?))
}

fn term(pattern: &TermPattern, value: &dyn Fn(&Variable) -> Option<Term>, scope: &str) -> Option<Term> {
    match pattern {
        TermPattern::NamedNode(node) => Some(node.clone().into()),
        TermPattern::Literal(literal) => Some(literal.clone().into()),
        TermPattern::BlankNode(node) => Some(BlankNode::new_unchecked(format!("{scope}{}", node.as_str())).into()),
        TermPattern::Variable(variable) => value(variable),
        TermPattern::Triple(_) => None,
    }
}

/// Every variable that the text names, and `?document`. Some may stand in a comment or a string; they do no harm.
fn variables(text: &str) -> Vec<Variable> {
    let mut variables = vec![Variable::new_unchecked("document")];
    for after in text.split(['?', '$']).skip(1) {
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        if let Some(name) = after.get(..end).filter(|name| !name.is_empty()) {
            let variable = Variable::new_unchecked(name);
            if !variables.contains(&variable) {
                variables.push(variable);
            }
        }
    }
    variables
}

/// The `PREFIX` lines, as the parser does not hand them out.
fn prefixes(text: &str) -> BTreeMap<String, String> {
    let mut prefixes = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("prefix"))
            && let (Some(name), Some(iri)) = (words.next(), words.next())
            && let (Some(name), Some(iri)) = (
                name.strip_suffix(':'),
                iri.strip_prefix('<').and_then(|iri| iri.strip_suffix('>')),
            )
        {
            prefixes.insert(name.to_owned(), iri.to_owned());
        }
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::Literal;

    const MAPPING: &str = r#"
        PREFIX sosa: <http://www.w3.org/ns/sosa/>
        PREFIX fn: <https://w3id.org/meent/fn#>
        PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
        CONSTRUCT { ?obs a sosa:Observation ; sosa:hasSimpleResult ?value ; sosa:resultTime ?time ; sosa:hasMember [ a sosa:Sensor ] }
        WHERE {
          BIND(IRI(CONCAT("https://example.org/obs/", ENCODE_FOR_URI(?id))) AS ?obs)
          BIND(fn:brusselsTime(?when) AS ?time)
          BIND(xsd:integer(?count) AS ?value)
          BIND(CONCAT(SUBSTR(?when, 1, 10), ".ttl") AS ?document)
          FILTER(?id != "skip")
        }"#;

    fn row(id: &str, when: &str, count: &str) -> Vec<(Variable, Term)> {
        [("id", id), ("when", when), ("count", count)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (Mapping::variable(name), Literal::new_simple_literal(value).into()))
            .collect()
    }

    #[test]
    fn a_row_becomes_triples_in_its_document() {
        let mapping = Mapping::parse(MAPPING).unwrap();
        let mapped = mapping.apply(&row("a b", "2022-01-01 10:00:00", "7"), 3).unwrap();
        assert_eq!(mapped.document.as_deref(), Some("2022-01-01.ttl"));
        let text: Vec<String> = mapped.triples.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 5, "{text:#?}");
        assert!(
            text.iter()
                .any(|triple| triple.starts_with("<https://example.org/obs/a%20b> ")),
            "{text:#?}"
        );
        assert!(
            text.iter()
                .any(|triple| triple.contains("\"2022-01-01T10:00:00+01:00\"")),
            "{text:#?}"
        );
    }

    #[test]
    fn an_empty_cell_leaves_out_its_triple_and_a_filter_its_row() {
        let mapping = Mapping::parse(MAPPING).unwrap();
        assert_eq!(
            mapping
                .apply(&row("a", "2022-01-01 10:00:00", ""), 0)
                .unwrap()
                .triples
                .len(),
            4
        );
        assert_eq!(
            mapping
                .apply(&row("skip", "2022-01-01 10:00:00", "1"), 0)
                .unwrap()
                .triples
                .len(),
            0
        );
    }

    #[test]
    fn only_a_construct_is_a_mapping() {
        assert!(matches!(
            Mapping::parse("SELECT * { ?s ?p ?o }"),
            Err(MappingError::NotConstruct)
        ));
        assert!(matches!(Mapping::parse("CONSTRUCT {"), Err(MappingError::Syntax(_))));
        assert_eq!(Mapping::parse(MAPPING).unwrap().prefixes().len(), 3);
    }
}
