//! A text's instructions one by one, for dialects with keywords of their own.

use super::statement::statements;
use super::{Instruction, KEYWORDS, Lines, Mistake};

/// The instructions of a text: of a whole file, or of a part of one.
#[derive(Debug)]
pub struct Outline {
    /// What escapes a character and continues a line.
    pub escape: char,
    /// In their order.
    pub pieces: Vec<Piece>,
}

/// An instruction, or what has its form.
#[derive(Debug)]
pub enum Piece {
    /// One of the Dockerfile's own.
    Instruction(Box<Instruction>),
    /// Something with another keyword.
    Foreign {
        /// The keyword as it is written.
        keyword: String,
        /// What stands behind it, as one line.
        rest: String,
        /// Where it stands.
        lines: Lines,
    },
}

/// Splits a text into instructions, with its directives, comments, continued lines and documents as in a Dockerfile. What
/// only a whole Dockerfile must have, such as a `FROM`, is not asked for.
pub fn outline(text: &str) -> Result<Outline, Mistake> {
    let (statements, escape) = statements(text)?;
    let pieces = statements.into_iter().map(|statement| {
        let keyword = &statement.line.keyword;
        if KEYWORDS.iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
            return statement.instruction().map(|instruction| Piece::Instruction(Box::new(instruction)));
        }
        let rest = statement.text.trim()[keyword.len()..].trim().to_owned();
        Ok(Piece::Foreign { keyword: keyword.clone(), rest, lines: statement.lines })
    });
    Ok(Outline { escape, pieces: pieces.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn other_keywords_stand_beside_the_dockerfiles_own() {
        let outline = outline("# escape=`\nIF $A `\n  == 1\nRUN <<E\nINCLUDE x\nE\nEndIf").unwrap();
        assert_eq!(outline.escape, '`');
        let [Piece::Foreign { keyword, rest, lines }, Piece::Instruction(run), Piece::Foreign { keyword: end, .. }] = &outline.pieces[..]
        else {
            panic!("{outline:?}");
        };
        assert_eq!((keyword.as_str(), rest.as_str(), lines), ("IF", "$A   == 1", &(2..=3)));
        assert_eq!((&run.lines, end.as_str()), (&(4..=6), "EndIf"));
    }

    #[test]
    fn a_mistake_has_its_place() {
        let mistake = outline("INCLUDE x\nCOPY --froom=a b c").unwrap_err();
        assert_eq!(mistake.lines, Some(2..=2));
    }
}
