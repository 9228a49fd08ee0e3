//! Logs: to stderr, a level for everything and others for some targets.
//!
//! Types that hold patient data have no `Display` and a `Debug` that says nothing, so nothing of a
//! person can be logged, at any level.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging as `given` says, else as `FAIRSHARE_LOG` says, else at `otherwise`: a level
/// (`error`, `warn`, `info`, `debug`, `trace`, `off`), and levels of single targets after commas
/// (`info,fairshare_node::network=debug`).
///
/// # Errors
/// If it says something else.
pub fn start(given: Option<&str>, otherwise: &str) -> Result<(), Error> {
    let environment = std::env::var("FAIRSHARE_LOG").ok();
    let filter = given.or(environment.as_deref()).unwrap_or(otherwise);
    let targets: Targets = filter.parse().map_err(|source| Error {
        given: filter.to_owned(),
        source,
    })?;
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colour);
    // Only the first start counts; a second one, in a test, changes nothing.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(targets)
        .try_init();
    Ok(())
}

/// The filter is none.
#[derive(Debug, thiserror::Error)]
#[error("`{given}` is not a log level ({source}); use error, warn, info, debug, trace or off")]
pub struct Error {
    given: String,
    source: ParseError,
}
