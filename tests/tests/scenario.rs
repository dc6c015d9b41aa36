//! The whole scenario over real processes, sockets and TLS: the six questions, the withdrawal, the refusals, the proofs
//! in the logs, and the broker that is emptied (Done when 2 of the first network).

use std::path::PathBuf;

use meent_tests::scenario::story::{self, Options, Teller};

struct Aloud;

impl Teller for Aloud {
    fn chapter(&mut self, title: &str) {
        println!("\n# {title}");
    }

    fn say(&mut self, sentence: &str) {
        println!("{sentence}");
    }

    fn working(&mut self, _: &str, _: u64, _: u64) {}
}

/// Where cargo puts the servers: beside the folder of this test's own binary.
fn binaries() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(std::path::Path::parent).unwrap().to_path_buf();
    assert!(
        folder.join("broker").exists(),
        "build the servers first: cargo build --release --workspace --bins"
    );
    folder
}

async fn tell(data: Option<PathBuf>, citizens: usize, first_port: u16) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        data,
        citizens,
        folder: folder.path().to_path_buf(),
        binaries: binaries(),
        first_port,
    };
    if let Err(error) = story::run(&options, &mut Aloud).await {
        panic!("{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_generated_data() {
    tell(None, 40, 17_100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_real_data() {
    if let Some(data) = meent_tests::house::shared_data() {
        tell(Some(data), 200, 17_200).await;
    }
}
