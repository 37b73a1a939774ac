//! TLS, by rustls.

use std::sync::Once;

use ::redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, TlsCertificates, cluster::ClusterClientBuilder,
};

use crate::{
    error::Error,
    redis::{address::Host, builder::RedisBuilder},
};

/// Whom to believe, and what to show.
#[derive(Clone, Default)]
pub(super) struct Trust {
    roots: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl RedisBuilder {
    /// The authorities that may vouch for the server, as PEM. The default: those the system knows.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust.roots = Some(pem.into());
        self
    }

    /// The certificate and key that this client shows, as PEM. The default: none.
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.trust.client = Some((certificate.into(), key.into()));
        self
    }
}

impl Trust {
    /// The address of `host`, with all that is needed to believe it.
    pub(super) fn addr(&self, Host { name: host, port }: Host) -> Result<ConnectionAddr, Error> {
        provide();
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            .into_connection_info()
            .and_then(|info| Client::build_with_tls(info, self.certificates()))
            .map(|client| client.get_connection_info().addr().clone())
            .map_err(|error| Error::invalid("a certificate or key for Redis is no valid PEM").because(error))
    }

    pub(super) fn cluster(&self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
        provide();
        builder.certs(self.certificates())
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates {
            client_tls: self
                .client
                .clone()
                .map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
            root_cert: self.roots.clone(),
        }
    }
}

/// rustls wants one provider of cryptography per process, and panics when there are several to choose from. Who has
/// installed one keeps it.
fn provide() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that there is one already.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}
