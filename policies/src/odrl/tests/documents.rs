//! Reading documents: errors, bounds, JSON-LD.

use vocab::{dpv, meent};

use super::*;

/// T67: an agreement may come from anywhere, and its brackets must end nobody's process.
#[test]
fn nested_turtle_is_refused_with_its_line() {
    let nested = format!("<a> <b>\n{}<c>{} .", "<<(<a> <b> ".repeat(15_000), ")>>".repeat(15_000));
    let refused = parse_turtle(nested.as_bytes(), "https://a.example/", &OdrlLimits::default());
    assert!(
        matches!(refused, Err(ParseError::Syntax { line: Some(2), .. })),
        "{refused:?}"
    );
}

/// ODR-2: what is wrong, and where.
#[test]
fn parse_errors_name_the_path() {
    let cases = [
        (
            permission("; odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:rightOperand dpv:X ]"),
            "permission[0] constraint[0]",
            "odrl:operator",
        ),
        (
            permission(&format!(
                "; odrl:constraint {}",
                constraint("odrl:purpose", "isBetter", "dpv:X")
            )),
            "constraint[0]",
            "isBetter",
        ),
        (
            permission("; odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:eq ]"),
            "constraint[0]",
            "odrl:rightOperand",
        ),
        (permission("; odrl:frobnicate 3"), "permission[0]", "frobnicate"),
        (
            permission("; odrl:remedy [ odrl:action odrl:compensate ]"),
            "permission[0]",
            "odrl:remedy",
        ),
        (permission("; odrl:duty [ odrl:constraint [] ]"), "duty[0]", ""),
        (
            "odrl:permission [ odrl:action odrl:use ]".to_owned(),
            "permission[0]",
            "odrl:target",
        ),
        (
            format!("odrl:permission [ odrl:target <{DATASET}> ]"),
            "permission[0]",
            "odrl:action",
        ),
        (
            format!("odrl:conflict odrl:maybe ; {}", permission("")),
            "<https://kortrijk.example/a1>",
            "maybe",
        ),
        (
            format!("a odrl:Offer ; {}", permission("")),
            "<https://kortrijk.example/a1>",
            "two kinds",
        ),
    ];
    for (rules, path, problem) in cases {
        let error = parse_turtle(
            agreement(&rules).as_bytes(),
            "https://a.example/",
            &OdrlLimits::default(),
        )
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(path) && text.contains(problem),
            "`{text}` should name {path} and {problem}"
        );
    }
    let error = parse_turtle(b"<a> <b>", "https://a.example/", &OdrlLimits::default()).unwrap_err();
    assert!(matches!(error, ParseError::Syntax { line: Some(1), .. }), "{error}");
}

/// ODR-24: every bound has its name, and cycles end.
#[test]
fn bounds() {
    let text = agreement(&format!(
        "{} ; {}",
        permission(""),
        permission(
            "; odrl:constraint [ odrl:and [ odrl:or [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:eq ; odrl:rightOperand dpv:X ] ] ]"
        )
    ));
    let all = OdrlLimits::default();
    for (limits, bound) in [
        (OdrlLimits { bytes_max: 10, ..all }, "bytes_max"),
        (OdrlLimits { quads_max: 3, ..all }, "quads_max"),
        (OdrlLimits { policies_max: 0, ..all }, "policies_max"),
        (OdrlLimits { rules_max: 1, ..all }, "rules_max"),
        (OdrlLimits { depth_max: 1, ..all }, "depth_max"),
        (OdrlLimits { nodes_max: 2, ..all }, "nodes_max"),
    ] {
        let error = parse_turtle(text.as_bytes(), "https://a.example/", &limits)
            .unwrap_err()
            .to_string();
        assert!(error.contains(bound), "{error} should name {bound}");
    }
    for hostile in [
        "_:c odrl:or _:c .",
        "_:c odrl:or _:d, _:e . _:d odrl:or _:c, _:e . _:e odrl:or _:c, _:d .",
        "_:c odrl:andSequence _:l . _:l rdf:first _:c ; rdf:rest _:l .",
    ] {
        let text = format!("{} {hostile}", agreement(&permission("; odrl:constraint _:c")));
        let error = parse_turtle(text.as_bytes(), "https://a.example/", &all).unwrap_err();
        assert!(
            matches!(error, ParseError::TooLarge { .. } | ParseError::At { .. }),
            "{error}"
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(
        parse_json_ld(deep.as_bytes(), "https://a.example/", &all),
        Err(ParseError::TooLarge { .. })
    ));
}

/// ODR-1: JSON-LD with ODRL's context means the same as Turtle; other contexts are refused without a look.
#[test]
fn json_ld() {
    let json = format!(
        r#"{{ "@context": ["http://www.w3.org/ns/odrl.jsonld", {{"meent": "{}", "dpv": "{}"}}],
            "@type": "Agreement", "uid": "https://kortrijk.example/a1", "profile": "{}",
            "assigner": "{OWNER}", "assignee": "{CONSUMER}",
            "permission": [{{ "target": "{DATASET}", "action": "use",
              "constraint": [{{ "leftOperand": "purpose", "operator": "isA", "rightOperand": {{"@id": "meent:BicyclePolicy"}} }}],
              "duty": [{{ "action": "meent:aggregateOnly", "constraint": [{{ "leftOperand": "meent:distinctDataSubjects",
                  "operator": "gteq", "rightOperand": 5 }}] }}] }}] }}"#,
        meent::NS,
        dpv::NS,
        meent::ODRL_PROFILE
    );
    let from_json = parse_json_ld(json.as_bytes(), "https://a.example/", &OdrlLimits::default()).unwrap();
    let turtle = permission(&format!(
        "; odrl:constraint {} ; odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint {} ]",
        constraint("odrl:purpose", "isA", "meent:BicyclePolicy"),
        constraint("meent:distinctDataSubjects", "gteq", "5")
    ));
    assert_eq!(from_json, [read(&agreement(&turtle))]);
    let remote = json.replace(
        "http://www.w3.org/ns/odrl.jsonld",
        "https://evil.example/context.jsonld",
    );
    let error = parse_json_ld(remote.as_bytes(), "https://a.example/", &OdrlLimits::default()).unwrap_err();
    assert!(matches!(error, ParseError::Syntax { .. }), "{error}");
}
