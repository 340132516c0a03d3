//! What goes wrong and when: a run's phases, drawn from a seed.
//!
//! Pure. Owns which troubles there are, how long each lasts, and what becomes of one exchange in bad weather. Between
//! two storms there is a calm, so that it shows whether the exporter gets well. Knows no sockets and no faults of the API.

use std::time::Duration;

use fastrand::Rng;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    Clear,
    Slow,
    Bytewise,
    Lossy,
    HalfOpen,
    Resetting,
    Wild,
}

/// What the API does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    Well,
    Unavailable,
    TooMany,
    Html,
    Broken,
    Evicting,
    Rotating,
    RefusingLogins,
    Forbidding,
}

const NETWORKS: [Network; 7] = [
    Network::Clear,
    Network::Slow,
    Network::Bytewise,
    Network::Lossy,
    Network::HalfOpen,
    Network::Resetting,
    Network::Wild,
];

const APIS: [Api; 9] = [
    Api::Well,
    Api::Unavailable,
    Api::TooMany,
    Api::Html,
    Api::Broken,
    Api::Evicting,
    Api::Rotating,
    Api::RefusingLogins,
    Api::Forbidding,
];

/// What becomes of one exchange: a request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    /// So late there, and so late back.
    Late(Duration, Duration),
    /// The reply comes byte by byte, with a pause after each so many bytes.
    Bytewise(usize),
    /// The request is taken and goes nowhere.
    RequestLost,
    /// The request arrives, the reply goes nowhere, and the connection stays.
    ReplyLost,
    /// The connection is reset after so many bytes of the request.
    RequestReset(usize),
    /// The connection is reset after so many bytes of the reply.
    ReplyReset(usize),
    /// The connection is closed in order, in place of a reply.
    Closed,
}

impl Fate {
    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Pass => "passed untouched",
            Fate::Late(..) => "late",
            Fate::Bytewise(_) => "reply byte by byte",
            Fate::RequestLost => "request lost",
            Fate::ReplyLost => "reply lost, half-open",
            Fate::RequestReset(_) => "reset in the request",
            Fate::ReplyReset(_) => "reset in the reply",
            Fate::Closed => "closed in place of a reply",
        }
    }
}

impl Network {
    /// What becomes of the next exchange: in bad weather two of three meet it.
    pub fn fate(self, dice: &mut Rng) -> Fate {
        if self == Network::Clear || dice.u8(0..3) == 0 {
            return Fate::Pass;
        }
        match self {
            Network::Clear => Fate::Pass,
            Network::Slow => late(dice),
            Network::Bytewise => Fate::Bytewise(dice.usize(8..64)),
            Network::Lossy => Fate::RequestLost,
            Network::HalfOpen => Fate::ReplyLost,
            Network::Resetting if dice.bool() => Fate::RequestReset(dice.usize(0..300)),
            Network::Resetting => Fate::ReplyReset(dice.usize(0..3000)),
            Network::Wild => wild(dice),
        }
    }
}

fn late(dice: &mut Rng) -> Fate {
    let mut leg = || Duration::from_millis(dice.u64(50..2500));
    Fate::Late(leg(), leg())
}

fn wild(dice: &mut Rng) -> Fate {
    match dice.u8(0..7) {
        0 => Fate::RequestLost,
        1 => Fate::ReplyLost,
        2 => Fate::RequestReset(dice.usize(0..300)),
        3 => Fate::ReplyReset(dice.usize(0..3000)),
        4 => Fate::Closed,
        5 => Fate::Bytewise(dice.usize(8..64)),
        _ => late(dice),
    }
}

/// A stretch of one weather.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    pub network: Network,
    pub api: Api,
    pub lasts: Duration,
}

impl Phase {
    pub fn is_calm(&self) -> bool {
        (self.network, self.api) == (Network::Clear, Api::Well)
    }

    fn calm(seconds: u64) -> Phase {
        Phase {
            network: Network::Clear,
            api: Api::Well,
            lasts: Duration::from_secs(seconds),
        }
    }
}

/// Whether a run is too short for the documented limit to let much happen.
pub fn is_short(duration: Duration) -> bool {
    duration < Duration::from_secs(300)
}

/// The phases of a run: a calm, then storms and calms by turns. Each kind of trouble comes once before one comes twice.
pub fn phases(seed: u64, duration: Duration) -> Vec<Phase> {
    let is_short = is_short(duration);
    let (storm, calm) = if is_short {
        (8..14, 8..12)
    } else {
        (45..120, 75..180)
    };
    let mut dice = Rng::with_seed(seed);
    // A short run has no time for what costs minutes of silence.
    let apis = if is_short { &APIS[..6] } else { &APIS[..] };
    let (mut networks, mut apis) = (Deck::of(&NETWORKS), Deck::of(apis));
    let mut phases = vec![Phase::calm(if is_short { 15 } else { 60 })];
    while phases.iter().map(|phase| phase.lasts).sum::<Duration>() < duration {
        let (network, api) = (networks.draw(&mut dice), apis.draw(&mut dice));
        phases.push(Phase {
            network,
            api,
            lasts: Duration::from_secs(dice.u64(storm.clone())),
        });
        phases.push(Phase::calm(dice.u64(calm.clone())));
    }
    phases
}

/// Cards that are shuffled anew when all have been drawn.
struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    fn of(all: &[T]) -> Self {
        Self {
            all: all.to_vec(),
            left: Vec::new(),
        }
    }

    fn draw(&mut self, dice: &mut Rng) -> T {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            dice.shuffle(&mut self.left);
        }
        self.left.pop().unwrap()
    }
}
