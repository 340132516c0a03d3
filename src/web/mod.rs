//! Access control at run time: TLS, basic auth, rate limit and headers of `--web.config.file`.

pub mod access;
pub mod auth_cache;
pub mod basic_auth;
pub mod client_cert;
pub mod client_network;
pub mod rate_limiter;
pub mod tls;
pub mod verify_limiter;
