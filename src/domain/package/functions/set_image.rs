//! `set-image`: another name, tag or digest for one image. The digest wins over the tag.
//!
//! Containers and init containers of every kind with a pod template are handled; the catalogue's own image misses the
//! latter by a slip.

use serde_json::Value;

use super::{Call, FunctionError, at, kind_of, pod_template};
use crate::domain::package::resources::is_local;

struct Wanted {
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
    digest: Option<String>,
}

pub(super) fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let wanted = wanted(call)?;
    let mut changed = 0;
    for place in call.places.clone() {
        let value = call.resources.value(&place);
        let Some(template) = pod_template(kind_of(&value)).filter(|_| !is_local(&value)) else { continue };
        for list in ["containers", "initContainers"] {
            let path: Vec<&str> = [template, &["spec", list]].concat();
            let count = at(&value, &path).and_then(Value::as_array).map_or(0, Vec::len);
            for index in (0..count).map(|index| index.to_string()) {
                let image_path: Vec<&str> = path.iter().copied().chain([index.as_str(), "image"]).collect();
                let image = at(&value, &image_path).and_then(Value::as_str);
                if let Some(new) = image.and_then(|image| replaced(image, &wanted)) {
                    changed += usize::from(call.set(&place, &image_path, &Value::from(new))?);
                }
            }
        }
    }
    call.info(format!("set {changed} images"));
    Ok(())
}

fn wanted(call: &Call<'_>) -> Result<Wanted, FunctionError> {
    let data = call.data("image")?;
    let field = |name: &str| data.get(name).filter(|text| !text.is_empty()).cloned();
    let name = field("name").ok_or_else(|| FunctionError::Config("name is missing".to_owned()))?;
    let wanted = Wanted { name, new_name: field("newName"), new_tag: field("newTag"), digest: field("digest") };
    if wanted.new_name.is_none() && wanted.new_tag.is_none() && wanted.digest.is_none() {
        return Err(FunctionError::Config("one of newName, newTag and digest must be given".to_owned()));
    }
    Ok(wanted)
}

/// The image after the change; `None` when it is another one.
fn replaced(image: &str, wanted: &Wanted) -> Option<String> {
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
        (None, None, Some(old), _) => format!("{name}@{old}"),
        (None, None, None, Some(old)) => format!("{name}:{old}"),
        (None, None, None, None) => name.to_owned(),
    })
}
