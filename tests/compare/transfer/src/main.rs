//! Sends files from one process to another as others would: what a Fairshare transfer is compared to.
//!
//! `rivals serve KIND FILE…` prints one line, which `rivals get KIND LINE DIR` takes, and serves until
//! its standard input ends. `get` writes every file into DIR, each fsynced, and prints the seconds it
//! took. What travels is checked by BLAKE3 on both sides, except over HTTP, which has no such thing.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

mod http;
mod iroh_blobs_store;
mod plain;
mod stream;
mod tls;

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
            let begun = Instant::now();
            match *kind {
                "libp2p" => plain::get(at, dir).await?,
                "iroh" => iroh_blobs_store::get(at, dir).await?,
                "rustls" => tls::get(at, dir).await?,
                "http" => http::get(at, dir).await?,
                _ => return Err("no such kind".into()),
            }
            println!("{}", begun.elapsed().as_secs_f64());
            Ok(())
        }
        ["certificate", dir] => tls::certificate(Path::new(dir)),
        _ => Err("rivals serve KIND FILE… | get KIND LINE DIR | certificate DIR".into()),
    }
}

/// Says where to get the files, and waits until nobody wants them any more.
async fn ready(line: &str) -> Fallible<()> {
    println!("{line}");
    let wait = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(wait).await??;
    Ok(())
}
