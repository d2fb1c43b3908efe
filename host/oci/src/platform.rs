//! Platforms, with containerd's normalisation and matching (`platforms/{database,compare}.go`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// What an image runs on (image specification, `image-index.md`), normalised: `x86_64` is `amd64`, `aarch64` is
/// `arm64`, `arm64/v8` and `amd64/v1` have no variant, `arm` without a variant is `arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v2`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Windows' build number.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the image needs, such as `win32k`.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

impl Platform {
    /// A normalised platform.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) = normalise(&architecture.to_ascii_lowercase(), variant.unwrap_or_default());
        Self { os, architecture, variant, os_version: None, os_features: Vec::new() }
    }

    /// The platform that this program runs on, with `linux` in place of a system that has no images of its own.
    pub fn host() -> Self {
        let os = if std::env::consts::OS == "windows" { "windows" } else { "linux" };
        Self::new(os, std::env::consts::ARCH, None)
    }

    /// How well `image` fits a machine of this platform: 0 is exact, more is a fallback, `None` is not at all.
    pub fn rank(&self, image: &Platform) -> Option<usize> {
        let image_key = normalise(&image.architecture, image.variant.as_deref().unwrap_or_default());
        let os = self.os == image.os;
        os.then(|| self.runs().iter().position(|key| *key == image_key)).flatten()
    }

    /// Whether `image` is this platform and no fallback (containerd's `OnlyStrict`).
    pub fn is_exactly(&self, image: &Platform) -> bool {
        self.rank(image) == Some(0)
    }

    /// What a machine of this platform runs, best first.
    fn runs(&self) -> Vec<(String, Option<String>)> {
        let variant = self.variant.as_deref().unwrap_or_default();
        let mut list = vec![(self.architecture.clone(), self.variant.clone())];
        let mut add = |arch: &str, variant: &str| list.push(normalise(arch, variant));
        match self.architecture.as_str() {
            "amd64" => {
                for version in (1..number(variant).unwrap_or(1)).rev() {
                    add("amd64", &format!("v{version}"));
                }
                add("386", "");
            }
            "arm" => add_arm(number(variant).unwrap_or(7), &mut add),
            "arm64" => {
                add_arm64(if variant.is_empty() { "v8" } else { variant }, &mut add);
                add("arm", "v8");
                add_arm(8, &mut add);
            }
            _ => {}
        }
        list
    }
}

/// `v7` down to `v5`, below `version`.
fn add_arm(version: u32, add: &mut impl FnMut(&str, &str)) {
    for lower in (5..version).rev() {
        add("arm", &format!("v{lower}"));
    }
}

/// `v9.x` runs all lower `v9.*`, then `v8.(x+5)` and below; `v8.x` runs all lower `v8.*`.
fn add_arm64(variant: &str, add: &mut impl FnMut(&str, &str)) {
    let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
    let minor: u32 = minor.parse().unwrap_or(0);
    let mut down = |major: &str, from: u32| {
        for minor in (0..from).rev() {
            add("arm64", &if minor == 0 { major.to_owned() } else { format!("{major}.{minor}") });
        }
    };
    down(major, minor);
    if major == "v9" {
        down("v8", minor.saturating_add(6).min(16));
    }
}

fn number(variant: &str) -> Option<u32> {
    variant.strip_prefix('v')?.parse().ok().filter(|n| *n <= 16)
}

/// containerd's `normalizeArch`.
fn normalise(architecture: &str, variant: &str) -> (String, Option<String>) {
    let variant = variant.to_ascii_lowercase();
    let (arch, variant) = match architecture {
        "i386" | "x86" => ("386", String::new()),
        "x86_64" | "x86-64" | "amd64" => ("amd64", if variant == "v1" { String::new() } else { variant }),
        "aarch64" | "arm64" => match variant.as_str() {
            "8" | "v8" | "v8.0" => ("arm64", String::new()),
            "9" | "9.0" | "v9.0" => ("arm64", "v9".to_owned()),
            _ => ("arm64", variant),
        },
        "armhf" => ("arm", "v7".to_owned()),
        "armel" => ("arm", "v6".to_owned()),
        "arm" => match variant.as_str() {
            "" | "7" => ("arm", "v7".to_owned()),
            "5" | "6" | "8" => ("arm", format!("v{variant}")),
            _ => ("arm", variant),
        },
        "powerpc64" => ("ppc64", variant),
        "loongarch64" => ("loong64", variant),
        other => (other, variant),
    };
    (arch.to_owned(), (!variant.is_empty()).then_some(variant))
}

impl From<&oci_spec::image::Platform> for Platform {
    fn from(from: &oci_spec::image::Platform) -> Self {
        Self {
            os_version: from.os_version().clone(),
            os_features: from.os_features().clone().unwrap_or_default(),
            ..Self::new(&from.os().to_string(), &from.architecture().to_string(), from.variant().as_deref())
        }
    }
}

/// `OS/ARCHITECTURE[/VARIANT]`, or an operating system or an architecture alone, the rest being the host's.
impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::InvalidPlatform { text: text.to_owned() };
        let clean = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|part| clean(part)) {
            return Err(bad());
        }
        let host = Self::host();
        match parts[..] {
            [os @ ("linux" | "windows" | "darwin" | "macos" | "freebsd")] => Ok(Self::new(os, &host.architecture, None)),
            [arch] => Ok(Self::new(&host.os, arch, None)),
            [os, arch] => Ok(Self::new(os, arch, None)),
            [os, arch, variant] => Ok(Self::new(os, arch, Some(variant))),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect("a platform of the test")
    }

    #[test]
    fn normalises_like_containerd() {
        for (given, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm", "linux/arm/v7"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(platform(given).to_string(), normal);
        }
        for text in ["", "/", "linux/", "a/b/c/d", "linux/am d64", "linux/../x"] {
            assert!(text.parse::<Platform>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn ranks_exact_before_fallback_before_nothing() {
        for (machine, image, rank) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/386", Some(1)),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/amd64/v3", "linux/amd64/v2", Some(1)),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/arm64", "linux/arm/v8", Some(1)),
            ("linux/arm64", "linux/arm/v7", Some(2)),
            ("linux/arm64/v9", "linux/arm64/v8.5", Some(1)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/amd64", "windows/amd64", None),
        ] {
            assert_eq!(platform(machine).rank(&platform(image)), rank, "{image} on {machine}");
        }
    }
}
