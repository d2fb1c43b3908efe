//! What a misspelt word may have meant.

/// ` (did you mean ...?)` with the option that differs in at most two letters, the nearest one; or nothing. Without
/// `exact` letters' case does not count, and the suggestion is in the case of the word.
pub(crate) fn did_you_mean(word: &str, options: &[&str], exact: bool) -> String {
    search(word, options, exact).map(|option| format!(" (did you mean {option}?)")).unwrap_or_default()
}

/// The nearest option, if one differs in at most two letters, and none is the word itself.
pub(crate) fn search(word: &str, options: &[&str], exact: bool) -> Option<String> {
    let fold = |text: &str| if exact { text.to_owned() } else { text.to_lowercase() };
    let wanted = fold(word);
    let folded = options.iter().map(|option| fold(option));
    let near = folded.map(|option| (distance(&wanted, &option), option)).filter(|(distance, _)| *distance < 3);
    let (distance, option) = near.min_by_key(|(distance, _)| *distance)?;
    let upper = !exact && word != word.to_lowercase() && word == word.to_uppercase();
    (distance > 0).then_some(if upper { option.to_uppercase() } else { option })
}

/// The edit distance (Levenshtein's) of two words, or 3 if it is more than that at first glance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    if one.chars().count().abs_diff(other.len()) > 2 {
        return 3;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, left) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, &right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, distance};

    #[test]
    fn near_words_are_suggested() {
        let options = ["chown", "chmod", "from"];
        assert_eq!(did_you_mean("chowm", &options, true), " (did you mean chown?)");
        assert_eq!(did_you_mean("CHOWN", &options, true), "");
        assert_eq!(did_you_mean("FORM", &options, false), " (did you mean FROM?)");
        assert_eq!(did_you_mean("Form", &options, false), " (did you mean from?)");
        assert_eq!(did_you_mean("dance", &options, false), "");
        assert_eq!(did_you_mean("from", &options, true), "", "the word itself is not what is wrong");
    }

    #[test]
    fn distances() {
        assert_eq!([distance("", "ab"), distance("kitten", "sitting"), distance("form", "from")], [2, 3, 2]);
    }
}
