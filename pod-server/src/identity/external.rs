//! Logging in through another OpenID provider, such as a government's (solid.md's accounts; T41, T42, T43).
//!
//! The browser keeps one secret in a sealed cookie for the time of the log-in; `state`, `nonce` and the PKCE verifier follow from
//! it, so that an answer counts only in the browser that asked, for the provider that was asked. Who a person is here is
//! decided by a link between the provider's subject and an account. A link is made by somebody who has logged in, on the
//! account page, or on first log-in if the configuration says so.

use http::request::Parts;
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use server_kit::authn::encrypted::Decryption;
use server_kit::authn::relying_party::{
    ClientProof, Exchange, ExternalIdentity, Registration, RelyingParty, RelyingPartyError,
};
use server_kit::network::Network;

use crate::ui::layout::path as page;
use crate::ui::security::again as log_in_again;
use crate::ui::visit::{FORM_TOKEN, cookie, same};
use crate::ui::{Body, Form, Session, Visit, external as shown, see_other};

use super::account::{self, Account, AccountKind, FirstLogin, NewAccount};
use super::config::{ExternalFirstLogin, ExternalProvider};
use super::error::{AccountError, IdentityError};
use super::external_link::{self, ExternalLink, Linked};
use super::router::problem_page;
use super::seal::Purpose;
use super::token::json_response;
use super::{Identity, IdentityParts, pages};

/// What the paths of this module begin with.
pub const PREFIX: &str = "/external/";

/// Where a link is taken away (POST).
pub const UNLINK: &str = "/account/external/unlink";

/// Parameter of an authorization request that comes back after logging in: the log-in has to be a new one.
pub const AGAIN: &str = "again";

/// Cookie of a log-in that is under way.
const COOKIE: &str = "__Host-external";

/// How long a log-in may take, in seconds.
const SECONDS_MAX: u32 = 600;

/// Longest path that a log-in comes back to, in bytes: it travels in the cookie.
const RETURN_BYTES_MAX: usize = 2_000;

/// One provider and we.
pub struct External {
    config: ExternalProvider,
    party: RelyingParty,
}

/// A log-in under way, as the browser keeps it.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    provider: String,
    secret: String,
    return_to: String,
    /// The account that is to be linked.
    link: Option<String>,
    /// Whether the person has to log in anew at the provider.
    again: bool,
    started: i64,
}

/// Reads the configured providers and their secrets.
///
/// # Errors
/// [`IdentityError::External`] names the provider and what is wrong.
pub(super) fn providers(parts: &IdentityParts) -> Result<Vec<External>, IdentityError> {
    let mut names = std::collections::BTreeSet::new();
    let mut providers = Vec::new();
    for config in &parts.config.external {
        let failed = |reason: String| IdentityError::External {
            provider: config.name.clone(),
            reason,
        };
        if super::site::check_name(&config.name).is_err() || !names.insert(&config.name) {
            return Err(failed(
                "`name` must be unique and have only the letters a to z, digits and inner hyphens".to_owned(),
            ));
        }
        let proof = match (&config.client_secret_file, &config.private_key_file) {
            (Some(file), None) => ClientProof::secret(file, config.secret_in_body),
            (None, Some(file)) => ClientProof::private_key(file),
            _ => {
                return Err(failed(
                    "give either `client_secret_file` or `private_key_file`".to_owned(),
                ));
            }
        };
        let decryption = config
            .decryption_key_file
            .as_deref()
            .map(Decryption::from_file)
            .transpose();
        let registration = Registration {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            proof: proof.map_err(|error| failed(error.to_string()))?,
            scopes: config.scopes.clone(),
            acr_values: config.acr_values.clone(),
            redirect_uri: parts.site.console(&format!("{PREFIX}{}/callback", config.name)),
            decryption: decryption.map_err(|error| failed(error.to_string()))?,
        };
        let (egress, clock, random) = (parts.egress.clone(), parts.clock.clone(), parts.random.clone());
        providers.push(External {
            party: RelyingParty::new(registration, egress, clock, random),
            config: config.clone(),
        });
    }
    Ok(providers)
}

/// The links of the log-in page to the providers; empty when there are none.
pub(super) fn choices(identity: &Identity, visit: &Visit, return_to: &str) -> Markup {
    let choices: Vec<(String, &str)> = identity
        .externals
        .iter()
        .map(|external| {
            let mut fields = vec![("return_to", return_to)];
            // Somebody who is logged in sees this page only to prove anew who it is.
            if visit.session.is_some() {
                fields.push((AGAIN, "1"));
            }
            let query = query(&fields);
            (
                format!("{PREFIX}{}?{query}", external.config.name),
                external.config.label.as_str(),
            )
        })
        .collect();
    shown::choices(visit, &choices)
}

/// The part of the account page about providers; empty when there are none.
pub(super) fn section(identity: &Identity, visit: &Visit, session: &Session) -> Result<Markup, IdentityError> {
    if identity.externals.is_empty() {
        return Ok(html! {});
    }
    let snapshot = identity.store().snapshot(account::permit())?;
    let links = external_link::of_account(snapshot.as_ref(), &session.account)?;
    let label = |name: &str| {
        let found = identity.externals.iter().find(|external| external.config.name == name);
        found.map_or_else(|| name.to_owned(), |external| external.config.label.clone())
    };
    let linked: Vec<(String, String, i64)> = links
        .iter()
        .map(|link| (link.person.clone(), label(&link.provider), link.since))
        .collect();
    let open: Vec<(String, String)> = identity
        .externals
        .iter()
        .filter(|external| links.iter().all(|link| link.provider != external.config.name))
        .map(|external| {
            let query = query(&[("link", "1"), (FORM_TOKEN, &visit.form_token())]);
            (
                format!("{PREFIX}{}?{query}", external.config.name),
                external.config.label.clone(),
            )
        })
        .collect();
    Ok(shown::section(visit, UNLINK, &linked, &open))
}

fn query(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// Answers a GET below [`PREFIX`].
pub(super) async fn show(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    query: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let rest = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let (name, last) = rest
        .split_once('/')
        .map_or((rest, None), |(name, last)| (name, Some(last)));
    let external = identity.externals.iter().find(|external| external.config.name == name);
    match (external, last) {
        (Some(external), None) => start(identity, external, visit, query).await,
        (Some(external), Some("jwks")) => Ok(json_response(StatusCode::OK, &external.party.jwks())),
        (Some(external), Some("callback")) => come_back(identity, external, visit, parts, query, network).await,
        _ => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
    }
}

/// Takes a link away.
pub(super) async fn unlink(identity: &Identity, visit: &Visit, form: &Form) -> Result<Response<Body>, IdentityError> {
    let Some(session) = &visit.session else {
        return Ok(see_other(visit, page::LOGIN));
    };
    if !identity.fresh(session) {
        return Ok(see_other(visit, &log_in_again(page::ACCOUNT)));
    }
    let person = form.field("person").unwrap_or_default();
    external_link::unlink(identity.store(), &session.account, person).await?;
    Ok(see_other(visit, "/account?done=external-unlinked"))
}

/// Sends a person to a provider.
async fn start(
    identity: &Identity,
    external: &External,
    visit: &mut Visit,
    query: &Form,
) -> Result<Response<Body>, IdentityError> {
    let wanted = query.field("link").is_some();
    let anew = query.field(AGAIN).is_some();
    let link = match (&visit.session, wanted) {
        // Only our own account page may start a link: else a stranger's log-in could be tied to this account. It is a new
        // way into the account, which nobody may open who only found a session.
        (Some(session), true) if visit.sent(query) && !identity.fresh(session) => {
            return Ok(see_other(visit, &log_in_again(page::ACCOUNT)));
        }
        (Some(session), true) if visit.sent(query) => Some(session.account.clone()),
        (None, false) => None,
        (Some(_), false) if anew || asks_again(pages::local(query.field("return_to"))) => None,
        (_, true) => return Ok(problem_page(visit, StatusCode::FORBIDDEN, "form-foreign", "")),
        (Some(_), false) => return Ok(see_other(visit, pages::local(query.field("return_to")))),
    };
    let return_to = pages::local(query.field("return_to"));
    if return_to.len() > RETURN_BYTES_MAX {
        return Ok(problem_page(
            visit,
            StatusCode::BAD_REQUEST,
            "external-failed",
            "the request of the application is too long for this way of logging in",
        ));
    }
    let under_way = UnderWay {
        provider: external.config.name.clone(),
        secret: identity.random().token(32),
        return_to: return_to.to_owned(),
        again: link.is_some() || anew || asks_again(return_to),
        link,
        started: identity.clock().unix(),
    };
    let exchange = Exchange::of(&under_way.secret);
    match external.party.authorization_url(&exchange, under_way.again).await {
        Ok(url) => {
            let kept = serde_json::to_vec(&under_way).unwrap_or_default();
            let kept = identity.seal.seal(Purpose::External, &kept);
            visit.set_cookie(COOKIE, &kept, Some(u64::from(SECONDS_MAX)));
            Ok(see_other(visit, &url))
        }
        Err(error) => Ok(failed(visit, external, &error)),
    }
}

/// Whether the authorization request that a person comes back to wants a new log-in.
fn asks_again(return_to: &str) -> bool {
    let query = return_to.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == AGAIN)
}

fn failed(visit: &Visit, external: &External, error: &RelyingPartyError) -> Response<Body> {
    tracing::warn!(provider = %external.config.name, %error, "a log-in through another provider failed");
    let status = match error {
        RelyingPartyError::Provider(_) => StatusCode::BAD_GATEWAY,
        RelyingPartyError::Secret(_) | RelyingPartyError::Key(_) | RelyingPartyError::NoSecret => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        RelyingPartyError::Refused(_) | RelyingPartyError::IdToken(_) => StatusCode::FORBIDDEN,
    };
    let detail = match status {
        StatusCode::INTERNAL_SERVER_ERROR => String::new(),
        _ => error.to_string(),
    };
    problem_page(visit, status, "external-failed", &detail)
}

/// Takes a person back from a provider.
async fn come_back(
    identity: &Identity,
    external: &External,
    visit: &mut Visit,
    parts: &Parts,
    query: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let under_way = cookie(&parts.headers, COOKIE)
        .and_then(|kept| identity.seal.open(Purpose::External, kept))
        .and_then(|bytes| serde_json::from_slice::<UnderWay>(&bytes).ok());
    let now = identity.clock().unix();
    visit.set_cookie(COOKIE, "", Some(0));
    let refuse = |visit: &Visit, detail: &str| problem_page(visit, StatusCode::BAD_REQUEST, "external-failed", detail);
    let Some(under_way) = under_way else {
        return Ok(refuse(visit, "no log-in is under way in this browser"));
    };
    let age = now - under_way.started;
    if under_way.provider != external.config.name || !(0..=i64::from(SECONDS_MAX)).contains(&age) {
        return Ok(refuse(visit, "the log-in that is under way is another one, or too old"));
    }
    let exchange = Exchange::of(&under_way.secret);
    if !same(
        query.field("state").unwrap_or_default().as_bytes(),
        exchange.state.as_bytes(),
    ) {
        return Ok(refuse(visit, "`state` is not the one of this log-in"));
    }
    if let Err(error) = external.party.check_response_issuer(query.field("iss")).await {
        return Ok(failed(visit, external, &error));
    }
    let Some(code) = query.field("code") else {
        let error = query.field("error").unwrap_or("no code was given");
        return Ok(refuse(visit, error));
    };
    let since = under_way.again.then_some(under_way.started);
    match external.party.redeem(code, &exchange, since).await {
        Ok(person) => arrive(identity, external, visit, parts, &under_way, &person, network).await,
        Err(error) => Ok(failed(visit, external, &error)),
    }
}

/// Somebody is vouched for: link, log in, or make an account.
async fn arrive(
    identity: &Identity,
    external: &External,
    visit: &mut Visit,
    parts: &Parts,
    under_way: &UnderWay,
    who: &ExternalIdentity,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let Some(subject) = who.claim(&external.config.subject_claim) else {
        let detail = format!("the provider does not say `{}`", external.config.subject_claim);
        return Ok(problem_page(visit, StatusCode::FORBIDDEN, "external-failed", &detail));
    };
    let Some(key) = &identity.person_key else {
        return Err(IdentityError::PersonKey("there is none".to_owned()));
    };
    let issuer = external.party.issuer();
    let person = key.person(issuer, &subject)?;
    external_link::renew(identity.store(), issuer, &subject, &person).await?;
    if let Some(account) = &under_way.link {
        // Whoever was logged in when it began must still be, and the same.
        if visit.session.as_ref().map(|session| &session.account) != Some(account) {
            return Ok(see_other(visit, page::LOGIN));
        }
        return match link(identity, external, account, person).await? {
            Linked::Done => Ok(see_other(visit, "/account?done=external-linked")),
            Linked::Taken | Linked::Full => Ok(problem_page(visit, StatusCode::CONFLICT, "external-taken", "")),
        };
    }
    let account = match (
        external_link::find(identity.store(), &person)?,
        external.config.first_login,
    ) {
        (Some(account), _) => account,
        (None, ExternalFirstLogin::Link) => {
            return Ok(problem_page(visit, StatusCode::FORBIDDEN, "external-unlinked", ""));
        }
        (None, ExternalFirstLogin::Create) => {
            let now = identity.clock().unix();
            if identity.registrations.admit("account", network, now).is_err() {
                return Ok(problem_page(
                    visit,
                    StatusCode::TOO_MANY_REQUESTS,
                    "external-failed",
                    "",
                ));
            }
            identity.registrations.failed("account", network, now);
            let account = create(identity, external, who).await?;
            match link(identity, external, &account.id, person.clone()).await? {
                Linked::Done => account,
                // The same person arrived twice at one moment: the account of the first counts.
                Linked::Taken | Linked::Full => match external_link::find(identity.store(), &person)? {
                    Some(account) => account,
                    None => return Ok(problem_page(visit, StatusCode::CONFLICT, "external-taken", "")),
                },
            }
        }
    };
    pages::start_session(identity, visit, parts, &account).await?;
    Ok(see_other(visit, &under_way.return_to))
}

async fn link(
    identity: &Identity,
    external: &External,
    account: &str,
    person: String,
) -> Result<Linked, IdentityError> {
    let link = ExternalLink {
        account: account.to_owned(),
        provider: external.config.name.clone(),
        person,
        since: identity.clock().unix(),
    };
    external_link::link(identity.store(), link).await
}

/// Makes an account for a person who comes for the first time. Its name is random: what the provider knows of the person
/// stays out of the WebID (T43). It has no password; its holder comes back through the provider.
async fn create(identity: &Identity, external: &External, who: &ExternalIdentity) -> Result<Account, IdentityError> {
    let mut bytes = [0; 8];
    identity.random().fill(&mut bytes);
    let name = format!("p-{}", hex::encode(bytes));
    let label = external
        .config
        .label_claim
        .as_deref()
        .and_then(|claim| who.claim(claim));
    let label = label.filter(|label| account::check_label(label).is_ok());
    let new = NewAccount {
        label: label.unwrap_or_else(|| name.clone()),
        name,
        kind: AccountKind::Person,
        first_login: FirstLogin::SetupLink,
    };
    match account::create_account(identity.store(), identity.account_tools(), new).await {
        Ok(created) => Ok(created.account),
        Err(AccountError::Failed(error)) => Err(error),
        Err(error) => Err(IdentityError::External {
            provider: external.config.name.clone(),
            reason: format!("no account could be made: {error}"),
        }),
    }
}
