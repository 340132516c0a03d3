//! Faults that tests and outages inject; `api` applies them to responses.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::simulator::request_log::Operation;
use crate::simulator::response::SimResponse;

/// A failure of the API or of the network.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum FaultKind {
    /// This response in place of the regular one; token and rate limit are not checked.
    Status {
        status: u16,
        body: Bytes,
        headers: Vec<(String, String)>,
    },
    /// Status 200 with this body, declared as JSON.
    Body(Bytes),
    /// No response, while the connection stays open.
    Hang,
    /// The regular response, with its body in this many pieces and a pause before each.
    Drip { pieces: usize, pause: Duration },
    /// The regular response, with the connection closed after half of the body.
    Truncate,
    /// No response; the connection is closed.
    CloseBeforeResponse,
    /// The regular response after this delay.
    Delay(Duration),
    /// The regular response with this `navigation.nextPage.uri`.
    NextPage(String),
    /// Status 200 with a small body that decompresses to this number of bytes.
    GzipBomb(usize),
    /// A redirect to `location`.
    Redirect { status: u16, location: String },
    /// A failure of an event connection; requests over HTTP have their regular response.
    Gateway(GatewayFault),
}

/// A failure of an event connection. The first one applies to `Operation::Subscription`, those up to `Unreliable` to
/// `Operation::Notification`, and the others to `Operation::EventStream`: immediately, to an open connection or to the next.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum GatewayFault {
    /// The subscription is made without the filters that were asked for.
    DisabledFilters,
    /// The notification is not sent.
    Lost,
    /// The notification is sent twice.
    Duplicated,
    /// The notification is sent later by this time, and newer ones before it.
    Late(Duration),
    /// Shares of notifications, 0 to 1, that are lost, sent twice, or sent 1 to 20 s later.
    Unreliable {
        lost: f64,
        duplicated: f64,
        late: f64,
    },
    /// The connection is closed with this code and reason.
    Close { code: u16, reason: String },
    /// An `Error` message with this code, then the connection is closed.
    Error { code: &'static str },
    /// The TCP connection is closed, without a message.
    Disconnect,
    /// The connection stays open, but nothing is sent any more, not even an answer to a ping.
    Silence,
    /// This text message is sent.
    Text(String),
    /// A text message of this number of bytes is sent.
    Oversized(usize),
    /// These bytes are sent, outside of any WebSocket frame.
    RawBytes(Bytes),
    /// From now on all bytes are sent in pieces of this size, with a pause before each.
    Slow { piece: usize, pause: Duration },
}

impl From<GatewayFault> for FaultKind {
    fn from(fault: GatewayFault) -> FaultKind {
        FaultKind::Gateway(fault)
    }
}

impl From<SimResponse> for FaultKind {
    fn from(response: SimResponse) -> FaultKind {
        FaultKind::Status {
            status: response.status,
            body: response.body,
            headers: response.headers,
        }
    }
}

/// The number of requests to which a fault applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// One request.
    Once,
    /// This number of requests.
    N(u32),
    /// All requests until the faults are cleared.
    Always,
}

/// A fault with the requests to which it applies.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Operation whose requests fail.
    pub operation: Operation,
    /// Kind of the failure.
    pub kind: FaultKind,
    /// Number of requests that fail.
    pub times: Times,
}

impl Fault {
    /// Creates a fault for one request.
    pub fn once(operation: Operation, kind: impl Into<FaultKind>) -> Fault {
        Fault {
            operation,
            kind: kind.into(),
            times: Times::Once,
        }
    }

    /// Creates a fault for all requests until it is cleared.
    pub fn always(operation: Operation, kind: impl Into<FaultKind>) -> Fault {
        Fault {
            operation,
            kind: kind.into(),
            times: Times::Always,
        }
    }
}

/// Faults in the order of injection; the first one of a request's operation applies to it.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<Fault>);

impl Faults {
    /// Appends a fault.
    pub(super) fn inject(&mut self, fault: Fault) {
        self.0.push_back(fault);
    }

    /// Removes all faults.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the fault for the next request of `operation` and counts it as applied.
    pub(super) fn take_next(&mut self, operation: Operation) -> Option<FaultKind> {
        self.0.retain(|fault| fault.times != Times::N(0));
        let mut faults = self.0.iter();
        let position = faults.position(|fault| fault.operation == operation)?;
        let fault = self.0.get_mut(position)?;
        let kind = fault.kind.clone();
        match &mut fault.times {
            Times::Always => {}
            Times::Once => drop(self.0.remove(position)),
            Times::N(left) => *left -= 1,
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(faults: &mut Faults, operation: Operation, requests: usize) -> Vec<u16> {
        let status = |kind| match kind {
            Some(FaultKind::Status { status, .. }) => status,
            _ => 200,
        };
        (0..requests)
            .map(|_| status(faults.take_next(operation)))
            .collect()
    }

    #[test]
    fn faults_apply_in_order_to_their_operation() {
        let mut faults = Faults::default();
        let kind = FaultKind::from(SimResponse::unavailable(500));
        faults.inject(Fault {
            operation: Operation::ActiveCalls,
            kind,
            times: Times::N(2),
        });
        faults.inject(Fault::once(
            Operation::ActiveCalls,
            SimResponse::unavailable(503),
        ));
        assert_eq!(statuses(&mut faults, Operation::Token, 1), [200]);
        assert_eq!(
            statuses(&mut faults, Operation::ActiveCalls, 4),
            [500, 500, 503, 200]
        );
    }

    #[test]
    fn permanent_fault_applies_until_cleared() {
        let mut faults = Faults::default();
        faults.inject(Fault::always(
            Operation::Token,
            SimResponse::grant_not_allowed(),
        ));
        assert_eq!(statuses(&mut faults, Operation::Token, 3), [400, 400, 400]);
        faults.clear();
        assert_eq!(statuses(&mut faults, Operation::Token, 1), [200]);
    }

    #[test]
    fn fault_for_zero_requests_never_applies() {
        let mut faults = Faults::default();
        let kind = FaultKind::Hang;
        faults.inject(Fault {
            operation: Operation::Token,
            kind,
            times: Times::N(0),
        });
        assert!(faults.take_next(Operation::Token).is_none());
    }
}
