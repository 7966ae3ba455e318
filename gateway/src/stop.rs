//! How the process is told to stop: SIGTERM drains, SIGINT leaves at once, SIGQUIT hands the sockets over and drains.
//!
//! Pingora's own SIGINT tears the runtimes down under the accept loops, which then may spin instead of ending. So it becomes a
//! drain that waits for nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pingora::server::{RunArgs, ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{SignalKind, signal};
use tracing::error;

/// The signals of a process that serves.
#[derive(Clone, Copy, Debug)]
pub struct Signals;

impl Signals {
    /// As Pingora takes them.
    #[must_use]
    pub fn args() -> RunArgs {
        RunArgs {
            shutdown_signal: Box::new(Self),
        }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let signals = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::quit()),
        );
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut quit)) = signals else {
            error!("cannot listen for signals, stopping");
            return ShutdownSignal::GracefulTerminate;
        };
        let asked = tokio::select! {
            _ = interrupt.recv() => {
                HURRIES.store(true, Ordering::Release);
                return ShutdownSignal::GracefulTerminate;
            }
            _ = terminate.recv() => ShutdownSignal::GracefulTerminate,
            _ = quit.recv() => ShutdownSignal::GracefulUpgrade,
        };
        // Who has lost patience with the drain may still say so.
        tokio::spawn(async move {
            interrupt.recv().await;
            HURRIES.store(true, Ordering::Release);
        });
        asked
    }
}

/// Whether the process is to leave without waiting for requests in flight.
#[must_use]
pub fn hurries() -> bool {
    HURRIES.load(Ordering::Acquire)
}

/// Set by SIGINT; like the signal it belongs to the process.
static HURRIES: AtomicBool = AtomicBool::new(false);
