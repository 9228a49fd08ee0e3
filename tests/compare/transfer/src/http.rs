//! HTTP/1.1 over TLS, from whatever serves `/0`, `/1`, … to the number given: one after the other on one
//! connection, each into a file, fsynced.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{CHUNK, Fallible, tls};

pub async fn get(at: &str, dir: &Path) -> Fallible<()> {
    let (count, place) = at.split_once(' ').ok_or("no number of files")?;
    let (port, certificate) = tls::place(place)?;
    let line = tls::connect(port, &certificate).await?;
    let mut line = BufReader::with_capacity(CHUNK, line);
    let mut chunk = vec![0; CHUNK];
    for at in 0..count.parse::<u64>()? {
        let request = format!("GET /{at} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        line.get_mut().write_all(request.as_bytes()).await?;
        let mut left = None;
        let mut header = String::new();
        loop {
            header.clear();
            line.read_line(&mut header).await?;
            let header = header.trim_end().to_ascii_lowercase();
            if let Some(length) = header.strip_prefix("content-length:") {
                left = Some(length.trim().parse::<u64>()?);
            }
            if header.is_empty() {
                break;
            }
        }
        let mut left = left.ok_or("no content-length")?;
        let mut file = File::create(dir.join(at.to_string()))?;
        while left > 0 {
            let most = chunk.len().min(left as usize);
            let read = line.read(&mut chunk[..most]).await?;
            if read == 0 {
                return Err("cut short".into());
            }
            file.write_all(&chunk[..read])?;
            left -= read as u64;
        }
        file.sync_all()?;
    }
    Ok(())
}
