// What the measured scripts cost when a person writes them for the kernel: the floor that
// generated code can be held against. One program a build, chosen with -DFLOOR_NAME, so that
// only that one is loaded.
//
// Each counts exactly what its script counts, per CPU, and does it in the cheapest way known:
// on the raw tracepoint, in place, with the command read from the task rather than copied by
// the helper.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef __u64 u64;
typedef __u32 u32;
typedef __s64 s64;

char declared_license[] SEC("license") = "GPL";

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
} __attribute__((preserve_access_index));

// A raw tracepoint's context is the array of its arguments: for sys_enter the registers and
// the number of the call.
#define ENTER SEC("raw_tp/sys_enter")
#define EXIT SEC("raw_tp/sys_exit")

#define PER_CPU_HASH(name, key_type, entries)                     \
	struct {                                                  \
		__uint(type, BPF_MAP_TYPE_PERCPU_HASH);           \
		__type(key, key_type);                            \
		__type(value, u64);                               \
		__uint(max_entries, entries);                     \
	} name SEC(".maps")

#define PER_CPU_ARRAY(name, value_type, entries)                  \
	struct {                                                  \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);          \
		__type(key, u32);                                 \
		__type(value, value_type);                        \
		__uint(max_entries, entries);                     \
	} name SEC(".maps")

struct command {
	u64 words[2];
};

static __always_inline struct task_struct *task(void)
{
	return (struct task_struct *)bpf_get_current_task_btf();
}

static __always_inline struct command command(struct task_struct *task)
{
	struct command command = { { *(u64 *)&task->comm[0], *(u64 *)&task->comm[8] } };

	return command;
}

static __always_inline void count(void *map, void *key)
{
	u64 first = 1, *slot = bpf_map_lookup_elem(map, key);

	if (slot)
		*slot += 1;
	else
		bpf_map_update_elem(map, key, &first, BPF_ANY);
}

// The bucket of a power-of-two histogram: negatives, zero, then one for each power.
static __always_inline u32 bucket(s64 value)
{
	u64 rest = value;
	u32 power = 0;

	if (value < 0)
		return 0;
	if (!value)
		return 1;
#pragma unroll
	for (int step = 32; step; step /= 2)
		if (rest >> step) {
			rest >>= step;
			power += step;
		}
	return power + 2;
}

struct row {
	u64 buckets[66];
};

#ifdef FLOOR_nothing
ENTER int program(u64 *ctx)
{
	return 0;
}
#endif

#ifdef FLOOR_count
PER_CPU_ARRAY(counts, u64, 1);
ENTER int program(u64 *ctx)
{
	u32 zero = 0;
	u64 *slot = bpf_map_lookup_elem(&counts, &zero);

	if (slot)
		*slot += 1;
	return 0;
}
#endif

#ifdef FLOOR_count_by_comm
PER_CPU_HASH(counts, struct command, 4096);
ENTER int program(u64 *ctx)
{
	struct command key = command(task());

	count(&counts, &key);
	return 0;
}
#endif

#ifdef FLOOR_count_by_pid_comm
struct key {
	struct command command;
	u64 pid;
};
PER_CPU_HASH(counts, struct key, 4096);
ENTER int program(u64 *ctx)
{
	struct task_struct *current = task();
	struct key key = { command(current), current->tgid };

	count(&counts, &key);
	return 0;
}
#endif

#ifdef FLOOR_hist
PER_CPU_ARRAY(rows, struct row, 1);
ENTER int program(u64 *ctx)
{
	u32 zero = 0, at = bucket(ctx[1]);
	struct row *row = bpf_map_lookup_elem(&rows, &zero);

	if (row && at < 66)
		row->buckets[at]++;
	return 0;
}
#endif

#ifdef FLOOR_count_by_id
// Numbers of calls are small; what is not has a hash.
PER_CPU_ARRAY(small, u64, 1024);
PER_CPU_HASH(large, u64, 4096);
ENTER int program(u64 *ctx)
{
	u64 id = ctx[1], *slot;
	u32 at = id;

	if (id >= 1024) {
		count(&large, &id);
		return 0;
	}
	slot = bpf_map_lookup_elem(&small, &at);
	if (slot)
		*slot += 1;
	return 0;
}
#endif

#ifdef FLOOR_increment
u64 shared;
ENTER int program(u64 *ctx)
{
	__sync_fetch_and_add(&shared, 1);
	return 0;
}
#endif

#ifdef FLOOR_filter
PER_CPU_ARRAY(counts, u64, 1);
ENTER int program(u64 *ctx)
{
	u32 zero = 0;
	u64 *slot;

	if (task()->tgid != 1)
		return 0;
	slot = bpf_map_lookup_elem(&counts, &zero);
	if (slot)
		*slot += 1;
	return 0;
}
#endif

#ifdef FLOOR_latency
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, 4096);
} begun SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, struct command);
	__type(value, struct row);
	__uint(max_entries, 256);
} rows SEC(".maps");
PER_CPU_ARRAY(empty, struct row, 1);

// The time of a call that is over is zero rather than deleted: the slot is used again at once.
ENTER int enter(u64 *ctx)
{
	u32 tid = task()->pid;
	u64 now = bpf_ktime_get_boot_ns(), *slot = bpf_map_lookup_elem(&begun, &tid);

	if (slot)
		*slot = now;
	else
		bpf_map_update_elem(&begun, &tid, &now, BPF_ANY);
	return 0;
}

EXIT int leave(u64 *ctx)
{
	struct task_struct *current = task();
	u32 tid = current->pid, zero = 0, at;
	u64 took, *slot = bpf_map_lookup_elem(&begun, &tid);
	struct command key;
	struct row *row;

	if (!slot || !*slot)
		return 0;
	took = bpf_ktime_get_boot_ns() - *slot;
	*slot = 0;
	key = command(current);
	row = bpf_map_lookup_elem(&rows, &key);
	if (!row) {
		row = bpf_map_lookup_elem(&empty, &zero);
		if (!row)
			return 0;
		bpf_map_update_elem(&rows, &key, row, BPF_NOEXIST);
		row = bpf_map_lookup_elem(&rows, &key);
		if (!row)
			return 0;
	}
	at = bucket(took);
	if (at < 66)
		row->buckets[at]++;
	return 0;
}
#endif
