//! A wire between a client and a server that can be cut, stalled, or made deaf.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the wire does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// It carries them.
    Whole,
    /// It holds them back, both ways, without closing anything.
    Stalled,
    /// It carries what the client sends, and drops what the server answers.
    DropAnswers,
    /// It closes every connection, and each new one.
    Cut,
}

/// A proxy on a port of its own. Dropping it closes everything.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: Arc<watch::Sender<Wire>>,
    /// How many connections it carries.
    carried: Arc<watch::Sender<usize>>,
    /// How many writes to buckets it has held back while it was stalled.
    held: Arc<watch::Sender<usize>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// A whole wire to the server on that port.
    pub(crate) async fn to(port: u16) -> Self {
        Self::with_version(port, None).await
    }

    /// A wire on which the server looks like one of another version.
    pub(crate) async fn disguised(port: u16, version: &'static str) -> Self {
        Self::with_version(port, Some(version)).await
    }

    async fn with_version(port: u16, version: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let wire = Arc::new(watch::Sender::new(Wire::Whole));
        let carried = Arc::new(watch::Sender::default());
        let held = Arc::new(watch::Sender::default());
        let ends = Ends {
            wire: Arc::clone(&wire),
            carried: Arc::clone(&carried),
            held: Arc::clone(&held),
        };
        let task = tokio::spawn(accept(listener, port, version, ends));
        Self {
            address,
            wire,
            carried,
            held,
            task,
        }
    }

    /// The address that clients connect to.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Changes what the wire does, from now on.
    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// Hangs up on everybody, and carries whoever comes back.
    ///
    /// To cut the wire and to make it whole at once is not enough: nobody would see the cut.
    pub(crate) async fn hang_up(&self) {
        let mut carried = self.carried.subscribe();
        assert!(*carried.borrow() > 0, "nobody is connected");
        self.set(Wire::Cut);
        let closed = carried.wait_for(|carried| *carried == 0);
        let closed = super::soon("every connection is closed", closed).await;
        closed.expect("the wire lives as long as its proxy");
        self.set(Wire::Whole);
    }

    /// Stalls the wire, and waits until it holds back a write to a bucket.
    pub(crate) async fn stall_a_write(&self) {
        let mut held = self.held.subscribe();
        let before = *held.borrow_and_update();
        self.set(Wire::Stalled);
        let more = held.wait_for(|held| *held > before);
        let more = super::soon("a write on the wire", more).await;
        more.expect("the wire lives as long as its proxy");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Wire::Cut);
        self.task.abort();
    }
}

/// What whoever carries has in common with the proxy.
struct Ends {
    wire: Arc<watch::Sender<Wire>>,
    carried: Arc<watch::Sender<usize>>,
    held: Arc<watch::Sender<usize>>,
}

/// Counts a connection for as long as it is carried.
struct Carried(Arc<watch::Sender<usize>>);

impl Carried {
    fn new(carried: &Arc<watch::Sender<usize>>) -> Self {
        carried.send_modify(|carried| *carried += 1);
        Self(Arc::clone(carried))
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.send_modify(|carried| *carried -= 1);
    }
}

async fn accept(listener: TcpListener, port: u16, version: Option<&'static str>, ends: Ends) {
    while let Ok((client, _)) = listener.accept().await {
        // Before the wire is looked at: no connection is passed over by who hangs up.
        let carried = Carried::new(&ends.carried);
        if *ends.wire.borrow() == Wire::Cut {
            continue;
        }
        let (wire, held) = (ends.wire.subscribe(), Arc::clone(&ends.held));
        tokio::spawn(async move {
            let _carried = carried;
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                return;
            };
            let (from_client, mut to_client) = client.into_split();
            let (mut from_server, to_server) = server.into_split();
            if let Some(version) = version
                && greet(&mut from_server, &mut to_client, version)
                    .await
                    .is_err()
            {
                return;
            }
            let mut cut = wire.clone();
            tokio::select! {
                biased;
                _ = cut.wait_for(|wire| *wire == Wire::Cut) => {}
                _ = carry(from_client, to_server, wire.clone(), Some(&held)) => {}
                _ = carry(from_server, to_client, wire, None) => {}
            }
        });
    }
}

/// Carries the server's greeting, with another version in it.
async fn greet(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, version: &str) -> io::Result<()> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(from.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&line);
    let begin = r#""version":""#;
    let (before, rest) = line.split_once(begin).expect("a version");
    let (_, after) = rest.split_once('"').expect("a closed string");
    let greeting = format!("{before}{begin}{version}\"{after}");
    to.write_all(greeting.as_bytes()).await
}

/// Carries one way. `held` counts the writes that clients send; there is none for answers.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
    held: Option<&watch::Sender<usize>>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut kept = Vec::new();
    let mut is_open = true;
    loop {
        let now = *wire.borrow_and_update();
        if now == Wire::Cut {
            // What was held back is lost with the wire.
            return Ok(());
        }
        if now != Wire::Stalled {
            if !(held.is_none() && now == Wire::DropAnswers) {
                to.write_all(&kept).await?;
            }
            kept.clear();
            if !is_open {
                return Ok(());
            }
        }
        tokio::select! {
            changed = wire.changed() => if changed.is_err() { return Ok(()) },
            read = from.read(&mut buffer), if is_open && kept.len() < buffer.len() => {
                let length = read?;
                is_open = length > 0;
                let before = count(&kept, WRITE);
                kept.extend(&buffer[..length]);
                if let Some(held) = held.filter(|_| *wire.borrow() == Wire::Stalled) {
                    let more = count(&kept, WRITE) - before;
                    held.send_modify(|held| *held += more);
                }
            }
        }
    }
}

/// A wire that keeps what the client sends, lets the client go and come back, and delivers it
/// afterwards: a request that was given up long ago.
pub(crate) struct LateProxy {
    address: SocketAddr,
    stage: Arc<watch::Sender<Stage>>,
    writes: Arc<watch::Sender<Writes>>,
    task: tokio::task::JoinHandle<()>,
}

/// What became of the writes to buckets that were kept.
#[derive(Debug, Default)]
struct Writes {
    kept: usize,
    answered: usize,
}

/// How a write to a bucket begins on the wire, with headers or without.
const WRITE: &[u8] = b"PUB $KV.";
/// What every answer to a write has in it, whether it was done or refused.
const ANSWER: &[u8] = b"\"stream\":";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It carries everything.
    Whole,
    /// It keeps what clients send.
    Keeping,
    /// It has hung up on whoever was there, and carries whoever comes.
    Left,
    /// What was kept is delivered.
    Delivered,
}

impl LateProxy {
    /// A wire to the server on that port.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stage = Arc::new(watch::Sender::new(Stage::Whole));
        let writes = Arc::new(watch::Sender::default());
        let (staged, counted) = (Arc::clone(&stage), Arc::clone(&writes));
        let task = tokio::spawn(accept_late(listener, port, staged, counted));
        Self {
            address,
            stage,
            writes,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Keeps what clients send from now on.
    pub(crate) fn keep(&self) {
        self.stage.send_replace(Stage::Keeping);
    }

    /// Hangs up on clients; they can come back at once.
    pub(crate) fn hang_up(&self) {
        self.stage.send_replace(Stage::Left);
    }

    /// Until it keeps a write to a bucket.
    pub(crate) async fn has_kept_a_write(&self) {
        self.until(|writes| writes.kept > 0).await;
    }

    /// Delivers what was kept, and waits until the server has done or refused each write of it.
    pub(crate) async fn deliver(&self) {
        self.stage.send_replace(Stage::Delivered);
        self.until(|writes| writes.answered >= writes.kept).await;
    }

    async fn until(&self, condition: impl FnMut(&Writes) -> bool) {
        let mut writes = self.writes.subscribe();
        let reached = super::soon("the late wire", writes.wait_for(condition)).await;
        reached.expect("the wire lives as long as its proxy");
    }
}

impl Drop for LateProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept_late(
    listener: TcpListener,
    port: u16,
    stage: Arc<watch::Sender<Stage>>,
    writes: Arc<watch::Sender<Writes>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let is_late = *stage.borrow() >= Stage::Left;
        let (stage, writes) = (stage.subscribe(), Arc::clone(&writes));
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                return;
            };
            let _ = if is_late {
                let (mut client, mut server) = (client, server);
                tokio::io::copy_bidirectional(&mut client, &mut server)
                    .await
                    .map(drop)
            } else {
                keep_and_deliver(client, server, stage, &writes).await
            };
        });
    }
}

async fn keep_and_deliver(
    mut client: TcpStream,
    mut server: TcpStream,
    mut stage: watch::Receiver<Stage>,
    writes: &watch::Sender<Writes>,
) -> io::Result<()> {
    let (mut from_client, mut from_server) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut kept = Vec::new();
    loop {
        let now = *stage.borrow_and_update();
        if now >= Stage::Left {
            break;
        }
        tokio::select! {
            // What is sent after it was told to keep is kept: that is looked at first.
            biased;
            changed = stage.changed() => if changed.is_err() { return Ok(()) },
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                length if now == Stage::Keeping => {
                    let before = count(&kept, WRITE);
                    kept.extend(&from_client[..length]);
                    let more = count(&kept, WRITE) - before;
                    writes.send_modify(|writes| writes.kept += more);
                }
                length => server.write_all(&from_client[..length]).await?,
            },
            read = server.read(&mut from_server) => match read? {
                0 => return Ok(()),
                length => client.write_all(&from_server[..length]).await?,
            },
        }
    }
    drop(client);
    let is_delivered = stage
        .wait_for(|stage| *stage == Stage::Delivered)
        .await
        .is_ok();
    if is_delivered {
        server.write_all(&kept).await?;
        let mut answers = Vec::new();
        loop {
            let length = server.read(&mut from_server).await?;
            if length == 0 {
                break;
            }
            let before = count(&answers, ANSWER);
            answers.extend(&from_server[..length]);
            let more = count(&answers, ANSWER) - before;
            writes.send_modify(|writes| writes.answered += more);
        }
    }
    Ok(())
}

fn count(bytes: &[u8], part: &[u8]) -> usize {
    bytes
        .windows(part.len())
        .filter(|window| *window == part)
        .count()
}
