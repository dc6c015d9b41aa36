//! Well-known text of geometries (ISO 19125, ISO 13249-3) as `geo:wktLiteral` writes it: an optional IRI of the coordinate reference
//! system in angle brackets, then the geometry.

use super::geometry::{Geometry, Position};

/// Deepest nesting of collections.
const DEPTH_MAX: usize = 16;

/// Reads a `geo:wktLiteral` into the IRI of its reference system, if it has one, and the geometry; coordinates are in the order written.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(text: &str) -> Result<(Option<&str>, Geometry), String> {
    let text = text.trim();
    let (system, rest) = match text.strip_prefix('<') {
        Some(after) => {
            let (system, rest) = after
                .split_once('>')
                .ok_or("the IRI of the reference system has no end")?;
            (Some(system), rest)
        }
        None => (None, text),
    };
    let mut reader = Reader { rest };
    let geometry = reader.geometry(0)?;
    reader.skip();
    if reader.rest.is_empty() {
        Ok((system, geometry))
    } else {
        Err(format!("`{}` follows the geometry", start_of(reader.rest)))
    }
}

fn start_of(text: &str) -> String {
    text.chars().take(24).collect()
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// The next word in capitals; empty when none is there.
    fn word(&mut self) -> String {
        self.skip();
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_ascii_uppercase()
    }

    fn eat(&mut self, sign: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.eat(sign) {
            Ok(())
        } else if self.rest.is_empty() {
            Err(format!("it ends where `{sign}` is expected"))
        } else {
            Err(format!("`{sign}` is expected at `{}`", start_of(self.rest)))
        }
    }

    fn geometry(&mut self, depth: usize) -> Result<Geometry, String> {
        if depth > DEPTH_MAX {
            return Err(format!("collections nest deeper than {DEPTH_MAX}"));
        }
        let word = self.word();
        let (name, glued) = split_dimension(&word);
        let mut dimension = glued.to_owned();
        let mut empty = false;
        if dimension.is_empty() {
            let before = self.rest;
            match self.word().as_str() {
                "" => {}
                "EMPTY" => empty = true,
                found @ ("Z" | "M" | "ZM") => dimension = found.to_owned(),
                other => {
                    self.rest = before;
                    return Err(format!("`{other}` is not expected after `{name}`"));
                }
            }
        }
        if dimension.contains('M') {
            return Err("it has measures (M), for which GeoJSON has no place".to_owned());
        }
        if !empty && self.rest.trim_start().to_ascii_uppercase().starts_with("EMPTY") {
            self.word();
            empty = true;
        }
        match name {
            "POINT" if empty => Ok(Geometry::Point(None)),
            "POINT" => {
                self.expect('(')?;
                let position = self.position()?;
                self.expect(')')?;
                Ok(Geometry::Point(Some(position)))
            }
            "LINESTRING" => self.many(empty, Self::position).map(Geometry::LineString),
            "POLYGON" => self.many(empty, Self::line).map(Geometry::Polygon),
            "MULTIPOINT" => self.many(empty, Self::point_of_many).map(Geometry::MultiPoint),
            "MULTILINESTRING" => self.many(empty, Self::line).map(Geometry::MultiLineString),
            "MULTIPOLYGON" => self
                .many(empty, |reader| reader.many(false, Self::line))
                .map(Geometry::MultiPolygon),
            "GEOMETRYCOLLECTION" => self
                .many(empty, |reader| reader.geometry(depth + 1))
                .map(Geometry::Collection),
            "" => Err("it holds no well-known text".to_owned()),
            "SRID" => Err(
                "`SRID=` is no part of well-known text: the reference system is an IRI in angle brackets".to_owned(),
            ),
            other => Err(format!("GeoJSON has no `{other}`")),
        }
    }

    /// A list in brackets.
    fn many<T>(&mut self, empty: bool, mut one: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut found = Vec::new();
        if empty {
            return Ok(found);
        }
        self.expect('(')?;
        loop {
            found.push(one(self)?);
            if !self.eat(',') {
                self.expect(')')?;
                return Ok(found);
            }
        }
    }

    fn line(&mut self) -> Result<Vec<Position>, String> {
        self.many(false, Self::position)
    }

    /// A point of a `MULTIPOINT`, with or without brackets of its own.
    fn point_of_many(&mut self) -> Result<Position, String> {
        if !self.eat('(') {
            return self.position();
        }
        let position = self.position()?;
        self.expect(')')?;
        Ok(position)
    }

    fn position(&mut self) -> Result<Position, String> {
        let (x, y) = (self.number()?, self.number()?);
        self.skip();
        let third = self
            .rest
            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        let z = if third { Some(self.number()?) } else { None };
        self.skip();
        if self
            .rest
            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        {
            return Err("a position has more than three numbers".to_owned());
        }
        Ok(Position { x, y, z })
    }

    fn number(&mut self) -> Result<f64, String> {
        self.skip();
        let sign = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = self.rest.find(|c: char| !sign(c)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        let number: f64 = text
            .parse()
            .map_err(|_| format!("a number is expected at `{}`", start_of(self.rest)))?;
        if !number.is_finite() {
            return Err(format!("`{text}` is no coordinate"));
        }
        self.rest = rest;
        Ok(number)
    }
}

/// The name of a geometry and the dimension that is written without a space after it.
fn split_dimension(word: &str) -> (&str, &str) {
    const NAMES: [&str; 7] = [
        "GEOMETRYCOLLECTION",
        "MULTILINESTRING",
        "MULTIPOLYGON",
        "MULTIPOINT",
        "LINESTRING",
        "POLYGON",
        "POINT",
    ];
    for name in NAMES {
        if let Some(rest @ ("" | "Z" | "M" | "ZM")) = word.strip_prefix(name) {
            return word.split_at(word.len() - rest.len());
        }
    }
    (word, "")
}
