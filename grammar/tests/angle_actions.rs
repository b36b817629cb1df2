//! The two spellings of an action mean the same: every row is a script with angle actions and
//! the same script with braces, whose trees must be equal, spans apart.

mod common;

use common::{parse_text, shape};

/// A script and its reading with braces.
const READINGS: &[(&str, &str)] = &[
    ("BEGIN < >", "BEGIN { }"),
    ("BEGIN <>", "BEGIN { }"),
    ("BEGIN<exit();>", "BEGIN { exit(); }"),
    ("k:f < @ = count() >", "k:f { @ = count() }"),
    ("k:f < @ok = arg0 > 0 >", "k:f { @ok = arg0 > 0 }"),
    (
        "k:f < if (arg0 > arg1) { @ = count() } >",
        "k:f { if (arg0 > arg1) { @ = count() } }",
    ),
    (
        "k:f < $x = 1 << 4; $y = $x >> 2; @[$y] = count(); >",
        "k:f { $x = 1 << 4; $y = $x >> 2; @[$y] = count(); }",
    ),
    (
        "k:f < @x = 256 >> 3 > kr:f < clear(@x) >",
        "k:f { @x = 256 >> 3 } kr:f { clear(@x) }",
    ),
    (
        "k:f < $t = (struct task_struct *)curtask; @[$t->pid > 0] = count() >",
        "k:f { $t = (struct task_struct *)curtask; @[$t->pid > 0] = count() }",
    ),
    (
        "k:f < @a = 1 > END < print(@a) >",
        "k:f { @a = 1 } END { print(@a) }",
    ),
    (
        "k:f < $m = $a > $b ? $a : $b; @[$m] = count() >",
        "k:f { $m = $a > $b ? $a : $b; @[$m] = count() }",
    ),
    (
        "k:f < $m = $c ? $a > p : 5; @ = $m >",
        "k:f { $m = $c ? $a > p : 5; @ = $m }",
    ),
    ("k:f < @n-->", "k:f { @n-- }"),
    (
        "k:f < @a >= 3 ? print(\"x\") : print(\"y\"); >",
        "k:f { @a >= 3 ? print(\"x\") : print(\"y\"); }",
    ),
    (
        "k:f /arg0 < 10/ < @ = count() >",
        "k:f /arg0 < 10/ { @ = count() }",
    ),
    (
        "k:f /arg0 / 2 > 1/ < @ = count() >",
        "k:f /arg0 / 2 > 1/ { @ = count() }",
    ),
    (
        "k:f < printf(\"a > b\\n\") >",
        "k:f { printf(\"a > b\\n\") }",
    ),
    ("k:f < @x = 5 // note\n>", "k:f { @x = 5 }"),
    ("k:f < @ = arg0 > 4; > // tail", "k:f { @ = arg0 > 4; }"),
    (
        "k:f < $b = { $a > 1 }; @[$b] = count(); >",
        "k:f { $b = { $a > 1 }; @[$b] = count(); }",
    ),
    (
        "k:f < @x = 1 > let @m = hash(8); BEGIN { }",
        "k:f { @x = 1 } let @m = hash(8); BEGIN { }",
    ),
    ("k:f < @x = 3 > end > 1 >", "k:f { @x = 3 > end > 1 }"),
    // What settles a reading that A4 or A5 would take otherwise.
    (
        "k:f < @a = (x > END) > END < >",
        "k:f { @a = (x > END) } END { }",
    ),
    (
        "k:f < @a = 1; > *:vfs_read { }",
        "k:f { @a = 1; } *:vfs_read { }",
    ),
    // Each kind of item that A5 knows.
    (
        "k:f < @a = 1 > macro m(x) { x }",
        "k:f { @a = 1 } macro m(x) { x }",
    ),
    (
        "k:f < @a = 1 > fn m($x : int8) : int8 { return $x; }",
        "k:f { @a = 1 } fn m($x : int8) : int8 { return $x; }",
    ),
    (
        "k:f < @a = 1 > Interval:s:1 { }",
        "k:f { @a = 1 } Interval:s:1 { }",
    ),
    ("k:f < @a = 1 > nm=i:s:1 { }", "k:f { @a = 1 } nm=i:s:1 { }"),
    (
        "k:f < @a = 1 > begin , end { }",
        "k:f { @a = 1 } begin, end { }",
    ),
    (
        "k:f < @a = 1 > BEGIN /1/ { }",
        "k:f { @a = 1 } BEGIN /1/ { }",
    ),
    (
        "k:f < @a = 1 > /* c */ // d\nt:a:b { }",
        "k:f { @a = 1 } t:a:b { }",
    ),
    // Aliases are exact: `T:` is no provider, so the `>` compares and the `?` takes the colon.
    (
        "k:f < @a = $c ? $b > T : 1 >",
        "k:f { @a = $c ? $b > T : 1 }",
    ),
    // A value that is an `if` does not end its statement.
    (
        "k:f < $x = if (1) { 2 } else { 3 } > 1; >",
        "k:f { $x = (if (1) { 2 } else { 3 }) > 1; }",
    ),
    (
        "k:f < if (1) { } else if (2) { } else { } >",
        "k:f { if (1) { } else if (2) { } else { } }",
    ),
    ("k:f < for $i : 0..4 { } >", "k:f { for $i : 0..4 { } }"),
    ("k:f < { @a = 1 } >", "k:f { { @a = 1 } }"),
    // Operators that are longer than a `>`.
    (
        "k:f < @a >>= 1; @b = @a >= 2 >",
        "k:f { @a >>= 1; @b = @a >= 2 }",
    ),
    // Mixed in one script.
    (
        "interval:s:1 /@hits > 3/ < print(@hits); clear(@hits) >\nBEGIN < printf(\"go\\n\") > \
         END { printf(\"done\\n\"); }",
        "interval:s:1 /@hits > 3/ { print(@hits); clear(@hits) }\nBEGIN { printf(\"go\\n\") } \
         END { printf(\"done\\n\"); }",
    ),
    (
        "uprobe:./a:cpp:\"vec<int>::push\" < >",
        "uprobe:./a:cpp:\"vec<int>::push\" { }",
    ),
];

#[test]
fn an_angle_action_is_the_same_tree_as_a_brace_action() {
    for (angles, braces) in READINGS {
        let (sources, read) = parse_text("angles.bt", angles);
        let shown: String = read
            .diagnostics
            .iter()
            .map(|d| d.render(&sources, rbt_grammar::Color::Never))
            .collect();
        assert!(read.diagnostics.is_empty(), "{angles}\n{shown}");
        let (_, meant) = parse_text("braces.bt", braces);
        assert!(meant.diagnostics.is_empty(), "{braces}");
        assert_eq!(shape(&read.program), shape(&meant.program), "{angles}");
    }
}

#[test]
fn delimiters_pair_with_their_own_kind() {
    let (_, parsed) = parse_text("a.bt", "k:f < @x = 1 }");
    let messages: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    assert_eq!(
        messages,
        ["syntax: expected `>` to close the action opened at 1:5"]
    );
    let (_, parsed) = parse_text("a.bt", "k:f { @x = 1 >");
    let messages: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    assert_eq!(messages, ["syntax: this `{` is never closed"]);
}
