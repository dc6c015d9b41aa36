//! Exceptions to the address check, listed by the operator.

use crate::config::ConfigError;

/// One allowed remote: an exact host and one port, or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AllowRule {
    host: String,
    port: Option<u16>,
}

impl AllowRule {
    pub(super) fn parse(entry: &str) -> Result<Self, ConfigError> {
        let invalid = |reason: &str| ConfigError::invalid("egress.allow", format!("`{entry}`: {reason}"));
        let (host, port) = entry
            .rsplit_once(':')
            .ok_or_else(|| invalid("write `host:port` or `host:*`"))?;
        let port = match port {
            "*" => None,
            digits => Some(
                digits
                    .parse()
                    .map_err(|_| invalid("the port is not a number below 65536 or `*`"))?,
            ),
        };
        // The same parser as for requests, so that both sides agree on what a host is.
        let parsed = url::Url::parse(&format!("https://{host}/")).map_err(|error| invalid(&error.to_string()))?;
        match parsed.host_str() {
            Some(canonical) if parsed.path() == "/" && parsed.username().is_empty() && parsed.port().is_none() => {
                Ok(Self {
                    host: canonical.to_owned(),
                    port,
                })
            }
            _ => Err(invalid("the host is not a name or an address")),
        }
    }

    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        self.host == host && self.port.is_none_or(|allowed| allowed == port)
    }
}
