//! Who may be told that there is something new under an agreement: whoever may query under it, as long as that lasts.
//!
//! Being told gives no answer and counts as no use, but it is an access and is recorded as one; so is its end when the
//! right to it ends.

use server_kit::problem::Problem;

use super::{Asked, Moment, Scope, ScopedView};
use crate::authz::Authorized;

impl Scope {
    /// Decides on listening as on a query, records it, and only then proves.
    ///
    /// # Errors
    /// The problem to tell the caller. 503 when it cannot be recorded.
    pub async fn listen(&self, asked: &Asked) -> Result<Authorized<ScopedView>, Problem> {
        match self.consider(asked, Moment::Listening).await {
            Ok(mut considered) => {
                considered.counted = None;
                self.prove(asked, considered, None).await
            }
            Err(refusal) => Err(self.refuse(asked, refusal).await),
        }
    }

    /// What a listener would see now. That it may not listen any more is recorded.
    ///
    /// # Errors
    /// The problem; 503 when nothing can be decided at present.
    pub async fn still_listening(&self, asked: &Asked) -> Result<ScopedView, Problem> {
        match self.consider(asked, Moment::StillListening).await {
            Ok(considered) => Ok(considered.scoped),
            Err(refusal) => Err(self.refuse(asked, refusal).await),
        }
    }
}
