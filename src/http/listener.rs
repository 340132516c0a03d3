//! Sockets to listen on.
//!
//! Owns: what an address without a host means: all interfaces, IPv6 and IPv4 alike, or IPv4 alone where there is no
//! IPv6. An address in use is found here, before anything else has started.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::http::server::WRITE_TIMEOUT;

/// Connections that wait to be accepted; no more than the system allows. With a short queue a flood that comes faster
/// than we accept keeps others from joining it, and they try again after a second, and after three.
const BACKLOG: i32 = 4096;

/// Binds all addresses.
///
/// # Errors
/// Names the address that cannot be had, and why.
pub fn bind_all(addresses: &[String]) -> anyhow::Result<Vec<TcpListener>> {
    let bind = |address: &String| {
        bind(address).with_context(|| format!("--web.listen-address: cannot listen on {address}"))
    };
    addresses.iter().map(bind).collect()
}

/// Binds one address, `HOST:PORT` or `:PORT`.
///
/// # Errors
/// When the host is unknown, or the address is in use or not ours.
pub fn bind(address: &str) -> io::Result<TcpListener> {
    if let Some(port) = address.strip_prefix(':') {
        let port = port
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no port"))?;
        return bind_dual_stack(port);
    }
    let first = address.to_socket_addrs()?.next();
    bind_socket(
        first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address"))?,
    )
}

/// Returns `address` with `localhost` in place of an empty or unspecified host, for clients on this machine.
#[must_use]
pub(crate) fn loopback_if_unspecified(address: &str) -> String {
    match address.rsplit_once(':') {
        Some(("" | "0.0.0.0" | "[::]", port)) => format!("localhost:{port}"),
        _ => address.to_owned(),
    }
}

fn bind_dual_stack(port: u16) -> io::Result<TcpListener> {
    match bind_socket((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            bind_socket((Ipv4Addr::UNSPECIFIED, port).into())
        }
        result => result,
    }
}

fn bind_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // The system's default may be IPv6 alone.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    set_user_timeout(&socket)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What a client does not take lies in the system's memory, after we have closed too, for minutes: so for this long alone.
/// Connections have it from the socket that they come by.
#[cfg(target_os = "linux")]
fn set_user_timeout(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(WRITE_TIMEOUT))
}

/// Other systems have a time of their own.
#[cfg(not(target_os = "linux"))]
fn give_up_readers(_: &Socket) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_host_is_replaced_by_localhost() {
        let cases = [
            (":10072", "localhost:10072"),
            ("0.0.0.0:80", "localhost:80"),
            ("[::]:80", "localhost:80"),
            ("localhost:80", "localhost:80"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[fd00::1]:80", "[fd00::1]:80"),
        ];
        for (address, expected) in cases {
            assert_eq!(loopback_if_unspecified(address), expected);
        }
    }
}
