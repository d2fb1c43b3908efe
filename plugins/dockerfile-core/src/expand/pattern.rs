//! The patterns of `${name#pattern}` and its kin: `*`, `?` and characters.

/// A pattern of the shell's, without bracket expressions.
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Copy)]
enum Piece {
    Char(char),
    /// `?`: any character but a line's end.
    One,
    /// `*`: any number of them.
    Many,
}

impl Pattern {
    /// `\` escapes `*`, `?`, `\`, `}` and `/`.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            pieces.push(match next {
                '*' => Piece::Many,
                '?' => Piece::One,
                '\\' => match rest.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Piece::Char(escaped),
                    other => return Err(format!("invalid escape '\\{}'", other.unwrap_or('\u{fffd}'))),
                },
                plain => Piece::Char(plain),
            });
        }
        Ok(Pattern(pieces))
    }

    /// Without the shortest or longest front that matches.
    pub(super) fn trim_prefix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = self.find(&chars, 0, true, longest).map_or(0, |(_, end)| end);
        chars[end..].iter().collect()
    }

    /// Without the shortest or longest end that matches: the front of all that is turned round.
    pub(super) fn trim_suffix(&self, value: &str, longest: bool) -> String {
        let turned = Pattern(self.0.iter().rev().copied().collect());
        let turned: Vec<char> = turned.trim_prefix(&value.chars().rev().collect::<String>(), longest).chars().collect();
        turned.into_iter().rev().collect()
    }

    /// With `text` in place of the first or of every match. A match is as long as it can be.
    pub(super) fn replace(&self, value: &str, text: &str, all: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let mut result = String::new();
        let mut copied = 0;
        let mut from = 0;
        while let Some((start, end)) = self.find(&chars, from, false, true) {
            result.extend(&chars[copied..start]);
            // Nothing is put in where an empty match follows another match at once.
            if end > copied || start == 0 {
                result.push_str(text);
            }
            copied = end;
            from = end.max(from + 1);
            if !all || from > chars.len() {
                break;
            }
        }
        result.extend(&chars[copied..]);
        result
    }

    /// The first match at or behind `from`, in one pass: for each place in the pattern it is known where the first
    /// match began that has come there.
    fn find(&self, chars: &[char], from: usize, anchored: bool, longest: bool) -> Option<(usize, usize)> {
        let mut places: Vec<Option<usize>> = vec![None; self.0.len() + 1];
        let mut best: Option<(usize, usize)> = None;
        for at in from..=chars.len() {
            if best.is_none() && (!anchored || at == from) {
                places[0] = places[0].or(Some(at));
            }
            self.skip_stars(&mut places);
            if let Some(start) = places[self.0.len()]
                && best.is_none_or(|(first, _)| start < first || start == first && longest)
            {
                best = Some((start, at));
            }
            let Some(&next) = chars.get(at) else { break };
            self.step(&mut places, next);
            let useful = |start: usize| best.is_none_or(|(first, _)| start < first || start == first && longest);
            places.iter_mut().for_each(|place| *place = place.filter(|&start| useful(start)));
            if (best.is_some() || anchored) && places.iter().all(Option::is_none) {
                break;
            }
        }
        best
    }

    /// `*` also matches nothing.
    fn skip_stars(&self, places: &mut [Option<usize>]) {
        for (index, piece) in self.0.iter().enumerate() {
            if matches!(piece, Piece::Many) {
                places[index + 1] = earlier(places[index], places[index + 1]);
            }
        }
    }

    fn step(&self, places: &mut [Option<usize>], next: char) {
        for index in (0..=self.0.len()).rev() {
            let stays = match self.0.get(index) {
                Some(Piece::Many) if next != '\n' => places[index],
                _ => None,
            };
            let arrives = match index.checked_sub(1).map(|before| (self.0[before], places[before])) {
                Some((Piece::Char(wanted), place)) if wanted == next => place,
                Some((Piece::One, place)) if next != '\n' => place,
                _ => None,
            };
            places[index] = earlier(stays, arrives);
        }
    }
}

fn earlier(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
