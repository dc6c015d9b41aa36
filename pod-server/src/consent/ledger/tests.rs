//! The ledger against the rule, one consent after the other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use policies::consent::Notice;
use proptest::prelude::*;
use vocab::{dpv, meent};

use super::*;

const PURPOSES: [&str; 4] = [
    dpv::PUBLIC_BENEFIT,
    meent::MOBILITY_PLANNING,
    meent::BICYCLE_POLICY,
    dpv::MARKETING,
];
const RECIPIENTS: [&str; 2] = ["https://a.example/#us", "https://b.example/#us"];
const CONTAINERS: [&str; 3] = ["", "telraam/", "telraam/2026/"];
const DATASETS: [&str; 2] = ["https://k.example/city/.dataspace/datasets/t", "urn:x:other"];
const PROPERTIES: [&str; 2] = ["urn:x:p", "urn:x:q"];

fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds)
}

fn root(storage: u32) -> String {
    format!("https://k.example/s{storage}/")
}

prop_compose! {
    fn record()(
        storage in 0_u32..4, status in 0_usize..9, any in any::<bool>(), recipient in 0_usize..2,
        purpose in 0_usize..4, container in 0_usize..4, dataset in 0_usize..3, property in 0_usize..4,
        from in 0_i64..10, until in 0_i64..12,
    ) -> (u32, ConsentRecord) {
        let properties = match property {
            0 => Some(BTreeSet::from([PROPERTIES[0].to_owned()])),
            1 => Some(PROPERTIES.map(str::to_owned).into()),
            _ => None,
        };
        let record = ConsentRecord {
            id: format!("{}.consent/1", root(storage)),
            data_subject: WebId::parse(format!("{}profile/card#me", root(storage))).unwrap(),
            storage: root(storage),
            recipients: if any {
                Recipients::Any
            } else {
                Recipients::These(BTreeSet::from([WebId::parse(RECIPIENTS[recipient]).unwrap()]))
            },
            purposes: BTreeSet::from([PURPOSES[purpose].to_owned()]),
            data: ConsentedData {
                containers: CONTAINERS.get(container).map(|path| format!("{}{path}", root(storage))).into_iter().collect(),
                datasets: DATASETS.get(dataset).map(|dataset| (*dataset).to_owned()).into_iter().collect(),
                properties,
            },
            given_at: Some(moment(from)),
            expires_at: moment(until),
            changed_at: moment(from),
            status: ConsentStatus::ALL[status],
            notice: Notice { language: "nl".into(), hash: "ab".repeat(32) },
            version: 1,
            previous: None,
            process: None,
            act: None,
        };
        (storage, record)
    }
}

proptest! {
    /// CON-12, CON-13: the ledger says of each storage what `policies::consent::covers` says of its records.
    #[test]
    fn the_ledger_agrees_with_the_rule(
        records in prop::collection::vec(record(), 0..12),
        recipient in 0_usize..2, purpose in 0_usize..4, container in 0_usize..4, dataset in 0_usize..2,
        shown in 0_usize..3, second in 0_i64..13, since in 0_i64..10,
    ) {
        let ledger = ConsentLedger::default();
        for (number, (storage, record)) in records.iter().enumerate() {
            ledger.held.write().insert(&format!("s{storage}/{number}"), *storage, record).unwrap();
        }
        let now = moment(second);
        let properties: Option<BTreeSet<String>> = match shown {
            0 => Some(BTreeSet::from([PROPERTIES[0].to_owned()])),
            1 => Some(PROPERTIES.map(str::to_owned).into()),
            _ => None,
        };
        let wanted = Wanted {
            recipient: RECIPIENTS[recipient],
            purpose: PURPOSES[purpose],
            dataset: DATASETS[dataset],
            dataset_since: since,
            container: CONTAINERS.get(container).copied(),
            properties: properties.as_ref(),
        };
        let expected: RoaringBitmap = records
            .iter()
            .filter(|(storage, record)| {
                let place = wanted.container.map(|container| format!("{}{container}", root(*storage)));
                let all_shown = match (&record.data.properties, &properties) {
                    (None, _) => true,
                    (Some(consented), Some(shown)) => shown.is_subset(consented),
                    (Some(_), None) => false,
                };
                let old = record.given_at.is_none_or(|given| given < moment(since));
                let dataset = (!old).then(|| wanted.dataset.to_owned());
                all_shown && [dataset, place].into_iter().flatten().any(|data| {
                    let used = Use { recipient: wanted.recipient, purpose: wanted.purpose, data: &data };
                    covers(record, &used, &Hierarchy::default(), now)
                })
            })
            .map(|(storage, _)| *storage)
            .collect();
        prop_assert_eq!(&*ledger.covering(&wanted, now), &expected);
        prop_assert_eq!(&*ledger.covering(&wanted, now), &expected, "as it was kept");
        let matched = ledger.matched(&wanted, now);
        for storage in 0..5 {
            prop_assert_eq!(ledger.covers(&matched, storage, now), Some(expected.contains(storage)));
        }
        for (number, (storage, _)) in records.iter().enumerate() {
            let before = ledger.covering(&wanted, now);
            ledger.held.write().displace(&format!("s{storage}/{number}"));
            let after = ledger.covering(&wanted, now);
            prop_assert!(after.is_subset(&before));
            let matched = ledger.matched(&wanted, now);
            for storage in 0..5 {
                prop_assert_eq!(ledger.covers(&matched, storage, now), Some(after.contains(storage)));
            }
        }
        prop_assert_eq!(ledger.kinds(), 0, "nothing stays behind");
    }
}
