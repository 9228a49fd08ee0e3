//! fairshare
fn main() {}
