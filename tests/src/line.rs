//! A line between a machine and a gateway, which can be cut: what is under way is lost, and nobody is told.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay on loopback. Dropped, it is cut for good.
pub struct Line {
    address: SocketAddr,
    whole: watch::Sender<bool>,
}

impl Line {
    /// A line to an address `HOST:PORT`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(far: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (whole, watched) = watch::channel(true);
        let address = listener.local_addr()?;
        tokio::spawn(carry(listener, far.to_owned(), watched));
        Ok(Self { address, whole })
    }

    /// Address of its near end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Drops every connection, and each new one before it says anything.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry(listener: TcpListener, far: String, mut whole: watch::Receiver<bool>) {
    loop {
        let near = tokio::select! {
            accepted = listener.accept() => accepted,
            gone = whole.wait_for(|_| false) => match gone {
                Ok(_) => continue,
                Err(_) => return,
            },
        };
        let Ok((near, _)) = near else { continue };
        if *whole.borrow() {
            tokio::spawn(connection(near, far.clone(), whole.clone()));
        }
    }
}

async fn connection(mut near: TcpStream, far: String, mut whole: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(far).await else {
        return;
    };
    // Dropping both ends is what cutting is.
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = whole.wait_for(|whole| !whole) => {}
    }
}
