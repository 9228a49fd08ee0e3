//! A line on which everything takes a while, as between two towns.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A port of this machine that leads to another one; what goes through takes so long, either way,
/// and as much as there is goes at once.
pub fn far(port: u16, one_way: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for line in listener.incoming().flatten() {
            let Ok(other) = TcpStream::connect(("127.0.0.1", port)) else {
                continue;
            };
            for end in [&line, &other] {
                let _ = end.set_nodelay(true);
            }
            let ends = [(&line, &other), (&other, &line)];
            for (from, to) in ends.map(|(from, to)| (from.try_clone(), to.try_clone())) {
                if let (Ok(from), Ok(to)) = (from, to) {
                    carry(from, to, one_way);
                }
            }
        }
    });
    near
}

/// Carries one direction until either end is gone.
fn carry(mut from: TcpStream, mut to: TcpStream, one_way: Duration) {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read) = from.read(&mut buffer)
            && read > 0
            && send
                .send((Instant::now() + one_way, buffer[..read].to_vec()))
                .is_ok()
        {}
    });
    thread::spawn(move || {
        while let Ok((due, bytes)) = receive.recv() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
