//! `fairshare join`

use std::path::PathBuf;

use fairshare_node::config::Config;
use fairshare_protocol::armour;
use fairshare_protocol::control::roster::{
    Application, Apply, Enter, Entered, Introduce, Introduction, Members,
};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::join::{Invitation, JoinRequest};
use fairshare_protocol::roster::{Admission, Claim, SelfStatement};
use fairshare_protocol::statement::Signed;
use serde::Serialize;

use super::federation::now;
use super::init::Init;
use crate::client::Client;
use crate::output::{Page, Tone, count};
use crate::paper;
use crate::questions::Questions;
use crate::signing::{Signing, say, wrong};

/// Ask to join a federation, or enter it once admitted
///
/// With the invitation a steward gave you it makes a request: a file, and the same as a link. The
/// node brings it to the steward by itself while it runs, if the invitation says where; else send
/// either to a steward. Read the fingerprint to a steward over the telephone. Once admitted the
/// node enters by itself, or with the welcome file you are sent.
///
/// Where there is no node yet it asks, at a terminal, for all it needs to make one, and for the
/// invitation. The request is made once: asked again, the same is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare join
  $ fairshare join fairshare:invitation:1:AbC…
  $ fairshare join invitation.txt --out request.txt
  $ fairshare join fairshare:invitation:1:AbC… --link
  $ fairshare join --welcome welcome-L83024.txt")]
pub struct Join {
    /// The invitation: a link or a file; none if this node holds the charter already
    #[arg(value_name = "INVITATION", conflicts_with = "welcome")]
    invitation: Option<String>,
    /// Enter with this welcome
    #[arg(long, value_name = "FILE")]
    welcome: Option<PathBuf>,
    /// Where to write the request [default: join-CODE.txt]
    #[arg(long, value_name = "FILE", conflicts_with = "welcome")]
    out: Option<PathBuf>,
    /// Ask everything also without a terminal: the answers are lines of standard input
    #[arg(long, conflicts_with = "welcome")]
    ask: bool,
    /// Print the request as a link to send, and nothing else
    #[arg(long, conflicts_with = "welcome")]
    link: bool,
    /// The number the steward's refusal names, if the organisation was a member before
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        hide_default_value = true
    )]
    number: u32,
    #[command(flatten)]
    signing: Signing,
}

/// A request, made.
#[derive(Debug, Serialize)]
struct Asked {
    file: PathBuf,
    #[serde(flatten)]
    application: Application,
    /// Whether it was made before.
    earlier: bool,
    /// Whether the node brings it to a steward by itself.
    brought: bool,
}

impl Join {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        if let Some(path) = &self.welcome {
            let path = std::path::absolute(path).map_err(wrong)?;
            let entered = client.ask(Enter { path }).await?;
            client
                .output
                .answer(&entered, |page| show_entered(page, &entered));
            return Ok(0);
        }
        let text = match &self.invitation {
            Some(link_or_file) => Some(paper::text(link_or_file)?),
            None => self.walk(client).await?,
        };
        let invitation = text.as_deref().map(armour::read::<Invitation>);
        let invitation = invitation.transpose().map_err(wrong)?;
        let introduction = client
            .ask(Introduce {
                federation: invitation.as_ref().map(|it| it.federation),
                n: self.number,
            })
            .await?;
        let earlier = introduction.earlier.clone();
        let request = match &earlier {
            Some(application) => application.request.clone(),
            None => armour::block(&request(introduction, &self.signing.key(client)?)?.0),
        };
        let question = Apply {
            request,
            invitation: invitation.as_ref().map(armour::link),
        };
        let application = client.ask(question).await?;
        let usual = format!("join-{}.txt", application.code);
        let reachable = |it: &Invitation| it.node.is_some() && !it.addresses.is_empty();
        let asked = Asked {
            file: paper::write(self.out.as_deref(), &usual, &application.request)?,
            application,
            earlier: earlier.is_some(),
            brought: invitation.as_ref().is_some_and(reachable),
        };
        client.output.answer(&asked, |page| {
            if self.link {
                page.line(&asked.application.link);
            } else {
                show(page, &asked, invitation.as_ref());
            }
        });
        Ok(0)
    }
}

impl Join {
    /// Makes the node if there is none, and asks for the invitation if none is known; gives it.
    async fn walk(&self, client: &Client) -> Result<Option<String>, Failure> {
        let there = client.home().join("config.toml").exists();
        let Some(questions) = Questions::begin(self.ask) else {
            return Ok(None);
        };
        if there && client.ask(Members {}).await.is_ok() {
            // It holds the charter.
            return Ok(None);
        }
        if !there {
            let (file, key) = self.signing.files();
            Init::walk(&questions, client, file, key)?;
        }
        let given: String = questions.ask(
            "The invitation",
            "the line a steward sent, which begins with fairshare:invitation:, or its file",
        )?;
        let text = paper::text(&given)?;
        let invitation: Invitation = armour::read(&text).map_err(wrong)?;
        say(&client.output.text(|page| {
            page.gap();
            page.fields(&[
                (
                    "federation",
                    format!("{}, invited by {}", invitation.name, invitation.steward),
                ),
                ("fingerprint", invitation.federation.spoken()),
            ]);
            page.gap();
            page.line("Telephone the steward, on a number that is not from the same mail.");
        }));
        if questions.yes("Do they read this fingerprint to you?")? {
            return Ok(Some(text));
        }
        let fact = "nobody was asked to admit this organisation";
        let remedy = "ask the steward for another invitation, and run `fairshare join` again";
        Err(Failure::new(REFUSED, fact, remedy))
    }
}

/// The code of this node's organisation.
pub fn own_code(client: &Client) -> Result<OdsCode, Failure> {
    let config = Config::read(&client.home().join("config.toml"));
    if !client.home().join("config.toml").exists() {
        let path = client.home().to_owned();
        return Err(wrong(fairshare_node::home::Error::None { path }));
    }
    Ok(config.map_err(wrong)?.ods)
}

/// The join request of the organisation whose node introduces itself, and its code.
pub fn request(
    introduction: Introduction,
    key: &KeyPair,
) -> Result<(Signed<JoinRequest>, OdsCode), Failure> {
    let own = introduction.statements.first().map(Signed::peek);
    let own = own.and_then(Result::ok).ok_or_else(|| {
        let fact = "the node has nothing to say of itself";
        Failure::new(WRONG, fact, "this is a fault of the program: report it")
    })?;
    let code = introduction.member;
    let node = SelfStatement::new(
        introduction.federation,
        code.clone(),
        (own.n, 1),
        now(),
        &Claim::Node(introduction.keys),
    );
    let mut statements = vec![Signed::sign(&node, key)];
    statements.extend(introduction.statements);
    let request = JoinRequest {
        federation: introduction.federation,
        member: code.clone(),
        admission: Admission {
            kind: introduction.kind,
            name: introduction.name.parse().map_err(wrong)?,
            organisation: key.public(),
            population: introduction.population,
        },
        statements,
        at: now(),
    };
    Ok((Signed::sign(&request, key), code))
}

fn show(page: &mut Page, asked: &Asked, invitation: Option<&Invitation>) {
    let application = &asked.application;
    let made = if asked.earlier {
        "was made earlier"
    } else {
        "is made"
    };
    page.line(format_args!(
        "The request of {} to join {made}.",
        application.code
    ));
    page.gap();
    let mut fields = Vec::new();
    if let Some(invitation) = invitation {
        let name = &invitation.name;
        fields.push((
            "federation",
            format!("{name}, invited by {}", invitation.steward),
        ));
        fields.push(("federation's fingerprint", invitation.federation.spoken()));
    }
    fields.push(("request", asked.file.display().to_string()));
    fields.push(("request's fingerprint", application.fingerprint.clone()));
    page.fields(&fields);
    page.gap();
    page.line("Next: telephone a steward. Compare the federation's fingerprint, and read the");
    page.line("request's. Then:");
    if asked.brought {
        page.line("  $ fairshare run");
        page.line("It brings the request to the steward, and enters within a minute of being");
        page.line("admitted. If it cannot reach the steward, send the file.");
    } else {
        page.line(
            "  send the file or the link to the steward, and with the welcome you are sent back:",
        );
        page.line("  $ fairshare join --welcome FILE");
    }
}

fn show_entered(page: &mut Page, entered: &Entered) {
    let status = entered
        .status
        .map_or("not admitted yet", |status| status.word());
    let status = page.tone(Tone::Good, status);
    page.line(format_args!(
        "This node is in {}: {status}. Members taking part: {}.",
        entered.federation.name,
        count(entered.members)
    ));
    page.line("Next: `fairshare run`, and `fairshare members`.");
}
