//! Addresses of networks: of the internet and of hardware.

use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, Operand, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::{Check, kind_name};
use rbt_compiler::types::{Type, U8};
use rbt_compiler::vocabulary::Function;
use std::net::IpAddr;
use std::rc::Rc;

/// `AF_INET` and `AF_INET6`.
const INET: i64 = 2;
const INET6: i64 = 10;

word! {
    /// `ntop`
    Ntop = "ntop" {
        usage: ["ntop(address) -> inet", "ntop(family, address) -> inet"],
        summary: "An address of the internet, shown as people write it.",
        details: "An integer, or 4 bytes, is one of version 4 in network byte order; 16 bytes \
                  are one of version 6. The family (2 or 10) says which it is where both are \
                  possible.",
        examples: ["BEGIN { print(ntop(0x0100007f)); }", "BEGIN { print(ntop(pton(\"::1\"))); }"],
        kernel: "",
    }
}

word! {
    /// `pton`
    Pton = "pton" {
        usage: ["pton(\"address\") -> uint8[4] or uint8[16]"],
        summary: "The bytes of an address of the internet.",
        details: "In network byte order.",
        examples: ["BEGIN { print(pton(\"127.0.0.1\")); }"],
        kernel: "",
    }
}

word! {
    /// `macaddr`
    Macaddr = "macaddr" {
        usage: ["macaddr(bytes) -> macaddr_t"],
        summary: "A hardware address, shown as people write it.",
        details: "The argument is an array of six bytes, or a pointer to them.",
        examples: ["BEGIN { print(macaddr(\"abcdef\")); }"],
        kernel: "",
    }
}

/// Bytes of an argument that lies in memory as bytes.
fn bytes(ty: &Type) -> Option<u32> {
    match ty {
        Type::Array(element, _) if element.size() == 1 => Some(ty.size()),
        Type::Str(_) => Some(ty.size()),
        _ => None,
    }
}

impl Function for Ntop {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(address) = call.arguments.pop() else {
            return Type::Inet;
        };
        if let Some(family) = call.arguments.pop() {
            let family = cx.integer(family, "ntop");
            call.arguments.push(family);
        }
        let address = match &address.ty {
            Type::Int(_) | Type::Enum(_) => cx.integer(address, "ntop"),
            ty if ty.is_absorbing() || matches!(bytes(ty), Some(4 | 16)) => address,
            ty if bytes(ty).is_some() => {
                let message = String::from("ntop() argument must be 4 or 16 bytes in size");
                let here = format!("this has {} bytes", ty.size());
                let help = "4 bytes are an address of version 4, 16 of version 6";
                cx.complain(message, address.span, &here, help);
                address
            }
            ty => {
                let kind = kind_name(ty);
                let message = format!("ntop() expects an integer or array argument, got {kind}");
                let here = format!("this is `{ty}`");
                cx.complain(
                    message,
                    address.span,
                    &here,
                    "pass an integer, 4 bytes or 16 bytes",
                );
                address
            }
        };
        call.arguments.push(address);
        Type::Inet
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let Some(address) = call.arguments.last() else {
            return;
        };
        let size = bytes(&address.ty).unwrap_or(4);
        let is_wide = size >= 16;
        let family = match call.arguments.first() {
            Some(family) if call.arguments.len() > 1 => b.value(family),
            _ => Operand::Imm(if is_wide { INET6 } else { INET }),
        };
        b.zero(to, 20);
        if bytes(&address.ty).is_some() {
            let from = b.address(address);
            b.copy_bytes(to.plus(4), from, if is_wide { 16 } else { 4 });
        } else {
            let value = b.value(address);
            b.put(to.plus(4), value, Size::B4);
        }
        b.put(to, family, Size::B4);
    }
}

fn parse(text: &str) -> Option<Vec<u8>> {
    Some(match text.parse().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    })
}

impl Function for Pton {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(argument) = call.arguments.pop() else {
            return Type::Error;
        };
        let Some(text) = cx.literal_text(&argument, "pton") else {
            return Type::Error;
        };
        let Some(bytes) = parse(&text) else {
            let message = format!("pton() expects a valid IPv4/IPv6 address, got {text}");
            cx.complain(message, argument.span, "not an address", "");
            return Type::Error;
        };
        call.params.push(Param::Text(text));
        Type::Array(Rc::new(U8), u32::try_from(bytes.len()).unwrap_or(4))
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        if let Some(Param::Text(text)) = call.params.first() {
            let bytes = parse(text).unwrap_or_default();
            b.put_bytes(to, &bytes, call.ty.size());
        }
    }
}

impl Function for Macaddr {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(argument) = call.arguments.pop() else {
            return Type::Mac;
        };
        let argument = match bytes(&argument.ty) {
            Some(size) => {
                if size < 6 {
                    let message = "macaddr() argument must be at least 6 bytes in size";
                    let here = format!("this has {size} bytes");
                    cx.complain(message.to_owned(), argument.span, &here, "");
                }
                argument
            }
            None => {
                let (argument, space) = cx.address(argument, "macaddr");
                call.params.push(super::space::param(space));
                argument
            }
        };
        call.arguments.push(argument);
        Type::Mac
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let Some(argument) = call.arguments.first() else {
            return;
        };
        if bytes(&argument.ty).is_some() {
            let from = b.address(argument);
            b.copy_bytes(to, from, 6);
        } else {
            let space = super::space::from_param(call.params.first());
            let from = b.value(argument);
            b.read_memory(to, 6, from, space);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(parse("127.0.0.1"), Some(vec![127, 0, 0, 1]));
        assert_eq!(parse("::1").map(|b| b.len()), Some(16));
        assert_eq!(parse("1.2.3"), None);
    }
}
