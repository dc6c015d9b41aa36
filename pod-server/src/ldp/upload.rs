//! Receiving the content of a request: within bounds, small content in memory, large content in a file of its own,
//! outside any lock and before any transaction (T51, T52; Done-when 3).
//!
//! An upload that breaks off leaves nothing behind: the temporary file goes with the writer.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use policies::request::Agent;
use server_kit::body::{Body, ReadLimits, Reader};

use crate::error::Error;
use crate::store::{BlobWriter, NewBody, ReadPermit, StoreError, quota};

use super::representation::blocking;
use super::service::LdpService;
use super::target::Target;

/// Bytes gathered before they are handed to the thread that writes.
const WRITE_BYTES: usize = 512 << 10;

/// Room for what came with the last bytes that were gathered, so that it need not be moved into larger memory.
const WRITE_BYTES_SLACK: usize = 64 << 10;

const ROOM: &str = "whether a storage has room left is told to its owner";

impl LdpService {
    /// Refuses content that cannot be received as it is announced, before anything of it is asked for.
    pub(super) fn check_announced(&self, headers: &HeaderMap) -> Result<(), Error> {
        if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(Error::ContentEncoding(
                String::from_utf8_lossy(encoding.as_bytes()).into_owned(),
            ));
        }
        // A part of a resource cannot be put (RFC 9110 §14.5; T63).
        if headers.contains_key(header::CONTENT_RANGE) {
            return Err(Error::BadRequest(
                "`Content-Range` has no meaning in a request".to_owned(),
            ));
        }
        Ok(())
    }

    /// Refuses content that is announced with more bytes than the storage has room for, before any of it is asked for
    /// (solid#62, solid#64). Only its owner is told so early: anyone else could find out by it how full the storage is. The
    /// transaction counts again; small content is left to it, and content beyond `bytes_max` to whoever receives it.
    pub(super) fn check_room(
        &self,
        incoming: &Body,
        target: &Target,
        writer: &Agent,
        bytes_max: u64,
    ) -> Result<(), Error> {
        let announced = http_body::Body::size_hint(incoming).lower();
        let (Some(web_id), Some(root)) = (writer.web_id(), target.name.storage_root()) else {
            return Ok(());
        };
        if announced <= self.inline_bytes_max as u64 || announced > bytes_max {
            return Ok(());
        }
        let snapshot = self.store.snapshot(ReadPermit::without_proof(ROOM))?;
        let storage = snapshot.storage(&root)?;
        let Some(storage) = storage.filter(|storage| storage.owner == web_id.as_str()) else {
            return Ok(());
        };
        let replaced = snapshot.resource(&target.name)?.map_or(0, |resource| resource.size);
        let used = storage.bytes_used.saturating_sub(replaced).saturating_add(announced);
        let most = quota::of(&*snapshot, &root)?.unwrap_or(self.quota_bytes_max);
        if announced > replaced && used > most {
            return Err(Error::Store(StoreError::Full(format!(
                "storage `{root}` would hold {used} bytes"
            ))));
        }
        Ok(())
    }

    fn limits(&self, bytes_max: u64) -> ReadLimits {
        ReadLimits {
            body_bytes_max: bytes_max,
            rate_bytes_per_second_min: u32::try_from(self.bounds.upload_bytes_per_second_min).unwrap_or(u32::MAX),
            rate_grace_seconds: u32::try_from(self.bounds.upload_grace_seconds).unwrap_or(u32::MAX),
        }
    }

    /// Content that is looked at: all of it, in memory.
    pub(super) async fn receive_whole(&self, incoming: Body, bytes_max: u64) -> Result<Bytes, Error> {
        Ok(Reader::new(incoming, self.limits(bytes_max))?.all().await?)
    }

    /// Content that is only kept: in memory up to the inline bound, beyond it in a file.
    pub(super) async fn receive_opaque(&self, incoming: Body, bytes_max: u64) -> Result<NewBody, Error> {
        let inline_max = self.inline_bytes_max;
        let mut reader = Reader::new(incoming, self.limits(bytes_max))?;
        let mut gathered = BytesMut::new();
        let mut blob: Option<Box<dyn BlobWriter>> = None;
        while let Some(chunk) = reader.chunk().await? {
            gathered.extend_from_slice(&chunk);
            let full = if blob.is_some() {
                gathered.len() >= WRITE_BYTES
            } else {
                gathered.len() > inline_max
            };
            if full {
                let writer = match blob.take() {
                    Some(writer) => writer,
                    None => self.store.blob()?,
                };
                blob = Some(write(writer, gathered.freeze()).await?);
                gathered = BytesMut::with_capacity(WRITE_BYTES + WRITE_BYTES_SLACK);
            }
        }
        match blob {
            None => Ok(NewBody::Bytes(gathered.freeze())),
            Some(writer) => {
                let writer = write(writer, gathered.freeze()).await?;
                blocking(move || Ok(writer.finish()?)).await
            }
        }
    }

    /// Bytes at hand as a body for the store.
    pub(super) async fn keep(&self, bytes: Bytes) -> Result<NewBody, Error> {
        if bytes.len() <= self.inline_bytes_max {
            return Ok(NewBody::Bytes(bytes));
        }
        let writer = write(self.store.blob()?, bytes).await?;
        blocking(move || Ok(writer.finish()?)).await
    }
}

async fn write(mut writer: Box<dyn BlobWriter>, bytes: Bytes) -> Result<Box<dyn BlobWriter>, Error> {
    blocking(move || {
        writer.write(&bytes)?;
        Ok(writer)
    })
    .await
}
