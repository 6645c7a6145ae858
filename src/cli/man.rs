//! `man`: the manual pages, made from the grammar.

use std::fs::File;
use std::io;

use clap_mangen::Man;

use super::args::{Cli, ManArgs};
use super::error::CliError;
use super::output::Output;

pub(super) fn run(args: &ManArgs, output: &mut Output) -> Result<(), CliError> {
    let mut command = Cli::grammar();
    command.build();
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        return output.bytes(&page);
    };
    let failed = |error: io::Error| CliError::Input {
        what: folder.display().to_string(),
        error,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    pages(&command, "kvscope", &mut |name, man| {
        let mut file = File::create(folder.join(format!("{name}.1")))?;
        man.render(&mut file)
    })
    .map_err(failed)?;
    output.line(&format!("the pages are in {}", folder.display()))
}

/// Writes the page of a command, and those of all below it.
fn pages(
    command: &clap::Command,
    name: &str,
    write: &mut impl FnMut(&str, Man) -> io::Result<()>,
) -> io::Result<()> {
    let shown = command.clone().display_name(name.to_owned());
    write(name, Man::new(shown).title(name))?;
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        pages(below, &format!("{name}-{}", below.get_name()), write)?;
    }
    Ok(())
}
