//! `fairshare members`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::roster::{self, MemberReport};
use fairshare_protocol::ids::OdsCode;

use crate::client::Client;
use crate::output::{ago, count};

/// Who is a member
///
/// Everyone ever admitted, as the statements this node holds say it. Members that hold the same
/// statements show the same list.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare members
  $ fairshare members --json")]
pub struct Members {}

impl Members {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask(roster::Members {}).await?;
        client.output.answer(&report, |page| {
            let federation = &report.federation;
            let active = report.members.iter().filter(|it| it.node.is_some()).count();
            page.line(format_args!(
                "{}: members {}, with a node {}",
                federation.name,
                count(report.members.len() as u64),
                count(active as u64)
            ));
            if report.members.is_empty() {
                return;
            }
            page.gap();
            let head = [
                "CODE", "NAME", "KIND", "STATUS", "SINCE", "NODE", "OFFER", "NOTE",
            ];
            let rows = report.members.iter().map(|it| row(report.now, it));
            page.table(&head, rows.collect());
        });
        Ok(0)
    }
}

fn row(now: fairshare_protocol::time::Timestamp, member: &MemberReport) -> Vec<String> {
    let mut notes = Vec::new();
    if member.own {
        notes.push("this node".to_owned());
    }
    if member.steward {
        notes.push("steward".to_owned());
    }
    notes.extend(member.why.clone());
    if !member.predecessors.is_empty() {
        let codes = member.predecessors.iter().map(OdsCode::as_str);
        notes.push(format!("with {}", codes.collect::<Vec<_>>().join(", ")));
    }
    if member.contradictions > 0 {
        notes.push(format!("{} contradictions", member.contradictions));
    }
    vec![
        member.code.to_string(),
        member.name.clone(),
        member.kind.to_string(),
        member.status.to_string(),
        ago(now, member.since),
        member
            .node
            .map_or_else(|| "-".to_owned(), |node| node.short()),
        if member.offer { "published" } else { "-" }.to_owned(),
        notes.join(", "),
    ]
}
