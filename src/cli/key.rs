//! The key under which credentials become fingerprints.

use std::path::Path;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base::Keyer;

/// From the file that the user named, else a random one that dies with the run.
pub(super) fn keyer(path: Option<&Path>) -> anyhow::Result<Keyer> {
    let Some(path) = path else {
        let mut key = [0; 32];
        getrandom::fill(&mut key)
            .context("the system gives no random bytes for a fingerprint key; name one with --fingerprint-key FILE")?;
        return Ok(Keyer::new(key));
    };
    let content = std::fs::read(path).with_context(|| format!("{}: the fingerprint key cannot be read", path.display()))?;
    let content = Zeroizing::new(content);
    if content.is_empty() {
        bail!("{}: the fingerprint key is empty; 32 random bytes make a good one: head -c 32 /dev/urandom > FILE", path.display());
    }
    Ok(Keyer::new(Sha256::digest(&*content).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_one_key_and_none_from_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let mark = |path: Option<&Path>| keyer(path).map(|keyer| keyer.fingerprint("token", b"x"));
        let (a, b, empty) = (file("a", "one"), file("b", "two"), file("c", ""));
        assert_eq!(mark(Some(&a)).unwrap(), mark(Some(&a)).unwrap());
        assert_ne!(mark(Some(&a)).unwrap(), mark(Some(&b)).unwrap());
        assert_ne!(mark(None).unwrap(), mark(None).unwrap());
        assert!(mark(Some(&empty)).unwrap_err().to_string().contains("empty"));
    }
}
