//! Arrow and Parquet hold the same rows as SPARQL JSON: for arbitrary terms, in small row groups and large ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::answers::{Read, Rows, canonical, read_arrow, read_parquet, table_of_json};
use oxrdf::vocab::xsd;
use oxrdf::{BlankNode, Literal, NamedNode, NamedNodeRef, Term, Triple, Variable};
use proptest::prelude::*;
use server_kit::results::{GroupLimits, Notes, ResultsError, Row, Sink, Table, TableFormat, write};
use sparesults::{QueryResultsFormat, QueryResultsSerializer};

type Reader = fn(&[u8]) -> Read;

/// Lexical forms of a datatype, good ones and others.
fn forms(datatype: NamedNodeRef<'static>, texts: &'static [&'static str]) -> BoxedStrategy<Term> {
    let text = prop::sample::select(texts).prop_map(str::to_owned);
    text.prop_map(move |text| Literal::new_typed_literal(text, datatype).into())
        .boxed()
}

/// Terms of one kind, as columns mostly hold them.
fn alike() -> Vec<BoxedStrategy<Term>> {
    let tagged = |tag: &'static str| {
        let text = prop::sample::select(&["fiets", "", "\"é\n"][..]);
        text.prop_map(move |text| Literal::new_language_tagged_literal(text, tag).unwrap().into())
            .boxed()
    };
    vec![
        any::<i64>().prop_map(|number| Literal::from(number).into()).boxed(),
        forms(xsd::INTEGER, &["0", "-1", "007", "+5", "9223372036854775807"]),
        forms(
            xsd::INTEGER,
            &["9223372036854775808", "1", "-170141183460469231731687303715884105728"],
        ),
        forms(xsd::INTEGER, &["twelve", "1.0", "", "12"]),
        forms(xsd::UNSIGNED_LONG, &["18446744073709551615", "3"]),
        forms(
            xsd::DECIMAL,
            &["1.50", "-0.001", "+12", ".5", "0", "100000000000000000000.25"],
        ),
        forms(
            xsd::DECIMAL,
            &["0.00000000000000000000001", "1000000000000000000000", "1"],
        ),
        forms(xsd::DECIMAL, &["1e3", "-", "1.5"]),
        any::<f64>().prop_map(|number| Literal::from(number).into()).boxed(),
        forms(xsd::DOUBLE, &["NaN", "INF", "-INF", "1e0", "-0", "1E400", "4.9E-324"]),
        forms(xsd::DOUBLE, &["inf", "nan", "1.5"]),
        forms(xsd::FLOAT, &["NaN", "INF", "0.1", "16777217", "1e40"]),
        forms(xsd::BOOLEAN, &["true", "false", "1", "0"]),
        forms(xsd::BOOLEAN, &["TRUE", "true"]),
        forms(
            xsd::DATE_TIME,
            &[
                "2026-03-29T01:59:59.5+01:00",
                "1969-12-31T23:59:59.999999Z",
                "0044-03-15T12:00:00-14:00",
            ],
        ),
        forms(xsd::DATE_TIME, &["2026-03-29T02:30:00", "2026-03-29T24:00:00"]),
        forms(
            xsd::DATE_TIME,
            &[
                "2026-03-29T02:30:00",
                "2026-03-29T02:30:00Z",
                "2026-03-29T02:30:00.0000001Z",
            ],
        ),
        forms(xsd::DATE_TIME, &["2026-02-30T00:00:00Z", "2026-02-28T00:00:00Z"]),
        forms(xsd::DATE, &["2026-11-22", "1582-10-04"]),
        forms(xsd::DATE, &["2026-11-22", "2026-11-22+01:00"]),
        forms(xsd::G_YEAR, &["2026"]),
        ".{0,12}".prop_map(|text| Literal::from(text).into()).boxed(),
        tagged("nl"),
        prop_oneof![tagged("nl"), tagged("fr-BE")].boxed(),
        (0..4_u8)
            .prop_map(|at| BlankNode::new(format!("b{at}")).unwrap().into())
            .boxed(),
        "[a-z]{1,6}"
            .prop_map(|name| NamedNode::new(format!("http://x.example/{name}")).unwrap().into())
            .boxed(),
        (0..9_i32)
            .prop_map(|number| {
                let node = NamedNode::new("http://x.example/p").unwrap();
                Term::from(Triple::new(node.clone(), node, Literal::from(number)))
            })
            .boxed(),
    ]
}

/// A column: terms that are alike, or any.
fn column() -> BoxedStrategy<BoxedStrategy<Term>> {
    let kinds = alike();
    let any = prop::strategy::Union::new(kinds.clone()).boxed();
    let one = prop::sample::select((0..kinds.len()).collect::<Vec<_>>()).prop_map(move |at| kinds[at].clone());
    prop_oneof![8 => one, 1 => Just(any)].boxed()
}

fn rows() -> BoxedStrategy<Vec<Vec<Option<Term>>>> {
    prop::collection::vec(column(), 1..4)
        .prop_flat_map(|columns| {
            let row: Vec<_> = columns
                .into_iter()
                .map(|terms| prop::option::weighted(0.9, terms))
                .collect();
            prop::collection::vec(row, 0..40)
        })
        .boxed()
}

fn variables(rows: &[Vec<Option<Term>>]) -> Vec<Variable> {
    let width = rows.first().map_or(1, Vec::len);
    (0..width).map(|at| Variable::new(format!("v{at}")).unwrap()).collect()
}

fn written(format: TableFormat, rows: &[Vec<Option<Term>>], limits: GroupLimits) -> Vec<u8> {
    let mut bytes = Vec::new();
    let produce = |sink: &mut Sink<'_>| -> Result<(), ResultsError> {
        rows.iter().try_for_each(|values| {
            sink(Row {
                values: values.clone(),
                sources: None,
            })
        })
    };
    write(
        Table::new(format, variables(rows), false),
        &Notes::default(),
        limits,
        &mut bytes,
        produce,
    )
    .unwrap();
    bytes
}

/// The same rows through SPARQL JSON.
fn by_json(rows: &[Vec<Option<Term>>]) -> Rows {
    let variables = variables(rows);
    let mut writer = QueryResultsSerializer::from_format(QueryResultsFormat::Json)
        .serialize_solutions_to_writer(Vec::new(), variables.clone())
        .unwrap();
    for row in rows {
        let bound = variables
            .iter()
            .zip(row)
            .filter_map(|(variable, value)| Some((variable, value.as_ref()?)));
        writer.serialize(bound).unwrap();
    }
    table_of_json(&serde_json::from_slice(&writer.finish().unwrap()).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every value comes back, whatever the column was made of, also when rows are more than one group.
    #[test]
    fn tables_hold_what_json_holds(rows in rows(), group_rows_max in 1..50_usize) {
        let limits = GroupLimits { group_rows_max, ..GroupLimits::default() };
        let expected = by_json(&rows);
        for (format, read) in [(TableFormat::Arrow, read_arrow as Reader), (TableFormat::Parquet, read_parquet as Reader)] {
            let read = read(&written(format, &rows, limits));
            prop_assert_eq!(&read.table, &expected, "{:?}", format);
            prop_assert!(read.groups.iter().all(|rows| *rows <= group_rows_max), "{:?}", read.groups);
        }
    }
}

/// What a column becomes, by what is in it.
#[test]
fn columns_have_the_type_of_their_values() {
    let xsd = "http://www.w3.org/2001/XMLSchema#";
    let literal = |text: &str, name: &str| {
        Some(Term::from(Literal::new_typed_literal(
            text,
            NamedNode::new(format!("{xsd}{name}")).unwrap(),
        )))
    };
    let tagged = |text: &str, tag: &str| Some(Term::from(Literal::new_language_tagged_literal(text, tag).unwrap()));
    let iri = || Some(Term::from(NamedNode::new("urn:x").unwrap()));
    for (values, expected) in [
        (
            vec![literal("1", "integer"), None],
            format!("int64 {xsd}integer literal"),
        ),
        (
            vec![literal("1", "integer"), literal("9223372036854775808", "integer")],
            format!("utf8 {xsd}integer literal"),
        ),
        (
            vec![literal("1.5", "decimal"), literal("10", "decimal")],
            format!("decimal(38,1) {xsd}decimal literal"),
        ),
        (vec![literal("NaN", "double")], format!("float64 {xsd}double literal")),
        (vec![literal("1", "float")], format!("float32 {xsd}float literal")),
        (vec![literal("1", "boolean")], format!("bool {xsd}boolean literal")),
        (
            vec![literal("2026-11-22T01:00:00+01:00", "dateTime")],
            format!("timestamp[us,UTC] {xsd}dateTime literal"),
        ),
        (
            vec![literal("2026-11-22T01:00:00", "dateTime")],
            format!("timestamp[us] {xsd}dateTime literal"),
        ),
        (vec![literal("2026-11-22", "date")], format!("date32 {xsd}date literal")),
        (vec![literal("x", "string")], format!("utf8 {xsd}string literal")),
        (
            vec![tagged("x", "nl")],
            "utf8 http://www.w3.org/1999/02/22-rdf-syntax-ns#langString literal nl".to_owned(),
        ),
        (vec![tagged("x", "nl"), tagged("x", "fr")], "utf8 mixed".to_owned()),
        (vec![iri(), None], "utf8 iri".to_owned()),
        (vec![iri(), literal("x", "string")], "utf8 mixed".to_owned()),
        (vec![None], "utf8 unbound".to_owned()),
    ] {
        let rows: Vec<_> = values.into_iter().map(|value| vec![value]).collect();
        let arrow = read_arrow(&written(TableFormat::Arrow, &rows, GroupLimits::default()));
        let parquet = read_parquet(&written(TableFormat::Parquet, &rows, GroupLimits::default()));
        assert_eq!(
            (arrow.described("v0"), parquet.described("v0")),
            (expected.clone(), expected),
            "{rows:?}"
        );
        let values: Vec<_> = rows.iter().map(|row| vec![row[0].as_ref().map(canonical)]).collect();
        assert_eq!((arrow.table.rows, parquet.table.rows), (values.clone(), values));
    }
}

/// Rows that are not the same the second time are an error, not a file with other columns.
#[test]
fn rows_that_change_are_refused() {
    let mut call = 0;
    let limits = GroupLimits {
        group_rows_max: 1,
        ..GroupLimits::default()
    };
    let produce = |sink: &mut Sink<'_>| -> Result<(), ResultsError> {
        call += 1;
        (0..3).try_for_each(|_| {
            let value = if call == 1 {
                Literal::from(1)
            } else {
                Literal::from("one")
            };
            sink(Row {
                values: vec![Some(value.into())],
                sources: None,
            })
        })
    };
    let table = Table::new(TableFormat::Parquet, vec![Variable::new("v").unwrap()], false);
    let outcome = write(table, &Notes::default(), limits, &mut Vec::new(), produce);
    assert!(matches!(outcome, Err(ResultsError::Changed)), "{outcome:?}");
}
