//! The same commands given to nacre and to Docker: the same output, the same exit codes.

use std::{fs, process::Command};

use nacre_tests::dockerd::Docker;
use serde_json::json;

use crate::machine::Machine;

/// What `run --rm` is given, besides the network.
const RUNS: &[&[&str]] = &[
    &["sea", "true"],
    &["sea", "false"],
    &["sea", "sh", "-c", "exit 42"],
    &["sea", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"],
    &["sea", "nope"],
    &["sea", "/bin/nope"],
    &["sea", "/etc/passwd"],
    &["sea", "/etc"],
    &["-w", "/etc/passwd", "sea", "true"],
    &["-u", "ghost", "sea", "true"],
    &["-u", "ghost:reef", "sea", "true"],
    &["port"],
    &["port", "c"],
    &["--entrypoint", "/bin/echo", "port", "c"],
    &["--entrypoint", "/bin/sh", "port", "-c", "id; pwd; echo $A $B $HOME $PATH"],
    &["--entrypoint", "/bin/sh", "-u", "0:50", "-e", "A=mine", "-e", "B", "port", "-c", "id -u; id -g; pwd; echo $A ${B-none} $HOME"],
    &["--entrypoint", "/bin/sh", "-u", "1000", "port", "-c", "id"],
    &["--entrypoint", "/bin/sh", "-w", "/new/deep", "port", "-c", "pwd; stat -c '%U %a' /new /new/deep"],
    &[
        "--entrypoint",
        "/bin/sh",
        "port",
        "-c",
        "find /data | sort; stat -c '%U %a' /data/old /data/fresh; touch /data/fresh/x && echo written",
    ],
    &["-v", "/data", "sea", "sh", "-c", "find /data | sort; stat -c '%u %a' /data"],
    &["--tmpfs", "/data", "sea", "sh", "-c", "find /data; stat -c '%a' /data"],
    &[
        "--read-only",
        "sea",
        "sh",
        "-c",
        "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo shm; touch /etc/hosts 2>/dev/null || echo hosts",
    ],
    &["--ulimit", "nofile=100:200", "--shm-size", "2m", "sea", "sh", "-c", "ulimit -n; ulimit -Hn; mount | grep -c 'shm.*size=2048k'"],
    &["-e", "X=a b", "sea", "sh", "-c", "env | grep -v HOSTNAME | sort"],
    &["-t", "sea", "sh", "-c", "tty; echo $TERM"],
    &["sea", "sh", "-c", "test -t 0 || echo no terminal; cat; ls /proc/self/fd | wc -l"],
    &["--stop-signal", "NO", "sea", "true"],
    &["--name", "x/y", "sea", "true"],
    &["-w", "relative", "sea", "true"],
    &["--mount", "type=bind,source=/no/such,target=/x", "sea", "true"],
    &["--foo", "sea"],
];

struct Both {
    machine: Machine,
    docker: Docker,
}

impl Both {
    fn new() -> Option<Self> {
        let machine = Machine::new()?;
        let docker = Docker::start_with("overlay2")?;
        let config = json!({
            "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["a", "b"], "Env": ["A=image", "B=image"], "WorkingDir": "/data", "User": "diver:reef",
            "Volumes": {"/data/old": {}, "/data/fresh": {}},
        });
        machine.image("port", &config);
        machine.nacre(["save", "-o", "both.tar", "sea", "port"]).ok();
        docker.ok(&["load", "-q", "-i", &machine.path("both.tar").display().to_string()]);
        Some(Self { machine, docker })
    }

    /// What both say to the same words: exit code and standard output, ours first.
    fn say(&self, words: &[&str]) -> [(Option<i32>, String); 2] {
        let of = |mut command: Command| {
            let output = command.stdin(std::process::Stdio::null()).output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        [of(self.machine.command(words)), of(self.docker.command(words))]
    }

    /// Compares what both say.
    fn differs(&self, words: &[&str]) -> Option<String> {
        let [ours, theirs] = self.say(words).map(|(code, text)| (code, in_order(words, &text)));
        (ours != theirs).then(|| format!("{words:?}\n  nacre  {ours:?}\n  Docker {theirs:?}"))
    }
}

/// Docker tells changes in no order, and on standard output why a program of `exec` cannot be started.
fn in_order(words: &[&str], text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("unable to find user")).collect();
    if words[0] == "diff" {
        lines.sort_unstable();
    }
    lines.join("\n")
}

#[test]
fn programs_see_and_end_as_in_docker() {
    let Some(both) = Both::new() else { return };
    let run = |options: &&[&str]| both.differs(&[&["run", "--rm", "--network", "none", "-h", "boat"], *options].concat());
    let differences: Vec<String> = RUNS.iter().filter_map(run).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_life_is_as_in_docker() {
    let Some(both) = Both::new() else { return };
    let changes = "rm -r /data/old; rm /data/gone; echo new > /data/new; mkdir -p /a/b; ln -s b /a/link; chmod 700 /bin; mkdir /data/old; rm /link; echo x > /link";
    let traps = format!("{changes}; trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done");
    fs::write(both.machine.path("file"), "file\n").unwrap();
    let file = both.machine.path("file").display().to_string();
    both.say(&["run", "-d", "--network", "none", "--name", "boat", "sea", "sh", "-c", &traps]);
    crate::machine::eventually("both have changed their files", || {
        both.say(&["exec", "boat", "cat", "/link"]).iter().all(|said| said.1 == "x\n")
    });
    let format = "{{.Names}} {{.Image}} {{.State}} {{.Command}} {{.Networks}} {{.Mounts}} {{.LocalVolumes}}";
    let lines: &[&[&str]] = &[
        &["diff", "boat"],
        &["ps", "-a", "--format", format],
        &["exec", "boat", "sh", "-c", "exit 9"],
        &["exec", "-u", "ghost", "boat", "true"],
        &["exec", "-u", "diver", "-w", "/tmp", "-e", "A=1", "boat", "sh", "-c", "id; pwd; echo $A"],
        &["cp", &file, "boat:/tmp"],
        &["cp", &file, "boat:/none/x"],
        &["cp", "boat:/none", "/tmp"],
        &["exec", "boat", "sh", "-c", "stat -c '%u %g %a' /tmp/file; cat /tmp/file"],
        &[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.Path}} {{.Config.Cmd}} {{.HostConfig.NetworkMode}} {{.Name}}",
            "boat",
        ],
        &["rm", "boat"],
        &["start", "boat"],
        &["stop", "boat"],
        &["stop", "boat"],
        &["wait", "boat"],
        &["logs", "boat"],
        &["logs", "--tail", "0", "boat"],
        &["kill", "boat"],
        &["exec", "boat", "true"],
        &["diff", "boat"],
        &["inspect", "-f", "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}", "boat"],
        &["ps", "-aq", "-f", "exited=5", "-f", "name=boat", "--format", "{{.Names}}"],
        &["ps", "-q", "-f", "name=boat", "--format", "{{.Names}}"],
        &["create", "--name", "boat", "sea"],
        &["rm", "boat"],
        &["rm", "boat"],
        &["rm", "-f", "boat"],
        &["start", "boat"],
        &["start", "-a", "boat"],
        &["stop", "boat"],
        &["kill", "boat"],
        &["wait", "boat"],
        &["logs", "boat"],
        &["exec", "boat", "true"],
        &["diff", "boat"],
        &["cp", "boat:/x", "/tmp/y"],
        &["commit", "boat"],
        &["inspect", "boat"],
        &["container", "inspect", "boat"],
        &["container", "prune", "-f"],
    ];
    let differences: Vec<String> = lines.iter().filter_map(|line| both.differs(line)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
