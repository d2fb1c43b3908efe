//! What the demo builds: a page made in one stage and served by the next, said in three ways.

use std::{fs, path::Path};

use anyhow::Result;

use crate::run;

/// The first stage, with a program that runs where that is possible.
fn stage() -> String {
    let made = match run::is_root() && run::found("runc") {
        true => "RUN busybox mkdir /out && busybox sed s/NAME/nacre/ /pages/index.html > /out/index.html",
        false => "COPY pages /out",
    };
    format!("FROM team/package:1 AS build\nSHELL [\"/bin/busybox\", \"sh\", \"-c\"]\nCOPY pages /pages\n{made}\n")
}

const COPY: &str = "COPY --from=build /out /srv/www\n";
const SETTINGS: &str = "EXPOSE 80\nCMD [\"/bin/busybox\", \"httpd\", \"-f\", \"-h\", \"/srv/www\"]\n";

const IMAGE: &str = r#"# syntax=acme/image-toml
base = "team/package:1"

[[folder]]
path = "/srv/www"
source = "pages"
owner = "33:33"

[[link]]
path = "/bin/httpd"
target = "busybox"

[config]
cmd = ["httpd", "-f", "-h", "/srv/www"]
ports = ["80"]
"#;

/// Writes the folder `site`.
pub fn write(folder: &Path) -> Result<()> {
    let site = folder.join("site");
    fs::create_dir_all(site.join("pages"))?;
    fs::write(site.join("pages/index.html"), "<h1>Built by NAME</h1>\n")?;
    fs::write(site.join("Dockerfile"), format!("{}\nFROM team/package:1\n{COPY}{SETTINGS}", stage()))?;
    fs::write(site.join("build.docker"), stage())?;
    let dialect = format!(
        "# syntax=acme/dockerfile-plus\nARG PAGES=yes\nINCLUDE build.docker\n\nFROM team/package:1\nIF $PAGES == yes\n{COPY}ENDIF\n"
    );
    fs::write(site.join("Dockerfile.plus"), dialect + SETTINGS)?;
    Ok(fs::write(site.join("image.toml"), IMAGE)?)
}
