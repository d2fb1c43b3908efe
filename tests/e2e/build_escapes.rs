//! Builds that try to get out, and secrets that must not: the cases of known holes of other builders.

use std::{fs, os::unix::net::UnixListener, path::Path, process::Command};

use nacre_tests::sandbox::{Output, Sandbox};

use crate::{build_kills::with_base, trees::shell};

const SECRET: &str = "n4cre-t0p-secret";

fn command(sandbox: &Sandbox, options: &[&str], text: &str) -> Command {
    fs::write(sandbox.path("Dockerfile"), text).unwrap();
    sandbox.command(["build", "--progress", "plain", "-f", "Dockerfile"].iter().chain(options).chain(&["context"]))
}

fn build(sandbox: &Sandbox, options: &[&str], text: &str) -> Output {
    sandbox.run(command(sandbox, options, text), b"")
}

/// A tree that nothing may touch, and how it looks.
fn outside(sandbox: &Sandbox) -> String {
    let folder = sandbox.path("outside");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("sentinel"), "untouched").unwrap();
    }
    let listed = Command::new("find").arg(&folder).args(["-printf", "%p %m %U %G %s %T@\n"]).output().unwrap();
    String::from_utf8(listed.stdout).unwrap() + &fs::read_to_string(folder.join("sentinel")).unwrap()
}

/// The files below a folder that hold the secret, as it is or in a layer, whatever compresses that.
fn holding(folder: &Path) -> Vec<String> {
    let script = format!(
        "grep -rlF {SECRET} . ; find . -type f | while read -r f; do (zcat \"$f\" || zstdcat \"$f\") 2>/dev/null | grep -qF {SECRET} && echo \"$f\"; done; true"
    );
    let found = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

const USES_SECRETS: &str = "FROM base AS one
RUN --mount=type=secret,id=file,target=/run/deep/file --mount=type=cache,target=/cache wc=$(busybox wc -c < /run/deep/file) && echo $wc > /one
RUN --mount=type=secret,id=variable,env=TOKEN test -n \"$TOKEN\" && echo ${#TOKEN} > /two
RUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\" && echo $SSH_AUTH_SOCK > /three
FROM base
COPY --from=one /one /two /three /
";

#[test]
fn secrets_are_kept_nowhere() {
    let Some(sandbox) = with_base("echo x > x") else { return };
    fs::write(sandbox.path("secret"), SECRET).unwrap();
    let _agent = UnixListener::bind(sandbox.path("agent")).unwrap();
    let file = format!("id=file,src={}", sandbox.path("secret").display());
    let agent = format!("default={}", sandbox.path("agent").display());
    let given = ["--secret", &file, "--secret", "id=variable,env=THE_TOKEN", "--ssh", &agent];
    let kept =
        ["--cache-to", "type=local,dest=cache,mode=max", "--provenance=mode=max", "-o", "type=oci,dest=out,tar=false,compression=gzip"];
    let with_token = |mut command: Command| {
        command.env("THE_TOKEN", SECRET);
        sandbox.run(command, b"")
    };
    let built = with_token(command(&sandbox, &[&given[..], &kept].concat(), USES_SECRETS)).ok();
    assert!(!built.stderr.contains(SECRET) && !built.stdout.contains(SECRET), "{}", built.stderr);
    for fails in [
        "FROM base\nRUN --mount=type=secret,id=file,env=A false",
        "FROM base\nRUN --mount=type=secret,id=variable,env=A /nowhere",
        "FROM base\nRUN --mount=type=secret,id=file,target=/bin/sh true",
        "FROM base\nRUN --mount=type=secret,id=file,target=/x --mount=type=bind,from=none,target=/y true",
    ] {
        let said = with_token(command(&sandbox, &given, fails)).fails(1);
        assert!(!said.stderr.contains(SECRET), "{}", said.stderr);
    }
    sandbox.nacre(["save", "-o", "out.tar", "base"]).ok();
    fs::remove_file(sandbox.path("secret")).unwrap();
    assert_eq!(holding(&sandbox.path("")), [""; 0]);
    // Another value is no reason to do it again; a missing one is an error that names it.
    fs::write(sandbox.path("secret"), "other").unwrap();
    let again = with_token(command(&sandbox, &given, USES_SECRETS)).ok().stderr;
    assert_eq!(again.matches(" CACHED\n").count(), 4, "{again}");
    let missing = build(&sandbox, &["--no-cache"], "FROM base\nRUN --mount=type=secret,id=none,required=true true").fails(1).stderr;
    assert!(missing.contains("secret none: not found; give it with --secret id=none"), "{missing}");
}

#[test]
fn a_secret_that_is_printed_is_the_files_own_choice_and_stays_out_of_the_store() {
    let Some(sandbox) = with_base("echo x > x") else { return };
    let mut printing = command(&sandbox, &["--secret", "id=a,env=A"], "FROM base\nRUN --mount=type=secret,id=a,env=A echo $A");
    printing.env("A", SECRET);
    sandbox.run(printing, b"").ok();
    assert_eq!(holding(sandbox.root()), [""; 0]);
}

/// A Dockerfile that tries to get out, and a part of what nacre says, or nothing where it stays inside.
const ESCAPES: &[(&str, &str)] = &[
    // CVE-2024-21626: descriptors that lead to the host.
    ("FROM base\nWORKDIR /proc/self/fd/7\nRUN cat ../../../../../../outside/sentinel", "/proc"),
    ("FROM base\nWORKDIR /proc/self/fd/8/../../../..\nRUN pwd && ! cat OUTSIDE/sentinel", ""),
    ("FROM base\nRUN ls -l /proc/self/fd | { ! grep -v -e pipe: -e /dev/null -e /proc/ -e total; }", ""),
    // CVE-2024-1753, CVE-2024-23651: sources of mounts that are or go through links.
    ("FROM base AS a\nRUN ln -s OUTSIDE /way\nFROM base\nRUN --mount=type=bind,from=a,source=/way,target=/x cat /x/sentinel", "not found"),
    (
        "FROM base AS a\nRUN ln -s / /way\nFROM base\nRUN --mount=type=bind,from=a,source=/wayOUTSIDE,target=/x ! cat /x/sentinel",
        "not found",
    ),
    ("FROM base\nRUN --mount=type=bind,source=../../outside,target=/x cat /x/sentinel", "not found"),
    ("FROM base\nRUN --mount=type=bind,source=up/outside,target=/x cat /x/sentinel", "not found"),
    // CVE-2024-9407: no propagation.
    ("FROM base\nRUN --mount=type=bind,target=/x,bind-propagation=rshared true", "bind-propagation"),
    // Targets through links, which lie in the image.
    ("FROM base\nRUN ln -s OUTSIDE /way\nRUN --mount=type=tmpfs,target=/way/made echo in > /way/made/x", ""),
    ("FROM base\nRUN ln -s ../../../../../../../../..OUTSIDE /way\nRUN --mount=type=bind,target=/way/made ls /way/made", ""),
    // CVE-2024-23652: what is put where a mount point was made is not followed when that is cleared away.
    ("FROM base\nRUN --mount=type=tmpfs,target=/a/b busybox umount /a/b 2>/dev/null; mv /a /c 2>/dev/null; ln -s OUTSIDE /a; true", ""),
    // CVE-2024-9675, CVE-2024-11218: caches.
    ("FROM base\nRUN --mount=type=cache,id=../../../../outside,target=/c touch /c/made", ""),
    (
        "FROM base\nRUN --mount=type=cache,id=l,target=/c ln -s OUTSIDE /c/way\nRUN --mount=type=cache,id=l,source=/way,target=/d touch /d/made",
        "",
    ),
    (
        "FROM base AS a\nRUN ln -s OUTSIDE /seed\nFROM base\nRUN --mount=type=cache,id=m,from=a,source=/seed,target=/c cat /c/sentinel",
        "\"/seed\": not found",
    ),
    // Copies to and through links.
    ("FROM base\nRUN ln -s OUTSIDE /way\nCOPY x /way/made\nCOPY x /way", ""),
    ("FROM base AS a\nRUN ln -s OUTSIDE /way\nFROM base\nCOPY --from=a /way/sentinel /x", "not found"),
    ("FROM base\nADD hostile.tar /t/", ""),
    ("FROM base\nADD through.tar /t/", ""),
    // Options of git.
    ("FROM base\nADD --upload-pack=touch${IFS}OUTSIDE/made https://x.invalid/y.git /g", "unknown flag"),
    ("FROM base\nADD https://-oProxyCommand=touch/y.git /g", "-oproxycommand"),
    ("FROM base\nADD git@-oProxyCommand=x:y.git /g", ""),
    ("FROM base\nADD https://127.0.0.1:1/y.git#--upload-pack=x /g", "--upload-pack=x"),
    ("FROM base\nADD https://127.0.0.1:1/y.git#main:../../outside /g", ""),
    // The host's devices and kernel.
    ("FROM base\nRUN ! echo x > /proc/sysrq-trigger && ! echo x > /proc/sys/kernel/hostname && ! busybox mount -t tmpfs t /tmp", ""),
    ("FROM base\nRUN mknod /d b 8 0 2>/dev/null; ! cat /d", ""),
];

/// Archives whose members lead out.
const ARCHIVES: &str = "
    mkdir a && cd a && echo bad > made
    tar -cPf ../context/hostile.tar --transform 's,^made$,../../../../../../../..OUTSIDE/made,' made
    ln -s OUTSIDE l && tar -cf ../context/through.tar l && rm l && mkdir l && cp made l/ && tar -rf ../context/through.tar l/made";

#[test]
fn nothing_of_a_build_gets_out() {
    let Some(sandbox) = with_base("echo x > x; ln -s .. up") else { return };
    let before = outside(&sandbox);
    let place = |text: &str| text.replace("OUTSIDE", &sandbox.path("outside").display().to_string());
    shell(&sandbox, &place(ARCHIVES));
    let mut wrong = Vec::new();
    for (text, why) in ESCAPES {
        // A descriptor of the host's, which no program may get.
        let built = build(&sandbox, &["-o", "type=tar,dest=out.tar"], &place(text));
        let clear = built.stderr.lines().any(|line| line.starts_with("error: ") || line.starts_with("nacre: "));
        if built.code != Some(0) && !(clear && built.stderr.contains(why)) || built.code == Some(0) && !why.is_empty() {
            wrong.push(format!("{text}: {:?}\n{}", built.code, built.stderr));
        }
        assert!(!built.stderr.contains("untouched"), "{text}: {}", built.stderr);
        assert_eq!(outside(&sandbox), before, "{text}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // The configs of images that were only written to files.
    sandbox.nacre(["image", "prune", "-f"]).ok();
    assert_eq!(sandbox.nacre(["system", "check", "--deep"]).ok().stdout, "nothing found\n");
}

#[test]
fn a_program_gets_nothing_of_its_caller() {
    let Some(sandbox) = with_base("echo x > x") else { return };
    let text = "FROM base\nRUN env | busybox sort > /env && busybox ls /proc/self/fd | busybox wc -l > /files && busybox grep -E 'CapInh|CapAmb|Groups' /proc/self/status > /status";
    let mut caller = command(&sandbox, &["-o", "type=local,dest=out"], text);
    caller.env("CALLERS", "own").env("LD_PRELOAD", "/nowhere.so").env("DOCKER_HOST", "x");
    let mut wrapped = Command::new("sh");
    wrapped
        .args(["-c", "exec 7</etc 8</; exec \"$@\"", "sh"])
        .arg(caller.get_program())
        .args(caller.get_args())
        .current_dir(sandbox.path(""));
    wrapped.env_clear().envs(caller.get_envs().filter_map(|(name, value)| Some((name, value?))));
    sandbox.run(wrapped, b"").ok();
    let read = |name: &str| fs::read_to_string(sandbox.path("out").join(name)).unwrap();
    let names: Vec<String> = read("env").lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["HOME", "PATH", "PWD", "SHLVL"]);
    assert_eq!(read("files").trim(), "4");
    assert_eq!(read("status"), "Groups:\t0 \nCapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
}
