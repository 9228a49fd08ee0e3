//! Real nodes: the `fairshare` binary, a home in a temporary directory, a process that is started,
//! asked, stopped and killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fairshare_node::journal;
use fairshare_protocol::journal::Act;
use serde_json::Value;
use tempfile::TempDir;

pub mod far;
pub mod federation;
pub mod mesh;
pub mod people;
pub mod terminal;
pub mod town;

/// How long a node may take to be ready, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// The `fairshare` binary, built once by this process as cargo would build it here.
///
/// Cargo builds no binary of another package for a test, so this asks it to: same profile, same
/// target directory. Up to date, that takes a fraction of a second; it holds under `cargo test` and
/// under nextest, whose test processes wait for each other on cargo's own lock.
pub fn fairshare() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/<profile>/deps/<this test>, or target/<triple>/<profile>/deps/<this test>
        let test = std::env::current_exe().unwrap();
        let dir = test.ancestors().nth(2).unwrap();
        let profile = match dir.file_name().and_then(OsStr::to_str) {
            Some("debug") => "dev",
            Some(other) => other,
            None => panic!("no profile in {}", test.display()),
        };
        let mut target = dir.parent().unwrap();
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.current_dir(crate::source::root());
        command.args([
            "build",
            "--quiet",
            "--package",
            "fairshare",
            "--bin",
            "fairshare",
        ]);
        command.args(["--profile", profile]);
        let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
        if !marks.iter().any(|mark| target.join(mark).exists()) {
            command.arg("--target").arg(target.file_name().unwrap());
            target = target.parent().unwrap();
        }
        command.arg("--target-dir").arg(target);
        // What cargo tells this test of its own package would make build scripts run again.
        for (name, _) in std::env::vars_os() {
            let own = [
                "CARGO_MANIFEST_",
                "CARGO_PKG_",
                "CARGO_CRATE_",
                "CARGO_BIN_",
            ];
            let name = name.to_string_lossy();
            if own.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&*name);
            }
        }
        let built = command.output().unwrap();
        assert!(
            built.status.success(),
            "{command:?}\n{}",
            text(&built.stderr)
        );
        dir.join("fairshare")
    })
}

/// One organisation's node: its home, and its process while it runs.
#[derive(Debug)]
pub struct Site {
    /// Where its home is; removed at the end.
    temp: TempDir,
    child: Option<Child>,
    starts: u32,
    /// What it logs.
    pub log: String,
    /// The network namespace its programs run in, if not this test's.
    pub network: Option<String>,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// A place for a node. Nothing is there yet.
    pub fn new() -> Self {
        Self {
            temp: tempfile::Builder::new()
                .prefix("fairshare-")
                .tempdir()
                .unwrap(),
            child: None,
            starts: 0,
            log: "info".to_owned(),
            network: None,
        }
    }

    /// Its home.
    pub fn home(&self) -> PathBuf {
        self.temp.path().join("home")
    }

    /// Its directory, the home's parent, for files beside the home.
    pub fn dir(&self) -> &Path {
        self.temp.path()
    }

    /// Makes the node of an organisation in `home`, without a passphrase, listening on a free port.
    pub fn init(&self, home: &str, code: &str, kind: &str, name: &str) -> String {
        let address = format!("127.0.0.1:{}", free_port());
        let reach = [address.as_str(), &address];
        self.init_for(home, [code, kind, name], 5000, reach)
    }

    /// [`Site::init`] for an organisation (code, kind, name) that looks after so many people and
    /// listens on one address and is reached at another.
    pub fn init_for(
        &self,
        home: &str,
        [code, kind, name]: [&str; 3],
        population: u32,
        [listen, announce]: [&str; 2],
    ) -> String {
        let who = [
            "--home", home, "init", "--ods", code, "--kind", kind, "--name", name,
        ];
        let reach = ["--listen", listen, "--announce", announce];
        let rest = [
            "--population",
            &population.to_string(),
            "--exchange-contact",
            "Records desk",
            "--guardian",
            "Dr A. Moss",
            "--no-passphrase",
        ];
        let made = self.json(&[&who[..], &reach[..], &rest[..]].concat());
        made["organisation"].as_str().unwrap().to_owned()
    }

    /// Names the user who runs this in the node's config: Sam Okafor, records manager.
    pub fn name_user(&self) {
        let uid = fs::metadata("/proc/self").unwrap().uid();
        let user = format!(
            "\n[[users]]\nuid = {uid}\nname = \"Sam Okafor\"\nrole = \"Records manager\"\n\
             id = \"sokafor\"\n"
        );
        let path = self.home().join("config.toml");
        let config = fs::read_to_string(&path).unwrap() + &user;
        fs::write(path, config).unwrap();
    }

    /// A command on this node, in its directory, seeing nothing of the machine it runs on.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.environment(fairshare());
        command.args(arguments);
        command
    }

    /// Another program in the same place.
    pub fn environment(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.network {
            Some(network) => {
                // It becomes the program, so that its process is the program's.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", network]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.dir());
        command.env("FAIRSHARE_HOME", self.home());
        command.env("HOME", self.dir());
        command.env("NO_COLOR", "1");
        command.env_remove("FAIRSHARE_LOG");
        command.env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; gives its stdout.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "fairshare {arguments:?}: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs a command that must succeed, with `--json`; gives its answer.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let with: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&with)).unwrap()
    }

    /// Starts the node and waits until it says that it is ready.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.starts += 1;
        let path = self.dir().join(format!("notify-{}", self.starts));
        let notify = UnixDatagram::bind(&path).unwrap();
        notify
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let log = File::create(self.dir().join(format!("node-{}.log", self.starts))).unwrap();
        let mut command = self.command(["run", "--log", &self.log]);
        command.env("NOTIFY_SOCKET", &path).stderr(log);
        command.stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        let mut said = [0; 64];
        loop {
            if let Ok(length) = notify.recv(&mut said) {
                assert_eq!(&said[..length], b"READY=1");
                break;
            }
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the node ended: {ended:?}\n{}",
                self.logs()
            );
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the node was not ready in time\n{}", self.logs());
            }
        }
        self.child = Some(child);
    }

    /// Its process's number.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Stops the node as a service manager does; gives how long it took.
    pub fn stop(&mut self) -> Duration {
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        let told = Command::new("kill").arg(child.id().to_string()).status();
        assert!(told.unwrap().success());
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(
                    status.success(),
                    "the node ended with {status}\n{}",
                    self.logs()
                );
                return begun.elapsed();
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the node did not stop in time\n{}", self.logs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the node: it learns nothing of it (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// What its journal says, in order.
    pub fn acts(&self) -> Vec<Act> {
        let entries = journal::read(&self.home().join("journal")).unwrap();
        entries.map(|entry| entry.unwrap().act).collect()
    }

    /// How many of the things its journal says are such.
    pub fn count(&self, of: impl Fn(&Act) -> bool) -> usize {
        self.acts().iter().filter(|act| of(act)).count()
    }

    /// Everything it ever logged.
    pub fn logs(&self) -> String {
        (1..=self.starts)
            .map(|n| fs::read(self.dir().join(format!("node-{n}.log"))).unwrap_or_default())
            .map(|bytes| text(&bytes))
            .collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago, TCP and UDP.
pub fn free_port() -> u16 {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.local_addr().unwrap().port()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
