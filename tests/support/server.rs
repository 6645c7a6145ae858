//! A nats-server of a test's own: started on a free port with a store of its own, killed, paused
//! and started again.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kvscope::kv::BucketName;
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::nats::{NatsBackend, NatsOptions, Secret};
use tempfile::TempDir;

use super::eventually;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// Where a server listens whose port is in use: by somebody who was given it while it was free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    /// On another port; nobody knows of this one yet.
    Any,
    /// On the same, once it is free again.
    Same,
}

/// A running server. Dropping it kills it and deletes its store.
pub(crate) struct NatsServer {
    child: Option<Child>,
    port: u16,
    /// The JetStream domain, if it has one.
    domain: Option<String>,
    /// Lines of its configuration, besides the port and the store.
    config: String,
    dir: TempDir,
}

impl NatsServer {
    /// A server with JetStream and nothing else.
    pub(crate) fn start() -> Self {
        Self::with_config("")
    }

    /// A server with JetStream in this domain.
    pub(crate) fn in_domain(domain: &str) -> Self {
        let mut server = Self::stopped(free_port(), "");
        server.domain = Some(domain.to_owned());
        server.open(Port::Any);
        server
    }

    /// A server with JetStream and these lines in its configuration.
    pub(crate) fn with_config(config: &str) -> Self {
        let mut server = Self::stopped(free_port(), config);
        server.open(Port::Any);
        server
    }

    fn stopped(port: u16, config: &str) -> Self {
        Self {
            child: None,
            port,
            domain: None,
            config: config.to_owned(),
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// The port that clients connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address, without credentials.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where the server keeps its streams. To be touched only while it is not running.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the server can be killed");
            child.wait().expect("the server can be waited for");
        }
    }

    /// Starts it again on the same port and store, after a kill.
    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        self.open(Port::Same);
    }

    /// Stops it from running without ending it, as a frozen machine would.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it announce that it will stop, as before maintenance.
    pub(crate) fn announce_end(&self) {
        self.signal("-USR2");
    }

    /// Lets it run on after a pause.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("the server runs").id();
        let status = Command::new("kill")
            .args([signal, &id.to_string()])
            .status()
            .expect("kill can be run");
        assert!(status.success());
    }

    fn run(&mut self) {
        let path = self.dir.path().join("server.conf");
        let domain = self.domain.as_ref();
        let domain = domain.map_or_else(String::new, |domain| format!(", domain: {domain}"));
        let config = format!(
            "listen: 127.0.0.1:{}\njetstream {{ store_dir: \"{}\"{domain} }}\n{}\n",
            self.port,
            self.store().display(),
            self.config
        );
        std::fs::write(&path, config).expect("the configuration can be written");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join("server.log"))
            .expect("the log can be written");
        let child = Command::new(binary())
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nats-server can be started");
        self.child = Some(child);
    }

    /// Runs it, if it does not yet, and waits until it says itself that it is ready: if another
    /// program has taken the port in the meantime, connecting would lead there.
    fn open(&mut self, port: Port) {
        let until = Instant::now() + START;
        loop {
            if self.child.is_none() {
                self.run();
            }
            if self.says("Server is ready") {
                return;
            }
            let child = self.child.as_mut().expect("the server runs");
            let ended = child.try_wait().expect("the server can be looked at");
            let is_taken = ended.is_some() && self.says("address already in use");
            assert!(
                (ended.is_none() || is_taken) && Instant::now() < until,
                "nats-server did not start:\n{}",
                std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
            );
            if is_taken {
                self.child = None;
                if port == Port::Any {
                    self.port = free_port();
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl NatsServer {
    /// Whether this run of the server has said this in its log.
    fn says(&self, words: &str) -> bool {
        let log = std::fs::read(self.dir.path().join("server.log")).unwrap_or_default();
        let id = self.child.as_ref().map_or(0, Child::id);
        let log = String::from_utf8_lossy(&log).into_owned();
        let prefix = format!("[{id}] ");
        log.lines()
            .any(|line| line.starts_with(&prefix) && line.contains(words))
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three servers that keep streams together.
pub(crate) struct Cluster {
    /// The servers.
    pub(crate) nodes: Vec<NatsServer>,
}

impl Cluster {
    /// Starts three servers, and waits until they have found each other and take buckets.
    pub(crate) async fn start() -> Self {
        let routes: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let urls: Vec<String> = routes
            .iter()
            .map(|port| format!("nats-route://127.0.0.1:{port}"))
            .collect();
        let mut nodes: Vec<NatsServer> = routes
            .iter()
            .enumerate()
            .map(|(index, route)| {
                let config = format!(
                    "server_name: node{index}\n\
                     lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"1s\"\n\
                     cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{}] }}",
                    urls.join(", ")
                );
                NatsServer::stopped(free_port(), &config)
            })
            .collect();
        for node in &mut nodes {
            node.run();
        }
        for node in &mut nodes {
            node.open(Port::Any);
        }
        let cluster = Self { nodes };
        let mut probe = BucketConfig::new(BucketName::new("probe").expect("a name"));
        probe.replicas = 3;
        eventually(
            "three servers that take a bucket together",
            async || match NatsBackend::connect(cluster.options()).await {
                Ok(backend) => backend.create_bucket(&probe).await.is_ok(),
                Err(_) => false,
            },
        )
        .await;
        cluster
    }

    /// How to connect to any of them.
    pub(crate) fn options(&self) -> NatsOptions {
        let mut options = NatsOptions::new(String::new());
        options.servers = self
            .nodes
            .iter()
            .map(|node| Secret::new(node.url()))
            .collect();
        options
    }
}

/// The server's program: named by `NATS_SERVER`, on the `PATH`, or where `scripts/test` puts it.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        find_binary().expect(
            "these tests need a nats-server: run scripts/test, which installs one, \
             or name one in NATS_SERVER",
        )
    })
}

fn find_binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("NATS_SERVER").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|directory| directory.join("nats-server"))
            .find(|file| file.is_file())
    });
    let cached = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/nats-server/nats-server");
    on_path.or_else(|| cached.is_file().then_some(cached))
}

/// A port that was free a moment ago, and that no other test of this process is given.
fn free_port() -> u16 {
    static TAKEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    let mut taken = TAKEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if !taken.contains(&port) {
            taken.push(port);
            return port;
        }
    }
}
