//! Which source wins, and that no secret is shown.

use super::options::DEFAULT_SERVER;
use super::*;
use crate::config::Environment;

type Variables = &'static [(&'static str, &'static str)];

fn contexts(selected: Option<&str>) -> (tempfile::TempDir, Contexts) {
    let dir = tempfile::tempdir().unwrap();
    let context = |name: &str, text: &str| {
        std::fs::write(dir.path().join("context").join(name), text).unwrap();
    };
    std::fs::create_dir(dir.path().join("context")).unwrap();
    context(
        "prod.json",
        r#"{"url": "nats://prod:4222", "user": "op", "password": "pw", "ca": "/ca.pem"}"#,
    );
    context(
        "test.json",
        r#"{"url": "nats://test:4222", "token": "tok"}"#,
    );
    if let Some(name) = selected {
        std::fs::write(dir.path().join("context.txt"), name).unwrap();
    }
    let contexts = Contexts::new(dir.path(), "/home/op");
    (dir, contexts)
}

fn nats(place: Place) -> NatsPlace {
    match place {
        Place::Nats(place) => *place,
        Place::Local(place) => panic!("{place:?}"),
    }
}

fn resolve(
    flags: &Settings,
    variables: Variables,
    selected: Option<&str>,
) -> Result<Place, ConfigError> {
    let (_dir, contexts) = contexts(selected);
    let environment = Settings::from_env(&Environment::MadeUp(variables))?;
    Place::resolve(flags, &environment, &contexts)
}

fn address_of(place: Result<Place, ConfigError>) -> String {
    place.unwrap().address()
}

fn server(address: &str) -> Settings {
    Settings {
        server: Some(Secret::new(address)),
        ..Settings::default()
    }
}

fn context(name: &str) -> Settings {
    Settings {
        context: Some(name.to_owned()),
        ..Settings::default()
    }
}

#[test]
fn flags_then_environment_then_named_then_selected_then_default() {
    let none = Settings::default();
    assert_eq!(address_of(resolve(&none, &[], None)), DEFAULT_SERVER);
    assert_eq!(
        address_of(resolve(&none, &[], Some("prod"))),
        "nats://prod:4222"
    );
    let named: Variables = &[("NATS_CONTEXT", "test")];
    assert_eq!(
        address_of(resolve(&none, named, Some("prod"))),
        "nats://test:4222"
    );
    assert_eq!(
        address_of(resolve(&context("prod"), named, None)),
        "nats://prod:4222"
    );
    let both: Variables = &[("NATS_CONTEXT", "test"), ("NATS_URL", "nats://env:1")];
    assert_eq!(address_of(resolve(&none, both, None)), "nats://env:1");
    assert_eq!(
        address_of(resolve(&server("nats://flag:1"), both, None)),
        "nats://flag:1"
    );
    let no_context = Settings {
        no_context: true,
        ..Settings::default()
    };
    assert_eq!(
        address_of(resolve(&no_context, &[], Some("prod"))),
        DEFAULT_SERVER
    );
}

#[test]
fn a_file_and_a_server() {
    let local = Settings {
        local: Some("x.db".into()),
        ..Settings::default()
    };
    let url: Variables = &[("NATS_URL", "nats://env:1")];
    assert_eq!(address_of(resolve(&local, url, Some("prod"))), "x.db");
    let local: Variables = &[("KVSCOPE_LOCAL", "env.db"), ("NATS_URL", "nats://e:1")];
    assert_eq!(
        address_of(resolve(&Settings::default(), local, None)),
        "env.db"
    );
    assert_eq!(
        address_of(resolve(&server("nats://f:1"), local, None)),
        "nats://f:1"
    );
    let both = Settings {
        local: Some("x.db".into()),
        ..server("nats://f:1")
    };
    let error = resolve(&both, &[], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--local and --server can't be used together"
    );
    assert!(error.is_usage());
}

#[test]
fn credentials_come_from_one_source_as_a_whole() {
    let creds = Settings {
        creds: Some("/op.creds".into()),
        ..Settings::default()
    };
    let place = nats(resolve(&creds, &[("NATS_USER", "envuser")], Some("prod")).unwrap());
    assert!(
        matches!(place.options.auth, Auth::CredentialsFile(_)),
        "{:?}",
        place.options.auth
    );
    assert_eq!(place.options.tls.ca, Some("/ca.pem".into()));

    let place = nats(resolve(&Settings::default(), &[], Some("prod")).unwrap());
    assert!(matches!(&place.options.auth, Auth::User { name, .. } if name == "op"));

    let password: Variables = &[("NATS_PASSWORD", "other")];
    let place = nats(resolve(&Settings::default(), password, Some("prod")).unwrap());
    let Auth::User { name, password } = &place.options.auth else {
        panic!("{:?}", place.options.auth);
    };
    assert_eq!((name.as_str(), password.expose()), ("op", "other"));
}

#[test]
fn a_user_without_a_password_is_a_token() {
    let user: Variables = &[("NATS_USER", "s3cret")];
    let place = nats(resolve(&Settings::default(), user, Some("prod")).unwrap());
    assert!(matches!(&place.options.auth, Auth::Token(token) if token.expose() == "s3cret"));
    let both: Variables = &[("NATS_USER", "u"), ("NATS_PASSWORD", "p")];
    let place = nats(resolve(&Settings::default(), both, Some("prod")).unwrap());
    assert!(matches!(&place.options.auth, Auth::User { name, .. } if name == "u"));
}

#[test]
fn a_prefix_of_the_api_and_a_domain_come_from_the_nearest() {
    let domain = Settings {
        js_domain: Some("hub".to_owned()),
        ..Settings::default()
    };
    let prefix = Settings {
        js_api_prefix: Some("JS.acc".to_owned()),
        ..Settings::default()
    };
    let none = Settings::default();
    let options = nats_options(&[&domain, &none, &prefix]);
    assert_eq!(options.jetstream_api_prefix, None);
    assert_eq!(options.jetstream_domain.as_deref(), Some("hub"));
    let options = nats_options(&[&prefix, &none, &domain]);
    assert_eq!(options.jetstream_api_prefix.as_deref(), Some("JS.acc"));
}

#[test]
fn a_proxy_is_never_passed_by() {
    let proxy: Variables = &[("NATS_SOCKS_PROXY", "socks5://p:1080")];
    let error = resolve(&Settings::default(), proxy, None).unwrap_err();
    assert!(matches!(error, ConfigError::SocksProxy), "{error}");
    let local = Settings {
        local: Some("x.db".into()),
        ..Settings::default()
    };
    assert!(resolve(&local, proxy, None).is_ok());
}

#[test]
fn a_place_is_called_what_it_is() {
    let place = resolve(&Settings::default(), &[], Some("prod")).unwrap();
    assert_eq!(place.name(), "prod");
    let elsewhere = resolve(&server("nats://localhost:4222"), &[], Some("prod")).unwrap();
    assert_eq!(elsewhere.name(), "nats://localhost:4222");
    assert_eq!(elsewhere.context(), None);
    assert_eq!(Place::local("/var/lib/app.db").name(), "app.db");
}

#[test]
fn no_secret_is_shown() {
    let place = resolve(
        &server("nats://bob:hunter2@n1:4222, tls://to@ken@n2, plain:4222"),
        &[("NATS_PASSWORD", "hunter2")],
        Some("prod"),
    )
    .unwrap();
    assert_eq!(place.address(), "nats://n1:4222, tls://n2, plain:4222");
    assert_eq!(nats(place.clone()).options.servers.len(), 3);
    let shown = format!("{place:?} {} {}", place.name(), place.address());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn switches_are_never_guessed() {
    let environment = Environment::MadeUp(&[("A", "YES"), ("B", "0"), ("C", "maybe")]);
    assert_eq!(environment.switch("A").unwrap(), Some(true));
    assert_eq!(environment.switch("B").unwrap(), Some(false));
    assert!(environment.switch("C").is_err());
    assert_eq!(environment.switch("D").unwrap(), None);
    let timeout = Environment::MadeUp(&[("NATS_TIMEOUT", "soon")]);
    assert!(Settings::from_env(&timeout).is_err());
}

#[test]
fn advice_leads_to_what_flags_named_and_holds_no_secret() {
    let flags = |server: &str| Settings {
        server: Some(Secret::new(server)),
        ..Settings::default()
    };
    assert_eq!(Settings::default().command(), "kvscope");
    assert_eq!(
        flags("nats://op:pw@a:4222, b").command(),
        "kvscope -s nats://a:4222,b"
    );
    let named = Settings {
        context: Some("prod eu".to_owned()),
        ..Settings::default()
    };
    assert_eq!(named.command(), "kvscope --context 'prod eu'");
    let domain = Settings {
        js_domain: Some("hub".to_owned()),
        ..flags("b")
    };
    assert_eq!(domain.command(), "kvscope -s b --js-domain hub");
    let bare = Settings {
        no_context: true,
        ..flags("b")
    };
    assert_eq!(bare.command(), "kvscope -s b --no-context");
}

#[test]
fn a_context_that_was_named_or_is_where_we_are_guards() {
    let of = |flags: &Settings, variables, selected| {
        let place = resolve(flags, variables, selected).unwrap();
        let guard = place.guarded_by().map(str::to_owned);
        (guard, place.context().map(|context| context.name.clone()))
    };
    let prod = || Some("prod".to_owned());
    let elsewhere: Variables = &[("NATS_URL", "nats://env:1")];
    let its_own: Variables = &[("NATS_URL", "nats://u:p@prod:4222")];
    let none = Settings::default();
    assert_eq!(of(&context("prod"), &[], None), (prod(), prod()));
    assert_eq!(of(&context("prod"), its_own, None), (prod(), prod()));
    assert_eq!(of(&context("prod"), elsewhere, None), (prod(), None));
    let by_name: Variables = &[("NATS_CONTEXT", "prod"), ("NATS_URL", "nats://env:1")];
    assert_eq!(of(&none, by_name, None), (prod(), None));
    assert_eq!(of(&none, &[], Some("prod")), (prod(), prod()));
    assert_eq!(of(&none, its_own, Some("prod")), (prod(), prod()));
    assert_eq!(of(&none, elsewhere, Some("prod")), (None, None));
    let no_context = Settings {
        no_context: true,
        ..Settings::default()
    };
    assert_eq!(of(&no_context, by_name, Some("prod")), (None, None));
}
