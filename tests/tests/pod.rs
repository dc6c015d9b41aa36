//! The pod server as a program over HTTP: access, resources, storages, queries, operation.

mod access_acp;
mod access_visibility;
mod access_wac;
mod backup_restore;
mod migrate_css;
mod permission_table;
mod pod_access;
mod pod_commands;
mod pod_http;
mod pod_operation;
mod pod_patch;
mod pod_resources;
mod query_agreements;
mod query_endpoint;
mod query_formats;
mod storage_archive;
mod storage_origins;
mod storage_templates;
