//! `/log/checkpoint`, `/log/tile/…` and `/log/vkey`, for everyone (C2SP tlog-tiles, signed-note).

use http::{HeaderValue, Method, StatusCode, header};
use server_kit::audit_log::parse_tile_path;

use super::checkpoint::Checkpoints;
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::node::Node;

/// Answers a call below `/log/`; none for any other path.
pub async fn respond(node: &Node, checkpoints: &Checkpoints, call: &Call) -> Option<Answer> {
    let path = call.path.strip_prefix("/log/")?;
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Some(Err(edge::method_not_allowed(&call.method, "GET, HEAD")));
    }
    Some(match path {
        "checkpoint" => checkpoints
            .current()
            .await
            .and_then(|(_, note)| edge::respond(StatusCode::OK, "text/plain; charset=utf-8", note.into_bytes())),
        "vkey" => {
            let key = format!("{}\n", checkpoints.verifier());
            edge::respond(StatusCode::OK, "text/plain; charset=utf-8", key.into_bytes())
        }
        _ => tile(node, call, path),
    })
}

fn tile(node: &Node, call: &Call, path: &str) -> Answer {
    let missing = || edge::not_found(&call.path);
    let tile = parse_tile_path(path).ok_or_else(missing)?;
    let snapshot = node.snapshot()?;
    let size = snapshot.audit_size().map_err(|error| edge::store_problem(&error))?;
    let at_level = size.checked_shr(8 * u32::from(tile.level)).unwrap_or(0);
    let end = tile
        .index
        .checked_mul(256)
        .and_then(|start| start.checked_add(u64::from(tile.width)));
    if end.is_none_or(|end| end > at_level) {
        return Err(missing());
    }
    let bytes = snapshot
        .audit_tile(tile.level, tile.index, tile.width)
        .map_err(|error| edge::store_problem(&error))?;
    let mut response = edge::respond(StatusCode::OK, "application/octet-stream", bytes)?;
    // A tile of a given width never changes.
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    Ok(response)
}
