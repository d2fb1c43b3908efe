//! The configuration files of a package, with the sums of what it brings: by them dpkg tells later
//! whether the user changed one.

use md5::{Digest, Md5};
use nacre_sdk::Error;
use nacre_sdk::bytes::Source;

/// The paths in the order of the package, each with a sum once its file was seen.
#[derive(Default)]
pub struct Conffiles(Vec<(String, Option<String>)>);

impl Conffiles {
    /// Reads a package's list: a path on each line, some with a flag before it (`deb-conffiles(5)`).
    pub fn parse(text: &[u8]) -> Conffiles {
        let text = String::from_utf8_lossy(text);
        let paths = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
        Conffiles(paths.map(|path| (path.to_owned(), None)).collect())
    }

    /// Adds the sum of `content` if `path`, which does not begin with `/`, is one of them.
    ///
    /// # Errors
    /// The content cannot be read.
    pub fn seen(&mut self, path: &str, content: &Source) -> Result<(), Error> {
        self.find(path).map_or(Ok(()), |sum| {
            *sum = Some(self::sum(|| content.read(1 << 20))?);
            Ok(())
        })
    }

    fn find(&mut self, path: &str) -> Option<&mut Option<String>> {
        self.0.iter_mut().find(|(known, _)| known.strip_prefix('/') == Some(path)).map(|(_, sum)| sum)
    }

    /// The field of dpkg's database. A file that was not seen has dpkg's own word for that.
    pub fn field(&self) -> String {
        let line = |(path, sum): &(String, Option<String>)| format!(" {path} {}\n", sum.as_deref().unwrap_or("newconffile"));
        match self.0.is_empty() {
            true => String::new(),
            false => format!("Conffiles:\n{}", self.0.iter().map(line).collect::<String>()),
        }
    }
}

/// The MD5 of all that is read until nothing is.
fn sum(mut read: impl FnMut() -> Result<Vec<u8>, Error>) -> Result<String, Error> {
    let mut md5 = Md5::new();
    loop {
        let bytes = read()?;
        if bytes.is_empty() {
            return Ok(md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        md5.update(&bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn files_that_were_seen_have_their_sums() {
        let mut files = Conffiles::parse(b"/etc/a\nremove-on-upgrade /etc/old\n\n/etc/b\n");
        assert_eq!(files.field(), "Conffiles:\n /etc/a newconffile\n /etc/b newconffile\n");
        let mut content = vec![b"".to_vec(), b"lo".to_vec(), b"hel".to_vec()];
        *files.find("etc/b").unwrap() = Some(sum(|| Ok(content.pop().unwrap())).unwrap());
        assert_eq!(files.field(), "Conffiles:\n /etc/a newconffile\n /etc/b 5d41402abc4b2a76b9719d911017c592\n");
        assert!(files.find("etc/c").is_none());
        assert_eq!(Conffiles::parse(b"").field(), "");
    }
}
