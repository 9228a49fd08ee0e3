//! Sends files from one process to another as others would: what a Fairshare transfer is compared to.
//!
//! `rivals serve KIND FILE…` prints one line, which `rivals get KIND LINE DIR` takes, and serves until
//! its standard input ends. `get` writes every file into DIR, each fsynced, and prints the seconds it
//! took, and the most memory it had resident before and after, in bytes. What travels is checked by BLAKE3 on both sides, except over HTTP, which has no such thing.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

mod http;
mod iroh_blobs_store;
mod plain;
mod stream;
mod tls;

/// As a node has it, so that what differs is not the allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Bytes read or written at once.
const CHUNK: usize = 64 * 1024;

#[tokio::main(worker_threads = 2)]
async fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Both of its providers are in the tree: libp2p brings one, iroh the other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["serve", kind, files @ ..] => {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            match *kind {
                "libp2p" => plain::serve(files).await?,
                "iroh" => iroh_blobs_store::serve(files).await?,
                "rustls" => tls::serve(files).await?,
                _ => return Err("no such kind".into()),
            }
            Ok(())
        }
        ["get", kind, at, dir] => {
            let dir = Path::new(dir);
            let resting = peak()?;
            let begun = Instant::now();
            match *kind {
                "libp2p" => plain::get(at, dir).await?,
                "iroh" => iroh_blobs_store::get(at, dir).await?,
                "rustls" => tls::get(at, dir).await?,
                "http" => http::get(at, dir).await?,
                _ => return Err("no such kind".into()),
            }
            println!("{} {resting} {}", begun.elapsed().as_secs_f64(), peak()?);
            Ok(())
        }
        ["certificate", dir] => tls::certificate(Path::new(dir)),
        _ => Err("rivals serve KIND FILE… | get KIND LINE DIR | certificate DIR".into()),
    }
}

/// The most memory this process has had resident, in bytes.
fn peak() -> Fallible<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmHWM")?.parse::<u64>()? * 1024)
}

/// Says where to get the files, and waits until nobody wants them any more.
async fn ready(line: &str) -> Fallible<()> {
    println!("{line}");
    let wait = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(wait).await??;
    Ok(())
}
