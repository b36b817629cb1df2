//! `rbt completions SHELL`: what completes rbt's command line in bash, zsh and fish.
//!
//! Made of the tables of options, subcommands, topics, words, codes and tools. Probes are asked
//! for when they are completed, by `rbt -l`.

use crate::args::{self, Args, Effect, Row};
use crate::{WRONG, complain, help, print, subcommand, tools};
use rbt_compiler::config;
use rbt_grammar::codes;
use rbt_stdlib::{VOCABULARY, pages};
use std::fmt::Write as _;

/// Values of options that come from a list: option, values.
const VALUES: &[(&str, &str)] = &[
    ("FORMAT", "text json"),
    ("-B", "line full none"),
    ("--mode", "codegen format bench test compiler-bench"),
    ("WHEN", "always never auto"),
    ("STAGE[,STAGE]", "ast hir plan ir asm object all verifier"),
    ("NAME[,NAME]", "kprobe_multi kprobe_session uprobe_multi"),
];

/// What may follow an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    File,
    Folder,
    Process,
    Code,
    Program,
    Command,
    Anything,
    OneOf(&'static str),
}

/// What follows an option; `None` if nothing does.
fn follows(row: &Row) -> Option<Follows> {
    let Effect::Value(name, _) = row.effect else {
        return None;
    };
    let listed = VALUES.iter().find(|(key, _)| {
        *key == name || key.strip_prefix("--") == Some(row.long) && !row.long.is_empty() || {
            let letter = row.short.map(|letter| format!("-{letter}"));
            letter.as_deref() == Some(key)
        }
    });
    if let Some((_, values)) = listed {
        return Some(Follows::OneOf(values));
    }
    Some(match name {
        "FILE" => Follows::File,
        "DIR" | "DIR[:DIR]" => Follows::Folder,
        "PID" => Follows::Process,
        "CODE" => Follows::Code,
        "PROGRAM" => Follows::Program,
        "COMMAND" => Follows::Command,
        _ => Follows::Anything,
    })
}

/// Writes the completion for the shell that the command line names.
pub(crate) fn run(args: &Args) -> u8 {
    match args.words.first().map(String::as_str) {
        Some("bash") => print(&bash()),
        Some("zsh") => print(&zsh()),
        Some("fish") => print(&fish()),
        _ => {
            complain("USAGE: rbt completions bash|zsh|fish\n");
            WRONG
        }
    }
}

/// Everything the shells offer, by the names of their variables.
struct Lists {
    commands: String,
    topics: String,
    tools: String,
    words: String,
    codes: String,
    providers: String,
}

fn lists() -> Lists {
    let join = |names: &mut dyn Iterator<Item = String>| {
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.dedup();
        names.join(" ")
    };
    let owned = |name: &'static str| name.to_owned();
    let commands = subcommand::TABLE.iter().map(|known| known.name);
    let pages = pages();
    let settings = config::TABLE.iter().map(|row| row.name);
    let words = pages.iter().map(|page| page.name).chain(settings);
    Lists {
        commands: join(&mut commands.clone().map(owned)),
        topics: join(&mut help::topics().chain(commands).map(owned)),
        tools: join(&mut tools::names().map(owned)),
        words: join(&mut words.map(owned)),
        codes: join(&mut codes::TABLE.iter().map(|row| row.code.to_string())),
        providers: join(&mut VOCABULARY.providers.iter().map(|p| p.name().to_owned())),
    }
}

/// Every way to write an option: `-o`, `--output`.
fn flags(row: &Row) -> Vec<String> {
    let short = row.short.map(|letter| format!("-{letter}"));
    let long = (!row.long.is_empty()).then(|| format!("--{}", row.long));
    short.into_iter().chain(long).collect()
}

fn all_flags(rows: &[Row]) -> String {
    let all: Vec<String> = rows.iter().flat_map(flags).collect();
    all.join(" ")
}

const BASH: &str = r#"# Completes rbt in bash: source <(rbt completions bash)
# Written by `rbt completions bash`; changes belong into the tables it is made of.

_rbt_probes() {
    # What begins like $1: types of probes, or probes of a type, as root.
    if [[ $1 == *:* ]]; then
        "${COMP_WORDS[0]}" -l "${1//\*/}*" 2>/dev/null
    else
        compgen -W '@providers@' -S : -- "$1"
    fi
}

_rbt() {
    local IFS=$' \t\n' i=$COMP_CWORD word command= skip= quote= kept=
    local cur=${COMP_WORDS[COMP_CWORD]} prev
    # Bash splits words at colons and equal signs; probes have both.
    while ((i > 1)) && [[ $cur == [:=]* || ${COMP_WORDS[i - 1]} == *[:=] ]]; do
        ((i -= 1))
        cur=${COMP_WORDS[i]}$cur
    done
    prev=${COMP_WORDS[i - 1]}
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*}
        cur=${cur#*=}
    fi
    for word in "${COMP_WORDS[@]:1:i-1}"; do
        if [[ $skip ]]; then
            skip=
        elif [[ $word == -* ]]; then
            [[ $word == -e || $word == -l || $word == --list ]] && command=-
            case $word in
            @valued@) skip=1 ;;
            esac
        elif [[ ! $command ]]; then
            command=$word
        fi
    done
    # What is quoted is one word, whatever is in it.
    case $cur in
    [\'\"]*) quote=${cur:0:1} cur=${cur:1} ;;
    *) [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && kept=${cur%"${cur##*:}"} ;;
    esac
    COMPREPLY=()
    case $prev in
@values@
    -e)
        if [[ $quote && $cur != *[[:space:]]* ]]; then
            compopt -o nospace
            mapfile -t COMPREPLY < <(_rbt_probes "$cur")
            # A single answer would close the quote, where the action is to follow.
            [[ ${#COMPREPLY[@]} == 1 && $cur == *:* ]] && COMPREPLY+=("${COMPREPLY[0]} {")
        fi
        return ;;
    --doc) mapfile -t COMPREPLY < <(compgen -W '@words@ @codes@' -- "$cur"); return ;;
    esac
    if [[ $cur == -* ]]; then
        local flags='@flags@'
        case $command in
@own@
        esac
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
        return
    fi
    case " ${COMP_WORDS[*]:1:i-1} " in
    *" -l "* | *" --list "* | *" -lv "*)
        compopt -o nospace
        mapfile -t COMPREPLY < <(_rbt_probes "$cur")
        COMPREPLY=("${COMPREPLY[@]#"$kept"}")
        return ;;
    esac
    case $command in
    '')
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -W '@commands@' -- "$cur"; compgen -f -X '!*.bt' -- "$cur"; compgen -d -- "$cur") ;;
    tools)
        [[ $prev == tools ]] && mapfile -t COMPREPLY < <(compgen -W '@tools@' -- "$cur") ;;
    help)
        mapfile -t COMPREPLY < <(compgen -W '@topics@ @words@ @codes@ @tools@' -- "$cur") ;;
    completions)
        mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$cur") ;;
    *)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
}

complete -F _rbt rbt
"#;

fn bash() -> String {
    let lists = lists();
    let rows = || {
        args::TABLE
            .iter()
            .chain(subcommand::TABLE.iter().flat_map(|c| c.options))
    };
    let valued: Vec<String> = rows()
        .filter(|row| follows(row).is_some())
        .flat_map(flags)
        .collect();
    let mut values = String::new();
    for row in rows() {
        let reply = match follows(row) {
            None | Some(Follows::Program) => continue,
            Some(Follows::File) => {
                "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
            }
            Some(Follows::Folder) => {
                "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")"
            }
            Some(Follows::Process) => {
                "mapfile -t COMPREPLY < <(cd /proc && compgen -G \"$cur*\" | grep '^[0-9]')"
            }
            Some(Follows::Code) => "mapfile -t COMPREPLY < <(compgen -W '@codes@' -- \"$cur\")",
            Some(Follows::Command) => "mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")",
            Some(Follows::Anything) => "",
            Some(Follows::OneOf(list)) => {
                let _ = writeln!(
                    values,
                    "    {}) mapfile -t COMPREPLY < <(compgen -W '{list}' -- \"$cur\"); return ;;",
                    flags(row).join(" | ")
                );
                continue;
            }
        };
        let separator = if reply.is_empty() { "" } else { "; " };
        let _ = writeln!(
            values,
            "    {}) {reply}{separator}return ;;",
            flags(row).join(" | ")
        );
    }
    let mut own = String::new();
    for known in subcommand::TABLE
        .iter()
        .filter(|known| !known.options.is_empty())
    {
        let _ = writeln!(
            own,
            "        {}) flags=\"{} $flags\" ;;",
            known.name,
            all_flags(known.options)
        );
    }
    BASH.replace("@values@", values.trim_end())
        .replace("@own@", own.trim_end())
        .replace("@valued@", &valued.join(" | "))
        .replace("@flags@", &all_flags(args::TABLE))
        .replace("@commands@", &lists.commands)
        .replace("@topics@", &lists.topics)
        .replace("@tools@", &lists.tools)
        .replace("@words@", &lists.words)
        .replace("@codes@", &lists.codes)
        .replace("@providers@", &lists.providers)
}

const ZSH: &str = r#"#compdef rbt
# Completes rbt in zsh: rbt completions zsh > _rbt, in a folder of $fpath
# Written by `rbt completions zsh`; changes belong into the tables it is made of.

_rbt_probes() {
    local prefix=${(Q)PREFIX}
    local -a found
    if [[ $prefix == *:* ]]; then
        found=(${(f)"$(rbt -l "${prefix//\*/}*" 2>/dev/null)"})
        compadd -a found
    else
        compadd -S : -- @providers@
    fi
}

_rbt_first() {
    if (( ${words[(I)(-l|-lv|--list)]} )); then
        _rbt_probes
    elif (( ${words[(I)--doc]} )); then
        compadd -- @words@ @codes@
    else
        local -a commands=(
@commands@
        )
        _describe command commands
        _files -g '*.bt'
    fi
}

_rbt_rest() {
    case $line[1] in
    tools) (( CURRENT == 1 )) && compadd -- @tools@ ;;
    help) compadd -- @topics@ @words@ @codes@ @tools@ ;;
    completions) compadd -- bash zsh fish ;;
    *) (( ${words[(I)(-l|-lv|--list)]} )) && _rbt_probes || _files ;;
    esac
}

_rbt() {
    local -a line
    _arguments -s \
@options@
        '1: :_rbt_first' \
        '*: :_rbt_rest'
}

if [[ $funcstack[1] == _rbt ]]; then
    _rbt "$@"
else
    compdef _rbt rbt
fi
"#;

/// A sentence inside brackets inside single quotes.
fn zsh_text(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "'\\''");
    text.replace('[', "\\[")
        .replace(']', "\\]")
        .replace(':', "\\:")
}

fn zsh() -> String {
    let lists = lists();
    let own = subcommand::TABLE.iter().flat_map(|c| c.options);
    let mut options = String::new();
    for row in args::TABLE.iter().chain(own) {
        let value = match follows(row) {
            None => String::new(),
            Some(Follows::File) => String::from(":file:_files"),
            Some(Follows::Folder) => String::from(":folder:_files -/"),
            Some(Follows::Process) => String::from(":process:_pids"),
            Some(Follows::Code) => format!(":code:({})", lists.codes),
            Some(Follows::Program) => String::from(":program:_rbt_probes"),
            Some(Follows::Command) => String::from(":command:_command_names -e"),
            Some(Follows::Anything) => String::from(":value:"),
            Some(Follows::OneOf(list)) => format!(":value:({list})"),
        };
        for flag in flags(row) {
            let _ = writeln!(
                options,
                "        '*{flag}[{}]{value}' \\",
                zsh_text(row.help)
            );
        }
    }
    let mut commands = String::new();
    for known in subcommand::TABLE {
        let _ = writeln!(
            commands,
            "            '{}:{}'",
            known.name,
            zsh_text(known.summary)
        );
    }
    ZSH.replace("@options@", options.trim_end())
        .replace("@commands@", commands.trim_end())
        .replace("@topics@", &lists.topics)
        .replace("@tools@", &lists.tools)
        .replace("@words@", &lists.words)
        .replace("@codes@", &lists.codes)
        .replace("@providers@", &lists.providers)
}

const FISH: &str = r#"# Completes rbt in fish: rbt completions fish > ~/.config/fish/completions/rbt.fish
# Written by `rbt completions fish`; changes belong into the tables it is made of.

function __rbt_probes
    set -l word (string trim --left --chars '\'"' -- (commandline -ct))
    if string match -q '*:*' -- $word
        rbt -l (string replace --all '*' '' -- $word)'*' 2>/dev/null
    else
        for name in @providers@
            echo $name:
        end
    end
end

function __rbt_command
    # The first word that is no option.
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if not string match -q -- '-*' $word
            echo $word
            return
        end
    end
end

complete -c rbt -n 'not __rbt_command >/dev/null; or test (__rbt_command | count) -eq 0' -a '@commands@'
complete -c rbt -n '__fish_seen_argument -s l -l list' -f -a '(__rbt_probes)'
complete -c rbt -n '__fish_seen_argument -l doc' -f -a '@words@ @codes@'
complete -c rbt -n 'test "$(__rbt_command)" = tools' -f -a '@tools@'
complete -c rbt -n 'test "$(__rbt_command)" = help' -f -a '@topics@ @words@ @codes@ @tools@'
complete -c rbt -n 'test "$(__rbt_command)" = completions' -f -a 'bash zsh fish'
@options@
"#;

fn fish() -> String {
    let lists = lists();
    let mut options = String::new();
    let mut add = |row: &Row, condition: &str| {
        let short = row.short.map_or_else(String::new, |c| format!(" -s {c}"));
        let long = match row.long {
            "" => String::new(),
            long => format!(" -l {long}"),
        };
        let value = match follows(row) {
            None => String::new(),
            Some(Follows::File | Follows::Folder) => String::from(" -r -F"),
            Some(Follows::Process) => String::from(" -x -a '(__fish_complete_pids)'"),
            Some(Follows::Code) => format!(" -x -a '{}'", lists.codes),
            Some(Follows::Program) => String::from(" -x -a '(__rbt_probes)'"),
            Some(Follows::Command) => String::from(" -x -a '(__fish_complete_command)'"),
            Some(Follows::Anything) => String::from(" -x"),
            Some(Follows::OneOf(list)) => format!(" -x -a '{list}'"),
        };
        let help = row.help.replace('\\', "\\\\").replace('\'', "\\'");
        let _ = writeln!(
            options,
            "complete -c rbt{condition}{short}{long}{value} -d '{help}'"
        );
    };
    for row in args::TABLE {
        add(row, "");
    }
    for known in subcommand::TABLE {
        let condition = format!(" -n 'test \"$(__rbt_command)\" = {}'", known.name);
        for row in known.options {
            add(row, &condition);
        }
    }
    FISH.replace("@options@", options.trim_end())
        .replace("@commands@", &lists.commands)
        .replace("@topics@", &lists.topics)
        .replace("@tools@", &lists.tools)
        .replace("@words@", &lists.words)
        .replace("@codes@", &lists.codes)
        .replace("@providers@", &lists.providers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_takes_a_value_says_which() {
        for row in args::TABLE {
            let is_free = ["REGEX"].contains(&match row.effect {
                Effect::Value(name, _) => name,
                Effect::Flag(_) => "",
            });
            let follows = follows(row);
            assert_eq!(
                follows == Some(Follows::Anything),
                is_free,
                "{}",
                row.usage()
            );
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for text in [bash(), zsh(), fish()] {
            for name in [
                "values", "own", "flags", "words", "codes", "options", "tools",
            ] {
                assert!(!text.contains(&format!("@{name}@")), "{name}");
            }
            assert!(text.contains("emit-elf") && text.contains("execsnoop"));
        }
    }
}
