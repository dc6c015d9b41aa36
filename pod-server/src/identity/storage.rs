//! What a new storage holds: root, access control lists, WebID profile, inbox, settings, type indexes (solid#115).
//!
//! Nothing is public except what others must see to recognise the account: its profile document and its public type
//! index. Anyone may append to the inbox.

use bytes::Bytes;
use oxrdf::Literal;

use crate::authz::{AuthorizationSystem, FirstRules, note_creator};
use crate::name::{Auxiliary, NameError, ResourceName};
use crate::store::{NewBody, NewState, ResourceKind, StoreError, Transaction};

use super::account::AccountKind;
use super::site::Site;

const TURTLE: &str = "text/turtle";
/// Resources of a new storage that are looked at at a time.
const NEW_RESOURCES_PAGE: usize = 100;

/// Makes a storage for an owner. With `profile`, it also gets the owner's WebID profile.
///
/// # Errors
/// When the store fails.
pub fn create(
    transaction: &mut dyn Transaction,
    site: &Site,
    name: &str,
    webid: &str,
    profile: Option<(&str, AccountKind)>,
) -> Result<(), StoreError> {
    let root = parse(&Site::root(name))?;
    let system = site.system();
    site.origins().assign(transaction, &root)?;
    transaction.create_storage(&root, webid)?;
    system.assign(transaction, &root)?;
    put_rules(transaction, system, &root, rules(webid, "./", true, None))?;
    let inbox = join(&root, "inbox/")?;
    let empty = NewState {
        kind: ResourceKind::Container,
        media_type: TURTLE.to_owned(),
        body: NewBody::Bytes(Bytes::new()),
    };
    transaction.put(&inbox, empty)?;
    put_rules(
        transaction,
        system,
        &inbox,
        rules(webid, "./", true, Some("acl:Append")),
    )?;
    if let Some((label, kind)) = profile {
        let profile = profile_document(site, name, webid, label, kind);
        put_profile(transaction, system, &root, webid, profile)?;
    }
    site.fill(transaction, &root, webid)?;
    if system == AuthorizationSystem::Acp {
        note_owner(transaction, &root, webid)?;
    }
    Ok(())
}

fn put_profile(
    transaction: &mut dyn Transaction,
    system: AuthorizationSystem,
    root: &ResourceName,
    webid: &str,
    profile: String,
) -> Result<(), StoreError> {
    let card = join(root, "profile/card")?;
    put(transaction, &card, profile)?;
    put_rules(
        transaction,
        system,
        &card,
        rules(webid, "./card", false, Some("acl:Read")),
    )?;
    put(transaction, &join(root, "settings/preferences")?, preferences(webid))?;
    let public = join(root, "settings/publicTypeIndex")?;
    put(transaction, &public, type_index("solid:ListedDocument"))?;
    put_rules(
        transaction,
        system,
        &public,
        rules(webid, "./publicTypeIndex", false, Some("acl:Read")),
    )?;
    put(
        transaction,
        &join(root, "settings/privateTypeIndex")?,
        type_index("solid:UnlistedDocument"),
    )
}

/// The owner counts as the maker of everything that a new storage holds.
fn note_owner(transaction: &mut dyn Transaction, root: &ResourceName, webid: &str) -> Result<(), StoreError> {
    note_creator(transaction, root, Some(webid))?;
    let mut after = None;
    loop {
        let page = transaction.descendants(root, after.as_ref(), NEW_RESOURCES_PAGE)?;
        for resource in &page {
            if resource.name.auxiliary_subject().is_none() {
                note_creator(transaction, &resource.name, Some(webid))?;
            }
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.name),
            None => return Ok(()),
        }
    }
}

/// The WebID profile document: what anyone needs in order to trust and reach the account.
fn profile_document(site: &Site, name: &str, webid: &str, label: &str, kind: AccountKind) -> String {
    let root = site.origins().root(name);
    let class = match kind {
        AccountKind::Person => "foaf:Person, schema:Person",
        AccountKind::Organisation => "foaf:Organization, schema:Organization",
    };
    let label = Literal::new_simple_literal(label);
    format!(
        "@prefix foaf: <http://xmlns.com/foaf/0.1/>.\n\
         @prefix ldp: <http://www.w3.org/ns/ldp#>.\n\
         @prefix pim: <http://www.w3.org/ns/pim/space#>.\n\
         @prefix schema: <http://schema.org/>.\n\
         @prefix solid: <http://www.w3.org/ns/solid/terms#>.\n\n\
         <> a foaf:PersonalProfileDocument;\n    foaf:maker <{webid}>;\n    foaf:primaryTopic <{webid}>.\n\n\
         <{webid}> a {class};\n    foaf:name {label};\n    solid:oidcIssuer <{issuer}>;\n    \
         pim:storage <{root}>;\n    solid:account <{root}>;\n    ldp:inbox <{root}inbox/>;\n    \
         pim:preferencesFile <{root}settings/preferences>;\n    \
         solid:publicTypeIndex <{root}settings/publicTypeIndex>.\n",
        issuer = site.issuer(),
    )
}

fn preferences(webid: &str) -> String {
    format!(
        "@prefix pim: <http://www.w3.org/ns/pim/space#>.\n\
         @prefix solid: <http://www.w3.org/ns/solid/terms#>.\n\n\
         <> a pim:ConfigurationFile.\n\n\
         <{webid}> solid:privateTypeIndex <privateTypeIndex>;\n    solid:publicTypeIndex <publicTypeIndex>.\n"
    )
}

fn type_index(class: &str) -> String {
    format!("@prefix solid: <http://www.w3.org/ns/solid/terms#>.\n\n<> a solid:TypeIndex, {class}.\n")
}

/// Access rules: the owner may do everything; anyone at all has the mode `public`, if given. `members` makes the owner's
/// rights count for everything below.
const fn rules<'r>(owner: &'r str, resource: &'r str, members: bool, public: Option<&'r str>) -> FirstRules<'r> {
    FirstRules {
        owner,
        resource,
        members,
        public,
    }
}

fn put_rules(
    transaction: &mut dyn Transaction,
    system: AuthorizationSystem,
    subject: &ResourceName,
    rules: FirstRules<'_>,
) -> Result<(), StoreError> {
    put(transaction, &subject.auxiliary(Auxiliary::Acl), rules.write(system))
}

fn put(transaction: &mut dyn Transaction, name: &ResourceName, text: String) -> Result<(), StoreError> {
    let state = NewState {
        kind: ResourceKind::RdfSource,
        media_type: TURTLE.to_owned(),
        body: NewBody::Bytes(Bytes::from(text)),
    };
    transaction.put(name, state).map(drop)
}

fn parse(path: &str) -> Result<ResourceName, StoreError> {
    ResourceName::parse(path).map_err(|error| impossible(path, &error))
}

fn join(container: &ResourceName, member: &str) -> Result<ResourceName, StoreError> {
    container.join(member).map_err(|error| impossible(member, &error))
}

/// Names of storages are checked before, so that this never happens; if it does, nothing is stored.
fn impossible(name: &str, error: &NameError) -> StoreError {
    StoreError::Damaged(format!("`{name}` is no name: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn triples(text: &str, base: &str) -> Vec<String> {
        let parser = oxttl::TurtleParser::new().with_base_iri(base).unwrap();
        parser
            .for_slice(text.as_bytes())
            .map(|triple| triple.unwrap().to_string())
            .collect()
    }

    /// solid#115: what the suites and applications look for in a profile.
    #[test]
    fn a_profile_names_issuer_storage_inbox_and_preferences() {
        let site = Site::new("https://pod.example", "https://console.example/");
        let webid = site.webid("gent");
        let label = "Stad \"Gent\" \\ é\n";
        let text = profile_document(&site, "gent", &webid, label, AccountKind::Organisation);
        let found = triples(&text, "https://pod.example/gent/profile/card");
        let me = "<https://pod.example/gent/profile/card#me>";
        for expected in [
            format!("{me} <http://www.w3.org/ns/solid/terms#oidcIssuer> <https://console.example/>"),
            format!("{me} <http://www.w3.org/ns/pim/space#storage> <https://pod.example/gent/>"),
            format!("{me} <http://www.w3.org/ns/ldp#inbox> <https://pod.example/gent/inbox/>"),
            format!(
                "{me} <http://www.w3.org/ns/pim/space#preferencesFile> <https://pod.example/gent/settings/preferences>"
            ),
            format!(
                "{me} <http://xmlns.com/foaf/0.1/name> {}",
                Literal::new_simple_literal(label)
            ),
        ] {
            assert_eq!(
                found.iter().filter(|triple| **triple == expected).count(),
                1,
                "{expected}\n{found:#?}"
            );
        }
    }

    #[test]
    fn only_the_owner_controls() {
        let text = rules(
            "https://pod.example/gent/profile/card#me",
            "./",
            true,
            Some("acl:Append"),
        )
        .write(AuthorizationSystem::Wac);
        let found = triples(&text, "https://pod.example/gent/inbox/.acl");
        let control = "<http://www.w3.org/ns/auth/acl#Control>";
        let controllers: Vec<_> = found.iter().filter(|triple| triple.ends_with(control)).collect();
        assert_eq!(
            controllers,
            [
                "<https://pod.example/gent/inbox/.acl#owner> <http://www.w3.org/ns/auth/acl#mode> <http://www.w3.org/ns/auth/acl#Control>"
            ]
        );
        assert!(
            found
                .iter()
                .any(|t| t.ends_with("accessTo> <https://pod.example/gent/inbox/>")),
            "{found:#?}"
        );
        assert!(
            !found
                .iter()
                .any(|t| t.contains("#public> <http://www.w3.org/ns/auth/acl#default>"))
        );
    }
}
