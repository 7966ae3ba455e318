//! Closing a connection so that whoever is refused can hear it.

use std::time::Duration;

use pingora::protocols::l4::stream::Stream as TcpStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// Closes so that the client can read the alert. A TLS 1.3 client sends its request right behind the handshake; closing with
/// those bytes unread would reset the connection, and the reset takes the alert out of the client's buffer.
pub(super) async fn hang_up(mut tcp: TcpStream) {
    let read_away = async {
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // Whatever comes of it, the connection ends here.
    drop(timeout(LINGER, read_away).await);
}

/// Ends a handshake that is over already: the alert that can still be sent is that nothing follows (RFC 8446 section 6.1).
pub(super) async fn nothing_follows(mut tls: TlsStream<TcpStream>) -> TcpStream {
    // Who does not take it in time is cut off without.
    drop(timeout(LINGER, tls.shutdown()).await);
    tls.into_inner().0
}

/// How long, and for how many bytes, a refused client is listened to, so that it can hear why.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: u64 = 64 * 1024;
