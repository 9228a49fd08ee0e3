//! Who does what only somebody named may do, and words that must name nobody.

use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::member::User;
use fairshare_protocol::text::Line;

use crate::node::Node;

/// As many digits in a row, spaces and hyphens between them aside, may name somebody.
const TELLING_DIGITS: usize = 7;

/// Refuses a user whom the config does not name: the owner of the home is "the operator" to it,
/// whoever that is. `what` says what only a named person does.
///
/// # Errors
/// If the config does not name the user.
pub fn named(node: &Node, user: &User, what: &str) -> Result<(), Failure> {
    if node.config.names(user) {
        return Ok(());
    }
    let fact = format!("only a named person {what}, and this node's config names nobody");
    let remedy = "add a [[users]] entry for everybody who may use the node to config.toml and start \
                  it again";
    Err(Failure::new(REFUSED, fact, remedy))
}

/// Refuses words that may name a patient: the journal keeps them for ever.
///
/// # Errors
/// If there is a number in them that may be somebody's.
pub fn names_nobody(reason: &Line) -> Result<(), Failure> {
    let mut digits = 0;
    for c in reason.as_str().chars() {
        match c {
            '0'..='9' => digits += 1,
            ' ' | '-' | '\u{a0}' => {}
            _ => digits = 0,
        }
        if digits >= TELLING_DIGITS {
            let fact = "the reason has a number in it that may be somebody's";
            let remedy = "say why without naming anybody: it stays in the journal";
            return Err(Failure::new(WRONG, fact, remedy));
        }
    }
    Ok(())
}
