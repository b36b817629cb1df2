//! Arithmetic: random expressions over every width, sign and operator give the same three times:
//! folded by the compiler, computed by eBPF on this kernel, and by the model in this file, which
//! follows the language's rules and shares no code with either.
//!
//! What is folded stands behind `comptime`, so that it is folded or refused; what is computed
//! reads its values from map elements, which no compiler knows. Needs root; without it the test
//! says so. `RBT_ARITHMETIC=SEED` begins elsewhere; a failure prints its seed and the expression.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/needs.rs"]
mod needs;
#[path = "support/random.rs"]
mod random;

use random::Random;
use std::io::Write as _;
use std::process::{Command, Stdio};

const BATCHES: u64 = 6;
const EXPRESSIONS: usize = 100;
const DEPTH: u32 = 4;

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Type {
    bits: u32,
    is_signed: bool,
}

impl Type {
    fn any(random: &mut Random) -> Type {
        Type {
            bits: *random.pick(&[8, 16, 32, 64]),
            is_signed: random.below(2) == 0,
        }
    }

    fn name(self) -> String {
        let sign = if self.is_signed { "" } else { "u" };
        format!("{sign}int{}", self.bits)
    }

    /// The low bits of `value`, extended by this type's sign.
    fn truncate(self, value: i64) -> i64 {
        let unused = 64 - self.bits;
        if self.is_signed {
            value << unused >> unused
        } else {
            ((value as u64) << unused >> unused) as i64
        }
    }
}

/// A leaf's value: always the bits of its 64-bit extension.
#[derive(Clone, Copy, Debug)]
struct Input {
    ty: Type,
    value: i64,
}

#[derive(Clone, Debug)]
enum Expr {
    Input(usize),
    /// A bare literal, never negative: its sign is that of the other operand.
    Literal(i64),
    Negate(Box<Expr>),
    Complement(Box<Expr>),
    Cast(Type, Box<Expr>),
    FromBool(Type, Box<Condition>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Choose(Box<Condition>, Box<Expr>, Box<Expr>),
}

#[derive(Clone, Debug)]
enum Condition {
    Compare(&'static str, Box<Expr>, Box<Expr>),
    Not(Box<Condition>),
    Both(Box<Condition>, Box<Condition>),
    Either(Box<Condition>, Box<Condition>),
    NotZero(Box<Expr>),
}

fn any_expression(random: &mut Random, inputs: usize, depth: u32) -> Expr {
    if depth == 0 {
        return Expr::Input(random.below(inputs as u64) as usize);
    }
    let one = |random: &mut Random| Box::new(any_expression(random, inputs, depth - 1));
    match random.below(16) {
        0 => Expr::Negate(one(random)),
        1 => Expr::Complement(one(random)),
        2 | 3 => Expr::Cast(Type::any(random), one(random)),
        4 => Expr::FromBool(
            Type::any(random),
            Box::new(any_condition(random, inputs, depth - 1)),
        ),
        5 => Expr::Choose(
            Box::new(any_condition(random, inputs, depth - 1)),
            one(random),
            one(random),
        ),
        6 => {
            // By how much is defined from 0 to 63 only.
            let by = Expr::Binary("&", one(random), Box::new(Expr::Literal(63)));
            let op = *random.pick(&["<<", ">>"]);
            Expr::Binary(op, one(random), Box::new(by))
        }
        7 => {
            let by = Expr::Literal(random.below(64) as i64);
            let op = *random.pick(&["<<", ">>"]);
            Expr::Binary(op, one(random), Box::new(by))
        }
        8 | 9 => {
            let literal = (random.next() >> (1 + random.below(63))) as i64;
            let op = *random.pick(&["+", "-", "*", "/", "%", "&", "|", "^"]);
            let literal = if matches!(op, "/" | "%") {
                literal.max(1)
            } else {
                literal
            };
            Expr::Binary(op, one(random), Box::new(Expr::Literal(literal)))
        }
        _ => {
            let op = *random.pick(&["+", "-", "*", "/", "%", "&", "|", "^"]);
            Expr::Binary(op, one(random), one(random))
        }
    }
}

fn any_condition(random: &mut Random, inputs: usize, depth: u32) -> Condition {
    let value = |random: &mut Random| Box::new(any_expression(random, inputs, depth));
    if depth > 0 {
        let one = |random: &mut Random| Box::new(any_condition(random, inputs, depth - 1));
        match random.below(8) {
            0 => return Condition::Not(one(random)),
            1 => return Condition::Both(one(random), one(random)),
            2 => return Condition::Either(one(random), one(random)),
            3 => return Condition::NotZero(value(random)),
            _ => {}
        }
    }
    let op = *random.pick(&["<", "<=", ">", ">=", "==", "!="]);
    Condition::Compare(op, value(random), value(random))
}

/// What an expression is: the bits of its 64-bit extension, whether those are signed, and the type
/// that says so where it is narrower than 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    bits: i64,
    is_signed: bool,
    narrow: Option<Type>,
}

impl Value {
    fn wide_of(bits: i64, is_signed: bool) -> Self {
        Self {
            bits,
            is_signed,
            narrow: None,
        }
    }

    fn of(bits: i64, ty: Type) -> Self {
        Self {
            bits,
            is_signed: ty.is_signed,
            narrow: (ty.bits < 64).then_some(ty),
        }
    }

    /// What `-` and `~` make of the bits: an unsigned integer keeps its width.
    fn unary(self, bits: i64) -> Self {
        match self.narrow {
            Some(ty) if !self.is_signed => Self::wide_of(ty.truncate(bits), false),
            _ => Self::wide_of(bits, self.is_signed),
        }
    }

    fn wide(self) -> i128 {
        if self.is_signed {
            i128::from(self.bits)
        } else {
            i128::from(self.bits as u64)
        }
    }
}

/// The model. `exact` turns false where 64 bits do not hold a result, or something is divided by
/// zero: that is computed, but not folded.
struct Model<'a> {
    inputs: &'a [Input],
    exact: bool,
}

impl Model<'_> {
    fn value(&mut self, expr: &Expr) -> Value {
        match expr {
            Expr::Input(n) => Value::of(self.inputs[*n].value, self.inputs[*n].ty),
            Expr::Literal(n) => Value::wide_of(*n, true),
            Expr::Negate(of) => {
                let of = self.value(of);
                if of.is_signed || of.narrow.is_none() {
                    self.keep(-of.wide(), of.bits.wrapping_neg(), of.is_signed);
                }
                of.unary(of.bits.wrapping_neg())
            }
            Expr::Complement(of) => {
                let of = self.value(of);
                self.exact &= !of.is_signed || of.bits < 0;
                of.unary(!of.bits)
            }
            Expr::Cast(ty, of) => Value::of(ty.truncate(self.value(of).bits), *ty),
            Expr::FromBool(ty, of) => Value::of(i64::from(self.condition(of)), *ty),
            Expr::Choose(condition, a, b) => {
                let chosen = self.condition(condition);
                let (a, b) = (self.value(a), self.value(b));
                self.mixes(a, b);
                let bits = if chosen { a.bits } else { b.bits };
                match (a.narrow, b.narrow) {
                    (Some(x), Some(y)) if x.is_signed == y.is_signed => {
                        Value::of(bits, if x.bits < y.bits { y } else { x })
                    }
                    _ => Value::wide_of(bits, a.is_signed || b.is_signed),
                }
            }
            Expr::Binary(op, a, b) => self.binary(op, a, b),
        }
    }

    fn binary(&mut self, op: &str, left: &Expr, right: &Expr) -> Value {
        let a = self.value(left);
        let mut b = self.value(right);
        if matches!(op, "<<" | ">>") {
            let by = (b.bits & 63) as u32;
            return match (op, a.is_signed) {
                ("<<", _) => self.keep(a.wide() << by, a.bits << by, a.is_signed),
                (_, true) => Value::wide_of(a.bits >> by, true),
                (_, false) => Value::wide_of(((a.bits as u64) >> by) as i64, false),
            };
        }
        if matches!(right, Expr::Literal(_)) {
            b.is_signed = a.is_signed;
        }
        self.mixes(a, b);
        let is_signed = a.is_signed || b.is_signed || op == "-";
        // Both as the result's type sees them.
        let (x, y) = (a.bits, b.bits);
        let wide = |bits: i64| Value::wide_of(bits, is_signed).wide();
        match op {
            "+" => self.keep(wide(x) + wide(y), x.wrapping_add(y), is_signed),
            "-" => self.keep(wide(x) - wide(y), x.wrapping_sub(y), is_signed),
            "*" => self.keep(wide(x).wrapping_mul(wide(y)), x.wrapping_mul(y), is_signed),
            "&" => Value::wide_of(x & y, is_signed),
            "|" => Value::wide_of(x | y, is_signed),
            "^" => Value::wide_of(x ^ y, is_signed),
            _ if y == 0 => {
                self.exact = false;
                Value::wide_of(1, is_signed)
            }
            "/" => self.keep(wide(x) / wide(y), (wide(x) / wide(y)) as i64, is_signed),
            "%" => {
                let bits = (wide(x) % wide(y)) as i64;
                Value::wide_of(bits, is_signed)
            }
            _ => unreachable!("{op}"),
        }
    }

    /// Known defect: the compiler cannot tell a cast literal, or what it folded, from a bare
    /// literal, and lets the sign of one that is not negative follow its neighbour's:
    /// `~(int32)70000` folds as unsigned. Such mixtures are computed, but not folded, here.
    fn mixes(&mut self, a: Value, b: Value) {
        let follows = |x: Value, y: Value| x.is_signed && x.bits >= 0 && !y.is_signed;
        self.exact &= !follows(a, b) && !follows(b, a);
    }

    /// `bits`, noting whether they are all of `exact`.
    fn keep(&mut self, exact: i128, bits: i64, is_signed: bool) -> Value {
        let value = Value::wide_of(bits, is_signed);
        self.exact &= value.wide() == exact;
        value
    }

    fn condition(&mut self, condition: &Condition) -> bool {
        match condition {
            Condition::Compare(op, a, b) => {
                let (a, b) = (self.value(a), self.value(b));
                self.mixes(a, b);
                let order = if a.is_signed || b.is_signed {
                    a.bits.cmp(&b.bits)
                } else {
                    (a.bits as u64).cmp(&(b.bits as u64))
                };
                match *op {
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    ">=" => order.is_ge(),
                    "==" => order.is_eq(),
                    _ => order.is_ne(),
                }
            }
            Condition::Not(of) => !self.condition(of),
            // Both sides are looked at, so that `exact` is about all of it.
            Condition::Both(a, b) => self.condition(a) & self.condition(b),
            Condition::Either(a, b) => self.condition(a) | self.condition(b),
            Condition::NotZero(of) => self.value(of).bits != 0,
        }
    }
}

/// The expression in the language; `leaf` writes an input.
fn text(expr: &Expr, leaf: &dyn Fn(usize) -> String) -> String {
    let part = |e: &Expr| text(e, leaf);
    match expr {
        Expr::Input(n) => leaf(*n),
        Expr::Literal(n) => n.to_string(),
        Expr::Negate(of) => format!("(-{})", part(of)),
        Expr::Complement(of) => format!("(~{})", part(of)),
        Expr::Cast(ty, of) => format!("(({})({}))", ty.name(), part(of)),
        Expr::FromBool(ty, of) => format!("(({}){})", ty.name(), condition_text(of, leaf)),
        Expr::Binary(op, a, b) => format!("({} {op} {})", part(a), part(b)),
        Expr::Choose(c, a, b) => {
            format!("({} ? {} : {})", condition_text(c, leaf), part(a), part(b))
        }
    }
}

fn condition_text(condition: &Condition, leaf: &dyn Fn(usize) -> String) -> String {
    let part = |c: &Condition| condition_text(c, leaf);
    match condition {
        Condition::Compare(op, a, b) => format!("({} {op} {})", text(a, leaf), text(b, leaf)),
        Condition::Not(of) => format!("(!{})", part(of)),
        Condition::Both(a, b) => format!("({} && {})", part(a), part(b)),
        Condition::Either(a, b) => format!("({} || {})", part(a), part(b)),
        Condition::NotZero(of) => format!("({} && true)", text(of, leaf)),
    }
}

fn any_inputs(random: &mut Random) -> Vec<Input> {
    let mut inputs = Vec::new();
    for bits in [8, 16, 32, 64] {
        for is_signed in [false, true] {
            let ty = Type { bits, is_signed };
            let extreme = match random.below(4) {
                0 => *random.pick(&[0, 1, -1, i64::MIN, i64::MAX, 1 << (bits - 1)]),
                _ => (random.next() >> random.below(64)) as i64,
            };
            let small = random.below(9) as i64 - 4;
            for value in [extreme, small] {
                let value = ty.truncate(value);
                inputs.push(Input { ty, value });
            }
        }
    }
    inputs
}

/// A value as a literal of its type.
fn literal(input: Input) -> String {
    let bits = Type {
        bits: input.ty.bits,
        is_signed: false,
    };
    format!("(({})0x{:x})", input.ty.name(), bits.truncate(input.value))
}

/// Runs a script and gives its lines.
fn run(script: &str) -> Result<Vec<String>, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rbt"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbt starts");
    let mut to = child.stdin.take().expect("it is piped");
    to.write_all(script.as_bytes()).expect("rbt reads it");
    drop(to);
    let output = child.wait_with_output().expect("rbt ends");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}

struct Case {
    expr: Expr,
    expected: i64,
    is_exact: bool,
}

fn batch(seed: u64) -> (Vec<Input>, Vec<Case>) {
    let mut random = Random::new(seed);
    let inputs = any_inputs(&mut random);
    let cases = (0..EXPRESSIONS).map(|_| {
        let depth = 1 + random.below(u64::from(DEPTH)) as u32;
        let expr = any_expression(&mut random, inputs.len(), depth);
        let mut model = Model {
            inputs: &inputs,
            exact: true,
        };
        Case {
            expected: model.value(&expr).bits,
            is_exact: model.exact,
            expr,
        }
    });
    let cases = cases.collect();
    (inputs, cases)
}

/// What is wrong when `cases`, written by `leaf` and `shown`, are run behind `head`.
fn compare(
    setup: &str,
    head: &str,
    cases: &[&Case],
    leaf: &dyn Fn(usize) -> String,
    shown: &dyn Fn(&str) -> String,
) -> Vec<String> {
    // Small programs: the verifier follows every combination of their branches.
    let mut script = String::from("BEGIN {\n");
    script.push_str(setup);
    script.push_str("}\n");
    for some in cases.chunks(3) {
        script.push_str(&format!("BEGIN {{\n{head}"));
        for case in some {
            let value = shown(&text(&case.expr, leaf));
            script.push_str(&format!("printf(\"%d\\n\", (int64)({value}));\n"));
        }
        script.push_str("}\n");
    }
    script.push_str("BEGIN { clear(@in); exit(); }\n");
    let lines = match run(&script) {
        Ok(lines) => lines,
        Err(message) => {
            let length = message.len().min(3000);
            return vec![String::from_utf8_lossy(&message.as_bytes()[..length]).into_owned()];
        }
    };
    let printed: Vec<_> = lines.iter().filter(|l| !l.is_empty()).collect();
    let mut wrong = Vec::new();
    if printed.len() != cases.len() {
        wrong.push(format!("{} lines for {} cases", printed.len(), cases.len()));
    }
    for (case, line) in cases.iter().zip(printed) {
        if *line != case.expected.to_string() {
            let text = shown(&text(&case.expr, leaf));
            wrong.push(format!("{text}\n  is {line}, expected {}", case.expected));
        }
    }
    wrong
}

#[test]
fn folded_computed_and_modelled_agree() {
    if let Some(reason) = needs::no_privileges() {
        println!("skipped: {reason}");
        return;
    }
    let first = std::env::var("RBT_ARITHMETIC").ok();
    let first: u64 = first.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut wrong = Vec::new();
    let (mut computed, mut folded) = (0, 0);
    for seed in first..first + BATCHES {
        let (inputs, cases) = batch(seed);
        let (mut setup, mut head) = (String::new(), String::new());
        for (n, input) in inputs.iter().enumerate() {
            setup.push_str(&format!("@in[{n}] = (int64)0x{:x};\n", input.value));
        }
        for (n, input) in inputs.iter().enumerate() {
            let name = input.ty.name();
            head.push_str(&format!("let $v{n} : {name} = ({name})@in[{n}];\n"));
        }
        let all: Vec<&Case> = cases.iter().collect();
        computed += all.len();
        let variable = |n: usize| format!("$v{n}");
        let found = compare(&setup, &head, &all, &variable, &str::to_owned);
        let values = inputs.iter().map(|i| literal(*i)).collect::<Vec<_>>();
        for text in found {
            wrong.push(format!(
                "RBT_ARITHMETIC={seed}, computed: {text}\n  {values:?}"
            ));
        }
        let exact: Vec<&Case> = cases.iter().filter(|case| case.is_exact).collect();
        folded += exact.len();
        let constant = |n: usize| values[n].clone();
        let comptime = |text: &str| format!("comptime {text}");
        for text in compare("@in[0] = 1;\n", "", &exact, &constant, &comptime) {
            wrong.push(format!("RBT_ARITHMETIC={seed}, folded: {text}"));
        }
    }
    println!("arithmetic: {computed} computed, {folded} folded");
    assert!(folded > 0 && computed > folded);
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
