//! The terminal: entered and left in order whatever happens, fed with snapshots, asked for keys. It has a thread of its own, so that a
//! slow terminal makes nobody wait but its user.

use std::io::{self, BufWriter, IsTerminal};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event, KeyEventKind, MouseButton, MouseEventKind};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};

use super::hangup::{self, Bell, GRACE};
use super::save::{Packets, Saving};
use crate::watch::{self, Effect, Palette, Post, State, Theme};

/// Told before anything is opened.
pub(super) fn usable() -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        bail!("watch draws on a terminal, and standard output is none: replay and live write reports");
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        bail!("watch needs a terminal that can move its cursor, and TERM says `dumb`: replay and live write reports");
    }
    Ok(())
}

/// What the terminal can show: colours unless `NO_COLOR` says no (<https://no-color.org>), more than ASCII where the locale is UTF-8.
pub(super) fn theme(plain: bool, ascii: bool, palette: impl FnOnce(Option<&str>) -> anyhow::Result<Palette>) -> anyhow::Result<Theme> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default().to_ascii_uppercase();
    let utf8 = locale.contains("UTF-8") || locale.contains("UTF8");
    let palette = palette(set("COLORFGBG").as_deref())?;
    Ok(Theme { palette: (!plain && set("NO_COLOR").is_none()).then_some(palette), ascii: ascii || !utf8 })
}

/// The screen's thread.
pub(super) struct Drawing {
    thread: Option<thread::JoinHandle<anyhow::Result<()>>>,
    /// Rings when the thread ends or is given up.
    over: Receiver<()>,
    post: Arc<Post>,
}

/// What a screen is given.
pub(super) struct Setup {
    pub(super) state: State,
    pub(super) mouse: bool,
    /// For saving packets.
    pub(super) packets: Option<Packets>,
}

/// Starts it.
pub(super) fn spawn(post: &Arc<Post>, setup: Setup) -> anyhow::Result<Drawing> {
    let (bell, over) = channel();
    let signals = Signals::listen()?;
    hangup::look(post, &signals.end, Bell(bell.clone()))?;
    let seen = Arc::clone(post);
    let drawing = move || {
        let _bell = Bell(bell);
        run(&seen, &signals, setup)
    };
    let thread = thread::Builder::new().name("screen".to_owned()).spawn(drawing).context("no thread for the screen")?;
    Ok(Drawing { thread: Some(thread), over, post: Arc::clone(post) })
}

impl Drawing {
    /// The run has told all; the user looks on for as long as they like.
    pub(super) fn wait(mut self) -> anyhow::Result<()> {
        self.over()
    }

    fn over(&mut self) -> anyhow::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.post.told();
        let _ = self.over.recv();
        if self.post.given_up() {
            // It hangs in its terminal: what can be put back is, without it.
            leave();
            return Ok(());
        }
        thread.join().unwrap_or_else(|_| bail!("the screen failed"))
    }
}

/// A run that fails leaves the terminal before it says why.
impl Drop for Drawing {
    fn drop(&mut self) {
        self.post.close();
        let _ = self.over();
    }
}

/// Draws and listens until the user leaves, a signal says so, or the run fails; then gives the run some time to end in order.
fn run(post: &Post, signals: &Signals, setup: Setup) -> anyhow::Result<()> {
    let drawn = listen(post, signals, setup);
    // The run may hang on a pipe that brings nothing: nobody can wake it there.
    let begun = Instant::now();
    while !post.ended() && begun.elapsed() < GRACE {
        thread::sleep(LEAST);
    }
    if let (false, Ok(found)) = (post.ended(), &drawn) {
        std::process::exit(i32::from(*found));
    }
    drawn.map(drop)
}

/// Whether something was found.
fn listen(post: &Post, signals: &Signals, setup: Setup) -> anyhow::Result<bool> {
    let Setup { mut state, mouse, packets } = setup;
    let _gone = Close(post);
    let mut terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout())))?;
    let _entered = Entered::enter(mouse)?;
    let size = terminal.size()?;
    state.size = (size.width, size.height);
    let (mut changed, mut asked, mut drawn) = (true, None::<Instant>, None::<Instant>);
    let mut saving = None;
    while !signals.end.load(Ordering::Relaxed) && !post.closed() {
        if let Some(snapshot) = post.take() {
            state.take(snapshot);
            changed = true;
        }
        changed |= saved(&mut state, &mut saving);
        if asked.is_none_or(|asked| asked.elapsed() >= FRAME) {
            post.ask();
            asked = Some(Instant::now());
        }
        if changed {
            terminal.draw(|frame| watch::draw(frame, &state)).context("the terminal cannot be drawn on")?;
            (changed, drawn) = (false, Some(Instant::now()));
        }
        let patience = FRAME.saturating_sub(drawn.map_or(FRAME, |drawn| drawn.elapsed())).max(LEAST);
        let mut wait = patience;
        // Everything that was typed meanwhile is answered by one frame.
        while event::poll(wait).context("the terminal cannot be read")? {
            wait = Duration::ZERO;
            changed = true;
            for effect in heard(&mut state, &event::read().context("the terminal cannot be read")?) {
                match effect {
                    Effect::Quit => return Ok(!state.snapshot.findings.is_empty()),
                    Effect::Redraw => terminal.clear()?,
                    Effect::Suspend => signals.stop.store(true, Ordering::Relaxed),
                    Effect::Copy(text) => execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))?,
                    Effect::Save(..) if saving.is_some() => state.message = Some("still saving what was asked for before".to_owned()),
                    Effect::Save(path, pairs) => {
                        state.message = Some(format!("saving to {path} ..."));
                        let (files, summary) = (state.files.clone(), state.snapshot.summary.clone());
                        let job = Saving { path, pairs, files, summary, packets: packets.clone() };
                        // Captures may be large: keys are answered meanwhile.
                        saving = Some(thread::Builder::new().name("save".to_owned()).spawn(move || job.save())?);
                    }
                }
            }
        }
        if signals.stop.swap(false, Ordering::Relaxed) {
            leave();
            signal_hook::low_level::emulate_default_handler(SIGTSTP).context("the process cannot be stopped")?;
            enter(mouse)?;
            terminal.clear()?;
            changed = true;
        }
    }
    Ok(!state.snapshot.findings.is_empty())
}

/// Tells what became of what is being saved, once that is known.
fn saved(state: &mut State, saving: &mut Option<thread::JoinHandle<anyhow::Result<String>>>) -> bool {
    let Some(job) = saving.take_if(|job| job.is_finished()) else { return false };
    state.message = Some(match job.join() {
        Ok(Ok(told)) => {
            state.saved = state.snapshot.findings.len();
            told
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "saving failed".to_owned(),
    });
    true
}

fn heard(state: &mut State, event: &Event) -> Vec<Effect> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => return watch::key(state, *key),
        Event::Resize(width, height) => state.size = (*width, *height),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollDown => watch::scroll(state, 3),
            MouseEventKind::ScrollUp => watch::scroll(state, -3),
            MouseEventKind::Down(MouseButton::Left) => {
                // Title, health and the heads of the columns stand above a list.
                if let Some(line) = usize::from(mouse.row).checked_sub(3) {
                    watch::click(state, line);
                }
            }
            _ => {}
        },
        _ => {}
    }
    Vec::new()
}

/// Raw mode and the other screen, for as long as this lives; also left when something panics.
struct Entered;

impl Entered {
    fn enter(mouse: bool) -> anyhow::Result<Entered> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            before(info);
        }));
        enter(mouse)?;
        Ok(Entered)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        leave();
    }
}

fn enter(mouse: bool) -> anyhow::Result<()> {
    enable_raw_mode().context("the terminal gives no raw mode")?;
    execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
    if mouse {
        execute!(io::stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// As it was. May be called twice; a terminal that is gone needs nothing.
fn leave() {
    let _ = execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Signals that others send.
struct Signals {
    end: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        let signals = Signals { end: Arc::default(), stop: Arc::default() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&signals.end)).context("signals cannot be listened for")?;
        }
        signal_hook::flag::register(SIGTSTP, Arc::clone(&signals.stop)).context("signals cannot be listened for")?;
        Ok(signals)
    }
}

/// Whoever goes first tells the other.
struct Close<'a>(&'a Post);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Frames are drawn so often while something changes, so that ten a second remain on a busy machine; keys are answered at once.
const FRAME: Duration = Duration::from_millis(50);
const LEAST: Duration = Duration::from_millis(5);
const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    use std::process::Command;

    use rustix::fs::OFlags;
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    #[test]
    fn a_panic_puts_the_terminal_back() {
        let mut terminal = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal"));
        unlockpt(&terminal).expect("it opens");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name").into_string().unwrap();
        let end = File::options().read(true).write(true).custom_flags(OFlags::NOCTTY.bits() as i32).open(name).expect("its other end");
        let before = tcgetattr(&end).unwrap();
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["cli::screen::tests::fails_on_the_screen", "--exact", "--ignored", "--nocapture"])
            .stdin(end.try_clone().unwrap())
            .stdout(end.try_clone().unwrap())
            .stderr(end.try_clone().unwrap())
            .status()
            .expect("it runs");
        let after = tcgetattr(&end).unwrap();
        drop(end);
        let mut shown = Vec::new();
        // Its end is told as an error (EIO), after all that was written.
        let _ = terminal.read_to_end(&mut shown);
        let shown = String::from_utf8_lossy(&shown);
        assert!(ended.success(), "{shown}");
        let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown:?}"));
        let (entered, left, said) = (place("\u{1b}[?1049h"), place("\u{1b}[?1049l"), place("a mistake of ours"));
        assert!(entered < left && left < said, "the message stands on the screen that stays: {shown:?}");
        assert!(place("\u{1b}[?25h") > entered, "the cursor is shown again");
        assert!(before.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO));
        assert_eq!((before.local_modes, before.input_modes), (after.local_modes, after.input_modes));
    }

    #[test]
    #[ignore = "run by a_panic_puts_the_terminal_back, in a terminal of its own"]
    fn fails_on_the_screen() {
        let drawing = thread::spawn(|| {
            let _entered = Entered::enter(true).expect("it is entered");
            panic!("a mistake of ours");
        });
        assert!(drawing.join().is_err());
    }
}
