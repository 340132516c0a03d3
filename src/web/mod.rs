//! Access control at run time: TLS, basic auth, rate limit and headers of `--web.config.file`.

pub mod access;
mod auth_cache;
mod basic_auth;
mod client_cert;
pub(crate) mod rate_limiter;
mod tls;
mod verify_limiter;
