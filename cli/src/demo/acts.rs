//! The acts: import, match, ask, prove; each tells what it did and checks it.

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::exchange::{Counts, Seen, Sight, WhoSaw};
use fairshare_protocol::control::import::{Import, Rejection};
use fairshare_protocol::control::index::Match;
use fairshare_protocol::control::journal::Verify;
use fairshare_protocol::control::node::Peer;
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::index::key::IndexKey;

use super::files::Files;
use super::report::{self, Report};
use super::stage::{Stage, failed};
use crate::client::Client;
use crate::output::{Output, Page, Tone, count};

mod asking;

/// Lines of who saw what.
const SIGHTS: usize = 4;

/// The play while it goes on.
pub struct Play {
    stage: Stage,
    files: Vec<Files>,
    report: Report,
    output: Output,
    /// The first ask: who was asked, about whom, in which exchange.
    first: Option<(usize, IndexKey, ExchangeId)>,
}

impl Play {
    pub fn new(stage: Stage, files: Vec<Files>, output: Output) -> Self {
        Self {
            stage,
            files,
            report: Report::default(),
            output,
            first: None,
        }
    }

    /// The stage, to be cleared, and what happened on it.
    pub fn end(self) -> (Stage, Report) {
        (self.stage, self.report)
    }

    /// Something does not hold: said at once, and nothing is claimed of it.
    fn broken(&mut self, what: String) {
        self.output.tell(|page| {
            let what = page.tone(Tone::Bad, &format!("! {what}"));
            page.line(what);
        });
        self.report.broken.insert(what);
    }

    /// Tells what held since `broken` things did not.
    fn held(&self, broken: usize, claims: &[String]) {
        if self.report.broken.len() == broken {
            self.output
                .tell(|page| claims.iter().for_each(|claim| page.line(claim)));
        }
    }

    pub fn introduce(&self) {
        let rows = self.stage.sites.iter().map(|site| {
            let seat = &site.seat;
            vec![
                seat.ods.to_string(),
                seat.name.clone(),
                seat.kind.to_string(),
                site.address.clone(),
            ]
        });
        let founder = &self.stage.sites[0].seat.ods;
        self.output.tell(|page| {
            head(page, "A federation");
            page.table(&["CODE", "NAME", "KIND", "LISTENS ON"], rows.collect());
            page.line(format_args!("{founder} founded it and admitted the others; all have met. Their keys are plain files"));
            page.line("here; for real, an organisation's key is sealed by a passphrase or kept elsewhere.");
        });
    }

    /// Everybody imports its own files.
    pub async fn import(&mut self) -> Result<(), Failure> {
        let mut refused: Option<Rejection> = None;
        let mut hidden = 0;
        for site in &self.stage.sites {
            let client = Client::new(site.client.home().to_owned(), self.output);
            let paths = vec![site.seat.files.clone()];
            let import = client
                .ask_running(Import {
                    paths,
                    servers: Vec::new(),
                })
                .await?;
            hidden += import.people.held.saturating_sub(import.people.indexable);
            refused = refused.or(import.rejections.into_iter().next());
            self.report.organisations.push(report::Organisation {
                ods: site.seat.ods.clone(),
                kind: site.seat.kind,
                people: import.people.held,
                indexable: import.people.indexable,
                records: import.records.held,
                rejected: import.rejected,
            });
        }
        let rows = self.report.organisations.iter().map(|one| {
            let counts = [one.people, one.indexable, one.records, one.rejected].map(count);
            [vec![one.ods.to_string()], counts.to_vec()].concat()
        });
        self.output.tell(|page| {
            head(page, "Each imports its own records");
            page.table(
                &["CODE", "PEOPLE", "CAN BE FOUND", "RECORDS", "REFUSED"],
                rows.collect(),
            );
            if hidden > 0 {
                let hidden = count(hidden);
                page.line(format_args!("{hidden} have no valid NHS number and date of birth: kept, counted, never findable."));
            }
            if let Some(refused) = refused {
                let file = refused.file.rsplit('/').next().unwrap_or_default();
                let place = refused
                    .place
                    .map(|place| format!(" {place}"))
                    .unwrap_or_default();
                page.line(format_args!(
                    "Refused, for instance {file}{place}: {}.",
                    refused.reason
                ));
            }
        });
        Ok(())
    }

    /// Every pair finds the people both look after.
    pub async fn find(&mut self) -> Result<(), Failure> {
        let broken = self.report.broken.len();
        let mut rows = Vec::new();
        for (a, b) in pairs(self.stage.sites.len()) {
            let (one, other) = (&self.stage.sites[a], &self.stage.sites[b]);
            let (code, peer) = (one.seat.ods.clone(), other.seat.ods.clone());
            if !one.may_meet(other) {
                rows.push(vec![
                    format!("{code} and {peer}"),
                    "-".into(),
                    "their offers do not let them".into(),
                ]);
                let (a, b, links) = (code, peer, 0);
                self.report.pairs.push(report::Pair { a, b, links });
                continue;
            }
            let client = Client::new(one.client.home().to_owned(), self.output);
            let matched = client
                .ask_running(Match {
                    peer: Some(peer.clone()),
                })
                .await?;
            let matched = matched
                .into_iter()
                .next()
                .ok_or_else(|| failed("no match was reported"))?;
            let Some(found) = matched.found else {
                let why = matched.failed.unwrap_or_default();
                return Err(failed(format!("{code} and {peer} could not match: {why}")));
            };
            let theirs = other
                .client
                .ask_running(Peer { code: code.clone() })
                .await?
                .links;
            let truth = self.files[a].shared(&self.files[b]).len() as u64;
            if [Some(found.links), theirs] != [Some(truth); 2] {
                let theirs = theirs.unwrap_or_default();
                let found = found.links;
                self.broken(format!("{code} and {peer} both hold {truth} people by their files; {code} found {found}, {peer} {theirs}"));
            }
            rows.push(vec![
                format!("{code} and {peer}"),
                count(found.links),
                format!("{} ms", matched.ms),
            ]);
            self.report.pairs.push(report::Pair {
                a: code,
                b: peer,
                links: found.links,
            });
        }
        self.output.tell(|page| {
            head(page, "Every pair finds the people both look after");
            page.table(&["PAIR", "PEOPLE", "TOOK"], rows);
        });
        let claims = [
            "Exactly those in the files of both. Blinded points travelled, no number and no",
            "name: of everybody else in the other's records, neither has learnt anything.",
        ];
        self.held(broken, &claims.map(str::to_owned));
        Ok(())
    }

    /// Every journal verifies, and says who saw whom.
    pub async fn prove(&mut self) -> Result<(), Failure> {
        self.output.tell(|page| head(page, "What they can prove"));
        let broken = self.report.broken.len();
        let mut sound = Vec::new();
        for at in 0..self.stage.sites.len() {
            let site = &self.stage.sites[at];
            let ods = site.seat.ods.clone();
            match site.client.ask_running(Verify {}).await {
                Ok(journal) => sound.push(format!("{ods} {} entries", count(journal.entries))),
                Err(failure) => self.broken(format!("the journal of {ods}: {}", failure.fact)),
            }
        }
        self.report.journals_verified = sound.len() == self.stage.sites.len();
        let claim = format!("Every journal is as it was written: {}.", sound.join(", "));
        self.held(broken, &[claim]);
        let Some((at, person, exchange)) = self.first else {
            return Ok(());
        };
        let site = &self.stage.sites[at];
        let whose = site.seat.ods.clone();
        let saw = site.client.ask_running(WhoSaw { person }).await?.sights;
        let shown = |sight: &Sight| sight.exchange == Some(exchange) && sight.what == Seen::Shown;
        if !saw.iter().any(shown) {
            self.broken(format!(
                "{whose} does not say who saw the first person asked about"
            ));
        }
        let rows = saw.iter().filter_map(row).take(SIGHTS).collect();
        self.output.tell(|page| {
            page.line(format_args!(
                "And who saw the first person {whose} was asked about:"
            ));
            page.table(&["WHEN", "MEMBER", "WHO", "WHAT"], rows);
        });
        Ok(())
    }
}

/// Who saw somebody's records, where any were seen.
fn row(sight: &Sight) -> Option<Vec<String>> {
    let records = Some(sum(&sight.records)).filter(|records| *records > 0)?;
    let what = match sight.what {
        Seen::Shown => format!("asked, and saw {records} of our records"),
        Seen::ShownInReturn => format!("answered us, and saw {records} in return"),
        _ => format!("showed us {records}"),
    };
    let user = sight.user.as_ref();
    let user = user.map(|user| format!("{}, {}", user.name, user.role));
    let at = sight.at.to_string();
    Some(vec![
        at,
        sight.member.to_string(),
        user.unwrap_or_default(),
        what,
    ])
}

/// Every pair of so many, in order.
fn pairs(many: usize) -> Vec<(usize, usize)> {
    (0..many)
        .flat_map(|a| (a + 1..many).map(move |b| (a, b)))
        .collect()
}

fn head(page: &mut Page, text: &str) {
    page.gap();
    let text = page.tone(Tone::Good, text);
    page.line(text);
}

fn sum(counts: &Counts) -> u64 {
    counts.values().map(|count| u64::from(*count)).sum()
}
