//! The back end against two interpreters: one of the IR, one of the instructions.

#![allow(clippy::panic, reason = "a panic is how a test fails")]

mod generate;
mod machine;
mod memory;
mod random;
mod reference;
mod shapes;

use super::{BackendError, Code, Options, compile};
use crate::ir::Program;
use machine::Machine;
use memory::World;

const ALL: [Options; 2] = [
    Options {
        has_signed_instructions: false,
    },
    Options {
        has_signed_instructions: true,
    },
];

/// What both interpreters must agree on.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: u64,
    log: Vec<u64>,
    globals: Vec<u8>,
}

fn interpret(program: &Program) -> Outcome {
    let mut world = World::new();
    let result = reference::run(program, 0, &[memory::CONTEXT], &mut world);
    Outcome {
        result,
        log: world.log,
        globals: world.memory.regions[0].clone(),
    }
}

fn execute(codes: &[Code]) -> Outcome {
    let mut machine = Machine::new(codes);
    let result = machine.run(0, &[memory::CONTEXT]);
    Outcome {
        result,
        log: machine.world.log,
        globals: machine.world.memory.regions[0].clone(),
    }
}

/// Random programs mean the same before and after.
#[test]
fn generated_code_does_what_the_ir_says() {
    let mut compiled = 0;
    let mut instructions = 0;
    for seed in 0..1000 {
        let program = generate::program(seed);
        let expected = interpret(&program);
        for options in ALL {
            let codes = match compile(program.clone(), options) {
                Ok(codes) => codes,
                Err(BackendError::FrameFull { .. }) => continue,
                Err(error) => panic!("seed {seed}: {error}\n{program:#?}"),
            };
            compiled += 1;
            instructions += codes.iter().map(|code| code.insns.len()).sum::<usize>();
            let found = execute(&codes);
            assert_eq!(found, expected, "seed {seed}, {options:?}");
        }
    }
    assert!(compiled > 1700, "{compiled} of 2000 fitted the frame");
    assert!(instructions > 150_000, "{instructions} instructions");
}
