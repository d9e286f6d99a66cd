//! `fn eval`: one function on the resources of a folder or of the standard input.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::super::super::args::{Chosen, FnEval, FnType, Global};
use super::super::super::output::note;
use super::super::super::{Done, files as disk, session};
use super::render::elsewhere;
use super::run::{Teller, containers, drive, generators, others, stopped};
use super::{folder, pipe};
use crate::app::functions::{Containers, Ending, LocalRunner, runner};
use crate::domain::krm::document::to_yaml;
use crate::domain::package::functions::resolved;
use crate::domain::package::kptfile::{FILE, Function, Selector};
use crate::domain::package::rendering::Single;
use crate::domain::package::report::{result_list, with_function};
use crate::domain::package::transfer::files;
use crate::domain::package::{Catalog, Rendering};
use crate::domain::source::FileTree;

pub(crate) fn eval(global: &Global, args: &FnEval) -> anyhow::Result<Done> {
    check(args)?;
    let from_stdin = args.path.as_os_str() == "-";
    let place = global.output.word().or_else(|| from_stdin.then_some("stdout"));
    if let Some(folder) = place.filter(|place| !matches!(*place, "stdout" | "unwrap")) {
        folder::absent(Path::new(folder))?;
    }
    let (root, tree) =
        if from_stdin { (args.path.clone(), files(&pipe::input()?)?) } else { disk::read_resources(&args.path)? };
    let single = single(args, (!from_stdin).then_some(root.as_path()))?;
    single.check()?;
    let read = Rendering::single(&tree, single.clone(), Catalog);
    let mut rendering = read?.with_prefix(&args.images.image_prefix);
    let ending = Ending::default();
    session::end_with(&ending)?;
    let runner = runner(LocalRunner {
        ending: ending.clone(),
        programs: true,
        containers: Some(images(args)),
        generators: Some(generators(args.network)),
        ..others(global, &args.images)
    });
    let teller = Teller { package: None, quiet: global.quiet, truncate: args.shown.truncate_output };
    let outcome = drive(&mut rendering, runner.as_ref(), &teller);
    let _hold = ending.hold();
    if let Some(signal) = ending.told() {
        return Ok(stopped(signal));
    }
    if let Some(dir) = &args.results_dir {
        let path = folder::results(dir, &result_list(rendering.runs()))?;
        note(&format!("For complete results, see \"{}\"", path.display()));
    }
    match outcome {
        // What a function says when it fails was told when it did.
        Err(_) if rendering.runs().last().is_some_and(|run| run.failed() && !run.results.is_empty()) => {
            return Ok(Done::Problems);
        }
        outcome => outcome?,
    }
    let saving = Saving { args, root: &root, function: &single.function };
    match place {
        // The pipeline is that of the package, wherever the result goes.
        Some(place) => elsewhere(place, &rendering).and_then(|_| saving.write(&tree, &tree))?,
        None => saving.write(&tree, &rendering.tree())?,
    }
    Ok(Done::Fine)
}

/// What no parser can tell.
fn check(args: &FnEval) -> anyhow::Result<()> {
    if args.image.is_none() && args.exec.is_none() {
        bail!(
            "which function? Name it with --image IMAGE (`loggia fn list` has those that are built in), or --exec COMMAND"
        );
    }
    if args.include_meta_resources > 0 {
        bail!("--include-meta-resources means nothing any more: resources of packages themselves are always included");
    }
    let for_images = args.network || args.as_current_user || !args.mount.is_empty() || !args.env.is_empty();
    if args.exec.is_some() && for_images {
        bail!("--mount, --as-current-user, --network and --env are for functions in containers, not for --exec");
    }
    if args.save && args.path.as_os_str() == "-" {
        bail!("--save needs a package; the standard input is none");
    }
    Ok(())
}

fn images(args: &FnEval) -> Containers {
    Containers {
        mounts: args.mount.clone(),
        env: args.env.clone(),
        as_current_user: args.as_current_user,
        ..containers(&args.images, args.network)
    }
}

fn single(args: &FnEval, folder: Option<&Path>) -> anyhow::Result<Single> {
    let mut function = Function {
        image: args.image.clone().unwrap_or_default(),
        tag: args.tag.clone(),
        exec: args.exec.clone(),
        ..Function::default()
    };
    (function.selectors, function.exclude) = selectors(&args.chosen)?;
    let mut config = None;
    if let Some(path) = &args.fn_config {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration {name}"))?;
        function.config_path = folder.and_then(|folder| below(folder, path));
        if args.save && function.config_path.is_none() {
            bail!("{name} is not in {}: a Kptfile can only refer to a file of its package", args.path.display());
        }
        config = Some((name, text));
    } else if !args.arguments.is_empty() {
        let (kind, data) = data(&args.arguments)?;
        let map = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "function-input"}, "data": data});
        config = Some(("the arguments".to_owned(), to_yaml(&map)));
        function.config_map = data;
    }
    Ok(Single { function, config })
}

/// A file's path from a folder that it is in.
fn below(folder: &Path, file: &Path) -> Option<String> {
    let (folder, file) = (folder.canonicalize().ok()?, file.canonicalize().ok()?);
    Some(file.strip_prefix(folder).ok()?.to_str()?.to_owned())
}

/// Arguments as the data of a `ConfigMap`; the first may be another kind.
fn data(arguments: &[String]) -> anyhow::Result<(String, BTreeMap<String, String>)> {
    let mut kind = "ConfigMap".to_owned();
    let mut data = BTreeMap::new();
    for (index, argument) in arguments.iter().enumerate() {
        match argument.split_once('=') {
            Some((key, value)) => drop(data.insert(key.to_owned(), value.to_owned())),
            None if index == 0 => kind.clone_from(argument),
            None => bail!("the argument {argument:?} is not KEY=VALUE"),
        }
    }
    Ok((kind, data))
}

fn selectors(chosen: &Chosen) -> anyhow::Result<(Vec<Selector>, Vec<Selector>)> {
    let Chosen { match_api_version, match_kind, match_name, match_namespace, .. } = chosen;
    let matching = [match_api_version, match_kind, match_name, match_namespace];
    let Chosen { exclude_api_version, exclude_kind, exclude_name, exclude_namespace, .. } = chosen;
    let exclude = [exclude_api_version, exclude_kind, exclude_name, exclude_namespace];
    Ok((
        selector(matching, &chosen.match_labels, &chosen.match_annotations)?,
        selector(exclude, &chosen.exclude_labels, &chosen.exclude_annotations)?,
    ))
}

/// A selector when anything is asked for.
fn selector(
    [api_version, kind, name, namespace]: [&Option<String>; 4],
    labels: &[String],
    annotations: &[String],
) -> anyhow::Result<Vec<Selector>> {
    let selector = Selector {
        api_version: api_version.clone(),
        kind: kind.clone(),
        name: name.clone(),
        namespace: namespace.clone(),
        labels: pairs(labels)?,
        annotations: pairs(annotations)?,
    };
    Ok(if selector == Selector::default() { Vec::new() } else { vec![selector] })
}

fn pairs(texts: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').with_context(|| format!("{text:?} is not KEY=VALUE"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}

/// Where the function may be kept.
struct Saving<'a> {
    args: &'a FnEval,
    root: &'a Path,
    function: &'a Function,
}

impl Saving<'_> {
    /// Writes the folder, with the function in its Kptfile when that is asked for.
    fn write(&self, old: &FileTree, new: &FileTree) -> anyhow::Result<()> {
        let Self { args, root, function } = self;
        if !args.save || new.get(FILE).is_none() {
            if args.save {
                note(&format!("function not added: there is no {FILE} in {}", root.display()));
            }
            return disk::replace(root, old, new);
        }
        let validator = args.kind == Some(FnType::Validator);
        let (new, replaced) = with_function(new, function, validator, &args.images.image_prefix)?;
        disk::replace(root, old, &new)?;
        let verb = if replaced { "Updated" } else { "Added" };
        let image = || resolved(&function.image, None, &args.images.image_prefix);
        let name = function.exec.clone().unwrap_or_else(image);
        note(&format!("{verb} {name:?} as {} in the Kptfile.", if validator { "validator" } else { "mutator" }));
        Ok(())
    }
}
