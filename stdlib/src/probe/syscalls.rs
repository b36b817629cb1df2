//! System calls through the two raw tracepoints that every call passes.
//!
//! The kernel has a tracepoint for the entry and one for the exit of each system call, but a
//! perf event for each of hundreds takes seconds to detach. Below all of them lie
//! `raw_syscalls`' two: a program there learns from the call's number which it is.

use rbt_compiler::arch::Arch;
use rbt_compiler::artifact::{AttachTarget, ProgramKind};
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::Target;
use rbt_compiler::types::{Space, Type};
use rbt_compiler::vocabulary::{
    ArgumentAccess, ArgumentSource, MappedArgument, Needs, PidFilter, Place, Route, SiteSource,
};
use rbt_grammar::ast::TagKind;

/// Either end of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// `sys_enter`
    Enter,
    /// `sys_exit`
    Exit,
}

/// Bytes of an argument in the records of these tracepoints.
const SLOT: u32 = 8;

/// Where a record's own fields begin: after the four that all have.
const FIRST: u32 = 8;

/// Where the second field begins.
const SECOND: u32 = 16;

/// Tracepoints are named after the kernel's functions, which are not always called as their
/// system calls are. Source: the kernel's `arch/x86/entry/syscalls/syscall_64.tbl`.
const RENAMED: &[(&str, &str)] = &[
    ("newfstat", "fstat"),
    ("newlstat", "lstat"),
    ("newstat", "stat"),
    ("newuname", "uname"),
    ("sendfile64", "sendfile"),
    ("umount", "umount2"),
];

impl Side {
    /// The raw tracepoint.
    pub(super) fn event(self) -> &'static str {
        match self {
            Side::Enter => "sys_enter",
            Side::Exit => "sys_exit",
        }
    }

    /// Where the number of the call is.
    fn number(self, arch: &Arch) -> Option<ArgumentSource> {
        match self {
            // The handler's arguments are the registers and the number.
            Side::Enter => Some(ArgumentSource::Context(SLOT)),
            // The registers and the result: the number is still in the registers.
            Side::Exit => Some(ArgumentSource::Behind {
                pointer: 0,
                offset: arch.register(arch.syscall_number)?,
            }),
        }
    }

    /// Where the fields of the tracepoints' records are found instead: the number, then the
    /// arguments or the result.
    fn arguments(self, arch: &Arch) -> Option<Vec<MappedArgument>> {
        let mut arguments = vec![MappedArgument {
            at: FIRST,
            from: self.number(arch)?,
        }];
        match self {
            Side::Enter => {
                let mut at = SECOND;
                for name in arch.syscall_arguments {
                    arguments.push(MappedArgument {
                        at,
                        from: ArgumentSource::Behind {
                            pointer: 0,
                            offset: arch.register(name)?,
                        },
                    });
                    at += SLOT;
                }
            }
            Side::Exit => arguments.push(MappedArgument {
                at: SECOND,
                from: ArgumentSource::Context(SLOT),
            }),
        }
        Some(arguments)
    }
}

/// The side and the system call that a tracepoint of `syscalls` stands for.
pub(super) fn side(event: &str) -> Option<(Side, &str)> {
    if let Some(call) = event.strip_prefix("sys_enter_") {
        return Some((Side::Enter, call));
    }
    Some((Side::Exit, event.strip_prefix("sys_exit_")?))
}

/// The number of the system call a tracepoint is named after.
fn number(call: &str, arch: &Arch) -> Option<u32> {
    let renamed = RENAMED.iter().find(|(event, _)| *event == call);
    arch.syscall(renamed.map_or(call, |(_, name)| name))
}

/// One program for several tracepoints of `syscalls`, all of one side. `places` are indexes
/// of `all`; gives those back that it cannot serve.
pub(super) fn by_number(
    side_of_all: Side,
    places: Vec<usize>,
    all: &[Place],
    needs: Needs,
    target: &dyn Target,
) -> (Option<Route>, Vec<usize>) {
    let arch = target.arch();
    let (Some(source), Some(arguments)) = (side_of_all.number(arch), side_of_all.arguments(arch))
    else {
        return (None, places);
    };
    let mut table: Vec<u32> = Vec::new();
    let mut served = Vec::new();
    let mut left = Vec::new();
    for index in places {
        let event = all.get(index).and_then(|place| place.parts.get(1));
        let call = event.and_then(|event| side(event)).map(|(_, call)| call);
        let slot = call
            .and_then(|call| number(call, arch))
            .and_then(|number| usize::try_from(number).ok());
        let Some(slot) = slot else {
            left.push(index);
            continue;
        };
        if table.len() <= slot {
            table.resize(slot + 1, 0);
        }
        match table.get_mut(slot) {
            // The same tracepoint twice: the second needs a program of its own.
            Some(entry) if *entry == 0 => {
                served.push(index);
                *entry = u32::try_from(served.len()).unwrap_or(0);
            }
            _ => left.push(index),
        }
    }
    if served.is_empty() {
        return (None, left);
    }
    let event = side_of_all.event();
    let count = u32::try_from(served.len()).unwrap_or(u32::MAX);
    let name = String::from(event);
    let route = Route {
        kind: ProgramKind::RawTracepoint,
        section: format!("raw_tp/{event}"),
        name: name.clone(),
        places: served,
        attachments: vec![(AttachTarget::RawTracepoint { name }, 0, count)],
        pid_filter: PidFilter::Test,
        arguments: if needs.arguments {
            ArgumentAccess::Mapped(arguments)
        } else {
            ArgumentAccess::None
        },
        site: SiteSource::Table {
            number: source,
            table,
            excluded: foreign(target),
        },
    };
    (Some(route), left)
}

/// What marks the system calls of 32-bit programs, which have numbers of their own; the
/// kernel's tracepoints for single calls pass over them. `TS_COMPAT` of the kernel's
/// `arch/x86/include/asm/thread_info.h`.
fn foreign(target: &dyn Target) -> Option<(ArgumentSource, i64)> {
    const COMPAT: i64 = 2;
    if target.arch().name != "x86_64" {
        return None;
    }
    let types = TypeTable::new(target);
    let inside = |ty: &Type, name: &str| match ty {
        Type::Struct(of) => types.find_field(of, name, Space::Kernel),
        _ => None,
    };
    let task = types.tagged(TagKind::Struct, "task_struct")?;
    let info = inside(&task, "thread_info")?;
    let status = inside(&info.ty, "status")?;
    let offset = info.offset.checked_add(status.offset)?;
    (status.ty.size() == 4).then_some((ArgumentSource::Task(offset), COMPAT))
}

/// `raw_syscalls`' own tracepoints as raw ones. `None` if the architecture does not say where
/// the arguments are. The arguments of 32-bit programs' calls, which lie in other registers,
/// are not looked for: those of the 64-bit convention are read.
pub(super) fn raw(
    side: Side,
    places: Vec<usize>,
    needs: Needs,
    site: SiteSource,
    target: &dyn Target,
) -> Option<Route> {
    let arguments = side.arguments(target.arch())?;
    let event = side.event();
    let name = String::from(event);
    let attach = AttachTarget::RawTracepoint { name: name.clone() };
    Some(Route {
        kind: ProgramKind::RawTracepoint,
        section: format!("raw_tp/{event}"),
        name,
        attachments: (0..places.len())
            .map(|place| (attach.clone(), place, 1))
            .collect(),
        places,
        pid_filter: PidFilter::Test,
        arguments: if needs.arguments {
            ArgumentAccess::Mapped(arguments)
        } else {
            ArgumentAccess::None
        },
        site,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbt_compiler::arch::x86_64::X86_64;
    use rbt_compiler::fixture::Fixture;

    fn place(event: &str) -> Place {
        Place {
            parts: vec![String::from("syscalls"), String::from(event)],
            text: format!("tracepoint:syscalls:{event}"),
        }
    }

    #[test]
    fn tracepoints_are_known_by_the_numbers_of_their_calls() {
        assert_eq!(number("openat", &X86_64), Some(257));
        assert_eq!(number("newfstatat", &X86_64), Some(262));
        assert_eq!(number("newfstat", &X86_64), Some(5));
        assert_eq!(number("umount", &X86_64), Some(166));
        assert_eq!(number("no_such_call", &X86_64), None);
        assert_eq!(side("sys_exit_read"), Some((Side::Exit, "read")));
        assert_eq!(side("something_else"), None);
    }

    #[test]
    fn one_program_serves_many_calls() {
        let names = [
            "sys_enter_read",
            "sys_enter_write",
            "sys_enter_nosuch",
            "sys_enter_read",
        ];
        let all: Vec<Place> = names.iter().map(|name| place(name)).collect();
        let target = Fixture::new();
        let needs = Needs::default();
        let (route, left) = by_number(Side::Enter, vec![0, 1, 2, 3], &all, needs, &target);
        let route = route.expect("a route");
        assert_eq!(left, [2, 3]);
        assert_eq!(route.places, [0, 1]);
        assert_eq!(route.attachments.len(), 1);
        assert_eq!(route.attachments[0].2, 2);
        let expected = SiteSource::Table {
            number: ArgumentSource::Context(8),
            table: vec![1, 2],
            excluded: foreign(&target),
        };
        assert_eq!(route.site, expected);
    }

    #[test]
    fn arguments_come_from_the_registers() {
        let enter = Side::Enter.arguments(&X86_64).expect("known");
        assert_eq!(enter.len(), 7);
        let second = ArgumentSource::Behind {
            pointer: 0,
            offset: 104,
        };
        assert_eq!(
            enter[2],
            MappedArgument {
                at: 24,
                from: second
            }
        );
        let exit = Side::Exit.arguments(&X86_64).expect("known");
        let result = ArgumentSource::Context(8);
        assert_eq!(
            exit[1],
            MappedArgument {
                at: 16,
                from: result
            }
        );
    }
}
