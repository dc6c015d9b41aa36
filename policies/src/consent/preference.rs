//! Standing preferences: what a person wants done with requests of a kind before they look at them (CON-16).
//!
//! A preference can refuse or put off. None can accept: consent is a statement about one request.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::Duration;

use super::record::{ConsentRecord, Recipients};
use super::status::ConsentEvent;
use crate::purpose::Hierarchy;

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreferenceEffect {
    /// It is refused. The person can open it again.
    Refuse,
    /// It is put off: it waits below the others.
    Defer,
}

impl PreferenceEffect {
    /// The event that it brings about.
    #[must_use]
    pub const fn event(self) -> ConsentEvent {
        match self {
            Self::Refuse => ConsentEvent::Refuse,
            Self::Defer => ConsentEvent::Defer,
        }
    }
}

/// A kind of requests, and what is done with them. A request is of the kind when everything that is stated holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// Short name, unique among those of the person.
    pub id: String,
    /// What is done.
    pub effect: PreferenceEffect,
    /// For any of these purposes, or one below; IRIs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub purposes: BTreeSet<String>,
    /// Data would go to any of these WebIDs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub recipients: BTreeSet<String>,
    /// Data would go to everyone who has an agreement.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_recipient: bool,
    /// Data of special categories is asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub special: bool,
    /// Data would leave the Union.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub third_countries: bool,
    /// It is asked for more days than these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longer_than_days: Option<u32>,
}

/// Why preferences are not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreferenceError {
    /// It would apply to every request.
    #[error("`{0}` states nothing that a request could be recognised by")]
    Empty(String),
    /// Two of one name, or none.
    #[error("the name `{0}` is empty, too long or stands twice")]
    Name(String),
}

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Checks preferences together.
///
/// # Errors
/// The first that is not acceptable.
pub fn check_preferences(preferences: &[Preference]) -> Result<(), PreferenceError> {
    let mut names = BTreeSet::new();
    for preference in preferences {
        let name = preference.id.as_str();
        let plain = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control);
        if !plain || !names.insert(name) {
            return Err(PreferenceError::Name(name.to_owned()));
        }
        let states = !preference.purposes.is_empty()
            || !preference.recipients.is_empty()
            || preference.any_recipient
            || preference.special
            || preference.third_countries
            || preference.longer_than_days.is_some();
        if !states {
            return Err(PreferenceError::Empty(name.to_owned()));
        }
    }
    Ok(())
}

/// The first preference that a request falls under.
#[must_use]
pub fn preference_for<'p>(
    preferences: &'p [Preference],
    request: &ConsentRecord,
    purposes: &Hierarchy,
) -> Option<&'p Preference> {
    preferences
        .iter()
        .find(|preference| applies(preference, request, purposes))
}

fn applies(preference: &Preference, request: &ConsentRecord, purposes: &Hierarchy) -> bool {
    let process = request.process.as_deref();
    let asked = |listed: &String| request.purposes.iter().any(|purpose| purposes.is_a(purpose, listed));
    let receives = |listed: &String| match &request.recipients {
        Recipients::Any => true,
        Recipients::These(these) => these.iter().any(|web_id| web_id.as_str() == listed),
    };
    let days = |days: &u32| request.expires_at - request.changed_at > Duration::days((*days).into());
    (preference.purposes.is_empty() || preference.purposes.iter().any(asked))
        && (preference.recipients.is_empty() || preference.recipients.iter().any(receives))
        && (!preference.any_recipient || request.recipients == Recipients::Any)
        && (!preference.special || process.is_some_and(|process| process.special().next().is_some()))
        && (!preference.third_countries || process.is_some_and(|process| !process.third_countries.is_empty()))
        && preference.longer_than_days.as_ref().is_none_or(days)
}

#[cfg(test)]
mod tests {
    use super::super::process::{Item, Process};
    use super::super::record::tests::record;
    use super::*;

    fn preference(change: impl Fn(&mut Preference)) -> Preference {
        let mut preference = Preference {
            id: "a".into(),
            effect: PreferenceEffect::Refuse,
            purposes: BTreeSet::new(),
            recipients: BTreeSet::new(),
            any_recipient: false,
            special: false,
            third_countries: false,
            longer_than_days: None,
        };
        change(&mut preference);
        preference
    }

    /// Requirements dataspace CON-16: a preference applies when all that it states holds, it states something, and none accepts.
    #[test]
    fn what_a_preference_applies_to() {
        let mut special = record();
        special.process = Some(Box::new(Process {
            items: vec![Item {
                what: "https://kortrijk.example/jan/telraam/".into(),
                special: true,
                ..Item::default()
            }],
            third_countries: BTreeSet::from(["https://w3id.org/dpv/loc#GB".into()]),
            ..Process::default()
        }));
        let open = ConsentRecord {
            recipients: Recipients::Any,
            ..record()
        };
        type Change = fn(&mut Preference);
        let cases: [(Change, &ConsentRecord, bool); 10] = [
            (|p| p.special = true, &special, true),
            (|p| p.special = true, &record(), false),
            (|p| p.third_countries = true, &special, true),
            (|p| p.any_recipient = true, &open, true),
            (|p| p.any_recipient = true, &special, false),
            (
                |p| p.purposes = BTreeSet::from([vocab::meent::MOBILITY_PLANNING.into()]),
                &special,
                true,
            ),
            (
                |p| p.purposes = BTreeSet::from([vocab::dpv::MARKETING.into()]),
                &special,
                false,
            ),
            (
                |p| p.recipients = BTreeSet::from(["https://mobility.example/#us".into()]),
                &special,
                true,
            ),
            (|p| p.longer_than_days = Some(30), &special, true),
            (|p| (p.special, p.longer_than_days) = (true, Some(400)), &special, false),
        ];
        for (at, (change, request, expected)) in cases.into_iter().enumerate() {
            let preferences = [preference(change)];
            assert_eq!(check_preferences(&preferences), Ok(()));
            let found = preference_for(&preferences, request, &Hierarchy::default());
            assert_eq!(found.is_some(), expected, "case {at}");
        }
        assert!(matches!(
            check_preferences(&[preference(|_| {})]),
            Err(PreferenceError::Empty(_))
        ));
        let twice = [preference(|p| p.special = true), preference(|p| p.special = true)];
        assert!(matches!(check_preferences(&twice), Err(PreferenceError::Name(_))));
        assert!(serde_json::from_str::<Preference>(r#"{"id":"x","effect":"accept","special":true}"#).is_err());
    }
}
