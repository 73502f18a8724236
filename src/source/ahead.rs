//! TLS secrets that are still to come, read before their turn: a capture may hold them long after the packets that need them.

use std::path::PathBuf;

use super::file::Progress;
use super::plan::{Stream, open};
use crate::base::Limits;
use crate::capfile::{Block, Reader};

/// Reads the files' secrets ahead, beside whoever reads their packets, and knows which of them are told already.
pub struct Ahead {
    files: Vec<File>,
    limits: Limits,
}

/// How far the secrets of a file have been told.
struct File {
    path: PathBuf,
    /// Blocks of them that the reading has come to.
    met: u64,
    /// Blocks that were told ahead of it.
    ahead: u64,
    /// Standard input or a pipe: it can't be read ahead.
    pipe: bool,
    /// What kind of file it is allows for secrets.
    possible: bool,
}

impl Ahead {
    pub(super) fn new<'a>(files: impl Iterator<Item = (PathBuf, Option<&'a Stream>)>, limits: &Limits) -> Ahead {
        let file = |(path, stream): (PathBuf, Option<&Stream>)| {
            let possible = stream.is_none_or(Reader::may_hold_secrets);
            File { path, met: 0, ahead: 0, pipe: stream.is_some(), possible }
        };
        Ahead { files: files.map(file).collect(), limits: limits.clone() }
    }

    /// The reading has come to a block of secrets in this file: whether they were not told ahead.
    pub fn is_news(&mut self, file: u16) -> bool {
        let Some(file) = self.files.get_mut(usize::from(file)) else { return true };
        file.met += 1;
        file.met > file.ahead
    }

    /// Tells the secrets that are still to come. False where there may be more, since a pipe cannot be read ahead.
    pub fn read(&mut self, mut tell: impl FnMut(&[u8])) -> bool {
        for file in self.files.iter_mut().filter(|file| file.possible && !file.pipe) {
            // What cannot be opened or read any more is told when its packets' turn comes.
            let Ok((mut stream, _)) = open(&file.path, &Progress::default(), &self.limits) else { continue };
            file.possible = stream.may_hold_secrets();
            let mut met = 0;
            while file.possible && stream.step() {
                if let Some(Block::Secrets(text)) = stream.block() {
                    met += 1;
                    if met > file.met.max(file.ahead) {
                        file.ahead = met;
                        tell(text);
                    }
                }
            }
        }
        !self.files.iter().any(|file| file.pipe && file.possible)
    }
}
