//! The content of `examples-repo/`, inside the executable, so that a newcomer needs nothing else.

/// Every file of `examples-repo/`: path and content.
pub const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../examples-repo/README.md")),
    ("blueprints/amf/Kptfile", include_str!("../../examples-repo/blueprints/amf/Kptfile")),
    ("blueprints/amf/configmap.yaml", include_str!("../../examples-repo/blueprints/amf/configmap.yaml")),
    ("blueprints/amf/deployment.yaml", include_str!("../../examples-repo/blueprints/amf/deployment.yaml")),
    ("blueprints/amf/networkpolicy.yaml", include_str!("../../examples-repo/blueprints/amf/networkpolicy.yaml")),
    ("blueprints/amf/service.yaml", include_str!("../../examples-repo/blueprints/amf/service.yaml")),
    ("blueprints/amf/setters.yaml", include_str!("../../examples-repo/blueprints/amf/setters.yaml")),
    ("blueprints/upf/Kptfile", include_str!("../../examples-repo/blueprints/upf/Kptfile")),
    ("blueprints/upf/configmap.yaml", include_str!("../../examples-repo/blueprints/upf/configmap.yaml")),
    ("blueprints/upf/deployment.yaml", include_str!("../../examples-repo/blueprints/upf/deployment.yaml")),
    ("blueprints/upf/networkpolicy.yaml", include_str!("../../examples-repo/blueprints/upf/networkpolicy.yaml")),
    ("blueprints/upf/service.yaml", include_str!("../../examples-repo/blueprints/upf/service.yaml")),
    ("blueprints/upf/setters.yaml", include_str!("../../examples-repo/blueprints/upf/setters.yaml")),
    ("blueprints/web/Kptfile", include_str!("../../examples-repo/blueprints/web/Kptfile")),
    ("blueprints/web/deployment.yaml", include_str!("../../examples-repo/blueprints/web/deployment.yaml")),
    ("blueprints/web/service.yaml", include_str!("../../examples-repo/blueprints/web/service.yaml")),
    ("blueprints/web/setters.yaml", include_str!("../../examples-repo/blueprints/web/setters.yaml")),
    ("deployments/README.md", include_str!("../../examples-repo/deployments/README.md")),
    ("intents/README.md", include_str!("../../examples-repo/intents/README.md")),
    ("walkthrough/upf-edge-broken.yaml", include_str!("../../examples-repo/walkthrough/upf-edge-broken.yaml")),
    ("walkthrough/upf-edge.yaml", include_str!("../../examples-repo/walkthrough/upf-edge.yaml")),
];

/// The files below a folder, by their path in it.
pub fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let prefix = format!("{folder}/");
    FILES.iter().filter_map(move |(path, text)| path.strip_prefix(prefix.as_str()).map(|rest| (rest, *text)))
}

/// The packages among the blueprints, each published as `v1`.
#[must_use]
pub fn blueprints() -> Vec<&'static str> {
    below("blueprints").filter_map(|(path, _)| path.strip_suffix("/Kptfile")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_is_inside() {
        fn walk(root: &Path, dir: &Path, found: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, found);
                } else {
                    found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo");
        let mut on_disk = BTreeSet::new();
        walk(&root, &root, &mut on_disk);
        let inside: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(on_disk, inside);
        assert_eq!(blueprints(), ["amf", "upf", "web"]);
    }
}
