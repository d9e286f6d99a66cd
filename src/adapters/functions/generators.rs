//! Charts by `helm`, overlays by `kustomize` or `kubectl`: programs that are on the `PATH`, without the network unless
//! that is allowed, and without anything of the user's own configuration unless they fetch something.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Ending;
use super::container::is_program;
use super::process::{self, Limits};
use crate::adapters::family::Rest;
use crate::adapters::scratch::Scratch;
use crate::domain::host;
use crate::domain::package::external::{Answer, Failure, Request};
use crate::domain::package::functions::short_name;
use crate::domain::package::generate::{Chart, Generator};
use crate::domain::source::{FileMode, FileTree};

/// How charts and overlays are rendered.
#[derive(Debug, Clone, Default)]
pub struct Generators {
    /// Where programs are looked for: a `PATH`.
    pub path: OsString,
    /// Whether charts may be fetched, and bases of overlays.
    pub network: bool,
}

/// A proxy that nobody listens at.
const NOWHERE: &str = "http://127.0.0.1:9";

impl Generators {
    /// Runs one of the two functions; `None` when the image is another one, or charts are left to a container because
    /// there is no `helm`.
    pub(super) fn run(
        &self,
        image: &str,
        request: &Request,
        limits: &Limits,
        ending: &Ending,
    ) -> Option<Result<Answer, Failure>> {
        let generator = match Generator::of(image, request)? {
            Ok(generator) => generator,
            Err(failure) => return Some(Err(failure)),
        };
        match (&generator, self.program(&generator)) {
            (_, Some(program)) => {
                let _hold = ending.hold();
                Some(self.generate(&generator, &program, request, (limits, ending)))
            }
            (Generator::Helm(_), None) if self.has_engine() => None,
            (_, None) => {
                let names = names(&generator).join(" or ");
                let message = format!("{} needs {names}, which is not on the PATH: install it", short_name(image));
                Some(Err(Failure::new("fn.no_runner", message)))
            }
        }
    }

    fn has_engine(&self) -> bool {
        ["docker", "podman", "nerdctl"].iter().any(|engine| self.find(engine).is_some())
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path).map(|folder| folder.join(name)).find(|path| is_program(path))
    }

    fn program(&self, generator: &Generator) -> Option<PathBuf> {
        names(generator).iter().find_map(|name| self.find(name))
    }

    fn generate(
        &self,
        generator: &Generator,
        program: &Path,
        request: &Request,
        (limits, ending): (&Limits, &Ending),
    ) -> Result<Answer, Failure> {
        let work = Work { generators: self, program, limits, ending, folder: Folder::new(&request.files)? };
        let version = work.version()?;
        let mut remarks = Vec::new();
        let mut outputs = Vec::new();
        match generator {
            Generator::Kustomize { directory } => {
                let directory = if directory.is_empty() { "." } else { directory };
                outputs.push(work.call(&[work.verb(), directory].map(str::to_owned))?);
                remarks.push(format!("built {directory} by {version}"));
            }
            Generator::Helm(charts) => {
                for chart in charts {
                    outputs.push(work.chart(chart, &request.files)?);
                    remarks.push(format!("rendered the chart {} by {version}", chart.name));
                }
            }
        }
        let stderr = outputs.iter().map(|answer| answer.stderr.as_str()).collect();
        let lists: Vec<Vec<u8>> = outputs.into_iter().map(|answer| answer.list).collect();
        Ok(Answer { list: generator.answer(request, &lists, &remarks)?, stderr, ..Answer::default() })
    }
}

const fn names(generator: &Generator) -> &'static [&'static str] {
    match generator {
        Generator::Helm(_) => &["helm"],
        Generator::Kustomize { .. } => &["kustomize", "kubectl"],
    }
}

/// One program at work in a folder of its own.
struct Work<'a> {
    generators: &'a Generators,
    program: &'a Path,
    limits: &'a Limits,
    ending: &'a Ending,
    folder: Folder,
}

impl Work<'_> {
    fn name(&self) -> &str {
        self.program.file_name().and_then(|name| name.to_str()).unwrap_or("the program")
    }

    /// How the program is told to build an overlay.
    fn verb(&self) -> &'static str {
        if self.name() == "kubectl" { "kustomize" } else { "build" }
    }

    /// Name and version of the program: part of what it answers, and so of the digest of what was rendered.
    fn version(&self) -> Result<String, Failure> {
        let arguments: &[&str] = match self.name() {
            "helm" => &["version", "--template", "{{.Version}}"],
            "kubectl" => &["version", "--client"],
            _ => &["version"],
        };
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let text = String::from_utf8_lossy(&self.call(&arguments)?.list).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Ok(format!("{} {}", self.name(), lines.join(", ")))
    }

    /// Without the network and the user's environment.
    fn call(&self, arguments: &[String]) -> Result<Answer, Failure> {
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(self.folder.package());
        command.env_clear().envs(self.folder.homes());
        if self.generators.network {
            command.env("PATH", &self.generators.path);
        } else {
            command.env("PATH", self.folder.join("none"));
            command.envs(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].map(|name| (name, NOWHERE)));
        }
        self.run(command)
    }

    /// Runs the program; what it says of files is told as they are seen from the package.
    fn run(&self, command: Command) -> Result<Answer, Failure> {
        let shown = |text: &str| self.folder.shown(text);
        match process::run(command, self.name(), "", (self.limits, self.ending), Rest::Killed) {
            Ok(answer) => Ok(Answer { stderr: shown(&answer.stderr), ..answer }),
            Err(failure) => {
                let (stderr, message) = (shown(&failure.stderr), shown(&failure.message));
                Err(Failure { message, stderr, ..failure })
            }
        }
    }

    fn chart(&self, chart: &Chart, files: &FileTree) -> Result<Answer, Failure> {
        let is_here = !files.below(&chart.directory()).is_empty();
        let place = if is_here { format!("./{}", chart.directory()) } else { self.pull(chart)? };
        if !chart.values_inline.is_empty() {
            write(&self.folder.join("values.yaml"), chart.values_inline.as_bytes())?;
        }
        self.call(&chart.template(&place, "../values.yaml"))
    }

    /// Brings a chart; the user's own sign-ins count.
    fn pull(&self, chart: &Chart) -> Result<String, Failure> {
        let refuse = |why: &str| {
            let message =
                format!("the chart {} is not in the package: there is no {}{why}", chart.name, chart.directory());
            Err(Failure::new("fn.failed", message))
        };
        if chart.repo.is_empty() {
            return refuse(", and no repo is named");
        }
        if !self.generators.network {
            return refuse("; put it there, or allow to fetch it with --allow-network (fn eval: --network)");
        }
        let mut command = Command::new(self.program);
        let to = self.folder.join("charts");
        command.args(chart.pull(&to.to_string_lossy())).current_dir(self.folder.package());
        command.env("HELM_CACHE_HOME", self.folder.join("cache"));
        if is_on_this_machine(&chart.repo) {
            command.arg("--plain-http");
        }
        self.run(command)?;
        let leaf = chart.name.rsplit('/').next().unwrap_or(&chart.name);
        Ok(format!("../charts/{leaf}"))
    }
}

/// Whether a registry is asked by http, as everywhere in Loggia.
fn is_on_this_machine(repo: &str) -> bool {
    let authority = repo.strip_prefix("oci://").and_then(|rest| rest.split('/').next());
    authority.is_some_and(|authority| host::is_loopback(host::without_port(authority)))
}

/// A folder for one call, removed in the end: the package's files, and what a program wants to have as its home.
struct Folder(Scratch);

impl Folder {
    fn new(files: &FileTree) -> Result<Self, Failure> {
        let scratch = Scratch::new(&std::env::temp_dir(), "loggia-generate-");
        let folder = Self(scratch.map_err(|error| Failure::new("fn.failed", error.to_string()))?);
        let package = folder.package();
        std::fs::create_dir(&package).map_err(|error| failed(&package, &error))?;
        for (path, file) in files.iter().filter(|(_, file)| file.mode != FileMode::Symlink) {
            write(&package.join(path), &file.bytes)?;
        }
        Ok(folder)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A text with the paths below this folder as they are seen from the package.
    fn shown(&self, text: &str) -> String {
        let own = self.0.path();
        let real = own.canonicalize().unwrap_or_else(|_| own.to_owned());
        // The longer one first, of which the other may be the end.
        [real.as_path(), own].into_iter().fold(text.to_owned(), |text, folder| {
            let folder = folder.display();
            let text = text.replace(&format!("{folder}/package/"), "").replace(&format!("{folder}/package"), ".");
            text.replace(&format!("{folder}/"), "../")
        })
    }

    fn package(&self) -> PathBuf {
        self.join("package")
    }

    fn homes(&self) -> [(&'static str, PathBuf); 5] {
        ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "XDG_CONFIG_HOME"]
            .map(|name| (name, self.join("home")))
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
    }
    std::fs::write(path, bytes).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("fn.failed", format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_by_http() {
        for (repo, is_here) in [
            ("oci://localhost/a", true),
            ("oci://localhost:5000/a", true),
            ("oci://127.0.0.1:5000/a", true),
            ("oci://127.8.9.10/a", true),
            ("oci://[::1]:5000/a", true),
            ("oci://127.example.com/a", false),
            ("oci://127.0.0.1.example.com:5000/a", false),
            ("oci://localhost.example.com/a", false),
            ("oci://10.0.0.1/a", false),
            ("https://localhost/a", false),
        ] {
            assert_eq!(is_on_this_machine(repo), is_here, "{repo}");
        }
    }
}
