//! T14: text from strangers in every field, and every command that shows it. No raw control character is printed, nothing
//! that reverses or hides text, and no line more than harmless text makes.

mod poison;

use std::{fs, thread};

use poison::{HARMLESS, archive, is_raw, poisons, registry};

use super::{Report, Scope};
use crate::sandbox::{Output, Sandbox};

/// What shows images that were loaded. The first word may be given several times, with other formats.
const IMAGES: &[&[&str]] = &[
    &["load", "-i", "case"],
    &["images"],
    &["images", "-a", "--no-trunc", "--digests"],
    &["images", "--format", "json"],
    &["images", "--format", "{{json .}}"],
    &["images", "--format", "{{.Platforms}}\\t{{.Labels}}"],
    &["images", "--format", "table {{.Platforms}}\\t{{.ID}}"],
    &["images", "--filter", "label=plain"],
    &["inspect", "app:1"],
    &["inspect", "-f", "json", "app:1"],
    &["inspect", "-f", "{{.}}", "app:1"],
    &["inspect", "-f", "{{json .Config}}", "app:1"],
    &["inspect", "-f", "{{.Config.Labels}}\\t{{.Config.Env}} {{.Author}} {{.Comment}} {{.Annotations}}", "app:1"],
    &["inspect", "-f", "{{printf \"%s %q %v\" .Author .Config.Cmd .Config.Entrypoint}}", "app:1"],
    &["inspect", "-f", "{{upper .Author}}{{html .Author}}{{js .Author}}{{urlquery .Author}}", "app:1"],
    &["inspect", "-f", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "app:1"],
    &["inspect", "-f", "{{index .Config .Author}}", "app:1"],
    &["inspect", "-f", "{{.Author.None}}", "app:1"],
    &["history", "app:1"],
    &["history", "--no-trunc", "app:1"],
    &["history", "--format", "json", "app:1"],
    &["history", "--format", "{{.CreatedBy}} {{.Comment}}", "app:1"],
    &["history", "--format", "table {{.CreatedBy}}\\t{{.Comment}}", "app:1"],
    &["tree", "app:1"],
    &["tree", "--all", "--format", "json", "app:1"],
    &["tree", "--all", "--format", "{{.}}", "app:1"],
    &["cat", "app:1", "/none"],
    &["compare", "app:1", "app:1"],
    &["image", "prune", "-a", "--dry-run"],
    &["image", "prune", "-a", "--dry-run", "--filter", "label=plain"],
    &["system", "df"],
    &["system", "df", "-v"],
    &["system", "check", "--deep"],
    &["save", "-o", "x.tar", "app:1"],
    &["copy", "app:1", "oci:layout"],
    &["copy", "oci:layout", "app:2"],
    &["pull", "--platform", "linux/s390x", "app:1"],
    &["create", "--name", "boat", "app:1"],
    &["ps", "-a"],
    &["ps", "-a", "--no-trunc"],
    &["ps", "-a", "--format", "json"],
    &["ps", "-a", "--format", "{{.Command}} {{.Labels}}"],
    &["ps", "-a", "--format", "table {{.Command}}\\t{{.Labels}}"],
    &["inspect", "boat"],
    &["image", "prune", "-af"],
    &["rm", "boat"],
    &["rmi", "app:1"],
];

/// What talks to a registry; `HOST` stands for it.
const REGISTRY: &[&[&str]] = &[
    &["search", "HOST/x"],
    &["search", "--no-trunc", "HOST/x"],
    &["search", "--format", "json", "HOST/x"],
    &["search", "--format", "{{.Name}}\\t{{.Description}}", "HOST/x"],
    &["search", "--format", "table {{.Name}}\\t{{.Description}}", "HOST/x"],
    &["search", "--list-tags", "HOST/x"],
    &["search", "--list-tags", "--format", "json", "HOST/x"],
    &["pull", "HOST/none/x:1"],
    &["pull", "HOST/denied/x:1"],
    &["pull", "HOST/asks/x:1"],
    &["pull", "HOST/broken/x:1"],
    &["--debug", "pull", "HOST/denied/x:1"],
    &["--progress", "json", "pull", "HOST/denied/x:1"],
    &["pull", "-a", "HOST/none/x"],
    &["inspect", "--remote", "HOST/none/x:1"],
    &["inspect", "--remote", "HOST/broken/x:1"],
    &["copy", "docker://HOST/broken/x:1", "oci:other"],
    &["login", "-u", "me", "-p", "x", "HOST"],
    &["plugin", "install", "HOST/denied/x:1"],
];

/// What shows files that strangers wrote: archives, Dockerfiles, plugins, configurations.
const FILES: &[&[&str]] = &[
    &["load", "-i", "names"],
    &["load", "-i", "paths"],
    &["import", "text", "x:1"],
    &["build", "-f", "unknown", "."],
    &["build", "-f", "stage", "."],
    &["build", "-f", "variable", "."],
    &["build", "-f", "unset", "."],
    &["build", "--check", "-f", "stage", "."],
    &["--config", "config", "images"],
    &["image", "prune", "-f", "--apply", "plan"],
    &["plugin", "ls"],
    &["plugin", "ls", "--format", "json"],
    &["plugin", "ls", "--format", "{{.Name}} {{.Description}}"],
    &["plugin", "inspect", "acme/evil"],
    &["plugin", "inspect", "-f", "{{.plugin.description}} {{.options}} {{.settings}}", "acme/evil"],
    &["plugin", "doctor"],
    &["plugin", "verify"],
    &["plugin", "logs", "acme/evil"],
    &["image", "prune", "-f", "--policy", "evil"],
    &["image", "prune", "-f", "--policy", "evil,x=1"],
];

/// Shows each poison by each command.
///
/// # Panics
/// If the sandboxes cannot be made.
pub fn terminal(scope: &Scope) -> Report {
    let mut report = Report { unit: "outputs", ..Report::default() };
    let harmless = outputs(HARMLESS);
    let poisons = poisons(scope.full);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let of = |worker| poisons.iter().skip(worker).step_by(workers).flat_map(|poison| judged(poison, &harmless)).collect::<Vec<_>>();
    let judged: Vec<Option<String>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || of(worker))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    report.tried = judged.len() as u64;
    report.violations = judged.into_iter().flatten().collect();
    let shown = harmless.iter().filter(|output| output.code == Some(0)).count();
    report.notes.push(format!("{} texts by {} commands, of which {shown} succeed", poisons.len(), harmless.len()));
    report
}

/// What is wrong with each output of a text.
fn judged(poison: &str, harmless: &[Output]) -> Vec<Option<String>> {
    let outputs = outputs(poison);
    let judge =
        |(output, harmless): (&Output, &Output)| wrong(output, harmless).map(|why| format!("{poison:?} by {}: {why}", output.command));
    outputs.iter().zip(harmless).map(judge).collect()
}

/// What every command prints of `text`.
fn outputs(text: &str) -> Vec<Output> {
    let (images, files, host) = (Sandbox::new(), Sandbox::new(), registry(text));
    fs::write(images.path("case"), archive(text)).unwrap();
    write_files(&files, text);
    let named = |words: &[&str]| words.iter().map(|word| word.replace("HOST", &host)).collect::<Vec<_>>();
    let of_images = IMAGES.iter().map(|words| images.nacre(*words));
    let of_registry = REGISTRY.iter().map(|words| images.nacre(named(words)));
    of_images.chain(of_registry).chain(FILES.iter().map(|words| files.nacre(*words))).collect()
}

fn write_files(sandbox: &Sandbox, text: &str) {
    let list = |tag: &str, path: &str| serde_json::json!([{"Config": path, "RepoTags": [tag], "Layers": [path]}]).to_string();
    // No name that an instruction could take, as harmless text is none.
    let line: String = text.chars().map(|c| if matches!(c, '\n' | '\0') { ' ' } else { c }).collect();
    let toml: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    let plugin = format!(
        "plugin = {{ name = \"acme/evil\", version = \"1.0.0\", api = \"0.1\", description = \"{toml}\", license = \"{toml}\" }}\n\
         provides.prune-policy = [\"evil\"]\noptions = {{ a = \"{toml}\" }}\nsettings = {{ b = \"{toml}\" }}"
    );
    for (name, bytes) in [
        ("names", crate::images::layer("manifest.json", list(text, "a").as_bytes())),
        ("paths", crate::images::layer("manifest.json", list("a:1", text).as_bytes())),
        ("text", text.into()),
        ("unknown", format!("FROM scratch\n{line} {line}\n").into()),
        ("stage", format!("FROM scratch AS a\nCOPY --from={line} a b\n").into()),
        ("variable", format!("ARG A=\"{line}\"\nFROM $A\n").into()),
        ("unset", format!("FROM scratch\nLABEL a=\"${{B:?{line}}}\"\n").into()),
        ("config", format!("\"{toml}\" = 1\n").into()),
        ("plan", format!("{{{}:1}}", serde_json::json!(text)).into()),
    ] {
        fs::write(sandbox.path(name), bytes).unwrap();
    }
    let folder = sandbox.plugins().join("evil");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("plugin.toml"), plugin).unwrap();
    // An empty component.
    fs::write(folder.join("plugin.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
}

/// What is wrong with an output, where harmless text gives another.
fn wrong(output: &Output, harmless: &Output) -> Option<String> {
    let Output { code, stdout, stderr, .. } = output;
    // A template of ours may ask for a tab.
    let asked = |c: char| c == '\n' || (c == '\t' && output.command.contains("\\t"));
    if let Some(raw) = [stdout, stderr].iter().flat_map(|text| text.chars()).find(|c| is_raw(*c) && !asked(*c)) {
        return Some(format!("printed {raw:?}: {stdout:?} {stderr:?}"));
    }
    if code.is_none() {
        return Some(format!("was ended by a signal: {stderr:?}"));
    }
    let more = |said: &str, harmless: &str| said.lines().count() > harmless.lines().count();
    (*code == harmless.code && (more(stdout, &harmless.stdout) || more(stderr, &harmless.stderr)))
        .then(|| format!("printed more lines than {:?} {:?}: {stdout:?} {stderr:?}", harmless.stdout, harmless.stderr))
}
