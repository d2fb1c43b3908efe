//! `SecretsUsedInArgOrEnv`.

const SECRET: [&str; 10] = ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// Whether a variable of this name seems to hold a secret: by the words between its `_`, whatever their case. In
/// `DATABASE_PASSWORD` there is one, in `PASSWORD_FILE` only where to find one.
pub fn is_secret(name: &str) -> bool {
    let has = |words: &[&str]| name.split('_').any(|part| words.iter().any(|word| word.eq_ignore_ascii_case(part)));
    has(&SECRET) && !has(&HARMLESS)
}
