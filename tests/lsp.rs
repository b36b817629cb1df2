//! The language server, by a client: starts `rbt lsp`, opens texts as an editor does, and reads
//! the answers. Needs no root; what only root may see is not asked.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const URI: &str = "file:///tmp/rbt-lsp-test.bt";

/// An editor.
struct Client {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: i64,
    version: i64,
}

impl Client {
    fn start() -> Client {
        let mut server = Command::new(env!("CARGO_BIN_EXE_rbt"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = server.stdin.take().unwrap();
        let output = BufReader::new(server.stdout.take().unwrap());
        let mut client = Client {
            server,
            input,
            output,
            next: 0,
            version: 0,
        };
        let answer = client.ask("initialize", json!({ "capabilities": {}, "rootUri": null }));
        assert_eq!(answer["capabilities"]["hoverProvider"], true);
        assert_eq!(answer["serverInfo"]["name"], "rbt");
        client.tell("initialized", json!({}));
        client
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(
                self.output.read_line(&mut line).unwrap() > 0,
                "the server is gone"
            );
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn tell(&mut self, method: &str, parameters: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": parameters }));
    }

    fn request(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }));
        let answer = self.receive();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.request(method, parameters)["result"].take()
    }

    /// Opens a text, or changes the one that is open; gives its diagnostics.
    fn write(&mut self, text: &str) -> Vec<Value> {
        self.version += 1;
        let version = self.version;
        if version == 1 {
            let document = json!({
                "uri": URI, "languageId": "bpftrace", "version": version, "text": text,
            });
            self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        } else {
            let document = json!({ "uri": URI, "version": version });
            let changes = json!([{ "text": text }]);
            let parameters = json!({ "textDocument": document, "contentChanges": changes });
            self.tell("textDocument/didChange", parameters);
        }
        let published = self.receive();
        assert_eq!(published["method"], "textDocument/publishDiagnostics");
        assert_eq!(published["params"]["uri"], URI);
        let found = published["params"]["diagnostics"].as_array().unwrap();
        // What only root may look up is a note.
        found
            .iter()
            .filter(|d| d["severity"] != 3)
            .cloned()
            .collect()
    }

    /// Writes a text with a `|` where the cursor is, and asks there.
    fn at(&mut self, method: &str, text: &str) -> Value {
        let at = text.find('|').unwrap();
        let text = text.replacen('|', "", 1);
        self.write(&text);
        let before = &text[..at];
        let line = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let character = before[start..].encode_utf16().count();
        let parameters = json!({
            "textDocument": { "uri": URI },
            "position": { "line": line, "character": character },
        });
        self.ask(method, parameters)
    }

    fn completed(&mut self, text: &str) -> Vec<String> {
        let answer = self.at("textDocument/completion", text);
        let items = answer["items"].as_array().unwrap();
        let label = |item: &Value| item["label"].as_str().unwrap().to_owned();
        items.iter().map(label).collect()
    }

    fn hovered(&mut self, text: &str) -> String {
        let answer = self.at("textDocument/hover", text);
        answer["contents"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The line and column that a definition begins at.
    fn defined(&mut self, text: &str) -> Option<(u64, u64)> {
        let answer = self.at("textDocument/definition", text);
        let start = &answer["range"]["start"];
        Some((start["line"].as_u64()?, start["character"].as_u64()?))
    }

    fn end(mut self) -> Option<i32> {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        self.server.wait().unwrap().code()
    }
}

#[test]
fn mistakes_are_shown_as_they_are_typed() {
    let mut client = Client::start();
    assert_eq!(client.write("BEGIN { print(1); }"), Vec::<Value>::new());
    let found = client.write("BEGIN {\n  // 𝄞\n  $x = /* 𝄞 */ coun();\n}\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["code"], "E0300");
    assert_eq!(found[0]["severity"], 1);
    assert_eq!(found[0]["source"], "rbt");
    let range = json!({
        "start": { "line": 2, "character": 16 }, "end": { "line": 2, "character": 20 },
    });
    assert_eq!(found[0]["range"], range);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("Unknown function: 'coun'"), "{message}");
    assert!(message.contains("help: did you mean `count`?"), "{message}");
    let found = client.write("BEGIN < print(1 >");
    assert!(!found.is_empty());
    assert_eq!(client.write("BEGIN < print(1) >"), Vec::<Value>::new());
    let document = json!({ "textDocument": { "uri": URI } });
    client.tell("textDocument/didClose", document);
    assert_eq!(client.receive()["params"]["diagnostics"], json!([]));
    assert_eq!(client.end(), Some(0));
}

#[test]
fn words_probes_and_members_are_completed() {
    let mut client = Client::start();
    let has = |found: &[String], wanted: &str| found.iter().any(|name| name == wanted);
    let found = client.completed("BEGIN { print(nse|) }");
    assert_eq!(found, ["nsecs"]);
    let found = client.completed("inter|");
    assert_eq!(found, ["interval"]);
    let found = client.completed("BEGIN { } software:page-f|");
    assert!(
        found
            .iter()
            .any(|name| name.starts_with("software:page-faults")),
        "{found:?}"
    );
    let found = client.completed("BEGIN < print(1); >\nsoftware:cpu-c|");
    assert!(
        found
            .iter()
            .any(|name| name.starts_with("software:cpu-clock")),
        "{found:?}"
    );
    // Fields of kernel types, in whole and in half-typed scripts, however deep.
    let found = client.completed("BEGIN { print(curtask->real_p|); }");
    assert_eq!(found, ["real_parent"]);
    let found = client.completed("BEGIN { $x = 1; print(curtask->real_parent->tg|");
    assert!(has(&found, "tgid"), "{found:?}");
    let found = client.completed("BEGIN < $t = curtask; if ($t.mm->|");
    assert!(has(&found, "total_vm"), "{found:?}");
    let found = client.completed("struct pair { int first; int second; };\nkprobe:vfs_read { $p = (struct pair *)arg0; print($p->f|) }");
    assert_eq!(found, ["first"]);
    let found = client.completed("software:cpu-clock:1000 /curtask->real_pa|");
    assert_eq!(found, ["real_parent"]);
    let found = client.completed("fentry:vfs_read { print(args.cou|) }");
    assert!(found.is_empty() || found == ["count"], "{found:?}");
    let found = client.completed("BEGIN { $r = (alpha=1, beta=2); print($r.al|) }");
    assert_eq!(found, ["alpha"]);
    // Maps and variables of the script.
    let found = client.completed("BEGIN { @reads[1] = 1; @writes = 2; print(@re|) }");
    assert_eq!(found, ["@reads"]);
    let found = client.completed("BEGIN { $total = 1; $tot| }");
    assert!(has(&found, "$total"), "{found:?}");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn pages_and_types_are_shown() {
    let mut client = Client::start();
    let text = client.hovered("BEGIN { @x = hi|st(5); }");
    assert!(
        text.contains("hist(") && text.contains("map aggregation"),
        "{text}"
    );
    let text = client.hovered("BEGIN { print(ns|ecs); }");
    assert!(
        text.contains("nsecs: uint64") && text.contains("(builtin)"),
        "{text}"
    );
    let text = client.hovered("BEGIN { print(curtask->real_parent->tg|id); }");
    assert!(text.contains("curtask->real_parent->tgid: int32"), "{text}");
    let text = client.hovered("BEGIN { $t| = curtask; print($t->pid) }");
    assert!(text.contains("$t: struct task_struct *"), "{text}");
    let text = client.hovered("BEGIN { @calls[comm] = count(); @cal|ls[comm] = count(); }");
    assert!(text.contains("@calls[string[16]]: count()"), "{text}");
    let text = client.hovered("inter|val:s:1 { }");
    assert!(
        text.contains("interval") && text.contains("probe type"),
        "{text}"
    );
    let text = client.hovered("BEGIN < pri|ntf(\"%d\\n\", 1); >");
    assert!(text.contains("printf("), "{text}");
    assert_eq!(client.hovered("BEGIN {| }"), "");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn definitions_are_found() {
    let mut client = Client::start();
    let text = "// twice @m\nmacro twice(x) { x * 2 }\nBEGIN { print(tw|ice(1)); }";
    assert_eq!(client.defined(text), Some((1, 6)));
    let text = "BEGIN { print(@m); @m = 1; }\nEND { print(@|m) }";
    assert_eq!(client.defined(text), Some((0, 19)));
    let text = "let @m = hash(8);\nBEGIN { @m[1] = 1; print(@m|[1]); }";
    assert_eq!(client.defined(text), Some((0, 4)));
    let text = "BEGIN { $x = 1; print($x); }\nEND { $x = 2; print($|x); }";
    assert_eq!(client.defined(text), Some((1, 6)));
    assert_eq!(client.defined("BEGIN { pri|nt(1); }"), None);
    assert_eq!(client.end(), Some(0));
}

#[test]
fn texts_are_laid_out() {
    let mut client = Client::start();
    client.write("BEGIN{print(1);/* é */}");
    let format = json!({ "textDocument": { "uri": URI }, "options": {} });
    let edits = client.ask("textDocument/formatting", format.clone());
    assert_eq!(edits[0]["newText"], "BEGIN {\n    print(1); /* é */\n}\n");
    let end = json!({ "line": 0, "character": 23 });
    assert_eq!(edits[0]["range"]["end"], end);
    client.write("BEGIN {\n    print(1); /* é */\n}\n");
    assert_eq!(
        client.ask("textDocument/formatting", format.clone()),
        json!([])
    );
    client.write("BEGIN { print(");
    assert_eq!(client.ask("textDocument/formatting", format), Value::Null);
    assert_eq!(client.end(), Some(0));
}

#[test]
fn what_is_not_understood_is_said() {
    let mut client = Client::start();
    let answer = client.request("textDocument/rename", json!({}));
    assert_eq!(answer["error"]["code"], -32601);
    client
        .input
        .write_all(b"Content-Length: 3\r\n\r\n{x}")
        .unwrap();
    client.input.flush().unwrap();
    assert_eq!(client.receive()["error"]["code"], -32700);
    // A text that was never opened has nothing to say.
    let nowhere = json!({
        "textDocument": { "uri": "file:///nowhere.bt" },
        "position": { "line": 3, "character": 9 },
    });
    assert_eq!(client.ask("textDocument/hover", nowhere), Value::Null);
    // A client that goes without a word.
    let Client {
        mut server, input, ..
    } = client;
    drop(input);
    assert_eq!(server.wait().unwrap().code(), Some(1));
}
