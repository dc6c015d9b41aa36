//! A device that keeps passkeys and always says yes, as browsers offer it to tests (WebAuthn §11, Web Driver extension).

use std::sync::Arc;

use serde_json::{Value, json};
use thirtyfour::common::command::{Command, ExtensionCommand};
use thirtyfour::prelude::*;

use super::Browser;

/// Adds the device to the session.
#[derive(Debug)]
struct AddAuthenticator;

impl ExtensionCommand for AddAuthenticator {
    fn parameters_json(&self) -> Option<Value> {
        Some(json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserConsenting": true,
            "isUserVerified": true,
        }))
    }

    fn method(&self) -> http::Method {
        http::Method::POST
    }

    fn endpoint(&self) -> Arc<str> {
        "/webauthn/authenticator".into()
    }
}

impl Browser {
    /// Puts a device into the browser's hands that keeps passkeys and verifies its user.
    ///
    /// # Errors
    /// When the driver does not know how.
    pub async fn add_authenticator(&self) -> WebDriverResult<()> {
        let command = Command::ExtensionCommand(Box::new(AddAuthenticator));
        self.driver.cmd(command).await.map(drop)
    }
}
