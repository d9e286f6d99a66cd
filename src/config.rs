//! Settings: what flags, environment and the configuration file say, resolved once and handed on as values.

mod file;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

use crate::domain::intent::Violation;
use crate::domain::intent::sync::duration;
use crate::domain::lease::Timing;
use crate::domain::time::SignedDuration;

pub use file::{ConfigFile, ElectionFile, HealthFile, read, schema};

/// Everything that a running reconciler needs to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Name of this replica in the Lease.
    pub identity: String,
    /// Namespace of Loggia's objects and of the Lease.
    pub namespace: String,
    /// Timing of the election.
    pub election: Timing,
    /// Where mirrors of remote repositories are kept, and a kubeconfig may be.
    pub data_dir: PathBuf,
    /// Where metrics and probes listen; loopback unless told otherwise.
    pub listen: SocketAddr,
    /// How often a repository that cannot wake us is asked for its refs. Default 15 s.
    pub poll: SignedDuration,
    /// How long a unit has to stay healthy. Default 30 s.
    pub stable_for: SignedDuration,
    /// How long a unit may take to become healthy. Default 5 min.
    pub health_timeout: SignedDuration,
}

impl Config {
    /// The defaults, for a replica of this name.
    #[must_use]
    pub fn new(identity: impl Into<String>) -> Self {
        Self {
            identity: identity.into(),
            namespace: "default".to_owned(),
            election: Timing::default(),
            data_dir: std::env::temp_dir().join("loggia"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            poll: SignedDuration::from_secs(15),
            stable_for: SignedDuration::from_secs(30),
            health_timeout: SignedDuration::from_mins(5),
        }
    }
}

/// What was given for this start alone, by flags or the environment. It wins over the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Name of this replica.
    pub identity: Option<String>,
    /// Namespace of Loggia's objects.
    pub namespace: Option<String>,
    /// Data directory.
    pub data_dir: Option<PathBuf>,
    /// Where metrics and probes listen.
    pub listen: Option<SocketAddr>,
}

/// A value and where it comes from, for people who wonder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name in the file, such as `health.timeout`.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// `flag or environment`, `file` or `default`.
    pub from: &'static str,
}

/// Resolves every setting: what is given, else what the file says, else `defaults`.
///
/// # Errors
/// Every value that cannot be used, by its name in the file.
pub fn resolve(given: Given, file: &ConfigFile, defaults: Config) -> Result<(Config, Vec<Setting>), Vec<Violation>> {
    let mut pick = Picker::default();
    let (election, health) = (&file.leader_election, &file.health);
    let Timing { lease, renew_deadline, retry } = defaults.election;
    let mut duration = |name, filed: &Option<String>, default| pick.pick(name, None, filed.as_deref(), default);
    let poll = duration("poll", &file.poll, defaults.poll);
    let stable_for = duration("health.stableFor", &health.stable_for, defaults.stable_for);
    let health_timeout = duration("health.timeout", &health.timeout, defaults.health_timeout);
    let election = Timing {
        lease: duration("leaderElection.leaseDuration", &election.lease_duration, lease),
        renew_deadline: duration("leaderElection.renewDeadline", &election.renew_deadline, renew_deadline),
        retry: duration("leaderElection.retryPeriod", &election.retry_period, retry),
    };
    pick.in_order(&election);
    let config = Config {
        identity: pick.pick("identity", given.identity, file.identity.as_deref(), defaults.identity),
        namespace: pick.pick("namespace", given.namespace, file.namespace.as_deref(), defaults.namespace),
        data_dir: pick.pick("dataDir", given.data_dir, file.data_dir.as_deref(), defaults.data_dir),
        listen: pick.pick("listen", given.listen, file.listen.as_deref(), defaults.listen),
        election,
        poll,
        stable_for,
        health_timeout,
    };
    pick.settings.sort_by_key(|setting| setting.name);
    if pick.wrong.is_empty() { Ok((config, pick.settings)) } else { Err(pick.wrong) }
}

/// Where a value comes from that was given for this start alone.
const GIVEN: &str = "flag or environment";

/// A kind of value that a file can hold as text.
trait Readable: Sized {
    fn read(name: &str, text: &str) -> Result<Self, Violation>;
    fn show(&self) -> String;
}

fn not_empty(name: &str, text: &str) -> Result<String, Violation> {
    if text.is_empty() {
        return Err(Violation::new(name, "it is empty").hint("leave it out to get the default"));
    }
    Ok(text.to_owned())
}

impl Readable for String {
    fn read(name: &str, text: &str) -> Result<Self, Violation> {
        not_empty(name, text)
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Readable for PathBuf {
    fn read(name: &str, text: &str) -> Result<Self, Violation> {
        not_empty(name, text).map(Self::from)
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Readable for SocketAddr {
    fn read(name: &str, text: &str) -> Result<Self, Violation> {
        let wrong = |_| Violation::new(name, format!("{text:?} is not an address with a port"));
        text.parse().map_err(|error| wrong(error).hint("write it as 127.0.0.1:8080"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Readable for SignedDuration {
    fn read(name: &str, text: &str) -> Result<Self, Violation> {
        duration(name, text)
    }

    fn show(&self) -> String {
        format!("{self:#}")
    }
}

/// Picks values one after the other and remembers where each was found.
#[derive(Default)]
struct Picker {
    settings: Vec<Setting>,
    wrong: Vec<Violation>,
}

impl Picker {
    fn pick<T: Readable>(&mut self, name: &'static str, given: Option<T>, filed: Option<&str>, default: T) -> T {
        let (value, from) = match (given, filed.map(|text| T::read(name, text))) {
            (Some(given), _) => (given, GIVEN),
            (None, Some(Ok(filed))) => (filed, "file"),
            (None, Some(Err(wrong))) => {
                self.wrong.push(wrong);
                (default, "file")
            }
            (None, None) => (default, "default"),
        };
        self.settings.push(Setting { name, value: value.show(), from });
        value
    }

    /// A holder must stop writing before others may take its lease, and must try to renew before it has to stop.
    fn in_order(&mut self, timing: &Timing) {
        if timing.renew_deadline >= timing.lease {
            let message = "it is not shorter than leaderElection.leaseDuration: two replicas could write at once";
            self.wrong.push(Violation::new("leaderElection.renewDeadline", message));
        }
        if timing.retry >= timing.renew_deadline {
            let message = "it is not shorter than leaderElection.renewDeadline: every lease would be lost";
            self.wrong.push(Violation::new("leaderElection.retryPeriod", message));
        }
    }
}

/// Where a kubeconfig comes from, in the order of trust: the flag, the data directory, `KUBECONFIG`, the home
/// directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigSource {
    /// The file.
    pub path: PathBuf,
    /// What named it, for messages.
    pub from: &'static str,
}

/// Picks the kubeconfig; `exists` tells whether a file is there.
#[must_use]
pub fn kubeconfig(
    flag: Option<PathBuf>,
    data_dir: &std::path::Path,
    environment: Option<PathBuf>,
    home: Option<PathBuf>,
    exists: impl Fn(&std::path::Path) -> bool,
) -> Option<KubeconfigSource> {
    if let Some(path) = flag {
        return Some(KubeconfigSource { path, from: "--kubeconfig" });
    }
    let own = data_dir.join("kubeconfig");
    if exists(&own) {
        return Some(KubeconfigSource { path: own, from: "the data directory" });
    }
    if let Some(path) = environment {
        return Some(KubeconfigSource { path, from: "KUBECONFIG" });
    }
    let home = home?.join(".kube").join("config");
    exists(&home).then_some(KubeconfigSource { path: home, from: "the home directory" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_nearest_kubeconfig_wins() {
        let path = |text: &str| PathBuf::from(text);
        let data = Path::new("/data");
        let pick = |flag: Option<&str>, env: Option<&str>, there: &[&str]| {
            let there: Vec<PathBuf> = there.iter().map(|p| path(p)).collect();
            kubeconfig(flag.map(path), data, env.map(path), Some(path("/home/x")), |p| there.contains(&p.to_path_buf()))
                .map(|s| s.path)
        };
        assert_eq!(pick(Some("/f"), Some("/e"), &["/data/kubeconfig"]), Some(path("/f")));
        assert_eq!(pick(None, Some("/e"), &["/data/kubeconfig"]), Some(path("/data/kubeconfig")));
        assert_eq!(pick(None, Some("/e"), &[]), Some(path("/e")));
        assert_eq!(pick(None, None, &["/home/x/.kube/config"]), Some(path("/home/x/.kube/config")));
        assert_eq!(pick(None, None, &[]), None);
    }

    fn file(text: &str) -> ConfigFile {
        read("loggia.yaml", text.as_bytes()).unwrap()
    }

    fn from<'a>(settings: &'a [Setting], name: &str) -> (&'a str, &'a str) {
        settings.iter().find(|s| s.name == name).map(|s| (s.value.as_str(), s.from)).unwrap()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let text =
            "apiVersion: loggia.dev/v1alpha1\nkind: Configuration\nnamespace: filed\nidentity: filed\npoll: 1m\n";
        let given = Given { namespace: Some("given".to_owned()), ..Given::default() };
        let (config, settings) = resolve(given, &file(text), Config::new("default")).unwrap();
        assert_eq!((config.namespace.as_str(), config.identity.as_str()), ("given", "filed"));
        assert_eq!(config.poll, SignedDuration::from_mins(1));
        assert_eq!(from(&settings, "namespace"), ("given", GIVEN));
        assert_eq!(from(&settings, "poll"), ("1m", "file"));
        assert_eq!(from(&settings, "health.timeout"), ("5m", "default"));
    }

    #[test]
    fn nothing_said_gives_the_defaults() {
        let (config, _) = resolve(Given::default(), &ConfigFile::default(), Config::new("x")).unwrap();
        assert_eq!(config, Config::new("x"));
    }

    #[test]
    fn every_value_that_cannot_be_used_is_named_at_once() {
        let text = "apiVersion: loggia.dev/v1alpha1\nkind: Configuration\nlisten: here\npoll: soon\nidentity: ''\n\
                    leaderElection: {renewDeadline: 20s, retryPeriod: 20s}\n";
        let wrong = resolve(Given::default(), &file(text), Config::new("x")).unwrap_err();
        let fields: Vec<&str> = wrong.iter().map(|violation| violation.field.as_str()).collect();
        let all = ["poll", "leaderElection.renewDeadline", "leaderElection.retryPeriod", "identity", "listen"];
        assert_eq!(fields, all);
    }
}
