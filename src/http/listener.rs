//! Sockets to listen on.
//!
//! An address without a host means all interfaces, IPv6 and IPv4, or only IPv4 where there is no
//! IPv6.

use std::io::{self, Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::secret::redact_address;

/// Maximum number of connections that wait to be accepted; the system may set a lower one. If the
/// queue is full, the system drops new connections, and their clients retry after 1 s and after 3
/// s.
const BACKLOG: i32 = 4096;
/// Maximum number of bytes that the kernel holds for a client that does not receive them. Without it, up to 4 MiB for
/// each client count towards the memory limit of a container.
#[cfg(target_os = "linux")]
const MAX_UNSENT_BYTES: u32 = 16 * 1024;

/// Binds all addresses.
///
/// # Errors
/// Returns an error with the first address that cannot be bound.
pub fn bind_all(addresses: &[String]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = bind(address).with_context(|| {
            let address = redact_address(address);
            format!("--web.listen-address: cannot listen on {address}")
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Binds one address, `HOST:PORT` or `:PORT`.
///
/// # Errors
/// Returns an error if the host cannot be resolved, or the address is in use or not an address of
/// this machine.
pub fn bind(address: &str) -> io::Result<TcpListener> {
    if let Some(port) = address.strip_prefix(':') {
        return match port.parse() {
            Ok(port) => bind_dual_stack(port),
            Err(_) => Err(Error::new(ErrorKind::InvalidInput, "invalid port")),
        };
    }
    match address.to_socket_addrs()?.next() {
        Some(address) => bind_socket(address),
        None => Err(Error::new(ErrorKind::NotFound, "the host has no address")),
    }
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
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            bind_socket((Ipv4Addr::UNSPECIFIED, port).into())
        }
        result => result,
    }
}

fn bind_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // The system's default for the unspecified address may be only IPv6.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Accepted connections inherit `TCP_USER_TIMEOUT`, so that the kernel drops data that a client
    // does not read after 10 s instead of minutes, even if the connection is closed. Other systems
    // have no such option.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(crate::http::server::WRITE_TIMEOUT))?;
    // Inherited too.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    // Inherited too. A response is written in several pieces, and each would wait up to 40 ms for the acknowledgement of
    // the one before.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
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

    #[tokio::test]
    async fn connections_inherit_options_of_the_listener() {
        let listener = bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _client = tokio::net::TcpStream::connect(address).await.unwrap();
        let (connection, _) = listener.accept().await.unwrap();
        assert!(connection.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket2::SockRef::from(&connection)
                .tcp_notsent_lowat()
                .unwrap(),
            MAX_UNSENT_BYTES
        );
    }
}
