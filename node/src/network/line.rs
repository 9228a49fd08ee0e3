//! The line between two nodes over TCP: how it is secured and shared. `tests/compare/transfer` builds
//! this file too, to move bytes over the same line without a node.

use libp2p::identity::Keypair;
use libp2p::{tcp, yamux};

use super::buffered::Buffered;
use super::tls::{self, Tls};

/// Streams of one connection, both ways, at the muxer.
const MUXER_STREAMS: usize = 128;

pub(super) fn tcp() -> tcp::Config {
    tcp::Config::default().nodelay(true)
}

pub(super) fn secured(key: &Keypair) -> Result<Buffered<Tls>, tls::Error> {
    Tls::new(key).map(Buffered)
}

pub(super) fn muxer() -> yamux::Config {
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(MUXER_STREAMS);
    muxer
}
