//! `dispute`, `release` and `received open`: what was promised and did not come.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use fairshare_protocol::control::disputes::{
    Complain, Complained, ListOwed, MAX_OWED, OwedReport, ReleaseAgain, ReleasedAgain, TakeReleased,
};
use fairshare_protocol::control::exchange::ReceivedBundle;
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED, WRONG};
use fairshare_protocol::exchange::dispute::{Dispute, RELEASE_FORMAT, Released};
use fairshare_protocol::member::User;
use serde::de::DeserializeOwned;

use super::members::{operator, peer_name};
use super::{blocking, received, write_json, wrong};
use crate::engine::disputes::{self, Error};
use crate::engine::drive::now;
use crate::node::Node;

/// The largest complaint or key that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024 * 1024;

fn failed(error: &Error) -> Failure {
    let code = match error {
        Error::Bad(_) | Error::TheirTurn { .. } | Error::Key(_) => REFUSED,
        Error::Unreadable(..) | Error::Ours(_) => DEGRADED,
        _ => WRONG,
    };
    Failure::from_error(code, error)
}

/// What of a peer's lies here unopened.
///
/// # Errors
/// If it is no member, or the store fails.
pub async fn list(node: &Arc<Node>, question: ListOwed) -> Result<OwedReport, Failure> {
    let peer = question.peer;
    let name = peer_name(node, &peer)?;
    let (here, of) = (Arc::clone(node), peer.clone());
    let owed = move || disputes::owed(&here, &of).map_err(|error| wrong(&error));
    let mut owed = blocking(owed).await?;
    let total = owed.len() as u64;
    owed.truncate(MAX_OWED);
    Ok(OwedReport {
        now: now(),
        peer,
        name,
        owed,
        total,
    })
}

/// Writes a complaint about an exchange, with all that shows it; journaled.
///
/// # Errors
/// If nothing is known of the exchange, or the file cannot be written.
pub async fn complain(
    node: &Arc<Node>,
    user: &User,
    question: Complain,
) -> Result<Complained, Failure> {
    let Complain { peer, exchange, to } = question;
    peer_name(node, &peer)?;
    let (here, of, file) = (Arc::clone(node), peer.clone(), to.clone());
    let complained = blocking(move || {
        let dispute = disputes::complain(&here, &of, &exchange).map_err(|error| failed(&error))?;
        let checked = dispute.check(now());
        let checked = checked.map_err(|bad| failed(&Error::Bad(bad)))?;
        let bytes = write_json(&file, &dispute)?;
        Ok(Complained {
            checked,
            file,
            bytes,
        })
    })
    .await?;
    let (lack, file) = (complained.checked.lack, complained.file.display());
    let what = format!("wrote a complaint about exchange {exchange} with {peer}, {lack}: {file}");
    operator(node, user, what).await?;
    Ok(complained)
}

/// Releases the key of a bundle again, sealed to whoever complains; journaled before it is written.
///
/// # Errors
/// If the complaint does not hold, is of another, or it is the complainant's turn.
pub async fn release(
    node: &Arc<Node>,
    user: &User,
    question: ReleaseAgain,
) -> Result<ReleasedAgain, Failure> {
    let ReleaseAgain { complaint, to } = question;
    let dispute = blocking(move || read::<Dispute>(&complaint, "complaint")).await?;
    if to.exists() {
        let fact = format!("{} is there already", to.display());
        return Err(Failure::new(
            WRONG,
            fact,
            "name a file that is not there yet",
        ));
    }
    let released = disputes::release(node, dispute).await;
    let (release, released) = released.map_err(|error| failed(&error))?;
    let (peer, exchange) = (release.to, release.exchange);
    let what = format!("released the key of our bundle in exchange {exchange} to {peer} again");
    operator(node, user, what).await?;
    let file = to.clone();
    blocking(move || write_json(&file, &released)).await?;
    Ok(ReleasedAgain {
        peer,
        exchange,
        file: to,
    })
}

/// Opens a bundle with a key its author released again.
///
/// # Errors
/// If it is not for this node, the bundle is not here, or it does not open.
pub async fn take(
    node: &Arc<Node>,
    user: &User,
    question: TakeReleased,
) -> Result<ReceivedBundle, Failure> {
    let file = question.file;
    let shown = file.display().to_string();
    let released = blocking(move || read::<Released>(&file, "key that was released again")).await?;
    if released.format != RELEASE_FORMAT {
        let fact = format!("{shown} is no key that was released again");
        return Err(Failure::new(
            WRONG,
            fact,
            "name the file `fairshare release` wrote",
        ));
    }
    let taken = disputes::take(node, &released.release).await;
    let exchange = taken.map_err(|error| failed(&error))?;
    let what = format!("opened what came in exchange {exchange} with a key released again");
    operator(node, user, what).await?;
    received::one(node, &exchange)
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, Failure> {
    let shown = path.display();
    let remedy = format!("name a file with a {what}, which the node may read");
    let file = File::open(path);
    let file = file.map_err(|error| Failure::new(WRONG, format!("{shown}: {error}"), &remedy))?;
    let bounded = BufReader::new(file).take(MAX_FILE);
    serde_json::from_reader(bounded).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let fact = format!("{shown} is no {what}, or damaged at line {line}, column {column}");
        Failure::new(WRONG, fact, &remedy)
    })
}
