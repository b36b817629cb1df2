// Reads what the hand-written program `print` of floor/ leaves in its ring buffer.
//
//   drain MAP
//
// Takes the path of the pinned ring buffer. Writes a line for each record to stdout, as the
// script it stands for does, and looks again each millisecond until it is killed. Knows the
// record of floor.bpf.c and the layout of a ring buffer (linux/bpf.h), and nothing of libbpf.
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// As the program has it.
static const size_t SIZE = 1 << 22;

struct event {
	char command[16];
	uint64_t pid;
};

static void nap(void)
{
	struct timespec millisecond = { .tv_nsec = 1000000 };

	nanosleep(&millisecond, NULL);
}

int main(int count, char **argument)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	union bpf_attr open = { 0 };
	_Atomic uint64_t *consumed, *produced;
	const char *data;
	void *own, *theirs;
	int map;

	if (count < 2)
		return 2;
	open.pathname = (uintptr_t)argument[1];
	map = (int)syscall(SYS_bpf, BPF_OBJ_GET, &open, sizeof open);
	if (map < 0)
		return 1;
	own = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	// The data lies there twice in a row, so that no record has to be put together.
	theirs = mmap(NULL, page + 2 * SIZE, PROT_READ, MAP_SHARED, map, (off_t)page);
	if (own == MAP_FAILED || theirs == MAP_FAILED)
		return 1;
	consumed = own;
	produced = theirs;
	data = (const char *)theirs + page;
	for (;;) {
		uint64_t at = atomic_load(consumed), end = atomic_load_explicit(produced, memory_order_acquire);

		while (at < end) {
			const char *record = data + (at & (SIZE - 1));
			uint32_t head = atomic_load_explicit((_Atomic uint32_t *)record, memory_order_acquire);
			uint32_t length = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
			struct event event;

			if (head & BPF_RINGBUF_BUSY_BIT)
				break;
			memcpy(&event, record + BPF_RINGBUF_HDR_SZ, sizeof event);
			printf("%d %.16s\n", (int)event.pid, event.command);
			at += (BPF_RINGBUF_HDR_SZ + length + 7) & ~7u;
			atomic_store_explicit(consumed, at, memory_order_release);
		}
		nap();
	}
}
