//! What is left on a server when a program ends: nothing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kvscope::kv::backend::Backend;
use kvscope::kv::lock::{ObserveOptions, Observer, observe};
use kvscope::kv::{Filter, Store, WatchOptions};

use crate::setup::{bucket, connect, consumers, name, stream};
use crate::support::proxy::{Proxy, Wire};
use crate::support::{NatsServer, eventually, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_until_consumers_are_deleted() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let backend = connect(proxy.url()).await;
    let store = bucket(&backend, "b").await;
    let mut watches = Vec::new();
    for _ in 0..20 {
        let watch = store.watch(WatchOptions::new(Filter::all())).await;
        watches.push(watch.unwrap());
    }
    assert_eq!(consumers(&server.url(), "b").await, 20);
    // A slow wire: it takes a while until the server hears of anything.
    proxy.set(Wire::Stalled);
    drop(watches);
    let closing = tokio::spawn(async move { backend.close().await });
    assert_eq!(consumers(&server.url(), "b").await, 20);
    assert!(!closing.is_finished());
    proxy.set(Wire::Whole);
    soon("an end", closing).await.unwrap();
    assert_eq!(consumers(&server.url(), "b").await, 0);

    // A wire that carries nothing does not hold it up for long.
    let backend = connect(proxy.url()).await;
    let store = Store::new(backend.bucket(&name("b")).await.unwrap());
    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    proxy.set(Wire::Stalled);
    drop(watch);
    let begun = Instant::now();
    backend.close().await;
    let took = begun.elapsed();
    println!("closed without an answer after {took:?}");
    // A watch's own silence is noticed later than that.
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[cfg(feature = "console")]
fn program(server: &NatsServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvscope"));
    command
        .env_remove("KVSCOPE_LOG")
        .env("XDG_CONFIG_HOME", "/nowhere")
        .args(["--server", &server.url()])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

#[cfg(feature = "console")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_leave_no_consumer() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    store.put("a", "1").await.unwrap();
    let mut stream = stream(&server.url(), "b").await;

    let listed = program(&server).args(["ls", "b"]).status().unwrap();
    assert!(listed.success());
    assert_eq!(stream.info().await.unwrap().state.consumer_count, 0);

    let mut watching = program(&server).args(["watch", "b"]).spawn().unwrap();
    eventually("it watches", async || {
        stream.info().await.unwrap().state.consumer_count == 1
    })
    .await;
    let id = watching.id().to_string();
    let told = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(told.success());
    assert!(watching.wait().unwrap().success());
    assert_eq!(stream.info().await.unwrap().state.consumer_count, 0);
}

#[cfg(all(unix, feature = "console"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_leaves_no_consumer() {
    use std::io::{Read as _, Write as _};

    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    for name in ["b", "c", "d"] {
        bucket(&backend, name).await.put("a", "1").await.unwrap();
    }
    let terminal = portable_pty::native_pty_system();
    let terminal = terminal.openpty(portable_pty::PtySize::default()).unwrap();
    let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_kvscope"));
    command.env("XDG_CONFIG_HOME", "/nowhere");
    command.env("TERM", "xterm-256color");
    command.args(["--server", &server.url(), "open", "b"]);
    let mut console = terminal.slave.spawn_command(command).unwrap();
    let mut screen = terminal.master.try_clone_reader().unwrap();
    // Somebody has to look, or the console waits for the terminal to take its frames.
    let looking = std::thread::spawn(move || {
        let mut frame = [0; 4096];
        while screen.read(&mut frame).is_ok_and(|length| length > 0) {}
    });
    let mut keys = terminal.master.take_writer().unwrap();
    let costs = async |bucket: &str, wanted| consumers(&server.url(), bucket).await == wanted;
    eventually("it watches the bucket, and its locks", async || {
        costs("b", 2).await
    })
    .await;
    // Activity watches them all.
    keys.write_all(b"3").unwrap();
    eventually("it watches every bucket", async || costs("d", 2).await).await;
    // Locks of `shizuku` services are looked for at all keys, once somebody looks.
    keys.write_all(b"2").unwrap();
    eventually("it looks for all locks", async || {
        costs("b", 3).await && costs("d", 3).await
    })
    .await;
    keys.write_all(b"q").unwrap();
    let ended = tokio::task::spawn_blocking(move || console.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    for name in ["b", "c", "d"] {
        assert_eq!(consumers(&server.url(), name).await, 0, "{name}");
    }
    drop((keys, terminal));
    looking.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_locks_of_a_bucket_cost_one_consumer() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    store
        .put("_lock.a", r#"{"v":1,"next":0,"q":[]}"#)
        .await
        .unwrap();
    store.put("other", "1").await.unwrap();
    let mut options = ObserveOptions::default();
    options.foreign = false;
    let mut observer = observe(backend, options).await.unwrap();
    until_loaded(&mut observer).await;
    assert_eq!(consumers(&server.url(), "b").await, 1);
    assert_eq!(observer.report().locks.len(), 1);

    observer.add_foreign(&name("b"));
    assert!(!observer.is_loaded());
    until_loaded(&mut observer).await;
    assert_eq!(consumers(&server.url(), "b").await, 2);
    observer.add_foreign(&name("b"));
    assert!(observer.is_loaded());
    drop(observer);
    eventually("they are gone", async || {
        consumers(&server.url(), "b").await == 0
    })
    .await;
}

async fn until_loaded(observer: &mut Observer) {
    soon("the locks are known", async {
        while !observer.is_loaded() {
            assert!(observer.changed().await);
        }
    })
    .await;
}
