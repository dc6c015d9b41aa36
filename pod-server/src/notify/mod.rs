//! Notifications: who wants to hear of changes, and how they are told (Solid Notifications Protocol; solid#104-110).
//!
//! A subscription becomes a [`Channel`] in the store. The store tells `intake` of each durable commit; `change` says what
//! happened to which topic; `deliver` asks for the right of each subscriber at that moment and hands the `notice` to the
//! open streams, each of which sends in its own pace, and to `webhook`, which posts until the receiver takes it.

mod change;
mod channel;
mod config;
mod context;
mod deliver;
pub mod discovery;
mod gateway;
mod http_stream;
mod intake;
mod notice;
mod past;
pub mod records;
mod registry;
mod request;
mod rights;
mod service;
mod stream;
mod web_socket;
mod webhook;

pub use channel::{Channel, ChannelType};
pub use config::NotifyConfig;
pub use service::{NotifyParts, NotifyService};
pub use webhook::{Sender, WebhookConfig, WebhookParts};
