//! The 34 left operands of the vocabulary: what kind of value each has, and who supplies it.

use vocab::odrl;

/// What kind of value a left operand has. A value of another kind is not understood, and denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A number of any numeric datatype of XML Schema.
    Number,
    /// `xsd:dateTime`, `xsd:dateTimeStamp` or `xsd:date`.
    Moment,
    /// `xsd:duration` or a datatype derived from it.
    Duration,
    /// An IRI, compared within the hierarchy of concepts.
    Iri,
    /// An IRI or a code written as text.
    Concept,
    /// Text.
    Text,
    /// A position, which may be a number, a moment, a duration or text.
    Position,
}

/// Who supplies the value of a left operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The instant of the decision.
    Clock,
    /// What the request states.
    Request,
    /// Verified statements about who asks.
    Claims,
    /// Counters that the enforcement point keeps.
    Counter,
    /// What happened under the agreement so far.
    History,
    /// Statements about the world, from a named provider.
    World,
}

/// A left operand as the vocabulary declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOperand {
    /// Its IRI.
    pub iri: &'static str,
    /// The kind of its values.
    pub kind: ValueKind,
    /// Who supplies them.
    pub source: Source,
}

const fn operand(iri: &'static str, kind: ValueKind, source: Source) -> LeftOperand {
    LeftOperand { iri, kind, source }
}

/// Every left operand of the ODRL vocabulary.
pub const LEFT_OPERANDS: [LeftOperand; 34] = [
    operand(odrl::ABSOLUTE_POSITION, ValueKind::Position, Source::Request),
    operand(odrl::ABSOLUTE_SIZE, ValueKind::Number, Source::Request),
    operand(odrl::ABSOLUTE_SPATIAL_POSITION, ValueKind::Position, Source::Request),
    operand(odrl::ABSOLUTE_TEMPORAL_POSITION, ValueKind::Position, Source::Request),
    operand(odrl::COUNT, ValueKind::Number, Source::Counter),
    operand(odrl::DATE_TIME, ValueKind::Moment, Source::Clock),
    operand(odrl::DELAY_PERIOD, ValueKind::Duration, Source::History),
    operand(odrl::DELIVERY_CHANNEL, ValueKind::Concept, Source::Request),
    operand(odrl::DEVICE, ValueKind::Concept, Source::Claims),
    operand(odrl::ELAPSED_TIME, ValueKind::Duration, Source::History),
    operand(odrl::EVENT, ValueKind::Concept, Source::World),
    operand(odrl::FILE_FORMAT, ValueKind::Concept, Source::Request),
    operand(odrl::INDUSTRY, ValueKind::Concept, Source::Claims),
    operand(odrl::LANGUAGE, ValueKind::Text, Source::Request),
    operand(odrl::MEDIA, ValueKind::Concept, Source::Request),
    operand(odrl::METERED_TIME, ValueKind::Duration, Source::Counter),
    operand(odrl::PAY_AMOUNT, ValueKind::Number, Source::History),
    operand(odrl::PERCENTAGE, ValueKind::Number, Source::Request),
    operand(odrl::PRODUCT, ValueKind::Concept, Source::Request),
    operand(odrl::PURPOSE, ValueKind::Iri, Source::Request),
    operand(odrl::RECIPIENT, ValueKind::Iri, Source::Claims),
    operand(odrl::RELATIVE_POSITION, ValueKind::Position, Source::Request),
    operand(odrl::RELATIVE_SIZE, ValueKind::Number, Source::Request),
    operand(odrl::RELATIVE_SPATIAL_POSITION, ValueKind::Position, Source::Request),
    operand(odrl::RELATIVE_TEMPORAL_POSITION, ValueKind::Position, Source::Request),
    operand(odrl::RESOLUTION, ValueKind::Number, Source::Request),
    operand(odrl::SPATIAL, ValueKind::Concept, Source::World),
    operand(odrl::SPATIAL_COORDINATES, ValueKind::Text, Source::Request),
    operand(odrl::SYSTEM, ValueKind::Concept, Source::Claims),
    operand(odrl::SYSTEM_DEVICE, ValueKind::Concept, Source::Claims),
    operand(odrl::TIME_INTERVAL, ValueKind::Duration, Source::History),
    operand(odrl::UNIT_OF_COUNT, ValueKind::Concept, Source::Counter),
    operand(odrl::VERSION, ValueKind::Text, Source::World),
    operand(odrl::VIRTUAL_LOCATION, ValueKind::Concept, Source::Request),
];

/// The position of a left operand in [`LEFT_OPERANDS`].
#[must_use]
pub fn position(iri: &str) -> Option<usize> {
    LEFT_OPERANDS.iter().position(|operand| operand.iri == iri)
}

/// What the vocabulary declares for a left operand.
#[must_use]
pub fn declared(iri: &str) -> Option<&'static LeftOperand> {
    LEFT_OPERANDS.iter().find(|operand| operand.iri == iri)
}
