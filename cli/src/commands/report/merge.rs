//! `fairshare report merge`

use std::path::PathBuf;
use std::time::SystemTime;

use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::FederationId;
use fairshare_protocol::ledger::balance::{self, Bad, Export, Table};
use fairshare_protocol::time::{Period, Timestamp};

use super::When;
use super::balance::told;
use crate::client::Client;
use crate::commands::verify;
use crate::report::To;

/// Merge what several members exported into one table: what each pair asked and showed
///
/// Needs no node, no network and no home, and believes nobody: each export must be signed by its
/// member's node and hold all it signed for, each page by its writer, and what two exports have of one
/// chain must be one chain. Compare the federation's id with what you know of it, or give it with
/// --federation. Exits 3, with the reason, if anything is not in order.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare report merge rh8.balance l83024.balance 912.balance
  $ fairshare report merge *.balance --since 2026-04-01 --until 2026-06-30 --to area.html
  $ fairshare report merge *.balance --federation 5f0c… --to area.csv")]
pub struct Merge {
    /// What `fairshare report balance --export` wrote, at each member
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    when: When,
    /// The federation they must be of, as `fairshare federation show` gives it [default: any, and named]
    #[arg(long, value_name = "HEX")]
    federation: Option<FederationId>,
    #[command(flatten)]
    to: To,
}

impl Merge {
    pub fn run(self, client: &Client) -> Result<u8, Failure> {
        let period = self.when.period()?;
        self.to.check()?;
        let table = table(&self.files, period)?;
        if self.federation.is_some_and(|it| it != table.federation) {
            let (name, id) = (&table.name, &table.federation);
            let fact = format!("these exports are of another federation: {name} ({id})");
            let remedy = "name the files of that federation, or its id as `fairshare federation show` \
                          gives it";
            return Err(Failure::new(REFUSED, fact, remedy));
        }
        self.to.give(client.output, &table, &told(&table))?;
        Ok(0)
    }
}

/// What these files come to.
pub fn table(files: &[PathBuf], period: Period) -> Result<Table, Failure> {
    let now: Timestamp = SystemTime::now().into();
    let mut merge = balance::Merge::default();
    for path in files {
        let remedy = "name the files that `fairshare report balance --export` wrote";
        let head: verify::Head = verify::read(path, remedy)?;
        if head.format != balance::FORMAT {
            return Err(verify::another_kind(path, &head, remedy));
        }
        let export: Export = verify::read(path, remedy)?;
        merge.take(&export, now).map_err(|bad| {
            let fact = format!("{} is NOT in order: {bad}", path.display());
            match &bad {
                Bad::Format => Failure::new(WRONG, fact, remedy),
                Bad::OtherFederation { .. } => {
                    Failure::new(REFUSED, fact, "merge the files of one federation at a time")
                }
                Bad::Fork { writer, .. } => {
                    let remedy = format!(
                        "keep all the files: the two pages are evidence against {writer}; show them to \
                         the stewards"
                    );
                    Failure::new(REFUSED, fact, remedy)
                }
                _ => Failure::new(REFUSED, fact, KEEP),
            }
        })?;
    }
    let table = merge.table(period);
    table.map_err(|bad| Failure::new(REFUSED, bad.to_string(), "have that member export anew"))
}

const KEEP: &str = "keep the file as evidence, and have its member export anew";
