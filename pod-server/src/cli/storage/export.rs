//! `pod-server storage export`: one storage into one archive.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::super::{ConfigFile, Counting, Failure, blocking, say};
use crate::app::App;
use crate::archive::{self, Complete, Source};
use crate::store::ReadPermit;

/// Write one storage into an archive
#[derive(Debug, Args)]
#[command(
    after_help = "The archive is a gzip-compressed tar file that any program unpacks. It holds all resources with their media \
                  types, descriptions and access control lists, and a digest of each. Accounts, consents, agreements and the \
                  audit log stay with the server."
)]
pub(in crate::cli) struct ExportCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of the storage
    name: String,
    /// File to write, which must not exist yet; `-` for standard output; the storage's name and the date unless given
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl ExportCommand {
    pub(in crate::cli) async fn run(self) -> Result<(), Failure> {
        let root = super::root(&self.name)?;
        let app = Arc::new(App::build(self.file.load()?)?);
        let source = Source {
            root: root.clone(),
            origins: app.origins.clone(),
            issuer: app.config.server.console_url.to_string(),
            now: app.clock.now(),
        };
        let to = self.to.unwrap_or_else(|| archive::file_name(&root, source.now).into());
        let shown = to.clone();
        let complete = blocking(move || {
            if to == Path::new("-") {
                write(&app, &source, std::io::stdout().lock())
            } else {
                write_file(&app, &source, &to)
            }
        })
        .await?;
        let Complete {
            entries, bytes, digest, ..
        } = complete;
        let told = format!(
            "wrote {entries} entries with {bytes} bytes to `{}`; digest {digest}",
            shown.display()
        );
        if shown == Path::new("-") {
            tell_beside(&told);
        } else {
            say(&told);
        }
        Ok(())
    }
}

/// Standard output is the archive: words go beside it.
#[allow(clippy::print_stderr)]
fn tell_beside(text: &str) {
    eprintln!("{text}");
}

fn write(app: &App, source: &Source, out: impl Write) -> Result<Complete, Failure> {
    let mut bar = Counting::new("writing");
    let permit = ReadPermit::without_proof("the operator exports a storage of a stopped server");
    archive::export(app.store.as_ref(), permit, source, out, &mut |entries, bytes| {
        bar.tell(entries, bytes)
    })
    .map_err(|error| Failure::Said(error.to_string()))
}

/// The file has its name only when it is whole and on the disk.
fn write_file(app: &App, source: &Source, to: &Path) -> Result<Complete, Failure> {
    let failed = |path: &Path, error: std::io::Error| Failure::Said(format!("`{}`: {error}", path.display()));
    if to.exists() {
        return Err(Failure::Said(format!(
            "`{}` exists: give another name with `--to`",
            to.display()
        )));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = private(&part).map_err(|error| failed(&part, error))?;
    let mut out = BufWriter::new(file);
    let written = write(app, source, &mut out);
    let settled = written.and_then(|complete| {
        let file = out.into_inner().map_err(|error| failed(&part, error.into_error()))?;
        file.sync_all().map_err(|error| failed(&part, error))?;
        std::fs::rename(&part, to).map_err(|error| failed(to, error))?;
        Ok(complete)
    });
    if settled.is_err()
        && let Err(error) = std::fs::remove_file(&part)
    {
        tracing::warn!(path = %part.display(), %error, "an unfinished file stays behind");
    }
    settled
}

/// A new file that only its owner reads: it holds what access rules protect.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
