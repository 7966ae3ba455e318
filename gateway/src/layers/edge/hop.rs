//! The other end of a connection, and the client behind it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pingora::protocols::GetSocketDigest;
use pingora::protocols::l4::stream::Stream as TcpStream;

use crate::config::Listener;
use crate::denial::Denial;
use crate::layers::edge::proxy_protocol::{Said, read_header};

/// The other end of the connection.
pub(super) fn client_address(tcp: &TcpStream) -> SocketAddr {
    tcp.get_socket_digest()
        .and_then(|digest| digest.peer_addr().and_then(|peer| peer.as_inet().copied()))
        .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
}

/// Where the client is: at the other end of the connection, or where a balancer there says.
pub(super) async fn client_behind(
    tcp: &mut TcpStream,
    hop: SocketAddr,
    config: &Listener,
) -> Result<SocketAddr, Denial> {
    let Some(balancers) = &config.proxy_protocol else {
        return Ok(hop);
    };
    if !balancers.iter().any(|prefix| prefix.covers(hop.ip())) {
        return Err(Denial::ProxyUntrusted);
    }
    match read_header(tcp, config.proxy_timeout).await? {
        Said::Client(client) => Ok(client),
        Said::Local => Ok(hop),
    }
}
