//! A TCP proxy whose link can be slowed, held and cut.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// What happens to bytes that want through, and to new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Up,
    /// Each chunk is this late.
    Slow(Duration),
    /// Bytes wait, in both directions; connections are accepted.
    Held,
    /// Bytes vanish, in both directions: nobody is told. New connections work.
    HalfOpen,
    /// Connections end, new ones too.
    Cut,
    /// What the server sends is overwritten.
    Garbled,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    link: watch::Sender<Link>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (link, seen) = watch::channel(Link::Up);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, target, seen.clone()));
            }
        });
        Self { port, link, _accepting: accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

async fn carry(client: TcpStream, target: u16, link: watch::Receiver<Link>) {
    if *link.borrow() == Link::Cut {
        return;
    }
    // A link that loses the bytes of those who are on it carries those who come anew.
    let lossy = *link.borrow() != Link::HalfOpen;
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut watched = link.clone();
    tokio::select! {
        _ = pass(from_client, to_server, link.clone(), lossy, false) => {}
        _ = pass(from_server, to_client, link, lossy, true) => {}
        _ = watched.wait_for(|link| *link == Link::Cut) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
    lossy: bool,
    garbles: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let now = *link.wait_for(|link| *link != Link::Held).await.map_err(io::Error::other)?;
        match now {
            Link::Slow(late) => drop(tokio::time::timeout(late, std::future::pending::<()>()).await),
            Link::HalfOpen if lossy => continue,
            Link::Garbled if garbles => buffer[..read].fill(b'?'),
            _ => {}
        }
        to.write_all(&buffer[..read]).await?;
    }
}
