//! What the kernel's settings forbid, and what permits it.

use std::fs;

/// Settings that keep users from having namespaces of their own: the file, the value that forbids, what to do.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
];

/// Why user namespaces cannot be had, in words with what permits them.
pub(crate) fn user_namespaces() -> Option<String> {
    forbidden(|file| fs::read_to_string(file).ok())
}

fn forbidden(read: impl Fn(&str) -> Option<String>) -> Option<String> {
    if read("/proc/self/uid_map").is_none() {
        return Some("the kernel has no user namespaces: run nacre as root".into());
    }
    let found = SETTINGS.iter().find(|(file, value, _)| read(file).is_some_and(|text| text.trim() == *value));
    found.map(|(file, value, fix)| format!("user namespaces are not permitted ({file} is {value}): '{fix}' as root permits them"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_setting_that_forbids_is_named_with_what_permits_it() {
        let host = |wanted: &'static str, value: &'static str| {
            move |file: &str| match file {
                "/proc/self/uid_map" => Some("0 0 1\n".to_owned()),
                file if file == wanted => Some(value.to_owned()),
                _ => None,
            }
        };
        assert_eq!(forbidden(host(SETTINGS[0].0, "96365\n")), None);
        for (file, value, fix) in SETTINGS {
            let said = forbidden(host(file, value)).unwrap();
            assert!(said.contains(file) && said.contains(fix), "{said}");
        }
        assert!(forbidden(|_| None).unwrap().contains("run nacre as root"));
    }
}
