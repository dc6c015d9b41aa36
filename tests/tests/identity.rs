//! Who people and applications are: issuer, accounts, tokens, other providers.

mod identity_accounts;
mod identity_belonging;
mod identity_client_document;
mod identity_exchange;
mod identity_external;
mod identity_issuer;
mod identity_registration;
mod identity_security;
mod identity_tokens;
