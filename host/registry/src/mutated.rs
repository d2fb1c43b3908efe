//! Texts as a broken or hostile registry may send them: what is right, changed at random, the same each time.

/// How many texts each parser has to stand.
const TIMES: usize = 20_000;

/// Bytes that mean something to one of the parsers.
const SIGNS: &[u8] = b"\"\\,;=<>/:@?&%-*[]{}0189 \t\n\0\x7fabnBw\xc3\xa9\xff";

/// Gives `check` each of `good` with one to eight changes, 20,000 times in all.
pub(crate) fn mutated(good: &[&str], mut check: impl FnMut(&[u8])) {
    let mut state = 1_u64;
    let mut below = move |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % end
    };
    for turn in 0..TIMES {
        let mut text = good[turn % good.len()].as_bytes().to_vec();
        for _ in 0..=below(8) {
            let at = below(text.len() + 1);
            let until = (at + below(9)).min(text.len());
            match below(5) {
                0 => text.insert(at, SIGNS[below(SIGNS.len())]),
                1 => _ = text.drain(at..until),
                2 => text.truncate(at),
                3 => text.extend_from_within(at..until),
                _ => text[at..until].fill(SIGNS[below(SIGNS.len())]),
            }
        }
        check(&text);
    }
}
