//! Reads single values: each method reports at the value's own place.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::config::bounds::Bounds;
use crate::config::file::{Text, Texts};
use crate::config::problem::{Fault, Report};
use crate::config::values::{ByteSize, Written, parse_duration};

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Found {
    File,
    Folder,
    Nothing,
    Unreadable(io::ErrorKind),
}

/// How a path is looked up; tests look at no disk.
pub(in crate::config) type Look = fn(&Path) -> Found;

/// Looks a path up on disk, through symbolic links. Whatever is no folder counts as a file.
pub(in crate::config) fn look_on_disk(path: &Path) -> Found {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Found::Folder,
        Ok(_) => Found::File,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(error) => Found::Unreadable(error.kind()),
    }
}

/// Reads values and reports what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader<'r, 'a> {
    folder: PathBuf,
    look: Look,
    report: &'r mut Report<'a>,
    /// Whether some issuer has a grace of its own.
    issuers_have_grace: bool,
}

impl<'r, 'a> Reader<'r, 'a> {
    /// Relative paths start at `folder`.
    pub(super) fn new(folder: &Path, look: Look, report: &'r mut Report<'a>) -> Self {
        Self {
            folder: folder.to_owned(),
            look,
            report,
            issuers_have_grace: false,
        }
    }

    /// Some issuer has a grace of its own, whichever list is its.
    pub(super) fn some_issuer_has_grace(&mut self) {
        self.issuers_have_grace = true;
    }

    /// Reports a fault at this value.
    pub(super) fn fault<T>(&mut self, at: &Spanned<T>, fault: Fault) {
        self.report.add(at.span().start, fault);
    }

    /// A text through its parser. An absent one was reported before or is optional.
    pub(super) fn read<T>(
        &mut self,
        text: Option<&Text>,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = text?;
        parse(text.get_ref())
            .map_err(|fault| self.fault(text, fault))
            .ok()
    }

    /// Each text of a list through its parser, with its place; those that fail are left out.
    pub(super) fn read_each<'t, T>(
        &mut self,
        texts: Option<&'t Texts>,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<(&'t Text, T)> {
        let texts = texts.map_or(&[][..], |texts| texts.get_ref());
        texts
            .iter()
            .filter_map(|text| Some((text, self.read(Some(text), &parse)?)))
            .collect()
    }

    pub(super) fn duration(&mut self, text: Option<&Text>, bounds: &Bounds<Duration>) -> Duration {
        self.bounded(text, bounds, parse_duration, Written)
    }

    pub(super) fn size(&mut self, text: Option<&Text>, bounds: &Bounds<ByteSize>) -> ByteSize {
        self.bounded(text, bounds, ByteSize::parse, |size| size)
    }

    fn bounded<T: Copy + PartialOrd, W: Display>(
        &mut self,
        text: Option<&Text>,
        bounds: &Bounds<T>,
        parse: impl Fn(&str) -> Result<T, Fault>,
        written: impl Fn(T) -> W,
    ) -> T {
        let within = |text: &str| {
            let value = parse(text)?;
            if bounds.hold(value) {
                return Ok(value);
            }
            let fix = format!(
                "write `{}` to `{}`",
                written(bounds.min),
                written(bounds.max)
            );
            Err(Fault::new(format!("`{text}` is out of bounds"), fix))
        };
        self.read(text, within).unwrap_or_else(|| bounds.fallback())
    }

    pub(super) fn count(
        &mut self,
        number: Option<&Spanned<i64>>,
        bounds: &Bounds<NonZeroU32>,
    ) -> NonZeroU32 {
        let Some(written) = number else {
            return bounds.fallback();
        };
        let value = u32::try_from(*written.get_ref())
            .ok()
            .and_then(NonZeroU32::new);
        if let Some(value) = value.filter(|value| bounds.hold(*value)) {
            return value;
        }
        let what = format!("`{}` is out of bounds", written.get_ref());
        self.fault(
            written,
            Fault::new(what, format!("write {} to {}", bounds.min, bounds.max)),
        );
        bounds.fallback()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        text: Option<&Text>,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        let known = |text: &str| {
            let word = words.iter().find(|(word, _)| *word == text);
            word.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let words: Vec<String> =
                    words.iter().map(|(word, _)| format!("`{word}`")).collect();
                Fault::new(
                    format!("`{text}` is not known here"),
                    format!("write {}", words.join(" or ")),
                )
            })
        };
        self.read(text, known).unwrap_or(default)
    }

    /// A file that must be there.
    pub(super) fn file(&mut self, text: Option<&Text>) -> Option<PathBuf> {
        let text = text?;
        let path = self.path(text)?;
        let fault = match (self.look)(&path) {
            Found::File => return Some(path),
            Found::Folder => Fault::new(format!("`{}` is a folder", path.display()), "name a file"),
            Found::Nothing => Fault::new(
                format!("there is no file `{}`", path.display()),
                "create it or correct the path; relative paths start at the folder of this file",
            ),
            Found::Unreadable(kind) => unreadable(&path, kind),
        };
        self.fault(text, fault);
        None
    }

    /// A file or a folder that must be there.
    fn file_or_folder(&mut self, text: &Text) -> Option<PathBuf> {
        let path = self.path(text)?;
        if (self.look)(&path) == Found::Folder {
            return Some(path);
        }
        self.file(Some(text))
    }

    /// A file or a folder of revocation lists. With a grace the loader says whether it can be done without.
    pub(super) fn lists(&mut self, text: &Text, grace: Option<&Text>) -> Option<PathBuf> {
        if grace.is_some() || self.issuers_have_grace {
            return self.path(text);
        }
        self.file_or_folder(text)
    }

    /// A folder that is there or can be created in one that is.
    pub(super) fn folder(&mut self, text: &Text) -> Option<PathBuf> {
        let path = self.path(text)?;
        let fault = match (self.look)(&path) {
            Found::Folder => return Some(path),
            Found::Nothing => match self.parent_fault(&path) {
                None => return Some(path),
                Some(fault) => fault,
            },
            Found::File => Fault::new(format!("`{}` is a file", path.display()), "name a folder"),
            Found::Unreadable(kind) => unreadable(&path, kind),
        };
        self.fault(text, fault);
        None
    }

    /// A file that is there or can be created in a folder that is.
    pub(super) fn output(&mut self, text: &Text) -> Option<PathBuf> {
        let path = self.path(text)?;
        let fault = match (self.look)(&path) {
            Found::File => return Some(path),
            Found::Nothing => match self.parent_fault(&path) {
                None => return Some(path),
                Some(fault) => fault,
            },
            Found::Folder => Fault::new(
                format!("`{}` is a folder", path.display()),
                "name a file in it",
            ),
            Found::Unreadable(kind) => unreadable(&path, kind),
        };
        self.fault(text, fault);
        None
    }

    fn parent_fault(&self, path: &Path) -> Option<Fault> {
        let parent = path.parent()?;
        match (self.look)(parent) {
            Found::Folder => None,
            Found::File => Some(Fault::new(
                format!("`{}` is a file", parent.display()),
                "name a path in a folder",
            )),
            Found::Nothing => Some(Fault::new(
                format!("there is no folder `{}`", parent.display()),
                "create it or correct the path",
            )),
            Found::Unreadable(kind) => Some(unreadable(parent, kind)),
        }
    }

    fn path(&mut self, text: &Text) -> Option<PathBuf> {
        // A key that was pasted into the file must not go on into the log.
        if text.get_ref().contains("-----BEGIN") {
            let what = "a PEM text stands here instead of a path";
            let fix = "put it into a file that only the gateway can read, and name that file";
            self.fault(text, Fault::new(what, fix));
            return None;
        }
        if text.get_ref().is_empty() || text.get_ref().contains('\0') {
            let what = format!("`{}` is not a path", text.get_ref());
            self.fault(text, Fault::new(what, "name a file or folder"));
            return None;
        }
        Some(self.folder.join(text.get_ref()))
    }

    /// Reports each value that stands in front of it already.
    pub(super) fn no_two<'t, K: Ord, T: 't>(
        &mut self,
        values: impl IntoIterator<Item = (&'t Spanned<T>, K)>,
        twice: impl Fn(&K) -> Fault,
    ) {
        let mut seen = BTreeSet::new();
        for (place, value) in values {
            if seen.contains(&value) {
                self.fault(place, twice(&value));
            }
            seen.insert(value);
        }
    }
}

fn unreadable(path: &Path, kind: io::ErrorKind) -> Fault {
    Fault::new(
        format!("`{}` cannot be looked at: {kind}", path.display()),
        "give the user that runs the gateway the right to enter each folder of the path",
    )
}

/// A socket address in the form `127.0.0.1:8443` or `[::1]:8443`.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse::<SocketAddr>().map_err(|_| {
        let fix = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => format!("write the port too, as in `{text}:8443`"),
            Ok(IpAddr::V6(_)) => format!("write the port too, as in `[{text}]:8443`"),
            Err(_) => "write an IP address and a port, as in `127.0.0.1:8443` or `[::1]:8443`; names are not looked up".to_owned(),
        };
        Fault::new(format!("`{text}` is not an address and port"), fix)
    })
}
