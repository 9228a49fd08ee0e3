//! How fast frames travel between two networks on this machine: 64 KiB each, in one process, over
//! TCP with TLS and over QUIC. Prints; asserts nothing of time.
//!
//! `cargo bench -p fairshare-tests --bench frames` (FAIRSHARE_MIB sets how much, 1024 by default.)
//!
//! Beside it, in the same run, plain TCP with the same frames and none of the promises.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops if it cannot run"
)]

use std::time::{Duration, Instant};

use fairshare_node::network::{Config, Contact, Event, Frames, Network, Timing};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::PublicKey;
use fairshare_protocol::wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const FRAME: usize = 64 * 1024;
const ECHOES: usize = 2_000;

struct Side {
    network: Network,
    events: mpsc::Receiver<Event>,
    contact: Contact,
}

async fn side(listen: &str) -> Side {
    let key = KeyPair::generate(&mut rand::rng());
    let public = key.public();
    let config = Config {
        key,
        listen: vec![listen.to_owned()],
        timing: Timing::default(),
    };
    let (network, events) = Network::start(config).await.unwrap();
    let contact = Contact {
        key: public,
        addresses: network.listening().await.unwrap(),
    };
    Side {
        network,
        events,
        contact,
    }
}

async fn pair(from: &Network, to: &mut Side) -> (Frames, Frames) {
    let mut out = from.open(&to.contact.key, wire::EXCHANGE).await.unwrap();
    out.send(b"here").await.unwrap();
    loop {
        if let Some(Event::Incoming { mut frames, .. }) = to.events.recv().await {
            frames.recv(FRAME).await.unwrap().unwrap();
            return (out, frames);
        }
    }
}

/// Sends so many frames over each of these streams at once; gives MiB/s over all of them.
async fn pour(lines: Vec<(Frames, Frames)>, frames: usize) -> f64 {
    let begun = Instant::now();
    let streams = lines.len();
    let mut both = tokio::task::JoinSet::new();
    for (mut out, mut back) in lines {
        both.spawn(async move {
            let frame = vec![7; FRAME];
            for _ in 0..frames {
                out.send(&frame).await.unwrap();
            }
            out.finish().await.unwrap();
            // Kept until the other side has read all of it.
            assert_eq!(out.recv(1).await.unwrap(), None);
        });
        both.spawn(async move {
            for _ in 0..frames {
                assert_eq!(back.recv(FRAME).await.unwrap().unwrap().len(), FRAME);
            }
            back.finish().await.unwrap();
        });
    }
    both.join_all().await;
    mebibytes(streams * frames) / begun.elapsed().as_secs_f64()
}

fn mebibytes(frames: usize) -> f64 {
    f64::from(u32::try_from(frames / 16).unwrap())
}

async fn plain(frames: usize) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut out = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (mut back, _) = listener.accept().await.unwrap();
    let begun = Instant::now();
    let writing = tokio::spawn(async move {
        let frame = vec![7; FRAME];
        for _ in 0..frames {
            out.write_all(&frame).await.unwrap();
        }
    });
    let mut frame = vec![0; FRAME];
    for _ in 0..frames {
        back.read_exact(&mut frame).await.unwrap();
    }
    writing.await.unwrap();
    mebibytes(frames) / begun.elapsed().as_secs_f64()
}

async fn until_connected(network: &Network, key: &PublicKey) {
    let all = async || network.peers().await.unwrap();
    while !all()
        .await
        .iter()
        .any(|one| one.key == *key && one.connected)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The middle and the 99th of a hundred.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[times.len() * share / 100].as_micros();
    format!("median {} µs, 99th {} µs", at(50), at(99))
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mib = std::env::var("FAIRSHARE_MIB").ok();
    let mib: usize = mib.map_or(1024, |number| number.parse().unwrap());
    let frames = mib * 1024 * 1024 / FRAME;
    println!(
        "plain TCP            1 stream  {:7.0} MiB/s",
        plain(frames).await
    );
    for (name, listen) in [
        ("TCP, TLS, Yamux", "127.0.0.1:0"),
        ("QUIC", "/ip4/127.0.0.1/udp/0/quic-v1"),
    ] {
        let (one, mut two) = (side(listen).await, side(listen).await);
        one.network
            .set_members(vec![two.contact.clone()])
            .await
            .unwrap();
        two.network
            .set_members(vec![one.contact.clone()])
            .await
            .unwrap();
        until_connected(&one.network, &two.contact.key).await;
        for streams in [1, 4] {
            let mut lines = Vec::new();
            for _ in 0..streams {
                lines.push(pair(&one.network, &mut two).await);
            }
            let rate = pour(lines, frames / streams).await;
            println!(
                "{name:<20} {streams} stream{} {rate:7.0} MiB/s",
                if streams == 1 { " " } else { "s" }
            );
        }
        let (mut out, mut back) = pair(&one.network, &mut two).await;
        let echo = tokio::spawn(async move {
            while let Some(frame) = back.recv(FRAME).await.unwrap() {
                back.send(&frame).await.unwrap();
            }
        });
        let mut times = Vec::new();
        for _ in 0..ECHOES {
            let begun = Instant::now();
            out.send(&[7; 128]).await.unwrap();
            out.recv(FRAME).await.unwrap().unwrap();
            times.push(begun.elapsed());
        }
        out.finish().await.unwrap();
        echo.await.unwrap();
        println!("{name:<20} 128 bytes there and back: {}", spread(times));
        let mut times = Vec::new();
        for _ in 0..ECHOES / 4 {
            let begun = Instant::now();
            drop(pair(&one.network, &mut two).await);
            times.push(begun.elapsed());
        }
        println!(
            "{name:<20} a stream opened and a frame there: {}",
            spread(times)
        );
        one.network.shutdown().await;
        two.network.shutdown().await;
    }
}
