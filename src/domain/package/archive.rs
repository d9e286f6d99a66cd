//! Archives as files: a tar, packed by gzip or not, unpacked in memory and within limits.
//!
//! Whatever two programs could read in two ways is refused, because what was reviewed with one of them would not be
//! what the other one unpacks. Sources: POSIX.1-2017 `pax` (ustar and extended headers), GNU tar's long names, RFC
//! 1952.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::upgrade::escaping_links;
use crate::domain::source::{File, FileMode, FileTree, PACKAGE_BYTES, PACKAGE_FILES, check_path};

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Largest number of entries, directories and extended headers among them. Default 20,000.
    pub entries: usize,
    /// Largest file in bytes. Default 64 MiB.
    pub file_bytes: u64,
    /// Largest archive in bytes once it is unpacked by gzip. Default 96 MiB.
    pub total_bytes: u64,
    /// How many times larger it may get by that, above the first MiB. Default 200; yaml hardly reaches 20.
    pub ratio: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { entries: PACKAGE_FILES, file_bytes: PACKAGE_BYTES, total_bytes: 96 << 20, ratio: 200 }
    }
}

/// Largest extended header or long name in bytes.
const HEADER_BYTES: u64 = 64 << 10;
/// What may be unpacked however small the archive is.
const FREE_BYTES: u64 = 1 << 20;
/// Bits of a mode that give a program the rights of its owner.
const SETUID: u32 = 0o6000;

/// Why an archive was not unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It is damaged, or no archive.
    #[error("unpacking the archive: {why} [archive.malformed]")]
    Malformed {
        /// What was found.
        why: String,
    },
    /// It can be read in two ways.
    #[error("unpacking {path:?} of the archive: {why} [archive.ambiguous]")]
    Ambiguous {
        /// The entry.
        path: String,
        /// What two readers would make of it.
        why: String,
    },
    /// It is larger than allowed.
    #[error("unpacking the archive: {what} exceeds the limit of {limit} [archive.limit]")]
    Limit {
        /// What is too large.
        what: String,
        /// How large it may be.
        limit: u64,
    },
    /// It gets too large for what was sent.
    #[error(
        "unpacking the archive: {packed} bytes become more than {limit}, as in a decompression bomb [archive.ratio_limit]"
    )]
    Ratio {
        /// Bytes as they came.
        packed: u64,
        /// Bytes they may become.
        limit: u64,
    },
    /// An entry leaves the package.
    #[error("unpacking {path:?} of the archive: {why} [path.escape]")]
    Escape {
        /// The entry.
        path: String,
        /// The rule.
        why: &'static str,
    },
    /// A name that no file of a package has.
    #[error("unpacking {path:?} of the archive: {why} [path.name_invalid]")]
    Name {
        /// The entry.
        path: String,
        /// The rule.
        why: &'static str,
    },
    /// Neither a file nor a directory nor a link, or one with rights of its own.
    #[error(
        "unpacking {path:?} of the archive: it is {kind}; packages hold files, directories and symbolic links [path.file_type]"
    )]
    FileType {
        /// The entry.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A symbolic link out of the package, or an entry behind a link.
    #[error("unpacking {path:?} of the archive: {why} [path.symlink]")]
    Link {
        /// The entry.
        path: String,
        /// Where it leads.
        why: String,
    },
}

use ArchiveError::{Ambiguous, Malformed};

fn malformed(why: impl Into<String>) -> ArchiveError {
    Malformed { why: why.into() }
}

impl From<std::io::Error> for ArchiveError {
    fn from(error: std::io::Error) -> Self {
        malformed(error.to_string())
    }
}

fn ambiguous(path: &str, why: impl Into<String>) -> ArchiveError {
    Ambiguous { path: path.to_owned(), why: why.into() }
}

/// Unpacks a tar, which may be packed by gzip.
///
/// # Errors
/// [`ArchiveError`], the first one.
pub fn unpack(bytes: &[u8], budget: &Budget) -> Result<FileTree, ArchiveError> {
    let plain = if bytes.starts_with(&[0x1f, 0x8b]) { Some(gunzip(bytes, budget)?) } else { None };
    let mut rest: &[u8] = plain.as_deref().unwrap_or(bytes);
    if rest.len() as u64 > budget.total_bytes {
        return Err(ArchiveError::Limit {
            what: format!("its size, {} bytes,", rest.len()),
            limit: budget.total_bytes,
        });
    }
    let mut unpacking = Unpacking { budget, entries: 0, places: BTreeMap::new(), files: FileTree::new(), next: None };
    let mut archive = Archive::new(&mut rest);
    for entry in archive.entries()?.raw(true) {
        unpacking.entry(entry?)?;
    }
    if unpacking.next.is_some() {
        return Err(malformed("it ends with an extended header that belongs to no entry"));
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err(malformed(format!("{} bytes follow after its end", rest.len())));
    }
    match escaping_links(&unpacking.files).into_iter().next() {
        Some(problem) => Err(ArchiveError::Link { path: problem.file, why: problem.message }),
        None => Ok(unpacking.files),
    }
}

fn gunzip(bytes: &[u8], budget: &Budget) -> Result<Vec<u8>, ArchiveError> {
    let packed = bytes.len() as u64;
    let by_ratio = packed.saturating_mul(budget.ratio).max(FREE_BYTES);
    let limit = by_ratio.min(budget.total_bytes);
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut plain)?;
    match plain.len() as u64 {
        size if size <= limit => Ok(plain),
        _ if limit == by_ratio => Err(ArchiveError::Ratio { packed, limit }),
        _ => Err(ArchiveError::Limit { what: "its unpacked size".to_owned(), limit }),
    }
}

/// What an extended header says about the entry behind it.
#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Directory,
    File,
    Link,
}

struct Unpacking<'a> {
    budget: &'a Budget,
    entries: usize,
    /// Every path by its lower case form.
    places: BTreeMap<String, (String, Place)>,
    files: FileTree,
    next: Option<Extended>,
}

impl Unpacking<'_> {
    fn entry(&mut self, mut entry: Entry<'_, &mut &[u8]>) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.budget.entries {
            return Err(ArchiveError::Limit {
                what: "the number of its entries".to_owned(),
                limit: self.budget.entries as u64,
            });
        }
        match entry.header().entry_type() {
            EntryType::XHeader => self.extended(&mut entry),
            EntryType::XGlobalHeader => global(&mut entry),
            EntryType::GNULongName => {
                let name = long_name(&mut entry)?;
                set(&mut self.next.get_or_insert_default().path, name, "its name")
            }
            EntryType::GNULongLink => {
                let name = long_name(&mut entry)?;
                set(&mut self.next.get_or_insert_default().target, name, "its target")
            }
            kind => {
                let extended = self.next.take().unwrap_or_default();
                self.real(&mut entry, kind, extended)
            }
        }
    }

    fn extended(&mut self, entry: &mut Entry<'_, &mut &[u8]>) -> Result<(), ArchiveError> {
        let bytes = header_bytes(entry)?;
        for (key, value) in records(&bytes)? {
            let next = self.next.get_or_insert_default();
            match key.as_str() {
                "path" => set(&mut next.path, value, "its name")?,
                "linkpath" => set(&mut next.target, value, "its target")?,
                "size" => {
                    let size = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                    set(
                        &mut next.size,
                        size.ok_or_else(|| malformed("a size in an extended header is no number"))?,
                        "its size",
                    )?;
                }
                key if key.starts_with("GNU.sparse") => return Err(ambiguous("", "it is a sparse file")),
                _ => {}
            }
        }
        self.next.get_or_insert_default();
        Ok(())
    }

    fn real(
        &mut self,
        entry: &mut Entry<'_, &mut &[u8]>,
        kind: EntryType,
        extended: Extended,
    ) -> Result<(), ArchiveError> {
        let raw = extended.path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let path = name(&raw, kind)?;
        let size = entry.header().entry_size()?;
        if extended.size.is_some_and(|other| other != size) {
            return Err(ambiguous(&path, format!("its two headers give different sizes, one of them {size} bytes")));
        }
        let special = |kind| Err(ArchiveError::FileType { path: path.clone(), kind });
        match kind {
            EntryType::Directory if path.is_empty() => Ok(()),
            EntryType::Directory => self.place(&path, Place::Directory),
            EntryType::Regular | EntryType::Continuous => self.file(&path, size, entry),
            EntryType::Symlink => {
                let target = extended.target.or_else(|| entry.link_name_bytes().map(std::borrow::Cow::into_owned));
                self.link(&path, &target.unwrap_or_default())
            }
            EntryType::GNUSparse => Err(ambiguous(&path, "it is a sparse file")),
            EntryType::Link => special("a hard link"),
            EntryType::Fifo => special("a pipe"),
            EntryType::Char | EntryType::Block => special("a device"),
            _ => special("of a kind that is not known"),
        }
    }

    fn file(&mut self, path: &str, size: u64, entry: &mut Entry<'_, &mut &[u8]>) -> Result<(), ArchiveError> {
        self.place(path, Place::File)?;
        if size > self.budget.file_bytes {
            return Err(ArchiveError::Limit {
                what: format!("the file {path:?} of {size} bytes"),
                limit: self.budget.file_bytes,
            });
        }
        let bits = entry.header().mode()?;
        if bits & SETUID != 0 {
            let kind = "a program that runs with the rights of its owner";
            return Err(ArchiveError::FileType { path: path.to_owned(), kind });
        }
        let mode = if bits & 0o111 == 0 { FileMode::Regular } else { FileMode::Executable };
        self.insert(path, File { mode, bytes: content(entry, size)?.into() })
    }

    fn link(&mut self, path: &str, target: &[u8]) -> Result<(), ArchiveError> {
        self.place(path, Place::Link)?;
        if target.contains(&0) || std::str::from_utf8(target).is_err() {
            return Err(ArchiveError::Name { path: path.to_owned(), why: "it is a link to what is no name" });
        }
        self.insert(path, File { mode: FileMode::Symlink, bytes: target.into() })
    }

    fn insert(&mut self, path: &str, file: File) -> Result<(), ArchiveError> {
        self.files.insert(path, file).map_err(|error| wrong_name(path, error.why))
    }

    /// Takes a path and the directories above it.
    fn place(&mut self, path: &str, place: Place) -> Result<(), ArchiveError> {
        check_path(path).map_err(|error| wrong_name(path, error.why))?;
        for (end, _) in path.match_indices('/') {
            self.take(path, &path[..end], Place::Directory)?;
        }
        self.take(path, path, place)
    }

    fn take(&mut self, entry: &str, path: &str, place: Place) -> Result<(), ArchiveError> {
        match self.places.get(&path.to_lowercase()) {
            None => {
                self.places.insert(path.to_lowercase(), (path.to_owned(), place));
                Ok(())
            }
            Some((other, _)) if other != path => {
                Err(ambiguous(entry, format!("{path:?} and {other:?} are one file where case does not count")))
            }
            Some((_, Place::Directory)) if place == Place::Directory => Ok(()),
            Some((_, Place::Link)) if path != entry => Err(ArchiveError::Link {
                path: entry.to_owned(),
                why: format!("it is behind the symbolic link {path:?}"),
            }),
            Some(_) => Err(ambiguous(entry, format!("{path:?} is there twice"))),
        }
    }
}

fn wrong_name(path: &str, why: &'static str) -> ArchiveError {
    let path = path.chars().take(300).collect::<String>();
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return ArchiveError::Escape { path, why };
    }
    ArchiveError::Name { path, why }
}

/// The path of an entry: `./` in front and the slash behind a directory are left out.
fn name(raw: &[u8], kind: EntryType) -> Result<String, ArchiveError> {
    let Ok(text) = std::str::from_utf8(raw) else {
        let path = String::from_utf8_lossy(raw).chars().take(300).collect();
        return Err(ArchiveError::Name { path, why: "it is not UTF-8" });
    };
    let mut path = text;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    if kind == EntryType::Directory {
        path = path.strip_suffix('/').unwrap_or(path);
        path = if path == "." { "" } else { path };
    }
    Ok(path.to_owned())
}

fn set<T>(field: &mut Option<T>, value: T, what: &str) -> Result<(), ArchiveError> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(ambiguous("", format!("{what} is given twice in front of an entry"))),
    }
}

/// An extended header for all that follows; only remarks are taken, as `git archive` writes them.
fn global(entry: &mut Entry<'_, &mut &[u8]>) -> Result<(), ArchiveError> {
    let bytes = header_bytes(entry)?;
    let decides = |key: &str| matches!(key, "path" | "linkpath" | "size") || key.starts_with("GNU.sparse");
    match records(&bytes)?.into_iter().find(|(key, _)| decides(key)) {
        Some((key, _)) => Err(ambiguous("", format!("a header for all entries gives their {key}"))),
        None => Ok(()),
    }
}

fn header_bytes(entry: &mut Entry<'_, &mut &[u8]>) -> Result<Vec<u8>, ArchiveError> {
    let size = entry.header().entry_size()?;
    if size > HEADER_BYTES {
        return Err(ArchiveError::Limit { what: format!("a header of {size} bytes"), limit: HEADER_BYTES });
    }
    content(entry, size)
}

/// Keys and values of an extended header.
fn records(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    let record = |record: std::io::Result<tar::PaxExtension<'_>>| -> Result<(String, Vec<u8>), ArchiveError> {
        let record = record?;
        let key = record.key().map_err(|_| malformed("a key in an extended header is not UTF-8"))?;
        Ok((key.to_owned(), record.value_bytes().to_vec()))
    };
    PaxExtensions::new(bytes).map(record).collect()
}

fn long_name(entry: &mut Entry<'_, &mut &[u8]>) -> Result<Vec<u8>, ArchiveError> {
    let mut name = header_bytes(entry)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn content(entry: &mut Entry<'_, &mut &[u8]>, size: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(malformed(format!("it ends in the middle of an entry, after {} of {size} bytes", bytes.len())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
