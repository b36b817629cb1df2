//! Maps on a real terminal: keys go in, the screen is read.
//!
//! Drives `rbt --view` under tmux; needs root, and says so and stops where it is not given or
//! tmux is not there.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[path = "support/terminal.rs"]
mod terminal;

use terminal::Terminal;

/// Two maps: ten to one in the one, in the other always the same interval.
const SCRIPT: &str = "interval:ms:20 { \
    @n[\\\"slow\\\", 7] = sum(1); @n[\\\"fast\\\", 5] = sum(10); @h = lhist(5, 0, 10, 1); } \
    interval:ms:100 { @ticks++; printf(\\\"tick %d\\\\n\\\", @ticks); } \
    END { printf(\\\"the end\\\\n\\\"); }";

fn start(name: &str, before: &str, size: (u32, u32)) -> Option<Terminal> {
    let command = format!("{before} LC_ALL=C {{{{RBT}}}} --view -e \"{SCRIPT}\"");
    let terminal = Terminal::start(name, &command, size)?;
    terminal.shows("@h  map 1 of 3");
    Some(terminal)
}

/// The words of the line that begins with `first`.
fn line(screen: &str, first: &str) -> Option<Vec<String>> {
    let line = screen.lines().find(|line| line.starts_with(first))?;
    Some(line.split_whitespace().map(str::to_owned).collect())
}

fn row(screen: &str, first: &str) -> Option<usize> {
    screen.lines().position(|line| line.starts_with(first))
}

#[test]
fn a_table_is_sorted_and_has_rates() {
    let Some(terminal) = start("table", "", (80, 24)) else {
        return;
    };
    terminal.key("Tab");
    terminal.shows("@n  map 2 of 3  2 rows");
    let screen = terminal.screen();
    assert_eq!(screen.trim_end().lines().count(), 24, "{screen}");
    assert!(screen.contains("every 1 s"), "{screen}");
    assert!(screen.contains("q quit"), "{screen}");
    assert_eq!(
        line(&screen, "KEY 1").unwrap(),
        ["KEY", "1", "KEY", "2", "VALUEv", "PER", "SECOND"]
    );
    assert!(row(&screen, "fast") < row(&screen, "slow"), "{screen}");
    // Fifty times ten a second; the machine may be late.
    terminal.until("a rate", |screen| {
        let words = line(screen, "fast").unwrap_or_default();
        let rate = words.get(3).and_then(|rate| rate.parse::<f64>().ok());
        rate.is_some_and(|rate| rate > 100.0 && rate < 700.0)
    });
    terminal.key("r");
    terminal.until("the other order", |screen| {
        screen.contains("VALUE^") && row(screen, "slow") < row(screen, "fast")
    });
    terminal.key("Left");
    terminal.until("numbers of the key in order", |screen| {
        screen.contains("KEY 2^") && row(screen, "fast") < row(screen, "slow")
    });
    // What the script prints is below, until it is not wanted.
    terminal.shows("tick ");
    terminal.key("o");
    terminal.until("no output", |screen| !screen.contains("tick "));
    terminal.key("q");
    terminal.shows("status 0");
    // The terminal is as it was, and the script's end has been printed on it.
    let screen = terminal.screen();
    assert!(screen.contains("the end"), "{screen}");
    assert!(screen.contains("@n[fast, 5]: "), "{screen}");
    assert!(!screen.contains("q quit"), "{screen}");
    terminal.shows("mode icanon echo");
}

#[test]
fn a_histogram_is_heat_over_time() {
    let Some(terminal) = start("heat", "", (120, 40)) else {
        return;
    };
    terminal.key("+");
    terminal.shows("every 0.5 s");
    terminal.until("three looks", |screen| {
        screen
            .lines()
            .any(|l| l.starts_with("[5]") && l.ends_with("@@@|") && l.len() == 120)
    });
    let screen = terminal.screen();
    assert!(
        screen.lines().any(|line| line.trim() == "COUNTv  COUNT/s"),
        "{screen}"
    );
    assert!(screen.trim_end().lines().count() == 40, "{screen}");
    terminal.key("Space");
    terminal.shows("PAUSED");
    let (before, after) = (terminal.screen(), {
        std::thread::sleep(std::time::Duration::from_millis(1200));
        terminal.screen()
    });
    assert_eq!(line(&before, "[5]"), line(&after, "[5]"));
    terminal.key("C-c");
    terminal.shows("mode icanon echo");
}

#[test]
fn the_terminal_is_given_back_at_every_end() {
    let ends = "(sleep 3; kill -TERM $(pgrep -P $$ -x rbt)) &";
    let Some(terminal) = start("ends", ends, (80, 24)) else {
        return;
    };
    terminal.shows("status 0");
    terminal.shows("mode icanon echo");
    assert!(terminal.screen().contains("the end"));
}

#[test]
fn a_small_terminal_is_enough() {
    let Some(terminal) = start("small", "", (30, 8)) else {
        return;
    };
    terminal.key("Tab");
    terminal.shows("@n  map 2 of 3");
    terminal.until("a row", |screen| row(screen, "fast").is_some());
    terminal.key("q");
    terminal.shows("mode icanon echo");
}
