//! `fn source` and `fn sink`: resources out of a folder and into one, for pipes.

use std::io::Read as _;

use anyhow::{Context as _, bail};

use super::super::super::args::{FnSink, FnSource, Global};
use super::super::super::output::{note, print};
use super::super::super::{Done, files as disk};
use super::folder;
use super::run::told;
use crate::domain::package::transfer::{files, source as list_of, unwrapped};

/// Most that is read from the standard input.
const INPUT: u64 = 64 << 20;

pub(super) fn source(global: &Global, args: &FnSource) -> anyhow::Result<Done> {
    if args.include_meta_resources {
        bail!("--include-meta-resources means nothing any more: resources of packages themselves are always included");
    }
    let place = global.output.word().unwrap_or("stdout");
    if !matches!(place, "stdout" | "unwrap") {
        bail!("-o {place:?} is not possible here; give stdout or unwrap");
    }
    let config = args.fn_config.as_ref().map(|path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration {}", path.display()))
    });
    let config = config.transpose()?;
    let (_, tree) = disk::read_resources(&args.path)?;
    match list_of(&tree, config.as_deref()) {
        Ok(list) if place == "unwrap" => print(&unwrapped(list.as_bytes())?),
        Ok(list) => print(&list),
        Err(error) => {
            note(&told(&args.path, &error));
            return Ok(Done::Problems);
        }
    }
    Ok(Done::Fine)
}

pub(super) fn sink(args: &FnSink) -> anyhow::Result<Done> {
    folder::absent(&args.path)?;
    disk::create(&args.path, &files(&input()?)?)?;
    Ok(Done::Fine)
}

/// The standard input, up to a limit.
pub(super) fn input() -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(INPUT + 1).read_to_end(&mut bytes).context("cannot read the standard input")?;
    if bytes.len() as u64 > INPUT {
        bail!("the standard input has more than {INPUT} bytes");
    }
    Ok(bytes)
}
