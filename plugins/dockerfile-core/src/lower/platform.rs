//! Platforms as words: `linux/arm/v7` (the rules of containerd's `platforms`).

use nacre_sdk::Platform;

const SYSTEMS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const ARCHITECTURES: [&str; 23] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "ppc64",
    "ppc64le",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "wasm",
];

/// What is built for, and on.
#[derive(Debug, Clone)]
pub(super) struct Platforms {
    /// What programs run on while building.
    pub build: Platform,
    /// What is built for.
    pub target: Platform,
    /// `target` in the user's words; none if the user named no platform.
    pub asked: Option<Platform>,
    /// Vertices name their platform: the build is for several.
    pub shown: bool,
}

/// `os`, `arch`, `os/arch` or `os/arch/variant`; what is missing is taken from `host`.
pub(super) fn parse(text: &str, host: &Platform) -> Result<Platform, String> {
    if text.contains('*') {
        return Err(format!("{text:?}: wildcards not yet supported: invalid argument"));
    }
    let parts: Vec<&str> = text.splitn(4, '/').collect();
    if let Some(bad) = parts.iter().find(|part| !is_component(part)) {
        return Err(format!(
            "{bad:?} is an invalid component of {text:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"
        ));
    }
    match parts[..] {
        [word] => one_word(text, word, host),
        [os, arch] => Ok(without_v7(platform(os, arch, ""))),
        [os, arch, variant] => Ok(with_v8(platform(os, arch, variant))),
        _ => Err(format!("{text:?}: cannot parse platform specifier: invalid argument")),
    }
}

fn is_component(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn one_word(text: &str, word: &str, host: &Platform) -> Result<Platform, String> {
    let os = system(word);
    if SYSTEMS.contains(&os.as_str()) {
        return Ok(Platform { os, ..host.clone() });
    }
    let named = without_v7(platform(&host.os, word, ""));
    match ARCHITECTURES.contains(&named.arch.as_str()) {
        true => Ok(named),
        false => Err(format!("{text:?}: unknown operating system or architecture: invalid argument")),
    }
}

fn platform(os: &str, arch: &str, variant: &str) -> Platform {
    let (arch, variant) = architecture(arch, variant);
    Platform { os: system(os), arch, variant: Some(variant).filter(|variant| !variant.is_empty()) }
}

fn without_v7(platform: Platform) -> Platform {
    let is_default = platform.arch == "arm" && platform.variant.as_deref() == Some("v7");
    Platform { variant: platform.variant.filter(|_| !is_default), ..platform }
}

fn with_v8(platform: Platform) -> Platform {
    match platform.arch == "arm64" && platform.variant.is_none() {
        true => Platform { variant: Some("v8".into()), ..platform },
        false => platform,
    }
}

/// The common spelling of a platform.
pub(super) fn normalize(named: &Platform) -> Platform {
    platform(&named.os, &named.arch, named.variant.as_deref().unwrap_or_default())
}

fn system(os: &str) -> String {
    match os.to_lowercase().as_str() {
        "" => "linux".into(),
        "macos" => "darwin".into(),
        os => os.into(),
    }
}

fn architecture(arch: &str, variant: &str) -> (String, String) {
    let (arch, variant) = (arch.to_lowercase(), variant.to_lowercase());
    let (arch, variant) = match (arch.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64" | "arm64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (arch.into(), variant.into())
}

/// `os/arch` and `/variant` if there is one.
pub(super) fn format(platform: &Platform) -> String {
    let parts = [Some(&platform.os), Some(&platform.arch), platform.variant.as_ref()];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn host() -> Platform {
        platform("linux", "amd64", "")
    }

    #[test]
    fn spellings() {
        let spelled = |text: &str| format(&parse(text, &host()).unwrap());
        assert_eq!(spelled("Linux/x86_64"), "linux/amd64");
        assert_eq!(spelled("arm64"), "linux/arm64");
        assert_eq!(spelled("windows"), "windows/amd64");
        assert_eq!(spelled("linux/armhf"), "linux/arm");
        assert_eq!(spelled("linux/arm/7"), "linux/arm/v7");
        assert_eq!(spelled("linux/arm64/8"), "linux/arm64/v8");
        assert_eq!(format(&normalize(&parse("linux/arm64/v8", &host()).unwrap())), "linux/arm64");
        assert_eq!(format(&normalize(&parse("linux/arm", &host()).unwrap())), "linux/arm/v7");
    }

    #[test]
    fn mistakes() {
        let wrong = |text: &str| parse(text, &host()).unwrap_err();
        assert_eq!(wrong("linux/one/two/three"), "\"linux/one/two/three\": cannot parse platform specifier: invalid argument");
        assert_eq!(wrong("plinth"), "\"plinth\": unknown operating system or architecture: invalid argument");
        assert!(wrong("linux/*").contains("wildcards"));
        assert!(wrong("linux/").contains("invalid component"));
    }
}
