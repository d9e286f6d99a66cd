//! `set-image`: another name, tag or digest for one image.

use serde_json::Value;

use super::fields::FieldSpec;
use super::{Call, FunctionError, Native, Opt, at, kind_of, pod_template, refs};
use crate::domain::package::resources::Place;

const ADDITIONAL: &str = "additionalImageFields";
const FIELDS: &[&str] = &["name", "newName", "newTag", "digest"];

pub(super) const NATIVE: Native = Native {
    name: "set-image",
    aliases: &[],
    families: &["v0.1"],
    summary: "replaces name, tag or digest of one image",
    kind: Some("SetImage"),
    options: &[
        Opt { name: "name", required: true, text: "the image, without tag and digest" },
        Opt { name: "newName", required: false, text: "its new name" },
        Opt { name: "newTag", required: false, text: "its new tag" },
        Opt { name: "digest", required: false, text: "its new digest, such as sha256:...; not together with newTag" },
        Opt { name: "image", required: true, text: "in SetImage: a map of the four above" },
        Opt {
            name: ADDITIONAL,
            required: false,
            text: "in SetImage: further fields {group, version, kind, path, create}; path as spec/images[]/image",
        },
    ],
    example: "pipeline:
  mutators:
  - image: set-image:v0.1
    configMap:
      name: nginx
      newTag: 1.21.4
",
    notes: "Without a version (or with :latest): containers and init containers of every kind with a pod template; newTag \
            and digest together are an error. v0.1 does as its images do: only containers of Pod, Deployment, \
            StatefulSet, ReplicaSet and DaemonSet (a warning names what that left), and digest wins over newTag.",
    run,
};

struct Wanted {
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
    digest: Option<String>,
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let pinned = call.version.is_one_of(&["v0.1"]);
    let wanted = wanted(call, pinned)?;
    let additional = call.field_specs(ADDITIONAL)?;
    let mut changed = 0;
    for (place, value) in call.values() {
        for path in containers(&value) {
            let Some(new) = replacement(&value, &path, &wanted) else { continue };
            let slips = pinned && (path.iter().any(|part| part == "initContainers") || !in_v0_1(kind_of(&value)));
            if slips && !additional.iter().any(|spec| spec.places(&value).contains(&path)) {
                leave(call, &place, &path);
                continue;
            }
            changed += usize::from(call.write(&place, &refs(&path), &new)?);
        }
        changed += in_fields(call, &place, &additional, &wanted)?;
    }
    call.info(format!("summary: updated a total of {changed} image(s)"));
    Ok(())
}

fn in_v0_1(kind: &str) -> bool {
    matches!(kind, "Pod" | "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet")
}

fn leave(call: &mut Call<'_>, place: &Place, path: &[String]) {
    let origin = call.origin(place, &refs(path));
    call.warn(
        "the image is left as it is, as set-image:v0.1 does; write set-image:latest to have it set",
        Some(origin),
    );
}

fn in_fields(call: &mut Call<'_>, place: &Place, specs: &[FieldSpec], wanted: &Wanted) -> Result<usize, FunctionError> {
    let value = call.resources.value(place);
    let mut changed = 0;
    for path in specs.iter().flat_map(|spec| spec.places(&value)) {
        if let Some(new) = replacement(&value, &path, wanted) {
            changed += usize::from(call.write(place, &refs(&path), &new)?);
        }
    }
    Ok(changed)
}

/// Paths of the images of all containers.
fn containers(value: &Value) -> Vec<Vec<String>> {
    let Some(template) = pod_template(value) else { return Vec::new() };
    let mut paths = Vec::new();
    for list in ["initContainers", "containers"] {
        let home: Vec<&str> = [template, &["spec", list]].concat();
        let count = at(value, &home).and_then(Value::as_array).map_or(0, Vec::len);
        for index in (0..count).map(|index| index.to_string()) {
            paths.push(home.iter().copied().chain([index.as_str(), "image"]).map(str::to_owned).collect());
        }
    }
    paths
}

fn wanted(call: &Call<'_>, pinned: bool) -> Result<Wanted, FunctionError> {
    let home = if call.is_config_map(&["SetImage"])? {
        "data"
    } else {
        call.only_own(&["image", ADDITIONAL])?;
        "image"
    };
    call.only(&[home], FIELDS)?;
    let data = call.texts(&[home])?;
    let field = |name: &str| data.get(name).filter(|text| !text.is_empty()).cloned();
    let missing = || call.wrong(&[home], "name is missing", "write name: with the image to replace, without tag");
    let wanted = Wanted {
        name: field("name").ok_or_else(missing)?,
        new_name: field("newName"),
        new_tag: field("newTag"),
        digest: field("digest"),
    };
    if wanted.new_name.is_none() && wanted.new_tag.is_none() && wanted.digest.is_none() {
        return Err(call.wrong(&[home], "nothing new is given", "write one of newName, newTag and digest"));
    }
    if wanted.new_tag.is_some() && wanted.digest.is_some() && !pinned {
        return Err(call.wrong(&[home, "newTag"], "both newTag and digest are given", "write one of them"));
    }
    Ok(wanted)
}

/// The image after the change; `None` when it is another one.
fn replacement(value: &Value, path: &[String], wanted: &Wanted) -> Option<String> {
    let image = at(value, &refs(path))?.as_str()?;
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if name != wanted.name {
        return None;
    }
    let name = wanted.new_name.as_deref().unwrap_or(name);
    Some(match (&wanted.digest, &wanted.new_tag, digest, tag) {
        (Some(new), ..) => format!("{name}@{new}"),
        (None, Some(new), ..) => format!("{name}:{new}"),
        (None, None, Some(digest), Some(tag)) => format!("{name}:{tag}@{digest}"),
        (None, None, Some(digest), None) => format!("{name}@{digest}"),
        (None, None, None, Some(tag)) => format!("{name}:{tag}"),
        (None, None, None, None) => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_of_an_image_are_exchanged() {
        let wanted = |new_name: &str, new_tag: &str, digest: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Wanted {
                name: "r.example:5000/nginx".into(),
                new_name: some(new_name),
                new_tag: some(new_tag),
                digest: some(digest),
            }
        };
        let table = [
            ("r.example:5000/nginx", ("", "2", ""), Some("r.example:5000/nginx:2")),
            ("r.example:5000/nginx:1", ("b", "", ""), Some("b:1")),
            ("r.example:5000/nginx:1@sha256:0", ("b", "", ""), Some("b:1@sha256:0")),
            ("r.example:5000/nginx:1@sha256:0", ("", "2", ""), Some("r.example:5000/nginx:2")),
            ("r.example:5000/nginx:1", ("", "", "sha256:9"), Some("r.example:5000/nginx@sha256:9")),
            ("r.example:5000/nginx-extra:1", ("b", "", ""), None),
            ("nginx:1", ("b", "", ""), None),
        ];
        for (image, (name, tag, digest), expected) in table {
            let found = replacement(&json!({"i": image}), &["i".to_owned()], &wanted(name, tag, digest));
            assert_eq!(found.as_deref(), expected, "{image}");
        }
    }
}
