//! The PROXY header of a balancer.

use std::time::Duration;

use hangu_gateway::layers::edge::proxy_protocol::{Said, parse, read_header};

/// A header that is accepted is bounded and names somebody; reading it from a stream takes its bytes and no more; and a header
/// with a byte cut off is none.
///
/// # Panics
/// When one of these does not hold.
pub fn proxy_header(bytes: &[u8]) {
    let Some(said) = parse(bytes) else { return };
    assert!(bytes.len() <= 536, "longer than its bound");
    if let Said::Client(client) = said {
        assert!(!client.ip().is_unspecified(), "nobody is there");
    }
    assert_eq!(
        parse(bytes.get(..bytes.len() - 1).unwrap_or_default()),
        None,
        "half of it is enough"
    );
    let stream = [bytes, b"rest"].concat();
    let mut from = stream.as_slice();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let Ok(runtime) = runtime else { return };
    let read = runtime.block_on(read_header(&mut from, Duration::from_secs(5)));
    assert_eq!(read, Ok(said), "a stream is read differently");
    assert_eq!(from, b"rest", "more was taken than the header");
}
