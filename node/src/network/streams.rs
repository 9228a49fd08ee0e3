//! Streams over libp2p: the one network behaviour of our own.
//!
//! It exists because `libp2p-stream` drops an inbound stream whenever two arrive before its
//! receiver runs. Here a stream that arrived is handed on with back-pressure, an order to open
//! one is always answered (its sender is dropped with the connection), and whoever connects
//! passes the [`Door`].

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::ConnectionClosed;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::address;
use super::door::Door;

/// Where an opened stream goes; dropped if the connection closes first.
pub(super) type Opened = oneshot::Sender<Result<Stream, Unknown>>;

/// The other side does not know a stream of this name. Its connection is as good as before.
#[derive(Debug)]
pub(super) struct Unknown;

/// A stream the other side opened.
#[derive(Debug)]
pub(super) struct Arrival {
    pub peer: PeerId,
    pub connection: ConnectionId,
    pub name: StreamProtocol,
    pub stream: Stream,
}

/// Opens and receives streams; keeps the door.
pub(super) struct Behaviour {
    pub door: Door,
    names: Names,
    actions: VecDeque<ToSwarm<Arrival, Order>>,
}

impl Behaviour {
    pub fn new(door: Door, names: &'static [&'static str]) -> Self {
        let names = names.iter().map(|name| StreamProtocol::new(name)).collect();
        Self {
            door,
            names: Names(names),
            actions: VecDeque::new(),
        }
    }

    /// Opens a stream on a connection. The swarm must be polled after this, which its one task does.
    pub fn open(&mut self, peer: PeerId, on: ConnectionId, name: &'static str, opened: Opened) {
        self.order(peer, on, Order::Open(StreamProtocol::new(name), opened));
    }

    /// Makes the task of a connection panic.
    #[cfg(test)]
    pub fn sabotage(&mut self, peer: PeerId, on: ConnectionId) {
        self.order(peer, on, Order::Panic);
    }

    fn order(&mut self, peer_id: PeerId, on: ConnectionId, event: Order) {
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id,
            handler: NotifyHandler::One(on),
            event,
        });
    }

    fn handler(&self) -> Lines {
        Lines {
            names: self.names.clone(),
            orders: VecDeque::new(),
            opening: false,
            arrived: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Lines;
    type ToSwarm = Arrival;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.door
            .knock(address::ip(remote), Instant::now())
            .map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.door
            .enter(connection, &peer, address::ip(remote), Instant::now())
            .map_err(ConnectionDenied::new)?;
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(ConnectionClosed {
            connection_id,
            endpoint: ConnectedPoint::Listener { .. },
            ..
        }) = event
        {
            self.door.leave(connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        (name, stream): THandlerOutEvent<Self>,
    ) {
        self.actions.push_back(ToSwarm::GenerateEvent(Arrival {
            peer,
            connection,
            name,
            stream,
        }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Arrival, THandlerInEvent<Self>>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What a connection is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Open(StreamProtocol, Opened),
    #[cfg(test)]
    Panic,
}

/// The streams of one connection.
pub(super) struct Lines {
    names: Names,
    orders: VecDeque<Order>,
    /// One request at a time: with several, libp2p-swarm 0.48 can panic ("cannot extract twice").
    /// Each takes a round trip, so a connection opens 1/RTT streams a second; the answer shows
    /// that the other side lives.
    opening: bool,
    arrived: VecDeque<(StreamProtocol, Stream)>,
}

impl ConnectionHandler for Lines {
    type FromBehaviour = Order;
    type ToBehaviour = (StreamProtocol, Stream);
    type InboundProtocol = Names;
    type OutboundProtocol = Names;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Opened;

    fn listen_protocol(&self) -> SubstreamProtocol<Names> {
        SubstreamProtocol::new(self.names.clone(), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Names, Opened, Self::ToBehaviour>> {
        if let Some(arrived) = self.arrived.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(arrived));
        }
        while !self.opening {
            match self.orders.pop_front() {
                None => break,
                // Whoever asked has given up meanwhile.
                Some(Order::Open(_, opened)) if opened.is_closed() => {}
                Some(Order::Open(name, opened)) => {
                    self.opening = true;
                    return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                        protocol: SubstreamProtocol::new(Names([name].into()), opened),
                    });
                }
                #[cfg(test)]
                #[allow(clippy::panic, reason = "this is the sabotage the test orders")]
                Some(Order::Panic) => panic!("a test sabotaged this connection"),
            }
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Names, Names, (), Opened>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol, ..
            }) => self.arrived.push_back(protocol),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (_, stream),
                info,
            }) => {
                self.opening = false;
                // Whoever asked may have given up: then the stream is dropped, which closes it.
                drop(info.send(Ok(stream)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                self.opening = false;
                if matches!(error, StreamUpgradeError::NegotiationFailed) {
                    drop(info.send(Err(Unknown)));
                }
            }
            _ => {}
        }
    }
}

/// The names of streams one side offers or asks for.
#[derive(Debug, Clone)]
pub(super) struct Names(Arc<[StreamProtocol]>);

impl UpgradeInfo for Names {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        let names: Vec<_> = self.0.iter().cloned().collect();
        names.into_iter()
    }
}

impl InboundUpgrade<Stream> for Names {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((name, stream)))
    }
}

impl OutboundUpgrade<Stream> for Names {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((name, stream)))
    }
}
