//! New containers.

use std::fmt::Write as _;

use jiff::Timestamp;
use nacre_oci::Error as Data;
use nacre_store::{Container as Row, NameTaken};

use crate::{Base, Container, Engine, Error, Options, Record, Result, engine::random, words};

/// How many names are made up before it is given up.
const TRIES: usize = 20;

/// What came of [`Engine::create`].
#[derive(Clone, Debug)]
pub struct Created {
    /// The container.
    pub container: Container,
    /// Worth telling the user.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Makes a container. The store checks in the same step that its image is still there, so no prune takes that away
    /// meanwhile.
    ///
    /// # Errors
    /// In Docker's words, for a name that is malformed or taken, and for what is wrong with the options.
    pub fn create(&self, base: &Base, options: &Options) -> Result<Created> {
        options.name.as_deref().map_or(Ok(()), check_name)?;
        let id = new_id()?;
        let record = Record::new(&id, base, options)?;
        let mut warnings: Vec<String> = base.warning.clone().into_iter().collect();
        // What others left behind is no reason to fail.
        warnings.extend(self.sweep().err().map(|error| format!("containers that are left over cannot be removed: {error}")));
        let mut row = Row {
            id,
            name: String::new(),
            image: base.image.clone(),
            manifest: base.manifest.digest.clone(),
            created: nanoseconds(Timestamp::now()),
            remove: options.remove,
            record: record.to_json(),
        };
        // Held until the row is there: what has neither a row nor a lock that is held is swept.
        let _lock = self.store().claim_container(&row.id)?;
        if let Err(error) = self.add(&mut row, options.name.as_deref()) {
            // Nothing but the lock is in it yet. What cannot be deleted is swept later.
            let _ = std::fs::remove_dir_all(nacre_runtime::container_folder(self.store().root(), &row.id));
            return Err(error);
        }
        Ok(Created { container: Container::of(row)?, warnings })
    }

    /// Adds the row, with the name that was asked for or one that is free.
    fn add(&self, row: &mut Row, name: Option<&str>) -> Result<()> {
        let mut tries = 0;
        loop {
            row.name = match name {
                Some(name) => name.strip_prefix('/').unwrap_or(name).to_owned(),
                None => words::name(u64::from_ne_bytes(random()?), tries),
            };
            let Err(error) = self.store().add_container(row) else { return Ok(()) };
            let taken = matches!(&error, Data::Other(other) if other.is::<NameTaken>());
            tries += 1;
            match (taken, name) {
                (true, None) if tries < TRIES => {}
                (true, _) => return Err(Error::Conflict(error.to_string())),
                _ => return Err(error.into()),
            }
        }
    }
}

/// 64 hexadecimal digits, of which the first 12 are not all decimal: they are a host name (moby's `stringid`).
fn new_id() -> Result<String> {
    loop {
        let mut id = String::with_capacity(64);
        random::<32>()?.iter().try_for_each(|byte| write!(id, "{byte:02x}")).expect("a string takes all that is written");
        if !id[..12].bytes().all(|digit| digit.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// moby's `RestrictedNamePattern`: at least two characters.
fn check_name(name: &str) -> Result<()> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if bare.len() > 1 && bare.starts_with(|c: char| c.is_ascii_alphanumeric()) && bare.bytes().all(rest) {
        return Ok(());
    }
    Err(Error::invalid(format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")))
}

/// Unix nanoseconds. In the year 2262 they are too many.
pub(crate) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_are_dockers() {
        for good in ["ab", "/ab", "A.b-c_d", "0x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "x", "b d", "-ab", "a/b", "é1", "//a"] {
            let why = format!("Invalid container name ({bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
            assert_eq!(check_name(bad).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn ids_are_random() {
        let (one, other) = (new_id().unwrap(), new_id().unwrap());
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()) && one != other);
    }
}
