//! Forms with files, as browsers send them (RFC 7578, `multipart/form-data`): part after part, and never more of a file in
//! memory than one piece.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use server_kit::body::{Body, ReadError, ReadLimits, Reader};

/// Most bytes before the first part, and in the head of one part.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Longest boundary (RFC 2046 §5.1.1), in characters.
const BOUNDARY_CHARACTERS_MAX: usize = 70;

/// Why a form cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    /// The body is no `multipart/form-data` with a boundary.
    #[error("the body must be `multipart/form-data` with a boundary")]
    MediaType,
    /// The body does not keep to its boundary.
    #[error("the form is malformed: {0}")]
    Malformed(&'static str),
    /// A field that is no file is longer than this.
    #[error("the field `{name}` is longer than {bytes_max} bytes")]
    FieldTooLong {
        /// Its name.
        name: String,
        /// The bound, in bytes.
        bytes_max: usize,
    },
    /// The body breaks a bound or broke off.
    #[error(transparent)]
    Body(#[from] ReadError),
}

/// The head of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Name of the field.
    pub name: String,
    /// Name of the file, when the part is one.
    pub file_name: Option<String>,
    /// Media type of the file, as the browser takes it to be.
    pub media_type: Option<String>,
}

/// Reads one form.
pub struct Multipart {
    reader: Reader<Body>,
    buffer: BytesMut,
    /// What stands before each part: line end, two hyphens, boundary.
    delimiter: Vec<u8>,
    /// Whether the first boundary was found.
    started: bool,
    /// Whether the content of a part is being read.
    inside: bool,
}

impl Multipart {
    /// Whether a request announces such a form.
    #[must_use]
    pub fn is_announced(headers: &HeaderMap) -> bool {
        boundary(headers).is_some()
    }

    /// Starts to read a form.
    ///
    /// # Errors
    /// [`MultipartError::MediaType`], or the announced length is over the limit.
    pub fn new(headers: &HeaderMap, body: Body, limits: ReadLimits) -> Result<Self, MultipartError> {
        let boundary = boundary(headers).ok_or(MultipartError::MediaType)?;
        Ok(Self {
            reader: Reader::new(body, limits)?,
            // The first boundary needs no line before it.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            started: false,
            inside: false,
        })
    }

    /// The head of the next part; what was not read of the part before is passed over. None at the end.
    ///
    /// # Errors
    /// [`MultipartError`].
    pub async fn next(&mut self) -> Result<Option<Part>, MultipartError> {
        if !self.started {
            self.preamble().await?;
            self.started = true;
        }
        while self.chunk().await?.is_some() {}
        // What follows the boundary: two hyphens at the end of the form, else the end of the line.
        let end = loop {
            if self.buffer.starts_with(b"--") {
                return Ok(None);
            }
            if let Some(end) = find(&self.buffer, b"\r\n") {
                break end;
            }
            self.more(HEAD_BYTES_MAX).await?;
        };
        if self
            .buffer
            .get(..end)
            .unwrap_or_default()
            .iter()
            .any(|byte| !matches!(byte, b' ' | b'\t'))
        {
            return Err(MultipartError::Malformed("a boundary is followed by something else"));
        }
        let _ = self.buffer.split_to(end);
        let length = loop {
            if let Some(length) = find(&self.buffer, b"\r\n\r\n") {
                break length;
            }
            self.more(HEAD_BYTES_MAX).await?;
        };
        let head = self.buffer.split_to(length + 2);
        // The line end before the content stays: an empty content is followed by the next boundary at once.
        let _ = self.buffer.split_to(2);
        self.inside = true;
        part(&head)
    }

    /// The next piece of the content of the part; none at its end.
    ///
    /// # Errors
    /// [`MultipartError`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        loop {
            if !self.inside {
                return Ok(None);
            }
            match find(&self.buffer, &self.delimiter) {
                Some(0) => {
                    let _ = self.buffer.split_to(self.delimiter.len());
                    self.inside = false;
                }
                Some(length) => return Ok(Some(self.buffer.split_to(length).freeze())),
                None => {
                    // The end may be the beginning of a boundary.
                    let certain = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                    if certain > 0 {
                        return Ok(Some(self.buffer.split_to(certain).freeze()));
                    }
                    self.more(usize::MAX).await?;
                }
            }
        }
    }

    /// The content of a field that is no file.
    ///
    /// # Errors
    /// [`MultipartError::FieldTooLong`] and the others.
    pub async fn text(&mut self, name: &str, bytes_max: usize) -> Result<String, MultipartError> {
        let mut gathered = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if gathered.len() + chunk.len() > bytes_max {
                return Err(MultipartError::FieldTooLong {
                    name: name.to_owned(),
                    bytes_max,
                });
            }
            gathered.extend_from_slice(&chunk);
        }
        String::from_utf8(gathered.to_vec()).map_err(|_| MultipartError::Malformed("a field is not UTF-8"))
    }

    /// Takes in what is still coming, up to a number of bytes, so that a browser that is still sending gets to see the
    /// answer.
    pub async fn drain(mut self, bytes_max: u64) {
        let before = self.reader.received();
        while self.reader.received() - before < bytes_max {
            if !matches!(self.reader.chunk().await, Ok(Some(_))) {
                return;
            }
        }
    }

    async fn preamble(&mut self) -> Result<(), MultipartError> {
        loop {
            if let Some(start) = find(&self.buffer, &self.delimiter) {
                let _ = self.buffer.split_to(start + self.delimiter.len());
                return Ok(());
            }
            self.more(HEAD_BYTES_MAX).await?;
        }
    }

    /// Receives more, unless this many bytes are waiting to be understood already.
    async fn more(&mut self, waiting_max: usize) -> Result<(), MultipartError> {
        if self.buffer.len() > waiting_max {
            return Err(MultipartError::Malformed("the head of a part is too long"));
        }
        let chunk = self.reader.chunk().await?;
        let chunk = chunk.ok_or(MultipartError::Malformed("it ends before its last boundary"))?;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let field = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (essence, parameters) = field.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (_, value) = self::parameters(parameters)
        .into_iter()
        .find(|(name, _)| name == "boundary")?;
    let fits = !value.is_empty() && value.len() <= BOUNDARY_CHARACTERS_MAX;
    (fits && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())).then_some(value)
}

fn part(head: &[u8]) -> Result<Option<Part>, MultipartError> {
    let head = std::str::from_utf8(head).map_err(|_| MultipartError::Malformed("the head of a part is not UTF-8"))?;
    let mut part = Part::default();
    let mut described = false;
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(MultipartError::Malformed(
            "the head of a part has a line without a colon",
        ))?;
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                let (kind, rest) = value.split_once(';').unwrap_or((value, ""));
                described = kind.trim().eq_ignore_ascii_case("form-data");
                for (name, value) in parameters(rest) {
                    match name.as_str() {
                        "name" => part.name = unescaped(&value),
                        "filename" => part.file_name = Some(unescaped(&value)),
                        _ => {}
                    }
                }
            }
            "content-type" => part.media_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    if described && !part.name.is_empty() {
        Ok(Some(part))
    } else {
        Err(MultipartError::Malformed("a part does not say which field it is"))
    }
}

/// `; name="value"; name=value`. Browsers escape nothing inside quotes with a backslash (HTML §4.10.21.8).
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.trim_start_matches([';', ' ', '\t']).split_once('=') {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(';').unwrap_or((rest, "")),
        };
        found.push((name.trim().to_ascii_lowercase(), value.to_owned()));
        text = after;
    }
    found
}

/// Quotes and line ends are what browsers percent-encode in names.
fn unescaped(value: &str) -> String {
    value.replace("%22", "\"").replace("%0D", " ").replace("%0A", " ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderValue;
    use proptest::prelude::*;
    use server_kit::body;

    use super::*;

    fn headers(boundary: &str) -> HeaderMap {
        let value = format!("multipart/form-data; boundary={boundary}");
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(&value).unwrap())])
    }

    /// The form in pieces of a size, so that every boundary is cut somewhere.
    fn in_pieces(text: &[u8], size: usize) -> Body {
        let (mut sender, body) = body::channel(4);
        let pieces: Vec<Bytes> = text.chunks(size).map(Bytes::copy_from_slice).collect();
        tokio::spawn(async move {
            for piece in pieces {
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        body
    }

    async fn read(text: &[u8], size: usize) -> Result<Vec<(Part, Vec<u8>)>, MultipartError> {
        let mut form = Multipart::new(&headers("xYz"), in_pieces(text, size), ReadLimits::default())?;
        let mut parts = Vec::new();
        while let Some(part) = form.next().await? {
            let mut content = Vec::new();
            while let Some(chunk) = form.chunk().await? {
                content.extend_from_slice(&chunk);
            }
            parts.push((part, content));
        }
        Ok(parts)
    }

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut text = Vec::new();
        for (head, content) in parts {
            text.extend_from_slice(format!("--xYz\r\n{head}\r\n\r\n").as_bytes());
            text.extend_from_slice(content);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"--xYz--\r\n");
        text
    }

    #[tokio::test]
    async fn fields_and_files_are_read_whatever_the_pieces() {
        let text = form(&[
            ("Content-Disposition: form-data; name=\"token\"", b"abc"),
            (
                "Content-Disposition: form-data; name=\"file\"; filename=\"a é %22.txt\"\r\nContent-Type: text/plain",
                b"line\r\n--xY\r\n\r\n",
            ),
            ("Content-Disposition: form-data; name=\"empty\"", b""),
        ]);
        for size in 1..text.len() {
            let parts = read(&text, size).await.unwrap();
            assert_eq!(parts.len(), 3, "{size}");
            assert_eq!(
                (parts[0].0.name.as_str(), parts[0].1.as_slice()),
                ("token", &b"abc"[..])
            );
            assert_eq!(parts[1].0.file_name.as_deref(), Some("a é \".txt"));
            assert_eq!(parts[1].0.media_type.as_deref(), Some("text/plain"));
            assert_eq!(parts[1].1, b"line\r\n--xY\r\n\r\n");
            assert!(parts[2].1.is_empty());
        }
    }

    #[tokio::test]
    async fn what_is_not_passed_is_refused() {
        for text in [
            "",
            "--xYz",
            "--xYz--extra",
            "--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nabc",
            "--xYz junk\r\n\r\n\r\n--xYz--",
            "--xYz\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nabc\r\n--xYz--",
            "--xYz\r\nno colon\r\n\r\nabc\r\n--xYz--",
        ] {
            let answer = read(text.as_bytes(), 7).await;
            assert!(answer.is_err() || text == "--xYz--extra", "{text}: {answer:?}");
        }
        let long = format!("--xYz\r\nX: {}\r\n\r\n", "x".repeat(4 * HEAD_BYTES_MAX));
        assert!(read(long.as_bytes(), 1_000).await.is_err());
        assert!(!Multipart::is_announced(&headers("")));
        assert!(!Multipart::is_announced(&headers(&"x".repeat(71))));
    }

    proptest! {
        /// Any content comes out as it went in.
        #[test]
        fn content_is_kept(content in proptest::collection::vec(any::<u8>(), 0..300), size in 1..64_usize) {
            let text = form(&[("Content-Disposition: form-data; name=\"file\"; filename=\"x\"", &content)]);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let parts = runtime.block_on(read(&text, size)).unwrap();
            prop_assert_eq!(&parts[0].1, &content);
        }
    }
}
