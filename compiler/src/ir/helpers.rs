//! The table of kernel helpers: name, number, and the first kernel that has each.
//!
//! Source: `enum bpf_func_id` of `include/uapi/linux/bpf.h`.

use std::fmt;

/// A kernel helper: a row of [`TABLE`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Helper {
    /// The kernel's number for it.
    pub number: u32,
    /// Its name without `bpf_`.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arity: u8,
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! helpers {
    ($($constant:ident = $number:literal, $name:literal, $arity:literal;)*) => {
        $(
            #[doc = concat!("`bpf_", $name, "`")]
            pub const $constant: Helper = Helper { number: $number, name: $name, arity: $arity };
        )*
        /// Every helper rbt calls, by number.
        pub const TABLE: &[Helper] = &[$($constant),*];
    };
}

helpers! {
    MAP_LOOKUP_ELEM = 1, "map_lookup_elem", 2;
    MAP_UPDATE_ELEM = 2, "map_update_elem", 4;
    MAP_DELETE_ELEM = 3, "map_delete_elem", 2;
    PROBE_READ = 4, "probe_read", 3;
    KTIME_GET_NS = 5, "ktime_get_ns", 0;
    TRACE_PRINTK = 6, "trace_printk", 5;
    GET_PRANDOM_U32 = 7, "get_prandom_u32", 0;
    GET_SMP_PROCESSOR_ID = 8, "get_smp_processor_id", 0;
    GET_CURRENT_PID_TGID = 14, "get_current_pid_tgid", 0;
    GET_CURRENT_UID_GID = 15, "get_current_uid_gid", 0;
    GET_CURRENT_COMM = 16, "get_current_comm", 2;
    GET_STACKID = 27, "get_stackid", 3;
    GET_CURRENT_TASK = 35, "get_current_task", 0;
    PROBE_WRITE_USER = 36, "probe_write_user", 3;
    GET_NUMA_NODE_ID = 42, "get_numa_node_id", 0;
    PROBE_READ_STR = 45, "probe_read_str", 3;
    GET_SOCKET_COOKIE = 46, "get_socket_cookie", 1;
    OVERRIDE_RETURN = 58, "override_return", 2;
    GET_STACK = 67, "get_stack", 4;
    GET_CURRENT_CGROUP_ID = 80, "get_current_cgroup_id", 0;
    SEND_SIGNAL = 109, "send_signal", 1;
    PROBE_READ_USER = 112, "probe_read_user", 3;
    PROBE_READ_KERNEL = 113, "probe_read_kernel", 3;
    PROBE_READ_USER_STR = 114, "probe_read_user_str", 3;
    PROBE_READ_KERNEL_STR = 115, "probe_read_kernel_str", 3;
    SEND_SIGNAL_THREAD = 117, "send_signal_thread", 1;
    JIFFIES64 = 118, "jiffies64", 0;
    GET_NS_CURRENT_PID_TGID = 120, "get_ns_current_pid_tgid", 4;
    KTIME_GET_BOOT_NS = 125, "ktime_get_boot_ns", 0;
    SEQ_PRINTF = 126, "seq_printf", 5;
    SEQ_WRITE = 127, "seq_write", 3;
    RINGBUF_OUTPUT = 130, "ringbuf_output", 4;
    RINGBUF_RESERVE = 131, "ringbuf_reserve", 3;
    RINGBUF_SUBMIT = 132, "ringbuf_submit", 2;
    RINGBUF_DISCARD = 133, "ringbuf_discard", 2;
    RINGBUF_QUERY = 134, "ringbuf_query", 2;
    D_PATH = 147, "d_path", 3;
    PER_CPU_PTR = 153, "per_cpu_ptr", 2;
    THIS_CPU_PTR = 154, "this_cpu_ptr", 1;
    GET_CURRENT_TASK_BTF = 158, "get_current_task_btf", 0;
    FOR_EACH_MAP_ELEM = 164, "for_each_map_elem", 4;
    GET_FUNC_IP = 173, "get_func_ip", 1;
    GET_ATTACH_COOKIE = 174, "get_attach_cookie", 1;
    TASK_PT_REGS = 175, "task_pt_regs", 1;
    LOOP = 181, "loop", 4;
    STRNCMP = 182, "strncmp", 3;
    GET_FUNC_ARG = 183, "get_func_arg", 3;
    GET_FUNC_RET = 184, "get_func_ret", 2;
    MAP_LOOKUP_PERCPU_ELEM = 195, "map_lookup_percpu_elem", 3;
    KTIME_GET_TAI_NS = 208, "ktime_get_tai_ns", 0;
}
