//! What is built: a base image in a registry, a context of many files, and Dockerfiles.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{bench::tools::Nacre, run::checked};

/// Files of the context, and what they hold together.
pub const FILES: usize = 4400;
pub const MEGABYTES: usize = 124;

/// Sizes that files take in turn, in KB: most are small, and some hold nearly everything.
const SIZES: [usize; 8] = [1, 2, 2, 4, 8, 16, 40, 152];
/// Files in one folder.
const TOGETHER: usize = 20;

/// A folder with the context and the Dockerfiles.
pub struct Inputs {
    folder: PathBuf,
    /// The base image's name.
    pub base: String,
}

impl Inputs {
    /// Makes everything in `folder`. The base is the registry's `bench:1` with a shell.
    pub fn make(folder: &Path, nacre: &Path, registry: &str) -> Result<Self> {
        fs::create_dir_all(folder.join("context"))?;
        let base = format!("{registry}/base:1");
        let inputs = Self { folder: folder.to_owned(), base };
        inputs.write_context()?;
        inputs.write_files()?;
        let store = Nacre { binary: nacre.to_owned(), folder: folder.join("author") };
        fs::create_dir(&store.folder)?;
        inputs.publish_base(&store, registry)?;
        Ok(inputs)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.Dockerfile"))
    }

    pub fn context(&self) -> PathBuf {
        self.folder.join("context")
    }

    fn write_context(&self) -> Result<()> {
        // Bytes that do not repeat (Knuth's MMIX generator): no file is another one's copy.
        let mut state = 1_u64;
        for number in 0..FILES {
            let size = SIZES[number % SIZES.len()] * 1000;
            let mut content = Vec::with_capacity(size + 8);
            while content.len() < size {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                content.extend_from_slice(&state.to_be_bytes());
            }
            let folder = self.context().join(format!("files/{}", number / TOGETHER));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(number.to_string()), &content[..size])?;
        }
        Ok(fs::write(self.context().join("small"), "small\n")?)
    }

    fn write_files(&self) -> Result<()> {
        let (mut settings, mut steps) = (format!("FROM {}\n", self.base), "FROM scratch\n".to_owned());
        for number in 0..199 {
            match number % 4 {
                0 => writeln!(settings, "ENV NAME_{number}=\"value of ${{NAME_{}:-none}}\"", number.max(4) - 4)?,
                1 => writeln!(settings, "LABEL org.example.label-{number}=\"$NAME_{}\"", number - 1)?,
                2 => writeln!(settings, "EXPOSE {}", 8000 + number)?,
                _ => writeln!(settings, "WORKDIR /")?,
            }
            match number % 4 {
                0 => writeln!(steps, "ARG NAME_{number}=value")?,
                1 => writeln!(steps, "RUN --mount=type=cache,target=/root/.cache make \"$NAME_{}\" target-{number}", number - 1)?,
                2 => writeln!(steps, "COPY --chown=1000:1000 --chmod=0644 files/{number}/* /srv/{number}/")?,
                _ => writeln!(steps, "ENV VALUE_{number}=\"${{NAME_{}}}\"", number - 3)?,
            }
        }
        let base = &self.base;
        for (name, text) in [
            ("scratch", "FROM scratch\n".to_owned()),
            ("from", format!("FROM {base}\n")),
            ("small", format!("FROM {base}\nCOPY small /srv/\n")),
            ("copy", format!("FROM {base}\nCOPY files /srv/files\n")),
            ("run", format!("FROM {base}\nRUN true\n")),
            ("settings", settings),
            ("steps", steps),
        ] {
            fs::write(self.file(name), text)?;
        }
        Ok(())
    }

    fn publish_base(&self, store: &Nacre, registry: &str) -> Result<()> {
        let shell = store.folder.join("shell");
        fs::create_dir(&shell)?;
        fs::copy("/usr/bin/busybox", shell.join("sh")).context("busybox-static is needed: run 'cargo xtask setup' as root")?;
        fs::write(shell.join("Dockerfile"), format!("FROM {registry}/bench:1\nCOPY sh /bin/\nENV PATH=/bin\n"))?;
        let quiet = |command: &mut Command| checked(command.stdout(Stdio::null()));
        let folder = shell.display().to_string();
        quiet(&mut store.nacre(&["--progress", "quiet", "build", "-t", &self.base, &folder]))?;
        quiet(&mut store.nacre(&["push", "-q", &self.base]))
    }
}
