// Stacks that only tables can unwind: no function of this program keeps a frame pointer.
//
//   chain [PAUSE_MS]
//
// Reaches innermost() by a chain of functions with frames of every kind: small and large ones,
// one of a size that is not known, one that is aligned anew, and the C library's qsort() in
// between. Then from a handler of a signal, and from a thread. With PAUSE_MS it does so again
// after that pause, 20 times in all.

#pragma GCC optimize("omit-frame-pointer")

#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noipa, used))

volatile long sink;

KEEP long innermost(long value)
{
	sink += value;
	return sink;
}

KEEP int compare(const void *left, const void *right)
{
	long difference = innermost(*(const long *)left - *(const long *)right);
	return difference > 0 ? 1 : -1;
}

KEEP void sorting(void)
{
	long numbers[] = {2, 1};
	qsort(numbers, 2, sizeof *numbers, compare);
	sink += numbers[0];
}

KEEP void unknown_size(long size)
{
	char *bytes = alloca(size);
	memset(bytes, 1, size);
	sorting();
	sink += bytes[size / 2];
}

KEEP void aligned_anew(long size)
{
	char bytes[64] __attribute__((aligned(64)));
	memset(bytes, (int)size, sizeof bytes);
	unknown_size(size);
	sink += bytes[3];
}

KEEP void large(long size)
{
	volatile char bytes[20000];
	bytes[size] = 1;
	aligned_anew(size);
	sink += bytes[size];
}

KEEP void small(long size)
{
	large(size);
	sink++;
}

KEEP void on_signal(int number)
{
	sink += innermost(number);
}

KEEP void signalled(void)
{
	raise(SIGUSR1);
	sink++;
}

KEEP void *in_thread(void *argument)
{
	sink += innermost(argument != NULL);
	return argument;
}

int main(int argc, char **argv)
{
	int pause = argc > 1 ? atoi(argv[1]) : 0;
	signal(SIGUSR1, on_signal);
	for (int round = 0; round < (pause ? 20 : 1); round++) {
		pthread_t thread;
		small(100);
		signalled();
		pthread_create(&thread, NULL, in_thread, NULL);
		pthread_join(thread, NULL);
		usleep(pause * 1000);
	}
	return 0;
}
