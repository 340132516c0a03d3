//! The API over HTTP: takes requests in, acts out faults, sends answers off.
//!
//! Knows hyper, waiting and compression. What the right answer is, the account decides.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use crate::simulator::account::Account;
use crate::simulator::delivery::{Body, Closed, Delivery};
use crate::simulator::faults::FaultKind;
use crate::simulator::lists::{self, ListResponse};
use crate::simulator::random::hash_seed;
use crate::simulator::request::{ApiRequest, Route};
use crate::simulator::response::SimResponse;

/// Answers one request, or closes its connection.
pub(super) async fn serve(
    account: Arc<Account>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let ask = ApiRequest::read(request).await.ok_or(Closed)?;
    let reply = match ask.route() {
        Route::Journal => SimResponse::json(200, &account.desk().journal.entries()),
        Route::Listed => {
            lists::listed(&ask, &account.scenario, &account.switchboard, account.now())
        }
        _ => return serve_api(&account, &ask).await,
    };
    respond(reply, &ask, Delivery::Whole)
}

async fn serve_api(account: &Account, ask: &ApiRequest) -> Result<Response<Body>, Closed> {
    let arrived = account.now();
    let (sequence, fault) = account.record_arrival(ask, arrived);
    let outcome = apply_fault(account, ask, arrived, fault).await;
    let answered_ms = Some(account.now());
    let answer = outcome.as_ref().ok().map(|(answer, _)| answer);
    tracing::debug!(
        sequence,
        target = ask.target(),
        status = answer.map(|answer| answer.reply.status),
        "request to the simulated account"
    );
    account.desk().journal.complete(sequence, |entry| {
        entry.answered_ms = answered_ms;
        entry.status = answer.map(|answer| answer.reply.status);
        entry.records = answer.and_then(|answer| answer.records);
        entry.listed_at_ms = answer.and_then(|answer| answer.listed_at_ms);
    });
    let (answer, manner) = outcome?;
    let request_id = format!("{:016x}-{sequence}", hash_seed(sequence, 0x1D));
    let reply = answer
        .reply
        .with("RCRequestId", request_id)
        .with("RoutingKey", "SIM01P01");
    respond(reply, ask, manner)
}

/// The answer to a request that has come at `arrived`, with its fault, if any, acted out.
async fn apply_fault(
    account: &Account,
    ask: &ApiRequest,
    arrived: i64,
    fault: Option<FaultKind>,
) -> Result<(ListResponse, Delivery), Closed> {
    wait(account.scenario.latency).await;
    let right = || account.answer(ask, arrived);
    let answer = match fault {
        None => right(),
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
        Some(FaultKind::Body(body)) => as_json(body).into(),
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::Drip { pieces, pause }) => {
            return Ok((right(), Delivery::Drip(pieces, pause)));
        }
        Some(FaultKind::Cut) => return Ok((right(), Delivery::Cut)),
        Some(FaultKind::CloseBeforeAnswer) => return Err(Closed),
        Some(FaultKind::Delay(delay)) => {
            wait(delay).await;
            right()
        }
        Some(FaultKind::NextPage(uri)) => with_next_page(right(), &uri),
        Some(FaultKind::GzipBomb(size)) => {
            as_json(bomb(size)).with("Content-Encoding", "gzip").into()
        }
        Some(FaultKind::Redirect { status, location }) => SimResponse {
            status,
            body: Bytes::new(),
            headers: Vec::new(),
        }
        .with("Location", location)
        .into(),
    };
    Ok((answer, Delivery::Whole))
}

async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn as_json(body: Bytes) -> SimResponse {
    SimResponse {
        status: 200,
        headers: Vec::new(),
        body,
    }
    .with("Content-Type", "application/json;charset=utf-8")
}

fn with_next_page(mut answer: ListResponse, uri: &str) -> ListResponse {
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer.reply.body) {
        let navigation = body.entry("navigation").or_insert_with(|| json!({}));
        if let Some(navigation) = navigation.as_object_mut() {
            navigation.insert("nextPage".to_owned(), json!({"uri": uri}));
        }
        answer.reply.body = serde_json::to_vec(&body).unwrap_or_default().into();
    }
    answer
}

/// White space, so that what unpacks it may believe in JSON to the end.
fn bomb(size: usize) -> Bytes {
    let chunk = [b' '; 64 * 1024];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut left = size;
    while let Some(piece) = chunk
        .get(..left.min(chunk.len()))
        .filter(|piece| !piece.is_empty())
    {
        if encoder.write_all(piece).is_err() {
            break;
        }
        left -= piece.len();
    }
    encoder.finish().unwrap_or_default().into()
}

fn respond(
    reply: SimResponse,
    ask: &ApiRequest,
    manner: Delivery,
) -> Result<Response<Body>, Closed> {
    let reply = if ask.accepts_gzip {
        compressed(reply)
    } else {
        reply
    };
    let mut response = Response::builder()
        .status(reply.status)
        .header("Vary", "Accept-Encoding");
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    response
        .body(Body::new(reply.body, manner))
        .map_err(|_| Closed)
}

fn compressed(reply: SimResponse) -> SimResponse {
    let is_packed = reply
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("Content-Encoding"));
    if is_packed || reply.body.is_empty() {
        return reply;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder
        .write_all(&reply.body)
        .and_then(|()| encoder.finish());
    match packed {
        Ok(packed) => SimResponse {
            body: packed.into(),
            ..reply
        }
        .with("Content-Encoding", "gzip"),
        Err(_) => reply,
    }
}
