//! All files, one after the other, over one stream: length, bytes, hash.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{CHUNK, Fallible};

/// Sends them.
pub async fn send(files: &[PathBuf], mut to: impl AsyncWrite + Unpin) -> Fallible<()> {
    to.write_all(&(files.len() as u64).to_le_bytes()).await?;
    let mut chunk = vec![0; CHUNK];
    for path in files {
        let mut file = File::open(path)?;
        to.write_all(&file.metadata()?.len().to_le_bytes()).await?;
        let mut hasher = blake3::Hasher::new();
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            hasher.update(&chunk[..read]);
            to.write_all(&chunk[..read]).await?;
        }
        to.write_all(hasher.finalize().as_bytes()).await?;
    }
    to.flush().await?;
    Ok(())
}

/// Takes them, each into a file of its own, fsynced.
pub async fn take(mut from: impl AsyncRead + Unpin, dir: &Path) -> Fallible<()> {
    let mut number = [0; 8];
    from.read_exact(&mut number).await?;
    let mut chunk = vec![0; CHUNK];
    for at in 0..u64::from_le_bytes(number) {
        from.read_exact(&mut number).await?;
        let mut left = u64::from_le_bytes(number);
        let mut file = File::create(dir.join(at.to_string()))?;
        let mut hasher = blake3::Hasher::new();
        while left > 0 {
            let most = chunk.len().min(left as usize);
            let read = from.read(&mut chunk[..most]).await?;
            if read == 0 {
                return Err("cut short".into());
            }
            hasher.update(&chunk[..read]);
            file.write_all(&chunk[..read])?;
            left -= read as u64;
        }
        file.sync_all()?;
        let mut hash = [0; 32];
        from.read_exact(&mut hash).await?;
        if hasher.finalize() != hash {
            return Err("another file than was sent".into());
        }
    }
    Ok(())
}
