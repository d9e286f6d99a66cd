//! Settings, resolved once by the command line and handed on as values.

use std::path::PathBuf;

use crate::domain::lease::Timing;
use crate::domain::time::SignedDuration;

/// Everything that a running reconciler needs to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Name of this replica in the Lease.
    pub identity: String,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Timing of the election.
    pub election: Timing,
    /// Where mirrors of remote repositories are kept.
    pub cache: PathBuf,
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
            cache: std::env::temp_dir().join("loggia-cache"),
            stable_for: SignedDuration::from_secs(30),
            health_timeout: SignedDuration::from_mins(5),
        }
    }
}

/// Where a kubeconfig comes from, in the order of trust: the flag, the data directory, `KUBECONFIG`, the home directory.
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
}
