//! Faults that tests and outages put in front of the account.
//!
//! Pure: decides which fault meets a request. How a fault is acted out is the business of `api`.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::simulator::request_log::Operation;
use crate::simulator::response::SimResponse;

/// What goes wrong.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum FaultKind {
    /// Another answer than the right one; neither token nor rate limit is looked at.
    Status {
        status: u16,
        body: Bytes,
        headers: Vec<(String, String)>,
    },
    /// 200 and this body, said to be JSON, whatever it is.
    Body(Bytes),
    /// Never answers, and holds the connection.
    Hang,
    /// The right answer, its body in this many pieces with this pause before each.
    Drip { pieces: usize, pause: Duration },
    /// The right answer, whose body ends after half of what was promised.
    Cut,
    /// The connection is closed in place of an answer.
    CloseBeforeAnswer,
    /// The right answer, late.
    Delay(Duration),
    /// The right answer, but with this as `navigation.nextPage.uri`.
    NextPage(String),
    /// 200 and a small body that unpacks to this many bytes.
    GzipBomb(usize),
    /// A redirect.
    Redirect { status: u16, location: String },
}

impl From<SimResponse> for FaultKind {
    fn from(reply: SimResponse) -> FaultKind {
        FaultKind::Status {
            status: reply.status,
            body: reply.body,
            headers: reply.headers,
        }
    }
}

/// How often a fault happens before it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// To one request.
    Once,
    /// To so many.
    N(u32),
    /// To all until the faults are cleared.
    Always,
}

/// A fault, whom it meets and how often.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Only requests of this operation meet it.
    pub operation: Operation,
    /// What happens to them.
    pub kind: FaultKind,
    /// To how many of them.
    pub times: Times,
}

impl Fault {
    /// A fault that meets one request.
    pub fn once(operation: Operation, kind: impl Into<FaultKind>) -> Fault {
        Fault {
            operation,
            kind: kind.into(),
            times: Times::Once,
        }
    }

    /// A fault that lasts until it is cleared.
    pub fn always(operation: Operation, kind: impl Into<FaultKind>) -> Fault {
        Fault {
            operation,
            kind: kind.into(),
            times: Times::Always,
        }
    }
}

/// Faults in the order in which they were injected; the first that fits a request meets it.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.0.push_back(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that meets the next request of `operation`.
    pub(super) fn take(&mut self, operation: Operation) -> Option<FaultKind> {
        self.0.retain(|fault| fault.times != Times::N(0));
        let position = self
            .0
            .iter()
            .position(|fault| fault.operation == operation)?;
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
            .map(|_| status(faults.take(operation)))
            .collect()
    }

    #[test]
    fn faults_meet_their_operation_in_order_and_as_often_as_said() {
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
    fn a_lasting_fault_lasts_until_it_is_cleared() {
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
    fn a_fault_for_no_request_meets_none() {
        let mut faults = Faults::default();
        let kind = FaultKind::Hang;
        faults.inject(Fault {
            operation: Operation::Token,
            kind,
            times: Times::N(0),
        });
        assert!(faults.take(Operation::Token).is_none());
    }
}
