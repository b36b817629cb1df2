//! The prompt in a real terminal: keys go in, the screen is read.
//!
//! Drives `rbt` without arguments under tmux; needs root, and says so and stops where it is not
//! given or tmux is not there.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[path = "support/terminal.rs"]
mod terminal;

use terminal::Terminal;

/// A terminal with the prompt in it.
fn start(name: &str) -> Option<Terminal> {
    let terminal = Terminal::start(name, "{{RBT}}", (100, 45))?;
    terminal.shows("rbt> ");
    Some(terminal)
}

#[test]
fn clauses_run_while_others_are_typed() {
    let Some(terminal) = start("clauses") else {
        return;
    };
    terminal.enter("interval:ms:10 { @n++; }");
    terminal.shows("clause 1 runs");
    terminal.enter("interval:ms:10 < @m = count(); >");
    terminal.shows("clause 2 runs");
    terminal.enter("@n");
    terminal.shows("@n: ");
    let first = terminal.number("@n: ").unwrap();
    // Both go on, and the map of the first was not lost when the second came.
    terminal.enter("print(@n)");
    terminal.until("a larger @n", |_| terminal.number("@n: ").unwrap() > first);
    terminal.enter(":stop 1");
    terminal.enter(":probes");
    terminal.shows("  2 interval:ms:10 < @m = count(); >");
    terminal.enter("@n");
    terminal.enter("@m");
    terminal.shows("@m: ");
    let still = terminal.number("@n: ").unwrap();
    let counted = terminal.number("@m: ").unwrap();
    terminal.enter("@");
    terminal.until("a larger @m", |_| {
        terminal.enter("@");
        terminal.number("@m: ").unwrap() > counted
    });
    assert_eq!(terminal.number("@n: ").unwrap(), still);
    terminal.enter(":replace 2 interval:ms:10 { @m = count(); @k = 7; }");
    terminal.until("the new map", |_| {
        terminal.enter("@k");
        terminal.number("@k: ") == Some(7)
    });
    assert!(terminal.number("@m: ").unwrap() >= counted);
    terminal.enter(":save saved.bt");
    terminal.shows("saved to saved.bt");
    let saved = std::fs::read_to_string(terminal.folder.join("saved.bt")).unwrap();
    assert_eq!(saved, "interval:ms:10 { @m = count(); @k = 7; }\n");
    terminal.key("C-d");
    terminal.shows("status 0");
}

#[test]
fn definitions_stay_and_mistakes_leave_no_trace() {
    let Some(terminal) = start("definitions") else {
        return;
    };
    terminal.enter("macro twice(x) { x * 2 }");
    terminal.enter("struct pair { int a; int b; };");
    terminal.enter("$base = 20");
    terminal.enter("print(twice($base) + sizeof(struct pair) - 6)");
    terminal.shows("\n42\n");
    terminal.enter("macro twice(x) { y }");
    terminal.enter("interval:s:1 { print(nonsense); }");
    terminal.shows("Unknown identifier: 'nonsense'");
    terminal.enter(":probes");
    terminal.shows("no clause runs");
    terminal.enter("@x = \"text\"");
    terminal.enter("@x");
    terminal.shows("@x: text");
    terminal.enter("@x = 5");
    terminal.shows("@x starts anew");
    terminal.key("C-d");
    terminal.shows("@x: 5\nstatus 0");
}

#[test]
fn a_line_is_whole_when_its_brackets_are() {
    let Some(terminal) = start("lines") else {
        return;
    };
    terminal.enter("BEGIN <");
    terminal.enter("  print((1,");
    terminal.enter("    2));");
    terminal.enter(">");
    terminal.shows("(1, 2)");
    // The history has it as one entry: up, and it runs again.
    terminal.key("Up");
    terminal.key("Enter");
    terminal.until("the action again", |screen| {
        screen.matches("(1, 2)").count() == 2
    });
    terminal.key("C-d");
    terminal.shows("status 0");
    let history = terminal.folder.join("state/rbt/history");
    assert!(
        std::fs::read_to_string(history)
            .unwrap()
            .contains("BEGIN <")
    );
}

#[test]
fn words_are_completed() {
    let Some(terminal) = start("completion") else {
        return;
    };
    terminal.tmux(&["send-keys", "-t", "t", "-l", "tracepoint:sched:sched_swit"]);
    terminal.key("Tab");
    terminal.shows("rbt> tracepoint:sched:sched_switch");
    terminal.tmux(&["send-keys", "-t", "t", "-l", " { @[args.next_c"]);
    terminal.key("Tab");
    terminal.shows("@[args.next_comm");
    terminal.enter("] = count(); }");
    terminal.shows("clause 1 runs");
    terminal.tmux(&["send-keys", "-t", "t", "-l", ":prob"]);
    terminal.key("Tab");
    terminal.shows(":probes");
    terminal.key("Enter");
    terminal.tmux(&["send-keys", "-t", "t", "-l", "print(((struct task_stru"]);
    terminal.key("Tab");
    terminal.shows("struct task_struct");
    terminal.key("C-c");
    // Keys that come together with Ctrl-C go the way of the line that it gives up.
    terminal.shows("shows it again\nrbt>");
    terminal.enter(":doc printf");
    terminal.shows("printf(");
    terminal.enter(":list software:cpu-c*");
    terminal.shows("software:cpu-clock:");
    terminal.key("C-d");
    terminal.shows("status 0");
}

#[test]
fn output_comes_above_the_line_and_can_be_stopped() {
    let Some(terminal) = start("output") else {
        return;
    };
    terminal.enter("interval:ms:100 { printf(\"tick %d\\n\", @n); @n++; }");
    terminal.shows("tick 3");
    terminal.tmux(&["send-keys", "-t", "t", "-l", "half a li"]);
    terminal.shows("tick 9");
    terminal.shows("rbt> half a li");
    terminal.key("C-c");
    terminal.shows("shows it again\nrbt>");
    terminal.enter(":watch @n 200ms");
    terminal.shows("ends the watch.");
    let first = terminal.number("@n: ").unwrap();
    terminal.until("the map in motion", |_| {
        terminal.number("@n: ").is_some_and(|now| now > first)
    });
    terminal.key("Enter");
    terminal.enter("interval:ms:50 { exit(); }");
    terminal.shows("all clauses are stopped");
    terminal.enter(":probes");
    terminal.shows("no clause runs");
    terminal.key("C-d");
    terminal.shows("status 0");
}

#[test]
fn a_watched_map_stays_in_place_however_large() {
    let Some(terminal) = start("watch") else {
        return;
    };
    terminal.enter("interval:ms:20 { @t[@n % 60] = @n; @n++; printf(\"torn\\n\"); }");
    terminal.shows("torn");
    terminal.enter(":watch @t 200ms");
    let value = |screen: &str| {
        let line = screen.lines().rev().find(|line| line.starts_with("@t["));
        line.and_then(|line| line.trim_end().rsplit(' ').next()?.parse::<u64>().ok())
    };
    terminal.until("values", |screen| {
        screen.contains("(18 more)") && value(screen).is_some()
    });
    let first = value(&terminal.screen()).unwrap_or(0);
    terminal.until("larger values in one picture", |screen| {
        let is_later = value(screen).is_some_and(|now| now > first + 5);
        is_later && screen.matches(" more)").count() == 1
    });
    let screen = terminal.screen();
    let picture = screen.rsplit(" more)").next().unwrap();
    assert!(!picture.contains("torn"), "{screen}");
    // Ctrl-C ends the watch and nothing else; what clauses print is shown again.
    terminal.key("C-c");
    terminal.until("the clause's words", |screen| {
        screen
            .rsplit("ends the watch.")
            .next()
            .unwrap_or_default()
            .contains("torn")
    });
    terminal.enter(":stop");
    terminal.enter("@n = 7");
    terminal.enter("@n");
    terminal.shows("@n: 7");
    terminal.key("C-d");
    terminal.shows("status 0");
}

#[test]
fn members_and_names_of_the_session_are_completed() {
    let Some(terminal) = start("members") else {
        return;
    };
    let typed = |text: &str| {
        terminal.tmux(&["send-keys", "-t", "t", "-l", "--", text]);
        terminal.key("Tab");
    };
    typed("print(curtask->real_par");
    terminal.shows("print(curtask->real_parent");
    typed("->mm->total_v");
    terminal.shows("real_parent->mm->total_vm");
    terminal.enter(" >= 0)");
    terminal.enter("macro halved(x) { x / 2 }");
    terminal.enter("$whole = 84");
    terminal.enter("@half = 0");
    typed("print(halv");
    terminal.shows("print(halved");
    typed("($who");
    terminal.shows("print(halved($whole");
    terminal.enter("))");
    terminal.shows("\n42\n");
    typed("@ha");
    terminal.shows("rbt> @half");
    terminal.enter("");
    terminal.shows("@half: 0");
    terminal.key("C-d");
    terminal.shows("status 0");
}

#[test]
fn keys_keep_their_meaning_when_clauses_change() {
    let Some(terminal) = start("keys") else {
        return;
    };
    terminal.enter("interval:ms:20 { @[probe, kstack(2)] = count(); }");
    terminal.shows("clause 1 runs");
    terminal.enter("profile:hz:50 { @[probe, kstack(2)] = count(); }");
    terminal.shows("clause 2 runs");
    terminal.until("both names", |_| {
        terminal.enter("@");
        let screen = terminal.screen();
        screen.contains("@[interval:ms:20, ") && screen.contains("@[profile:hz:50, ")
    });
    // The first clause's place is taken by no other while its keys are there.
    terminal.enter(":stop 1");
    terminal.enter("software:cpu-clock:1000000 { @[probe, kstack(2)] = count(); }");
    terminal.shows("clause 3 runs");
    terminal.until("all names", |_| {
        terminal.enter("@");
        let screen = terminal.screen();
        let shown = screen.rsplit("rbt> @").next().unwrap_or_default();
        [
            "interval:ms:20",
            "profile:hz:50",
            "software:cpu-clock:1000000",
        ]
        .iter()
        .all(|name| shown.contains(&format!("@[{name}, ")))
    });
    terminal.enter(":stop");
    terminal.enter(":clear");
    terminal.enter("interval:ms:30 { @k[probe] = count(); }");
    terminal.shows("clause 4 runs");
    terminal.until("the third name", |_| {
        terminal.enter("@");
        terminal.screen().contains("@k[interval:ms:30]: ")
    });
    terminal.enter(":replace 4 interval:ms:31 { @k[probe] = count(); }");
    terminal.until("the fourth name", |_| {
        terminal.enter("@");
        terminal.screen().contains("@k[interval:ms:31]: ")
    });
    terminal.key("C-d");
    terminal.shows("status 0");
    let end = terminal.screen();
    let last = end.rsplit("rbt> ").next().unwrap_or_default();
    assert!(last.contains("@k[interval:ms:30]: "), "{end}");
}
