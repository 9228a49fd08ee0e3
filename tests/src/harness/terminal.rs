//! A person at a terminal: a command that runs in a real pseudo-terminal, what it shows there, and
//! what is typed.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long something may take to be shown.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command in a terminal of its own, 200 columns wide.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    child: Child,
    shown: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
    /// How much of what was shown was waited for.
    read: usize,
}

impl Terminal {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 50,
            ws_col: 200,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = OsString::from_vec(ptsname(&master, Vec::new()).unwrap().into_bytes());
        let mut open = OpenOptions::new();
        let slave = open.read(true).write(true).open(name).unwrap();
        command.stdin(slave.try_clone().unwrap());
        command.stdout(slave.try_clone().unwrap());
        let child = command.stderr(slave).spawn().unwrap();
        // With the last handle of ours gone, the end of the command is the end of what it shows.
        drop(command);
        let keys = File::from(master);
        let mut screen = keys.try_clone().unwrap();
        let shown = Arc::<Mutex<String>>::default();
        let kept = Arc::clone(&shown);
        let reading = thread::spawn(move || {
            let mut some = [0; 4096];
            // At the end it is an error, as of a line that was hung up.
            while let Ok(read @ 1..) = screen.read(&mut some) {
                let text = String::from_utf8_lossy(&some[..read]).replace('\r', "");
                kept.lock().unwrap().push_str(&text);
            }
        });
        Self {
            keys,
            child,
            shown,
            reading,
            read: 0,
        }
    }

    /// The process, to send it a signal.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until this is shown, after what was waited for before; gives what was shown up to it.
    pub fn until(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let shown = self.shown.lock().unwrap().clone();
            let new = &shown[self.read..];
            if let Some(at) = new.find(text) {
                let end = at + text.len();
                self.read += end;
                return new[..end].to_owned();
            }
            let over = self.reading.is_finished();
            assert!(
                !over && begun.elapsed() < PATIENCE,
                "no {text:?} in:\n{shown}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) {
        self.keys.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits for its end; gives its exit code and what it showed since it was last waited for.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.reading.join().unwrap();
        let shown = self.shown.lock().unwrap();
        (status.code(), shown[self.read..].to_owned())
    }
}
