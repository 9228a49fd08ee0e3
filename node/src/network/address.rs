//! Addresses: as operators write them, as libp2p dials them, and what went wrong in plain words.

use std::io;
use std::net::{IpAddr, SocketAddr};

use libp2p::core::transport::TransportError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionError, DialError};
use libp2p::{Multiaddr, PeerId};

use fairshare_protocol::ids::PublicKey;

/// An address as an operator wrote it: `host:port`, or a multiaddr for TCP or QUIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    host: Host,
    port: u16,
    quic: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    /// The name, and the version of IP asked for.
    Name(String, Option<u8>),
}

/// Why an address was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address of a form we know.
    #[error(
        "`{0}` is not an address: write HOST:PORT, /ip4/192.0.2.1/tcp/4711, \
         /dns/node.example.nhs.uk/tcp/4711 or /ip4/192.0.2.1/udp/4711/quic-v1"
    )]
    Unknown(String),
    /// There is no port.
    #[error("`{0}` has no port: write it as HOST:PORT, for example `{0}:4711`")]
    NoPort(String),
    /// Nobody can listen on a name.
    #[error("`{0}` is a name: listen on an IP address, for example 0.0.0.0:4711 for all of them")]
    ListenName(String),
}

/// Checks an address and gives it in its one form, a multiaddr.
///
/// # Errors
/// If it is none.
pub fn normal(text: &str) -> Result<String, AddressError> {
    parse(text).map(|address| address.to_string())
}

pub(super) fn parse(text: &str) -> Result<Address, AddressError> {
    let text = text.trim();
    let unknown = || AddressError::Unknown(text.to_owned());
    if text.starts_with('/') {
        return from_multiaddr(&text.parse().map_err(|_| unknown())?).ok_or_else(unknown);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(Address {
            host: Host::Ip(socket.ip()),
            port: socket.port(),
            quic: false,
        });
    }
    if text.parse::<IpAddr>().is_ok() || is_name(text) {
        return Err(AddressError::NoPort(text.to_owned()));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(unknown)?;
    if !is_name(host) {
        return Err(unknown());
    }
    Ok(Address {
        host: Host::Name(host.to_owned(), None),
        port: port.parse().map_err(|_| unknown())?,
        quic: false,
    })
}

fn is_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (1..=253).contains(&text.len()) && text.bytes().all(letter)
}

fn from_multiaddr(address: &Multiaddr) -> Option<Address> {
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => Host::Ip(ip.into()),
        Protocol::Ip6(ip) => Host::Ip(ip.into()),
        Protocol::Dns(name) if is_name(&name) => Host::Name(name.into_owned(), None),
        Protocol::Dns4(name) if is_name(&name) => Host::Name(name.into_owned(), Some(4)),
        Protocol::Dns6(name) if is_name(&name) => Host::Name(name.into_owned(), Some(6)),
        _ => return None,
    };
    let (port, quic) = match parts.next()? {
        Protocol::Tcp(port) => (port, false),
        Protocol::Udp(port) if parts.next()? == Protocol::QuicV1 => (port, true),
        _ => return None,
    };
    // The key is known from the roster or a link; one in the address says nothing more.
    match (parts.next(), parts.next()) {
        (None | Some(Protocol::P2p(_)), None) => Some(Address { host, port, quic }),
        _ => None,
    }
}

impl Address {
    fn with(&self, ip: IpAddr) -> Multiaddr {
        let address = Multiaddr::from(ip);
        if self.quic {
            address
                .with(Protocol::Udp(self.port))
                .with(Protocol::QuicV1)
        } else {
            address.with(Protocol::Tcp(self.port))
        }
    }

    /// To listen on: an IP address; port 0 lets the system choose.
    pub fn to_listen(&self) -> Result<Multiaddr, AddressError> {
        match &self.host {
            Host::Ip(ip) => Ok(self.with(*ip)),
            Host::Name(name, _) => Err(AddressError::ListenName(name.clone())),
        }
    }

    /// To dial: names are looked up as the system does it. The error is in plain words.
    pub async fn resolve(&self) -> Result<Vec<Multiaddr>, String> {
        let (name, version) = match &self.host {
            Host::Ip(ip) => return Ok(vec![self.with(*ip)]),
            Host::Name(name, version) => (name, version),
        };
        let found = tokio::net::lookup_host((name.as_str(), self.port)).await;
        let found = found.map_err(|_| format!("the name {name} is not known here"))?;
        let addresses: Vec<_> = found
            .map(|socket| socket.ip())
            .filter(|ip| version.is_none_or(|v| (v == 4) == ip.is_ipv4()))
            .take(8)
            .map(|ip| self.with(ip))
            .collect();
        if addresses.is_empty() {
            return Err(format!(
                "the name {name} has no address of the kind asked for"
            ));
        }
        Ok(addresses)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Host::Ip(ip) => return self.with(*ip).fmt(f),
            Host::Name(name, Some(version)) => write!(f, "/dns{version}/{name}")?,
            Host::Name(name, None) => write!(f, "/dns/{name}")?,
        }
        match self.quic {
            true => write!(f, "/udp/{}/quic-v1", self.port),
            false => write!(f, "/tcp/{}", self.port),
        }
    }
}

/// The IP address at the start of a multiaddr.
pub(super) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// The libp2p name of a node key; `None` if the bytes are no Ed25519 key.
pub(super) fn peer_id(key: &PublicKey) -> Option<PeerId> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

/// The node key of a libp2p name, which carries it whole; `None` for keys of other kinds.
pub(super) fn public_key(peer: &PeerId) -> Option<PublicKey> {
    let hash = peer.as_ref();
    // Multihash code 0: the "hash" is the encoded key itself.
    if hash.code() != 0 {
        return None;
    }
    let key = libp2p::identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    let key = key.try_into_ed25519().ok()?;
    Some(PublicKey::new(key.to_bytes()))
}

/// Why a dial failed, in one line for an operator.
pub(super) fn dial_reason(error: &DialError) -> String {
    match error {
        DialError::Transport(tried) => {
            let reasons: Vec<_> = tried
                .iter()
                .map(|(address, error)| format!("{}: {}", shown(address), transport_reason(error)))
                .collect();
            reasons.join("; ")
        }
        DialError::WrongPeerId { address, .. } => format!(
            "{}: another node answers there (its key is not the one the roster names)",
            shown(address)
        ),
        DialError::LocalPeerId { address } => format!("{}: that is this node", shown(address)),
        DialError::NoAddresses => "no address is known".to_owned(),
        DialError::Denied { .. } => "this node has too many connections just now".to_owned(),
        DialError::Aborted | DialError::DialPeerConditionFalse(_) => "given up".to_owned(),
    }
}

/// Why listening failed, in one line for an operator.
pub(super) fn transport_reason(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "this kind of address is not supported".into(),
        TransportError::Other(error) => io_reason(error),
    }
}

/// Why a connection that still looked open was closed.
pub(super) const NO_ANSWER: &str = "the other node stopped answering";

/// Why a connection closed, in one line for an operator.
pub(super) fn closed_reason(cause: Option<&ConnectionError>) -> String {
    let said = match cause {
        None => "this node closed the connection",
        Some(ConnectionError::KeepAliveTimeout) => "the connection was idle",
        Some(ConnectionError::IO(error)) if named(error, "TimedOut") => NO_ANSWER,
        Some(ConnectionError::IO(_)) => "the other node closed the connection",
    };
    said.to_owned()
}

fn io_reason(error: &io::Error) -> String {
    let reasons = [
        ("ConnectionRefused", "nobody listens there"),
        ("TimedOut", "no answer"),
        ("Timeout", "no answer"),
        ("HostUnreachable", "no way there"),
        ("NetworkUnreachable", "no way there"),
        ("AddrInUse", "the port is in use by another program"),
        ("AddrNotAvailable", "this machine has no such address"),
        (
            "PermissionDenied",
            "not permitted (ports below 1024 need a privilege)",
        ),
        (
            "ConnectionReset",
            "the connection was closed before it was set up",
        ),
        (
            "UnexpectedEof",
            "the connection was closed before it was set up",
        ),
        (
            "BrokenPipe",
            "the connection was closed before it was set up",
        ),
    ];
    let found = reasons.iter().find(|(kind, _)| named(error, kind));
    let unknown = "no secure connection could be set up: is a Fairshare node listening there?";
    found.map_or(unknown, |(_, said)| *said).to_owned()
}

/// Whether an error is, or wraps, one of this kind. libp2p wraps the system's errors many times
/// over in types that do not give them back as sources; only their debug text has them all.
fn named(error: &io::Error, kind: &str) -> bool {
    format!("{error:?}").contains(kind)
}

/// An address as an operator would write it.
pub(super) fn shown(address: &Multiaddr) -> String {
    match from_multiaddr(address) {
        Some(Address {
            host: Host::Ip(ip),
            port,
            quic,
        }) => {
            let quic = if quic { " (QUIC)" } else { "" };
            format!("{}{quic}", SocketAddr::new(ip, port))
        }
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_address_is_taken_in_the_forms_operators_write() {
        for (written, normal_form) in [
            ("192.0.2.1:4711", "/ip4/192.0.2.1/tcp/4711"),
            ("[2001:db8::1]:4711", "/ip6/2001:db8::1/tcp/4711"),
            (
                "node.example.nhs.uk:4711",
                "/dns/node.example.nhs.uk/tcp/4711",
            ),
            (" localhost:1 ", "/dns/localhost/tcp/1"),
            ("/ip4/192.0.2.1/tcp/4711", "/ip4/192.0.2.1/tcp/4711"),
            ("/dns4/a.b/tcp/4711", "/dns4/a.b/tcp/4711"),
            ("/dns6/a.b/udp/4711/quic-v1", "/dns6/a.b/udp/4711/quic-v1"),
            (
                "/ip4/192.0.2.1/udp/4711/quic-v1",
                "/ip4/192.0.2.1/udp/4711/quic-v1",
            ),
        ] {
            assert_eq!(normal(written).unwrap(), normal_form);
            assert_eq!(normal(normal_form).unwrap(), normal_form);
        }
        let key = PublicKey::new(
            libp2p::identity::ed25519::Keypair::generate()
                .public()
                .to_bytes(),
        );
        let named = format!("/ip4/192.0.2.1/tcp/4711/p2p/{}", peer_id(&key).unwrap());
        assert_eq!(normal(&named).unwrap(), "/ip4/192.0.2.1/tcp/4711");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_remedy() {
        let message = |text| normal(text).unwrap_err().to_string();
        assert!(message("node.example").contains("`node.example:4711`"));
        assert!(message("192.0.2.1").contains("has no port"));
        for bad in [
            "",
            "/",
            "https://a.b:1",
            "a b:1",
            "a:70000",
            "a:",
            ":1",
            "/ip4/1.2.3.4",
            "/ip4/1.2.3.4/udp/1",
            "/tcp/1",
            "/ip4/1.2.3.4/tcp/1/ws",
            "/ip4/1.2.3/tcp/1",
            "/unix/a",
        ] {
            assert!(
                message(bad).contains("HOST:PORT"),
                "{bad}: {}",
                message(bad)
            );
        }
        let named = parse("a.b:4711").unwrap().to_listen();
        assert_eq!(named, Err(AddressError::ListenName("a.b".into())));
    }

    #[tokio::test]
    async fn a_name_is_looked_up_in_the_version_of_ip_asked_for() {
        let found = parse("/dns4/localhost/tcp/4711")
            .unwrap()
            .resolve()
            .await
            .unwrap();
        assert_eq!(found, vec!["/ip4/127.0.0.1/tcp/4711".parse().unwrap()]);
        let unknown = parse("no-such-name.invalid:1").unwrap().resolve().await;
        assert_eq!(
            unknown,
            Err("the name no-such-name.invalid is not known here".into())
        );
    }

    #[test]
    fn a_key_and_its_libp2p_name_are_one_and_the_same() {
        let key = PublicKey::new(
            libp2p::identity::ed25519::Keypair::generate()
                .public()
                .to_bytes(),
        );
        assert_eq!(public_key(&peer_id(&key).unwrap()), Some(key));
        assert_eq!(public_key(&PeerId::random()), None);
    }
}
