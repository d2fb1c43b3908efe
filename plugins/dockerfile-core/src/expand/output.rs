//! What comes out of an expansion.

/// What came out: as one text, and split into words.
#[derive(Default)]
pub(super) struct Output {
    pub(super) text: String,
    words: Vec<String>,
    word: String,
}

impl Output {
    pub(super) fn push(&mut self, next: char) {
        self.text.push(next);
        self.split(next);
    }

    pub(super) fn push_expanded(&mut self, value: &str) {
        self.text.push_str(value);
        value.chars().for_each(|next| self.split(next));
    }

    /// What came from quotes is not split.
    pub(super) fn push_raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn split(&mut self, next: char) {
        if !next.is_whitespace() {
            self.word.push(next);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    pub(super) fn into_words(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}
