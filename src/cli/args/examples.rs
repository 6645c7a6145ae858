//! An example or two for each command: the last lines of its help.

use clap::Command;

/// The commands by their words, and their examples. Those of `data` stand there with the rest of
/// what they say.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("open", &["kvscope open config app.billing.limits"]),
    ("demo", &["kvscope demo", "kvscope demo --file demo.db"]),
    ("bucket ls", &["kvscope bucket ls --json"]),
    ("bucket info", &["kvscope bucket info config"]),
    (
        "bucket add",
        &[
            "kvscope bucket add config --history 10 --replicas 3",
            "kvscope bucket add sessions --ttl 12h --marker-ttl 1h",
        ],
    ),
    ("bucket edit", &["kvscope bucket edit config --history 16"]),
    (
        "bucket compact",
        &["kvscope bucket compact config --dry-run"],
    ),
    ("bucket rm", &["kvscope bucket rm scratch --force"]),
    (
        "ls",
        &[
            "kvscope ls config 'app.billing.>'",
            "kvscope ls config --names --query '.replicas > 3'",
        ],
    ),
    (
        "get",
        &[
            "kvscope get config app.billing.limits",
            "kvscope get config app.billing.limits --query .max_per_day",
        ],
    ),
    (
        "put",
        &["kvscope put config app.billing.limits @limits.json"],
    ),
    ("create", &["kvscope create flags dark-mode on --ttl 1h"]),
    (
        "update",
        &["kvscope update config app.billing.limits @limits.json 8841"],
    ),
    (
        "edit",
        &[
            "kvscope edit config app.billing.limits",
            "kvscope edit --create config app.search.limits",
        ],
    ),
    ("revert", &["kvscope revert config app.billing.limits 8838"]),
    ("del", &["kvscope del flags dark-mode --revision 12"]),
    ("purge", &["kvscope purge config app.token"]),
    (
        "history",
        &["kvscope history config app.billing.limits --json"],
    ),
    (
        "watch",
        &[
            "kvscope watch config 'app.billing.>'",
            "kvscope watch config --updates-only --json",
            "kvscope watch config --from 8841",
        ],
    ),
    (
        "lock ls",
        &["kvscope lock ls", "kvscope lock ls locks --json"],
    ),
    ("lock show", &["kvscope lock show locks billing.ledger"]),
    (
        "lock run",
        &["kvscope lock run locks migrations --wait 30s -- ./migrate.sh"],
    ),
    (
        "lock break",
        &["kvscope lock break locks migrations --session s_8fk2c0x1qz"],
    ),
    (
        "completions",
        &[
            "source <(kvscope completions bash)",
            "kvscope completions zsh > ~/.zfunc/_kvscope",
            "kvscope completions fish > ~/.config/fish/completions/kvscope.fish",
        ],
    ),
    (
        "man",
        &[
            "kvscope man | man -l -",
            "kvscope man --folder ~/.local/share/man/man1",
        ],
    ),
];

/// The command with the examples of all commands below it.
pub(super) fn added_to(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (words, examples)| {
        let words: Vec<&str> = words.split(' ').collect();
        add(command, &words, examples)
    })
}

fn add(command: Command, words: &[&str], examples: &[&str]) -> Command {
    match words {
        [] => command.after_help(format!("Examples:\n  {}", examples.join("\n  "))),
        [first, rest @ ..] if command.find_subcommand(first).is_some() => {
            command.mut_subcommand(first, |below| add(below, rest, examples))
        }
        _ => command,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::args::Cli;

    /// The commands without commands below them, by their words.
    fn leaves(command: &Command, words: &str, found: &mut Vec<(String, String)>) {
        let below: Vec<&Command> = command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
            .collect();
        if below.is_empty() {
            let help = command.get_after_help().map(ToString::to_string);
            found.push((words.to_owned(), help.unwrap_or_default()));
        }
        for command in below {
            leaves(
                command,
                format!("{words} {}", command.get_name()).trim(),
                found,
            );
        }
    }

    #[test]
    fn every_command_has_examples_that_it_understands() {
        let mut all = Vec::new();
        leaves(&Cli::grammar(), "", &mut all);
        assert!(all.len() > 20, "{all:?}");
        for (words, help) in all {
            let lines = help.lines().filter(|line| line.contains("kvscope "));
            let mut count = 0;
            for line in lines {
                count += 1;
                let line = line.split(['|', '>', ')']).next().unwrap_or_default();
                let line = &line[line.find("kvscope").unwrap_or(line.len())..];
                let arguments = unquoted(line);
                let read = Cli::read(arguments.into_iter().map(OsString::from).collect());
                assert!(read.is_ok(), "{line}: {:?}", read.err());
            }
            assert!(count > 0, "`kvscope {words}` has no example");
        }
    }

    /// The words of a shell's line, as far as examples go.
    fn unquoted(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for letter in line.trim().chars() {
            match letter {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                letter => words.last_mut().unwrap().push(letter),
            }
        }
        words
    }
}
