//! `cargo xtask real`: a Debian out of nothing, imported, built on, published, and run by podman. It needs root and the
//! Internet.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Result, bail};

use crate::{
    run::{self, checked},
    server::Server,
};

const SUITE: &str = "bookworm";
/// Files of the context.
const FILES: usize = 4000;

/// A program is compiled in one stage; the next has packages of Debian's, the program, and very many files.
const DOCKERFILE: &str = r#"FROM debian:real AS compile
RUN --mount=type=cache,target=/var/cache/apt apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY hello.c /src/
RUN gcc -O2 -static -o /src/hello /src/hello.c && /src/hello

FROM debian:real
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends nginx python3 && rm -rf /var/lib/apt/lists/*
COPY --from=compile /src/hello /usr/local/bin/
COPY --chown=www-data:www-data files /srv/www
EXPOSE 80
CMD ["nginx", "-g", "daemon off;"]
"#;

const PROGRAM: &str = "#include <stdio.h>\nint main(void) { puts(\"hello from a program of its own stage\"); return 0; }\n";

/// What the container is asked, and what its answer has to have.
const CHECKS: &[(&str, &str)] = &[
    ("nginx -v 2>&1", "nginx version: nginx/"),
    ("nginx -t 2>&1", "test is successful"),
    ("python3 -c 'import ssl, sqlite3, sys; print(sys.version_info[0])'", "3"),
    ("hello", "hello from a program of its own stage"),
    ("find /srv/www -type f -user www-data | wc -l", "4000"),
    ("su nobody -s /bin/sh -c 'id -un'", "nobody"),
];

/// Does it all, and prints what each part took. `tree` is a root filesystem that debootstrap made before.
pub fn real(tree: Option<&str>) -> Result<()> {
    for program in ["debootstrap", "podman", "runc"] {
        if !run::is_root() || !run::found(program) {
            bail!("this needs root and {program}: run 'cargo xtask setup' as root");
        }
    }
    let folder = tempfile::tempdir()?;
    let place = Place { nacre: run::build(true)?, folder: folder.path().to_owned(), times: String::new() };
    place.play(tree)
}

struct Place {
    nacre: PathBuf,
    folder: PathBuf,
    /// Lines of what took how long.
    times: String,
}

impl Place {
    fn play(mut self, tree: Option<&str>) -> Result<()> {
        let root = match tree {
            Some(tree) => PathBuf::from(tree),
            None => {
                let root = self.folder.join("debian");
                let mut debootstrap = Command::new("debootstrap");
                self.time("debootstrap", debootstrap.args(["--variant=minbase", SUITE]).arg(&root).stdout(Stdio::null()))?;
                root
            }
        };
        checked(Command::new("tar").args(["--one-file-system", "-cf"]).arg(self.folder.join("debian.tar")).arg("-C").arg(root).arg("."))?;
        self.write_context()?;
        self.time("import", &mut self.nacre(&["import", "-q", "debian.tar", "debian:real"]))?;
        let mut registry = self.nacre(&[]);
        registry.env("NACRE_ROOT", self.folder.join("served"));
        let server = Server::start(registry, "127.0.0.1:0")?;
        let name = format!("{}/team/site:1", server.address);
        self.time("build", &mut self.nacre(&["build", "-t", &name, "context"]))?;
        self.time("build, everything cached", &mut self.nacre(&["build", "-q", "-t", &name, "context"]))?;
        self.time("push", &mut self.nacre(&["push", "-q", &name]))?;
        self.time("podman pull", self.podman(&["pull", "-q", "--tls-verify=false", &name]).stdout(Stdio::null()))?;
        let checks = CHECKS.iter().try_for_each(|(line, wanted)| self.check(&name, line, wanted));
        // It leaves its store mounted on itself, and the folder cannot be deleted while it is.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.join("podman/overlay")).stderr(Stdio::null()).status();
        checks?;
        checked(&mut self.nacre(&["system", "check"]))?;
        println!("\n{}", self.times);
        Ok(())
    }

    fn write_context(&self) -> Result<()> {
        let context = self.folder.join("context");
        fs::create_dir(&context)?;
        for number in 0..FILES {
            let folder = context.join(format!("files/{}", number / 50));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("{number}.html")), format!("<h1>{number}</h1>\n").repeat(1 + number % 400))?;
        }
        fs::write(context.join("hello.c"), PROGRAM)?;
        Ok(fs::write(context.join("Dockerfile"), DOCKERFILE)?)
    }

    fn nacre(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.nacre);
        command.args(args).current_dir(&self.folder).env("NACRE_ROOT", self.folder.join("store")).env("HOME", self.folder.join("home"));
        command.env_remove("NACRE_CONFIG").env_remove("NACRE_PLUGINS").env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE");
        command
    }

    fn podman(&self, args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.folder.join("podman")).arg("--runroot").arg(self.folder.join("podman-run"));
        command.args(["--storage-driver", "overlay"]).args(args);
        command
    }

    fn time(&mut self, what: &str, command: &mut Command) -> Result<()> {
        println!("{what}");
        let start = Instant::now();
        checked(command)?;
        writeln!(self.times, "{what}: {:.2} s", start.elapsed().as_secs_f64())?;
        Ok(())
    }

    /// Runs a line in the image.
    fn check(&self, image: &str, line: &str, wanted: &str) -> Result<()> {
        // Limits that may be set in a container too; podman's own are higher.
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
        let run = [&["run", "--rm", "--network", "host"], &limits[..], &[image, "/bin/sh", "-c", line]].concat();
        let output = self.podman(&run).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !said.contains(wanted) {
            bail!("{line}: wanted {wanted:?}, got {said:?} and {}", String::from_utf8_lossy(&output.stderr));
        }
        println!("$ {line}\n{}", said.trim_end());
        Ok(())
    }
}
