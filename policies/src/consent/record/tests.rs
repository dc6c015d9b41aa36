//! What a record covers, and which records are refused.

use super::super::process::Item;
use super::*;
use time::macros::datetime;
use vocab::{dpv, meent};

pub(in crate::consent) fn record() -> ConsentRecord {
    ConsentRecord {
        id: "https://kortrijk.example/jan/.consent/1".into(),
        data_subject: WebId::parse("https://kortrijk.example/jan/profile/card#me").unwrap(),
        storage: "https://kortrijk.example/jan/".into(),
        recipients: Recipients::These(BTreeSet::from([WebId::parse("https://mobility.example/#us").unwrap()])),
        purposes: BTreeSet::from([meent::MOBILITY_PLANNING.into()]),
        data: ConsentedData {
            containers: BTreeSet::from(["https://kortrijk.example/jan/telraam/".into()]),
            datasets: BTreeSet::from(["https://kortrijk.example/city/datasets/telraam".into()]),
            properties: Some(BTreeSet::from([vocab::sosa::HAS_SIMPLE_RESULT.into()])),
        },
        given_at: Some(datetime!(2026-01-01 00:00 UTC)),
        expires_at: datetime!(2026-07-01 00:00 UTC),
        changed_at: datetime!(2026-01-01 00:00 UTC),
        status: ConsentStatus::Given,
        notice: Notice {
            language: "nl".into(),
            hash: "ab".repeat(32),
        },
        version: 1,
        previous: None,
        process: None,
        act: None,
    }
}

const NOW: OffsetDateTime = datetime!(2026-06-01 00:00 UTC);

fn used() -> Use<'static> {
    Use {
        recipient: "https://mobility.example/#us",
        purpose: meent::BICYCLE_POLICY,
        data: "https://kortrijk.example/jan/telraam/2026/05.ttl",
    }
}

#[test]
fn what_is_covered() {
    let sure = used();
    let cases: [(&str, Use<'_>, OffsetDateTime, bool); 12] = [
        ("a narrower purpose", sure, NOW, true),
        (
            "the purpose itself",
            Use {
                purpose: meent::MOBILITY_PLANNING,
                ..sure
            },
            NOW,
            true,
        ),
        (
            "a broader purpose",
            Use {
                purpose: dpv::PUBLIC_BENEFIT,
                ..sure
            },
            NOW,
            false,
        ),
        (
            "another purpose",
            Use {
                purpose: dpv::MARKETING,
                ..sure
            },
            NOW,
            false,
        ),
        (
            "another recipient",
            Use {
                recipient: "https://other.example/#us",
                ..sure
            },
            NOW,
            false,
        ),
        (
            "the container",
            Use {
                data: "https://kortrijk.example/jan/telraam/",
                ..sure
            },
            NOW,
            true,
        ),
        (
            "a dataset",
            Use {
                data: "https://kortrijk.example/city/datasets/telraam",
                ..sure
            },
            NOW,
            true,
        ),
        (
            "a neighbour",
            Use {
                data: "https://kortrijk.example/jan/telraam2/x",
                ..sure
            },
            NOW,
            false,
        ),
        (
            "the parent",
            Use {
                data: "https://kortrijk.example/jan/",
                ..sure
            },
            NOW,
            false,
        ),
        ("at its end", sure, datetime!(2026-07-01 00:00 UTC), false),
        ("just before its end", sure, datetime!(2026-06-30 23:59:59 UTC), true),
        ("before it was given", sure, datetime!(2025-12-31 00:00 UTC), false),
    ];
    for (name, used, now, expected) in cases {
        assert_eq!(record().covers(&used, &Hierarchy::default(), now), expected, "{name}");
    }
}

#[test]
fn only_given_permits_and_withdrawal_bites_at_once() {
    for status in ConsentStatus::ALL {
        let record = ConsentRecord { status, ..record() };
        assert_eq!(
            record.covers(&used(), &Hierarchy::default(), NOW),
            status.permits(),
            "{status:?}"
        );
    }
    let withdrawn = record().next(ConsentEvent::Withdraw, NOW).unwrap();
    assert!(!withdrawn.covers(&used(), &Hierarchy::default(), NOW));
    assert_eq!((withdrawn.version, withdrawn.previous), (2, Some(1)));
    assert!(
        withdrawn.next(ConsentEvent::Give, NOW).is_err(),
        "a withdrawn consent never comes back"
    );
}

#[test]
fn anyone_still_needs_purpose_and_data() {
    let open = ConsentRecord {
        recipients: Recipients::Any,
        ..record()
    };
    let stranger = Use {
        recipient: "https://other.example/#us",
        ..used()
    };
    assert!(open.covers(&stranger, &Hierarchy::default(), NOW));
    let marketing = Use {
        purpose: dpv::MARKETING,
        ..stranger
    };
    assert!(!open.covers(&marketing, &Hierarchy::default(), NOW));
}

#[test]
fn bad_records_are_named() {
    type Change = fn(&mut ConsentRecord);
    let cases: [(Change, &str); 9] = [
        (|r| r.purposes.clear(), "names no purpose"),
        (
            |r| r.recipients = Recipients::These(BTreeSet::new()),
            "names no recipient",
        ),
        (|r| r.data = ConsentedData::default(), "names no data"),
        (|r| r.expires_at = datetime!(2025-01-01 00:00 UTC), "ends before"),
        (|r| r.expires_at = datetime!(2030-01-01 00:00 UTC), "consent_days_max"),
        (|r| r.notice.hash = "abc".into(), "SHA-256"),
        (|r| r.given_at = None, "instant"),
        (
            |r| {
                r.data.containers.insert("https://kortrijk.example/jan/x".into());
            },
            "end in `/`",
        ),
        (
            |r| {
                r.data.containers.insert("https://kortrijk.example/an/".into());
            },
            "not in the storage",
        ),
    ];
    assert_eq!(record().validate(366), Ok(()));
    for (change, expected) in cases {
        let mut record = record();
        change(&mut record);
        let error = record.validate(366).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} should say {expected}");
    }
}

/// Requirements dataspace CON-5: less than was asked is a choice; what is required and what was not asked for is not.
#[test]
fn parts_can_be_left_out() {
    let item = |what: &str, required| Item {
        what: what.into(),
        required,
        ..Item::default()
    };
    let (container, dataset) = (
        "https://kortrijk.example/jan/telraam/",
        "https://kortrijk.example/city/datasets/telraam",
    );
    let mut asked = record();
    asked.process = Some(Box::new(Process {
        items: vec![
            item(container, true),
            item(dataset, false),
            item(vocab::sosa::HAS_SIMPLE_RESULT, true),
        ],
        ..Process::default()
    }));
    assert_eq!(asked.validate(366), Ok(()));
    let narrow = asked.clone().narrowed(&BTreeSet::new()).unwrap();
    assert!(narrow.data.datasets.is_empty() && narrow.data.containers.contains(container));
    let whole = asked.clone().narrowed(&BTreeSet::from([dataset.to_owned()])).unwrap();
    assert_eq!(whole, asked);
    let more = asked.clone().narrowed(&BTreeSet::from(["urn:x:more".to_owned()]));
    assert_eq!(more, Err(ConsentError::UnknownItem("urn:x:more".into())));
    let mut optional = asked.clone();
    for item in &mut optional.process.as_mut().unwrap().items {
        item.required = false;
    }
    assert_eq!(optional.narrowed(&BTreeSet::new()), Err(ConsentError::Nothing("data")));
    asked.process.as_mut().unwrap().items.push(item("urn:x:other", false));
    assert!(matches!(
        asked.validate(366),
        Err(ConsentError::ForeignItem { at: 3, .. })
    ));
}

/// Requirements dataspace CON-8: a consent is renewed in one step, never one that was taken back or never given.
#[test]
fn renewal_is_a_yes_anew() {
    let renewed = record().next(ConsentEvent::Renew, NOW).unwrap();
    assert_eq!((renewed.status, renewed.given_at), (ConsentStatus::Renewed, Some(NOW)));
    assert!(renewed.covers(&used(), &Hierarchy::default(), NOW));
    let withdrawn = renewed.next(ConsentEvent::Withdraw, NOW).unwrap();
    assert!(withdrawn.next(ConsentEvent::Renew, NOW).is_err());
    let never = ConsentRecord {
        status: ConsentStatus::Expired,
        given_at: None,
        ..record()
    };
    assert_eq!(never.next(ConsentEvent::Renew, NOW), Err(ConsentError::GivenAt));
}

/// Requirements dataspace CON-2: what earlier releases stored is read.
#[test]
fn records_of_earlier_releases_are_read() {
    let old = r#"{"id":"https://k.example/jan/.consent/1","data_subject":"https://k.example/jan/profile/card#me",
        "storage":"https://k.example/jan/","recipients":"any","purposes":["https://w3id.org/dpv#PublicBenefit"],
        "data":{"containers":["https://k.example/jan/telraam/"],"datasets":[],"properties":null},
        "given_at":"2026-01-01T00:00:00Z","expires_at":"2026-07-01T00:00:00Z","changed_at":"2026-01-01T00:00:00Z",
        "status":"ConsentGiven","notice":{"language":"nl","hash":"abababababababababababababababababababababababababababababababab"},
        "version":1,"previous":null}"#;
    let record: ConsentRecord = serde_json::from_str(old).unwrap();
    assert_eq!(record.validate(366), Ok(()));
    assert!(record.in_force(NOW) && record.process.is_none() && record.act.is_none());
}

#[test]
fn json_round_trip() {
    let json = serde_json::to_string(&record()).unwrap();
    assert_eq!(serde_json::from_str::<ConsentRecord>(&json).unwrap(), record());
    assert!(
        json.contains("\"ConsentGiven\"") && json.contains("2026-07-01T00:00:00Z"),
        "{json}"
    );
}
