//! rustls over TCP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{Fallible, ready, stream};

const NAME: &str = "localhost";

/// Writes `cert.pem` and `key.pem`.
pub fn certificate(dir: &Path) -> Fallible<()> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    std::fs::write(dir.join("cert.pem"), made.cert.pem())?;
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

pub async fn serve(files: Vec<PathBuf>) -> Fallible<()> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes())?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let cert = std::env::temp_dir().join(format!("rivals-{}.pem", std::process::id()));
    std::fs::write(&cert, made.cert.pem())?;
    let files = Arc::new(files);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            let (files, acceptor) = (Arc::clone(&files), acceptor.clone());
            tokio::spawn(async move {
                let mut to = acceptor.accept(tcp).await?;
                stream::send(&files, &mut to).await?;
                to.shutdown().await?;
                Fallible::Ok(())
            });
        }
        #[allow(unreachable_code)]
        Fallible::Ok(())
    });
    let served = ready(&format!("{port} {}", cert.display())).await;
    std::fs::remove_file(cert)?;
    served
}

/// A line to a server of this machine.
pub async fn connect(port: u16, certificate: &Path) -> Fallible<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(NAME)?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, tcp).await?)
}

/// Port and certificate, as `serve` gave them.
pub fn place(at: &str) -> Fallible<(u16, PathBuf)> {
    let (port, certificate) = at.split_once(' ').ok_or("no port and certificate")?;
    Ok((port.parse()?, PathBuf::from(certificate)))
}

pub async fn get(at: &str, dir: &Path) -> Fallible<()> {
    let (port, certificate) = place(at)?;
    stream::take(connect(port, &certificate).await?, dir).await
}
