//! Whether this machine has what a case `REQUIRES`.
//!
//! Takes one requirement as written and gives the reason it is not met, if it is not. Looks at
//! the machine, and asks the tracer only for `info`. Never changes anything.
//!
//! | Requirement             | Met when                                                             |
//! |-------------------------|----------------------------------------------------------------------|
//! | `kernel >= 5.15`        | the running kernel is at least (or, with `<`, below) that release     |
//! | `cpus >= 2`             | that many are online                                                  |
//! | `kprobe`, `uprobe`      | the kernel has such perf events                                       |
//! | `tracing`               | kernel functions may be traced by BTF: the kernel lists them to us    |
//! | `no hardware events`    | the processor counts no events for the kernel                        |
//! | `module NAME`           | the kernel describes the types of a module of that name             |
//! | `btf`                   | the kernel describes its types                                        |
//! | `command NAME`          | `NAME` is in `PATH`                                                   |
//! | `file PATH`             | it exists                                                             |
//! | `info NAME`             | the tracer's `--info` says `NAME: yes`                                 |

use std::path::Path;
use std::process::{Command, Stdio};

/// Why `requirement` is not met for `tracer` here; `None` when it is.
///
/// Errors: a requirement that is none of the table's.
pub fn unmet(requirement: &str, tracer: &Path) -> Result<Option<String>, String> {
    let words: Vec<&str> = requirement.split_whitespace().collect();
    let met = match words.as_slice() {
        ["kernel", relation, wanted] => {
            let release = kernel_release();
            let (wanted, running) = (version(wanted)?, version(&release)?);
            let holds = match *relation {
                ">=" => running >= wanted,
                "<" => running < wanted,
                _ => return Err(format!("`{relation}` is neither `>=` nor `<`")),
            };
            return Ok((!holds).then(|| format!("this kernel is {release}, not {requirement}")));
        }
        ["cpus", ">=", wanted] => {
            let wanted: usize = wanted
                .parse()
                .map_err(|_| format!("`{wanted}` is not a number"))?;
            std::thread::available_parallelism().is_ok_and(|online| online.get() >= wanted)
        }
        [kind @ ("kprobe" | "uprobe")] => Path::new("/sys/bus/event_source/devices")
            .join(kind)
            .exists(),
        ["tracing"] => std::fs::read("/sys/kernel/tracing/available_filter_functions")
            .is_ok_and(|names| !names.is_empty()),
        ["no", "hardware", "events"] => !Path::new("/sys/bus/event_source/devices/cpu").exists(),
        ["module", name] => Path::new("/sys/kernel/btf").join(name).exists(),
        ["btf"] => Path::new("/sys/kernel/btf/vmlinux").exists(),
        ["command", name] => std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file())),
        ["file", path] => Path::new(path).exists(),
        // Two of them may share a line, in columns.
        ["info", name] => {
            format!(" {}", info(tracer).replace('\n', " ")).contains(&format!(" {name}: yes"))
        }
        _ => return Err(format!("nothing is known about REQUIRES {requirement}")),
    };
    Ok((!met).then(|| format!("this machine has no {requirement}")))
}

/// Why nothing can be traced at all here; `None` when it can.
pub fn no_privileges() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|users| users.split_whitespace().nth(1));
    (user != Some("0")).then(|| "tracing needs root".to_owned())
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The first two numbers of a release.
fn version(release: &str) -> Result<(u32, u32), String> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(format!("`{release}` is not a kernel release")),
    }
}

fn info(tracer: &Path) -> String {
    let output = Command::new(tracer)
        .arg("--info")
        .stdin(Stdio::null())
        .output();
    output.map_or_else(
        |_| String::new(),
        |o| String::from_utf8_lossy(&o.stdout).into_owned(),
    )
}
