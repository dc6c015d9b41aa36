//! The receiving side of notifications: subscribes as clients do, reads real sockets, and receives webhooks.

mod listener;
mod receiver;
mod secure;
mod subscription;

pub use listener::{Closed, StreamReader, WebSocketListener, read_stream};
pub use receiver::{Answer, Delivered, Receiver};
pub use secure::SecureClient;
pub use subscription::{CHANNEL_CONTEXT, PROTOCOL_CONTEXT, subscribe, subscription};
