//! The pages of what belongs to an account as a whole: its WebIDs, and its end.

use http::request::Parts;
use http::{Response, StatusCode};
use time::OffsetDateTime;

use crate::ui::{Body, Form, Notice, Page, Session, Visit, leaving as leave_ui, security, see_other, webids, words};

use super::account::{self, Account};
use super::error::{AccountError, IdentityError};
use super::router::problem_page;
use super::webid::{self, WebIdFault};
use super::{Identity, leaving, pages};

/// What a page before may say that it has done.
const DONE: [&str; 4] = ["webid-linked", "webid-forgotten", "left", "stayed"];

/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// Whether a path is one of these pages or forms.
pub(super) fn owns(target: &str) -> bool {
    [webids::PATH, leave_ui::PATH].into_iter().any(|own| {
        target
            .strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Answers a GET.
pub(super) fn show(
    identity: &Identity,
    visit: &Visit,
    target: &str,
    query: &Form,
) -> Result<Response<Body>, IdentityError> {
    let Some((session, account)) = holder(identity, visit)? else {
        return Ok(see_other(visit, crate::ui::layout::path::LOGIN));
    };
    let notice = Notice::done(visit, query, "done", &DONE);
    match target {
        webids::PATH => Ok(webids_page(identity, visit, &session, &account, StatusCode::OK, notice)),
        leave_ui::PATH => Ok(leave_page(identity, visit, &session, &account, StatusCode::OK, notice)),
        _ => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
    }
}

/// Answers a POST whose form is known to come from our own page.
pub(super) async fn submit(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    let Some((session, account)) = holder(identity, visit)? else {
        return Ok(see_other(visit, crate::ui::layout::path::LOGIN));
    };
    match parts.uri.path() {
        webids::LINK => {
            let wish = form.field("webid").unwrap_or_default();
            let outcome = webid::begin(identity, &account.id, wish).await?.map(drop);
            webids_answer(identity, visit, &session, outcome, "")
        }
        webids::CHECK => {
            let outcome = webid::finish(identity, &account).await?;
            webids_answer(identity, visit, &session, outcome, "?done=webid-linked")
        }
        webids::FORGET => {
            let gone = webid::forget(identity, &account.id, form.field("webid").unwrap_or_default()).await?;
            if gone {
                return Ok(see_other(visit, &format!("{}?done=webid-forgotten", webids::PATH)));
            }
            let notice = Some(Notice::problem(visit.text("webid-kept")));
            let status = StatusCode::CONFLICT;
            visit.here = webids::PATH.to_owned();
            Ok(webids_page(identity, visit, &session, &account, status, notice))
        }
        leave_ui::PATH => leave(identity, visit, parts, (&session, &account), form).await,
        leave_ui::STAY => match leaving::stay(identity.store(), &account.id).await {
            Ok(_) => Ok(see_other(visit, &format!("{}?done=stayed", leave_ui::PATH))),
            Err(AccountError::Failed(error)) => Err(error),
            Err(_) => Ok(see_other(visit, crate::ui::layout::path::LOGIN)),
        },
        _ => Ok(problem_page(visit, StatusCode::NOT_FOUND, "page-unknown", "")),
    }
}

fn holder(identity: &Identity, visit: &Visit) -> Result<Option<(Session, Account)>, IdentityError> {
    let Some(session) = visit.session.clone() else {
        return Ok(None);
    };
    Ok(account::by_id(identity.store(), &session.account)?.map(|account| (session, account)))
}

fn webids_answer(
    identity: &Identity,
    visit: &mut Visit,
    session: &Session,
    outcome: Result<(), WebIdFault>,
    done: &str,
) -> Result<Response<Body>, IdentityError> {
    let fault = match outcome {
        Ok(()) => return Ok(see_other(visit, &format!("{}{done}", webids::PATH))),
        Err(fault) => fault,
    };
    let (status, key) = match fault {
        WebIdFault::Malformed => (StatusCode::UNPROCESSABLE_ENTITY, "share-webid-malformed"),
        WebIdFault::Taken => (StatusCode::CONFLICT, "webid-taken"),
        WebIdFault::Full => (StatusCode::CONFLICT, "webids-full"),
        WebIdFault::Expired => (StatusCode::GONE, "webid-expired"),
        WebIdFault::Unreadable => (StatusCode::UNPROCESSABLE_ENTITY, "webid-unreadable"),
        WebIdFault::NoIssuer => (StatusCode::UNPROCESSABLE_ENTITY, "webid-no-issuer"),
        WebIdFault::NoToken => (StatusCode::UNPROCESSABLE_ENTITY, "webid-no-token"),
    };
    let Some(account) = account::by_id(identity.store(), &session.account)? else {
        return Ok(see_other(visit, crate::ui::layout::path::LOGIN));
    };
    visit.here = webids::PATH.to_owned();
    let notice = Some(Notice::problem(visit.text(key)));
    Ok(webids_page(identity, visit, session, &account, status, notice))
}

fn webids_page(
    identity: &Identity,
    visit: &Visit,
    session: &Session,
    account: &Account,
    status: StatusCode,
    notice: Option<Notice>,
) -> Response<Body> {
    let now = identity.clock().unix();
    let proof = account.proof.as_ref().filter(|proof| proof.expires > now);
    let shown = webids::Shown {
        session,
        issuer: identity.site().issuer(),
        proof: proof.map(|proof| (proof.webid.as_str(), proof.token.as_str())),
    };
    let content = webids::page(visit, &shown, notice.as_ref());
    Page::new(visit.text("webids-page-title"), content)
        .status(status)
        .respond(visit)
}

fn leave_page(
    identity: &Identity,
    visit: &Visit,
    session: &Session,
    account: &Account,
    status: StatusCode,
    notice: Option<Notice>,
) -> Response<Body> {
    let due = account
        .leaving
        .and_then(|due| OffsetDateTime::from_unix_timestamp(due).ok());
    let shown = leave_ui::Shown {
        session,
        days: identity.config().leaving_days,
        due: due.map(words::day),
        fresh: identity.fresh(session),
    };
    let content = leave_ui::page(visit, &shown, notice.as_ref());
    Page::new(visit.text("leave-title"), content)
        .status(status)
        .respond(visit)
}

async fn leave(
    identity: &Identity,
    visit: &mut Visit,
    parts: &Parts,
    (session, account): (&Session, &Account),
    form: &Form,
) -> Result<Response<Body>, IdentityError> {
    if !identity.fresh(session) {
        return Ok(see_other(visit, &security::again(leave_ui::PATH)));
    }
    if form.field("name").map(str::trim) != Some(account.name.as_str()) {
        visit.here = leave_ui::PATH.to_owned();
        let notice = Some(Notice::problem(visit.text("leave-name-wrong")));
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(leave_page(identity, visit, session, account, status, notice));
    }
    let due = identity.clock().unix() + i64::from(identity.config().leaving_days) * DAY_SECONDS;
    match leaving::leave(identity.store(), &account.id, due).await {
        Ok(account) => {
            // Everything that was given out has ended, this session too; the person sees what happens next.
            pages::start_session(identity, visit, parts, &account).await?;
            Ok(see_other(visit, &format!("{}?done=left", leave_ui::PATH)))
        }
        Err(AccountError::Failed(error)) => Err(error),
        Err(_) => Ok(see_other(visit, crate::ui::layout::path::LOGIN)),
    }
}
