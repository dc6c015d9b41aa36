//! From text to algebra, and what is refused on the way.
//!
//! The endpoint answers questions. It neither changes data nor asks other servers on a caller's behalf: updates, `LOAD`
//! and `SERVICE` are refused by name (T71), and so are functions that are not SPARQL's own (T75).

use oxrdf::NamedNode;
use server_kit::sparql_text::{self, TextRejection};
use spargebra::algebra::{
    AggregateExpression, AggregateFunction, Expression, Function, GraphPattern, OrderExpression,
    PropertyPathExpression, QueryDataset,
};
use spargebra::{GraphUpdateOperation, Query, SparqlParser};

use super::limits::QueryLimits;
use super::masks;

/// A query that may be planned. Its dataset clause is kept apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedQuery {
    /// The algebra, without `FROM` and `FROM NAMED`.
    pub query: Query,
    /// `FROM` and `FROM NAMED`, or what the protocol says in their place.
    pub dataset: Option<QueryDataset>,
}

/// Why a text is not answered. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryRejection {
    /// Too long, too deep or too many operators to be given to the parser.
    #[error(transparent)]
    Text(#[from] TextRejection),
    /// Operators nested too deeply.
    #[error("the query's operators are nested deeper than {0}")]
    Depth(usize),
    /// Not SPARQL.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// An update.
    #[error("`{0}` changes data; this endpoint only answers queries")]
    Update(&'static str),
    /// A clause that is not carried out here.
    #[error("`{clause}` is not available here: {why}")]
    Clause {
        /// The clause as it is written.
        clause: String,
        /// The reason.
        why: &'static str,
    },
    /// A base IRI or graph IRI that is none.
    #[error("`{0}` is not an absolute IRI")]
    Iri(String),
}

/// Parses a query. Call it on a thread with a large stack.
///
/// # Errors
/// [`QueryRejection`] with position or clause.
pub fn parse(text: &str, base: &str, limits: &QueryLimits) -> Result<ParsedQuery, QueryRejection> {
    sparql_text::check(text, &limits.text())?;
    let parser = || {
        SparqlParser::new()
            .with_base_iri(base)
            .map_err(|_| QueryRejection::Iri(base.to_owned()))
    };
    let mut query = match parser()?.parse_query(text) {
        Ok(query) => query,
        Err(error) => {
            if let Ok(update) = parser()?.parse_update(text)
                && let Some(operation) = update.operations.first()
            {
                return Err(QueryRejection::Update(operation_name(operation)));
            }
            return Err(syntax(&error.to_string()));
        }
    };
    let (pattern, dataset) = match &mut query {
        Query::Select { pattern, dataset, .. }
        | Query::Construct { pattern, dataset, .. }
        | Query::Describe { pattern, dataset, .. }
        | Query::Ask { pattern, dataset, .. } => (&*pattern, dataset),
    };
    check_pattern(pattern, limits.depth_max).map_err(|fault| match fault {
        Fault::Depth => QueryRejection::Depth(limits.depth_max),
        Fault::Refused(rejection) => rejection,
    })?;
    let dataset = dataset.take();
    Ok(ParsedQuery { query, dataset })
}

/// Replaces the dataset clause by what the protocol's parameters say (SPARQL 1.1 Protocol §2.1.4).
///
/// # Errors
/// [`QueryRejection::Iri`].
pub fn with_protocol_dataset(
    mut parsed: ParsedQuery,
    default_graphs: &[String],
    named_graphs: &[String],
) -> Result<ParsedQuery, QueryRejection> {
    if default_graphs.is_empty() && named_graphs.is_empty() {
        return Ok(parsed);
    }
    let nodes = |iris: &[String]| {
        iris.iter()
            .map(|iri| NamedNode::new(iri).map_err(|_| QueryRejection::Iri(iri.clone())))
            .collect::<Result<Vec<_>, _>>()
    };
    parsed.dataset = Some(QueryDataset {
        default: nodes(default_graphs)?,
        named: Some(nodes(named_graphs)?),
    });
    Ok(parsed)
}

const fn operation_name(operation: &GraphUpdateOperation) -> &'static str {
    match operation {
        GraphUpdateOperation::InsertData { .. } => "INSERT DATA",
        GraphUpdateOperation::DeleteData { .. } => "DELETE DATA",
        GraphUpdateOperation::DeleteInsert { .. } => "DELETE/INSERT",
        GraphUpdateOperation::Load { .. } => "LOAD",
        GraphUpdateOperation::Clear { .. } => "CLEAR",
        GraphUpdateOperation::Create { .. } => "CREATE",
        GraphUpdateOperation::Drop { .. } => "DROP",
    }
}

/// The parser tells the place inside its message, as `error at 3:5: expected …`.
fn syntax(message: &str) -> QueryRejection {
    let place = message.strip_prefix("error at ").and_then(|rest| {
        let (place, message) = rest.split_once(": ")?;
        let (line, column) = place.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?, message.to_owned()))
    });
    let (line, column, message) = place.unwrap_or_else(|| (1, 1, message.to_owned()));
    QueryRejection::Syntax { line, column, message }
}

enum Fault {
    Depth,
    Refused(QueryRejection),
}

fn clause(clause: impl Into<String>, why: &'static str) -> Fault {
    Fault::Refused(QueryRejection::Clause {
        clause: clause.into(),
        why,
    })
}

fn check_pattern(pattern: &GraphPattern, depth: usize) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or(Fault::Depth)?;
    match pattern {
        // The evaluator joins the patterns of a block one inside the other.
        GraphPattern::Bgp { patterns } if patterns.len() > depth => Err(Fault::Depth),
        GraphPattern::Bgp { .. } | GraphPattern::Values { .. } => Ok(()),
        GraphPattern::Path { path, .. } => check_path(path, depth),
        GraphPattern::Join { left, right }
        | GraphPattern::Union { left, right }
        | GraphPattern::Minus { left, right } => {
            check_pattern(left, depth)?;
            check_pattern(right, depth)
        }
        GraphPattern::Lateral { .. } => Err(clause("LATERAL", "it is not part of SPARQL 1.1")),
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => {
            check_pattern(left, depth)?;
            check_pattern(right, depth)?;
            expression
                .iter()
                .try_for_each(|expression| check_expression(expression, depth))
        }
        GraphPattern::Filter { expr, inner } => {
            check_expression(expr, depth)?;
            check_pattern(inner, depth)
        }
        GraphPattern::Extend { inner, expression, .. } => {
            check_expression(expression, depth)?;
            check_pattern(inner, depth)
        }
        GraphPattern::OrderBy { inner, expression } => {
            for part in expression {
                let (OrderExpression::Asc(expression) | OrderExpression::Desc(expression)) = part;
                check_expression(expression, depth)?;
            }
            check_pattern(inner, depth)
        }
        GraphPattern::Graph { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => check_pattern(inner, depth),
        GraphPattern::Group { inner, aggregates, .. } => {
            for (_, aggregate) in aggregates {
                if let AggregateExpression::FunctionCall { name, expr, .. } = aggregate {
                    if let AggregateFunction::Custom(name) = name {
                        return Err(clause(name.to_string(), "no aggregate function of this name exists"));
                    }
                    check_expression(expr, depth)?;
                }
            }
            check_pattern(inner, depth)
        }
        GraphPattern::Service { name, .. } => Err(clause(
            format!("SERVICE {name}"),
            "a pod server asks no other server on a caller's behalf; send federated queries to a broker",
        )),
    }
}

fn check_path(path: &PropertyPathExpression, depth: usize) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or(Fault::Depth)?;
    match path {
        PropertyPathExpression::NamedNode(_) | PropertyPathExpression::NegatedPropertySet(_) => Ok(()),
        PropertyPathExpression::Reverse(inner)
        | PropertyPathExpression::ZeroOrMore(inner)
        | PropertyPathExpression::OneOrMore(inner)
        | PropertyPathExpression::ZeroOrOne(inner) => check_path(inner, depth),
        PropertyPathExpression::Sequence(left, right) | PropertyPathExpression::Alternative(left, right) => {
            check_path(left, depth)?;
            check_path(right, depth)
        }
    }
}

fn check_expression(expression: &Expression, depth: usize) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or(Fault::Depth)?;
    match expression {
        Expression::NamedNode(_) | Expression::Literal(_) | Expression::Variable(_) | Expression::Bound(_) => Ok(()),
        Expression::Or(a, b)
        | Expression::And(a, b)
        | Expression::Equal(a, b)
        | Expression::SameTerm(a, b)
        | Expression::Greater(a, b)
        | Expression::GreaterOrEqual(a, b)
        | Expression::Less(a, b)
        | Expression::LessOrEqual(a, b)
        | Expression::Add(a, b)
        | Expression::Subtract(a, b)
        | Expression::Multiply(a, b)
        | Expression::Divide(a, b) => {
            check_expression(a, depth)?;
            check_expression(b, depth)
        }
        Expression::In(value, list) => {
            check_expression(value, depth)?;
            list.iter().try_for_each(|item| check_expression(item, depth))
        }
        Expression::UnaryPlus(inner) | Expression::UnaryMinus(inner) | Expression::Not(inner) => {
            check_expression(inner, depth)
        }
        Expression::Exists(pattern) => check_pattern(pattern, depth),
        Expression::If(condition, then, otherwise) => {
            check_expression(condition, depth)?;
            check_expression(then, depth)?;
            check_expression(otherwise, depth)
        }
        Expression::Coalesce(list) => list.iter().try_for_each(|item| check_expression(item, depth)),
        Expression::FunctionCall(function, arguments) => {
            if let Function::Custom(name) = function
                && !is_cast(name)
            {
                if !masks::is_function(name) {
                    return Err(clause(name.to_string(), "no function of this name exists"));
                }
                if !masks::well_called(arguments) {
                    return Err(clause(
                        name.to_string(),
                        "it takes the text of a mask and one or more variables",
                    ));
                }
            }
            arguments.iter().try_for_each(|item| check_expression(item, depth))
        }
    }
}

/// The constructor functions of SPARQL 1.1 §17.5.
fn is_cast(name: &NamedNode) -> bool {
    name.as_str()
        .strip_prefix("http://www.w3.org/2001/XMLSchema#")
        .is_some_and(|local| {
            matches!(
                local,
                "boolean" | "double" | "float" | "decimal" | "integer" | "dateTime" | "string"
            )
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn rejection(text: &str) -> String {
        match parse(text, "https://pod.example/", &QueryLimits::default()) {
            Ok(parsed) => panic!("accepted: {:?}", parsed.query),
            Err(rejection) => rejection.to_string(),
        }
    }

    #[test]
    fn t71_t75_what_is_not_a_question_is_refused_by_name() {
        for (text, part) in [
            ("LOAD <http://169.254.169.254/>", "`LOAD` changes data"),
            ("INSERT DATA { <a> <b> <c> }", "`INSERT DATA` changes data"),
            ("DELETE WHERE { ?s ?p ?o }", "`DELETE/INSERT` changes data"),
            ("CLEAR ALL", "`CLEAR` changes data"),
            (
                "SELECT * { SERVICE <http://evil.example/> { ?s ?p ?o } }",
                "SERVICE <http://evil.example/>",
            ),
            ("SELECT * { OPTIONAL { SERVICE SILENT ?x { ?s ?p ?o } } }", "SERVICE ?x"),
            ("SELECT * { FILTER EXISTS { SERVICE <http://a/> {} } }", "SERVICE"),
            ("SELECT (<http://a.example/f>(1) AS ?x) {}", "no function of this name"),
            ("SELECT (<java:x>(?s) AS ?x) { ?s ?p ?o } ", "no function of this name"),
            (
                "SELECT * { ?s ?p ?o FILTER(<https://w3id.org/meent/fn#mayBeAmong>('no mask', ?s)) }",
                "the text of a mask and one or more variables",
            ),
            (
                "SELECT * { ?s ?p ?o FILTER(<https://w3id.org/meent/fn#mayBeAmong>(STR(?o), ?s)) }",
                "the text of a mask and one or more variables",
            ),
        ] {
            let message = rejection(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn syntax_errors_tell_where() {
        let parsed = parse("SELECT *\n{ ?s ?p }", "https://pod.example/", &QueryLimits::default());
        assert!(
            matches!(
                parsed,
                Err(QueryRejection::Syntax {
                    line: 2,
                    column: 9..,
                    ..
                })
            ),
            "{parsed:?}"
        );
    }

    #[test]
    fn long_chains_without_brackets_are_refused_and_do_not_abort() {
        let worker = std::thread::Builder::new().stack_size(super::super::pool::STACK_BYTES);
        let check = || {
            for (start, middle, end) in [
                ("SELECT * { FILTER(1", " + 1", ") }"),
                ("SELECT * { FILTER(true", " || true", ") }"),
                ("SELECT * { ", "{ ?s ?p ?o } ", "}"),
                ("SELECT * { {}", " UNION {}", "}"),
                ("SELECT * { ", "OPTIONAL { ?s ?p ?o } ", "}"),
                ("SELECT * { ", "FILTER(true) ?s ?p ?o . ", "}"),
                ("SELECT * { ?s <p>", "/<p>*", " ?o }"),
                ("SELECT * { ?s <p>", "|<p>", " ?o }"),
            ] {
                let text = format!("{start}{}{end}", middle.repeat(20_000));
                let parsed = parse(&text, "https://pod.example/", &QueryLimits::default());
                assert!(
                    matches!(parsed, Err(QueryRejection::Depth(_))),
                    "{middle}: {:?}",
                    parsed.err()
                );
            }
        };
        worker.spawn(check).unwrap().join().unwrap();
    }
}
