// As many different stacks as are asked for, each once.
//
//   paths COUNT
//
// Stack number N goes from function to function by the bits of N, sixteen deep, and ends in a
// system call: getpgid of process 77777.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, used, optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")))

KEEP void left(unsigned number, int depth);
KEEP void right(unsigned number, int depth);

static volatile unsigned steps;

KEEP void left(unsigned number, int depth)
{
	if (depth == 0)
		syscall(SYS_getpgid, 77777);
	else if (number & 1)
		left(number >> 1, depth - 1);
	else
		right(number >> 1, depth - 1);
	steps++;
}

KEEP void right(unsigned number, int depth)
{
	if (depth == 0)
		syscall(SYS_getpgid, 77777);
	else if (number & 1)
		left(number >> 1, depth - 1);
	else
		right(number >> 1, depth - 1);
	steps++;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? atoi(argv[1]) : 1;
	for (unsigned number = 0; number < count; number++)
		left(number, 16);
	return steps == 1;
}
