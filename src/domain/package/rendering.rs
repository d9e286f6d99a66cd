//! A rendering on its way: a value that runs one function after the other. At a function that is not built in it waits,
//! says what is to be run on what, and goes on with the answer; who runs it, and how, is not known here.

use super::Problem;
use super::absorb::absorb;
use super::external::{Answer, Failure, Program, Request};
use super::functions::{Call, Catalog, FunctionError, FunctionResult, Native, PREFIX, Version};
use super::handed::{items, list, unidentified};
use super::ignore::Ignored;
use super::kptfile::{self, Function, Kptfile};
use super::layout::Layout;
use super::parts::Parts;
use super::planned::{self, Planned, pipeline};
use super::render::{RenderError, Rendered, applied};
use super::resources::{Place, Resources};
use super::wire;
use crate::domain::id::Digest;
use crate::domain::source::FileTree;

/// What a rendering did, or needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// A built-in function was run.
    Ran,
    /// A function that is not built in is to be run; see [`Rendering::resume`].
    Waits(Request),
    /// No function is left.
    Done,
}

/// A function that was run, or was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The function.
    pub about: About,
    /// What it said.
    pub results: Vec<FunctionResult>,
    /// Its standard error, when it is a program.
    pub stderr: String,
    /// 0, or what a program ended with; 1 for a function that failed in another way.
    pub exit_code: i32,
    /// Why it failed without having been run to its end.
    pub error: Option<String>,
}

/// Which function of which package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Directory of the package; empty for the root.
    pub directory: String,
    /// Whether it only judges.
    pub validator: bool,
    /// Its own name in the pipeline.
    pub name: Option<String>,
    /// What it is.
    pub program: Program,
    /// How many resources it was given, when it asked for some of them.
    pub selected: Option<usize>,
}

/// One function on a folder of resources, without a pipeline.
#[derive(Debug, Clone, Default)]
pub struct Single {
    /// The function; its `configMap` and `configPath` are not looked at.
    pub function: Function,
    /// Where its configuration comes from, for people, and its YAML.
    pub config: Option<(String, String)>,
}

impl Single {
    /// Whether the configuration is one resource, as kpt asks of what it reads from a file.
    ///
    /// # Errors
    /// [`RenderError::Problems`] naming the file.
    pub fn check(&self) -> Result<(), RenderError> {
        let Some((name, text)) = &self.config else { return Ok(()) };
        let parts = Parts::read(text.as_bytes()).map_err(|error| one(Problem::unreadable(name, &error)))?;
        planned::one_resource(name, parts.len(), &parts.value(0)).map_err(|problem| one(*problem))
    }
}

/// A package whose pipeline runs. Cloning it is a way back.
#[derive(Debug, Clone)]
pub struct Rendering {
    input: FileTree,
    resources: Resources,
    planned: Vec<Planned>,
    next: usize,
    runs: Vec<Run>,
    packages: usize,
    saves_on_failure: bool,
    prefix: String,
    catalog: Catalog,
    /// Whether this is one function on a folder. What a pipeline made is judged when it has run.
    is_single: bool,
    /// What the answers of functions that are not built in were.
    answers: Vec<String>,
}

fn one(problem: Problem) -> RenderError {
    RenderError::Problems { problems: vec![problem] }
}

impl Rendering {
    /// Reads a package and its subpackages; nothing has been run then.
    ///
    /// # Errors
    /// [`RenderError::Problems`], all of them.
    pub fn start(tree: &FileTree, catalog: Catalog) -> Result<Self, RenderError> {
        let ignored = Ignored::read(tree);
        let layout = Layout::read(tree)?;
        let resources = Resources::read(tree, &ignored).map_err(|problems| RenderError::Problems { problems })?;
        let (rendering, problems) = Self::of(tree, &layout, resources, catalog);
        if problems.is_empty() { Ok(rendering) } else { Err(RenderError::Problems { problems }) }
    }

    /// Reads what can be read of a package and its subpackages, and says what is wrong with the rest. A function that
    /// fails then leaves no trace.
    pub(super) fn survey(tree: &FileTree, catalog: Catalog) -> (Self, Vec<Problem>) {
        let ignored = Ignored::read(tree);
        let (layout, mut problems) = Layout::survey(tree);
        let (resources, unreadable) = Resources::survey(tree, &ignored);
        problems.extend(unreadable);
        let (rendering, limits) = Self::of(tree, &layout, resources, catalog);
        problems.extend(limits);
        (Self { saves_on_failure: true, ..rendering }, problems)
    }

    fn of(tree: &FileTree, layout: &Layout, mut resources: Resources, catalog: Catalog) -> (Self, Vec<Problem>) {
        resources.set_packages(layout.inner_first().into_iter().map(|package| package.directory.clone()).collect());
        let is_breadth_first = layout.root().is_some_and(Kptfile::is_breadth_first);
        let order = if is_breadth_first { layout.by_level() } else { layout.inner_first() };
        let (mut planned, mut problems) = (Vec::new(), Vec::new());
        for package in order {
            match pipeline(package) {
                Ok(functions) => planned.extend(functions),
                Err(problem) => problems.push(problem),
            }
        }
        let rendering = Self {
            input: tree.clone(),
            resources,
            planned,
            next: 0,
            runs: Vec::new(),
            packages: layout.len(),
            saves_on_failure: layout.root().is_some_and(Kptfile::saves_on_failure),
            prefix: PREFIX.to_owned(),
            catalog,
            is_single: false,
            answers: Vec::new(),
        };
        (rendering, problems)
    }

    /// Goes on behind the next function as if it were not there.
    pub(super) fn skip(&mut self) {
        self.planned.remove(self.next);
        self.runs.truncate(self.next);
    }

    /// The resources as they are now.
    pub(super) const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Reads a folder of resources for one function; a Kptfile is a resource among others.
    ///
    /// # Errors
    /// [`RenderError::Problems`], all of them.
    pub fn single(tree: &FileTree, single: Single, catalog: Catalog) -> Result<Self, RenderError> {
        let read = Resources::read(tree, &Ignored::of_folder(tree));
        let mut resources = read.map_err(|problems| RenderError::Problems { problems })?;
        let (name, text) = single.config.unzip();
        if let (Some(name), Some(text)) = (&name, text) {
            let unreadable = |error| one(Problem::unreadable(name, &error));
            resources.put_aside(&beside(tree, name, &single.function), &text).map_err(unreadable)?;
        }
        let aside = name.map(|name| beside(tree, &name, &single.function));
        let planned = Planned {
            directory: String::new(),
            file: aside.clone().unwrap_or_else(|| "the command line".to_owned()),
            validator: false,
            index: 0,
            function: Function { line: 1, ..single.function },
            aside,
        };
        Ok(Self {
            input: tree.clone(),
            resources,
            planned: vec![planned],
            next: 0,
            runs: Vec::new(),
            packages: 1,
            saves_on_failure: false,
            prefix: PREFIX.to_owned(),
            catalog,
            is_single: true,
            answers: Vec::new(),
        })
    }

    /// Short names of images are looked for behind this registry and path instead of [`PREFIX`].
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// How many packages there are.
    #[must_use]
    pub const fn packages(&self) -> usize {
        self.packages
    }

    /// Whether the package asks to keep what was done before a function failed.
    #[must_use]
    pub const fn saves_on_failure(&self) -> bool {
        self.saves_on_failure
    }

    /// The functions that were run, in order; one that failed is the last.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The function whose turn it is.
    #[must_use]
    pub fn upcoming(&self) -> Option<About> {
        self.planned.get(self.next).map(|planned| self.about(planned))
    }

    fn about(&self, planned: &Planned) -> About {
        let function = &planned.function;
        let some = !(function.selectors.is_empty() && function.exclude.is_empty());
        About {
            directory: planned.directory.clone(),
            validator: planned.validator,
            name: function.name.clone(),
            program: planned.program(&self.prefix),
            selected: some.then(|| planned.places(&self.resources).len()),
        }
    }

    /// Runs the next function when it is built in; otherwise says what is to be run.
    ///
    /// # Errors
    /// [`RenderError`]; what was done by earlier functions is still in [`Rendering::tree`].
    pub fn step(&mut self) -> Result<Turn, RenderError> {
        let Some(planned) = self.planned.get(self.next).cloned() else { return Ok(Turn::Done) };
        self.resources.enter(&planned.directory);
        let turn = match planned.native(self.catalog) {
            Some((native, version)) => self.run_native(&planned, native, version).map(|()| Turn::Ran),
            // A range is resolved among the published tags of what is built in, and by nobody else.
            None if planned.has_no_version(self.catalog) => Err(planned.refusal(self.catalog)),
            None => self.request(&planned).map(Turn::Waits),
        };
        if let Err(error) = &turn
            && self.runs.len() == self.next
        {
            let about = self.about(&planned);
            let (results, stderr) = (Vec::new(), String::new());
            self.runs.push(Run { about, results, stderr, exit_code: 1, error: Some(error.to_string()) });
        }
        turn
    }

    fn run_native(&mut self, planned: &Planned, native: &Native, version: Version) -> Result<(), RenderError> {
        let config = planned.config(&self.resources)?;
        let about = self.about(planned);
        let places = planned.places(&self.resources);
        if self.is_single {
            self.identified(&places)?;
        }
        // Validators see copies; what a failed function did in part is not kept either.
        let copied = planned.validator || self.saves_on_failure;
        let mut copy = if copied { self.resources.clone() } else { std::mem::take(&mut self.resources) };
        let mut call = Call::new(&mut copy, &planned.directory, places, config, version);
        let outcome = native.call(&mut call);
        let (mut results, stderr) = (std::mem::take(&mut call.results), std::mem::take(&mut call.stderr));
        if !copied || (outcome.is_ok() && !planned.validator) {
            self.resources = copy;
        }
        let error = outcome.as_ref().err().map(ToString::to_string);
        if let Some(message) = error.clone().filter(|_| results.iter().all(|result| result.severity != "error")) {
            results.push(FunctionResult::error(message));
        }
        let exit_code = i32::from(error.is_some());
        self.runs.push(Run { about, results, stderr, exit_code, error });
        outcome.map_err(|source| planned.failed(source))?;
        self.next += 1;
        Ok(())
    }

    fn request(&self, planned: &Planned) -> Result<Request, RenderError> {
        let places = planned.places(&self.resources);
        self.identified(&places)?;
        let items = items(&self.resources, &places).map_err(|(place, source)| {
            planned.failed(FunctionError::Edit { origin: format!("{}:1", place.file), source })
        })?;
        let config = planned.config_text(&self.resources, self.is_single)?;
        let list = wire::write(&items, config.as_deref());
        Ok(Request { program: planned.program(&self.prefix), list, files: self.tree().below(&planned.directory) })
    }

    /// Goes on with what the function that was waited for answered.
    ///
    /// # Errors
    /// [`RenderError::Function`] when it failed, or answered what may not be answered.
    pub fn resume(&mut self, answer: Result<Answer, Failure>) -> Result<(), RenderError> {
        let Some(planned) = self.planned.get(self.next).cloned() else { return Ok(()) };
        let about = self.about(&planned);
        let mut run = Run { about, results: Vec::new(), stderr: String::new(), exit_code: 0, error: None };
        let outcome = match answer {
            Ok(answer) => {
                run.stderr.clone_from(&answer.stderr);
                self.take_back(&planned, &answer, &mut run)
            }
            Err(failure) => {
                run.stderr.clone_from(&failure.stderr);
                run.results = wire::read_answer(&failure.list).map(|list| list.results).unwrap_or_default();
                run.exit_code = failure.exit_code.unwrap_or(1);
                Err(failure)
            }
        };
        if let Err(failure) = &outcome {
            run.exit_code = run.exit_code.max(1);
            run.error = failure.exit_code.is_none().then(|| failure.to_string());
        }
        self.runs.push(run);
        outcome.map_err(|failure| planned.failed(FunctionError::External(failure)))?;
        self.next += 1;
        Ok(())
    }

    fn take_back(&mut self, planned: &Planned, answer: &Answer, run: &mut Run) -> Result<(), Failure> {
        let invalid = |message: String| Failure {
            stderr: answer.stderr.clone(),
            ..Failure::new("fn.output_invalid", format!("its output cannot be used: {message}"))
        };
        let list = wire::read_answer(&answer.list).map_err(invalid)?;
        run.results = list.results;
        let Answer { list: answered, by, .. } = answer;
        self.answers.push(format!("{} {by} {}", run.about.program, Digest::of(answered)));
        if planned.validator {
            return Ok(());
        }
        let places = planned.places(&self.resources);
        let mut resources = self.resources.clone();
        absorb(&mut resources, &places, list.items, &planned.directory).map_err(invalid)?;
        self.resources = resources;
        Ok(())
    }

    /// Why a function that is not built in is not run, where nothing runs such functions.
    #[must_use]
    pub fn refusal(&self) -> RenderError {
        self.planned.get(self.next).map_or_else(
            || one(Problem::new("fn.unknown", kptfile::FILE, 1, "no function is left")),
            |planned| planned.refusal(self.catalog),
        )
    }

    /// The package as the functions left it so far; what none of them changed is the same bytes.
    #[must_use]
    pub fn tree(&self) -> FileTree {
        self.resources.written(&self.input)
    }

    /// The resources as they are now, as a `ResourceList` with the paths of their files.
    ///
    /// # Errors
    /// [`RenderError::Problems`] for a resource that cannot be annotated.
    pub fn list(&self) -> Result<String, RenderError> {
        list(&self.resources)
    }

    /// Whether every resource is one: with an apiVersion, a kind and a name, as kpt asks of what it writes. Whether the
    /// result can be applied is for [`Rendering::finish`].
    ///
    /// # Errors
    /// [`RenderError::Problems`], all of them.
    pub fn check(&self) -> Result<(), RenderError> {
        self.identified(&self.resources.all())
    }

    fn identified(&self, places: &[Place]) -> Result<(), RenderError> {
        let mut charts = self.resources.charts().clone();
        let wrong = |place| unidentified(&self.resources, place);
        let problems: Vec<Problem> =
            places.iter().filter_map(wrong).filter_map(|problem| charts.told(problem)).collect();
        if problems.is_empty() { Ok(()) } else { Err(RenderError::Problems { problems }) }
    }

    /// Ends a rendering whose functions were all run.
    ///
    /// # Errors
    /// [`RenderError::Problems`] when the result cannot be applied.
    pub fn finish(self) -> Result<Rendered, RenderError> {
        let objects = applied(&self.resources)?;
        let digest = match self.answers.as_slice() {
            [] => digest(&self.input),
            answers => Digest::of(format!("{}\n{}", digest(&self.input), answers.join("\n")).as_bytes()),
        };
        let tree = self.resources.written(&self.input);
        let results = self.runs.into_iter().flat_map(|run| run.results).collect();
        Ok(Rendered { tree, objects, results, digest })
    }
}

/// Digest of all that decides how a package renders with built-in functions: its files, in which the inputs are, and
/// the version of the functions.
#[must_use]
pub fn digest(tree: &FileTree) -> Digest {
    Digest::of(format!("{} {}", tree.digest(), Catalog::VERSION).as_bytes())
}

/// The name of what configures one function on a folder: never that of another file in the folder.
fn beside(tree: &FileTree, name: &str, function: &Function) -> String {
    let is_another = tree.get(name).is_some() && function.config_path.as_deref() != Some(name);
    if is_another { format!("./{name}") } else { name.to_owned() }
}
