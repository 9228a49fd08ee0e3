//! The statements of an exchange, each known for what it is.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::exchange::answer::{Answer, Receipt};
use crate::exchange::bundle::Shown;
use crate::exchange::notice::Notice;
use crate::exchange::reconcile::said::{Agreement, Held, Proposal, Receipts};
use crate::exchange::request::Request;
use crate::ids::{Hash, OdsCode};
use crate::limits::MAX_BULK_FRAME;
use crate::statement::{Any, Body, Signed};
use crate::time::Timestamp;

macro_rules! stated {
    ($($(#[$doc:meta])* $name:ident($body:ty),)*) => {
        /// One statement of an exchange.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Stated {
            $($(#[$doc])* $name(Signed<$body>),)*
        }

        impl Stated {
            /// The statement of that name in these bytes; none if it is no statement of an exchange.
            pub fn read(hash: &Hash, bytes: &[u8]) -> Option<Self> {
                let any: Signed<Any> = codec::decode(bytes, MAX_BULK_FRAME).ok()?;
                $(if any.is(<$body>::LABEL, hash) {
                    return codec::decode(bytes, MAX_BULK_FRAME).ok().map(Self::$name);
                })*
                None
            }

            /// What it is, in words.
            pub const fn label(&self) -> &'static str {
                match self { $(Self::$name(_) => <$body>::LABEL,)* }
            }

            /// Its name.
            pub fn hash(&self) -> Hash {
                match self { $(Self::$name(signed) => signed.hash(),)* }
            }
        }
    };
}

stated! {
    /// Somebody was asked about.
    Request(Request),
    /// What was answered, or is shown in return.
    Answer(Answer),
    /// There is news of somebody shown before.
    Notice(Notice),
    /// The root of a bundle.
    Commitment(Shown),
    /// A bundle of an ask was taken.
    Receipt(Receipt),
    /// A round was proposed.
    Proposal(Proposal),
    /// Its people were agreed.
    Agreement(Agreement),
    /// Bundles of a round are held.
    Held(Held),
    /// Bundles of a round were opened.
    Receipts(Receipts),
}

/// One statement, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who signed it.
    pub by: OdsCode,
    /// What it is.
    pub what: String,
    /// When, if it says so.
    pub at: Option<Timestamp>,
    /// Its name.
    pub statement: Hash,
}
