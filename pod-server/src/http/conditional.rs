//! Conditional requests (RFC 9110 §13; solid#54-57).
//!
//! Conditions are read once from the headers and evaluated after authorization: for reads against the representation
//! that would be sent, for writes against the state inside the transaction.

use http::{HeaderMap, HeaderName, header};

use super::etag::{ETag, state_of};
use crate::store::Sequence;

/// The conditions of a request, as far as they can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    if_match: Option<TagList>,
    if_none_match: Option<TagList>,
    if_unmodified_since: Option<i64>,
    if_modified_since: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TagList {
    Any,
    Tags(Vec<Tag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: String,
}

/// A header that states a condition but cannot be read. Ignoring it could overwrite what the client meant to protect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{header}` cannot be read: expected `*` or a list of entity tags in double quotes")]
pub struct MalformedCondition {
    /// The header.
    pub header: HeaderName,
}

/// What the conditions of a read lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Send the representation.
    Proceed,
    /// The client has it already: 304.
    NotModified,
    /// 412.
    Failed(Condition),
}

/// The condition that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `If-Match`.
    IfMatch,
    /// `If-None-Match`.
    IfNoneMatch,
    /// `If-Unmodified-Since`.
    IfUnmodifiedSince,
}

impl Condition {
    /// The header's name.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::IfMatch => "If-Match",
            Self::IfNoneMatch => "If-None-Match",
            Self::IfUnmodifiedSince => "If-Unmodified-Since",
        }
    }
}

impl Preconditions {
    /// Reads the conditions of a request. Dates that cannot be read are ignored, as RFC 9110 §13.1.3 and §13.1.4 say.
    ///
    /// # Errors
    /// [`MalformedCondition`] for a list of entity tags that is none.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, MalformedCondition> {
        Ok(Self {
            if_match: tag_list(headers, header::IF_MATCH)?,
            if_none_match: tag_list(headers, header::IF_NONE_MATCH)?,
            if_unmodified_since: date(headers, header::IF_UNMODIFIED_SINCE),
            if_modified_since: date(headers, header::IF_MODIFIED_SINCE),
        })
    }

    /// Whether the request states no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the request names the state that it expects to change (RFC 6585 §3).
    #[must_use]
    pub fn protects_state(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some() || self.if_unmodified_since.is_some()
    }

    /// Evaluates the conditions of GET or HEAD on a representation that exists, in the order of RFC 9110 §13.2.2.
    #[must_use]
    pub fn evaluate_read(&self, current: &ETag, modified: i64) -> ReadOutcome {
        let tag = current.to_string();
        let opaque = tag.trim_matches('"');
        if let Some(list) = &self.if_match {
            if !list.matches_strongly(opaque) {
                return ReadOutcome::Failed(Condition::IfMatch);
            }
        } else if self.if_unmodified_since.is_some_and(|since| modified > since) {
            return ReadOutcome::Failed(Condition::IfUnmodifiedSince);
        }
        if let Some(list) = &self.if_none_match {
            if list.matches_weakly(opaque) {
                return ReadOutcome::NotModified;
            }
        } else if self.if_modified_since.is_some_and(|since| modified <= since) {
            return ReadOutcome::NotModified;
        }
        ReadOutcome::Proceed
    }

    /// Evaluates the conditions of a write on the current state, or on its absence. Entity tags of any representation
    /// of the state match (solid#52). State 0 is that of something never written, which the links of a resource without a
    /// description have: a tag with it names absence.
    ///
    /// # Errors
    /// The condition that does not hold.
    pub fn evaluate_write(&self, current: Option<(Sequence, i64)>) -> Result<(), Condition> {
        if let Some(list) = &self.if_match {
            let holds = match current {
                Some((state, _)) => list.names_state(state),
                None => *list != TagList::Any && list.names_state(Sequence(0)),
            };
            if !holds {
                return Err(Condition::IfMatch);
            }
        } else if let (Some(since), Some((_, modified))) = (self.if_unmodified_since, current)
            && modified > since
        {
            return Err(Condition::IfUnmodifiedSince);
        }
        if let (Some(list), Some((state, _))) = (&self.if_none_match, current)
            && list.names_state_weakly(state)
        {
            return Err(Condition::IfNoneMatch);
        }
        Ok(())
    }
}

impl TagList {
    fn matches_strongly(&self, opaque: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| !tag.weak && tag.opaque == opaque),
        }
    }

    fn matches_weakly(&self, opaque: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.opaque == opaque),
        }
    }

    fn names_state(&self, state: Sequence) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| !tag.weak && state_of(&tag.opaque) == Some(state)),
        }
    }

    fn names_state_weakly(&self, state: Sequence) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| state_of(&tag.opaque) == Some(state)),
        }
    }
}

fn tag_list(headers: &HeaderMap, name: HeaderName) -> Result<Option<TagList>, MalformedCondition> {
    let mut tags = Vec::new();
    let mut present = false;
    let mut any = false;
    for value in headers.get_all(&name) {
        present = true;
        let malformed = || MalformedCondition { header: name.clone() };
        let text = value.to_str().map_err(|_| malformed())?;
        if text.trim() == "*" {
            any = true;
            continue;
        }
        tags.extend(parse_tags(text).ok_or_else(malformed)?);
    }
    Ok(match (present, any) {
        (false, _) => None,
        (true, true) => Some(TagList::Any),
        (true, false) => Some(TagList::Tags(tags)),
    })
}

/// Reads `W/"a", "b"`; none if it is not such a list.
fn parse_tags(text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut rest = text.trim_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inside = quoted.strip_prefix('"')?;
        let end = inside.find('"')?;
        let opaque = inside.get(..end)?;
        tags.push(Tag {
            weak,
            opaque: opaque.to_owned(),
        });
        let after = inside.get(end + 1..)?.trim_start_matches([' ', '\t']);
        if !after.is_empty() && !after.starts_with(',') {
            return None;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    (!tags.is_empty()).then_some(tags)
}

/// A date header as Unix seconds; none if absent, repeated or unreadable.
pub(super) fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let moment = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    let seconds = moment.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::etag::Variant;
    use super::*;

    const CURRENT: ETag = ETag {
        state: Sequence(0x1b),
        variant: Variant::Turtle,
    };
    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const MODIFIED: i64 = 784_111_777;
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn preconditions(pairs: &[(&'static str, &str)]) -> Preconditions {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Preconditions::from_headers(&headers).unwrap()
    }

    /// Requirements solid 54, 55: order and outcome for reads.
    #[test]
    fn reads() {
        use ReadOutcome::{Failed, NotModified, Proceed};
        let cases: &[(&[(&str, &str)], ReadOutcome)] = &[
            (&[], Proceed),
            (&[("if-match", "\"1b-t\"")], Proceed),
            (&[("if-match", "\"1b-j\"")], Failed(Condition::IfMatch)),
            (&[("if-match", "W/\"1b-t\"")], Failed(Condition::IfMatch)),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"1b-t\""), ("if-unmodified-since", BEFORE)], Proceed),
            (&[("if-unmodified-since", BEFORE)], Failed(Condition::IfUnmodifiedSince)),
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-none-match", "\"1b-t\"")], NotModified),
            (&[("if-none-match", "W/\"1b-t\"")], NotModified),
            (&[("if-none-match", "\"1b-j\"")], Proceed),
            (&[("if-none-match", "\"x\", \"1b-t\"")], NotModified),
            (&[("if-none-match", "\"1b-j\""), ("if-modified-since", SAME)], Proceed),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", BEFORE)], Proceed),
            (&[("if-modified-since", "yesterday")], Proceed),
        ];
        for (headers, expected) in cases {
            assert_eq!(
                preconditions(headers).evaluate_read(&CURRENT, MODIFIED),
                *expected,
                "{headers:?}"
            );
        }
    }

    /// Requirements solid 52, 55, 56: writes compare the state part.
    #[test]
    fn writes() {
        let present = Some((Sequence(0x1b), MODIFIED));
        type Case<'a> = (
            &'a [(&'static str, &'a str)],
            Option<(Sequence, i64)>,
            Result<(), Condition>,
        );
        let cases: &[Case<'_>] = &[
            (&[], present, Ok(())),
            (&[], None, Ok(())),
            (&[("if-match", "\"1b-j\"")], present, Ok(())),
            (&[("if-match", "W/\"1b-j\"")], present, Err(Condition::IfMatch)),
            (&[("if-match", "\"1a-t\"")], present, Err(Condition::IfMatch)),
            (&[("if-match", "*")], present, Ok(())),
            (&[("if-match", "*")], None, Err(Condition::IfMatch)),
            (&[("if-match", "\"1b-t\"")], None, Err(Condition::IfMatch)),
            (&[("if-match", "\"0-l\"")], None, Ok(())),
            (&[("if-match", "\"0-l\"")], present, Err(Condition::IfMatch)),
            (&[("if-none-match", "*")], present, Err(Condition::IfNoneMatch)),
            (&[("if-none-match", "*")], None, Ok(())),
            (&[("if-none-match", "\"1b-t\"")], present, Err(Condition::IfNoneMatch)),
            (&[("if-none-match", "\"1a-t\"")], present, Ok(())),
            (
                &[("if-unmodified-since", BEFORE)],
                present,
                Err(Condition::IfUnmodifiedSince),
            ),
            (&[("if-unmodified-since", BEFORE)], None, Ok(())),
            (&[("if-modified-since", SAME)], present, Ok(())),
        ];
        for (headers, current, expected) in cases {
            assert_eq!(
                preconditions(headers).evaluate_write(*current),
                *expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn unreadable_lists_are_refused() {
        for broken in ["1b-t", "\"open", "\"a\" \"b\"", "", ","] {
            let mut headers = HeaderMap::new();
            headers.insert("if-match", broken.parse().unwrap());
            assert!(Preconditions::from_headers(&headers).is_err(), "{broken}");
        }
    }
}
