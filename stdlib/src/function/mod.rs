//! Functions: what a script can call. Those that reach userspace have their other half, an
//! [`Action`], in the same file.

mod bytes;
mod capture;
mod command;
mod debug;
mod exit;
mod format;
mod join;
mod kernel;
mod maps;
mod names;
mod network;
mod parameter;
mod print;
mod printf;
mod process;
mod reflect;
mod register;
mod search;
mod sequence;
mod space;
mod stacks;
mod symbols;
mod tables;
mod text;
mod time;
mod typed;
mod uaddr;
mod unwatch;
mod write;

use rbt_compiler::vocabulary::Function;
use rbt_runtime::vocabulary::Action;

/// Every function, by family.
pub(crate) static ALL: &[&dyn Function] = &[
    &printf::Printf,
    &printf::Errorf,
    &printf::Warnf,
    &debug::Debugf,
    &write::WriteUser,
    &print::Print,
    &exit::Exit,
    &time::Time,
    &time::Strftime,
    &time::Nsecs,
    &join::Join,
    &command::System,
    &command::Cat,
    &maps::Clear,
    &maps::Zero,
    &maps::Delete,
    &maps::HasKey,
    &maps::Len,
    &text::Str,
    &text::Strlen,
    &text::Strcap,
    &text::Strncmp,
    &search::Strstr,
    &search::Strcontains,
    &search::StrConcat,
    &search::Memcmp,
    &reflect::IsStr,
    &reflect::IsPtr,
    &reflect::IsArray,
    &reflect::IsInteger,
    &reflect::IsUnsignedInteger,
    &reflect::IsLiteral,
    &reflect::IsScalar,
    &reflect::IsErr,
    &reflect::AssertStr,
    &reflect::StaticAssert,
    &reflect::Fail,
    &bytes::Buf,
    &bytes::Bswap,
    &capture::Pcap,
    &stacks::Kstack,
    &stacks::Ustack,
    &stacks::DwUstack,
    &symbols::Ksym,
    &symbols::Usym,
    &symbols::Kaddr,
    &uaddr::Uaddr,
    &register::Register,
    &unwatch::Unwatch,
    &kernel::Path,
    &kernel::SocketCookie,
    &kernel::Override,
    &kernel::KfuncExist,
    &kernel::PerCpuAddress,
    &kernel::KfuncAllowed,
    &network::Ntop,
    &network::Pton,
    &network::Macaddr,
    &space::Kptr,
    &space::Uptr,
    &process::Pid,
    &process::Tid,
    &process::Cgroupid,
    &process::CgroupPath,
    &process::Signal,
    &process::SignalThread,
    &parameter::Getopt,
    &names::Strerror,
    &names::SyscallName,
    &names::SignalName,
];

/// Those whose events reach userspace.
pub(crate) static ACTIONS: &[&dyn Action] = &[
    &unwatch::Unwatch,
    &capture::Pcap,
    &printf::Printf,
    &printf::Errorf,
    &printf::Warnf,
    &print::Print,
    &exit::Exit,
    &time::Time,
    &join::Join,
    &command::System,
    &command::Cat,
    &maps::Clear,
    &maps::Zero,
    &stacks::Ustack,
    &stacks::DwUstack,
    &symbols::Usym,
];
