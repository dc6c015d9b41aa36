//! `/log/checkpoint`, `/log/witnessed`, `/log/tile/…`, `/log/vkey`, `/log/handovers` and `/log/jwks`, for everyone (C2SP tlog-tiles, signed-note), and this server's
//! side as a witness, `/log/witness/…` (C2SP tlog-witness).

use http::{HeaderValue, Method, StatusCode, header};
use server_kit::audit_log::parse_tile_path;

use super::own::OwnLog;
use super::rotation;
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::node::Node;

/// Answers a call below `/log/`; none for any other path.
pub async fn respond(log: &OwnLog, call: &Call) -> Option<Answer> {
    let path = call.path.strip_prefix("/log/")?;
    if let (Some(witness), "witness/add-checkpoint") = (&log.witness, path) {
        return Some(witness.add_checkpoint(call).await);
    }
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Some(Err(edge::method_not_allowed(&call.method, "GET, HEAD")));
    }
    Some(match path {
        "checkpoint" => log
            .checkpoints
            .current()
            .await
            .and_then(|(_, note)| text(note.into_bytes())),
        "witnessed" => log
            .witnesses
            .witnessed()
            .and_then(|note| note.map_or_else(|| Err(edge::not_found(&call.path)), text)),
        "vkey" => text(format!("{}\n", log.checkpoints.verifier()).into_bytes()),
        "jwks" => edge::json(
            StatusCode::OK,
            &serde_json::json!({ "keys": [log.checkpoints.verifier().jwk()] }),
        ),
        "handovers" => log.node.snapshot().and_then(|snapshot| {
            let handovers = rotation::kept(&*snapshot).map_err(|error| edge::store_problem(&error))?;
            edge::json(StatusCode::OK, &handovers)
        }),
        "witness/vkey" => match &log.witness {
            Some(witness) => text(format!("{}\n", witness.verifier()).into_bytes()),
            None => Err(edge::not_found(&call.path)),
        },
        _ => tile(&log.node, call, path),
    })
}

fn text(bytes: Vec<u8>) -> Answer {
    edge::respond(StatusCode::OK, "text/plain; charset=utf-8", bytes)
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
