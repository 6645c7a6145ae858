//! Every way to sign in, on a real server: with the right credentials and with wrong ones.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kvscope::kv::Error;
use kvscope::kv::backend::Backend;
use kvscope::kv::nats::{Auth, NatsBackend, NatsOptions, Secret, Tls};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::setup::options;
use crate::support::{NatsServer, soon};

/// Connects and asks for something, so that it is certain that it works.
async fn try_out(options: NatsOptions) -> Result<(), Error> {
    let backend = soon("an end of connecting", NatsBackend::connect(options)).await?;
    soon("an answer", backend.buckets()).await.map(drop)
}

fn with_auth(server: &NatsServer, auth: Auth) -> NatsOptions {
    let mut options = options(server.url());
    options.auth = auth;
    options
}

/// Refused as a wrong credential is, and without a word of it.
#[track_caller]
fn assert_refused(result: Result<(), Error>, secrets: &[&str]) {
    let error = result.expect_err("wrong credentials are refused");
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert_silent(&error, secrets);
}

#[track_caller]
fn assert_silent(error: &Error, secrets: &[&str]) {
    let text = format!("{error} {error:?}");
    for secret in secrets {
        assert!(!text.contains(secret), "{text}");
    }
}

fn file(dir: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_user_and_password() {
    let server = NatsServer::with_config("authorization { user: ann, password: s3cr3t }");
    let user = |password: &str| Auth::User {
        name: "ann".to_owned(),
        password: Secret::new(password),
    };
    try_out(with_auth(&server, user("s3cr3t"))).await.unwrap();
    assert_refused(try_out(with_auth(&server, user("wr0ng"))).await, &["wr0ng"]);
    assert_refused(try_out(options(server.url())).await, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_token() {
    let server = NatsServer::with_config("authorization { token: s3cr3t }");
    let token = |token: &str| Auth::Token(Secret::new(token));
    try_out(with_auth(&server, token("s3cr3t"))).await.unwrap();
    assert_refused(
        try_out(with_auth(&server, token("wr0ng"))).await,
        &["wr0ng"],
    );
    let inside = |token: &str| server.url().replace("//", &format!("//{token}@"));
    try_out(options(inside("s3cr3t"))).await.unwrap();
    assert_refused(try_out(options(inside("wr0ng"))).await, &["wr0ng"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_nkey() {
    let (ours, other) = (KeyPair::new_user(), KeyPair::new_user());
    let server = NatsServer::with_config(&format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        ours.public_key()
    ));
    let dir = tempfile::tempdir().unwrap();
    let seed = ours.seed().unwrap();
    let commented = format!("# a key\n-----BEGIN USER NKEY SEED-----\n  {seed}\n------\n");
    for text in [seed.as_str(), commented.as_str()] {
        let path = file(&dir, "right.nk", text);
        try_out(with_auth(&server, Auth::NKeyFile(path)))
            .await
            .unwrap();
    }
    let wrong = other.seed().unwrap();
    let path = file(&dir, "wrong.nk", &wrong);
    assert_refused(
        try_out(with_auth(&server, Auth::NKeyFile(path))).await,
        &[&wrong],
    );

    let broken = format!("{}AAAA", &seed[..seed.len() - 4]);
    let path = file(&dir, "broken.nk", &broken);
    assert_refused(
        try_out(with_auth(&server, Auth::NKeyFile(path))).await,
        &[&broken, &seed],
    );
    for path in [dir.path().join("missing.nk"), file(&dir, "empty.nk", "x\n")] {
        let error = try_out(with_auth(&server, Auth::NKeyFile(path.clone())))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::File { path: told, .. } if *told == path),
            "{error:?}"
        );
    }
}

/// A JWT as NATS has them, signed by this key.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encode(&json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let body = encode(&json!({
        "jti": name,
        "iat": 1_700_000_000,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": name,
        "nats": nats,
    }));
    let signed = format!("{head}.{body}");
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn credentials(jwt: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_credentials_file() {
    let (operator, account, system) = (
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_account(),
    );
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = json!({"limits": limits, "type": "account", "version": 2});
    let plain = json!({"type": "account", "version": 2});
    let of_user = json!({"subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2});
    let server = NatsServer::with_config(&format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{}: {}\n{}: {}\n}}",
        jwt(
            &operator,
            &operator,
            "operator",
            &json!({"type": "operator", "version": 2, "system_account": system.public_key()})
        ),
        system.public_key(),
        account.public_key(),
        jwt(&operator, &account, "account", &of_account),
        system.public_key(),
        jwt(&operator, &system, "system", &plain),
    ));
    let dir = tempfile::tempdir().unwrap();
    let seed = user.seed().unwrap();
    let right = jwt(&account, &user, "user", &of_user);
    let path = file(&dir, "right.creds", &credentials(&right, &seed));
    try_out(with_auth(&server, Auth::CredentialsFile(path)))
        .await
        .unwrap();

    let pair = |jwt: &str, seed: &str| Auth::Jwt {
        jwt: Secret::new(jwt),
        seed: Secret::new(seed),
    };
    try_out(with_auth(&server, pair(&right, &seed)))
        .await
        .unwrap();
    let wrong = stranger.seed().unwrap();
    for auth in [pair(&right, &wrong), pair(&right, "")] {
        assert_refused(try_out(with_auth(&server, auth)).await, &[&wrong, &right]);
    }

    // The key of somebody else, and a user that the account never made.
    let forged = jwt(&stranger, &user, "user", &of_user);
    for (jwt, seed) in [(&right, &wrong), (&forged, &seed)] {
        let path = file(&dir, "wrong.creds", &credentials(jwt, seed));
        assert_refused(
            try_out(with_auth(&server, Auth::CredentialsFile(path))).await,
            &[seed, jwt],
        );
    }
    for path in [
        dir.path().join("missing.creds"),
        file(&dir, "empty.creds", ""),
        file(&dir, "half.creds", &credentials(&right, "")),
        file(&dir, "key.creds", &seed),
    ] {
        let error = try_out(with_auth(&server, Auth::CredentialsFile(path.clone())))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::File { path: told, .. } if *told == path),
            "{error:?}"
        );
        assert_silent(&error, &[&seed, &right]);
    }
}

/// An authority, and what it has signed.
struct Authority {
    issuer: CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    fn write(&self, path: &Path) -> PathBuf {
        std::fs::write(path, self.issuer.pem()).unwrap();
        path.to_owned()
    }

    /// A certificate for this name and its key, in files.
    fn sign(&self, host: &str, dir: &TempDir, file_name: &str) -> (PathBuf, PathBuf) {
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        (
            file(dir, &format!("{file_name}.crt"), &cert.pem()),
            file(dir, &format!("{file_name}.key"), &key.serialize_pem()),
        )
    }
}

/// What can be wrong with certificates, each by itself.
fn wrong_ways(
    right: &Tls,
    dir: &TempDir,
    stranger: &Authority,
) -> Vec<(&'static str, Tls, &'static str)> {
    let (bad_cert, bad_key) = stranger.sign("client", dir, "stranger");
    vec![
        (
            "nobody vouches for the server",
            Tls {
                ca: Some(stranger.write(&dir.path().join("other.crt"))),
                ..right.clone()
            },
            "the server's certificate: none of the authorities in",
        ),
        (
            "no certificate of our own",
            Tls {
                cert: None,
                key: None,
                ..right.clone()
            },
            "the server wants a certificate of ours",
        ),
        (
            "a certificate that the server does not know",
            Tls {
                cert: Some(bad_cert),
                key: Some(bad_key.clone()),
                ..right.clone()
            },
            "stranger.crt",
        ),
        (
            "a certificate without its key",
            Tls {
                key: None,
                ..right.clone()
            },
            "a certificate needs its key",
        ),
        (
            "the key of another certificate",
            Tls {
                key: Some(bad_key),
                ..right.clone()
            },
            "is not that of our certificate",
        ),
        (
            "a file that is not there",
            Tls {
                ca: Some(dir.path().join("missing")),
                ..right.clone()
            },
            "",
        ),
        (
            "a file that holds no certificate",
            Tls {
                ca: Some(file(dir, "empty.crt", "")),
                ..right.clone()
            },
            "there is no certificate to trust in",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_servers_certificate_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.write(&dir.path().join("ca.crt"));
    let elsewhere = authority.sign("elsewhere.example", &dir, "elsewhere");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let old = params.signed_by(&key, &authority.issuer).unwrap();
    let expired = (
        file(&dir, "expired.crt", &old.pem()),
        file(&dir, "expired.key", &key.serialize_pem()),
    );
    for ((cert, key), words) in [
        (elsewhere, "it is made out to another name"),
        (expired, "it has expired"),
    ] {
        let server =
            NatsServer::with_config(&format!("tls {{ cert_file: {cert:?}, key_file: {key:?} }}"));
        let mut options = options(server.url());
        options.tls.ca = Some(ca.clone());
        options.tls.required = true;
        let error = try_out(options).await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("the server's certificate") && text.contains(words),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let stranger = Authority::new("theirs");
    let ca = authority.write(&dir.path().join("ca.crt"));
    let (cert, key) = authority.sign("127.0.0.1", &dir, "server");
    let server = |first: bool| {
        NatsServer::with_config(&format!(
            "tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {ca:?}, verify: true, \
             handshake_first: {first} }}"
        ))
    };
    let (our_cert, our_key) = authority.sign("client", &dir, "client");
    let right = Tls {
        required: true,
        first: false,
        ca: Some(ca.clone()),
        cert: Some(our_cert),
        key: Some(our_key),
    };
    let with_tls = |server: &NatsServer, tls: Tls| {
        let mut options = options(server.url());
        options.tls = tls;
        options
    };

    let first = server(true);
    let at_once = Tls {
        first: true,
        ..right.clone()
    };
    try_out(with_tls(&first, at_once)).await.unwrap();

    let server = server(false);
    try_out(with_tls(&server, right.clone())).await.unwrap();
    let by_scheme = Tls {
        required: false,
        ..right.clone()
    };
    let mut options = with_tls(&server, by_scheme);
    options.servers = vec![Secret::new(server.url().replace("nats://", "tls://"))];
    try_out(options).await.unwrap();

    for (what, wrong, words) in wrong_ways(&right, &dir, &stranger) {
        let error = try_out(with_tls(&server, wrong)).await.expect_err(what);
        assert!(error.to_string().contains(words), "{what}: {error}");
        assert!(
            matches!(error, Error::Tls { .. } | Error::File { .. }),
            "{what}: {error:?}"
        );
        assert_silent(&error, &["PRIVATE"]);
    }
}
