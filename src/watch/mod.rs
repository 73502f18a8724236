//! The dashboard: snapshots of a run and keys come in, a drawn screen and effects go out. It refuses to know terminals, threads, files
//! and clocks: those are the command line's (`cli::screen`).

mod board;
mod copy;
mod filter;
mod history;
mod keys;
mod post;
mod prompt;
mod row;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;

pub use board::Board;
pub use copy::records;
pub use filter::{Filter, KEYS as FILTER_KEYS, Wrong};
pub use keys::{Action, Keys};
pub use post::Post;
pub use row::{Row, Visit};
pub use snapshot::{ClientRow, History, Rows, Run, ServerRow, Snapshot};
pub use state::{State, View};
pub use theme::{Palette, Theme};
pub use update::{Effect, click, key, scroll};
pub use view::draw;
