//! The access rules that a new storage begins with: its owner may do everything, and others what a resource needs to be
//! of use.

use super::system::AuthorizationSystem;

/// What the rules of one new resource say.
#[derive(Clone, Copy, Debug)]
pub struct FirstRules<'r> {
    /// WebID of the owner, who has every right.
    pub owner: &'r str,
    /// The resource, relative to the document with the rules: `./` or `./card`.
    pub resource: &'r str,
    /// Whether the owner's rights count for everything below too.
    pub members: bool,
    /// Mode that anyone at all has on the resource itself, such as `acl:Read`.
    pub public: Option<&'r str>,
}

impl FirstRules<'_> {
    /// The document, as Turtle.
    #[must_use]
    pub fn write(&self, system: AuthorizationSystem) -> String {
        match system {
            AuthorizationSystem::Wac => self.list(),
            AuthorizationSystem::Acp => self.policies(),
        }
    }

    fn list(&self) -> String {
        let Self { owner, resource, .. } = self;
        let below = if self.members {
            format!("    acl:default <{resource}>;\n")
        } else {
            String::new()
        };
        let mut text = format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>.\n@prefix foaf: <http://xmlns.com/foaf/0.1/>.\n\n\
             <#owner> a acl:Authorization;\n    acl:agent <{owner}>;\n    acl:accessTo <{resource}>;\n{below}    \
             acl:mode acl:Read, acl:Write, acl:Control.\n"
        );
        if let Some(mode) = self.public {
            text.push_str(&format!(
                "\n<#public> a acl:Authorization;\n    acl:agentClass foaf:Agent;\n    acl:accessTo <{resource}>;\n    \
                 acl:mode {mode}.\n"
            ));
        }
        text
    }

    fn policies(&self) -> String {
        let Self { owner, resource, .. } = self;
        let mut controls = "<#owner>".to_owned();
        if self.public.is_some() {
            controls.push_str(", <#public>");
        }
        let below = if self.members {
            ";\n    acp:memberAccessControl <#owner>"
        } else {
            ""
        };
        let mut text = format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>.\n@prefix acp: <http://www.w3.org/ns/solid/acp#>.\n\n\
             <> a acp:AccessControlResource;\n    acp:resource <{resource}>;\n    acp:accessControl {controls}{below}.\n\n\
             <#owner> a acp:AccessControl;\n    acp:apply [\n        a acp:Policy;\n        \
             acp:allow acl:Read, acl:Write, acl:Control;\n        acp:anyOf [ a acp:Matcher; acp:agent <{owner}> ]\n    ].\n"
        );
        if let Some(mode) = self.public {
            text.push_str(&format!(
                "\n<#public> a acp:AccessControl;\n    acp:apply [\n        a acp:Policy;\n        acp:allow {mode};\n        \
                 acp:anyOf [ a acp:Matcher; acp:agent acp:PublicAgent ]\n    ].\n"
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policies::acp::{AccessControlResource, AcpContext, EffectiveAcp};
    use policies::request::{Subject, WebId};
    use policies::wac::{Acl, AclTarget};

    use super::*;

    const OWNER: &str = "https://pod.example/gent/profile/card#me";
    const DOCUMENT: &str = "https://pod.example/gent/.acl";
    const ROOT: &str = "https://pod.example/gent/";

    fn rules(members: bool, public: Option<&str>) -> FirstRules<'_> {
        FirstRules {
            owner: OWNER,
            resource: "./",
            members,
            public,
        }
    }

    /// Requirements solid 70, 73: both systems begin with the same rights.
    #[test]
    fn both_systems_say_the_same() {
        for members in [false, true] {
            for (public, expected) in [(None, ""), (Some("acl:Append"), "append"), (Some("acl:Read"), "read")] {
                let rules = rules(members, public);
                let list = Acl::parse(rules.write(AuthorizationSystem::Wac).as_bytes(), DOCUMENT).unwrap();
                let text = rules.write(AuthorizationSystem::Acp);
                let acr = Arc::new(AccessControlResource::parse(text.as_bytes(), DOCUMENT, ROOT).unwrap());
                assert!(list.gives_control(ROOT) && acr.gives_control(OWNER));
                let own = EffectiveAcp {
                    own: Some(Arc::clone(&acr)),
                    ancestors: Vec::new(),
                };
                let below = EffectiveAcp {
                    own: None,
                    ancestors: vec![acr],
                };
                let owner = Subject::authenticated(WebId::parse(OWNER).unwrap());
                let nobody = |_: &str, _: &str| Some(false);
                for (subject, here, there) in [
                    (
                        &owner,
                        "read write append control",
                        if members { "read write append control" } else { "" },
                    ),
                    (&Subject::public(), expected, ""),
                ] {
                    let context = AcpContext::of(subject);
                    assert_eq!(list.modes(subject, AclTarget::own(ROOT), &nobody).to_string(), here);
                    assert_eq!(own.modes(&context).to_string(), here);
                    assert_eq!(
                        list.modes(subject, AclTarget::inherited(ROOT), &nobody).to_string(),
                        there
                    );
                    assert_eq!(below.modes(&context).to_string(), there);
                }
            }
        }
    }
}
