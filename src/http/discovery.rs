//! `/sd`: one target for each account, for Prometheus' HTTP service discovery.
//!
//! Targets have no label `account`, since the series have it. `instance` contains the account's
//! name, since all targets have the same address and would otherwise share one `up`.

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::account::manager::AccountHandle;
use crate::http::response::{self, Response};
use crate::http::routes::{INVALID_HOST, MISSING_HOST};
use crate::web::single_header;

/// Returns one target group for each account, in their order. The address is the host of the
/// request, the only address that is known to reach the exporter.
pub(crate) fn handle<B>(
    accounts: &[AccountHandle],
    request: &Request<B>,
    scheme: &str,
    metrics_path: &str,
) -> Response {
    let host = match host(request) {
        Ok(host) => host,
        Err(reason) => return response::text(StatusCode::BAD_REQUEST, reason),
    };
    let host = host.as_str();
    let mut groups = Vec::new();
    for account in accounts {
        let account = &account.config.name;
        groups.push(json!({
            "targets": [host],
            "labels": {
                "__param_account": account,
                "__scheme__": scheme,
                "__metrics_path__": metrics_path,
                "instance": format!("{host}/{account}"),
            },
        }));
    }
    response::json(&Value::Array(groups))
}

/// Returns the host of the URI if it is absolute (RFC 9112, section 3.2.2), else that of the
/// header.
///
/// # Errors
/// Returns the reason for a 400.
fn host<B>(request: &Request<B>) -> Result<Authority, &'static str> {
    let host = match request.uri().authority() {
        Some(authority) if is_target(authority) => return Ok(authority.clone()),
        Some(_) => return Err("bad request: invalid host in the URI"),
        None => single_header(request.headers(), HOST).ok_or(MISSING_HOST)?,
    };
    match host.parse() {
        Ok(host) if is_target(&host) => Ok(host),
        _ => Err(INVALID_HOST),
    }
}

/// Returns whether the authority has a host, no user information, and a valid port if any.
fn is_target(host: &Authority) -> bool {
    let port = host.as_str().strip_prefix(host.host());
    !host.host().is_empty()
        && !host.as_str().contains('@')
        && port.is_some_and(|port| port.is_empty() || host.port_u16().is_some())
}
