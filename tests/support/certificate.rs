//! A server's certificate for 127.0.0.1, under an authority of its own, as openssl makes them.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files in PEM.
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes them in a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let openssl = |args: &str| {
            let args: Vec<&str> = args.split(' ').collect();
            let output = Command::new("openssl").args(&args).current_dir(folder).output().unwrap();
            assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {new} -keyout ca.key -out ca.crt -subj /CN=authority -days 2"));
        openssl(&format!("req {new} -keyout tls.key -out tls.csr -subj /CN=server"));
        fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        openssl("x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.crt");
        let at = |name: &str| folder.join(name);
        Self { authority: at("ca.crt"), chain: at("tls.crt"), key: at("tls.key") }
    }
}
