//! The reference of all keys and commands: `docs/keys.md`.

use super::{Argument, COMMANDS, Scope, Spec};
use crate::ui::keymap::Keymap;

/// The reference of all keys and commands, as Markdown: `docs/keys.md`.
pub fn reference(keymap: &Keymap) -> String {
    let mut lines = vec![
        "# Keys and commands".to_owned(),
        String::new(),
        "Made from the command table and the built-in keymap. Every command can also be run by its"
            .to_owned(),
        "name in the palette (`:`).".to_owned(),
    ];
    let table = |title: &str| {
        let head = [
            "",
            &format!("## {title}"),
            "",
            "| key | command | does |",
            "|---|---|---|",
        ];
        head.map(str::to_owned)
    };
    let row = |keys: &[String], spec: &Spec| {
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        format!("| {} | `{}` | {} |", keys.join(" "), usage(spec), spec.doc)
    };
    for scope in Scope::ALL {
        lines.extend(table(scope.title()));
        let specs = COMMANDS.iter().filter(|spec| spec.scopes.contains(&scope));
        lines.extend(specs.map(|spec| row(keymap.keys(scope, spec.command), spec)));
    }
    lines.extend(table("In the palette alone"));
    let nowhere = COMMANDS.iter().filter(|spec| spec.scopes.is_empty());
    lines.extend(nowhere.map(|spec| row(&[], spec)));
    lines.join("\n") + "\n"
}

fn usage(spec: &Spec) -> String {
    match spec.argument {
        Argument::None => spec.name.to_owned(),
        Argument::Optional(word) => format!("{} [{word}]", spec.name),
        Argument::Needed(word) => format!("{} {word}", spec.name),
    }
}
