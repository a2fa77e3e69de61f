//! The commands that the pages name can be typed so.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::Cli;

const COMMANDS: &str = include_str!("../../../../docs/command-line.md");
const OPERATIONS: &str = include_str!("../../../../docs/operations.md");

/// All commands in a page: in consoles behind `$`, and in the text between backticks.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_console = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_console = !in_console;
        } else if in_console {
            found.extend(line.strip_prefix("$ ").or(Some(line)));
        } else {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    let ours = found.into_iter().filter(|text| text.starts_with("oxcart "));
    // Without what stands behind a pipe.
    let ours = ours.map(|text| text.split(['|', '\\']).next().unwrap_or_default().trim());
    ours.map(str::to_owned).collect()
}

/// As a shell takes it apart; the pages quote with `'` alone.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    assert!(!quoted, "a quote is open: {command}");
    words
}

#[test]
fn the_commands_that_the_pages_name_can_be_typed() {
    let mut number = 0;
    for command in [COMMANDS, OPERATIONS].into_iter().flat_map(commands) {
        match Cli::try_parse_from(words(&command)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
            Err(error) => panic!("{command}\n{error}"),
        }
        number += 1;
    }
    assert!(number > 50, "{number}");
}

#[test]
fn each_verb_is_named_on_the_page_of_the_command() {
    for noun in Cli::command().get_subcommands() {
        let name = noun.get_name();
        assert!(COMMANDS.contains(&format!("oxcart {name}")), "{name}");
        for verb in noun.get_subcommands() {
            let verb = format!("oxcart {name} {}", verb.get_name());
            assert!(COMMANDS.contains(&verb), "{verb}");
        }
    }
}

#[test]
fn the_arguments_are_well_defined() {
    Cli::command().debug_assert();
}
