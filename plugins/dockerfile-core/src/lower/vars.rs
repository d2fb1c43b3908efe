//! Variables.

/// Variables by name, in the order in which they were last set: a program's environment has them in that order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Vars(Vec<(String, String)>);

impl Vars {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Sets a variable; one that is set already moves to the end.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.0.push((name.into(), value.into()));
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Vars {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Vars {
        let mut vars = Vars::default();
        pairs.into_iter().for_each(|(name, value)| vars.set(&name.into(), value));
        vars
    }
}

#[cfg(test)]
mod tests {
    use super::Vars;

    #[test]
    fn what_is_set_again_moves_to_the_end() {
        let vars = Vars::from_iter([("A", "1"), ("B", "2"), ("A", "3")]);
        assert_eq!(vars.iter().collect::<Vec<_>>(), [("B", "2"), ("A", "3")]);
        assert_eq!(vars.get("C"), None);
    }
}
