//! Reading an archive: every file in its order, each checked against its digest, and the whole against `complete.json`.
//!
//! Nothing is unpacked anywhere. Files that this program would not have written are refused: links, other folders, names
//! that are not canonical, repetitions, another order (T127).

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};
use tar::EntryType;

use super::{
    ABOUT, About, ArchiveError, COMPLETE, Complete, DATA, FORMAT, OWN_STATEMENTS, PAX_MEDIA_TYPE, PAX_SHA256, VERSION,
};
use crate::name::{Auxiliary, ResourceName};

/// Most bytes of a pax header, of `about.json` and of `complete.json`.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// Stands for the storage's root while names are read; the real one is the new place's.
const ROOT: &str = "/storage/";

/// What reading is bounded by.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Most bytes that the archive may unpack to.
    pub unpacked_bytes_max: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            unpacked_bytes_max: 64 << 30,
        }
    }
}

/// What a file of the archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A container.
    Container,
    /// The own statements of the container before it.
    OwnStatements,
    /// A document.
    Document,
    /// An auxiliary resource of the container or document before it.
    Auxiliary(Auxiliary),
}

/// A file of the archive; its bytes are read beside it.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is.
    pub part: Part,
    /// Its path below the storage's root, `` for the root itself.
    pub path: String,
    /// Media type; empty for a container.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
}

/// Takes in one file of the archive.
pub type Visit<'v> = &'v mut dyn FnMut(&About, &Item, &mut dyn Read) -> Result<(), ArchiveError>;

/// Reads an archive from its beginning to its end. `visit` is told every file below `data/` in order, and may leave bytes
/// unread. What it was told counts only when this function has succeeded.
///
/// # Errors
/// [`ArchiveError::Invalid`] names the first file that is not as it should be.
pub fn read(input: impl Read, limits: ReadLimits, visit: Visit<'_>) -> Result<(About, Complete), ArchiveError> {
    let mut archive = tar::Archive::new(unpacked(input, limits)?);
    let mut reading = Reading::default();
    // Raw: headers of headers come as they are, so that their length can be bounded here.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        if reading.complete.is_some() {
            return Err(ArchiveError::invalid(
                COMPLETE,
                "something follows the end of the archive",
            ));
        }
        let (kind, size) = (entry.header().entry_type(), entry.header().size()?);
        match kind {
            EntryType::XHeader => {
                let text = short(&mut entry, size, "a pax header")?;
                if reading.pax.replace(Pax::parse(&text)?).is_some() {
                    return Err(ArchiveError::invalid("a pax header", "two in a row"));
                }
            }
            EntryType::Regular | EntryType::Directory => {
                let plain = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                reading.file(kind, plain, size, &mut entry, visit)?;
            }
            other => {
                let place = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(ArchiveError::invalid(
                    &place,
                    format!("a {other:?} does not belong into an archive"),
                ));
            }
        }
    }
    match (reading.about, reading.complete) {
        (Some(about), Some(complete)) => Ok((about, complete)),
        _ => Err(ArchiveError::invalid(
            COMPLETE,
            "missing: the archive was cut off, or is none",
        )),
    }
}

/// Reads only what an archive says about itself.
///
/// # Errors
/// [`ArchiveError::Invalid`] when it does not begin as an archive does.
pub fn about(input: impl Read) -> Result<About, ArchiveError> {
    let limits = ReadLimits {
        unpacked_bytes_max: 2 * HEADER_BYTES_MAX,
    };
    let mut archive = tar::Archive::new(unpacked(input, limits)?);
    let missing = || ArchiveError::invalid(ABOUT, "missing: this is no archive of a storage");
    let mut first = archive
        .entries()?
        .raw(true)
        .next()
        .ok_or_else(missing)?
        .map_err(|_| missing())?;
    if first.path_bytes().as_ref() != ABOUT.as_bytes() {
        return Err(missing());
    }
    let size = first.header().size()?;
    about_of(&short(&mut first, size, ABOUT)?)
}

fn unpacked<'r>(input: impl Read + 'r, limits: ReadLimits) -> Result<Bounded<Box<dyn Read + 'r>>, ArchiveError> {
    let mut input = BufReader::new(input);
    let zipped = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let unpacked: Box<dyn Read + 'r> = if zipped {
        Box::new(MultiGzDecoder::new(input))
    } else {
        Box::new(input)
    };
    Ok(Bounded {
        input: unpacked,
        left: limits.unpacked_bytes_max,
    })
}

#[derive(Default)]
struct Reading {
    about: Option<About>,
    pax: Option<Pax>,
    order: Order,
    digest: Sha256,
    entries: u64,
    bytes: u64,
    complete: Option<Complete>,
}

impl Reading {
    fn file(
        &mut self,
        kind: EntryType,
        plain: String,
        size: u64,
        content: &mut impl Read,
        visit: Visit<'_>,
    ) -> Result<(), ArchiveError> {
        let pax = self.pax.take().unwrap_or_default();
        let path = pax.path.unwrap_or(plain);
        let Some(about) = &self.about else {
            if path != ABOUT {
                return Err(ArchiveError::invalid(
                    &path,
                    format!("an archive begins with `{ABOUT}`"),
                ));
            }
            self.about = Some(about_of(&short(content, size, ABOUT)?)?);
            return Ok(());
        };
        if path == COMPLETE {
            let text = short(content, size, COMPLETE)?;
            let told =
                serde_json::from_slice(&text).map_err(|error| ArchiveError::invalid(COMPLETE, error.to_string()))?;
            self.complete = Some(self.compare(told)?);
            return Ok(());
        }
        let below = path
            .strip_prefix(DATA)
            .ok_or_else(|| ArchiveError::invalid(&path, "lies outside `data/`"))?;
        let part = self
            .order
            .next(kind, below)
            .map_err(|reason| ArchiveError::invalid(&path, reason))?;
        let item = Item {
            part,
            path: below.strip_suffix(OWN_STATEMENTS).unwrap_or(below).to_owned(),
            media_type: pax.media_type.unwrap_or_default(),
            size,
        };
        let sha256 = match part {
            Part::Container if size > 0 => return Err(ArchiveError::invalid(&path, "a folder with content")),
            Part::Container => hex::encode(Sha256::digest([])),
            _ => pax
                .sha256
                .filter(|_| !item.media_type.is_empty())
                .ok_or_else(|| ArchiveError::invalid(&path, "its media type or its SHA-256 is missing"))?,
        };
        let mut hashed = Hashed {
            input: content,
            hash: Sha256::new(),
            length: 0,
        };
        visit(about, &item, &mut hashed)?;
        io::copy(&mut hashed, &mut io::sink())?;
        if hashed.length != size || hex::encode(hashed.hash.finalize()) != sha256 {
            return Err(ArchiveError::invalid(&path, "the content does not have its SHA-256"));
        }
        self.digest.update(format!("{sha256}  {path}\n"));
        self.entries += 1;
        self.bytes += size;
        Ok(())
    }

    fn compare(&self, told: Complete) -> Result<Complete, ArchiveError> {
        let found = Complete {
            entries: self.entries,
            bytes: self.bytes,
            digest: hex::encode(self.digest.clone().finalize()),
            commits: told.commits,
        };
        if found == told && self.entries > 0 {
            Ok(told)
        } else {
            Err(ArchiveError::invalid(
                COMPLETE,
                "files were added, changed or taken away",
            ))
        }
    }
}

fn about_of(text: &[u8]) -> Result<About, ArchiveError> {
    let invalid = |reason: String| ArchiveError::invalid(ABOUT, reason);
    let about: About = serde_json::from_slice(text).map_err(|error| invalid(error.to_string()))?;
    if about.format != FORMAT || about.version != VERSION {
        return Err(invalid(format!(
            "it is a `{}` of version {}; this program reads `{FORMAT}` of version {VERSION}",
            about.format, about.version
        )));
    }
    for (key, value) in [("storage", &about.storage), ("issuer", &about.issuer)] {
        let url = url::Url::parse(value).map_err(|error| invalid(format!("`{key}`: {error}")))?;
        if !matches!(url.scheme(), "https" | "http") || !value.ends_with('/') {
            return Err(invalid(format!("`{key}` is no URL that ends with a slash")));
        }
    }
    Ok(about)
}

/// All bytes of a small file.
fn short(content: &mut impl Read, size: u64, place: &str) -> Result<Vec<u8>, ArchiveError> {
    if size > HEADER_BYTES_MAX {
        return Err(ArchiveError::invalid(
            place,
            format!("longer than {HEADER_BYTES_MAX} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    content.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The keys of a pax header that matter here; others are ignored, as the format demands.
#[derive(Default)]
struct Pax {
    path: Option<String>,
    media_type: Option<String>,
    sha256: Option<String>,
}

impl Pax {
    fn parse(mut bytes: &[u8]) -> Result<Self, ArchiveError> {
        let broken = || ArchiveError::invalid("a pax header", "malformed");
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length = bytes.get(..space).and_then(|digits| std::str::from_utf8(digits).ok());
            let length: usize = length.and_then(|digits| digits.parse().ok()).ok_or_else(broken)?;
            let record = bytes
                .get(space + 1..length)
                .and_then(|record| record.strip_suffix(b"\n"));
            let record = record
                .and_then(|record| std::str::from_utf8(record).ok())
                .ok_or_else(broken)?;
            let (key, value) = record.split_once('=').ok_or_else(broken)?;
            match key {
                "path" => pax.path = Some(value.to_owned()),
                // It would be another length than the one that is read by.
                "size" => return Err(broken()),
                PAX_MEDIA_TYPE => pax.media_type = Some(value.to_owned()),
                PAX_SHA256 => pax.sha256 = Some(value.to_owned()),
                _ => {}
            }
            bytes = bytes.get(length..).ok_or_else(broken)?;
        }
        Ok(pax)
    }
}

/// The order in which an archive is written: names in order, every container before what lies in it, and behind each
/// resource what belongs to it. So no resource is ever there without its access rules.
#[derive(Default)]
struct Order {
    /// The containers around the present place, outermost first.
    open: Vec<ResourceName>,
    /// The container or document that is present.
    subject: Option<ResourceName>,
    /// What of it has been there.
    seen: Vec<Part>,
}

impl Order {
    fn next(&mut self, kind: EntryType, below: &str) -> Result<Part, String> {
        if let Some(container) = below.strip_suffix(OWN_STATEMENTS) {
            return self.belonging(Part::OwnStatements, &name(container)?);
        }
        let name = name(below)?;
        if let Some((subject, auxiliary)) = name.auxiliary_subject() {
            return self.belonging(Part::Auxiliary(auxiliary), &subject);
        }
        if name.is_container() != (kind == EntryType::Directory) {
            return Err("a folder, and only a folder, ends with a slash".to_owned());
        }
        if self.subject.as_ref().is_some_and(|before| *before >= name) {
            return Err("out of order, or twice".to_owned());
        }
        while self.open.last().is_some_and(|container| !name.is_within(container)) {
            self.open.pop();
        }
        let placed = match self.open.last() {
            None => self.subject.is_none() && name.as_str() == ROOT,
            Some(container) => name.parent().as_ref() == Some(container),
        };
        if !placed {
            return Err("its container is missing".to_owned());
        }
        self.seen.clear();
        self.subject = Some(name.clone());
        if name.is_container() {
            self.open.push(name);
            return Ok(Part::Container);
        }
        Ok(Part::Document)
    }

    fn belonging(&mut self, part: Part, subject: &ResourceName) -> Result<Part, String> {
        if self.subject.as_ref() != Some(subject) {
            return Err("it does not stand behind the resource that it belongs to".to_owned());
        }
        if self.seen.contains(&part) {
            return Err("twice".to_owned());
        }
        self.seen.push(part);
        Ok(part)
    }
}

fn name(below: &str) -> Result<ResourceName, String> {
    let path = format!("{ROOT}{below}");
    let name = ResourceName::parse(&path).map_err(|error| error.to_string())?;
    if name.as_str() == path {
        Ok(name)
    } else {
        Err("its name is not spelt canonically".to_owned())
    }
}

/// Stops a stream that unpacks to more than it may.
struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it unpacks to more bytes than allowed (`--unpacked-bytes-max`)"))?;
        Ok(count)
    }
}

struct Hashed<'r, R> {
    input: &'r mut R,
    hash: Sha256,
    length: u64,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.length += count as u64;
        Ok(count)
    }
}
