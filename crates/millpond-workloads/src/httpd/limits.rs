//! What one client may take: bytes, places and time.

use std::time::Duration;

/// Limits of a server. Every one of them holds for a single connection, but the
/// number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest head of a request, in bytes: request line and headers.
    pub head_bytes: usize,
    /// The longest body of a request, in bytes.
    pub body_bytes: u64,
    /// The most connections at once. One more is answered 503 and closed.
    pub connections: usize,
    /// How long a connection may be quiet between two requests.
    pub idle: Duration,
    /// How long a request may take to arrive, from its first byte to its last.
    pub request: Duration,
    /// How long a client may take to accept a buffer of the answer, 64 KiB at most.
    pub write: Duration,
    /// How long requests that are under way are waited for when the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 8 << 10,
            body_bytes: 1 << 20,
            connections: 1_024,
            idle: Duration::from_secs(30),
            request: Duration::from_secs(10),
            write: Duration::from_secs(10),
            grace: Duration::from_secs(5),
        }
    }
}
