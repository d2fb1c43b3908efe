use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use jiff::tz::TimeZone;
use nacre_oci::{Digest, Reference};
use nacre_plugin::Kv;
use nacre_store::{Action, Applied, Decision, Image, Item, Kept, Plan, Store, Survey};

use crate::{
    admission::Admission,
    context::Context,
    failure::warn,
    output::{
        escape,
        filter::Filters,
        format::{Cell, Columns, Format},
        time,
        units::{size, total_size},
    },
    policy::{self, Policy},
};

/// Remove images that policies decide on; without any, dangling ones
///
/// Several policies, of the command line and of the configuration, decide together: any keep wins.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Everything that nothing uses, not only dangling images
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// until=TIME until-by=created|pulled label=KEY[=VALUE] label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A policy and its options: standard, keep-last, least-recently-used, and what further plugins add
    #[arg(long, value_name = "NAME[,KEY=VALUE…]")]
    policy: Vec<String>,
    /// Only show what would go, and why
    #[arg(long)]
    dry_run: bool,
    /// Write the plan to a file and remove nothing
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    plan: Option<PathBuf>,
    /// Remove exactly what a plan lists, except what has come into use since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "filter", "policy"])]
    apply: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let store = context.store()?;
    let plan = match &args.apply {
        Some(file) => admitted(context, &store, read_plan(file)?)?,
        None => make_plan(context, args, &store)?,
    };
    if args.dry_run || args.plan.is_some() {
        show(context, &plan)?;
        return args.plan.as_deref().map_or(Ok(()), |file| write_plan(file, &plan));
    }
    let does_nothing = plan.items.is_empty() && (plan.blobs, plan.bytes) == (0, 0);
    if args.force || does_nothing || confirmed_plan(&plan)? {
        report(context, &store.apply(&plan)?)?;
    }
    Ok(())
}

fn make_plan(context: &Context, args: &Args, store: &Store) -> Result<Plan> {
    let survey = store.survey()?;
    let verdicts = policy::decide(context, &survey, &policies(context, args)?)?;
    let mut denied = Vec::new();
    let admission = Admission::new(context)?;
    let mut decisions = verdicts.decisions;
    if admission.applies() {
        decisions = decide_again(store, &survey, &admission, decisions, &mut denied);
    }
    let mut plan = survey.plan(&decisions);
    plan.kept.extend(verdicts.kept.into_iter().chain(denied));
    Ok(plan)
}

/// The decisions that no admission rule denies.
fn decide_again(
    store: &Store,
    survey: &Survey,
    admission: &Admission<'_>,
    decisions: Vec<Decision>,
    denied: &mut Vec<Kept>,
) -> Vec<Decision> {
    let images: HashMap<&Digest, &Image> = survey.images().iter().map(|image| (&image.id, image)).collect();
    let (denials, goes): (Vec<_>, Vec<_>) = decisions
        .into_iter()
        .map(|decision| {
            let image = images.get(&decision.image).copied();
            let denial = image.and_then(|image| Some((image, admission.removal(store, image, &image.references)?)));
            (denial.map(|(image, why)| kept(&image.id, &image.references, why)), decision)
        })
        .partition(|(denial, _)| denial.is_some());
    denied.extend(denials.into_iter().filter_map(|(denial, _)| denial));
    goes.into_iter().map(|(_, decision)| decision).collect()
}

/// A plan that was made before, without what an admission rule denies now.
fn admitted(context: &Context, store: &Store, mut plan: Plan) -> Result<Plan> {
    let admission = Admission::new(context)?;
    for item in std::mem::take(&mut plan.items) {
        let denial = match store.image(&item.image)?.filter(|_| admission.applies()) {
            Some(image) => admission.removal(store, &image, &image.references),
            None => None,
        };
        match denial {
            Some(why) => {
                warn(&format!("kept {}: {why}", item.image.short()));
                plan.kept.push(kept(&item.image, &item.names, why));
            }
            None => plan.items.push(item),
        }
    }
    Ok(plan)
}

fn kept(image: &Digest, names: &[Reference], why: String) -> Kept {
    Kept { image: image.clone(), names: names.to_vec(), reason: format!("admission: {why}") }
}

/// The configuration's, the command line's, and Docker's own where `-a` or a filter asks for it or the command line names none.
/// Beside a named policy a filter only narrows what that one chose, dangling or not.
fn policies(context: &Context, args: &Args) -> Result<Vec<Policy>> {
    let named = context.config.prune.policies.iter().chain(&args.policy);
    let mut policies = named.map(|text| Policy::parse(text)).collect::<Result<Vec<_>>>()?;
    if args.all || !args.filter.is_empty() || args.policy.is_empty() {
        let filters = Filters::parse(&args.filter)?;
        filters.only(&["until", "until-by", "label", "label!"])?;
        let zone = TimeZone::system();
        // A plugin does not know the user's time zone.
        let value = |key: &str, value: &str| if key == "until" { time::with_zone(value, &zone) } else { value.to_owned() };
        let mut options: Vec<Kv> = filters.iter().map(|(key, text)| Kv::new(key, value(key, text))).collect();
        options.extend((args.all || !args.policy.is_empty()).then(|| Kv::new("all", "true")));
        policies.push(Policy { name: "standard".into(), options });
    }
    Ok(policies)
}

fn read_plan(file: &Path) -> Result<Plan> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a prune plan", file.display()))
}

fn write_plan(file: &Path, plan: &Plan) -> Result<()> {
    let mut out = nacre_archive::AtomicFile::create(file)?;
    out.write_all(serde_json::to_string_pretty(plan)?.as_bytes())?;
    out.commit()?;
    warn(&format!("wrote the plan: carry it out with 'nacre image prune --apply {}'", file.display()));
    Ok(())
}

fn names(names: &[Reference]) -> String {
    if names.is_empty() { "<none>".into() } else { names.iter().map(Reference::familiar).collect::<Vec<_>>().join(", ") }
}

/// The plan as a table, kept images with their reasons last.
fn show(context: &Context, plan: &Plan) -> Result<()> {
    let columns: &Columns = &[("Action", "ACTION"), ("ID", "IMAGE ID"), ("Names", "NAMES"), ("Policy", "POLICY"), ("Reason", "REASON")];
    let word = |action| if action == Action::Delete { "delete" } else { "untag" };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for item in &plan.items {
        let (id, policy, reason) = (item.image.short(), item.policy.as_str(), item.reason.as_str());
        rows.push(vec![word(item.action).into(), id.into(), names(&item.names).into(), policy.into(), reason.into()]);
    }
    for kept in &plan.kept {
        let (policy, reason) = kept.reason.split_once(": ").unwrap_or(("", &kept.reason));
        rows.push(vec!["keep".into(), kept.image.short().into(), names(&kept.names).into(), policy.into(), reason.into()]);
    }
    if !rows.is_empty() {
        let default = "{{.Action}}\t{{.ID}}\t{{.Names}}\t{{.Policy}}\t{{.Reason}}";
        context.write(&Format::parse("", default, None)?.render(columns, &rows)?)?;
        context.write("\n")?;
    }
    context.print(&format!("Would reclaim {} in {} blobs", size(plan.bytes), plan.blobs))
}

/// Asks, naming what will go.
fn confirmed_plan(plan: &Plan) -> Result<bool> {
    let what = match plan.items.len() {
        0 => "content that no image needs.".to_owned(),
        count => format!("{count} image{} and content that no other image needs:", if count == 1 { "" } else { "s" }),
    };
    let item = |item: &Item| format!("  - {} {}\n", item.image.short(), escape::visible(&names(&item.names)));
    confirmed(&format!("WARNING! This will remove {what}\n{}", plan.items.iter().map(item).collect::<String>()))
}

/// Asks whether to go on, after a text that is safe for a terminal.
pub(crate) fn confirmed(text: &str) -> Result<bool> {
    let mut ask = io::stderr().lock();
    write!(ask, "{text}Are you sure you want to continue? [y/N] ")?;
    ask.flush()?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer)? == 0 {
        writeln!(ask)?;
        bail!("nobody answered: use -f to prune without asking");
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn report(context: &Context, applied: &Applied) -> Result<()> {
    if !applied.untagged.is_empty() || !applied.deleted.is_empty() {
        context.print("Deleted Images:")?;
        applied.untagged.iter().try_for_each(|name| context.print(&format!("untagged: {}", name.familiar())))?;
        applied.deleted.iter().try_for_each(|id| context.print(&format!("deleted: {id}")))?;
        context.write("\n")?;
    }
    for skipped in &applied.skipped {
        warn(&format!("kept {}: {}", skipped.image.short(), skipped.reason));
    }
    context.print(&format!("Total reclaimed space: {}", total_size(applied.reclaimed)))
}
