//! Damaged files for the tests of parsers: seeded, so that every run tries the same ones.

/// Calls `check` with `file` cut off at every byte, and then with `rounds` damaged copies of it.
///
/// ```
/// nacre_sdk::mutate::damage(b"10 20 30", 100, |file| {
///     let _ = String::from_utf8_lossy(file).split(' ').map(str::parse::<u8>).collect::<Vec<_>>();
/// });
/// ```
pub fn damage(file: &[u8], rounds: u64, mut check: impl FnMut(&[u8])) {
    (0..file.len()).filter_map(|end| file.get(..end)).for_each(&mut check);
    for round in 0..rounds {
        let mut random = Random(round.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut copy = file.to_vec();
        for _ in 0..=random.below(4) {
            random.damage(&mut copy);
        }
        check(&copy);
    }
}

/// Xorshift, as Marsaglia has it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn damage(&mut self, file: &mut Vec<u8>) {
        let at = self.below(file.len());
        let len = self.below(16).min(file.len() - at);
        let value = match self.below(6) {
            0 => 0,
            1 => 0xff,
            2 => b'F',
            3 => b'7',
            4 => 0x80,
            _ => self.next() as u8,
        };
        match self.below(6) {
            0 => file.truncate(at),
            1 => file.extend_from_within(at..at + len),
            2 => drop(file.drain(at..at + len)),
            3 => file.iter_mut().skip(at).take(len).for_each(|byte| *byte = value),
            4 => file.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (value & 7)),
            _ => file.iter_mut().skip(at).take(1).for_each(|byte| *byte = value),
        }
    }
}
