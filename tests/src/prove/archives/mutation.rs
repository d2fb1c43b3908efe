//! Small seeded changes to a file of blocks.

use crate::prove::Dice;

const BLOCK: usize = 512;

/// `bytes` with one to three changes: flipped, cut, zeroed, doubled, dropped and swapped blocks, digits where a size may be.
/// Half of the time the headers' checksums are made right again, so that what they hold is believed.
pub(super) fn mutate(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(3) {
        change(&mut bytes, dice);
    }
    if dice.below(2) == 0 {
        seal(&mut bytes);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.len() < 2 * BLOCK {
        return;
    }
    let at = place(bytes.len(), dice);
    let block = at / BLOCK * BLOCK..(at / BLOCK * BLOCK + BLOCK).min(bytes.len());
    match dice.below(7) {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => bytes.truncate(at),
        2 => bytes[block].fill(0),
        3 => {
            let copy = bytes[block.clone()].to_vec();
            bytes.splice(block.start..block.start, copy);
        }
        4 => _ = bytes.drain(block),
        5 => {
            let digits: Vec<u8> = (0..11).map(|_| b'0' + u8::try_from(dice.below(8)).unwrap_or_default()).collect();
            let size = block.start + 124;
            if size + 11 <= bytes.len() {
                bytes[size..size + 11].copy_from_slice(&digits);
            }
        }
        _ => {
            let other = place(bytes.len(), dice) / BLOCK * BLOCK;
            if block.len() == BLOCK && other + BLOCK <= bytes.len() {
                (0..BLOCK).for_each(|n| bytes.swap(block.start + n, other + n));
            }
        }
    }
}

fn place(len: usize, dice: &mut Dice) -> usize {
    usize::try_from(dice.below(len as u64)).unwrap_or_default()
}

/// Makes the checksum of each block that looks like a header right.
fn seal(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(BLOCK).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().copied().map(u32::from).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
