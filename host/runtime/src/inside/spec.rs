//! The configuration of a container (OCI runtime specification, `config.md`).

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    inside::{accounts::Account, folder::Place},
    request::{Limit, Network, Run},
};

/// What Docker and BuildKit let a container's root do.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];
/// What tells too much of the host (containerd's defaults).
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
/// Docker's size of `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

/// What a container is made of besides the request.
pub(crate) struct Parts<'a> {
    pub(crate) account: &'a Account,
    pub(crate) root: &'a Path,
    /// After the standard ones.
    pub(crate) mounts: Vec<Value>,
    /// Whether it is in no user namespace.
    pub(crate) privileged: bool,
    /// Whether there is more than one user.
    pub(crate) owners: bool,
    /// Whether the root filesystem cannot be written.
    pub(crate) readonly: bool,
    pub(crate) terminal: Terminal,
}

/// Whether a program has a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    None,
    /// One with so many rows and columns at first, if they are known.
    Sized(Option<(u16, u16)>),
}

impl<'a> Parts<'a> {
    /// Those of a program without a terminal, in a root filesystem that can be written.
    pub(crate) fn new(account: &'a Account, root: &'a Path, mounts: Vec<Value>, place: &Place) -> Self {
        Self { account, root, mounts, privileged: place.privileged, owners: place.owners, readonly: false, terminal: Terminal::None }
    }
}

/// The configuration. Without seccomp filters, as runc's own default; with the file capabilities and setuid programs of
/// the root filesystem in force, as in BuildKit.
pub(crate) fn spec(run: &Run, parts: Parts<'_>) -> Value {
    let mut mounts = standard_mounts(run, &parts);
    mounts.extend(parts.mounts.iter().cloned());
    json!({
        "ociVersion": "1.0.2",
        "process": process(run, parts.account, parts.owners, parts.terminal),
        "root": {"path": parts.root, "readonly": parts.readonly},
        "hostname": run.hostname,
        "mounts": mounts,
        "linux": linux(run, parts.privileged),
    })
}

/// The program's part of the configuration.
pub(crate) fn process(run: &Run, account: &Account, owners: bool, terminal: Terminal) -> Value {
    // Where there is one user the kernel refuses to set groups at all.
    let groups: Vec<u32> = if owners { std::iter::once(account.gid).chain(account.groups.iter().copied()).collect() } else { Vec::new() };
    let mut process = json!({
        "terminal": terminal != Terminal::None,
        "user": {"uid": account.uid, "gid": account.gid, "additionalGids": groups},
        "args": run.args,
        "env": environment(run, account),
        "cwd": run.cwd,
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
        "rlimits": run.limits.iter().map(limit).collect::<Vec<_>>(),
        "noNewPrivileges": false,
    });
    if let Terminal::Sized(Some((rows, columns))) = terminal {
        process["consoleSize"] = json!({"height": rows, "width": columns});
    }
    process
}

fn linux(run: &Run, privileged: bool) -> Value {
    let mut namespaces = vec!["pid", "ipc", "uts", "mount"];
    if run.network == Network::None {
        namespaces.push("network");
    }
    let namespaces: Vec<Value> = namespaces.into_iter().map(|kind| json!({"type": kind})).collect();
    let mut masked = MASKED.to_vec();
    if binds_sys(run, privileged) {
        // The host's control groups come with it.
        masked.push("/sys/fs/cgroup");
    }
    let mut linux = json!({"namespaces": namespaces, "maskedPaths": masked, "readonlyPaths": READONLY});
    if privileged {
        // Root may make device nodes, but use only the usual ones, which the runtime adds.
        linux["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
    }
    linux
}

/// Exactly what was asked for; and where the user is at home, as the runtimes would add.
fn environment(run: &Run, account: &Account) -> Vec<String> {
    let mut env: Vec<String> = run.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !run.env.iter().any(|(name, _)| name == "HOME") {
        env.push(format!("HOME={}", account.home));
    }
    env
}

fn limit(limit: &Limit) -> Value {
    json!({"type": format!("RLIMIT_{}", limit.name.to_uppercase()), "soft": limit.soft, "hard": limit.hard})
}

fn standard_mounts(run: &Run, parts: &Parts<'_>) -> Vec<Value> {
    let mount =
        |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    let shm = format!("size={}", run.shm_size.unwrap_or(SHM_SIZE));
    let mut terminals = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if parts.owners {
        terminals.push("gid=5");
    }
    vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &terminals),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", shm]}),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sys(run, parts.privileged),
    ]
}

fn sys(run: &Run, privileged: bool) -> Value {
    let kind = if binds_sys(run, privileged) { "bind" } else { "sysfs" };
    let mut options = vec!["nosuid", "noexec", "nodev", "ro"];
    options.extend((kind == "bind").then_some("rbind"));
    json!({"destination": "/sys", "type": kind, "source": "/sys", "options": options})
}

/// A new one shows the devices of its network, so a user cannot mount one for the host's network, which is not the user's.
fn binds_sys(run: &Run, privileged: bool) -> bool {
    !privileged && run.network == Network::Host
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn made(run: &Run, owners: bool) -> Value {
        let account = Account { uid: 7, gid: 8, groups: vec![9], home: "/home/x".into() };
        spec(
            run,
            Parts {
                account: &account,
                root: Path::new("/r"),
                mounts: vec![json!({"destination": "/x"})],
                privileged: owners,
                owners,
                readonly: false,
                terminal: Terminal::None,
            },
        )
    }

    #[test]
    fn nothing_is_inheritable_and_the_environment_is_what_was_asked_for() {
        let run = Run { env: vec![("A".into(), "1".into())], ..Run::default() };
        let spec = made(&run, true);
        assert_eq!(spec["process"]["env"], json!(["A=1", "HOME=/home/x"]));
        assert_eq!(spec["process"]["user"], json!({"uid": 7, "gid": 8, "additionalGids": [8, 9]}));
        assert!(spec["process"]["capabilities"].get("inheritable").is_none());
        assert!(spec["process"]["capabilities"].get("ambient").is_none());
        assert_eq!(spec["mounts"].as_array().unwrap().last().unwrap()["destination"], "/x");
        let run = Run { env: vec![("HOME".into(), "/else".into())], ..Run::default() };
        assert_eq!(made(&run, true)["process"]["env"], json!(["HOME=/else"]));
    }

    #[test]
    fn only_no_network_is_a_network_of_its_own() {
        let has = |network| {
            made(&Run { network, ..Run::default() }, false)["linux"]["namespaces"].as_array().unwrap().contains(&json!({"type": "network"}))
        };
        assert!(has(Network::None) && !has(Network::Host));
    }

    #[test]
    fn one_user_sets_no_groups() {
        assert_eq!(made(&Run::default(), false)["process"]["user"]["additionalGids"], json!([]));
    }
}
