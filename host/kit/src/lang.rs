//! The languages that plugins are written in.

use std::path::Path;
use std::str::FromStr;

use crate::Error;

/// A language, told by the file that a project in it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// `Cargo.toml`.
    Rust,
    /// `app.py`.
    Python,
    /// `plugin.js`.
    Js,
    /// `plugin.c`.
    C,
}

impl Lang {
    /// All of them.
    pub const ALL: [Lang; 4] = [Lang::Rust, Lang::Python, Lang::Js, Lang::C];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Lang::Rust => "rust",
            Lang::Python => "python",
            Lang::Js => "js",
            Lang::C => "c",
        }
    }

    /// The file that tells a project in this language.
    pub fn mark(self) -> &'static str {
        match self {
            Lang::Rust => "Cargo.toml",
            Lang::Python => "app.py",
            Lang::Js => "plugin.js",
            Lang::C => "plugin.c",
        }
    }

    /// The language of the project in `folder`.
    ///
    /// # Errors
    /// It has none of the files, or those of several languages.
    pub fn detect(folder: &Path) -> Result<Lang, Error> {
        let found: Vec<Lang> = Lang::ALL.into_iter().filter(|lang| folder.join(lang.mark()).is_file()).collect();
        let say = |langs: &[Lang]| langs.iter().map(|lang| lang.mark()).collect::<Vec<_>>().join(", ");
        match found[..] {
            [lang] => Ok(lang),
            [] => Err(Error::Project(format!("{}: no source to build: want one of {}", folder.display(), say(&Lang::ALL)))),
            _ => Err(Error::Project(format!("{}: which language is it? It has {}", folder.display(), say(&found)))),
        }
    }
}

impl FromStr for Lang {
    type Err = String;

    fn from_str(text: &str) -> Result<Lang, String> {
        let known = || Lang::ALL.map(Lang::name).join(", ");
        Lang::ALL.into_iter().find(|lang| lang.name() == text).ok_or_else(|| format!("no such language: known are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn one_mark_tells_the_language() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Lang::detect(folder.path()).unwrap_err().to_string().ends_with("want one of Cargo.toml, app.py, plugin.js, plugin.c"));
        std::fs::write(folder.path().join("app.py"), "").unwrap();
        assert_eq!(Lang::detect(folder.path()).unwrap(), Lang::Python);
        std::fs::write(folder.path().join("plugin.c"), "").unwrap();
        assert!(Lang::detect(folder.path()).unwrap_err().to_string().ends_with("It has app.py, plugin.c"));
    }
}
