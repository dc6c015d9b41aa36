//! GeoJSON (RFC 7946): a `FeatureCollection` with a feature for each row. The first column, in the order of the query, that holds
//! `geo:wktLiteral` or `geo:geoJSONLiteral` values is the geometry, or else a pair of numeric columns named for latitude and longitude;
//! all others are properties. What is said about the answer as a whole, and the sources of a row, are foreign members.

use super::column::{boolean, double, is_integer};
use super::{GroupLimits, Layout, Notes, ResultsError, Row, RowWriter, geometry};
use oxrdf::vocab::xsd;
use oxrdf::{Literal, Term, Variable};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Media type of GeoJSON.
pub const GEOJSON: &str = "application/geo+json";
/// Largest integer that every reader of JSON takes exactly.
const INTEGER_MAX: u64 = (1 << 53) - 1;
/// Most digits of a decimal that every reader of JSON gives back.
const DIGITS_MAX: usize = 15;
/// Names of columns that hold a place in degrees, latitude first.
const PAIRS: [(&str, &str); 5] = [
    ("lat", "long"),
    ("lat", "lon"),
    ("lat", "lng"),
    ("latitude", "longitude"),
    ("breedtegraad", "lengtegraad"),
];

/// The columns while rows are looked at.
#[derive(Debug)]
pub struct Features {
    variables: Vec<Variable>,
    seen: Vec<Seen>,
    rows: u64,
}

/// What a column turned out to hold.
#[derive(Clone, Debug, Default)]
struct Seen {
    geometries: bool,
    foreign: bool,
    /// The first value that is no geometry.
    other: Option<String>,
    /// The first geometry that does not convert, with the reason.
    broken: Option<String>,
    /// The first value that is no number of degrees.
    no_degrees: Option<String>,
    bound: bool,
}

/// Where the geometry of a row is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Column(usize),
    Degrees { latitude: usize, longitude: usize },
    Nowhere,
}

impl Features {
    /// Features of these columns.
    #[must_use]
    pub fn new(variables: Vec<Variable>) -> Self {
        Self {
            seen: vec![Seen::default(); variables.len()],
            variables,
            rows: 0,
        }
    }

    fn name(&self, column: usize) -> &str {
        self.variables.get(column).map_or("", Variable::as_str)
    }

    /// Chooses the geometry.
    fn place(&self) -> Result<Place, ResultsError> {
        if self.rows == 0 {
            return Ok(Place::Nowhere);
        }
        if let Some(column) = self.seen.iter().position(|seen| seen.geometries) {
            let fault = self
                .seen
                .get(column)
                .and_then(|seen| seen.broken.as_ref().or(seen.other.as_ref()));
            return match fault {
                Some(fault) => Err(ResultsError::Unfit(format!("?{}, {fault}", self.name(column)))),
                None => Ok(Place::Column(column)),
            };
        }
        let find = |name: &str| {
            self.variables
                .iter()
                .position(|variable| variable.as_str().eq_ignore_ascii_case(name))
                .filter(|at| self.seen.get(*at).is_some_and(|seen| seen.bound))
        };
        for (latitude, longitude) in PAIRS {
            let (Some(latitude), Some(longitude)) = (find(latitude), find(longitude)) else {
                continue;
            };
            let fault = [latitude, longitude].into_iter().find_map(|at| {
                let fault = self.seen.get(at)?.no_degrees.as_ref()?;
                Some(format!("?{}, {fault}", self.name(at)))
            });
            return match fault {
                Some(fault) => Err(ResultsError::Unfit(fault)),
                None => Ok(Place::Degrees { latitude, longitude }),
            };
        }
        let foreign = self.seen.iter().position(|seen| seen.foreign);
        let more = foreign.map_or(String::new(), |column| {
            format!(
                "; the geometries of ?{} are of a datatype that does not convert",
                self.name(column)
            )
        });
        Err(ResultsError::Unsuited(format!(
            "no column holds `geo:wktLiteral` or `geo:geoJSONLiteral` values, or latitude and longitude in columns of such names{more}"
        )))
    }
}

impl Seen {
    fn see(&mut self, term: &Term, row: u64, latitude: bool) {
        self.bound = true;
        let Term::Literal(literal) = term else {
            let fault = || format!("row {row}: {term} is no geometry");
            self.other.get_or_insert_with(fault);
            self.no_degrees
                .get_or_insert_with(|| format!("row {row}: {term} is no number"));
            return;
        };
        match geometry::geometry(literal) {
            Some(Ok(_)) => self.geometries = true,
            Some(Err(fault)) => {
                self.geometries = true;
                self.broken.get_or_insert_with(|| format!("row {row}: {fault}"));
            }
            None => {
                self.foreign |= geometry::is_foreign_geometry(literal.datatype().as_str());
                self.other
                    .get_or_insert_with(|| format!("row {row}: {} is no geometry", shortened(literal)));
            }
        }
        let most = if latitude { 90.0 } else { 180.0 };
        if self.no_degrees.is_none() && degrees(literal, most).is_none() {
            self.no_degrees = Some(format!(
                "row {row}: {} is no number of degrees up to {most}",
                shortened(literal)
            ));
        }
    }
}

/// A literal for a message.
fn shortened(literal: &Literal) -> String {
    const CHARS_MAX: usize = 60;
    let text = literal.to_string();
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    let start: String = text.chars().take(CHARS_MAX).collect();
    format!("{start}…")
}

/// A number of degrees, up to `most` in both directions.
fn degrees(literal: &Literal, most: f64) -> Option<f64> {
    let datatype = literal.datatype();
    let numeric = is_integer(datatype.as_str()) || [xsd::DECIMAL, xsd::DOUBLE, xsd::FLOAT].contains(&datatype);
    let number = double(literal.value()).filter(|_| numeric)?;
    (-most..=most).contains(&number).then_some(number)
}

impl Layout for Features {
    type Writer<'w> = FeaturesWriter<'w>;

    fn see(&mut self, row: &Row) -> Result<(), ResultsError> {
        self.rows += 1;
        for ((variable, seen), value) in self.variables.iter().zip(&mut self.seen).zip(&row.values) {
            if let Some(term) = value {
                let name = variable.as_str();
                let latitude = PAIRS.iter().any(|(latitude, _)| name.eq_ignore_ascii_case(latitude));
                seen.see(term, self.rows, latitude);
            }
        }
        Ok(())
    }

    fn begin<'w, W: Write + Send + 'w>(
        self,
        notes: &Notes,
        _: GroupLimits,
        out: &'w mut W,
    ) -> Result<FeaturesWriter<'w>, ResultsError> {
        let place = self.place()?;
        let mut head = String::from("{\"type\":\"FeatureCollection\",");
        if !notes.entries.is_empty() {
            head.push_str(&format!("\"meent\":{},", Value::from(notes.entries.clone())));
        }
        head.push_str("\"features\":[");
        out.write_all(head.as_bytes())?;
        Ok(FeaturesWriter {
            variables: self.variables,
            place,
            begun: false,
            out: Box::new(out),
        })
    }
}

/// Writes features.
pub struct FeaturesWriter<'w> {
    variables: Vec<Variable>,
    place: Place,
    begun: bool,
    out: Box<dyn Write + Send + 'w>,
}

impl FeaturesWriter<'_> {
    fn geometry(&self, row: &Row) -> Result<Value, ResultsError> {
        let value = |column: usize| row.values.get(column).and_then(Option::as_ref);
        let literal = |column: usize| match value(column) {
            Some(Term::Literal(literal)) => Ok(Some(literal)),
            Some(_) => Err(ResultsError::Changed),
            None => Ok(None),
        };
        match self.place {
            Place::Nowhere => Err(ResultsError::Changed),
            Place::Column(column) => match literal(column)? {
                None => Ok(Value::Null),
                Some(literal) => match geometry::geometry(literal) {
                    Some(Ok(geometry)) => Ok(geometry),
                    Some(Err(_)) | None => Err(ResultsError::Changed),
                },
            },
            Place::Degrees { latitude, longitude } => match (literal(latitude)?, literal(longitude)?) {
                (Some(latitude), Some(longitude)) => {
                    let both = degrees(longitude, 180.0).zip(degrees(latitude, 90.0));
                    let (longitude, latitude) = both.ok_or(ResultsError::Changed)?;
                    Ok(json!({ "type": "Point", "coordinates": [longitude, latitude] }))
                }
                _ => Ok(Value::Null),
            },
        }
    }

    /// Whether a column is the geometry itself.
    fn is_place(&self, column: usize) -> bool {
        matches!(self.place, Place::Column(place) if place == column)
    }
}

impl RowWriter for FeaturesWriter<'_> {
    fn row(&mut self, row: &Row) -> Result<(), ResultsError> {
        let properties: Map<String, Value> = self
            .variables
            .iter()
            .zip(&row.values)
            .enumerate()
            .filter(|(column, _)| !self.is_place(*column))
            .map(|(_, (variable, value))| {
                (
                    variable.as_str().to_owned(),
                    value.as_ref().map_or(Value::Null, property),
                )
            })
            .collect();
        let mut feature = json!({ "type": "Feature", "geometry": self.geometry(row)?, "properties": properties });
        if let (Some(sources), Some(feature)) = (&row.sources, feature.as_object_mut()) {
            feature.insert(super::SOURCES.to_owned(), Value::from(sources.clone()));
        }
        if std::mem::replace(&mut self.begun, true) {
            self.out.write_all(b",")?;
        }
        serde_json::to_writer(&mut self.out, &feature).map_err(io::Error::from)?;
        Ok(())
    }

    fn finish(mut self) -> Result<(), ResultsError> {
        self.out.write_all(b"]}")?;
        Ok(())
    }
}

/// A value as JSON: numbers and truth values where JSON keeps them exactly, text otherwise.
fn property(term: &Term) -> Value {
    match term {
        Term::NamedNode(node) => Value::from(node.as_str()),
        Term::BlankNode(_) | Term::Triple(_) => Value::from(term.to_string()),
        Term::Literal(literal) => number_or_truth(literal).unwrap_or_else(|| Value::from(literal.value())),
    }
}

fn number_or_truth(literal: &Literal) -> Option<Value> {
    let (text, datatype) = (literal.value(), literal.datatype());
    if is_integer(datatype.as_str()) {
        let number: i64 = text.parse().ok()?;
        return (number.unsigned_abs() <= INTEGER_MAX).then(|| Value::from(number));
    }
    if datatype == xsd::BOOLEAN {
        return boolean(text).map(Value::from);
    }
    let decimal = datatype == xsd::DECIMAL && text.bytes().filter(u8::is_ascii_digit).count() <= DIGITS_MAX;
    if decimal || datatype == xsd::DOUBLE || datatype == xsd::FLOAT {
        if decimal && text.contains(['e', 'E']) {
            return None;
        }
        let number = if datatype == xsd::FLOAT {
            super::column::float(text)
                .map(|number| number.to_string())?
                .parse()
                .ok()?
        } else {
            double(text)?
        };
        return serde_json::Number::from_f64(number).map(Value::Number);
    }
    None
}
