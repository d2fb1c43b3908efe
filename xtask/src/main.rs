//! The project's own commands. `cargo xtask` lists them.

mod bench;
mod busybox;
mod demo;
mod readme;
mod run;
mod setup;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  demo [--readme]   all set-up, then nacre's main job on a real image, every command shown with its output
  test [ARGS…]      all set-up, then every test (ARGS go to the test runner)
  bench [--readme]  nacre beside docker, podman and skopeo, in turn, in one run
  lint              formatting, clippy, licences and sources
  setup             only the set-up

--readme writes what came out into README.md.";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    let readme = rest.iter().any(|arg| arg == "--readme");
    match command {
        "demo" => demo::demo(readme),
        "bench" => bench::bench(readme),
        "test" => setup::all().and_then(|()| run::tests(rest)),
        "lint" => setup::target().and_then(|()| run::lint()),
        "setup" => setup::all(),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => bail!("no command '{other}'\n{HELP}"),
    }
}
