//! Which keys may have signed a member's pages, and until when.

use std::collections::BTreeMap;

use crate::ids::{OdsCode, PublicKey};
use crate::roster::decision::Kind;
use crate::roster::{Claim, Statement, Statements};
use crate::time::Timestamp;

/// Every node key a member's organisation ever named: pages outlive the key that signed them. What
/// a key signed after stewards voided it, by naming another organisation key or removing the member,
/// is void.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<PublicKey, Option<Timestamp>>);

impl Keys {
    /// The keys these statements name.
    pub fn of(statements: &Statements, code: &OdsCode) -> Self {
        let mut named: BTreeMap<PublicKey, u32> = BTreeMap::new();
        let mut voided = Vec::new();
        for statement in statements.about(code) {
            match statement {
                Statement::Own(signed) => {
                    let Ok(body) = signed.peek() else { continue };
                    if let Ok(Claim::Node(keys)) = body.claim() {
                        let last = named.entry(keys.node).or_default();
                        *last = body.n.max(*last);
                    }
                }
                Statement::Charter(_) => {}
                Statement::Steward(signed) => {
                    let Ok(body) = signed.peek() else { continue };
                    let kind = body.decision().map(|decision| decision.kind());
                    if matches!(kind, Ok(Kind::Key | Kind::Remove)) {
                        voided.push((body.n, body.at));
                    }
                }
            }
        }
        let since = |last: u32| {
            let after = voided.iter().filter(|(n, _)| *n > last);
            after.map(|(_, at)| *at).min()
        };
        Self(named.into_iter().map(|(key, n)| (key, since(n))).collect())
    }

    /// Whether it is one of them.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.0.contains_key(key)
    }

    /// Whether what it signed at that time is void.
    pub fn is_void(&self, key: &PublicKey, at: Timestamp) -> bool {
        let since = self.0.get(key).copied().flatten();
        since.is_some_and(|since| at > since)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<PublicKey> for Keys {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key, None)).collect())
    }
}
