//! `fairshare steward propose charter`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use fairshare_protocol::category::Category;
use fairshare_protocol::charter::Amendment;
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::stewards::ProposeCharter;
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::text::Line;

use super::propose::How;
use crate::commands::federation::hash_of;

/// The charter is to have another version: what is not named stays as it is
///
/// Nobody has to join again: what stewards decided and members said goes on to count. What is open
/// when it is decided is over: propose it anew. What stewards decide after this was written ends it.
///
/// Another length of epochs begins at the end of the present epoch, or of the next if fewer than 14
/// days are left; enough must have signed by then.
///
/// If two charters follow the present one, nothing is admitted until one is decided that voids both:
/// propose that with this command, with a change or without.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare steward propose charter --name 'Devon and Cornwall'
  $ fairshare steward propose charter --steward 912 --no-steward L83099 --threshold 2
  $ fairshare steward propose charter --epoch-days 30 --yes
  $ fairshare steward propose charter --equivalent encounters,care-plans,documents")]
pub struct Charter {
    /// The federation's name
    #[arg(long, value_name = "NAME")]
    name: Option<Line>,
    /// The data-sharing agreement the members signed: its hash goes into the charter
    #[arg(long, value_name = "FILE")]
    agreement: Option<PathBuf>,
    /// Who is to be a steward, or one with another key; may be given more than once [default key:
    /// the member's own]
    #[arg(long = "steward", value_name = "CODE[=KEY]")]
    stewards: Vec<Steward>,
    /// Who is to be no steward; may be given more than once
    #[arg(long = "no-steward", value_name = "CODE")]
    no_stewards: Vec<OdsCode>,
    /// How many stewards must sign: more than half, at most all
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<u16>,
    /// Days in an epoch, after which everybody's advert is made anew: 1 to 366
    #[arg(long, value_name = "DAYS")]
    epoch_days: Option<u16>,
    /// New people a member may at most add to its advert in a day
    #[arg(long, value_name = "NUMBER")]
    additions: Option<u32>,
    /// Categories that count as equivalent in the bulk lane; may be given more than once, and takes
    /// the place of all there are
    #[arg(
        long = "equivalent",
        value_name = "CATEGORY,…",
        conflicts_with = "no_equivalent"
    )]
    equivalent: Vec<Equivalent>,
    /// No category is equivalent to another
    #[arg(long)]
    no_equivalent: bool,
    #[command(flatten)]
    pub how: How,
}

/// `CODE` or `CODE=KEY`
#[derive(Debug, Clone)]
struct Steward(OdsCode, Option<PublicKey>);

impl FromStr for Steward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (code, key) = match text.split_once('=') {
            Some((code, key)) => (code, Some(key)),
            None => (text, None),
        };
        let code = code.parse().map_err(|error| format!("{code}: {error}"))?;
        let key = key.map(|key| key.parse().map_err(|error| format!("{key}: {error}")));
        Ok(Self(code, key.transpose()?))
    }
}

/// `CATEGORY,CATEGORY`
#[derive(Debug, Clone)]
struct Equivalent(BTreeSet<Category>);

impl FromStr for Equivalent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let categories = text.split(',').map(|word| {
            let word = word.trim();
            word.parse().map_err(|error| format!("{word}: {error}"))
        });
        let categories = categories.collect::<Result<BTreeSet<Category>, _>>()?;
        if categories.len() < 2 {
            return Err("name two categories or more, with commas between".to_owned());
        }
        Ok(Self(categories))
    }
}

impl Charter {
    /// What the node is asked to write.
    ///
    /// # Errors
    /// If the agreement cannot be read.
    pub fn question(&self) -> Result<ProposeCharter, Failure> {
        let sets = self.equivalent.iter().map(|it| it.0.clone());
        let equivalences = self.no_equivalent || !self.equivalent.is_empty();
        let change = Amendment {
            name: self.name.clone(),
            agreement: self.agreement.as_deref().map(hash_of).transpose()?,
            stewards: None,
            threshold: self.threshold,
            epoch_days: self.epoch_days,
            equivalences: equivalences.then(|| sets.collect()),
            additions_per_day: self.additions,
        };
        let stewards = self.stewards.iter().cloned();
        Ok(ProposeCharter {
            change,
            stewards: stewards.map(|Steward(code, key)| (code, key)).collect(),
            no_stewards: self.no_stewards.iter().cloned().collect(),
        })
    }
}
