//! The door: who may come in, how many strangers at once, how often from one address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use fairshare_protocol::limits::{
    KNOCK_BURST, KNOCK_EVERY, MAX_KNOCKING_ADDRESSES, MAX_MEMBERS, MAX_STRANGERS,
};
use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

/// Decides about every inbound connection, before and after its authentication.
#[derive(Debug, Default)]
pub(super) struct Door {
    members: BTreeSet<PeerId>,
    /// Addresses at which a member was seen: not slowed down before they are authenticated.
    homes: BTreeMap<IpAddr, PeerId>,
    /// Per address, the moment at which its allowance is whole again.
    knocks: BTreeMap<IpAddr, Instant>,
    /// Inbound connections of those who were strangers when they came.
    strangers: BTreeSet<ConnectionId>,
    /// Connections turned away since the start.
    pub turned_away: u64,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("too many connections from this address lately")]
    TooOften,
    #[error("too many strangers are connected")]
    TooManyStrangers,
}

impl Door {
    /// Sets who is a member. Those connected already stay counted as what they came as, so the
    /// caller says [`Door::leave`] for a stranger who became a member.
    pub fn set_members(&mut self, members: BTreeSet<PeerId>) {
        self.homes.retain(|_, peer| members.contains(peer));
        self.members = members;
    }

    /// Notes an address of a member.
    pub fn home(&mut self, peer: &PeerId, ip: Option<IpAddr>) {
        if let Some(ip) = ip
            && self.members.contains(peer)
            && self.homes.len() < 4 * MAX_MEMBERS
        {
            self.homes.insert(whole(ip), *peer);
        }
    }

    /// A connection arrived, its owner not known yet.
    pub fn knock(&mut self, from: Option<IpAddr>, now: Instant) -> Result<(), TurnedAway> {
        match from.map(whole) {
            Some(ip) if !self.homes.contains_key(&ip) => self.charge(ip, now),
            _ => Ok(()),
        }
    }

    /// The owner of an inbound connection is known.
    pub fn enter(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        from: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), TurnedAway> {
        if self.members.contains(peer) {
            self.home(peer, from);
            return Ok(());
        }
        if self.strangers.len() >= MAX_STRANGERS {
            self.turned_away += 1;
            return Err(TurnedAway::TooManyStrangers);
        }
        // Strangers who share an address with a member were not charged when they knocked.
        if let Some(ip) = from.map(whole)
            && self.homes.contains_key(&ip)
        {
            self.charge(ip, now)?;
        }
        self.strangers.insert(connection);
        Ok(())
    }

    /// A connection closed, or its owner is a stranger no more.
    pub fn leave(&mut self, connection: ConnectionId) {
        self.strangers.remove(&connection);
    }

    /// Takes one connection from the allowance of an address: a burst, then one per interval.
    fn charge(&mut self, ip: IpAddr, now: Instant) -> Result<(), TurnedAway> {
        if self.knocks.len() >= MAX_KNOCKING_ADDRESSES {
            self.knocks.retain(|_, whole_at| *whole_at > now);
        }
        let known = self.knocks.contains_key(&ip);
        let whole_at = self.knocks.get(&ip).map_or(now, |at| (*at).max(now)) + KNOCK_EVERY;
        let full = !known && self.knocks.len() >= MAX_KNOCKING_ADDRESSES;
        if full || whole_at > now + KNOCK_EVERY * KNOCK_BURST {
            self.turned_away += 1;
            return Err(TurnedAway::TooOften);
        }
        self.knocks.insert(ip, whole_at);
        Ok(())
    }
}

/// The part of an address one party owns: all of an IPv4 address, 64 bits of an IPv6 one.
fn whole(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn an_address_has_a_burst_and_then_one_connection_per_interval() {
        let mut door = Door::default();
        let now = Instant::now();
        for _ in 0..KNOCK_BURST {
            assert_eq!(door.knock(ip(1), now), Ok(()));
        }
        assert_eq!(door.knock(ip(1), now), Err(TurnedAway::TooOften));
        assert_eq!(door.knock(ip(2), now), Ok(()));
        assert_eq!(door.knock(ip(1), now + KNOCK_EVERY), Ok(()));
        assert_eq!(
            door.knock(ip(1), now + KNOCK_EVERY),
            Err(TurnedAway::TooOften)
        );
        assert_eq!(door.turned_away, 2);
    }

    #[test]
    fn a_member_is_let_in_however_many_strangers_there_are() {
        let mut door = Door::default();
        let now = Instant::now();
        let member = PeerId::random();
        door.set_members([member].into());
        for id in 0..MAX_STRANGERS {
            let from = Some(IpAddr::from([10, 0, (id / 250) as u8, (id % 250) as u8]));
            let id = ConnectionId::new_unchecked(id);
            assert_eq!(door.enter(id, &PeerId::random(), from, now), Ok(()));
        }
        let next = ConnectionId::new_unchecked(9999);
        let refused = door.enter(next, &PeerId::random(), ip(9), now);
        assert_eq!(refused, Err(TurnedAway::TooManyStrangers));
        assert_eq!(door.enter(next, &member, ip(9), now), Ok(()));
        door.leave(ConnectionId::new_unchecked(0));
        assert_eq!(door.enter(next, &PeerId::random(), ip(9), now), Ok(()));
    }

    #[test]
    fn a_stranger_at_a_members_address_uses_up_only_the_strangers_allowance() {
        let mut door = Door::default();
        let now = Instant::now();
        let member = PeerId::random();
        door.set_members([member].into());
        door.home(&member, ip(1));
        for _ in 0..10 * KNOCK_BURST {
            assert_eq!(door.knock(ip(1), now), Ok(()));
        }
        for id in 0..KNOCK_BURST as usize {
            let id = ConnectionId::new_unchecked(id);
            assert_eq!(door.enter(id, &PeerId::random(), ip(1), now), Ok(()));
            door.leave(id);
        }
        let id = ConnectionId::new_unchecked(9999);
        let refused = door.enter(id, &PeerId::random(), ip(1), now);
        assert_eq!(refused, Err(TurnedAway::TooOften));
        assert_eq!(door.enter(id, &member, ip(1), now), Ok(()));
    }

    #[test]
    fn the_table_of_addresses_is_bounded() {
        let mut door = Door::default();
        let now = Instant::now();
        for n in 0..2 * MAX_KNOCKING_ADDRESSES as u32 {
            let _ = door.knock(Some(IpAddr::from(n.to_be_bytes())), now);
        }
        assert_eq!(door.knocks.len(), MAX_KNOCKING_ADDRESSES);
        assert_eq!(door.knock(ip(1), now + 2 * KNOCK_EVERY), Ok(()));
    }
}
