//! Notifications: subscribing, streams, webhooks.

mod notify_streams;
mod notify_subscribing;
mod notify_webhooks;
