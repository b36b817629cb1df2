//! Highlighting of scripts in editors, made of the tables of words: a Vim syntax, and a TextMate
//! grammar (Visual Studio Code, Sublime Text, and others read it).
//!
//! Gives the texts of `grammar/editors/`; what is no list of words is written here.

use rbt_grammar::{ITEM_KEYWORDS, KEYWORDS};
use rbt_stdlib::{Kind, VOCABULARY, pages};
use serde_json::{Value, json};

/// Types of the language and of C that have no page.
const TYPES: &[&str] = &[
    "bool",
    "char",
    "int",
    "int16",
    "int16_t",
    "int32",
    "int32_t",
    "int64",
    "int64_t",
    "int8",
    "int8_t",
    "long",
    "short",
    "signed",
    "size_t",
    "ssize_t",
    "string",
    "uint16",
    "uint16_t",
    "uint32",
    "uint32_t",
    "uint64",
    "uint64_t",
    "uint8",
    "uint8_t",
    "unsigned",
    "void",
    "inet",
    "buffer",
    "username",
    "timestamp",
    "ustack_t",
    "kstack_t",
];

/// The words of a kind, sorted.
fn words(kinds: &[Kind]) -> Vec<&'static str> {
    let all = pages()
        .into_iter()
        .filter(|page| kinds.contains(&page.kind));
    let mut names: Vec<&str> = all.map(|page| page.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Provider names and aliases.
fn providers() -> Vec<&'static str> {
    let names = VOCABULARY.providers.iter().map(|p| p.name());
    let aliases = VOCABULARY.providers.iter().flat_map(|p| p.aliases());
    let mut all: Vec<&str> = names.chain(aliases.copied()).collect();
    all.retain(|name| !["begin", "end", "BEGIN", "END"].contains(name));
    all.sort_unstable();
    all.dedup();
    all
}

/// Builtins, and what probes bring that has no page of its own.
fn builtins() -> Vec<&'static str> {
    let mut all = words(&[Kind::Builtin]);
    all.push("args");
    all
}

/// Keywords that are no values.
fn keywords() -> Vec<&'static str> {
    let all = KEYWORDS.iter().chain(ITEM_KEYWORDS);
    all.filter(|word| !["true", "false"].contains(word))
        .copied()
        .collect()
}

/// Files of `grammar/editors/`: path below it, text.
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        ("vim/syntax/bpftrace.vim", vim()),
        (
            "vim/ftdetect/bpftrace.vim",
            String::from(
                "\" Scripts of rbt and bpftrace.\n\
                 autocmd BufRead,BufNewFile *.bt setfiletype bpftrace\n\
                 autocmd BufRead * if getline(1) =~# '^#!.*\\<\\(rbt\\|bpftrace\\)\\>' | \
                 setfiletype bpftrace | endif\n",
            ),
        ),
        (
            "vim/ftplugin/bpftrace.vim",
            String::from(
                "\" `gq` and `=` lay a script out, `:make` checks it.\n\
                 if exists('b:did_ftplugin') | finish | endif\n\
                 let b:did_ftplugin = 1\n\
                 setlocal commentstring=//\\ %s comments=s1:/*,mb:*,ex:*/,://\n\
                 setlocal equalprg=rbt\\ fmt\\ - formatprg=rbt\\ fmt\\ -\n\
                 setlocal makeprg=rbt\\ check\\ % \
                 errorformat=%f:%l:%c-%k:\\ %tRROR:\\ %m,%f:%l:%c-%k:\\ %tARNING:\\ %m,%-G%.%#\n\
                 let b:undo_ftplugin = 'setlocal commentstring< comments< equalprg< formatprg< \
                 makeprg< errorformat<'\n",
            ),
        ),
        (
            "textmate/bpftrace.tmLanguage.json",
            format!("{:#}\n", textmate()),
        ),
    ]
}

const VIM: &str = r#"" Vim syntax of tracing scripts, with actions in braces and in angle brackets.
" Written by the test of the reference; changes belong into the tables it is made of.

if exists('b:current_syntax')
  finish
endif
syntax case match
syntax sync fromstart

syntax keyword btTodo contained TODO FIXME XXX NOTE
syntax region btComment start='//' end='$' contains=btTodo,@Spell
syntax region btComment start='/\*' end='\*/' contains=btTodo,@Spell
syntax match btShebang '\%^#!.*'
syntax region btPreProc start='^\s*#\%(!\)\@!' skip='\\$' end='$' contains=btComment,btString

syntax region btString start='"' skip='\\\\\|\\"' end='"' contains=btFormat,btEscape
syntax match btFormat contained '%[-+ #0]*[0-9*]*\%(\.[0-9*]\+\)\?\%(hh\|h\|ll\|l\|j\|z\|t\)\?[a-zA-Z%]'
syntax match btEscape contained '\\\%([0-7]\{1,3}\|x\x\{1,2}\|.\)'
syntax match btNumber '\<\%(0[xX]\x[0-9a-fA-F_]*\|\d[0-9_]*\%(e\d\+\)\?\)\%([uU]\?[lL]\{0,2}\|ns\|us\|ms\|s\|m\|h\|d\)\>'
syntax match btVariable '\$\%(\h\w*\|\d\+\|#\)'
syntax match btMap '@\w*'

" What a clause attaches to.
syntax match btProbe '\<\%(@providers@\):[^[:space:]{<,]*' contains=btProbeType,btVariable
syntax match btProbeType contained '^\h\w*\ze:\|\h\w*\ze:'
syntax keyword btProbeType BEGIN END begin end self

syntax keyword btKeyword @keywords@
syntax keyword btBoolean true false
syntax keyword btType @types@
syntax keyword btBuiltin contained @builtins@
syntax match btFunction contained '\<\%(@functions@\)\ze\s*('
syntax match btOperator contained '->\|>>=\?\|<<=\?\|[<>]=\|&&\|||\|[-+*/%&|^!=]=\?\|[?:~]'
syntax match btMember contained '\%(\.\|->\)\s*\h\w*'

syntax cluster btBody contains=btComment,btString,btNumber,btVariable,btMap,btKeyword,btBoolean,btType,btBuiltin,btFunction,btMember,btOperator,btBlock,btParen

" Brackets inside an action: a `>` in them closes nothing.
syntax region btBlock contained transparent start='{' end='}' contains=@btBody,btGreater
syntax region btParen contained transparent start='(' end=')' contains=@btBody,btGreater
syntax region btParen contained transparent start='\[' end='\]' contains=@btBody,btGreater
syntax match btGreater contained '>'

" The condition between slashes, before an action.
syntax region btPredicate matchgroup=btDelimiter start='/[/*]\@!' end='/\ze\_s*\%(//.*\_s*\)*[{<]' contains=@btBody,btGreater

" The two forms of an action. A `>` closes where a statement would begin, at the end of the
" file, and before the next item.
syntax region btAction matchgroup=btDelimiter start='{' end='}' contains=@btBody,btGreater fold
syntax region btAngleAction matchgroup=btDelimiter start='<[<=]\@!' end='\%([<;}]\%(\_s\|//.*\n\)*\)\@<=>' end='[-]\@1<!>[>=]\@!\ze\%(\_s\|//.*\n\|/\*\_.\{-}\*/\)*\%(\%$\|\%(\h\w*=\)\?\%(@providers@\):\|\%(BEGIN\|END\|begin\|end\)\_s*[{<,/]\|macro\s\+\h\|fn\s\+\h\|let\s*@\)' contains=@btBody fold

highlight default link btTodo Todo
highlight default link btComment Comment
highlight default link btShebang PreProc
highlight default link btPreProc PreProc
highlight default link btString String
highlight default link btFormat SpecialChar
highlight default link btEscape SpecialChar
highlight default link btNumber Number
highlight default link btBoolean Boolean
highlight default link btVariable Identifier
highlight default link btMap Identifier
highlight default link btProbe Label
highlight default link btProbeType Type
highlight default link btKeyword Keyword
highlight default link btType Type
highlight default link btBuiltin Constant
highlight default link btFunction Function
highlight default link btOperator Operator
highlight default link btGreater Operator
highlight default link btDelimiter Delimiter

let b:current_syntax = 'bpftrace'
"#;

fn vim() -> String {
    VIM.replace("@providers@", &providers().join("\\|"))
        .replace("@keywords@", &keywords().join(" "))
        .replace("@types@", &TYPES.join(" "))
        .replace("@builtins@", &builtins().join(" "))
        .replace("@functions@", &functions().join("\\|"))
}

fn functions() -> Vec<&'static str> {
    words(&[Kind::Function, Kind::Aggregation, Kind::Macro])
}

fn textmate() -> Value {
    let any = |words: Vec<&str>| words.join("|");
    let providers = any(providers());
    let item = format!(
        "(?:(?:[A-Za-z_]\\w*=)?(?:{providers}):|(?i:begin|end)\\s*[{{<,/]|macro\\s+[A-Za-z_]|\
         fn\\s+[A-Za-z_]|let\\s*@)"
    );
    let rule = |name: &str, pattern: &str| json!({ "name": name, "match": pattern });
    let delimiter = json!({ "0": { "name": "punctuation.section.block.bpftrace" } });
    json!({
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "bpftrace",
        "scopeName": "source.bpftrace",
        "fileTypes": ["bt"],
        "firstLineMatch": "^#!.*\\b(rbt|bpftrace)\\b",
        "patterns": [
            { "include": "#comments" },
            rule("meta.preprocessor.bpftrace", "^\\s*#.*$"),
            { "include": "#probes" },
            {
                "name": "meta.predicate.bpftrace",
                "begin": "/(?![/*])",
                "end": "/(?=\\s*(?:$|//|/\\*|[{<]))",
                "captures": delimiter,
                "patterns": [{ "include": "#body" }, { "include": "#greater" }],
            },
            {
                "name": "meta.action.brace.bpftrace",
                "begin": "\\{",
                "end": "\\}",
                "captures": delimiter,
                "patterns": [{ "include": "#body" }, { "include": "#greater" }],
            },
            {
                // A grammar sees one line at a time: `>` closes where a statement would begin,
                // at the end of a line, and before an item on the same line.
                "name": "meta.action.angle.bpftrace",
                "begin": "<(?![<=])",
                "end": format!("(?:(?<=[;}}<])|^)\\s*(>)|(?<!-)(>)(?![>=])(?=\\s*(?://.*|/\\*.*)?$|\\s*{item})"),
                "beginCaptures": delimiter,
                "endCaptures": {
                    "1": { "name": "punctuation.section.block.bpftrace" },
                    "2": { "name": "punctuation.section.block.bpftrace" },
                },
                "patterns": [{ "include": "#body" }],
            },
            { "include": "#words" },
        ],
        "repository": {
            "comments": { "patterns": [
                rule("comment.line.double-slash.bpftrace", "//.*$"),
                { "name": "comment.block.bpftrace", "begin": "/\\*", "end": "\\*/" },
            ] },
            "probes": { "patterns": [
                {
                    "name": "entity.name.label.bpftrace",
                    "match": format!("\\b({providers})(:[^\\s{{<,]*)"),
                    "captures": { "1": { "name": "storage.type.probe.bpftrace" } },
                },
                rule("storage.type.probe.bpftrace", "\\b(?:BEGIN|END|begin|end)\\b"),
            ] },
            "body": { "patterns": [
                { "include": "#comments" },
                { "include": "#words" },
                {
                    "begin": "\\{", "end": "\\}",
                    "patterns": [{ "include": "#body" }, { "include": "#greater" }],
                },
                {
                    "begin": "\\(", "end": "\\)",
                    "patterns": [{ "include": "#body" }, { "include": "#greater" }],
                },
                {
                    "begin": "\\[", "end": "\\]",
                    "patterns": [{ "include": "#body" }, { "include": "#greater" }],
                },
            ] },
            "greater": { "patterns": [rule("keyword.operator.bpftrace", ">")] },
            "words": { "patterns": [
                {
                    "name": "string.quoted.double.bpftrace",
                    "begin": "\"",
                    "end": "\"",
                    "patterns": [
                        rule("constant.character.escape.bpftrace", "\\\\(?:[0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)"),
                        rule(
                            "constant.other.placeholder.bpftrace",
                            "%[-+ #0]*[0-9*]*(?:\\.[0-9*]+)?(?:hh|h|ll|l|j|z|t)?[a-zA-Z%]",
                        ),
                    ],
                },
                rule(
                    "constant.numeric.bpftrace",
                    "\\b(?:0[xX][0-9a-fA-F_]+|[0-9][0-9_]*(?:e[0-9]+)?)(?:[uU]?[lL]{0,2}|ns|us|ms|s|m|h|d)\\b",
                ),
                rule("variable.other.bpftrace", "\\$(?:[A-Za-z_]\\w*|[0-9]+|#)"),
                rule("variable.other.map.bpftrace", "@\\w*"),
                rule("keyword.control.bpftrace", &format!("\\b(?:{})\\b", any(keywords()))),
                rule("constant.language.bpftrace", "\\b(?:true|false)\\b"),
                rule("storage.type.bpftrace", &format!("\\b(?:{})\\b", TYPES.join("|"))),
                rule("variable.other.member.bpftrace", "(?:(?<=\\.)|(?<=->))\\s*[A-Za-z_]\\w*"),
                rule("support.function.bpftrace", &format!("\\b(?:{})\\b(?=\\s*\\()", any(functions()))),
                rule(
                    "support.constant.bpftrace",
                    &format!("\\b(?:{})\\b", any(builtins())),
                ),
                rule(
                    "keyword.operator.bpftrace",
                    "->|>>=?|<<=?|[<>]=|&&|\\|\\||[-+*/%&|^!=]=?|[?:~]",
                ),
            ] },
        },
    })
}
