//! `pcap`: bytes of a packet into a file that packet analysers read.

use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir;
use rbt_compiler::ir::Operand;
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::Function;
use rbt_compiler::word::Word;
use rbt_runtime::Error;
use rbt_runtime::Record;
use rbt_runtime::Value;
use rbt_runtime::time::Clock;
use rbt_runtime::vocabulary::{Action, Context, Flow};
use std::fs::OpenOptions;
use std::io::{self, Write};

/// The head of a file with times in nanoseconds and packets that begin with their IP header.
/// Source: draft-ietf-opsawg-pcap; 101 is `LINKTYPE_RAW`.
const HEAD: [u32; 6] = [0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, 101];

word! {
    /// `pcap`
    Pcap = "pcap" {
        usage: ["pcap(file, bytes, length, time)"],
        summary: "Appends the bytes of an IP packet to a capture file.",
        details: "`bytes` is what `buf()` gives, `length` how long the packet was, `time` a \
                  moment of `nsecs`. The file is made if it is not there; tcpdump and Wireshark \
                  read it.",
        examples: ["BEGIN { pcap(\"/tmp/one.pcap\", buf(\"abc\", 3), 3, nsecs); }"],
        kernel: "",
    }
}

impl Function for Pcap {
    fn arity(&self) -> (usize, usize) {
        (4, 4)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let mut arguments = std::mem::take(&mut call.arguments).into_iter();
        let (Some(file), Some(bytes)) = (arguments.next(), arguments.next()) else {
            return Type::Error;
        };
        let file = cx.literal_text(&file, "pcap").unwrap_or_default();
        call.params.push(Param::Text(file));
        if !matches!(bytes.ty, Type::Buffer(_)) && !bytes.ty.is_absorbing() {
            let message = format!("pcap() expects a buffer ({} provided)", bytes.ty);
            cx.complain(message, bytes.span, "not a buffer", "buf(pointer, length)");
        }
        call.arguments.push(bytes);
        for number in arguments {
            let number = cx.integer(number, "pcap");
            call.arguments.push(number);
        }
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        b.event(self.name(), &call.params, &call.arguments);
        Operand::Imm(0)
    }
}

impl Action for Pcap {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let file = record.text_param(0)?;
        let value = record.value(0)?;
        let bytes = match &value {
            Value::Buffer(bytes) => &bytes[..],
            _ => &[],
        };
        let length = u32::try_from(record.int(1)?).unwrap_or(0);
        let moment = Clock::now().wall(record.int(2)?.cast_unsigned());
        if let Err(error) = append(file, bytes, length, moment) {
            cx.complain(&format!(
                "ERROR: failed to write packets to '{file}' ({error})"
            ))?;
        }
        Ok(Flow::Continue)
    }
}

/// Adds a packet to a file, which gets its head first if it is empty. It is opened for each:
/// there is deliberately nothing kept between events.
fn append(file: &str, bytes: &[u8], length: u32, wall_nanoseconds: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let mut out = Vec::with_capacity(bytes.len() + 40);
    if file.metadata()?.len() == 0 {
        out.extend(HEAD.iter().flat_map(|word| word.to_ne_bytes()));
    }
    let seconds = wall_nanoseconds / 1_000_000_000;
    let kept = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let head = [
        u32::try_from(seconds).unwrap_or(u32::MAX),
        u32::try_from(wall_nanoseconds % 1_000_000_000).unwrap_or(0),
        kept,
        length.max(kept),
    ];
    out.extend(head.iter().flat_map(|word| word.to_ne_bytes()));
    out.extend_from_slice(bytes);
    file.write_all(&out)
}
