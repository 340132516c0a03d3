//! `/sd`: each account as a target of its own, for Prometheus' HTTP service discovery.
//!
//! Owns: the labels of a target. There is no label `account`, since the series have it; `instance` has the account's
//! name, since all targets have one address and would share one `up`.

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};
use serde::Serialize;

use crate::account::manager::AccountHandle;
use crate::http::response::{self, Response};

#[derive(Serialize)]
struct TargetGroup<'a> {
    targets: [&'a str; 1],
    labels: TargetLabels<'a>,
}

#[derive(Serialize)]
struct TargetLabels<'a> {
    #[serde(rename = "__param_account")]
    account: &'a str,
    #[serde(rename = "__scheme__")]
    scheme: &'a str,
    #[serde(rename = "__metrics_path__")]
    path: &'a str,
    instance: String,
}

/// A group for each account, in their order. The address is the one by which we were asked: no other is known to be right.
pub fn handle<B>(
    accounts: &[AccountHandle],
    request: &Request<B>,
    scheme: &str,
    path: &str,
) -> Response {
    let Some(host) = host(request) else {
        return response::text(
            StatusCode::BAD_REQUEST,
            "the request has no Host from which a target could be made",
        );
    };
    let groups: Vec<_> = accounts
        .iter()
        .map(|it| group(&host, &it.account.name, scheme, path))
        .collect();
    response::json(&groups)
}

fn group<'a>(
    host: &'a Authority,
    account: &'a str,
    scheme: &'a str,
    path: &'a str,
) -> TargetGroup<'a> {
    let instance = format!("{host}/{account}");
    TargetGroup {
        targets: [host.as_str()],
        labels: TargetLabels {
            account,
            scheme,
            path,
            instance,
        },
    }
}

/// From the address if it is a whole one, as HTTP asks for; else from the header.
fn host<B>(request: &Request<B>) -> Option<Authority> {
    let header = || {
        let mut values = request.headers().get_all(HOST).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        value.to_str().ok()?.parse().ok()
    };
    let host: Authority = request.uri().authority().cloned().or_else(header)?;
    is_target(&host).then_some(host)
}

/// Neither a user nor a password, and a port that is one, if any.
fn is_target(host: &Authority) -> bool {
    let port = host.as_str().strip_prefix(host.host());
    !host.host().is_empty()
        && !host.as_str().contains('@')
        && port.is_some_and(|port| port.is_empty() || host.port_u16().is_some())
}
