//! Variables and quotes in words, as BuildKit's shell lexer takes them.
//!
//! `$name`, `${name}`, `${name:-word}`, `${name-word}`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/` and `//`;
//! `'...'`, `"..."` and the file's escape character. What is put in for a variable is not read again.

mod lexer;
mod output;
mod pattern;

use crate::syntax::Mistake;
use lexer::Lexer;
use std::collections::BTreeSet;

/// Finds a variable's value.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How words are expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expander {
    /// What takes the meaning off the next character.
    pub escape: char,
    /// Keeps quotes in the result.
    pub raw_quotes: bool,
    /// Keeps escape characters in the result.
    pub raw_escapes: bool,
    /// Takes quotes as any other character.
    pub plain_quotes: bool,
    /// Keeps variables that are not set as they are written.
    pub keep_unset: bool,
}

/// A word after its expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// The variables of it that are set.
    pub found: BTreeSet<String>,
    /// The variables of it that are not, whether or not a default stood in for them.
    pub missing: BTreeSet<String>,
}

impl Expander {
    /// For the words of a file with this escape character.
    pub fn new(escape: char) -> Expander {
        Expander { escape, raw_quotes: false, raw_escapes: false, plain_quotes: false, keep_unset: false }
    }

    /// For a document behind an instruction: quotes stay, and `\` escapes whatever the file's character is.
    pub fn document() -> Expander {
        Expander { plain_quotes: true, ..Expander::new('\\') }
    }

    /// Expands a word; blanks in it stay.
    pub fn word(&self, word: &str, lookup: Lookup) -> Result<Expanded, Mistake> {
        let mut lexer = Lexer::new(*self, word, lookup);
        let text = lexer.run().map_err(|mistake| lexer::while_processing(word, mistake))?.text;
        Ok(Expanded { text, found: lexer.found, missing: lexer.missing })
    }

    /// Expands a text and splits it at blanks that are not quoted; blanks out of a variable split too.
    pub fn words(&self, text: &str, lookup: Lookup) -> Result<Vec<String>, Mistake> {
        let mut lexer = Lexer::new(*self, text, lookup);
        let output = lexer.run().map_err(|mistake| lexer::while_processing(text, mistake))?;
        Ok(output.into_words())
    }
}

#[cfg(test)]
mod tests;
