//! What attackers try on pod servers.

mod attack_documents;
mod attack_edges;
mod attack_pod;
mod attack_tokens;
