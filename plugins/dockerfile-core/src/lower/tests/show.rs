//! Graphs as lines of text: `2 exec 1 [/bin/sh|-c|make] /app`.

use nacre_sdk::graph::*;

use crate::lower::platform;

pub(super) fn definition(definition: &Definition) -> String {
    let lines = definition.vertices.iter().enumerate();
    let mut lines: Vec<String> = lines
        .map(|(node, vertex)| {
            let fresh = if vertex.no_cache { " fresh" } else { "" };
            format!("{node} {}{fresh}", operation(&vertex.operation))
        })
        .collect();
    if definition.output as usize + 1 != definition.vertices.len() {
        lines.push(format!("= {}", definition.output));
    }
    lines.join("\n")
}

fn operation(operation: &Operation) -> String {
    match operation {
        Operation::Source(of) => source(of),
        Operation::File(file) => {
            let actions = file.actions.iter().map(action).collect::<Vec<_>>();
            format!("file {} {}", file.base, actions.join("; "))
        }
        Operation::Exec(of) => exec(of),
        Operation::Merge(nodes) => format!("merge {nodes:?}"),
        Operation::Diff(diff) => format!("diff {} {}", diff.lower, diff.upper),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Scratch => "scratch".into(),
        Source::Image(image) => match &image.name {
            ImageName::Reference(name) => format!("image {} {}", name.replace(&"d".repeat(64), "d"), platform::format(&image.platform)),
            ImageName::Context(name) => format!("image-context {name} {}", platform::format(&image.platform)),
        },
        Source::Folder(folder) => {
            format!("folder {}{}", folder.context, folder.exclude.iter().map(|pattern| format!(" -{pattern}")).collect::<String>())
        }
        Source::Http(http) => format!("http {} as {}{}", http.url, http.name, some(" ", &http.checksum)),
        Source::Git(git) => format!(
            "git {} [{}] [{}]{}{}{}",
            git.remote,
            git.reference,
            git.folder,
            if git.keep_git_dir { " .git" } else { "" },
            if git.submodules { "" } else { " -submodules" },
            some(" ", &git.checksum)
        ),
    }
}

fn some(front: &str, text: &Option<String>) -> String {
    text.as_ref().map(|text| format!("{front}{text}")).unwrap_or_default()
}

fn action(action: &Action) -> String {
    match action {
        Action::Copy(of) => copy(of),
        Action::MakeFolder(folder) => format!("mkdir {} {:o}{}", folder.path, folder.mode, owner(&folder.owner)),
        Action::MakeFile(file) => format!("mkfile {} {:o} {:?}", file.path, file.mode, String::from_utf8_lossy(&file.content)),
        other => format!("{other:?}"),
    }
}

fn copy(copy: &CopyFiles) -> String {
    let flags = [
        (copy.wildcard, " *"),
        (copy.allow_empty, " ?"),
        (copy.contents, " contents"),
        (copy.unpack, " unpack"),
        (copy.parents, " parents"),
        (copy.replace, " replace"),
    ];
    let flags: String = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    let mode = match &copy.permissions {
        None => String::new(),
        Some(Permissions::Octal(bits)) => format!(" {bits:o}"),
        Some(Permissions::Symbolic(text)) => format!(" {text}"),
    };
    let exclude: String = copy.exclude.iter().map(|pattern| format!(" -{pattern}")).collect();
    format!("copy {}:{} -> {}{}{mode}{exclude}{flags}", copy.from, copy.source, copy.dest, owner(&copy.owner))
}

fn owner(owner: &Option<Owner>) -> String {
    let id = |id: &Option<Id>| match id {
        None => "-".into(),
        Some(Id::Name(name)) => name.clone(),
        Some(Id::Number(number)) => number.to_string(),
    };
    owner.as_ref().map(|owner| format!(" {}:{}", id(&owner.user), id(&owner.group))).unwrap_or_default()
}

fn exec(exec: &Exec) -> String {
    let mut text = format!("exec {} [{}] {}", exec.base, exec.args.join("|"), exec.cwd);
    let pairs = |pairs: &[nacre_sdk::Kv]| pairs.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect::<Vec<_>>().join(" ");
    text += &format!(" {{{}}}", pairs(&exec.env));
    text += &if exec.uncached_env.is_empty() { String::new() } else { format!(" uncached {{{}}}", pairs(&exec.uncached_env)) };
    text += &exec
        .secret_env
        .iter()
        .map(|secret| format!(" ${}={}{}", secret.name, secret.id, if secret.required { "!" } else { "" }))
        .collect::<String>();
    text += &if exec.user.is_empty() { String::new() } else { format!(" as {}", exec.user) };
    text += if exec.network == Network::Sandbox { "" } else { " other network" };
    text += &if exec.hostname.is_empty() { String::new() } else { format!(" on {}", exec.hostname) };
    text + &exec.mounts.iter().map(mount).collect::<String>()
}

fn mount(mount: &Mount) -> String {
    let kind = match &mount.kind {
        MountKind::Bind(bind) => format!("bind {}:{}", bind.from, bind.source),
        MountKind::Cache(cache) => {
            let from = cache.from.map(|from| format!(" {from}:{}", cache.source)).unwrap_or_default();
            format!("cache {} {}{from} {:o} {}:{}", cache.id, sharing(cache.sharing), cache.mode, cache.uid, cache.gid)
        }
        MountKind::Tmpfs(size) => format!("tmpfs {size}"),
        MountKind::Secret(secret) => {
            format!("secret {}{} {:o} {}:{}", secret.id, if secret.required { "!" } else { "" }, secret.mode, secret.uid, secret.gid)
        }
        MountKind::Ssh(ssh) => format!("ssh {}{} {:o} {}:{}", ssh.id, if ssh.required { "!" } else { "" }, ssh.mode, ssh.uid, ssh.gid),
    };
    format!(" ({kind} at {}{})", mount.target, if mount.readonly { "" } else { " rw" })
}

fn sharing(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Shared => "shared",
        Sharing::Private => "private",
        Sharing::Locked => "locked",
    }
}
