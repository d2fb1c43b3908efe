//! `nacre serve` beside nginx: the same blob, as the same file, to the same client.

use std::{
    fs::{self, File},
    io::Write,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nacre_oci::{Algorithm, Digest, Hasher};

use super::{
    measure::{Sample, measure, median},
    tools::Nacre,
};
use crate::{
    run::{checked, found},
    server::Server,
};

const SIZE: usize = 512 << 20;
const ROUNDS: usize = 7;

/// What nginx takes for a blob and what nacre takes; nothing, and a word about it, where nginx or curl is not installed.
pub fn measured(binary: &Path, folder: &Path) -> Result<Option<(String, Sample, Sample)>> {
    if !found("nginx") || !found("curl") {
        eprintln!("serve a blob: skipped, nginx or curl is not installed");
        return Ok(None);
    }
    eprintln!("serve a blob");
    let home = folder.join("serve");
    fs::create_dir(&home)?;
    let nacre = Nacre { binary: binary.to_owned(), folder: home.clone() };
    let own = Server::start(nacre.nacre(&[]), "127.0.0.1:0")?;
    let digest = push(&own.address, &home)?;
    let nginx = Nginx::start(&home, &nacre.root().join("blobs/sha256"))?;
    let mut there = get(&format!("http://{}/{}", nginx.address, digest.hex()));
    let mut here = get(&format!("http://{}/v2/bench/blobs/{digest}", own.address));
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    measure(&mut there)?;
    measure(&mut here)?;
    for _ in 0..ROUNDS {
        theirs.push(measure(&mut there)?.wall_only());
        ours.push(measure(&mut here)?.wall_only());
    }
    let name = format!("serve a blob of {} MB: nginx (sendfile), the same file", SIZE / 1_000_000);
    Ok(median(theirs).zip(median(ours)).map(|(theirs, ours)| (name, theirs, ours)))
}

fn get(url: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--fail", "--output", "/dev/null", url]);
    command
}

/// Makes a blob and pushes it.
fn push(address: &str, home: &Path) -> Result<Digest> {
    let path = home.join("blob");
    let (mut file, mut hasher) = (File::create(&path)?, Hasher::new(Algorithm::Sha256));
    for n in 0..SIZE >> 20 {
        let piece: Vec<u8> = (0..1_u32 << 18).flat_map(|at| (at ^ n as u32).wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        hasher.update(&piece);
        file.write_all(&piece)?;
    }
    let digest = hasher.digest();
    // Without a slash at the end: curl would put the name of the file there.
    let url = format!("http://{address}/v2/bench/blobs/uploads?digest={digest}");
    checked(Command::new("curl").args(["--silent", "--fail", "--request", "POST", "--upload-file"]).arg(&path).arg(url))?;
    fs::remove_file(path)?;
    Ok(digest)
}

/// nginx as Debian sets it up, for one folder.
struct Nginx {
    child: Child,
    address: String,
}

impl Nginx {
    fn start(home: &Path, folder: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config: PathBuf = home.join("nginx.conf");
        let (home, folder) = (home.display(), folder.display());
        // As the user that runs this: the store is nobody else's.
        let user = if crate::run::is_root() { "user root;" } else { "" };
        fs::write(
            &config,
            format!(
                "{user} daemon off; worker_processes auto; pid {home}/nginx.pid; error_log {home}/nginx.log;
                 events {{ worker_connections 768; }}
                 http {{ sendfile on; tcp_nopush on; access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
                   fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
                   server {{ listen {address}; root {folder}; }} }}"
            ),
        )?;
        let log = File::create(config.with_extension("err"))?;
        let child = Command::new("nginx").arg("-c").arg(&config).stdin(Stdio::null()).stderr(log).spawn().context("cannot start nginx")?;
        let nginx = Self { child, address };
        for _ in 0..100 {
            if TcpStream::connect(&nginx.address).is_ok() {
                return Ok(nginx);
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer: {}", fs::read_to_string(config.with_extension("err"))?)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it when it is asked; a kill would leave them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
