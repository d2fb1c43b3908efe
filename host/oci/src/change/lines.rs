//! Lines of a Dockerfile, as BuildKit's parser sees them.

use super::words;

/// One instruction.
pub(super) struct Line<'a> {
    /// In capitals.
    pub(super) instruction: String,
    /// `--name[=value]` in front of the arguments, without the dashes.
    pub(super) flags: Vec<&'a str>,
    /// The arguments, trimmed.
    pub(super) rest: &'a str,
}

/// The logical lines: without comments and blank lines, and with what `\` continues put together.
pub(super) fn join(changes: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for physical in changes.iter().flat_map(|change| change.lines()) {
        let text = physical.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        // The blanks at the front count in a line that goes on, those before the `\` always do.
        let text = if open.is_some() { physical.trim_end() } else { text };
        let mut line = open.take().unwrap_or_default();
        match text.strip_suffix('\\') {
            Some(begun) => {
                line.push_str(begun);
                open = Some(line);
            }
            None => {
                line.push_str(text);
                lines.push(line);
            }
        }
    }
    lines.extend(open.map(|line| line.trim_end().to_owned()));
    lines
}

impl<'a> Line<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (instruction, mut rest) = split(text);
        let mut flags = Vec::new();
        while let Some(flag) = split(rest).0.strip_prefix("--") {
            rest = split(rest).1;
            if flag.is_empty() {
                break;
            }
            flags.push(flag);
        }
        Self { instruction: instruction.to_ascii_uppercase(), flags, rest }
    }

    pub(super) fn no_flags(&self) -> Result<(), String> {
        self.flags.first().map_or(Ok(()), |flag| Err(format!("unknown flag --{flag}")))
    }

    /// All of the rest as one argument.
    pub(super) fn one_argument(&self) -> Result<&'a str, String> {
        self.no_flags()?;
        if self.rest.is_empty() { Err(format!("{} requires an argument", self.instruction)) } else { Ok(self.rest) }
    }

    /// A JSON array or words between blanks: at least one.
    pub(super) fn some_words(&self) -> Result<Vec<String>, String> {
        self.no_flags()?;
        let list = words::json(self.rest)?.unwrap_or_else(|| self.rest.split_whitespace().map(str::to_owned).collect());
        if list.is_empty() { Err(format!("{} requires at least one argument", self.instruction)) } else { Ok(list) }
    }
}

/// The first word and the rest, both trimmed.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_are_one_and_comments_none() {
        let joined = |changes: &[&str]| join(&changes.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(joined(&["ENV a=1", "", "# x", " CMD y "]), ["ENV a=1", "CMD y"]);
        assert_eq!(joined(&["ENV a=1\nENV b=2"]), ["ENV a=1", "ENV b=2"]);
        assert_eq!(joined(&["ENV a=1 \\", "# between", "", "  b=2"]), ["ENV a=1   b=2"]);
        assert_eq!(joined(&["CMD a \\"]), ["CMD a"]);
    }

    #[test]
    fn flags_end_at_the_first_word_or_at_two_dashes() {
        let parsed = |text: &'static str| {
            let line = Line::parse(text);
            (line.instruction, line.flags, line.rest)
        };
        assert_eq!(parsed("cmd  a  --b"), ("CMD".into(), vec![], "a  --b"));
        assert_eq!(parsed("CMD --a --b=c d"), ("CMD".into(), vec!["a", "b=c"], "d"));
        assert_eq!(parsed("CMD -- --a"), ("CMD".into(), vec![], "--a"));
        assert_eq!(parsed("CMD"), ("CMD".into(), vec![], ""));
    }
}
