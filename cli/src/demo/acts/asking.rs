//! They ask: each about a few people, and everything that comes is held against its author's files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::exchange::{Ask, AskState, AskedPeer, Counts, ExportReceived};
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::index::key::IndexKey;

use super::super::files::Came;
use super::super::report;
use super::super::stage::{failed, on_duty};
use super::{Play, head, pairs, sum};
use crate::output::count;

/// People asked about in each direction.
const ASKS: usize = 3;
/// Asks told in full.
const TOLD: usize = 3;

impl Play {
    /// Everybody asks everybody about a few people.
    pub async fn ask(&mut self, directory: &Path) -> Result<(), Failure> {
        self.output
            .tell(|page| head(page, "They ask each other, for somebody's care"));
        let broken = self.report.broken.len();
        let mut all = Came::default();
        let mut told = 0;
        for (a, b) in pairs(self.stage.sites.len()) {
            for (from, to) in [(b, a), (a, b)] {
                for (nth, person) in self.chosen(from, to).into_iter().enumerate() {
                    let asked = self.ask_one(from, to, person).await?;
                    if nth == 0 && from > to && told < TOLD {
                        told += 1;
                        self.tell_ask(from, &asked);
                    }
                    let sides = [(from, to, &asked.received), (to, from, &asked.shown)];
                    for (receiver, author, counts) in sides {
                        if let (Some(exchange), false) = (asked.exchange, counts.is_empty()) {
                            let place = (receiver, author, exchange);
                            let came = self.hold(place, person, directory).await?;
                            all.records += came.records;
                            all.attachments += came.attachments;
                        }
                    }
                }
            }
        }
        let mut times: Vec<_> = self.report.asks.iter().map(|ask| ask.ms).collect();
        if times.is_empty() {
            self.held(
                broken,
                &["No two of them know the same person: nobody to ask about.".to_owned()],
            );
            return Ok(());
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let slowest = times.last().copied().unwrap_or_default();
        let asks = count(times.len() as u64);
        let (records, files) = (count(all.records as u64), count(all.attachments as u64));
        let claims = [
            format!(
                "{asks} asks in every direction, all answered: median {median} ms, slowest {slowest} ms."
            ),
            format!(
                "{records} records and {files} files beside them came, byte for byte as their authors hold them."
            ),
        ];
        self.held(broken, &claims);
        Ok(())
    }

    /// Whom to ask about: people both hold, those with letters first; always the same ones.
    fn chosen(&self, from: usize, to: usize) -> Vec<IndexKey> {
        if !self.stage.sites[from].may_meet(&self.stage.sites[to]) {
            return Vec::new();
        }
        let shared = self.files[from].shared(&self.files[to]);
        let mut shared: Vec<_> = shared.into_iter().collect();
        shared.sort_by_key(|key| std::cmp::Reverse(self.files[to].people[key]));
        shared.truncate(ASKS);
        shared
    }

    async fn ask_one(
        &mut self,
        from: usize,
        to: usize,
        person: IndexKey,
    ) -> Result<AskedPeer, Failure> {
        let (asker, holder) = (&self.stage.sites[from], &self.stage.sites[to].seat.ods);
        let question = Ask {
            person,
            peers: BTreeSet::from([holder.clone()]),
            purpose: Purpose::Care,
            categories: BTreeSet::new(),
            reason: None,
        };
        let begun = Instant::now();
        let reply = asker.client.ask_running(question).await?;
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let asked = reply.peers.into_iter().find(|peer| peer.code == *holder);
        let mut asked = asked.ok_or_else(|| failed(format!("{holder} was not asked")))?;
        // From the command to its answer: the other's bundle is filed then, and ours acknowledged.
        asked.ms = ms;
        let word = serde_json::to_value(asked.state).map_err(failed)?;
        let answer = word.as_str().unwrap_or_default().to_owned();
        let from = asker.seat.ods.clone();
        let returned = asked.acknowledged || asked.shown.is_empty();
        if asked.state != AskState::Delivered || !returned {
            let why = asked.why.clone().unwrap_or_default();
            let what = format!("{from} asked {holder}: {answer} {why}");
            self.broken(what);
        }
        self.report.asks.push(report::Ask {
            from,
            to: asked.code.clone(),
            answer,
            records_received: sum(&asked.received),
            records_returned: sum(&asked.shown),
            ms: asked.ms,
        });
        if let (None, Some(exchange)) = (&self.first, asked.exchange) {
            self.first = Some((to, person, exchange));
        }
        Ok(asked)
    }

    /// Holds what one side received in an exchange about somebody against the other's files.
    async fn hold(
        &mut self,
        (receiver, author, exchange): (usize, usize, ExchangeId),
        person: IndexKey,
        directory: &Path,
    ) -> Result<Came, Failure> {
        let site = &self.stage.sites[receiver];
        let path = directory.join("received.json");
        let to = path.clone();
        let exported = site
            .client
            .ask_running(ExportReceived { exchange, to })
            .await?;
        let export = fs::read(&path).map_err(failed)?;
        fs::remove_file(&path).map_err(failed)?;
        let came = self.files[author].check(&export).map_err(failed)?;
        let letters = exported.records.get(&Category::Documents).copied();
        let expected = self.files[author].people[&person];
        let missing = expected.saturating_sub(letters.unwrap_or_default() as usize);
        if came.wrong + missing > 0 {
            let (receiver, author) = (&site.seat.ods, &self.stage.sites[author].seat.ods);
            let wrong = came.wrong;
            let what = format!(
                "of what {receiver} received from {author}, {wrong} things are not as in its files, and {missing} documents are missing"
            );
            self.broken(what);
        }
        Ok(came)
    }

    fn tell_ask(&self, from: usize, asked: &AskedPeer) {
        let seat = &self.stage.sites[from].seat;
        let (user, role) = on_duty(seat.kind);
        self.output.tell(|page| {
            let (ods, peer) = (&seat.ods, &asked.code);
            page.line(format_args!(
                "{user}, {role} at {ods}, asks {peer} about one of them:"
            ));
            page.line(format_args!(
                "  came, in {} ms: {}",
                asked.ms,
                listed(&asked.received)
            ));
            page.line(format_args!("  went in return: {}", listed(&asked.shown)));
        });
    }
}

/// `3 problems, 5 medications`.
fn listed(counts: &Counts) -> String {
    let all = counts
        .iter()
        .map(|(category, number)| format!("{number} {category}"));
    let all: Vec<_> = all.collect();
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all.join(", ")
    }
}
