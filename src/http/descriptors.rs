//! File descriptors: how many connections they allow.
//!
//! Owns: the soft limit, which many systems set to 1024 for the sake of programs that use `select`. We do not, so it is
//! raised as far as we need it and the hard limit lets us. A quarter of them is left to RingCentral and to files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// With these a thousand scrapers at once have a place each.
const TARGET_FD_LIMIT: u64 = 1400;
const MAX_CONNECTIONS: u64 = TARGET_FD_LIMIT / 4 * 3;

/// How many connections may be open. Raises the limit first.
#[must_use]
pub fn max_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(TARGET_FD_LIMIT, |most| most.min(TARGET_FD_LIMIT));
    if limit.current.is_some_and(|now| now < wanted) {
        // If it may not be raised, what is there has to do.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                ..limit
            },
        );
    }
    let current = getrlimit(Resource::Nofile)
        .current
        .unwrap_or(TARGET_FD_LIMIT);
    usize::try_from(MAX_CONNECTIONS.min(current / 4 * 3)).unwrap_or(usize::MAX)
}
