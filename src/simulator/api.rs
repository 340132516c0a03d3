//! The API over HTTP: reads requests, applies faults, sends responses.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::simulator::account::Account;
use crate::simulator::delivery::{Body, Closed, Delivery};
use crate::simulator::faults::FaultKind;
use crate::simulator::gateway::handshake::UpgradeSlot;
use crate::simulator::lists::{self, ListResponse};
use crate::simulator::random::hash_seed;
use crate::simulator::request::{ApiRequest, Route};
use crate::simulator::response::SimResponse;

/// Returns the response to a request, or an error that closes the connection.
pub(super) async fn handle(
    account: Arc<Account>,
    upgrades: UpgradeSlot,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let stream = hyper::upgrade::on(&mut request);
    let request = ApiRequest::read(request).await.ok_or(Closed)?;
    let response = match request.route() {
        Route::Journal => SimResponse::json(200, &account.state().journal.entries()),
        Route::Listed => {
            let now = account.now();
            lists::listed(&request, &account.scenario, &account.switchboard, now)
        }
        _ => {
            let response = handle_api_request(&account, &request).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                upgrades.set(stream, &request);
            }
            return Ok(response);
        }
    };
    into_http(response, &request, Delivery::Whole)
}

async fn handle_api_request(
    account: &Account,
    request: &ApiRequest,
) -> Result<Response<Body>, Closed> {
    let arrived_ms = account.now();
    let operation = request.route().operation();
    let (sequence, fault) = account.record_arrival(operation, &request.target(), arrived_ms);
    let outcome = apply_fault(account, request, arrived_ms, fault).await;
    let answered_ms = Some(account.now());
    let list = outcome.as_ref().ok().map(|(list, _)| list);
    let status = list.map(|list| list.response.status);
    tracing::debug!(
        sequence,
        target = request.target(),
        status,
        "simulator handled a request"
    );
    account.state().journal.update(sequence, |entry| {
        entry.answered_ms = answered_ms;
        entry.status = status;
        entry.records = list.and_then(|list| list.records);
        entry.listed_at_ms = list.and_then(|list| list.listed_at_ms);
    });
    let (list, delivery) = outcome?;
    let request_id = format!("{:016x}-{sequence}", hash_seed(sequence, 0x1D));
    let response = list
        .response
        .with("RCRequestId", request_id)
        .with("RoutingKey", "SIM01P01");
    into_http(response, request, delivery)
}

/// Returns the response to a request that arrived at `arrived_ms`, changed by the fault, if any.
async fn apply_fault(
    account: &Account,
    request: &ApiRequest,
    arrived_ms: i64,
    fault: Option<FaultKind>,
) -> Result<(ListResponse, Delivery), Closed> {
    wait(account.scenario.latency).await;
    let regular = || account.handle(request, arrived_ms);
    let response = match fault {
        None | Some(FaultKind::Gateway(_)) => regular(),
        Some(FaultKind::Status {
            status,
            body,
            headers,
        }) => SimResponse {
            status,
            body,
            headers,
        }
        .into(),
        Some(FaultKind::Body(body)) => json_response(body).into(),
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::Drip { pieces, pause }) => {
            return Ok((regular(), Delivery::Drip(pieces, pause)));
        }
        Some(FaultKind::Truncate) => return Ok((regular(), Delivery::Truncated)),
        Some(FaultKind::CloseBeforeResponse) => return Err(Closed),
        Some(FaultKind::Delay(delay)) => {
            wait(delay).await;
            regular()
        }
        Some(FaultKind::NextPage(uri)) => with_next_page(regular(), &uri),
        Some(FaultKind::GzipBomb(size)) => json_response(gzip_bomb(size))
            .with("Content-Encoding", "gzip")
            .into(),
        Some(FaultKind::Redirect { status, location }) => SimResponse {
            status,
            body: Bytes::new(),
            headers: Vec::new(),
        }
        .with("Location", location)
        .into(),
    };
    Ok((response, Delivery::Whole))
}

async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn json_response(body: Bytes) -> SimResponse {
    SimResponse {
        status: 200,
        headers: Vec::new(),
        body,
    }
    .with("Content-Type", "application/json;charset=utf-8")
}

fn with_next_page(mut list: ListResponse, uri: &str) -> ListResponse {
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(&list.response.body) {
        let navigation = body.entry("navigation").or_insert_with(|| json!({}));
        if let Some(navigation) = navigation.as_object_mut() {
            navigation.insert("nextPage".to_owned(), json!({"uri": uri}));
        }
        list.response.body = serde_json::to_vec(&body).unwrap_or_default().into();
    }
    list
}

/// Returns compressed white space, which a JSON parser accepts up to the end of the text.
fn gzip_bomb(size: usize) -> Bytes {
    let chunk = [b' '; 64 * 1024];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut left = size;
    while left > 0 {
        let piece = chunk.get(..left).unwrap_or(&chunk);
        if encoder.write_all(piece).is_err() {
            break;
        }
        left -= piece.len();
    }
    encoder.finish().unwrap_or_default().into()
}

fn into_http(
    response: SimResponse,
    request: &ApiRequest,
    delivery: Delivery,
) -> Result<Response<Body>, Closed> {
    let response = if request.accepts_gzip {
        compress(response)
    } else {
        response
    };
    let mut builder = Response::builder()
        .status(response.status)
        .header("Vary", "Accept-Encoding");
    for (name, value) in &response.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Body::new(response.body, delivery))
        .map_err(|_| Closed)
}

fn compress(response: SimResponse) -> SimResponse {
    let mut headers = response.headers.iter();
    let is_encoded = headers.any(|(name, _)| name.eq_ignore_ascii_case("Content-Encoding"));
    if is_encoded || response.body.is_empty() {
        return response;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    if encoder.write_all(&response.body).is_err() {
        return response;
    }
    match encoder.finish() {
        Ok(body) => SimResponse {
            body: body.into(),
            ..response
        }
        .with("Content-Encoding", "gzip"),
        Err(_) => response,
    }
}
