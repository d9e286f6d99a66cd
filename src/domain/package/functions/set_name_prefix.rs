//! `set-name-prefix`: names that begin with an agreed word, `packagename` unless told otherwise, begin with the
//! package's name instead.

use super::rename::{Rename, rename};
use super::{Call, FunctionError, Native, Opt, kind_of, name_of, text_at};
use crate::domain::package::resources::is_local;

pub(super) const NATIVE: Native = Native {
    name: "set-name-prefix",
    aliases: &[],
    families: &["v0.0"],
    summary: "replaces the first part of resource names, and of what refers to them, by the package's name",
    kind: None,
    options: &[
        Opt {
            name: "prefix",
            required: false,
            text: "the new prefix, without dash; by default data.name of the ConfigMap kptfile.kpt.dev of the package",
        },
        Opt { name: "oldPrefix", required: false, text: "the present prefix, without dash; by default packagename" },
    ],
    example: "pipeline:
  mutators:
  - image: set-name-prefix:v0.0.3
    configMap:
      prefix: upf-edge
      oldPrefix: upf
",
    notes: "A name that is the old prefix, or begins with it and a dash, changes. Local configuration and ResourceGroups \
            keep their names.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let data = call.data()?;
    call.only(&["data"], &["prefix", "oldPrefix"])?;
    let values = call.values();
    let context = values
        .iter()
        .map(|(_, value)| value)
        .find(|value| kind_of(value) == "ConfigMap" && name_of(value) == "kptfile.kpt.dev");
    let given = |key: &str| data.get(key).filter(|text| !text.is_empty()).cloned();
    let fallback =
        context.map(|context| text_at(context, &["data", "name"]).to_owned()).filter(|text| !text.is_empty());
    let prefix = given("prefix").or(fallback).ok_or_else(|| {
        let message = "prefix is missing, and the package has no ConfigMap kptfile.kpt.dev with data.name";
        call.wrong(&["data"], message, "write prefix: with the new prefix, without dash")
    })?;
    let old = given("oldPrefix").unwrap_or_else(|| "packagename".to_owned());
    let renames: Vec<Rename> = values
        .iter()
        .filter(|(_, value)| !is_local(value) && kind_of(value) != "ResourceGroup")
        .filter_map(|(place, value)| {
            let rest = name_of(value).strip_prefix(&old)?;
            (rest.is_empty() || rest.starts_with('-')).then(|| Rename::new(place, value, format!("{prefix}{rest}")))
        })
        .collect();
    rename(call, &renames)
}
