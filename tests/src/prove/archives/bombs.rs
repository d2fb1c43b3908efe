//! Little that becomes much: as a whole archive, as a document, as a layer.

use std::{
    fs::File,
    io::{self, Read},
    process::{Command, Stdio},
    thread,
};

use super::table::{self, Case, LIST, Parts};
use super::tarball::Tarball;

/// The sample has the first two.
const PROGRAMS: [&str; 4] = ["gzip", "zstd", "xz", "bzip2"];

/// More than the memory that is allowed; in full more than any archive may become.
const SMALL: u64 = 320 << 20;
const LARGE: u64 = 2 << 30;

/// Bombs of the compressions that are installed, each as a whole and as a part.
pub(super) fn bombs(full: bool) -> Vec<Case> {
    let (size, programs) = if full { (LARGE, PROGRAMS.len()) } else { (SMALL, 2) };
    let Parts { layer, config } = table::parts();
    let around = |bytes: &[u8], name: &str| {
        let member = |tar: Tarball, of: &str, honest: &[u8]| tar.file(of, if of == name { bytes } else { honest });
        let tar = member(Tarball::default(), "config.json", config.to_string().as_bytes());
        member(member(tar, "layer.tar", &layer), "manifest.json", LIST.as_bytes()).finish()
    };
    let packed = PROGRAMS[..programs].iter().filter_map(|program| Some((*program, zeros(program, size).ok()?)));
    packed
        .flat_map(|(program, bytes)| {
            let part =
                ["manifest.json", "config.json", "layer.tar"].map(|name| (format!("{name} is a bomb of {program}"), around(&bytes, name)));
            part.into_iter().chain([(format!("a bomb of {program}"), bytes)])
        })
        .chain(full.then(|| ("four GiB of zstd in one frame".into(), crate::images::bomb())))
        .collect()
}

/// So many zeros, compressed.
fn zeros(program: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut child = Command::new(program).args(["-1", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else { return Err(io::ErrorKind::BrokenPipe.into()) };
    let zeros = File::open("/dev/zero")?;
    let writer = thread::spawn(move || io::copy(&mut zeros.take(size), &mut to));
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    writer.join().expect("it only writes")?;
    child.wait()?;
    Ok(bytes)
}
