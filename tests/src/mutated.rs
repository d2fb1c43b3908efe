//! Inputs as whoever is broken or hostile may send them: the seeds of a fuzz target, changed at random, the same each time.
//! What libFuzzer does with millions of them in `tests/fuzz`, the tests do with a few thousands.

use std::{fs, path::Path};

use crate::prove::Dice;

/// How many inputs each parser has to stand.
const TIMES: usize = 20_000;

/// Bytes that mean something to one of the parsers.
const SIGNS: &[u8] = b"\"'\\,;=<>/:@?&%#+-*.[]{}0189 \t\r\n\0\x7fabnBw\xc3\xa9\xff";

/// The committed inputs of a fuzz target, by their names. Those that are no text are written in hexadecimal digits.
///
/// # Panics
/// If there are none, or one is not readable.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".hex") { (name, unhex(&bytes)) } else { (name, bytes) }
    };
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).map(read).collect();
    assert!(!seeds.is_empty(), "{} holds no seeds", folder.display());
    seeds.sort_unstable();
    seeds
}

/// The bytes of hexadecimal digits, between which there may be white space. `00*512` is 512 times the same.
fn unhex(text: &[u8]) -> Vec<u8> {
    let word = |word: &str| {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect::<Vec<u8>>().repeat(times.parse().unwrap())
    };
    std::str::from_utf8(text).unwrap().split_whitespace().flat_map(word).collect()
}

/// Gives `check` each seed of a fuzz target as it is, and then with one to eight changes, 20,000 times in all.
///
/// # Panics
/// If the target has no seeds, or `check` does.
pub fn mutated(target: &str, mut check: impl FnMut(&[u8])) {
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, seed)| seed).collect();
    seeds.iter().for_each(|seed| check(seed));
    let mut dice = Dice::new(1);
    for turn in 0..TIMES {
        let mut bytes = seeds[turn % seeds.len()].clone();
        for _ in 0..=below(&mut dice, 8) {
            change(&mut bytes, &mut dice);
        }
        check(&bytes);
    }
}

/// One change: a byte more, some bytes less, the end cut off, some bytes twice, or some bytes overwritten.
fn change(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = below(dice, bytes.len() + 1);
    let until = (at + below(dice, 9)).min(bytes.len());
    let sign = SIGNS[below(dice, SIGNS.len())];
    match below(dice, 5) {
        0 => bytes.insert(at, sign),
        1 => _ = bytes.drain(at..until),
        // At the very beginning it would leave nothing to change.
        2 if at > 0 => bytes.truncate(at),
        3 => bytes.extend_from_within(at..until),
        _ => bytes[at..until].fill(sign),
    }
}

fn below(dice: &mut Dice, end: usize) -> usize {
    usize::try_from(dice.below(end as u64)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(unhex(b"00 61\n73ff 00*3\n"), b"\0as\xff\0\0\0");
    }
}
