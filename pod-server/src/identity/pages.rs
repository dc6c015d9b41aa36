//! The pages of accounts: log in, register, first password, and the account itself.

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use maud::html;
use server_kit::network::Network;

use crate::name::ResourceName;
use crate::store::{StoreError, quota};
use crate::ui::layout::path as page;
use crate::ui::security::again as log_in_again;
use crate::ui::visit::{SESSION_COOKIE, cookie};
use crate::ui::{Body, Form, Notice, Page, Session, Visit, entrance, see_other, settings};

use super::account::{self, AccountKind, FirstLogin, LOGIN_CHARACTERS_MAX, NewAccount, StorageOwner};
use super::error::{AccountError, IdentityError};
use super::password::{Passwords, WeakPassword};
use super::router::problem_page;
use super::{Identity, credential, external, flow, grant, security, session};

/// What a page before may say that it has done.
const DONE: [&str; 8] = [
    "logged-out",
    "password-changed",
    "password-set",
    "credential-deleted",
    "application-withdrawn",
    "storage-created",
    "external-linked",
    "external-unlinked",
];

/// Approvals and credentials that the account page shows.
const SHOWN_MAX: usize = 200;

/// Answers a GET.
pub(super) async fn show(
    identity: &Identity,
    visit: &Visit,
    target: &str,
    query: &Form,
) -> Result<Response<Body>, IdentityError> {
    match target {
        page::LOGIN => {
            let return_to = local(query.field("return_to"));
            // Before ways into the account are changed, a person logs in again.
            if visit.session.is_some() && query.field("again").is_none() {
                return Ok(see_other(visit, return_to));
            }
            let form_target = flow::form_target(identity, return_to).await?;
            let notice = Notice::done(visit, query, "done", &DONE);
            Ok(login_page(
                identity,
                visit,
                StatusCode::OK,
                return_to,
                form_target.as_deref(),
                notice,
            ))
        }
        page::REGISTER if identity.config().registration_open => {
            Ok(register_page(identity, visit, StatusCode::OK, &Form::default(), None))
        }
        page::SETUP => Ok(setup_page(identity, visit, StatusCode::OK, query, None)),
        page::ACCOUNT => match &visit.session {
            Some(session) => account_page(
                identity,
                visit,
                session,
                StatusCode::OK,
                Notice::done(visit, query, "done", &DONE),
            ),
            None => Ok(see_other(visit, page::LOGIN)),
        },
        _ => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
    }
}

/// Answers a POST whose form is known to come from our own page.
pub(super) async fn submit(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    target: &str,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    match target {
        page::LOGIN => log_in(identity, visit, parts, form, network).await,
        page::REGISTER if identity.config().registration_open => register(identity, visit, form, network).await,
        page::SETUP => set_up(identity, visit, form).await,
        page::LOGOUT => log_out(identity, visit, parts, form).await,
        _ if !settings::ACTIONS.contains(&target) => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
        _ => {
            let Some(session) = visit.session.clone() else {
                return Ok(see_other(visit, page::LOGIN));
            };
            visit.here = page::ACCOUNT.to_owned();
            match target {
                settings::PASSWORD => change_password(identity, visit, parts, &session, form, network).await,
                // A program's key is a way in that stays.
                settings::CREDENTIALS if !identity.fresh(&session) => {
                    Ok(see_other(visit, &log_in_again(page::ACCOUNT)))
                }
                settings::CREDENTIALS => create_credential(identity, visit, &session, form).await,
                settings::CREDENTIALS_DELETE => {
                    let id = form.field("id").unwrap_or_default();
                    credential::delete(identity.store(), &session.account, id).await?;
                    Ok(see_other(visit, "/account?done=credential-deleted"))
                }
                settings::APPLICATIONS_WITHDRAW => {
                    let client = form.field("client").unwrap_or_default();
                    grant::withdraw(identity.store(), &session.account, client).await?;
                    Ok(see_other(visit, "/account?done=application-withdrawn"))
                }
                settings::STORAGES => add_storage(identity, visit, &session, form).await,
                _ => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
            }
        }
    }
}

/// A path on the console to go back to; anything else leads to the account page (no open redirect).
pub(super) fn local(wish: Option<&str>) -> &str {
    let harmless = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    wish.filter(harmless).unwrap_or(page::ACCOUNT)
}

/// The login page; `form_target` is the application's origin when its request is what the person comes back to.
pub(super) fn login_page(
    identity: &Identity,
    visit: &Visit,
    status: StatusCode,
    return_to: &str,
    form_target: Option<&str>,
    notice: Option<Notice>,
) -> Response<Body> {
    let content = entrance::login(
        visit,
        return_to,
        form_target.is_some(),
        identity.config().registration_open,
        flow::login_hint(identity, return_to).as_deref(),
        notice.as_ref(),
    );
    let content = html! {
        (content)
        (security::login_choice(identity, visit, return_to))
        (external::choices(identity, visit, return_to))
    };
    let page = Page {
        form_target,
        script: security::login_script(identity),
        ..Page::new(visit.text("login-title"), content)
    };
    page.status(status).respond(visit)
}

async fn log_in(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let now = identity.clock().unix();
    let return_to = local(form.field("return_to")).to_owned();
    let name = login_name(form);
    let here = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", &return_to)
        .finish();
    visit.here = format!("{}?{here}", page::LOGIN);
    let target = flow::form_target(identity, &return_to).await?;
    let account = account::by_login(identity.store(), &name)?;
    let counted = account::counted_as(account.as_ref(), &name);
    let attempt = match identity.throttle().attempt(counted, network, now) {
        Ok(attempt) => attempt,
        Err(seconds) => {
            return Ok(too_many(visit, seconds, |visit, notice| {
                login_page(
                    identity,
                    visit,
                    StatusCode::TOO_MANY_REQUESTS,
                    &return_to,
                    target.as_deref(),
                    notice,
                )
            }));
        }
    };
    let known = account.as_ref().and_then(|account| account.password.as_deref());
    let password = form.field("password").unwrap_or_default();
    // Only accounts that came from elsewhere have an address, and their passwords may be hashed in either way.
    let fits = if name.contains('@') {
        identity.passwords.verify_either(password, known).await?
    } else {
        identity.passwords.verify(password, known).await?
    };
    let Some(account) = account.filter(|_| fits) else {
        let notice = Some(Notice::problem(visit.text("login-failed")));
        return Ok(login_page(
            identity,
            visit,
            StatusCode::FORBIDDEN,
            &return_to,
            target.as_deref(),
            notice,
        ));
    };
    identity.throttle().proved(attempt);
    renew_hash(identity, &account, password).await?;
    start_session(identity, visit, parts, &account).await?;
    Ok(see_other(visit, &return_to))
}

/// Gives a password that came from elsewhere a hash of our own, now that it is known. When too many wait, next time.
async fn renew_hash(identity: &Identity, account: &account::Account, password: &str) -> Result<(), IdentityError> {
    let Some(old) = account.password.as_ref().filter(|hash| Passwords::is_foreign(hash)) else {
        return Ok(());
    };
    match identity.passwords.hash(password, identity.random()).await {
        Ok(new) => match account::rehash(identity.store(), &account.id, old.clone(), new).await {
            Err(AccountError::Failed(error)) => Err(error),
            _ => Ok(()),
        },
        Err(IdentityError::Busy) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn login_name(form: &Form) -> String {
    form.field("name")
        .unwrap_or_default()
        .trim()
        .to_lowercase()
        .chars()
        .take(LOGIN_CHARACTERS_MAX)
        .collect()
}

pub(super) fn too_many(
    visit: &Visit,
    seconds: u32,
    page: impl FnOnce(&Visit, Option<Notice>) -> Response<Body>,
) -> Response<Body> {
    let text = visit.text_with("login-wait", &[("seconds", &seconds.to_string())]);
    let mut response = page(visit, Some(Notice::problem(text)));
    response
        .headers_mut()
        .insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// A fresh session for a login that has just succeeded; the browser's old one, if any, ends (T45).
pub(super) async fn start_session(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    account: &account::Account,
) -> Result<(), IdentityError> {
    let beginning = session::Beginning {
        secret: &identity.random().token(32),
        replaced: cookie(&parts.headers, SESSION_COOKIE),
        user_agent: security::user_agent(parts),
        now: identity.clock().unix(),
        seconds: i64::from(identity.config().session_hours) * 3_600,
    };
    let token = session::start(identity.store(), account, beginning).await?;
    visit.set_cookie(SESSION_COOKIE, &token, None);
    Ok(())
}

async fn log_out(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    if let Some(token) = cookie(&parts.headers, SESSION_COOKIE) {
        session::end(identity.store(), token).await?;
    }
    visit.set_cookie(SESSION_COOKIE, "", Some(0));
    let target = flow::logout_target(identity, form).await?;
    let mut response = see_other(visit, target.as_deref().unwrap_or("/login?done=logged-out"));
    // Pages kept for the back button go too (T121).
    response
        .headers_mut()
        .insert("clear-site-data", HeaderValue::from_static("\"cache\", \"storage\""));
    Ok(response)
}

fn register_page(
    identity: &Identity,
    visit: &Visit,
    status: StatusCode,
    form: &Form,
    notice: Option<Notice>,
) -> Response<Body> {
    let characters = identity.config().password.characters_min;
    let content = entrance::register(visit, form, characters, identity.site().origins(), notice.as_ref());
    Page::new(visit.text("register-title"), content)
        .status(status)
        .respond(visit)
}

async fn register(
    identity: &Identity,
    visit: &Visit,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let now = identity.clock().unix();
    // Accounts take room: a network makes only so many before it has to wait.
    if let Err(seconds) = identity.registrations.admit("account", network, now) {
        return Ok(too_many(visit, seconds, |visit, notice| {
            register_page(identity, visit, StatusCode::TOO_MANY_REQUESTS, form, notice)
        }));
    }
    identity.registrations.failed("account", network, now);
    let kind = if form.field("kind") == Some("organisation") {
        AccountKind::Organisation
    } else {
        AccountKind::Person
    };
    let new = NewAccount {
        name: login_name(form),
        label: form.field("label").unwrap_or_default().to_owned(),
        kind,
        first_login: FirstLogin::Password(form.field("password").unwrap_or_default().to_owned()),
    };
    match account::create_account(identity.store(), identity.account_tools(), new).await {
        Ok(_) => Ok(see_other(visit, "/login?done=password-set")),
        Err(AccountError::Failed(error)) => Err(error),
        Err(error) => {
            let (status, text) = account_fault(visit, &error);
            Ok(register_page(
                identity,
                visit,
                status,
                form,
                Some(Notice::problem(text)),
            ))
        }
    }
}

/// What is wrong with a name, label or password, in the visitor's language.
pub(super) fn account_fault(visit: &Visit, error: &AccountError) -> (StatusCode, String) {
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    match error {
        AccountError::Taken(name) => (StatusCode::CONFLICT, visit.text_with("name-taken", &[("name", name)])),
        AccountError::Name { .. } => (unprocessable, visit.text("name-malformed")),
        AccountError::Template(name) => (unprocessable, visit.text_with("template-unknown", &[("name", name)])),
        AccountError::Full => (StatusCode::CONFLICT, visit.text("storages-full")),
        AccountError::Label => (unprocessable, visit.text("label-malformed")),
        AccountError::Password(WeakPassword::TooShort(least)) => (
            unprocessable,
            visit.text_with("password-too-short", &[("characters", &least.to_string())]),
        ),
        AccountError::Password(_) => (unprocessable, visit.text("password-guessable")),
        AccountError::Unknown(_) | AccountError::Failed(_) => (unprocessable, visit.text("setup-expired")),
    }
}

fn setup_page(
    identity: &Identity,
    visit: &Visit,
    status: StatusCode,
    form: &Form,
    notice: Option<Notice>,
) -> Response<Body> {
    let characters = identity.config().password.characters_min;
    let content = entrance::setup(visit, form, characters, notice.as_ref());
    Page::new(visit.text("setup-title"), content)
        .status(status)
        .respond(visit)
}

async fn set_up(identity: &Identity, visit: &Visit, form: &Form) -> Result<Response<Body>, IdentityError> {
    let expired = |visit: &Visit| {
        setup_page(
            identity,
            visit,
            StatusCode::GONE,
            form,
            Some(Notice::problem(visit.text("setup-expired"))),
        )
    };
    let name = form.field("account").unwrap_or_default();
    let digest = super::record::digest(form.field("secret").unwrap_or_default());
    let now = identity.clock().unix();
    // The link first: without it nobody learns whether there is such an account, or makes this server hash a password.
    let open = |account: &account::Account| account.setup.as_ref().is_some_and(|setup| setup.admits(&digest, now));
    let Some(account) = account::by_name(identity.store(), name)?.filter(open) else {
        return Ok(expired(visit));
    };
    let password = form.field("password").unwrap_or_default();
    if let Err(weak) = identity.passwords.check_new(&account.name, password) {
        let (status, text) = account_fault(visit, &weak.into());
        return Ok(setup_page(identity, visit, status, form, Some(Notice::problem(text))));
    }
    let hash = identity.passwords.hash(password, identity.random()).await?;
    let change = move |account: &mut account::Account| match account.setup.take() {
        // Decided inside the transaction, so that one link sets one password.
        Some(setup) if setup.admits(&digest, now) => {
            account.password = Some(hash);
            account.generation += 1;
            Ok(())
        }
        _ => Err(AccountError::Unknown(account.name.clone())),
    };
    match account::update(identity.store(), &account.id, change).await {
        Ok(_) => Ok(see_other(visit, "/login?done=password-set")),
        Err(AccountError::Failed(error)) => Err(error),
        Err(_) => Ok(expired(visit)),
    }
}

/// The storages of somebody, with the room that they take and have.
fn storages(identity: &Identity, session: &Session) -> Result<Vec<settings::Room>, IdentityError> {
    let snapshot = identity.store().snapshot(account::permit())?;
    let mut rooms = Vec::new();
    for root in &session.storages {
        let name = ResourceName::parse(root).map_err(|_| StoreError::Damaged(root.clone()))?;
        let used = snapshot.storage(&name)?.map_or(0, |storage| storage.bytes_used);
        let most = quota::of(snapshot.as_ref(), &name)?.unwrap_or(identity.parts.quota_bytes_max);
        rooms.push(settings::Room {
            root: root.clone(),
            used,
            most,
        });
    }
    Ok(rooms)
}

fn account_page(
    identity: &Identity,
    visit: &Visit,
    session: &Session,
    status: StatusCode,
    notice: Option<Notice>,
) -> Result<Response<Body>, IdentityError> {
    let approvals = grant::approvals(identity.store(), &session.account, SHOWN_MAX)?;
    let credentials = credential::list(identity.store(), &session.account, SHOWN_MAX)?;
    let shown = settings::Shown {
        session,
        storages: storages(identity, session)?,
        origins: identity.site().origins(),
        templates: identity.site().template_names(),
        applications: approvals
            .iter()
            .map(|held| (held.client.as_str(), held.name.as_deref(), held.given))
            .collect(),
        credentials: credentials
            .iter()
            .map(|held| (held.id.as_str(), held.label.as_str(), held.created))
            .collect(),
        password_characters_min: identity.config().password.characters_min,
    };
    let content = html! {
        (settings::account(visit, &shown, notice.as_ref()))
        (external::section(identity, visit, session)?)
    };
    Ok(Page::new(visit.text("account-title"), content)
        .status(status)
        .respond(visit))
}

async fn change_password(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    session: &Session,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let now = identity.clock().unix();
    let Ok(attempt) = identity.throttle().attempt(&session.name, network, now) else {
        let notice = Some(Notice::problem(visit.text("password-wrong")));
        return account_page(identity, visit, session, StatusCode::TOO_MANY_REQUESTS, notice);
    };
    let known = account::by_id(identity.store(), &session.account)?.and_then(|account| account.password);
    let current = form.field("current").unwrap_or_default();
    if !identity.passwords.verify(current, known.as_deref()).await? {
        return account_page(
            identity,
            visit,
            session,
            StatusCode::FORBIDDEN,
            Some(Notice::problem(visit.text("password-wrong"))),
        );
    }
    identity.throttle().proved(attempt);
    let new = form.field("new").unwrap_or_default();
    match account::set_password(identity.store(), identity.account_tools(), &session.name, new).await {
        Ok(account) => {
            start_session(identity, visit, parts, &account).await?;
            Ok(see_other(visit, "/account?done=password-changed"))
        }
        Err(AccountError::Failed(error)) => Err(error),
        Err(error) => {
            let (status, text) = account_fault(visit, &error);
            account_page(identity, visit, session, status, Some(Notice::problem(text)))
        }
    }
}

async fn create_credential(
    identity: &Identity,
    visit: &Visit,
    session: &Session,
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    let label = form.field("label").unwrap_or_default();
    let consents = form.field("consents").is_some();
    let most = identity.config().credentials_max;
    let (store, clock, random) = (identity.store(), identity.clock(), identity.random());
    let made = if consents {
        credential::create_for_consent(store, &session.account, label, most, clock, random).await?
    } else {
        credential::create(store, &session.account, label, most, clock, random).await?
    };
    match made {
        Some(new) => {
            let content = settings::new_credential(visit, &new.id, &new.secret, identity.site().issuer());
            Ok(Page::new(visit.text("credential-new-title"), content)
                .status(StatusCode::CREATED)
                .respond(visit))
        }
        None => {
            let notice = Some(Notice::problem(visit.text("credentials-full")));
            account_page(identity, visit, session, StatusCode::CONFLICT, notice)
        }
    }
}

async fn add_storage(
    identity: &Identity,
    visit: &Visit,
    session: &Session,
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    let owner = match form.field("webid") {
        Some("new") => StorageOwner::New,
        Some(webid) => StorageOwner::Known(webid.to_owned()),
        None => StorageOwner::Known(session.webid.clone()),
    };
    let (store, most) = (identity.store(), identity.config().storages_max);
    let site = match form.field("template") {
        Some(template) => identity.site().choosing(template),
        None => Ok(identity.site().clone()),
    };
    let made = match site {
        Ok(site) => account::add_storage_of(store, &site, &session.account, &login_name(form), owner, most).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(_) => Ok(see_other(visit, "/account?done=storage-created")),
        Err(AccountError::Failed(error)) => Err(error),
        Err(error) => {
            let (status, text) = account_fault(visit, &error);
            account_page(identity, visit, session, status, Some(Notice::problem(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_console_are_gone_back_to() {
        for good in ["/account", "/.oidc/authorize?client_id=x%2F", "/consent/1"] {
            assert_eq!(local(Some(good)), good);
        }
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "\\\\evil",
            "/a b",
            "/a\r\nx",
            "javascript:1",
        ] {
            assert_eq!(local(Some(bad)), page::ACCOUNT, "{bad}");
        }
        assert_eq!(local(None), page::ACCOUNT);
    }
}
