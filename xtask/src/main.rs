//! The project's own commands. `cargo xtask` lists them.

mod bench;
mod busybox;
mod demo;
mod prove;
mod readme;
mod real;
mod run;
mod server;
mod setup;
mod site;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  demo [--readme]   all set-up, then nacre's main job on a real image, every command shown with its output
  test [ARGS…]      all set-up, then every test (ARGS go to the test runner)
  bench [--readme]  nacre beside docker, podman, skopeo and buildah, in turn, in one run; 'bench build': only builds,
                    'bench run': only containers, 'bench serve': only a blob from 'nacre serve' and from nginx
  real [FOLDER]     a Debian from the Internet (or made by debootstrap in FOLDER before): imported, built on, published, run
                    by podman; as root
  prove [NAME] [--seed N] [--full]
                    the harnesses that try to break the store; --full writes tests/RESULTS.md
  lint              formatting, clippy, licences and sources
  setup             only the set-up

--readme writes what came out into README.md.";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    let readme = rest.iter().any(|arg| arg == "--readme");
    match command {
        "demo" => demo::demo(readme),
        "bench" if rest.iter().any(|arg| arg == "build") => bench::building(readme),
        "bench" if rest.iter().any(|arg| arg == "run") => bench::running(readme),
        "bench" if rest.iter().any(|arg| arg == "serve") => bench::serving(),
        "bench" => bench::bench(readme),
        "test" => setup::all().and_then(|()| run::tests(rest)),
        "real" => setup::all().and_then(|()| real::real(rest.first().map(String::as_str))),
        "prove" => prove::prove(rest),
        "lint" => setup::target().and_then(|()| run::lint()),
        "setup" => setup::all(),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => bail!("no command '{other}'\n{HELP}"),
    }
}
