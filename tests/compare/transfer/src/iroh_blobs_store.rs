//! iroh-blobs, from one file store to another: verified while it comes, and kept there. No relay, no
//! lookup: both are on this machine.

use std::path::{Path, PathBuf};

use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, EndpointId};
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::{BlobsProtocol, Hash};

use crate::{Fallible, ready};

pub async fn serve(files: Vec<PathBuf>) -> Fallible<()> {
    let place = std::env::temp_dir().join(format!("rivals-{}", std::process::id()));
    let store = FsStore::load(&place).await?;
    let mut hashes = Vec::new();
    for file in files {
        let added = store.blobs().add_path(std::path::absolute(file)?).await?;
        hashes.push(added.hash.to_string());
    }
    let endpoint = Endpoint::builder(presets::Minimal)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .bind()
        .await?;
    let port = endpoint
        .bound_sockets()
        .first()
        .map(std::net::SocketAddr::port)
        .ok_or("it listens nowhere")?;
    let id = endpoint.id();
    let list = place.join("hashes");
    std::fs::write(&list, hashes.join("\n"))?;
    let router = Router::builder(endpoint)
        .accept(iroh_blobs::ALPN, BlobsProtocol::new(&store, None))
        .spawn();
    ready(&format!("{id} {port} {}", list.display())).await?;
    // The store with it.
    router.shutdown().await?;
    std::fs::remove_dir_all(place)?;
    Ok(())
}

pub async fn get(at: &str, dir: &Path) -> Fallible<()> {
    let words: Vec<&str> = at.splitn(3, ' ').collect();
    let [id, port, list] = words[..] else {
        return Err("no id, port and list".into());
    };
    let id: EndpointId = id.parse()?;
    let port: u16 = port.parse()?;
    let store = FsStore::load(dir.join("store")).await?;
    let endpoint = Endpoint::builder(presets::Minimal)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .bind()
        .await?;
    let at = EndpointAddr::new(id).with_ip_addr(([127, 0, 0, 1], port).into());
    let connection = endpoint.connect(at, iroh_blobs::ALPN).await?;
    for hash in std::fs::read_to_string(list)?.lines() {
        let hash: Hash = hash.parse()?;
        store.remote().fetch(connection.clone(), hash).await?;
    }
    // Durable, as the others are when they say that they are done.
    store.sync_db().await?;
    let data = std::fs::read_dir(dir.join("store/data"))?;
    for file in data {
        std::fs::File::open(file?.path())?.sync_all()?;
    }
    endpoint.close().await;
    store.shutdown().await?;
    Ok(())
}
