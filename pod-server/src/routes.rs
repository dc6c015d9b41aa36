//! Which part of the server answers a path of the content origin. Reserved paths come first; all others are resources.

use crate::ldp::constraints;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'p> {
    /// The description of the server itself, `/`.
    Server,
    /// A resource of a storage, or a name that no resource can have.
    Resource,
    /// A SPARQL endpoint; of one storage, or of the whole server.
    Sparql(Option<&'p str>),
    /// The catalogue; of one storage, or of the whole server.
    Catalog(Option<&'p str>),
    /// Datasets, negotiations and agreements of a storage; the rest of the path.
    Dataspace(&'p str, &'p str),
    /// Consents of a data subject's storage; the rest of the path.
    Consent(&'p str, &'p str),
    /// A storage's own part of the audit log.
    StorageLog(&'p str),
    /// The public audit log of this node; the rest of the path.
    Log(&'p str),
    /// The description of a storage.
    StorageDescription(&'p str),
    /// The document of the server as the sender of webhooks.
    NotificationSender,
    /// Subscription services, channels and streams of a storage; the rest of the path.
    Notifications(&'p str, &'p str),
    /// The constraints that writes are held to.
    Constraints,
}

impl<'p> Route<'p> {
    /// Reads a path as it was sent. Only the plain spelling is reserved; other spellings of it name no resource either,
    /// because names that begin with a full stop below a storage are reserved there too.
    #[must_use]
    pub fn of(path: &'p str) -> Self {
        match path {
            "/" => return Self::Server,
            "/sparql" => return Self::Sparql(None),
            "/catalog" => return Self::Catalog(None),
            "/.notifications/sender" => return Self::NotificationSender,
            constraints::PATH => return Self::Constraints,
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/log/") {
            return Self::Log(rest);
        }
        let Some((storage, inside)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
            return Self::Resource;
        };
        match inside {
            "sparql" => Self::Sparql(Some(storage)),
            ".log" => Self::StorageLog(storage),
            ".well-known/solid" => Self::StorageDescription(storage),
            ".constraints" => Self::Constraints,
            ".dataspace/catalog" => Self::Catalog(Some(storage)),
            _ => {
                if let Some(rest) = inside.strip_prefix(".dataspace/") {
                    Self::Dataspace(storage, rest)
                } else if let Some(rest) = inside.strip_prefix(".consent/") {
                    Self::Consent(storage, rest)
                } else if let Some(rest) = inside.strip_prefix(".notifications/") {
                    Self::Notifications(storage, rest)
                } else {
                    Self::Resource
                }
            }
        }
    }
}

impl Route<'_> {
    /// The methods of interfaces that support the same ones under every path; none where the path decides.
    #[must_use]
    pub const fn methods(&self) -> Option<&'static str> {
        match self {
            Self::Server | Self::StorageDescription(_) | Self::Constraints | Self::NotificationSender => {
                Some("GET, HEAD, OPTIONS")
            }
            Self::Catalog(_) | Self::Log(_) => Some("GET, HEAD"),
            Self::Sparql(_) => Some("GET, HEAD, OPTIONS, POST"),
            Self::StorageLog(_) => Some("GET"),
            Self::Resource | Self::Dataspace(..) | Self::Consent(..) | Self::Notifications(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_paths() {
        for (path, route) in [
            ("/", Route::Server),
            ("/sparql", Route::Sparql(None)),
            ("/gent/sparql", Route::Sparql(Some("gent"))),
            ("/catalog", Route::Catalog(None)),
            ("/.notifications/sender", Route::NotificationSender),
            ("/gent/.dataspace/catalog", Route::Catalog(Some("gent"))),
            (
                "/gent/.dataspace/agreements/1/token",
                Route::Dataspace("gent", "agreements/1/token"),
            ),
            ("/gent/.consent/", Route::Consent("gent", "")),
            ("/gent/.consent/7/withdraw", Route::Consent("gent", "7/withdraw")),
            ("/gent/.log", Route::StorageLog("gent")),
            ("/log/checkpoint", Route::Log("checkpoint")),
            ("/gent/.well-known/solid", Route::StorageDescription("gent")),
            (
                "/gent/.notifications/channels/1",
                Route::Notifications("gent", "channels/1"),
            ),
            ("/.constraints", Route::Constraints),
            ("/gent/.constraints", Route::Constraints),
            ("/.constraint", Route::Resource),
            ("/gent/", Route::Resource),
            ("/gent/a/sparql", Route::Resource),
            ("/gent/.logs", Route::Resource),
            ("/gent", Route::Resource),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
