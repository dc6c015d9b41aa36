//! The receiving side of notifications: subscribes as clients do and reads real sockets.

mod listener;
mod subscription;

pub use listener::{Closed, StreamReader, WebSocketListener, read_stream};
pub use subscription::{CHANNEL_CONTEXT, PROTOCOL_CONTEXT, subscribe, subscription};
