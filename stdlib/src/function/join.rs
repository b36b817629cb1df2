//! `join`: an array of strings, such as a new program's arguments, as one line.

use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, Comparison, Operand, Reg, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{Space, Type, U64};
use rbt_compiler::vocabulary::Function;
use rbt_compiler::word::Word;
use rbt_runtime::Error;
use rbt_runtime::Record;
use rbt_runtime::output::text::write_value;
use rbt_runtime::vocabulary::{Action, Context, Flow};

/// Most strings that are read.
const MOST: usize = 16;

/// Bytes of each, its NUL included.
const CAPACITY: u32 = 1024;

word! {
    /// `join`
    Join = "join" {
        usage: ["join(argv)", "join(argv, separator)"],
        summary: "Prints the strings of an array of pointers that ends with a null pointer.",
        details: "At most 16 strings of 1023 characters, with the separator (one space, unless \
                  given) between them and a newline at the end.",
        examples: ["tracepoint:syscalls:sys_enter_execve { join(args.argv); }"],
        kernel: "",
    }
}

impl Function for Join {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let separator = if call.arguments.len() > 1 {
            call.arguments.pop()
        } else {
            None
        };
        let separator = match separator {
            Some(separator) => cx.literal_text(&separator, "join").unwrap_or_default(),
            None => String::from(" "),
        };
        call.params.push(Param::Text(separator));
        if let Some(array) = call.arguments.pop() {
            let is_address = matches!(array.ty, Type::Int(_) | Type::Pointer(..));
            if !is_address && !array.ty.is_absorbing() {
                let message = format!(
                    "The join() function only supports int and pointer arguments ({} provided)",
                    array.ty
                );
                cx.complain(message, array.span, "not an address", "");
            }
            let (array, space) = cx.address(array, "join");
            // The space is what is left of the argument's type after conversion.
            call.params.push(super::space::param(space));
            call.arguments.push(array);
        }
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some(array) = call.arguments.first() else {
            return Operand::Imm(0);
        };
        let space = super::space::from_param(call.params.get(1));
        let array = b.value(array);
        let mut fields = vec![U64];
        fields.resize(MOST + 1, Type::Str(CAPACITY));
        b.event_of(self.name(), &call.params, &fields, |b, places| {
            let count = b.copy(0);
            read(b, array, space, count, places.get(1..).unwrap_or(&[]), 0);
            if let Some(place) = places.first() {
                b.put(*place, count, Size::B8);
            }
        });
        Operand::Imm(0)
    }
}

/// Reads the string of that index and those after it, up to the null pointer.
fn read(
    b: &mut Builder<'_>,
    array: Operand,
    space: Space,
    count: Reg,
    places: &[Address],
    index: i64,
) {
    let Some((place, rest)) = places.split_first() else {
        return;
    };
    let string = b.read_scalar(array, index * 8, Size::B8, space);
    b.when(Comparison::NotEqual, string, 0, |b| {
        b.read_text(*place, i64::from(CAPACITY), string, space);
        b.set(count, index + 1);
        read(b, array, space, count, rest, index + 1);
    });
}

impl Action for Join {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let separator = record.text_param(0)?;
        let count = usize::try_from(record.int(0)?).unwrap_or(0).min(MOST);
        let mut line = Vec::new();
        for index in 1..=count {
            if index > 1 {
                line.extend_from_slice(separator.as_bytes());
            }
            write_value(&record.value(index)?, &mut line);
        }
        if cx.format() == rbt_runtime::output::OutputFormat::Text {
            line.push(b'\n');
        }
        cx.printer.text("join", &line)?;
        Ok(Flow::Continue)
    }
}
