//! Log of refused TLS handshakes.
//!
//! Each is logged at debug. Those that an operator can do something about are also logged at info,
//! once per cause in ten minutes: any client can cause them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error};
use tokio::time::Instant;

use crate::clock::Moment;

/// Minimum interval between two lines about one cause.
const INTERVAL: Duration = Duration::from_secs(600);

/// The last lines, by cause. The causes are fixed texts, so their number is bounded.
#[derive(Default)]
pub(crate) struct HandshakeLog(Mutex<HashMap<&'static str, LastLine>>);

struct LastLine {
    logged_at: Instant,
    /// Handshakes since then.
    count: u64,
}

impl HandshakeLog {
    /// Logs a handshake that failed.
    pub(crate) fn record_failure(&self, client: SocketAddr, error: &io::Error) {
        tracing::debug!(%client, %error, "TLS handshake failed");
        let Some(cause) = error.get_ref().and_then(|error| error.downcast_ref()) else {
            return;
        };
        if let Some(cause) = describe(cause)
            && let Some(unlogged) = self.count(cause, Moment::now().instant)
        {
            tracing::info!(%client, cause, %error, unlogged, "TLS handshake refused");
        }
    }

    /// Counts a handshake. Returns the number of those that were not logged if this one is to be
    /// logged.
    fn count(&self, cause: &'static str, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(cause)
            && now.saturating_duration_since(line.logged_at) < INTERVAL
        {
            line.count += 1;
            return None;
        }
        let line = LastLine {
            logged_at: now,
            count: 0,
        };
        let last = lines.insert(cause, line);
        Some(last.map_or(0, |last| last.count))
    }
}

/// Returns the cause, and `None` if the client does not speak TLS or has disconnected.
fn describe(error: &Error) -> Option<&'static str> {
    match error {
        Error::NoCertificatesPresented => Some("the client sent no certificate"),
        Error::InvalidCertificate(error) => Some(describe_certificate(error)),
        Error::PeerIncompatible(_) => {
            Some("client and server have no TLS version, cipher suite or curve in common")
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate,
        ) => Some("the client does not accept the certificate of the exporter"),
        _ => None,
    }
}

fn describe_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate of the client has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate of the client is not valid yet"
        }
        CertificateError::UnknownIssuer => {
            "the certificate of the client is not signed by a valid CA of client_ca_file"
        }
        CertificateError::ApplicationVerificationFailure => {
            "the certificate of the client has no name of client_allowed_sans"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate of the client is not for client authentication"
        }
        _ => "the certificate of the client is invalid or not supported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_is_logged_once_per_interval() {
        let log = HandshakeLog::default();
        let start = Moment::now().instant;
        assert_eq!(log.count("a", start), Some(0));
        for _ in 0..3 {
            assert_eq!(log.count("a", start + INTERVAL / 2), None);
        }
        assert_eq!(log.count("b", start + INTERVAL / 2), Some(0));
        assert_eq!(log.count("a", start + INTERVAL), Some(3));
    }
}
