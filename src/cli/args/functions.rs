//! `fn`, with the arguments and flags of `kpt fn`. Of a flag that is given twice the last counts, as in kpt. A flag
//! that is on or off may be followed by `=true` or `=false`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, Subcommand, ValueEnum};

use crate::domain::krm::duration;
use crate::domain::krm::quantity::Quantity;

/// What short names of images are looked for behind.
const PREFIX: &str = crate::domain::package::functions::PREFIX;

/// `fn`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Function {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: FunctionVerb,
    /// How long kpt may keep lines of its log, of which there are none here
    #[arg(long, global = true, hide = true, value_parser = time, value_name = "DURATION")]
    pub(crate) log_flush_frequency: Option<Duration>,
}

/// What `fn` does.
#[derive(Debug, Subcommand)]
pub(crate) enum FunctionVerb {
    /// List the functions that run without a container
    List,
    /// Tell what a function takes and does, with an example
    Doc(FnDoc),
    /// Run a package's pipeline and write the result to the package, or where -o says
    Render(FnRender),
    /// Run one function on the resources of a folder, or on those of the standard input
    Eval(Box<FnEval>),
    /// Write the resources of a folder to the standard output, for `fn eval -`
    Source(FnSource),
    /// Write the resources of the standard input to a new folder
    Sink(FnSink),
    /// Serve the functions that are built in over gRPC, as Porch's function runner does
    Serve(FnServe),
}

/// `fn doc`.
#[derive(Debug, Args)]
pub(crate) struct FnDoc {
    /// Name or image of the function
    #[arg(value_name = "NAME", conflicts_with = "image")]
    pub(crate) name: Option<String>,
    /// The same, as `kpt fn doc` takes it
    #[arg(short, long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// What may stand in front of a name
    #[arg(long, env = "KPT_IMAGE_PREFIX", default_value = PREFIX, value_name = "PREFIX")]
    pub(crate) image_prefix: String,
}

/// `fn serve`.
#[derive(Debug, Args)]
pub(crate) struct FnServe {
    /// Where to listen; whoever reaches it may use it, and nothing is encrypted
    #[arg(long, default_value = "127.0.0.1:9445", value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
}

/// Flags of functions that are not built in.
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// What short names of images are looked for behind
    #[arg(long, env = "KPT_IMAGE_PREFIX", default_value = PREFIX, value_name = "PREFIX")]
    pub(crate) image_prefix: String,
    /// When images are fetched
    #[arg(long, value_enum, ignore_case = true, default_value_t = PullPolicy::IfNotPresent, value_name = "POLICY")]
    pub(crate) image_pull_policy: PullPolicy,
    /// Run functions as WASM modules, which see nothing but the resources: files that end with .wasm, and images of
    /// registries as `kpt alpha wasm push` makes them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) allow_alpha_wasm: bool,
    /// Ask this function runner (gRPC, as Porch's and `fn serve`) for images that are not built in
    #[arg(long, env = "LOGGIA_FUNCTION_RUNNER", value_name = "HOST:PORT")]
    pub(crate) function_runner: Option<String>,
    /// Run only images of this registry, path or name; may be given several times [default: any]
    #[arg(long, value_name = "PREFIX")]
    pub(crate) allow_image: Vec<String>,
    /// Run only images that are given by their digest
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) require_image_digests: bool,
    /// What one function may use.
    #[command(flatten)]
    pub(crate) limits: FnLimits,
}

/// What one function may use that is not built in.
#[derive(Debug, Args)]
pub(crate) struct FnLimits {
    /// Longest time of a function that is not built in
    #[arg(id = "function-timeout", long = "function-timeout", default_value = "5m", value_parser = function_time, value_name = "DURATION")]
    pub(crate) time: Duration,
    /// Most memory of a container, of each process of a program, or of a WASM module, such as 1Gi; 0 for what the
    /// system gives [default: 2Gi, of a WASM module 512Mi]
    #[arg(id = "function-memory", long = "function-memory", value_parser = memory, value_name = "SIZE")]
    pub(crate) memory: Option<u64>,
    /// Most that a function may answer which is not built in
    #[arg(id = "function-output", long = "function-output", default_value = "64Mi", value_parser = output, value_name = "SIZE")]
    pub(crate) output: u64,
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let nanos = duration::parse(text).and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
    nanos.map(Duration::from_nanos).ok_or_else(|| "write it as 30s, 5m or 1h30m".to_owned())
}

fn function_time(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(1)..=Duration::from_hours(24);
    let told = |_| "write it as 30s, 5m or 1h30m, from 1ms to 24h".to_owned();
    time(text).and_then(|time| if range.contains(&time) { Ok(time) } else { Err(String::new()) }).map_err(told)
}

/// With less no program starts, which would be told as its own failure.
fn memory(text: &str) -> Result<u64, String> {
    let told = || "it may be from 16Mi to 16Ti, or 0 for no limit".to_owned();
    size(text).filter(|bytes| *bytes == 0 || (16 << 20..=16 << 40).contains(bytes)).ok_or_else(told)
}

fn output(text: &str) -> Result<u64, String> {
    size(text).filter(|bytes| (1 << 10..=4 << 30).contains(bytes)).ok_or_else(|| "it may be from 1Ki to 4Gi".to_owned())
}

/// Whole bytes.
fn size(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<Quantity>().ok()?.nanos() / 1_000_000_000).ok()
}

/// How what functions say is shown.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// Cut what functions say to a few lines
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) truncate_output: bool,
}

/// Flags of what renders without being `fn`: without them, only what is built in is run.
#[derive(Debug, Args)]
pub(crate) struct NotBuiltIn {
    /// Run programs: those that a pipeline names with `exec`, and helm and kustomize
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) allow_exec: bool,
    /// Run images in containers
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) allow_containers: bool,
    /// Let functions in containers, helm and kustomize use the network
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) allow_network: bool,
    /// How images are run.
    #[command(flatten)]
    pub(crate) images: Images,
}

impl NotBuiltIn {
    /// Whether anything is run that is not built in.
    pub(crate) const fn is_any(&self) -> bool {
        self.allow_exec || self.runs_images()
    }

    /// Whether anything runs images.
    pub(crate) const fn runs_images(&self) -> bool {
        let Images { allow_alpha_wasm, function_runner, .. } = &self.images;
        self.allow_containers || *allow_alpha_wasm || function_runner.is_some()
    }
}

/// When images are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub(crate) enum PullPolicy {
    /// Before every run.
    Always,
    /// When it is not there.
    IfNotPresent,
    /// Never.
    Never,
}

/// `fn render`; `-o` names `stdout` (a `ResourceList`), `unwrap` (plain YAML) or a new folder.
#[derive(Debug, Args)]
pub(crate) struct FnRender {
    /// The package
    #[arg(default_value = ".", value_name = "PKG_PATH")]
    pub(crate) path: PathBuf,
    /// Run the programs that a pipeline names with `exec`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) allow_exec: bool,
    /// Let functions in containers use the network
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) allow_network: bool,
    /// Folder for the file results.yaml with what all functions said
    #[arg(long, value_name = "DIR")]
    pub(crate) results_dir: Option<PathBuf>,
    /// Write what each function said into status.renderStatus of the Kptfile, too; kpt up to 1.0.0-beta.56 reads no
    /// such Kptfile
    #[arg(long, env = "LOGGIA_RENDER_STATUS", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) render_status: bool,
    /// How what functions say is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// How images are run.
    #[command(flatten)]
    pub(crate) images: Images,
}

/// `fn eval`; `-o` names `stdout` (a `ResourceList`), `unwrap` (plain YAML) or a new folder.
#[derive(Debug, Args)]
pub(crate) struct FnEval {
    /// A folder, a file of resources, or - for the standard input
    #[arg(default_value = ".", value_name = "DIR|FILE|-")]
    pub(crate) path: PathBuf,
    /// The function: its image
    #[arg(short, long, value_name = "IMAGE", conflicts_with = "exec", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) image: Option<String>,
    /// The function: a program with its arguments
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) exec: Option<String>,
    /// A version, or a range of versions, in the place of the image's
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// File with the function's configuration
    #[arg(long, value_name = "FILE", conflicts_with = "arguments")]
    pub(crate) fn_config: Option<PathBuf>,
    /// Put the function into the Kptfile's pipeline too
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) save: bool,
    /// What kind of function it is; --save needs it
    #[arg(short = 't', long = "type", value_enum, value_name = "TYPE", required_if_eq("save", "true"))]
    pub(crate) kind: Option<FnType>,
    /// Folder for the file results.yaml with what the function said
    #[arg(long, value_name = "DIR")]
    pub(crate) results_dir: Option<PathBuf>,
    /// How what functions say is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// Let a function in a container use the network
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) network: bool,
    /// What of this machine a function in a container sees, as type=bind,source=...,target=...
    #[arg(long, value_name = "MOUNT")]
    pub(crate) mount: Vec<String>,
    /// Environment of a function in a container, as KEY=value, or KEY for the present value
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Run a function in a container as the present user
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) as_current_user: bool,
    /// Words that a function is found by, for completion in kpt's shell
    #[arg(short, long, hide = true, value_name = "WORD")]
    pub(crate) keywords: Vec<String>,
    /// Resources of packages themselves are always included
    #[arg(short = 'm', long, hide = true, action = ArgAction::Count)]
    pub(crate) include_meta_resources: u8,
    /// Which resources.
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// How images are run.
    #[command(flatten)]
    pub(crate) images: Images,
    /// Configuration: values of a `ConfigMap`; a first word without = is the kind to use instead
    #[arg(last = true, value_name = "KEY=VALUE")]
    pub(crate) arguments: Vec<String>,
}

/// What kind of function one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FnType {
    /// It changes resources.
    Mutator,
    /// It judges them.
    Validator,
}

/// Which resources a function is given.
#[derive(Debug, Clone, Args)]
pub(crate) struct Chosen {
    /// Only resources of this API version
    #[arg(long, value_name = "VERSION")]
    pub(crate) match_api_version: Option<String>,
    /// Only resources of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) match_kind: Option<String>,
    /// Only resources of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) match_name: Option<String>,
    /// Only resources of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) match_namespace: Option<String>,
    /// Only resources with this annotation
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) match_annotations: Vec<String>,
    /// Only resources with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) match_labels: Vec<String>,
    /// No resources of this API version
    #[arg(long, value_name = "VERSION")]
    pub(crate) exclude_api_version: Option<String>,
    /// No resources of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) exclude_kind: Option<String>,
    /// No resources of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) exclude_name: Option<String>,
    /// No resources of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) exclude_namespace: Option<String>,
    /// No resources with this annotation
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) exclude_annotations: Vec<String>,
    /// No resources with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) exclude_labels: Vec<String>,
}

/// `fn source`; `-o` names `stdout` (a `ResourceList`) or `unwrap` (plain YAML).
#[derive(Debug, Args)]
pub(crate) struct FnSource {
    /// The folder, or a file of resources
    #[arg(default_value = ".", value_name = "DIR|FILE")]
    pub(crate) path: PathBuf,
    /// File with a function's configuration, to go along
    #[arg(long, value_name = "FILE")]
    pub(crate) fn_config: Option<PathBuf>,
    /// Resources of packages themselves are always included
    #[arg(long, hide = true)]
    pub(crate) include_meta_resources: bool,
}

/// `fn sink`.
#[derive(Debug, Args)]
pub(crate) struct FnSink {
    /// The folder; it may not be there yet
    #[arg(value_name = "DIR")]
    pub(crate) path: PathBuf,
}
