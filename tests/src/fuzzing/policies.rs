//! Access control lists and usage policies.

use policies::odrl::model::Policy;
use policies::odrl::parse::{OdrlLimits, parse_json_ld, parse_turtle};
use policies::odrl::write::{write_json_ld, write_turtle};
use policies::wac::Acl;

const BASE: &str = "https://pod.example/gent/a.acl";

/// A WAC document.
pub fn acl(bytes: &[u8]) {
    if let (Ok(first), Ok(second)) = (Acl::parse(bytes, BASE), Acl::parse(bytes, BASE)) {
        assert_eq!(first.len(), second.len(), "the same document has to read the same");
    }
}

/// An ODRL policy as Turtle.
pub fn odrl_turtle(bytes: &[u8]) {
    let limits = OdrlLimits::default();
    for policy in parse_turtle(bytes, BASE, &limits).unwrap_or_default() {
        let Ok(written) = write_turtle(&policy) else {
            return;
        };
        same(
            &policy,
            &parse_turtle(&written, BASE, &limits).unwrap_or_default(),
            &written,
        );
    }
}

/// An ODRL policy as JSON-LD.
pub fn odrl_json_ld(bytes: &[u8]) {
    let limits = OdrlLimits::default();
    for policy in parse_json_ld(bytes, BASE, &limits).unwrap_or_default() {
        let Ok(written) = write_json_ld(&policy) else {
            return;
        };
        same(
            &policy,
            &parse_json_ld(&written, BASE, &limits).unwrap_or_default(),
            &written,
        );
    }
}

/// Writing a policy loses none of its rules.
fn same(before: &Policy, after: &[Policy], written: &[u8]) {
    let after: Vec<_> = after.iter().filter(|policy| policy.id == before.id).collect();
    let text = || String::from_utf8_lossy(written);
    assert_eq!(after.len(), 1, "the policy was not found again in\n{}", text());
    for policy in after {
        assert_eq!(policy.permissions.len(), before.permissions.len(), "{}", text());
        assert_eq!(policy.prohibitions.len(), before.prohibitions.len(), "{}", text());
    }
}
