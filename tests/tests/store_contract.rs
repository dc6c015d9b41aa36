//! The embedded store keeps the contract of all stores (solid#11, solid#20, solid#24, D22, D23; ARCHITECTURE invariants 4 and 6).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use pod_server::store::contract::{self, Bounds};
use pod_server::store::{SqliteStore, Store, StoreConfig, StoreError};
use server_kit::clock::SystemClock;
use tempfile::TempDir;

#[test]
fn the_embedded_store_keeps_every_promise() {
    let mut broken = Vec::new();
    let checks = contract::checks();
    assert!(checks.len() > 30, "only {} checks were found", checks.len());
    for check in checks {
        let directories: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());
        let open = |bounds: Bounds| -> Result<Arc<dyn Store>, StoreError> {
            let directory = tempfile::tempdir()?;
            let config = StoreConfig {
                quota_bytes_max: bounds.quota_bytes_max,
                inline_bytes_max: bounds.inline_bytes_max,
                reserve_bytes: 0,
                ..StoreConfig::new(directory.path())
            };
            directories.lock().unwrap().push(directory);
            Ok(Arc::new(SqliteStore::open(config, Arc::new(SystemClock))?))
        };
        let began = std::time::Instant::now();
        let outcome = (check.run)(&open);
        println!("{:>6} ms  {}", began.elapsed().as_millis(), check.name);
        if let Err(violation) = outcome {
            broken.push(format!("{}: {violation}", check.name));
        }
    }
    assert!(broken.is_empty(), "broken promises:\n  {}", broken.join("\n  "));
}
