//! What is written beside a packet: its comments, and the process that ptcpdump names in them.

use std::str::{Lines, from_utf8};

use super::ng;
use crate::base::Process;

/// Comments on a packet, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comments<'a> {
    options: &'a [u8],
    big: bool,
}

impl<'a> Comments<'a> {
    pub(super) fn new(options: &'a [u8], big: bool) -> Comments<'a> {
        Comments { options, big }
    }

    /// Each of them, in order. UTF-8 if their writer kept to the rules.
    pub fn all(self) -> impl Iterator<Item = &'a [u8]> {
        ng::comments(self.options, self.big)
    }

    /// The process that owns the packet's connection, as ptcpdump writes it: one comment for the process, one for its container, one for
    /// its pod, each a `Key: value` a line. Arguments, labels and parents are passed over: arguments may hold a secret.
    pub fn process(self) -> Option<Process> {
        if self.options.is_empty() {
            return None;
        }
        let mut found: Option<Process> = None;
        for lines in self.all().filter_map(|text| Some(from_utf8(text).ok()?.lines())) {
            process(lines, &mut found);
        }
        found.filter(|process| *process != Process::default())
    }
}

/// What the lines of one comment say.
fn process(mut lines: Lines<'_>, found: &mut Option<Process>) {
    let Some((key, first)) = lines.next().and_then(said) else { return };
    let mut rest = lines.filter_map(said);
    let mut value = |key| rest.find(|(found, _)| *found == key).map(|(_, value)| value).filter(|value| !value.is_empty());
    match key {
        "PID" => {
            let Ok(pid) = first.parse() else { return };
            let process = found.get_or_insert_default();
            (process.pid, process.command) = (Some(pid), value("Cmd").map(Process::text));
        }
        "ContainerName" => {
            let name = Some(first).filter(|name| !name.is_empty()).or_else(|| value("ContainerId"));
            found.get_or_insert_default().container = name.map(Process::text);
        }
        "PodName" => {
            let name = value("PodNamespace").map_or_else(|| first.to_owned(), |space| format!("{space}/{first}"));
            found.get_or_insert_default().pod = Some(Process::text(&name));
        }
        _ => {}
    }
}

fn said(line: &str) -> Option<(&str, &str)> {
    line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options of a packet, in the order in which ptcpdump writes them (little endian).
    fn options(comments: &[&str]) -> Vec<u8> {
        let mut all = Vec::new();
        for text in comments {
            all.extend([1, 0]);
            all.extend((text.len() as u16).to_le_bytes());
            all.extend(text.as_bytes());
            all.resize(all.len().next_multiple_of(4), 0);
        }
        all.extend([2, 0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        all
    }

    fn named(comments: &[&str]) -> Option<Process> {
        Comments::new(&options(comments), false).process()
    }

    #[test]
    fn a_process_with_its_container_and_its_pod_but_never_its_arguments() {
        let process = named(&[
            "PID: 4711\nCmd: /usr/bin/python3.11\nArgs: litellm --token hush",
            "ParentPID: 1\nParentCmd: /sbin/init\nParentArgs: init",
            "ContainerName: gateway\nContainerId: 8c1f\nContainerImage: litellm:1\nContainerLabels: [a=b]",
            "PodName: gateway-0\nPodNamespace: mcp\nPodUID: 1\nPodLabels: []\nPodAnnotations: []",
        ]);
        let text = |text: &str| Some(text.to_owned());
        let expected =
            Process { pid: Some(4711), command: text("/usr/bin/python3.11"), container: text("gateway"), pod: text("mcp/gateway-0") };
        assert_eq!(process, Some(expected));
        assert!(!format!("{process:?}").contains("hush"));
    }

    #[test]
    fn other_comments_name_nobody() {
        for comment in ["", "PID", "PID: ", "PID: many\nCmd: x", "seen at noon", "PID:7", "ThreadId: 4\nThreadName: PID: 8"] {
            assert_eq!(named(&[comment]), None, "{comment:?}");
        }
        assert_eq!(Comments::default().process(), None);
        assert_eq!(named(&["ContainerName: \nContainerId: 8c1f"]).and_then(|process| process.container), Some("8c1f".to_owned()));
    }

    #[test]
    fn a_name_is_bounded_and_holds_no_control_character() {
        let long = "\u{1b}[31m".to_owned() + &"ä".repeat(500);
        let command = named(&[&format!("PID: 1\nCmd: {long}")]).and_then(|process| process.command).unwrap();
        assert!(command.chars().count() <= 129 && !command.contains('\u{1b}') && command.starts_with("\u{fffd}[31mä"), "{command}");
    }
}
