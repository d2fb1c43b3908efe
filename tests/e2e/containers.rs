//! Containers: what a program sees, what it prints, how it ends, and what `run`, `create`, `start` and `exec` take.

use std::fs;

use serde_json::json;

use crate::{
    machine::{Machine, eventually},
    support::whole,
    trees::shell,
};

#[test]
fn what_a_program_prints_and_how_it_ends() {
    let Some(machine) = Machine::new() else { return };
    let output = machine.sh(&[], "echo out; printf 'raw\\033[2J'; echo err >&2; exit 7").fails(7);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\nraw\x1b[2J", "err\n"));
    machine.sh(&[], "true").ok();
    machine.sh(&[], "sh -c 'kill -9 $$'; exit $?").fails(137);
    for (program, code, why) in [
        ("nope", 127, "executable file not found in $PATH"),
        ("/bin/nope", 127, "no such file or directory"),
        ("/etc/passwd", 126, "permission denied"),
        ("/etc", 126, ""),
    ] {
        let output = machine.nacre(["run", "--rm", "sea", program]).fails(code);
        assert!(
            output.stdout.is_empty() && output.stderr.contains(why) && output.stderr.lines().count() == 1,
            "{program}: {}",
            output.stderr
        );
    }
    machine.assert_clean(&[]);
}

#[test]
fn what_is_nacres_own_failure_ends_with_125() {
    let Some(machine) = Machine::new() else { return };
    for (line, why) in [
        ("run --foo sea", "unexpected argument '--foo'"),
        ("run", "required arguments"),
        ("run --restart=always sea", "nacre: --restart is not supported: "),
        ("run -p 80:80 sea", "nacre: -p is not supported: programs see the host's network"),
        ("container run --privileged sea", "nacre: --privileged is not supported: "),
        ("run --pull never ghost", "nacre: No such image: ghost"),
        ("run 127.0.0.1:1/ghost", "nacre: unable to find image '127.0.0.1:1/ghost:latest' locally\nnacre: "),
        ("run --network bridge sea", "nacre: network 'bridge' is not supported: "),
        ("run -v data:/data sea", "named volumes are not supported"),
        ("run -v x sea", "nacre: invalid volume specification: 'x'"),
        ("run --mount type=bind,source=/no/such,target=/x sea", "bind source path does not exist: /no/such"),
        ("run -w relative sea", "it needs to be an absolute path"),
        ("run --name / sea", "Invalid container name"),
        ("run --stop-signal NO sea", "nacre: Invalid signal: NO"),
        ("run --env-file none sea", "nacre: cannot read none"),
        ("run --tmpfs x sea", "nacre: --tmpfs x: "),
        ("run --ulimit x sea", "nacre: --ulimit x: "),
        ("run --add-host x sea", "nacre: --add-host x: "),
        ("run --shm-size x sea", "nacre: 'x' is no size"),
        ("run --platform linux/s390x --pull never sea", "linux/s390x"),
        ("run -it sea", "nacre: the input device is not a TTY"),
        ("run --detach-keys ab sea", "unknown character 'ab'"),
    ] {
        let output = machine.nacre(line.split(' ')).fails(125);
        assert!(output.stdout.is_empty() && output.stderr.contains(why), "{line}: {}", output.stderr);
    }
    machine.nacre(["create", "--foo", "sea"]).fails(2);
    machine.nacre(["create", "--pull", "never", "ghost"]).fails(1);
    machine.assert_clean(&[]);
}

#[test]
fn the_images_config_is_honoured() {
    let Some(machine) = Machine::new() else { return };
    let config = json!({
        "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["a", "b"], "Env": ["A=image", "B=image"], "WorkingDir": "/data", "User": "diver:reef",
        "Volumes": {"/data/old": {}}, "StopSignal": "SIGINT", "Labels": {"of": "image"}, "Healthcheck": {"Test": ["CMD", "true"]},
    });
    machine.image("port", &config);
    let run = |arguments: &[&str]| machine.nacre([&["run", "--rm"][..], arguments].concat()).ok().stdout;
    assert_eq!(run(&["port"]), "entry a b\n");
    assert_eq!(run(&["port", "c"]), "entry c\n");
    let shown = run(&[
        "-e",
        "A=mine",
        "--entrypoint",
        "sh",
        "port",
        "-c",
        "echo $A $B $#; pwd; id; cat old/file; touch old/x 2>/dev/null || echo refused",
    ]);
    assert_eq!(shown, "mine image 0\n/data\nuid=1000(diver) gid=50(reef) groups=50(reef)\nold\nrefused\n");
    assert_eq!(run(&["--entrypoint", "", "port", "echo", "plain"]), "plain\n");
    assert!(machine.nacre(["run", "--entrypoint", "", "port"]).fails(125).stderr.contains("no command specified"));
    assert_eq!(
        run(&["-u", "1000", "-w", "/tmp/new/deep", "--entrypoint=/bin/sh", "port", "-c", "id -u; id -G; pwd"]),
        "1000\n1000 50\n/tmp/new/deep\n"
    );
    let name = machine.nacre(["create", "--name", "quay", "-l", "of=mine", "-l", "own", "port"]).ok().stdout;
    let inspected = machine.inspect(name.trim_end());
    assert_eq!(inspected["Config"]["Labels"], json!({"of": "mine", "own": ""}));
    assert_eq!((&inspected["Name"], &inspected["State"]["Status"]), (&json!("/quay"), &json!("created")));
    assert_eq!(inspected["Config"]["Healthcheck"]["Test"], json!(["CMD", "true"]));
    assert_eq!(inspected["Config"]["StopSignal"], "SIGINT");
    assert_eq!(inspected["Mounts"][0]["Destination"], "/data/old");
}

#[test]
fn what_a_program_sees_is_what_was_asked_for() {
    let Some(machine) = Machine::new() else { return };
    shell(&machine, "mkdir host && echo mine > host/file && printf 'C=file\\nHOME_PORT\\n# no\\n' > env");
    let here = machine.path("host").display().to_string();
    let sh = |options: &[&str], line: &str| machine.sh(options, line).ok().stdout;
    assert_eq!(sh(&["-v", &format!("{here}:/mnt")], "cat /mnt/file; echo new > /mnt/made"), "mine\n");
    assert_eq!(fs::read_to_string(machine.path("host/made")).unwrap(), "new\n");
    assert_eq!(sh(&["-v", "./host:/mnt:ro"], "echo x 2>/dev/null > /mnt/no || echo refused"), "refused\n");
    assert_eq!(
        sh(&["--mount", "type=bind,src=./host,dst=/mnt,readonly"], "cat /mnt/file; touch /mnt/no 2>/dev/null || echo refused"),
        "mine\nrefused\n"
    );
    assert_eq!(sh(&["-v", "/data"], "cat /data/gone; rm /data/gone; ls /data"), "gone\nold\n");
    assert_eq!(
        sh(&["--tmpfs", "/data:size=64k"], "ls /data; dd if=/dev/zero of=/data/x bs=1k count=100 2>/dev/null || echo full"),
        "full\n"
    );
    assert_eq!(
        sh(&["--read-only", "--tmpfs", "/tmp"], "touch /tmp/x && echo there; touch /x 2>/dev/null || echo refused"),
        "there\nrefused\n"
    );
    assert_eq!(
        sh(&["--env-file", "env", "-e", "A=1", "-e", "NOWHERE"], "echo $A $C ${NOWHERE-none} ${HOME_PORT-none}"),
        "1 file none none\n"
    );
    assert_eq!(
        sh(&["-h", "nautilus", "--network", "none", "--add-host", "nemo:10.1.2.3"], "hostname; grep -c nemo /etc/hosts; ls /sys/class/net"),
        "nautilus\n1\nlo\n"
    );
    assert_eq!(sh(&["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn"), "100\n200\n");
    assert_eq!(sh(&["--shm-size", "2m"], "dd if=/dev/zero of=/dev/shm/x bs=1M count=3 2>/dev/null || echo full"), "full\n");
    assert_eq!(sh(&["-t"], "test -t 1 && echo terminal"), "terminal\r\n");
    let mut command = machine.command(["run", "--rm", "-i", "-e", "A", "sea", "sh", "-c", "cat; echo $A"]);
    command.env("A", "the caller's");
    assert_eq!(machine.run(command, b"typed\n").ok().stdout, "typed\nthe caller's\n");
    assert_eq!(machine.run(machine.command(["run", "--rm", "sea", "cat"]), b"not sent\n").ok().stdout, "", "without -i");
    machine.assert_clean(&[]);
}

#[test]
fn a_container_is_made_started_and_started_again() {
    let Some(machine) = Machine::new() else { return };
    let id = machine
        .nacre(["create", "-i", "--name", "boat", "--cidfile", "cid", "sea", "sh", "-c", "echo on >> /log; wc -l < /log; cat; exit 3"])
        .ok()
        .stdout;
    let id = id.trim_end();
    assert_eq!((id.len(), fs::read_to_string(machine.path("cid")).unwrap().as_str()), (64, id));
    let again = machine.nacre(["create", "--cidfile", "cid", "sea"]).fails(1).stderr;
    assert!(again.contains("container ID file found"), "{again}");
    let taken = machine.nacre(["create", "--name", "boat", "sea"]).fails(1).stderr;
    assert!(taken.contains(&format!("The container name \"/boat\" is already in use by container \"{id}\"")), "{taken}");
    assert_eq!(machine.run(machine.command(["start", "-ai", "boat"]), b"").fails(3).stdout, "1\n");
    assert_eq!(machine.run(machine.command(["start", "-ai", &id[..12]]), b"typed").fails(3).stdout, "2\ntyped");
    assert_eq!(machine.nacre(["start", "boat"]).ok().stdout, "boat\n");
    assert_eq!(machine.field("boat", "{{.State.Status}}"), "running", "nobody closes its standard input");
    // One that runs stays as it is.
    let started = machine.nacre(["start", "boat", "ghost"]).fails(1);
    assert_eq!((started.stdout.as_str(), started.stderr.as_str()), ("boat\n", "nacre: No such container: ghost\n"));
    assert_eq!(machine.run(machine.command(["start", "-ai", "boat"]), b"late").fails(3).stdout, "late");
    assert_eq!(machine.field("boat", "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
    let several = machine.nacre(["start", "-a", "boat", "boat"]).fails(1).stderr;
    assert_eq!(several, "nacre: you cannot start and attach multiple containers at once\n");
    machine.nacre(["rm", "-f", "boat"]).ok();
    machine.assert_clean(&[id.to_owned()]);
}

#[test]
fn another_program_runs_in_a_container() {
    let Some(machine) = Machine::new() else { return };
    machine.waiting(&["--name", "boat", "-e", "A=1", "-w", "/data", "-u", "diver"]);
    let exec = |options: &[&str], words: &[&str]| machine.nacre([&["exec"][..], options, &["boat"], words].concat());
    assert_eq!(exec(&[], &["sh", "-c", "echo $A; pwd; id -u; echo err >&2; exit 9"]).fails(9).stdout, "1\n/data\n1000\n");
    assert_eq!(exec(&["-u", "root", "-w", "/etc", "-e", "A=2"], &["sh", "-c", "echo $A; pwd; id -u"]).ok().stdout, "2\n/etc\n0\n");
    assert_eq!(exec(&["-t"], &["tty"]).ok().stdout, "/dev/pts/0\r\n");
    assert_eq!(machine.run(machine.command(["exec", "-i", "boat", "cat"]), b"typed").ok().stdout, "typed");
    assert_eq!(exec(&["-d"], &["sh", "-c", "echo done > /tmp/done"]).ok().stdout, "");
    eventually("it was done", || exec(&[], &["cat", "/tmp/done"]).stdout == "done\n");
    assert!(exec(&[], &["nope"]).fails(127).stderr.contains("executable file not found"));
    assert!(exec(&[], &["/etc/passwd"]).fails(126).stderr.contains("permission denied"));
    assert_eq!(exec(&["-it"], &["sh"]).fails(1).stderr, "nacre: the input device is not a TTY\n");
    machine.nacre(["exec", "boat"]).fails(125);
    machine.nacre(["stop", "boat"]).ok();
    let stopped = exec(&[], &["true"]).fails(1).stderr;
    assert!(stopped.starts_with("nacre: Container ") && stopped.ends_with(" is not running\n"), "{stopped}");
    assert_eq!(machine.nacre(["exec", "ghost", "true"]).fails(1).stderr, "nacre: No such container: ghost\n");
}

#[test]
fn a_missing_image_is_fetched() {
    let Some(machine) = Machine::new() else { return };
    let server = machine.serve();
    let name = server.name("sea:1");
    machine.nacre(["tag", "sea", "sea:1"]).ok();
    let other = Machine::new().unwrap();
    let output = other.nacre(["run", "--rm", &name, "echo", "hi"]).ok();
    assert_eq!(output.stdout, "hi\n", "nothing of the pull is on standard output");
    assert!(
        output.stderr.contains(&format!("unable to find image '{name}' locally")) && output.stderr.contains("Digest: sha256:"),
        "{}",
        output.stderr
    );
    assert_eq!(other.nacre(["run", "--rm", "-q", &name, "echo", "hi"]).ok().stderr, "");
    let always = other.nacre(["run", "--rm", "--pull", "always", &name, "true"]).ok().stderr;
    assert!(always.contains("Image is up to date for"), "{always}");
    fs::write(other.config(), "[plugins.rules]\nrequired-labels = [\"team=web\"]\n").unwrap();
    other.nacre(["rmi", "-f", &name]).ok();
    assert!(other.nacre(["run", "--rm", &name, "true"]).fails(125).stderr.contains("is denied by nacre/rules: "));
    other.assert_clean(&[]);
    whole(&other);
}
