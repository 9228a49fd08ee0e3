//! A secured line that is written in larger pieces.
//!
//! The muxer writes the head and the body of each of its frames by themselves, and TLS makes a record
//! and a system call of every write. What is buffered here leaves when the muxer flushes, which it
//! does whenever it has nothing more to write.

use futures::future::{BoxFuture, FutureExt, TryFutureExt};
use futures::io::{AsyncWrite, BufWriter};
use libp2p::PeerId;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};

/// Bytes of one connection that may wait to be encrypted: two TLS records.
const BUFFER: usize = 32 * 1024;

/// Another way to secure a line, and a buffer in front of it.
#[derive(Clone)]
pub(super) struct Buffered<U>(pub U);

impl<U: UpgradeInfo> UpgradeInfo for Buffered<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C, U, S> InboundConnectionUpgrade<C> for Buffered<U>
where
    U: InboundConnectionUpgrade<C, Output = (PeerId, S)>,
    U::Future: Send + 'static,
    S: AsyncWrite + 'static,
{
    type Output = (PeerId, BufWriter<S>);
    type Error = U::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.0
            .upgrade_inbound(socket, info)
            .map_ok(buffered)
            .boxed()
    }
}

impl<C, U, S> OutboundConnectionUpgrade<C> for Buffered<U>
where
    U: OutboundConnectionUpgrade<C, Output = (PeerId, S)>,
    U::Future: Send + 'static,
    S: AsyncWrite + 'static,
{
    type Output = (PeerId, BufWriter<S>);
    type Error = U::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.0
            .upgrade_outbound(socket, info)
            .map_ok(buffered)
            .boxed()
    }
}

fn buffered<S: AsyncWrite>((peer, line): (PeerId, S)) -> (PeerId, BufWriter<S>) {
    (peer, BufWriter::with_capacity(BUFFER, line))
}
