//! One 512-byte header (POSIX.1-2017, pax, "ustar Interchange Format"), with GNU's numbers.

use crate::tar::BLOCK;

/// A header block.
pub(crate) struct Header(pub(crate) [u8; BLOCK as usize]);

/// Where a field lies.
pub(super) type Field = std::ops::Range<usize>;

pub(crate) const NAME: Field = 0..100;
pub(crate) const MODE: Field = 100..108;
pub(crate) const UID: Field = 108..116;
pub(crate) const GID: Field = 116..124;
pub(crate) const SIZE: Field = 124..136;
pub(crate) const MTIME: Field = 136..148;
const CHECKSUM: Field = 148..156;
const KIND: usize = 156;
pub(crate) const LINK: Field = 157..257;
const MAGIC: Field = 257..265;
pub(crate) const MAJOR: Field = 329..337;
pub(crate) const MINOR: Field = 337..345;
pub(crate) const PREFIX: Field = 345..500;

const USTAR: &[u8] = b"ustar\x0000";

impl Header {
    pub(crate) fn zeroed() -> Self {
        Self([0; BLOCK as usize])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    pub(crate) fn kind(&self) -> u8 {
        self.0[KIND]
    }

    /// A text field, up to its first NUL.
    pub(crate) fn text(&self, field: Field) -> &[u8] {
        let field = &self.0[field];
        &field[..field.iter().position(|byte| *byte == 0).unwrap_or(field.len())]
    }

    /// The name; in ustar a prefix stands before it. (GNU's older format has other things there.)
    pub(crate) fn name(&self) -> Vec<u8> {
        let name = self.text(NAME);
        match self.text(PREFIX) {
            prefix if !prefix.is_empty() && self.0[MAGIC] == *USTAR => [prefix, b"/", name].concat(),
            _ => name.to_vec(),
        }
    }

    /// A number: octal digits, or GNU's base 256. An empty field is 0.
    pub(crate) fn number(&self, field: Field) -> Option<i64> {
        let field = &self.0[field];
        match field[0] {
            0x80 | 0xff => base256(field),
            _ => octal(field),
        }
    }

    /// Whether the checksum is right. Some old programs summed signed bytes, which readers take too.
    pub(crate) fn is_sound(&self) -> bool {
        let (unsigned, signed) = self.sums();
        self.number(CHECKSUM).is_some_and(|sum| sum == unsigned || sum == signed)
    }

    fn sums(&self) -> (i64, i64) {
        let blanked = self.0.iter().enumerate().map(|(index, byte)| if CHECKSUM.contains(&index) { b' ' } else { *byte });
        blanked.fold((0, 0), |(unsigned, signed), byte| (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed())))
    }

    pub(crate) fn set(&mut self, field: Field, text: &[u8]) {
        self.0[field][..text.len()].copy_from_slice(text);
    }

    /// Sets a number if its octal digits fit.
    pub(crate) fn set_number(&mut self, field: Field, number: u64) -> bool {
        let width = field.len() - 1;
        let text = format!("{number:0width$o}");
        let fits = text.len() == width;
        if fits {
            self.set(field, text.as_bytes());
        }
        fits
    }

    /// Makes it a ustar header of this kind, with its checksum. The last thing to do.
    pub(crate) fn seal(&mut self, kind: u8) {
        self.0[KIND] = kind;
        self.set(MAGIC, USTAR);
        let (sum, _) = self.sums();
        self.set(CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Digits between blanks and NULs. (Of those in front, some old programs left one, which Go's and GNU's tar skip.)
fn octal(field: &[u8]) -> Option<i64> {
    let begin = field.iter().position(|byte| !matches!(byte, 0 | b' ')).unwrap_or(field.len());
    let field = &field[begin..];
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = std::str::from_utf8(&field[..end]).ok()?.trim_matches(' ');
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    digits.then(|| i64::from_str_radix(text, 8).ok()).flatten()
}

/// GNU: the first byte is 0x80 or, for negative numbers, 0xff; the rest is a number of many bytes.
fn base256(field: &[u8]) -> Option<i64> {
    let fill = if field[0] == 0xff { 0xff } else { 0 };
    let (high, low) = field[1..].split_at(field.len().saturating_sub(9));
    let mut bytes = [fill; 8];
    bytes[8 - low.len()..].copy_from_slice(low);
    let number = i64::from_be_bytes(bytes);
    let fits = high.iter().all(|byte| *byte == fill) && (number < 0) == (fill == 0xff);
    fits.then_some(number)
}
