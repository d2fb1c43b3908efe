//! Plain GETs: where they go, and what they neither follow nor send.

use std::{io::Read, net::SocketAddr};

use nacre_registry::{Answer, Client};

use crate::{
    client,
    fake::{Fake, Reply},
    logged_in, quick,
};

/// Asks the fake for a path under another name.
fn get(client: &Client, fake: &Fake, path: &str) -> nacre_oci::Result<Answer> {
    let address: SocketAddr = fake.address.parse().unwrap();
    let url = format!("http://files.example:{}/{path}", address.port()).parse().unwrap();
    client.get(&url, &[address])
}

fn body(answer: Answer) -> std::io::Result<Vec<u8>> {
    let Answer::Body(mut body) = answer else { panic!("it is elsewhere") };
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn a_get_goes_to_the_given_address_and_sends_no_credentials() {
    let fake = Fake::start(|_, _| Reply::new(200).body(vec![7; 300_000]));
    let client = client(logged_in("files.example", "secret"));
    assert_eq!(body(get(&client, &fake, "a?b=c").unwrap()).unwrap(), vec![7; 300_000]);
    let seen = &fake.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.header("authorization")), ("GET", "/a?b=c", ""));
    assert!(seen.header("host").starts_with("files.example:"));
    assert_eq!(client.resolve("127.0.0.1", 80).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
    assert_eq!(client.resolve("[::1]", 80).unwrap(), ["[::1]:80".parse().unwrap()]);
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    let fake = Fake::start(|_, _| Reply::new(302).with("Location", "../x"));
    assert!(matches!(get(&client(quick()), &fake, "a").unwrap(), Answer::Moved(to) if to == "../x"));
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn what_is_no_success_is_an_error() {
    let fake = Fake::start(|seen, _| match seen.target.as_str() {
        "/gone" => Reply::new(404),
        "/nowhere" => Reply::new(302),
        "/cut" => Reply::new(200).body(vec![0; 100]).cut(50),
        _ => Reply::new(200).body(vec![0; 100]).cut(50).hang(),
    });
    let said = |path| get(&client(quick()), &fake, path).err().unwrap().to_string();
    assert!(said("gone").contains("the server answered 404"), "{}", said("gone"));
    assert!(said("nowhere").contains("302"), "{}", said("nowhere"));
    assert!(body(get(&client(quick()), &fake, "cut").unwrap()).unwrap_err().to_string().contains("broke off"));
    assert!(body(get(&client(quick()), &fake, "hang").unwrap()).unwrap_err().to_string().starts_with("no bytes for"));
}
