//! Power loss: what a disk would hold if the power had gone at some moment (D3).
//!
//! The store works on a file system in an image file. The image holds what was synced, and of the rest only what the kernel
//! happened to have written; a copy of it, taken while the process stands still, is a disk after a power cut. Each
//! copy is mounted, which replays the file system's own journal, and the store in it is opened and compared.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::verify::Oracle;
use super::{Report, Told, examine, finish, listen, number, program};

/// Size of the file system.
const IMAGE_BYTES: u64 = 96 << 20;

/// Time for lines that a stopped process has written to be read.
const DRAIN: Duration = Duration::from_millis(50);

/// A mounted image, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn mount(image: &Path, at: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&at)?;
        command("mount", &["-o", "loop", path(image), path(&at)])?;
        Ok(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A file system that stays mounted is seen in the next test's output; there is nobody to tell here.
        let _ = command("umount", &[path(&self.0)]);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn command(program: &str, arguments: &[&str]) -> std::io::Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(std::io::Error::other(format!("`{program}`: {words}")))
}

/// Whether image files can be made and mounted on this machine.
///
/// # Errors
/// Why not.
pub fn images_work() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let image = make_image(directory.path())?;
    Mounted::mount(&image, directory.path().join("disk")).map(|_| ())
}

fn make_image(directory: &Path) -> std::io::Result<PathBuf> {
    let image = directory.join("image");
    std::fs::File::create(&image)?.set_len(IMAGE_BYTES)?;
    command("mkfs.ext4", &["-q", "-F", path(&image)])?;
    Ok(image)
}

/// Cuts the power `cuts` times while a process writes, and looks at the disk of each cut.
///
/// # Errors
/// When images cannot be mounted or the child cannot be started. What is found is in the report.
pub fn cuts(cuts: u64, seed: u64) -> std::io::Result<Report> {
    let program = program()?;
    let directory = tempfile::tempdir()?;
    let image = make_image(directory.path())?;
    let disk = Mounted::mount(&image, directory.path().join("disk"))?;
    let mut oracle = Oracle::new(seed);
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let began = Instant::now();
    let mut child = Command::new(program)
        .arg(disk.0.join("store"))
        .args([seed.to_string(), u64::MAX.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = listen(&mut child);
    let mut told = Told::default();
    told.hear_until(&lines, "ready");
    let outcome = (0..cuts).try_for_each(|cut| {
        std::thread::sleep(Duration::from_micros(number(seed, cut) % 300_000));
        let copy = directory.path().join("copy");
        cut_power(&child, &lines, &mut told, &image, &copy)?;
        let after = Mounted::mount(&copy, directory.path().join("after"))?;
        if !examine(&mut report, &mut oracle, &after.0.join("store"), &told) {
            return Err(std::io::Error::other("a fault was found"));
        }
        told.count = 0;
        Ok(())
    });
    child.kill()?;
    child.wait()?;
    drop(disk);
    // A fault ends the loop and is in the report.
    if report.fault.is_none() {
        outcome?;
    }
    finish(&mut report, directory, began);
    Ok(report)
}

/// Holds the process still, hears what it had acknowledged by then, and copies the disk as it is.
fn cut_power(
    child: &Child,
    lines: &Receiver<String>,
    told: &mut Told,
    image: &Path,
    copy: &Path,
) -> std::io::Result<()> {
    let process = child.id().to_string();
    command("kill", &["-STOP", &process])?;
    std::thread::sleep(DRAIN);
    told.hear_waiting(lines);
    let copied = command("cp", &["--sparse=always", path(image), path(copy)]);
    command("kill", &["-CONT", &process])?;
    copied
}
