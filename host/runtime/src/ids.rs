//! Whose ids a sandbox has: root's own, or those that a user may map into a user namespace (`subuid(5)`).

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use rustix::{
    process::{getegid, geteuid},
    thread::{CapabilitySet, capabilities},
};

use crate::find;

/// The ids that programs in a sandbox can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// All, with the powers over them.
    Root,
    /// In a user namespace: the user's own as root's, and the user's subordinate ones as the others.
    Subordinate(Box<Subordinate>),
    /// In a user namespace: only the user's own, as root's.
    One,
}

/// Subordinate ids, and the programs that map them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subordinate {
    newuidmap: PathBuf,
    newgidmap: PathBuf,
    uids: Vec<Range>,
    gids: Vec<Range>,
}

/// The first id and how many there are.
type Range = (u32, u32);

impl Ids {
    /// The best that this process can have; and why it is not better.
    pub(crate) fn of_this_process(path: &OsStr) -> (Self, Option<String>) {
        if capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN)) {
            return (Self::Root, None);
        }
        match subordinate(path) {
            Ok(found) => (Self::Subordinate(Box::new(found)), None),
            Err(why) => (Self::One, Some(one_id(&why))),
        }
    }

    /// Maps the ids into the user namespace of a child.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn map(&self, pid: u32) -> Result<(), String> {
        match self {
            Self::Root => Ok(()),
            Self::Subordinate(found) => {
                found.map(pid, &found.newuidmap, geteuid().as_raw(), &found.uids)?;
                found.map(pid, &found.newgidmap, getegid().as_raw(), &found.gids)
            }
            Self::One => map_one(pid).map_err(|error| format!("the user's id cannot be mapped into a user namespace: {error}")),
        }
    }
}

impl Subordinate {
    fn map(&self, pid: u32, program: &PathBuf, own: u32, ranges: &[Range]) -> Result<(), String> {
        let mut command = Command::new(program);
        command.arg(pid.to_string()).args(["0".to_owned(), own.to_string(), "1".to_owned()]);
        let mut next = 1;
        for (first, count) in ranges {
            command.args([next, *first, *count].map(|number| number.to_string()));
            next += count;
        }
        let done = command.env_clear().stdin(Stdio::null()).output();
        let done = done.map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        if done.status.success() {
            return Ok(());
        }
        Err(format!("{} failed: {}", program.display(), String::from_utf8_lossy(&done.stderr).trim()))
    }
}

/// The words of the warning that only one id can be mapped.
pub(crate) fn one_id(why: &str) -> String {
    format!("all files will belong to root and programs cannot change their user, because {why}")
}

fn map_one(pid: u32) -> std::io::Result<()> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    // Without this the kernel maps no group (user_namespaces(7)).
    fs::write(dir.join("setgroups"), "deny")?;
    fs::write(dir.join("uid_map"), format!("0 {} 1", geteuid().as_raw()))?;
    fs::write(dir.join("gid_map"), format!("0 {} 1", getegid().as_raw()))
}

fn subordinate(path: &OsStr) -> Result<Subordinate, String> {
    let uid = geteuid().as_raw();
    let name = user_name(&fs::read_to_string("/etc/passwd").unwrap_or_default(), uid);
    let of = |file: &str, option: &str| {
        let ranges = ranges(&fs::read_to_string(file).unwrap_or_default(), name.as_deref(), uid);
        let user = name.clone().unwrap_or_else(|| uid.to_string());
        let fix = format!("'usermod --{option} 100000-165535 {user}' as root gives them");
        if ranges.is_empty() { Err(format!("{user} has no subordinate ids in {file}: {fix}")) } else { Ok(ranges) }
    };
    let (uids, gids) = (of("/etc/subuid", "add-subuids")?, of("/etc/subgid", "add-subgids")?);
    let helper = |name| {
        find::program(name, path)
            .ok_or_else(|| format!("{name} is not installed: 'apt install uidmap' or 'dnf install shadow-utils' brings it"))
    };
    Ok(Subordinate { newuidmap: helper("newuidmap")?, newgidmap: helper("newgidmap")?, uids, gids })
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.len() > 2 && fields[2].parse() == Ok(uid));
    found.map(|fields| fields[0].to_owned())
}

/// The ranges of one user, whom the file may call by name or number.
fn ranges(file: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    let own = |owner: &str| Some(owner) == name || owner == uid.to_string();
    let fields = file.lines().filter_map(|line| line.split_once(':')).filter(|(owner, _)| own(owner));
    let ranges = fields
        .filter_map(|(_, range)| range.split_once(':'))
        .filter_map(|(first, count)| Some((first.parse().ok()?, count.trim().parse().ok()?)));
    ranges.filter(|(first, count): &Range| *count > 0 && first.checked_add(*count).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let file = "other:1:2\nme:100000:65536\nbroken:x:1\nme:5\n1000:300000:10\nme:7:0\n";
        assert_eq!(ranges(file, Some("me"), 1000), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(ranges(file, None, 1000), [(300_000, 10)]);
        assert_eq!(ranges(file, Some("nobody"), 5), []);
    }

    #[test]
    fn a_user_is_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("me"));
        assert_eq!(user_name(passwd, 1001), None);
    }
}
