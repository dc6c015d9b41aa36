//! Attacks with several questions on aggregates: what may leave beside what left before.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::answers::{Answers, Release};
use super::harness::{ANSWERS, BASE, Source, all, index_of, table};
use super::parse::parse;
use super::table::Table;
use super::{QueryLimits, View};

const LEAST: u32 = 5;

/// A consumer who remembers every answer, and the server's ledger about this consumer.
#[derive(Default)]
struct Consumer {
    ledger: Answers,
}

type Rows = BTreeMap<Vec<String>, Vec<String>>;

impl Consumer {
    fn ask(&mut self, view: &View, query: &str) -> Rows {
        let text = format!("PREFIX ex: <http://example.org/> {query}");
        let parsed = parse(&text, BASE, &QueryLimits::default()).unwrap();
        let table = table(view, &parsed, LEAST, &QueryLimits::default()).unwrap();
        let release = self.ledger.decide(&table.groups, LEAST, ANSWERS).unwrap();
        let rows = rows(&table, &release);
        release.new.into_iter().for_each(|sketch| self.ledger.keep(sketch));
        release
            .withheld
            .into_iter()
            .for_each(|withheld| self.ledger.withhold(withheld));
        rows
    }

    fn sum(&mut self, view: &View, pattern: &str) -> Option<String> {
        let rows = self.ask(view, &format!("SELECT (SUM(?v) AS ?x) {{ {pattern} }}"));
        rows.into_values().next().and_then(|row| row.into_iter().next())
    }
}

fn rows(table: &Table, release: &Release) -> Rows {
    let text = |term: &Option<oxrdf::Term>| match term {
        Some(oxrdf::Term::Literal(literal)) => literal.value().to_owned(),
        Some(term) => term.to_string(),
        None => String::new(),
    };
    let leaving = table.groups.iter().zip(&release.leaves).filter(|(_, leaves)| **leaves);
    leaving
        .map(|(group, _)| {
            (
                group.keys.iter().map(text).collect(),
                group.values.iter().map(text).collect(),
            )
        })
        .collect()
}

/// Persons with a measurement each: value, row and column of a table.
fn persons(of: &[(i64, usize, usize)]) -> std::sync::Arc<View> {
    let sources: Vec<Source> = (1_i64..)
        .zip(of)
        .map(|(number, (value, row, column))| {
            Source::new(
                &format!("/p{number}/d"),
                number,
                &format!("ex:m{number} ex:value {value} ; ex:row {row} ; ex:column {column} ; ex:by ex:p{number} ."),
            )
        })
        .collect();
    all(&index_of(&sources, 3))
}

fn thirty() -> Vec<(i64, usize, usize)> {
    (1..=30).map(|n| (n * n, usize::try_from(n % 3).unwrap(), 0)).collect()
}

/// A question, and the same without few persons, or about few persons more, in other words, and by way of other answers.
///
/// Requirements ENF-12, T90, T94.
#[test]
fn a_difference_of_few_persons_is_not_told() {
    let view = persons(&thirty());
    for (asked, withheld) in [
        (vec!["?m ex:value ?v"], "?m ex:value ?v FILTER(?m != ex:m7)"),
        (vec!["?m ex:value ?v FILTER(?m != ex:m7)"], "?m ex:value ?v"),
        (
            vec!["?m ex:value ?v"],
            "?m ex:value ?v ; ex:by ?p FILTER(?p NOT IN (ex:p1, ex:p2, ex:p3, ex:p4))",
        ),
        (vec!["?m ex:value ?v"], "?m ex:value ?v FILTER(?v < 900)"),
        (
            vec!["?m ex:value ?v FILTER(?v > 100)"],
            "?m ex:value ?v FILTER(?v >= 100)",
        ),
        // All less a half less the other half but one.
        (
            vec!["?m ex:value ?v", "?m ex:value ?v FILTER(?v <= 225)"],
            "?m ex:value ?v FILTER(?v > 225 && ?m != ex:m20)",
        ),
        // By rows: two of three, and the third without one person.
        (
            vec![
                "?m ex:value ?v",
                "?m ex:value ?v ; ex:row 0",
                "?m ex:value ?v ; ex:row 1",
            ],
            "?m ex:value ?v ; ex:row 2 FILTER(?m != ex:m2)",
        ),
        // A tracker: A or the person, and not A or the person, beside all.
        (
            vec!["?m ex:value ?v", "?m ex:value ?v FILTER(?v > 200 || ?m = ex:m3)"],
            "?m ex:value ?v FILTER(?v <= 200 || ?m = ex:m3)",
        ),
    ] {
        let mut consumer = Consumer::default();
        for one in &asked {
            assert!(consumer.sum(&view, one).is_some(), "{one}");
        }
        assert_eq!(consumer.sum(&view, withheld), None, "{asked:?} then {withheld}");
        assert!(consumer.sum(&view, asked[0]).is_some(), "what was told is told again");
    }
    // Differences of enough persons are told.
    let mut consumer = Consumer::default();
    assert_eq!(consumer.sum(&view, "?m ex:value ?v").as_deref(), Some("9455"));
    assert!(consumer.sum(&view, "?m ex:value ?v FILTER(?v > 25)").is_some());
    assert_eq!(
        consumer.sum(&view, "?m ex:value ?v FILTER(?v <= 25)").as_deref(),
        Some("55")
    );
}

/// What everybody's documents say, added up once for each person of a group: the sum tells how many they are.
///
/// Requirements ENF-12, T90.
#[test]
fn a_value_of_everybody_counts_nobody() {
    let sources: Vec<Source> = (1..=30)
        .map(|n| {
            let ill = if n % 3 == 0 { "true" } else { "false" };
            let turtle = format!("ex:m{n} ex:of ex:city ; ex:ill {ill} . ex:city ex:length 7 .");
            Source::new(&format!("/p{n}/d"), n, &turtle)
        })
        .collect();
    let view = all(&index_of(&sources, 3));
    let body = "?m ex:of ?c ; ex:ill true . ?c ex:length ?v";
    let mut consumer = Consumer::default();
    assert_eq!(consumer.sum(&view, body).as_deref(), Some("70"));
    assert_eq!(consumer.sum(&view, &format!("{body} FILTER(?m != ex:m9)")), None);
    assert_eq!(
        consumer.sum(&view, &format!("{body} FILTER(?m != ex:m8)")).as_deref(),
        Some("70")
    );
    let count = "SELECT (COUNT(*) AS ?n) { ?m ex:ill true FILTER(?m != ex:m9) }";
    assert!(consumer.ask(&view, count).is_empty(), "nor by counting");
}

/// One group is too small; the answer to the whole then tells nothing of it, whichever comes first.
///
/// Requirements ENF-11, T91, T93.
#[test]
fn a_total_does_not_tell_the_group_that_is_left_out() {
    let mut of: Vec<_> = (0..24).map(|n| (n + 1, usize::try_from(n % 4).unwrap(), 0)).collect();
    of.extend([(100, 9, 0), (200, 9, 0)]);
    let view = persons(&of);
    let groups = "SELECT ?r (SUM(?v) AS ?x) { ?m ex:value ?v ; ex:row ?r } GROUP BY ?r";
    let mut consumer = Consumer::default();
    let told = consumer.ask(&view, groups);
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(
        consumer.sum(&view, "?m ex:value ?v ; ex:row ?r"),
        None,
        "the total less four groups is two persons"
    );
    assert_eq!(
        consumer.ask(&view, groups),
        told,
        "the same question gets the same answer"
    );
    let mut consumer = Consumer::default();
    assert_eq!(consumer.sum(&view, "?m ex:value ?v").as_deref(), Some("600"));
    let beside = consumer.ask(&view, groups);
    assert_eq!(
        beside.len(),
        3,
        "another group is left out beside the small one: {beside:?}"
    );
    assert!(beside.iter().all(|row| told.get(row.0) == Some(row.1)));
    // An empty group looks like a small one.
    let one = |value: i64| format!("SELECT (COUNT(*) AS ?n) {{ ?m ex:value ?v ; ex:row {value} }}");
    assert_eq!(consumer.ask(&view, &one(77)), consumer.ask(&view, &one(9)));
}

/// Skewed data: the largest contribution could be told from a sum by whoever made the second.
///
/// Requirements T92.
#[test]
fn a_sum_that_one_person_dominates_is_left_out() {
    let sum = "?m ex:value ?v";
    for (values, told) in [
        (vec![10, 11, 12, 13, 14, 15], true),
        (vec![1, 1, 1, 1, 1, 1000], false),
        (vec![1, 1, 1, 1, 900, 1000], false),
        (vec![60, 60, 60, 1, 1, 1000], true),
        (vec![30, 30, 30, 1, 1, 1000], false),
        (vec![-1000, 5, 5, 5, 5, 5], false),
        (vec![0, 0, 0, 0, 0, 0], true),
    ] {
        let of: Vec<_> = values.iter().map(|value| (*value, 0, 0)).collect();
        let view = persons(&of);
        let mut consumer = Consumer::default();
        assert_eq!(consumer.sum(&view, sum).is_some(), told, "{values:?}");
        let count = consumer.ask(&view, "SELECT (COUNT(*) AS ?n) { ?m ex:value ?v }");
        assert_eq!(count.len(), 1, "counts are not dominated: {values:?}");
    }
}

/// The same question in a thousand spellings.
///
/// Requirements T94.
#[test]
fn a_thousand_spellings_get_one_answer() {
    let mut of = thirty();
    of.push((5, 8, 0));
    let view = persons(&of);
    let mut consumer = Consumer::default();
    let mut answers = std::collections::BTreeSet::new();
    let mut spellings = std::collections::BTreeSet::new();
    for number in 0..1_000_u32 {
        let bit = |place: u32| number >> place & 1 == 1;
        let (m, r) = (
            ["?m", "?measure"][usize::from(bit(0))],
            ["?r", "?row"][usize::from(bit(1))],
        );
        let value = ["ex:value", "<http://example.org/value>"][usize::from(bit(2))];
        let mut parts = vec![format!("{m} {value} ?v ."), format!("{m} ex:row {r} .")];
        if bit(3) {
            parts.push(format!("{m} ex:by ?someone ."));
        }
        if bit(4) {
            parts.reverse();
        }
        for (place, filter) in [
            (5, "FILTER(?v = ?v)"),
            (6, "FILTER(?v >= 0 || false)"),
            (7, "BIND(1 + 1 AS ?two)"),
            (8, "FILTER(!(?v < -1))"),
        ] {
            if bit(place) {
                parts.push(filter.to_owned());
            }
        }
        let order = ["", " ORDER BY DESC(?x)"][usize::from(bit(9))];
        let body = parts.join(["", "\n  "][usize::from(bit(1))]);
        let query = format!("SELECT {r} (SUM(?v) AS ?x) {{ {body} }} GROUP BY {r}{order}");
        spellings.insert(query.clone());
        answers.insert(consumer.ask(&view, &query));
    }
    assert_eq!((spellings.len(), answers.len()), (1_000, 1));
    assert!(
        consumer.ledger.len() <= 8,
        "one question's numbers: {}",
        consumer.ledger.len()
    );
}

/// What a consumer knows of one cell of a table by all that was told: least and greatest.
fn interval(cells: &[(usize, usize)], lines: &[(Vec<usize>, i64)], cell: usize) -> (i64, i64) {
    (
        extreme(cells.len(), lines, cell, -1),
        extreme(cells.len(), lines, cell, 1),
    )
}

/// The extreme of one unknown that is not negative, where sums of unknowns are known: the simplex method with Bland's
/// rule over whole numbers (the systems are those of tables, whose pivots are all one).
fn extreme(unknowns: usize, lines: &[(Vec<usize>, i64)], wanted: usize, sign: i64) -> i64 {
    // Maximise sign·x, less a large price for each line that is not met.
    const PRICE: i64 = 1_000_000;
    let width = unknowns + lines.len() + 1;
    let mut rows: Vec<Vec<i64>> = Vec::new();
    for (number, (members, sum)) in lines.iter().enumerate() {
        let mut row = vec![0; width];
        for member in members {
            row[*member] = 1;
        }
        row[unknowns + number] = 1;
        row[width - 1] = *sum;
        rows.push(row);
    }
    let mut basis: Vec<usize> = (0..lines.len()).map(|number| unknowns + number).collect();
    let mut cost = vec![0_i64; width];
    cost[wanted] = sign;
    cost[unknowns..width - 1].fill(-PRICE);
    loop {
        let reduced = |column: usize| {
            let carried: i64 = rows.iter().zip(&basis).map(|(row, at)| cost[*at] * row[column]).sum();
            cost[column] - carried
        };
        let Some(enters) = (0..width - 1).find(|column| !basis.contains(column) && reduced(*column) > 0) else {
            break;
        };
        let leaves = (0..rows.len())
            .filter(|row| rows[*row][enters] > 0)
            .min_by_key(|row| (rows[*row][width - 1] / rows[*row][enters], basis[*row]))
            .expect("every cell is bounded by its line");
        assert_eq!(rows[leaves][enters], 1, "a system of a table");
        let pivot = rows[leaves].clone();
        for (number, row) in rows.iter_mut().enumerate() {
            let times = row[enters];
            if number != leaves && times != 0 {
                for (value, taken) in row.iter_mut().zip(&pivot) {
                    *value -= times * taken;
                }
            }
        }
        basis[leaves] = enters;
    }
    assert!(
        basis
            .iter()
            .zip(&rows)
            .all(|(at, row)| *at < unknowns || row[width - 1] == 0),
        "what was told contradicts itself"
    );
    let position = basis.iter().position(|at| *at == wanted);
    position.map_or(0, |row| rows[row][width - 1])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Counts of a table with rows and columns, then both margins and the total in some order: whatever of it is told, a
    /// small cell that was withheld can be anything within an interval as wide as the group size.
    ///
    /// Requirements ENF-11, ENF-12, T93.
    #[test]
    fn margins_tell_no_hidden_cell(counts in prop::collection::vec(prop::collection::vec(0_usize..12, 4), 4), order in Just([0, 1, 2]).prop_shuffle()) {
        let mut of = Vec::new();
        for (row, line) in counts.iter().enumerate() {
            for (column, count) in line.iter().enumerate() {
                of.extend(std::iter::repeat_n((1, row, column), *count));
            }
        }
        prop_assume!(!of.is_empty());
        let view = persons(&of);
        let mut consumer = Consumer::default();
        let body = "{ ?m ex:value ?v ; ex:row ?r ; ex:column ?c }";
        let cells = consumer.ask(&view, &format!("SELECT ?r ?c (SUM(?v) AS ?n) {body} GROUP BY ?r ?c"));
        let margins = [
            format!("SELECT ?r (SUM(?v) AS ?n) {body} GROUP BY ?r"),
            format!("SELECT ?c (SUM(?v) AS ?n) {body} GROUP BY ?c"),
            format!("SELECT (SUM(?v) AS ?n) {body}"),
        ];
        let mut told: [Rows; 3] = Default::default();
        for number in order {
            told[number] = consumer.ask(&view, &margins[number]);
        }
        let [by_row, by_column, total] = told;
        let told = |rows: &Rows, key: &[usize]| {
            let key: Vec<String> = key.iter().map(ToString::to_string).collect();
            rows.get(&key).map(|row| row[0].parse::<i64>().unwrap())
        };
        let places: Vec<(usize, usize)> = (0..4).flat_map(|row| (0..4).map(move |column| (row, column))).collect();
        let mut lines: Vec<(Vec<usize>, i64)> = Vec::new();
        let mut line = |members: Vec<(usize, usize)>, sum: Option<i64>| {
            let Some(sum) = sum else { return };
            let members = members.iter().map(|place| places.iter().position(|one| one == place).unwrap());
            lines.push((members.collect(), sum));
        };
        for place in &places {
            line(vec![*place], told(&cells, &[place.0, place.1]));
        }
        for number in 0..4 {
            line((0..4).map(|column| (number, column)).collect(), told(&by_row, &[number]));
            line((0..4).map(|row| (row, number)).collect(), told(&by_column, &[number]));
        }
        line(places.clone(), told(&total, &[]));
        for (number, place) in places.iter().enumerate() {
            let small = (1..LEAST as usize).contains(&counts[place.0][place.1]);
            if small {
                prop_assert_eq!(told(&cells, &[place.0, place.1]), None);
                let bounded = lines.iter().any(|(members, _)| members.contains(&number));
                let (least, greatest) = if bounded { interval(&places, &lines, number) } else { (0, i64::MAX) };
                prop_assert!(greatest - least >= i64::from(LEAST), "{:?} is within {} and {}", place, least, greatest);
            }
        }
    }
}
