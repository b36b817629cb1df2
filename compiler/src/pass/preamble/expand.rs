//! Macro expansion, as C defines it: arguments, `#`, `##`, and no macro inside itself.
//!
//! Takes tokens and the macros; gives tokens without macros in them. Ends on any input: the
//! number of tokens that come out of macros is limited.

use super::token::{Hidden, Kind, Token, split, write};
use super::{MacroText, Macros};
use std::rc::Rc;

/// Tokens that one expansion may make. Macros that double each other end here.
const MOST_TOKENS: usize = 1 << 16;

/// `tokens` with their macros replaced; `None` if that becomes too much.
pub(super) fn expand(macros: &Macros, tokens: Vec<Token>) -> Option<Vec<Token>> {
    let mut budget = MOST_TOKENS.saturating_add(tokens.len());
    expand_within(macros, tokens, &mut budget)
}

/// The text of a macro with the macros in it replaced.
pub(super) fn expanded(macros: &Macros, name: &str) -> Option<String> {
    let token = Token::new(Kind::Word, name, false);
    expand(macros, vec![token]).map(|tokens| write(&tokens))
}

fn expand_within(
    macros: &Macros,
    mut tokens: Vec<Token>,
    budget: &mut usize,
) -> Option<Vec<Token>> {
    let mut out = Vec::with_capacity(tokens.len());
    // What is still to be read, last first.
    tokens.reverse();
    while let Some(token) = tokens.pop() {
        let found = (token.kind == Kind::Word)
            .then(|| macros.get(&token.text))
            .flatten()
            .filter(|_| !token.is_hidden_from(&token.text));
        let Some(found) = found else {
            out.push(token);
            continue;
        };
        let arguments = if found.has_parameters {
            if !tokens.last().is_some_and(|next| next.is("(")) {
                out.push(token);
                continue;
            }
            match arguments(&mut tokens) {
                Some(arguments) => arguments,
                None => {
                    out.push(token);
                    continue;
                }
            }
        } else {
            Vec::new()
        };
        let hidden = Some(Rc::new(Hidden {
            name: token.text.clone(),
            outer: token.hidden.clone(),
        }));
        let body = replace(macros, found, &arguments, budget)?;
        *budget = budget.checked_sub(body.len().max(1))?;
        for (number, mut made) in body.into_iter().enumerate().rev() {
            if number == 0 {
                made.is_spaced = token.is_spaced;
            }
            made.hidden = match &made.hidden {
                None => hidden.clone(),
                // It came out of an argument's own macros: both are to be left alone.
                Some(inner) => Some(join(inner, hidden.as_ref())),
            };
            tokens.push(made);
        }
    }
    Some(out)
}

fn join(inner: &Rc<Hidden>, outer: Option<&Rc<Hidden>>) -> Rc<Hidden> {
    let rest = match &inner.outer {
        Some(next) => Some(join(next, outer)),
        None => outer.cloned(),
    };
    Rc::new(Hidden {
        name: inner.name.clone(),
        outer: rest,
    })
}

/// Takes `( … )` off the end; its arguments. `None`, with nothing taken, if it is not closed.
fn arguments(tokens: &mut Vec<Token>) -> Option<Vec<Vec<Token>>> {
    let mut depth = 0_usize;
    let mut length = 0;
    for token in tokens.iter().rev() {
        length += 1;
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                break;
            }
        }
    }
    if depth != 0 {
        return None;
    }
    let mut arguments = vec![Vec::new()];
    for _ in 0..length {
        let token = tokens.pop()?;
        if token.is("(") {
            depth += 1;
            if depth == 1 {
                continue;
            }
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                continue;
            }
        } else if token.is(",") && depth == 1 {
            arguments.push(Vec::new());
            continue;
        }
        arguments.last_mut()?.push(token);
    }
    Some(arguments)
}

/// The body of a macro with its arguments in place.
fn replace(
    macros: &Macros,
    found: &MacroText,
    arguments: &[Vec<Token>],
    budget: &mut usize,
) -> Option<Vec<Token>> {
    let body = split(&found.text);
    if !found.has_parameters && !body.iter().any(|t| t.is("##")) {
        return Some(body);
    }
    let argument = |token: &Token| -> Option<Vec<Token>> {
        if token.kind != Kind::Word {
            return None;
        }
        let names = &found.parameters;
        if found
            .rest
            .as_ref()
            .is_some_and(|rest| **rest == *token.text)
        {
            let mut rest = Vec::new();
            for (number, argument) in arguments.iter().skip(names.len()).enumerate() {
                if number > 0 {
                    rest.push(Token::new(Kind::Mark, ",", false));
                }
                rest.extend(argument.iter().cloned());
            }
            return Some(rest);
        }
        let number = names.iter().position(|name| **name == *token.text)?;
        Some(arguments.get(number).cloned().unwrap_or_default())
    };
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(token) = body.get(at) {
        at += 1;
        let next = body.get(at);
        if token.is("#")
            && found.has_parameters
            && let Some(argument) = next.and_then(argument)
        {
            let text = write(&argument).replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("\"{text}\"");
            out.push(Token::new(Kind::Text, &text, token.is_spaced));
            at += 1;
            continue;
        }
        if token.is("##") {
            let right = next.map(|next| argument(next).unwrap_or_else(|| vec![next.clone()]));
            at += 1;
            paste(&mut out, right.unwrap_or_default());
            continue;
        }
        let is_pasted = next.is_some_and(|next| next.is("##"));
        match argument(token) {
            // Beside `##` an argument stands as it was written.
            Some(raw) if is_pasted => out.extend(raw),
            Some(raw) => out.extend(expand_within(macros, raw, budget)?),
            None => out.push(token.clone()),
        }
        *budget = budget.checked_sub(1)?;
    }
    Some(out)
}

/// Joins the last token and the first of `right` to one.
fn paste(out: &mut Vec<Token>, right: Vec<Token>) {
    let mut right = right.into_iter();
    if let Some(first) = right.next() {
        match out.pop() {
            Some(last) => {
                let text = format!("{}{}", last.text, first.text);
                let mut made = split(&text);
                if let Some(made) = made.first_mut() {
                    made.is_spaced = last.is_spaced;
                }
                out.extend(made);
            }
            None => out.push(first),
        }
    }
    out.extend(right);
}
