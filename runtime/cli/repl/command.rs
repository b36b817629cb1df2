//! Lines that begin with `:`: what can be asked of the prompt itself.
//!
//! One table: it yields the parsing, `:help` and the completion.

use std::time::Duration;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `:help`
    Help,
    /// `:probes`
    Probes,
    /// `:stop N`; all clauses without a number.
    Stop(Option<u32>),
    /// `:replace N CLAUSE`
    Replace(u32, String),
    /// `:edit N`
    Edit(u32),
    /// `:watch @x 1s`; all maps without a name.
    Watch(Option<String>, Duration),
    /// `:clear @x`; all maps without a name.
    Clear(Option<String>),
    /// `:doc WORD`
    Doc(String),
    /// `:list PATTERN`
    List(String),
    /// `:save FILE`
    Save(String),
    /// `:quiet`
    Quiet,
    /// `:quit`
    Quit,
}

/// A row of the table: name, what follows it, what it does.
pub(crate) struct Row {
    /// With its colon.
    pub name: &'static str,
    /// What follows.
    pub arguments: &'static str,
    /// One sentence.
    pub summary: &'static str,
}

/// Every command.
pub(crate) const TABLE: &[Row] = &[
    row(":probes", "", "the clauses that run, with their numbers"),
    row(":stop", "[N]", "stop clause N, or all of them; maps stay"),
    row(
        ":replace",
        "N CLAUSE",
        "put a clause in the place of clause N",
    ),
    row(
        ":edit",
        "N",
        "bring clause N back to the line; Enter puts it in place",
    ),
    row(
        ":watch",
        "[@MAP] [1s]",
        "show maps now and again, in place; Enter or Ctrl-C ends it",
    ),
    row(
        ":clear",
        "[@MAP]",
        "remove all elements of a map, or of all maps",
    ),
    row(":doc", "WORD", "the page of a word of the language"),
    row(":list", "PATTERN", "the probes that match"),
    row(
        ":save",
        "FILE",
        "write the definitions and clauses to a file",
    ),
    row(
        ":quiet",
        "",
        "stop or go on showing what clauses print (so does Ctrl-C)",
    ),
    row(":help", "", "this list"),
    row(":quit", "", "print the maps and leave (so does Ctrl-D)"),
];

const fn row(name: &'static str, arguments: &'static str, summary: &'static str) -> Row {
    Row {
        name,
        arguments,
        summary,
    }
}

/// The text of `:help`.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Type a clause (`interval:s:1 { print(@x); }`): it attaches at once and runs while you \
         type.\nType a statement (`@x = 5`, `print(@x)`): it runs once. `@` shows all maps, `@x` \
         one.\nMacros, C definitions and `$variables` stay.\n\n",
    );
    for row in TABLE {
        let usage = format!("{} {}", row.name, row.arguments);
        text.push_str(&format!("  {usage:22} {}\n", row.summary));
    }
    text
}

/// Reads a line that begins with `:`.
///
/// Errors: what is wrong with it, for a person.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| format!("`{name}` wants the number of a clause; `:probes` shows them"))
    };
    let word = || match rest {
        "" => Err(format!("`{name}` wants {}", arguments(name))),
        word => Ok(word.to_owned()),
    };
    Ok(match name {
        ":help" => Command::Help,
        ":probes" => Command::Probes,
        ":stop" if rest.is_empty() => Command::Stop(None),
        ":stop" => Command::Stop(Some(number(rest)?)),
        ":replace" => {
            let (first, clause) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let clause = clause.trim();
            if clause.is_empty() {
                return Err(String::from("`:replace` wants a number and a clause"));
            }
            Command::Replace(number(first)?, clause.to_owned())
        }
        ":edit" => Command::Edit(number(rest)?),
        ":watch" => watch(rest)?,
        ":clear" if rest.is_empty() => Command::Clear(None),
        ":clear" => Command::Clear(Some(map(rest)?)),
        ":doc" => Command::Doc(word()?),
        ":list" => Command::List(word()?),
        ":save" => Command::Save(word()?),
        ":quiet" => Command::Quiet,
        ":quit" => Command::Quit,
        _ => {
            let names = TABLE.iter().map(|row| row.name);
            let near = rbt_compiler::nearest::nearest(name, names);
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(format!(
                "there is no command `{name}`{hint} `:help` lists them"
            ));
        }
    })
}

fn arguments(name: &str) -> &'static str {
    let row = TABLE.iter().find(|row| row.name == name);
    row.map_or("", |row| row.arguments)
}

fn map(text: &str) -> Result<String, String> {
    text.strip_prefix('@')
        .map(str::to_owned)
        .ok_or_else(|| format!("`{text}` is no map; maps begin with `@`"))
}

fn watch(rest: &str) -> Result<Command, String> {
    let (mut name, mut every) = (None, Duration::from_secs(1));
    for word in rest.split_whitespace() {
        if word.starts_with('@') {
            name = Some(map(word)?);
        } else {
            every = duration(word).ok_or_else(|| {
                format!("`{word}` is no time between looks; write `1s` or `250ms`")
            })?;
        }
    }
    Ok(Command::Watch(name, every))
}

/// `1s`, `250ms`; at least a tenth of a second.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    let milliseconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(Duration::from_millis(milliseconds.max(100)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        assert_eq!(parse(":stop 3"), Ok(Command::Stop(Some(3))));
        assert_eq!(parse(":stop"), Ok(Command::Stop(None)));
        let ms = Duration::from_millis;
        let x = || Some(String::from("x"));
        assert_eq!(parse(":watch"), Ok(Command::Watch(None, ms(1000))));
        assert_eq!(parse(":watch @x 250ms"), Ok(Command::Watch(x(), ms(250))));
        assert_eq!(
            parse(":watch @ 2s"),
            Ok(Command::Watch(Some(String::new()), ms(2000)))
        );
        let clause = String::from("i:s:1 { }");
        assert_eq!(
            parse(":replace 2 i:s:1 { }"),
            Ok(Command::Replace(2, clause))
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse(":stop x").expect_err("a mistake").contains("number"));
        assert!(
            parse(":prbes")
                .expect_err("a mistake")
                .contains("`:probes`")
        );
        assert!(parse(":watch x").expect_err("a mistake").contains("`x`"));
        assert!(parse(":doc").expect_err("a mistake").contains("WORD"));
        assert!(parse(":clear x").expect_err("a mistake").contains('@'));
    }

    #[test]
    fn every_row_is_a_command() {
        for row in TABLE {
            let line = format!("{} 1 {{ }}", row.name);
            let answer = parse(&line);
            let is_known = answer
                .as_ref()
                .err()
                .is_none_or(|e| !e.contains("no command"));
            assert!(is_known, "{answer:?}");
        }
    }
}
