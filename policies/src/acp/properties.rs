//! Properties of Access Control Policies over arbitrary documents and contexts.

use std::collections::BTreeSet;
use std::sync::Arc;

use oxttl::TurtleParser;
use proptest::prelude::*;

use super::reference::{Document, granted};
use super::tests::{AN, APP, BO, DOCUMENT, IDP, RESOURCE, Who, text};
use super::*;
use crate::wac::Modes;

// Random documents, as lists of policies; matchers are shared between them by their number.

const AGENTS: [&str; 6] = [
    "acp:PublicAgent",
    "acp:AuthenticatedAgent",
    "acp:CreatorAgent",
    "acp:OwnerAgent",
    "<https://an.example/#me>",
    "<https://bo.example/#me>",
];
const CLIENTS: [&str; 4] = [
    "acp:PublicClient",
    "acp:AuthenticatedClient",
    "<https://app.example/id>",
    "<https://other.example/id>",
];
const ISSUERS: [&str; 3] = ["acp:PublicIssuer", "acp:AuthenticatedIssuer", "<https://idp.example/>"];
const MODES: [&str; 4] = ["acl:Read", "acl:Append", "acl:Write", "acl:Control"];

fn any_matcher() -> impl Strategy<Value = String> {
    let some = |values: &'static [&'static str]| proptest::sample::subsequence(values.to_vec(), 0..=2);
    (some(&AGENTS), some(&CLIENTS), some(&ISSUERS), 0..12_u8).prop_map(|(agents, clients, issuers, credential)| {
        let mut text = "a acp:Matcher".to_owned();
        for (name, values) in [("agent", agents), ("client", clients), ("issuer", issuers)] {
            for value in values {
                text.push_str(&format!(" ; acp:{name} {value}"));
            }
        }
        if credential == 0 {
            text.push_str(" ; acp:vc <https://vc.example/Member>");
        }
        text
    })
}

fn any_policy() -> impl Strategy<Value = String> {
    let used = || proptest::collection::vec(0..5_u8, 0..3);
    let modes = || proptest::sample::subsequence(MODES.to_vec(), 0..=2);
    (
        modes(),
        modes(),
        used(),
        used(),
        proptest::collection::vec(0..5_u8, 0..2),
        any::<bool>(),
    )
        .prop_map(|(allow, deny, all_of, any_of, none_of, denies)| {
            let mut text = "a acp:Policy".to_owned();
            for (name, matchers) in [("allOf", all_of), ("anyOf", any_of), ("noneOf", none_of)] {
                for matcher in matchers {
                    text.push_str(&format!(" ; acp:{name} :m{matcher}"));
                }
            }
            for mode in allow {
                text.push_str(&format!(" ; acp:allow {mode}"));
            }
            for mode in deny.into_iter().filter(|_| denies) {
                text.push_str(&format!(" ; acp:deny {mode}"));
            }
            text
        })
}

/// The policies of the resource itself and of its members, and the matchers.
type Parts = (Vec<String>, Vec<String>, Vec<String>);

fn any_parts() -> impl Strategy<Value = Parts> {
    (
        proptest::collection::vec(any_policy(), 0..4),
        proptest::collection::vec(any_policy(), 0..4),
        proptest::collection::vec(any_matcher(), 5),
    )
}

fn write(parts: &Parts) -> String {
    let (own, members, matchers) = parts;
    let mut body = "<> a acp:AccessControlResource ; acp:resource <./> .\n".to_owned();
    for (property, policies) in [("accessControl", own), ("memberAccessControl", members)] {
        for policy in policies {
            body.push_str(&format!("<> acp:{property} [ acp:apply [ {policy} ] ] .\n"));
        }
    }
    for (number, matcher) in matchers.iter().enumerate() {
        body.push_str(&format!(":m{number} {matcher} .\n"));
    }
    text(&body)
}

fn compiled(parts: &Parts) -> Arc<AccessControlResource> {
    Arc::new(AccessControlResource::parse(write(parts).as_bytes(), DOCUMENT, RESOURCE).unwrap())
}

fn graph(parts: &Parts) -> Document {
    let parser = TurtleParser::new().with_base_iri(DOCUMENT).unwrap();
    Document {
        triples: parser.for_slice(&write(parts)).map(Result::unwrap).collect(),
        resource: RESOURCE.to_owned(),
    }
}

fn any_who() -> impl Strategy<Value = Who> {
    let people = || proptest::option::of(proptest::sample::subsequence(vec![AN.to_owned(), BO.to_owned()], 0..=2));
    let agent = proptest::option::of(proptest::sample::select(vec![AN, BO, "https://co.example/#me"]));
    let client = proptest::option::of(proptest::sample::select(vec![APP, "https://other.example/id"]));
    let issuer = proptest::option::of(Just(IDP));
    (agent, client, issuer, people(), people()).prop_map(|(agent, client, issuer, owners, creators)| Who {
        agent,
        client,
        issuer,
        owners,
        creators,
    })
}

fn modes_of(own: &Parts, above: &[Parts], who: &Who) -> Modes {
    let effective = EffectiveAcp {
        own: Some(compiled(own)),
        ancestors: above.iter().map(compiled).collect(),
    };
    effective.modes(&who.context())
}

fn read_plainly(granted: &BTreeSet<String>) -> Modes {
    granted
        .iter()
        .filter_map(|iri| Modes::from_iri(iri))
        .fold(Modes::NONE, |all, mode| all | mode)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Requirements solid 86-90: the slow evaluator, which follows the specification word by word, finds the same.
    #[test]
    fn both_evaluators_agree(own in any_parts(), above in proptest::collection::vec(any_parts(), 0..3), who in any_who()) {
        let documents: Vec<Document> = above.iter().map(graph).collect();
        let expected = granted(Some(&graph(&own)), &documents.iter().collect::<Vec<_>>(), &who.context());
        prop_assert_eq!(modes_of(&own, &above, &who), read_plainly(&expected));
    }

    /// Requirement solid 87: one more policy that only denies never widens, wherever it stands.
    #[test]
    fn a_deny_never_widens(own in any_parts(), above in any_parts(), extra in any_policy(), on_top in any::<bool>(), who in any_who()) {
        let deny = extra.replace("acp:allow", "acp:deny");
        let (mut stricter, mut above_stricter) = (own.clone(), above.clone());
        if on_top {
            above_stricter.1.push(deny);
        } else {
            stricter.0.push(deny);
        }
        let (wide, narrow) = (modes_of(&own, &[above], &who), modes_of(&stricter, &[above_stricter], &who));
        prop_assert!(wide.contains(narrow), "{narrow} is not within {wide}");
    }

    /// Requirement solid 88: one more matcher in `acp:allOf` or `acp:noneOf` of a policy that only allows never widens.
    #[test]
    fn a_matcher_never_widens(own in any_parts(), pick in 0..5_u8, none in any::<bool>(), who in any_who()) {
        let only_allowing = |policies: &[String]| -> Vec<String> {
            policies.iter().map(|policy| policy.replace("acp:deny", "acp:allow")).collect()
        };
        let parts = (only_allowing(&own.0), Vec::new(), own.2.clone());
        let mut stricter = parts.clone();
        let property = if none { "noneOf" } else { "allOf" };
        for policy in &mut stricter.0 {
            // A policy without matchers is never satisfied, and a first one may satisfy it.
            if policy.contains("acp:allOf") || policy.contains("acp:anyOf") {
                policy.push_str(&format!(" ; acp:{property} :m{pick}"));
            }
        }
        let (wide, narrow) = (modes_of(&parts, &[], &who), modes_of(&stricter, &[], &who));
        prop_assert!(wide.contains(narrow), "{narrow} is not within {wide}");
    }

    /// Requirements solid 86, 87: the order of policies and of ancestors does not matter.
    #[test]
    fn order_does_not_matter(own in any_parts(), above in proptest::collection::vec(any_parts(), 0..3), who in any_who()) {
        let (mut turned, mut above_turned) = (own.clone(), above.clone());
        turned.0.reverse();
        turned.1.reverse();
        above_turned.reverse();
        for parts in &mut above_turned {
            parts.1.reverse();
        }
        prop_assert_eq!(modes_of(&own, &above, &who), modes_of(&turned, &above_turned, &who));
    }

    /// Requirement solid 90: what is learnt about owners and creators is never needed to refuse.
    #[test]
    fn knowing_less_never_widens_for_strangers(own in any_parts(), who in any_who()) {
        let stranger = Who { owners: Some(Vec::new()), creators: Some(Vec::new()), ..who };
        let known = modes_of(&own, &[], &stranger);
        let unknown = modes_of(&own, &[], &Who { owners: None, creators: None, ..stranger });
        prop_assert!(known.contains(unknown), "{unknown} is not within {known}");
    }
}
