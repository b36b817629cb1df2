//! Tests of the live suite's own runner: that a case which should fail does.
//!
//! Stands in for the tracer with shell scripts, so nothing here needs privileges.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    dead_code
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/live.rs"]
mod live;
#[path = "support/needs.rs"]
mod needs;

use std::path::Path;
use std::time::{Duration, Instant};

use cases::{Action, Expectation, Peer};

/// The mistakes of one case that runs `shell` and expects what `directives` say.
fn wrong(shell: &str, directives: &str) -> Vec<String> {
    let text = format!("NAME case\nRUN <<END\n{shell}\nEND\n{directives}\n");
    let cases = cases::parse("test", &text).unwrap();
    live::run(&cases[0], Path::new("/bin/false"), 1.0)
}

fn refused(text: &str) -> (usize, String) {
    cases::parse("test", text).unwrap_err()
}

#[test]
fn a_file_is_read_whole() {
    let text = "# comment\n\nNAME first\nPROG BEGIN { }\nEXPECT a b\nEXPECT_REGEX [0-9]+\nSTATUS 3\n\
                NAME second\nPROG <<END\nBEGIN {\n}\nEND\nEXPECT_STDOUT_EXACT a\\nb\\\\\n\
                PEER differs: on purpose\nSIGINT_AFTER 0.5\nENV TZ=UTC\nREQUIRES btf\n";
    let cases = cases::parse("file", text).unwrap();
    assert_eq!(cases[0].name, "file/first");
    assert_eq!(cases[0].action, Action::Script("BEGIN { }".to_owned()));
    assert_eq!(
        cases[0].stdout,
        [
            Expectation::Line("a b".to_owned()),
            Expectation::Pattern("[0-9]+".to_owned())
        ]
    );
    assert_eq!(cases[0].status, 3);
    assert_eq!(cases[1].action, Action::Script("BEGIN {\n}".to_owned()));
    assert_eq!(cases[1].stdout, [Expectation::Exactly("a\nb\\".to_owned())]);
    assert_eq!(cases[1].peer, Peer::Differs("on purpose".to_owned()));
    assert_eq!(cases[1].interrupt, Some(Duration::from_millis(500)));
    assert_eq!(cases[1].env, [("TZ".to_owned(), "UTC".to_owned())]);
    assert_eq!(cases[1].requires, ["btf"]);
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line() {
    assert_eq!(refused("EXPECT a\n").0, 1);
    assert_eq!(refused("NAME a\nPROG x\nEXPET a\n").0, 3);
    assert_eq!(refused("NAME a\nPROG x\nPROG y\n").0, 3);
    assert_eq!(refused("NAME a\nPROG <<END\nx\n").0, 2);
    assert_eq!(refused("NAME a\nPROG x\nSTATUS 0\nNAME a\n").0, 4);
    assert_eq!(
        refused("NAME a\nEXPECT x\n").1,
        "the case has neither PROG nor RUN"
    );
    assert_eq!(refused("NAME a\nPROG x\n").1, "the case expects nothing");
    assert_eq!(refused("NAME a\nPROG x\nPEER no\n").0, 3);
}

#[test]
fn exact_output() {
    assert!(wrong("printf 'a\\n\\nb\\n'", "EXPECT_STDOUT_EXACT a\\n\\nb\\n").is_empty());
    assert!(!wrong("printf 'a\\nb\\n'", "EXPECT_STDOUT_EXACT a\\n\\nb\\n").is_empty());
    assert!(!wrong("printf 'a'", "EXPECT_STDOUT_EXACT a\\n").is_empty());
}

#[test]
fn lines_in_their_order() {
    assert!(wrong("echo a; echo b", "EXPECT a\nEXPECT b").is_empty());
    assert!(!wrong("echo b; echo a", "EXPECT a\nEXPECT b").is_empty());
    assert!(!wrong("echo a", "EXPECT a\nEXPECT a").is_empty());
    assert!(!wrong("echo ab", "EXPECT a").is_empty());
}

#[test]
fn patterns_match_whole_lines_of_stdout() {
    assert!(wrong("echo count: 15", "EXPECT_REGEX count: [0-9]+").is_empty());
    assert!(!wrong("echo the count: 15", "EXPECT_REGEX count: [0-9]+").is_empty());
    assert!(!wrong("echo 15", "EXPECT_REGEX [").is_empty());
}

#[test]
fn unwanted_text() {
    assert!(wrong("echo a", "NOT_EXPECT b").is_empty());
    assert!(!wrong("echo abc", "NOT_EXPECT b").is_empty());
}

#[test]
fn stderr_is_apart() {
    assert!(
        wrong(
            "echo a; echo the b >&2",
            "EXPECT_STDERR b\nSTDERR_REGEX ^the b$"
        )
        .is_empty()
    );
    assert!(!wrong("echo b", "EXPECT_STDERR b").is_empty());
    assert!(!wrong("echo b >&2", "EXPECT b").is_empty());
}

#[test]
fn status() {
    assert!(wrong("exit 3", "STATUS 3").is_empty());
    assert!(!wrong("exit 3", "STATUS 0").is_empty());
    assert!(wrong("kill -s TERM $$", "STATUS 143").is_empty());
}

#[test]
fn the_notice_is_not_output() {
    let notice = "echo $__BPFTRACE_NOTIFY_PROBES_ATTACHED | grep -q 1 && \
                  echo __BPFTRACE_NOTIFY_PROBES_ATTACHED; echo a";
    assert!(wrong(notice, "EXPECT_STDOUT_EXACT a\\n").is_empty());
}

#[test]
fn a_run_that_does_not_end_is_killed() {
    let begun = Instant::now();
    let wrong = wrong("sleep 100", "STATUS 0\nTIMEOUT 0.2");
    assert!(wrong[0].starts_with("still running"), "{wrong:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_trigger_runs_after_attaching_and_before_the_interrupt() {
    // A shell in `wait` hears a signal at once, whatever else the machine does; and it can only
    // trap one that was not ignored when it started, as it is for jobs in the background.
    let tracer = r#"exec env --default-signal=INT sh -c "
        trap 'echo interrupted; kill \$!; exit 0' INT
        sleep 100 >/dev/null 2>&1 &
        echo __BPFTRACE_NOTIFY_PROBES_ATTACHED
        wait""#;
    let directives = |after: &str| {
        format!("AFTER {after}\nSIGINT_AFTER 0.05\nEXPECT_STDOUT_EXACT interrupted\\n")
    };
    assert!(wrong(tracer, &directives("sleep 0.1")).is_empty());
    assert!(!wrong(tracer, &directives("exit 1")).is_empty());
}

#[test]
fn the_background_process_is_known_and_ends_with_the_case() {
    assert!(wrong("kill -0 {{BEFORE_PID}}", "BEFORE exec sleep 100\nSTATUS 0").is_empty());
    // One that has ended is waited for, so it is not there any more.
    let gone = "while kill -0 {{BEFORE_PID}} 2>/dev/null; do sleep 0.01; done";
    assert!(wrong(gone, "BEFORE exec sleep 0.1\nSTATUS 0\nTIMEOUT 5").is_empty());
}

#[test]
fn requirements() {
    let tracer = Path::new("/bin/false");
    let met = |text: &str| needs::unmet(text, tracer).unwrap().is_none();
    assert!(met("kernel >= 2.6") && !met("kernel >= 999.0"));
    assert!(met("kernel < 999.0") && !met("kernel < 2.6"));
    assert!(met("cpus >= 1") && !met("cpus >= 100000"));
    assert!(met("command sh") && !met("command no-such-command"));
    assert!(met("file /proc") && !met("file /nonexistent"));
    assert!(!met("info anything"));
    assert!(needs::unmet("a miracle", tracer).is_err());
    assert!(needs::unmet("kernel = 5.10", tracer).is_err());
}

#[test]
fn every_case_of_the_suite_is_well_formed() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scripts"));
    let cases = cases::read_folder(folder).unwrap();
    assert!(cases.len() > 400);
    for case in &cases {
        for requirement in &case.requires {
            let known = needs::unmet(requirement, Path::new("/bin/false"));
            assert!(known.is_ok(), "{}: {known:?}", case.name);
        }
    }
}
