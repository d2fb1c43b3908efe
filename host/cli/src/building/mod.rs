//! `nacre build`: from the command line to a named image or a file.

mod agent;
mod caches;
mod frontend;
mod inputs;
mod metadata;
mod outputs;
mod provenance;
mod remote;
mod report;
mod request;
mod rootfs;
mod unsupported;
pub(crate) mod values;

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use nacre_build::{Built, Watcher, build as run, graph, to_dot, to_json};
use nacre_oci::{Progress, Reference, Select};
use nacre_plugin::Operation;

pub(crate) use self::unsupported::unsupported;
use self::{inputs::Inputs, outputs::Outputs, report::Report, request::Asked};
use crate::{
    admission::admit,
    commands::build::{Args, Call, Graph},
    context::Context,
    transfer::new_name,
};

/// What programs of builds run in.
pub(crate) fn sandbox(context: &Context) -> Result<nacre_runtime::Settings> {
    request::sandbox(context)
}

/// A size as Docker takes it, such as `10g`.
pub(crate) fn size(text: &str) -> Result<u64> {
    values::size(text)
}

/// Builds, checks, or shows what would be built.
pub(crate) fn build(context: &Context, args: &Args) -> Result<()> {
    let outputs = Outputs::parse(args)?;
    let names = args.tag.iter().map(|name| new_name(name)).chain(outputs.names()).collect::<Result<Vec<_>>>()?;
    caches::check(&args.cache.cache_to)?;
    let wanted = provenance::wanted(args)?;
    let inputs = Inputs::open(context, args)?;
    let plugins = Arc::new(context.plugins()?);
    let shown = context.show_build(args.results.quiet || is_graph(args) || is_check(args));
    plugins.watch(Arc::clone(&shown) as Arc<dyn Progress>);
    let report = Report { file: &inputs.name, content: &inputs.content, folder: inputs.folder(), shown: &shown };
    let asked = Asked::new(context, args, &inputs, &outputs, &plugins)?;
    let environment = request::environment(context)?;
    let watcher = Arc::clone(&shown) as Arc<dyn Watcher>;

    if is_graph(args) || is_check(args) {
        let images = graph(&environment, asked.request, &watcher);
        shown.end();
        asked.plugins.show_log(context);
        let images = images.map_err(|error| report.failure(error))?;
        return if is_check(args) { report.checked(context) } else { show_graph(context, args, &images) };
    }
    let built = run(&environment, asked.request, &watcher);
    shown.end();
    asked.plugins.show_log(context);
    let mut built = built.map_err(|error| report.failure(error))?;
    report.warnings();
    if let Some(mode) = wanted {
        provenance::attest(args, &inputs, asked.plugins.frontend()?, mode, environment.now, &names, &mut built)?;
    }
    finish(context, args, &built, &names, &outputs)?;
    if outputs.keep_image() && !args.results.quiet {
        shown.note(&format!("Built {}", built.root.descriptor.digest));
        names.iter().for_each(|name| shown.note(&format!("Tagged {name}")));
    }
    Ok(())
}

/// What is printed of a finished build, and where it goes.
fn finish(context: &Context, args: &Args, built: &Built, names: &[Reference], outputs: &Outputs) -> Result<()> {
    let root = &built.root.descriptor;
    admit(context, Operation::Build, names, &built.content, root, &Select::All)?;
    outputs.write(context, built, names)?;
    caches::export(context, &args.cache.cache_to, built)?;
    if let Some(path) = &args.results.iidfile {
        write_file(path, root.digest.to_string().as_bytes())?;
    }
    if let Some(path) = &args.results.metadata_file {
        write_file(path, &metadata::of(built, names)?)?;
    }
    if args.results.quiet && !outputs.to_stdout() {
        context.print(&root.digest.to_string())?;
    }
    Ok(())
}

fn show_graph(context: &Context, args: &Args, images: &[nacre_plugin::BuildImage]) -> Result<()> {
    match args.wishes.print_graph {
        Some(Graph::Dot) => context.print(&to_dot(images)),
        _ => context.print(&serde_json::to_string_pretty(&to_json(images))?),
    }
}

fn is_graph(args: &Args) -> bool {
    args.wishes.print_graph.is_some()
}

fn is_check(args: &Args) -> bool {
    args.wishes.check || args.wishes.call == Some(Call::Check)
}

fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
