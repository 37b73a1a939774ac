//! An authority, and a server's certificate from it, made for one test.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

pub(crate) struct Certificates {
    /// The authority's own, as PEM.
    pub(crate) authority: String,
    server: String,
    key: String,
}

impl Certificates {
    /// For a server at 127.0.0.1.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap().pem();
        Self { authority: authority.pem(), server, key: key.serialize_pem() }
    }

    /// Writes them into `dir`, and tells the server's arguments for them.
    pub(crate) fn install(&self, dir: &Path, port: u16) -> Vec<String> {
        let mut args: Vec<String> =
            ["--tls-auth-clients", "no", "--tls-port", &port.to_string(), "--port", "0"].map(str::to_owned).into();
        for (arg, name, pem) in [
            ("--tls-ca-cert-file", "ca.pem", &self.authority),
            ("--tls-cert-file", "server.pem", &self.server),
            ("--tls-key-file", "server.key", &self.key),
        ] {
            let path = dir.join(name);
            fs::write(&path, pem).unwrap();
            args.extend([arg.to_owned(), path.display().to_string()]);
        }
        args
    }
}
