//! How an account is entered: passkeys, recovery codes and sessions, as pages.
//!
//! Whoever finds an open session must not be able to keep the account: what gives a new way in asks that the person has
//! proved lately who it is.

use http::header::USER_AGENT;
use http::request::Parts;
use http::{Response, StatusCode};
use maud::Markup;
use server_kit::network::Network;

use crate::ui::response::{Script, respond};
use crate::ui::security::{self as ui, PATH};
use crate::ui::visit::{SESSION_COOKIE, cookie};
use crate::ui::{Body, Form, Notice, Page, Session, Visit, see_other};

use super::account::{self, Account};
use super::error::{AccountError, IdentityError};
use super::passkey::{self, Begun, PasskeyFault};
use super::router::problem_page;
use super::session::{self, Ended};
use super::{Identity, pages, recovery};

/// What a page before may say that it has done.
const DONE: [&str; 5] = [
    "passkey-added",
    "passkey-removed",
    "session-ended",
    "sessions-ended",
    "recovered",
];

/// What begun logins with passkeys are counted under.
const CEREMONY: &str = "ceremony";

/// Sessions that the page shows.
const SESSIONS_SHOWN_MAX: usize = 100;

/// Whether a path is one of these pages or forms.
pub(super) fn owns(target: &str) -> bool {
    target == PATH
        || target == ui::RECOVER
        || target.starts_with(ui::LOGIN_FINISH)
        || target.strip_prefix(PATH).is_some_and(|rest| rest.starts_with('/'))
}

/// Answers a GET.
pub(super) fn show(
    identity: &Identity,
    visit: &Visit,
    parts: &Parts,
    query: &Form,
) -> Result<Response<Body>, IdentityError> {
    match (parts.uri.path(), &visit.session) {
        (ui::RECOVER, _) => Ok(recover_page(identity, visit, StatusCode::OK, query, None)),
        (PATH, Some(session)) => page(
            identity,
            visit,
            session,
            parts,
            StatusCode::OK,
            Notice::done(visit, query, "done", &DONE),
        ),
        (PATH, None) => Ok(see_other(visit, &login(PATH))),
        _ => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
    }
}

/// Answers a POST whose form is known to come from our own page.
pub(super) async fn submit(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let target = parts.uri.path();
    match target {
        ui::LOGIN_BEGIN => return Ok(begin_login(identity, network)),
        ui::LOGIN_FINISH => return finish_login(identity, visit, parts, form, network).await,
        ui::RECOVER => return recover(identity, visit, parts, form, network).await,
        _ => {}
    }
    let Some(session) = visit.session.clone() else {
        return Ok(see_other(visit, &login(PATH)));
    };
    visit.here = PATH.to_owned();
    match target {
        ui::SESSION_END => {
            let ended = Ended::One(form.field("key").unwrap_or_default().to_owned());
            session::revoke(identity.store(), &session.account, ended).await?;
            return Ok(see_other(visit, &format!("{PATH}?done=session-ended")));
        }
        ui::SESSIONS_END => {
            let token = cookie(&parts.headers, SESSION_COOKIE).unwrap_or_default().to_owned();
            session::revoke(identity.store(), &session.account, Ended::AllBut(token)).await?;
            return Ok(see_other(visit, &format!("{PATH}?done=sessions-ended")));
        }
        _ => {}
    }
    if !identity.fresh(&session) {
        return Ok(if target == ui::PASSKEY_BEGIN {
            refuse(StatusCode::FORBIDDEN)
        } else {
            see_other(visit, &ui::again(PATH))
        });
    }
    match target {
        ui::PASSKEY_BEGIN => begin_registration(identity, &session),
        ui::PASSKEY_FINISH => finish_registration(identity, visit, &session, parts, form).await,
        ui::PASSKEY_REMOVE => {
            passkey::remove(identity.store(), &session.account, form.field("id").unwrap_or_default()).await?;
            Ok(see_other(visit, &format!("{PATH}?done=passkey-removed")))
        }
        ui::RECOVERY => {
            let now = identity.clock().unix();
            let codes = recovery::make(identity.store(), &session.account, now, identity.random()).await?;
            let content = ui::new_codes(visit, &codes);
            Ok(Page::new(visit.text("recovery-new-title"), content)
                .status(StatusCode::CREATED)
                .respond(visit))
        }
        _ => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
    }
}

impl Identity {
    /// Whether somebody has proved so lately who it is that ways into the account may be changed.
    pub(super) fn fresh(&self, session: &Session) -> bool {
        self.clock().unix() - session.authenticated_at <= i64::from(self.config().confirmed_minutes) * 60
    }
}

/// The other ways in, for the login page: with a passkey, where there can be one, and with a recovery code.
pub(super) fn login_choice(identity: &Identity, visit: &Visit, return_to: &str) -> Markup {
    ui::login(visit, return_to, identity.passkeys().available())
}

/// What the login page's script may do.
pub(super) fn login_script(identity: &Identity) -> Option<Script<'_>> {
    identity.passkeys().available().then(|| Script {
        origin: identity.site().issuer(),
        asks: ui::LOGIN_BEGIN,
    })
}

fn login(return_to: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", return_to)
        .finish();
    format!("{}?{query}", crate::ui::layout::path::LOGIN)
}

fn page(
    identity: &Identity,
    visit: &Visit,
    session: &Session,
    parts: &Parts,
    status: StatusCode,
    notice: Option<Notice>,
) -> Result<Response<Body>, IdentityError> {
    let store = identity.store();
    let Some(account) = account::by_id(store, &session.account)? else {
        return Ok(see_other(visit, &login(PATH)));
    };
    let token = cookie(&parts.headers, SESSION_COOKIE);
    let now = identity.clock().unix();
    let shown = ui::Shown {
        passkeys: &passkey::list(store, &account.id, identity.config().passkeys_max)?,
        available: identity.passkeys().available(),
        fresh: identity.fresh(session),
        codes: recovery::left(store, &account.id)?,
        sessions: &session::list(store, &account, token, now, SESSIONS_SHOWN_MAX)?,
    };
    let content = ui::page(visit, &shown, notice.as_ref());
    let page = Page {
        script: shown.available.then(|| Script {
            origin: identity.site().issuer(),
            asks: ui::PASSKEY_BEGIN,
        }),
        ..Page::new(visit.text("security-title"), content)
    };
    Ok(page.status(status).respond(visit))
}

/// What the script asks for, as JSON.
fn told(begun: &Begun) -> Response<Body> {
    let body = serde_json::to_vec(begun).unwrap_or_default();
    let mut response = respond(StatusCode::OK, "application/json", body);
    crate::ui::response::protect(response.headers_mut(), None);
    response
}

fn refuse(status: StatusCode) -> Response<Body> {
    let mut response = respond(status, "application/json", "{}");
    crate::ui::response::protect(response.headers_mut(), None);
    response
}

fn begin_registration(identity: &Identity, session: &Session) -> Result<Response<Body>, IdentityError> {
    let Some(account) = account::by_id(identity.store(), &session.account)? else {
        return Ok(refuse(StatusCode::FORBIDDEN));
    };
    let (now, most) = (identity.clock().unix(), identity.config().passkeys_max);
    let passkeys = identity.passkeys();
    match passkeys.begin_registration(identity.store(), &account, now, identity.random(), most) {
        Ok(begun) => Ok(told(&begun)),
        Err(PasskeyFault::Failed(error)) => Err(error),
        Err(fault) => {
            tracing::debug!(%fault, "no passkey can be registered");
            Ok(refuse(StatusCode::CONFLICT))
        }
    }
}

async fn finish_registration(
    identity: &Identity,
    visit: &Visit,
    session: &Session,
    parts: &Parts,
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    let field = |name| form.field(name).unwrap_or_default();
    let label = Some(field("label").trim()).filter(|label| !label.is_empty());
    let unnamed = visit.text("passkey-unnamed");
    let answer = (field("ticket"), field("credential"), label.unwrap_or(&unnamed));
    let (now, most) = (identity.clock().unix(), identity.config().passkeys_max);
    let passkeys = identity.passkeys();
    match passkeys
        .finish_registration(identity.store(), &session.account, answer, now, most)
        .await
    {
        Ok(()) => Ok(see_other(visit, &format!("{PATH}?done=passkey-added"))),
        Err(PasskeyFault::Failed(error)) => Err(error),
        Err(fault) => {
            tracing::info!(%fault, "a passkey was not registered");
            let key = match fault {
                PasskeyFault::Full => "passkeys-full",
                _ => "passkey-failed",
            };
            page(
                identity,
                visit,
                session,
                parts,
                StatusCode::UNPROCESSABLE_ENTITY,
                Some(Notice::problem(visit.text(key))),
            )
        }
    }
}

fn begin_login(identity: &Identity, network: Network) -> Response<Body> {
    let now = identity.clock().unix();
    // Each takes room, so that one network can begin only so many before it has to wait.
    if identity.registrations.admit(CEREMONY, network, now).is_err() {
        return refuse(StatusCode::TOO_MANY_REQUESTS);
    }
    identity.registrations.failed(CEREMONY, network, now);
    match identity.passkeys().begin_login(now, identity.random()) {
        Ok(begun) => told(&begun),
        Err(fault) => {
            tracing::debug!(%fault, "no login with a passkey can begin");
            refuse(StatusCode::CONFLICT)
        }
    }
}

async fn finish_login(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let field = |name| form.field(name).unwrap_or_default();
    let return_to = pages::local(form.field("return_to")).to_owned();
    let now = identity.clock().unix();
    let proved = identity
        .passkeys()
        .finish_login(identity.store(), field("ticket"), field("credential"), now)
        .await;
    match proved {
        Ok(account) => {
            identity.registrations.succeeded(CEREMONY, network);
            enter(identity, visit, parts, &account, &return_to).await
        }
        Err(PasskeyFault::Failed(error)) => Err(error),
        Err(fault) => {
            tracing::info!(%fault, "a login with a passkey failed");
            visit.here = login(&return_to);
            let target = super::flow::form_target(identity, &return_to).await?;
            let notice = Some(Notice::problem(visit.text("passkey-failed")));
            Ok(pages::login_page(
                identity,
                visit,
                StatusCode::FORBIDDEN,
                &return_to,
                target.as_deref(),
                notice,
            ))
        }
    }
}

async fn enter(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    account: &Account,
    target: &str,
) -> Result<Response<Body>, IdentityError> {
    pages::start_session(identity, visit, parts, account).await?;
    Ok(see_other(visit, target))
}

fn recover_page(
    identity: &Identity,
    visit: &Visit,
    status: StatusCode,
    form: &Form,
    notice: Option<Notice>,
) -> Response<Body> {
    let content = ui::recover(visit, form, identity.config().password.characters_min, notice.as_ref());
    Page::new(visit.text("recover-title"), content)
        .status(status)
        .respond(visit)
}

async fn recover(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let name = pages::login_name(form);
    let now = identity.clock().unix();
    let refused = |visit: &Visit, status, key: &str| {
        recover_page(identity, visit, status, form, Some(Notice::problem(visit.text(key))))
    };
    let known = account::by_login(identity.store(), &name)?;
    let counted = account::counted_as(known.as_ref(), &name);
    if let Err(seconds) = identity.throttle().admit(counted, network, now) {
        return Ok(pages::too_many(visit, seconds, |visit, notice| {
            recover_page(identity, visit, StatusCode::TOO_MANY_REQUESTS, form, notice)
        }));
    }
    let password = form.field("password").unwrap_or_default();
    if let Err(weak) = identity.passwords.check_new(&name, password) {
        let (status, text) = pages::account_fault(visit, &weak.into());
        let notice = Some(Notice::problem(text));
        return Ok(recover_page(identity, visit, status, form, notice));
    }
    let code = form.field("code").unwrap_or_default();
    let known = match known {
        Some(account) if recovery::counts(identity.store(), &account.id, code)? => account,
        known => {
            let counted = account::counted_as(known.as_ref(), &name);
            identity.throttle().failed(counted, network, now);
            return Ok(refused(visit, StatusCode::FORBIDDEN, "recover-failed"));
        }
    };
    let hash = identity.passwords.hash(password, identity.random()).await?;
    match recovery::redeem(identity.store(), &known.id, code, hash).await {
        Ok(account) => {
            identity.throttle().succeeded(&account.name, network);
            enter(identity, visit, parts, &account, &format!("{PATH}?done=recovered")).await
        }
        Err(AccountError::Failed(error)) => Err(error),
        Err(_) => Ok(refused(visit, StatusCode::FORBIDDEN, "recover-failed")),
    }
}

/// What the browser says it is.
pub(super) fn user_agent(parts: &Parts) -> &str {
    parts
        .headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
