//! `fairshare init`

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fairshare_node::config::{Config, Copies, Desk, Dspt, Limits, Rounds, default_listen};
use fairshare_node::home::Home;
use fairshare_node::home::keys::Keys;
use fairshare_node::home::organisation::OrganisationKey;
use fairshare_node::{network, offer_file, own};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::offer::Offer;
use fairshare_protocol::roster::Admission;
use fairshare_protocol::text::Line;
use serde::Serialize;

use crate::client::Client;
use crate::output::Page;
use crate::signing::{new_passphrase, usual_place, wrong};

mod asking;

/// Make a node for an organisation
///
/// Makes its home: keys, config, the offer usual for its kind, and an empty store. Nothing leaves
/// the machine. The organisation key speaks for the organisation when it joins and, if it is a
/// steward, when it admits others; the node does not need it to run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare init --ods RH8 --kind acute-trust --name 'Royal Devon' --population 500000 \\
      --announce node.royaldevon.example:7440 \\
      --exchange-contact 'Records desk <records@royaldevon.example>, 01392 411611' \\
      --guardian 'Dr A. Moss <caldicott@royaldevon.example>'
  $ fairshare --home /srv/fairshare init … --org-key /media/safe/RH8.key

Kinds: acute-trust, mental-health-trust, community-trust, ambulance-trust, gp-practice,
adult-social-care, childrens-social-care, care-provider.")]
pub struct Init {
    /// The organisation's ODS code
    #[arg(long, value_name = "CODE")]
    ods: OdsCode,
    /// What kind of organisation it is
    #[arg(long, value_name = "KIND")]
    kind: MemberKind,
    /// Its name, as others shall see it
    #[arg(long, value_name = "NAME")]
    name: Line,
    /// How many people it looks after at most: nobody can list more
    #[arg(long, value_name = "NUMBER")]
    population: u64,
    /// Who is called when an exchange goes wrong: `NAME <MAIL>, TELEPHONE`
    #[arg(long, value_name = "WHO")]
    exchange_contact: Who,
    /// The Caldicott Guardian: `NAME <MAIL>, TELEPHONE`
    #[arg(long, value_name = "WHO")]
    guardian: Who,
    /// Data Security and Protection Toolkit status: standards-met, …
    #[arg(long, value_name = "STATUS")]
    dspt: Option<Line>,
    /// The last day that status holds
    #[arg(long, value_name = "YYYY-MM-DD", requires = "dspt")]
    dspt_expires: Option<Line>,
    /// Where to listen, instead of all interfaces, port 7440, TCP and QUIC. HOST:PORT is TCP alone;
    /// for QUIC beside it give /ip4/HOST/udp/PORT/quic-v1 too
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Where other members reach this node: HOST:PORT; none if it only connects outwards
    #[arg(long, value_name = "ADDRESS")]
    announce: Vec<String>,
    /// Keep the organisation key in this file instead of the home; taken as it is if it is there
    #[arg(long, value_name = "FILE")]
    org_key: Option<PathBuf>,
    /// A file with the passphrase for the organisation key, instead of being asked for one
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    passphrase_file: Option<PathBuf>,
    /// Do not seal the organisation key: whoever reads its file can speak for the organisation
    #[arg(long)]
    no_passphrase: bool,
}

/// `NAME <MAIL>, TELEPHONE`; mail and telephone may be left out.
#[derive(Debug, Clone)]
struct Who(Desk);

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let line = |text: &str| text.parse::<Line>().map_err(|error| error.to_string());
        let given = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(line);
        let (name, email, telephone) = match text.split_once('<') {
            Some((name, rest)) => {
                let (email, rest) = rest.split_once('>').ok_or("the `>` is missing")?;
                (
                    name,
                    given(email),
                    given(rest.trim_start_matches([',', ' '])),
                )
            }
            None => match text.rsplit_once(',') {
                Some((name, telephone)) => (name, None, given(telephone)),
                None => (text, None, None),
            },
        };
        Ok(Self(Desk {
            name: line(name)?,
            email: email.transpose()?,
            telephone: telephone.transpose()?,
        }))
    }
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    home: PathBuf,
    ods: OdsCode,
    config: PathBuf,
    offer: PathBuf,
    organisation_key: PathBuf,
    organisation: PublicKey,
    node: PublicKey,
    sealed: bool,
}

impl Init {
    pub fn run(self, client: &Client) -> Result<u8, Failure> {
        let made = self.home(client)?;
        client.output.answer(&made, |page| {
            show(page, &made);
            next(page);
        });
        Ok(0)
    }

    /// Makes the home, or leaves nothing.
    fn home(&self, client: &Client) -> Result<Made, Failure> {
        let config = self.config()?;
        let bare = is_bare(client.home());
        let made = self.make(client, config);
        if made.is_err() && bare {
            // Nothing was there before: what was begun is no node, and in the way of the next try.
            clear(client.home());
        }
        made
    }

    fn make(&self, client: &Client, config: Config) -> Result<Made, Failure> {
        let home = Home::create(client.home()).map_err(wrong)?;
        let left = std::fs::read_dir(home.keys()).map_err(wrong)?.next();
        if left.is_some() {
            let fact = format!("there are keys in {}, but no config", home.keys().display());
            let remedy = "restore config.toml from its backup; or, if an earlier init was \
                          interrupted, remove that directory";
            return Err(Failure::new(WRONG, fact, remedy));
        }
        let kept = self.org_key.as_deref();
        let path = kept.map_or_else(|| home.root().join(usual_place()), Path::to_owned);
        let organisation = self.organisation_key(&path)?;
        let keys = Keys::generate();
        keys.write(&home.keys()).map_err(wrong)?;
        let offer = Offer::default_for(config.kind);
        let offer = offer_file::text(&offer, &config.ods, config.kind);
        write_private(&home.offer(), &offer)?;
        home.settle(&config).map_err(wrong)?;
        Ok(Made {
            home: home.root().to_owned(),
            ods: config.ods.clone(),
            config: home.config(),
            offer: home.offer(),
            organisation_key: path,
            organisation: organisation.public(),
            node: keys.node.public(),
            sealed: organisation.is_sealed(),
        })
    }

    fn config(&self) -> Result<Config, Failure> {
        let address = |text: &String, remedy: &str| {
            let normal = network::normal_address(text);
            normal.map_err(|error| Failure::new(WRONG, error.to_string(), remedy))
        };
        let announce = self.announce.iter().map(|text| {
            let remedy = "name where others reach it with --announce, or leave it out";
            let normal: Result<Line, _> = address(text, remedy)?.parse();
            normal.map_err(wrong)
        });
        let listen = self.listen.iter().map(|text| {
            let remedy = "name where to listen with --listen, or leave it out";
            address(text, remedy)
        });
        let mut listen: Vec<_> = listen.collect::<Result<_, _>>()?;
        if listen.is_empty() {
            listen = default_listen();
        }
        let absolute = |path: &PathBuf| std::path::absolute(path).map_err(wrong);
        let config = Config {
            ods: self.ods.clone(),
            kind: self.kind,
            name: self.name.clone(),
            population: self.population,
            listen,
            announce: announce.collect::<Result<_, _>>()?,
            organisation_key: self.org_key.as_ref().map(absolute).transpose()?,
            limits: Limits::default(),
            copies: Copies::default(),
            rounds: Rounds::default(),
            dspt: self.dspt.clone().map(|status| Dspt {
                status,
                expires: self.dspt_expires.clone(),
            }),
            exchange_contact: self.exchange_contact.0.clone(),
            caldicott_guardian: self.guardian.0.clone(),
            categories: BTreeMap::new(),
            users: Vec::new(),
        };
        // What could not be published later is refused now.
        own::contact(&config).map_err(wrong)?;
        let admission = Admission {
            kind: self.kind,
            name: self.name.clone(),
            organisation: PublicKey::new([0; 32]),
            population: self.population,
        };
        admission.check().map_err(wrong)?;
        Ok(config)
    }

    fn organisation_key(&self, path: &Path) -> Result<OrganisationKey, Failure> {
        if self.org_key.is_none() || !path.exists() {
            let key = KeyPair::generate(&mut rand::rng());
            if self.no_passphrase {
                OrganisationKey::write_plain(path, &key).map_err(wrong)?;
            } else {
                let passphrase = new_passphrase(self.passphrase_file.as_deref())?;
                let passphrase = passphrase.expose();
                OrganisationKey::write_sealed(path, &key, passphrase).map_err(wrong)?;
            }
        }
        OrganisationKey::read(path).map_err(wrong)
    }
}

/// Whether there is nothing in a directory, or no directory.
fn is_bare(home: &Path) -> bool {
    match std::fs::read_dir(home) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Removes what is in a directory. What cannot be removed is named by the next try.
fn clear(home: &Path) {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = match path.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        };
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| wrong(format!("{}: {error}", path.display())))
}

fn show(page: &mut Page, made: &Made) {
    page.line(format_args!(
        "The node of {} is made. Nothing has left this machine.",
        made.ods
    ));
    page.gap();
    let key = made.organisation_key.display();
    let how = if made.sealed {
        "sealed by its passphrase"
    } else {
        "NOT sealed: who reads this file can speak for the organisation"
    };
    page.fields(&[
        ("home", made.home.display().to_string()),
        ("config", made.config.display().to_string()),
        ("offer", made.offer.display().to_string()),
        ("organisation key", format!("{key} ({how})")),
        ("organisation", made.organisation.to_string()),
        ("node", made.node.to_string()),
    ]);
}

fn next(page: &mut Page) {
    page.gap();
    page.line("Next: read the offer, name who may use the node under [[users]] in the config (emergencies");
    page.line("need somebody named), and back up the keys. Then found a federation");
    page.line("  $ fairshare federation found --name NAME --agreement FILE");
    page.line("or join one with the invitation a steward gives you");
    page.line("  $ fairshare join INVITATION");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails panics")]

    use super::*;

    #[test]
    fn a_contact_is_a_name_with_mail_and_telephone_if_there_are() {
        let read = |text: &str| {
            let Desk {
                name,
                email,
                telephone,
            } = text.parse::<Who>().unwrap().0;
            let text = |line: Option<Line>| line.map(String::from).unwrap_or_default();
            (name.to_string(), text(email), text(telephone))
        };
        let whole = ("Desk".into(), "d@x.example".into(), "01392 1".into());
        assert_eq!(read("Desk <d@x.example>, 01392 1"), whole);
        let mail = ("Desk".into(), "d@x.example".into(), String::new());
        assert_eq!(read("Desk <d@x.example>"), mail);
        let phone = ("Desk".into(), String::new(), "01392 1".into());
        assert_eq!(read("Desk, 01392 1"), phone);
        assert_eq!(read("Desk"), ("Desk".into(), String::new(), String::new()));
        assert!("Desk <d@x.example".parse::<Who>().is_err());
        assert!("<d@x.example>".parse::<Who>().is_err());
    }
}
