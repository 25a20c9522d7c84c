//! Who a node is: an Ed25519 key, the certificate that shows it in a handshake, and the id that follows from it.
//!
//! Always true here: the id is the SHA-256 of the public key (its SubjectPublicKeyInfo), so a peer that is pinned by
//! its id is pinned by its key. The certificate says nothing about the node: a stranger who sees it learns no name.
use crate::home::Home;
use crate::platform;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// A node, by the SHA-256 of its public key. Written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 32]);

impl NodeId {
    /// The id that belongs to a public key, given as SubjectPublicKeyInfo.
    pub fn of_public_key(spki: &[u8]) -> NodeId {
        NodeId(Sha256::digest(spki).into())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hex digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a node's id is 64 hex digits")]
pub struct BadNodeId;

impl FromStr for NodeId {
    type Err = BadNodeId;
    fn from_str(s: &str) -> Result<NodeId, BadNodeId> {
        let mut id = [0; 32];
        if s.len() != 64 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadNodeId);
        }
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| BadNodeId)?;
        }
        Ok(NodeId(id))
    }
}

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<NodeId, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A node's key and certificate.
pub struct Identity {
    id: NodeId,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read or written.
    #[error("the key file can't be used: {source}")]
    Io {
        /// Why not.
        #[from]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the key file is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: String,
    },
    /// The key could not be made.
    #[error("no key could be made: {source}")]
    Make {
        /// Why not.
        #[from]
        source: rcgen::Error,
    },
}

impl Error {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "key_io",
            Error::Damaged { .. } => "key_damaged",
            Error::Make { .. } => "key_not_made",
        }
    }
}

impl Identity {
    /// A new key. It is nobody's before it is saved.
    pub fn make() -> Result<Identity, Error> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        let mut params = rcgen::CertificateParams::new(vec!["lockstep".to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "lockstep");
        let certificate = params.self_signed(&pair)?;
        Identity::of(certificate.der().clone(), PrivatePkcs8KeyDer::from(pair.serialize_der()))
    }

    fn of(certificate: CertificateDer<'static>, key: PrivatePkcs8KeyDer<'static>) -> Result<Identity, Error> {
        let id = certified(&certificate).map_err(|e| Error::Damaged { what: e.to_string() })?;
        Ok(Identity { id, certificate, key })
    }

    /// Writes it into a home that has none.
    pub fn save(&self, home: &Home) -> Result<(), Error> {
        let mut file = platform::private_file(&home.identity())?;
        for (label, der) in [("CERTIFICATE", &*self.certificate), ("PRIVATE KEY", self.key.secret_pkcs8_der())] {
            file.write_all(pem(label, der).as_bytes())?;
        }
        Ok(file.sync_all()?)
    }

    /// Reads that of a home.
    pub fn load(home: &Home) -> Result<Identity, Error> {
        let text = std::fs::read(home.identity())?;
        let damaged = |e: rustls::pki_types::pem::Error| Error::Damaged { what: e.to_string() };
        let certificate = CertificateDer::from_pem_slice(&text).map_err(damaged)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(damaged)?;
        let identity = Identity::of(certificate, key)?;
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&identity.key, &rcgen::PKCS_ED25519)?;
        if NodeId::of_public_key(&rcgen::PublicKeyData::subject_public_key_info(&pair)) != identity.id {
            return Err(Error::Damaged { what: "key and certificate don't belong together".to_owned() });
        }
        Ok(identity)
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// As it is shown in a handshake.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// For the handshake's own hands only.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }
}

/// The id that a certificate shows. The key is read by the same parser that checks the handshake's signature.
pub fn certified(certificate: &CertificateDer<'_>) -> Result<NodeId, rustls::Error> {
    let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
    Ok(NodeId::of_public_key(&parsed.subject_public_key_info()))
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_identity_comes_back_and_its_id_is_that_of_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        let made = Identity::make().unwrap();
        made.save(&home).unwrap();
        let back = Identity::load(&home).unwrap();
        assert_eq!(back.id(), made.id());
        assert_eq!(back.id().to_string().parse(), Ok(back.id()));
        assert!(made.save(&home).is_err(), "a key is never overwritten");
        assert_ne!(Identity::make().unwrap().id(), made.id());
    }

    #[test]
    fn a_certificate_with_another_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        let (a, b) = (Identity::make().unwrap(), Identity::make().unwrap());
        Identity { id: a.id, certificate: a.certificate, key: b.key }.save(&home).unwrap();
        assert!(matches!(Identity::load(&home), Err(Error::Damaged { .. })));
    }
}
