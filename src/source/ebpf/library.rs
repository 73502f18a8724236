//! Executable files come in; out goes where in them OpenSSL's functions begin, or what other TLS they hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use object::read::ReadCache;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};

/// A function that is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe {
    /// Its name in the file.
    pub(super) function: &'static str,
    /// The program for its beginning.
    pub(super) entry: Option<&'static str>,
    /// The program for its return.
    pub(super) end: Option<&'static str>,
}

/// OpenSSL's, or those of what kept its names.
const TLS: &[Probe] = &[
    both("SSL_read", "call__end"),
    both("SSL_write", "call__end"),
    both("SSL_read_ex", "call__end"),
    both("SSL_write_ex", "call__end"),
    both("SSL_do_handshake", "call__end"),
    Probe { function: "SSL_new", entry: None, end: Some("SSL_new__end") },
    Probe { function: "SSL_set_fd", entry: Some("SSL_set_fd"), end: None },
    Probe { function: "SSL_ctrl", entry: Some("SSL_ctrl"), end: None },
    Probe { function: "SSL_free", entry: Some("SSL_free"), end: None },
];

/// Where hellos get their random bytes from; the first that is there (the second calls it).
const RANDOM: &[Probe] = &[both("RAND_bytes_ex", "random__end"), both("RAND_bytes", "random__end")];

const fn both(function: &'static str, end: &'static str) -> Probe {
    Probe { function, entry: Some(function), end: Some(end) }
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Library {
    /// Functions with the place of their first instruction in the file.
    pub(super) probes: Vec<(Probe, u64)>,
    /// It reads and writes TLS, rather than only drawing random bytes.
    pub(super) is_tls: bool,
}

/// Looks for the functions.
pub(super) fn look(file: File) -> io::Result<Library> {
    let cache = ReadCache::new(file);
    let Ok(elf) = object::File::parse(&cache) else { return Ok(Library::default()) };
    let names: Vec<&'static str> = TLS.iter().chain(RANDOM).map(|probe| probe.function).collect();
    let mut found: BTreeMap<&'static str, u64> = BTreeMap::new();
    // A program that was not stripped may define them without exporting them.
    for symbol in elf.dynamic_symbols().chain(elf.symbols()) {
        if !symbol.is_definition() || symbol.address() == 0 {
            continue;
        }
        let Ok(name) = symbol.name() else { continue };
        // Symbol versions stand behind an @.
        let name = name.split('@').next().unwrap_or(name);
        if let Some(name) = names.iter().find(|known| **known == name) {
            found.entry(name).or_insert_with(|| symbol.address());
        }
    }
    let place = |address: u64| {
        elf.segments().find_map(|segment| {
            let (at, size) = segment.file_range();
            let into = address.checked_sub(segment.address()).filter(|into| *into < size)?;
            Some(at + into)
        })
    };
    let with_place = |probe: &Probe| Some((*probe, place(*found.get(probe.function)?)?));
    let mut probes: Vec<(Probe, u64)> = TLS.iter().filter_map(with_place).collect();
    let is_tls = probes.iter().any(|(probe, _)| probe.function.starts_with("SSL_write"));
    if !is_tls {
        probes.clear();
    }
    probes.extend(RANDOM.iter().find_map(with_place));
    Ok(Library { probes, is_tls })
}

/// A TLS that can't be seen, by the marks that its code leaves in a file.
pub(super) fn other_tls(mut file: File) -> io::Result<Option<&'static str>> {
    let cache = ReadCache::new(file.try_clone()?);
    let Ok(elf) = object::File::parse(&cache) else { return Ok(None) };
    if elf.section_by_name(".go.buildinfo").is_some() || elf.section_by_name(".gopclntab").is_some() {
        return Ok(Some("Go's own crypto/tls"));
    }
    let Some((at, size)) = elf.section_by_name(".rodata").and_then(|section| section.file_range()) else { return Ok(None) };
    file.seek(SeekFrom::Start(at))?;
    let mut text = Vec::new();
    file.take(size.min(MOST_TEXT)).read_to_end(&mut text)?;
    // What BoringSSL and OpenSSL call their own source files and versions; what rustls calls its modules.
    let marks = [
        ("rustls-", "rustls"),
        ("rustls/src/", "rustls"),
        ("BoringSSL", "BoringSSL without symbols"),
        ("third_party/boringssl", "BoringSSL without symbols"),
        ("ssl/statem/statem_clnt.c", "OpenSSL without symbols"),
        ("Mbed TLS", "Mbed TLS"),
    ];
    Ok(marks.iter().find(|(mark, _)| memchr::memmem::find(&text, mark.as_bytes()).is_some()).map(|(_, name)| *name))
}

/// So much of a file's constants is searched for marks.
const MOST_TEXT: u64 = 64 << 20;
