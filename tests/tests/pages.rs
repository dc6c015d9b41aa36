//! Pages in a real browser.

mod browser_account;
mod browser_data;
mod browser_passkey;
mod data_browser;
mod dataspace_pages;
