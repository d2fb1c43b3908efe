//! Builds of ordinary users: what root's builds make. Skipped without root, which is needed to become another.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use nacre_tests::{
    peers::available,
    sandbox::{Output, Sandbox},
};

use crate::{build_kills::with_base, trees::tar_entries};

/// A user of the system for as long as a test needs one.
pub(crate) struct User {
    name: String,
    pub(crate) uid: u32,
}

impl User {
    pub(crate) fn new(which: &str) -> Self {
        let name = format!("nacre-{which}-{}", std::process::id());
        let added = Command::new("useradd").args(["--no-create-home", "--shell", "/bin/sh", &name]).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let id = Command::new("id").args(["-u", &name]).output().unwrap();
        let uid = String::from_utf8(id.stdout).unwrap().trim().parse().unwrap();
        let listed = fs::read_to_string("/etc/subuid").unwrap_or_default();
        if !listed.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            let given = ["--add-subuids", "3000000-3065535", "--add-subgids", "3000000-3065535"];
            assert!(Command::new("usermod").args(given).arg(&name).status().unwrap().success());
        }
        Self { name, uid }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        _ = Command::new("userdel").arg(&self.name).output();
    }
}

/// Everything of a sandbox becomes a user's.
pub(crate) fn give(path: &Path, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), uid));
    }
}

/// A sandbox of a user's with the image `base`.
fn of_user(uid: u32) -> Option<Sandbox> {
    let sandbox = with_base("echo one > one; mkdir sub; echo two > sub/two; chmod 640 sub/two")?;
    fs::set_permissions(sandbox.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    give(&sandbox.path(""), uid);
    Some(sandbox)
}

/// A command of the binary as a user. The binary is where that user may read it.
pub(crate) fn as_user(sandbox: &Sandbox, uid: u32, arguments: &[&str]) -> Command {
    let command = sandbox.command(arguments);
    let program = sandbox.path("nacre");
    if !program.exists() {
        fs::copy(command.get_program(), &program).unwrap();
        chown(&program, Some(0), Some(0)).unwrap();
    }
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups"]).arg(&program).args(command.get_args());
    wrapped.current_dir(sandbox.path("")).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

/// What differs between two hosts' users is what only the whole system's root may do.
const CASES: &[(&str, &str)] = &[
    (
        "users",
        "RUN id -u > /a && chown -R diver:reef /data && touch /b && chown 12:34 /b\nUSER diver\nWORKDIR /home/diver\nRUN id > who && id -G >> who && touch /tmp/own",
    ),
    (
        "set-user",
        "RUN chmod u+s /bin/busybox && chmod 2775 /data/old && chmod 1777 /data\nUSER diver\nRUN /bin/busybox id -u > /tmp/id; ls -l /bin/busybox | busybox cut -c1-10 > /tmp/mode",
    ),
    (
        "whiteouts",
        "RUN rm -r /data/gone /data/old && echo new > /data/new\nRUN rm -r /data && mkdir /data && echo again > /data/again\nCOPY sub /data/old\nRUN rm /data/old/two && mv /data/again /moved",
    ),
    (
        "links",
        "RUN echo x > /x && ln /x /y && ln -s x /z && mkfifo /p && cp -a /data /copy\nCOPY --from=base /bin/busybox /b/busybox\nRUN echo more >> /y",
    ),
    (
        "caches",
        "RUN --mount=type=cache,target=/c,uid=1000,gid=50,mode=0750 busybox stat -c '%u:%g %a' /c > /seen && touch /c/kept\nRUN --mount=type=cache,target=/c,uid=1000,gid=50,mode=0750,sharing=locked ls /c > /found",
    ),
    (
        "mounts",
        "RUN --mount=type=bind,target=/m cat /m/one > /n && ! touch /m/x\nRUN --mount=type=tmpfs,target=/t touch /t/x && ls /t > /o\nRUN --mount=type=secret,id=s,uid=1000,mode=0400 busybox stat -c '%u %a' /run/secrets/s > /p && cat /run/secrets/s | busybox wc -c >> /p",
    ),
    ("no-network", "RUN --network=none busybox ip -o link | busybox wc -l > /links"),
    (
        "copies",
        "COPY --chown=diver:reef . /owned/\nCOPY --chmod=4711 one /owned/deep/one\nADD --chown=77:88 sub/two /two\nRUN ls -ln /owned /two > /seen && chown 5:6 /owned/one",
    ),
    (
        "capabilities",
        "RUN busybox grep Cap /proc/self/status | busybox head -n 3 > /cap; chroot / /bin/true; mknod /null c 1 3 2>/dev/null && rm /null; busybox hostname other 2>/dev/null; true",
    ),
];

/// The files that a build makes, without their times.
fn files(sandbox: &Sandbox, built: Output) -> BTreeMap<String, String> {
    built.ok();
    let tar = fs::read(sandbox.path("out.tar")).unwrap();
    fs::remove_file(sandbox.path("out.tar")).unwrap();
    let timeless = |entry: &str| {
        let words: Vec<&str> = entry.split(' ').collect();
        let time = if entry.starts_with("link") { words.len() - 1 } else { 3 };
        words.iter().enumerate().filter(|(index, _)| *index != time).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    };
    tar_entries(&tar).into_iter().map(|(path, entry)| (path, timeless(&entry))).collect()
}

const BUILD: [&str; 10] =
    ["build", "--progress", "plain", "-f", "Dockerfile", "--secret", "id=s,src=secret", "-o", "type=tar,dest=out.tar", "context"];

fn write(sandbox: &Sandbox, text: &str) {
    fs::write(sandbox.path("Dockerfile"), format!("FROM base\n{text}\n")).unwrap();
    fs::write(sandbox.path("secret"), "word").unwrap();
}

#[test]
fn a_user_with_subordinate_ids_builds_what_root_builds() {
    let Some(roots) = with_base("echo one > one; mkdir sub; echo two > sub/two; chmod 640 sub/two") else { return };
    if !available("useradd") || !available("newuidmap") || !available("setpriv") {
        return;
    }
    let user = User::new("build");
    let Some(users) = of_user(user.uid) else { return };
    let mut wrong = Vec::new();
    for (name, text) in CASES {
        [&roots, &users].into_iter().for_each(|sandbox| write(sandbox, text));
        let expected = files(&roots, roots.nacre(BUILD));
        let built = users.run(as_user(&users, user.uid, &BUILD), b"");
        assert!(!built.stderr.contains("warning"), "{name}: {}", built.stderr);
        let actual = files(&users, built);
        let paths = expected.keys().chain(actual.keys()).filter(|path| expected.get(*path) != actual.get(*path));
        wrong.extend(paths.map(|path| format!("{name}: {path} is {:?}, root's {:?}", actual.get(path), expected.get(path))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let check = |arguments: &[&str]| users.run(as_user(&users, user.uid, arguments), b"").ok().stdout;
    check(&["builder", "prune", "-a", "-f"]);
    check(&["image", "prune", "-a", "-f"]);
    assert_eq!(check(&["system", "check", "--deep"]), "nothing found\n");
    assert_eq!(held(&users.root().join("trees")), [""; 0]);
}

/// The names of trees, caches and runs that are kept.
fn held(trees: &Path) -> Vec<String> {
    let script = "find . -mindepth 3 -not -path './*/layers/*' -o -mindepth 4";
    let found = Command::new("sh").args(["-c", script]).current_dir(trees).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    found.lines().map(str::to_owned).collect()
}

#[test]
fn a_user_without_subordinate_ids_has_one_id_and_a_warning() {
    // Nobody has this id, so nothing is said about it in /etc/subuid.
    let uid = 54_322;
    let Some(sandbox) = of_user(uid) else { return };
    if !available("setpriv") {
        return;
    }
    write(&sandbox, "RUN id -u > /id && rm -r /data/old && echo new > /data/new && ! chown 1000 /data/new\nCOPY --chown=diver one /one");
    let built = sandbox.run(as_user(&sandbox, uid, &BUILD), b"").ok();
    let warnings: Vec<&str> = built.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 1, "{}", built.stderr);
    assert!(warnings[0].contains("/etc/subuid") && warnings[0].contains("usermod --add-subuids 100000-165535"), "{warnings:?}");
    let made = files(&sandbox, built);
    assert!(made["id"].starts_with("file 644 0:0 2 ") && made["data/new"].starts_with("file 644 0:0 "), "{made:?}");
    assert!(made["one"].starts_with("file 644 1000:"), "what nacre copies has any owner: {}", made["one"]);
    assert!(!made.contains_key("data/old") && made.contains_key("data/gone"));
    sandbox.run(as_user(&sandbox, uid, &["image", "prune", "-f"]), b"").ok();
    let check = sandbox.run(as_user(&sandbox, uid, &["system", "check", "--deep"]), b"").ok().stdout;
    assert_eq!(check, "nothing found\n");
}

/// A command in a mount namespace where a line of shell has hidden something.
fn without(what: &str, command: &Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-ec", &format!("{what}; exec \"$@\""), "sh"]).arg(command.get_program()).args(command.get_args());
    wrapped.current_dir(command.get_current_dir().unwrap()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

/// Hides programs, wherever they are.
fn hidden(programs: &str) -> String {
    format!(
        "for p in {programs}; do for d in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do [ ! -e $d/$p ] || mount --bind /dev/null $d/$p; done; done"
    )
}

#[test]
fn what_is_missing_is_named_before_any_work_is_done() {
    let uid = 54_323;
    let Some(sandbox) = of_user(uid) else { return };
    if !available("setpriv") || !available("unshare") {
        return;
    }
    write(&sandbox, "COPY one /one\nRUN echo ran > /ran");
    let empty: PathBuf = sandbox.path("none");
    fs::write(&empty, "0\n").unwrap();
    let namespaces = format!("mount --bind {} /proc/sys/user/max_user_namespaces", empty.display());
    for (what, expected) in [
        (hidden("runc crun youki"), "an OCI runtime (runc, crun or youki) is not installed: install one, such as by 'apt install runc'"),
        (namespaces, "'sysctl -w user.max_user_namespaces=15000' as root permits them"),
    ] {
        let said = sandbox.run(without(&what, &as_user(&sandbox, uid, &BUILD)), b"").fails(1).stderr;
        assert!(said.contains(expected), "{what}: {said}");
    }
    let records = sandbox.run(as_user(&sandbox, uid, &["builder", "df", "--format", "{{.ID}}"]), b"").ok().stdout;
    assert_eq!(records, "", "work was done before");
    // Nothing of that is needed by a build that runs nothing.
    write(&sandbox, "COPY one /one");
    sandbox.run(without(&hidden("runc crun youki"), &as_user(&sandbox, uid, &BUILD)), b"").ok();
}
