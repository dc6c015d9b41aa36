//! Client libraries that Solid has, as applications use them.

mod clients;
mod clients_browser;
