//! Webhook server that stores the alerts that Alertmanager posts.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// Received alerts, shared with the server task.
type Alerts = Arc<Mutex<Vec<Value>>>;

/// HTTP server on a free port that receives notifications.
pub struct Webhook {
    url: String,
    alerts: Alerts,
}

impl Webhook {
    /// Starts the server; it runs until the test ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let alerts = Alerts::default();
        tokio::spawn(serve(listener, alerts.clone()));
        Self { url, alerts }
    }

    /// Returns the URL to post to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the alerts received so far.
    pub fn alerts(&self) -> Vec<Value> {
        self.alerts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Accepts connections until the listener fails.
async fn serve(listener: TcpListener, alerts: Alerts) {
    while let Ok((stream, _)) = listener.accept().await {
        let alerts = alerts.clone();
        let service = service_fn(move |request| receive(request, alerts.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Stores the alerts of one notification.
async fn receive(
    request: Request<Incoming>,
    alerts: Alerts,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let posted: Value = serde_json::from_slice(&body).unwrap();
    let posted = posted["alerts"].as_array().unwrap();
    alerts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend_from_slice(posted);
    Ok(Response::new(Empty::new()))
}
