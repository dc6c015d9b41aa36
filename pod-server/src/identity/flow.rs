//! A person and an application at the authorization endpoint: log in, approve, and send the person back with a code.

use http::{Response, StatusCode};
use serde_json::Value;

use crate::name::ResourceName;
use crate::ui::layout::path as page;
use crate::ui::{Body, Form, Notice, Page, Session, Visit, application, see_other};

use super::authorize::{self, AuthorizationFault, AuthorizationRequest};
use super::discovery::path;
use super::error::IdentityError;
use super::grant::{self, Approval, CodeGrant, GrantSubject};
use super::router::problem_page;
use super::{Identity, account, external, pages, redirect_uri};

/// Answers an authorization request.
pub(super) async fn authorize(
    identity: &Identity,
    visit: &Visit,
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    let request = match read(identity, form).await? {
        Ok(request) => request,
        Err(fault) => return Ok(answer_fault(identity, visit, fault)),
    };
    let issuer = identity.site().issuer();
    // Links of the page must carry the request even when it came as a form.
    let visit = visit.at(resumed(form, &[]));
    let now = identity.clock().unix();
    let fresh = |session: &&Session| {
        let age = now - session.authenticated_at;
        let expected = request
            .expected
            .as_ref()
            .is_none_or(|webid| session.webids.contains(webid));
        !request.prompt.login && expected && request.age_seconds_max.is_none_or(|most| age <= most)
    };
    let Some(session) = visit.session.as_ref().filter(fresh) else {
        if request.prompt.none {
            return Ok(see_other(
                &visit,
                &request.error_url(issuer, "login_required", "nobody is logged in"),
            ));
        }
        // The next round must not ask for the password again: it has just been given.
        let again = request.prompt.login || request.age_seconds_max.is_some() || visit.session.is_some();
        let mut resume = resumed(form, &["prompt", "max_age", "id_token_hint", external::AGAIN]);
        if again {
            // Whoever logs in through another provider has to do so anew there, too.
            resume.push_str(&format!("&{}=1", external::AGAIN));
        }
        let target = redirect_uri::form_target(&request.redirect_uri);
        return Ok(pages::login_page(
            identity,
            &visit,
            StatusCode::OK,
            &resume,
            target.as_deref(),
            None,
        ));
    };
    let approval = grant::approval(identity.store(), &session.account, &request.client.id)?;
    let approved = approval.filter(|approval| {
        let described = request.client.described();
        let then = approval.described.as_ref();
        covers(&approval.scope, &request.scope) && then.is_none_or(|then| *then == described)
    });
    // What was chosen then counts as long as it is one of the account's, and the one that the client expects.
    let webid = approved.and_then(|approval| chosen(session, approval.webid.as_deref()));
    let webid = webid.filter(|webid| request.expected.as_ref().is_none_or(|expected| expected == webid));
    if let Some(webid) = webid.filter(|_| !request.prompt.consent) {
        return issue(identity, &visit, &request, session, webid).await;
    }
    if request.prompt.none {
        return Ok(see_other(
            &visit,
            &request.error_url(issuer, "consent_required", "the application is not approved"),
        ));
    }
    Ok(approval_page(&visit, &request, session, form, StatusCode::OK, None))
}

/// Answers what a person chose on the approval page. The request is read anew from the page's own copy, and must be what
/// the person was shown (T103).
pub(super) async fn decide(identity: &Identity, visit: &Visit, form: &Form) -> Result<Response<Body>, IdentityError> {
    let Ok(asked) = Form::parse(form.field("request").unwrap_or_default().as_bytes()) else {
        return Ok(problem_page(
            visit,
            StatusCode::BAD_REQUEST,
            "form-broken",
            "`request` is malformed",
        ));
    };
    let request = match read(identity, &asked).await? {
        Ok(request) => request,
        Err(fault) => return Ok(answer_fault(identity, visit, fault)),
    };
    let resume = resumed(&asked, &[]);
    let Some(session) = visit.session.as_ref() else {
        return Ok(see_other(visit, &resume));
    };
    let webid = chosen(session, form.field("webid"));
    let shown = form.field("statement") == Some(&request.statement(&session.webids.join(" ")));
    let Some(webid) = webid.filter(|_| shown) else {
        let visit = visit.at(resume);
        let notice = Notice::problem(visit.text("application-changed"));
        return Ok(approval_page(
            &visit,
            &request,
            session,
            &asked,
            StatusCode::CONFLICT,
            Some(notice),
        ));
    };
    if form.field("decision") != Some("allow") {
        let url = request.error_url(identity.site().issuer(), "access_denied", "the person refused");
        return Ok(see_other(visit, &url));
    }
    let approval = Approval {
        client: request.client.id.clone(),
        name: request.client.name.clone(),
        scope: request.scope.clone(),
        described: Some(request.client.described()),
        webid: Some(webid.clone()),
        given: identity.clock().unix(),
    };
    grant::approve(
        identity.store(),
        &session.account,
        approval,
        identity.config().applications_max,
    )
    .await?;
    issue(identity, visit, &request, session, webid).await
}

/// A WebID of the person by the name that a form or an approval gives it; the first where none is named.
fn chosen(session: &Session, wish: Option<&str>) -> Option<String> {
    match wish {
        None => Some(session.webid.clone()),
        Some(wish) => session.webids.iter().find(|webid| *webid == wish).cloned(),
    }
}

/// Where the form of a login page may lead, when it comes back to an authorization request.
pub(super) async fn form_target(identity: &Identity, return_to: &str) -> Result<Option<String>, IdentityError> {
    let Some(query) = return_to
        .strip_prefix(path::AUTHORIZE)
        .and_then(|rest| rest.strip_prefix('?'))
    else {
        return Ok(None);
    };
    let Ok(form) = Form::parse(query.as_bytes()) else {
        return Ok(None);
    };
    let request = read(identity, &form).await?;
    Ok(request
        .ok()
        .and_then(|request| redirect_uri::form_target(&request.redirect_uri)))
}

/// The login name that an application suggests in a request to which the person is to come back (`login_hint`): a name, or
/// the WebID of an account here.
pub(super) fn login_hint(identity: &Identity, return_to: &str) -> Option<String> {
    let query = return_to.strip_prefix(path::AUTHORIZE)?.strip_prefix('?')?;
    let form = Form::parse(query.as_bytes()).ok()?;
    let hint = form.field("login_hint")?;
    let document = hint.split('#').next().unwrap_or(hint);
    let here = ResourceName::from_iri(document, identity.site().origins());
    let name = here
        .as_ref()
        .and_then(|name| name.as_str().split('/').nth(1))
        .unwrap_or(hint);
    super::site::check_name(name).ok().map(|()| name.to_owned())
}

async fn read(
    identity: &Identity,
    form: &Form,
) -> Result<Result<AuthorizationRequest, AuthorizationFault>, IdentityError> {
    let id = match authorize::client_id(form) {
        Ok(id) => id,
        Err(fault) => return Ok(Err(fault)),
    };
    Ok(match identity.client(id).await? {
        Ok(client) => authorize::check(client, form),
        Err(error) => Err(AuthorizationFault::Shown("application-unknown", error.to_string())),
    })
}

fn answer_fault(identity: &Identity, visit: &Visit, fault: AuthorizationFault) -> Response<Body> {
    match fault {
        AuthorizationFault::Shown(key, detail) => problem_page(visit, StatusCode::BAD_REQUEST, key, &detail),
        AuthorizationFault::Told {
            redirect_uri,
            state,
            error,
            description,
        } => {
            let issuer = identity.site().issuer();
            let url = authorize::error_url(&redirect_uri, state.as_deref(), issuer, error, description);
            see_other(visit, &url)
        }
    }
}

async fn issue(
    identity: &Identity,
    visit: &Visit,
    request: &AuthorizationRequest,
    session: &Session,
    webid: String,
) -> Result<Response<Body>, IdentityError> {
    let Some(account) = account::by_id(identity.store(), &session.account)? else {
        return Ok(see_other(visit, page::LOGIN));
    };
    if account.leaving.is_some() {
        // No application acts for an account that is to be erased; its holder may come back first.
        return Ok(see_other(visit, crate::ui::leaving::PATH));
    }
    let code = identity.random().token(32);
    let grant = CodeGrant {
        client: request.client.id.clone(),
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        jkt: request.jkt.clone(),
        subject: GrantSubject {
            account: account.id,
            generation: account.generation,
            authenticated_at: session.authenticated_at,
            scope: request.scope.clone(),
            nonce: request.nonce.clone(),
            webid: Some(webid),
        },
        expires: identity.clock().unix() + i64::from(identity.config().code_seconds),
        redeemed: None,
    };
    grant::store_code(identity.store(), &code, grant).await?;
    Ok(see_other(visit, &request.code_url(&code, identity.site().issuer())))
}

fn approval_page(
    visit: &Visit,
    request: &AuthorizationRequest,
    session: &Session,
    form: &Form,
    status: StatusCode,
    notice: Option<Notice>,
) -> Response<Body> {
    let statement = request.statement(&session.webids.join(" "));
    let shown = application::Shown {
        id: &request.client.id,
        name: request.client.name.as_deref(),
        described: request.client.expires.is_none(),
        target: &redirect_uri::form_target(&request.redirect_uri).unwrap_or_default(),
        refreshes: covers(&request.scope, "offline_access"),
        consents: covers(&request.scope, authorize::CONSENT),
        request: &form.query_without(&["prompt", "lang", external::AGAIN]),
        statement: &statement,
        action: path::DECISION,
    };
    let content = application::approval(visit, session, &shown, notice.as_ref());
    let page = Page {
        form_target: Some(shown.target),
        ..Page::new(visit.text("application-title"), content)
    };
    page.status(status).respond(visit)
}

/// Whether every scope of `asked` is among `given`.
fn covers(given: &str, asked: &str) -> bool {
    asked
        .split(' ')
        .all(|scope| given.split(' ').any(|known| known == scope))
}

/// The authorization request as a URL that comes back to it.
fn resumed(form: &Form, without: &[&str]) -> String {
    format!("{}?{}", path::AUTHORIZE, form.query_without(without))
}

/// An application sends a person to log out (OpenID Connect RP-Initiated Logout §2). The person is asked first, so that no
/// site can log anybody out.
pub(super) async fn ask_logout(
    identity: &Identity,
    visit: &Visit,
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    if visit.session.is_some() {
        let target = logout_target(identity, form).await?;
        let origin = target.as_deref().and_then(redirect_uri::form_target);
        let content = application::logout(visit, page::LOGOUT, form);
        let page = Page {
            form_target: origin.as_deref(),
            ..Page::new(visit.text("log-out"), content)
        };
        return Ok(page.respond(visit));
    }
    let target = logout_target(identity, form).await?;
    Ok(see_other(visit, target.as_deref().unwrap_or(page::LOGIN)))
}

/// Where to go after logging out: a URI that the client registered, byte for byte, or nowhere.
pub(super) async fn logout_target(identity: &Identity, form: &Form) -> Result<Option<String>, IdentityError> {
    let Some(uri) = form.field("post_logout_redirect_uri") else {
        return Ok(None);
    };
    let hinted = form.field("id_token_hint").and_then(client_of_hint);
    let Some(id) = form.field("client_id").map(str::to_owned).or(hinted) else {
        return Ok(None);
    };
    let Ok(client) = identity.client(&id).await? else {
        return Ok(None);
    };
    if !redirect_uri::is_registered(uri, &client.logout_uris) {
        return Ok(None);
    }
    Ok(Some(match form.field("state") {
        Some(state) => redirect_uri::with_parameters(uri, &[("state", state)]),
        None => uri.to_owned(),
    }))
}

/// The client that an ID token was for. It is not verified: it only says where to look the registered URIs up.
fn client_of_hint(token: &str) -> Option<String> {
    use base64::Engine;
    let payload = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    claims.get("azp")?.as_str().map(str::to_owned)
}
