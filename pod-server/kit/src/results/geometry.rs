//! Geometries of RDF as those of GeoJSON (RFC 7946): longitude and latitude on WGS 84, rings wound as the RFC says.
//!
//! `geo:wktLiteral` (GeoSPARQL 1.1 §8.5.1) is read in CRS84, its default, and in EPSG:4326 and 4979, whose axes only change places.
//! Other reference systems need a transformation that is not exact, and are refused by name.

use super::wkt;
use oxrdf::Literal;
use serde_json::{Value, json};

const GEO: &str = "http://www.opengis.net/ont/geosparql#";

/// A place: longitude, latitude and, sometimes, height in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: Option<f64>,
}

/// The seven geometries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Geometry {
    Point(Option<Position>),
    LineString(Vec<Position>),
    Polygon(Vec<Vec<Position>>),
    MultiPoint(Vec<Position>),
    MultiLineString(Vec<Vec<Position>>),
    MultiPolygon(Vec<Vec<Vec<Position>>>),
    Collection(Vec<Geometry>),
}

/// Whether a datatype is a geometry that GeoSPARQL knows and GeoJSON cannot take.
pub(super) fn is_foreign_geometry(datatype: &str) -> bool {
    matches!(
        datatype.strip_prefix(GEO),
        Some("gmlLiteral" | "kmlLiteral" | "dggsLiteral")
    )
}

/// The GeoJSON geometry of a literal; JSON `null` for an empty one. `None` when the literal is no geometry.
///
/// # Errors
/// What is wrong, in words, when it is one and cannot be converted.
pub fn geometry(literal: &Literal) -> Option<Result<Value, String>> {
    let text = literal.value();
    match literal.datatype().as_str().strip_prefix(GEO)? {
        "wktLiteral" => Some(from_wkt(text)),
        "geoJSONLiteral" => Some(from_geojson(text)),
        _ => None,
    }
}

fn from_wkt(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let (system, mut geometry) = wkt::read(text)?;
    match system.map(axes) {
        None | Some(Some(Axes::LongitudeFirst)) => {}
        Some(Some(Axes::LatitudeFirst)) => {
            geometry.each(&mut |position| std::mem::swap(&mut position.x, &mut position.y));
        }
        Some(None) => {
            return Err(format!(
                "its reference system <{}> is not WGS 84; only CRS84 and EPSG:4326 convert exactly",
                system.unwrap_or_default()
            ));
        }
    }
    geometry.checked().map(|geometry| geometry.to_json())
}

enum Axes {
    LongitudeFirst,
    LatitudeFirst,
}

/// The order of axes in the reference systems that are WGS 84 in degrees.
fn axes(system: &str) -> Option<Axes> {
    let web = ["http://www.opengis.net/def/crs/", "https://www.opengis.net/def/crs/"];
    let name = web.iter().find_map(|prefix| system.strip_prefix(prefix));
    let parts: Vec<&str> = match name {
        Some(name) => name.split('/').collect(),
        None => system.strip_prefix("urn:ogc:def:crs:")?.split(':').collect(),
    };
    match parts.as_slice() {
        ["OGC", _, "CRS84" | "CRS84h"] => Some(Axes::LongitudeFirst),
        ["EPSG", _, "4326" | "4979"] => Some(Axes::LatitudeFirst),
        _ => None,
    }
}

fn from_geojson(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    if value.get("crs").is_some() {
        return Err("it names a reference system of its own, which RFC 7946 does not know".to_owned());
    }
    Geometry::of_json(&value)?.checked().map(|geometry| geometry.to_json())
}

impl Geometry {
    fn of_json(value: &Value) -> Result<Self, String> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "GeometryCollection" {
            let members = list(value.get("geometries"), Self::of_json)?;
            return Ok(Self::Collection(members));
        }
        let coordinates = value.get("coordinates");
        match kind {
            "Point" => match coordinates.and_then(Value::as_array) {
                Some(none) if none.is_empty() => Ok(Self::Point(None)),
                _ => position(coordinates.unwrap_or(&Value::Null)).map(|position| Self::Point(Some(position))),
            },
            "LineString" => list(coordinates, position).map(Self::LineString),
            "MultiPoint" => list(coordinates, position).map(Self::MultiPoint),
            "Polygon" => list(coordinates, positions).map(Self::Polygon),
            "MultiLineString" => list(coordinates, positions).map(Self::MultiLineString),
            "MultiPolygon" => list(coordinates, |polygon| list(Some(polygon), positions)).map(Self::MultiPolygon),
            other => Err(format!("`{other}` is no geometry of RFC 7946")),
        }
    }

    /// Changes every position.
    fn each(&mut self, change: &mut dyn FnMut(&mut Position)) {
        match self {
            Self::Point(point) => point.iter_mut().for_each(change),
            Self::LineString(line) | Self::MultiPoint(line) => line.iter_mut().for_each(change),
            Self::Polygon(lines) | Self::MultiLineString(lines) => lines.iter_mut().flatten().for_each(change),
            Self::MultiPolygon(polygons) => polygons.iter_mut().flatten().flatten().for_each(change),
            Self::Collection(members) => members.iter_mut().for_each(|member| member.each(change)),
        }
    }

    /// The geometry with its rings wound right, if its positions are on the globe and its lines long enough (RFC 7946 §3.1).
    fn checked(mut self) -> Result<Self, String> {
        let mut beyond = None;
        self.each(&mut |position| {
            if !(-180.0..=180.0).contains(&position.x) || !(-90.0..=90.0).contains(&position.y) {
                beyond.get_or_insert(*position);
            }
        });
        if let Some(Position { x, y, .. }) = beyond {
            return Err(format!("{x} {y} is no longitude and latitude in degrees"));
        }
        self.shaped()?;
        Ok(self)
    }

    fn shaped(&mut self) -> Result<(), String> {
        let line = |line: &Vec<Position>| match line.len() {
            1 => Err("a line needs two positions".to_owned()),
            _ => Ok(()),
        };
        match self {
            Self::Point(_) | Self::MultiPoint(_) => Ok(()),
            Self::LineString(positions) => line(positions),
            Self::MultiLineString(lines) => lines.iter().try_for_each(line),
            Self::Polygon(rings) => wind(rings),
            Self::MultiPolygon(polygons) => polygons.iter_mut().try_for_each(|rings| wind(rings)),
            Self::Collection(members) => members.iter_mut().try_for_each(Self::shaped),
        }
    }

    fn to_json(&self) -> Value {
        let lines = |lines: &[Vec<Position>]| lines.iter().map(|line| array(line)).collect::<Vec<_>>();
        let (kind, coordinates) = match self {
            Self::Point(point) => ("Point", point.map_or_else(|| json!([]), Position::to_json)),
            Self::LineString(line) => ("LineString", array(line)),
            Self::MultiPoint(points) => ("MultiPoint", array(points)),
            Self::Polygon(rings) => ("Polygon", Value::from(lines(rings))),
            Self::MultiLineString(parts) => ("MultiLineString", Value::from(lines(parts))),
            Self::MultiPolygon(polygons) => {
                let all: Vec<Value> = polygons.iter().map(|rings| Value::from(lines(rings))).collect();
                ("MultiPolygon", Value::from(all))
            }
            Self::Collection(members) => {
                let members: Vec<Value> = members.iter().map(Self::to_json).collect();
                return json!({ "type": "GeometryCollection", "geometries": members });
            }
        };
        json!({ "type": kind, "coordinates": coordinates })
    }
}

impl Position {
    fn to_json(self) -> Value {
        match self.z {
            Some(z) => json!([self.x, self.y, z]),
            None => json!([self.x, self.y]),
        }
    }
}

fn array(positions: &[Position]) -> Value {
    positions.iter().copied().map(Position::to_json).collect()
}

/// Checks rings and winds them: the outer one counter-clockwise, holes clockwise (RFC 7946 §3.1.6).
fn wind(rings: &mut [Vec<Position>]) -> Result<(), String> {
    for (at, ring) in rings.iter_mut().enumerate() {
        let closed = matches!((ring.first(), ring.last()), (Some(first), Some(last)) if first == last);
        if !closed || ring.len() < 4 {
            return Err("a ring needs four positions, the last like the first".to_owned());
        }
        let twice_area: f64 = ring
            .windows(2)
            .map(|pair| match pair {
                [from, to] => from.x * to.y - to.x * from.y,
                _ => 0.0,
            })
            .sum();
        if (at == 0 && twice_area < 0.0) || (at > 0 && twice_area > 0.0) {
            ring.reverse();
        }
    }
    Ok(())
}

fn list<T>(value: Option<&Value>, one: impl FnMut(&Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    let members = value.and_then(Value::as_array).ok_or("a list is missing")?;
    members.iter().map(one).collect()
}

fn positions(value: &Value) -> Result<Vec<Position>, String> {
    list(Some(value), position)
}

fn position(value: &Value) -> Result<Position, String> {
    let numbers: Vec<f64> = list(Some(value), |number| {
        number.as_f64().ok_or_else(|| "a coordinate is no number".to_owned())
    })?;
    match numbers.as_slice() {
        [x, y] => Ok(Position { x: *x, y: *y, z: None }),
        [x, y, z] => Ok(Position {
            x: *x,
            y: *y,
            z: Some(*z),
        }),
        _ => Err("a position has two or three numbers".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::NamedNode;

    fn converted(text: &str, datatype: &str) -> Result<Value, String> {
        let datatype = NamedNode::new(format!("{GEO}{datatype}")).unwrap();
        geometry(&Literal::new_typed_literal(text, datatype)).unwrap()
    }

    #[test]
    fn well_known_text_becomes_geojson() {
        let crs = "http://www.opengis.net/def/crs";
        for (text, expected) in [
            (
                "POINT(3.7 51.05)",
                json!({"type": "Point", "coordinates": [3.7, 51.05]}),
            ),
            (
                " point z ( -3.5E0 +51 .5 ) ",
                json!({"type": "Point", "coordinates": [-3.5, 51.0, 0.5]}),
            ),
            ("POINT EMPTY", json!({"type": "Point", "coordinates": []})),
            ("", Value::Null),
            (
                &format!("<{crs}/OGC/1.3/CRS84> POINT(3.7 51)"),
                json!({"type": "Point", "coordinates": [3.7, 51.0]}),
            ),
            (
                &format!("<{crs}/EPSG/0/4326>POINT(51 3.7)"),
                json!({"type": "Point", "coordinates": [3.7, 51.0]}),
            ),
            (
                "<urn:ogc:def:crs:EPSG::4326> POINTZ(51 3.7 8)",
                json!({"type": "Point", "coordinates": [3.7, 51.0, 8.0]}),
            ),
            (
                "LINESTRING(0 0, 1 1)",
                json!({"type": "LineString", "coordinates": [[0.0, 0.0], [1.0, 1.0]]}),
            ),
            (
                "MULTIPOINT((0 0), 1 1)",
                json!({"type": "MultiPoint", "coordinates": [[0.0, 0.0], [1.0, 1.0]]}),
            ),
            (
                "POLYGON((0 0,0 1,1 1,0 0),(0.2 0.4,0.6 0.8,0.2 0.8,0.2 0.4))",
                json!({"type": "Polygon", "coordinates": [
                    [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]],
                    [[0.2, 0.4], [0.2, 0.8], [0.6, 0.8], [0.2, 0.4]]]}),
            ),
            (
                "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
                json!({"type": "MultiPolygon", "coordinates": [[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]]}),
            ),
            (
                "GEOMETRYCOLLECTION(POINT(1 2),MULTILINESTRING((0 0,1 1)), LINESTRING EMPTY)",
                json!({"type": "GeometryCollection", "geometries": [
                    {"type": "Point", "coordinates": [1.0, 2.0]},
                    {"type": "MultiLineString", "coordinates": [[[0.0, 0.0], [1.0, 1.0]]]},
                    {"type": "LineString", "coordinates": []}]}),
            ),
        ] {
            assert_eq!(converted(text, "wktLiteral"), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_does_not_convert_says_why() {
        let deep = format!("{}POINT(1 1){}", "GEOMETRYCOLLECTION(".repeat(5_000), ")".repeat(5_000));
        for (text, words) in [
            (
                "<http://www.opengis.net/def/crs/EPSG/0/31370> POINT(104000 194000)",
                "EPSG/0/31370",
            ),
            (
                "<http://www.opengis.net/def/crs/EPSG/0/4258> POINT(51 3)",
                "EPSG/0/4258",
            ),
            ("SRID=4326;POINT(3 51)", "SRID"),
            ("POINT(104000 194000)", "degrees"),
            ("POINT M (1 2 3)", "measures"),
            ("POINT(1 2 3 4)", "more than three"),
            ("POINT(1)", "number"),
            ("POINT(1 2", "it ends"),
            ("POINT(1 2) POINT(1 2)", "follows"),
            ("POINT(NaN 2)", "number"),
            ("POINT(1e999 2)", "coordinate"),
            ("CIRCULARSTRING(0 0,1 1,2 0)", "no `CIRCULARSTRING`"),
            ("POLYGON((0 0,1 0,1 1))", "ring"),
            ("LINESTRING(0 0)", "two positions"),
            ("<http://www.opengis.net", "no end"),
            (&deep, "nest deeper"),
        ] {
            let found = converted(text, "wktLiteral").unwrap_err();
            assert!(found.contains(words), "{text:.60}: {found}");
        }
    }

    #[test]
    fn geojson_is_checked() {
        let fine = json!({"type": "Point", "coordinates": [3.7, 51.0], "bbox": [1, 2, 3, 4]}).to_string();
        let expected = json!({"type": "Point", "coordinates": [3.7, 51.0]});
        assert_eq!(converted(&fine, "geoJSONLiteral"), Ok(expected));
        for (text, words) in [
            ("{", "no JSON"),
            (r#"{"type":"Feature","geometry":null}"#, "`Feature` is no geometry"),
            (r#"{"type":"Point","coordinates":["3",51]}"#, "no number"),
            (r#"{"type":"Point","coordinates":[3,51],"crs":{}}"#, "reference system"),
            (r#"{"type":"Polygon","coordinates":[[3,51]]}"#, "list"),
        ] {
            let found = converted(text, "geoJSONLiteral").unwrap_err();
            assert!(found.contains(words), "{text}: {found}");
        }
    }
}
