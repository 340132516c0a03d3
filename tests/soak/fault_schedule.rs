//! Schedule of faults: the phases of a run, drawn from a seed.
//!
//! Each phase has a condition of the network and one of the API. A normal phase follows each phase
//! with faults, so that the exporter can recover.

use std::time::Duration;

use fastrand::Rng;

/// The condition of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    Normal,
    Slow,
    Bytewise,
    Lossy,
    HalfOpen,
    Resetting,
    /// All faults in random order.
    Mixed,
}

/// The condition of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    Normal,
    Unavailable,
    TooManyRequests,
    Html,
    Broken,
    EvictingTokens,
    RotatingJwt,
    RefusingLogins,
    Forbidding,
}

const NETWORKS: [Network; 7] = [
    Network::Normal,
    Network::Slow,
    Network::Bytewise,
    Network::Lossy,
    Network::HalfOpen,
    Network::Resetting,
    Network::Mixed,
];

const APIS: [Api; 9] = [
    Api::Normal,
    Api::Unavailable,
    Api::TooManyRequests,
    Api::Html,
    Api::Broken,
    Api::EvictingTokens,
    Api::RotatingJwt,
    Api::RefusingLogins,
    Api::Forbidding,
];

/// The fault of one exchange, a request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    None,
    /// Request and response are delayed.
    Delay {
        request: Duration,
        response: Duration,
    },
    /// The response is sent byte by byte, with a pause after this number of bytes.
    Bytewise(usize),
    /// The request is read and not forwarded.
    RequestLost,
    /// The request is forwarded, the response is not, and the connection stays open.
    ResponseLost,
    /// The connection is reset after this number of bytes of the request.
    RequestReset(usize),
    /// The connection is reset after this number of bytes of the response.
    ResponseReset(usize),
    /// The connection is closed without a response.
    Closed,
}

impl NetworkFault {
    /// Returns the name in the report.
    pub fn name(self) -> &'static str {
        match self {
            NetworkFault::None => "no fault",
            NetworkFault::Delay { .. } => "delayed",
            NetworkFault::Bytewise(_) => "response byte by byte",
            NetworkFault::RequestLost => "request lost",
            NetworkFault::ResponseLost => "response lost, half-open",
            NetworkFault::RequestReset(_) => "reset in the request",
            NetworkFault::ResponseReset(_) => "reset in the response",
            NetworkFault::Closed => "closed without a response",
        }
    }
}

impl Network {
    /// Draws the fault of the next exchange. Two of three exchanges have one.
    pub fn draw_fault(self, rng: &mut Rng) -> NetworkFault {
        if self == Network::Normal || rng.u8(0..3) == 0 {
            return NetworkFault::None;
        }
        match self {
            Network::Normal => NetworkFault::None,
            Network::Slow => draw_delay(rng),
            Network::Bytewise => NetworkFault::Bytewise(rng.usize(8..64)),
            Network::Lossy => NetworkFault::RequestLost,
            Network::HalfOpen => NetworkFault::ResponseLost,
            Network::Resetting if rng.bool() => NetworkFault::RequestReset(rng.usize(0..300)),
            Network::Resetting => NetworkFault::ResponseReset(rng.usize(0..3000)),
            Network::Mixed => draw_any_fault(rng),
        }
    }
}

fn draw_delay(rng: &mut Rng) -> NetworkFault {
    let request = Duration::from_millis(rng.u64(50..2500));
    let response = Duration::from_millis(rng.u64(50..2500));
    NetworkFault::Delay { request, response }
}

fn draw_any_fault(rng: &mut Rng) -> NetworkFault {
    match rng.u8(0..7) {
        0 => NetworkFault::RequestLost,
        1 => NetworkFault::ResponseLost,
        2 => NetworkFault::RequestReset(rng.usize(0..300)),
        3 => NetworkFault::ResponseReset(rng.usize(0..3000)),
        4 => NetworkFault::Closed,
        5 => NetworkFault::Bytewise(rng.usize(8..64)),
        _ => draw_delay(rng),
    }
}

/// A period with constant conditions.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    pub network: Network,
    pub api: Api,
    pub duration: Duration,
}

impl Phase {
    /// Returns whether the phase has no faults.
    pub fn is_normal(&self) -> bool {
        self.network == Network::Normal && self.api == Api::Normal
    }

    fn normal(seconds: u64) -> Phase {
        Phase {
            network: Network::Normal,
            api: Api::Normal,
            duration: Duration::from_secs(seconds),
        }
    }
}

/// Returns whether a run is too short for the documented rate limit, which would allow few
/// requests.
pub fn is_short(duration: Duration) -> bool {
    duration < Duration::from_secs(300)
}

/// Returns the phases of a run, with and without faults in turn. Each condition occurs once before
/// one occurs again.
pub fn phases(seed: u64, duration: Duration) -> Vec<Phase> {
    let is_short = is_short(duration);
    let (fault_seconds, normal_seconds) = if is_short {
        (8..14, 8..12)
    } else {
        (45..120, 75..180)
    };
    // A short run has no time for conditions that block requests for minutes.
    let apis = if is_short { &APIS[..6] } else { &APIS[..] };
    let mut rng = Rng::with_seed(seed);
    let mut networks = ShuffledCycle::new(&NETWORKS);
    let mut apis = ShuffledCycle::new(apis);
    let mut phases = vec![Phase::normal(if is_short { 15 } else { 60 })];
    while phases.iter().map(|phase| phase.duration).sum::<Duration>() < duration {
        phases.push(Phase {
            network: networks.next(&mut rng),
            api: apis.next(&mut rng),
            duration: Duration::from_secs(rng.u64(fault_seconds.clone())),
        });
        phases.push(Phase::normal(rng.u64(normal_seconds.clone())));
    }
    phases
}

/// An endless sequence of items that is shuffled again after each item has occurred.
struct ShuffledCycle<T> {
    items: Vec<T>,
    remaining: Vec<T>,
}

impl<T: Copy> ShuffledCycle<T> {
    fn new(items: &[T]) -> Self {
        Self {
            items: items.to_vec(),
            remaining: Vec::new(),
        }
    }

    fn next(&mut self, rng: &mut Rng) -> T {
        if self.remaining.is_empty() {
            self.remaining.clone_from(&self.items);
            rng.shuffle(&mut self.remaining);
        }
        self.remaining.pop().unwrap()
    }
}
