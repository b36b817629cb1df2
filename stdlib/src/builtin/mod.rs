//! Builtins: values a script can name, most of them about the current task, the clock and
//! the machine. One file for each family.

mod clock;
mod config;
mod function;
mod ids;
mod machine;
mod probe;
mod task;

pub(crate) use function::register;

use rbt_compiler::vocabulary::Builtin;

/// Every builtin, by family.
pub(crate) static ALL: &[&dyn Builtin] = &[
    &ids::Pid,
    &ids::Tid,
    &ids::Uid,
    &ids::Gid,
    &ids::Username,
    &ids::Cgroup,
    &ids::ChildPid,
    &ids::HasChild,
    &task::Comm,
    &task::CurrentTask,
    &clock::Nsecs,
    &clock::Elapsed,
    &clock::Jiffies,
    &machine::Cpu,
    &machine::CpuCount,
    &machine::NumaNode,
    &machine::Rand,
    &machine::UserMode,
    &config::Settings,
    &probe::ProbeText,
    &probe::ProbeType,
    &probe::Numbered,
    &function::Func,
    &function::ReturnValue,
    &function::RawContext,
];
