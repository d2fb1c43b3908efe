//! What a package says about itself (Debian Policy, chapter 5).

use nacre_sdk::{Error, Platform, invalid};

/// The control file of a package, as far as it is needed here.
#[derive(Debug, PartialEq)]
pub struct Control {
    pub name: String,
    pub architecture: String,
    /// Whether packages of several architectures are installed side by side.
    same: bool,
    /// The whole of it, without blank lines at the end.
    text: String,
}

impl Control {
    /// Reads a control file.
    ///
    /// # Errors
    /// It is not one paragraph of fields, or lacks a name, version or architecture.
    pub fn parse(bytes: &[u8]) -> Result<Control, Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| bad("is not UTF-8"))?.trim_matches('\n');
        if text.lines().any(|line| line.trim().is_empty()) {
            return Err(bad("has more than one paragraph"));
        }
        if text.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\t')) {
            return Err(bad("has control characters"));
        }
        let field = |name: &str| {
            let values = text.lines().filter_map(|line| line.split_once(':')).filter(|(key, _)| key.eq_ignore_ascii_case(name));
            let mut values = values.map(|(_, value)| value.trim());
            match (values.next(), values.next()) {
                (value, None) => Ok(value.unwrap_or_default().to_owned()),
                _ => Err(bad(&format!("has '{name}' twice"))),
            }
        };
        let (name, architecture, version) = (field("Package")?, field("Architecture")?, field("Version")?);
        if name.len() < 2 || name.len() > 200 || !is_word(&name, "+-.") {
            return Err(bad(&format!("has no valid name: '{}'", name.escape_default())));
        }
        if !is_word(&architecture, "-") || !is_word(&version.to_ascii_lowercase(), "+-.~:_") {
            return Err(bad(&format!("of '{name}' has no valid version and architecture")));
        }
        Ok(Control { same: field("Multi-Arch")?.eq_ignore_ascii_case("same"), name, architecture, text: text.to_owned() })
    }

    /// The platform of its architecture, with Go's names. `None` for `all` and for what runs no Linux.
    pub fn platform(&self) -> Option<Platform> {
        let (arch, variant) = match &self.architecture[..] {
            same @ ("amd64" | "s390x" | "riscv64") => (same, None),
            "arm64" => ("arm64", Some("v8")),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v5")),
            "i386" => ("386", None),
            "ppc64el" => ("ppc64le", None),
            "mips64el" => ("mips64le", None),
            "mipsel" => ("mipsle", None),
            "loong64" => ("loong64", None),
            _ => return None,
        };
        Some(Platform { os: "linux".to_owned(), arch: arch.to_owned(), variant: variant.map(str::to_owned) })
    }

    /// What the names of its files in dpkg's database begin with.
    pub fn stem(&self) -> String {
        match self.same {
            true => format!("{}:{}", self.name, self.architecture),
            false => self.name.clone(),
        }
    }

    /// Its paragraph in dpkg's database: unpacked, since its scripts were not run. `more` are fields
    /// that stand only there.
    pub fn status(&self, more: &str) -> String {
        let mut text = String::new();
        let mut dropped = false;
        for line in self.text.lines() {
            let key = line.split_once(':').map_or("", |(key, _)| key);
            if !line.starts_with([' ', '\t']) {
                dropped = ["Status", "Conffiles"].iter().any(|own| key.eq_ignore_ascii_case(own));
            }
            if !dropped {
                text += line;
                text.push('\n');
            }
            if key.eq_ignore_ascii_case("Package") {
                text += "Status: install ok unpacked\n";
            }
        }
        text + more + "\n"
    }
}

/// A word of lower-case letters, digits and some more, which begins with neither of these.
fn is_word(text: &str, more: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.as_bytes().contains(&byte))
}

fn bad(why: &str) -> Error {
    invalid("bad-control", format!("its control file {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use nacre_sdk::mutate::damage;

    const TEXT: &str = "Package: libc6\nStatus: hold\n more\nVersion: 2:2.36-9+deb12u4~x\nArchitecture: arm64\nmulti-arch: same\nDescription: libc\n Long: text\n .\n\n";

    #[test]
    fn a_package_is_unpacked_in_the_database() {
        let control = Control::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(control.stem(), "libc6:arm64");
        let expected = "Package: libc6\nStatus: install ok unpacked\nVersion: 2:2.36-9+deb12u4~x\nArchitecture: arm64\nmulti-arch: same\nDescription: libc\n Long: text\n .\nConffiles:\n /etc/a newconffile\n\n";
        assert_eq!(control.status("Conffiles:\n /etc/a newconffile\n"), expected);
        assert!(!control.status("").contains("Conffiles"));
    }

    #[test]
    fn architectures_are_platforms() {
        let platform = |arch: &str| {
            let text = TEXT.replace("arm64", arch);
            let Platform { os, arch, variant } = Control::parse(text.as_bytes()).unwrap().platform()?;
            Some([vec![os, arch], variant.into_iter().collect()].concat().join("/"))
        };
        let told = ["amd64", "arm64", "armhf", "i386", "all", "hurd-amd64"].map(platform);
        let expected = ["linux/amd64", "linux/arm64/v8", "linux/arm/v7", "linux/386"].map(|text| Some(text.to_owned()));
        assert_eq!(told[..4], expected);
        assert_eq!(told[4..], [None, None]);
    }

    #[test]
    fn other_control_files_are_refused() {
        for (from, to) in [
            ("Package: libc6", "Package: ../../etc/x"),
            ("Package: libc6", "Package: x"),
            ("Package: libc6", "Name: libc6"),
            ("Package: libc6", "Package: libc6\nPackage: libc7"),
            ("Package: libc6", "Package: libc6\n\nPackage: other"),
            ("Package: libc6", "Package: libc6\u{1b}[31m"),
            ("arm64", "a/b"),
            ("Version: ", "Version:\n"),
        ] {
            assert!(Control::parse(TEXT.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        assert!(Control::parse(b"\xff").is_err());
        damage(TEXT.as_bytes(), 20_000, |bytes| {
            if let Ok(control) = Control::parse(bytes) {
                assert_eq!(control.status("").matches("\n\n").count(), 1, "{control:?}");
            }
        });
    }
}
