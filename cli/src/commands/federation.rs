//! `fairshare federation`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use fairshare_node::membership;
use fairshare_protocol::armour;
use fairshare_protocol::charter::{self, Charter};
use fairshare_protocol::control::roster::{Entered, FederationReport, Found, Introduce, Members};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Hash, OdsCode, PublicKey};
use fairshare_protocol::join::Joining;
use fairshare_protocol::roster::{Roster, Statement, Statements, Welcome};
use fairshare_protocol::statement::CoSigned;
use fairshare_protocol::text::Line;
use fairshare_protocol::time::Timestamp;
use serde::Serialize;

use super::join;
use crate::client::Client;
use crate::output::Page;
use crate::paper;
use crate::signing::{Signing, wrong};

/// Found a federation, or show the one this node is in
#[derive(Debug, clap::Subcommand)]
pub enum Federation {
    Found(FoundCommand),
    Sign(Sign),
    Show(Show),
}

impl Federation {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Found(command) => command.run(client).await,
            Self::Sign(command) => command.run(client).await,
            Self::Show(command) => command.run(client).await,
        }
    }
}

/// Write a federation's charter and become its first steward
///
/// Alone, this organisation is its only steward and a member at once. With other stewards the
/// charter goes from one to the next (`federation sign`) until enough have signed it; then each
/// asks to join (`join`), and they admit each other.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare federation found --name 'Devon' --agreement data-sharing-agreement.pdf
  $ fairshare federation found --name 'Devon' --agreement dsa.pdf --threshold 2 \\
      --steward L83024=3d1f… --steward 912=77ab… --out devon-charter.txt

The key after a steward's code is its organisation key, as `fairshare init` printed it.")]
pub struct FoundCommand {
    /// The federation's name
    #[arg(long, value_name = "NAME")]
    name: Line,
    /// The data-sharing agreement the members signed: its hash goes into the charter
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
    /// Another steward, with its organisation key; may be given more than once
    #[arg(long = "steward", value_name = "CODE=KEY")]
    stewards: Vec<Steward>,
    /// How many stewards must sign [default: more than half]
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<u16>,
    /// Where to write a charter that others must sign [default: charter.txt]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

/// `CODE=KEY`
#[derive(Debug, Clone)]
struct Steward(OdsCode, PublicKey);

impl FromStr for Steward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (code, key) = text.split_once('=').ok_or("write it as CODE=KEY")?;
        let code = code.parse().map_err(|error| format!("{code}: {error}"))?;
        let key = key.parse().map_err(|error| format!("{key}: {error}"))?;
        Ok(Self(code, key))
    }
}

/// A charter that others must still sign.
#[derive(Debug, Serialize)]
struct Drafted {
    charter: PathBuf,
    fingerprint: String,
    signed: usize,
    needed: u16,
}

impl FoundCommand {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let agreement = hash_of(&self.agreement)?;
        let own = join::own_code(client)?;
        // Before a passphrase is asked for.
        if client.ask(Members {}).await.is_ok() {
            return Err(wrong(membership::Error::OtherFederation));
        }
        let key = self.signing.key(client)?;
        let mut stewards = BTreeMap::from([(own, key.public())]);
        for Steward(code, key) in &self.stewards {
            if stewards.insert(code.clone(), *key).is_some() {
                let fact = format!("steward {code} stands twice");
                let remedy = "name each other steward once; this organisation is one anyway";
                return Err(Failure::new(WRONG, fact, remedy));
            }
        }
        let majority = u16::try_from(stewards.len() / 2 + 1).unwrap_or(u16::MAX);
        let threshold = self.threshold.unwrap_or(majority);
        let charter = Charter::first(self.name, agreement, stewards, threshold, now());
        charter.check().map_err(wrong)?;
        let mut signed = CoSigned::draft(&charter);
        signed.add(&key);
        if Charter::verify(&signed).is_err() {
            return draft(client, &signed, &charter, self.out.as_deref());
        }
        let welcome = admit_oneself(client, signed, &key).await?;
        let welcome = armour::block(&welcome);
        let entered = client.ask(Found { welcome }).await?;
        client.output.answer(&entered, |page| {
            page.line(format_args!(
                "The federation {} is founded; this organisation is its only steward.",
                entered.federation.name
            ));
            page.gap();
            federation(page, &entered.federation);
            page.gap();
            page.line("Next: start the node, and send the invitation to whoever shall join.");
            page.line("  $ fairshare run");
        });
        Ok(0)
    }
}

/// The welcome of a federation whose only steward admits itself.
async fn admit_oneself(
    client: &Client,
    charter: CoSigned<Charter>,
    key: &KeyPair,
) -> Result<Welcome, Failure> {
    let federation = Some(Charter::federation(&charter));
    let introduction = client.ask(Introduce { federation, n: 1 }).await?;
    let (request, _) = join::request(introduction, key)?;
    let mut statements = Statements::new(charter).map_err(wrong)?;
    let roster = Roster::of(&statements);
    let joining = Joining::check(&request, statements.federation(), now()).map_err(wrong)?;
    let mut decision = CoSigned::draft(&joining.admit(&roster, now()).map_err(wrong)?);
    decision.add(key);
    let own = joining.request.statements.into_iter().map(Statement::Own);
    let all = [Statement::Steward(decision)].into_iter().chain(own);
    let (_, refused) = statements.gather(all, now());
    if let Some((_, refusal)) = refused.first() {
        return Err(wrong(refusal));
    }
    Ok(Welcome::of(&statements))
}

fn draft(
    client: &Client,
    signed: &CoSigned<Charter>,
    charter: &Charter,
    out: Option<&Path>,
) -> Result<u8, Failure> {
    let (_, signers) = signed.verify().map_err(wrong)?;
    let drafted = Drafted {
        charter: paper::write(out, "charter.txt", &armour::block(signed))?,
        fingerprint: signed.hash().spoken(),
        signed: charter.signed_by(&signers).map_err(wrong)?,
        needed: charter.threshold,
    };
    client.output.answer(&drafted, |page| {
        let (given, needed) = (drafted.signed, drafted.needed);
        page.line(format_args!(
            "The charter is signed by {given} of {needed}."
        ));
        page.gap();
        page.fields(&[
            ("charter", drafted.charter.display().to_string()),
            ("fingerprint", drafted.fingerprint.clone()),
        ]);
        page.gap();
        page.line("Send it to the next steward, who compares the fingerprint and signs it:");
        page.line("  $ fairshare federation sign CHARTER");
    });
    Ok(0)
}

/// Sign the charter another steward wrote
///
/// Shows what it says. Once enough stewards have signed, the federation is founded and this node
/// takes over the charter; every steward runs this with the complete charter, and then asks to join
/// with `fairshare join`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare federation sign devon-charter.txt")]
pub struct Sign {
    /// The charter
    #[arg(value_name = "FILE")]
    charter: String,
    /// Where to write it, signed [default: charter.txt]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

/// A charter that is complete, and taken over.
#[derive(Debug, Serialize)]
struct Complete {
    charter: PathBuf,
    #[serde(flatten)]
    entered: Entered,
}

impl Sign {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let mut signed: CoSigned<Charter> =
            armour::read(&paper::text(&self.charter)?).map_err(wrong)?;
        let (charter, signers) = signed.verify().map_err(wrong)?;
        charter.check().map_err(wrong)?;
        if charter.version != 1 {
            return Err(wrong(charter::Refusal::NotTheFirst(charter.version)));
        }
        charter.signed_by(&signers).map_err(wrong)?;
        let own = join::own_code(client)?;
        let Some(named) = charter.stewards.get(&own) else {
            let fact = format!("the charter does not name {own} as a steward");
            let remedy = "ask whoever wrote it to name this organisation with its key";
            return Err(Failure::new(WRONG, fact, remedy));
        };
        if !signers.contains(named) {
            let key = self.signing.key(client)?;
            if key.public() != *named {
                let fact = format!("the charter names another organisation key for {own}");
                let remedy = "ask whoever wrote it to take the key `fairshare init` printed";
                return Err(Failure::new(WRONG, fact, remedy));
            }
            signed.add(&key);
        }
        if Charter::verify(&signed).is_err() {
            return draft(client, &signed, &charter, self.out.as_deref());
        }
        let text = armour::block(&signed);
        let path = paper::write(self.out.as_deref(), "charter.txt", &text)?;
        let welcome = Welcome {
            charter: signed,
            statements: Vec::new(),
        };
        let welcome = armour::block(&welcome);
        let done = Complete {
            charter: path,
            entered: client.ask(Found { welcome }).await?,
        };
        client.output.answer(&done, |page| {
            let name = &done.entered.federation.name;
            page.line(format_args!(
                "Enough stewards have signed: {name} is founded."
            ));
            page.gap();
            federation(page, &done.entered.federation);
            page.gap();
            let path = done.charter.display();
            page.line(format_args!(
                "Send {path} to the other stewards, who sign it too. Then ask to join:"
            ));
            page.line("  $ fairshare join");
        });
        Ok(0)
    }
}

/// Show the federation, with the link newcomers join with
///
/// Give the link to whoever shall join, and read its fingerprint to them over the telephone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare federation show")]
pub struct Show {}

impl Show {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask(Members {}).await?.federation;
        client
            .output
            .answer(&report, |page| federation(page, &report));
        Ok(0)
    }
}

fn federation(page: &mut Page, report: &FederationReport) {
    let stewards: Vec<_> = report.stewards.iter().map(OdsCode::as_str).collect();
    let (epoch, ends) = report.epoch;
    let version = match report.version {
        ..=1 => String::new(),
        later => format!(", version {later} of its charter"),
    };
    page.fields(&[
        ("federation", format!("{}{version}", report.name)),
        ("fingerprint", report.fingerprint.clone()),
        (
            "stewards",
            format!("{}; {} must sign", stewards.join(", "), report.threshold),
        ),
        ("agreement", report.agreement.to_string()),
        ("index epoch", format!("{epoch}, until {ends}")),
        ("invitation", report.invitation.clone()),
    ]);
}

/// BLAKE3 of a file of any length.
pub fn hash_of(path: &Path) -> Result<Hash, Failure> {
    let failed = |error: io::Error| {
        let fact = format!("{}: {error}", path.display());
        Failure::new(WRONG, fact, "name the data-sharing agreement's file")
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(MAX_AGREEMENT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_AGREEMENT {
        return Err(wrong(format!("{}: longer than 256 MiB", path.display())));
    }
    Ok(fairshare_protocol::crypto::hash::bytes(&bytes))
}

/// The longest agreement, in bytes.
const MAX_AGREEMENT: u64 = 256 * 1024 * 1024;

/// This machine's clock.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}
