//! `rbt lsp`: a language server on stdin and stdout.
//!
//! Reads requests of the Language Server Protocol (JSON-RPC in messages with a length before
//! them), keeps the texts that are open, and answers from the compiler. One thread, one message
//! after the other: a script compiles in milliseconds. Runs nothing and needs no privileges.

mod complete;
mod define;
mod document;
mod hover;

use crate::args::Args;
use crate::repl::complete::Known;
use crate::{WRONG, check, complain, fmt};
use document::Document;
use rbt_grammar::{Diagnostic, Severity, SourceMap};
use rbt_runtime::Host;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, Read, Write};
use std::rc::Rc;

/// A message that cannot be read.
const PARSE_ERROR: i64 = -32700;
/// A request that is not known.
const UNKNOWN_METHOD: i64 = -32601;
/// The longest message that is read: no script is longer.
const MOST_BYTES: usize = 64 << 20;

/// The server between two messages.
struct Server {
    args: Args,
    host: Rc<Host>,
    known: Known,
    /// Open texts by their URI.
    documents: HashMap<String, Document>,
    is_shut_down: bool,
}

/// Serves until the client says `exit` or is gone.
pub(crate) fn run(args: &Args) -> u8 {
    let host = match check::host(args) {
        Ok(host) => Rc::new(host),
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            return WRONG;
        }
    };
    let mut server = Server {
        args: Args::default(),
        known: Known::of(Rc::clone(&host)),
        host,
        documents: HashMap::new(),
        is_shut_down: false,
    };
    let mut input = std::io::stdin().lock();
    while let Some(bytes) = receive(&mut input) {
        let Ok(message) = serde_json::from_slice::<Value>(&bytes) else {
            send(&failure(&Value::Null, PARSE_ERROR, "this is no JSON"));
            continue;
        };
        if message["method"] == "exit" {
            break;
        }
        for answer in server.hear(&message) {
            send(&answer);
        }
    }
    if server.is_shut_down { 0 } else { WRONG }
}

/// The next message's body; none at the end, or where what comes is no message.
fn receive(input: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let length = length.filter(|length| *length <= MOST_BYTES)?;
    let mut body = Vec::new();
    input.take(length as u64).read_to_end(&mut body).ok()?;
    (body.len() == length).then_some(body)
}

fn send(message: &Value) {
    let body = message.to_string();
    let mut out = std::io::stdout().lock();
    // A client that is gone ends the input too.
    let _ = write!(out, "Content-Length: {}\r\n\r\n{body}", body.len()).and_then(|()| out.flush());
}

fn failure(id: &Value, code: i64, why: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": why } })
}

impl Server {
    /// What is sent in answer to a message.
    fn hear(&mut self, message: &Value) -> Vec<Value> {
        let method = message["method"].as_str().unwrap_or_default();
        let parameters = &message["params"];
        let Some(id) = message.get("id") else {
            return self.note(method, parameters);
        };
        let result = match method {
            "initialize" => capabilities(),
            "shutdown" => {
                self.is_shut_down = true;
                Value::Null
            }
            "textDocument/completion" => self.at(parameters, complete::complete),
            "textDocument/hover" => self.at(parameters, hover::hover),
            "textDocument/definition" => self.at(parameters, define::define),
            "textDocument/formatting" => self.format(parameters),
            // An answer to nothing that was asked.
            "" => return Vec::new(),
            other => {
                let why = format!("`{other}` is not known");
                return vec![failure(id, UNKNOWN_METHOD, &why)];
            }
        };
        vec![json!({ "jsonrpc": "2.0", "id": id, "result": result })]
    }

    /// Hears of a change; gives the diagnostics of the text that changed.
    fn note(&mut self, method: &str, parameters: &Value) -> Vec<Value> {
        let uri = &parameters["textDocument"]["uri"];
        let Some(uri) = uri.as_str() else {
            return Vec::new();
        };
        let text = match method {
            "textDocument/didOpen" => parameters["textDocument"]["text"].as_str(),
            // The whole text each time, as was agreed on.
            "textDocument/didChange" => {
                let changes = parameters["contentChanges"].as_array();
                changes
                    .and_then(|changes| changes.last())
                    .and_then(|change| change["text"].as_str())
            }
            "textDocument/didClose" => {
                self.documents.remove(uri);
                return vec![published(uri, &[])];
            }
            _ => None,
        };
        let Some(text) = text else {
            return Vec::new();
        };
        let document = Document::new(uri, text);
        let found = self.findings(&document);
        self.documents.insert(uri.to_owned(), document);
        vec![published(uri, &found)]
    }

    /// Asks for what is at a position of a text; nothing if the text is not open.
    fn at(&self, parameters: &Value, ask: fn(&Server, &Document, usize) -> Value) -> Value {
        let uri = parameters["textDocument"]["uri"].as_str();
        let Some(document) = uri.and_then(|uri| self.documents.get(uri)) else {
            return Value::Null;
        };
        ask(self, document, document.byte(&parameters["position"]))
    }

    /// What is wrong with a text, as the protocol says it.
    fn findings(&self, document: &Document) -> Vec<Value> {
        let compiled = document.compile(self, &document.text, None);
        let (diagnostics, sources) = (compiled.0.diagnostics, compiled.1);
        let judged = check::judged(diagnostics, &self.host);
        let finding = |diagnostic: &Diagnostic| finding(diagnostic, document, &sources);
        judged.iter().map(finding).collect()
    }

    /// The edit that lays a text out; none if it is laid out or cannot be parsed.
    fn format(&self, parameters: &Value) -> Value {
        let uri = parameters["textDocument"]["uri"].as_str();
        let Some(document) = uri.and_then(|uri| self.documents.get(uri)) else {
            return Value::Null;
        };
        let mut sources = SourceMap::new();
        let id = sources.add(document.name(), document.text.as_str());
        let laid = sources.get(id).and_then(|source| fmt::lay_out(source).0);
        match laid {
            None => Value::Null,
            Some(text) if text == document.text => json!([]),
            Some(text) => json!([{
                "range": document.range(0, document.text.len()),
                "newText": text,
            }]),
        }
    }
}

fn capabilities() -> Value {
    json!({
        "capabilities": {
            "positionEncoding": "utf-16",
            "textDocumentSync": { "openClose": true, "change": 1 },
            "completionProvider": { "triggerCharacters": [".", ">", ":", "@", "$"] },
            "hoverProvider": true,
            "definitionProvider": true,
            "documentFormattingProvider": true,
        },
        "serverInfo": { "name": "rbt", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn published(uri: &str, found: &[Value]) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "textDocument/publishDiagnostics",
        "params": { "uri": uri, "diagnostics": found },
    })
}

/// A finding: what is in another text stands at the beginning of this one.
fn finding(diagnostic: &Diagnostic, document: &Document, sources: &SourceMap) -> Value {
    let is_here = |label: &&rbt_grammar::diagnostic::Label| label.span.source.0 == 0;
    let place = diagnostic.labels.iter().find(is_here);
    let range = place.map_or_else(
        || document.range(0, 0),
        |label| document.range(label.span.start as usize, label.span.end as usize),
    );
    let severity = match diagnostic.severity {
        Severity::Error | Severity::Bug => 1,
        Severity::Warning => 2,
        Severity::Note => 3,
    };
    let mut message = diagnostic.message.clone();
    if let Some(label) = diagnostic.labels.first().filter(|l| l.span.source.0 != 0) {
        message = format!("{}: {message}", sources.locate(label.span));
    }
    for note in &diagnostic.notes {
        message.push_str(&format!("\nnote: {note}"));
    }
    for help in &diagnostic.help {
        message.push_str(&format!("\nhelp: {help}"));
    }
    let others = diagnostic.labels.iter().skip(1);
    let related = others.filter(is_here).map(|label| {
        let range = document.range(label.span.start as usize, label.span.end as usize);
        json!({
            "location": { "uri": document.uri, "range": range },
            "message": label.text,
        })
    });
    json!({
        "range": range,
        "severity": severity,
        "code": diagnostic.code.to_string(),
        "source": "rbt",
        "message": message,
        "relatedInformation": related.collect::<Vec<_>>(),
    })
}
