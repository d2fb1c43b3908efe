//! What is read while others change it.

use std::{
    fs::File,
    io::{self, Read},
};

use rustix::io::Errno;

/// A file's content as so many bytes, whatever becomes of the file meanwhile: what it has more is left out, what is missing
/// is zeros (GNU tar's rule).
pub(crate) struct Steady {
    file: File,
    left: u64,
}

impl Steady {
    pub(crate) fn new(file: File, size: u64) -> Self {
        Self { file, left: size }
    }
}

impl Read for Steady {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..want];
        let count = match self.file.read(buffer)? {
            0 => {
                buffer.fill(0);
                want
            }
            count => count,
        };
        self.left -= count as u64;
        Ok(count)
    }
}

/// Whether something is not there any more, or something else is in its place or on the way to it.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::STALE];
    error.raw_os_error().is_some_and(|code| gone.iter().any(|errno| errno.raw_os_error() == code))
}

/// Nothing, if it is gone.
pub(crate) fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if is_gone(&error) => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_has_the_bytes_that_were_announced() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        for (size, expected) in [(4, &b"cont"[..]), (7, b"content"), (9, b"content\0\0"), (0, b"")] {
            io::Seek::rewind(&mut file).unwrap();
            let mut bytes = Vec::new();
            Steady::new(file.try_clone().unwrap(), size).read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, expected);
        }
    }
}
