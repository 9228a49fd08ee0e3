//! `fairshare`: the one program an organisation installs.

use std::process::ExitCode;

use clap::Parser;
use fairshare_node::home::Home;
use fairshare_node::telemetry;
use fairshare_protocol::control::{Failure, WRONG};

use crate::args::Args;
use crate::client::Client;
use crate::output::Output;

mod args;
mod client;
mod commands;
mod demo;
mod output;
mod paper;
mod questions;
mod report;
mod signing;

/// A node makes and frees small values all day: with the system's allocator that is a sixth of its
/// CPU time in a round.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return not_understood(&error),
    };
    let output = Output::new(args.json);
    match start(args, output) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// Tells what the command line lacks, or the help that was asked for; as JSON too if that was asked
/// for.
fn not_understood(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json && error.use_stderr() {
        let text = error.render().to_string();
        // The first paragraph; usage follows.
        let lines = text.lines().take_while(|line| !line.is_empty());
        let fact = lines.map(str::trim).collect::<Vec<_>>().join(" ");
        let fact = fact.strip_prefix("error: ").unwrap_or(&fact);
        let failure = Failure::new(
            WRONG,
            fact,
            "see `fairshare help`, and --help of the command",
        );
        Output::new(true).failure(&failure);
    } else {
        // Nobody reads it: nothing is to be done.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG))
}

fn start(args: Args, output: Output) -> Result<u8, Failure> {
    telemetry::start(args.log.as_deref(), args.command.log())
        .map_err(|error| Failure::from_error(WRONG, &error))?;
    let home = Home::place(args.home.as_deref());
    let home = home.map_err(|error| Failure::from_error(WRONG, &error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(WRONG, format!("no threads can be started: {error}"), ""))?;
    let client = Client::new(home, output);
    let code = runtime.block_on(args.command.run(&client));
    // What blocks a thread after the command's end is waiting for somebody who has gone.
    runtime.shutdown_background();
    code
}
