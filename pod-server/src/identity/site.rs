//! The two origins of a pod server, and the names that follow from them.

use std::sync::Arc;

use super::error::AccountError;
use crate::authz::AuthorizationSystem;
use crate::ldp::template::Templates;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{StoreError, Transaction};

/// Names that a storage may not have: the content origin uses them itself.
pub(crate) const NAMES_RESERVED: [&str; 6] = ["sparql", "catalog", "log", "public", "admin", "api"];

/// Longest name of a storage, in characters.
pub const NAME_CHARACTERS_MAX: usize = 63;

/// The content origin and the console origin; both end with a slash and never are the same. New storages take their
/// authorization system from it.
#[derive(Clone, Debug)]
pub struct Site {
    origins: Origins,
    console_url: String,
    system: AuthorizationSystem,
    templates: Option<Arc<Templates>>,
    /// The template of new storages, where it is not the one that counts without a choice.
    chosen: Option<String>,
}

impl Site {
    /// From the two origins.
    #[must_use]
    pub fn new(base_url: &str, console_url: &str) -> Self {
        Self {
            origins: Origins::new(base_url),
            console_url: format!("{}/", console_url.trim_end_matches('/')),
            system: AuthorizationSystem::default(),
            templates: None,
            chosen: None,
        }
    }

    /// The same site on origins that the rest of the server has too.
    #[must_use]
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// The same site, whose new storages have another authorization system than the default.
    #[must_use]
    pub const fn with_system(mut self, system: AuthorizationSystem) -> Self {
        self.system = system;
        self
    }

    /// The same site with templates for new storages.
    #[must_use]
    pub fn with_templates(mut self, templates: Arc<Templates>) -> Self {
        self.templates = Some(templates);
        self
    }

    /// The same site, whose new storages begin with a template that somebody chose.
    ///
    /// # Errors
    /// [`AccountError::Template`] when there is none of this name.
    pub fn choosing(&self, template: &str) -> Result<Self, AccountError> {
        if !self.template_names().contains(&template) {
            return Err(AccountError::Template(template.to_owned()));
        }
        Ok(Self {
            chosen: Some(template.to_owned()),
            ..self.clone()
        })
    }

    /// Names of the templates to choose from, the one first that counts without a choice.
    #[must_use]
    pub fn template_names(&self) -> Vec<&str> {
        self.templates.iter().flat_map(|templates| templates.names()).collect()
    }

    /// Puts what the template says into a storage that was just made.
    ///
    /// # Errors
    /// When the store fails.
    pub fn fill(&self, transaction: &mut dyn Transaction, root: &ResourceName, owner: &str) -> Result<(), StoreError> {
        let Some(templates) = &self.templates else {
            return Ok(());
        };
        let chosen = templates
            .chosen(self.chosen.as_deref())
            .map_err(|error| StoreError::Misuse(error.to_string()))?;
        templates.apply(transaction, chosen, root, (owner, self.system))
    }

    /// The authorization system of new storages.
    #[must_use]
    pub const fn system(&self) -> AuthorizationSystem {
        self.system
    }

    /// The origin of pod content, with a closing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.origins.base_url()
    }

    /// Where pod content is.
    #[must_use]
    pub const fn origins(&self) -> &Origins {
        &self.origins
    }

    /// The issuer's IRI, which is the console's origin with a closing slash.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.console_url
    }

    /// A URL on the console.
    #[must_use]
    pub fn console(&self, path: &str) -> String {
        format!("{}{}", self.console_url, path.trim_start_matches('/'))
    }

    /// The root container of the storage with a name, as a path.
    #[must_use]
    pub fn root(name: &str) -> String {
        format!("/{name}/")
    }

    /// The WebID of a new account whose first storage is to have a name.
    #[must_use]
    pub fn webid(&self, name: &str) -> String {
        format!("{}profile/card#me", self.origins.new_root(name))
    }
}

/// Checks the name of an account or storage: lower-case letters, digits and inner hyphens.
///
/// # Errors
/// [`AccountError::Name`] with the rule that is broken.
pub fn check_name(name: &str) -> Result<(), AccountError> {
    let refuse = |reason| {
        Err(AccountError::Name {
            name: name.to_owned(),
            reason,
        })
    };
    if name.is_empty() || name.len() > NAME_CHARACTERS_MAX {
        return refuse("a name has 1 to 63 characters");
    }
    if !name
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    {
        return refuse("a name has only the letters a to z, digits and hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return refuse("a name neither begins nor ends with a hyphen");
    }
    if NAMES_RESERVED.contains(&name) {
        return refuse("the server uses this name itself");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["gent", "a", "burger-00001", "7102"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Gent",
            "a/b",
            "-a",
            "a-",
            "é",
            "sparql",
            ".well-known",
            "a b",
            "a%2f",
            &"a".repeat(64),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
