//! Who sees credentials and tokens, and who does not.

use std::sync::atomic::{AtomicUsize, Ordering};

use nacre_oci::{Error, Source};
use nacre_registry::{Config, Credential, Credentials};
use nacre_tests::images;

use crate::{
    blob, client,
    fake::{Fake, Reply, Seen},
    logged_in, quick, read, repository,
};

/// `nacre:secret` in base64.
const BASIC: &str = "Basic bmFjcmU6c2VjcmV0";

fn bearer(seen: &Seen) -> Reply {
    let realm = format!("http://{}/token", seen.header("host"));
    Reply::new(401).with("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"test\",scope=\"repository:a:pull\""))
}

#[test]
fn tokens_are_fetched_once_and_renewed_in_the_middle() {
    let body = images::noise(1_000_000, 6);
    let content = body.clone();
    let issued = AtomicUsize::new(0);
    let fake = Fake::start(move |seen, _| {
        if seen.target.starts_with("/token") {
            assert_eq!(seen.header("authorization"), BASIC);
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::new(200).body(format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        // The first token is good for one request, and the connection drops: the second needs another.
        match (seen.header("authorization"), seen.from()) {
            ("Bearer t1", None) => Reply::range(seen, &content).cut(700_000),
            ("Bearer t2", _) => Reply::range(seen, &content),
            _ => bearer(seen),
        }
    });
    let repository = repository(logged_in(&fake.address, "secret"), &fake.address, "a");
    assert!(read(&repository, &blob(&body), 0).unwrap() == body);
    assert!(read(&repository, &blob(&body), 0).unwrap() == body);
    let tokens: Vec<String> = fake.asked().into_iter().filter(|asked| asked.contains("/token")).collect();
    let expected = "GET /token?service=test&scope=repository%3Aa%3Apull&client_id=nacre&account=nacre";
    assert_eq!(tokens, [expected, expected]);
}

#[test]
fn one_repository_s_scope_is_not_asked_for_at_another() {
    let fake = Fake::start(|seen, _| match (seen.target.starts_with("/token"), seen.header("authorization")) {
        (true, _) => Reply::new(200).body(r#"{"token":"t"}"#),
        (_, "Bearer t") => Reply::new(200).body("content"),
        _ => bearer(seen),
    });
    let client = client(quick());
    for name in ["a", "b"] {
        let repository = client.repository(&format!("{}/{name}", fake.address).parse().unwrap());
        read(&repository, &blob(b"content"), 0).unwrap();
    }
    let tokens: Vec<String> = fake.asked().into_iter().filter(|asked| asked.contains("/token")).collect();
    assert_eq!(tokens[1], "GET /token?service=test&scope=repository%3Ab%3Apull&client_id=nacre");
    assert_eq!(fake.seen().len(), 5, "the second repository's token is fetched before it is asked for");
}

#[test]
fn an_identity_token_is_exchanged_by_post() {
    let fake = Fake::start(|seen, _| match (seen.target.as_str(), seen.header("authorization")) {
        ("/token", "") => Reply::new(200).body(r#"{"access_token":"t"}"#),
        (_, "Bearer t") => Reply::new(200).body("content"),
        _ => bearer(seen),
    });
    let credentials = Credentials::default().with(&fake.address, Credential::IdentityToken("a&b".into()));
    let repository = repository(Config { credentials, ..quick() }, &fake.address, "a");
    assert_eq!(read(&repository, &blob(b"content"), 0).unwrap(), b"content");
    let post = fake.seen().into_iter().find(|seen| seen.method == "POST").unwrap();
    let form = "grant_type=refresh_token&refresh_token=a%26b&client_id=nacre&service=test&scope=repository%3Aa%3Apull";
    assert_eq!(String::from_utf8(post.body).unwrap(), form);
}

#[test]
fn a_redirect_to_another_host_carries_no_credentials() {
    let storage = Fake::start(|seen, _| match seen.header("range") {
        "" => Reply::new(200).body("content"),
        _ => Reply::range(seen, b"content"),
    });
    let target = format!("http://{}/bucket?signature=x", storage.address);
    let fake = Fake::start(move |seen, _| match seen.header("authorization") {
        BASIC => Reply::new(307).with("Location", &target),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
    });
    let repository = repository(logged_in(&fake.address, "secret"), &fake.address, "a");
    assert_eq!(read(&repository, &blob(b"content"), 0).unwrap(), b"content");
    assert_eq!(read(&repository, &blob(b"content"), 3).unwrap(), b"tent");
    let seen = storage.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.header("authorization").is_empty()), "{seen:?}");
}

#[test]
fn another_host_that_asks_for_credentials_gets_none() {
    let thief = Fake::start(|_, _| Reply::new(401).with("WWW-Authenticate", "Basic realm=x"));
    let target = format!("http://{}/", thief.address);
    let fake = Fake::start(move |_, _| Reply::new(302).with("Location", &target));
    let repository = repository(logged_in(&fake.address, "secret"), &fake.address, "a");
    assert!(matches!(read(&repository, &blob(b"x"), 0), Err(Error::Denied { .. })));
    assert!(thief.seen().iter().all(|seen| seen.header("authorization").is_empty()));
}

#[test]
fn redirects_end() {
    let fake = Fake::start(|seen, _| Reply::new(302).with("Location", format!("{}x", seen.target)));
    let error = read(&repository(quick(), &fake.address, "a"), &blob(b"x"), 0).unwrap_err().to_string();
    assert!(error.contains("redirects"), "{error}");
    assert!(fake.seen().len() < 20);
}

#[test]
fn a_realm_on_an_internal_address_is_refused() {
    for realm in ["http://169.254.169.254/latest", "https://10.1.2.3/token", "http://registry.example/token", "ftp://127.0.0.1/x"] {
        let fake = Fake::start(move |_, _| Reply::new(401).with("WWW-Authenticate", format!("Bearer realm=\"{realm}\"")));
        let error = repository(logged_in(&fake.address, "secret"), &fake.address, "a").resolve("1").unwrap_err();
        assert!(matches!(&error, Error::Denied { why, .. } if why.contains(realm)), "{error}");
    }
}

#[test]
fn a_token_that_does_not_help_ends_in_advice() {
    let fake = Fake::start(|seen, _| match seen.target.starts_with("/token") {
        true => Reply::new(200).body(r#"{"token":"t"}"#),
        false => bearer(seen).body(r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#),
    });
    let error = read(&repository(quick(), &fake.address, "a"), &blob(b"x"), 0).unwrap_err().to_string();
    assert!(error.contains("not yours") && error.contains(&format!("nacre login {}", fake.address)), "{error}");
    assert_eq!(fake.seen().len(), 3, "{:?}", fake.asked());
}

#[test]
fn a_huge_token_answer_is_not_read() {
    let fake = Fake::start(|seen, _| match seen.target.starts_with("/token") {
        true => Reply::new(200).body(vec![b' '; 2 << 20]),
        false => bearer(seen),
    });
    assert!(matches!(read(&repository(quick(), &fake.address, "a"), &blob(b"x"), 0), Err(Error::TooLarge { .. })));
}

#[test]
fn login_checks_the_password_before_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    let fake = Fake::start(|seen, _| match (seen.target.starts_with("/token"), seen.header("authorization")) {
        (true, BASIC) => Reply::new(200).body(r#"{"token":"t"}"#),
        (true, _) => Reply::new(401).body(r#"{"details":"incorrect username or password"}"#),
        (false, "Bearer t") => Reply::new(200),
        _ => bearer(seen),
    });
    let client = client(Config { credentials: Credentials::from_files(vec![file.clone()]), ..quick() });
    let error = client.login(&fake.address, "nacre", "wrong").unwrap_err();
    let expected = format!("login to {} was denied: incorrect username or password", fake.address);
    assert_eq!((error.to_string(), file.exists()), (expected, false));
    assert_eq!(client.login(&fake.address, "nacre", "secret").unwrap(), file.display().to_string());
    let found = Credentials::from_files(vec![file]).find(&fake.address, None).unwrap();
    assert_eq!(found, Some(Credential::Password { user: "nacre".into(), password: "secret".into() }));
    assert!(client.logout(&fake.address).unwrap());
    assert!(!client.logout(&fake.address).unwrap());
}

#[test]
fn nobody_there_is_said_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = repository(quick(), &free.to_string(), "a").resolve("1").unwrap_err().to_string();
    assert!(error.contains("refused") && error.contains(&free.to_string()), "{error}");
}
