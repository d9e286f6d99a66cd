//! Certificate authorities of one registry, where Docker, containerd and podman have them: every `*.crt` in
//! `certs.d/HOST[:PORT]`. Those of the system, or of `SSL_CERT_FILE`, count beside them.

use std::path::{Path, PathBuf};

use reqwest::Certificate;

/// Largest file of certificates that is read.
const FILE_BYTES: u64 = 1 << 20;

/// What is known of a registry's authorities.
#[derive(Debug, Default)]
pub(super) struct Authorities {
    /// Whether there is a folder for the registry: then it speaks https, on this machine too.
    pub(super) are_kept: bool,
    pub(super) certificates: Vec<Certificate>,
}

/// Those of `HOST[:PORT]` that the user of this process has, else those of the machine.
///
/// # Errors
/// A file that cannot be read, by name.
pub(super) fn of(registry: &str) -> Result<Authorities, String> {
    let found =
        folders().into_iter().map(|folder| folder.join("certs.d").join(registry)).find(|folder| folder.is_dir());
    found.map_or_else(|| Ok(Authorities::default()), |folder| read(&folder))
}

fn folders() -> Vec<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = named("HOME");
    let docker = named("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker")));
    let podman = home.map(|home| home.join(".config/containers"));
    let of_all = ["/etc/containers", "/etc/docker"].map(PathBuf::from);
    docker.into_iter().chain(podman).chain(of_all).collect()
}

fn read(folder: &Path) -> Result<Authorities, String> {
    let wrong = |path: &Path, reason: String| format!("reading {}: {reason}", path.display());
    let entries = std::fs::read_dir(folder).map_err(|error| wrong(folder, error.to_string()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "crt"));
    files.sort();
    let mut certificates = Vec::new();
    for path in files {
        let size = std::fs::metadata(&path).map_err(|error| wrong(&path, error.to_string()))?.len();
        if size > FILE_BYTES {
            return Err(wrong(&path, format!("it has {size} bytes; the limit is {FILE_BYTES}")));
        }
        let text = std::fs::read(&path).map_err(|error| wrong(&path, error.to_string()))?;
        let found = Certificate::from_pem_bundle(&text).map_err(|error| wrong(&path, error.to_string()))?;
        if found.is_empty() {
            return Err(wrong(&path, "it holds no certificate in PEM".to_owned()));
        }
        certificates.extend(found);
    }
    Ok(Authorities { are_kept: true, certificates })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_told_by_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let found = read(dir.path()).unwrap();
        assert!(found.are_kept && found.certificates.is_empty());
        std::fs::write(dir.path().join("client.key"), "not read").unwrap();
        std::fs::write(dir.path().join("ca.crt"), "no certificate").unwrap();
        let error = read(dir.path()).unwrap_err();
        assert_eq!(error, format!("reading {}/ca.crt: it holds no certificate in PEM", dir.path().display()));
        assert!(read(&dir.path().join("none")).is_err());
        assert!(!of("registry.example:1").unwrap().are_kept);
    }
}
