//! The command line: its grammar, and a file for each family of commands.
