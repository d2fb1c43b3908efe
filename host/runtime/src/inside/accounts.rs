//! Who a program runs as: `USER` against the root filesystem's `/etc/passwd` and `/etc/group`.
//!
//! The rules and the words of errors are those of moby's `user` package, which BuildKit uses (`GetExecUser`).

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use rustix::{
    fs::{FileType, OFlags},
    io::Errno,
};

use crate::inside::beneath::{self, Missing, Traces};

/// Ids above wrap round to others in places (CVE-2024-40635).
const MAX_ID: u32 = i32::MAX as u32;
/// More of a file of accounts is not read.
const MAX_FILE: u64 = 16 << 20;

/// Who a program runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The supplementary groups.
    pub(crate) groups: Vec<u32>,
    /// Where the user is at home; `/` for who is in no file.
    pub(crate) home: String,
}

/// The accounts of a root filesystem.
pub(crate) struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Those of a mounted root filesystem. A file that is not there has none.
    pub(crate) fn of(root: BorrowedFd<'_>) -> Self {
        Self { passwd: read(root, "etc/passwd").unwrap_or_default(), group: read(root, "etc/group").unwrap_or_default() }
    }

    /// Who `USER` names.
    ///
    /// # Errors
    /// In moby's words, if a name is in no file or an id is too large.
    pub(crate) fn find(&self, user: &str) -> Result<Account, String> {
        let (name, group) = user.split_once(':').unwrap_or((user, ""));
        let mut account = self.user(if name.is_empty() { "0" } else { name })?;
        if !group.is_empty() {
            account.gid = self.group(group)?;
            account.groups.clear();
        }
        Ok(account)
    }

    fn user(&self, name: &str) -> Result<Account, String> {
        let number = number(name);
        let mut lines = self.passwd.lines().map(|line| line.trim().split(':').collect::<Vec<_>>());
        let known =
            lines.find(|fields| fields[0] == name || (number.is_some() && fields.get(2).map(|field| field.parse()) == number.map(Ok)));
        let field = |index| known.as_ref().and_then(|fields: &Vec<&str>| fields.get(index).copied());
        let uid = match (field(2).and_then(|text| text.parse().ok()), number) {
            (Some(uid), _) if known.is_some() => uid,
            (_, Some(number)) => number,
            _ => return Err(format!("unable to find user {name}: no matching entries in passwd file")),
        };
        let gid = field(3).and_then(|text| text.parse().ok()).unwrap_or(0);
        let groups = self.groups_of(field(0).unwrap_or(name));
        let home = field(5).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
        Ok(Account { uid: in_range(uid)?, gid: in_range(gid)?, groups, home })
    }

    fn group(&self, name: &str) -> Result<u32, String> {
        let mut groups = self.groups();
        let known = groups.find(|(known, gid, _)| *known == name || Some(i64::from(*gid)) == number(name));
        match known.map(|(_, gid, _)| i64::from(gid)).or(number(name)) {
            Some(gid) => in_range(gid),
            None => Err(format!("unable to find group {name}: no matching entries in group file")),
        }
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        self.groups().filter(|(_, _, members)| members.split(',').any(|member| member == user)).map(|(_, gid, _)| gid).collect()
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.trim().split(':');
            let (name, gid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn in_range(id: i64) -> Result<u32, String> {
    u32::try_from(id).ok().filter(|id| *id <= MAX_ID).ok_or_else(|| format!("uids and gids must be in range 0-{MAX_ID}"))
}

/// A regular file's text; of anything else, such as a pipe, nothing.
fn read(root: BorrowedFd<'_>, path: &str) -> std::io::Result<String> {
    let found = beneath::find(root, Path::new(path), Missing::Fail, Traces::None)?;
    if beneath::kind(&rustix::fs::fstat(&found.file)?) != FileType::RegularFile {
        return Err(Errno::INVAL.into());
    }
    let place = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found.file.as_fd()));
    let file = File::from(rustix::fs::open(place, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?);
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\ndiver:x:1000:1000::/home/diver:/bin/sh\nbig:x:4294967295:1::/:/bin/sh\n".into(),
            group: "root:x:0:\nweb:x:33:diver,other\nreef:x:50:diver\ndiver:x:1000:\n".into(),
        }
    }

    fn ids(user: &str) -> (u32, u32, Vec<u32>, String) {
        let account = accounts().find(user).unwrap();
        (account.uid, account.gid, account.groups, account.home)
    }

    #[test]
    fn users_and_groups_by_name_and_number() {
        assert_eq!(ids(""), (0, 0, vec![], "/root".into()));
        assert_eq!(ids("1000"), (1000, 1000, vec![33, 50], "/home/diver".into()));
        assert_eq!(ids("diver:web"), (1000, 33, vec![], "/home/diver".into()));
        assert_eq!(ids("1000:1000"), (1000, 1000, vec![], "/home/diver".into()));
        assert_eq!(ids("4242"), (4242, 0, vec![], "/".into()));
        assert_eq!(ids("4242:77"), (4242, 77, vec![], "/".into()));
        assert_eq!(ids(":50"), (0, 50, vec![], "/root".into()));
    }

    #[test]
    fn who_is_not_there_is_named_in_mobys_words() {
        let why = |user| accounts().find(user).unwrap_err();
        assert_eq!(why("stranger"), "unable to find user stranger: no matching entries in passwd file");
        assert_eq!(why("diver:strangers"), "unable to find group strangers: no matching entries in group file");
    }

    #[test]
    fn large_ids_never_become_others() {
        for user in ["big", "4294967296", "2147483648", "1:2147483648", "-1"] {
            assert_eq!(accounts().find(user).unwrap_err(), "uids and gids must be in range 0-2147483647", "{user}");
        }
    }

    #[test]
    fn without_files_numbers_do() {
        let none = Accounts { passwd: String::new(), group: String::new() };
        assert_eq!(none.find("12:34").unwrap(), Account { uid: 12, gid: 34, groups: vec![], home: "/".into() });
        assert_eq!(none.find("").unwrap().uid, 0);
        assert!(none.find("root").is_err());
    }
}
