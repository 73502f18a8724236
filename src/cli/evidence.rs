//! `--evidence DIR`: reads the captures once more for the frames of the pairs that were found, writes a bundle for each finding, and
//! judges each bundle to say whether it shows the same.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::beside::Eye;
use super::run::Settings;
use super::spool::Spool;
use super::{spool, wiring};
use crate::base::{Keyer, Limits};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::report::evidence::{Bundle, Expected, Picker, Replayed, Setting};
use crate::verdict::{Finding, Judged};

/// Where bundles go, and what was picked for them so far.
pub(super) struct Evidence {
    folder: PathBuf,
    picker: Picker,
    findings: Vec<Finding>,
}

/// What the second reading needs of the first.
pub(super) struct Again<'a> {
    pub(super) captures: &'a [PathBuf],
    pub(super) keylogs: &'a [PathBuf],
    pub(super) limits: &'a Limits,
    pub(super) keyer: &'a Keyer,
    pub(super) stall_after: i64,
    /// What came through a pipe or from an interface, kept since it cannot be read twice.
    pub(super) spool: Option<Spool>,
}

impl Evidence {
    /// The folder is new, or empty: evidence of two runs must not be mixed.
    pub(super) fn new(folder: &Path, files: Vec<String>, limits: &Limits) -> anyhow::Result<Evidence> {
        fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        let mut inside = fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))?;
        if inside.next().is_some() {
            bail!("{}: is not empty; name a new directory with --evidence", folder.display());
        }
        Ok(Evidence { folder: folder.to_owned(), picker: Picker::new(files, limits), findings: Vec::new() })
    }

    /// Writes all bundles. Gives what there is to say on standard error.
    pub(super) fn write(self, again: Again<'_>, summary: &Summary) -> anyhow::Result<String> {
        let (wanted, without) = self.picker.choose(&self.findings);
        if wanted.is_empty() {
            return Ok(format!("{}: no finding, no evidence", self.folder.display()));
        }
        let Again { captures, keylogs, limits, keyer, stall_after, spool: kept } = again;
        let (mut gather, lack) = spool::gather(&wanted, captures, keylogs, limits, kept)?;
        let setting = Setting { keyer, summary };
        let mut sums = String::new();
        let (mut same, total) = (0, wanted.len());
        for (n, wanted) in wanted.into_iter().enumerate() {
            let bundle = Bundle::new(&mut gather, n, wanted, &setting)?;
            let folder = self.folder.join(&bundle.name);
            fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
            let mut put = |name: &str, bytes: &[u8]| -> anyhow::Result<()> {
                let path = folder.join(name);
                fs::write(&path, bytes).with_context(|| format!("{}: cannot be written", path.display()))?;
                let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                sums += &format!("{digest}  {}/{name}\n", bundle.name);
                Ok(())
            };
            put("streams.pcapng", &bundle.streams)?;
            let replayed = replay(&folder.join("streams.pcapng"), &bundle, limits, keyer, stall_after)?;
            same += usize::from(replayed.same);
            put("finding.json", &bundle.json(&setting, &replayed)?)?;
            put("ladder.txt", bundle.ladder().as_bytes())?;
        }
        let path = self.folder.join("SHA256SUMS");
        fs::File::create(&path)
            .and_then(|mut file| file.write_all(sums.as_bytes()))
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        let mut said =
            format!("{}: evidence for {total} of {} findings; {same} judged the same from it", self.folder.display(), total + without);
        if let Some(lack) = lack {
            said += &format!("; {lack}");
        }
        Ok(said)
    }
}

/// Judges a bundle's packets.
fn replay(path: &Path, bundle: &Bundle, limits: &Limits, keyer: &Keyer, stall_after: i64) -> anyhow::Result<Replayed> {
    let expected = bundle.expected();
    let judge = |gateways: Vec<(std::net::IpAddr, Option<u16>)>| -> anyhow::Result<Vec<Expected>> {
        let paths = [path.to_owned()];
        let opened = wiring::open(&paths, &[], limits)?;
        let settings = Settings { limits: limits.clone(), keyer: keyer.clone(), gateways, stall_after };
        let mut found = Vec::new();
        wiring::walk(opened, settings, Verdicts(&mut found), |_| true)?;
        found.sort();
        Ok(found)
    };
    let holds = |found: &[Expected]| {
        let mut left = found.to_vec();
        expected.iter().all(|one| left.iter().position(|found| found == one).map(|at| left.remove(at)).is_some())
    };
    let alone = judge(Vec::new())?;
    let name = "gatewitness replay streams.pcapng";
    if holds(&alone) {
        return Ok(Replayed { same: true, command: name.to_owned(), instead: Vec::new() });
    }
    // So few exchanges may not show which address is the gateway.
    let gateways = bundle.gateways();
    let named = gateways.iter().filter_map(|gateway| gateway.parse::<crate::base::Addr>().ok()).map(|addr| (addr.ip(), Some(addr.port())));
    let told = judge(named.collect())?;
    let same = holds(&told);
    let options: String = gateways.iter().map(|gateway| format!(" --gateway {gateway}")).collect();
    let words = |one: &Expected| format!("{} on {} by {}", one.verdict, one.route, one.client);
    let instead = if same { Vec::new() } else { told.iter().map(words).collect() };
    Ok(Replayed { same, command: format!("{name}{options}"), instead })
}

/// Keeps verdicts alone.
struct Verdicts<'a>(&'a mut Vec<Expected>);

impl Output for Verdicts<'_> {
    fn pair(&mut self, judged: Judged) {
        self.0.push(Expected::of(&judged));
    }

    fn loss(&mut self, _: Loss) {}

    fn finding(&mut self, _: Finding) {}

    fn exchange(&mut self, _: Leg) {}
}

/// Picks what is evidence on its way to the report.
pub(super) struct Picking<'a> {
    pub(super) evidence: Option<&'a RefCell<Evidence>>,
    /// Where what is picked must be held, since it is forgotten there after a while.
    pub(super) spool: Option<&'a RefCell<Spool>>,
}

/// Keeps packets of a live run for its evidence.
#[cfg(feature = "live")]
pub(super) struct Spooling<'a>(pub(super) &'a RefCell<Spool>);

#[cfg(feature = "live")]
impl crate::live::Keep for Spooling<'_> {
    fn packet(&mut self, _: usize, _: &str, frame: &crate::packet::Frame<'_>) {
        self.0.borrow_mut().frame(frame);
    }
}

impl Eye for Picking<'_> {
    fn pair(&mut self, judged: &Judged) {
        if let Some(evidence) = self.evidence {
            let picked = evidence.borrow_mut().picker.pair(judged);
            if let Some(spool) = self.spool {
                spool.borrow_mut().hold(&picked);
            }
        }
    }

    fn finding(&mut self, finding: &Finding) {
        if let Some(evidence) = self.evidence {
            evidence.borrow_mut().findings.push(finding.clone());
        }
    }
}
