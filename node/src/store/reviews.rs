//! The reviews of emergencies: open until a named person closes them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `reviews` | `o` (open) or `c` (closed), the exchange, the side | [`Item`] |
//!
//! The journal tells the same in its own words: who asked or was answered for `emergency`, and who
//! closed the review.

use fairshare_protocol::control::node::ReviewsState;
use fairshare_protocol::control::reviews::Closure;
use fairshare_protocol::exchange::review::{Review, Side};
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Store, Table};

const OPEN: u8 = b'o';
const CLOSED: u8 = b'c';

/// A review, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What is to be reviewed.
    pub review: Review,
    /// Who closed it; none while it is open.
    pub closed: Option<Closure>,
}

/// The reviews. Changes are durable after the store's next commit.
pub struct Reviews {
    table: Table,
}

fn key(state: u8, exchange: &ExchangeId, side: Side) -> Vec<u8> {
    let side = match side {
        Side::Asked => b'a',
        Side::Answered => b'h',
    };
    [&[state], &exchange.as_bytes()[..], &[side]].concat()
}

impl Reviews {
    /// What the store holds.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        Ok(Self {
            table: store.table("reviews")?,
        })
    }

    /// Opens a review. One that is there stays as it is, open or closed.
    ///
    /// # Errors
    /// If sled fails.
    pub fn begin(&self, review: &Review) -> Result<(), Error> {
        let closed = key(CLOSED, &review.exchange, review.side);
        if !self.table.contains(&closed)? {
            let item = Item {
                review: review.clone(),
                closed: None,
            };
            self.table
                .put_new(&key(OPEN, &review.exchange, review.side), &item)?;
        }
        Ok(())
    }

    /// Those that are open, the oldest first.
    ///
    /// # Errors
    /// If sled fails.
    pub fn all_open(&self) -> Result<Vec<Item>, Error> {
        self.all(OPEN)
    }

    /// Those that are closed, the oldest first.
    ///
    /// # Errors
    /// If sled fails.
    pub fn all_closed(&self) -> Result<Vec<Item>, Error> {
        self.all(CLOSED)
    }

    fn all(&self, state: u8) -> Result<Vec<Item>, Error> {
        let all = self.table.scan::<Item>(&[state]);
        let mut all = all
            .map(|row| row.map(|(_, item)| item))
            .collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|item| (item.review.opened, item.review.exchange, item.review.side));
        Ok(all)
    }

    /// The reviews of an exchange, open or closed: one, or, if a peer took our id for its own, two.
    ///
    /// # Errors
    /// If sled fails.
    pub fn of(&self, exchange: &ExchangeId) -> Result<Vec<Item>, Error> {
        let mut found = Vec::new();
        for side in [Side::Asked, Side::Answered] {
            for state in [OPEN, CLOSED] {
                found.extend(self.table.load(&key(state, exchange, side))?);
            }
        }
        Ok(found)
    }

    /// Closes a review; says whether it was open.
    ///
    /// # Errors
    /// If sled fails.
    pub fn close(&self, review: &Review, closure: Closure) -> Result<bool, Error> {
        let open = key(OPEN, &review.exchange, review.side);
        let Some(mut item) = self.table.load::<Item>(&open)? else {
            return Ok(false);
        };
        item.closed = Some(closure);
        let mut batch = self.table.batch();
        batch.remove(&open);
        batch.put(&key(CLOSED, &review.exchange, review.side), &item);
        batch.apply()?;
        Ok(true)
    }

    /// How many wait to be closed, and how many of them too long.
    ///
    /// # Errors
    /// If sled fails.
    pub fn waiting(&self, now: Timestamp) -> Result<ReviewsState, Error> {
        let mut waiting = ReviewsState::default();
        for row in self.table.scan::<Item>(&[OPEN]) {
            waiting.open += 1;
            waiting.overdue += u64::from(now > row?.1.review.due());
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fairshare_protocol::crypto::seal::SecretKey;
    use fairshare_protocol::exchange::review::WITHIN;
    use fairshare_protocol::member::User;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn review(exchange: u8, side: Side, opened: Timestamp) -> Review {
        Review {
            exchange: ExchangeId::new([exchange; 16]),
            side,
            peer: "RH8".parse().unwrap(),
            person: None,
            user: User {
                name: "Ada Nurse".into(),
                role: "nurse".into(),
                id: "u1".into(),
            },
            reason: "unconscious".parse().unwrap(),
            opened,
        }
    }

    fn closure() -> Closure {
        Closure {
            by: review(0, Side::Asked, NOW).user,
            at: NOW,
            note: "it was one".parse().unwrap(),
        }
    }

    #[test]
    fn a_review_is_open_until_it_is_closed_once_and_overdue_after_72_hours() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::new([1; 32]);
        let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), key).unwrap();
        let reviews = Reviews::open(&store).unwrap();
        // A peer that takes our exchange id for its own hides neither review.
        let [ours, theirs] = [Side::Asked, Side::Answered].map(|side| review(1, side, NOW));
        let later = review(2, Side::Answered, NOW + Duration::from_secs(3600));
        for one in [&later, &ours, &theirs, &ours] {
            reviews.begin(one).unwrap();
        }
        let open: Vec<_> = reviews.all_open().unwrap();
        let open: Vec<_> = open.into_iter().map(|item| item.review).collect();
        assert_eq!(open, [ours.clone(), theirs.clone(), later.clone()]);
        let waiting = |now| {
            let ReviewsState { open, overdue } = reviews.waiting(now).unwrap();
            (open, overdue)
        };
        assert_eq!(waiting(NOW + WITHIN), (3, 0));
        assert_eq!(waiting(NOW + WITHIN + Duration::from_millis(1)), (3, 2));
        assert!(reviews.close(&ours, closure()).unwrap());
        assert!(!reviews.close(&ours, closure()).unwrap());
        reviews.begin(&ours).unwrap();
        assert_eq!(waiting(NOW + WITHIN + Duration::from_millis(1)), (2, 1));
        let closed = reviews.all_closed().unwrap();
        assert_eq!(closed[0].closed, Some(closure()));
        assert_eq!(reviews.of(&ours.exchange).unwrap().len(), 2);
        assert!(reviews.of(&ExchangeId::new([9; 16])).unwrap().is_empty());
    }
}
