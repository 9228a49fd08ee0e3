//! TLS 1.3 as libp2p has it (libp2p specs, `tls/tls.md`): the certificate, its check and the name of
//! the upgrade are libp2p's own; this chooses what it lets nobody choose.
//!
//! - The faster cipher of this processor is preferred: libp2p always prefers ChaCha20-Poly1305, which
//!   takes four times as long as AES-256-GCM where there is help for it.
//! - The secrets of a connection are written nowhere. libp2p writes them into the file that
//!   `SSLKEYLOGFILE` names; over QUIC, which is libp2p's alone, it still does.

use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fairshare_protocol::crypto::stream::Cipher;
use futures::future::{BoxFuture, FutureExt};
use futures::{AsyncRead, AsyncWrite};
use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use libp2p::PeerId;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::identity::Keypair;
use libp2p::tls::certificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme,
};

/// TLS for one identity.
#[derive(Clone)]
pub(super) struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// Why a line could not be secured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] certificate::GenError),
    /// The library refuses what it was given.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The other side is not who it says, or the line was lost.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The library's defaults, with the suites of TLS 1.3 in our order.
fn provider() -> CryptoProvider {
    let chacha = suite::TLS13_CHACHA20_POLY1305_SHA256;
    let (aes256, aes128) = (
        suite::TLS13_AES_256_GCM_SHA384,
        suite::TLS13_AES_128_GCM_SHA256,
    );
    CryptoProvider {
        cipher_suites: match Cipher::fastest() {
            Cipher::Aes256Gcm => vec![aes256, aes128, chacha],
            Cipher::ChaCha20Poly1305 => vec![chacha, aes256, aes128],
        },
        ..default_provider()
    }
}

impl Tls {
    pub(super) fn new(identity: &Keypair) -> Result<Self, Error> {
        let (certificate, key) = certificate::generate(identity)?;
        let provider = Arc::new(provider());
        let key = provider.key_provider.load_private_key(key)?;
        let own = CertifiedKey::new(vec![certificate], key);
        let own = Arc::new(SingleCertAndKey::from(own));
        let versions = &[&rustls::version::TLS13];
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Libp2p))
            .with_client_cert_resolver(Arc::clone(&own) as _);
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(Arc::new(Libp2p))
            .with_cert_resolver(own);
        for protocols in [&mut client.alpn_protocols, &mut server.alpn_protocols] {
            *protocols = vec![b"libp2p".to_vec()];
        }
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

/// Who is at the other end of a line whose handshake is done.
fn peer(state: &CommonState) -> Result<PeerId, Error> {
    let [one] = state.peer_certificates().unwrap_or_default() else {
        return Err(Error::Tls(rustls::Error::NoCertificatesPresented));
    };
    Ok(checked(one)?.peer_id())
}

impl UpgradeInfo for Tls {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/tls/1.0.0")
    }
}

impl<C> InboundConnectionUpgrade<C> for Tls
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = (PeerId, TlsStream<C>);
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Output, Error>>;

    fn upgrade_inbound(self, line: C, _: Self::Info) -> Self::Future {
        async move {
            let line = TlsAcceptor::from(self.server).accept(line).await?;
            Ok((peer(line.get_ref().1)?, line.into()))
        }
        .boxed()
    }
}

impl<C> OutboundConnectionUpgrade<C> for Tls
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = (PeerId, TlsStream<C>);
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Output, Error>>;

    fn upgrade_outbound(self, line: C, _: Self::Info) -> Self::Future {
        async move {
            // An address, so that no name is sent (tls.md, "Server Name Indication").
            let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
            let line = TlsConnector::from(self.client)
                .connect(nobody, line)
                .await?;
            Ok((peer(line.get_ref().1)?, line.into()))
        }
        .boxed()
    }
}

/// What libp2p asks of a certificate: that it is one, signed by itself, and bears an identity that
/// signed its key. Who that is, the swarm decides.
#[derive(Debug)]
struct Libp2p;

fn checked<'a>(
    certificate: &'a CertificateDer<'a>,
) -> Result<certificate::P2pCertificate<'a>, rustls::Error> {
    Ok(certificate::parse(certificate)?)
}

impl Libp2p {
    fn alone(one: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        if !more.is_empty() {
            return Err(rustls::Error::General("more than one certificate".into()));
        }
        checked(one).map(drop)
    }

    fn signed(
        message: &[u8],
        by: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        checked(by)?.verify_signature(signed.scheme, message, signed.signature())?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn never() -> rustls::Error {
        rustls::Error::General("only TLS 1.3 is spoken".into())
    }

    /// Those libp2p's own check knows.
    fn schemes() -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA256,
        ]
    }
}

impl ServerCertVerifier for Libp2p {
    fn verify_server_cert(
        &self,
        one: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Self::alone(one, more).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(Self::never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        by: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::signed(message, by, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

impl ClientCertVerifier for Libp2p {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        one: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Self::alone(one, more).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(Self::never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        by: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::signed(message, by, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}
