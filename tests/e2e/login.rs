//! `nacre login` and `logout` at a registry with passwords, and where credentials go.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::mpsc,
    thread,
};

use nacre_tests::{
    peers::{Options, PASSWORD, Registry, USER, available},
    sandbox::{Output, Sandbox},
};

use crate::support::{place_multi_platform, whole};

fn registry(tls: bool) -> Option<Registry> {
    Registry::start(&Options { htpasswd: true, tls })
}

/// A login with the password on standard input, in Docker's file.
fn login(sandbox: &Sandbox, host: &str, password: &str) -> Output {
    let mut command = docker_files(sandbox, &["login", "-u", USER, "--password-stdin", host]);
    command.env_remove("REGISTRY_AUTH_FILE");
    sandbox.run(command, format!("{password}\n").as_bytes())
}

/// A command that looks for credentials in Docker's file.
fn docker_files(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    command.env_remove("REGISTRY_AUTH_FILE");
    command
}

#[test]
fn a_login_opens_the_registry_and_a_logout_shuts_it() {
    let Some(registry) = registry(false) else { return };
    let (sandbox, host) = (Sandbox::new(), registry.address());
    let (name, config) = (format!("{host}/busybox:1"), sandbox.path("docker/config.json"));
    place_multi_platform(&sandbox, &name);
    let denied = sandbox.run(docker_files(&sandbox, &["push", "-q", &name]), b"").fails(1);
    assert!(
        denied.stderr.ends_with(&format!("log in with 'nacre login {host}'\n")) && denied.stderr.lines().count() == 1,
        "{}",
        denied.stderr
    );

    let done = login(&sandbox, &host, PASSWORD).ok();
    assert!(done.stdout.starts_with("Login Succeeded"), "{}", done.stdout);
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&config).unwrap().contains(PASSWORD));
    assert!(!sandbox.path("auth.json").exists());
    sandbox.run(docker_files(&sandbox, &["push", "-q", &name]), b"").ok();
    sandbox.run(docker_files(&sandbox, &["pull", "-q", &name]), b"").ok();

    let out = sandbox.run(docker_files(&sandbox, &["logout", &host]), b"").ok();
    assert_eq!(out.stdout, format!("Removing login credentials for {host}\n"));
    let denied = sandbox.run(docker_files(&sandbox, &["pull", "-q", &name]), b"").fails(1);
    assert!(denied.stderr.contains("nacre login"), "{}", denied.stderr);
    let out = sandbox.run(docker_files(&sandbox, &["logout", &host]), b"").ok();
    assert_eq!((out.stdout, out.stderr), (String::new(), format!("nacre: not logged in to {host}\n")));
    whole(&sandbox);
}

#[test]
fn a_wrong_password_is_refused_and_not_kept() {
    let Some(registry) = registry(false) else { return };
    let (sandbox, host) = (Sandbox::new(), registry.address());
    let refused = login(&sandbox, &host, "wrong").fails(1);
    assert!(refused.stderr.starts_with(&format!("nacre: login to {host} was denied: ")), "{}", refused.stderr);
    assert!(refused.stderr.lines().count() == 1 && !refused.stderr.contains("nacre login"), "{}", refused.stderr);
    assert!(!sandbox.path("docker/config.json").exists());
    let empty = login(&sandbox, &host, "").fails(1);
    assert!(empty.stderr.contains("password"), "{}", empty.stderr);
    let gone = login(&sandbox, "127.0.0.1:1", PASSWORD).fails(1);
    assert!(gone.stderr.contains("127.0.0.1:1") && gone.stderr.contains("refused"), "{}", gone.stderr);
    assert!(!sandbox.root().exists(), "a login makes no store");
}

#[test]
fn podmans_file_is_written_where_it_is_named() {
    let Some(registry) = registry(true) else { return };
    let (sandbox, host) = (Sandbox::new(), registry.address());
    fs::write(sandbox.path("auth.json"), r#"{"auths": {"other.example": {"auth": "YTpi"}}, "theirs": 1}"#).unwrap();
    let command = sandbox.command(["login", "--username", USER, "--password-stdin", &format!("https://{host}/v2/")]);
    sandbox.run(command, PASSWORD.as_bytes()).ok();
    let text = fs::read_to_string(sandbox.path("auth.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(kept["theirs"] == 1 && kept["auths"]["other.example"]["auth"] == "YTpi" && kept["auths"][&host].is_object(), "{text}");
    assert!(!sandbox.path("docker/config.json").exists());
    if available("skopeo") {
        let asked =
            Command::new("skopeo").args(["login", "--get-login", &host]).env("REGISTRY_AUTH_FILE", sandbox.path("auth.json")).output();
        assert_eq!(String::from_utf8_lossy(&asked.unwrap().stdout).trim(), USER);
    }
}

#[test]
fn questions_need_somebody_to_answer() {
    let sandbox = Sandbox::new();
    let nobody = sandbox.nacre(["login", "127.0.0.1:1"]).fails(1);
    assert!(nobody.stderr.contains("--username"), "{}", nobody.stderr);
    let nobody = sandbox.nacre(["login", "-u", "me", "127.0.0.1:1"]).fails(1);
    assert!(nobody.stderr.contains("--password-stdin"), "{}", nobody.stderr);
    sandbox.nacre(["login", "-u", "me", "-p", "x", "--password-stdin", "h"]).fails(2);
    let shown = sandbox.nacre(["login", "-u", "me", "-p", "x", "127.0.0.1:1"]).fails(1);
    assert!(shown.stderr.starts_with("nacre: a password on the command line"), "{}", shown.stderr);
}

/// Answers every request with `answer`, and passes its head on.
fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut head = String::new();
            let mut reader = BufReader::new(client);
            while reader.read_line(&mut head).is_ok_and(|count| count > 2) {}
            let mut client = reader.into_inner();
            // Whoever does not listen any more has ended.
            let _ = (client.write_all(answer(&head).as_bytes()), sender.send(head));
        }
    });
    (address, receiver)
}

#[test]
fn credentials_go_to_their_own_host_alone() {
    let (other, heard) = answering(|_| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into());
    let to = other.clone();
    let (host, asked) = answering(move |head| {
        let plain = !head.contains("uthorization: Basic");
        let status = if plain {
            "401 Unauthorized\r\nWww-Authenticate: Basic realm=\"x\"".into()
        } else {
            format!("307 Temporary Redirect\r\nLocation: http://{to}/stolen")
        };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("auth.json"), format!(r#"{{"auths": {{"{host}": {{"auth": "bmFjcmU6c2VjcmV0"}}}}}}"#)).unwrap();
    sandbox.nacre(["pull", &format!("{host}/busybox:1")]).fails(1);
    assert!(asked.try_iter().any(|head| head.contains("bmFjcmU6c2VjcmV0")), "the registry itself was shown nothing");
    let elsewhere: Vec<String> = heard.try_iter().collect();
    assert!(elsewhere.iter().any(|head| head.contains("/stolen")), "the redirect was not followed");
    assert!(!elsewhere.concat().to_lowercase().contains("authorization"), "{elsewhere:?}");
    sandbox.nacre(["pull", &format!("{other}/busybox:1")]).fails(1);
    assert!(!heard.try_iter().collect::<String>().contains("bmFjcmU6c2VjcmV0"));
}

#[test]
fn a_credential_helper_keeps_the_password_instead_of_the_file() {
    let Some(registry) = registry(false) else { return };
    let (sandbox, host) = (Sandbox::new(), registry.address());
    let helper = sandbox.path("docker-credential-box");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {0} ;;\nget) cat {0} 2>/dev/null || {{ echo credentials not found in native keychain; exit 1; }} ;;\nerase) rm {0} ;;\nesac\n",
        sandbox.path("kept").display()
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(sandbox.path("docker/config.json"), format!(r#"{{"credHelpers": {{"{host}": "box"}}}}"#)).unwrap();
    let with_helper = |arguments: &[&str], input: &str| {
        let mut command = docker_files(&sandbox, arguments);
        let path = format!("{}:{}", sandbox.path("").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path);
        sandbox.run(command, input.as_bytes())
    };
    with_helper(&["login", "-u", USER, "--password-stdin", &host], PASSWORD).ok();
    assert!(fs::read_to_string(sandbox.path("kept")).unwrap().contains(PASSWORD));
    assert!(!fs::read_to_string(sandbox.path("docker/config.json")).unwrap().contains("auths"));
    let name = format!("{host}/busybox:1");
    place_multi_platform(&sandbox, &name);
    with_helper(&["push", "-q", &name], "").ok();
    with_helper(&["search", "--list-tags", &format!("{host}/busybox")], "").ok();
    with_helper(&["logout", &host], "").ok();
    assert!(!sandbox.path("kept").exists());
    let denied = with_helper(&["pull", &name], "").fails(1);
    assert!(denied.stderr.contains("nacre login"), "{}", denied.stderr);
    let none = sandbox.run(docker_files(&sandbox, &["pull", &name]), b"").fails(1);
    assert!(none.stderr.contains("docker-credential-box"), "{}", none.stderr);
}
