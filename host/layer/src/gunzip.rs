//! gzip members that follow one another.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The plain bytes of one or more members (RFC 1952, 2.2).
pub(crate) struct Gunzip<R> {
    /// `None` at the end, and after an error.
    member: Option<GzDecoder<R>>,
    padded: bool,
}

impl<R: BufRead> Gunzip<R> {
    /// If it may be `padded`, there may be zeros behind each member: so initramfs archives are put together (Linux,
    /// `Documentation/driver-api/early-userspace/buffer-format.rst`), and so blocks of tapes are filled up. Anything else
    /// behind a member is an error.
    pub(crate) fn new(input: R, padded: bool) -> Self {
        Self { member: Some(GzDecoder::new(input)), padded }
    }

    /// Goes on behind a member; `None` if nothing is there.
    fn next(&self, mut input: R) -> io::Result<Option<GzDecoder<R>>> {
        loop {
            let bytes = input.fill_buf()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let zeros = if self.padded { bytes.iter().take_while(|&&byte| byte == 0).count() } else { 0 };
            if zeros == 0 {
                return Ok(Some(GzDecoder::new(input)));
            }
            input.consume(zeros);
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.member = match self.member.take() {
                Some(ended) => self.next(ended.into_inner())?,
                None => None,
            };
        }
        Ok(0)
    }
}
