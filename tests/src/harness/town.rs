//! Machines of a network that can be cut in two: a network namespace each, on two bridges with one
//! cable between them.

use std::process::Command;

use crate::shared::skipped;

/// Which of the two bridges a machine is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The one.
    East,
    /// The other.
    West,
}

/// The network; taken away at the end.
#[derive(Debug)]
pub struct Town {
    name: String,
    machines: usize,
}

impl Town {
    /// A network of machines, each on its part. None where this test may not make any, which it says.
    pub fn new(parts: &[Part]) -> Option<Self> {
        let town = Self {
            name: format!("fairshare-{}", std::process::id()),
            machines: parts.len(),
        };
        let hub = town.hub();
        let mut steps = vec![
            format!("netns add {hub}"),
            format!("-n {hub} link add east type bridge"),
            format!("-n {hub} link add west type bridge"),
            format!("-n {hub} link add cable type veth peer name elbac"),
            format!("-n {hub} link set cable master east"),
            format!("-n {hub} link set elbac master west"),
        ];
        steps.extend(
            ["east", "west", "cable", "elbac"].map(|it| format!("-n {hub} link set {it} up")),
        );
        for (n, part) in parts.iter().enumerate() {
            let (machine, address) = (town.machine(n), Self::address(n));
            let bridge = match part {
                Part::East => "east",
                Part::West => "west",
            };
            steps.extend([
                format!("netns add {machine}"),
                format!("link add wire netns {machine} type veth peer name wire{n} netns {hub}"),
                format!("-n {hub} link set wire{n} master {bridge}"),
                format!("-n {hub} link set wire{n} up"),
                format!("-n {machine} address add {address}/24 dev wire"),
                format!("-n {machine} link set lo up"),
                format!("-n {machine} link set wire up"),
            ]);
        }
        steps.push(format!("netns exec {hub} true"));
        for step in steps {
            if let Err(why) = ip(&step) {
                skipped(&format!("no network namespaces here: ip {step}: {why}"));
                return None;
            }
        }
        Some(town)
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    /// The namespace of the machine of that number.
    pub fn machine(&self, n: usize) -> String {
        format!("{}-{n}", self.name)
    }

    /// The address of the machine of that number.
    pub fn address(n: usize) -> String {
        format!("10.78.0.{}", n + 1)
    }

    /// Takes the cable between the parts away.
    pub fn cut(&self) {
        ip(&format!("-n {} link set cable down", self.hub())).unwrap();
    }

    /// Puts it back.
    pub fn mend(&self) {
        ip(&format!("-n {} link set cable up", self.hub())).unwrap();
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let machines = (0..self.machines).map(|n| self.machine(n));
        for name in machines.chain([self.hub()]) {
            // It may not have been made.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| error.to_string())?;
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    output.status.success().then_some(()).ok_or(why)
}
