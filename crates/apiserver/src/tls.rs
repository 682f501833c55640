//! Certificates: one authority per store, one serving certificate per start,
//! and client certificates that name administrators.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error as TlsError, RootCertStore, ServerConfig, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::auth::{MASTERS, Peer, User};

/// Years that certificates of this server are valid: a folder may be kept for
/// long, and who can read it can make new ones anyway.
const VALID_YEARS: i16 = 10;

/// Why certificates could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A key or certificate could not be made or parsed.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// The TLS library refused a key or certificate.
    #[error("the TLS library refused a certificate")]
    Tls(#[from] TlsError),
    /// The client verifier could not be built.
    #[error("client certificates could not be verified")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A file of the authority cannot be used.
    #[error("the certificate file {path} cannot be used")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The certificate authority of a server.
pub(crate) struct Authority {
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    now: Timestamp,
}

/// A certificate with its key, both as PEM.
pub(crate) struct Credentials {
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
}

impl Authority {
    /// A new authority that lives as long as the process.
    pub(crate) fn generate(now: Timestamp) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = params(Vec::new(), now)?;
        params.distinguished_name.push(DnType::CommonName, "embedded-kubernetes-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let (certificate_pem, der) = (certificate.pem(), certificate.der().clone());
        Ok(Self { certificate_pem, certificate: der, issuer: Issuer::new(params, key), now })
    }

    /// The authority kept in `folder`, made there at the first start.
    pub(crate) fn open(folder: &Path, now: Timestamp) -> Result<Self, CertificateError> {
        let (certificate_file, key_file) = (folder.join("ca.crt"), folder.join("ca.key"));
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |source| CertificateError::File { path: path.clone(), source }
        };
        if !certificate_file.exists() {
            let made = Self::generate(now)?;
            let key_pem = made.issuer.key().serialize_pem();
            write_private(&key_file, &key_pem).map_err(failed(&key_file))?;
            // Last: a folder with a certificate has a key as well.
            write_private(&certificate_file, &made.certificate_pem).map_err(failed(&certificate_file))?;
        }
        let certificate_pem =
            std::fs::read_to_string(&certificate_file).map_err(failed(&certificate_file))?;
        let key_pem = std::fs::read_to_string(&key_file).map_err(failed(&key_file))?;
        let key = KeyPair::from_pem(&key_pem)?;
        let certificate = der_of(&certificate_pem).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { certificate_pem, certificate, issuer, now })
    }

    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A client certificate: the user is the common name, the group the organisation.
    pub(crate) fn client(&self, user: &str, group: &str) -> Result<Credentials, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = params(Vec::new(), self.now)?;
        params.distinguished_name.push(DnType::CommonName, user);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Credentials { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// The administrator's client certificate.
    pub(crate) fn admin(&self) -> Result<Credentials, CertificateError> {
        self.client("admin", MASTERS)
    }

    /// The TLS side of a listener reachable under `names`.
    pub(crate) fn server_config(&self, names: &[String]) -> Result<ServerConfig, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = params(names.to_vec(), self.now)?;
        params.distinguished_name.push(DnType::CommonName, "embedded-kubernetes");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(AnyCertificate { known: self.verifier()? }))
            .with_single_cert(vec![certificate.der().clone(), self.certificate.clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Judges whether a client certificate is one of ours.
    pub(crate) fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()?)
    }
}

/// Parameters of a certificate that is valid from yesterday on: the clocks of
/// client and server may differ a little.
fn params(names: Vec<String>, now: Timestamp) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let day = now.to_zoned(TimeZone::UTC).date();
    let yesterday = day.saturating_sub(1.day());
    let month = |month: i8| u8::try_from(month).expect("months are positive");
    let first = |year: i16, month_number: i8, day_number: i8| {
        rcgen::date_time_ymd(i32::from(year), month(month_number), month(day_number))
    };
    params.not_before = first(yesterday.year(), yesterday.month(), yesterday.day());
    params.not_after = first(day.year().saturating_add(VALID_YEARS), day.month(), 1);
    Ok(params)
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn der_of(pem: &str) -> Option<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// Base64 as kubeconfig files carry PEM.
pub(crate) fn kubeconfig_data(pem: &str) -> String {
    STANDARD.encode(pem)
}

/// The caller behind a connection's certificates.
pub(crate) fn peer(
    verifier: &dyn ClientCertVerifier,
    certificates: Option<&[CertificateDer<'_>]>,
    now: Timestamp,
) -> Peer {
    let Some([own, intermediates @ ..]) = certificates else { return Peer::Unknown };
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    match (verifier.verify_client_cert(own, intermediates, now), user(own)) {
        (Ok(_), Some(user)) => Peer::Known(user),
        _ => Peer::Foreign,
    }
}

fn user(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
    Some(User { name, groups: groups.map(str::to_owned).collect(), ..User::default() })
}

/// Lets every certificate through the handshake, so that a foreign one gets an
/// answer (401) instead of a broken connection; who it names is decided later.
#[derive(Debug)]
struct AnyCertificate {
    known: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.known.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.known.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.known.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-31T10:00:00Z".parse().unwrap()
    }

    fn certificate(authority: &Authority) -> CertificateDer<'static> {
        der_of(&authority.client("jane", "dev").unwrap().certificate_pem).unwrap()
    }

    #[test]
    fn a_client_certificate_names_user_and_group() {
        let authority = Authority::generate(now()).unwrap();
        let own = certificate(&authority);
        let Peer::Known(user) = peer(&*authority.verifier().unwrap(), Some(&[own]), now()) else {
            panic!("our own certificate is not known");
        };
        assert_eq!((user.name.as_str(), user.groups), ("jane", vec!["dev".to_owned()]));
    }

    #[test]
    fn a_foreign_certificate_is_nobody() {
        let (ours, theirs) = (Authority::generate(now()).unwrap(), Authority::generate(now()).unwrap());
        let found = peer(&*ours.verifier().unwrap(), Some(&[certificate(&theirs)]), now());
        assert!(matches!(found, Peer::Foreign));
    }

    #[test]
    fn an_authority_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), now()).unwrap();
        let own = certificate(&first);
        let second = Authority::open(folder.path(), now()).unwrap();
        assert_eq!(first.certificate_pem(), second.certificate_pem());
        assert!(matches!(peer(&*second.verifier().unwrap(), Some(&[own]), now()), Peer::Known(_)));
    }
}
