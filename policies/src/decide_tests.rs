//! The rounds of asking, and what each missing or broken fact leads to.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::macros::datetime;
use vocab::meent;

use super::*;
use crate::acp::{AccessControlResource, EffectiveAcp};
use crate::odrl::{Action as OdrlAction, Constraint, Operator, Permission, Policy, PolicyKind, Target};
use crate::request::{Subject, WebId};
use crate::wac::Acl;

const ME: &str = "https://mobility.example/#us";
const AGREEMENT: &str = "https://gent.example/agreements/1";
const DATASET: &str = "https://gent.example/datasets/bikes";

fn request(action: Action, agreement: Option<&str>) -> AccessRequest {
    AccessRequest {
        subject: Subject::authenticated(WebId::parse(ME).unwrap()),
        action,
        resource: "https://gent.example/data/".into(),
        purpose: Some(meent::BICYCLE_POLICY.into()),
        now: datetime!(2026-06-01 12:00 UTC),
        agreement: agreement.map(str::to_owned),
    }
}

fn policy(consent: bool) -> Policy {
    let given = Constraint::atomic(
        meent::DATA_SUBJECT_CONSENT,
        Operator::Eq,
        vec![vocab::node(vocab::dpv::CONSENT_GIVEN).into_owned().into()],
    );
    let mut policy = Policy::new(AGREEMENT, PolicyKind::Set).agree(AGREEMENT, "https://gent.example/#us", ME);
    policy.permissions.push(Permission {
        id: None,
        target: Target::named(DATASET),
        assigner: None,
        assignee: None,
        action: OdrlAction::named(vocab::odrl::USE),
        constraints: if consent { vec![given] } else { Vec::new() },
        duties: Vec::new(),
        unknown: Vec::new(),
    });
    policy
}

fn agreement(policy: Policy, state: AgreementState) -> Fact {
    Fact::Agreement(Arc::new(AgreementFact {
        uses: None,
        circumstances: crate::odrl::Circumstances::NotKept,
        policy: Arc::new(policy),
        state,
        expires_at: Some(datetime!(2027-01-01 0:00 UTC)),
    }))
}

fn dataset() -> Fact {
    Fact::Dataset(Arc::new(DatasetFact {
        containers: vec![
            "https://gent.example/data/b/".into(),
            "https://gent.example/data/a/".into(),
            "https://gent.example/data/a/".into(),
        ],
        member_containers: vec!["telraam/".into()],
        part_of: BTreeSet::new(),
    }))
}

type Known = Vec<(FactRequest, Fact)>;

/// Answers every question from `known` (and with absence otherwise), and counts the rounds.
fn answer(request: &AccessRequest, known: &[(FactRequest, Fact)]) -> (Decision, usize) {
    let mut facts = Facts::new();
    for round in 0..=ROUNDS_MAX {
        match decide(request, &facts) {
            Response::Decided(decision) => {
                assert_eq!(
                    decide(request, &facts),
                    Response::Decided(decision.clone()),
                    "the same facts, the same answer"
                );
                return (decision, round);
            }
            Response::NeedsFacts(wanted) => {
                assert!(!wanted.is_empty());
                for one in wanted {
                    assert!(facts.find(&one).is_none(), "{one:?} was asked twice");
                    let fact = known
                        .iter()
                        .find(|(key, _)| *key == one)
                        .map_or(Fact::Absent, |(_, fact)| fact.clone());
                    facts.insert(one, fact);
                }
            }
        }
    }
    panic!("more than {ROUNDS_MAX} rounds");
}

fn key_agreement() -> FactRequest {
    FactRequest::Agreement { id: AGREEMENT.into() }
}

fn key_dataset() -> FactRequest {
    FactRequest::Dataset { id: DATASET.into() }
}

#[test]
fn a_query_under_an_agreement() {
    let query = request(Action::Query, Some(AGREEMENT));
    let plain = [
        (key_agreement(), agreement(policy(false), AgreementState::Active)),
        (key_dataset(), dataset()),
    ];
    let (decision, rounds) = answer(&query, &plain);
    assert_eq!((decision.effect, rounds), (Effect::Permit, 2));
    let view = decision.view.unwrap();
    assert_eq!(
        view.containers,
        ["https://gent.example/data/a/", "https://gent.example/data/b/"]
    );
    assert!(
        view.member_containers.is_empty(),
        "citizens are reached only through their consent"
    );
    assert_eq!(decision.valid_until, Some(datetime!(2027-01-01 0:00 UTC)));

    let with_consent = [
        (key_agreement(), agreement(policy(true), AgreementState::Active)),
        (key_dataset(), dataset()),
    ];
    let view = answer(&query, &with_consent).0.view.unwrap();
    assert_eq!(view.member_containers, ["telraam/"]);
    let condition = view.consent.unwrap();
    assert_eq!(
        (condition.recipient.as_str(), condition.purpose.as_str()),
        (ME, meent::BICYCLE_POLICY)
    );
}

/// Invariant 3: whatever is missing, broken or unavailable refuses, and says why.
#[test]
fn everything_else_refuses() {
    let active = || (key_agreement(), agreement(policy(false), AgreementState::Active));
    let down = || Fact::Unavailable("the store is down".into());
    let mut other = policy(false);
    other.id = "https://gent.example/agreements/2".into();
    let mut offer = policy(false);
    offer.kind = PolicyKind::Offer;
    let only_members = Fact::Dataset(Arc::new(DatasetFact {
        member_containers: vec!["telraam/".into()],
        ..DatasetFact::default()
    }));
    let cases: Vec<(&str, Known, ReasonCode)> = vec![
        ("no agreement", vec![], ReasonCode::AgreementMissing),
        (
            "agreement unavailable",
            vec![(key_agreement(), down())],
            ReasonCode::FactUnavailable,
        ),
        (
            "wrong fact",
            vec![(key_agreement(), dataset())],
            ReasonCode::FactUnavailable,
        ),
        (
            "another agreement",
            vec![(key_agreement(), agreement(other, AgreementState::Active))],
            ReasonCode::PolicyInvalid,
        ),
        (
            "terminated",
            vec![(key_agreement(), agreement(policy(false), AgreementState::Terminated))],
            ReasonCode::AgreementNotActive,
        ),
        (
            "suspended",
            vec![(key_agreement(), agreement(policy(false), AgreementState::Suspended))],
            ReasonCode::AgreementNotActive,
        ),
        (
            "an offer",
            vec![
                (key_agreement(), agreement(offer, AgreementState::Active)),
                (key_dataset(), dataset()),
            ],
            ReasonCode::PolicyNotAgreement,
        ),
        ("no dataset", vec![active()], ReasonCode::DatasetMissing),
        (
            "dataset unavailable",
            vec![active(), (key_dataset(), down())],
            ReasonCode::FactUnavailable,
        ),
        (
            "empty dataset",
            vec![active(), (key_dataset(), Fact::Dataset(Arc::default()))],
            ReasonCode::DatasetMissing,
        ),
        (
            "purposes unavailable",
            vec![active(), (key_dataset(), dataset()), (FactRequest::Purposes, down())],
            ReasonCode::FactUnavailable,
        ),
        (
            "citizens without consent",
            vec![active(), (key_dataset(), only_members)],
            ReasonCode::PermissionActive,
        ),
    ];
    let query = request(Action::Query, Some(AGREEMENT));
    for (name, known, code) in cases {
        let (decision, _) = answer(&query, &known);
        assert!(!decision.permits() && decision.view.is_none(), "{name}");
        assert_eq!(decision.reasons[0].code, code, "{name}");
    }
    let mut late = query.clone();
    late.now = datetime!(2027-01-01 0:00 UTC);
    let known = [active(), (key_dataset(), dataset())];
    assert_eq!(answer(&late, &known).0.reasons[0].code, ReasonCode::AgreementNotActive);
    let mut stranger = query;
    stranger.subject = Subject::public();
    assert_eq!(
        answer(&stranger, &known).0.reasons[0].code,
        ReasonCode::AssigneeMismatch
    );
    let nameless = request(Action::Query, None);
    assert_eq!(answer(&nameless, &known).0.effect, Effect::NotApplicable);
}

#[test]
fn a_solid_operation() {
    let text = "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .
        <#a> a acl:Authorization; acl:default </>; acl:agentGroup <https://g.example/#friends>; acl:mode acl:Write .
        <#b> a acl:Authorization; acl:default </>; acl:agentClass foaf:Agent; acl:mode acl:Read .";
    let effective = Fact::Acl(EffectiveAcl {
        acl: Arc::new(Acl::parse(text.as_bytes(), "https://gent.example/.acl").unwrap()),
        holder: "https://gent.example/".into(),
        inherited: true,
    });
    let key = FactRequest::EffectiveAcl {
        resource: "https://gent.example/data/".into(),
    };
    let group = FactRequest::GroupMembers {
        group: "https://g.example/#friends".into(),
    };
    let members = || Fact::Members(Arc::new(BTreeSet::from([ME.to_owned()])));
    let cases: [(Modes, Fact, bool, &str); 7] = [
        (Modes::WRITE, members(), true, "read write append"),
        (Modes::APPEND, members(), true, "read write append"),
        (Modes::CONTROL, members(), false, "read write append"),
        (Modes::NONE, members(), false, "read write append"),
        (Modes::READ, Fact::Unavailable("down".into()), true, "read"),
        (Modes::WRITE, Fact::Unavailable("down".into()), false, "read"),
        (Modes::WRITE, Fact::Absent, false, "read"),
    ];
    for (required, fact, permitted, modes) in cases {
        let request = request(Action::Wac(required), None);
        let (decision, rounds) = answer(&request, &[(key.clone(), effective.clone()), (group.clone(), fact)]);
        assert_eq!((decision.permits(), rounds), (permitted, 2), "{required}");
        assert_eq!(decision.modes.to_string(), modes);
        assert_eq!(decision.public_modes, Modes::READ);
    }
    for (fact, effect) in [
        (Fact::Absent, Effect::Deny),
        (Fact::AclBroken("bad".into()), Effect::Indeterminate),
        (Fact::Unavailable("down".into()), Effect::Indeterminate),
        (dataset(), Effect::Indeterminate),
    ] {
        let request = request(Action::Wac(Modes::READ), None);
        assert_eq!(answer(&request, &[(key.clone(), fact)]).0.effect, effect);
    }
}

/// Requirements solid 86, 90: effective policies decide, and who owns or made the resource is asked only where it matters.
#[test]
fn a_solid_operation_under_policies() {
    let text = "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix acp: <http://www.w3.org/ns/solid/acp#> .
        <> acp:resource </> ; acp:memberAccessControl [ acp:apply
            [ acp:allow acl:Read ; acp:anyOf [ acp:agent acp:PublicAgent ] ],
            [ acp:allow acl:Write ; acp:anyOf [ acp:agent acp:CreatorAgent ] ],
            [ acp:allow acl:Control ; acp:anyOf [ acp:agent acp:OwnerAgent ] ] ] .";
    let base = "https://gent.example/.acl";
    let acr = AccessControlResource::parse(text.as_bytes(), base, "https://gent.example/").unwrap();
    let effective = Fact::Acp(Arc::new(EffectiveAcp {
        own: None,
        ancestors: vec![Arc::new(acr)],
    }));
    let resource = || "https://gent.example/data/".to_owned();
    let known = |creators: Fact, owners: Fact| {
        [
            (FactRequest::EffectiveAcl { resource: resource() }, effective.clone()),
            (FactRequest::Creators { resource: resource() }, creators),
            (FactRequest::Owners { resource: resource() }, owners),
        ]
    };
    let people = |web_id: &str| Fact::People(Arc::new(vec![web_id.to_owned()]));
    let down = || Fact::Unavailable("down".into());
    for (creators, owners, modes) in [
        (people(ME), people(ME), "read write append control"),
        (people(ME), people("https://other.example/#me"), "read write append"),
        (Fact::Absent, people(ME), "read control"),
        (down(), down(), "read"),
    ] {
        let asked = request(Action::Wac(Modes::READ), None);
        let (decision, rounds) = answer(&asked, &known(creators, owners));
        assert_eq!((decision.permits(), rounds), (true, 2));
        assert_eq!(
            (decision.modes.to_string().as_str(), decision.public_modes),
            (modes, Modes::READ)
        );
    }
    let mut nobody = request(Action::Wac(Modes::WRITE), None);
    nobody.subject = Subject::public();
    let (decision, rounds) = answer(&nobody, &known(down(), down()));
    assert_eq!((decision.permits(), rounds), (false, 1), "nobody owns or made anything");
}
