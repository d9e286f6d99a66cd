//! `hold`, `suspend` and `resume`.

use std::collections::BTreeSet;

use anyhow::bail;

use super::super::args::{self, Global};
use super::super::output::print;
use super::super::{Done, session};
use crate::domain::id::{Digest, NamespacedName};

/// Fewest digits by which a digest may be named.
const DIGITS: usize = 8;

pub(crate) async fn hold(global: &Global, args: &args::Hold) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let state = engine.state.get(&name).await?.value;
    let current = state.units.values().filter_map(|unit| unit.current.as_ref()).map(|current| &current.declared);
    let found: BTreeSet<&Digest> = match args.digest.as_deref() {
        None => current.collect(),
        Some(digits) => {
            let known = current.chain(state.history.iter().filter_map(|record| record.declared.as_ref()));
            beginning(digits, known)?
        }
    };
    let Some(digest) = only(&found)? else {
        bail!("{name} has applied no such digest; see `loggia history {}`", args.name)
    };
    let (by, _) = session::person(None)?;
    engine.hold(&name, digest, &args.message, &by).await?;
    print(&format!("held: {} of {name}\n", digest.short()));
    Ok(Done::Fine)
}

/// Those digests that begin with the digits that somebody gave.
fn beginning<'a>(digits: &str, known: impl Iterator<Item = &'a Digest>) -> anyhow::Result<BTreeSet<&'a Digest>> {
    if digits.len() < DIGITS {
        bail!("--digest {digits:?} is too short; give at least {DIGITS} digits");
    }
    Ok(known.filter(|digest| digest.as_str().starts_with(digits)).collect())
}

/// The one digest that is meant; which one is not guessed.
fn only<'a>(found: &BTreeSet<&'a Digest>) -> anyhow::Result<Option<&'a Digest>> {
    match found.len() {
        0 | 1 => Ok(found.first().copied()),
        _ => {
            let all: Vec<&str> = found.iter().map(|digest| digest.as_str()).collect();
            bail!(
                "which of {} digests is meant is not known; name one with --digest:\n  {}",
                all.len(),
                all.join("\n  ")
            )
        }
    }
}

pub(crate) async fn resume(global: &Global, args: &args::Resume) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let (by, _) = session::person(None)?;
    let Some(sync) = engine.sync(&name).await? else { bail!("there is no Sync {name}; see `loggia get syncs`") };
    let holds = engine.state.get(&name).await?.value.holds;
    let named = args.digest.as_deref().map(|digits| only(&beginning(digits, holds.keys())?)).transpose()?;
    let lifted = match named {
        Some(None) => 0,
        Some(Some(digest)) => engine.resume(&name, Some(digest), &by).await?,
        None => engine.resume(&name, None, &by).await?,
    };
    let suspended = sync.spec.suspend && args.digest.is_none();
    if suspended {
        engine.suspend(&name, false, &by, "it may go on").await?;
        print(&format!("resumed: {name} goes on\n"));
    }
    if lifted > 0 {
        print(&format!("resumed: {lifted} held {} of {name} let go\n", if lifted == 1 { "digest" } else { "digests" }));
    }
    if lifted == 0 && !suspended {
        bail!("{name} is not suspended and holds no such digest; see `loggia status {}`", args.name);
    }
    Ok(Done::Fine)
}

pub(crate) async fn suspend(global: &Global, args: &args::Suspend) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let (by, _) = session::person(None)?;
    if engine.sync(&name).await?.is_none() {
        bail!("there is no Sync {name}; see `loggia get syncs`");
    }
    engine.suspend(&name, true, &by, &args.message).await?;
    print(&format!("suspended: {name}; nothing is applied or corrected until `loggia resume {}`\n", args.name));
    Ok(Done::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_that_is_meant_is_not_guessed() {
        let digests: Vec<Digest> = ["0123456789ab", "01234567ffff", "89abcdef0123"]
            .iter()
            .map(|head| Digest::new(format!("{head:0<64}")).unwrap())
            .collect();
        let meant = |digits: &str| only(&beginning(digits, digests.iter().chain(&digests))?).map(Option::<&_>::cloned);
        assert_eq!(meant("89abcdef").unwrap(), Some(digests[2].clone()));
        assert_eq!(meant("012345678").unwrap(), Some(digests[0].clone()));
        assert_eq!(meant("ffffffff").unwrap(), None);
        let error = meant("01234567").unwrap_err().to_string();
        assert!(digests[..2].iter().all(|digest| error.contains(digest.as_str())), "{error}");
        for short in ["", "8", "89abcde"] {
            assert!(meant(short).unwrap_err().to_string().contains("at least 8 digits"), "{short}");
        }
    }
}
