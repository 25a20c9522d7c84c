//! TLS 1.3 in which both sides show a certificate and both are known by their key.
//!
//! Always true here: a handshake succeeds only with a key that was asked for, and only if its holder signed this very
//! handshake. No certificate authority, no name and no date has a say; sessions are never resumed, since a resumed
//! session would not ask whether the peer has been retired meanwhile.
use crate::identity::{Identity, NodeId, certified};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, PeerIncompatible, ServerConfig,
    SignatureScheme,
};
use std::fmt;
use std::sync::Arc;

/// May a node with that id come in?
pub type Admits = Arc<dyn Fn(NodeId) -> bool + Send + Sync>;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

/// The only kind of key that nodes have.
const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ED25519];

/// For the side that is called.
pub fn server_config(identity: &Identity, admits: Admits) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(Callers { admits }))
        .with_single_cert(vec![identity.certificate()], identity.key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// For the side that calls the node `callee`.
pub fn client_config(identity: &Identity, callee: NodeId) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Callee { id: callee }))
        .with_client_auth_cert(vec![identity.certificate()], identity.key())?;
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// A node sends one certificate, its own.
fn alone(intermediates: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
    match intermediates {
        [] => Ok(()),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

fn check(message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<(), rustls::Error> {
    if !SCHEMES.contains(&dss.scheme) {
        return Err(PeerIncompatible::NoSignatureSchemesInCommon.into());
    }
    verify_tls13_signature(message, cert, dss, &algorithms()).map(drop)
}

struct Callers {
    admits: Admits,
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callers")
    }
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        alone(intermediates)?;
        let id = certified(end_entity)?;
        if (self.admits)(id) {
            return Ok(ClientCertVerified::assertion());
        }
        tracing::warn!(node = %id, "a stranger was turned away");
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        check(message, cert, dss).map(|()| HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

#[derive(Debug)]
struct Callee {
    id: NodeId,
}

impl ServerCertVerifier for Callee {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        alone(intermediates)?;
        if certified(end_entity)? == self.id {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        check(message, cert, dss).map(|()| HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConnection, ServerConnection};

    fn shake(client: ClientConfig, server: Arc<ServerConfig>) -> Result<NodeId, rustls::Error> {
        let name = ServerName::try_from("lockstep").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        for _ in 0..10 {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        certified(&server.peer_certificates().unwrap()[0])
    }

    fn only(id: NodeId) -> Admits {
        Arc::new(move |who| who == id)
    }

    #[test]
    fn two_nodes_that_know_each_other_meet_and_nobody_else_does() {
        let [a, b, c] = [(); 3].map(|()| Identity::make().unwrap());
        let meet = |client: &Identity, callee: NodeId, admits: Admits| {
            shake(client_config(client, callee).unwrap(), server_config(&b, admits).unwrap())
        };
        assert_eq!(meet(&a, b.id(), only(a.id())).unwrap(), a.id());
        assert!(meet(&c, b.id(), only(a.id())).is_err(), "a stranger");
        assert!(meet(&a, c.id(), only(a.id())).is_err(), "another node answers");
    }

    #[test]
    fn a_certificate_alone_is_no_proof() {
        let [a, b, c] = [(); 3].map(|()| Identity::make().unwrap());
        // The certificate of one node with the key of another, as a thief of certificates would have it.
        struct Thief(Arc<rustls::sign::CertifiedKey>);
        impl fmt::Debug for Thief {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("Thief")
            }
        }
        impl rustls::client::ResolvesClientCert for Thief {
            fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
                Some(self.0.clone())
            }
            fn has_certs(&self) -> bool {
                true
            }
        }
        impl rustls::server::ResolvesServerCert for Thief {
            fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
                Some(self.0.clone())
            }
        }
        let stolen = |whose: &Identity| {
            let key = ring::sign::any_eddsa_type(&match c.key() {
                rustls::pki_types::PrivateKeyDer::Pkcs8(key) => key,
                _ => unreachable!("made as PKCS#8"),
            });
            Arc::new(Thief(Arc::new(rustls::sign::CertifiedKey::new(vec![whose.certificate()], key.unwrap()))))
        };
        let mut client = client_config(&a, b.id()).unwrap();
        client.client_auth_cert_resolver = stolen(&a);
        assert!(shake(client, server_config(&b, only(a.id())).unwrap()).is_err());

        let mut server = Arc::unwrap_or_clone(server_config(&b, only(a.id())).unwrap());
        server.cert_resolver = stolen(&b);
        assert!(shake(client_config(&a, b.id()).unwrap(), Arc::new(server)).is_err());
    }

    #[test]
    fn a_caller_without_a_certificate_is_turned_away() {
        let b = Identity::make().unwrap();
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Callee { id: b.id() }))
            .with_no_client_auth();
        assert!(shake(client, server_config(&b, Arc::new(|_| true)).unwrap()).is_err());
    }
}
