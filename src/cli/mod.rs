//! Arguments, one file per verb, output and exit codes.

mod args;
mod commands;
mod files;
mod output;
mod session;

use std::process::ExitCode;

use args::{Cli, Format, Pkg, PkgVerb, Verb};

/// How a verb ended, short of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Done, or no difference: 0.
    Fine,
    /// Differences were found: 1.
    Differs,
    /// Problems were found and printed: 2.
    Problems,
    /// Told to end by the signal of this number: 128 and the number, as a shell has it.
    Stopped(u8),
}

/// Runs the command line and gives its exit code: 0 done or no difference, 1 differences, 2 error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap prints each where it belongs.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    crate::telemetry::init_logs(if cli.global.verbose {
        "loggia=debug,info"
    } else {
        "loggia=warn,kube_client=off,error"
    });
    let done = run(&cli);
    if let (Ok(_), Some(reason)) = (&done, output::unprinted()) {
        output::note(&format!("loggia: writing to standard output: {reason}; what was printed is not whole"));
        return ExitCode::from(2);
    }
    match done {
        Ok(Done::Fine) => ExitCode::SUCCESS,
        Ok(Done::Differs) => ExitCode::from(1),
        Ok(Done::Problems) => ExitCode::from(2),
        Ok(Done::Stopped(signal)) => ExitCode::from(session::code(signal)),
        Err(error) => {
            output::note(&format!("loggia: {}", told(&error)));
            ExitCode::from(2)
        }
    }
}

/// An error with its causes in a row; a cause that is part of what was said already is not said again.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said {
        said if said.contains(&cause) => said,
        said if said.is_empty() => cause,
        said => format!("{said}: {cause}"),
    })
}

fn run(cli: &Cli) -> anyhow::Result<Done> {
    let global = &cli.global;
    if let (Format::Place(word), false) = (global.output, matches!(cli.verb, Verb::Function(_))) {
        anyhow::bail!("there is no output format {word:?}; there are text, json, yaml, markdown, name and unified");
    }
    if !speaks(&cli.verb, global.output) {
        let word = global.output.word().unwrap_or_default();
        anyhow::bail!("this command prints text only, not {word}; leave out -o");
    }
    match &cli.verb {
        Verb::Version => Ok(commands::version(global)),
        Verb::Completions(args) => Ok(commands::completions(args)),
        Verb::Config(args) => commands::config(global, args),
        Verb::Schema(args) if args.kubernetes => session::block_on(commands::kubernetes_schema(global, args)),
        Verb::Schema(args) => commands::schema(args),
        Verb::Render(args) => commands::render(global, args),
        Verb::Function(args) => commands::function(global, args),
        Verb::Pkg(args) => commands::pkg(global, args),
        Verb::Validate(args) => commands::validate(global, args),
        Verb::Demo(args) => session::block_on(commands::demo(global, args)),
        Verb::Up(args) => session::block_on(commands::up(global, args)),
        Verb::Apiserver(args) => session::block_on(commands::apiserver(global, args)),
        Verb::Controller(args) => session::block_on(commands::controller(global, args)),
        Verb::Diff(args) => session::block_on(commands::diff(global, args)),
        Verb::Plan(args) => session::block_on(commands::plan(global, args)),
        Verb::Apply(args) => session::block_on(commands::apply(global, args)),
        Verb::Get(args) => session::block_on(commands::get(global, args)),
        Verb::Status(args) => session::block_on(commands::status(global, args)),
        Verb::History(args) => session::block_on(commands::history(global, args)),
        Verb::Approve(args) => session::block_on(commands::approve(global, args)),
        Verb::Reject(args) => session::block_on(commands::reject(global, args)),
        Verb::Hold(args) => session::block_on(commands::hold(global, args)),
        Verb::Suspend(args) => session::block_on(commands::suspend(global, args)),
        Verb::Resume(args) => session::block_on(commands::resume(global, args)),
        Verb::Rollback(args) => session::block_on(commands::rollback(global, args)),
    }
}

/// Whether a verb has a form of output. A format that would be passed over in silence is an error instead.
const fn speaks(verb: &Verb, format: Format) -> bool {
    match format {
        Format::Text | Format::Place(_) => true,
        Format::Markdown => matches!(verb, Verb::Diff(_) | Verb::Plan(_) | Verb::Get(_) | Verb::Function(_)),
        Format::Unified => matches!(verb, Verb::Diff(_) | Verb::Plan(_)),
        Format::Name => {
            matches!(verb, Verb::Diff(_) | Verb::Plan(_) | Verb::Get(_) | Verb::Render(_) | Verb::Function(_))
        }
        Format::Json | Format::Yaml if matches!(verb, Verb::Pkg(_)) => {
            matches!(verb, Verb::Pkg(Pkg { verb: PkgVerb::Update(_), .. }))
        }
        Format::Json | Format::Yaml => !matches!(
            verb,
            Verb::Completions(_)
                | Verb::Schema(_)
                | Verb::Demo(_)
                | Verb::Apiserver(_)
                | Verb::Apply(_)
                | Verb::Approve(_)
                | Verb::Reject(_)
                | Verb::Hold(_)
                | Verb::Suspend(_)
                | Verb::Resume(_)
                | Verb::Rollback(_)
        ),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_told_once() {
        let error = std::io::Error::other("the disk is full");
        let wrapped = Err::<(), _>(anyhow::Error::new(error).context("cannot write a: the disk is full"));
        let told = super::told(&wrapped.context("cannot start").unwrap_err());
        assert_eq!(told, "cannot start: cannot write a: the disk is full");
    }
}
