// What the measured scripts cost when a person writes them for the kernel: the floor that
// generated code can be held against. One program a build, chosen with -DFLOOR_NAME, so that
// only that one is loaded.
//
// Each counts exactly what its script counts, per CPU, and does it in the cheapest way known:
// on the raw tracepoint, in place, with the command read from the task rather than copied by
// the helper. Two are given more than scripts may take: counters are added to without a lock,
// so that one which an interrupt changes too could lose a count, and stacks are numbered by the
// kernel, which drops a stack whose hash another has.
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

// The slot of a key in a map, made if there is none: NULL only if the map is full.
static __always_inline void *slot_of(void *map, void *key, void *fresh)
{
	void *slot = bpf_map_lookup_elem(map, key);

	if (slot)
		return slot;
	bpf_map_update_elem(map, key, fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
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

#ifdef FLOOR_lhist
// From 0 to 400 by 10, with a bucket for what is below and one for what is above.
struct line {
	u64 buckets[42];
};
PER_CPU_ARRAY(rows, struct line, 1);
ENTER int program(u64 *ctx)
{
	s64 value = ctx[1];
	u32 zero = 0, at = value < 0 ? 0 : value >= 400 ? 41 : (u32)value / 10 + 1;
	struct line *row = bpf_map_lookup_elem(&rows, &zero);

	// The compiler knows that this is below 42; the kernel's verifier does not.
	asm volatile("" : "+r"(at));
	if (row && at < 42)
		row->buckets[at]++;
	return 0;
}
#endif

// What scripts keep by the number of the call, in a hash: any number is taken.
#if defined(FLOOR_avg_by_id) || defined(FLOOR_min_by_id) || defined(FLOOR_max_by_id) || defined(FLOOR_stats_by_id)
struct sums {
	u64 count, total;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, u64);
	__type(value, struct sums);
	__uint(max_entries, 4096);
} by_id SEC(".maps");
ENTER int program(u64 *ctx)
{
	u64 id = ctx[1];
	struct sums fresh = { 0, 0 }, *slot = slot_of(&by_id, &id, &fresh);

	if (!slot)
		return 0;
#if defined(FLOOR_min_by_id)
	if (!slot->count || (s64)id < (s64)slot->total)
		slot->total = id;
	slot->count = 1;
#elif defined(FLOOR_max_by_id)
	if (!slot->count || (s64)id > (s64)slot->total)
		slot->total = id;
	slot->count = 1;
#else
	slot->count++;
	slot->total += id;
#endif
	return 0;
}
#endif

#ifdef FLOOR_time_by_id
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u64);
	__type(value, u64);
	__uint(max_entries, 4096);
} times SEC(".maps");
ENTER int program(u64 *ctx)
{
	u64 id = ctx[1], now = bpf_ktime_get_boot_ns(), *slot = bpf_map_lookup_elem(&times, &id);

	if (slot)
		*slot = now;
	else
		bpf_map_update_elem(&times, &id, &now, BPF_ANY);
	return 0;
}
#endif

#if defined(FLOOR_kstack) || defined(FLOOR_ustack)
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
	__uint(max_entries, 16384);
} stacks SEC(".maps");
struct key {
	u32 stack, pid;
};
PER_CPU_HASH(counts, struct key, 4096);
ENTER int program(u64 *ctx)
{
#ifdef FLOOR_kstack
	struct key key = { bpf_get_stackid(ctx, &stacks, 0), 0 };
#else
	struct key key = { bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK), task()->tgid };
#endif

	count(&counts, &key);
	return 0;
}
#endif

#ifdef FLOOR_one_call
PER_CPU_HASH(counts, struct command, 4096);
SEC("tp/syscalls/sys_enter_getppid") int program(void *ctx)
{
	struct command key = command(task());

	count(&counts, &key);
	return 0;
}
#endif

#ifdef FLOOR_print
// Read by tools/drain.c, which knows this record.
struct event {
	struct command command;
	u64 pid;
};
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} events SEC(".maps");
u64 lost;
ENTER int program(u64 *ctx)
{
	struct task_struct *current = task();
	struct event *event = bpf_ringbuf_reserve(&events, sizeof *event, 0);

	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	event->command = command(current);
	event->pid = current->tgid;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}
#endif

// What two empty programs cost, one at each end of a call: with `nothing` it says how much of
// that is the kernel's way to a tracepoint and how much its call of a program.
#ifdef FLOOR_nothing_twice
ENTER int enter(u64 *ctx)
{
	return 0;
}

EXIT int leave(u64 *ctx)
{
	return 0;
}
#endif
